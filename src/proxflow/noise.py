"""Sources without end, for movers that are trained: noise drawn afresh at every step, inside compiled code.

    x = centre + b F,    b of independent columns: normal, uniform on (0, 1), or logistic of variance 1

F makes them what `sources` draws: a Gaussian of the target's mean and covariance, its bounding box, logistic columns.
In the coordinates of a span all of these stay such mixtures. Points may also be drawn evenly, from scrambled Sobol'
numbers (Owen, "Scrambling Sobol' and Niederreiter-Xing points", 1998): each has the law's distribution, and all
together are nearer to it than independent ones are.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.sources import SOURCES
from proxflow.spans import Span
from proxflow.targets import Target
from proxflow.validation import check_choice

__all__ = ["Noise", "latent_noise", "source_noise"]

_LOGISTIC = np.sqrt(3) / np.pi  # makes the variance 1
_EDGE = 1e-9  # numbers of Sobol' include 0
_KNOWN = 2000  # points drawn beforehand, from which potentials take their units


class Noise(Target):
    """A law to draw from: centre (k,), factor (r, k); `size` points a draw. `points` are some drawn before."""

    points: Array
    centre: Array
    factor: Array
    kind: str = eqx.field(static=True)
    size: int = eqx.field(static=True)

    def draw(self, key: Array) -> Array:
        return self.some(key, self.size)

    def some(self, key: Array, count: int) -> Array:
        """So many points, shape (count, k)."""
        shape = (count, len(self.factor))
        if self.kind == "uniform":
            base = jax.random.uniform(key, shape)
        elif self.kind == "logistic":
            base = jax.random.logistic(key, shape) * _LOGISTIC
        else:
            base = jax.random.normal(key, shape)
        return self.centre + base @ self.factor

    def evenly(self, seed: int, count: int) -> Array:
        """So many points that fill the law evenly, shape (count, k).

        Raises
        ------
        ValueError
            More columns than there are Sobol' numbers for.
        """
        from scipy.special import logit, ndtri
        from scipy.stats import qmc

        columns = len(self.factor)
        if columns > qmc.Sobol.MAXDIM:
            raise ValueError(f"there are no Sobol' numbers of {columns} columns, at most {qmc.Sobol.MAXDIM}.")
        sobol = qmc.Sobol(columns, rng=np.random.default_rng(seed))
        shares = sobol.random_base2(max(1, int(np.ceil(np.log2(count)))))[:count]
        shares = np.clip(shares, _EDGE, 1 - _EDGE)
        base = (
            shares
            if self.kind == "uniform"
            else logit(shares) * _LOGISTIC
            if self.kind == "logistic"
            else ndtri(shares)
        )
        return self.centre + jnp.asarray(base, jnp.float32) @ self.factor


def source_noise(kind: str, samples: np.ndarray, span: Span, size: int, key: Array) -> Noise:
    """Return the source of that kind fitted to samples (n, d) of the target, in the coordinates of a span.

    Raises
    ------
    ValueError
        An unknown kind.
    """
    check_choice(kind, "source", SOURCES)
    inside = samples if span.bend is None else span.bend.compress(samples)
    if kind == "uniform":
        centre, factor = inside.min(axis=0), np.diag(np.ptp(inside, axis=0))
    elif kind == "logistic":
        centre, factor = inside.mean(axis=0), np.diag(inside.std(axis=0))
    elif kind == "standard":
        centre, factor = np.zeros(inside.shape[1]), np.eye(inside.shape[1])
    else:
        centre = inside.mean(axis=0)
        factor = (inside - centre) / np.sqrt(max(1, len(inside) - 1))
        if len(factor) > factor.shape[1]:
            factor = np.asarray(np.linalg.qr(factor, mode="r"))
    scale = 1.0 if span.scale is None else span.scale
    centre, factor = (centre - span.centre) / scale, factor / scale
    if span.basis is not None:
        centre, factor = centre @ span.basis.T, factor @ span.basis.T
    return _noise(kind, centre, factor, size, key)


def latent_noise(dimensions: int, kind: str, size: int, key: Array) -> Noise:
    """Return noise of independent columns, of mean 0 and variance 1 (uniform: on (-1, 1))."""
    check_choice(kind, "noise", SOURCES)
    side = 2.0 if kind == "uniform" else 1.0
    return _noise(kind, np.full(dimensions, -1.0 if kind == "uniform" else 0.0), side * np.eye(dimensions), size, key)


def _noise(kind: str, centre: np.ndarray, factor: np.ndarray, size: int, key: Array) -> Noise:
    single: Any = [jnp.asarray(part, jnp.float32) for part in (centre, factor)]
    noise = Noise(jnp.zeros((0, len(centre))), single[0], single[1], kind, size)
    return eqx.tree_at(lambda n: n.points, noise, noise.some(key, _KNOWN))
