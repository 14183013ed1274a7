"""Potentials fitted to small clouds, with what they prove, for the laws that need a supremum. Compiled once each."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from proxflow.divergences import Divergence
from proxflow.gamma import GroupSort

SHAPE = (16, 2)  # of both clouds wherever it does not matter: compiled functions are reused
_ASCENTS, _UPDATES = 30, 20


class Fit(NamedTuple):
    """value: at the potential as it is. lower: at a slope of at most L, so a proven lower bound. Both in float64."""

    pair: Any
    memory: Any
    value: float
    lower: float
    bound: float


def climb(pair, particles, target, memory, count):
    if pair.gamma.on_host:
        for _ in range(count):
            memory = pair.fit(particles, target, memory)
        return memory
    return climb_compiled(pair, particles, target, memory, count)


@jax.jit
def climb_compiled(pair, particles, target, memory, count):
    return jax.lax.fori_loop(0, count, lambda _, m: pair.fit(particles, target, m), memory)


@jax.jit
def value(pair, particles, target, memory):
    return pair.value(particles, target, memory)


@jax.jit
def variation(pair, particles, memory, points):
    """Values and gradients, at these points, of the first variation in P at these particles."""
    potential = pair.variation(particles, memory)
    return potential(points), jax.grad(lambda cloud: jnp.sum(potential(cloud)))(points)


def single(cloud):
    return jnp.asarray(np.asarray(cloud, np.float32))  # converted by NumPy: nothing to compile


def double(tree):
    """The same numbers in float64; to be called where float64 is enabled."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64) if eqx.is_array(leaf) else leaf, tree)


def begin(pair, particles, target, seed=0):
    return pair.init(jax.random.key(seed), single(particles), single(target))


def exact_value(pair, particles, target, memory):
    with jax.enable_x64(True):
        clouds = (jnp.asarray(cloud, jnp.float64) for cloud in (particles, target))
        return float(value(pair, *clouds, double(memory)))


def certified(pair, particles, target, memory):
    """The value in float64 once the potential is divided by its bound's excess over L, and the bound."""
    bound = pair.gamma.lipschitz_bound(pair.gamma.potential(memory))
    slope = pair.gamma.L * min(1.0, pair.gamma.L / bound)
    shrunk = eqx.tree_at(lambda p: getattr(p.gamma, "gamma", p.gamma).L, pair, slope)  # averages have it one below
    return exact_value(shrunk, particles, target, memory), bound


def fit(f, particles, target, L=1.0, *, reverse=False, seed=0):
    gamma = GroupSort(
        L=float(L), width=8, depth=2, updates=_UPDATES, learning_rate=0.04, horizon=float(_ASCENTS * _UPDATES)
    )
    pair = Divergence(gamma, f, reverse)
    memory = begin(pair, particles, target, seed)
    memory = climb(pair, single(particles), single(target), memory, _ASCENTS)
    lower, bound = certified(pair, particles, target, memory)
    return Fit(pair, memory, exact_value(pair, particles, target, memory), lower, bound)
