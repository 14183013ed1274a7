"""Samples that stay in their file: a few rows at a time, each a fair draw.

    NPY       memory-mapped: any rows, in any order
    Parquet   row groups: a few groups, drawn by their size, and rows within them

A flow needs no more of its target than a batch per step, so a target may be larger than memory. Rows are drawn with
replacement and independently of their place (Parquet: up to eight groups per draw, so rows of one draw share groups;
a file sorted by some column wants small row groups). Values are checked as they are read, for reading all of them
first would take as long as the run.

Bad at: small files, which are faster in memory; compressed NPZ and CSV, which cannot be read in the middle.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh

from proxflow.sharded import scattered
from proxflow.spans import LabelledSpan, Span
from proxflow.targets import Batches, Target
from proxflow.validation import check_cloud

__all__ = ["LargeSamples", "Streamed", "open_samples"]

_GROUPS = 8  # Parquet row groups read per draw
_POOL_BYTES = 256 * 2**20  # of rows held at a time, as float32
_POOL_ROWS = 65536


class LargeSamples:
    """Samples in a NPY or Parquet file, shape (n, d), drawn from without reading it whole. Made by `open_samples`."""

    def __init__(
        self, path: str, shape: tuple[int, int], columns: tuple[str, ...] | None, reader: Any, cut: Any,
        event_shape: tuple[int, ...] | None = None,
    ) -> None:  # fmt: skip
        self.path, self.shape, self.columns, self._reader, self._slice = path, shape, columns, reader, cut
        self.event_shape = event_shape or (shape[1],)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        status = os.stat(self.path)  # a changed file is another one
        return f"LargeSamples({os.path.realpath(self.path)!r}, {self.shape}, {status.st_size}, {status.st_mtime_ns})"

    def distinct(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw at most so many rows, no two alike: to look at, and to hold some of them out."""
        return rng.permutation(np.unique(self.some(count, rng), axis=0))

    def some(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw rows with replacement, as float64 of shape (count, d).

        Raises
        ------
        ValueError
            NaN, inf or text among the rows drawn, or a file that cannot be read any more.
        """
        return self._checked(lambda: self._reader(count, rng), "some of its rows")

    def between(self, first: int, last: int) -> np.ndarray:
        """Read the rows first:last, as float64 of shape (last - first, d); ValueError as for `some`."""
        if first == last:
            return np.empty((0, self.shape[1]))
        return self._checked(lambda: self._slice(first, last), f"its rows {first} to {last - 1}")

    def _checked(self, read: Callable[[], np.ndarray], which: str) -> np.ndarray:
        try:
            rows = read()
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.path}: cannot be read any more ({error}).") from None
        return check_cloud(rows, f"{self.path} ({which})", columns=self.columns, minimum=1)


def open_samples(path: str | os.PathLike[str], columns: list[str] | None = None) -> LargeSamples:
    """Open a NPY or Parquet file as a target too large for memory.

    Parameters
    ----------
    path
        NPY of shape (n, ...), one sample per row, or Parquet of numeric columns; or a folder of such files, which are
        read as one, in the order of their names.
    columns
        Use only these columns of a Parquet file.

    Raises
    ------
    ValueError
        Another kind of file, a damaged one, no rows, or values that are no real numbers.

    Examples
    --------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/big.npy"
    >>> np.save(file, np.zeros((1000, 3), np.float32))
    >>> samples = open_samples(file)
    >>> len(samples), samples.some(5, np.random.default_rng(0)).shape
    (1000, (5, 3))
    """
    file = os.fspath(path)
    suffix = Path(file).suffix.lower()
    if Path(file).is_dir():
        opened = _open_folder(file, columns)
    elif suffix == ".npy":
        opened = _open_npy(file)
    elif suffix in (".parquet", ".pq"):
        opened = _open_parquet(file, columns)
    else:
        raise ValueError(f"{file}: only NPY and Parquet files can be read in parts; read others whole.")
    if 0 in opened.shape:
        raise ValueError(f"{file}: no samples (shape {opened.shape}).")
    return opened


def _open_npy(file: str) -> LargeSamples:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}.") from None
    except (ValueError, EOFError):
        raise ValueError(f"{file}: not a whole NPY file.") from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{file}: not a whole NPY file but NPZ, which cannot be read in parts.")
    if array.dtype.kind not in "biuf" or array.ndim < 1:
        raise ValueError(f"{file}: {array.dtype} of shape {array.shape} is not an array of real numbers.")
    width = int(np.prod(array.shape[1:]))

    def read(count: int, rng: np.random.Generator) -> np.ndarray:
        indices = np.sort(rng.integers(len(array), size=count))  # sorted: the disk is read in one direction
        return np.asarray(array[indices]).reshape(count, width)

    def cut(first: int, last: int) -> np.ndarray:
        return np.asarray(array[first:last]).reshape(last - first, width)

    return LargeSamples(file, (len(array), width), None, read, cut, array.shape[1:])


def _open_parquet(file: str, columns: list[str] | None) -> LargeSamples:
    import pyarrow
    from pyarrow import parquet

    try:
        content = parquet.ParquetFile(file)
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}.") from None
    except pyarrow.ArrowException:
        raise ValueError(f"{file}: not a whole Parquet file.") from None
    schema = content.schema_arrow
    names = list(schema.names) if columns is None else columns
    if len(set(names)) < len(names) or len(set(schema.names)) < len(schema.names):
        raise ValueError(f"{file}: a column comes twice among {', '.join([*names, *schema.names][:20])}.")
    for name in names:
        if name not in schema.names:
            raise ValueError(f"{file}: no column {name!r}. It has {', '.join(schema.names[:20])}.")
        kind = schema.field(name).type
        if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or pyarrow.types.is_boolean(kind)):
            raise ValueError(f"{file}: column {name!r} holds {kind}, not numbers. Choose columns= of numbers.")
    sizes = np.array([content.metadata.row_group(i).num_rows for i in range(content.num_row_groups)])

    def read(count: int, rng: np.random.Generator) -> np.ndarray:
        # Groups by size, then rows within: every row is as likely as any other.
        groups = rng.choice(len(sizes), size=min(_GROUPS, count), p=sizes / sizes.sum())
        parts = np.bincount(np.arange(count) % len(groups))
        rows = []
        for group, part in zip(groups, parts, strict=True):
            table = content.read_row_group(int(group), columns=names)
            chosen = table.take(pyarrow.array(np.sort(rng.integers(sizes[group], size=part))))
            rows.append(numbers(chosen))
        return np.concatenate(rows)

    def numbers(table: Any) -> np.ndarray:
        return np.column_stack([table.column(name).to_numpy(zero_copy_only=False).astype(float) for name in names])

    def cut(first: int, last: int) -> np.ndarray:
        begins = np.cumsum(sizes) - sizes
        groups = np.flatnonzero((begins < last) & (begins + sizes > first))
        table = content.read_row_groups(groups.tolist(), columns=names)
        return numbers(table.slice(first - begins[groups[0]], last - first))

    return LargeSamples(file, (int(sizes.sum()), len(names)), tuple(names), read, cut)


def _open_folder(folder: str, columns: list[str] | None) -> LargeSamples:
    files = sorted(file for file in Path(folder).iterdir() if file.suffix.lower() in (".npy", ".parquet", ".pq"))
    if not files:
        raise ValueError(f"{folder}: no NPY or Parquet files in this folder.")
    parts = [open_samples(file, columns) for file in files]
    for part in parts:
        if (part.event_shape, part.columns) != (parts[0].event_shape, parts[0].columns):
            raise ValueError(f"{part.path}: other columns, or another shape, than {parts[0].path}.")
    sizes = np.array([len(part) for part in parts])
    begins = np.cumsum(sizes) - sizes

    def read(count: int, rng: np.random.Generator) -> np.ndarray:
        shares = rng.multinomial(count, sizes / sizes.sum())
        return np.concatenate([part.some(share, rng) for part, share in zip(parts, shares, strict=True) if share])

    def cut(first: int, last: int) -> np.ndarray:
        inside = [(max(first - b, 0), min(last - b, n), part) for b, n, part in zip(begins, sizes, parts, strict=True)]
        return np.concatenate([part.between(int(low), int(high)) for low, high, part in inside if low < high])

    return LargeSamples(
        folder, (int(sizes.sum()), parts[0].shape[1]), parts[0].columns, read, cut, parts[0].event_shape
    )


class Streamed(Target):
    """A target on disk: every chunk of steps draws its batches from a fresh pool of rows."""

    points: Array  # the first pool
    size: int = eqx.field(static=True)
    samples: LargeSamples = eqx.field(static=True)
    span: Span | LabelledSpan = eqx.field(static=True)

    @classmethod
    def begin(cls, samples: LargeSamples, span: Span | LabelledSpan, size: int) -> Streamed:
        """Return the target with a first pool, for centre and scale."""
        return cls(_pool(samples, span, size, np.random.default_rng(0)), size, samples, span)

    def draw(self, key: Array) -> Array:
        return Batches(self.points, self.size).draw(key)

    def over_devices(self, mesh: Mesh) -> Target:
        """Return the whole file as a target in the memory of many devices, each process having read its own rows."""
        width = self.points.shape[1]

        def read(first: int, last: int) -> np.ndarray:
            blocks = [np.empty((0, width), np.float32)]
            for begin in range(first, last, _POOL_ROWS):
                rows = self.samples.between(begin, min(begin + _POOL_ROWS, last))
                blocks.append(self.span.encode(rows).astype(np.float32))
            return np.concatenate(blocks)

        points: Any = scattered(read, (len(self.samples), width), mesh)
        return Batches(points, self.size)

    def renewed(self, key: Array, step: int) -> Target:
        # By the chunk's first step: a resumed run begins its chunks where the unbroken one does, and reads the same.
        rng = np.random.default_rng([*np.asarray(jax.random.key_data(key)).tolist(), step])
        return Batches(_pool(self.samples, self.span, self.size, rng), self.size)


def _pool(samples: LargeSamples, span: Span | LabelledSpan, size: int, rng: np.random.Generator) -> Array:
    rows = max(size, min(len(samples), _POOL_ROWS, _POOL_BYTES // (4 * samples.shape[1])))
    return jax.device_put(span.encode(samples.some(rows, rng)).astype(np.float32))
