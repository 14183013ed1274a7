"""Γ_L by soft minima of cones: one layer, L-Lipschitz by construction.

    φ(x) = softmin over j of  h_j + L (|x - c_j| - |o - c_j|),      softmin v = -ε log Σ_j e^{-v_j / ε}

The gradient is a convex combination of L times unit vectors: the bound holds for all heights h, centres c and
temperatures ε. With ε = 0 and the target's points as centres this is McShane's extension ("Extension of range of
functions", Bulletin of the AMS 40, 1934), which holds the exact potential of the samples. Here centres are learned
too. Heights are those at an origin o amid the data, and centres are c_j = o + s ρ_j a_j with ρ_j fixed and a_j
learned, s the data's scale: a cone of large ρ is a plane there, and an update turns it by the same angle as it
moves a near one. `maximum` turns the whole upside down.

Bad at: truths that bend both ways, of which one soft minimum has only one (the distance to a sphere in 64
dimensions: 0.6 of W1 at best); generalising from few samples in many dimensions, where each cone pulls towards
one point: particles become copies.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.gamma import network
from proxflow.gamma.base import Gamma, Objective, Potential
from proxflow.gamma.network import Network, NetworkState, Weights

__all__ = ["Cones", "ConesPotential"]

_FEW_FEATURES = 4  # up to here differences are as fast as a matrix product, and exact
# ε at first, if it falls, in units of L s. Larger, and cones die before they find their place: at 0.3 a fit to
# 512 + 512 points in 16 dimensions ends at 0.968 of W1, at 0.05 at 0.9999 (learning rate 0.01, no planes).
_WARM = 0.05
_FARTHEST = 100.0  # the largest ρ: seen from the data such a cone is a plane up to 1 %


class ConesPotential(Potential):
    """softmin over j of h_j + L (|x - c_j| - |o - c_j|); its negative's mirror image if `maximum`.

    Parameters
    ----------
    heights
        The cones' values at the origin, shape (K,).
    centres
        Their apexes, shape (K, d).
    origin
        A point amid the data, shape (d,).
    scale
        How far the data reach around it: distances below its rounding count as none.
    slope, temperature
        L, and ε in units of the potential. ε = 0 is the hard minimum.
    maximum
        Then φ = softmax over j of h_j - L (|x - c_j| - |o - c_j|), cones that open downwards.
    """

    heights: Array
    centres: Array
    origin: Array
    scale: Array
    slope: Array
    temperature: Array
    maximum: bool = eqx.field(static=True, default=False)

    @classmethod
    def at_apexes(
        cls, heights: Array, centres: Array, slope: Any, temperature: Any = 0.0, *, maximum: bool = False
    ) -> ConesPotential:
        """Return softmin over j of g_j + L |x - c_j|, from the heights g at the apexes, shape (K,).

        With `maximum`, softmax over j of g_j - L |x - c_j|.

        Examples
        --------
        >>> exact = ConesPotential.at_apexes(jnp.zeros(2), jnp.asarray([[0.0], [3.0]]), slope=2.0)
        >>> exact(jnp.asarray([[0.5], [3.0], [5.0]])).round(4).tolist()
        [1.0, 0.0, 4.0]
        """
        origin = jnp.mean(centres, axis=0)
        reach = jnp.linalg.norm(centres - origin, axis=1)
        slope, temperature = (jnp.asarray(number, centres.dtype) for number in (slope, temperature))
        scale = jnp.where(jnp.max(reach) > 0, jnp.max(reach), 1.0)
        sign = -1.0 if maximum else 1.0
        return cls(heights + sign * slope * reach, centres, origin, scale, slope, temperature, maximum)

    def __call__(self, points: Array) -> Array:
        sign = -1.0 if self.maximum else 1.0
        rises = self.scale * _rises((points - self.origin) / self.scale, (self.centres - self.origin) / self.scale)
        softness = jnp.maximum(self.temperature, 1e-20 * self.slope * self.scale)
        return sign * _soft_minimum(sign * self.heights + self.slope * rises, softness)


def _soft_minimum(values: Array, softness: Array) -> Array:
    """-ε log Σ exp(-v / ε) along the last axis, for ε > 0 however small."""
    lowest = jax.lax.stop_gradient(jnp.min(values, axis=1, keepdims=True))
    total = jnp.sum(jnp.exp((lowest - values) / softness), axis=1)
    # At least 1, but where a compiler takes the values twice, rounded differently: then 0, and its logarithm no number.
    total = jnp.where(total < 1, 1.0, total)
    return lowest[:, 0] - softness * jnp.log(total)


def _rises(points: Array, centres: Array) -> Array:
    """|x - c| - |c| for all pairs, shape (n, K), as (|x|² - 2 x·c) / (|x - c| + |c|): far cones keep their digits.

    Where rounding decides |x - c| it counts as constant, so its slope is zero there and not noise.
    """
    number = jnp.finfo(points.dtype)
    near, far = jnp.sum(points**2, axis=1)[:, None], jnp.sum(centres**2, axis=1)
    excess = near - 2 * points @ centres.T
    if points.shape[1] <= _FEW_FEATURES:
        squared = sum((points[:, k, None] - centres[:, k]) ** 2 for k in range(points.shape[1]))
        rounding = jnp.asarray(number.eps**2, points.dtype)
    else:
        squared = excess + far
        rounding = 64 * number.eps * jax.lax.stop_gradient(near + far) + number.eps**2
    reach = jnp.sqrt(jnp.maximum(far, number.eps**2))
    return excess / (jnp.sqrt(jnp.maximum(squared, rounding)) + reach)


def _keep(weights: Weights, auxiliary: Any) -> tuple[Weights, Any]:
    return weights, auxiliary


class Cones(Gamma):
    """L-Lipschitz potentials: a soft minimum of cones with learned apexes and heights.

    Which of minimum and maximum suits a pair of laws is best seen on held-out samples. On the samples themselves
    both reach the supremum once there are as many cones as points.

    Parameters
    ----------
    L
        The Lipschitz constant, in units of potential per unit of data.
    count
        How many cones. Time and memory of an update grow with it.
    updates
        Adam steps per ascent.
    learning_rate
        Of Adam, in units of the data's scale.
    temperature
        ε in units of L times the data's scale, at the end if there is a horizon.
    horizon
        Updates over which the learning rate falls to zero and ε to `temperature`; None keeps both constant.
    maximum
        A soft maximum of cones that open downwards instead.
    planes
        Share of the cones whose apexes start beyond the data, up to a hundred times as far. With none of them and
        a cone for each target point the exact potential of the samples is within reach.

    Examples
    --------
    >>> from proxflow.divergences import Divergence
    >>> from proxflow.entropies import IPM
    >>> from proxflow.fitting import fit_potential
    >>> x = np.random.default_rng(0).normal(size=(100, 2))
    >>> fitted = fit_potential(Divergence(Cones(count=64, horizon=500.0), IPM()), x, x + 3.0, steps=100)
    >>> bool(4.2 < fitted.values[-1] < 18**0.5 + 1e-4)  # W1 is √18
    True
    """

    L: float = 1.0
    count: int = eqx.field(static=True, default=256)
    updates: int = eqx.field(static=True, default=5)
    learning_rate: float = 2e-2
    temperature: float = 3e-3
    horizon: float | None = None
    maximum: bool = eqx.field(static=True, default=False)
    planes: float = eqx.field(static=True, default=0.5)

    def init(self, key: Array, particles: Array, target: Array) -> NetworkState:
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        # Apexes on samples of the cloud where φ is low (high, of the maximum), each before any is used twice.
        cloud = np.asarray(particles if self.maximum else target)
        apexes = cloud[np.resize(rng.permutation(len(cloud)), self.count)]
        far = int(self.planes * self.count)
        radii = _FARTHEST ** np.append(np.zeros(self.count - far), np.linspace(0, 1, far))
        # Cones of one height at the origin: by the triangle inequality none lies above all the others everywhere.
        cones: Any = Network((apexes,), (np.zeros(self.count, particles.dtype),))  # type: ignore[arg-type]
        state = network.standing_state(cones, radii[:, None].astype(particles.dtype), particles, target)
        arms = (state.network.weights[0] - state.centre) / state.scale
        return state._replace(network=Network((arms,), state.network.biases))

    def ascend(self, objective: Objective, particles: Array, target: Array, state: Any) -> NetworkState:
        return network.adam_ascent(
            objective, self.potential, _keep, particles, target, state,
            updates=self.updates, learning_rate=self.learning_rate, horizon=self.horizon,
        )  # fmt: skip

    def potential(self, state: Any) -> ConesPotential:
        slope = jnp.asarray(self.L, state.scale.dtype)
        softness = jnp.asarray(self.temperature, state.scale.dtype)
        if self.horizon is not None:
            ahead = 1 - jnp.minimum(state.adam.count / self.horizon, 1.0)
            softness = softness ** (1 - ahead) * jnp.maximum(_WARM, softness) ** ahead
        (arms,), (heights,) = state.network.weights, state.network.biases
        centres = state.centre + state.scale * state.auxiliary * arms
        unit = slope * state.scale
        return ConesPotential(
            unit * heights, centres, state.centre, state.scale, slope, unit * softness, self.maximum
        )  # fmt: skip

    def lipschitz_bound(self, potential: Any) -> float:
        return float(potential.slope)
