"""Adam down a loss on rows drawn afresh, projected after every step, the rate falling along a cosine.

    rows ~ uniform;   w <- project(w - η_i Adam(∇ loss(w, rows))),   η_i = η (1 + cos(π i / steps)) / 2

Kingma, Ba, "Adam" (2015). Networks that learn from pairs or samples share it; potentials have their own ascent
(`gamma.network`). Bad at: saying when to stop; its callers look between two stretches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

__all__ = ["adam_at_rest", "descend"]


def adam_at_rest(parameters: Any) -> Any:
    """Adam's memory before the first step."""
    return optax.scale_by_adam().init(parameters)


@partial(jax.jit, static_argnames=("loss", "project", "batch"))
def descend(
    loss: Callable[..., Array],
    project: Callable[[Any], Any],
    parameters: Any,
    memory: Any,
    data: tuple[Array, ...],
    key: Array,
    first: Any,
    count: Any,
    steps: Any,
    rate: Any,
    *,
    batch: int,
) -> tuple[Any, Any]:
    """Take `count` of `steps` Adam steps from the given one on; parameters and memory.

    loss takes the parameters and so many rows of each array in data; loss and project are functions of a module, for
    every new one is compiled anew.
    """

    def step(index: Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        parameters, memory = carry
        rows = jax.random.randint(jax.random.fold_in(key, index), (batch,), 0, len(data[0]))
        gradient = jax.grad(loss)(parameters, *(part[rows] for part in data))
        direction, memory = optax.scale_by_adam().update(gradient, memory)
        size = 0.5 * rate * (1 + jnp.cos(jnp.pi * index / steps))
        return project(jax.tree.map(lambda w, d: w - size * d, parameters, direction)), memory

    return jax.lax.fori_loop(first, first + count, step, (parameters, memory))
