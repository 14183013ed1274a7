"""Which start, and how far to flow from it: both chosen by samples held out, in folds.

    start   the one with the smallest energy distance, class by class, in all columns
    path    of every class, by its held-out curve from that start, in latent space (`paths`)

The latent space is that of all samples: it knows nothing of which side a direction tells apart. Bad at: very few
samples, where folds say little; a flow whose gain may be luck is left out (`chosen_steps`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from proxflow.agreement import energy, some_rows
from proxflow.integration.maps import LatentClass
from proxflow.integration.paths import JUDGED, Flowing, heldout_curve
from proxflow.integration.starts import estimate_start, moments_by_class
from proxflow.latent import Encoding
from proxflow.progress import Progress

__all__ = ["Cohort", "heldout_curves", "heldout_starts", "stratified_folds"]

_PATIENCE = 15  # steps

Cohort = tuple[np.ndarray, np.ndarray]  # points (n, d) and classes (n,)


def stratified_folds(codes: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """The fold of every sample, shape (n,), even within each class."""
    fold = np.empty(len(codes), int)
    for c in np.unique(codes):
        rows = np.flatnonzero(codes == c)
        fold[rows] = rng.permutation(np.arange(len(rows)) % folds)
    return fold


def heldout_starts(
    names: Sequence[str], source: Cohort, reference: Cohort, classes: Sequence[Any], folds: int, seed: int
) -> dict[str, float]:
    """Energy distance of held-out samples of these classes to held-out samples of the reference, after every start.

    The mean over folds, classes weighted by their samples to move.
    """
    found: dict[str, list[float]] = {name: [] for name in names}
    shares = {c: float(np.mean(source[1] == c)) for c in classes}
    for fitted_s, out_s, fitted_t, out_t in _splits(source, reference, folds, seed):
        moments = moments_by_class(*fitted_s), moments_by_class(*fitted_t)
        for name, values in found.items():
            points, codes = out_s
            moved = estimate_start(name, *moments).apply(points, codes)
            parts = ((moved[codes == c], out_t[0][out_t[1] == c], shares[c]) for c in classes)
            values.append(sum(w * energy(some_rows(s, JUDGED), some_rows(t, JUDGED)) for s, t, w in parts))
    return {name: float(np.mean(values)) / sum(shares.values()) for name, values in found.items()}


def heldout_curves(
    start: str, source: Cohort, reference: Cohort, encoding: Encoding, places: Mapping[Any, LatentClass],
    flowing: Flowing, *, folds: int, steps: int, seed: int, progress: bool = False,
) -> dict[Any, np.ndarray]:  # fmt: skip
    """The curves of every class that has a place in latent space, from this start: class -> (folds, looks)."""
    found: dict[Any, list[np.ndarray]] = {c: [] for c in places}
    with Progress("holding out", folds * len(places), visible=progress) as bar:
        for fold, split in enumerate(_splits(source, reference, folds, seed)):
            fitted_s, out_s, fitted_t, out_t = split
            chosen = estimate_start(start, moments_by_class(*fitted_s), moments_by_class(*fitted_t))
            drivers, riders = (_encoded(encoding, part, chosen.apply) for part in (fitted_s, out_s))
            goals, judges = (_encoded(encoding, part) for part in (fitted_t, out_t))
            for i, (c, place) in enumerate(places.items()):
                sides = [place.units(z[codes == c]) for z, codes in (drivers, goals, riders, judges)]
                found[c].append(heldout_curve(
                    flowing, (sides[0], sides[1]), (sides[2], sides[3]),
                    steps=steps, patience=_PATIENCE, seed=seed + fold,
                ))  # fmt: skip
                bar.update(fold * len(places) + i + 1, str(c))
    return {c: np.array(rows) for c, rows in found.items()}


def _splits(source: Cohort, reference: Cohort, folds: int, seed: int) -> Any:
    """Yield, fold by fold, (fitted, held out) of the samples to move and of the reference."""
    rng = np.random.default_rng(seed)
    sides = [(cohort, stratified_folds(cohort[1], folds, rng)) for cohort in (source, reference)]
    for fold in range(folds):
        yield tuple(
            (points[rows], codes[rows]) for (points, codes), part in sides for rows in (part != fold, part == fold)
        )


def _encoded(encoding: Encoding, part: Cohort, move: Callable[..., np.ndarray] | None = None) -> Cohort:
    points, codes = part
    return encoding.encode(points if move is None else move(points, codes)), codes
