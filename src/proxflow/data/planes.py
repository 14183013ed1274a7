"""Sets on a plane inside R^d, as samples: n points from a seed, all coordinates after the second zero.

    moons       scikit-learn's make_moons with noise 0.05, minus (0.5, 0.2), times 4.2
    pinwheel    (r, w) = (1 + 0.3 N, 0.1 N) turned by a = 2πk/5 + exp(r)/4, times 1.4

N is standard normal; each k below 5 comes as often as the others, as each moon does. They ask of a generator that
starts from a Gaussian in R^d to find the plane as well as the law on it. Source: the cases of Gu, Katsoulakis,
Rey-Bellet, Zhang on combined Wasserstein-1 and Wasserstein-2 proximals, arXiv 2407.11901 (2024).

Bad at: standing for real data, whose manifolds bend and are not parallel to any axis.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from proxflow.data import toy
from proxflow.validation import check_positive

__all__ = ["PLANES", "moons_on_plane", "pinwheel_on_plane"]

Points = npt.NDArray[np.float64]
Seed = int | np.random.RandomState


def moons_on_plane(n: int, d: int = 2, random_state: Seed = 0) -> Points:
    """Draw two interleaved half circles of radius 4.2 on the plane of the first two coordinates.

    Parameters
    ----------
    n
        How many points.
    d
        Dimension of the space, at least 2.
    random_state
        Seed.

    Returns
    -------
    ndarray (n, d)

    Raises
    ------
    ValueError
        An n below 1, or a d below 2.

    Examples
    --------
    >>> points = moons_on_plane(1000, 7)
    >>> points.shape, bool(points[:, 2:].any()), bool(np.abs(points.mean(axis=0)).max() < 0.3)
    ((1000, 7), False, True)
    """
    return _placed(n, d, lambda: 4.2 * (toy.moons(n, random_state) - [0.5, 0.2]))


def pinwheel_on_plane(n: int, d: int = 2, random_state: Seed = 0) -> Points:
    """Draw five bent arms of length about 2 on the plane of the first two coordinates.

    Parameters
    ----------
    n
        How many points.
    d
        Dimension of the space, at least 2.
    random_state
        Seed.

    Returns
    -------
    ndarray (n, d)

    Raises
    ------
    ValueError
        An n below 1, or a d below 2.

    Examples
    --------
    >>> points = pinwheel_on_plane(1000, 12)
    >>> points.shape, bool(points[:, 2:].any()), round(float(np.linalg.norm(points, axis=1).mean()), 1)
    ((1000, 12), False, 1.4)
    """
    return _placed(n, d, lambda: 0.7 * toy.pinwheel(n, random_state, balanced=True))  # the toy is the same, times 2


PLANES: dict[str, Callable[..., Points]] = {"moons": moons_on_plane, "pinwheel": pinwheel_on_plane}


def _placed(n: int, d: int, draw: Callable[[], Points]) -> Points:
    check_positive(n, "n", integer=True)
    check_positive(d, "d", integer=True)
    if d < 2:
        raise ValueError(f"d must be at least 2, got {d}: these are sets on a plane.")
    points = np.zeros((n, d))
    points[:, :2] = draw()
    return points
