"""Strided convolutions of images as linear maps: values, transposes, and norms that are proven.

    (K * x)[i] = Σ_a K[a] x[stride · i + a - first],      ‖K *‖₂ = the largest singular value of that map

with zeros outside the image. The norm of the kernel reshaped to a matrix, which spectral normalisation often takes
instead, can be too small by a factor of the kernel's size. Small maps are written out as a matrix; for the rest
the norm on infinite images is bounded from the symbol, as for Toeplitz operators (Sedghi, Gupta, Long, "The singular
values of convolutional layers", ICLR 2019, for periodic images; Pfister, Bresler, "Bounding multivariate
trigonometric polynomials", IEEE Transactions on Signal Processing, 2019, for what lies between the frequencies).

Bad at: images of ten pixels a side with very many channels, where no matrix fits and the border, which lowers the
norm by up to a tenth, is ignored.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import numpy as np
import scipy.linalg
from jax import Array

__all__ = ["convolution_bound", "convolve", "convolve_back", "sides_after"]

_LARGEST = 16_000_000  # numbers in a convolution's matrix, up to which its norm is computed from it
_GRID = 32  # frequencies per degree of the symbol: a bound within 1 % of the infinite image's norm
_LAYOUT = ("NHWC", "HWIO", "NHWC")


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(kernel: Array, images: Array, stride: int) -> Array:
    """Images (n, h, w, in) to (n, ceil(h / stride), ceil(w / stride), out), for a kernel (size, size, in, out).

    Its two derivatives are written out below as convolutions in the very layout of this one: JAX's own come in
    others, for which XLA has no fast code on a CPU within a loop (measured: 30 times slower).
    """
    padding = [(before, after) for before, after, _ in _edges(kernel, images.shape[1:3], stride)]
    return jax.lax.conv_general_dilated(images, kernel, (stride, stride), padding, dimension_numbers=_LAYOUT)


def convolve_back(kernel: Array, images: Array, shape: tuple[int, ...], stride: int) -> Array:
    """The transpose: (n, ceil(h / stride), ceil(w / stride), out) to images (n, h, w, in) of this shape (h, w)."""
    size = kernel.shape[0]
    padding = [(size - 1 - before, size - 1 - rest) for before, _, rest in _edges(kernel, shape, stride)]
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    return jax.lax.conv_general_dilated(
        images, turned, (1, 1), padding, lhs_dilation=(stride, stride), dimension_numbers=_LAYOUT
    )


def _edges(kernel: Any, shape: tuple[int, ...], stride: int) -> list[tuple[int, int, int]]:
    """Zeros before and after each side, the odd one after, and how far the last place sticks out (below 0: short)."""
    edges = []
    for length in shape:
        reach = (sides_after(length, stride) - 1) * stride + kernel.shape[0]
        total = max(reach - length, 0)
        edges.append((total // 2, total - total // 2, reach - length - total // 2))
    return edges


def _forward(kernel: Array, images: Array, stride: int) -> tuple[Array, tuple[Array, Array]]:
    return convolve(kernel, images, stride), (kernel, images)


def _backward(stride: int, kept: tuple[Array, Array], slopes: Array) -> tuple[Array, Array]:
    kernel, images = kept
    # A kernel's slope is a convolution too: channels as the batch, and the batch as channels.
    padding = [(before, rest) for before, _, rest in _edges(kernel, images.shape[1:3], stride)]
    to_kernel = jax.lax.conv_general_dilated(
        images.transpose(3, 1, 2, 0), slopes.transpose(1, 2, 0, 3), (1, 1), padding,
        rhs_dilation=(stride, stride), dimension_numbers=_LAYOUT,
    )  # fmt: skip
    return to_kernel.transpose(1, 2, 0, 3), convolve_back(kernel, slopes, images.shape[1:3], stride)


convolve.defvjp(_forward, _backward)


def convolution_bound(kernel: np.ndarray, shape: tuple[int, int], stride: int, *, largest: int = _LARGEST) -> float:
    """Return a bound on the 2-norm of the strided, zero-padded convolution of images: exact if it is small.

    Parameters
    ----------
    kernel
        Of shape (size, size, in, out).
    shape
        Height and width of the images that it meets.
    stride
        Distance between its places.
    largest
        Numbers in the convolution's matrix up to which the norm is computed from that matrix. Beyond it the norm
        on an infinite image is bounded, within about 1 % and whatever the images' size.

    Examples
    --------
    >>> ones = np.ones((3, 3, 1, 1))  # its norm as a vector is 3, but the sum over 9 neighbours multiplies up to 9
    >>> round(convolution_bound(ones, (8, 8), 1), 2), convolution_bound(ones, (8, 8), 1, largest=0) >= 9
    (8.29, True)
    """
    kernel = np.asarray(kernel, np.float64)
    inside = math.prod(shape) * kernel.shape[2]
    outside = math.prod(sides_after(size, stride) for size in shape) * kernel.shape[3]
    if inside * outside > largest:
        return _bound_on_infinite_images(kernel, stride)
    matrix = _matrix(kernel, shape, stride)
    gram = matrix @ matrix.T if outside <= inside else matrix.T @ matrix
    last = len(gram) - 1
    square = scipy.linalg.eigh(gram, eigvals_only=True, subset_by_index=[last, last])[0]
    # Rounding errs by about 1e-16 times the size, either way: far more is added.
    return float(np.sqrt(max(square, 0.0))) * (1 + 1e-10)


def sides_after(size: int, stride: int) -> int:
    """How many places a side of this size has after one convolution."""
    return -(-size // stride)


def _matrix(kernel: np.ndarray, shape: tuple[int, int], stride: int) -> np.ndarray:
    """The convolution as a matrix on flattened images, one row per output."""
    size, _, before, after = kernel.shape
    outside = [sides_after(length, stride) for length in shape]
    first = [before for before, _, _ in _edges(kernel, shape, stride)]
    matrix = np.zeros((*outside, after, *shape, before))
    for a, b in np.ndindex(size, size):
        places = [np.arange(out) * stride + tap - pad for out, tap, pad in zip(outside, (a, b), first, strict=True)]
        rows, columns = (
            np.flatnonzero((place >= 0) & (place < length)) for place, length in zip(places, shape, strict=True)
        )
        i, j = np.ix_(rows, columns)
        matrix[i, j, :, places[0][i], places[1][j], :] = kernel[a, b].T
    return matrix.reshape(math.prod(outside) * after, -1)


def _bound_on_infinite_images(kernel: np.ndarray, stride: int) -> float:
    """Bound the norm on images without border, of which zero padding is a restriction.

    Sorted by place modulo stride the convolution has no stride and stride² times the channels. Its norm is then the
    largest norm of its symbol M(ω) = Σ_q K[q] exp(i qω) over all frequencies. Between two directions M is a
    trigonometric polynomial of degree D in each of both ω, and such a one falls from its maximum no faster
    than cos(D t) (M. Riesz): on a grid of N frequencies each way some value is at least cos(πD / N)² of it.
    """
    size, _, before, after = kernel.shape
    blocks = -(-size // stride)
    degree, frequencies = blocks - 1, max(1, _GRID * (blocks - 1))
    padded = np.zeros((blocks * stride, blocks * stride, before, after))
    padded[:size, :size] = kernel
    taps = padded.reshape(blocks, stride, blocks, stride, before, after).transpose(0, 2, 1, 3, 4, 5)
    taps = taps.reshape(blocks, blocks, stride**2 * before, after)
    angles = 2 * np.pi * np.arange(frequencies) / frequencies
    waves = np.exp(1j * np.outer(angles, np.arange(blocks)))
    largest = 0.0
    for wave in waves[: frequencies // 2 + 1]:  # M(-ω) is M(ω)'s conjugate and has its norm
        symbols = np.einsum("nq,qio->nio", waves, np.einsum("p,pqio->qio", wave, taps))
        adjoint = symbols.conj().transpose(0, 2, 1)
        grams = symbols @ adjoint if stride**2 * before <= after else adjoint @ symbols
        largest = max(largest, float(np.linalg.eigvalsh(grams)[:, -1].max()))
    return math.sqrt(max(largest, 0.0)) / math.cos(math.pi * degree / frequencies) ** 2 * (1 + 1e-10)
