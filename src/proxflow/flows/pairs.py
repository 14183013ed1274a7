"""Embedded pairs: a Runge-Kutta method with a second set of weights, one order lower, on the same slopes.

    error ~ dt |Σ_i (b_i - c_i) g_i|,      dt <- dt · 0.9 r^(-0.7/p) s^(0.4/p),    p the order of the better one

r is the error over the one allowed, s that ratio a step earlier: a proportional-integral controller (Gustafsson,
"Control theoretic techniques for stepsize selection in explicit Runge-Kutta methods", ACM TOMS 1991). The last
slope of the error may be the first of the next step, so Bogacki and Shampine's pair (Applied Mathematics Letters
1989) costs three fits a step, not four: a step's error is known when the next one begins.

No step is taken back. A step taken back would throw away fits, and what the potential learned there is worth
keeping: the next potential starts from it and corrects the particles. Too large an error makes the next step smaller,
at most five times.

Bad at: potentials with kinks, and early ones. Both look like errors of the step and keep it short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from proxflow.flows.base import Method, Slope
from proxflow.flows.tableaus import RungeKutta, moved

__all__ = ["EmbeddedPair"]

_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 3.0


class PairPast(NamedTuple):
    """The last step: its error but for the slope after it, shape (m, d), its dt, and the ratio before it."""

    error: Array
    size: Array
    ratio: Array


@dataclass(frozen=True)
class EmbeddedPair(Method):
    """A Runge-Kutta method whose step size follows its own error; the step rule gives the first.

    errors: weights of the slopes in the error, one more than there are stages: the last is the next step's first.
    """

    order: int
    method: RungeKutta
    errors: tuple[float, ...]

    @property
    def stages(self) -> int:
        return self.method.stages

    def init(self, points: Array) -> PairPast:
        return PairPast(jnp.zeros_like(points), jnp.zeros((), points.dtype), jnp.ones((), points.dtype))

    def size(self, past: Any, first: Array, proposed: Array, allowed: Array) -> tuple[Array, PairPast]:
        error = past.error + past.size * self.errors[-1] * first
        length = jnp.sqrt(jnp.mean(jnp.sum(error**2, axis=-1)))
        tiny = jnp.finfo(length.dtype).tiny
        ratio = jnp.clip(length / jnp.maximum(allowed, tiny), 1e-4, 1e4)
        change = _SAFETY * ratio ** (-0.7 / self.order) * past.ratio ** (0.4 / self.order)
        begun = past.size > 0
        size = jnp.where(begun, past.size * jnp.clip(change, _SHRINK, _GROW), proposed)
        return size, PairPast(past.error, past.size, jnp.where(begun, ratio, past.ratio))

    def step(self, slope: Slope, first: Array, points: Array, past: Any, size: Array) -> tuple[Array, PairPast]:
        slopes = self.method.slopes(slope, first, points, size)
        error = moved(jnp.zeros_like(points), slopes, self.errors[:-1], -size)
        return moved(points, slopes, self.method.weights, size), PairPast(error, size, past.ratio)
