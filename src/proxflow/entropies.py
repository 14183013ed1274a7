"""Entropies f: how far one measure may be reweighted into another.

    D_f(R‖Q) = E_Q[f(dR/dQ)],          f convex, f(1) = f'(1) = 0
    Λ_f(v)   = inf over ν of  ν + mean f*(v - ν)

The normalisation gives f*(0) = 0 and f*'(0) = 1, so the optimal ν solves mean f*'(v - ν) = 1, a monotone
equation in one unknown. ν is solved, never trained; for KL, Λ is log-mean-exp. The proximal measure R* has
density f*'(φ - ν) with respect to Q, whence the name `density`.

Source: Birrell, Dupuis, Katsoulakis, Pantazis, Rey-Bellet, "(f, Γ)-divergences: interpolating between
f-divergences and integral probability metrics", JMLR 23 (2022).

Which one: KL by default. Alpha(order) with order > 1 for heavy tails, where KL would need exponential moments.
IPM allows no reweighting at all and leaves the pure metric (W1, MMD).

For the entropies that are not superlinear (alpha below 1, reverse KL, Jensen-Shannon, Hellinger, Rényi) R lives on
the target's points here and two Diracs still cost L|y - x|. Other texts let mass outside Q's support pay a
recession cost instead and get smaller values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import xlogy

from proxflow.numerics import below_top, log_mean_exp, rising_root
from proxflow.renyi import Renyi
from proxflow.validation import check_choice, check_positive

__all__ = [
    "IPM",
    "KL",
    "NAMES",
    "Alpha",
    "ChiSquared",
    "Entropy",
    "JensenShannon",
    "Renyi",
    "ReverseKL",
    "SquaredHellinger",
    "WholeEntropy",
    "cost",
    "cumulant",
    "cut",
    "entropy",
    "influence",
    "normaliser",
    "reweighting",
]


@runtime_checkable
class Entropy(Protocol):
    """A convex f with f(1) = f'(1) = 0, as four elementwise formulas and the edge of its conjugate's domain.

    Write a new one as a frozen dataclass (it must be hashable: compiled functions are cached by it) with
    these members, and add it to the table in `tests/laws/tables.py`, which checks every law.
    """

    @property
    def upper(self) -> float:
        """The supremum of the domain of f*, possibly inf."""

    def __call__(self, t: Array) -> Array:
        """f(t); inf outside the domain."""

    def derivative(self, t: Array) -> Array:
        """f'(t) for t > 0, the inverse of `density`."""

    def conjugate(self, s: Array) -> Array:
        """f*(s) for s < upper."""

    def excess(self, s: Array) -> Array:
        """f*'(s) - 1, accurate near s = 0."""


@runtime_checkable
class WholeEntropy(Entropy, Protocol):
    """A cost of reweighting that is no mean of f(dR/dQ), but convex in R too: it brings what is made of means.

    Rényi's divergence is a logarithm of one. Its elementwise formulas are those of an f with the same reweightings.
    """

    @property
    def coupling(self) -> float:
        """Of the Hessian of Λ, less what constants feel: (diag(k) + coupling · t tᵀ / n) / n, see `reweighting`."""

    def cost(self, density: Array) -> Array:
        """See `cost`."""

    def cumulant(self, values: Array) -> tuple[Array, Array]:
        """See `cumulant`."""

    def reweighting(self, values: Array, width: Array) -> tuple[Array, Array, Array]:
        """See `reweighting`."""

    def cut(self, values: Array) -> Any:
        """See `cut`."""

    def influence(self, values: Array, cut: Any) -> Array:
        """See `influence`."""


def density(f: Entropy, s: Array) -> Array:
    """f*'(s): the density dR/dQ that a potential of height s = φ - ν asks for."""
    return 1.0 + f.excess(s)


def _on(domain: Array, values: Array) -> Array:
    return jnp.where(domain, values, jnp.inf)


@dataclass(frozen=True)
class KL:
    """Kullback-Leibler: f(t) = t log t - t + 1, f*(s) = e^s - 1."""

    upper = math.inf

    def __call__(self, t: Array) -> Array:
        return _on(t >= 0, xlogy(jnp.maximum(t, 0), jnp.maximum(t, 0)) - t + 1)

    def derivative(self, t: Array) -> Array:
        return jnp.log(t)

    def conjugate(self, s: Array) -> Array:
        return jnp.expm1(s)

    def excess(self, s: Array) -> Array:
        return jnp.expm1(s)


