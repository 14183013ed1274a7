"""The seven standard sets in the plane, as plain functions: n points, shape (n, 2), from a seed.

In each formula U is uniform on (0, 1), N is standard normal, k is a uniform whole number from 0 on, all fresh
for every point. All sets fit into about [-5, 5]². Bad at: standing for real data, which have tails and atoms.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from proxflow.validation import check_positive, seed_from

__all__ = [
    "TOY",
    "checkerboard",
    "circles",
    "eight_gaussians",
    "moons",
    "pinwheel",
    "swiss_roll",
    "two_spirals",
]

Points = npt.NDArray[np.float64]
Seed = int | np.random.RandomState


def eight_gaussians(n: int, random_state: Seed = 0) -> Points:
    """Draw eight clusters on a circle: 4 (cos a, sin a) + 0.3 N, with a = kπ/4 and k below 8."""
    rng = np.random.default_rng(_seed(n, random_state))
    a = rng.integers(8, size=n) * np.pi / 4
    return 4 * np.column_stack([np.cos(a), np.sin(a)]) + 0.3 * rng.normal(size=(n, 2))


def moons(n: int, random_state: Seed = 0) -> Points:
    """Draw two interleaved half circles, (cos a, sin a) and (1 - cos a, 1/2 - sin a), each + 0.05 N.

    scikit-learn's make_moons: a is evenly spaced on [0, π], not random.
    """
    from sklearn.datasets import make_moons

    return make_moons(n, noise=0.05, random_state=_seed(n, random_state))[0]


def two_spirals(n: int, random_state: Seed = 0) -> Points:
    """Draw two arms of one and a half turns: s t (-cos t, sin t) / 3 + 0.1 N, with t = 3π √U and s = ±1."""
    rng = np.random.default_rng(_seed(n, random_state))
    t = np.sqrt(rng.uniform(size=n)) * 540 * np.pi / 180
    s = rng.choice([-1.0, 1.0], size=n)
    return np.column_stack([-np.cos(t) * t * s, np.sin(t) * t * s]) / 3 + 0.1 * rng.normal(size=(n, 2))


def checkerboard(n: int, random_state: Seed = 0) -> Points:
    """Draw eight squares of a board: 2 (x, y + ⌊x⌋ mod 2), with x = 4 U - 2 and y = U - 2k, k below 2."""
    rng = np.random.default_rng(_seed(n, random_state))
    x = rng.uniform(-2, 2, size=n)
    y = rng.uniform(size=n) - 2 * rng.integers(2, size=n)
    return 2 * np.column_stack([x, y + np.floor(x) % 2])


def pinwheel(n: int, random_state: Seed = 0, *, balanced: bool = False) -> Points:
    """Draw five bent arms: (r, w) = (1 + 0.3 N, 0.1 N) turned by a = 2πk/5 + exp(r)/4, times 2, k below 5.

    That is 2 (r cos a - w sin a, r sin a + w cos a). Each k is random, or balanced: each as often as the others.
    """
    rng = np.random.default_rng(_seed(n, random_state))
    k = rng.permutation(np.arange(n) % 5) if balanced else rng.integers(5, size=n)
    r, w = (rng.normal(size=(n, 2)) * [0.3, 0.1] + [1, 0]).T
    a = 2 * np.pi * k / 5 + 0.25 * np.exp(r)
    return 2 * np.column_stack([r * np.cos(a) - w * np.sin(a), r * np.sin(a) + w * np.cos(a)])


def swiss_roll(n: int, random_state: Seed = 0) -> Points:
    """Draw one spiral arm: t (cos t, sin t) / 5 + 0.08 N, with t = 1.5π (1 + 2 U)."""
    rng = np.random.default_rng(_seed(n, random_state))
    t = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))
    return np.column_stack([t * np.cos(t), t * np.sin(t)]) / 5 + 0.08 * rng.normal(size=(n, 2))


def circles(n: int, random_state: Seed = 0) -> Points:
    """Draw two circles about the origin: ρ (cos a, sin a) + 0.05 N, with ρ = 1 and 1/2 in equal shares.

    scikit-learn's make_circles: a is evenly spaced on [0, 2π), not random.
    """
    from sklearn.datasets import make_circles

    return make_circles(n, noise=0.05, factor=0.5, random_state=_seed(n, random_state))[0]


TOY: dict[str, Callable[..., Points]] = {
    "eight_gaussians": eight_gaussians,
    "moons": moons,
    "two_spirals": two_spirals,
    "checkerboard": checkerboard,
    "pinwheel": pinwheel,
    "swiss_roll": swiss_roll,
    "circles": circles,
}


def _seed(n: int, random_state: Seed) -> int:

    check_positive(n, "n", integer=True)
    return seed_from(random_state)
