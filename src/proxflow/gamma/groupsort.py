"""Γ_L by orthonormal layers and GroupSort: the default space.

1-Lipschitz with gradient norm 1 almost everywhere, and dense in the 1-Lipschitz functions
(Anil, Lucas, Grosse, "Sorting out Lipschitz function approximation", ICML 2019). Weights are kept orthonormal
by Björck's iteration W <- W (3 I - WᵀW) / 2 after every update; for singular values in [0, 2] one round already
lands in [0, 1], so the bound L holds at every step, not only at convergence.

Bad at: kinks by the hundred (a network of width 64 blurs a minimum of 256 cones).
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from proxflow.gamma import network
from proxflow.gamma.base import Gamma, Objective
from proxflow.gamma.network import NetworkPotential, NetworkState, Weights

__all__ = ["GroupSort", "orthonormalise"]


def orthonormalise(weight: Array) -> Array:
    """Return the orthonormal matrix nearest to weight, by two Björck rounds from close by.

    The rounds need a norm below 2. ‖W‖₂² is at most the largest absolute row sum of the Gram matrix, which is
    1 for orthonormal weights: dividing by it only when it passes 2 guards the first, wild updates for free.
    """
    after, before = weight.shape
    if min(after, before) == 1:
        return weight / jnp.maximum(jnp.linalg.norm(weight), 1e-12)
    tall = after >= before

    def gram(w: Array) -> Array:
        return w.T @ w if tall else w @ w.T

    def relax(w: Array, g: Array) -> Array:
        return 1.5 * w - 0.5 * (w @ g if tall else g @ w)

    first = gram(weight)
    shrink = 1 / jnp.maximum(1.0, 0.5 * jnp.max(jnp.sum(jnp.abs(first), axis=1)))
    weight = relax(weight * jnp.sqrt(shrink), first * shrink)
    return relax(weight, gram(weight))


def _project(weights: Weights, auxiliary: Any) -> tuple[Weights, Any]:
    return tuple(orthonormalise(w) for w in weights), auxiliary


def _project_loosely(weights: Weights, auxiliary: Any) -> tuple[Weights, Any]:
    last = weights[-1]
    shorter = last / jnp.maximum(1.0, jnp.linalg.norm(last))
    return (*(orthonormalise(w) for w in weights[:-1]), shorter), auxiliary


class GroupSort(Gamma):
    """L-Lipschitz potentials: orthonormal dense layers with GroupSort activations.

    Parameters
    ----------
    L
        The Lipschitz constant, in units of potential per unit of data.
    width, depth
        Units per hidden layer (even) and number of hidden layers.
    updates
        Adam steps per ascent.
    learning_rate
        Of Adam; weights are orthonormal, so it is an angle per update.
    horizon
        Updates over which the learning rate falls to zero; None keeps it constant.
    momentum
        b1 of Adam. Less where a mover answers at once, for then an old gradient says where the mass was.
    loose
        Let the last layer be shorter than 1. Slopes are then anything up to L, where otherwise they are L almost
        everywhere and a potential that ought to be flat has to fold: better for a mover that must come to rest.
    """

    L: float = 1.0
    width: int = eqx.field(static=True, default=64)
    depth: int = eqx.field(static=True, default=3)
    updates: int = eqx.field(static=True, default=5)
    learning_rate: float = 5e-3
    horizon: float | None = None
    momentum: float = eqx.field(static=True, default=network.MOMENTUM)
    loose: bool = eqx.field(static=True, default=False)

    def init(self, key: Array, particles: Array, target: Array) -> NetworkState:
        return network.new_state(key, particles, target, self.width, self.depth, lambda _: ())

    def ascend(self, objective: Objective, particles: Array, target: Array, state: Any) -> NetworkState:
        return network.adam_ascent(
            objective, self.potential, _project_loosely if self.loose else _project, particles, target, state,
            updates=self.updates, learning_rate=self.learning_rate, horizon=self.horizon,
            momentum=self.momentum,
        )  # fmt: skip

    def potential(self, state: Any) -> NetworkPotential:
        slope = jnp.asarray(self.L, state.scale.dtype)
        return NetworkPotential(state.network, state.centre, state.scale, slope, "group_sort")

    def lipschitz_bound(self, potential: Any) -> float:
        return network.spectral_bound(potential)
