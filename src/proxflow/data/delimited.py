"""Delimited text, CSV, TSV and white space, plain or gzipped: a file becomes names and a frame of raw cells.

    first line -> delimiter        first two rows -> header or not        the rest -> pandas

Text follows RFC 4180. pandas pads short rows silently, so ragged files are looked through again for the line.
Bad at: a header of numbers, such as wavelengths, which cannot be told from a sample; and decimal commas.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, cast

from proxflow.data.columns import as_number, check_names

__all__ = ["TEXT", "read_text"]

TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_MISSING = {"", "nan", "na", "n/a", "null", "none"}
_UNNAMED = re.compile(r"(Unnamed: \d+)?")  # an index saved without a name; the words are pandas'


def read_text(file: str, suffix: str) -> tuple[tuple[str, ...] | None, Any]:
    """Return the names, None when there is no header, and a frame with the cells as pandas parsed them.

    Row labels without a name are the frame's index.
    """
    import pandas as pd

    with _open_text(file) as handle:
        line = next((line for line in handle if line.strip()), "")
    if not line:
        raise ValueError(f"{file}: no samples; the file is blank.")
    if "\0" in line:
        raise ValueError(f"{file}: not text (zero bytes): is it {suffix} at all?")
    delimiter = _delimiter(line, suffix)
    try:
        with _open_text(file) as handle:
            head = [cells for _, cells in itertools.islice(_rows(handle, delimiter), 2)]
        names = tuple(head[0]) if _has_header(head) else None
        with _open_text(file) as handle:
            if names is not None:
                next(_rows(handle, delimiter))
            separator = r"\s+" if delimiter is None else delimiter
            frame = pd.read_csv(handle, sep=separator, header=None, skipinitialspace=True, low_memory=False)
    except pd.errors.EmptyDataError:
        raise ValueError(f"{file}: no samples, only a header.") from None
    except (csv.Error, pd.errors.ParserError) as error:
        _check_ragged(file, delimiter)
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"{file}: not a delimited text table ({reason}).") from None
    # pandas pads a short row with missing cells, which would be reported as somebody's missing data
    if frame.shape[1] != len(head[0]) or frame.iloc[:, -1].isna().any():
        _check_ragged(file, delimiter)
    if names is not None:
        names, frame = _without_index(file, names, frame)
        check_names(file, names)
    return names, frame


def _open_text(file: str) -> IO[str]:
    """Open for csv and pandas; utf-8-sig passes over a byte order mark."""
    if file.lower().endswith(".gz"):
        return cast("IO[str]", gzip.open(file, "rt", encoding="utf-8-sig", newline=""))
    return open(file, encoding="utf-8-sig", newline="")


def _delimiter(line: str, suffix: str) -> str | None:
    """Return the delimiter that the first line shows, None for runs of white space."""
    if suffix.startswith(".tsv"):
        return "\t"
    bare = re.sub(r'"[^"]*("|$)', "", line)
    commas, semicolons = bare.count(","), bare.count(";")
    if suffix.startswith(".txt") and "\t" in bare:
        return "\t"
    decimal_commas = all(re.fullmatch(r"\s*-?\d+(,\d+)?\s*", cell) for cell in bare.split(";"))
    if semicolons and (semicolons >= commas or decimal_commas):
        return ";"
    if commas:
        return ","
    if "\t" in bare:
        return "\t"
    return None if suffix.startswith(".txt") else ","


def _rows(handle: Iterable[str], delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of its last line, counted from 1, and the cells of every row that is not blank."""
    lines = (" ".join(line.split()) for line in handle) if delimiter is None else handle
    reader = csv.reader(lines, delimiter=delimiter or " ", skipinitialspace=True)
    for row in reader:
        if len(row) > 1 or any(cell.strip() for cell in row):
            yield reader.line_num, [cell.strip() for cell in row]


def _has_header(rows: Sequence[list[str]]) -> bool:
    first, second = rows[0], rows[-1]
    if len(first) > 1 and first[0] == "":
        return True  # the corner above an index
    if len(first) > 1 and first == [str(index) for index in range(len(first))]:
        return not all(cell.isdecimal() for cell in second)
    return any(as_number(cell) is None and cell.lower() not in _MISSING for cell in first)


def _check_ragged(file: str, delimiter: str | None) -> None:
    width, first = 0, 0
    with _open_text(file) as handle:
        try:
            for number, cells in _rows(handle, delimiter):
                width, first = width or len(cells), first or number
                if len(cells) != width:
                    raise ValueError(
                        f"{file}: line {number} has {len(cells)} cell{'s' * (len(cells) != 1)}, "
                        f"but line {first} has {width} "
                        f"(cells end at {'white space' if delimiter is None else repr(delimiter)}). "
                        "Give every line the same number."
                    )
        except csv.Error as error:
            raise ValueError(f"{file}: not a delimited text table ({error}).") from None


def _without_index(file: str, names: tuple[str, ...], frame: Any) -> tuple[tuple[str, ...], Any]:
    while len(names) > 1 and _UNNAMED.fullmatch(names[0]):
        labels = frame.iloc[:, 0]
        if labels.dtype.kind in "bfc" or (labels.dtype.kind in "iu" and not labels.is_unique):
            raise ValueError(f"{file}: the first column has no name and holds no row labels. Name it or remove it.")
        names, frame = names[1:], frame.iloc[:, 1:].set_axis(labels, axis=0)
    return names, frame
