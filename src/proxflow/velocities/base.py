"""What a velocity field promises: v(x, t) on clouds, for t from 0 to its duration T.

    v = -|∇u|^(q-2) ∇u,  u = U/λ,  1/p + 1/q = 1      potential form: what is optimal for the cost λ ∫ E|v|^p / p
    v = any network                                   free form

A velocity takes a cloud of shape (n, d) and one time, and returns shape (n, d). What is trained is its `network`, a
pytree; where the data lie (centre, scale) and how long the flow lasts are fixed. Inside, places are in units of the
scale and times in shares of T:

    u(x, t) = -(s²/T) w(z, τ),      v = (s/T) ∇w(z, τ),      z = (x - c)/s,  τ = t/T       (p = 2)

so that a network of order one moves mass by as much as the data are wide, and λ cancels.
"""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

__all__ = ["Field", "Frame", "FreeVelocity", "PotentialVelocity", "Velocity", "conjugate_exponent", "with_network"]


class Frame(eqx.Module):
    """Where the data lie and how long the flow takes: centre (d,), scale and duration, none of them trained."""

    centre: Array
    scale: Array
    duration: Array


class Field(eqx.Module):
    """A network on standardised clouds z (n, d) and times τ in [0, 1], smooth in both."""

    @abc.abstractmethod
    def __call__(self, z: Array, tau: Array) -> Array:
        """Its values: shape (n, d) where it is a velocity itself, (n,) where its gradient is."""


class Velocity(eqx.Module):
    """v(x, t): see above. Two velocities of one form differ in their `network` only."""

    network: eqx.AbstractVar[Any]
    frame: eqx.AbstractVar[Frame]

    @abc.abstractmethod
    def __call__(self, points: Array, time: Array) -> Array:
        """Velocities at the points (n, d) at one time: shape (n, d), in the data's units per unit of time."""


class FreeVelocity(Velocity):
    """v = (s/T) N(z, τ) for a network N of d outputs. Bad at: saying how far from optimal it is, for it has no U."""

    network: Field
    frame: Frame

    def __call__(self, points: Array, time: Array) -> Array:
        frame = self.frame
        return (frame.scale / frame.duration) * self.network(
            (points - frame.centre) / frame.scale, time / frame.duration
        )


class PotentialVelocity(Velocity):
    """v = -|∇u|^(q-2) ∇u with u = U/λ = -(s²/T) w(z, τ), for a network w of one output; power: the p of the cost."""

    network: Field
    frame: Frame
    power: float = eqx.field(static=True, default=2.0)

    def potential(self, points: Array, time: Array) -> Array:
        """U/λ at the points (n, d) at one time: shape (n,). A function of time alone may be added: v is the same."""
        frame = self.frame
        heights = self.network((points - frame.centre) / frame.scale, time / frame.duration)
        return -(frame.scale**2 / frame.duration) * heights

    def __call__(self, points: Array, time: Array) -> Array:
        downhill = -jax.grad(lambda cloud: jnp.sum(self.potential(cloud, time)))(points)
        if self.power == 2:
            return downhill
        # Of unit size in units of the frame, so that the power bends speeds around the typical one.
        unit = self.frame.scale / self.frame.duration
        squares = jnp.sum((downhill / unit) ** 2, axis=1, keepdims=True)
        q = conjugate_exponent(self.power)
        return downhill * (squares + 1e-12) ** (0.5 * (q - 2))


def conjugate_exponent(power: float) -> float:
    """Q with 1/p + 1/q = 1."""
    return power / (power - 1)


def with_network(velocity: Any, network: Any) -> Any:
    """The velocity with another network of the same shapes."""
    return eqx.tree_at(lambda v: v.network, velocity, network)
