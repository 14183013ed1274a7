"""Dense networks in space and time, beside the linear flow that carries one Gaussian onto another.

    N(z, τ) = W_k tanh(... tanh(W_1 (z, τ) + b_1) ...) + b_k
    G(z, τ) = m_1 - m_0 + (M - I) ((1 - τ) I + τ M)⁻¹ (z - (1 - τ) m_0 - τ m_1)
    S(τ) z + c(τ),    S(τ) = A / (1 - τ + δ) + B,    c(τ) = a / (1 - τ + δ) + b

G is the optimal flow between Gaussians of the source's and target's moments (M = Σ_0^-½ (Σ_0^½ Σ_1 Σ_0^½)^½ Σ_0^-½,
McCann 1997, "A convexity principle for interacting gases"). It is computed, not trained: training begins there, so mass
far away, of another spread, or off the plane that the target lies in arrives at once, and the network bends the rest.
S and c let training correct it, with the same growth 1 / (1 - τ) in time, which lines that end in a plane have and
no smooth network follows. A quadratic potential beside a network: Onken, Fung, Li, Ruthotto, "OT-Flow", AAAI 2021.

Bad at: pictures, see `convolutional`; mass that must be cut apart, for which tanh has to grow steep. Beyond 256 columns
G and S see each column by itself.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.velocities.base import Field

__all__ = ["DenseField", "GaussianFlow", "LinearPart", "dense_field", "gaussian_flow", "no_flow"]

_ARRIVAL = 0.01  # δ, and the least share of a direction's spread that G leaves
_FULL = 256  # columns up to which the linear part sees pairs of them
_FIRST = 0.1  # weights of the last layer: a network that hardly moves anything at first


class GaussianFlow(eqx.Module):
    """G: directions V (d, d), or None for the axes, ratios of spread along them (d,), and means before and after (d,)."""

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

    def _along(self, z: Array, tau: Array) -> tuple[Array, Array]:
        middle = (1 - tau) * self.before + tau * self.after
        growth = (self.ratios - 1) / (1 - tau + tau * self.ratios)
        return (z - middle if self.directions is None else (z - middle) @ self.directions), growth


class LinearPart(eqx.Module):
    """½ zᵀ S(τ) z + c(τ)ᵀ z and its slope; matrices (2, d, d), or (2, d) where they are diagonal, and vectors (2, d)."""

    matrices: Array
    vectors: Array

    def _at(self, tau: Array) -> tuple[Array, Array]:
        early = 1 / (1 - tau + _ARRIVAL)
        matrix, vector = early * self.matrices[0] + self.matrices[1], early * self.vectors[0] + self.vectors[1]
        return (matrix + matrix.T if matrix.ndim == 2 else matrix), vector

    def slope(self, z: Array, tau: Array) -> Array:
        """S z + c, shape (n, d)."""
        matrix, vector = self._at(tau)
        return (z @ matrix if matrix.ndim == 2 else z * matrix) + vector

    def value(self, z: Array, tau: Array) -> Array:
        """½ zᵀ S z + cᵀ z, shape (n,)."""
        matrix, vector = self._at(tau)
        return jnp.sum(z * (0.5 * (z @ matrix if matrix.ndim == 2 else z * matrix) + vector), axis=1)


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
    """A dense network and the linear parts: of d outputs and slopes, or of one output and their values if scalar."""

    network: Dense
    linear: LinearPart
    gaussian: GaussianFlow
    scalar: bool = eqx.field(static=True)

    def __call__(self, z: Array, tau: Array) -> Array:
        heights = self.network(z, tau)
        fixed = jax.lax.stop_gradient(self.gaussian)
        if self.scalar:
            return heights[0] + self.linear.value(z, tau) + fixed.value(z, tau)
        return heights.T + self.linear.slope(z, tau) + fixed.slope(z, tau)


def gaussian_flow(start: np.ndarray, goal: np.ndarray) -> GaussianFlow:
    """G between the moments of two standardised clouds (m, d) and (n, d)."""
    before, after = start.mean(axis=0), goal.mean(axis=0)
    if start.shape[1] > _FULL:
        spread = start.std(axis=0)
        ratios = np.where(spread > 0, goal.std(axis=0) / np.where(spread > 0, spread, 1.0), 1.0)
        return _gaussian(None, ratios, before, after)
    first, second = np.cov(start.T, bias=True), np.cov(goal.T, bias=True)
    root, inverse = _power(np.atleast_2d(first), 0.5), _power(np.atleast_2d(first), -0.5)
    ratios, directions = np.linalg.eigh(inverse @ _power(root @ np.atleast_2d(second) @ root, 0.5) @ inverse)
    return _gaussian(directions, ratios, before, after)


def no_flow(features: int) -> GaussianFlow:
    """G that leaves everything where it is."""
    return _gaussian(None, np.ones(features), np.zeros(features), np.zeros(features))


def _gaussian(directions: np.ndarray | None, ratios: np.ndarray, before: np.ndarray, after: np.ndarray) -> GaussianFlow:
    single = [None if part is None else jnp.asarray(part, jnp.float32) for part in (directions, ratios, before, after)]
    return GaussianFlow(single[0], jnp.maximum(single[1], 0.1 * _ARRIVAL), single[2], single[3])  # type: ignore[arg-type]


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric matrix; directions without extent stay so."""
    values, vectors = np.linalg.eigh(matrix)
    present = values > 1e-10 * max(values[-1], np.finfo(float).tiny)
    return (vectors * np.where(present, np.where(present, values, 1.0) ** exponent, 0.0)) @ vectors.T


def dense_field(key: Array, gaussian: GaussianFlow, width: int, depth: int, *, scalar: bool) -> DenseField:
    """A network of random weights, whose last layer hardly speaks yet, beside a linear part at rest and this G.

    Weights are drawn by NumPy, for compiling it would take longer than drawing.
    """
    features = len(gaussian.ratios)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    sizes = [features + 1] + [width] * depth + [1 if scalar else features]
    weights = [
        rng.normal(size=(after, before)) / np.sqrt(before) for before, after in zip(sizes[:-1], sizes[1:], strict=True)
    ]
    weights[-1] *= _FIRST
    network = Dense(
        tuple(jnp.asarray(weight, jnp.float32) for weight in weights), tuple(jnp.zeros((size, 1)) for size in sizes[1:])
    )
    square = (features, features) if features <= _FULL else (features,)
    return DenseField(network, LinearPart(jnp.zeros((2, *square)), jnp.zeros((2, features))), gaussian, scalar)
