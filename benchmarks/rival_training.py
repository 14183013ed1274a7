"""What the rivals of `generative` share: a unit of length, a network of (x, t), gradient descent, an ODE.

    fit(train (n, d), seed, source=None, ...) -> sampler(count, seed) -> (count, d)

Each works on (x - centre) / unit: one unit for all columns, so that nothing is sheared; columns that do not vary stay
0. Each starts from a Gaussian there, unless a source, shape (m, d), is given: samples to start from in its stead, which
methods that need a Gaussian refuse.

Bad at: heavy tails, as their inventors' code is too. The unit is the samples' root mean square, which one far sample
sets; `behind_logarithm` gives any of them the package's way out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

Sampler = Callable[[int, int], np.ndarray]
Fit = Callable[..., Sampler]

TOLERANCE = 1e-4  # of an integration, per step: ten times smaller changes no table


@dataclass(frozen=True)
class Unit:
    """Where the samples are and how large they are."""

    centre: np.ndarray
    length: float

    @classmethod
    def of(cls, points: np.ndarray) -> Unit:
        deviations = points.std(axis=0)
        varies = deviations > 0
        length = float(np.sqrt(np.mean(deviations[varies] ** 2))) if varies.any() else 1.0
        return cls(points.mean(axis=0), length)

    def inside(self, points: np.ndarray) -> Array:
        return jnp.asarray((points - self.centre) / self.length, jnp.float32)

    def outside(self, points: Array) -> np.ndarray:
        return np.asarray(points, np.float64) * self.length + self.centre


@dataclass(frozen=True)
class Start:
    """Where samples begin: a standard Gaussian, or rows of a given source, in units."""

    width: int
    rows: Array | None

    def __call__(self, key: Array, count: int) -> Array:
        if self.rows is None:
            return jax.random.normal(key, (count, self.width))
        return self.rows[jax.random.randint(key, (count,), 0, len(self.rows))]


def begin(train: np.ndarray, source: np.ndarray | None) -> tuple[Unit, Array, Start]:
    """The unit, the samples in it, and the start."""
    unit = Unit.of(train)
    return unit, unit.inside(train), Start(train.shape[1], None if source is None else unit.inside(source))


def only_gaussian(source: np.ndarray | None, method: str) -> None:
    if source is not None:
        raise ValueError(f"{method} starts from a Gaussian: leave out the source.")


class Field(eqx.Module):
    """(x, t) -> R^d: a multilayer perceptron that sees t and a few waves of it."""

    network: eqx.nn.MLP

    def __init__(self, features: int, width: int, key: Array) -> None:
        self.network = eqx.nn.MLP(features + 1 + 2 * WAVES, features, width, 3, jax.nn.silu, key=key)

    def __call__(self, x: Array, t: Array) -> Array:
        angles = jnp.pi * t * 2.0 ** jnp.arange(WAVES)
        return self.network(jnp.concatenate([x, t[None], jnp.sin(angles), jnp.cos(angles)]))


WAVES = 3


def descend(loss: Callable[..., Array], model: Any, data: Any, seed: int, steps: int, rate: float) -> Any:
    """Adam on loss(model, key, data), clipped at norm 1, the rate falling as a cosine: the model after all steps."""
    arrays, static = eqx.partition(model, eqx.is_inexact_array)
    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(rate, steps)))
    key = jax.random.key(seed)

    @jax.jit
    def run(arrays: Any, state: Any, data: Any) -> Any:
        def step(index: Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            arrays, state = carry
            slope = jax.grad(lambda a: loss(eqx.combine(a, static), jax.random.fold_in(key, index), data))(arrays)
            updates, state = rule.update(slope, state)
            return optax.apply_updates(arrays, updates), state

        return jax.lax.fori_loop(0, steps, step, (arrays, state))[0]

    trained = jax.block_until_ready(run(arrays, rule.init(arrays), data))  # seconds of training end here
    return eqx.combine(trained, static)


def integrate(velocity: Callable[[Array, Array], Array], points: Array, first: float, last: float) -> Array:
    """Carry points (n, d) along dx/dt = velocity(x, t), one point at a time, by diffrax; NaN where it gives up."""
    term = diffrax.ODETerm(lambda t, x, _: jax.vmap(velocity, (0, None))(x, t))
    control = diffrax.PIDController(rtol=TOLERANCE, atol=TOLERANCE)
    found = diffrax.diffeqsolve(
        term, diffrax.Tsit5(), first, last, None, points, stepsize_controller=control, max_steps=2000, throw=False
    )
    good = found.result == diffrax.RESULTS.successful
    return jnp.where(good, found.ys[0], jnp.nan)


def behind_logarithm(fit: Fit) -> Fit:
    """The same rival on columns that asinh compresses around their medians, in units of their quartiles."""

    def fitted(train: np.ndarray, seed: int, source: np.ndarray | None = None, **settings: Any) -> Sampler:
        middle = np.median(train, axis=0)
        quartile = np.median(np.abs(train - middle), axis=0)
        quartile = np.where(quartile > 0, quartile, 1.0)
        narrow = lambda x: None if x is None else np.arcsinh((x - middle) / quartile)  # noqa: E731
        sampler = fit(narrow(train), seed, narrow(source), **settings)
        return lambda count, seed: np.sinh(sampler(count, seed)) * quartile + middle

    return fitted
