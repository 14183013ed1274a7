"""Γ_L by convolutions: potentials on images that see neighbouring pixels together.

    φ(x) = s L ψ(σ(K_k * ... σ(K_1 * (x - c) / s + b_1) ... + b_k)),      ‖K_i *‖₂ <= 1

ψ is a dense network of orthonormal layers, as in `groupsort`: strokes are seen by the convolutions, where they are by
ψ. K * is a strided convolution with zero padding and σ is GroupSort on pairs of channels, which keeps gradient norms
where ReLU loses them. The norm that counts is that of the convolution as a linear map of whole images, not that of
its kernel reshaped to a matrix (see `convolve`). After every update K_i is divided by a power iteration's estimate
with the convolution and its transpose (Gouk, Frank, Pfahringer, Cree, "Regularisation of neural networks by
enforcing Lipschitz continuity", Machine Learning 110, 2021), whose image persists between updates. The bound that
is reported does not come from there: it is computed in float64 from the final kernels, exactly or from above.

Bad at: tightness, for a norm of 1 does not make a strided convolution an isometry (only the first kernels are one):
0.41 of W1 between threes and fives of 8 x 8 pixels, where GroupSort reaches 0.72. Tables, whose columns have no
neighbours. Speed: an update costs three times that of a dense network. Early in training the bound may pass L by a
few per cent, as with `SpectralNormalised`.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.gamma import network
from proxflow.gamma.base import Gamma, Objective, Potential
from proxflow.gamma.convolve import convolution_bound, convolve, convolve_back, sides_after
from proxflow.gamma.groupsort import orthonormalise
from proxflow.gamma.network import Network, NetworkState, Weights

__all__ = ["Convolutional", "ConvolutionalPotential", "as_shape"]

_ROUNDS = 10  # of power iteration per update, on one image


def _normalise(kernel: Array, image: Array, stride: int) -> tuple[Array, Array]:
    """Divide the kernel by its convolution's norm, as a few rounds from this image estimate it."""

    def iterate(_: Array, v: Array) -> Array:
        v = convolve_back(kernel, convolve(kernel, v, stride), v.shape[1:3], stride)
        return v / jnp.maximum(jnp.linalg.norm(v), 1e-12)

    image = jax.lax.fori_loop(0, _ROUNDS, iterate, image)
    return kernel / jnp.maximum(jnp.linalg.norm(convolve(kernel, image, stride)), 1e-12), image


class ConvolutionalPotential(Potential):
    """φ(x) = s L ψ(features of the image (x - c) / s), on flattened images (n, height · width · channels)."""

    network: Network
    centre: Array
    scale: Array
    slope: Array
    shape: tuple[int, int, int] = eqx.field(static=True)
    stride: int = eqx.field(static=True)

    def __call__(self, points: Array) -> Array:
        height = ((points - self.centre) / self.scale).reshape(-1, *self.shape)
        for weight, bias in zip(self.network.weights[:-1], self.network.biases, strict=True):
            if weight.ndim == 4:
                height = convolve(weight, height, self.stride) + bias
            else:
                height = height.reshape(len(points), -1) @ weight.T + bias
            height = network.group_sort(height, axis=-1)
        return (self.slope * self.scale) * (height.reshape(len(points), -1) @ self.network.weights[-1][0])


