"""A flow that was recorded, to be replayed on other points.

    y <- y - dt_n grad φ_n(y),     φ_n and dt_n as the fit found them

Each point is carried alone: its image does not depend on the others. Potentials are kept of every so-many-th step,
as a memory budget allows, and each serves until the next one kept: the potential changes slowly, for it is warm
started. The potentials were fitted around the fit's particles. Measured (500 points in the plane): replayed points
are as close to fresh data as fresh data are. In 64 dimensions (200 digits) they end farther off than the fit's own
particles, the more so the fewer those were: W2 ratio 1.29 against 1.04 with 600 particles, 1.11 against 1.07 with 2400.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from proxflow.flows.particles import Particles, replay_all
from proxflow.spans import LabelledSpan, Span

__all__ = ["Recording", "floats_per_step", "replay", "stride_within"]

_STEPS = 50  # replayed per compiled call
_BLOCK = 65536  # points at a time


def floats_per_step(potentials: Any) -> int:
    """Return how many numbers one step's potentials are."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(potentials))


def stride_within(budget: float, floats_per_step: int, steps: int) -> int:
    """Return how many steps share one kept potential so that `budget` megabytes hold them all; 0 if none fits."""
    megabytes = 4e-6 * floats_per_step
    if budget < megabytes:
        return 0
    return max(1, math.ceil(steps / (budget / megabytes)))


@dataclass(frozen=True)
class Recording:
    """Potentials of every `every`-th step, stacked along a first axis, and the size of every step, shape (steps,)."""

    flow: Particles
    potentials: Any
    sizes: np.ndarray
    every: int = 1

    @classmethod
    def of(cls, flow: Particles, stacks: list[Any], sizes: np.ndarray, every: int) -> Recording:
        """Join the stacks that a run recorded."""
        joined = jax.tree.map(lambda *parts: np.concatenate(parts), *stacks) if stacks else ()
        return cls(flow, joined, np.asarray(sizes, np.float32), every)

    def carry(self, points: np.ndarray) -> np.ndarray:
        """Replay the whole flow on points (k, d) of the flow's own coordinates; non-finite where it overflows."""
        blocks = [self._carry(points[i : i + _BLOCK]) for i in range(0, len(points), _BLOCK)]
        return np.concatenate(blocks)

    def _carry(self, points: np.ndarray) -> np.ndarray:
        state = self.flow.init(jnp.asarray(points, jnp.float32))
        for first in range(0, len(self.sizes), _STEPS):
            last = min(first + _STEPS, len(self.sizes))
            kept = np.arange(first, last) // self.every
            potentials = jax.tree.map(lambda leaf, rows=kept: leaf[rows], self.potentials)
            state = replay_all(self.flow, state, potentials, jnp.asarray(self.sizes[first:last]))
        return np.asarray(self.flow.cloud(state), np.float64)


def replay(recording: Recording, span: Span | LabelledSpan, points: np.ndarray) -> np.ndarray:
    """Replay the flow on points (k, d) of the data's coordinates; what lies outside the span stays as it is.

    Raises
    ------
    ValueError
        A point lies where the potentials overflow.
    """
    first = span.encode(points)
    moved = recording.carry(first)
    lost = ~np.isfinite(moved).all(axis=1)
    if lost.any():
        raise ValueError(
            f"row {int(np.argmax(lost))} cannot be carried: it lies where the fitted potentials overflow, far from"
            " the source and the target of the fit."
        )
    return span.carry(points, first, moved)
