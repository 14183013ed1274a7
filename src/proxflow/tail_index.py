"""How heavy is a tail? Hill's index, and whether the tail is clearly heavier than exponential.

    P(|x| > r) ~ r^-i          1/i = mean of log(v_(j) / v_(k+1)) over the k largest values v_(1) >= ... >= v_(k)

Hill's estimate is finite for light tails too (a normal sample of 100 has about 4), so a second look decides: over any
threshold the excesses of an exponential law are exponential again, with deviation equal to mean. A tail counts as heavy
if that ratio, on the 3√n largest, is beyond what 99 % of exponential samples show. Source: Hill, "A simple general
approach to inference about the tail of a distribution", Annals of Statistics 3 (1975).

Bad at: fewer than some hundred samples; tails along one direction out of many; telling a power from a lognormal, or
from a few gross errors; tails that end (times with a longest one), whose index means nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from proxflow.validation import check_cloud, check_positive

__all__ = ["ENOUGH", "Tail", "hill_index", "tail_of"]

ENOUGH = 50  # samples, below which no tail is looked for
_HEAVY = 5.0  # tail index: from here on the moments that an alpha-divergence of order near 1 asks for are there
_LEVEL = 0.99  # of exponential samples show less excess


@dataclass(frozen=True)
class Tail:
    """Hill's index of distances to the centre (None: too few samples), and whether the tail is clearly heavy."""

    index: float | None
    heavy: bool
    count: int


def hill_index(values: Any, k: int | None = None) -> float:
    """Tail index i of positive values, P(v > r) ~ r^-i, from the k largest: Hill's estimator.

    1 / i = mean of log(v_(j) / v_(k+1)) over the k largest v_(1) >= ... >= v_(k). Its standard error is i / √k. Light
    tails have no index: what is found for them is large, and grows with the sample.

    Parameters
    ----------
    values
        Shape (n,): the absolute values of a column, or distances. Only the k + 1 largest have to be positive.
    k
        How many count as tail, below n; None takes 1.5 √n.

    Returns
    -------
    float
        The index; inf if the k + 1 largest values are equal.

    Raises
    ------
    ValueError
        Fewer than two values, NaN or inf, a k that is not between 1 and n - 1, or k + 1 values that are not positive.

    References
    ----------
    Hill, "A simple general approach to inference about the tail of a distribution", Annals of Statistics 3 (1975).

    Examples
    --------
    >>> pareto = np.random.default_rng(0).pareto(2.0, size=20_000) + 1
    >>> 1.7 < hill_index(pareto) < 2.3
    True
    >>> round(hill_index([8.0, 4.0, 2.0, 1.0], k=2) * math.log(2), 12)  # the mean of log 4 and log 2
    0.666666666667
    """
    column = check_cloud(values, "values")
    if column.shape[1] != 1:
        raise ValueError(f"values: expected shape (n,), got {column.shape}. Take one column, or distances.")
    ordered = np.sort(column[:, 0])[::-1]
    if k is None:
        k = _count(len(ordered), 1.5)
    check_positive(k, "k", integer=True)
    if k >= len(ordered):
        raise ValueError(f"k = {k} largest of {len(ordered)} values leave no threshold: k must be at most n - 1.")
    if ordered[k] <= 0:
        raise ValueError(
            f"the {k + 1} largest values must be positive, got {ordered[k]:g}. Take a smaller k, or shift."
        )
    spread = float(np.mean(np.log(ordered[:k] / ordered[k])))
    return 1 / spread if spread > 0 else math.inf


def tail_of(points: np.ndarray) -> Tail:
    """Look at the tail of the distances to the median, of samples of shape (n, d)."""
    count = len(points)
    if count < ENOUGH:
        return Tail(None, False, count)
    distances = np.sort(np.linalg.norm(points - np.median(points, axis=0), axis=1))[::-1]
    k = _count(count, 3.0)
    excess = distances[:k] - distances[k]
    if not distances[k] > 0 or not excess.mean() > 0:  # most points coincide
        return Tail(None, False, count)
    index = hill_index(distances)
    return Tail(index, bool(index < _HEAVY and excess.std() / excess.mean() > _exponential_bound(k)), count)


def _count(count: int, share: float) -> int:
    """How many of so many values are tail: share · √n, but at least 8 and at most a third."""
    return max(1, min(max(8, round(share * math.sqrt(count))), count // 3))


@cache
def _exponential_bound(k: int) -> float:
    """What deviation over mean of k exponential values stays below at the level: by simulation, with a fixed seed."""
    values = np.random.default_rng(0).exponential(size=(10_000, k))
    return float(np.quantile(values.std(axis=1) / values.mean(axis=1), _LEVEL))
