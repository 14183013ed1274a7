"""Which steps' potentials are kept: all of them, or ever fewer the later.

    gap after step n  =  1 + (record - 1) √(n + 1) / 1024, rounded down

A flow covers most of its way in the first steps, and its potential changes more slowly the longer it has run.
Measured (500 steps, 28 potentials; W2 of replayed points over that of real samples): moons 1.30 against 2.70 with
every 18th step kept, pinwheel 1.62 against 3.63, digits in 64 dimensions 1.59 against 1.60. Gaps in proportion to n
are no better in the plane and much worse for the digits, 2.00. Bad at: sources far away, from which much of the way
comes later.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

__all__ = ["kept_steps", "record_within"]

_GROWTH = 1024  # so fine that nearly every number of steps can be kept


def kept_steps(record: int, steps: int) -> np.ndarray:
    """Return the steps below `steps` whose potentials are kept: all if record is 1, fewer if larger, none if 0."""
    if record <= 1:
        return np.arange(steps if record else 0)
    kept, step = [], 0
    while step < steps:
        kept.append(step)
        step += 1 + (int(record) - 1) * isqrt((step + 1) * _GROWTH**2) // _GROWTH**2
    return np.array(kept, int)


def record_within(count: float, steps: int) -> int:
    """Return the smallest `record` that keeps at most `count` of so many steps; 0 if not even one."""
    if count < 1:
        return 0
    low, high = 1, 1 + _GROWTH * max(steps, 1)  # the largest keeps the first alone
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(kept_steps(middle, steps)) <= count else (middle + 1, high)
    return low
