"""Names and cells: which columns there are, which are wanted, and the numbers in them.

Shared by every format that has names. Each thing wrong is one ValueError line with the file and the place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["as_number", "as_numbers", "check_names", "listed", "positions"]


def listed(names: Iterable[str], limit: int = 5) -> str:
    """Return the names quoted, and how many more there are beyond the limit."""
    quoted = [repr(name) for name in names]
    more = f" and {len(quoted) - limit} more" if len(quoted) > limit else ""
    return ", ".join(quoted[:limit]) + more


def check_names(file: str, names: Sequence[str]) -> None:
    """Raise ValueError unless the names are different and none is empty."""
    repeated = [name for name, count in Counter(names).items() if count > 1 and name]
    if repeated:
        raise ValueError(f"{file}: more than one column is called {listed(repeated)}. Rename them.")
    if "" in names:
        raise ValueError(f"{file}: column {names.index('')} (counted from 0) has no name. Name or remove it.")


def positions(file: str, names: Sequence[str] | None, width: int, chosen: Sequence[str] | None) -> list[int]:
    """Return the positions of the chosen columns, all when None; without names they are "0", "1", ..."""
    if chosen is None:
        return list(range(width))
    chosen = [chosen] if isinstance(chosen, str) else [str(name) for name in chosen]
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"--columns must be one or more different columns, got {listed(chosen) or 'none'}.")
    known = {name: index for index, name in enumerate(map(str, range(width)) if names is None else names)}
    unknown = [name for name in chosen if name not in known]
    if unknown:
        has = f"only {width} columns without names: use 0 to {width - 1}" if names is None else listed(known, 20)
        raise ValueError(f"{file}: no column {listed(unknown)}. It has {has}.")
    return [known[name] for name in chosen]


def as_number(value: Any) -> float | None:
    """Return a cell as a number, or None when it is something else."""
    if ("_" in value) if isinstance(value, str) else hasattr(value, "__len__"):
        return None  # Python reads 1_000 as a number, and nobody else does
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def as_numbers(file: str, names: Sequence[str] | None, frame: Any, *, guessed: bool) -> npt.NDArray[np.float64]:
    """Return the frame as numbers, NaN where missing, or name the columns that hold something else.

    guessed: whether names were only taken for names, as in text, so that the error can say so.
    """
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
            number = np.nan if missing[row] else as_number(cell)
            if number is None:
                failures.append((row, column, cell))
                break
            values[row, column] = number
    if failures:
        row, column, cell = failures[0]
        labels = [str(c) if names is None else names[c] for _, c, _ in failures]
        hint = " Write decimals with a point." if re.fullmatch(r"-?\d+,\d+", str(cell).strip()) else ""
        if guessed and any(as_number(name) is not None for name in names or ()):
            hint += " (The first row was read as column names.)"
        raise ValueError(
            f"{file}: not numbers in column {listed(labels)}, such as {str(cell)[:40]!r} in row {row} "
            f"(counted from 0). Select numeric columns with --columns, or encode these as numbers.{hint}"
        )
    return values
