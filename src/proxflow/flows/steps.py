"""How long a step is.

| rule | dt | shrinks on arrival |
| --- | --- | --- |
| `ConstantStep` | size | no |
| `DecayingStep`, `CosineStep` | a schedule over the steps | by the clock |
| `LipschitzStep` | share · reach / L: the speed limit of the whole run | no |
| `FisherStep` | share · reach / √I: the mean speed now | no |
| `DivergenceStep` | share · D / I: the time left | yes |

|grad φ| <= L bounds the speed, so dt must follow 1/L (a CFL condition); and with a tight potential the speed stays
near L until the end, so dt must shrink as the particles arrive. `DivergenceStep`, the default, gets both from what
is measured anyway: along the flow dD/dt = -I, so D would vanish after a time D/I, and a step takes a fixed share
of that (for subgradient methods this is Polyak's step, 1969). With D = L·W1 each particle moves a share of the
mean distance to go.

Bad at: saying what a step costs in accuracy. The pairs of `pairs` measure that.
"""

from __future__ import annotations

import abc

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from proxflow.validation import check_positive, check_slope

__all__ = [
    "ConstantStep",
    "CosineStep",
    "DecayingStep",
    "DivergenceStep",
    "FisherStep",
    "LipschitzStep",
    "StepRule",
]


class StepRule(eqx.Module):
    """dt from the divergence D, the Fisher information I, the largest slope, and the step's index."""

    @abc.abstractmethod
    def __call__(self, value: Array, fisher: Array, slope: Array, index: Array) -> Array:
        """Return dt, a scalar."""


class ConstantStep(StepRule):
    """The same dt always, as in the papers."""

    size: float

    def __call__(self, value: Array, fisher: Array, slope: Array, index: Array) -> Array:
        return jnp.asarray(self.size, value.dtype)


class DecayingStep(StepRule):
    """dt = size · ratio^(index / steps): geometric decay, to `ratio` of the first step at the end."""

    size: float
    ratio: float
    steps: int

    def __call__(self, value: Array, fisher: Array, slope: Array, index: Array) -> Array:
        return self.size * jnp.asarray(self.ratio, value.dtype) ** (index / self.steps)


class CosineStep(StepRule):
    """dt = size · (ratio + (1 - ratio) (1 + cos(π index / steps)) / 2): long first, then short, `ratio` at the end."""

    size: float
    steps: int
    ratio: float = 0.0

    def __call__(self, value: Array, fisher: Array, slope: Array, index: Array) -> Array:
        gone = jnp.minimum(jnp.asarray(index / self.steps, value.dtype), 1)
        return self.size * (self.ratio + (1 - self.ratio) * (1 + jnp.cos(jnp.pi * gone)) / 2)


class LipschitzStep(StepRule):
    """dt = share · reach / L: no particle moves farther than a share of `reach`, a length, whatever the potential.

    Raises ValueError unless L is positive and finite: without a bound on the slope there is no such step.
    """

    L: float
    reach: float
    share: float = 0.1

    def __check_init__(self) -> None:
        check_slope(self.L)
        check_positive(self.L, "L of LipschitzStep")

    def __call__(self, value: Array, fisher: Array, slope: Array, index: Array) -> Array:
        return jnp.asarray(self.share * self.reach / self.L, value.dtype)


class FisherStep(StepRule):
    """dt = share · reach / √I: the particles' root mean square displacement is a share of `reach`, a length.

    √I is at most L, so this is never shorter than `LipschitzStep`; where slopes fade it keeps them moving.
    """

    reach: float
    share: float = 0.1

    def __call__(self, value: Array, fisher: Array, slope: Array, index: Array) -> Array:
        return self.share * self.reach / jnp.sqrt(jnp.maximum(fisher, jnp.finfo(fisher.dtype).tiny))


class DivergenceStep(StepRule):
    """dt = share · D / I, cut so that no particle moves farther than `reach`.

    A potential that has not caught up yet makes D small or negative: the step then waits for it.
    """

    share: float = 0.2
    reach: float = float("inf")

    def __call__(self, value: Array, fisher: Array, slope: Array, index: Array) -> Array:
        tiny = jnp.finfo(value.dtype).tiny
        proposed = self.share * jnp.maximum(value, 0) / jnp.maximum(fisher, tiny)
        return jnp.minimum(proposed, self.reach / jnp.maximum(slope, tiny))
