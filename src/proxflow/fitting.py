"""One potential fitted between two clouds that stay where they are, in minibatches, judged on held-out samples.

    φ_{k+1} = a few ascents of E_P[φ] - Λ_f(φ; Q) from φ_k, on a minibatch of each cloud
    φ       = the φ_k of the largest held-out value, if samples were held out, else the last

With few samples in many dimensions a potential learns the samples instead of their laws, and its held-out value
falls while the other still rises (early stopping: Prechelt, "Early stopping - but when?", 1998). The held-out value of
a chosen potential is slightly flattered by the choice; a third part of the samples judges it without.

Bad at: clouds that move, for which there is `evolution.evolve`. A minibatch's Λ_f is that of fewer samples:
heavy-tailed f want large batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.divergences import Divergence
from proxflow.gamma.base import Potential
from proxflow.progress import Progress

__all__ = ["FittedPotential", "fit_potential"]

_LOOKS = 40  # at the values, over a whole fit


@dataclass(frozen=True)
class FittedPotential:
    """A potential and how it came about.

    memory: the state of Γ it belongs to. step: after how many steps. looks: the steps after which values were taken,
    shape (k,). values: of the divergence on the training samples (a minibatch of them, if they are more), shape (k,).
    validation_values: on the held-out samples, shape (k,), or (0,) if there were none. stopped: why the fit ended.
    """

    potential: Potential
    memory: Any
    step: int
    looks: np.ndarray
    values: np.ndarray
    validation_values: np.ndarray
    stopped: str


@partial(jax.jit, static_argnames=("batch",))
def _climb(
    pair: Divergence, x: Array, y: Array, heldout: Any, memory: Any, best: Any, key: Array,
    first: Any, count: Any, *, batch: int,
) -> tuple[Any, Any, Array]:  # fmt: skip
    """Take `count` steps, then look: the memory, the best (value, memory) so far, and the values."""

    def some(key: Array, cloud: Array) -> Array:
        if len(cloud) <= batch:
            return cloud
        return cloud[jax.random.randint(key, (batch,), 0, len(cloud))]

    def draw(index: Array) -> tuple[Array, Array]:
        first_key, second_key = jax.random.split(jax.random.fold_in(key, index))
        return some(first_key, x), some(second_key, y)

    def step(index: Array, memory: Any) -> Any:
        return pair.fit(*draw(index), memory)

    memory = jax.lax.fori_loop(first, first + count, step, memory)
    value = pair.value(*draw(first + count), memory)
    judged = value if heldout is None else pair.value(heldout[0], heldout[1], memory)
    # Without held-out samples the latest finite memory is the best one.
    better = jnp.isfinite(judged) & ((judged > best[0]) if heldout is not None else True)
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), (judged, memory, first + count), best)
    return memory, best, jnp.stack([value, judged])


def fit_potential(
    pair: Divergence,
    x: Any,
    y: Any,
    *,
    steps: int,
    batch: int = 2048,
    key: Array | None = None,
    validation: tuple[Any, Any] | None = None,
    patience: int | None = None,
    progress: bool = False,
) -> FittedPotential:
    """Fit the potential of a divergence between two samples.

    Parameters
    ----------
    pair
        (f, Γ) and the direction. If Γ has a horizon, let it be `steps` times its updates.
    x
        Samples of P, shape (n, d).
    y
        Samples of Q, shape (m, d).
    steps
        Minibatches to climb on; each serves as many updates as Γ makes per ascent.
    batch
        Samples of either cloud per step, drawn with replacement; a cloud of no more is used whole.
    key
        A JAX random key, for first weights and minibatches. The same key gives the same bits on the same machine.
    validation
        Samples of P and of Q that take no part in the climb, shapes (k, d) and (l, d).
    patience
        End after this many looks (40 in a whole fit) without a better held-out value; None climbs to the end.
    progress
        Show a progress bar (on a terminal only).

    Returns
    -------
    FittedPotential

    Examples
    --------
    >>> import numpy as np
    >>> from proxflow.divergences import Divergence
    >>> from proxflow.entropies import IPM
    >>> from proxflow.gamma.cones import Cones
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> fitted = fit_potential(Divergence(Cones(count=8), IPM()), x, x + 3.0, steps=50)
    >>> bool(4.0 < fitted.values[-1] < 18**0.5 + 1e-4)
    True
    """
    p, q = (jax.device_put(np.asarray(cloud, np.float32)) for cloud in (x, y))
    heldout = None if validation is None else tuple(jax.device_put(np.asarray(c, np.float32)) for c in validation)
    first_key, key = jax.random.split(jax.random.key(0) if key is None else key)
    memory = pair.init(first_key, p, q)
    best: Any = (np.float32(-np.inf), memory, np.int32(0))
    looks = np.unique(np.linspace(0, steps, _LOOKS + 1).astype(np.int32)[1:])
    found: list[np.ndarray] = []
    stopped, done = "", 0
    with Progress("fitting", steps, visible=progress) as bar:
        for look in looks:
            memory, best, values = _climb(
                pair, p, q, heldout, memory, best, key, np.int32(done), np.int32(look - done), batch=batch
            )
            done = int(look)
            found.append(np.asarray(values))
            bar.update(done, f"divergence {found[-1][0]:.4g}")
            if not np.isfinite(found[-1]).all():
                stopped = f"non-finite numbers by step {done}; kept the potential of step {int(best[2])}"
                break
            if (
                heldout is not None
                and patience is not None
                and len(found) - 1 - np.argmax(found, axis=0)[1] >= patience
            ):
                stopped = f"no better on held-out samples since step {int(best[2])}"
                break
    table = np.asarray(found)
    return FittedPotential(
        pair.gamma.potential(best[1]), best[1], int(best[2]), looks[: len(table)], table[:, 0],
        table[:, 1] if heldout is not None else np.empty(0), stopped or f"all {steps} steps taken",
    )  # fmt: skip
