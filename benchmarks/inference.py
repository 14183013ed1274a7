"""Do `compare`'s statements about laws hold? Coverage of the lower bound, level and power of the test."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.measure import table
from proxflow import Comparison, compare

COVERED, TESTED, DETECTED = 200, 400, 100  # replications
_PERMUTATIONS = 199

Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


def _shift(features: int, size: int, step: float, columns: int) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, y = rng.normal(size=(2, size, features))
        x[:, :columns] += step
        return x, y

    return draw


def _scale(size: int, deviation: float) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x, y = rng.normal(size=(2, size, 1))
        return deviation * x, y

    return draw


# name -> (draw, the laws' W1)
PAIRS: dict[str, tuple[Draw, float]] = {
    "d = 2, n = 300, moved by 1": (_shift(2, 300, 1.0, 1), 1.0),
    "d = 20, n = 512, moved by 1/2 in every column": (_shift(20, 512, 0.5, 20), 0.5 * math.sqrt(20)),
    "d = 1, n = 300, standard deviation 1.5 against 1": (_scale(300, 1.5), 0.5 * math.sqrt(2 / math.pi)),
}

NULLS: dict[str, Draw] = {
    "d = 5, n = 200": _shift(5, 200, 0.0, 0),
    "d = 2, n = 60": _shift(2, 60, 0.0, 0),
}

DRIFTS: dict[str, Draw] = {
    "one of 20 columns moved by 1/2, n = 500": _shift(20, 500, 0.5, 1),
}


def _replicated(draw: Draw, times: int, f: str) -> list[Comparison]:
    found, start = [], time.perf_counter()
    for seed in range(times):
        x, y = draw(np.random.default_rng([seed, 7]))
        found.append(compare(x, y, f, 1.0, exact=False, permutations=_PERMUTATIONS, random_state=seed))
    print(f"{(time.perf_counter() - start) / times:.2f} s each", file=sys.stderr, flush=True)
    return found


def coverage() -> str:
    """The 95 % lower bound on W1 (f = IPM, L = 1) between Gaussian laws: how often it holds, and how high it lies."""
    rows = []
    for name, (draw, truth) in PAIRS.items():
        found = _replicated(draw, COVERED, "ipm")
        bounds = np.asarray([c.held_out_lower for c in found])
        rows.append([name, f"{truth:.3f}", f"{np.mean(bounds <= truth):.1%}", f"{np.median(bounds):.3f}",
                     f"{np.mean([c.held_out for c in found]):.3f}"])  # fmt: skip
    header = ["laws", "W1", f"holds, of {COVERED}", "median bound", "mean held-out value"]
    return table(header, rows) + "\nReach: at least 93 %.\n"


def level() -> str:
    """How often the 5 % test rejects although P = Q: both statistics, and the p-value reported."""
    rows = []
    for name, draw in NULLS.items():
        found = _replicated(draw, TESTED, "kl")
        rows.append([name, *_rejected(found)])
    return table(["laws", f"reported, of {TESTED}", "energy alone", "witness alone"], rows) + "\nReach: 2 to 8 %.\n"


def power() -> str:
    """How often the 5 % test sees a drift, and the moved column is named first."""
    rows = []
    for name, draw in DRIFTS.items():
        found = _replicated(draw, DETECTED, "kl")
        named = np.mean([c.features[0].name == "0" for c in found])
        rows.append([name, *_rejected(found), f"{named:.0%}"])
    header = ["drift", f"reported, of {DETECTED}", "energy alone", "witness alone", "named first"]
    return table(header, rows) + "\nReach: over 90 %.\n"


def _rejected(found: list[Comparison]) -> list[str]:
    tests = [np.mean([c.tests[name].p_value <= 0.05 for c in found]) for name in ("energy", "witness")]
    return [f"{share:.1%}" for share in (np.mean([c.p_value <= 0.05 for c in found]), *tests)]


if __name__ == "__main__":
    sections = {"coverage": coverage, "level": level, "power": power}
    for name, section in sections.items():
        if name in (sys.argv[1:] or sections):
            print(section(), flush=True)
