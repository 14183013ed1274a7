"""Settings chosen from the data, so that nobody tunes to get a good result. Each can be overridden.

| setting | rule | why (measured on seven sets in the plane, and digits in 64 dimensions) |
| --- | --- | --- |
| L | 0.2 / radius of the target | near W1, so that masses come out exact: moons 1.08, at L ten times larger 1.4 |
| width | 64, 128 from 9 features, 256 from 129 | 64 is too weak in 64 dimensions, 128 no better in the plane |
| learning rate | 0.32 / width | an angle per update |
| updates | 8 a step | 5 leave stragglers between the moons: 1.13 against 1.08 |
| step | 0.2 · D / I | follows scale, L and progress by itself |
| steps | 500, stopped when the divergence stalls | |
| batch | all; 4096 from 8193 particles or samples | the cost of a fit then depends on neither |
| seen blurred | square images of bounded pixels, see `image_shape` | no speckle; MNIST 0.982 -> 0.978 |
| smoothing | by how sparse the samples are | 0 in the plane, 1/2 in 64 dimensions; ratio there 1.11 -> 1.04 |
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from proxflow.targets import Batches, LocalMixture, Samples, Target, mixture_weight, nearest_neighbours

__all__ = [
    "LARGE_BATCH",
    "Smoothing",
    "default_batch",
    "default_learning_rate",
    "default_lipschitz",
    "default_width",
    "image_shape",
    "radius",
    "smoothed",
]

LARGE_BATCH = 4096
_SMALLEST_SIDE = 8  # pixels: fewer are hardly a picture
_ALIKE = 0.5  # correlation of adjacent pixels: MNIST 0.73 both ways, digits of 8 x 8 0.51 and 0.29, shuffled 0.03
_SMOOTHED = 20_000  # samples up to which neighbours are looked for without being asked


def radius(points: np.ndarray) -> float:
    """Typical distance to the centre: median, so that a heavy tail does not set the scale."""
    centre = np.median(points, axis=0)
    typical = float(np.median(np.linalg.norm(points - centre, axis=1)))
    if typical > 0:
        return typical
    spread = float(np.sqrt(points.var(axis=0).sum()))  # more than half of the samples coincide
    return spread if spread > 0 else 1.0


def default_lipschitz(target: np.ndarray) -> float:
    """L for a particle flow, in units of potential per unit of data."""
    return 0.2 / radius(target)


def default_width(features: int) -> int:
    """Units per hidden layer."""
    return 64 if features <= 8 else 128 if features <= 128 else 256


def default_learning_rate(width: int) -> float:
    """Adam's learning rate for orthonormal layers of that width."""
    return 0.32 / width


def image_shape(points: np.ndarray) -> tuple[int, int] | None:
    """Height and width if the rows, shape (n, d), look like flattened square images, else None.

    They do if each column goes with the next one along both sides of the square, and half as much at most with the one
    half a side away: in a table whose columns all go together those would be no worse. Small or noisy images pass
    for a table.
    """
    side = math.isqrt(points.shape[1])
    if side < _SMALLEST_SIDE or side * side != points.shape[1]:
        return None
    pixels = (points - points.mean(axis=0)).reshape(-1, side, side)

    def correlation(axis: int, shift: int) -> float:
        along = np.moveaxis(pixels, axis, 0)
        first, second = along[shift:], along[:-shift]
        size = float(np.sqrt(np.sum(first**2) * np.sum(second**2)))
        return float(np.sum(first * second)) / size if size > 0 else 0.0

    near = min(correlation(axis, 1) for axis in (1, 2))
    far = max(correlation(axis, side // 2) for axis in (1, 2))
    return (side, side) if near >= _ALIKE and far <= near / 2 else None


@dataclass(frozen=True)
class Smoothing:
    """A target and the weight with which its samples are mixed with their neighbours."""

    target: Target
    weight: float


def default_batch(particles: int, samples: int, heavy: bool = False) -> int | None:
    """How many of each a step's fit sees; None for all. Of a heavy tail a batch of n sees nothing beyond 1 - 1/n."""
    largest = (8 if heavy else 2) * LARGE_BATCH
    return LARGE_BATCH if max(particles, samples) > largest else None


def smoothed(points: np.ndarray, weight: float | None, batch: int | None = None) -> Smoothing:
    """Return the target to flow to: samples, shape (n, d), smoothed with this weight, or by their sparsity.

    Beyond some thousand samples nothing is smoothed unless asked for: they are no longer sparse, and looking for
    neighbours takes long.
    """
    import jax

    cloud = np.asarray(points, np.float32)
    some = batch is not None and len(cloud) > batch
    if weight == 0 or (weight is None and len(cloud) > _SMOOTHED):
        whole = jax.device_put(cloud)
        return Smoothing(Batches(whole, batch) if some and batch else Samples(whole), 0.0)
    distances, indices = nearest_neighbours(points)
    if weight is None:
        weight = mixture_weight(points, distances)
    if weight == 0:
        whole = jax.device_put(cloud)
        return Smoothing(Batches(whole, batch) if some and batch else Samples(whole), 0.0)
    mixture = LocalMixture(jax.device_put(cloud), jax.device_put(cloud[indices]), weight, batch if some else None)
    return Smoothing(mixture, weight)
