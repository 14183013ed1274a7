"""Flows that are kept, labels, and the gate against copies, judged by held-out samples."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from benchmarks.measure import table
from proxflow import LabelledTransport, ParticleTransport, wasserstein
from proxflow.data.digits import load_digits_split
from proxflow.data.toy import TOY
from proxflow.trust import judge

POINTS, SAMPLES = 500, 4
SETS = ("moons", "pinwheel", "two_spirals")
SEEDS = (0, 1)


def kept() -> str:
    """New points by each way: W2 to held-out samples over that of real ones.

    Plane: 500 to 500, means of two seeds, against four test and four fresh samples. The toy sets share their points out
    evenly; here all samples are rows of a large one drawn at random, whose shares vary as those of replayed points do.
    Digits: 200 to M, means of two seeds (M = 2400: one), 600 points against 600 test and 600 fresh. Replays and maps
    are means over three draws. thinned: fewer potentials, in at most 1 MB (plane) or 5 MB (digits). MB: the file of the
    flow, of the thinned one, of the map. Times are shares of a warm fit's: 500 or 600 points by replay, fitting the
    map, those points by it.
    """
    rows = []
    for name in SETS:
        found = []
        for seed in SEEDS:
            pool = np.random.default_rng(seed).permutation(TOY[name](10_000, seed))
            parts = [pool[POINTS * i : POINTS * (i + 1)] for i in range(1 + 2 * SAMPLES)]
            found.append(_ways(parts[0], parts[1 : 1 + SAMPLES], parts[1 + SAMPLES :], POINTS, 1.0, seed))
        rows.append([name, POINTS, *_cells(found)])
    for particles, seeds in ((600, SEEDS), (2400, SEEDS[:1])):
        found = []
        for seed in seeds:
            split = load_digits_split(random_state=seed)
            found.append(_ways(split.train, [split.test], [split.fresh], particles, 5.0, seed))
        rows.append(["digits, 64-d", particles, *_cells(found)])
    header = ["set", "M", "particles", "replay", "thinned", "map", "MB", "replay / fit", "map fit / fit", "map / fit"]
    return table(header, rows)


def _ways(
    train: np.ndarray, tests: list[np.ndarray], fresh: list[np.ndarray], particles: int, budget: float, seed: int
) -> dict[str, float]:
    floor, count = np.mean([wasserstein(f, t) for f in fresh for t in tests]), len(tests[0])

    def ratio(*draws: np.ndarray) -> float:
        return float(np.mean([wasserstein(points, t) for points in draws for t in tests]) / floor)

    settings = {"n_particles": particles, "random_state": seed}
    ParticleTransport(**settings, steps=1).fit(train)  # compiles
    fit, seconds = _timed(lambda: ParticleTransport(**settings).fit(train))
    thin = ParticleTransport(**settings, memory_budget=budget).fit(train)
    seeds = [seed + 9, seed + 10, seed + 11]  # not the fit's own, for that would give its own source points
    fit.sample(count, method="replay")
    replays, replaying = _timed(lambda: [fit.sample(count, s, method="replay") for s in seeds])
    small, distilling = _timed(fit.distil)
    small.sample(count)
    mapped, mapping = _timed(lambda: [small.sample(count, s) for s in seeds])
    return {
        "particles": ratio(fit.particles_[:count]), "replay": ratio(*replays),
        "thinned": ratio(*(thin.sample(count, s, method="replay") for s in seeds)), "map": ratio(*mapped),
        "MB": _megabytes(fit), "thin MB": _megabytes(thin), "map MB": _megabytes(small),
        "replaying": replaying / len(seeds) / seconds, "distilling": distilling / seconds,
        "mapping": mapping / len(seeds) / seconds,
    }  # fmt: skip


def _cells(found: list[dict[str, float]]) -> list[str]:
    mean = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return [
        *(f"{mean[name]:.3f}" for name in ("particles", "replay", "thinned", "map")),
        ", ".join(f"{mean[name]:.1f}" for name in ("MB", "thin MB", "map MB")),
        f"{mean['replaying']:.3f}", f"{mean['distilling']:.2f}", f"{mean['mapping']:.4f}",
    ]  # fmt: skip


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def _megabytes(flow: Any) -> float:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "flow.npz"
        flow.save(file)
        return file.stat().st_size / 1e6


def labels() -> str:
    """8x8 digits, 200 in ten classes to 400, means of two seeds.

    named as asked: by a support vector machine trained on 797 other digits. teaches: accuracy on 400 test digits of
    one trained on the new digits alone (first line: on the 200 of the fit). Closeness and near copies are of all
    classes together. Seconds with compilation.
    """
    rows: dict[str, list[list[float]]] = {}
    for seed in SEEDS:
        points, codes = load_digits(return_X_y=True)
        order = np.random.default_rng(seed).permutation(len(points))
        train, fresh, test, rest = np.split(order, np.cumsum([200, 400, 400]))
        machine = SVC().fit(points[rest], codes[rest])

        def add(name: str, new: np.ndarray, its: np.ndarray, taught: float, seconds: float) -> None:
            found = judge(new, points[train], points[fresh], points[test], basis="")  # noqa: B023 - used at once
            named = np.mean(machine.predict(new) == its)  # noqa: B023
            rows.setdefault(name, []).append([named, taught, found.closeness, found.near_copies, found.spread, seconds])

        def accuracy(new: np.ndarray, its: np.ndarray) -> float:
            return float(SVC().fit(new, its).score(points[test], codes[test]))  # noqa: B023

        add("real", points[fresh], codes[fresh], accuracy(points[train], codes[train]), 0.0)
        for way in ("joint", "separate"):
            base = ParticleTransport(n_particles=400, random_state=seed, memory_budget=0.0)
            start = time.perf_counter()
            flow = LabelledTransport(base, labels=way).fit(points[train], codes[train])
            seconds = time.perf_counter() - start
            new, its = flow.particles_, flow.labels_
            add(way, new, its, accuracy(new, its), seconds)
    cells = [
        [name, *(f"{mean:.3f}" for mean in means[:3]), *(f"{mean:.2f}" for mean in means[3:5]), f"{means[5]:.0f} s"]
        for name, each in rows.items()
        for means in [np.mean(each, axis=0)]
    ]
    header = ["labels", "named as asked", "teaches", "closeness", "near copies (real: 0.05)", "spread", "fit"]
    return table(header, cells)


def _stopped(count: int, gate: float | None, smoothing: float | None, seed: int) -> tuple[int, list[float]]:
    """Steps taken, and closeness, near copies, coverage, that of real digits, spread: means over parts of 200."""
    split = load_digits_split(random_state=seed)
    settings: dict[str, Any] = {"n_particles": count, "random_state": seed, "memory_budget": 0.0}
    fit = ParticleTransport(**settings, max_copies=gate, smoothing=smoothing).fit(split.train)
    parts = np.split(fit.particles_, count // len(split.train))
    found = [judge(part, split.train, split.fresh, split.test, basis="") for part in parts]
    each = [[j.closeness, j.near_copies, j.coverage, j.coverage_real, j.spread] for j in found]
    return fit.n_steps_, [float(mean) for mean in np.mean(each, axis=0)]


def memorisation() -> str:
    """200 digits become M, stopped by the gate `max_copies` or not at all; two seeds, both given.

    Judged by 600 test digits in parts of 200 whatever M is, beside 200 fresh ones, so that rows compare. Coverage of
    real digits in brackets. The gate counts near copies by distances within the training sample, the column here by
    those of test digits.
    """
    rows = []
    cases: list[tuple[int, float | None, float | None]] = [
        (count, gate, None) for count in (200, 800) for gate in (None, 0.2, 0.05)
    ]
    for count, gate, smoothing in [*cases, (200, None, 0.0), (800, None, 0.0)]:
        each = [_stopped(count, gate, smoothing, seed) for seed in SEEDS]
        rows.append(
            [count, "none" if gate is None else gate, "default" if smoothing is None else smoothing,
             ", ".join(str(steps) for steps, _ in each), ", ".join(f"{numbers[0]:.3f}" for _, numbers in each),
             ", ".join(f"{numbers[1]:.2f}" for _, numbers in each),
             ", ".join(f"{numbers[2]:.2f} ({numbers[3]:.2f})" for _, numbers in each),
             ", ".join(f"{numbers[4]:.2f}" for _, numbers in each)]
        )  # fmt: skip
    header = ["M", "max_copies", "smoothing", "steps", "closeness", "near copies (real: 0.05)", "coverage", "spread"]
    return table(header, rows)


if __name__ == "__main__":
    print(kept(), labels(), memorisation(), sep="\n")
