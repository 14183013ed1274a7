"""How well batches are mixed among nearest neighbours: LISI and kBET.

    LISI_i  = 1 / Σ_b (Σ_j p_ij 1[b_j = b])²,   p_ij ∝ exp(-β_i |x_i - x_j|) with entropy log perplexity
    iLISI   = (median_i LISI_i - 1) / (number of batches - 1)                     0: apart, 1: mixed in equal shares
    kBET    = share of samples i with  P(χ²_{B-1} > Σ_b (n_ib - k f_b)² / (k f_b))  >=  level

j runs over the 3 perplexity - 1 nearest other samples of i; n_ib counts batch b among the k nearest samples, i itself
included; f_b is the share of batch b. Sources: Korsunsky et al., "Fast, sensitive and accurate integration of
single-cell data with Harmony", Nature Methods (2019); Büttner et al., "A test metric for assessing single-cell RNA-seq
batch correction", Nature Methods (2019); scaled and counted as in Luecken et al. (2022) and in scib-metrics, with which
both agree to three decimals (`benchmarks/scib_check.py`).

Bad at: batches whose classes come in different shares, which cannot and should not mix (give kBET labels; compare iLISI
with its value for batches permuted within classes); fewer than 20 samples a batch, where neighbourhoods are most of the
data. A map that puts samples on top of the other batch's scores higher than the truth: neither sees memorisation.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from proxflow.neighbours import nearest_rows
from proxflow.validation import check_cloud, check_positive

__all__ = [
    "FEWEST",
    "chi_square_acceptance",
    "ilisi",
    "inverse_simpson",
    "kbet",
    "kbet_by_label",
    "kernel_weights",
    "lisi",
    "nearest",
    "neighbourhood_size",
]

FEWEST = 20  # samples a batch below which kBET and LISI say little (kBET's issue 42)


def lisi(points: Any, labels: Any, perplexity: float = 30, *, rows: Any = None) -> np.ndarray:
    """Local inverse Simpson index of every sample: in effect, how many of the labels its neighbourhood holds.

    Parameters
    ----------
    points
        Samples, shape (n, d).
    labels
        A batch or a class for each, shape (n,).
    perplexity
        How many neighbours count, in effect; at most n // 3.
    rows
        Which samples to look at, shape (m,); their neighbours are still sought among all. None: every one.

    Returns
    -------
    ndarray (n,) or (m,)
        Between 1 and the number of labels.

    Raises
    ------
    ValueError
        Bad samples, labels of another length, or a perplexity that is not positive.

    Warns
    -----
    UserWarning
        A label with fewer than 20 samples: its neighbourhoods are most of the data.

    Examples
    --------
    >>> points, halves = np.random.default_rng(0).normal(size=(200, 2)), np.arange(200) % 2
    >>> lisi(points, halves, rows=[0, 1]).round(1)
    array([1.9, 2. ])
    >>> float(lisi(points + 10 * halves[:, None], halves).max().round(6))
    1.0
    """
    cloud, codes, names = _checked(points, labels, "labels")
    check_positive(perplexity, "perplexity")
    _warn_if_few(codes, names, "LISI")
    order, distances = nearest(cloud, min(int(3 * perplexity), len(cloud)), rows)
    return inverse_simpson(order, kernel_weights(distances), codes)


def ilisi(points: Any, batches: Any, perplexity: float = 30, *, rows: Any = None) -> float:
    """Median LISI of the batches, scaled: 0 if every neighbourhood is of one batch, 1 if of all in equal shares.

    Parameters and warnings as in `lisi`.

    Raises
    ------
    ValueError
        As `lisi`; or one batch only, with nothing to mix.

    Examples
    --------
    >>> points, halves = np.random.default_rng(0).normal(size=(200, 2)), np.arange(200) % 2
    >>> ilisi(points, halves) > 0.8, ilisi(points + 10 * halves[:, None], halves)
    (True, 0.0)
    """
    count = len(np.unique(np.asarray(batches)))
    if count < 2:
        raise ValueError("iLISI needs at least two batches: with one there is nothing to mix.")
    return float((np.median(lisi(points, batches, perplexity, rows=rows)) - 1) / (count - 1))


def kbet(
    points: Any,
    batches: Any,
    labels: Any = None,
    *,
    neighbours: int | None = None,
    level: float = 0.05,
    rows: Any = None,
) -> float:
    """Share of neighbourhoods whose batches come in the shares of the whole: near 1 - level if mixed, 0 if apart.

    Parameters
    ----------
    points
        Samples, shape (n, d).
    batches
        A batch for each, shape (n,).
    labels
        Classes, shape (n,): neighbourhoods and shares are then of each class alone, and the value is the mean over
        classes that hold two batches and ten samples. None: all together.
    neighbours
        Size k of a neighbourhood, the sample itself included. None: a quarter of the mean batch, within 10 and 70.
    level
        Of the χ² test.
    rows
        Which samples' neighbourhoods to test, shape (m,). None: every one.

    Returns
    -------
    float
        NaN if labels are given and no class can be judged.

    Raises
    ------
    ValueError
        Bad samples, labels of another length, one batch only.

    Warns
    -----
    UserWarning
        A batch with fewer than 20 samples, in a class if labels are given.

    Examples
    --------
    >>> points, halves = np.random.default_rng(0).normal(size=(200, 2)), np.arange(200) % 2
    >>> kbet(points, halves) > 0.9, kbet(points + 10 * halves[:, None], halves)
    (True, 0.0)
    """
    if labels is not None:
        found = kbet_by_label(points, batches, labels, neighbours=neighbours, level=level, rows=rows)
        values = [value for value in found.values() if np.isfinite(value)]
        return float(np.mean(values)) if values else float("nan")
    cloud, codes, names = _checked(points, batches, "batches")
    if len(names) < 2:
        raise ValueError("kBET needs at least two batches: with one there is nothing to mix.")
    size = neighbourhood_size(codes) if neighbours is None else neighbours
    check_positive(size, "neighbours", integer=True)
    _warn_if_few(codes, names, "kBET")
    order, _ = nearest(cloud, min(int(size), len(cloud)), rows)
    return chi_square_acceptance(order, codes, level)


def kbet_by_label(
    points: Any,
    batches: Any,
    labels: Any,
    *,
    neighbours: int | None = None,
    level: float = 0.05,
    rows: Any = None,
) -> dict[Any, float]:
    """Return kBET within every class, by class; NaN for a class of one batch or of fewer than ten samples.

    Neighbours are Euclidean within the class; scib-metrics' `kbet_per_label` seeks them by diffusion distance.
    Parameters, errors and warnings as in `kbet`.
    """
    cloud, codes, names = _checked(points, batches, "batches")
    classes = _labels(labels, len(cloud), "labels")
    if len(names) < 2:
        raise ValueError("kBET needs at least two batches: with one there is nothing to mix.")
    chosen = np.ones(len(cloud), bool) if rows is None else np.isin(np.arange(len(cloud)), rows)
    found: dict[Any, float] = {}
    for name in np.unique(classes):
        inside = classes == name
        mixed = len(np.unique(codes[inside])) > 1 and inside.sum() >= 10 and (chosen & inside).any()
        found[name.item() if hasattr(name, "item") else name] = (
            kbet(
                cloud[inside],
                np.asarray(names)[codes[inside]],
                neighbours=neighbours,
                level=level,
                rows=np.flatnonzero(chosen[inside]),
            )
            if mixed
            else float("nan")
        )
    return found


def nearest(points: np.ndarray, count: int, rows: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Return indices and distances, shape (m, count), of the nearest samples of those in rows, itself first."""
    asked = np.arange(len(points)) if rows is None else np.asarray(rows)
    order, distances = nearest_rows(points, points[asked], count)
    # Among coinciding samples another may come first: the sample's own place is the first all the same.
    for row in np.flatnonzero(order[:, 0] != asked):
        places = np.flatnonzero(order[row] == asked[row])
        order[row, places[0] if len(places) else -1] = order[row, 0]
        order[row, 0] = asked[row]
    return order, distances


