"""Sets of low dimension in the plane and in space, as samples: n points from a seed.

    Sierpinski carpet   (k_1/3 + k_2/9 + ...) + U 3^-level, digits k_j in {0, 1, 2}² but (1, 1): dimension 1.89
    Swiss roll          (t cos t, 21 V, t sin t), t = 1.5π (1 + 2 U): a rolled sheet, dimension 2
    Lorenz attractor    x' = 10 (y - x), y' = x (28 - z) - y, z' = x y - 8 z / 3: dimension 2.06

U and V are uniform on (0, 1). Laws on such sets have no density: every f-divergence between two of them is infinite
or at its largest, and the Lipschitz-regularised one is not. Sources: the carpet as in Gu, Birmpa, Pantazis, Rey-Bellet,
Katsoulakis, SIAM J. Math. Data Science (2024); the roll of Tenenbaum et al., Science 290 (2000), as scikit-learn has
it; Lorenz, J. Atmospheric Sciences 20 (1963).

Bad at: standing for real data, which lie near such sets but not on them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from proxflow.validation import check_positive, seed_from

__all__ = ["SETS", "lorenz_attractor", "sierpinski_carpet", "swiss_roll_3d"]

Points = npt.NDArray[np.float64]
Seed = int | np.random.RandomState

# Time units. Onto the attractor it takes less than one; to forget the phase of its loops (0.75 each), different times.
_SHORTEST, _LONGEST = 25.0, 35.0
_TOLERANCE = 1e-6  # per unit step; errors along the attractor only move a point to another typical one


def sierpinski_carpet(
    n: int, random_state: Seed = 0, *, level: int = 4, dimension: int = 2, one_per_cell: bool = False
) -> Points:
    """Draw points of the carpet of some level in [0, 1]², or on the floor z = 0 of space.

    Parameters
    ----------
    n
        How many points.
    random_state
        Seed.
    level
        How many scales are cut out; 8^level cells of side 3^-level are left (4096 at level 4).
    dimension
        2, or more: the coordinates after the second are 0.
    one_per_cell
        False: independent points, uniform on the carpet. True: cells in random order, so that 8^level points have one
        in every cell, as in the paper.

    Returns
    -------
    ndarray (n, dimension)

    Raises
    ------
    ValueError
        An n or level below 1, or a dimension below 2.

    Examples
    --------
    >>> points = sierpinski_carpet(4096, one_per_cell=True)
    >>> points.shape, bool(((points > 1 / 3) & (points < 2 / 3)).all(axis=1).any())  # the middle is empty
    ((4096, 2), False)
    """
    check_positive(level, "level", integer=True)
    if dimension < 2:
        raise ValueError(f"dimension must be at least 2, got {dimension}: the carpet is a set in the plane.")
    rng = np.random.default_rng(_seed(n, random_state))
    if one_per_cell:
        cells = np.concatenate([rng.permutation(8**level) for _ in range(-(-n // 8**level))])[:n]
    else:
        cells = rng.integers(8**level, size=n)
    corner = np.zeros((n, 2))
    for scale in range(1, level + 1):
        digit = cells // 8 ** (scale - 1) % 8
        ninth = digit + (digit >= 4)  # of the nine squares, number 4 is the middle
        corner += np.column_stack([ninth % 3, ninth // 3]) / 3.0**scale
    points = np.zeros((n, dimension))
    points[:, :2] = corner + rng.uniform(size=(n, 2)) / 3.0**level
    return points


def swiss_roll_3d(n: int, random_state: Seed = 0) -> Points:
    """Draw points of a rolled sheet: (t cos t, 21 V, t sin t), with t = 1.5π (1 + 2 U).

    Parameters
    ----------
    n
        How many points.
    random_state
        Seed.

    Returns
    -------
    ndarray (n, 3)

    Raises
    ------
    ValueError
        An n below 1.

    Examples
    --------
    >>> roll = swiss_roll_3d(200)
    >>> radius = np.hypot(roll[:, 0], roll[:, 2])
    >>> roll.shape, bool((radius > 4.7).all() and (radius < 14.2).all())
    ((200, 3), True)
    """
    rng = np.random.default_rng(_seed(n, random_state))
    t = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))
    return np.column_stack([t * np.cos(t), 21 * rng.uniform(size=n), t * np.sin(t)])


def lorenz_attractor(n: int, random_state: Seed = 0) -> Points:
    """Draw states of the Lorenz system of 1963 (σ, ρ, β = 10, 28, 8/3), each the end of a trajectory of its own.

    The trajectories start around (0, 0, 25) and run for 25 to 35 time units, each for another time, by Dormand and
    Prince's method of order 8 with steps from its error estimate. By then they have forgotten where they started, when,
    and each other, so the states are independent samples of the attractor's physical measure.

    Parameters
    ----------
    n
        How many states.
    random_state
        Seed of the starts.

    Returns
    -------
    ndarray (n, 3)

    Raises
    ------
    ValueError
        An n below 1.

    Examples
    --------
    >>> states = lorenz_attractor(100)
    >>> states.shape, bool(0 < states[:, 2].min() and states[:, 2].max() < 50)
    ((100, 3), True)
    """
    from scipy.integrate import solve_ivp

    rng = np.random.default_rng(_seed(n, random_state))
    start = rng.normal(size=(3, n)) * 5 + np.asarray([[0.0], [0.0], [25.0]])

    duration = rng.uniform(_SHORTEST, _LONGEST, size=n)

    def motion(_: float, flat: Points) -> Points:  # in units of each trajectory's own duration
        x, y, z = flat.reshape(3, n)
        return np.concatenate([duration * part for part in (10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z)])

    end = solve_ivp(motion, (0, 1), start.ravel(), method="DOP853", rtol=_TOLERANCE, atol=_TOLERANCE, t_eval=[1.0])
    states: Points = end.y[:, -1].reshape(3, n).T
    return states


SETS: dict[str, Callable[..., Points]] = {
    "sierpinski_carpet": sierpinski_carpet,
    "swiss_roll_3d": swiss_roll_3d,
    "lorenz_attractor": lorenz_attractor,
}


def _seed(n: int, random_state: Seed) -> int:
    check_positive(n, "n", integer=True)
    return seed_from(random_state)
