"""What moved? A divergence taken apart by feature.

    slope_i    E_P |∂_i φ|, how steep the potential is along feature i where the mass is
    share_i    E_P [∂_i φ_1 ∂_i φ_2] over its sum, for potentials φ_1, φ_2 fitted on different parts of the data

|∇φ| is at most L and a tight potential spends all of it, so along features that tell nothing it is steep too, in
random directions. Two potentials agree on a direction only where the data say so: their product keeps the signal,
and the noise averages out. With the exact potential alone (nothing held out) the share is of E_P|∂_i φ|, noise
included.

Bad at: features that are copies of one another (they divide the share), and P = Q, where there is nothing to explain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import scipy.sparse as sparse

from proxflow.estimate import PotentialFunction

__all__ = ["Feature", "Slopes", "by_feature", "fitted_slopes", "locations", "transport_slopes"]

_BLOCK = 2**24  # numbers held at a time: 50,000 features are many


@dataclass(frozen=True)
class Feature:
    """How much a feature moved.

    slope: E_P|∂φ|. share: of what moved, between 0 and 1. direction: +1 if P's mean is above Q's by over two
    standard errors, -1 if below, 0 if neither: then what changed is spread or shape.
    """

    name: str
    slope: float
    share: float
    direction: int

    def to_dict(self) -> dict[str, str | float | int]:
        """As plain values."""
        return {"name": self.name, "slope": self.slope, "share": self.share, "direction": self.direction}


@dataclass(frozen=True)
class Slopes:
    """Means over P: of |∂_i φ|, of ∂_i φ, and of what potentials agree on, shapes (d,); of |∇φ|; and its maximum."""

    absolute: np.ndarray
    signed: np.ndarray
    shared: np.ndarray
    length: float
    largest: float


def fitted_slopes(potentials: Sequence[PotentialFunction], points: np.ndarray) -> Slopes:
    """Slopes of two or more potentials, fitted on different parts of the data, at points of shape (n, d)."""
    rows = max(1, _BLOCK // (points.shape[1] * len(potentials)))
    return _means([phi.gradient(points[i : i + rows]) for phi in potentials] for i in range(0, len(points), rows))


def transport_slopes(plan: sparse.csr_array, x: np.ndarray, y: np.ndarray, L: float) -> Slopes:
    """Slopes of the exact potential at P's points: L times the mean unit vector away from where the mass goes."""

    def blocks() -> Iterable[list[np.ndarray]]:
        rows = max(1, _BLOCK // x.shape[1])
        weights = sparse.csr_array(plan * len(x))
        for first in range(0, len(x), rows):
            gradient = np.zeros((len(x[first : first + rows]), x.shape[1]))
            for row in range(len(gradient)):  # a row at a time: its pairs times all features may be many numbers
                pairs = slice(weights.indptr[first + row], weights.indptr[first + row + 1])
                ways = x[first + row] - y[weights.indices[pairs]]
                lengths = np.linalg.norm(ways, axis=1)
                scale = np.divide(L * weights.data[pairs], lengths, out=np.zeros_like(lengths), where=lengths > 0)
                gradient[row] = scale @ ways
            yield [gradient]

    return _means(blocks())


def _means(blocks: Iterable[list[np.ndarray]]) -> Slopes:
    absolute: Any = 0.0
    signed: Any = 0.0
    shared: Any = None
    length, largest, count = 0.0, 0.0, 0
    for gradients in blocks:
        pairs = list(combinations(gradients, 2))
        lengths = [np.linalg.norm(gradient, axis=1) for gradient in gradients]
        absolute = absolute + sum(np.abs(gradient).sum(axis=0) for gradient in gradients) / len(gradients)
        signed = signed + sum(gradient.sum(axis=0) for gradient in gradients) / len(gradients)
        if pairs:
            agreed = sum((first * second).sum(axis=0) for first, second in pairs) / len(pairs)
            shared = agreed if shared is None else shared + agreed
        length += float(np.mean(lengths, axis=0).sum())
        largest = max(largest, *(float(found.max()) for found in lengths))
        count += len(gradients[0])
    shared = absolute if shared is None else np.maximum(shared, 0)
    return Slopes(absolute / count, signed / count, shared / count, length / count, largest)


def locations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where x lies above y (+1) or below (-1) in the mean, by over two standard errors; else 0. Shape (d,).

    Slopes do not tell: a potential may rise along a feature on average although only its spread has changed.
    """
    gap = x.mean(axis=0) - y.mean(axis=0)
    error = np.sqrt(x.var(axis=0) / len(x) + y.var(axis=0) / len(y))
    return np.where(np.abs(gap) > 2 * error, np.sign(gap), 0.0)


def by_feature(slopes: Slopes, directions: np.ndarray, names: Sequence[str]) -> tuple[Feature, ...]:
    """All features, those that moved most first."""
    total = float(slopes.shared.sum()) or 1.0
    order = np.lexsort((-slopes.absolute, -slopes.shared))
    return tuple(
        Feature(names[i], float(slopes.absolute[i]), float(slopes.shared[i] / total), int(directions[i])) for i in order
    )
