"""What the particles are drawn to: the target's samples, or a smooth version of them.

Flowing to the samples themselves ends in copies once the potential is tight. Where samples are sparse (each far
from its neighbours, as always in high dimension) the empirical measure says nothing at that distance, so little
is lost by replacing each sample x_j, afresh at every step, by

    (1 - w) x_j + w Σ_k v_k x_j(k),     v = 1/K + √(K + 1) (u - 1/K),    u uniform on the simplex

x_j(1) = x_j, ..., x_j(K) its nearest neighbours: the target's vicinal measure (Chapelle, Weston, Bottou, Vapnik,
"Vicinal risk minimization", NIPS 2000; mixing with neighbours as in SMOTE, Chawla et al. 2002). The weights v add
to one and have E|v|² = 1, so that a mixture of neighbours alike spreads as much as each of them does; with plain
u it would have a third of their variance, and new samples would all lie too near the middle.

Bad at: tails and sharp edges, which mixtures blur. In the plane, with hundreds of samples, it is not needed and
its weight is zero by default. Between w = 0 and 1 a part of the local variance is still lost: the judgement's
"spread" says how much.
"""

from __future__ import annotations

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from proxflow.sharded import over_devices

__all__ = [
    "Batches", "LocalMixture", "Padded", "Samples", "Target", "even_rows", "mixture_weight", "nearest_neighbours",
]  # fmt: skip

_NEIGHBOURS = 5
# Nearest-neighbour distance over typical distance: 0.02 to 0.17 on 100 to 500 points in the plane,
# 0.37 to 0.70 on tables and images of 13 to 784 features. Between, the weight rises linearly.
_DENSE, _SPARSE = 0.2, 0.4
# The most that is mixed in by default. On digits (200 -> 600): 1 keeps 0.98 of the variance but is as far from test
# data as copies are (W2 ratio 1.11); a half keeps 0.88 at 1.04 (`benchmarks/RESULTS.md`).
_LARGEST_WEIGHT = 0.5


class Target(eqx.Module):
    """A measure to flow to: its samples, and clouds drawn of it, of the same shape every time."""

    points: eqx.AbstractVar[Array]

    @abc.abstractmethod
    def draw(self, key: Array) -> Array:
        """Return a cloud, shape (n, d)."""

    def renewed(self, key: Array, step: int) -> Target:
        """Return the target for the chunk that begins at this step: itself, unless its samples are on disk."""
        return self

    def over_devices(self, mesh: Mesh) -> Target:
        """Return the target with its rows on the devices of the mesh."""
        rows: Target = jax.tree.map(lambda leaf: over_devices(leaf, mesh) if np.ndim(leaf) else leaf, self)
        return rows


class Samples(Target):
    """The samples as they are."""

    points: Array

    def draw(self, key: Array) -> Array:
        return self.points


class Batches(Target):
    """So many of the samples at a time, drawn afresh and with replacement: each is a fair draw of the target."""

    points: Array
    size: int = eqx.field(static=True)

    def draw(self, key: Array) -> Array:
        return self.points[jax.random.randint(key, (self.size,), 0, len(self.points))]


class Padded(Target):
    """The first `count` of the points, as a cloud of `size` rows: targets of many sizes, and one compiled run.

    Each of them is drawn as often as the others, or once more, see `even_rows`.
    """

    points: Array
    count: Array
    size: int = eqx.field(static=True)

    def draw(self, key: Array) -> Array:
        return self.points[even_rows(key, self.count, self.size)]


class LocalMixture(Target):
    """Each sample mixed with its nearest neighbours (shape (n, k, d), itself first), afresh at every draw.

    size: so many of the samples at a time, drawn with replacement; None for all.
    """

    points: Array
    neighbours: Array
    weight: float
    size: int | None = eqx.field(static=True, default=None)

    def draw(self, key: Array) -> Array:
        points, neighbours = self.points, self.neighbours
        if self.size is not None:
            rows = jax.random.randint(jax.random.fold_in(key, 1), (self.size,), 0, len(points))
            points, neighbours = points[rows], neighbours[rows]
        shares = jax.random.exponential(key, neighbours.shape[:2], points.dtype)
        shares = shares / jnp.sum(shares, axis=1, keepdims=True)
        count = neighbours.shape[1]
        shares = 1 / count + jnp.sqrt(count + 1.0) * (shares - 1 / count)
        mixed = jnp.einsum("nk,nkd->nd", shares, neighbours)
        return points + self.weight * (mixed - points)


def even_rows(key: Array, count: Array | int, size: int) -> Array:
    """Indices (size,) into the first `count` rows, each as often as the others or once more; uniform on average.

    Systematic sampling: a grid with a random offset (Madow, "On the theory of systematic sampling", 1949). The count
    need not be known when this is compiled.
    """
    grid = (jnp.arange(size) + jax.random.uniform(key)) * (count / size)
    return jnp.minimum(grid.astype(jnp.int32), count - 1)


def nearest_neighbours(points: np.ndarray, count: int = _NEIGHBOURS) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices, each (n, count), of every sample's nearest neighbours, itself first."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(count, len(points))).fit(points)
    distances, indices = index.kneighbors(points)
    return distances, indices


def mixture_weight(points: np.ndarray, distances: np.ndarray) -> float:
    """How sparse the samples are, as the weight w in [0, 1/2] that their mixture deserves.

    Parameters
    ----------
    points
        Samples, shape (n, d).
    distances
        To their nearest neighbours, shape (n, k), itself first.
    """
    if distances.shape[1] < 2:
        return 0.0
    near = float(np.median(distances[:, 1:].mean(axis=1)))
    # Pairs of a shuffled copy stand for all pairs: n distances instead of n².
    shuffled = np.random.default_rng(0).permutation(len(points))
    typical = float(np.median(np.linalg.norm(points - points[shuffled], axis=1)))
    if typical == 0:
        return 0.0
    return _LARGEST_WEIGHT * float(np.clip((near / typical - _DENSE) / (_SPARSE - _DENSE), 0.0, 1.0))
