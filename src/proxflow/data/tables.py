"""Sample tables in and out: CSV, TSV, plain text, NPY, NPZ and Parquet become one float64 array (n, d).

    file -> names and cells -> chosen columns -> numbers -> check_cloud

Whatever can be wrong with a file is one ValueError line with the file, the place and the way out; nothing is
unpickled, and no sample is dropped or filled in silently. Delimited text follows RFC 4180, read by pandas.
Bad at: a header of numbers, such as wavelengths, which cannot be told from a sample; and decimal commas.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import math
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from proxflow.store import atomic_path, write_csv
from proxflow.validation import check_cloud, check_same_width

__all__ = ["Table", "align_columns", "read_table", "write_table"]

_TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_PARQUET = (".parquet", ".pq")
_READABLE = (*_TEXT, ".npy", ".npz", *_PARQUET)
_WRITABLE = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".npy", ".npz", *_PARQUET)
_MISSING = {"", "nan", "na", "n/a", "null", "none"}
_UNNAMED = re.compile(r"(Unnamed: \d+)?")  # an index saved without a name; the words are pandas'


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
    """

    values: npt.NDArray[np.float64]
    columns: tuple[str, ...] | None
    path: str
    integer: tuple[bool, ...]
    event_shape: tuple[int, ...]


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
    try:
        if suffix in (".npy", ".npz"):
            array = _read_array(file, suffix, key)
            event_shape = array.shape[1:]
            if array.ndim > 0:
                array = array.reshape(len(array), math.prod(event_shape))
            if array.ndim > 0 and columns is not None:
                array, event_shape = array[:, _positions(file, None, array.shape[1], columns)], ()
        else:
            names, frame = _read_parquet(file) if suffix in _PARQUET else _read_text(file, suffix)
            positions = _positions(file, names, frame.shape[1], columns)
            names = None if names is None else tuple(names[i] for i in positions)
            array, event_shape = _numbers(file, names, frame.iloc[:, positions]), ()
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
    values = check_cloud(array, file, columns=names, minimum=minimum)
    integer = tuple(bool(whole) for whole in (values == np.rint(values)).all(axis=0))
    return Table(values, names, file, integer, event_shape if len(event_shape) > 1 else values.shape[1:])


def write_table(
    path: str | os.PathLike[str], values: npt.ArrayLike, columns: Sequence[str] | None = None
) -> None:
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
    _check_names(file, names)
    if suffix in _TEXT:
        write_csv(file, names, list(array.T), "\t" if suffix.startswith(".tsv") else ",")
        return
    with atomic_path(file) as temporary:
        if suffix in _PARQUET:
            import pyarrow
            from pyarrow import parquet

            native = array.astype(array.dtype.newbyteorder("="), copy=False)
            parquet.write_table(pyarrow.table(dict(zip(names, native.T, strict=True))), temporary)
            return
        with open(temporary, "wb") as handle:  # given a name, NumPy adds its own suffix to one like A.NPY
            if suffix == ".npy":
                np.save(handle, array, allow_pickle=False)
            else:
                np.savez(handle, samples=array)


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
        lacks = [f"{table.path} lacks {_listed(missing)}"] if missing else []
        lacks += [f"{reference.path} lacks {_listed(extra)}"] if extra else []
        raise ValueError(f"different columns: {' and '.join(lacks)}. Select common ones with --columns.")
    order = [ours.index(name) for name in theirs]
    integer = tuple(table.integer[i] for i in order)
    return replace(table, values=table.values[:, order], columns=theirs, integer=integer)


def _listed(names: Iterable[str], limit: int = 5) -> str:
    quoted = [repr(name) for name in names]
    more = f" and {len(quoted) - limit} more" if len(quoted) > limit else ""
    return ", ".join(quoted[:limit]) + more


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


def _check_names(file: str, names: Sequence[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1 and name]
    if repeated:
        raise ValueError(f"{file}: more than one column is called {_listed(repeated)}. Rename them.")
    if "" in names:
        raise ValueError(f"{file}: column {names.index('')} (counted from 0) has no name. Name or remove it.")


def _positions(file: str, names: Sequence[str] | None, width: int, chosen: Sequence[str] | None) -> list[int]:
    """Return the positions of the chosen columns."""
    if chosen is None:
        return list(range(width))
    chosen = [chosen] if isinstance(chosen, str) else [str(name) for name in chosen]
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"--columns must be one or more different columns, got {_listed(chosen) or 'none'}.")
    known = {name: index for index, name in enumerate(map(str, range(width)) if names is None else names)}
    unknown = [name for name in chosen if name not in known]
    if unknown:
        has = (
            f"only {width} columns without names: use 0 to {width - 1}"
            if names is None
            else _listed(known, 20)
        )
        raise ValueError(f"{file}: no column {_listed(unknown)}. It has {has}.")
    return [known[name] for name in chosen]


