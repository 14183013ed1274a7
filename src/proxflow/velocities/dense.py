"""Dense networks in space and time, beside the linear flow that carries one Gaussian onto another.

    w(z, τ) = N(P z, τ) + G(z, τ),      N = W_k tanh(... tanh(W_1 (z, τ) + b_1) ...) + b_k
    ∇G(z, τ) = m_1 - m_0 + (M - I) ((1 - τ) I + τ M)⁻¹ (z - (1 - τ) m_0 - τ m_1)

∇G is the optimal flow from a Gaussian of the source's moments to the proximal of the target's: for small λ, all the way
(M = Σ_0^-½ (Σ_0^½ Σ_1 Σ_0^½)^½ Σ_0^-½, McCann 1997, "A convexity principle for interacting gases"). It is computed, not
trained: training begins there, so mass far away, of another spread, or off the plane that the target lies in arrives at
once, and N bends the rest. Lines that end in a plane have v = -z / (1 - τ) across it, whose growth in time no smooth
network follows. P = min(M, I) shrinks what N sees, and by its gradient what it does, to what is left of each direction
at the end: across a plane, nothing. A quadratic potential beside a network: Onken, Fung, Li, Ruthotto, "OT-Flow", AAAI
2021; taking it from the moments and P are ours.

Bad at: pictures, see `convolutional`; mass that must be cut apart, for which tanh has to grow steep. Beyond 256 columns
M sees each column by itself.
"""

from __future__ import annotations

import math
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.velocities.base import Field

__all__ = ["DenseField", "GaussianFlow", "dense_field", "gaussian_flow"]

_LEAST = 1e-3  # share of a direction's spread that G leaves where the target has none
_FULL = 256  # columns up to which the linear part sees pairs of them
_FIRST, _LAST = 0.5, 0.1  # what the first layer makes of typical inputs, and the last of its own: gentle at first


class GaussianFlow(eqx.Module):
    """G: directions V (d, d), or None for the axes, ratios of spread along them (d,), means before and after (d,)."""

    directions: Array | None
    ratios: Array
    before: Array
    after: Array

    def value(self, z: Array, tau: Array) -> Array:
        """Its potential, shape (n,)."""
        along, growth = self._along(z, tau)
        return 0.5 * jnp.sum(growth * along**2, axis=1) + z @ (self.after - self.before)

    def slope(self, z: Array, tau: Array) -> Array:
        """Its velocity, shape (n, d)."""
        along, growth = self._along(z, tau)
        turned = growth * along if self.directions is None else (growth * along) @ self.directions.T
        return turned + (self.after - self.before)

    def left(self, z: Array) -> Array:
        """P z: every direction shrunk to what is left of it at the end."""
        # Nothing at all of a flat one: the least push there is as large as the time left is short.
        shares = jnp.where(self.ratios > 1.01 * _LEAST, jnp.minimum(self.ratios, 1.0), 0.0)
        return z * shares if self.directions is None else ((z @ self.directions) * shares) @ self.directions.T

    def _along(self, z: Array, tau: Array) -> tuple[Array, Array]:
        middle = (1 - tau) * self.before + tau * self.after
        growth = (self.ratios - 1) / (1 - tau + tau * self.ratios)
        return (z - middle if self.directions is None else (z - middle) @ self.directions), growth


class Dense(eqx.Module):
    """Weights W_i (out, in) and biases (out, 1)."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def __call__(self, z: Array, tau: Array) -> Array:
        """Outputs, features first: shape (outputs, n)."""
        height = jnp.concatenate([z.T, jnp.broadcast_to(tau, (1, len(z))).astype(z.dtype)])
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            height = jnp.tanh(weight @ height + bias)
        return self.weights[-1] @ height + self.biases[-1]


class DenseField(Field):
    """A dense network beside G: of d outputs and G's slope, or of one output and its value if scalar."""

    network: Dense
    gaussian: GaussianFlow
    scalar: bool = eqx.field(static=True)

    def __call__(self, z: Array, tau: Array) -> Array:
        fixed = jax.lax.stop_gradient(self.gaussian)
        heights = self.network(fixed.left(z), tau)
        if self.scalar:
            return heights[0] + fixed.value(z, tau)
        return fixed.left(heights.T) + fixed.slope(z, tau)


