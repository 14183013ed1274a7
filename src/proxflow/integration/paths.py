"""How far a class should flow towards the reference: as far as samples held out approve.

    for every fold:  a part of the class drives the flow, the rest rides along
                     energy distance of the riders to reference samples held out, after every few steps
    path = where the mean gain over the folds is largest, less its standard error; of small classes, of all together

The flow is the generative particle algorithm (`flows.particles`) with steps of fixed length, a share of the class's
spread, so that a step means the same in every fold. Curves are U-shaped: first the flow mends what the start left, then
it carries samples onto the reference's own, which is memorising. Samples held out tell where one ends and the other
begins; where the start needs no mending the path is 0 and the flow is the identity.

Measured (halves held out, `python -m benchmarks.run integration`): after shift and scale the flow takes the energy
distance from 0.029 to 0.016 between two platforms (NKI onto EXPO), from 0.036 to 0.035 where a simulated distortion
bends, and is left out where it shifts and rescales.

Bad at: classes of a few samples, which are not asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from proxflow.agreement import energy
from proxflow.recordings import Recording

if TYPE_CHECKING:
    from proxflow.entropies import Entropy
    from proxflow.evolution import Run

__all__ = ["JUDGED", "STEP", "Flowing", "chosen_steps", "heldout_curve", "looks", "padded"]

STEP = 0.02  # of the class's spread: root mean square length of a step
_GAP = 5  # steps between two looks, fewer at first
JUDGED = 1000  # samples of a side that judge in a fold: more say no more
_DRIVING = 2000  # that drive in a fold
_BATCHES = 256, 1024
_SMALLEST_CLOUD = 64
_WARM_UP = 60  # ascents before the first step
_OTHERS = 100  # a class of so many samples trusts its own curve as much as that of all


@dataclass(frozen=True)
class Flowing:
    """A flow of one class: every setting of it, in units of the reference's spread within the class."""

    f: Entropy
    L: float = 0.2
    width: int = 64
    depth: int = 3
    updates: int = 5
    learning_rate: float = 5e-3

    def run(
        self, drivers: np.ndarray, riders: np.ndarray, target: np.ndarray, steps: int, seed: int,
        look: Any = None,
    ) -> Recording | None:  # fmt: skip
        """Move drivers (n, k) to target (m, k); riders go along unseen. look(step, drivers', riders') now and then.

        Returns the potentials, to be replayed on others, or None if there was no step. Ends early if look says so.
        """
        import jax

        from proxflow.divergences import Divergence
        from proxflow.evolution import evolve
        from proxflow.flows.particles import Particles
        from proxflow.flows.steps import FisherStep
        from proxflow.gamma.groupsort import GroupSort
        from proxflow.targets import Padded

        # So many of the drivers and of the target a step, each as often as the others: few samples several times.
        batch = int(np.clip(_power_of_two(max(len(drivers), len(target))), *_BATCHES))
        gamma = GroupSort(self.L, self.width, self.depth, self.updates, self.learning_rate)
        flow = Particles(FisherStep(1.0, STEP), driving=np.int32(len(drivers)))
        everybody = np.concatenate([drivers, riders])
        count = len(everybody)

        def watch(run: Run) -> bool:
            cloud = np.asarray(run.state.points, np.float64)
            return bool(look(run.step, cloud[: len(drivers)], cloud[len(drivers) : count]))

        goal = Padded(jax.device_put(padded(target).astype(np.float32)), np.int32(len(target)), batch)  # type: ignore[arg-type]
        run = evolve(
            flow, Divergence(gamma, self.f), padded(everybody), goal, steps=steps, key=jax.random.key(seed),
            warm_up=_WARM_UP, chunk=_GAP, batch=batch, driving=len(drivers), record=1,
            callbacks=() if look is None else (watch,),
        )  # fmt: skip
        if "interrupted" in run.stopped:
            raise KeyboardInterrupt
        if "non-finite" in run.stopped:
            raise ValueError(f"the flow broke: {run.stopped}. Lower L or learning_rate.")
        if not run.potentials:
            return None
        return Recording.of(Particles(flow.rule), run.potentials, np.asarray(run.history["step_size"], np.float32), 1)


def padded(points: np.ndarray) -> np.ndarray:
    """Points (n, k) and again their first ones, up to a power of two: few sizes, few compiled runs."""
    size = max(_SMALLEST_CLOUD, _power_of_two(len(points)))
    return points[np.arange(size) % len(points)]


def _power_of_two(count: int) -> int:
    """The smallest that is not below count."""
    return int(2 ** math.ceil(math.log2(count)))


def looks(steps: int) -> list[int]:
    """The steps after which a run of so many is looked at."""
    found = [0]
    while found[-1] < steps:
        found.append(min(steps, found[-1] + min(_GAP, 1 + found[-1] // 4)))
    return found


def heldout_curve(
    flowing: Flowing, fitted: tuple[np.ndarray, np.ndarray], heldout: tuple[np.ndarray, np.ndarray], *,
    steps: int, patience: int, seed: int,
) -> np.ndarray:  # fmt: skip
    """Energy distances after `looks(steps)` between riders and samples of the reference, both held out.

    Parameters
    ----------
    fitted, heldout
        Samples of the class, (n, k), and of the reference, (m, k): those that drive, and those that judge.
    steps, patience
        The most steps, and so many without a new smallest value end it: the rest of the curve is its last value.
    """
    rng = np.random.default_rng(seed)
    drivers, target = (_some(part, _DRIVING, rng) for part in fitted)
    riders, judges = (_some(part, JUDGED, rng) for part in heldout)
    expected, curve = looks(steps), []

    def look(step: int, _: np.ndarray, moved: np.ndarray) -> bool:
        curve.append(energy(moved, judges))
        return step - expected[int(np.argmin(curve))] >= patience

    flowing.run(drivers, riders, target, steps, seed, look)
    return np.concatenate([curve, np.full(len(expected) - len(curve), curve[-1])])


def _some(points: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    return points if len(points) <= most else points[rng.choice(len(points), most, replace=False)]


def chosen_steps(
    curves: Mapping[Any, np.ndarray], counts: Mapping[Any, int], grid: Sequence[int]
) -> tuple[dict[Any, int], float]:
    """How many steps each class should flow, and what is left then of the mean energy distance, at a cautious guess.

    A class goes to where its gain less the gain's standard error over the folds is largest: with few samples a gain may
    be luck, the more so the longer the way.

    curves: class -> (folds, looks), its held-out curves. counts: its samples. grid: the steps of the looks.
    """
    total = sum(counts[c] for c in curves)
    everyone = sum(counts[c] / total * curves[c] for c in curves)
    chosen, left = {}, 0.0
    for c, curve in curves.items():
        trust = counts[c] / (counts[c] + _OTHERS)
        judged = trust * curve + (1 - trust) * everyone
        gain = judged[:, :1] - judged
        certain = gain.mean(axis=0) - gain.std(axis=0, ddof=1) / math.sqrt(len(gain))
        best = int(np.argmax(certain))
        chosen[c] = int(grid[best])
        left += counts[c] / total * float(curve[:, 0].mean() - certain[best])
    return chosen, left
