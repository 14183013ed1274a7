"""Tables of mixed columns as points, and back: every column returns with its type, its values and its constraints.

    number      (t(v) - mean) / deviation          t = log(1 + v / median) if v >= 0 is skewed by more than 1, else v
    category    one-hot: two rows of different categories are √2 apart, as are two rows a deviation of 1 each
    constant    nothing; it comes back as it is

Back: t is inverted, numbers are rounded to the decimals that the column has (none for whole numbers) and clipped to
its range, and a point becomes the category whose corner is nearest, each corner weighted so that categories come in
the shares asked for (semi-discrete transport; Aurenhammer, Hoffmann, Aronov 1998). Source of the one-hot scale:
Gower 1971, the idea that every column counts alike.

Bad at: relations between columns (a sum that must be 100, an end after a start), for each column is restored alone;
categories that most rows have to themselves; dates and free text, which are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import numpy.typing as npt

from proxflow.validation import check_choice

__all__ = ["LIMITS", "Category", "Constant", "MixedTable", "Number", "allotted", "check_frame", "is_numeric"]

LIMITS = ("observed", "sign")
_SKEWED = 1.0  # an exponential law has skewness 2, a normal one 0
_MOST_DECIMALS = 6  # more than that is a computed number, and rounding it would change nothing
_SHARE_OF_ROWS = 0.5  # text with more distinct values than this share of rows names rows, not groups
_FEW = 10  # numbers with at most so many different values keep to them, and to their shares
_SPIKE = 0.05  # share of rows at a column's smallest or largest value that makes it more than an end
_LARGEST = 1e15  # a whole number beyond it loses its units in float64

Floats = npt.NDArray[np.float64]


class Column(Protocol):
    """One column: `encode` gives its coordinates, shape (n, width), `decode` its values."""

    @property
    def width(self) -> int:
        """How many coordinates."""

    def encode(self, series: Any) -> Floats:
        """Return the coordinates of a pandas series, shape (n, width)."""

    def decode(self, points: Floats, like: Floats | None = None) -> Any:
        """Return the values at these coordinates, shape (n, width); repeated ones as often as in `like`, (m, width)."""


@final
@dataclass(frozen=True)
class Constant:
    """A column with one value. It takes no coordinate."""

    value: Any
    width: int = 0

    def encode(self, series: Any) -> Floats:
        return np.zeros((len(series), 0))

    def decode(self, points: Floats, like: Floats | None = None) -> Any:
        values = np.empty(len(points), dtype=object)
        values.fill(self.value)
        return values


@final
@dataclass(frozen=True)
class Number:
    """A column of numbers: logarithm of 1 + v / unit if unit is given, standardised, rounded and kept in range."""

    mean: float
    deviation: float
    low: float
    high: float
    decimals: int | None
    unit: float | None
    width: int = 1

    @classmethod
    def of(cls, values: Floats, limits: str) -> Number:
        """Return the encoding of these values, shape (n,), not all equal; `limits` as in `MixedTable.of`."""
        unit = float(np.median(values[values > 0])) if _is_skewed(values) else None
        scaled = values if unit is None else np.log1p(values / unit)
        low, high = float(values.min()), float(values.max())
        if limits == "sign":
            low, high = 0.0 if low >= 0 else -np.inf, 0.0 if high <= 0 else np.inf
        return cls(float(scaled.mean()), float(scaled.std()), low, high, _decimals(values), unit)

    def encode(self, series: Any) -> Floats:
        values = series.to_numpy(dtype=np.float64)
        scaled = values if self.unit is None else np.log1p(np.maximum(values, 0.0) / self.unit)
        return np.asarray((scaled - self.mean) / self.deviation)[:, None]

    def decode(self, points: Floats, like: Floats | None = None) -> Any:
        values = self._values(points[:, 0])
        if like is None or len(like) == 0:
            return values
        found, counts = np.unique(self._values(like[:, 0]), return_counts=True)
        ranks = np.argsort(points[:, 0], kind="stable")
        if len(found) <= _FEW:  # on a line, ranks are the nearest assignment in these shares
            values[ranks] = np.repeat(found, allotted(counts, len(values)))
            return values
        # A spike at an end (many zeros, a cap): as many as there were, which particles alone meet only roughly.
        for end, farthest in ((0, ranks), (-1, ranks[::-1])):
            if counts[end] >= _SPIKE * len(like):
                share = round(counts[end] / len(like) * len(values))
                inner = found[1] if end == 0 else found[-2]
                loose = farthest[share:]
                beyond = values[loose] <= found[0] if end == 0 else values[loose] >= found[-1]
                values[loose[beyond]] = inner
                values[farthest[:share]] = found[end]
        return values

    def _values(self, coordinates: Floats) -> Floats:
        scaled = coordinates * self.deviation + self.mean
        # Beyond exp(700) float64 ends; the range clips it anyway.
        values = scaled if self.unit is None else self.unit * np.expm1(np.minimum(scaled, 700.0))
        if self.decimals is not None:
            values = np.round(values, self.decimals)
        return np.clip(values, self.low, self.high)


@final
@dataclass(frozen=True)
class Category:
    """A column of categories, in a fixed order; None stands for a missing one."""

    values: tuple[Any, ...]

    @property
    def width(self) -> int:
        return len(self.values)

    def codes(self, series: Any) -> npt.NDArray[np.intp]:
        """Return the position of each entry among the values; -1 if it is not among them."""
        known = {value: index for index, value in enumerate(self.values)}
        missing = series.isna().to_numpy()
        entries = series.astype(object).to_numpy()
        return np.array(
            [known.get(None if gone else entry, -1) for entry, gone in zip(entries, missing, strict=True)],
            dtype=np.intp,
        )

    def encode(self, series: Any) -> Floats:
        return np.asarray(self.codes(series)[:, None] == np.arange(self.width), dtype=np.float64)

    def decode(self, points: Floats, like: Floats | None = None) -> Any:
        codes = np.argmax(points, axis=1) if like is None else _nearest_in_shares(points, like.mean(axis=0))
        values = np.empty(self.width, dtype=object)
        values[:] = list(self.values)
        return values[codes]


@final
@dataclass(frozen=True)
class MixedTable:
    """How a frame's columns become coordinates: names, pandas types and encodings, in the frame's order.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [31, 45, 28, 52], "city": ["Bern", "Rome", "Bern", "Rome"], "year": 2020})
    >>> table = MixedTable.of(frame)
    >>> points = table.encode(frame)
    >>> points.shape
    (4, 3)
    >>> bool((table.decode(points + 0.02) == frame).all(axis=None))
    True
    """

    names: tuple[Any, ...]
    types: tuple[Any, ...]
    columns: tuple[Column, ...]

    @classmethod
    def of(cls, frame: Any, *, limits: str = "observed", name: str = "the table", check: bool = True) -> MixedTable:
        """Return the encoding of a frame's columns.

        Parameters
        ----------
        frame
            A pandas DataFrame, at least two rows.
        limits
            "observed": decoded numbers stay between a column's smallest and largest; "sign": columns without
            negative (positive) values keep none, and that is all.
        name
            What the table is called in errors.
        check
            False for a part of a table that passed: few rows may look like identifiers where many did not.

        Raises
        ------
        ValueError
            What `check_frame` finds.
        """
        check_choice(limits, "limits", LIMITS)
        if check:
            check_frame(frame, name)
        columns = tuple(_column(frame.iloc[:, i], limits) for i in range(frame.shape[1]))
        return cls(tuple(frame.columns), tuple(frame.dtypes), columns)

    @property
    def width(self) -> int:
        """The number of coordinates."""
        return sum(column.width for column in self.columns)

    def coordinates(self) -> list[str]:
        """Return the names of the coordinates: a number's is its column's, a category has one per value."""
        names: list[str] = []
        for name, column in zip(self.names, self.columns, strict=True):
            values = column.values if isinstance(column, Category) else ()
            names += [f"{name} = {value}" for value in values] or [str(name)] * column.width
        return names

    def encode(self, frame: Any) -> Floats:
        """Return the rows' coordinates, shape (n, width); columns are found by name."""
        parts = [column.encode(frame[name]) for name, column in zip(self.names, self.columns, strict=True)]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(frame), 0))

    def decode(self, points: Floats, like: Floats | None = None) -> Any:
        """Return a frame with the rows at these coordinates, shape (n, width).

        like: encoded rows, shape (m, width). Categories and repeated numbers come as often as among them.
        """
        import pandas as pd

        series, start = {}, 0
        for place, (column, kind) in enumerate(zip(self.columns, self.types, strict=True)):
            piece = slice(start, start + column.width)
            series[place] = _typed(column.decode(points[:, piece], None if like is None else like[:, piece]), kind)
            start += column.width
        frame = pd.DataFrame(series, index=range(len(points)))
        frame.columns = pd.Index(list(self.names))
        return frame

    def describe(self) -> Mapping[str, str]:
        """Return in words what each column was taken for."""
        return {str(name): _words(column) for name, column in zip(self.names, self.columns, strict=True)}


