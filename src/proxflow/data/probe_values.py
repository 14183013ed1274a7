"""The table of a GEO series matrix: text, probes x samples, becomes numbers, samples x probes.

    bytes -> pyarrow's columns, straight to the type asked for -> rows of an array       (no frame in between)

54,675 probes of 500 samples are 215 MB of text. pyarrow says of a bad cell only that there is one, so a table that
fails is gone through once more, slowly, for the line. Bad at: decimal commas and spaced thousands, which are errors.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from proxflow.data.columns import as_number, listed
from proxflow.data.geo_files import MISSING

__all__ = ["check_ids", "read_values"]

_BLOCK = 1 << 23  # bytes that pyarrow parses at a time, unless lines are longer


def check_ids(file: str, names: list[str], what: str) -> None:
    """Raise ValueError unless the ids are different and none is empty."""
    if len(set(names)) < len(names):
        repeated = [name for name, count in Counter(names).items() if count > 1]
        raise ValueError(f"{file}: duplicate {what} {listed(repeated)}. Ids must be unique: remove the others.")
    if "" in names:
        raise ValueError(f"{file}: {what} number {names.index('') + 1} has no id. Name or remove it.")


def read_values(
    file: str, rows: memoryview, line: int, samples: Sequence[str], dtype: np.dtype[Any]
) -> tuple[list[str], npt.NDArray[Any]]:
    """Return the probes' ids and the values, samples x probes, NaN where missing.

    rows: the table without its heading; line: the number of its first line in the file.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    longest = bytes(rows[: 1 << 26]).find(b"\n")
    names = [str(index) for index in range(len(samples) + 1)]
    spellings = [form for word in MISSING for form in {word, word.upper(), word.capitalize()}]
    try:
        table = arrow.read_csv(
            pa.BufferReader(pa.py_buffer(rows)),
            read_options=arrow.ReadOptions(column_names=names, block_size=max(_BLOCK, 4 * longest)),
            parse_options=arrow.ParseOptions(delimiter="\t"),
            convert_options=arrow.ConvertOptions(
                column_types={"0": pa.string()} | dict.fromkeys(names[1:], pa.from_numpy_dtype(dtype)),
                null_values=[*spellings, "NaN"],
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        _name_the_place(file, rows, line, samples)
        raise ValueError(f"{file}: the table cannot be read ({str(error).splitlines()[0][:200]}).") from None
    probes = [name.strip() for name in table.column(0).to_pylist()]
    check_ids(file, probes, "probe")
    values = np.empty((len(samples), len(probes)), dtype)
    for index in range(len(samples)):
        values[index] = table.column(index + 1).to_numpy()  # nulls become NaN
    return probes, values


def _name_the_place(file: str, rows: memoryview, line: int, samples: Sequence[str]) -> None:
    """Go through the table once more, slowly, for the first line that is wrong."""
    # quotes are left alone: one that nobody closed would take the lines below into its cell
    lines = io.TextIOWrapper(io.BytesIO(rows), encoding="latin-1", newline="\n")
    for number, text in enumerate(lines, start=line):
        probe, *cells = text.rstrip("\r\n").split("\t")
        if not probe and not cells:
            continue
        if len(cells) != len(samples):
            raise ValueError(
                f"{file}: line {number} has {len(cells) + 1} cell{'s' * (len(cells) > 0)}, but the table's heading has "
                f"{len(samples) + 1}. Fetch it again, or mend that line."
            ) from None
        with contextlib.suppress(ValueError):
            if "_" not in text[len(probe) :]:  # Python reads 1_000 as a number
                deque(map(float, cells), maxlen=0)
                continue  # as nearly all lines
        for sample, cell in zip(samples, cells, strict=True):
            bare = re.sub(r'^"(.*)"$', r"\1", cell.strip()).strip()
            if bare.lower() not in MISSING and as_number(bare) is None:
                comma = " Write decimals with a point." if re.fullmatch(r"-?\d+,\d+", bare) else ""
                row = probe.strip('"')
                raise ValueError(
                    f"{file}: line {number}, row {row!r}, column {sample!r}: {cell[:40]!r} is no number. "
                    f"Mend it, or leave the cell empty if it is missing.{comma}"
                ) from None
