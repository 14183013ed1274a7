"""The particles themselves move: dy/dt = -grad φ(y), the generative particle algorithm (GPA).

    y <- y - dt Σ_i b_i grad φ_i(y_i),      y_i = y - dt Σ_j a_ij grad φ_j(y_j)

An explicit Runge-Kutta method is its tableau; every stage refits the potential at its own cloud. Source: Gu,
Birmpa, Pantazis, Rey-Bellet, Katsoulakis, SIAM Journal on Mathematics of Data Science (2024).

Bad at: instant sampling. New points must replay the potentials.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from proxflow.flows.base import Drive, Flow, Report
from proxflow.flows.steps import DivergenceStep, StepRule
from proxflow.gamma.base import Potential, gradients

__all__ = ["METHODS", "ParticleState", "Particles"]


class Tableau(NamedTuple):
    """Weights of earlier stages in each stage, and of all stages in the step."""

    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]


METHODS: dict[str, Tableau] = {
    "euler": Tableau(((),), (1.0,)),
    "heun": Tableau(((), (1.0,)), (0.5, 0.5)),
}


class ParticleState(NamedTuple):
    """Where the particles are, shape (m, d)."""

    points: Array


class Particles(Flow):
    """Explicit Runge-Kutta steps of the particles along -grad φ.

    Parameters
    ----------
    rule
        How dt is chosen at every step.
    method
        "euler" (one fit per step) or "heun" (two fits, second order).
    low, high
        A box the particles are projected onto after every step, such as [0, 1] for pixels.
    """

    rule: StepRule = DivergenceStep()
    method: str = eqx.field(static=True, default="euler")
    low: float = -float("inf")
    high: float = float("inf")

    def init(self, source: Array) -> ParticleState:
        return ParticleState(source)

    def cloud(self, state: Any) -> Array:
        return state.points

    def step(
        self, state: Any, drive: Drive, memory: Any, index: Array
    ) -> tuple[ParticleState, Any, Report, tuple[Potential, ...]]:
        potential, value, memory = drive(state.points, memory)
        first = gradients(potential, state.points)
        squares = jnp.sum(first**2, axis=-1)
        fisher, slope = jnp.mean(squares), jnp.sqrt(jnp.max(squares))
        size = self.rule(value, fisher, slope, index)

        slopes, potentials = [first], [potential]
        for row in METHODS[self.method].stages[1:]:
            cloud = self._move(state.points, slopes, row, size)
            potential, _, memory = drive(cloud, memory)
            slopes.append(gradients(potential, cloud))
            potentials.append(potential)
        points = self._move(state.points, slopes, METHODS[self.method].weights, size)
        return ParticleState(points), memory, Report(value, fisher, slope, size), tuple(potentials)

    def replay(self, points: Array, potentials: Sequence[Potential], size: Array) -> Array:
        """Move other points, shape (k, d), through one recorded step of this size."""
        tableau = METHODS[self.method]
        slopes: list[Array] = []
        for row, potential in zip(tableau.stages, potentials, strict=True):
            slopes.append(gradients(potential, self._move(points, slopes, row, size)))
        return self._move(points, slopes, tableau.weights, size)

    def _move(self, points: Array, slopes: Sequence[Array], weights: Sequence[float], size: Array) -> Array:
        total = sum((w * g for w, g in zip(weights, slopes, strict=True) if w), jnp.zeros_like(points))
        return jnp.clip(points - size * total, self.low, self.high)


@jax.jit
def replay_all(flow: Particles, points: Array, potentials: tuple[Potential, ...], sizes: Array) -> Array:
    """Move points through many recorded steps: potentials stacked along a leading axis, sizes shape (steps,)."""

    def body(points: Array, step: tuple[tuple[Potential, ...], Array]) -> tuple[Array, None]:
        return flow.replay(points, *step), None

    return jax.lax.scan(body, points, (potentials, sizes))[0]
