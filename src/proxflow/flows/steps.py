"""How long a step is.

|grad φ| <= L bounds the speed, so dt must follow 1/L (a CFL condition); and with a tight potential the speed stays
near L until the end, so dt must shrink as the particles arrive. `DivergenceStep`, the default, gets both from what
is measured anyway: along the flow dD/dt = -I, so D would vanish after a time D/I, and a step takes a fixed share
of that (for subgradient methods this is Polyak's step, 1969). With D = L·W1 each particle moves a share of the
mean distance to go.
"""

from __future__ import annotations

import abc

import equinox as eqx
import jax.numpy as jnp
from jax import Array

__all__ = ["ConstantStep", "DecayingStep", "DivergenceStep", "StepRule"]


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
