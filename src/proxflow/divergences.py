"""A divergence is a pair (f, Γ) and a direction; it turns two clouds into a value and a potential.

    D_f^Γ(P‖Q) = sup over φ in Γ of  E_P[φ] - Λ_f(φ; Q)         its first variation in P is φ
    D_f^Γ(Q‖P) = sup over φ in Γ of  E_Q[φ] - Λ_f(φ; P)         its first variation in P is -f*(φ - ν)

P is always the moving measure. The direction lives here and nowhere else: a flow asks for the first variation
and never knows. Source: Birrell et al., "(f, Γ)-divergences", JMLR 23 (2022); Gu, Birmpa, Pantazis,
Rey-Bellet, Katsoulakis, "Lipschitz-regularized gradient flows and generative particle algorithms for
high-dimensional scarce data", SIAM Journal on Mathematics of Data Science (2024).
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from proxflow.entropies import KL, Entropy, cumulant, cut, influence
from proxflow.gamma.base import Gamma, Potential

__all__ = ["Divergence"]


class ReversedPotential(Potential):
    """-f*(φ - ν): the first variation in P of D(Q‖P). The level is ν, or what else f needs to know of φ on P."""

    potential: Potential
    level: Any
    f: Entropy = eqx.field(static=True)

    def __call__(self, points: Array) -> Array:
        return -influence(self.f, self.potential(points), self.level)


class DualObjective(eqx.Module):
    """E[φ] over the ascending cloud minus Λ_f(φ) over the reference, from φ's values there: shapes (n,) and (m,)."""

    f: Entropy = eqx.field(static=True)

    def __call__(self, ascending: Array, reference: Array) -> Array:
        level, _ = cumulant(self.f, reference)
        return jnp.mean(ascending) - level


class Divergence(eqx.Module):
    """D_f^Γ(P‖Q), or D_f^Γ(Q‖P) if reverse, for P the particles and Q the target.

    Pure functions of a memory (the potential under training), jittable throughout.
    """

    gamma: Gamma
    f: Entropy = eqx.field(static=True, default=KL())
    reverse: bool = eqx.field(static=True, default=False)

    @property
    def objective(self) -> DualObjective:
        """What φ maximises."""
        return DualObjective(self.f)

    def init(self, key: Array, particles: Array, target: Array) -> Any:
        """Return a first memory."""
        return self.gamma.init(key, particles, target)

    def fit(self, particles: Array, target: Array, memory: Any) -> Any:
        """Return the memory after one ascent of Γ between these clouds."""
        first, second = (target, particles) if self.reverse else (particles, target)
        return self.gamma.ascend(self.objective, first, second, memory)

    def value(self, particles: Array, target: Array, memory: Any) -> Array:
        """Return the objective at the present potential: a lower bound on the divergence of these samples."""
        potential = self.gamma.potential(memory)
        first, second = (target, particles) if self.reverse else (particles, target)
        return self.objective(potential(first), potential(second))

    def debiased_value(self, particles: Array, target: Array, memory: Any) -> Array:
        """Return the objective of the clouds these are batches of, less most of the bias of a batch.

        E_P is estimated without bias, but Λ_f, an infimum of means, is concave in the reference: that of a batch
        of size B is too small by O(1/B) on average, and the value too large. Twice the whole less the mean of two
        halves is free of that term (the jackknife: Quenouille, "Notes on bias in estimation", Biometrika 1956).
        """
        potential = self.gamma.potential(memory)
        first, second = (target, particles) if self.reverse else (particles, target)
        ascending, reference = potential(first), potential(second)
        half = len(reference) // 2
        whole = self.objective(ascending, reference)
        if half == 0:
            return whole
        halves = [self.objective(ascending, part) for part in (reference[:half], reference[-half:])]
        return 2 * whole - 0.5 * (halves[0] + halves[1])

    def variation(self, particles: Array, memory: Any) -> Potential:
        """Return the first variation in P; along minus its gradient the divergence falls fastest."""
        if not self.reverse:
            return self.gamma.potential(memory)
        potential = self.gamma.potential_on_reference(memory)
        return ReversedPotential(potential, cut(self.f, potential(particles)), self.f)
