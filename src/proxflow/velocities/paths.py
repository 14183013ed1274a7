"""Points carried along trained velocities, by diffrax: any number of steps, or as many as an error allows, both ways.

Blocks follow each other in time, so a chain of m blocks of duration T is one flow over [0, m T]. Backwards an ODE is
undone; what has been pressed flat does not come back: a flow onto a plane is inverted within it. Source of the
solvers: Kidger, "On neural differential equations" (2021). Bad at: noise backwards, which is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.validation import check_choice
from proxflow.velocities.base import Velocity

__all__ = ["SOLVERS", "along", "carried"]

SOLVERS = {"euler": "Euler", "heun": "Heun", "tsit5": "Tsit5", "dopri5": "Dopri5", "dopri8": "Dopri8"}
_TOLERANCE = 1e-4  # of adaptive steps, relative to the frame's scale
_BLOCK, _SMALLEST = 8192, 64  # points at a time: few shapes to compile, little memory


def carried(
    blocks: Sequence[Velocity], points: Array | np.ndarray, steps: int | None, *, solver: str = "euler",
    backwards: bool = False, noise: float = 0.0, key: Array | None = None,
) -> np.ndarray:  # fmt: skip
    """End points of points (n, k): so many equal steps per block, or adaptive ones if steps is None.

    Raises
    ------
    ValueError
        An unknown solver, or noise with anything but forward steps of Euler's.
    """
    return along(blocks, points, steps, 1, solver=solver, backwards=backwards, noise=noise, key=key)[-1]


def along(
    blocks: Sequence[Velocity], points: Array | np.ndarray, steps: int | None, looks: int, *, solver: str = "euler",
    backwards: bool = False, noise: float = 0.0, key: Array | None = None,
) -> np.ndarray:  # fmt: skip
    """Positions at `looks` equally spaced times of each block, the start first: shape (1 + blocks · looks, n, k)."""
    check_choice(solver, "solver", tuple(SOLVERS))
    if noise and (backwards or solver != "euler" or steps is None):
        raise ValueError("a flow with noise runs forwards, in a number of Euler's steps: it cannot be inverted.")
    key = jax.random.key(0) if key is None else key
    parts = []
    for number, first in enumerate(range(0, len(points), _BLOCK)):
        part = np.asarray(points[first : first + _BLOCK], np.float32)
        size = max(_SMALLEST, 1 << (len(part) - 1).bit_length())
        cloud = jnp.asarray(np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)]))
        found = [cloud[None]]
        for index, velocity in enumerate(reversed(blocks) if backwards else blocks):
            count = np.float32(1 if steps is None else steps)
            if noise:
                drawn = jax.random.fold_in(jax.random.fold_in(key, number), index)
                stack = _diffuse(velocity, found[-1][-1], count, np.float32(noise), drawn, looks=looks)
            else:
                stack = _solve(
                    velocity, found[-1][-1], count, looks=looks, solver=solver, backwards=backwards,
                    adaptive=steps is None,
                )  # fmt: skip
            found.append(stack)
        parts.append(np.concatenate([np.asarray(stack) for stack in found])[:, : len(part)])
    return np.concatenate(parts, axis=1)


@partial(jax.jit, static_argnames=("looks", "solver", "backwards", "adaptive"))
def _solve(
    velocity: Velocity, start: Array, steps: Any, *, looks: int, solver: str, backwards: bool, adaptive: bool
) -> Array:
    import diffrax

    duration = velocity.frame.duration
    first, last = (duration, jnp.zeros_like(duration)) if backwards else (jnp.zeros_like(duration), duration)
    controller: Any = diffrax.ConstantStepSize()
    if adaptive:
        controller = diffrax.PIDController(rtol=_TOLERANCE, atol=_TOLERANCE * velocity.frame.scale)
    found = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, _: velocity(y, jnp.asarray(t))), getattr(diffrax, SOLVERS[solver])(), first, last,
        None if adaptive else (last - first) / steps, start,
        saveat=diffrax.SaveAt(ts=jnp.linspace(first, last, looks + 1)[1:]), stepsize_controller=controller,
        max_steps=None, throw=False,
    )  # fmt: skip
    return found.ys


@partial(jax.jit, static_argnames=("looks",))
def _diffuse(velocity: Velocity, start: Array, steps: Any, noise: Any, key: Array, *, looks: int) -> Array:
    """Euler and Maruyama's steps of dx = v dt + σ dW, which no adaptive solver takes as it is."""
    size = velocity.frame.duration / steps

    def step(number: Array, points: Array) -> Array:
        drawn = jax.random.normal(jax.random.fold_in(key, number), points.shape)
        return points + size * velocity(points, number * size) + noise * jnp.sqrt(size) * drawn

    def look(points: Array, index: Array) -> tuple[Array, Array]:
        between = [jnp.round(steps * (index + shift) / looks).astype(jnp.int32) for shift in (0, 1)]
        points = jax.lax.fori_loop(between[0], between[1], step, points)
        return points, points

    return jax.lax.scan(look, start, jnp.arange(looks))[1]
