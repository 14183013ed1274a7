"""Dense generators: a matched Gaussian beside layers of tanh.

    N(z) = a + z B + W_k tanh(... tanh(W_1 z + b_1) ...) + b_k

Bad at: pictures, see `convolutional`; mass that must be cut apart, for which tanh has to grow steep and a thin bridge
stays; tails heavier than the noise's, for far out N is affine.
"""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.generators.base import Affine, Network

__all__ = ["DenseNetwork", "dense_network"]

_FIRST = 0.1  # weights of the last layer: layers that hardly speak at first


class DenseNetwork(Network):
    """Weights W_i (out, in), biases (out, 1), and the affine part."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    affine: Affine

    def __call__(self, latents: Array) -> Array:
        height = latents.T  # features first, as potentials do
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            height = jnp.tanh(weight @ height + bias)
        return (self.weights[-1] @ height + self.biases[-1]).T + self.affine(latents)


def dense_network(rng: np.random.Generator, affine: Affine, width: int, depth: int) -> DenseNetwork:
    """Random layers beside this affine part; drawn by NumPy, for compiling that would take longer."""
    latents, columns = affine.matrix.shape
    sizes = [latents] + [width] * depth + [columns]
    weights = [rng.normal(size=(b, a)) / np.sqrt(a) for a, b in itertools.pairwise(sizes)]
    weights[-1] *= _FIRST
    return DenseNetwork(
        tuple(jnp.asarray(weight, jnp.float32) for weight in weights),
        tuple(jnp.zeros((size, 1), jnp.float32) for size in sizes[1:]),
        affine,
    )
