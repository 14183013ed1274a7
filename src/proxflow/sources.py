"""Where particles start: a Gaussian matched to the data, a box, logistic columns, N(0, I), or one's own points."""

from __future__ import annotations

import numpy as np

from proxflow.compression import compression, heavy_columns
from proxflow.proportions import counts_of_classes
from proxflow.validation import check_choice

__all__ = ["SOURCES", "draw_labelled_source", "draw_source"]

_SALT = 0x50524F58

SOURCES = ("gaussian", "uniform", "logistic", "standard")


def draw_source(kind: str, target: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw `count` points, shape (count, d), from the source of that kind fitted to the target's samples.

    "gaussian" has the target's mean and covariance; it is drawn as random mixtures of the centred samples, which
    needs no d x d matrix and stays in their span. "uniform" fills the samples' bounding box. "logistic" has
    independent logistic columns of the samples' means and variances. "standard" is N(0, I), whatever the samples, as
    normalising flows have it. Columns whose tails leave no
    variance are drawn so after `compression`, and expanded again.
    """
    check_choice(kind, "source", SOURCES)
    heavy = heavy_columns(target)
    if heavy.any():  # no mean, no covariance, a box with one sample in a corner: all are there once compressed
        bend = compression(target, heavy)
        return bend.expand(_draw(kind, bend.compress(target), count, seed))
    return _draw(kind, target, count, seed)


def _draw(kind: str, target: np.ndarray, count: int, seed: int) -> np.ndarray:
    # Not the seed alone: data that somebody made with the same one would be the source, number by number.
    rng = np.random.default_rng([seed, _SALT])
    if kind == "uniform":
        return rng.uniform(target.min(axis=0), target.max(axis=0), size=(count, target.shape[1]))
    centre = target.mean(axis=0)
    if kind == "standard":
        return rng.normal(size=(count, target.shape[1]))
    if kind == "logistic":  # of scale 1 its variance is π²/3
        return centre + rng.logistic(size=(count, target.shape[1])) * target.std(axis=0) * np.sqrt(3) / np.pi
    samples, width = target.shape
    if samples <= width:
        return centre + rng.normal(size=(count, samples)) @ (target - centre) / np.sqrt(samples - 1)
    factor = np.linalg.qr(target - centre, mode="r") / np.sqrt(samples - 1)  # factorᵀ factor = covariance
    return centre + rng.normal(size=(count, width)) @ factor


def draw_labelled_source(kind: str, target: np.ndarray, count: int, seed: int, fixed: int) -> np.ndarray:
    """Draw `count` points whose last `fixed` columns are labels or covariates of the target's rows.

    Where the same labels come again and again, each of them gets its share of the points and a source of its own; where
    nearly every row has others, rows are drawn, and one source serves all.
    """
    if not fixed:
        return draw_source(kind, target, count, seed)
    features, labels = target[:, :-fixed], target[:, -fixed:]
    kinds, of_kind, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    if 4 * len(kinds) > len(target) or counts.min() < 2:
        rows = np.random.default_rng([seed, 1]).permutation(np.arange(count) % len(target))
        return np.hstack([draw_source(kind, features, count, seed), labels[rows]])
    shares = counts_of_classes(count, range(len(kinds)), counts, None)
    parts = [
        np.hstack([draw_source(kind, features[of_kind.ravel() == k], n, seed), np.tile(kinds[k], (n, 1))])
        for k, n in shares.items()
        if n
    ]
    # In no order: the first rows are of all classes.
    return np.random.default_rng([seed, 2]).permutation(np.concatenate(parts))
