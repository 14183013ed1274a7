"""Adams methods: the slopes of earlier steps, extrapolated by a polynomial and integrated over the next one.

    predict   y* = y - dt Σ_j b_j g_j            g_0 here, g_1, g_2, ... at the last steps
    correct   y  = y - dt (c_* g_* + Σ_j c_j g_j)     g_* at y*, refitted there

b and c integrate Lagrange's polynomials through the times of those slopes, whatever the steps between them were,
exactly: Gauss' rule with 3 nodes is exact to degree 5. Adams-Bashforth predicts only, one fit a step; with the
corrector (Adams-Moulton, mode PECE) it takes two. Source: Hairer, Nørsett, Wanner, "Solving Ordinary Differential
Equations I", 1993, III.

The first steps are by the classical Runge-Kutta method, one stage per fit, so that the order of the whole is that of
the method: for those few steps the cloud is at a stage, and the size reported is a share of the step's.
Extrapolation magnifies noise in the slopes by Σ|b_j|: 2, 3.7, 6.7, 12 for orders 2 to 5, more after short steps.
Where it would double that, a step uses fewer slopes.

Bad at: slopes that jump, as near the target with a tight potential, which that factor multiplies; stiff problems,
for the higher the order the shorter the steps have to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.flows.base import Method, Slope

__all__ = ["Adams", "integral_weights"]

_NODES, _GAUSS = ((np.polynomial.legendre.leggauss(3)[i] + 1 - i) / 2 for i in (0, 1))  # on [0, 1]
_MAGNIFIED = (1.0, 2.0, 11 / 3, 20 / 3, 551 / 45)  # Σ|b| of orders 1 to 5 at equal steps
_TOLERATED = 2.0
_EXTREME = 16.0  # steps this many times longer or shorter than the present one are not looked at
# The classical Runge-Kutta method: each stage needs the last slope only.
_STAGE = (0.5, 0.5, 1.0, 0.0)
_WEIGHT = (1 / 6, 1 / 3, 1 / 3, 1 / 6)


class AdamsPast(NamedTuple):
    """Slopes of the last steps, newest first, shape (order - 1, m, d), and those steps' sizes; 0: nothing there yet.

    anchor, total, stage: the Runge-Kutta step in progress, where it began and the weighted sum of its slopes.
    """

    slopes: Array
    sizes: Array
    anchor: Array
    total: Array
    stage: Array


@dataclass(frozen=True)
class Adams(Method):
    """Adams-Bashforth of order 2 to 5, or its predictor-corrector."""

    order: int
    corrected: bool = False

    @property
    def stages(self) -> int:
        return 2 if self.corrected else 1

    def init(self, points: Array) -> AdamsPast:
        slopes = jnp.zeros((self.order - 1, *points.shape), points.dtype)
        zeros = jnp.zeros_like(points)
        return AdamsPast(slopes, jnp.zeros(self.order - 1, points.dtype), points, zeros, jnp.zeros((), jnp.int32))

    def size(self, past: Any, first: Array, proposed: Array, allowed: Array) -> tuple[Array, AdamsPast]:
        whole = jnp.where(past.stage > 0, past.sizes[0], proposed)
        return jnp.where(_starting(past), whole * (self.stages / 4), proposed), past

    def step(self, slope: Slope, first: Array, points: Array, past: Any, size: Array) -> tuple[Array, AdamsPast]:
        starting = _starting(past)
        predictor, corrector = self.weights(past.sizes, size)
        known = jnp.concatenate([first[None], past.slopes])
        start, started = _stage_of_four(past, points, first, size * (4 / self.stages))
        cloud = jnp.where(starting, started, points - size * jnp.tensordot(predictor, known, 1))
        if self.corrected:
            there = slope(cloud)
            start, started = _stage_of_four(start, points, there, size * (4 / self.stages))
            corrected = corrector[0] * there + jnp.tensordot(corrector[1:], known[: self.order - 1], 1)
            cloud = jnp.where(starting, started, points - size * corrected)
        ahead = _pushed(past, first, size)
        return cloud, _chosen(starting, start, ahead)

    def weights(self, sizes: Array, size: Array) -> tuple[Array, Array]:
        """Weights of the predictor and the corrector, each (order,), for a step of this size after those.

        Parameters
        ----------
        sizes
            Of the last steps, newest first, shape (order - 1,); 0: there was none.
        size
            Of this step.
        """
        relative = sizes / jnp.maximum(size, jnp.finfo(size.dtype).tiny)
        usable = jnp.cumprod((relative > 1 / _EXTREME) & (relative < _EXTREME)) > 0
        nodes = -jnp.concatenate([jnp.zeros(1, size.dtype), jnp.cumsum(jnp.where(usable, relative, 1.0))])
        ahead = jnp.concatenate([jnp.ones(1, size.dtype), nodes[:-1]])
        counts = np.arange(1, self.order + 1)
        predictors = integral_weights(nodes, counts)
        correctors = integral_weights(ahead, np.minimum(counts + 1, self.order))
        calm = jnp.sum(jnp.abs(predictors), axis=1) <= _TOLERATED * jnp.asarray(_MAGNIFIED[: self.order], size.dtype)
        # The largest number of slopes that is calm and there; one slope, of weight 1, always is.
        best = jnp.max(jnp.where(calm[1:] & usable, counts[1:], 1)) - 1
        return predictors[best], correctors[best]


def integral_weights(nodes: Array, counts: np.ndarray) -> Array:
    """Integrals over [0, 1] of Lagrange's polynomials on the first so many of the nodes.

    Parameters
    ----------
    nodes
        Times, all different, shape (k,), k at most 5.
    counts
        How many of them to use, shape (n,).

    Returns
    -------
    Array
        One row of weights per count, shape (n, k); 0 for nodes that are not used.
    """
    same = np.eye(len(nodes), dtype=bool)
    used = np.arange(len(nodes)) < counts[:, None]
    factors = (jnp.asarray(_NODES, nodes.dtype)[:, None, None] - nodes) / jnp.where(same, 1.0, nodes[:, None] - nodes)
    factors = jnp.where(same | ~used[:, None, None, :], 1.0, factors)  # (count, Gauss, polynomial, node)
    return jnp.einsum("g,cgp->cp", jnp.asarray(_GAUSS, nodes.dtype), jnp.prod(factors, axis=3)) * used


def _starting(past: AdamsPast) -> Array:
    return (past.sizes[-1] <= 0) | (past.stage > 0)


def _chosen(condition: Array, first: AdamsPast, second: AdamsPast) -> AdamsPast:
    return AdamsPast(*(jnp.where(condition, a, b) for a, b in zip(first, second, strict=True)))


def _pushed(past: AdamsPast, slope: Array, size: Array) -> AdamsPast:
    """The past with one slope more, the oldest forgotten; a step of length 0 leaves it, for times must differ."""
    slopes = jnp.concatenate([slope[None], past.slopes])[:-1]
    sizes = jnp.concatenate([size[None], past.sizes])[:-1]
    moving = size > 0
    return past._replace(slopes=jnp.where(moving, slopes, past.slopes), sizes=jnp.where(moving, sizes, past.sizes))


def _stage_of_four(past: AdamsPast, points: Array, slope: Array, size: Array) -> tuple[AdamsPast, Array]:
    """One stage of a classical Runge-Kutta step: the past, and the cloud at which the next slope is wanted."""
    stage = past.stage
    first = stage == 0
    past = _chosen(first, _pushed(past, slope, size), past)
    anchor = jnp.where(first, points, past.anchor)
    total = jnp.where(first, 0.0, past.total) + jnp.asarray(_WEIGHT, slope.dtype)[stage] * slope
    share = jnp.asarray(_STAGE, slope.dtype)[stage]
    cloud = anchor - size * jnp.where(stage == 3, total, share * slope)
    after = jnp.where(size > 0, (stage + 1) % 4, stage)
    return past._replace(anchor=anchor, total=total, stage=after), cloud