# ---------------------------------------------------------------------- checks


def check_frame(frame: Any, name: str = "the table") -> None:
    """Raise ValueError, naming the column and the way out, for what cannot be encoded.

    Duplicate names; missing or infinite numbers; dates, durations, complex numbers; text that differs from row to
    row; numbers that count the rows.
    """
    import pandas as pd

    if len(frame) < 2:
        raise ValueError(f"{name}: {len(frame)} row{'s' * (len(frame) != 1)}, but at least 2 are needed.")
    repeated = [str(column) for column in frame.columns[frame.columns.duplicated()]]
    if repeated:
        raise ValueError(f"{name}: more than one column is called {repeated[0]!r}. Rename them.")
    for column in frame.columns:
        series = frame[column]
        place = f"{name}: column {str(column)!r}"
        if pd.api.types.is_datetime64_any_dtype(series.dtype) or series.dtype.kind in "Mm":
            raise ValueError(f"{place} holds dates or durations. Drop it, or turn it into a number, such as days.")
        if isinstance(series.dtype, pd.PeriodDtype) or series.dtype.kind == "c":
            raise ValueError(f"{place} holds values of type {series.dtype}. Drop it, or turn it into numbers.")
        if is_numeric(series):
            _check_numbers(series, place, str(column))
        else:
            _check_categories(series, place)


