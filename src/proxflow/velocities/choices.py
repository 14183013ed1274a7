"""Networks of velocities by name."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.velocities.base import Field
from proxflow.velocities.dense import dense_field, gaussian_flow

__all__ = ["first_field"]


def first_field(
    name: str, key: Array, start: np.ndarray, goal: np.ndarray, *, width: int, depth: int, scalar: bool, weight: float,
    reach: float,
) -> Field:  # fmt: skip
    """The network that training begins with, between standardised clouds (m, k) and (n, k).

    scalar: of one output, a potential. weight, reach: of the proximal, in these units, see `gaussian_flow`.
    """
    if name == "convolutional":
        from proxflow.velocities.convolutional import convolutional_field

        return convolutional_field(key, start.shape[1], width, depth, scalar=scalar)
    flow = gaussian_flow(start, goal, weight=weight, reach=reach)
    seen = np.concatenate([np.asarray(flow.left(jnp.asarray(cloud, jnp.float32))) for cloud in (start, goal)])
    return dense_field(key, flow, width, depth, scalar=scalar, reach=float(np.sqrt(np.mean(np.sum(seen**2, axis=1)))))
