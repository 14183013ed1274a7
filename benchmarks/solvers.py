"""Oscillation off the plane: four Gaussians on a plane in 12 dimensions, and a source that is not on it.

The setting of Gu et al. (2024, supplement 3.2: explicit solvers): 600 + 600 points, KL, L = 1, five updates a fit.
Centres at distance 5, deviation 0.5; the source is a normal law of deviation 3 in all 12 dimensions. Root mean square
distance to the plane over the last quarter of a run of length 200 (400 steps of 0.5, or as many by the default rule),
and the largest in it: mean of two seeds. Rows of equal fits per unit of time compare fairly: Heun with Euler at half
the step or at twice the updates, RK4 with Euler at a quarter of the step.
"""

from __future__ import annotations

import time

import jax
import numpy as np

from benchmarks.measure import table
from proxflow import Divergence, ParticleTransport, evolve, oracle_ratio
from proxflow.data.toy import moons
from proxflow.evolution import Run
from proxflow.flows import METHODS, ConstantStep, DivergenceStep, Particles, StepRule
from proxflow.gamma import Gamma, GroupSort, SpectralNormalised

SEEDS = (0, 1)
LENGTH, DT, POINTS, DIMENSIONS = 200.0, 0.5, 600, 12
REACH = 5.0  # the target's radius

# (label, method, how many steps for one, updates per fit)
ROWS = [
    ("euler", "euler", 1, 5),
    ("euler, twice the updates", "euler", 1, 10),
    ("euler, half the step", "euler", 2, 5),
    ("heun", "heun", 1, 5),
    ("euler, a quarter of the step", "euler", 4, 5),
    ("rk4", "rk4", 1, 5),
    ("ab2", "ab2", 1, 5),
    ("ab4", "ab4", 1, 5),
    ("abm2", "abm2", 1, 5),
    ("abm4", "abm4", 1, 5),
    ("heun_euler", "heun_euler", 1, 5),
    ("bs23", "bs23", 1, 5),
]


def clouds(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Source and target, each (600, 12)."""
    rng = np.random.default_rng(seed)
    centres = 5.0 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    target = np.zeros((POINTS, DIMENSIONS))
    target[:, :2] = centres[rng.integers(0, 4, POINTS)] + 0.5 * rng.normal(size=(POINTS, 2))
    return 3.0 * rng.normal(size=(POINTS, DIMENSIONS)), target


def off_plane(method: str, rule: StepRule, space: Gamma, steps: int, seed: int = 0) -> dict[int, float]:
    """Root mean square distance to the plane, at every fifth step or so."""
    seen = {}

    def watch(run: Run) -> None:
        points = np.asarray(run.state.points)
        seen[run.step] = float(np.sqrt((points[:, 2:] ** 2).sum(axis=1).mean()))

    evolve(
        Particles(rule, method), Divergence(space), *clouds(seed), steps=steps, chunk=5, callbacks=[watch],
        key=jax.random.key(seed),
    )  # fmt: skip
    return seen


def main() -> str:
    rows = []
    for label, method, parts, updates in ROWS:
        cells = []
        pair = method in ("heun_euler", "bs23")
        for space, rule in (
            (SpectralNormalised, ConstantStep(DT / parts)),
            (GroupSort, ConstantStep(DT / parts)),
            (GroupSort, DivergenceStep(0.2 / parts, REACH)),
        ):
            if pair and isinstance(rule, ConstantStep):
                cells.append("-")
                continue
            steps, tails = int(parts * LENGTH / DT), []
            for seed in SEEDS:
                network = space(L=1.0, width=32, updates=updates, learning_rate=4e-3)
                seen = off_plane(method, rule, network, steps, seed)
                tails.append([far for step, far in seen.items() if step > 0.75 * steps])
            cells.append(f"{np.mean([np.mean(t) for t in tails]):.3f} ({np.mean([max(t) for t in tails]):.3f})")
        fits = parts * METHODS[method].stages * updates // 5
        rows.append([label, fits, *cells])
        print(rows[-1], flush=True)
    header = ["method", "cost", "spectral ReLU, constant dt", "GroupSort, constant dt", "GroupSort, default rule"]
    return table(header, rows)


def quality() -> str:
    """Closeness on moons (200 points, two seeds) and time of a fit, all else by default."""
    rows = []
    for method in ("euler", "heun", "rk4", "ab2", "ab4", "abm2", "heun_euler", "bs23"):
        kind = METHODS[method]
        ratios, seconds = [], []
        for seed in SEEDS:
            train, fresh, test = (moons(200, 10 * seed + i) for i in range(3))
            ParticleTransport(random_state=seed, method=method, steps=1).fit(train)  # compiles
            start = time.perf_counter()
            new = ParticleTransport(random_state=seed, method=method).fit(train).particles_
            seconds.append(time.perf_counter() - start)
            ratios.append(oracle_ratio(new, fresh, test))
        rows.append([
            method, kind.order, kind.stages, f"{np.mean(ratios):.3f}", ", ".join(f"{r:.2f}" for r in ratios),
            f"{np.mean(seconds):.1f} s",
        ])  # fmt: skip
        print(rows[-1], flush=True)
    return table(["method", "order", "fits per step", "W2 ratio", "each seed", "warm fit"], rows)


if __name__ == "__main__":
    print(main())
    print(quality())