def _check_numbers(series: Any, place: str, name: str) -> None:
    missing = int(series.isna().sum())
    if missing:
        out = "Drop those rows or that column, or impute them"
        raise ValueError(f"{place}: {missing} of {len(series)} numbers missing. {out}.")
    values = series.to_numpy(dtype=np.float64)
    infinite = int((~np.isfinite(values)).sum())
    if infinite:
        raise ValueError(f"{place}: {infinite} of {len(values)} numbers infinite. Drop those rows or that column.")
    if np.abs(values).max() > _LARGEST:
        raise ValueError(f"{place}: {np.abs(values).max():.3g} is beyond {_LARGEST:.0e}. Rescale the column.")
    distinct = np.unique(values)
    if len(values) < 10 or len(distinct) < len(values) or (distinct != np.rint(distinct)).any():
        return
    # Ten or more whole numbers, no two alike: measurements may be that too, so ask for one sign more.
    if (np.diff(distinct) == 1).all() or re.fullmatch(r"(?i)(.*[_\W])?(id|index|row|uuid)|.*[a-z]I[dD]", name):
        raise ValueError(f"{place} numbers the rows: {len(values)} different whole numbers. Drop it.")


def _check_categories(series: Any, place: str) -> None:
    present = series.dropna()
    try:
        distinct = present.nunique()
    except TypeError:
        raise ValueError(f"{place} holds lists or other objects. Drop it, or turn it into numbers or text.") from None
    if len(series) >= 10 and distinct > _SHARE_OF_ROWS * len(series):
        raise ValueError(
            f"{place} holds {distinct} different texts in {len(series)} rows: names or free text, no categories. Drop"
            " it, or merge rare values."
        )


# ---------------------------------------------------------------------- one column


def is_numeric(series: Any) -> bool:
    """Whether a pandas series holds numbers, as opposed to categories, bools or text."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(series.dtype) or isinstance(series.dtype, pd.CategoricalDtype):
        return False
    return bool(pd.api.types.is_numeric_dtype(series.dtype))


def _column(series: Any, limits: str) -> Column:
    if is_numeric(series):
        values = series.to_numpy(dtype=np.float64)
        return Constant(series.iloc[0]) if values.min() == values.max() else Number.of(values, limits)
    values = series.astype(object)
    found = list(dict.fromkeys(None if gone else v for v, gone in zip(values, series.isna(), strict=True)))
    # Sorted by their words, so that the order of the rows decides nothing.
    found.sort(key=lambda value: (value is None, str(value), str(type(value))))
    return Category(tuple(found)) if len(found) > 1 else Constant(found[0])


def _is_skewed(values: Floats) -> bool:
    if values.min() < 0:
        return False
    centred = values - values.mean()
    return bool(np.mean(centred**3) > _SKEWED * np.mean(centred**2) ** 1.5)


def _decimals(values: Floats) -> int | None:
    """Return how many decimals the values have, None if more than anybody writes by hand."""
    for decimals in range(_MOST_DECIMALS + 1):
        if np.allclose(values, np.round(values, decimals), rtol=0, atol=1e-9 * max(1.0, float(np.abs(values).max()))):
            return decimals
    return None


def allotted(shares: npt.ArrayLike, total: int) -> npt.NDArray[np.intp]:
    """Return whole numbers that add up to total, as near to these shares as can be (largest remainders).

    Examples
    --------
    >>> allotted([0.5, 0.3, 0.2], 7).tolist()
    [4, 2, 1]
    """
    parts = np.asarray(shares, dtype=np.float64)
    exact = total * parts / parts.sum()
    counts = np.floor(exact).astype(np.intp)
    short = total - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
    return counts


def _nearest_in_shares(points: Floats, shares: Floats) -> npt.NDArray[np.intp]:
    """Return for each point a category: in these shares, and nearest to the corners in sum of squares."""
    import ot

    counts = allotted(shares, len(points))
    used = np.flatnonzero(counts)
    plan = ot.emd(np.ones(len(points)), counts[used].astype(np.float64), -points[:, used], numItermax=10_000_000)
    return np.asarray(used[np.argmax(plan, axis=1)], dtype=np.intp)


def _typed(values: Any, kind: Any) -> Any:
    """Return values as a pandas series of this type; whole numbers first lose what float64 left of a fraction."""
    import pandas as pd

    if kind.kind in "iu":
        values = np.asarray(np.rint(values.astype(np.float64)))
    return pd.Series(values).astype(kind)


def _words(column: Column) -> str:
    if isinstance(column, Category):
        return f"{column.width} categories"
    if isinstance(column, Number):
        kind = "whole numbers" if column.decimals == 0 else "numbers"
        return kind if column.unit is None else f"{kind}, skewed: as logarithms"
    return "constant"
