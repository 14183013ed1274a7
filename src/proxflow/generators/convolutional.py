"""Generators of pictures: a coarse grid that is refined by doubling and convolving, beside a matched Gaussian.

    z -> W z + b on a coarse grid of channels -> [double each side, convolve 3 x 3, leaky ReLU] ... -> convolve 3 x 3

Pictures are flattened row by row, channels last: 28 x 28 grows from 7 x 7, 8 x 8 from 4 x 4. Nearest neighbours are
doubled and then convolved, which leaves no checkerboard as transposed convolutions do (Odena, Dumoulin, Olah,
"Deconvolution and checkerboard artifacts", Distill 2016).

Bad at: tables, whose columns have no neighbours; large pictures, for a CPU.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.gamma.convolve import convolve, sides_after
from proxflow.generators.base import Affine, Network

__all__ = ["ConvolutionalNetwork", "convolutional_network"]

_COARSEST = 7  # the largest side of the grid to begin with
_FEWEST = 8  # channels
_FIRST = 0.1


class ConvolutionalNetwork(Network):
    """First weights (k, h w channels) and bias, kernels (3, 3, in, out), biases (out,), and the affine part.

    sides: height and width of each grid, the picture's last.
    """

    first: Array
    offset: Array
    kernels: tuple[Array, ...]
    biases: tuple[Array, ...]
    affine: Affine
    sides: tuple[tuple[int, int], ...] = eqx.field(static=True)

    def __call__(self, latents: Array) -> Array:
        count = len(latents)
        height = _leaky(latents @ self.first + self.offset).reshape(count, *self.sides[0], -1)
        for (rows, columns), kernel, bias in zip(self.sides[1:], self.kernels[:-1], self.biases[:-1], strict=True):
            doubled = jnp.repeat(jnp.repeat(height, 2, axis=1), 2, axis=2)[:, :rows, :columns]
            height = _leaky(convolve(kernel, doubled, 1) + bias)
        picture = convolve(self.kernels[-1], height, 1) + self.biases[-1]
        return picture.reshape(count, -1) + self.affine(latents)


def _leaky(height: Array) -> Array:
    return jax.nn.leaky_relu(height, 0.2)


def convolutional_network(
    rng: np.random.Generator, affine: Affine, width: int, image: tuple[int, int, int]
) -> ConvolutionalNetwork:
    """Random layers for pictures of this shape; width: channels of the coarsest grid, halved whenever sides double."""
    sides = [image[:2]]
    while max(sides[0]) > _COARSEST:
        sides.insert(0, tuple(sides_after(side, 2) for side in sides[0]))  # type: ignore[arg-type]
    channels = [max(_FEWEST, width >> level) for level in range(len(sides))]
    latents = len(affine.matrix)
    first = rng.normal(size=(latents, sides[0][0] * sides[0][1] * channels[0])) / np.sqrt(latents)
    pairs = zip(channels, [*channels[1:], image[2]], strict=True)
    kernels = [rng.normal(size=(3, 3, before, after)) / np.sqrt(9 * before) for before, after in pairs]
    kernels[-1] *= _FIRST
    return ConvolutionalNetwork(
        jnp.asarray(first, jnp.float32), jnp.zeros(first.shape[1], jnp.float32),
        tuple(jnp.asarray(kernel, jnp.float32) for kernel in kernels),
        tuple(jnp.zeros(kernel.shape[3], jnp.float32) for kernel in kernels),
        affine, tuple(sides),
    )  # fmt: skip
