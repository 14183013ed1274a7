"""One method on two halves: fitted to one, judged on the other. Measures are those of `agreement` and `mixing`.

Judged in principal components of both fitted halves, which every method shares; by classes, weighted by their shares in
the source; W2 in units of the held-out reference's spread within classes. Bad at: telling apart methods that differ by
less than halves do, which is why values are kept run by run and compared in pairs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.bio import Cohorts
from benchmarks.rivals import Rival
from proxflow import agreement
from proxflow.mixing import ilisi
from proxflow.neighbours import nearest_rows

ORACLE = "truth"
Found = dict[tuple[str, int], dict[str, list[float]]]  # method, dimensions -> measure -> a value per run


@dataclass(frozen=True)
class Projection:
    """Principal components: mean (p,), axes (d, p)."""

    mean: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, fitted: Cohorts, dims: Sequence[int]) -> dict[int, Projection]:
        """Of source and reference together, in so many dimensions each."""
        points = np.concatenate([fitted.source, fitted.reference])
        mean = points.mean(axis=0)
        axes = np.linalg.svd(points - mean, full_matrices=False)[2]
        return {d: cls(mean, axes[:d]) for d in dims}

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return (points - self.mean) @ self.axes.T

    def cohorts(self, c: Cohorts) -> Cohorts:
        other = None if c.unlabelled is None else self(c.unlabelled)
        return replace(c, source=self(c.source), reference=self(c.reference), truth=None, unlabelled=other)


def moved(
    rival: Rival, fitted: Cohorts, heldout: Cohorts, projections: dict[int, Projection], seed: int
) -> Iterator[tuple[int, list[np.ndarray], np.ndarray | None, float]]:
    """Of every projection: the parts in it, the held-out source's genes if it has any, seconds."""
    if rival.where == "genes":
        start = time.perf_counter()
        parts = rival.move(fitted, heldout, seed)
        seconds = time.perf_counter() - start
        yield from ((d, [p(x) for x in parts], parts[1], seconds) for d, p in projections.items())
        return
    for d, p in projections.items():
        start = time.perf_counter()
        parts = rival.move(p.cohorts(fitted), p.cohorts(heldout), seed)
        seconds = time.perf_counter() - start
        genes = None if rival.fit is None else heldout.source + (parts[1] - p(heldout.source)) @ p.axes
        yield d, parts, genes, seconds