@dataclass(frozen=True)
class Alpha:
    """Alpha-divergence: f(t) = (t^a - a t + a - 1) / (a (a - 1)), for an order a > 0, a ≠ 1.

    f*(s) = (max(0, 1 + (a - 1) s)^(a / (a - 1)) - 1) / a. Orders above 1 are superlinear and suit heavy tails;
    orders below 1 have f* = inf beyond 1 / (1 - a). As a → 1 it becomes KL.
    """

    order: float = 2.0

    def __post_init__(self) -> None:
        check_positive(self.order, "the order alpha")
        if self.order == 1:
            raise ValueError("alpha = 1 is the Kullback-Leibler divergence: use f='kl'.")

    @property
    def upper(self) -> float:
        return math.inf if self.order > 1 else 1 / (1 - self.order)

    def __call__(self, t: Array) -> Array:
        a = self.order
        return _on(t >= 0, (jnp.maximum(t, 0) ** a - a * t + a - 1) / (a * (a - 1)))

    def derivative(self, t: Array) -> Array:
        a = self.order
        return jnp.expm1((a - 1) * jnp.log(t)) / (a - 1)

    def conjugate(self, s: Array) -> Array:
        a = self.order
        return self._power(s, a / (a - 1)) / a

    def excess(self, s: Array) -> Array:
        return self._power(s, 1 / (self.order - 1))

    def _power(self, s: Array, exponent: float) -> Array:
        """max(0, 1 + (a - 1) s)^exponent - 1, without cancellation at s = 0 nor NaN slopes at the kink."""
        inside = 1 + (self.order - 1) * s > 0
        safe = jnp.where(inside, (self.order - 1) * s, 0.0)
        outside = -1.0 if exponent > 0 else jnp.inf
        return jnp.where(inside, jnp.expm1(exponent * jnp.log1p(safe)), outside)


@dataclass(frozen=True)
class ReverseKL:
    """Reverse Kullback-Leibler: f(t) = -log t + t - 1, f*(s) = -log(1 - s)."""

    upper = 1.0

    def __call__(self, t: Array) -> Array:
        return _on(t > 0, -jnp.log(jnp.where(t > 0, t, 1)) + t - 1)

    def derivative(self, t: Array) -> Array:
        return 1 - 1 / t

    def conjugate(self, s: Array) -> Array:
        return _on(s < 1, -jnp.log1p(-jnp.where(s < 1, s, 0)))

    def excess(self, s: Array) -> Array:
        safe = jnp.where(s < 1, s, 0)
        return _on(s < 1, safe / (1 - safe))


@dataclass(frozen=True)
class JensenShannon:
    """Jensen-Shannon: f(t) = t log t - (t + 1) log((t + 1) / 2), f*(s) = -log(2 - e^s)."""

    upper = math.log(2.0)

    def __call__(self, t: Array) -> Array:
        safe = jnp.maximum(t, 0)
        return _on(t >= 0, xlogy(safe, safe) - (safe + 1) * jnp.log((safe + 1) / 2))

    def derivative(self, t: Array) -> Array:
        return -jnp.log((1 + 1 / t) / 2)

    def conjugate(self, s: Array) -> Array:
        inside = s < self.upper
        return _on(inside, -jnp.log1p(-jnp.expm1(jnp.where(inside, s, 0))))

    def excess(self, s: Array) -> Array:
        inside = s < self.upper
        growth = jnp.expm1(jnp.where(inside, s, 0))
        return _on(inside, 2 * growth / (1 - growth))


@dataclass(frozen=True)
class SquaredHellinger:
    """Squared Hellinger: f(t) = (√t - 1)², f*(s) = s / (1 - s)."""

    upper = 1.0

    def __call__(self, t: Array) -> Array:
        return _on(t >= 0, (jnp.sqrt(jnp.maximum(t, 0)) - 1) ** 2)

    def derivative(self, t: Array) -> Array:
        return 1 - 1 / jnp.sqrt(t)

    def conjugate(self, s: Array) -> Array:
        safe = jnp.where(s < 1, s, 0)
        return _on(s < 1, safe / (1 - safe))

    def excess(self, s: Array) -> Array:
        safe = jnp.where(s < 1, s, 0)
        return _on(s < 1, jnp.expm1(-2 * jnp.log1p(-safe)))  # 1 / (1 - s)² - 1, whose square could overflow


