"""How many new samples of each class: whole numbers in given proportions, by largest remainders (Hamilton's method)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from proxflow.validation import check_choice

__all__ = ["counts_of_classes", "listed"]


def counts_of_classes(
    total: int, classes: Sequence[Any] | np.ndarray, counts: np.ndarray, proportions: str | Mapping[Any, float] | None
) -> dict[Any, int]:
    """Split a total over classes: by their counts, equally, or by weights; largest remainders are rounded up.

    Examples
    --------
    >>> counts_of_classes(10, ["a", "b"], np.array([2, 1]), None)
    {'a': 7, 'b': 3}
    """
    known = list(classes)
    if isinstance(proportions, str):
        check_choice(proportions, "proportions", ("equal",))
        weights = np.ones(len(known))
    elif proportions is None:
        weights = np.asarray(counts, float)
    else:
        unknown = [c for c in proportions if c not in known]
        if unknown:
            raise ValueError(
                f"proportions name class {unknown[0]!r}, which the target has not; it has {listed(known)}."
            )
        weights = np.array([float(proportions.get(c, 0.0)) for c in known])
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
            raise ValueError(f"proportions must be weights of at least 0, not all 0, got {dict(proportions)!r}.")
    shares = total * weights / weights.sum()
    whole = np.floor(shares).astype(int)
    rest = np.argsort(-(shares - whole), kind="stable")[: total - whole.sum()]
    whole[rest] += 1
    return dict(zip(known, whole.tolist(), strict=True))


def listed(classes: Sequence[Any] | np.ndarray) -> str:
    """Return the first dozen classes in words."""
    shown = [repr(c) for c in np.asarray(classes).tolist()]
    return ", ".join(shown[:12]) + (", ..." if len(shown) > 12 else "")