def scores(parts: list[np.ndarray], fitted: Cohorts, heldout: Cohorts) -> dict[str, float]:
    """Every measure of one run in one projection; nearest neighbours give labels as `agreement.label_transfer` has it.

    own: NN ratio of the fitted samples to the reference's, which the method saw. transfer: classes of the moved
    held-out source by the fitted reference; own_transfer: of the fitted source; guessed: of samples moved by guessed
    classes. reverse: classes of the held-out reference, which nobody saw, by the moved fitted source; joined: by it and
    the fitted reference; within: by the latter alone. All balanced, and plain as *_accuracy.
    """
    s, near = parts[1], parts[3]
    t = near[: len(heldout.yt)]
    classes = np.intersect1d(heldout.ys, heldout.yt)
    shares = {c: float(np.mean(heldout.ys == c)) for c in classes}

    def mean(measure: Callable, fit: bool = False) -> float:
        a, b, one = (parts[0], parts[2], fitted) if fit else (s, t, heldout)
        values = [measure(a[one.ys == c], b[one.yt == c]) for c in classes]
        return float(np.dot(list(shares.values()), values))

    unit = agreement.within_class_spread(t, heldout.yt, shares)
    squares = mean(lambda a, b: agreement.exact_w2(a, b, most=500) ** 2)
    known = np.concatenate([fitted.ys, fitted.yt])
    given = agreement.predicted_labels(near[: len(t)], np.concatenate([parts[0], parts[2]]), known)
    alone = agreement.predicted_labels(near[: len(t)], parts[0], fitted.ys)
    some = agreement.predicted_labels(s, parts[2], fitted.yt)
    everyone = np.concatenate([s, near])
    side = np.repeat([0, 1], [len(s), len(near)])
    own = agreement.predicted_labels(near[: len(t)], parts[2], fitted.yt)
    return {
        "energy": mean(agreement.energy), "w2": np.sqrt(squares) / unit, "auc": mean(agreement.neighbour_auc),
        "nn": mean(agreement.nn_ratio), "spread": mean(agreement.spread_ratio), "own": mean(agreement.nn_ratio, True),
        "transfer": agreement.label_transfer(s, heldout.ys, parts[2], fitted.yt),
        "transfer_accuracy": float(np.mean(some == heldout.ys)),
        "own_transfer": agreement.label_transfer(parts[0], fitted.ys, parts[2], fitted.yt),
        "reverse": _balanced(alone, heldout.yt), "reverse_accuracy": float(np.mean(alone == heldout.yt)),
        "joined": _balanced(given, heldout.yt), "joined_accuracy": float(np.mean(given == heldout.yt)),
        "within": _balanced(own, heldout.yt), "within_accuracy": float(np.mean(own == heldout.yt)),
        "same": same_batch(everyone, side), "same_labelled": same_batch(everyone[: len(s) + len(t)], side),
        "chance": chance(side), "chance_labelled": chance(side[: len(s) + len(t)]),
        "ilisi": ilisi(everyone, side),
        "guessed": agreement.label_transfer(parts[4], heldout.ys, parts[2], fitted.yt) if len(parts) > 4 else np.nan,
    }  # fmt: skip


def _balanced(given: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([np.mean(given[truth == c] == c) for c in np.unique(truth)]))


def same_batch(points: np.ndarray, side: np.ndarray, neighbours: int = 5) -> float:
    """Share of the 5 nearest others that are of the same batch."""
    order, _ = nearest_rows(points, points, neighbours + 1)
    return float(np.mean(side[: len(points)][order[:, 1:]] == side[: len(points), None]))


def chance(side: np.ndarray) -> float:
    shares = np.bincount(side) / len(side)
    return float(np.sum(shares**2))


def measured(runs: Iterable[tuple[Cohorts, Cohorts, int]], dims: Sequence[int], rivals: Sequence[Rival]) -> Found:
    """Every method on every run: (fitted, held out, seed)."""
    found: Found = {}
    for fitted, heldout, seed in runs:
        projections = Projection.of(fitted, dims)

        def keep(name: str, d: int, parts: list, genes: np.ndarray | None, seconds: float,
                 fitted: Cohorts = fitted, heldout: Cohorts = heldout) -> None:  # fmt: skip
            with threadpool_limits(1, user_api="blas"):  # small products: threads cost more than they bring
                row = scores(parts, fitted, heldout) | {"seconds": seconds}
            if heldout.truth is not None and genes is not None:
                row["rmse"] = float(np.sqrt(np.mean((genes - heldout.truth) ** 2)))
            for measure, value in row.items():
                found.setdefault((name, d), {}).setdefault(measure, []).append(float(value))

        for rival in rivals:
            if rival.installed:
                for d, parts, genes, seconds in moved(rival, fitted, heldout, projections, seed):
                    keep(rival.name, d, parts, genes, seconds)
        if heldout.truth is not None:
            for d, p in projections.items():
                parts = [p(x) for x in (fitted.truth, heldout.truth, fitted.reference, heldout.reference)]
                keep(ORACLE, d, parts, heldout.source + (parts[1] - p(heldout.source)) @ p.axes, 0.0)
    return found


def exchanged(each: Iterable[tuple[Cohorts, int]]) -> Iterator[tuple[Cohorts, Cohorts, int]]:
    """Both halves in both roles."""
    for cohorts, seed in each:
        first, second = cohorts.halves(seed)
        yield first, second, seed
        yield second, first, seed
