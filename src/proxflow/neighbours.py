"""Nearest rows by brute force, as matrix products: |x - y|² = |x|² + |y|² - 2 <x, y>, sorted by exact distances.

The products pick the candidates; distances to these are taken again by differences, so that coinciding points are at
distance zero. No threads but those of the matrix product, no index to build: for hundreds to tens of thousands of rows
in tens of columns, many small searches in a row, faster than a tree. Bad at: few columns and very many rows, where a
tree wins by far.
"""

from __future__ import annotations

import numpy as np

__all__ = ["nearest_rows"]

_CHUNK = 4_000_000  # numbers held at a time


def nearest_rows(among: np.ndarray, asked: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows of among, shape (m, d), are nearest to each asked, (n, d), and how far: both (n, count).

    Nearest first; count is at most m.

    Examples
    --------
    >>> order, distances = nearest_rows(np.array([[0.0], [5.0], [7.0]]), np.array([[6.5]]), 2)
    >>> order.tolist(), distances.tolist()
    ([[2, 1]], [[0.5, 1.5]])
    """
    count = min(count, len(among))
    centre = among.mean(axis=0)
    there, here = among - centre, asked - centre
    norms = (there**2).sum(axis=1)
    orders, found = [], []
    step = max(_CHUNK // max(len(there), count * there.shape[1]), 1)
    for start in range(0, len(here), step):
        part = here[start : start + step]
        scores = norms - 2 * part @ there.T  # less |part|², the same for all
        if count == 1:
            order = scores.argmin(axis=1)[:, None]
        elif count < len(there):
            order = np.argpartition(scores, count - 1, axis=1)[:, :count]
        else:
            order = np.broadcast_to(np.arange(count), (len(part), count))
        distances = np.sqrt(((there[order] - part[:, None, :]) ** 2).sum(axis=2))
        ranks = np.argsort(distances, axis=1, kind="stable")
        orders.append(np.take_along_axis(order, ranks, axis=1))
        found.append(np.take_along_axis(distances, ranks, axis=1))
    return np.concatenate(orders), np.concatenate(found)