def as_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(height, width, channels) of images, of which the last may have been left out."""
    sizes = tuple(shape) if len(shape) == 3 else (*shape, 1)
    if len(sizes) != 3 or not all(isinstance(size, (int, np.integer)) and size > 0 for size in sizes):
        raise ValueError(f"shape must be (height, width) or (height, width, channels), got {shape!r}.")
    height, width, channels = (int(size) for size in sizes)
    return height, width, channels


class Convolutional(Gamma):
    """L-Lipschitz potentials on images: normalised strided convolutions with GroupSort, then a dense network.

    Parameters
    ----------
    shape
        (height, width) or (height, width, channels) of the images, which come flattened row by row, channels last.
    L
        The Lipschitz constant, in units of potential per unit of distance between flattened images.
    channels
        Of each convolution's output (even). By default each takes stride² times the channels of the one before, of grey
        images: then it loses nothing at first.
    kernel_size, stride
        Of every convolution.
    hidden
        Units of each dense layer after the convolutions (even); () for a linear form.
    updates
        Adam steps per ascent.
    learning_rate
        Of Adam; kernels have norm 1.
    horizon
        Updates over which the learning rate falls to zero; None keeps it constant.
    momentum
        As in `GroupSort`.

    Raises
    ------
    ValueError
        A size is not positive, a number of channels is odd, or the data have another number of columns than an
        image has numbers.

    Examples
    --------
    >>> import jax
    >>> from proxflow.divergences import Divergence
    >>> images = jax.random.normal(jax.random.key(0), (20, 64))  # 8 x 8 pixels
    >>> pair = Divergence(Convolutional((8, 8), L=1.0, channels=(8, 8)))
    >>> memory = pair.fit(images + 1, images, pair.init(jax.random.key(1), images + 1, images))
    >>> pair.gamma.lipschitz_bound(pair.gamma.potential(memory)) < 1.05
    True
    """

    shape: tuple[int, int, int] = eqx.field(static=True, converter=as_shape)
    L: float = 1.0
    channels: tuple[int, ...] = eqx.field(static=True, default=(4, 16), converter=tuple)
    kernel_size: int = eqx.field(static=True, default=5)
    stride: int = eqx.field(static=True, default=2)
    hidden: tuple[int, ...] = eqx.field(static=True, default=(256, 256), converter=tuple)
    updates: int = eqx.field(static=True, default=5)
    learning_rate: float = 5e-3
    horizon: float | None = None
    momentum: float = eqx.field(static=True, default=network.MOMENTUM)
    own_coordinates: ClassVar[bool] = True  # pixels next to each other must stay so

    def __check_init__(self) -> None:
        if not self.channels or not all(count > 0 and count % 2 == 0 for count in self.channels):
            raise ValueError(f"channels must be even, positive numbers, one per layer, got {self.channels!r}.")
        if not all(count > 0 and count % 2 == 0 for count in self.hidden):
            raise ValueError(f"hidden must be even, positive numbers, one per dense layer, got {self.hidden!r}.")
        for name in ("kernel_size", "stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}.")

    def _shapes(self) -> list[tuple[int, int, int]]:
        """The shape of the images before each layer and after the last."""
        shapes = [self.shape]
        for count in self.channels:
            height, width, _ = shapes[-1]
            shapes.append((sides_after(height, self.stride), sides_after(width, self.stride), count))
        return shapes

    def init(self, key: Array, particles: Array, target: Array) -> NetworkState:
        """Return a state of which every layer is as near to an isometry as its shape allows.

        A kernel that is zero but for one orthonormal block of stride x stride meets every pixel once, so its
        convolution is orthonormal too. Training then fills the rest.
        """
        if particles.shape[1] != math.prod(self.shape):
            raise ValueError(
                f"images of shape {self.shape} have {math.prod(self.shape)} numbers, but the data have "
                f"{particles.shape[1]} columns: pass Convolutional(shape=...) the shape of your images."
            )
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        shapes, dtype = self._shapes(), particles.dtype
        kernels = [self._kernel(rng, shape[2], count) for shape, count in zip(shapes[:-1], self.channels, strict=True)]
        sizes = [math.prod(shapes[-1]), *self.hidden, 1]
        dense = [network.orthonormal(rng, after, before) for before, after in itertools.pairwise(sizes)]
        weights: Any = tuple(weight.astype(dtype) for weight in [*kernels, *dense])
        biases: Any = tuple(np.zeros(count, dtype) for count in (*self.channels, *self.hidden))
        images = [rng.normal(size=(1, *shape)) for shape in shapes[:-1]]
        auxiliary = tuple((image / np.linalg.norm(image)).astype(dtype) for image in images)
        return network.standing_state(Network(weights, biases), auxiliary, particles, target)

    def _kernel(self, rng: np.random.Generator, before: int, after: int) -> np.ndarray:
        block = min(self.kernel_size, self.stride)
        first = (self.kernel_size - block) // 2
        kernel = np.zeros((self.kernel_size, self.kernel_size, before, after))
        inner = network.orthonormal(rng, after, block**2 * before).T.reshape(block, block, before, after)
        kernel[first : first + block, first : first + block] = inner
        return kernel

    def _project(self, weights: Weights, images: tuple[Array, ...]) -> tuple[Weights, tuple[Array, ...]]:
        kernels, dense = weights[: len(images)], weights[len(images) :]
        pairs = [_normalise(kernel, image, self.stride) for kernel, image in zip(kernels, images, strict=True)]
        flat = tuple(orthonormalise(weight) for weight in dense)
        return (*(kernel for kernel, _ in pairs), *flat), tuple(image for _, image in pairs)

    def ascend(self, objective: Objective, particles: Array, target: Array, state: Any) -> NetworkState:
        return network.adam_ascent(
            objective, self.potential, self._project, particles, target, state,
            updates=self.updates, learning_rate=self.learning_rate, horizon=self.horizon,
            momentum=self.momentum,
        )  # fmt: skip

    def potential(self, state: Any) -> ConvolutionalPotential:
        slope = jnp.asarray(self.L, state.scale.dtype)
        return ConvolutionalPotential(state.network, state.centre, state.scale, slope, self.shape, self.stride)

    def lipschitz_bound(self, potential: Any) -> float:
        """L times the product of the layers' norms, of the convolutions bounded in float64."""
        weights = [np.asarray(weight, np.float64) for weight in potential.network.weights]
        kernels, dense = weights[: len(self.channels)], weights[len(self.channels) :]
        norms = [
            convolution_bound(kernel, shape[:2], self.stride)
            for kernel, shape in zip(kernels, self._shapes()[:-1], strict=True)
        ]
        norms += [float(np.linalg.norm(weight, 2)) for weight in dense]
        return float(potential.slope) * math.prod(norms)
