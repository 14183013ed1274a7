"""What a flow (a mover of mass) promises, and what a method that steps along slopes does.

A flow sees a drive and nothing else of the divergence:

    drive(cloud, memory) -> (potential, value, memory)      refit at this cloud; move along -grad potential
    drive(cloud, memory, k)                                 the same against the k-th other draw of the target

    init(source, key)                       -> state
    cloud(state)                            -> where the mass is now, shape (m, d)
    step(state, drive, memory, index)       -> (state, memory, report, potentials)

Three numbers and the step size are reported every step, and what the mover knows of itself; anything else is a
callback. The potentials of a step's
stages are returned so that a run can be replayed on new particles. Movers that train a network (a velocity, a
generator) take one step down for each fit of the potential: their cloud is what the network made last.

A method sees even less: slopes at the clouds that it asks for. Whether those come from a potential under training
or from a recorded one it cannot tell, which is why a replay is exact.

    init(points)                            -> past, all that it remembers of earlier steps
    size(past, first, proposed, allowed)    -> (dt, past)
    step(slope, first, points, past, size)  -> (points, past)
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from proxflow.gamma.base import Potential

__all__ = ["Drive", "Flow", "Method", "Report", "Slope", "refitted"]

Drive = Callable[..., tuple[Potential, Array, Any]]
Slope = Callable[[Array], Array]


class Report(NamedTuple):
    """What every step says of itself, before it moves.

    value: the divergence; fisher: mean |grad φ|² over the cloud, the rate -dD/dt at which it falls; slope: the
    largest |grad φ| on the cloud, at most L (unless the divergence is reversed); step_size: dt.
    """

    value: Array
    fisher: Array
    slope: Array
    step_size: Array


def refitted(drive: Drive, cloud: Array, memory: Any, times: int) -> tuple[Potential, Array, Any]:
    """What the drive says after so many fits at one cloud, each against another draw of the target.

    Clouds that are batches have accidents, which a potential should not learn.
    """
    memory = jax.lax.fori_loop(0, times - 1, lambda k, m: drive(cloud, m, k)[2], memory)
    return drive(cloud, memory)


class Flow(eqx.Module):
    """A mover: pure functions, state in, state out. `reports` names what its steps say: `Report`, or that and more."""

    reports: ClassVar[type[tuple]] = Report

    @abc.abstractmethod
    def init(self, source: Array, key: Array | None = None) -> Any:
        """Return the first state. The key is for movers that draw numbers of their own."""

    @abc.abstractmethod
    def cloud(self, state: Any) -> Array:
        """Return where the mass is, shape (m, d)."""

    def sound(self, state: Any) -> Array:
        """Whether the state holds finite numbers, as far as the next step's report would not tell."""
        return jnp.all(jnp.isfinite(self.cloud(state)))

    @abc.abstractmethod
    def step(self, state: Any, drive: Drive, memory: Any, index: Array) -> tuple[Any, Any, Any, tuple[Potential, ...]]:
        """Return the next state and memory, the report, and the potentials of the step's stages."""


class Method(abc.ABC):
    """How points follow dy/dt = -slope(y). Immutable; what changes lives in the past, arrays of fixed shapes."""

    order: int  # the power of dt with which the error falls

    @property
    @abc.abstractmethod
    def stages(self) -> int:
        """How many slopes, and so fits, a step takes."""

    @abc.abstractmethod
    def init(self, points: Array) -> Any:
        """Return the past of points, shape (m, d), that have not moved yet."""

    @abc.abstractmethod
    def size(self, past: Any, first: Array, proposed: Array, allowed: Array) -> tuple[Array, Any]:
        """Return dt and the past, given the slope here, the dt of the step rule and the error allowed, a length."""

    @abc.abstractmethod
    def step(self, slope: Slope, first: Array, points: Array, past: Any, size: Array) -> tuple[Array, Any]:
        """Return the next points and past. `first` is the slope at the points; `slope` is asked stages - 1 times."""