@dataclass(frozen=True)
class ChiSquared:
    """Pearson's chi-squared: f(t) = (t - 1)², f*(s) = s + s²/4, and -1 below s = -2."""

    upper = math.inf

    def __call__(self, t: Array) -> Array:
        return _on(t >= 0, (t - 1) ** 2)

    def derivative(self, t: Array) -> Array:
        return 2 * (t - 1)

    def conjugate(self, s: Array) -> Array:
        floor = jnp.maximum(s, -2.0)
        return floor + floor**2 / 4

    def excess(self, s: Array) -> Array:
        return jnp.maximum(s / 2, -1.0)


@dataclass(frozen=True)
class IPM:
    """No reweighting: f = 0 at t = 1 and inf elsewhere, f*(s) = s. Leaves the integral probability metric.

    With Lipschitz potentials the divergence is L·W1; with an RKHS ball it is the maximum mean discrepancy.
    """

    upper = math.inf

    def __call__(self, t: Array) -> Array:
        return _on(t == 1, jnp.zeros_like(t))

    def derivative(self, t: Array) -> Array:
        return jnp.zeros_like(t)

    def conjugate(self, s: Array) -> Array:
        return s

    def excess(self, s: Array) -> Array:
        return jnp.zeros_like(s)


_ENTROPIES = {
    "kl": KL,
    "alpha": Alpha,
    "reverse_kl": ReverseKL,
    "js": JensenShannon,
    "hellinger": SquaredHellinger,
    "chi2": ChiSquared,
    "ipm": IPM,
}
_WITH_ORDER: dict[str, Callable[..., Entropy]] = {"alpha": Alpha, "renyi": Renyi}
NAMES: tuple[str, ...] = (*_ENTROPIES, "renyi")


def entropy(f: str | Entropy, alpha: float | None = None) -> Entropy:
    """Return the entropy of that name; an Entropy passes through.

    Parameters
    ----------
    f
        One of "kl", "alpha", "reverse_kl", "js", "hellinger", "chi2", "renyi", "ipm", or an `Entropy`.
    alpha
        The order, for "alpha" (2 if not given) and "renyi" (0.5) only.

    Raises
    ------
    ValueError
        An unknown name (the valid ones are listed), or an order for an entropy that has none.

    Examples
    --------
    >>> entropy("alpha", 1.5)
    Alpha(order=1.5)
    """
    if not isinstance(f, str):
        if isinstance(f, type):
            raise ValueError(f"f must be an Entropy, not its class: write {f.__name__}().")
        if not isinstance(f, Entropy):
            raise ValueError(f"f must be one of {', '.join(NAMES)}, or an Entropy; got {f!r}.")
        chosen: Entropy = f
    else:
        check_choice(f, "f", NAMES)
        if f in _WITH_ORDER:
            return _WITH_ORDER[f]() if alpha is None else _WITH_ORDER[f](alpha)
        chosen = _ENTROPIES[f]()
    if alpha is not None:
        raise ValueError(f"alpha = {alpha} goes with f='alpha' or f='renyi'; {f!r} takes no order here.")
    return chosen


def cumulant(f: Entropy, values: Array) -> tuple[Array, Array]:
    """Return (Λ_f(v), ν) for a potential's values v on the target, shape (n,): two scalars.

    Λ_f(v) = ν + mean f*(v - ν) at the ν where mean f*'(v - ν) = 1. Exact for KL (log-mean-exp) and IPM (mean);
    elsewhere ν is solved to float precision. Differentiable, to any order for smooth f: the gradient of Λ with
    respect to v_j is f*'(v_j - ν) / n. For IPM every ν serves; the mean is returned.

    Examples
    --------
    >>> value, nu = cumulant(ReverseKL(), jnp.asarray([0.0, 1.0, 5.0]))
    >>> bool(abs(jnp.mean(density(ReverseKL(), jnp.asarray([0.0, 1.0, 5.0]) - nu)) - 1) < 1e-5)
    True
    """
    values = jnp.asarray(values)
    if isinstance(f, WholeEntropy):
        return f.cumulant(values)
    if isinstance(f, KL):
        level = log_mean_exp(values)
        return level, level
    if isinstance(f, IPM):
        level = jnp.mean(values)
        return level, level
    return _legendre(f, values), normaliser(f, values)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _legendre(f: Entropy, values: Array) -> Array:
    heights, drop = _heights_and_drop(f, values)
    return jnp.max(values) - drop + jnp.mean(f.conjugate(heights))


