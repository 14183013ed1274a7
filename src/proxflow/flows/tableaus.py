"""Explicit Runge-Kutta methods: one step, several stages, nothing remembered.

    y <- y - dt Σ_i b_i g_i,      g_i = slope(y - dt Σ_j a_ij g_j),   j < i

A method is its tableau (a, b). Every stage asks for a slope at its own cloud, so the potential is refitted there:
with φ frozen over a step, no method would be of an order above 1. Source: Butcher, "Numerical Methods for Ordinary
Differential Equations", 2016.

Bad at: price. Each stage costs a fit, as much as a whole step of Euler or Adams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from proxflow.flows.base import Method, Slope

__all__ = ["RungeKutta", "moved"]


@dataclass(frozen=True)
class RungeKutta(Method):
    """Weights of earlier slopes in each stage, and of all slopes in the step."""

    order: int
    rows: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]

    @property
    def stages(self) -> int:
        return len(self.weights)

    def init(self, points: Array) -> Any:
        return ()

    def size(self, past: Any, first: Array, proposed: Array, allowed: Array) -> tuple[Array, Any]:
        return proposed, past

    def step(self, slope: Slope, first: Array, points: Array, past: Any, size: Array) -> tuple[Array, Any]:
        return moved(points, self.slopes(slope, first, points, size), self.weights, size), past

    def slopes(self, slope: Slope, first: Array, points: Array, size: Array) -> list[Array]:
        """Return the slopes of all stages."""
        found = [first]
        for row in self.rows[1:]:
            found.append(slope(moved(points, found, row, size)))
        return found


def moved(points: Array, slopes: Sequence[Array], weights: Sequence[float], size: Array) -> Array:
    """Points less dt times the weighted sum of slopes."""
    total = sum((w * g for w, g in zip(weights, slopes, strict=True) if w), jnp.zeros_like(points))
    return points - size * total
