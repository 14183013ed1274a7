"""The particles themselves move: dy/dt = -grad φ(y), the generative particle algorithm (GPA).

    fit φ at the particles;     report D, I, max |grad φ|;     choose dt;     step, refitting at every stage

`methods` says how a step follows the slopes, `steps` how long it is. Source: Gu, Birmpa, Pantazis, Rey-Bellet,
Katsoulakis, SIAM Journal on Mathematics of Data Science (2024).

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
from proxflow.flows.methods import METHODS
from proxflow.flows.steps import DivergenceStep, StepRule
from proxflow.gamma.base import Potential, gradients
from proxflow.validation import check_choice

__all__ = ["METHODS", "ParticleState", "Particles", "replay_all"]


class ParticleState(NamedTuple):
    """Where the particles are, shape (m, d), and what the method remembers of earlier steps."""

    points: Array
    past: Any = ()


class Particles(Flow):
    """Steps of the particles along -grad φ.

    Parameters
    ----------
    rule
        How dt is chosen at every step. Methods that choose it by their own error ("heun_euler", "bs23") ask the
        rule for the first step only.
    method
        "euler" (one fit per step), "heun", "rk4", "ab2" to "ab5", "abm2" to "abm5", "heun_euler" or "bs23":
        see `flows.methods`.
    low, high
        A box the particles are projected onto after every step, such as [0, 1] for pixels.
    fixed
        The last so many features are seen by the potential and never moved: labels, covariates.
    rtol, atol
        The error that "heun_euler" and "bs23" allow a step, as a root mean square over the particles: rtol times the
        mean distance still to go, estimated as D / √I, plus atol, a length in the data's units.
    driving
        Only the first so many particles are measured, and choose dt; the others ride along. None: all.

    Raises
    ------
    ValueError
        For a method that is not in the table.
    """

    rule: StepRule = DivergenceStep()
    method: str = eqx.field(static=True, default="euler")
    low: float = -float("inf")
    high: float = float("inf")
    fixed: int = eqx.field(static=True, default=0)
    rtol: float = 0.05
    atol: float = 0.0
    driving: Any = None

    def __check_init__(self) -> None:
        check_choice(self.method, "method", tuple(METHODS))

    def init(self, source: Array, key: Array | None = None) -> ParticleState:
        return ParticleState(source, METHODS[self.method].init(source))

    def cloud(self, state: Any) -> Array:
        return state.points

    def step(
        self, state: Any, drive: Drive, memory: Any, index: Array
    ) -> tuple[ParticleState, Any, Report, tuple[Potential, ...]]:
        method = METHODS[self.method]
        potential, value, memory = drive(state.points, memory)
        potentials = [potential]

        def refitted(cloud: Array) -> Array:
            nonlocal memory
            cloud = self._inside(cloud)
            potential, _, memory = drive(cloud, memory)
            potentials.append(potential)
            return self._slopes(potential, cloud)

        first = self._slopes(potential, state.points)
        squares = jnp.sum(first**2, axis=-1)
        fisher = jnp.mean(squares)
        if self.driving is not None:
            squares = jnp.where(jnp.arange(len(squares)) < self.driving, squares, 0)
            fisher = jnp.sum(squares) / self.driving
        slope = jnp.sqrt(jnp.max(squares))
        # D falls at the rate I and a particle moves at about √I: this far it has to go.
        distance = jnp.maximum(value, 0) / jnp.sqrt(jnp.maximum(fisher, jnp.finfo(fisher.dtype).tiny))
        proposed = self.rule(value, fisher, slope, index)
        size, past = method.size(state.past, first, proposed, self.rtol * distance + self.atol)
        points, past = method.step(refitted, first, state.points, past, size)
        return ParticleState(self._inside(points), past), memory, Report(value, fisher, slope, size), tuple(potentials)

    def replay(self, state: Any, potentials: Sequence[Potential], size: Array) -> ParticleState:
        """Move other points (`init(points)` is their first state) through one recorded step of this size."""
        rest = iter(potentials[1:])

        def recorded(cloud: Array) -> Array:
            cloud = self._inside(cloud)
            return self._slopes(next(rest), cloud)

        first = self._slopes(potentials[0], state.points)
        points, past = METHODS[self.method].step(recorded, first, state.points, state.past, size)
        return ParticleState(self._inside(points), past)

    def _slopes(self, potential: Potential, cloud: Array) -> Array:
        slopes = gradients(potential, cloud)
        return slopes if not self.fixed else slopes.at[:, -self.fixed :].set(0)

    def _inside(self, cloud: Array) -> Array:
        inside = jnp.clip(cloud, self.low, self.high)
        return inside if not self.fixed else inside.at[:, -self.fixed :].set(cloud[:, -self.fixed :])


@jax.jit
def replay_all(flow: Particles, state: Any, potentials: tuple[Potential, ...], sizes: Array) -> Any:
    """Replay many recorded steps: potentials stacked along a leading axis, sizes shape (steps,); state to state."""

    def body(state: Any, step: tuple[tuple[Potential, ...], Array]) -> tuple[Any, None]:
        return flow.replay(state, *step), None

    return jax.lax.scan(body, state, (potentials, sizes))[0]
