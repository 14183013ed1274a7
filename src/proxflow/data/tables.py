"""Sample tables in and out: CSV, TSV, plain text, NPY, NPZ and Parquet become one float64 array (n, d).

    file -> `delimited` or `arrays` -> `columns`: the chosen ones, as numbers -> check_cloud

The suffix chooses the format. Whatever can be wrong with a file is one ValueError line with the file, the
place and the way out; nothing is unpickled, and no sample is dropped or filled in silently.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from proxflow.data.arrays import NUMPY, PARQUET, read_array, read_parquet, write_array, write_parquet
from proxflow.data.columns import as_numbers, check_names, listed, positions
from proxflow.data.delimited import TEXT, read_text
from proxflow.store import atomic_path, write_csv
from proxflow.validation import check_cloud, check_same_width

__all__ = ["Table", "align_columns", "read_table", "write_table"]

_READABLE = (*TEXT, *NUMPY, *PARQUET)
_WRITABLE = (".csv", ".tsv", ".csv.gz", ".tsv.gz", *NUMPY, *PARQUET)


@dataclass(frozen=True, eq=False)
class Table:
    """Samples as read from a file.

    Attributes
    ----------
    values
        Finite float64 array of shape (n, d).
    columns
        The d names, or None when the file had none.
    path
        Where it was read, for messages.
    integer
        Which of the d columns hold only whole numbers.
    event_shape
        The shape of one sample in the file: (d,), or such as (h, w) for images.
    rows
        The n row labels where the file has some that are no plain count, else None.
    """

    values: npt.NDArray[np.float64]
    columns: tuple[str, ...] | None
    path: str
    integer: tuple[bool, ...]
    event_shape: tuple[int, ...]
    rows: tuple[str, ...] | None = None


def read_table(
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    columns: Sequence[str] | None = None,
    minimum: int = 2,
) -> Table:
    """Read samples, one per row, from .csv, .tsv, .txt (each also .gz), .npy, .npz, .parquet or .pq.

    Text has no header when every cell of its first row is a number or missing. (A first row 0, 1, 2, ...
    above one with decimals is pandas' default header.) A .csv may use semicolons or tabs, a .txt white
    space, tabs or commas. A first column without a name, as pandas' to_csv() writes, is dropped when it
    holds row labels: text, or whole numbers without repeats. Blank lines are passed over. Booleans become 0
    and 1, and samples of more than one dimension, such as images, are flattened.

    Parameters
    ----------
    path
        The file; its suffix says the format.
    key
        Which array of an .npz file to read; not needed when there is one candidate.
    columns
        The columns to use, in this order: names, or positions from "0" in a file without names.
    minimum
        The smallest number of samples that makes sense.

    Raises
    ------
    ValueError
        The file is missing, unreadable or not what its suffix says; ragged rows; duplicate names; cells
        that are empty, not finite or not numbers; unknown columns; too few samples.

    Examples
    --------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/people.csv"
    >>> write_table(file, [[31.0, 1.7], [45.0, 1.8]], columns=["age", "height"])
    >>> read_table(file).columns
    ('age', 'height')
    >>> read_table(file, columns=["height"]).values
    array([[1.7],
           [1.8]])
    """
    file = os.fspath(path)
    suffix = _suffix(file, _READABLE, "read")
    if key is not None and suffix != ".npz":
        raise ValueError(f"{file}: a key ({key!r}) names an array of an .npz file, and this is {suffix}.")
    _check_file(file)
    names: tuple[str, ...] | None = None
    rows: tuple[str, ...] | None = None
    event_shape: tuple[int, ...] = ()
    with _one_line(file, suffix):
        if suffix in NUMPY:
            array = read_array(file, suffix, key)
            if array.ndim > 0:  # a single number is refused below
                event_shape = array.shape[1:]
                array = array.reshape(len(array), math.prod(event_shape))
                if columns is not None:
                    array, event_shape = array[:, positions(file, None, array.shape[1], columns)], ()
        else:
            names, frame = read_parquet(file) if suffix in PARQUET else read_text(file, suffix)
            chosen = positions(file, names, frame.shape[1], columns)
            names = None if names is None else tuple(names[i] for i in chosen)
            array = as_numbers(file, names, frame.iloc[:, chosen], guessed=suffix in TEXT)
            rows = _row_labels(frame.index)
    values = check_cloud(array, file, columns=names, minimum=minimum)
    integer = tuple(bool(whole) for whole in (values == np.rint(values)).all(axis=0))
    return Table(values, names, file, integer, event_shape if len(event_shape) > 1 else values.shape[1:], rows)


def write_table(path: str | os.PathLike[str], values: npt.ArrayLike, columns: Sequence[str] | None = None) -> None:
    """Write samples of shape (n, d), whole or not at all, in the format that path's suffix says.

    Text and Parquet get the column names, x0, x1, ... unless given; NPY and NPZ (as 'samples') have none.
    Text holds float32 precision: nine digits, or fewer where they read back the same.

    Raises
    ------
    ValueError
        An unknown suffix, names that do not fit, or the system refused to write.

    Examples
    --------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/samples.npz"
    >>> write_table(file, [[0.5, 1.0], [2.0, 3.0]])
    >>> read_table(file).values.shape
    (2, 2)
    """
    file = os.fspath(path)
    suffix = _suffix(file, _WRITABLE, "write")
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"cannot write {file}: expected numbers of shape (samples, features), "
            f"got {array.dtype} of shape {array.shape}."
        )
    if array.dtype.kind == "f" and array.dtype != np.float32:
        array = array.astype(np.float64)  # float16 and long doubles are not everybody's
    width = array.shape[1]
    names = [f"x{index}" for index in range(width)] if columns is None else [str(name) for name in columns]
    if len(names) != width:
        raise ValueError(f"cannot write {file}: {len(names)} column names for {width} columns.")
    check_names(file, names)
    if suffix in TEXT:
        write_csv(file, names, list(array.T), "\t" if suffix.startswith(".tsv") else ",")
        return
    with atomic_path(file) as temporary:
        if suffix in PARQUET:
            write_parquet(temporary, array, names)
        else:
            write_array(temporary, array, suffix)


def align_columns(table: Table, reference: Table) -> Table:
    """Return table with its columns in the reference's order; without names only the widths are compared.

    Raises
    ------
    ValueError
        The two do not hold the same columns: those missing and those too many are named.

    Examples
    --------
    >>> def table(columns, values):
    ...     return Table(np.array([values]), columns, "".join(columns) + ".csv", (True, True), (2,))
    >>> align_columns(table(("b", "a"), [1.0, 2.0]), table(("a", "b"), [0.0, 0.0])).values
    array([[2., 1.]])
    """
    ours, theirs = table.columns, reference.columns
    if ours is None or theirs is None:
        check_same_width(table.values, reference.values, table.path, reference.path)
        return table
    if ours == theirs:
        return table
    missing = [name for name in theirs if name not in set(ours)]
    extra = [name for name in ours if name not in set(theirs)]
    if missing or extra:
        lacks = [f"{table.path} lacks {listed(missing)}"] if missing else []
        lacks += [f"{reference.path} lacks {listed(extra)}"] if extra else []
        raise ValueError(f"different columns: {' and '.join(lacks)}. Select common ones with --columns.")
    order = [ours.index(name) for name in theirs]
    integer = tuple(table.integer[i] for i in order)
    return replace(table, values=table.values[:, order], columns=theirs, integer=integer)


def _row_labels(index: Any) -> tuple[str, ...] | None:
    """The rows' own names; a count from 0, as pandas writes it, names nothing."""
    count = index.dtype.kind in "iu" and (index == np.arange(len(index))).all()
    return None if count else tuple(" ".join(map(str, row)) if isinstance(row, tuple) else str(row) for row in index)


def _suffix(file: str, known: Sequence[str], verb: str) -> str:
    name = os.path.basename(file).lower()
    for suffix in known:
        if name.endswith(suffix):
            return suffix
    raise ValueError(f"cannot {verb} {file}: its suffix must be one of {', '.join(known)}.")


def _check_file(file: str) -> None:
    try:
        empty = os.stat(file).st_size == 0
    except FileNotFoundError:
        where = "" if os.path.isabs(file) else f" from {os.getcwd()}"
        raise ValueError(f"{file}: no such file{where}. Check the path.") from None
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}.") from error
    if not os.path.isfile(file):  # a pipe could be read only once
        kind = "a folder" if os.path.isdir(file) else "a pipe or a device"
        raise ValueError(f"{file}: is {kind}; name a file.")
    if empty:
        raise ValueError(f"{file}: the file is empty.")


@contextlib.contextmanager
def _one_line(file: str, suffix: str) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(
            f"{file}: not UTF-8 text (byte 0x{byte:02x}): is it {suffix} at all? If so, save it as UTF-8."
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise ValueError(f"{file}: not a whole gzip file; fetch or compress it again.") from None
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}.") from error
    except MemoryError:
        raise ValueError(f"{file}: does not fit into memory.") from None
