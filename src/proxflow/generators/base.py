"""What a generator promises: latent clouds (n, k) to clouds of points (n, d), each row by itself.

    g(z) = c + s N(z)

What is trained is its `network`, a pytree; where the data lie (centre c, scale s) is fixed, so that networks of order
one make data of any unit. Every network is a matched Gaussian beside layers that hardly speak at first:

    N(z) = a + z B + layers(z),      a + z B of the target's mean and covariance, as far as k directions hold it

so that training begins where the moments are right already, and has to bend, not to find, the data.
"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

__all__ = ["Affine", "Frame", "FramedGenerator", "Generator", "Network", "matched_gaussian", "with_network"]


class Frame(eqx.Module):
    """Where the data lie: centre (d,) and scale, not trained."""

    centre: Array
    scale: Array


class Network(eqx.Module):
    """A network from latent clouds (n, k) to standardised clouds (n, d)."""

    @abc.abstractmethod
    def __call__(self, latents: Array) -> Array:
        """Its values, shape (n, d)."""


class Generator(eqx.Module):
    """Latent clouds to points. Two generators of one form differ in their `network` only."""

    network: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def __call__(self, latents: Array) -> Array:
        """The points of latents (n, k): shape (n, d)."""


class FramedGenerator(Generator):
    """c + s N(z)."""

    network: Network
    frame: Frame

    def __call__(self, latents: Array) -> Array:
        return self.frame.centre + self.frame.scale * self.network(latents)


class Affine(eqx.Module):
    """a + z B, for B of shape (k, d)."""

    matrix: Array
    offset: Array

    def __call__(self, latents: Array) -> Array:
        """Shape (n, d)."""
        return latents @ self.matrix + self.offset


def matched_gaussian(points: np.ndarray, latents: int, deviation: float) -> Affine:
    """The affine map that gives noise, k columns of this deviation, the mean and covariance of points (n, d).

    With k below d only the covariance's k largest directions are there, with k above d the last columns do nothing.
    """
    count, columns = points.shape
    centre = points.mean(axis=0)
    inside = (points - centre) / np.sqrt(count)
    if count > columns:
        inside = np.linalg.qr(inside, mode="r")
    _, sizes, directions = np.linalg.svd(inside, full_matrices=False)
    matrix = np.zeros((latents, columns))
    kept = min(latents, len(sizes))
    matrix[:kept] = sizes[:kept, None] * directions[:kept] / deviation
    return Affine(jnp.asarray(matrix, jnp.float32), jnp.asarray(centre, jnp.float32))


def with_network(generator: Any, network: Any) -> Any:
    """The generator with another network of the same shapes."""
    return eqx.tree_at(lambda g: g.network, generator, network)
