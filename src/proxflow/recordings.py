"""A flow that was recorded, to be replayed on other points.

    y <- y - dt_n grad φ_n(y),     φ_n and dt_n as the fit found them

Each point is carried alone: its image does not depend on the others. Potentials are kept of as many steps as a memory
budget allows (`thinning`), and each serves until the next one kept: the potential changes slowly, for it is warm
started. The potentials were fitted around the fit's particles; others end farther off, see docs/kept-flows.md.
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
from proxflow.thinning import kept_steps, record_within

__all__ = ["Recording", "floats_per_step", "record_for", "replay"]

_STEPS = 50  # replayed per compiled call
_BLOCK = 65536  # points at a time


def floats_per_step(potentials: Any) -> int:
    """Return how many numbers one step's potentials are."""
    return sum(math.prod(getattr(leaf, "shape", ())) for leaf in jax.tree.leaves(potentials))


def record_for(budget: float, floats_per_step: int, steps: int) -> int:
    """Return the `record` of `kept_steps` so that `budget` megabytes hold all that is kept; 0 if not even one fits."""
    return record_within(budget / (4e-6 * floats_per_step) if floats_per_step else steps, steps)


@dataclass(frozen=True)
class Recording:
    """Potentials of the steps that `kept_steps(record)` names, stacked, and the size of every step, shape (steps,)."""

    flow: Particles
    potentials: Any
    sizes: np.ndarray
    record: int = 1

    @classmethod
    def of(cls, flow: Particles, stacks: list[Any], sizes: np.ndarray, record: int) -> Recording:
        """Join the stacks that a run recorded."""
        joined = jax.tree.map(lambda *parts: np.concatenate(parts), *stacks) if stacks else ()
        return cls(flow, joined, np.asarray(sizes, np.float32), record)

    def carry(self, points: np.ndarray) -> np.ndarray:
        """Replay the whole flow on points (k, d) of the flow's own coordinates; non-finite where it overflows."""
        blocks = [self._carry(points[i : i + _BLOCK]) for i in range(0, len(points), _BLOCK)]
        return np.concatenate(blocks)

    def _carry(self, points: np.ndarray) -> np.ndarray:
        state = self.flow.init(jnp.asarray(points, jnp.float32))
        steps = np.arange(len(self.sizes))
        serving = np.searchsorted(kept_steps(self.record, len(steps)), steps, side="right") - 1
        for first in range(0, len(self.sizes), _STEPS):
            last = min(first + _STEPS, len(self.sizes))
            rows = serving[first:last]
            potentials = jax.tree.map(lambda leaf, rows=rows: leaf[rows], self.potentials)
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
