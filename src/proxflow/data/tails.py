"""Laws with heavy tails, as samples: n points from a seed.

    generalised Gaussian   density ~ exp(-|x|^β):                 all moments, but none exponential for β < 1
    Student t              density ~ (1 + |x|²/ν)^(-(ν + d)/2):   moments below ν only
    law on a subspace      x_i = sign(c_i) |c_i|^(p_i), c_i independent standard Cauchy, in the first of many columns

The first two are isotropic in R^d. The last one has the tail P(|x_i| > r) ~ (2/π) r^(-1/p_i), of index 1/p_i: no mean
for p_i of 1 and more. Sources: the eight cases of Gu, Birmpa, Pantazis, Rey-Bellet, Katsoulakis, SIAM J. Math. Data
Science (2024), section 7; Chen, Gu, Katsoulakis, Rey-Bellet, Zhu, arXiv 2405.13962 (2024).

Bad at: tails of different weight on the two sides, or in some directions only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from proxflow.validation import check_positive, seed_from

__all__ = ["cauchy_powers", "cauchy_powers_survival", "generalised_gaussian", "student_t"]

Points = npt.NDArray[np.float64]
Seed = int | np.random.RandomState


def generalised_gaussian(n: int, random_state: Seed = 0, *, beta: float = 0.5, dimension: int = 2) -> Points:
    """Draw points of density proportional to exp(-|x|^β) in R^d.

    |x|^β is a Gamma variable of shape d/β, the direction is uniform.

    Parameters
    ----------
    n
        How many points.
    random_state
        Seed.
    beta
        Above 0: 2 is a Gaussian, 1 Laplace's law, below 1 a stretched exponential.
    dimension
        d.

    Returns
    -------
    ndarray (n, dimension)

    Raises
    ------
    ValueError
        An n or dimension below 1, or a beta that is not positive.

    Examples
    --------
    >>> points = generalised_gaussian(10_000, beta=2.0, dimension=3)
    >>> bool(abs(points.var() - 0.5) < 0.02)  # exp(-|x|²) is a Gaussian of variance 1/2
    True
    """
    rng = _generator(n, random_state, dimension)
    check_positive(beta, "beta")
    radius = rng.gamma(dimension / beta, size=n) ** (1 / beta)
    direction = rng.normal(size=(n, dimension))
    return direction * (radius / np.linalg.norm(direction, axis=1))[:, None]


def student_t(n: int, random_state: Seed = 0, *, nu: float = 3.0, dimension: int = 2) -> Points:
    """Draw points of Student's law with ν degrees of freedom in R^d: a Gaussian over the root of an independent χ²/ν.

    Parameters
    ----------
    n
        How many points.
    random_state
        Seed.
    nu
        Above 0: the tail index of the radius. No variance at 2 and below, no mean at 1 and below.
    dimension
        d.

    Returns
    -------
    ndarray (n, dimension)

    Raises
    ------
    ValueError
        An n or dimension below 1, or a nu that is not positive.

    Examples
    --------
    >>> from proxflow import hill_index
    >>> radius = np.linalg.norm(student_t(100_000, nu=1.5), axis=1)
    >>> 1.3 < hill_index(radius) < 1.7
    True
    """
    rng = _generator(n, random_state, dimension)
    check_positive(nu, "nu")
    return rng.normal(size=(n, dimension)) / np.sqrt(rng.chisquare(nu, size=(n, 1)) / nu)


def cauchy_powers(n: int, random_state: Seed = 0, *, powers: npt.ArrayLike | None = None, zeros: int = 100) -> Points:
    """Draw x_i = sign(c_i) |c_i|^(p_i), c_i independent standard Cauchy, followed by columns of zeros.

    Parameters
    ----------
    n
        How many points.
    random_state
        Seed of the points.
    powers
        p, shape (k,), above 0. None: ten, spread evenly over [0.5, 2] (the middles of ten equal parts).
    zeros
        How many columns of zeros follow: the law lives on a subspace.

    Returns
    -------
    ndarray (n, k + zeros)

    Raises
    ------
    ValueError
        An n below 1, powers that are not positive, or a negative number of columns.

    Examples
    --------
    >>> points = cauchy_powers(50)
    >>> points.shape, bool(np.any(points[:, 10:]))
    ((50, 110), False)
    """
    p = _EVEN if powers is None else np.atleast_1d(np.asarray(powers, np.float64))
    if not (p.ndim == 1 and np.all(p > 0)):
        raise ValueError(f"powers must be positive numbers, shape (k,), got {powers!r}.")
    if zeros < 0:
        raise ValueError(f"zeros must be at least 0, got {zeros}.")
    rng = _generator(n, random_state, len(p))
    cauchy = rng.standard_cauchy((n, len(p)))
    return np.hstack([np.sign(cauchy) * np.abs(cauchy) ** p, np.zeros((n, zeros))])


def cauchy_powers_survival(thresholds: npt.ArrayLike, power: float) -> Points:
    """P(|x_i| > t) of `cauchy_powers`, exactly: 1 - (2/π) arctan t^(1/p), for t >= 0, any shape.

    Examples
    --------
    >>> float(cauchy_powers_survival(1.0, 2.0))
    0.5
    """
    t = np.asarray(thresholds, np.float64)
    # arctan(1/x) instead of π/2 - arctan x: far out the difference would have no digits left.
    return 2 / np.pi * np.arctan2(1.0, t ** (1 / power))


_EVEN = 0.5 + 1.5 * (np.arange(10) + 0.5) / 10


def _generator(n: int, random_state: Seed, dimension: int) -> np.random.Generator:
    check_positive(n, "n", integer=True)
    check_positive(dimension, "dimension", integer=True)
    return np.random.default_rng(seed_from(random_state))