def kernel_weights(distances: np.ndarray) -> np.ndarray:
    """Weights p ∝ exp(-β d) of every row of neighbours, shape (m, k), itself first and at 0, the others summing to 1.

    β gives each row an entropy of log perplexity, which is a third of k.
    """
    if distances.shape[1] < 2:
        return np.ones_like(distances)
    others = distances[:, 1:]
    gaps = others - others.min(axis=1, keepdims=True)  # a common shift cancels in p
    scale = gaps.mean(axis=1, keepdims=True)
    gaps = gaps / np.where(scale > 0, scale, 1.0)
    low, high = np.zeros((len(gaps), 1)), np.full((len(gaps), 1), 1e6)
    goal = np.log(max(distances.shape[1] // 3, 1))
    for _ in range(70):  # the entropy falls as β grows; halving in the logarithm once β is off zero
        beta = np.where(low > 0, np.sqrt(low * high), np.minimum(1.0, high / 8))
        weights = np.exp(-beta * gaps)
        total = weights.sum(axis=1, keepdims=True)
        entropy = np.log(total) + beta * (gaps * weights).sum(axis=1, keepdims=True) / total
        wide = entropy > goal
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
    return np.hstack([np.zeros((len(gaps), 1)), weights / total])


def inverse_simpson(order: np.ndarray, weights: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """LISI from neighbours (m, k) and their weights, and codes 0, 1, ... of all samples' labels."""
    labels = codes[order]
    kinds = range(int(codes.max()) + 1)
    shares = np.stack([np.where(labels == kind, weights, 0.0).sum(axis=1) for kind in kinds], axis=1)
    return np.asarray(1.0 / (shares**2).sum(axis=1))


def neighbourhood_size(codes: np.ndarray) -> int:
    """Size k of kBET's neighbourhoods: a quarter of the mean batch, within 10 and 70."""
    counts = np.bincount(codes)
    return int(np.clip(counts[counts > 0].mean() // 4, 10, 70))


def chi_square_acceptance(order: np.ndarray, codes: np.ndarray, level: float = 0.05) -> float:
    """Acceptance of kBET from neighbours (m, k), the sample itself first, and codes 0, 1, ... of all batches."""
    from scipy.special import chdtrc

    shares = np.bincount(codes) / len(codes)
    near = codes[order]
    counts = np.stack([(near == kind).sum(axis=1) for kind in range(len(shares))], axis=1)
    expected = shares * order.shape[1]
    statistic = ((counts - expected) ** 2 / expected).sum(axis=1)
    return float(np.mean(chdtrc(len(shares) - 1, statistic) >= level))


def _checked(points: Any, labels: Any, name: str) -> tuple[np.ndarray, np.ndarray, Sequence[Any]]:
    cloud = check_cloud(points, "points")
    names, codes = np.unique(_labels(labels, len(cloud), name), return_inverse=True)
    return cloud, codes, list(names)


def _labels(labels: Any, count: int, name: str) -> np.ndarray:
    array = np.asarray(labels)
    if array.shape != (count,):
        raise ValueError(f"{name} must be one per sample, shape ({count},), got shape {array.shape}.")
    return array.astype(str) if array.dtype == object else array


def _warn_if_few(codes: np.ndarray, names: Sequence[Any], measure: str) -> None:
    counts = np.bincount(codes)
    if len(counts) > 1 and counts.min() < FEWEST:
        fewest = int(np.argmin(counts))
        warnings.warn(
            f"{measure} is unreliable: {str(names[fewest])!r} has {counts[fewest]} samples, fewer than {FEWEST}.",
            UserWarning,
            stacklevel=3,
        )
