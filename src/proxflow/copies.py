"""The memorisation gate: a run stops while its particles are still new samples.

    near copy   a particle closer to a training sample than 95 % of real samples are to the others

A real sample is a near copy with probability 0.05. Driven on for long enough, particles end on the training samples,
the more exactly the tighter the potential and the fewer the particles; the gate looks after every few steps and goes
back to the last state whose share of near copies was not clearly (by two standard errors) above the limit.

Bad at: seeing copies where training samples lie dense: there a new sample may well be near one of them. Few
particles: with 50 of them a limit of 0.05 is passed for certain at 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from proxflow.evolution import Run
from proxflow.metrics import nearest_distance

__all__ = ["CopyGate", "share_of_copies"]

_MOST = 2000  # particles looked at
_USUAL = 0.05  # share of real samples that are near copies, by definition


def share_of_copies(new: np.ndarray, train: np.ndarray, real: np.ndarray) -> float:
    """Share of new samples nearer to a training sample than 95 % of the distances `real`, shape (k,), are."""
    return float(np.mean(nearest_distance(new, train) <= np.quantile(real, _USUAL)))


class CopyGate:
    """A callback that ends a run at the last state with no more than `limit` near copies.

    Parameters
    ----------
    limit
        The largest share of near copies, in [0.05, 1].
    train
        Training samples, shape (n, d).
    positions
        From a run's state to its particles, in the coordinates of `train`.

    Attributes
    ----------
    shares : list of (step, share)
    """

    def __init__(self, limit: float, train: np.ndarray, positions: Callable[[Any], np.ndarray]) -> None:
        self._limit, self._train, self._positions = limit, train, positions
        alike = np.unique(train, axis=0)  # of rows that come twice the distance says nothing
        self._real = nearest_distance(alike, alike, skip_self=True) if len(alike) > 1 else np.zeros(1)
        self._sound: tuple[Any, ...] | None = None
        self.shares: list[tuple[int, float]] = []

    def __call__(self, run: Run) -> str | None:
        """Look at the particles; the reason to stop, if they copy."""
        points = self._positions(run.state)[:_MOST]
        share = share_of_copies(points, self._train, self._real)
        self.shares.append((run.step, share))
        allowance = 2 * np.sqrt(self._limit * (1 - self._limit) / len(points))
        # The source itself may pass the limit, lying close to dense samples: that is not what is looked for.
        if share <= self._limit + allowance or self._sound is None:
            self._sound = (run.state, run.memory, run.step, run.history, len(run.potentials))
            return None
        run.state, run.memory, run.step, run.history, stacks = self._sound
        del run.potentials[stacks:]
        return f"near copies passed {self._limit:g} (share {share:.2f}); kept the state after step {run.step}"
