"""What a function space Γ and its potentials promise.

A potential φ maps a cloud of shape (n, d) to its values, shape (n,). It takes whole clouds, not one point to be
vmapped: networks then keep features first, one contiguous row per unit, which is faster on a CPU.

A Gamma holds hyperparameters only. What is trained lives in a state that goes in and comes out, of the same
shapes from the start:

    init(key, particles, target)            -> state
    ascend(objective, particles, target, state) -> state      climb a concave functional of φ inside Γ
    potential(state)                        -> Potential
    lipschitz_bound(potential)              -> a proven bound on its slope, inf if there is none

The laws, tested over all instances: measured slopes stay below the bound; the bound stays below L; an ascent
raises the objective; translating or rescaling the data moves the potential with them.
"""

from __future__ import annotations

import abc
import math
from typing import Any, ClassVar, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.sharded import by_rows

__all__ = ["Gamma", "Objective", "Potential", "ScaledPotential", "gradients", "heights_and_slopes", "in_double"]


class Objective(Protocol):
    """The functional to maximise: (φ on the ascending cloud, φ on the reference cloud) -> a scalar, concave."""

    @property
    def f(self) -> Any:
        """The entropy it is made of, for spaces that know a better way than gradients."""

    def __call__(self, ascending: Array, reference: Array) -> Array: ...


class Potential(eqx.Module):
    """A function on R^d, as a pytree: call it on a cloud of shape (n, d) to get n values."""

    @abc.abstractmethod
    def __call__(self, points: Array) -> Array:
        """Values at the points, shape (n,)."""


class ScaledPotential(Potential):
    """A potential times a number: how one that left Γ by a little is brought back."""

    potential: Potential
    factor: Array | float

    def __call__(self, points: Array) -> Array:
        return self.factor * self.potential(points)


_BLOCK = 16384  # points whose gradients are taken at a time: a network holds every unit of each in memory


def gradients(potential: Potential, points: Array) -> Array:
    """Gradients of the potential at each point, shape (n, d)."""
    return by_rows(_gradients, potential, points)


def _gradients(potential: Potential, points: Array) -> Array:
    of_block = jax.grad(lambda cloud: jnp.sum(potential(cloud)))
    if len(points) <= 2 * _BLOCK:
        return of_block(points)
    rest = -len(points) % _BLOCK
    padded = jnp.concatenate([points, points[:rest]])
    return jax.lax.map(of_block, padded.reshape(-1, _BLOCK, points.shape[1])).reshape(padded.shape)[: len(points)]


def in_double(potential: Potential) -> Potential:
    """Return the potential with its numbers in float64; to be called where float64 is enabled."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), potential)


@jax.jit
def heights_and_slopes(potential: Potential, points: Array) -> tuple[Array, Array]:
    """Values (n,) and gradients (n, d) in one compiled pass, for use outside of compiled code."""
    values, pull = jax.vjp(potential, points)
    return values, pull(jnp.ones_like(values))[0]


class Gamma(eqx.Module):
    """A space of potentials and the way to climb in it.

    on_host: an ascent runs in Python and must not be compiled. own_coordinates: features have meanings of their own
    (pixels, columns that may swap), so clouds must not be expressed in another basis.
    """

    on_host: ClassVar[bool] = False
    own_coordinates: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, key: Array, particles: Array, target: Array) -> Any:
        """Return a first state; it also fixes the centre and scale of the data."""

    @abc.abstractmethod
    def ascend(self, objective: Objective, particles: Array, target: Array, state: Any) -> Any:
        """Return the state after a few updates that raise objective(φ(particles), φ(target))."""

    @abc.abstractmethod
    def potential(self, state: Any) -> Potential:
        """Return the potential that the state stands for."""

    def potential_on_reference(self, state: Any) -> Potential:
        """Return the potential as seen from the reference cloud: the same one, unless Γ knows its samples only."""
        return self.potential(state)

    @abc.abstractmethod
    def lipschitz_bound(self, potential: Potential) -> float:
        """Return a certified bound on the potential's slope, from its float64 weights; inf if there is none."""

    def share_inside(self, potential: Potential) -> float:
        """Return the largest share of the potential that is certainly in Γ: 1, or L over its proven slope."""
        return min(1.0, float(getattr(self, "L", math.inf)) / self.lipschitz_bound(potential))
