"""Which start, and how far to flow from it: both chosen by samples held out, in folds.

    for every fold, for every start:   moments and start from the fitted part;   held-out curve of every class
    start = the one whose curves reach lowest;   steps = where they do

The latent space is that of all samples: it knows nothing of which side a direction tells apart. Bad at: very few
samples, where folds say little; a flow whose gain may be luck is left out (`chosen_steps`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxflow.agreement import energy, some_rows
from proxflow.integration.paths import JUDGED, Flowing, chosen_steps, heldout_curve, looks
from proxflow.integration.starts import estimate_start, moments_by_class
from proxflow.latent import Encoding
from proxflow.progress import Progress

__all__ = ["Choice", "LatentClass", "choose", "latent_classes"]

_PATIENCE = 15  # steps


@dataclass(frozen=True)
class LatentClass:
    """The units of a class in latent space: the reference's mean there, shape (k,), and its spread."""

    centre: np.ndarray
    spread: float

    def units(self, coordinates: np.ndarray) -> np.ndarray:
        """Coordinates (n, k) without units."""
        return (coordinates - self.centre) / self.spread

    def coordinates(self, units: np.ndarray) -> np.ndarray:
        """And back."""
        return self.centre + units * self.spread


@dataclass(frozen=True)
class Choice:
    """What the held-out samples chose.

    start: its name. steps: class -> how many. expected: a cautious guess of the held-out energy distance then. grid:
    steps of the looks. curves: start -> class -> (folds, looks). before: that distance where nothing moves.
    """

    start: str
    steps: dict[Any, int]
    expected: float
    grid: list[int]
    curves: dict[str, dict[Any, np.ndarray]]
    before: float

    def at_start(self, counts: Mapping[Any, int]) -> dict[str, float]:
        """The held-out energy distance of every start without a flow, classes weighted by their counts."""
        return {
            name: sum(counts[c] * curve[:, 0].mean() for c, curve in curves.items()) / sum(counts[c] for c in curves)
            for name, curves in self.curves.items()
        }


def latent_classes(encoding: Encoding, reference: np.ndarray, codes: np.ndarray, classes: Sequence[Any]) -> dict:
    """The units of every class, from the reference's samples (m, d)."""
    found = {}
    for c in classes:
        z = encoding.encode(reference[codes == c])
        spread = float(np.sqrt(z.var(axis=0).sum()))
        found[c] = LatentClass(z.mean(axis=0), spread if spread > 0 else 1.0)
    return found


def choose(
    starts: Sequence[str], source: tuple[np.ndarray, np.ndarray], reference: tuple[np.ndarray, np.ndarray],
    encoding: Encoding, units: Mapping[Any, LatentClass], flowing: Flowing, *,
    folds: int, steps: int, seed: int, progress: bool = False,
) -> Choice:  # fmt: skip
    """Choose among starts, and the steps of every class in `units`.

    source, reference: points (n, d) and classes (n,). steps: the most; 0 chooses a start only.
    """
    rng = np.random.default_rng(seed)
    parts = [_folds(codes, folds, rng) for _, codes in (source, reference)]
    grid = looks(steps)
    found: dict[str, dict[Any, list[np.ndarray]]] = {name: {c: [] for c in units} for name in starts}
    before: dict[Any, list[float]] = {c: [] for c in units}
    with Progress("holding out", folds * len(starts) * len(units), visible=progress) as bar:
        done = 0
        for fold in range(folds):
            (xs, ys), (xt, yt) = source, reference
            out_s, out_t = (part == fold for part in parts)
            moments = moments_by_class(xs[~out_s], ys[~out_s]), moments_by_class(xt[~out_t], yt[~out_t])
            goal, unmoved = encoding.encode(xt), encoding.encode(xs)
            for name in starts:
                moved = encoding.encode(estimate_start(name, *moments).apply(xs, ys))
                for c, unit in units.items():
                    s, t = ys == c, yt == c
                    z, w = unit.units(moved), unit.units(goal)
                    fitted = z[s & ~out_s], w[t & ~out_t]
                    heldout = z[s & out_s], w[t & out_t]
                    curve = heldout_curve(flowing, fitted, heldout, steps=steps, patience=_PATIENCE, seed=seed + fold)
                    found[name][c].append(curve)
                    if name == starts[0]:
                        before[c].append(
                            energy(some_rows(unit.units(unmoved[s & out_s]), JUDGED), some_rows(heldout[1], JUDGED))
                        )
                    done += 1
                    bar.update(done, f"{c}")
    counts = {c: int((source[1] == c).sum()) for c in units}
    curves = {name: {c: np.array(rows) for c, rows in each.items()} for name, each in found.items()}
    outcomes = {name: chosen_steps(each, counts, grid) for name, each in curves.items()}
    best = min(starts, key=lambda name: outcomes[name][1])
    nothing = sum(counts[c] * float(np.mean(before[c])) for c in units) / sum(counts.values())
    return Choice(best, *outcomes[best], grid, curves, nothing)


def _folds(codes: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """The fold of every sample, shape (n,), even within each class."""
    fold = np.empty(len(codes), int)
    for c in np.unique(codes):
        rows = np.flatnonzero(codes == c)
        fold[rows] = rng.permutation(np.arange(len(rows)) % folds)
    return fold
