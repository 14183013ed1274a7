"""Scores of a correction, each beside its floor, and a verdict in words.

    value < band    better than its floor: memorised, or fitted to these very samples; held out: at the floor
    within          at the floor
    value > band    above the floor

Every measure of `agreement` is taken class by class and pooled by the classes' shares among the moved; W2's are in
units of the reference's within-class spread. In sample, a flexible map scores *better* than a fresh sample of the
reference would: that is said, and never counted as good. How good it is to new samples, `trials` say.

Bad at: classes of fewer than 20 samples, of which nothing is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from proxflow import agreement
from proxflow.integration.floors import FITTED, LOST, MEASURES, MEMORISED, MOST, MOST_EXACT, Floors, band
from proxflow.mixing import FEWEST
from proxflow.validation import check_cloud, check_positive, check_same_width, seed_from

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ABOVE", "AT", "COLUMNS", "FAILS", "FEW", "SHORT", "SHRUNK", "classes_of", "score_arrays", "verdicts"]

AT = "at the floor"
ABOVE = "above the floor"
SHORT = "short of its floor"  # of what should be high
SHRUNK = "better than its floor: spread lost"
FEW = "too few samples to say"
FAILS = "the control fails: manufactured signal"

COLUMNS = ("class", "measure", "value", "unadjusted", "floor", "floor_low", "floor_high", "verdict", "n_moved",
           "n_reference")  # fmt: skip


def score_arrays(
    moved: Any,
    reference: Any,
    ys: Any = None,
    yt: Any = None,
    *,
    unadjusted: Any = None,
    repeats: int = 10,
    fresh: bool = False,
    random_state: int | np.random.RandomState | None = None,
    floors: Floors | None = None,
) -> pd.DataFrame:
    """Score moved samples against their reference, per class and pooled, each measure beside its floor.

    Parameters
    ----------
    moved, reference
        S after the correction and T, shapes (n, d) and (m, d).
    ys, yt
        Their classes, shapes (n,) and (m,). Both or neither; classes on one side only are left out, and
        `attrs["notes"]` says so.
    unadjusted
        S before the correction, shape (n, d), for the column of that name.
    repeats
        Splits of the reference that make the floors.
    fresh
        The moved samples and the reference took no part in the fit: better than the floor is then no memorisation.
    random_state
        Seed of splits and subsamples.
    floors
        The reference's `Floors`, if there are some already.

    Returns
    -------
    DataFrame
        One row per class ("all" first) and measure: value, unadjusted, floor, floor_low, floor_high, verdict, n_moved,
        n_reference. `attrs["notes"]`: what was subsampled or left out.

    Raises
    ------
    ValueError
        Bad samples, labels on one side only or of another length, no class in common.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(size=(2, 100, 3))
    >>> frame = score_arrays(draws[0] + 3.0, draws[1], random_state=0)
    >>> frame.loc[frame.measure == "energy", "verdict"].tolist()
    ['above the floor']
    """
    import pandas as pd

    s, t = check_cloud(moved, "moved"), check_cloud(reference, "reference")
    check_same_width(s, t, "moved", "reference")
    before = None if unadjusted is None else check_cloud(unadjusted, "unadjusted")
    if before is not None and before.shape != s.shape:
        raise ValueError(f"unadjusted has shape {before.shape}, moved {s.shape}: they must be the same samples.")
    check_positive(repeats, "repeats", integer=True)
    classes, references = classes_of(ys, yt, len(s), len(t))
    shared, notes = np.intersect1d(classes, references), []
    for side, own, name in ((classes, references, "reference"), (references, classes, "moved samples")):
        absent = np.setdiff1d(side, own)
        if len(absent):
            notes.append(f"Not compared, absent from the {name}: {', '.join(map(str, absent[:12]))}.")
    if not len(shared):
        raise ValueError("the moved samples and the reference have no class in common. Check the labels' spelling.")
    seed = seed_from(random_state)
    floors = floors or Floors(t, references, max(repeats, 2), seed)
    shares = {c: float(np.mean(classes == c)) for c in shared}
    unit = agreement.within_class_spread(t, references, shares)
    largest = max(max((classes == c).sum(), (references == c).sum()) for c in shared)
    if largest > MOST_EXACT:
        notes.append(
            f"Of each class and side at most {MOST:,} rows were compared, drawn at random ({MOST_EXACT:,} by exact"
            " transport)."
        )
    rows: list[tuple[Any, ...]] = []
    with threadpool_limits(1, user_api="blas"):  # hundreds of small products: threads cost more than they bring
        for name in MEASURES:
            rows += _rows_of(name, s, before, t, classes, references, shares, unit, floors, seed)
        if ys is not None and len(shares) > 1:
            rows += _transfer_rows(s, before, t, classes, references, shares, floors, seed)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["verdict"] = verdicts(frame, fresh=fresh)
    if ys is None:
        frame = frame[frame["class"] == "all"].reset_index(drop=True)
    frame.attrs["notes"] = notes
    return frame


def _rows_of(
    name: str, s: np.ndarray, before: np.ndarray | None, t: np.ndarray, classes: np.ndarray, references: np.ndarray,
    shares: dict[Any, float], unit: float, floors: Floors, seed: int,
) -> list[tuple[Any, ...]]:  # fmt: skip
    """Rows of one measure: pooled, then class by class."""
    measure = MEASURES[name]
    scale = unit if measure.distance and unit > 0 else 1.0
    values, olds, draws, slacks = {}, {}, {}, {}
    for c in shares:
        mine, theirs = classes == c, t[references == c]
        values[c] = measure(s[mine], theirs, seed) / scale
        olds[c] = float("nan") if before is None else measure(before[mine], theirs, seed) / scale
        draws[c] = floors.draws(name, c, int(mine.sum())) / scale
        slacks[c] = floors.slack(name, c, int(mine.sum())) / scale
    every = [_pooled(found, shares, measure.distance) for found in (values, olds, draws)]
    slack = sum(shares[c] * slacks[c] for c in shares) / sum(shares.values())
    found = [("all", *every, slack, len(s), len(t))]
    if len(shares) > 1 or next(iter(shares)) != "":
        found += [(c, values[c], olds[c], draws[c], slacks[c], int((classes == c).sum()),
                   int((references == c).sum())) for c in shares]  # fmt: skip
    return [(c, name, float(value), float(old), *band(part, wide), "", n, m)
            for c, value, old, part, wide, n, m in found]  # fmt: skip


def _transfer_rows(
    s: np.ndarray, before: np.ndarray | None, t: np.ndarray, classes: np.ndarray, references: np.ndarray,
    shares: dict[Any, float], floors: Floors, seed: int,
) -> list[tuple[Any, ...]]:  # fmt: skip
    """Label transfer: recall of every class and their mean, beside that inside the reference; its band is binomial."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(s))[: 2 * MOST])
    recalls: list[dict[Any, float]] = []
    for points in (s, before):
        if points is None:
            recalls.append(dict.fromkeys(shares, float("nan")))
            continue
        given, truth = agreement.predicted_labels(points[rows], t, references), classes[rows]
        recalls.append({c: float(np.mean(given[truth == c] == c)) if (truth == c).any() else float("nan")
                        for c in shares})  # fmt: skip
    floor, errors = floors.recalls(), {}
    found: list[tuple[Any, ...]] = []
    for c in shares:
        n, m = int((classes == c).sum()), int((references == c).sum())
        p = (floor.get(c, 0.5) * m + 1) / (m + 2)  # never certain, so that the band has a width
        errors[c] = np.sqrt(p * (1 - p) * (1 / n + 1 / m))
        found.append((c, recalls[0][c], recalls[1][c], floor.get(c, float("nan")), errors[c], n, m))
    mean = [float(np.mean([row[i] for row in found])) for i in (1, 2, 3)]
    error = float(np.sqrt(np.sum(np.square(list(errors.values()))))) / len(errors)
    found.insert(0, ("all", mean[0], mean[1], mean[2], error, len(s), len(t)))
    return [(c, "label_transfer", value, old, level, level - 2.33 * error, level + 2.33 * error, "", n, m)
            for c, value, old, level, error, n, m in found]  # fmt: skip


