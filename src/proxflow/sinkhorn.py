"""Debiased Sinkhorn divergence of two samples, converged: optimal transport that does not see below a blur.

    S(x, y)      = OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2
    OT(x, y)     = max over f, g of  mean f + mean g - ε mean (exp((f_i + g_j - c_ij) / ε) - 1)
    c, ε         = |x - y|² / 2 and blur² for p = 2,  |x - y| and blur for p = 1

Sources: Genevay, Peyré, Cuturi, "Learning generative models with Sinkhorn divergences", AISTATS 2018; Feydy, Séjourné,
Vialard, Amari, Trouvé, Peyré, "Interpolating between optimal transport and MMD using Sinkhorn divergences", AISTATS
2019, whose library geomloss has the same convention for c and ε.

Given g the best f is T g, a soft minimum of c - g over y, and likewise for g. Alternating both is Sinkhorn's algorithm,
which at small ε stops moving long before it has arrived. Here it only starts, from large ε down to the one asked for,
and Newton's method finishes: the plan at small ε is sparse, and conjugate gradients solve its equations. Half of the
slope along a Newton step is also what is left to gain, so that the end is known to be one.

Bad at: an ε that is small compared with the costs between neighbours (many rounds, as in high dimension; exact
transport is then better), many points (time grows with n m), and detail finer than the blur, which it does not see.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from proxflow.validation import check_choice, check_cloud, check_positive, check_same_width

__all__ = ["sinkhorn_divergence"]

Values = npt.NDArray[np.float64]

_FINEST, _COARSEST = 1e-6, 1e8  # blur / extent, below which float64 runs out of digits, and ε / largest cost, nearly ∞
_ENOUGH = 1e-5  # what may be left to gain, in ε
_COOLING = 0.25  # from one ε to the next
_ROUNDS, _ROUNDS_BETWEEN = 300, 3
_BLOCK = 500_000  # pairs of points at a time
_NEGLIGIBLE = -20.0  # log of what a plan's entry must be to count in a Newton step, its row having the mean 1
_STORED = 26_000_000  # entries of a plan, 12 bytes each
_LONGEST = 60.0  # the spread of a Newton step, in ε: beyond it the quadratic model says nothing


def sinkhorn_divergence(x: Any, y: Any, *, blur: float = 0.05, p: int = 2) -> float:
    """Debiased Sinkhorn divergence of two samples, at least 0, in the data's units to the power p.

    It goes from W2² / 2 (W1 for p = 1) as blur -> 0 to half the squared distance of the means (half the energy
    distance) as blur -> ∞. Converged: about 1e-5 ε at most is left to gain. Values from few rounds of Sinkhorn's
    algorithm, as geomloss makes by default, are lower: for two samples of one law by a third, seen once.

    Parameters
    ----------
    x, y
        Samples, shapes (n, d) and (m, d), uniform weights.
    blur
        The length below which detail is not seen, in the data's units; ε = blur^p.
    p
        2 for costs |x - y|² / 2, 1 for |x - y|.

    Raises
    ------
    ValueError
        Bad samples (see `check_cloud`), another p, or a blur that is not positive or below 1e-6 of the data's extent.
    RuntimeError
        If the maximum is not reached; the message says what is left.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> round(sinkhorn_divergence(x, x + [3.0, 4.0]), 6)  # a shift costs half the square of its length
    12.5
    """
    check_choice(p, "p", [1, 2])  # type: ignore[list-item]
    check_positive(blur, "blur")
    x, y = check_cloud(x, "x", minimum=1), check_cloud(y, "y", minimum=1)
    check_same_width(x, y, "x", "y")
    between_means = 0.0
    if p == 2:  # squares split into those of the means and of what is left
        between_means = 0.5 * float(np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2))
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    else:
        x, y = x - y.mean(axis=0), y - y.mean(axis=0)
    extent = float(np.linalg.norm(np.ptp(np.concatenate([x, y]), axis=0)))
    if extent == 0:
        return between_means
    if blur < _FINEST * extent:
        raise ValueError(
            f"blur = {blur:g} is below {_FINEST:g} of the data's extent, {extent:.3g}: float64 has no digits left."
            " Take a larger blur, or wasserstein, which has none."
        )
    epsilon = min(blur / extent, _COARSEST ** (1 / p)) ** p
    with jax.enable_x64(True):
        first, second = jnp.asarray(x / extent), jnp.asarray(y / extent)
        own = _transport_to_itself(first, epsilon, p) + _transport_to_itself(second, epsilon, p)
        value = _transport(first, second, epsilon, p) - 0.5 * own
    return between_means + max(value, 0.0) * extent**p


# ---------------------------------------------------------------------- soft minima


def _costs(x: Array, y: Array, p: int) -> Array:
    squares = 0.5 * (jnp.sum(x * x, axis=1)[:, None] + jnp.sum(y * y, axis=1)) - x @ y.T
    squares = jnp.maximum(squares, 0.0)
    return squares if p == 2 else jnp.sqrt(2 * squares)


@partial(jax.jit, static_argnames=("p", "rows"))
def _soft_minima(x: Array, y: Array, g: Array, epsilon: Array, p: int, rows: int) -> Array:
    def block(some: Array) -> Array:
        exponents = (g - _costs(some, y, p)) / epsilon
        top = jnp.max(exponents, axis=1)
        # For large ε all exponents are small and nearly equal: e^v - 1 keeps their digits.
        return -epsilon * (top + jnp.log1p(jnp.mean(jnp.expm1(exponents - top[:, None]), axis=1)))

    padded = jnp.pad(x, ((0, -len(x) % rows), (0, 0)))
    return jax.lax.map(block, padded.reshape(-1, rows, x.shape[1])).ravel()[: len(x)]


def _best(x: Array, y: Array, g: Values, epsilon: float, p: int) -> Values:
    """The best potential on x, shape (n,), given the one on y: T g = -ε log mean exp((g - c) / ε)."""
    rows = min(len(x), max(_BLOCK // len(y), 1))
    return np.asarray(_soft_minima(x, y, jnp.asarray(g), jnp.asarray(epsilon), p, rows))


# ---------------------------------------------------------------------- OT of a sample with itself


def _transport_to_itself(x: Array, epsilon: float, p: int) -> float:
    """OT(x, x). Both potentials are one, and averaged steps at least halve its error: the kernel is positive."""
    f = np.zeros(len(x))
    change = math.inf
    while change > _ENOUGH * epsilon:
        best = _best(x, x, f, epsilon, p)
        # At large ε the change ends at rounding errors of f, which is as large as the costs.
        change = float(np.max(np.abs(best - f))) - 1e-14
        f = 0.5 * (f + best)
    mass = float(np.mean(np.expm1((f - _best(x, x, f, epsilon, p)) / epsilon)))
    return 2 * float(np.mean(f)) - epsilon * mass


# ---------------------------------------------------------------------- OT of two samples


def _transport(x: Array, y: Array, epsilon: float, p: int) -> float:
    f = np.zeros(len(x))
    coarse = 1.0
    while coarse > epsilon:  # where plans are dense Sinkhorn's algorithm is cheaper than Newton's
        f, _, _ = _ascend(x, y, f, coarse, p, rounds=_ROUNDS_BETWEEN, enough=0.1, stored=len(x) * len(y) // 10)
        coarse *= _COOLING
    _, value, left = _ascend(x, y, f, epsilon, p, rounds=_ROUNDS, enough=_ENOUGH, stored=_STORED)
    if left > _ENOUGH * epsilon:
        raise RuntimeError(
            f"Sinkhorn divergence not converged: about {left / epsilon:.2g} of blur^{p} is left to gain in"
            f" {_ROUNDS} rounds. Take a larger blur, or wasserstein, which has none."
        )
    return value


def _ascend(
    x: Array, y: Array, f: Values, epsilon: float, p: int, *, rounds: int, enough: float, stored: int
) -> tuple[Values, float, float]:
    """Maximise mean f + mean T f; return f, the value and about what is left to gain.

    A round is one of Sinkhorn's, which mends what is local, then a Newton step, which mends the rest; without that if
    the plan has more entries than may be stored.
    """
    n = len(f)
    damping, gain = 1e-6, math.inf
    g = _best(y, x, f, epsilon, p)
    value, left = float(np.mean(f) + np.mean(g)), math.inf
    for _ in range(rounds):
        f = _best(x, y, g, epsilon, p)
        g = _best(y, x, f, epsilon, p)
        value, before, previous, gain = float(np.mean(f) + np.mean(g)), value, gain, 0.0
        gain = max(value - before, 0.0)
        plan = _plan(x, y, f, g, epsilon, p, stored)
        if plan is None:
            left = gain * gain / (previous - gain) if gain < previous else math.inf  # of a geometric series
            if left <= enough * epsilon or gain <= 1e-15:
                left = 0.0
                break
            continue
        missing = -np.expm1((f - _best(x, y, g, epsilon, p)) / epsilon) / n  # the slope in f: mass that rows lack
        step = epsilon * _newton_step(plan, missing, damping)
        slope = float(missing @ step)
        left = 0.5 * slope
        if left <= enough * epsilon:
            break
        length = min(1.0, _LONGEST * epsilon / float(np.ptp(step)))
        for _ in range(12):
            trial = f + length * step
            other = _best(y, x, trial, epsilon, p)
            reached = float(np.mean(trial) + np.mean(other))
            if reached >= value + 1e-4 * length * slope:
                f, g, value = trial, other, reached
                break
            length *= 0.5
        if length == 1:
            damping = max(0.1 * damping, 1e-12)
        elif length < 0.1:
            damping = min(10 * damping, 1.0)
    return f, value, left


@partial(jax.jit, static_argnames="p")
def _exponents(x: Array, y: Array, f: Array, g: Array, epsilon: Array, p: int) -> Array:
    return (f[:, None] + g - _costs(x, y, p)) / epsilon


def _plan(x: Array, y: Array, f: Values, g: Values, epsilon: float, p: int, stored: int) -> Any:
    """The plan exp((f_i + g_j - c_ij) / ε) / (n m) without its negligible entries, CSR (n, m); None if too many."""
    from scipy.sparse import csr_matrix

    n, m = len(x), len(y)
    rows = min(n, max(_BLOCK // m, 1))
    # Memory that is never written to is never taken.
    values, columns = np.empty(stored), np.empty(stored, np.int32)
    ends, end = np.zeros(n + 1, np.int32), 0
    for start in range(0, n, rows):
        begin = min(start, n - rows)  # the last block overlaps the one before: every block has one shape
        block = slice(begin, begin + rows)
        exponents = np.asarray(_exponents(x[block], y, jnp.asarray(f[block]), jnp.asarray(g), epsilon, p))
        exponents = exponents[start - begin :]
        kept = exponents > _NEGLIGIBLE
        counts = np.cumsum(np.count_nonzero(kept, axis=1))
        if end + counts[-1] > stored:
            return None
        places = np.flatnonzero(kept)
        new = slice(end, end + int(counts[-1]))
        values[new] = np.exp(exponents.ravel()[places]) / (n * m)
        columns[new] = places % m
        ends[start + 1 : start + 1 + len(counts)] = end + counts
        end = new.stop
    return csr_matrix((values[:end], columns[:end], ends), shape=(n, m))


def _newton_step(plan: Any, missing: Values, damping: float) -> Values:
    """Solve (R (1 + damping) - P C⁻¹ Pᵀ) step = missing, R and C being the plan's row and column sums; in units of ε.

    The matrix is minus the Hessian of mean f + mean T f. It is a graph's Laplacian, singular for every part of the plan
    that hangs together, and so damped.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    rows, columns = np.asarray(plan.sum(axis=1)).ravel(), np.asarray(plan.sum(axis=0)).ravel()
    back = plan.T
    diagonal = rows * (1 + damping)
    shape = (len(rows), len(rows))
    matrix = LinearOperator(shape, lambda v: diagonal * v - plan @ (back @ v / columns), dtype=np.float64)
    scale = LinearOperator(shape, lambda v: v / diagonal, dtype=np.float64)
    step, _ = cg(matrix, missing, rtol=1e-2, maxiter=2000, M=scale)
    return np.asarray(step)
