"""Γ_L by spectral normalisation and ReLU: the papers' space, kept for comparison.

Every weight is divided by its largest singular value after every update (Miyato et al., "Spectral
normalization for generative adversarial networks", ICLR 2018). The singular vectors persist between updates, so
a few power iterations per update follow the true norm; a cold start would not. The bound that
is reported comes from exact singular values of the final weights, not from the iteration.

Bad at: tightness. ReLU loses gradient norm in every layer, so values stay far below the supremum (0.19 of W1 in
16 dimensions where GroupSort reaches 0.53, see `benchmarks/RESULTS.md`) and particles move slowly. In mid-training
the bound may pass L by a few per cent, for the iteration lags behind the weights.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.gamma import network
from proxflow.gamma.base import Gamma, Objective
from proxflow.gamma.network import NetworkPotential, NetworkState, Weights

__all__ = ["SpectralNormalised"]

_ROUNDS = 3  # of power iteration per update; weights move by a per cent or so between updates


def _leading_vectors(weights: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The right singular vector of each weight's largest singular value, exactly: a warm start."""
    return tuple(np.linalg.svd(w, full_matrices=False)[2][0] for w in weights)


def _normalise(weight: Array, vector: Array) -> tuple[Array, Array]:
    def iterate(_: Array, v: Array) -> Array:
        v = weight.T @ (weight @ v)
        return v / jnp.maximum(jnp.linalg.norm(v), 1e-12)

    vector = jax.lax.fori_loop(0, _ROUNDS, iterate, vector)
    return weight / jnp.maximum(jnp.linalg.norm(weight @ vector), 1e-12), vector


def _project(weights: Weights, vectors: tuple[Array, ...]) -> tuple[Weights, tuple[Array, ...]]:
    pairs = [_normalise(w, v) for w, v in zip(weights, vectors, strict=True)]
    return tuple(w for w, _ in pairs), tuple(v for _, v in pairs)


class SpectralNormalised(Gamma):
    """L-Lipschitz potentials: spectral-normalised dense layers with a ReLU-like activation.

    Parameters
    ----------
    L
        The Lipschitz constant.
    activation
        "relu", "smooth_relu" (C²) or "leaky_relu" (slope 0.2 below zero).
    width, depth, updates, learning_rate, horizon, momentum
        As in `GroupSort`.
    """

    L: float = 1.0
    activation: str = eqx.field(static=True, default="relu")
    width: int = eqx.field(static=True, default=64)
    depth: int = eqx.field(static=True, default=3)
    updates: int = eqx.field(static=True, default=5)
    learning_rate: float = 5e-3
    horizon: float | None = None
    momentum: float = eqx.field(static=True, default=network.MOMENTUM)

    def init(self, key: Array, particles: Array, target: Array) -> NetworkState:
        return network.new_state(key, particles, target, self.width, self.depth, _leading_vectors)

    def ascend(self, objective: Objective, particles: Array, target: Array, state: Any) -> NetworkState:
        return network.adam_ascent(
            objective, self.potential, _project, particles, target, state,
            updates=self.updates, learning_rate=self.learning_rate, horizon=self.horizon,
            momentum=self.momentum,
        )  # fmt: skip

    def potential(self, state: Any) -> NetworkPotential:
        slope = jnp.asarray(self.L, state.scale.dtype)
        return NetworkPotential(state.network, state.centre, state.scale, slope, self.activation)

    def lipschitz_bound(self, potential: Any) -> float:
        return network.spectral_bound(potential)
