"""Rényi divergences as the cost of reweighting.

    R_a(Q‖R) = log E_Q[(dR/dQ)^(1-a)] / (a (a - 1)),          a > 0, a ≠ 1
    Λ(v)     = sup over R of  E_R[v] - R_a(Q‖R)
             = inf over ν of  ν - (log mean x^((a-1)/a)) / (a - 1),          x = 1 + a (ν - v) > 0

The divergence is inf over R of R_a(Q‖R) + W^Γ(P, R) = sup over φ in Γ of E_P[φ] - Λ(φ; Q). The moving measure's side
R is the *second* argument, so this is a relative of reverse KL, its limit as a → 1. Each direction of `Divergence`
takes it as it takes any entropy.

Where the root comes from. Maximise E_Q[t v] - R_a over densities t = dR/dQ of mean one: t = x^(-1/a) / S with
S = mean x^(-1/a), and R has mass one where mean x^(-1/a) (1 - x) = 0, in words: E_R[x] = 1, hence ν = E_R[v]. That is
one unknown, solved, never trained. It is searched as θ = -log x at the highest value: x may be 1e-100 there.

Source: Birrell, Pantazis, Dupuis, Rey-Bellet, Katsoulakis, "Function-space regularized Rényi divergences", ICLR 2023
(arXiv 2210.04974), theorem 3.4 there: sup over g < 0 of E_P[g] + log E_Q[|g|^((a-1)/a)] / (a - 1) + (log a + 1) / a.
With g = φ - ν - 1/a the sign constraint becomes the search for ν. Two Diracs cost L|y - x| here, because R lives on
Q's points; the paper asks g < 0 everywhere, so that mass may leave Q's support at a price, and gets smaller values.

Normalised like the other entropies, so R_a ~ E_Q[(t - 1)²] / 2 near t = 1; what textbooks call Rényi's divergence is
a · R_a. The order 1/2 is symmetric: -4 log of the Bhattacharyya coefficient.

Bad at: high orders on wide potentials. R must then cover all of Q, and a height that rises by 1 may cost x many
digits; in float32 the first variation of the reverse direction keeps only those of max φ - φ.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from proxflow.numerics import below_top, log_mean_exp, rising_root
from proxflow.validation import check_positive

__all__ = ["Renyi"]


class Level(NamedTuple):
    """Where a potential is cut: its largest value on Q, θ = -log x there, and log S. Three scalars."""

    top: Array
    theta: Array
    log_total: Array


@dataclass(frozen=True)
class Renyi:
    """Rényi divergence R_a(Q‖R) of an order a > 0, a ≠ 1.

    The elementwise formulas are those of f(t) = (t^(1-a) - (1-a) t - a) / (a (a - 1)), the alpha-divergence of order
    1 - a, for R_a = log(1 + a (a - 1) D_f(R‖Q)) / (a (a - 1)): the same reweightings at another price.

    Examples
    --------
    >>> value, nu = Renyi(0.5).cumulant(jnp.asarray([1.0, 1.0, 1.0]))
    >>> float(value), float(nu)
    (1.0, 1.0)
    """

    order: float = 0.5

    def __post_init__(self) -> None:
        check_positive(self.order, "the order alpha")
        if self.order == 1:
            raise ValueError("Rényi's divergence of order alpha = 1 is reverse Kullback-Leibler: use f='reverse_kl'.")

    @property
    def upper(self) -> float:
        return 1 / self.order

    @property
    def coupling(self) -> float:
        return self.order - 1

    # f, f', f*, f*' - 1 of the alpha-divergence of order 1 - a

    def __call__(self, t: Array) -> Array:
        a = self.order
        logarithm = jnp.log(jnp.where(t > 0, t, 1))
        power = jnp.where(t > 0, jnp.expm1((1 - a) * logarithm), -1.0 if a < 1 else jnp.inf)
        return jnp.where(t >= 0, (power + (a - 1) * (t - 1)) / (a * (a - 1)), jnp.inf)

    def derivative(self, t: Array) -> Array:
        return -jnp.expm1(-self.order * jnp.log(t)) / self.order

    def conjugate(self, s: Array) -> Array:
        a, inside = self.order, s < self.upper
        return jnp.where(inside, -jnp.expm1((a - 1) / a * self._log_x(s, inside)) / (a - 1), jnp.inf)

    def excess(self, s: Array) -> Array:
        inside = s < self.upper
        return jnp.where(inside, jnp.expm1(-self._log_x(s, inside) / self.order), jnp.inf)

    def _log_x(self, s: Array, inside: Array) -> Array:
        return jnp.log1p(-self.order * jnp.where(inside, s, 0))

    # of the measure as a whole

    def cost(self, density: Array) -> Array:
        """R_a(Q‖R) from dR/dQ on Q's points, shape (n,) of mean one; inf where a > 1 and R leaves a point out."""
        a = self.order
        covered = density > 0
        powers = (1 - a) * jnp.log(jnp.where(covered, density, 1))
        if a < 1:
            return log_mean_exp(jnp.where(covered, powers, -jnp.inf)) / (a * (a - 1))
        return jnp.where(jnp.all(covered), log_mean_exp(powers) / (a * (a - 1)), jnp.inf)

    def cumulant(self, values: Array) -> tuple[Array, Array]:
        """(Λ(v), ν): two scalars."""
        return _cumulant(self, values), _normaliser(self, values)

    def reweighting(self, values: Array, width: Array) -> tuple[Array, Array, Array]:
        """Λ(v), the density t of R, and k = t / x, its slope where ν and S stand still.

        The Hessian of Λ is (diag(k) + (a - 1) t tᵀ / n) / n less what constants would feel. The slope is exact and
        width unused: there is no kink, and across a width larger than x it would be far too small.
        """
        logs = _logs(self, values)
        density = _density(self, logs)
        return _cumulant(self, values), density, density * jnp.exp(-logs)

    def cut(self, values: Array) -> Level:
        """What `influence` has to know of a potential's values on Q, shape (n,)."""
        return Level(jnp.max(values), _solve(self, below_top(values)), log_mean_exp(-_logs(self, values) / self.order))

    def influence(self, values: Array, cut: Level) -> Array:
        """How Λ(φ; Q) grows when Q gains mass where φ has these values: (1 - x^((a-1)/a) / S) / (a - 1).

        Its slope in φ is dR/dQ. Above Q's highest value, where no x exists, it goes on at the slope found there.
        """
        a = self.order
        below = jnp.maximum(cut.top - values, 0)
        logs = jnp.logaddexp(-cut.theta, jnp.log(a * jnp.maximum(below, jnp.finfo(below.dtype).tiny)))
        density = jnp.exp(-logs / a - cut.log_total)
        along = jax.lax.stop_gradient(density) * (
            values - jax.lax.stop_gradient(values)
        )  # 0, with R's density as slope
        return jax.lax.stop_gradient(-jnp.expm1((a - 1) / a * logs - cut.log_total) / (a - 1)) + along


