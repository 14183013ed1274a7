"""Dense networks as potentials, and Adam climbing in them: what all network spaces share.

    φ(x) = s L ψ((x - c) / s),      ψ = w_k σ(... σ(W_1 u + b_1) ...)

c and s are the data's centre and scale (robust ones under heavy tails), so ψ always sees standardised inputs and users
never rescale. A space differs from another in its activation σ and in the set its weights are projected onto after
every update.
Activations are bent so that |σ'| <= 1: with ‖W_i‖₂ <= 1 the slope of φ is at most L.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from proxflow.gamma.base import Objective, Potential
from proxflow.sharded import joined, parted

__all__ = [
    "MOMENTUM", "Network", "NetworkPotential", "NetworkState", "adam_ascent", "group_sort", "new_state", "orthonormal",
    "spectral_bound", "standing_state",
]  # fmt: skip

Weights = tuple[Array, ...]
Projection = Callable[[Weights, Any], tuple[Weights, Any]]


class Standardised(Protocol):
    """A potential that says its slope L and the scale s of its data."""

    @property
    def slope(self) -> Array: ...

    @property
    def scale(self) -> Array: ...

    def __call__(self, points: Array) -> Array: ...


# (φ, particles, target, what the state remembers) -> a cost without units, such as the excess of φ's slope over L
Penalty = Callable[[Any, Array, Array, Any], Array]

MOMENTUM = 0.9  # b1 of Adam: for particles, which hardly move from one update to the next
_HEAVY = 5.0  # root mean square over typical distance: 1 to 2 without heavy tails, 5 is far out for any table


def group_sort(height: Array, axis: int = 0) -> Array:
    """GroupSort(2) after rotating each pair by 45 degrees: half the units pass, half pass as |.|.

    max(a, b) and min(a, b) are ((a+b) ± |a-b|) / 2, so between orthonormal layers sorting pairs and taking
    absolute values of every second unit are the same family of networks (Anil et al. 2019). This one
    is faster, for it shuffles no units.
    """
    first, second = jnp.split(height, [height.shape[axis] // 2], axis)
    return jnp.concatenate([first, jnp.abs(second)], axis)


def smooth_relu(height: Array, width: float = 0.1) -> Array:
    """ReLU with a C² bend on [0, 2 width]: 0, then x²/(4ε) + ε (cos(πx/ε) - 1)/(2π²), then x - ε."""
    bend = height**2 / (4 * width) + width * (jnp.cos(jnp.pi * height / width) - 1) / (2 * jnp.pi**2)
    return jnp.where(height <= 0, 0.0, jnp.where(height < 2 * width, bend, height - width))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "group_sort": group_sort,
    "relu": jax.nn.relu,
    "leaky_relu": lambda height: jnp.maximum(height, 0.2 * height),
    "smooth_relu": smooth_relu,
}


class Network(eqx.Module):
    """Weights W_i of shape (out, in) and biases (out, 1) of the hidden layers; the last layer has no bias.

    A bias there would shift φ by a constant, which no divergence sees. Convolutions keep kernels in place of weights.
    """

    weights: Weights
    biases: tuple[Array, ...]


class NetworkPotential(Potential):
    """φ(x) = s L ψ((x - c) / s)."""

    network: Network
    centre: Array
    scale: Array
    slope: Array
    activation: str = eqx.field(static=True)

    def __call__(self, points: Array) -> Array:
        activate = ACTIVATIONS[self.activation]
        height = ((points - self.centre) / self.scale).T  # features first: contiguous rows per unit
        for weight, bias in zip(self.network.weights[:-1], self.network.biases, strict=True):
            height = activate(weight @ height + bias)
        return (self.slope * self.scale) * (self.network.weights[-1] @ height)[0]


class NetworkState(NamedTuple):
    """All that training changes, and where the data lie."""

    network: Network
    adam: optax.OptState
    auxiliary: Any  # what a projection remembers between updates, () if nothing
    centre: Array
    scale: Array


def new_state(
    key: Array, particles: Array, target: Array, width: int, depth: int, auxiliary: Callable[[Any], Any]
) -> NetworkState:
    """Return a state with random orthonormal weights, zero biases and the pooled data's centre and scale.

    All in NumPy: it runs once, and compiling it would take longer than a whole flow in the plane.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    sizes = [particles.shape[1]] + [width] * depth + [1]
    dtype = particles.dtype
    weights: Any = tuple(orthonormal(rng, *shape).astype(dtype) for shape in zip(sizes[1:], sizes[:-1], strict=True))
    biases: Any = tuple(np.zeros((size, 1), dtype) for size in sizes[1:-1])
    return standing_state(Network(weights, biases), auxiliary(weights), particles, target)


