"""Measure again the table of choices in `docs/choosing.md`: python docs/measurements.py [plane] [digits] [tails].

Every row is the default with one thing changed, the mean and the spread over three seeds (of data and run alike).
Closeness and near copies are those of `docs/trust.md`. Takes about ten minutes on two cores; `benchmarks/` has the
large comparisons. Bad at: fine differences, for three seeds on two sets leave a few per cent of noise.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from proxflow import ParticleTransport
from proxflow.data.digits import load_digits_split
from proxflow.data.toy import pinwheel
from proxflow.trust import judge

SEEDS = (0, 1, 2)
Split = tuple[np.ndarray, np.ndarray, np.ndarray]

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
    "L=1, ten times the default": {"L": 1.0},
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
    "smoothing=0.5": {"smoothing": 0.5},
    "smoothing=0": {"smoothing": 0.0},
    "smoothing=0, n_particles=200": {"smoothing": 0.0, "n_particles": 200},
    "n_particles=200": {"n_particles": 200},
    "gamma='spectral'": {"gamma": "spectral"},
    "width=64": {"width": 64},
    "steps=100": {"steps": 100},
}


def pinwheel_split(seed: int) -> Split:
    """Return 200 training points of a pinwheel, and twice 300 held-out ones."""
    return pinwheel(200, 3 * seed), pinwheel(300, 3 * seed + 1), pinwheel(300, 3 * seed + 2)


def digits_split(seed: int) -> Split:
    """Return 200 training digits, and twice 600 held-out ones."""
    split = load_digits_split(random_state=seed)
    return split.train, split.fresh, split.test


def table(name: str, split: Callable[[int], Split], choices: dict[str, dict[str, Any]], base: dict[str, Any]) -> None:
    """Print one line per choice, and one for the training samples themselves: a perfect copier."""
    copies = [judge(train, train, fresh, test, basis="") for train, fresh, test in map(split, SEEDS)]
    _line(name, "the training samples themselves", copies)
    for label, choice in choices.items():
        found = []
        for seed in SEEDS:
            train, fresh, test = split(seed)
            with warnings.catch_warnings():  # L = inf may end early: that is its result
                warnings.simplefilter("ignore", RuntimeWarning)
                new = ParticleTransport(random_state=seed, **{**base, **choice}).fit(train).particles_
            found.append(judge(new, train, fresh, test, basis=""))
        _line(name, label, found)


def _line(name: str, label: str, found: list[Any]) -> None:
    close = [j.closeness for j in found]
    copies = np.mean([j.near_copies for j in found])
    print(f"{name:7} {label:32} {np.mean(close):6.2f} ± {np.std(close):.2f}  near copies {copies:.2f}", flush=True)


def tails() -> None:
    """Print quantiles of the radius for Student-t targets: 500 points in the plane."""
    for freedom in (3.0, 1.5, 0.5):
        target = np.random.default_rng(0).standard_t(freedom, size=(500, 2))
        _quantiles(f"t({freedom:g}) target", target)
        for f in ("kl", "alpha"):
            _quantiles(f"  {f}", ParticleTransport(f, random_state=0).fit(target).particles_)


def _quantiles(label: str, points: np.ndarray) -> None:
    found = np.quantile(np.linalg.norm(points, axis=1), (0.5, 0.9, 0.99))
    print(f"tails   {label:16} radius at 50, 90, 99 %: " + "  ".join(f"{q:.4g}" for q in found), flush=True)


if __name__ == "__main__":
    asked = set(sys.argv[1:]) or {"plane", "digits", "tails"}
    if "tails" in asked:
        tails()
    if "plane" in asked:
        table("plane", pinwheel_split, IN_THE_PLANE, {"n_particles": 300})
    if "digits" in asked:
        table("digits", digits_split, ON_DIGITS, {"n_particles": 600, "bounds": (0.0, 16.0)})
