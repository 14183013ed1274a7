"""`BatchTransport` and what people use, on halves that took no part in any fit. Methods are in `rivals`, data in `bio`.

A random half of every class is fitted, the other half is moved and judged, then the two change roles. Judged in
principal components of both fitted halves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version

import numpy as np

from benchmarks import bio
from benchmarks.bio import Cohorts
from benchmarks.measure import table
from benchmarks.rivals import NONE, OURS, RIVALS, START_ALONE, ZSCORE, Rival
from proxflow import agreement
from proxflow.mixing import ilisi
from proxflow.neighbours import nearest_rows

SEEDS = (0, 1, 2)
ORACLE = "truth"
ABSENT = "Not measured here: no {} below `../shared/data` (or $PROXFLOW_DATA), or nothing to read it.\n"
SHOWN = {
    "energy": "energy", "w2": "W2", "auc": "AUC", "nn": "NN ratio", "spread": "spread", "rmse": "RMSE",
    "transfer": "transfer", "same": "same batch", "ilisi": "iLISI", "own": "own NN ratio",
}  # fmt: skip
DIGITS = {"energy": 4}

Found = dict[tuple[str, int], dict[str, list[float]]]  # method, dimensions -> measure -> a value per run


@dataclass(frozen=True)
class Projection:
    """Principal components: mean (p,), axes (d, p)."""

    mean: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, d: int) -> Projection:
        mean = points.mean(axis=0)
        return cls(mean, np.linalg.svd(points - mean, full_matrices=False)[2][:d])

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return (points - self.mean) @ self.axes.T

    def cohorts(self, c: Cohorts) -> Cohorts:
        other = None if c.unlabelled is None else self(c.unlabelled)
        return replace(c, source=self(c.source), reference=self(c.reference), truth=None, unlabelled=other)


# ---------------------------------------------------------------------- one run


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
    """Every measure of one run in one projection."""
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
    given = agreement.predicted_labels(near[: len(t)], np.concatenate([parts[0], parts[2]]), _labels(fitted))
    alone = agreement.predicted_labels(near[: len(t)], parts[0], fitted.ys)
    some = agreement.predicted_labels(s, parts[2], fitted.yt)
    everyone = np.concatenate([s, near])
    side = np.repeat([0, 1], [len(s), len(near)])
    return {
        "energy": mean(agreement.energy), "w2": np.sqrt(squares) / unit, "auc": mean(agreement.neighbour_auc),
        "nn": mean(agreement.nn_ratio), "spread": mean(agreement.spread_ratio), "own": mean(agreement.nn_ratio, True),
        "transfer": agreement.label_transfer(s, heldout.ys, parts[2], fitted.yt),
        "transfer_accuracy": float(np.mean(some == heldout.ys)),
        "own_transfer": agreement.label_transfer(parts[0], fitted.ys, parts[2], fitted.yt),
        "reverse": _balanced(alone, heldout.yt), "reverse_accuracy": float(np.mean(alone == heldout.yt)),
        "joined": _balanced(given, heldout.yt), "joined_accuracy": float(np.mean(given == heldout.yt)),
        "same": same_batch(everyone, side), "same_labelled": same_batch(everyone[: len(s) + len(t)], side),
        "chance": chance(side), "chance_labelled": chance(side[: len(s) + len(t)]),
        "ilisi": ilisi(everyone, side),
        "guessed": agreement.label_transfer(parts[4], heldout.ys, parts[2], fitted.yt) if len(parts) > 4 else np.nan,
    }  # fmt: skip


def _labels(c: Cohorts) -> np.ndarray:
    return np.concatenate([c.ys, c.yt])


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
        both = np.concatenate([fitted.source, fitted.reference])
        projections = {d: Projection.of(both, d) for d in dims}

        def keep(name: str, d: int, parts: list, genes: np.ndarray | None, seconds: float,
                 fitted: Cohorts = fitted, heldout: Cohorts = heldout) -> None:  # fmt: skip
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


# ---------------------------------------------------------------------- tables


def _cell(values: list[float] | None, digits: int = 3, deviation: bool = False) -> str:
    if values is None or np.isnan(values).any():
        return "–"
    text = f"{np.mean(values):.{digits}f}"
    return f"{text} ± {np.std(values, ddof=1):.{digits}f}" if deviation and len(values) > 1 else text


def _names(found: Found, d: int) -> list[str]:
    return [name for name, other in found if other == d]


def _mark(name: str) -> str:
    together = any(r.name == name and r.together for r in RIVALS)
    return f"{name} (*)" if together else name


def _table(found: Found, d: int, columns: dict[str, str]) -> str:
    shown = {m: title for m, title in columns.items() if any(m in found[n, d] for n in _names(found, d))}
    rows = []
    for name in _names(found, d):
        row = found[name, d]
        cells = [_cell(row.get(m), DIGITS.get(m, 3 if m in _WITH_SPREAD else 2), m in _WITH_SPREAD) for m in shown]
        rows.append([_mark(name), *cells, "" if name == ORACLE else f"{np.median(row['seconds']):.2f} s"])
    return table(["method", *shown.values(), "fit and move"], rows)


_WITH_SPREAD = {"energy", "w2", "rmse", "transfer", "same", "same_labelled", "reverse", "joined", "own_transfer"}


def in_words(found: Found, d: int, measures: dict[str, str], *, highest: bool = False) -> str:
    """Who is better than ours, as good, or worse: better or worse is better or worse in every run."""
    lines = []
    for measure, title in measures.items():
        ours, sides = np.array(found[OURS, d][measure]), {"better": [], "as good": []}
        for name in _names(found, d):
            if name in (OURS, ORACLE) or measure not in found[name, d]:
                continue
            gap = np.array(found[name, d][measure]) - ours
            gap = -gap if highest else gap
            if (gap < -1e-12).all():
                sides["better"].append(_mark(name))
            elif (gap <= 1e-12).any():
                sides["as good"].append(_mark(name))
        told = f"better than {OURS} in every run: {', '.join(sides['better']) or 'none'}"
        lines.append(f"{title}: {told}; now better, now worse: {', '.join(sides['as good']) or 'none'}.")
    return " ".join(lines)


def _absent() -> str:
    missing = [r.name for r in RIVALS if not r.installed]
    used = {r.package for r in RIVALS if r.package and r.installed} - {"ot"}
    text = f"With {', '.join(f'{p} {version(p)}' for p in sorted(used)) or 'none of the optional packages'}."
    return f"{text} Not installed, not measured: {', '.join(missing)}.\n" if missing else f"{text}\n"


# ---------------------------------------------------------------------- sections


@cache
def _made(curved: bool) -> Found:
    return measured(exchanged((bio.made(seed, curved=curved), seed) for seed in SEEDS), (10, 50), RIVALS)


def _made_section(curved: bool) -> str:
    found, parts = _made(curved), []
    for d in (10, 50):
        words = in_words(found, d, {"energy": "Energy", "w2": "W2", "rmse": "RMSE"})
        parts.append(f"In {d} components:\n\n{_table(found, d, SHOWN)}\n{words}\n")
    return "\n".join([*parts, _absent()])


def affine() -> str:
    return _made_section(False)


def curved() -> str:
    return _made_section(True)


def permuted() -> str:
    """Labels permuted."""
    found = measured(exchanged((bio.made(s).permuted(s), s) for s in SEEDS), (10, 50), RIVALS)
    columns = {"transfer": "held out", "own_transfer": "own samples", "own": "own NN ratio"}
    return "\n".join(f"In {d} components:\n\n{_table(found, d, columns)}" for d in (10, 50))


@cache
def _null() -> dict[str, dict[str, list[float]]]:
    """Displacements of held-out samples without a batch effect, over distances of nearest neighbours in a class."""
    found: dict[str, dict[str, list[float]]] = {}
    for fitted, heldout, seed in exchanged((bio.made(s).undistorted(), s) for s in SEEDS):
        both = np.concatenate([fitted.source, fitted.reference])
        projections = {d: Projection.of(both, d) for d in (10, 50)}
        y, x = heldout.ys, heldout.source
        for rival in RIVALS:
            if rival.name == NONE or not rival.installed:
                continue
            row = found.setdefault(rival.name, {})
            for d, parts, genes, _ in moved(rival, fitted, heldout, projections, seed):
                row.setdefault(f"in {d}", []).append(_displacement(projections[d](x), parts[1], y))
                if genes is not None and d == 10:
                    change = [a[y == 1].mean(axis=0) - a[y == 0].mean(axis=0) for a in (x, genes)]
                    row.setdefault("genes", []).append(_displacement(x, genes, y))
                    row.setdefault("r", []).append(float(np.corrcoef(change)[0, 1]))
    return found


def _displacement(before: np.ndarray, after: np.ndarray, y: np.ndarray) -> float:
    near = [nearest_rows(before[y == c], before[y == c], 2)[1][:, 1] for c in np.unique(y)]
    return float(np.median(np.linalg.norm(after - before, axis=1)) / np.median(np.concatenate(near)))


def null() -> str:
    columns = {"in 10": "10 components", "in 50": "50 components", "genes": "genes", "r": "r of log fold changes"}
    rows = [[_mark(n), *(_cell(row.get(k), 3, True) for k in columns)] for n, row in _null().items()]
    return table(["method", *columns.values()], rows)


@cache
def _tumours(platform: str) -> Found | None:
    cohorts = bio.tumours(platform)
    return cohorts and measured(exchanged((cohorts, seed) for seed in SEEDS), (10, 50), RIVALS)


def tumours() -> str:
    """tumours."""
    parts = []
    for platform in ("vdx", "nki"):
        found = _tumours(platform)
        if found is None:
            return ABSENT.format("genefu_er")
        for d in (10, 50):
            columns = {
                "energy": "energy",
                "w2": "W2",
                "auc": "AUC",
                "nn": "NN ratio",
                "same": "same batch",
                "same_labelled": "labelled",
                "transfer": "A",
                "guessed": "A guessed",
                "reverse": "B",
                "reverse_accuracy": "B plain",
                "joined": "C",
                "joined_accuracy": "C plain",
                "transfer_accuracy": "A plain",
                "own": "own NN",
                "chance": "chance",
                "chance_labelled": "chance",
            }
            parts.append(
                f"{platform} {d}\n\n{_table(found, d, columns)}\n{in_words(found, d, {'energy': 'Energy'})}\n{in_words(found, d, {'joined': 'C'}, highest=True)}"
            )
    return "\n".join(parts)


def cells() -> str:
    parts = []
    for name in ("pbmc_symphony_1200", "cell_lines_pcs"):
        found = measured(exchanged((c, 0) for c in bio.cells(name)), (20,), RIVALS)
        if not found:
            parts.append(ABSENT.format(name))
            continue
        columns = SHOWN | {"guessed": "guessed"}
        parts.append(
            f"{name}\n\n{_table(found, 20, columns)}\n{in_words(found, 20, {'energy': 'Energy', 'w2': 'W2'})}\n"
        )
    return "\n".join(parts)


def field() -> str:
    halves = [(seed, bio.field(seed)) for seed in SEEDS]
    found = measured(((*h, s) for s, h in halves), (10, 50), RIVALS)
    return "\n".join(f"In {d} components:\n\n{_table(found, d, SHOWN)}\n" for d in (10, 50))
