"""The equations an optimal velocity obeys, as residuals at points of its paths.

    potential form    ∂u/∂t - (c²/q) |∇u/c|^q + (σ²/2) Δu = 0,    u = U/λ        (Hamilton-Jacobi)
    any form, σ = 0   ∂v/∂t + (v·∇) v = 0                                        (v is constant along its lines)

c = s/T is the unit of speed; for p = q = 2 the middle term is |∇u|²/2. u is known up to a function of time alone, so a
residual counts less its mean over the cloud. Sources: the mean-field game of Gu, Katsoulakis, Rey-Bellet,
Zhang (2024); with v = -∇u the sign before |∇u|² is minus, as along straight lines ∇u must stay what it is.

Bad at: the Laplacian in many dimensions, where it is estimated from random directions (Hutchinson 1989).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from proxflow.velocities.base import PotentialVelocity, Velocity, conjugate_exponent

__all__ = ["acceleration", "hamilton_jacobi", "laplacian"]

_EXACT, _PROBES = 32, 16


def hamilton_jacobi(velocity: PotentialVelocity, points: Array, time: Array, noise: float, key: Array) -> Array:
    """The residual at points (n, d) at one time, less its mean: shape (n,), in units of |v|²."""
    unit = velocity.frame.scale / velocity.frame.duration
    in_time = jax.jvp(lambda t: velocity.potential(points, t), (time,), (jnp.ones_like(time),))[1]
    slopes = jax.grad(lambda cloud: jnp.sum(velocity.potential(cloud, time)))(points)
    q = conjugate_exponent(velocity.power)
    speed = jnp.sum((slopes / unit) ** 2, axis=1)
    residual = in_time - unit**2 / q * (speed if q == 2 else (speed + 1e-12) ** (q / 2))
    if noise:
        residual += 0.5 * noise**2 * laplacian(velocity, points, time, key)
    return residual - jnp.mean(residual)


def laplacian(velocity: PotentialVelocity, points: Array, time: Array, key: Array) -> Array:
    """Δu at points (n, d): exact up to 32 columns, else estimated from 16 random directions. Shape (n,)."""

    def slopes(cloud: Array) -> Array:
        return jax.grad(lambda x: jnp.sum(velocity.potential(x, time)))(cloud)

    def along(direction: Array) -> Array:
        tangent = jnp.broadcast_to(direction, points.shape)
        return jnp.sum(direction * jax.jvp(slopes, (points,), (tangent,))[1], axis=1)

    columns = points.shape[1]
    if columns <= _EXACT:
        return jnp.sum(jax.lax.map(along, jnp.eye(columns, dtype=points.dtype)), axis=0)
    return jnp.mean(jax.lax.map(along, jax.random.rademacher(key, (_PROBES, columns), points.dtype)), axis=0)


def acceleration(velocity: Velocity, points: Array, time: Array) -> Array:
    """∂v/∂t + (v·∇) v at points (n, d) at one time: shape (n, d)."""
    v = velocity(points, time)
    return jax.jvp(velocity, (points, time), (v, jnp.ones_like(time)))[1]