@_legendre.defjvp
def _legendre_jvp(
    f: Entropy, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:  # the envelope theorem: ν does not move the value
    (values,), (tangent,) = primals, tangents
    ratio = density(f, _heights(f, values))
    # R has mass one. Where f*' is steep (a kink, and values of 1e6) no ν of float32 says so exactly.
    return _legendre(f, values), jnp.mean(ratio * tangent) / jax.lax.stop_gradient(jnp.mean(ratio))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _heights(f: Entropy, values: Array) -> Array:
    """Return v - ν, measured from max v: of large values ν has too few digits to lie inside f*'s domain."""
    return _heights_and_drop(f, values)[0]


@_heights.defjvp
def _heights_jvp(f: Entropy, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (values,), (tangent,) = primals, tangents
    heights = _heights(f, values)
    return heights, tangent - _level_tangent(f, heights, tangent)


def _level_tangent(f: Entropy, heights: Array, tangent: Array) -> Array:
    """How ν follows v: the mean of the changes of v, weighted by f*''(v - ν)."""
    _, curvature = jax.jvp(f.excess, (heights,), (jnp.ones_like(heights),))
    return jnp.sum(curvature * tangent) / jnp.sum(curvature)


def reweighting(f: Entropy, values: Array, width: Array) -> tuple[Array, Array, Array]:
    """Return Λ_f(v), the density f*'(v - ν) of R with respect to Q, and its slope: a scalar, (n,) and (n,).

    The gradient of Λ is density / n, its Hessian (diag(k) - k kᵀ / Σk) / n with k = f*''(v - ν). The slope is taken
    across `width` to both sides: at a kink of f*' (alpha above 2, chi-squared) the derivative itself tells nothing.
    """
    if isinstance(f, WholeEntropy):
        return f.reweighting(values, width)
    level, nu = cumulant(f, values)
    heights = values - nu if isinstance(f, (KL, IPM)) else _heights(f, values)
    above = jnp.minimum(heights + width, 0.5 * (heights + f.upper))
    below = heights - width
    slope = (f.excess(above) - f.excess(below)) / (above - below)
    return level, 1 + f.excess(heights), slope


def cost(f: Entropy, ratio: Array) -> Array:
    """What reweighting Q into R costs, from dR/dQ on Q's n points, shape (n,) of mean one: D_f(R‖Q), a scalar."""
    return f.cost(ratio) if isinstance(f, WholeEntropy) else jnp.mean(f(ratio))


def cut(f: Entropy, values: Array) -> Any:
    """All that `influence` has to know of a potential's values on Q, shape (n,): ν."""
    return f.cut(values) if isinstance(f, WholeEntropy) else normaliser(f, values)


def influence(f: Entropy, values: Array, level: Any) -> Array:
    """How Λ_f(φ; Q) grows, up to a constant, when Q gains mass where φ has these values: f*(φ - ν). Shape of values.

    Its slope in φ is the density dR/dQ there.
    """
    return f.influence(values, level) if isinstance(f, WholeEntropy) else f.conjugate(values - level)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def normaliser(f: Entropy, values: Array) -> Array:
    """The ν with mean f*'(v - ν) = 1, shape (n,) to scalar: where φ is cut so that R* has mass one."""
    return jnp.max(values) - _heights_and_drop(f, values)[1]


@normaliser.defjvp
def _normaliser_jvp(f: Entropy, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (values,), (tangent,) = primals, tangents
    return normaliser(f, values), _level_tangent(f, _heights(f, values), tangent)


def _heights_and_drop(f: Entropy, values: Array) -> tuple[Array, Array]:
    centred = below_top(values)
    drop = _solve_drop(f, centred)
    return centred + drop, drop


def _solve_drop(f: Entropy, centred: Array) -> Array:
    """Solve mean f*'(w + drop) = 1 for drop = max v - ν >= 0, where w = v - max v <= 0.

    Measured from the maximum, because there the root is bracketed by [0, min(range, f'(n))]: at f'(n) the
    largest sample alone has mass one. All of the bracket lies inside f*'s domain, so nothing overflows.
    """
    count = jnp.asarray(centred.size, centred.dtype)
    reach = jnp.maximum(jnp.minimum(-jnp.min(centred), f.derivative(count)), 0)

    def mean_excess(drop: Array) -> Array:
        return jnp.mean(f.excess(centred + drop))

    return rising_root(lambda drop: jax.jvp(mean_excess, (drop,), (jnp.ones_like(drop),)), reach)
