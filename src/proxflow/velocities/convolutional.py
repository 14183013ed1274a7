"""Fields on images: what neighbouring pixels do together, at three resolutions.

    (h, w, c) -> fold -> convolve 3 x 3 -> fold -> convolve -> dense -> unfold, beside what came down -> (h, w, c)

Folding takes every 2 x 2 pixels to one place of four times the channels, unfolding is its inverse: nothing is lost, and
no convolution has a stride. Time enters as one more channel. A potential ends at the bottom in one number; a velocity
comes up again (Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015).

Bad at: tables. Images whose sides are no multiples of four, which are padded with zeros.
"""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.velocities.base import Field

__all__ = ["ConvolutionalField", "convolutional_field"]

_CHANNELS = (16, 32)  # twice as many double the time of a step
_SQUASH = 0.1  # weights of the last layer, as in dense networks


class Layer(eqx.Module):
    """A weight (in, out) and a bias (out,)."""

    weight: Array
    bias: Array

    def __call__(self, height: Array) -> Array:
        return height @ self.weight + self.bias


class ConvolutionalField(Field):
    """Layers as in the picture above; up is empty where one number comes out."""

    down: tuple[Layer, Layer]
    bottom: tuple[Layer, Layer]
    up: tuple[Layer, ...]
    shape: tuple[int, int, int] = eqx.field(static=True)

    def __call__(self, z: Array, tau: Array) -> Array:
        height, width, channels = self.shape
        images = z.reshape(-1, height, width, channels)
        images = jnp.pad(images, ((0, 0), (0, -height % 4), (0, -width % 4), (0, 0)))
        fine = jnp.tanh(_convolve(self.down[0], _with_time(_fold(images), tau)))
        coarse = jnp.tanh(_convolve(self.down[1], _with_time(_fold(fine), tau)))
        flat = jnp.tanh(self.bottom[0](coarse.reshape(len(z), -1)))
        if not self.up:
            return self.bottom[1](flat)[:, 0]
        coarse = jnp.tanh(coarse + self.bottom[1](flat).reshape(coarse.shape))
        mixed = jnp.concatenate([_unfold(self.up[0](coarse)), fine], axis=-1)
        back = _unfold(self.up[2](jnp.tanh(_convolve(self.up[1], mixed))))
        return back[:, :height, :width].reshape(len(z), -1)


def convolutional_field(key: Array, features: int, width: int, depth: int, *, scalar: bool) -> ConvolutionalField:
    """Random layers for square grey images of so many pixels; width: of the dense layer.

    Raises
    ------
    ValueError
        The features are no square image's.
    """
    side = math.isqrt(features)
    if side * side != features or side < 4:
        raise ValueError(f"network='convolutional' takes square grey images, but there are {features} features.")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    places = (-(-side // 4)) ** 2
    first, second = _CHANNELS

    def layer(before: int, after: int, scale: float = 1.0) -> Layer:
        weight = scale * rng.normal(size=(before, after)) / np.sqrt(before)
        return Layer(jnp.asarray(weight, jnp.float32), jnp.zeros(after))

    down = layer(9 * 5, first), layer(9 * (4 * first + 1), second)
    flat = layer(places * second, 2 * width)
    if scalar:
        return ConvolutionalField(down, (flat, layer(2 * width, 1, _SQUASH)), (), (side, side, 1))
    up = layer(second, 4 * first), layer(9 * 2 * first, first), layer(first, 4, _SQUASH)
    return ConvolutionalField(down, (flat, layer(2 * width, places * second)), up, (side, side, 1))


def _with_time(images: Array, tau: Array) -> Array:
    return jnp.concatenate([images, jnp.broadcast_to(tau, (*images.shape[:3], 1)).astype(images.dtype)], axis=-1)


def _fold(images: Array) -> Array:
    """(n, h, w, c) to (n, h / 2, w / 2, 4 c)."""
    n, h, w, c = images.shape
    return images.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def _unfold(images: Array) -> Array:
    """(n, h, w, 4 c) to (n, 2 h, 2 w, c)."""
    n, h, w, c = images.shape
    return images.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c // 4)


def _convolve(layer: Layer, images: Array) -> Array:
    """3 x 3, zeros outside: images (n, h, w, in) to (n, h, w, out), for a weight (9 in, out)."""
    kernel = layer.weight.reshape(3, 3, images.shape[-1], -1)
    names = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=names) + layer.bias
