"""Measure again the tables of `docs/choosing.md`: python docs/measurements.py [TABLE]... (all, if none is named).

Tables: share (of W1 that each Γ reaches), tails, roll, clusters, digits.

Every row is the default with one thing changed: closeness (mean ± standard deviation over four seeds of data and run
alike), near copies and spread, as in `docs/trust.md`. In the plane W2 is averaged over four fresh and four test samples,
for a single pair is mostly luck; there are too few digits for that. Takes about twenty minutes on two cores;
`benchmarks/` has the large comparisons. Bad at: differences of a few per cent.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from proxflow import ParticleTransport, divergence, wasserstein
from proxflow.data.digits import load_digits_split
from proxflow.data.toy import eight_gaussians, swiss_roll
from proxflow.trust import judge

SEEDS = (0, 1, 2, 3)
Split = tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]

IN_THE_PLANE: dict[str, dict[str, Any]] = {
    "default": {},
    "f='alpha' (order 2)": {"f": "alpha"},
    "f='reverse_kl'": {"f": "reverse_kl"},
    "f='js'": {"f": "js"},
    "f='hellinger'": {"f": "hellinger"},
    "f='chi2'": {"f": "chi2"},
    "f='ipm'": {"f": "ipm"},
    "reverse=True": {"reverse": True},
    "method='heun'": {"method": "heun"},
    "L=1": {"L": 1.0},
    "L=10": {"L": 10.0},
    "L=inf": {"L": float("inf")},
    "gamma='spectral'": {"gamma": "spectral"},
    "updates=2": {"updates": 2},
    "updates=5": {"updates": 5},
    "step_size=1": {"step_size": 1.0},
    "steps=100": {"steps": 100},
    "smoothing=1": {"smoothing": 1.0},
}
ON_DIGITS: dict[str, dict[str, Any]] = {
    "default": {},
    "smoothing=0": {"smoothing": 0.0},
    "smoothing=0.25": {"smoothing": 0.25},
    "smoothing=1": {"smoothing": 1.0},
    "n_particles=200": {"n_particles": 200},
    "gamma='spectral'": {"gamma": "spectral"},
    "width=64": {"width": 64},
    "steps=100": {"steps": 100},
}


def plane_split(draw: Callable[[int, int], np.ndarray], seed: int) -> Split:
    """Return a training sample, four fresh ones and four to test on, 300 points each."""
    train, *held_out = (draw(300, 100 * seed + i) for i in range(9))
    return train, held_out[:4], held_out[4:]


def digits_split(seed: int) -> Split:
    """Return 200 training digits, 600 fresh ones and 600 to test on."""
    split = load_digits_split(random_state=seed)
    return split.train, [split.fresh], [split.test]


def table(name: str, split: Callable[[int], Split], choices: dict[str, dict[str, Any]], base: dict[str, Any]) -> None:
    """Print one line per choice, and one for the training samples themselves: a perfect copier."""
    _line(name, "the training samples themselves", [_score(split(seed)[0], *split(seed)) for seed in SEEDS])
    for label, choice in choices.items():
        found = []
        for seed in SEEDS:
            parts = split(seed)
            with warnings.catch_warnings():  # L = inf may end early: that is its result
                warnings.simplefilter("ignore", RuntimeWarning)
                new = ParticleTransport(random_state=seed, **{**base, **choice}).fit(parts[0]).particles_
            found.append(_score(new, *parts))
        _line(name, label, found)


def _score(
    new: np.ndarray, train: np.ndarray, fresh: list[np.ndarray], tests: list[np.ndarray]
) -> tuple[float, float, float]:
    size = min(len(new), len(fresh[0]))  # W2 between samples depends on their sizes: like with like
    moved = np.mean([wasserstein(new[:size], test) for test in tests])
    floor = np.mean([wasserstein(real[:size], test) for real in fresh for test in tests])
    verdict = judge(new, train, fresh[0], tests[0], basis="")
    return float(moved / floor), verdict.near_copies, verdict.spread


def _line(name: str, label: str, found: list[tuple[float, float, float]]) -> None:
    close, copies, spread = np.asarray(found).T
    words = f"{close.mean():6.2f} ± {close.std():.2f}  near copies {copies.mean():.2f}  spread {spread.mean():.2f}"
    print(f"{name:8} {label:32} {words}", flush=True)


def tails() -> None:
    """Print quantiles of the radius for Student-t targets: 500 points in the plane."""
    for freedom in (3.0, 1.5, 0.5):
        target = np.random.default_rng(0).standard_t(freedom, size=(500, 2))
        _quantiles(f"t({freedom:g}) target", target)
        for f in ("kl", "alpha"):
            _quantiles(f"  {f}", ParticleTransport(f, random_state=0).fit(target).particles_)


def _quantiles(label: str, points: np.ndarray) -> None:
    found = np.quantile(np.linalg.norm(points, axis=1), (0.5, 0.9, 0.99))
    print(f"tails    {label:16} radius at 50, 90, 99 %: " + "  ".join(f"{q:.4g}" for q in found), flush=True)


def share() -> None:
    """Print the share of W1 that each certified Γ reaches: 300 and 300 points of normal laws at W1 = 2."""
    for features in (2, 16, 64):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(300, features)), rng.normal(size=(300, features))
        y[:, 0] += 2.0
        exact = wasserstein(x, y, p=1)
        for gamma in ("groupsort", "spectral"):
            found = divergence(x, y, f="ipm", gamma=gamma).lower_bound
            print(
                f"share    {gamma:10} {features:3} features: {found:.2f} of {exact:.2f}, {found / exact:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    asked = set(sys.argv[1:]) or {"share", "tails", "roll", "clusters", "digits"}
    if "share" in asked:
        share()
    if "tails" in asked:
        tails()
    if "roll" in asked:
        table("roll", partial(plane_split, swiss_roll), IN_THE_PLANE, {})
    if "clusters" in asked:
        table("clusters", partial(plane_split, eight_gaussians), IN_THE_PLANE, {})
    if "digits" in asked:
        table("digits", digits_split, ON_DIGITS, {"n_particles": 600, "bounds": (0.0, 16.0)})
