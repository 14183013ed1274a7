"""Generators by name."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.gamma.symmetric import Group
from proxflow.generators.base import Frame, FramedGenerator, Generator, Network, matched_gaussian
from proxflow.generators.convolutional import convolutional_network
from proxflow.generators.dense import dense_network
from proxflow.generators.symmetric import SymmetricGenerator

__all__ = ["GENERATORS", "default_width", "first_generator"]

GENERATORS = ("dense", "convolutional")


def default_width(name: str, features: int) -> int:
    """Units of a dense layer, or channels of the coarsest grid."""
    if name == "convolutional":
        return 32
    return 64 if features <= 32 else 128


def first_generator(
    name: str, key: Array, goal: np.ndarray, centre: np.ndarray, scale: float, *, latents: int, deviation: float,
    width: int, depth: int, image: tuple[int, int, int] | None = None, group: Group | None = None,
) -> Generator:  # fmt: skip
    """The generator that training begins with, for target samples (n, d), noise of so many columns and deviation."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    affine = matched_gaussian((goal - centre) / scale, latents, deviation)
    network: Network
    if name == "convolutional" and image is not None:
        network = convolutional_network(rng, affine, width, image)
    else:
        network = dense_network(rng, affine, width, depth)
    frame = Frame(jnp.asarray(centre, jnp.float32), jnp.asarray(scale, jnp.float32))
    return FramedGenerator(network, frame) if group is None else SymmetricGenerator(network, frame, group)