def _pooled(found: dict[Any, Any], shares: dict[Any, float], squares: bool) -> Any:
    """Mean over classes by their shares, of squares for distances; classes without a number are left out."""
    kept = [c for c in shares if np.all(np.isfinite(found[c]))]
    if not kept:
        return np.nan * next(iter(found.values()))
    total = sum(shares[c] for c in kept)
    if squares:
        return np.sqrt(sum(shares[c] * np.maximum(found[c], 0.0) ** 2 for c in kept) / total)
    return sum(shares[c] * found[c] for c in kept) / total


def verdicts(frame: pd.DataFrame, *, fresh: bool) -> list[str]:
    """Return a verdict per row; fresh: the samples took no part in the fit."""
    rows = frame.to_dict("records")
    low = {name: {row["class"] for row in rows if row["measure"] == name and _too_low(row)} for name in _TELLING}
    return [_verdict(row, fresh, *(row["class"] in low[name] for name in _TELLING)) for row in rows]


_TELLING = ("spread_ratio", "nn_ratio")  # they say why another measure is better than its floor


def _too_low(row: dict[Any, Any]) -> bool:
    """Below the band, and by more than matters."""
    if row["measure"] == "nn_ratio_fitted":
        return bool(row["value"] < min(row["floor_low"], 0.75 * row["floor"]))
    return bool(row["value"] < row["floor_low"] and MEASURES[row["measure"]].clearly(row["value"], row["floor"]))


def _verdict(row: dict[Any, Any], fresh: bool, narrow: bool, copied: bool) -> str:
    name, value = row["measure"], row["value"]
    if min(row["n_moved"], row["n_reference"]) < FEWEST or not np.isfinite([value, row["floor"]]).all():
        return FEW
    if name == "label_transfer":
        if value < row["floor_low"]:
            return SHORT
        return FITTED if value > row["floor_high"] and not fresh else AT
    if value > row["floor_high"]:
        return ABOVE
    if not _too_low(row):
        return AT
    if name == "nn_ratio_fitted":
        return MEMORISED
    if name == "spread_ratio":
        return LOST
    if copied and name in ("nn_ratio", "w2"):
        return AT if fresh else MEMORISED
    if narrow:  # a cloud that was drawn together has a smaller W2 to anything, seen or not
        return SHRUNK
    return AT if fresh else FITTED


def classes_of(ys: Any, yt: Any, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Return classes as arrays of one kind; a single class, "", where there are none."""
    if (ys is None) != (yt is None):
        raise ValueError("labels on one side only: give ys and yt, or neither.")
    if ys is None:
        return np.full(n, ""), np.full(m, "")
    classes, references = np.asarray(ys), np.asarray(yt)
    for array, count, name in ((classes, n, "ys"), (references, m, "yt")):
        if array.shape != (count,):
            raise ValueError(f"{name} must be one label per sample, shape ({count},), got shape {array.shape}.")
    if classes.dtype.kind != references.dtype.kind or classes.dtype == object:
        classes, references = classes.astype(str), references.astype(str)
    return classes, references
