"""Distances between two clouds, as plain functions: the referee, not the method.

Exact optimal transport by network simplex (POT; Bonneel et al. 2011), imported only when called, for its import
takes seconds. Wasserstein distances between samples are biased upwards, the more so the smaller and the
higher-dimensional they are: compare like sizes with like, as `oracle_ratio` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from proxflow.validation import check_choice, check_cloud, check_same_width

__all__ = ["coverage", "energy_distance", "nearest_distance", "oracle_ratio", "wasserstein"]


def _pair(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    first, second = check_cloud(x, "x", minimum=1), check_cloud(y, "y", minimum=1)
    check_same_width(first, second, "x", "y")
    return first, second


def wasserstein(x: Any, y: Any, p: int = 2) -> float:
    """Exact Wasserstein distance W_p between two samples, in the data's units.

    Parameters
    ----------
    x, y
        Samples, shapes (n, d) and (m, d), uniform weights.
    p
        1 or 2.

    Raises
    ------
    ValueError
        Bad samples (see `check_cloud`), or another p.

    Examples
    --------
    >>> wasserstein([[0.0], [1.0]], [[2.0], [3.0]])
    2.0
    """
    check_choice(p, "p", [1, 2])  # type: ignore[list-item]
    x, y = _pair(x, y)
    if x.shape[1] == 1 and len(x) == len(y):  # sorted quantiles are the optimal plan on a line
        gaps = np.abs(np.sort(x[:, 0]) - np.sort(y[:, 0]))
        return float(np.mean(gaps**p) ** (1 / p))
    import ot
    from scipy.spatial.distance import cdist

    cost = cdist(x, y, "sqeuclidean" if p == 2 else "euclidean")
    uniform_x, uniform_y = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    largest = float(cost.max())
    if largest == 0:
        return 0.0
    # The solver's tolerances are absolute: without a common scale, tiny units would end it early.
    total = ot.emd2(uniform_x, uniform_y, cost / largest, numItermax=10_000_000)
    return float((max(float(total), 0.0) * largest) ** (1 / p))


def energy_distance(x: Any, y: Any) -> float:
    """Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| between two samples (V-statistic), at least 0.

    Source: Székely and Rizzo, "Energy statistics", J. Statistical Planning and Inference (2013).
    """
    from scipy.spatial.distance import cdist

    x, y = _pair(x, y)
    total = 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()
    return float(max(total, 0.0))


def nearest_distance(x: Any, y: Any, *, skip_self: bool = False) -> np.ndarray:
    """Distance of every row of x to its nearest row of y, shape (n,); skip_self when x is y."""
    from sklearn.neighbors import NearestNeighbors

    x, y = _pair(x, y)
    distances, _ = NearestNeighbors(n_neighbors=1 + skip_self).fit(y).kneighbors(x)
    return np.asarray(distances[:, -1])


def coverage(new: Any, real: Any, neighbours: int = 5) -> float:
    """Share of real samples, shape (m, d), with a new one, shape (n, d), among or before their nearest real ones.

    That is, no farther away than the real sample's k-th nearest real neighbour: 1 - (1 - k / m)^n or so for new samples
    of the same law, less if some regions were left out. Compare with the coverage of fresh real samples, as many.

    Source: Naeem, Oh, Uh, Choi, Yoo, "Reliable fidelity and diversity metrics for generative models", ICML 2020.

    Examples
    --------
    >>> real = [[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]
    >>> coverage([[0.5], [1.5]], real, neighbours=1)
    0.5
    """
    from sklearn.neighbors import NearestNeighbors

    x, y = _pair(new, real)
    k = min(neighbours, len(y) - 1)
    if k < 1:
        return 1.0
    radii = NearestNeighbors(n_neighbors=k + 1).fit(y).kneighbors(y)[0][:, -1]
    return float(np.mean(nearest_distance(y, x) <= radii))


def oracle_ratio(new: Any, fresh: Any, test: Any) -> float:
    """W2(new, test) / W2(fresh, test): 1 means as close to held-out data as a fresh real sample of that size.

    Parameters
    ----------
    new
        Generated samples, shape (n, d).
    fresh
        Real samples that were not used to generate, shape (m, d); the ratio is fair when m = n.
    test
        Other held-out real samples, shape (k, d).

    Raises
    ------
    ValueError
        If fresh and test are the same points.
    """
    floor = wasserstein(fresh, test)
    if floor == 0:
        raise ValueError("the fresh and the test sample coincide: hold out two different ones.")
    return wasserstein(new, test) / floor