def gaussian_flow(start: np.ndarray, goal: np.ndarray, *, weight: float = 0.0, reach: float = math.inf) -> GaussianFlow:
    """G from the moments of a standardised cloud (m, d) to those of another, (n, d), or to their proximal on the way.

    weight: λ / T in these units; the proximal is that of KL between Gaussians along each direction of M. reach: how far
    it pays to go where the target has no extent, L / λ.
    """
    before, after = start.mean(axis=0), goal.mean(axis=0)
    if start.shape[1] > _FULL:
        directions, old, new = None, start.std(axis=0), goal.std(axis=0)
        shift = after - before
    else:
        directions, old, new = _principal_map(start, goal)
        shift = (after - before) @ directions
    flat = new <= _LEAST * max(float(np.max(new)), float(np.max(old)), 1e-30)
    precision = np.where(flat, 0.0, 1 / np.where(flat, 1.0, new) ** 2)
    pull = precision + weight
    # s solves  s / τ² - 1 / s + λ (s - s_0) = 0
    arrived = np.where(
        flat,
        np.maximum(old - reach, 0.0),
        (weight * old + np.sqrt((weight * old) ** 2 + 4 * pull)) / (2 * pull + 1e-30),
    )
    shift = shift * np.where(flat, 1.0, precision / np.where(flat, 1.0, pull))
    shift *= min(1.0, reach / max(float(np.linalg.norm(shift)), 1e-30))
    seen = old > _LEAST * max(float(np.max(new)), float(np.max(old)), 1e-30)
    ratios = np.where(seen, arrived / np.where(seen, old, 1.0), 1.0)
    return _gaussian(directions, ratios, before, before + (shift if directions is None else directions @ shift))


def _principal_map(start: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions V (d, d) of the map M between the clouds' covariances, and the spreads before and after along them."""
    first, second = (np.atleast_2d(np.cov(cloud.T, bias=True)) for cloud in (start, goal))
    root, inverse = _power(first, 0.5), _power(first, -0.5)
    ratios, directions = np.linalg.eigh(inverse @ _power(root @ second @ root, 0.5) @ inverse)
    old = np.sqrt(np.maximum(np.einsum("ij,ik,kj->j", directions, first, directions), 0.0))
    return directions, old, np.maximum(ratios, 0.0) * old


def _gaussian(directions: np.ndarray | None, ratios: np.ndarray, before: np.ndarray, after: np.ndarray) -> GaussianFlow:
    single = [None if part is None else jnp.asarray(part, jnp.float32) for part in (directions, ratios, before, after)]
    return GaussianFlow(single[0], jnp.maximum(single[1], _LEAST), single[2], single[3])  # type: ignore[arg-type]


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric matrix; directions without extent stay so."""
    values, vectors = np.linalg.eigh(matrix)
    present = values > 1e-10 * max(values[-1], np.finfo(float).tiny)
    return (vectors * np.where(present, np.where(present, values, 1.0) ** exponent, 0.0)) @ vectors.T


def dense_field(
    key: Array, gaussian: GaussianFlow, width: int, depth: int, *, scalar: bool, reach: float | None = None
) -> DenseField:
    """A network of random weights, whose last layer hardly speaks yet, beside this G.

    reach: the root mean square of |P z| on the data; None for that of independent columns. Weights are drawn by NumPy,
    for compiling that would take longer than drawing.
    """
    features = len(gaussian.ratios)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    sizes = [features + 1] + [width] * depth + [1 if scalar else features]
    weights = [rng.normal(size=(after, before)) / np.sqrt(before) for before, after in pairwise(sizes)]
    weights[0] *= _FIRST * np.sqrt(features + 1) / (np.sqrt(features) if reach is None else max(reach, 1e-6))
    weights[0][:, -1] = _FIRST * rng.normal(size=width)  # times are of order one
    weights[-1] *= _LAST
    network = Dense(
        tuple(jnp.asarray(weight, jnp.float32) for weight in weights), tuple(jnp.zeros((size, 1)) for size in sizes[1:])
    )
    return DenseField(network, gaussian, scalar)
