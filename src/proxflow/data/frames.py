"""Tables with mixed columns in and out: CSV, TSV, text and Parquet become a pandas frame with its own types.

    file -> `delimited` or `arrays` -> the types that pandas finds in the text, or that Parquet states

`tables` reads numbers only; here text, bools and missing cells are welcome, and whoever takes the frame says what is
wrong with it. Bad at: dates in text, which stay text.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from proxflow.data.arrays import PARQUET, read_parquet
from proxflow.data.delimited import TEXT, read_text
from proxflow.data.tables import _check_file, _one_line, _suffix
from proxflow.store import atomic_path

__all__ = ["read_frame", "write_frame"]


def read_frame(path: str | os.PathLike[str]) -> Any:
    """Read a table, one row per line, from .csv, .tsv, .txt (each also .gz), .parquet or .pq.

    Columns of a file without names are called "0", "1", ...

    Raises
    ------
    ValueError
        The file is missing, unreadable, empty or not what its suffix says; ragged rows; duplicate names.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> file = tempfile.mkdtemp() + "/people.csv"
    >>> _ = write_frame(file, pd.DataFrame({"age": [31, 45], "city": ["Bern", "Rome"]}))
    >>> read_frame(file)["city"].tolist()
    ['Bern', 'Rome']
    """
    file = os.fspath(path)
    suffix = _suffix(file, (*TEXT, *PARQUET), "read")
    _check_file(file)
    with _one_line(file, suffix):
        names, frame = read_parquet(file) if suffix in PARQUET else read_text(file, suffix)
    if len(frame) == 0:
        raise ValueError(f"{file}: no rows.")
    frame.columns = [str(i) for i in range(frame.shape[1])] if names is None else list(names)
    return frame.reset_index(drop=True)


def write_frame(path: str | os.PathLike[str], frame: Any) -> Path:
    """Write a frame as .csv, .tsv or .parquet, whole or not at all, and return its path.

    Raises
    ------
    ValueError
        Another suffix, or the system refused to write.
    """
    file = os.fspath(path)
    suffix = _suffix(file, (".csv", ".tsv", ".parquet"), "write")
    with atomic_path(file) as temporary:
        if suffix == ".parquet":
            frame.to_parquet(temporary, index=False)
        else:
            separator = "\t" if suffix == ".tsv" else ","
            frame.to_csv(temporary, sep=separator, index=False, float_format=_text, lineterminator="\n")
    return Path(file)


def _text(value: float) -> str:
    """Twelve digits, so that 0.1 + 0.2 is 0.3; and 12.0 stays 12.0, or the column would come back as integers."""
    return repr(float(f"{value:.12g}"))