def standing_state(network: Network, auxiliary: Any, particles: Array, target: Array) -> NetworkState:
    """Return a state with this network, Adam at rest, and the pooled data's centre and scale."""
    cloud_p, cloud_q = np.asarray(particles, np.float64), np.asarray(target, np.float64)
    dtype = particles.dtype
    # Each cloud counts half, whatever its size: the network must see both.
    centre = 0.5 * (cloud_p.mean(axis=0) + cloud_q.mean(axis=0))
    spread = 0.5 * (np.mean((cloud_p - centre) ** 2) + np.mean((cloud_q - centre) ** 2))
    scale = np.sqrt(spread) if spread > 0 else 1.0
    # Without a variance both are those of the few largest samples, and all others would be one point to the network.
    middle = 0.5 * (np.median(cloud_p, axis=0) + np.median(cloud_q, axis=0))
    typical = _typical(cloud_p - middle, cloud_q - middle)
    if scale > _HEAVY * typical > 0:
        centre, scale = middle, typical
    still: Any = optax.ScaleByAdamState(
        np.zeros((), np.int32), *(jax.tree.map(np.zeros_like, network) for _ in range(2))
    )
    place: Any = (centre.astype(dtype), np.asarray(scale, dtype))
    return jax.device_put(NetworkState(network, still, auxiliary, *place))


def _typical(*clouds: np.ndarray) -> float:
    """Median distances of the clouds' points (n_i, d) to the origin, averaged, per column."""
    distances = [np.median(np.linalg.norm(cloud, axis=1)) for cloud in clouds]
    return float(np.mean(distances)) / math.sqrt(clouds[0].shape[1])


def orthonormal(rng: np.random.Generator, after: int, before: int) -> np.ndarray:
    """A random matrix of shape (after, before) with orthonormal rows or columns, whichever fit."""
    factor, triangle = np.linalg.qr(rng.normal(size=(max(after, before), min(after, before))))
    factor = factor * np.sign(np.diag(triangle))  # uniform over orthonormal matrices (Mezzadri 2007)
    return factor if after >= before else factor.T


def _adam(momentum: float) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=momentum)


def adam_ascent(
    objective: Objective,
    to_potential: Callable[[NetworkState], Standardised],
    project: Projection,
    particles: Array,
    target: Array,
    state: NetworkState,
    *,
    updates: int,
    learning_rate: Array | float,
    horizon: Array | float | None,
    momentum: float = MOMENTUM,
    penalty: Penalty | None = None,
) -> NetworkState:
    """Return the state after `updates` Adam steps up the objective less the penalty, projected after each.

    With a horizon the learning rate falls to zero over that many updates, along a cosine: for one divergence to
    be computed well. Without, it is constant: for a potential that must keep following its particles. momentum:
    Adam's b1; less where a mover answers at once, for then an old gradient says where the mass was.
    """
    both = joined(particles, target)  # one pass through the network instead of two
    counts = len(particles), len(target)
    adam = _adam(momentum)

    def loss(network: Network, state: NetworkState) -> Array:
        potential = to_potential(state._replace(network=network))
        values = parted(potential(both), *counts)
        # In units of s L the gradients are of order one whatever the data's units.
        cost = -objective(*values) / (potential.slope * potential.scale)
        return cost if penalty is None else cost + penalty(potential, particles, target, state.auxiliary)

    def update(_: Array, state: NetworkState) -> NetworkState:
        gradient = jax.grad(loss)(state.network, state)
        direction, memory = adam.update(gradient, state.adam)
        rate = learning_rate
        if horizon is not None:
            rate *= 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(memory.count / horizon, 1.0)))
        moved = jax.tree.map(lambda w, d: w - rate * d, state.network, direction)
        weights, auxiliary = project(moved.weights, state.auxiliary)
        return state._replace(network=Network(weights, moved.biases), adam=memory, auxiliary=auxiliary)

    return jax.lax.fori_loop(0, updates, update, state)


def spectral_bound(potential: NetworkPotential) -> float:
    """L times the product of the layers' largest singular values, computed exactly in float64."""
    norms = [np.linalg.norm(np.asarray(w, np.float64), 2) for w in potential.network.weights]
    return float(potential.slope) * float(np.prod(norms))
