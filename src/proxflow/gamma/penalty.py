"""A soft Γ_L: any ReLU network, fined where its slope exceeds L. Kept for comparison, for its value is no bound.

    maximise  D(φ) / (s L) - weight · E max(0, |∇φ(z)|² / L² - 1),      z = x + u (y - x)

x a random particle, y a random target point, u uniform on [0, 1], all three drawn afresh at every update; s is
the data's scale, so the weight has no unit. Source: Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved
training of Wasserstein GANs", NeurIPS 2017, in the one-sided form of Birrell et al., "(f, Γ)-divergences", JMLR 23
(2022): a slope below L costs nothing.

Bad at: bounds. Where slopes of ρ L pay W1 ρ / s and cost weight (ρ² - 1), the best is ρ = W1 / (2 s weight): far
clouds, many dimensions (W1 / s grows up to twice their root) or a small weight, and the value ends ρ times above what
it is to bound from below. Nothing holds φ off the lines between the clouds, and the slope that can be proven is
many times L. Each update costs about twice as much as one without the fine.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.gamma import network
from proxflow.gamma.base import Gamma, Objective, gradients
from proxflow.gamma.network import NetworkPotential, NetworkState, Weights

__all__ = ["GradientPenalty"]


def _split(key_data: Array) -> Array:
    """Four keys: the next update's, and this one's for x, y and u."""
    return jax.random.split(jax.random.wrap_key_data(key_data), 4)


def _next_key(weights: Weights, key_data: Array) -> tuple[Weights, Array]:
    """Leave the weights as they are; a state keeps its key as plain numbers, which can be saved."""
    return weights, jax.random.key_data(_split(key_data)[0])


def between(key_data: Array, particles: Array, target: Array) -> Array:
    """Random points on lines from particles (m, d) to target points (n, d), as many as the larger cloud has."""
    _, *keys = _split(key_data)
    count = max(len(particles), len(target))
    x = particles[jax.random.randint(keys[0], (count,), 0, len(particles))]
    y = target[jax.random.randint(keys[1], (count,), 0, len(target))]
    return x + jax.random.uniform(keys[2], (count, 1), x.dtype) * (y - x)


class GradientPenalty(Gamma):
    """ReLU networks whose slope is fined above L, not bounded by it: a value found here is no bound.

    With f = "ipm" it passes the exact L W1 once W1 > 2 s weight, and a value below proves nothing either: only φ
    divided by the excess of `lipschitz_bound` over L gives a lower bound, a loose one. Use `GroupSort` where a number
    must be trusted.

    Parameters
    ----------
    L
        The slope above which a potential is fined, in units of potential per unit of data.
    weight
        Of the fine, without a unit. More keeps slopes nearer to L and makes the ascent stiffer.
    width, depth
        Units per hidden layer and number of hidden layers.
    updates
        Adam steps per ascent.
    learning_rate
        Of Adam.
    horizon
        Updates over which the learning rate falls to zero; None keeps it constant.
    momentum
        As in `GroupSort`.

    Examples
    --------
    >>> import jax
    >>> from proxflow.divergences import Divergence
    >>> from proxflow.entropies import IPM
    >>> y = jax.random.normal(jax.random.key(0), (50, 2))
    >>> pair = Divergence(GradientPenalty(L=1.0, updates=200), IPM())
    >>> memory = pair.fit(y + 3, y, pair.init(jax.random.key(1), y + 3, y))
    >>> pair.gamma.lipschitz_bound(pair.gamma.potential(memory)) > 1.0  # of this potential: no L holds it
    True
    """

    L: float = 1.0
    weight: float = 10.0
    width: int = eqx.field(static=True, default=64)
    depth: int = eqx.field(static=True, default=3)
    updates: int = eqx.field(static=True, default=5)
    learning_rate: float = 5e-3
    horizon: float | None = None
    momentum: float = eqx.field(static=True, default=network.MOMENTUM)

    def init(self, key: Array, particles: Array, target: Array) -> NetworkState:
        seed = np.asarray(jax.random.key_data(key))
        return network.new_state(key, particles, target, self.width, self.depth, lambda _: seed)

    def ascend(self, objective: Objective, particles: Array, target: Array, state: Any) -> NetworkState:
        def fine(potential: Any, particles: Array, target: Array, key_data: Array) -> Array:
            slopes = gradients(potential, between(key_data, particles, target)) / potential.slope
            return self.weight * jnp.mean(jnp.maximum(jnp.sum(slopes**2, axis=1) - 1, 0))

        return network.adam_ascent(
            objective, self.potential, _next_key, particles, target, state,
            updates=self.updates, learning_rate=self.learning_rate, horizon=self.horizon,
            momentum=self.momentum, penalty=fine,
        )  # fmt: skip

    def potential(self, state: Any) -> NetworkPotential:
        slope = jnp.asarray(self.L, state.scale.dtype)
        return NetworkPotential(state.network, state.centre, state.scale, slope, "relu")

    def lipschitz_bound(self, potential: Any) -> float:
        """Return the product of this potential's spectral norms, times L: usually far above L, which bounds nothing."""
        return network.spectral_bound(potential)