# ---------------------------------------------------------------------- the root


def _solve(f: Renyi, centred: Array) -> Array:
    """Solve log E_R[x] = 0 for θ, where x = e^-θ + a |w| and R has density ~ x^(-1/a): it falls as θ rises.

    E_R[x] is at least e^-θ, and at most e^-θ + a max |w|, so 0 <= θ <= -log(1 - a max |w|). It is also at most
    n e^-θ for a < 1, and n (e^-θ + a max |w|)^(1-1/a) e^(-θ/a) for a > 1: a second upper bound on θ.
    """
    a = f.order
    spread = -a * jnp.min(centred)
    count = jnp.log(jnp.asarray(centred.size, centred.dtype))
    far = count if a < 1 else a * count + (a - 1) * jnp.log1p(spread)
    near = jnp.where(spread < 1, -jnp.log1p(-jnp.where(spread < 1, spread, 0)), jnp.inf)

    def equation(theta: Array) -> tuple[Array, Array]:
        logs = _log_x(f, centred, theta)
        weights = jax.nn.softmax(-logs / a)
        mean = jnp.sum(weights * (jnp.expm1(-theta) - a * centred))  # of x - 1
        slope = (1 - 1 / a) * jnp.exp(-theta) / (1 + mean) + jnp.sum(weights * jnp.exp(-theta - logs)) / a
        return -jnp.log1p(mean), slope

    return rising_root(equation, jnp.maximum(jnp.minimum(near, far), 0))


def _log_x(f: Renyi, centred: Array, theta: Array) -> Array:
    """Log x = log(e^-θ + a |w|) for w = v - max v."""
    depth = -f.order * centred
    return jnp.logaddexp(-theta, jnp.where(depth > 0, jnp.log(jnp.where(depth > 0, depth, 1)), -jnp.inf))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _logs(f: Renyi, values: Array) -> Array:
    """Log x at the root, shape (n,)."""
    centred = below_top(values)
    return _log_x(f, centred, _solve(f, centred))


@_logs.defjvp
def _logs_jvp(f: Renyi, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (values,), (tangent,) = primals, tangents
    logs = _logs(f, values)
    return logs, f.order * (_level_tangent(f, logs, tangent) - tangent) * jnp.exp(-logs)


def _density(f: Renyi, logs: Array) -> Array:
    """dR/dQ on Q's points, of mean one whatever is left of the root's error."""
    return logs.size * jax.nn.softmax(-logs / f.order)


def _level_tangent(f: Renyi, logs: Array, tangent: Array) -> Array:
    """How ν follows v: weighted by the slope t / x of the density, and by the density for its change of scale."""
    density = _density(f, logs)
    weights = density * (jnp.exp(-logs) + f.order - 1)
    return jnp.sum(weights * tangent) / jnp.sum(weights)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _cumulant(f: Renyi, values: Array) -> Array:
    centred = below_top(values)
    theta = _solve(f, centred)
    drop = -jnp.expm1(-theta) / f.order
    power = (f.order - 1) / f.order * _log_x(f, centred, theta)
    return jnp.max(values) - (drop + log_mean_exp(power) / (f.order - 1))


@_cumulant.defjvp
def _cumulant_jvp(f: Renyi, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (values,), (tangent,) = primals, tangents  # by the envelope theorem ν does not move the value
    return _cumulant(f, values), jnp.mean(_density(f, _logs(f, values)) * tangent)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _normaliser(f: Renyi, values: Array) -> Array:
    return jnp.max(values) + jnp.expm1(-_solve(f, below_top(values))) / f.order


@_normaliser.defjvp
def _normaliser_jvp(f: Renyi, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (values,), (tangent,) = primals, tangents
    return _normaliser(f, values), _level_tangent(f, _logs(f, values), tangent)
