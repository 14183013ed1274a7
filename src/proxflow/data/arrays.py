"""Binary formats, NPY, NPZ and Parquet: a file becomes an array, or names and a frame, and back.

A damaged file can fail anywhere in its parser; every such failure is one ValueError line with the file.
Nothing is ever unpickled. Bad at: arrays beyond memory, for each is read whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from proxflow.data.columns import check_names, listed

__all__ = ["NUMPY", "PARQUET", "read_array", "read_labels", "read_parquet", "write_array", "write_parquet"]

NUMPY = (".npy", ".npz")
PARQUET = (".parquet", ".pq")
_REAL = "biuf"  # NumPy's kinds: booleans, whole numbers with and without sign, floats


def read_array(file: str, suffix: str, key: str | None) -> npt.NDArray[Any]:
    """Read the one array of an NPY file, or the chosen one of an NPZ file; nothing is ever unpickled."""
    with open(file, "rb") as handle, _whole(file, suffix[1:].upper()):
        content = np.load(handle, allow_pickle=False)
        if isinstance(content, np.ndarray) != (suffix == ".npy"):
            raise ValueError("it is the other of NPY and NPZ: rename it")
        arrays = {"": content} if suffix == ".npy" else _members(content, key)
    array = _choose(file, arrays) if suffix == ".npz" and key is None else arrays.get(key or "")
    if array is None:
        raise ValueError(f"{file}: no array {key!r}. It has {listed(arrays, 20) or 'none'}.")
    if array.dtype.kind not in _REAL:
        raise ValueError(f"{file}: holds values of type {array.dtype}, not real numbers.")
    return array


def read_labels(file: str, key: str) -> npt.NDArray[Any]:
    """Read the one-dimensional array of that name of an NPZ file: numbers or text."""
    with open(file, "rb") as handle, _whole(file, "NPZ"):
        arrays = _members(np.load(handle, allow_pickle=False), key)
    array = arrays.get(key)
    if array is None:
        raise ValueError(f"{file}: no array {key!r}. It has {listed(arrays, 20) or 'none'}.")
    if array.ndim != 1 or array.dtype.kind not in "biufU":
        raise ValueError(f"{file}: {key!r} must be one label per sample, got {array.dtype} of shape {array.shape}.")
    return array


def write_array(path: Path, array: npt.NDArray[Any], suffix: str) -> None:
    """Write an array as NPY, or as the member 'samples' of NPZ."""
    with open(path, "wb") as handle:  # given a name, NumPy adds its own suffix to one like A.NPY
        if suffix == ".npy":
            np.save(handle, array, allow_pickle=False)
        else:
            np.savez(handle, samples=array)


def read_parquet(file: str) -> tuple[tuple[str, ...], Any]:
    """Return the names and a pandas frame, in which stored row labels are the index."""
    from pyarrow import parquet

    with open(file, "rb") as handle, _whole(file, "Parquet"):
        content = parquet.ParquetFile(handle).read()
        frame = content.to_pandas()
    check_names(file, content.schema.names)
    return tuple(str(name) for name in frame.columns), frame


def write_parquet(path: Path, array: npt.NDArray[Any], names: Sequence[str]) -> None:
    """Write the columns of an array of shape (n, d)."""
    import pyarrow
    from pyarrow import parquet

    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    parquet.write_table(pyarrow.table(dict(zip(names, native.T, strict=True))), path)


@contextlib.contextmanager
def _whole(file: str, kind: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can fail anywhere in the parser
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        if "Object arrays" in reason:
            raise ValueError(
                f"{file}: holds Python objects, which are never unpickled. Save an array of numbers."
            ) from None
        if "pickle" in reason:  # NumPy takes whatever it does not know for a pickle, and says how to load it
            reason = "its first bytes are of another format"
        raise ValueError(f"{file}: not a whole {kind} file ({reason}).") from None


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
    numeric = {name: a for name, a in arrays.items() if a is not None and a.dtype.kind in _REAL}
    for least in (2, 1):
        found = {name: array for name, array in numeric.items() if array.ndim >= least}
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            shapes = ", ".join(f"{name!r} {array.shape}" for name, array in found.items())
            raise ValueError(f"{file}: several arrays: {shapes}. Choose one with --key (key= in Python).")
    raise ValueError(f"{file}: no array of numbers among {listed(arrays, 20) or 'its 0 members'}.")
