"""What a flow (a mover of mass) promises.

A flow sees a drive and nothing else of the divergence:

    drive(cloud, memory) -> (potential, value, memory)      refit at this cloud; move along -grad potential

    init(source)                            -> state
    cloud(state)                            -> where the mass is now, shape (m, d)
    step(state, drive, memory, index)       -> (state, memory, report, potentials)

Three numbers and the step size are reported every step; anything else is a callback. The potentials of a step's
stages are returned so that a run can be replayed on new particles.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
from jax import Array

from proxflow.gamma.base import Potential

__all__ = ["Drive", "Flow", "Report"]

Drive = Callable[[Array, Any], tuple[Potential, Array, Any]]


class Report(NamedTuple):
    """What every step says of itself, before it moves.

    value: the divergence; fisher: mean |grad φ|² over the cloud, the rate -dD/dt at which it falls; slope: the
    largest |grad φ| on the cloud, at most L (unless the divergence is reversed); step_size: dt.
    """

    value: Array
    fisher: Array
    slope: Array
    step_size: Array


class Flow(eqx.Module):
    """A mover: pure functions, state in, state out."""

    @abc.abstractmethod
    def init(self, source: Array) -> Any:
        """Return the first state."""

    @abc.abstractmethod
    def cloud(self, state: Any) -> Array:
        """Return where the mass is, shape (m, d)."""

    @abc.abstractmethod
    def step(
        self, state: Any, drive: Drive, memory: Any, index: Array
    ) -> tuple[Any, Any, Report, tuple[Potential, ...]]:
        """Return the next state and memory, the report, and the potentials of the step's stages."""
