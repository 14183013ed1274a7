"""Settings chosen from the data, so that nobody tunes to get a good result. Each can be overridden.

| setting | rule | why (measured on seven sets in the plane, and digits in 64 dimensions) |
| --- | --- | --- |
| L | 0.2 / radius of the target | near W1, so that masses come out exact: moons 1.08, at L ten times larger 1.4 |
| width | 64, 128 from 9 features, 256 from 129 | 64 is too weak in 64 dimensions, 128 no better in the plane |
| learning rate | 0.32 / width | an angle per update |
| updates | 8 a step | 5 leave stragglers between the moons: 1.13 against 1.08 |
| step | 0.2 · D / I | follows scale, L and progress by itself |
| steps | 500, stopped when the divergence stalls | |
| smoothing | by how sparse the samples are | 0 in the plane, 1/2 in 64 dimensions; ratio there 1.11 -> 1.04 |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proxflow.targets import LocalMixture, Samples, Target, mixture_weight, nearest_neighbours

__all__ = ["default_learning_rate", "default_lipschitz", "default_width", "radius", "smoothed"]


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


@dataclass(frozen=True)
class Smoothing:
    """A target and the weight with which its samples are mixed with their neighbours."""

    target: Target
    weight: float


def smoothed(points: np.ndarray, weight: float | None) -> Smoothing:
    """Return the target to flow to: samples, shape (n, d), smoothed with this weight, or by their sparsity."""
    import jax

    cloud = np.asarray(points, np.float32)
    if weight == 0:
        return Smoothing(Samples(jax.device_put(cloud)), 0.0)
    distances, indices = nearest_neighbours(points)
    if weight is None:
        weight = mixture_weight(points, distances)
    if weight == 0:
        return Smoothing(Samples(jax.device_put(cloud)), 0.0)
    return Smoothing(LocalMixture(jax.device_put(cloud), jax.device_put(cloud[indices]), weight), weight)