def _number(value: Any) -> float | None:
    if ("_" in value) if isinstance(value, str) else hasattr(value, "__len__"):
        return None  # Python reads 1_000 as a number, and nobody else does
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _numbers(file: str, names: Sequence[str] | None, frame: Any) -> npt.NDArray[np.float64]:
    """Return the frame as numbers, NaN where missing, or name the columns that hold something else."""
    import pandas as pd

    values = np.empty(frame.shape)
    failures: list[tuple[int, int, Any]] = []
    for column in range(frame.shape[1]):
        series = frame.iloc[:, column]
        if pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_complex_dtype(series.dtype):
            values[:, column] = series.to_numpy(dtype=np.float64, na_value=np.nan)
            continue
        missing = series.isna().to_numpy()
        for row, cell in enumerate(series.astype(object)):
            number = np.nan if missing[row] else _number(cell)
            if number is None:
                failures.append((row, column, cell))
                break
            values[row, column] = number
    if failures:
        row, column, cell = failures[0]
        labels = [str(c) if names is None else names[c] for _, c, _ in failures]
        hint = " Write decimals with a point." if re.fullmatch(r"-?\d+,\d+", str(cell).strip()) else ""
        text = not file.lower().endswith(_PARQUET)
        if text and any(_number(name) is not None for name in names or ()):
            hint += " (The first row was read as column names.)"
        raise ValueError(
            f"{file}: not numbers in column {_listed(labels)}, such as {str(cell)[:40]!r} in row {row} "
            f"(counted from 0). Select numeric columns with --columns, or encode these as numbers.{hint}"
        )
    return values


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
    return any(_number(cell) is None and cell.lower() not in _MISSING for cell in first)


def _read_text(file: str, suffix: str) -> tuple[tuple[str, ...] | None, Any]:
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
        _check_names(file, names)
    return names, frame


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
            raise ValueError(
                f"{file}: the first column has no name and holds no row labels. Name it or remove it."
            )
        names, frame = names[1:], frame.iloc[:, 1:]
    return names, frame


def _read_parquet(file: str) -> tuple[tuple[str, ...], Any]:
    from pyarrow import parquet

    with open(file, "rb") as handle:
        try:
            content = parquet.ParquetFile(handle).read()
            stored = content.schema.names
            frame = content.to_pandas()
        except MemoryError:
            raise
        except Exception as error:  # a damaged file can fail anywhere in the parser
            raise _damaged(file, "Parquet", error) from None
    _check_names(file, stored)
    return tuple(str(name) for name in frame.columns), frame


def _damaged(file: str, kind: str, error: Exception) -> ValueError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if "pickle" in reason:  # NumPy takes whatever it does not know for a pickle, and says how to load it
        reason = "its first bytes are of another format"
    return ValueError(f"{file}: not a whole {kind} file ({reason}).")


def _read_array(file: str, suffix: str, key: str | None) -> npt.NDArray[Any]:
    """Read the one array of an NPY file, or the chosen one of an NPZ file; nothing is ever unpickled."""
    with open(file, "rb") as handle:
        try:
            content = np.load(handle, allow_pickle=False)
            if isinstance(content, np.ndarray) != (suffix == ".npy"):
                raise ValueError("it is the other of NPY and NPZ: rename it")
            arrays = {"": content} if suffix == ".npy" else _members(content, key)
        except MemoryError:
            raise
        except Exception as error:  # a damaged file can fail anywhere in the parser
            if "Object arrays" in str(error):
                raise ValueError(
                    f"{file}: holds Python objects, which are never unpickled. Save an array of numbers."
                ) from None
            raise _damaged(file, suffix[1:].upper(), error) from None
    array = _choose(file, arrays) if suffix == ".npz" and key is None else arrays.get(key or "")
    if array is None:
        raise ValueError(f"{file}: no array {key!r}. It has {_listed(arrays, 20) or 'none'}.")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{file}: holds values of type {array.dtype}, not real numbers.")
    return array


def _members(archive: Any, key: str | None) -> dict[str, npt.NDArray[Any] | None]:
    """Return the arrays by name, None for those not asked for and those that are no arrays of numbers."""
    arrays: dict[str, npt.NDArray[Any] | None] = dict.fromkeys(archive.files)
    with archive:
        for name in archive.files if key is None else {key}.intersection(archive.files):
            try:
                array = archive[name]
            except ValueError as error:
                if key is None and "Object arrays" in str(error):
                    continue
                raise
            arrays[name] = array if isinstance(array, np.ndarray) else None
    return arrays


def _choose(file: str, arrays: dict[str, npt.NDArray[Any] | None]) -> npt.NDArray[Any]:
    numeric = {name: a for name, a in arrays.items() if a is not None and a.dtype.kind in "biuf"}
    for least in (2, 1):
        found = {name: array for name, array in numeric.items() if array.ndim >= least}
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            shapes = ", ".join(f"{name!r} {array.shape}" for name, array in found.items())
            raise ValueError(f"{file}: several arrays: {shapes}. Choose one with --key (key= in Python).")
    raise ValueError(f"{file}: no array of numbers among {_listed(arrays, 20) or 'its 0 members'}.")
