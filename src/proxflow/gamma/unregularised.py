"""L = inf: any network, no bound on its slope. Here to show why the bound is needed.

Without it the divergence of samples that do not overlap is infinite, the potential steepens without end and the
particles' speed with it. Use it to see that, or where P and Q overlap and D_f itself is wanted.

Bad at: everything else.
"""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
from jax import Array

from proxflow.gamma import network
from proxflow.gamma.base import Gamma, Objective
from proxflow.gamma.network import NetworkPotential, NetworkState, Weights

__all__ = ["Unregularised"]


def _keep(weights: Weights, auxiliary: Any) -> tuple[Weights, Any]:
    return weights, auxiliary


class Unregularised(Gamma):
    """All ReLU networks of a width and depth, whatever their slope (L = inf)."""

    width: int = eqx.field(static=True, default=64)
    depth: int = eqx.field(static=True, default=3)
    updates: int = eqx.field(static=True, default=5)
    learning_rate: float = 5e-3
    horizon: float | None = None
    momentum: float = eqx.field(static=True, default=network.MOMENTUM)

    @property
    def L(self) -> float:
        """No bound: inf."""
        return math.inf

    def init(self, key: Array, particles: Array, target: Array) -> NetworkState:
        return network.new_state(key, particles, target, self.width, self.depth, lambda _: ())

    def ascend(self, objective: Objective, particles: Array, target: Array, state: Any) -> NetworkState:
        return network.adam_ascent(
            objective, self.potential, _keep, particles, target, state,
            updates=self.updates, learning_rate=self.learning_rate, horizon=self.horizon,
            momentum=self.momentum,
        )  # fmt: skip

    def potential(self, state: Any) -> NetworkPotential:
        unit = 1 / state.scale  # so that a standardised potential of height one starts with height one
        return NetworkPotential(state.network, state.centre, state.scale, unit, "relu")

    def lipschitz_bound(self, potential: Any) -> float:
        """Return inf: nothing bounds the space, whatever this one potential's slope."""
        return math.inf

    def share_inside(self, potential: Any) -> float:
        return 1.0
