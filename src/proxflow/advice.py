"""`recommend`: L and f for `divergence`, chosen from two samples, with the reasons.

    L = 1 / median |y - centre|                         moving mass by one typical distance costs one nat
    f = KL, unless a tail is heavier than exponential, with index i < 5:  then alpha of order a = (i + 1) / (i - 1)

Why that order. L-Lipschitz potentials grow linearly and f* like s^(a/(a-1)), so Λ_f(φ; Q) is finite if |x|^(a/(a-1)) is
integrable. A tail P(|x| > r) ~ r^-i has the moments below i; a/(a-1) = (1 + i)/2 lies midway between the first, without
which W1 is infinite, and the last. KL asks for exponential moments instead. Source of the condition: Chen, Gu,
Katsoulakis, Rey-Bellet, Zhu, "Learning heavy-tailed distributions with Wasserstein-proximal-regularized
α-divergences", arXiv 2405.13962 (2024).

What counts as heavy, and how the index is estimated: `tail_index`.

Bad at: fewer than some hundred samples (at n = 100 half of the samples of a Student law with 1.5 degrees of freedom
pass unnoticed); tails along one direction out of many; telling a power from a lognormal, or from a few gross errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxflow.defaults import radius
from proxflow.notes import notes_on
from proxflow.tail_index import ENOUGH, Tail, tail_of
from proxflow.validation import (
    check_cloud,
    check_same_width,
    column_names,
    in_order_of,
)

__all__ = ["Recommendation", "recommend", "tail_note"]

_LARGEST_ORDER = 10.0


@dataclass(frozen=True)
class Recommendation:
    """What `recommend` chose, and why.

    L: the Lipschitz constant, in potential per unit of data. f, alpha: the entropy's name and order, as `divergence`
    takes them. scale: the typical distance to the centre in y. tail_index: Hill's estimates of x and of y, None where
    there are too few samples; heavy: whether each tail is clearly heavier than exponential. reasons: in words.
    """

    L: float
    f: str
    alpha: float | None
    scale: float
    tail_index: tuple[float | None, float | None]
    heavy: tuple[bool, bool]
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values."""
        return {
            "L": self.L, "f": self.f, "alpha": self.alpha, "scale": self.scale, "tail_index": list(self.tail_index),
            "heavy": list(self.heavy), "reasons": list(self.reasons),
        }  # fmt: skip

    def __repr__(self) -> str:
        order = "" if self.alpha is None else f", alpha={self.alpha:g}"
        lines = [
            f'divergence(x, y, f="{self.f}"{order}, L={self.L:.4g})',
            *(f"  - {reason}" for reason in self.reasons),
        ]
        return "\n".join(lines)


def recommend(x: Any, y: Any) -> Recommendation:
    """Choose L and f for the divergence between two samples, and say why.

    Parameters
    ----------
    x
        Samples of P, the moving measure, shape (n, d).
    y
        Samples of Q, the target, shape (m, d); L is in its scale.

    Returns
    -------
    Recommendation
        With L, f, alpha and reasons; printed, it is the call and the reasons.

    Raises
    ------
    ValueError
        NaN or inf (row and column named), fewer than two samples, different widths.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> advice = recommend(rng.normal(size=(500, 2)), rng.normal(size=(500, 2)))
    >>> advice.f, 0.7 < advice.L < 1
    ('kl', True)
    >>> recommend(rng.normal(size=(500, 2)), rng.standard_t(1.5, size=(500, 2))).f
    'alpha'
    """
    y = in_order_of(x, y)
    names = column_names(x) or column_names(y)
    px, py = check_cloud(x, "x", columns=names), check_cloud(y, "y", columns=names)
    check_same_width(px, py, "x", "y")
    scale = radius(py)
    L = 1 / scale
    reasons = [
        f"L = {L:.4g} is 1 / {scale:.4g}, the median distance to the centre in y: moving mass by that much costs one "
        "nat. Smaller: towards L·W1, which only moves mass. Larger: towards the f-divergence, which only reweights it."
    ]
    tails = tail_of(px), tail_of(py)
    f, alpha = _entropy_for(tails, reasons)
    reasons += notes_on(px, py, names)
    return Recommendation(
        L, f, alpha, scale, (tails[0].index, tails[1].index), (tails[0].heavy, tails[1].heavy), tuple(reasons)
    )


# ---------------------------------------------------------------------- tails


def tail_note(x: np.ndarray, y: np.ndarray, labels: tuple[str, str] = ("x", "y")) -> str | None:
    """Return what heavy tails of samples of shapes (n, d) and (m, d) mean for numbers about their laws, if any."""
    tails = zip(labels, (tail_of(x), tail_of(y)), strict=True)
    heavy = [f"{name} about {tail.index:.1f}" for name, tail in tails if tail.heavy and tail.index is not None]
    if not heavy:
        return None
    return (
        f"heavy tails (index of {' and '.join(heavy)}): the lower bound may be too optimistic, or 0. `recommend` says"
        " which f suits such tails; a transform such as sign(x) log1p(|x|) tames them."
    )


def _entropy_for(tails: tuple[Tail, Tail], reasons: list[str]) -> tuple[str, float | None]:
    named = dict(zip("xy", tails, strict=True))
    few = [name for name, tail in named.items() if tail.count < ENOUGH]
    if few:
        counts = " and ".join(f"{name} has {named[name].count}" for name in few)
        reasons.append(f"too few samples to see tails: {counts}, and {ENOUGH} are the least.")
    heavy = {name: tail.index for name, tail in named.items() if tail.heavy and tail.index is not None}
    if not heavy:
        seen = [name for name in named if name not in few]
        if seen:
            reasons.append(f"f = kl: no tail of {' or '.join(seen)} is clearly heavier than exponential.")
        else:
            reasons.append("f = kl by default.")
        return "kl", None
    found = " and ".join(f"{name} about {index:.1f}" for name, index in heavy.items())
    lowest = min(heavy.values())
    if lowest <= 1:
        reasons.append(
            f"heavy tails (index of {found}): no first moment. The population's W1 is infinite; a sample's is finite "
            "but grows with the sample, so values for different sizes do not compare. No f helps: transform both "
            "samples, sign(x) log1p(|x|), and ask again. f = alpha is the least bad until then. ParticleTransport "
            "compresses such columns by itself."
        )
        return "alpha", 2.0
    alpha = min(math.ceil(10 * (lowest + 1) / (lowest - 1)) / 10, _LARGEST_ORDER)
    reasons.append(
        f"f = alpha of order {alpha:g}: heavy tails (index of {found}). KL would need exponential moments; this order "
        f"needs moments up to {alpha / (alpha - 1):.2f}, and those below the index are finite."
    )
    if "y" not in heavy:
        reasons.append(
            "only x has heavy tails: D(P‖Q) averages f* over y, where kl is finite too; the order is for D(Q‖P)."
        )
    return "alpha", alpha
