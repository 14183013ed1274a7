"""Where a transport between batches starts from: every class moved onto the reference's, column by column.

    none    x           shift   x + Δ_c                        scale   m_c + ρ_c (x - m_c) + Δ_c

Δ_c, the difference of two class means, is noisy where a class is small. All classes went through the same machine, so
it is drawn towards what they have in common, the more so the less its own samples say (empirical Bayes; the random
effects of DerSimonian and Laird, Controlled Clinical Trials 1986; the idea of ComBat: Johnson, Li, Rabinovic,
Biostatistics 2007). In units of a column's deviation within classes, with v_c = 1/n_c + 1/m_c the variance of noise:

    Δ_c = Δ + τ² / (τ² + v_c) (D_c - Δ),      Δ = Σ D_c / (τ² + v_c) / Σ 1 / (τ² + v_c),      τ² over all columns

ρ_c, ratios of deviations, are drawn together over the classes in the same way, and what they share, over the columns.

Measured (5000 genes, 490 samples, halves held out; root mean square error to the truth, three seeds): class means
0.351, drawn together 0.338, with ρ of each class alone 0.271, with ρ drawn together 0.24. Bad at: what bends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["STARTS", "ClassMoments", "Start", "estimate_start", "moments_by_class"]

STARTS = ("none", "shift", "scale")
_FEWEST_FOR_SCALE = 3  # samples of a class on either side


@dataclass(frozen=True)
class ClassMoments:
    """Count, mean (d,) and variance (d,) of the samples of one class."""

    count: int
    mean: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True, eq=False)
class Start:
    """x -> scale * x + offset of its class.

    scales, offsets: class -> (d,). scale, offset: (d,), what all have in common, of samples whose class the reference
    lacks.
    """

    scales: Mapping[Any, np.ndarray]
    offsets: Mapping[Any, np.ndarray]
    scale: np.ndarray
    offset: np.ndarray

    def apply(self, points: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Move points (n, d) with classes (n,); those of an unknown class by what all have in common."""
        moved = np.empty(points.shape)
        for code in np.unique(codes):
            c = code.item() if hasattr(code, "item") else code
            moved[codes == code] = points[codes == code] * self.scales.get(c, self.scale)
            moved[codes == code] += self.offsets.get(c, self.offset)
        return moved


def moments_by_class(points: np.ndarray, codes: np.ndarray) -> dict[Any, ClassMoments]:
    """Moments of points (n, d) by class (n,)."""
    found = {}
    for c in np.unique(codes).tolist():
        rows = points[codes == c]
        varies = np.ptp(rows, axis=0) > 0  # a constant's variance may be rounding, not zero
        variance = np.where(varies, rows.var(axis=0, ddof=1) if varies.any() else 0.0, 0.0)
        found[c] = ClassMoments(len(rows), rows.mean(axis=0), variance)
    return found


def estimate_start(kind: str, source: Mapping[Any, ClassMoments], target: Mapping[Any, ClassMoments]) -> Start:
    """Return the start of this kind; classes on both sides count.

    Parameters
    ----------
    kind
        "none", "shift" or "scale".
    source, target
        Moments by class of the samples to move and of the reference; at least one class is in both.
    """
    shared = [c for c in source if c in target]
    if kind == "none":
        same, nothing = np.ones_like(source[shared[0]].mean), np.zeros_like(source[shared[0]].mean)
        return Start(dict.fromkeys(shared, same), dict.fromkeys(shared, nothing), same, nothing)
    deviation = _deviation(shared, source, target)
    varies = np.isfinite(deviation)
    differences = np.array([target[c].mean - source[c].mean for c in shared])
    noise = np.array([1 / source[c].count + 1 / target[c].count for c in shared])
    between = _variance_between((differences / deviation)[:, varies], noise)
    shifts, weights = _drawn_together(differences, noise, between)
    scales = np.ones_like(differences) if kind == "shift" else _scales(shared, source, target)
    means = np.array([source[c].mean for c in shared])
    offsets = (1 - scales) * means + shifts
    return Start(
        dict(zip(shared, scales, strict=True)),
        dict(zip(shared, offsets, strict=True)),
        np.average(scales, axis=0, weights=weights),
        np.average(offsets, axis=0, weights=weights),
    )


def _drawn_together(values: np.ndarray, noise: np.ndarray, between: float) -> tuple[np.ndarray, np.ndarray]:
    """Values (classes, d) drawn towards their mean, and the classes' weights in it."""
    weights = 1 / (between + noise)
    common = np.average(values, axis=0, weights=weights)
    return common + (between / (between + noise))[:, None] * (values - common), weights


def _deviation(shared: list, source: Mapping[Any, ClassMoments], target: Mapping[Any, ClassMoments]) -> np.ndarray:
    """Of every column within classes and batches, shape (d,); infinite where it is constant: no unit."""
    parts = [side[c] for c in shared for side in (source, target)]
    freedom = max(1, sum(part.count - 1 for part in parts))
    variance = sum((part.count - 1) * part.variance for part in parts) / freedom
    return np.sqrt(np.where(variance > 0, variance, np.inf))


def _variance_between(standardised: np.ndarray, noise: np.ndarray) -> float:
    """τ², what classes differ by beyond noise: moments, over all columns of differences (classes, d)."""
    if len(noise) < 2 or standardised.shape[1] == 0:
        return 0.0
    weights = 1 / noise
    mean = np.average(standardised, axis=0, weights=weights)
    excess = float(np.mean(np.sum(weights[:, None] * (standardised - mean) ** 2, axis=0))) - (len(noise) - 1)
    return max(0.0, excess / float(weights.sum() - np.sum(weights**2) / weights.sum()))


def _scales(shared: list, source: Mapping[Any, ClassMoments], target: Mapping[Any, ClassMoments]) -> np.ndarray:
    """ρ, shape (classes, d): ratios of deviations, drawn together over the classes, and these over the columns."""
    found = np.zeros((len(shared), len(next(iter(source.values())).mean)))
    few = np.array([min(source[c].count, target[c].count) < _FEWEST_FOR_SCALE for c in shared])
    usable = [c for c, small in zip(shared, few, strict=True) if not small]
    varies = [(source[c].variance > 0) & (target[c].variance > 0) for c in usable]
    known = np.logical_and.reduce(varies) if usable else np.zeros(found.shape[1], bool)
    if not known.any():
        return np.exp(found)
    logs = np.array([0.5 * np.log(target[c].variance[known] / source[c].variance[known]) for c in usable])
    # The variance of the logarithm of a normal sample's deviation.
    noise = np.array([0.5 / (source[c].count - 1) + 0.5 / (target[c].count - 1) for c in usable])
    between = _variance_between(logs, noise)
    own, weights = _drawn_together(logs, noise, between)
    common, error = np.average(logs, axis=0, weights=weights), 1 / weights.sum()
    middle = float(common.mean())
    spread = max(0.0, float(np.mean((common - middle) ** 2)) - error)
    towards = middle + spread / (spread + error) * (common - middle)
    found[np.ix_(few, known)] = towards
    found[np.ix_(~few, known)] = own - common + towards
    return np.exp(found)
