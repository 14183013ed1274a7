"""Kernel distances between two samples, as plain functions in float64: no network, no flow.

    mmd(P, Q)  = sup over ‖h‖ <= 1 of  E_P[h] - E_Q[h]
    kale(P‖Q)  = (1 + λ) sup over h of  1 + E_P[h] - E_Q[e^h] - λ/2 ‖h‖²

MMD: Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A kernel two-sample test", JMLR 13 (2012). KALE: Glaser, Arbel,
Gretton, "KALE flow: a relaxed KL gradient flow for probabilities with disjoint support", NeurIPS 2021; it goes
from KL(P‖Q) as λ -> 0 to MMD²/2 as λ -> inf.

Bad at: many points (MMD takes time, KALE memory, with the square of their number), high dimension, and comparing
values across data: the default bandwidth follows the samples, so fix it first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from proxflow.gamma.kernels import Kernel, exact_gram, named_kernel, placed
from proxflow.validation import check_cloud, check_positive, check_same_width

__all__ = ["kale", "mmd"]

_BLOCK = 1000  # rows of a Gram matrix held at a time
_ROUNDS = 200
_LONGEST = 5.0  # the most that a Newton step may raise log α: e^h overflows where h is far too high


def _prepare(x: Any, y: Any, kernel: str, bandwidth: float | None) -> tuple[np.ndarray, np.ndarray, Kernel, float]:
    """Check, and return the samples in bandwidths around their centre, the kernel and its unit."""
    chosen = named_kernel(kernel, bandwidth)
    x, y = check_cloud(x, "x", minimum=1), check_cloud(y, "y", minimum=1)
    check_same_width(x, y, "x", "y")
    centre, unit = placed(x, y)
    unit = unit if bandwidth is None else float(bandwidth)
    return (x - centre) / unit, (y - centre) / unit, chosen, unit if chosen.anchored else 1.0


def _mean(kernel: Kernel, u: np.ndarray, v: np.ndarray) -> float:
    """The mean of k(u_i, v_j) over all pairs, in blocks."""
    blocks = (exact_gram(kernel, u[i : i + _BLOCK], v).sum() for i in range(0, len(u), _BLOCK))
    return math.fsum(blocks) / (len(u) * len(v))


def mmd(x: Any, y: Any, kernel: str = "gaussian", bandwidth: float | None = None) -> float:
    """Maximum mean discrepancy of two samples (V-statistic): √(E k(X, X') + E k(Y, Y') - 2 E k(X, Y)).

    Biased upwards: every sample is also compared with itself, so even two samples of one law are about
    √(1/n + 1/m) apart. For the energy kernel it is the square root of the energy distance.

    Parameters
    ----------
    x, y
        Samples, shapes (n, d) and (m, d), uniform weights.
    kernel
        "gaussian", "laplace" or "energy".
    bandwidth
        In the data's units; None takes the median distance of the pooled samples. The energy kernel has none.

    Raises
    ------
    ValueError
        Bad samples (see `check_cloud`), an unknown kernel, a bandwidth that is not positive or that the kernel lacks.

    Examples
    --------
    >>> round(mmd([[0.0], [1.0]], [[2.0], [3.0]], "energy") ** 2, 12)
    3.0
    """
    u, v, chosen, amplitude = _prepare(x, y, kernel, bandwidth)
    square = _mean(chosen, u, u) + _mean(chosen, v, v) - 2 * _mean(chosen, u, v)
    return math.sqrt(max(amplitude * square, 0.0))


def kale(
    x: Any,
    y: Any,
    kernel: str = "gaussian",
    bandwidth: float | None = None,
    ridge: float = 1.0,
    *,
    tolerance: float = 1e-8,
) -> float:
    """KALE, the KL approximate lower-bound estimator, of P (samples x) from Q (samples y).

    A lower bound on the supremum, proven by the dual problem to lie within the tolerance of it. With an energy
    kernel the functions h vanish at the data's centre, which matters here, for KALE does see constants.

    Parameters
    ----------
    x, y
        Samples, shapes (n, d) and (m, d), uniform weights. Time grows as m³.
    kernel, bandwidth
        As in `mmd`.
    ridge
        λ > 0, the weight of ‖h‖²/2. The smaller, the nearer to KL, which is infinite for distinct samples.
    tolerance
        The largest duality gap, relative to the value.

    Raises
    ------
    ValueError
        As in `mmd`, or a ridge or tolerance that is not positive.
    RuntimeError
        If the gap does not close; the message has both bounds.

    Examples
    --------
    >>> x, y = [[0.0], [1.0]], [[2.0], [3.0]]
    >>> bool(abs(kale(x, y, ridge=1e5) - mmd(x, y) ** 2 / 2) < 1e-4)
    True
    """
    check_positive(ridge, "ridge")
    check_positive(tolerance, "tolerance")
    u, v, chosen, amplitude = _prepare(x, y, kernel, bandwidth)
    # Everything depends on k / λ only.
    factor = amplitude / ridge
    matrix = factor * exact_gram(chosen, v, v)
    cross = np.concatenate(
        [factor * exact_gram(chosen, v[i : i + _BLOCK], u).mean(axis=1) for i in range(0, len(v), _BLOCK)]
    )
    lower, upper = _bracket(matrix, cross, factor * _mean(chosen, u, u), 0.1 * tolerance)
    # For samples that all but coincide the value is the rounding of means of k that cancel.
    if not upper - lower <= max(tolerance * lower, 1e-14 * float(np.trace(matrix)) / len(v)):
        raise RuntimeError(
            f"KALE not closed: between {(1 + ridge) * lower:.9g} and {(1 + ridge) * upper:.9g} "
            f"with ridge = {ridge:g}. Take a larger ridge or tolerance."
        )
    return (1 + ridge) * max(lower, 0.0)


def _bracket(matrix: np.ndarray, cross: np.ndarray, self_mean: float, enough: float) -> tuple[float, float]:
    """Primal and dual values, by Newton's method in w = log(m α), until they differ by the share `enough` of them.

    Given K / λ, the means of k(y_j, x) / λ and the mean of k(x, x') / λ. The dual minimises, over α in R^m,

        mean(e^w (w - 1) + 1) + λ/2 ‖h‖²,      h = (μ_P - Σ α_j k(y_j, ·)) / λ.

    At its minimum w is h on the samples y; anywhere else the gap is the mean of e^h - e^w (1 + h - w) >= 0.
    """
    from scipy.linalg import cho_factor, cho_solve

    count = len(cross)

    def evaluate(w: np.ndarray) -> tuple[np.ndarray, float, float]:
        """Values h on y, the dual value, and the gap."""
        alpha = np.exp(w) / count
        image = matrix @ alpha
        h = cross - image
        penalty = 0.5 * (self_mean - 2 * cross @ alpha + alpha @ image)  # λ/2 ‖h‖²
        dual = float(np.mean(w * np.exp(w) - np.expm1(w)) + penalty)
        with np.errstate(over="ignore", invalid="ignore"):
            gap = float(np.sum(alpha * (np.expm1(h - w) - (h - w))))
        return h, dual, gap

    w = np.zeros(count)
    h, dual, gap = evaluate(w)
    for _ in range(_ROUNDS):
        if gap <= enough * (dual - gap):
            break
        # (I + K diag(α) / λ) step = h - w, through a symmetric matrix whose eigenvalues are at least 1
        root = np.exp(0.5 * w) / math.sqrt(count)
        factor = cho_factor(np.eye(count) + root[:, None] * matrix * root, lower=True)
        residual = h - w
        step = residual - matrix @ (root * cho_solve(factor, root * residual))
        slope = float(np.sum(root**2 * step * residual))  # minus the dual's derivative along the step
        length = min(1.0, _LONGEST / max(float(step.max()), 1e-300))
        for _ in range(50):
            trial = evaluate(w + length * step)
            # Near the end the dual's decrease drowns in rounding, but the gap still tells.
            if trial[1] <= dual - 1e-4 * length * slope or trial[2] <= 0.5 * gap:
                break
            length *= 0.5
        else:
            break
        w = w + length * step
        h, dual, gap = trial
    return dual - gap, dual
