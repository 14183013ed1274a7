"""Is the tail right? Survival functions, the area between two of them, quantile ratios, W1 on the radius.

    S(t) = P(v > t)        v = |x - centre|: of one column, or the radius in R^d

A mean over all samples sees no tail: of 10,000 samples ten lie beyond the 99.9 % quantile, and they may be a thousand
times too small without moving any average of logarithms or any median. So tails are compared where they are, on
log-log axes, where P(v > t) ~ t^-i is a line of slope -i, and quantile by quantile.

Source of the area: the L1 distance of survival functions (on all of [0, inf) it is W1 of the two laws on the line).

Bad at: the last few samples. The largest of n values is a factor of several off in any two samples of one law, so judge
against the same numbers for a second real sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from proxflow.tail_index import hill_index
from proxflow.validation import check_cloud, check_same_width

__all__ = ["TailComparison", "compare_tails", "quantile_ratios", "survival", "survival_area"]

Values = npt.NDArray[np.float64]

_LEVELS = (0.99, 0.999, 0.9999)
_FEWEST = 10  # samples beyond a level, below which the curve there is one sample's whim


def survival(values: Any, thresholds: Any) -> Values:
    """The share of values, shape (n,), above each threshold (any shape).

    Raises
    ------
    ValueError
        Values that are not finite, or more than one column.

    Examples
    --------
    >>> survival([1.0, 2.0, 3.0, 4.0], [0.0, 2.0, 9.0]).tolist()
    [1.0, 0.5, 0.0]
    """
    ordered = _sorted(values, "values")
    return 1 - np.searchsorted(ordered, np.asarray(thresholds, np.float64), side="right") / len(ordered)


def survival_area(new: Any, real: Any, *, low: float | None = None, high: float = math.inf, log: bool = True) -> float:
    """Area between two survival curves of values, shapes (n,) and (m,): 0 if they coincide.

    log: on log-log axes, in decades of the value times decades of the probability. The area counts from S = 1/2, or
    from the threshold `low`, down to where fewer than ten values of either sample are left. Otherwise on linear axes,
    between the thresholds low (0 if not given) and high: the integral of |S_new - S_real| dt, in units of the values.

    Parameters
    ----------
    new, real
        Values, such as the absolute values of a column, or distances to a centre.
    low, high
        Thresholds between which curves are compared.
    log
        On log-log axes. Values then have to be positive where they are compared.

    Raises
    ------
    ValueError
        Values that are not finite, more than one column, low above high, fewer than 20 values or ones that are not
        positive on log-log axes.

    Examples
    --------
    >>> pareto = (np.arange(1, 1001) / 1000) ** -0.5  # S(t) = t^-2
    >>> round(survival_area(10 * pareto, pareto), 2)  # one decade apart, over the 1.7 decades from 1/2 to 1/100
    1.7
    >>> survival_area([0.0, 3.0], [0.0, 1.0], log=False)  # two units wide, half of the probability high
    1.0
    """
    first, second = _sorted(new, "new"), _sorted(real, "real")
    if low is not None and not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}.")
    if not log:
        return _linear_area(first, second, 0.0 if low is None else low, high)
    smaller = min(len(first), len(second))
    if smaller < 2 * _FEWEST:
        raise ValueError(f"{smaller} values have no tail: at least {2 * _FEWEST} are needed on log-log axes.")
    # Turned by 90 degrees the area is the same, and has the quantile functions as edges: their bounds are shares.
    top = 0.5 if low is None else float(max(np.mean(first > low), np.mean(second > low)))
    shares = np.geomspace(max(top, _FEWEST / smaller), _FEWEST / smaller, 1001)
    curves = [np.clip(np.quantile(values, 1 - shares), low, high) for values in (first, second)]
    if min(curve[0] for curve in curves) <= 0:
        raise ValueError("values must be positive where they are compared on log-log axes: give `low`, or log=False.")
    gaps = np.abs(np.log10(curves[0]) - np.log10(curves[1]))
    return float(np.sum(0.5 * (gaps[1:] + gaps[:-1]) * -np.diff(np.log10(shares))))


def quantile_ratios(new: Any, real: Any, levels: Sequence[float] = _LEVELS) -> dict[float, float]:
    """Quantiles of new values (n,) over those of real ones (m,), by level; nan where either has no sample beyond it.

    Raises
    ------
    ValueError
        Values that are not finite, more than one column, or a level outside (0, 1).

    Examples
    --------
    >>> quantile_ratios(2 * np.arange(1000.0), np.arange(1000.0))
    {0.99: 2.0, 0.999: 2.0, 0.9999: nan}
    """
    first, second = _sorted(new, "new"), _sorted(real, "real")
    for level in levels:
        if not 0 < level < 1:
            raise ValueError(f"levels must be between 0 and 1, got {level}.")
    smaller = min(len(first), len(second))
    found = {}
    for level in levels:
        below = float(np.quantile(second, level))
        # round: 1 - 0.999 is a last digit short of 0.001
        seen = round((1 - level) * smaller, 6) >= 1 and below > 0
        found[level] = float(np.quantile(first, level)) / below if seen else math.nan
    return found


@dataclass(frozen=True)
class TailComparison:
    """How the radius |x - centre| of new samples compares with that of real ones, centre the real samples' median.

    area: between the log-log survival curves, in square decades, see `survival_area`. index_new, index_real: Hill's.
    ratios: of the quantiles at 99, 99.9 and 99.99 %. w1: of the radii, in the data's units.
    """

    area: float
    index_new: float
    index_real: float
    ratios: dict[float, float]
    w1: float

    def to_dict(self) -> dict[str, Any]:
        """All numbers as a dict."""
        return asdict(self)


def compare_tails(new: Any, real: Any) -> TailComparison:
    """Compare the tails of new samples, shape (n, d), with those of real ones, shape (m, d), by their radius.

    Parameters
    ----------
    new, real
        Samples. `real` should have taken no part in making the new ones; judge its own sampling error by comparing a
        second real sample with it.

    Returns
    -------
    TailComparison

    Raises
    ------
    ValueError
        Bad samples (see `check_cloud`), different widths, fewer than 20 samples.

    Examples
    --------
    >>> from proxflow.data.tails import student_t
    >>> found = compare_tails(student_t(2000, 0, nu=1.5), student_t(2000, 1, nu=1.5))
    >>> found.area < 0.3, 0.5 < found.ratios[0.99] < 2
    (True, True)
    """
    first, second = check_cloud(new, "new"), check_cloud(real, "real")
    check_same_width(first, second, "new", "real")
    centre = np.median(second, axis=0)
    radii = [np.linalg.norm(cloud - centre, axis=1) for cloud in (first, second)]
    return TailComparison(
        area=survival_area(*radii),
        index_new=hill_index(radii[0]),
        index_real=hill_index(radii[1]),
        ratios=quantile_ratios(*radii),
        w1=_linear_area(*radii),  # on a line W1 is the area between the survival curves
    )


def _sorted(values: Any, name: str) -> Values:
    column = check_cloud(values, name, minimum=1)
    if column.shape[1] != 1:
        raise ValueError(f"{name}: expected shape (n,), got {column.shape}. Take one column, or distances.")
    return np.sort(column[:, 0])


def _linear_area(first: Values, second: Values, low: float = -math.inf, high: float = math.inf) -> float:
    """The integral of |S_1 - S_2| between the thresholds; both are constant between any two sorted values."""
    edges = np.unique(np.clip(np.concatenate([first, second, [v for v in (low, high) if math.isfinite(v)]]), low, high))
    gaps = np.abs(survival(first, edges[:-1]) - survival(second, edges[:-1]))
    return float(np.sum(gaps * np.diff(edges)))
