"""How much of a known W1 between two laws a potential fitted to samples reaches on fresh ones.

Take u of slope 1 almost everywhere and move x ~ Q0 down its ray by a random t, not past the ray's end: u falls by
exactly t. So no plan is cheaper than this one and no potential reaches more than u, and W1 = E[t]. P is the law of
the upper end, Q that of the lower one, drawn from different x. The exact W1 of two samples would be far too large
in many dimensions; a certified potential on fresh samples can exceed the truth by sampling error only.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.measure import table
from proxflow.divergences import Divergence
from proxflow.entropies import IPM, KL
from proxflow.fitting import fit_potential
from proxflow.gamma import Gamma, GroupSort, Potential
from proxflow.gamma.cones import Cones
from proxflow.gamma.semidual import solve_samples

DIMENSIONS = (2, 8, 16, 64)
SAMPLES, HELDOUT, UPDATES = 20_000, 2_000, 1000

# (how many, rng) -> points, the same moved down the ray of u, by how much
Ray = Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray, np.ndarray]]


def cones(count: int, features: int) -> Ray:
    """Make u = min over j of |x - c_j| + b_j: x moves towards its own apex and stays in that apex's cell."""
    rng = np.random.default_rng(features)
    apexes, heights = 1.5 * rng.normal(size=(count, features)), rng.uniform(0, 1, count)

    def draw(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = 1.5 * rng.normal(size=(size, features))
        distances = np.stack([np.linalg.norm(x - apex, axis=1) for apex in apexes], axis=1)
        own = np.argmin(distances + heights, axis=1)
        share = rng.uniform(0.1, 0.9, size)
        return x, x + share[:, None] * (apexes[own] - x), share * distances[np.arange(size), own]

    return draw


def planes(count: int, features: int) -> Ray:
    """Make u = min over j of a_j·x + b_j with |a_j| = 1: x moves along -a_j, however far."""
    rng = np.random.default_rng(features)
    normals, heights = rng.normal(size=(count, features)), rng.uniform(0, 0.5, count)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)

    def draw(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, length = rng.normal(size=(size, features)), rng.uniform(0.5, 2.0, size)
        own = np.argmin(x @ normals.T + heights, axis=1)
        return x, x - length[:, None] * normals[own], length

    return draw


def sphere(features: int, *, signed: bool) -> Ray:
    """Make u = |x| - r: x moves to the middle; or u = ||x| - r|, which bends both ways: x moves to the sphere."""
    radius = np.sqrt(features)

    def draw(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        direction = rng.normal(size=(size, features))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        r, share = radius * rng.uniform(0, 2, size), rng.uniform(0.2, 0.8, size)
        fall = share * ((0 if signed else radius) - r)
        return direction * r[:, None], direction * (r + fall)[:, None], np.abs(fall)

    return draw


# name -> (d -> ray, whether P and Q change roles: u becomes -u, a minimum a maximum)
CASES: dict[str, tuple[Callable[[int], Ray], bool]] = {
    "minimum of 4 cones": (lambda d: cones(4, d), False),
    "minimum of 16 cones": (lambda d: cones(16, d), False),
    "maximum of 16 cones": (lambda d: cones(16, d), True),
    "minimum of 8 planes": (lambda d: planes(8, d), False),
    "signed distance to a sphere": (lambda d: sphere(d, signed=True), False),
    "distance to a sphere": (lambda d: sphere(d, signed=False), False),
}

SPACES: dict[str, Gamma] = {
    "cones": Cones(updates=1, horizon=float(UPDATES)),
    "cones, maximum": Cones(updates=1, horizon=float(UPDATES), maximum=True),
    "GroupSort": GroupSort(width=128, updates=1, horizon=float(UPDATES)),
}


def pair(ray: Ray, swapped: bool, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Independent samples of P and Q."""
    rng = np.random.default_rng(seed)
    (high, _, _), (_, low, _) = ray(size, rng), ray(size, rng)
    return (-low, -high) if swapped else (high, low)  # u becomes -u(-x): slope, rays and truth stay


@jax.jit
def _heights(potential: Potential, points: Any) -> Any:
    return potential(points)


def main(only: str = "", dimensions: tuple[int, ...] = DIMENSIONS) -> str:
    rows, seconds = [], []
    for name, (make, swapped) in CASES.items():
        for features in dimensions if only in name else ():
            ray = make(features)
            truth = ray(500_000 if features < 64 else 100_000, np.random.default_rng(3))[2].mean()
            x, y = pair(ray, swapped, SAMPLES, 1)
            fresh = pair(ray, swapped, SAMPLES, 2)
            cut = SAMPLES - HELDOUT
            found = []
            for gamma in SPACES.values():
                start = time.perf_counter()
                fitted = fit_potential(
                    Divergence(gamma, IPM()), x[:cut], y[:cut], steps=UPDATES, validation=(x[cut:], y[cut:])
                )
                seconds.append(time.perf_counter() - start)
                up, down = (np.asarray(_heights(fitted.potential, c.astype(np.float32)), np.float64) for c in fresh)
                noise = np.sqrt((up.var() + down.var()) / SAMPLES)
                found.append((fitted.validation_values.max(), up.mean() - down.mean(), noise))
            _, value, noise = max(found)
            rows.append(
                [name, features, f"{truth:.2f}", *(f"{v / truth:.3f}" for _, v, _ in found),
                 f"**{value / truth:.3f}**", f"{2 * noise / truth:.3f}"]
            )  # fmt: skip
            print(*rows[-1], file=sys.stderr, flush=True)
    header = ["u", "d", "W1", *SPACES, "best on held-out", "± (2 standard errors)"]
    return table(header, rows) + (
        f"\n{SAMPLES} samples of each law, {HELDOUT} of them held out, {UPDATES} updates on minibatches of 2048, "
        f"median {statistics.median(seconds):.0f} s a fit with compilation; shares of W1 on {SAMPLES} fresh samples.\n"
    )


def samples() -> str:
    """IPM (that is W1) and KL of 512 + 512 points of two Gaussian mixtures: shares of the exact value, L = 1."""
    rows = []
    for features in (2, 16):
        rng = np.random.default_rng(0)
        means = 3 * rng.normal(size=(2, 8, features))
        x, y = (m[rng.integers(8, size=512)] + rng.normal(size=(512, features)) for m in means)
        for f in (IPM(), KL()):
            exact, row = solve_samples(x, y, f).lower, []
            for gamma in (
                Cones(count=512, planes=0.0, learning_rate=1e-2, temperature=1e-3, horizon=1000.0),
                GroupSort(horizon=1000.0),
            ):
                fitted = fit_potential(Divergence(gamma, f), x, y, steps=200)
                row.append(f"{fitted.values[-1] / exact:.4f}")
            rows.append([type(f).__name__, features, f"{exact:.3f}", *row])
    return table(["f", "d", "exact", "512 cones", "GroupSort 3x64"], rows)


if __name__ == "__main__":
    print(main("".join(sys.argv[1:2]), tuple(map(int, sys.argv[2:])) or DIMENSIONS), samples(), sep="\n")
