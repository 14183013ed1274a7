"""What generative models are compared on: samples of n points from a seed, each with its held-out ones.

    moons      scikit-learn's, noise 0.05, minus (0.5, 0.2), times 4.2
    pinwheel   5 arms, radial 0.3, tangential 0.1, rate 0.25, times 1.4
    mixture    eight Gaussians of deviation 0.3 on a circle of radius 4, whose density is known

The first two lie on a plane in R^d: all coordinates after the second are zero.

Bad at: looking like anybody's data.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from sklearn.datasets import make_moons


def moons(n: int, d: int, seed: int) -> np.ndarray:
    plane = (make_moons(n, noise=0.05, random_state=seed)[0] - [0.5, 0.2]) * 4.2
    return np.hstack([plane, np.zeros((n, d - 2))])


def pinwheel(n: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    radius, across = 1 + 0.3 * rng.normal(size=n), 0.1 * rng.normal(size=n)
    angle = 2 * np.pi * rng.integers(5, size=n) / 5 + 0.25 * np.exp(radius)
    cosine, sine = np.cos(angle), np.sin(angle)
    plane = 1.4 * np.column_stack([radius * cosine - across * sine, radius * sine + across * cosine])
    return np.hstack([plane, np.zeros((n, d - 2))])


_ANGLES = np.pi / 4 * np.arange(8)
MEANS, DEVIATION = 4 * np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)]), 0.3


def mixture(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return MEANS[rng.integers(8, size=n)] + DEVIATION * rng.normal(size=(n, 2))


def log_density(x: Array) -> Array:
    """Of the mixture at one point, but for a constant."""
    return jax.nn.logsumexp(-jnp.sum((x - MEANS) ** 2, axis=1) / (2 * DEVIATION**2))
