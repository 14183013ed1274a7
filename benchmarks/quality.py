"""Oracle ratio W2(new, test) / W2(fresh real sample, test), defaults alone.

Seven sets in the plane: 500 target points, 500 new. Both distances are means over four test samples (and four
fresh ones) of 500 points, for a single pair is mostly luck. "copies" is the ratio of the training sample itself.
Digits: 200 of scikit-learn's 8x8 digits, 600 new, against 600 fresh and 600 test digits.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine

from benchmarks.measure import table
from proxflow import ParticleTransport, nearest_distance, oracle_ratio, wasserstein
from proxflow.data.digits import load_digits_split
from proxflow.data.toy import TOY, moons
from proxflow.defaults import default_lipschitz
from proxflow.trust import judge, judge_by_halves

SEEDS = (0, 1, 2)
POINTS, SAMPLES = 500, 4


def plane() -> str:
    rows = []
    for name, draw in TOY.items():
        ratios, copies, seconds = [], [], []
        for seed in SEEDS:
            train = draw(POINTS, 1000 * seed)
            tests = [draw(POINTS, 1000 * seed + i) for i in range(1, 1 + SAMPLES)]
            fresh = [draw(POINTS, 1000 * seed + i) for i in range(1 + SAMPLES, 1 + 2 * SAMPLES)]
            floor = np.mean([wasserstein(f, t) for f in fresh for t in tests])
            ParticleTransport(random_state=seed, steps=1).fit(train)  # compiles
            start = time.perf_counter()
            new = ParticleTransport(random_state=seed).fit(train).particles_
            seconds.append(time.perf_counter() - start)
            ratios.append(np.mean([wasserstein(new, t) for t in tests]) / floor)
            copies.append(np.mean([wasserstein(train, t) for t in tests]) / floor)
        rows.append(
            [name, f"{np.mean(ratios):.3f}", ", ".join(f"{r:.2f}" for r in ratios), f"{np.mean(copies):.3f}",
             f"{statistics.median(seconds):.1f} s"]
        )  # fmt: skip
    header = ["set", "ratio (reach 1.05)", "each seed", "copies", "warm (reach 5 s)"]
    return table(header, rows)


def digits() -> str:
    rows = []
    for seed in SEEDS:
        split = load_digits_split(random_state=seed)
        floor = wasserstein(split.fresh, split.test)
        start = time.perf_counter()
        transport = ParticleTransport(n_particles=600, random_state=seed).fit(split.train)
        seconds = time.perf_counter() - start
        new = transport.particles_
        rows.append(
            [seed, f"{wasserstein(new, split.test) / floor:.3f}", f"{wasserstein(split.train, split.test) / floor:.3f}",
             f"{np.median(nearest_distance(new, split.train)):.1f}",
             f"{np.median(nearest_distance(split.test, split.train)):.1f}", f"{seconds:.1f} s"]
        )  # fmt: skip
    mean = statistics.mean(float(row[1]) for row in rows)
    header = ["seed", "ratio (reach 1.05)", "copies", "nearest training sample, new", "real", "fit"]
    return table(header, rows) + f"\nMean ratio {mean:.3f}.\n"


def choices() -> str:
    """Why L and the updates are what they are: closeness on moons, mean of three seeds, one thing changed."""
    rows = []
    data = [[moons(POINTS, 10 * seed + i) for i in range(3)] for seed in SEEDS]
    slopes = [default_lipschitz(train) for train, *_ in data]
    for name, change in {
        "defaults": lambda slope: {},
        "L ten times larger": lambda slope: {"L": 10 * slope},
        "updates=5": lambda slope: {"updates": 5},
    }.items():
        ratios = [
            oracle_ratio(ParticleTransport(random_state=seed, **change(slope)).fit(train).particles_, fresh, test)
            for seed, slope, (train, fresh, test) in zip(SEEDS, slopes, data, strict=True)
        ]
        rows.append([name, f"{np.mean(ratios):.3f}", ", ".join(f"{r:.2f}" for r in ratios)])
    return table(["setting", "ratio", "each seed"], rows)


def tables() -> str:
    """Real tables, half to train on and half to judge by: scikit-learn's wine and breast cancer, defaults."""
    rows = []
    for name, load in {"wine": load_wine, "breast cancer": load_breast_cancer}.items():
        samples = np.random.default_rng(0).permutation(load().data)
        train, heldout = np.array_split(samples, 2)
        transport = ParticleTransport(random_state=0).fit(train)
        found = judge_by_halves(*(transport.in_units(c) for c in (transport.particles_, train, heldout)))
        rows.append(
            [name, f"{train.shape[0]} x {train.shape[1]}", f"{found.closeness:.3f}",
             f"{found.nearest_new / found.nearest_real:.2f}", f"{found.near_copies:.2f}", f"{found.spread:.2f}"]
        )  # fmt: skip
    return table(["table", "training", "closeness", "distance ratio", "near copies (real: 0.05)", "spread"], rows)


def smoothing() -> str:
    """What mixing with neighbours buys and costs: digits, one seed."""
    split, rows = load_digits_split(random_state=0), []
    for weight in (0.0, 0.25, 0.5, 0.75, 1.0):
        new = ParticleTransport(n_particles=600, smoothing=weight, random_state=0).fit(split.train).particles_
        found = judge(new, split.train, split.fresh, split.test, basis="")
        rows.append(
            [weight, f"{found.closeness:.3f}", f"{found.nearest_new / found.nearest_real:.2f}",
             f"{found.near_copies:.2f}", f"{found.spread:.2f}"]
        )  # fmt: skip
    return table(["smoothing", "closeness", "distance ratio", "near copies (real: 0.05)", "spread"], rows)


if __name__ == "__main__":
    print(plane(), digits(), smoothing(), tables(), choices(), sep="\n")
