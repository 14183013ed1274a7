"""Rivals without a field of (x, t): a WGAN with gradient penalty, the MMD flow, Stein's variational descent.

    WGAN-GP    min over g, max over φ of  E φ(x) - E φ(g(z)) - weight E(|grad φ| - 1)²     between pairs of both
    MMD flow   dy/dt = -grad φ(y),  φ the witness of MMD(particles, data): the package's KernelBall and Particles
    SVGD       dx_i/dt = mean over j of  k(x_j, x_i) grad log p(x_j) + grad_j k(x_j, x_i)

Sources: Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville (NeurIPS 2017); Arbel, Korba, Salim, Gretton (NeurIPS 2019);
Liu, Wang (NeurIPS 2016), Gaussian kernel with their bandwidth, AdaGrad.

Bad at: WGAN-GP, few samples and slopes that must jump; MMD flow, many samples and dimensions; SVGD, anything without a
known density, and it is no rival where the others see samples only: it sees grad log p itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from benchmarks.rival_training import Sampler, begin
from proxflow import IPM, Divergence, KernelBall, evolve
from proxflow.flows import DivergenceStep, Particles

# ---------------------------------------------------------------------- WGAN-GP

BATCH, CRITICISMS = 256, 5
LARGEST_NOISE = 64


def wgan_gp(
    train: np.ndarray, seed: int, source: np.ndarray | None = None, *,
    steps: int = 4000, width: int = 128, rate: float = 2e-4, weight: float = 0.1,
) -> Sampler:  # fmt: skip
    """Two ReLU networks, Adam(0.5, 0.9), five steps of the critic to one of the generator, the rate falling to 0."""
    unit, samples, start = begin(train, source)
    features = train.shape[1]
    noise = min(features, LARGEST_NOISE) if source is None else features
    draw = start if source is not None else lambda key, count: jax.random.normal(key, (count, noise))
    keys = jax.random.split(jax.random.key(seed), 3)
    nets = (
        eqx.nn.MLP(noise, features, width, 3, jax.nn.relu, key=keys[0]),
        eqx.nn.MLP(features, "scalar", width, 3, jax.nn.relu, key=keys[1]),
    )
    arrays, static = eqx.partition(nets, eqx.is_inexact_array)
    rules = [
        optax.adam(optax.cosine_decay_schedule(rate, count), b1=0.5, b2=0.9) for count in (steps, CRITICISMS * steps)
    ]

    def criticism(critic: Any, generator: Any, key: Array, samples: Array) -> Array:
        where, how, between = jax.random.split(key, 3)
        real = samples[jax.random.randint(where, (BATCH,), 0, len(samples))]
        fake = jax.vmap(eqx.combine(generator, static[0]))(draw(how, BATCH))
        critic = eqx.combine(critic, static[1])
        mixed = fake + jax.random.uniform(between, (BATCH, 1)) * (real - fake)
        squares = jnp.sum(jax.vmap(jax.grad(critic))(mixed) ** 2, axis=1)
        penalty = jnp.mean((jnp.sqrt(squares + 1e-12) - 1) ** 2)
        return jnp.mean(jax.vmap(critic)(fake)) - jnp.mean(jax.vmap(critic)(real)) + weight * penalty

    def failure(generator: Any, critic: Any, key: Array) -> Array:
        fake = jax.vmap(eqx.combine(generator, static[0]))(draw(key, BATCH))
        return -jnp.mean(jax.vmap(eqx.combine(critic, static[1]))(fake))

    @jax.jit
    def run(arrays: Any, states: Any, samples: Array) -> Any:
        def step(index: Array, carry: Any) -> Any:
            (generator, critic), (slow, fast) = carry
            key = jax.random.fold_in(keys[2], index)

            def criticise(turn: Array, carry: Any) -> Any:
                critic, fast = carry
                slope = jax.grad(criticism)(critic, generator, jax.random.fold_in(key, turn), samples)
                updates, fast = rules[1].update(slope, fast)
                return optax.apply_updates(critic, updates), fast

            critic, fast = jax.lax.fori_loop(0, CRITICISMS, criticise, (critic, fast))
            slope = jax.grad(failure)(generator, critic, jax.random.fold_in(key, CRITICISMS))
            updates, slow = rules[0].update(slope, slow)
            return (optax.apply_updates(generator, updates), critic), (slow, fast)

        return jax.lax.fori_loop(0, steps, step, (arrays, states))[0][0]

    states = tuple(rule.init(part) for rule, part in zip(rules, arrays, strict=True))
    generator = eqx.combine(jax.block_until_ready(run(arrays, states, samples)), static[0])
    made = eqx.filter_jit(lambda noise: jax.vmap(generator)(noise))
    return lambda count, seed: unit.outside(made(draw(jax.random.key(seed), count)))


# ---------------------------------------------------------------------- MMD flow

MOST = 1000  # samples and particles: the Gram matrix of both has the square of their number


def mmd_flow(
    train: np.ndarray, seed: int, source: np.ndarray | None = None, *,
    steps: int = 500, kernel: str = "energy", bandwidth: float | None = None, share: float = 0.5,
) -> Sampler:  # fmt: skip
    """Nothing is trained: to sample is to run the flow, of at most 1000 particles to as many samples at a time."""
    unit, samples, start = begin(train, source)
    few = jax.random.permutation(jax.random.key(seed), samples)[:MOST]
    # One update: for IPM the first is the answer.
    pair = Divergence(KernelBall(kernel=kernel, bandwidth=bandwidth, updates=1), IPM())

    def sampler(count: int, seed: int) -> np.ndarray:
        clouds, size = [], min(max(count, 2), MOST)
        for part in range(-(-count // size)):
            first = start(jax.random.fold_in(jax.random.key(seed), part), size)
            run = evolve(Particles(DivergenceStep(share)), pair, first, few, steps=steps, warm_up=1)
            clouds.append(np.asarray(run.state.points))
        return unit.outside(np.concatenate(clouds)[:count])

    return sampler


# ---------------------------------------------------------------------- SVGD

MEDIAN = 200


def svgd(log_density: Callable[[Array], Array]) -> Callable[..., Sampler]:
    """The rival that knows log p of one point, shape (d,); the samples only say where to start and how far it is."""

    def fit(
        train: np.ndarray, seed: int, source: np.ndarray | None = None, *, steps: int = 2000, rate: float = 0.05
    ) -> Sampler:
        unit, _, start = begin(train, source)
        score = jax.vmap(jax.grad(lambda x: log_density(x * unit.length + unit.centre)))

        def direction(points: Array) -> Array:
            squares = jnp.sum((points[:, None] - points) ** 2, axis=-1)
            # The median of all pairs would be most of the work.
            scale = jnp.median(squares[:MEDIAN, :MEDIAN]) / jnp.log(len(points) + 1.0)
            weights = jnp.exp(-squares / scale)
            apart = 2 / scale * (points * jnp.sum(weights, axis=1, keepdims=True) - weights @ points)
            return (weights @ score(points) + apart) / len(points)

        @jax.jit
        def run(points: Array) -> Array:
            def step(index: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
                points, past = carry
                slope = direction(points)
                past = jnp.where(index == 0, slope**2, 0.9 * past + 0.1 * slope**2)
                return points + rate * slope / (jnp.sqrt(past) + 1e-6), past

            return jax.lax.fori_loop(0, steps, step, (points, jnp.zeros_like(points)))[0]

        def sampler(count: int, seed: int) -> np.ndarray:
            size = min(count, MOST)
            parts = [
                run(start(jax.random.fold_in(jax.random.key(seed), part), size)) for part in range(-(-count // size))
            ]
            return unit.outside(jnp.concatenate(parts)[:count])

        return sampler

    return fit
