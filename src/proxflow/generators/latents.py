"""Latents outside of training: what a generator makes of many, and ways from one to another.

    straight    z(t) = (1 - t) a + t b
    turning     z(t) = (sin((1 - t) ω) a + sin(t ω) b) / sin ω,      ω the angle between a and b

Gaussian latents of k dimensions lie near a sphere of radius √k, and the middle of a straight line does not: hence
turning (White, "Sampling generative networks", 2016). Bad at: opposite latents, between which no turn is the shortest.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.generators.base import Generator

__all__ = ["between", "made"]

_BLOCK, _SMALLEST = 8192, 64  # latents at a time: few shapes to compile, little memory
_PARALLEL = 1e-3  # sine of an angle below which turning is going straight


def made(generator: Generator, latents: np.ndarray) -> np.ndarray:
    """The points that a generator makes of latents (n, k): shape (n, d), float32."""
    parts = []
    for first in range(0, len(latents), _BLOCK):
        part = np.asarray(latents[first : first + _BLOCK], np.float32)
        size = max(_SMALLEST, 1 << (len(part) - 1).bit_length())
        padded = jnp.asarray(np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)]))
        parts.append(np.asarray(_made(generator, padded))[: len(part)])
    return np.concatenate(parts)


@eqx.filter_jit
def _made(generator: Generator, latents: Array) -> Array:
    return generator(latents)


def between(first: np.ndarray, last: np.ndarray, count: int, *, turning: bool) -> np.ndarray:
    """So many latents from first to last, shape (k,): shape (count, k), both ends included."""
    share = np.linspace(0, 1, count)[:, None]
    lengths = np.linalg.norm(first), np.linalg.norm(last)
    if turning and min(lengths) > 0:
        angle = np.arccos(np.clip(first @ last / (lengths[0] * lengths[1]), -1, 1))
        if np.sin(angle) > _PARALLEL:
            return (np.sin((1 - share) * angle) * first + np.sin(share * angle) * last) / np.sin(angle)
    return (1 - share) * first + share * last
