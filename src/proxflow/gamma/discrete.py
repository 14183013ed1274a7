"""All L-Lipschitz functions: the exact potential of the samples.

    φ(x) = min over j of  g_j + L|x - x_j|^p,      g the exact dual solution of `semidual`

With p = 1 this is McShane's extension of the optimal heights, so Γ is the whole of Γ_L and the divergence is bracketed
from both sides. With p > 1 it is the c-transform of the proximal in W_p^p: no bound on its slope, but exact too.

Where the minimum ties, φ has no gradient. The minimum is therefore softened at the solver's last temperature ε: the
gradient is the mean of L times the unit vectors away from the tied points, weighted by the optimal plan, and zero
from a point that x lies on. Particles move towards where their mass goes. (Without reweighting, f = IPM, the network
simplex returns one of many duals: there ties are broken its way.)

Nothing is trained and nothing is random. Every ascent solves the problem anew, starting from the last solution.

Bad at: speed (use it up to a few thousand points); and it knows the samples only: particles that follow it end as
copies of the target's points. Networks generalise where it does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.spatial.distance import cdist

from proxflow.gamma.base import Gamma, Objective, Potential
from proxflow.gamma.cones import ConesPotential, _soft_minimum
from proxflow.gamma.semidual import SampleSolution, solve_samples

__all__ = ["Discrete", "DiscreteState", "TransportPotential"]

_REHEAT = 64.0  # the next problem starts that much warmer than the last one ended


class TransportPotential(Potential):
    """softmin over j of g_j + L|x - x_j|^p, p > 1: the c-transform of heights (m,) on points (m, d).

    With `maximum`, softmax over j of g_j - L|x - x_j|^p.
    """

    heights: Array
    centres: Array
    slope: Array
    temperature: Array
    power: float = eqx.field(static=True)
    maximum: bool = eqx.field(static=True, default=False)

    def __call__(self, points: Array) -> Array:
        squares = jnp.sum((points[:, None, :] - self.centres) ** 2, axis=2)
        tiny = jnp.finfo(squares.dtype).tiny  # |0|^p has a slope, 0, that the power rule cannot see
        costs = self.slope * jnp.maximum(squares, tiny) ** (0.5 * self.power)
        # Without a temperature (IPM) still one that divides without overflow.
        softness = jnp.maximum(self.temperature, 1e-20 * jax.lax.stop_gradient(jnp.max(costs)) + tiny)
        sign = -1.0 if self.maximum else 1.0
        return sign * _soft_minimum(sign * self.heights + costs, softness)


class DiscreteState(NamedTuple):
    """The last solution: φ on the reference's points (m, d) and on the ascending ones (n, d), and its bracket."""

    heights: np.ndarray
    reference: np.ndarray
    values: np.ndarray
    ascending: np.ndarray
    temperature: float
    lower: float
    upper: float


class Discrete(Gamma):
    """Γ_L itself, on samples: exact potentials and a bracket.

    Parameters
    ----------
    L
        The Lipschitz constant (for power 1), else the price of moving mass by distance^power.
    power
        1 for L·W1, above 1 for L·W_p^p.
    gap
        The relative gap between the bounds at which an ascent stops.

    Examples
    --------
    >>> from proxflow import KL, Divergence, Particles, evolve
    >>> x = np.random.default_rng(0).normal(size=(40, 2))
    >>> run = evolve(Particles(), Divergence(Discrete(L=1.0), KL()), x + 3.0, x, steps=20)
    >>> bool(np.all(np.diff(run.history["value"][:10]) < 0))
    True
    """

    L: float = 1.0
    power: float = eqx.field(static=True, default=1.0)
    gap: float = eqx.field(static=True, default=1e-4)
    on_host: ClassVar[bool] = True

    def init(self, key: Array, particles: Array, target: Array) -> DiscreteState:
        clouds = np.asarray(target), np.asarray(particles)
        return DiscreteState(np.zeros(len(target)), clouds[0], np.zeros(len(particles)), clouds[1], 0.0, 0.0, math.inf)

    def ascend(self, objective: Objective, particles: Array, target: Array, state: Any) -> DiscreteState:
        again = state.temperature > 0 and len(state.heights) == len(target)
        found = self.solve(
            objective, np.asarray(particles, np.float64), np.asarray(target, np.float64),
            state.heights if again else None, _REHEAT * state.temperature if again else None,
        )  # fmt: skip
        return DiscreteState(
            found.heights, np.asarray(target), self._softened(found, particles, target), np.asarray(particles),
            found.temperature, found.lower, found.upper,
        )  # fmt: skip

    def _softened(self, found: SampleSolution, particles: Array, target: Array) -> np.ndarray:
        """φ on the ascending points at the last temperature: with these the other extension weighs by the plan."""
        if found.temperature == 0:
            return found.values
        costs = self.L * cdist(np.asarray(particles, np.float64), np.asarray(target, np.float64)) ** self.power
        excess = found.heights + costs - found.values[:, None]
        return found.values - found.temperature * np.log(np.sum(np.exp(-excess / found.temperature), axis=1))

    def solve(
        self, objective: Objective, particles: np.ndarray, target: np.ndarray,
        start: np.ndarray | None = None, temperature: float | None = None,
        report: Callable[[float], None] = lambda gap: None,
    ) -> SampleSolution:  # fmt: skip
        """Return the exact solution between float64 clouds, shapes (n, d) and (m, d)."""
        f = objective.f
        return solve_samples(
            particles,
            target,
            f,
            self.L,
            power=self.power,
            gap=self.gap,
            start=start,
            temperature=temperature,
            report=report,
        )

    def extension(self, solution: SampleSolution, target: np.ndarray) -> Potential:
        """Return the exact potential of a solution whose reference points these are, shape (m, d)."""
        return self._extended(solution.heights, target, solution.temperature, maximum=False)

    def potential(self, state: Any) -> Potential:
        return self._extended(state.heights, state.reference, state.temperature, maximum=False)

    def potential_on_reference(self, state: Any) -> Potential:
        # McShane's other extension, from the ascending points. Both are exact where the plan has mass, but the first
        # has an apex, and so no slope, on every reference point.
        return self._extended(state.values, state.ascending, state.temperature, maximum=True)

    def _extended(self, heights: Any, points: Any, temperature: float, *, maximum: bool) -> Potential:
        centres = jnp.asarray(points)
        known, slope, softness = (jnp.asarray(v, centres.dtype) for v in (heights, self.L, temperature))
        if self.power == 1:
            return ConesPotential.at_apexes(known, centres, slope, softness, maximum=maximum)
        return TransportPotential(known, centres, slope, softness, self.power, maximum)

    def lipschitz_bound(self, potential: Any) -> float:
        return float(self.L) if self.power == 1 else math.inf
