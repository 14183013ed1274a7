"""Does a moved cloud S agree with its reference T? Plain functions of two clouds, each with a value it should have.

    energy          (2 E|S - T| - E|S - S'| - E|T - T'|) / E|T - T'|, pairs of different samples           0
    sliced_w2       √d (mean over directions of W2² on the line)^½                                           small
    gaussian_w2     (|m_S - m_T|² + tr A + tr B - 2 tr (A^½ B A^½)^½)^½, covariances shrunk               small
    exact_w2        optimal transport of all samples                                                         small
    neighbour_auc   area under the ROC curve of a cross-validated k-nearest-neighbour classifier, S from T  0.5
    nn_ratio        median distance S to nearest T / median distance inside T                               1; 0: copies
    spread_ratio    total variance of S / of T                                                               1
    label_transfer  balanced accuracy of labels that k nearest reference samples give to S                   as inside T

None is zero, or one half, for two samples of one law, but for the first: W2 is biased upwards, by more than most
corrections gain. Read each beside its value between halves of T (`integration.scores`). A value may also be too good:
a cloud placed on T's own samples has a small W2 and an nn_ratio near 0.

Sources: Székely and Rizzo (2013), the U-statistic; Bonneel et al. (2015), sliced; Dowson and Landau (1982), Gaussian;
Friedman and Rafsky (1979), Lopez-Paz and Oquab (2017), two samples told apart by neighbours.

Bad at: very large clouds, of which each function but spread_ratio takes a seeded subsample of `most` rows per side; the
exact W2 of more than a few thousand rows takes minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from proxflow.metrics import wasserstein
from proxflow.neighbours import nearest_rows
from proxflow.validation import check_cloud, check_same_width

__all__ = [
    "energy",
    "exact_w2",
    "gaussian_w2",
    "label_transfer",
    "neighbour_auc",
    "nn_ratio",
    "predicted_labels",
    "sliced_w2",
    "some_rows",
    "spread_ratio",
    "within_class_spread",
]

MOST = 4000  # rows per side whose pairs are all looked at: 128 MB of distances
_MOST_EXACT = 2000


def energy(moved: Any, reference: Any, *, most: int = MOST, random_state: int = 0) -> float:
    """Energy distance without bias, in units of the mean distance inside the reference: 0 on average for one law.

    Parameters
    ----------
    moved, reference
        S and T, shapes (n, d) and (m, d), at least two rows each.
    most
        Rows per side above which a subsample is taken.
    random_state
        Seed of the subsample.

    Returns
    -------
    float
        May be slightly negative. NaN if all of the reference is one point.

    Raises
    ------
    ValueError
        Bad samples (see `check_cloud`).

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(size=(3, 200, 5))
    >>> abs(energy(draws[0], draws[1])) < 0.02, energy(draws[0] + 1, draws[1]) > 0.2
    (True, True)
    """
    s, t = _pair(moved, reference, most, random_state)
    inside, across = _mean_distance(t), _mean_distance(s, t)
    return float((2 * across - _mean_distance(s) - inside) / inside) if inside > 0 else float("nan")


def sliced_w2(moved: Any, reference: Any, *, projections: int = 200, most: int = MOST, random_state: int = 0) -> float:
    """W2 on random lines, times √d: comparable with W2 itself, and far less biased. Units of the data.

    Parameters and errors as in `energy`; projections: how many lines, the same for the same seed and d.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> round(sliced_w2(x + [1.0, 0, 0, 0], x), 1)
    1.0
    """
    s, t = _pair(moved, reference, most, random_state)
    ways = np.random.default_rng(random_state).normal(size=(s.shape[1], projections))
    ways /= np.linalg.norm(ways, axis=0)
    first, second = np.sort(s @ ways, axis=0), np.sort(t @ ways, axis=0)
    # The quantile functions are steps: between all of their jumps both are constant.
    jumps = np.unique(np.concatenate([np.arange(1, len(s) + 1) / len(s), np.arange(1, len(t) + 1) / len(t)]))
    lengths = np.diff(jumps, prepend=0.0)
    middles = jumps - lengths / 2
    at = [np.minimum((middles * len(cloud)).astype(int), len(cloud) - 1) for cloud in (s, t)]
    squares = lengths @ (first[at[0]] - second[at[1]]) ** 2
    return float(np.sqrt(squares.mean() * s.shape[1]))


def gaussian_w2(moved: Any, reference: Any, *, shrinkage: float = 0.1) -> float:
    """W2 between the Gaussians of both clouds' means and covariances (Bures, Fréchet). Units of the data.

    shrinkage: the share of each covariance that is replaced by a multiple of the identity of the same trace; a class
    with fewer samples than features has a singular one. Errors as in `energy`.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> round(gaussian_w2(x + [3.0, 0, 0, 4.0], x), 6)
    5.0
    """
    s, t = _pair(moved, reference)
    a, b = _covariance(s, shrinkage), _covariance(t, shrinkage)
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    common = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0.0)).sum()
    square = ((s.mean(axis=0) - t.mean(axis=0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * common
    return float(np.sqrt(max(square, 0.0)))


def exact_w2(moved: Any, reference: Any, *, most: int = _MOST_EXACT, random_state: int = 0) -> float:
    """Exact W2, of a subsample beyond `most` rows per side, which raises it. Units of the data; errors as in `energy`.

    Examples
    --------
    >>> exact_w2([[0.0], [1.0]], [[3.0], [4.0]])
    3.0
    """
    return wasserstein(*_pair(moved, reference, most, random_state))


def neighbour_auc(
    moved: Any, reference: Any, *, neighbours: int = 10, folds: int = 5, most: int = MOST, random_state: int = 0
) -> float:
    """How well nearest neighbours tell S from T, cross-validated: 0.5 not at all, 1 perfectly, mean over folds.

    Below one half is as telling: samples of S then stand in the places of samples of T. NaN with fewer than two rows
    in each fold. Parameters and errors as in `energy`.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(size=(2, 200, 3))
    >>> neighbour_auc(draws[0] + 3, draws[1]) > 0.95
    True
    """
    s, t = _pair(moved, reference, most, random_state)
    folds = min(folds, len(s) // 2, len(t) // 2)
    if folds < 2:
        return float("nan")
    points, side = np.concatenate([s, t]), np.repeat([1, 0], [len(s), len(t)])
    rng = np.random.default_rng(random_state)
    # Every fold holds its share of both.
    fold = np.concatenate([rng.permutation(np.arange(size) % folds) for size in (len(s), len(t))])
    found = []
    for index in range(folds):
        test, train = fold == index, fold != index
        order, _ = nearest_rows(points[train], points[test], neighbours)
        found.append(_area(side[train][order].mean(axis=1), side[test]))
    return float(np.mean(found))


def nn_ratio(moved: Any, reference: Any, *, most: int = MOST, random_state: int = 0) -> float:
    """Median distance of S to the nearest of T over the median nearest distance inside T: far below 1, memorised.

    All of T is searched, from at most `most` rows. NaN if most samples of T come twice. Errors as in `energy`.

    Examples
    --------
    >>> t = np.random.default_rng(0).normal(size=(200, 3))
    >>> round(nn_ratio(t + 1e-6, t), 3)
    0.0
    """
    s, t = _pair(moved, reference)
    inside = np.median(nearest_rows(t, some_rows(t, most, random_state), 2)[1][:, 1])
    across = np.median(nearest_rows(t, some_rows(s, most, random_state), 1)[1][:, 0])
    return float(across / inside) if inside > 0 else float("nan")


def spread_ratio(moved: Any, reference: Any) -> float:
    """Total variance of S over that of T: below 1, collapsed. NaN if T is one point. Errors as in `energy`.

    Examples
    --------
    >>> spread_ratio([[0.0], [1.0]], [[0.0], [2.0]])
    0.25
    """
    s, t = _pair(moved, reference)
    variance = float(t.var(axis=0).sum())
    return float(s.var(axis=0).sum()) / variance if variance > 0 else float("nan")


def label_transfer(
    moved: Any, labels: Any, reference: Any, reference_labels: Any, *, neighbours: int = 15, most: int = MOST,
    random_state: int = 0,
) -> float:  # fmt: skip
    """Balanced accuracy of the labels that S gets from its nearest reference samples, weighted by 1 / distance.

    The mean over classes of S that T has too of the share that gets its own label back; NaN if there is none. At most
    `most` rows of S are asked. Errors as in `energy`, and labels of another length.

    Examples
    --------
    >>> t = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> label_transfer([[0.2], [4.8]], ["a", "b"], t, ["a", "a", "b", "b"], neighbours=2)
    1.0
    """
    s, ys = check_cloud(moved, "moved", minimum=1), np.asarray(labels)
    if ys.shape != (len(s),):
        raise ValueError(f"labels must be one per moved sample, shape ({len(s)},), got shape {ys.shape}.")
    rows = np.sort(np.random.default_rng(random_state).permutation(len(s))[:most])
    given = predicted_labels(s[rows], reference, reference_labels, neighbours=neighbours)
    shared = np.intersect1d(ys, np.asarray(reference_labels))
    recalls = [np.mean(given[ys[rows] == c] == c) for c in shared if (ys[rows] == c).any()]
    return float(np.mean(recalls)) if recalls else float("nan")


def predicted_labels(points: Any, reference: Any, reference_labels: Any, *, neighbours: int = 15) -> np.ndarray:
    """Return the label of each point, shape (n,), by its nearest reference samples, weighted by 1 / distance."""
    t, yt = check_cloud(reference, "reference", minimum=1), np.asarray(reference_labels)
    if yt.shape != (len(t),):
        raise ValueError(f"labels must be one per reference sample, shape ({len(t)},), got shape {yt.shape}.")
    order, distances = nearest_rows(t, check_cloud(points, "points", minimum=1), neighbours)
    names, codes = np.unique(yt, return_inverse=True)
    with np.errstate(divide="ignore", over="ignore"):
        weights = 1 / distances
    same = ~np.isfinite(weights).all(axis=1)  # a sample in the very place: it alone, and its equals, decide
    weights[same] = ~np.isfinite(weights[same])
    votes = np.stack([np.where(codes[order] == code, weights, 0.0).sum(axis=1) for code in range(len(names))], axis=1)
    return np.asarray(names[votes.argmax(axis=1)])


def within_class_spread(reference: Any, labels: Any = None, shares: dict[Any, float] | None = None) -> float:
    """Root of the total variance inside a class, averaged over classes by their shares: the unit of W2 here.

    shares: weights of the classes; None: as in the labels. Without labels the whole is one class.

    Examples
    --------
    >>> within_class_spread([[0.0], [2.0], [10.0], [12.0]], ["a", "a", "b", "b"])
    1.0
    """
    t = check_cloud(reference, "reference", minimum=1)
    classes = np.zeros(len(t)) if labels is None else np.asarray(labels)
    names, counts = np.unique(classes, return_counts=True)
    weights = dict(zip(names.tolist(), counts / len(t), strict=True)) if shares is None else shares
    total = sum(weights.values())
    return float(np.sqrt(sum(w * t[classes == c].var(axis=0).sum() for c, w in weights.items()) / total))


def some_rows(points: np.ndarray, most: int, random_state: int = 0) -> np.ndarray:
    """Return all rows in order, or `most` of them drawn without replacement."""
    if len(points) <= most:
        return points
    return points[np.sort(np.random.default_rng(random_state).choice(len(points), most, replace=False))]


def _pair(moved: Any, reference: Any, most: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    s, t = check_cloud(moved, "moved"), check_cloud(reference, "reference")
    check_same_width(s, t, "moved", "reference")
    return (s, t) if most is None else (some_rows(s, most, seed), some_rows(t, most, seed + 1))


def _blocks(count: int, width: int) -> Iterator[slice]:
    step = max(4_000_000 // max(width, 1), 1)
    return (slice(start, start + step) for start in range(0, count, step))


def _mean_distance(x: np.ndarray, y: np.ndarray | None = None) -> float:
    """Mean distance between rows of x and of y, or between different rows of x. By products: many times faster."""
    other = x if y is None else y
    centre = other.mean(axis=0)
    x, other = x - centre, other - centre
    norms, total = (other**2).sum(axis=1), 0.0
    for rows in _blocks(len(x), len(other)):
        part = x[rows]
        squares = (part**2).sum(axis=1)[:, None] + norms - 2 * part @ other.T
        if y is None:  # its own place: exactly zero, where rounding would leave its root
            squares[np.arange(len(part)), rows.start + np.arange(len(part))] = 0.0
        total += float(np.sqrt(np.maximum(squares, 0.0)).sum())
    return total / (len(x) * (len(x) - 1)) if y is None else total / (len(x) * len(other))


def _covariance(points: np.ndarray, shrinkage: float) -> np.ndarray:
    centred = points - points.mean(axis=0)
    found = centred.T @ centred / max(len(points) - 1, 1)
    width = len(found)
    return np.asarray((1 - shrinkage) * found + shrinkage * np.trace(found) / width * np.eye(width))


def _area(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve by ranks (Mann and Whitney), ties counted half."""
    from scipy.stats import rankdata

    positive = int(truth.sum())
    negative = len(truth) - positive
    ranks = rankdata(scores)[truth == 1].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))
