"""Rivals that learn a field of (x, t) and integrate it: flow matching, a score model, a normalizing flow.

    flow matching    min E|v((1 - t) x0 + t x1, t) - (x1 - x0)|²       x0 source, x1 data, paired at random or by exact
                     transport of minibatches
    score model      dx = sqrt(d σ²/dt) dW from data to N(0, σ_max²);  a denoiser gives grad log p at every σ
    OT-Flow          max likelihood of dx/dt = -grad Φ(x, t), plus kinetic energy and |dΦ/dt - |grad Φ|²/2|

Sources: Lipman, Chen, Ben-Hamu, Nickel, Le (ICLR 2023); Tong et al., "Improving and generalizing flow-based
generative models with minibatch optimal transport" (TMLR 2024); Song et al., "Score-based generative modeling through
stochastic differential equations" (ICLR 2021), its variance-exploding case, preconditioned as by Karras, Aittala,
Aila, Laine (NeurIPS 2022); Onken, Wu Fung, Li, Ruthotto, "OT-Flow" (AAAI 2021).

Bad at: flow matching and scores, few samples (with time they learn to copy); OT-Flow, data without a density, such as
those on a plane: the likelihood has no bound, and is no measure of anything.
"""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.optimize import linear_sum_assignment

from benchmarks.rival_training import Field, Sampler, Start, Unit, begin, descend, integrate, only_gaussian

BATCH = 256

# ---------------------------------------------------------------------- flow matching


def flow_matching(
    train: np.ndarray, seed: int, source: np.ndarray | None = None, *,
    coupled: bool = False, steps: int = 10_000, width: int = 64, rate: float = 5e-3,
) -> Sampler:  # fmt: skip
    """Conditional flow matching on straight lines; coupled: minibatches paired by exact transport."""
    unit, samples, start = begin(train, source)
    pairs = _pairs(samples, start, seed, min(steps, PAIRED)) if coupled else None

    def loss(field: Field, key: Array, data: tuple[Array, tuple[Array, Array] | None]) -> Array:
        samples, pairs = data
        draw, where, when = jax.random.split(key, 3)
        if pairs is None:
            first = start(draw, BATCH)
            last = samples[jax.random.randint(where, (BATCH,), 0, len(samples))]
        else:
            first, last = (side[jax.random.randint(draw, (), 0, len(side))] for side in pairs)
        times = jax.random.uniform(when, (BATCH,))
        between = first + times[:, None] * (last - first)
        return jnp.mean(jnp.sum((jax.vmap(field)(between, times) - (last - first)) ** 2, axis=1))

    field = Field(train.shape[1], width, jax.random.key(seed))
    field = descend(loss, field, (samples, pairs), seed, steps, rate)
    return _sampler(eqx.filter_jit(lambda start: integrate(field, start, 0.0, 1.0)), start, unit)


PAIRED = 1000  # minibatches, drawn once and used again: pairing 256 points takes longer than a step


def _pairs(samples: Array, start: Start, seed: int, count: int) -> tuple[Array, Array]:
    """Minibatches of source and data, each (count, BATCH, d), row to row by exact transport of |x - y|²."""
    rng = np.random.default_rng(seed)
    first = np.asarray(start(jax.random.key(seed + 1), count * BATCH)).reshape(count, BATCH, -1)
    last = np.asarray(samples)[rng.integers(len(samples), size=(count, BATCH))]
    for a, b in zip(first, last, strict=True):
        # -2 a.b is |a - b|² but for terms that no pairing changes.
        b[:] = b[linear_sum_assignment(-a @ b.T)[1]]
    return jnp.asarray(first), jnp.asarray(last)


# ---------------------------------------------------------------------- score model


def score_model(
    train: np.ndarray, seed: int, source: np.ndarray | None = None, *,
    stochastic: bool = False, steps: int = 40_000, width: int = 64, rate: float = 1e-3, smallest: float = 0.005,
) -> Sampler:  # fmt: skip
    """Denoising score matching with log σ uniform, then the probability flow, or the reverse equation with noise."""
    only_gaussian(source, "a score model")
    unit, samples, start = begin(train, None)
    low, high = float(np.log(smallest)), float(np.log(LARGEST))

    def scaled(field: Field, noisy: Array, level: Array) -> Array:
        """The field in variables of unit size, `level` in [0, 1] for log σ."""
        return field(noisy / jnp.sqrt(1 + jnp.exp(2 * (low + level * (high - low)))), level)

    def loss(field: Field, key: Array, samples: Array) -> Array:
        where, when, noise = jax.random.split(key, 3)
        clean = samples[jax.random.randint(where, (BATCH,), 0, len(samples))]
        level = jax.random.uniform(when, (BATCH,))
        sigma = jnp.exp(low + level * (high - low))[:, None]
        noisy = clean + sigma * jax.random.normal(noise, clean.shape)
        goal = (clean - noisy / (1 + sigma**2)) * jnp.sqrt(1 + sigma**2) / sigma
        return jnp.mean(jnp.sum((jax.vmap(partial(scaled, field))(noisy, level) - goal) ** 2, axis=1))

    field = Field(train.shape[1], width, jax.random.key(seed))
    field = descend(loss, field, samples, seed, steps, rate)

    def noise_in(noisy: Array, level: Array) -> Array:
        """(x - denoised) / σ = -σ grad log p_σ."""
        sigma = jnp.exp(low + level * (high - low))
        return noisy * sigma / (1 + sigma**2) - scaled(field, noisy, level) / jnp.sqrt(1 + sigma**2)

    def drift(noisy: Array, level: Array) -> Array:
        """dx/dσ = (x - denoised) / σ, in units of level: its flow has the law of the noisy data at every σ."""
        return (high - low) * jnp.exp(low + level * (high - low)) * noise_in(noisy, level)

    def backwards(start: Array, key: Array) -> Array:
        def step(index: Array, noisy: Array) -> Array:
            level, size = 1 - index / REVERSE, 1 / REVERSE
            jump = jnp.exp(low + level * (high - low)) * jnp.sqrt(2 * (high - low) * size)
            noise = jax.random.normal(jax.random.fold_in(key, index), noisy.shape)
            return noisy - 2 * size * jax.vmap(drift, (0, None))(noisy, level) + jump * noise

        noisy = jax.lax.fori_loop(0, REVERSE, step, start)
        # The last noise taken away, as Song et al. do.
        return noisy - smallest * jax.vmap(noise_in, (0, None))(noisy, jnp.zeros(()))

    if not stochastic:
        flow = eqx.filter_jit(lambda start: integrate(drift, LARGEST * start, 1.0, 0.0))
        return _sampler(flow, start, unit)
    moved = eqx.filter_jit(lambda start, key: backwards(LARGEST * start, key))
    return lambda count, seed: unit.outside(
        moved(start(jax.random.key(seed), count), jax.random.fold_in(jax.random.key(seed), 1))
    )


LARGEST = 10.0  # σ_max in units of the data's deviation
REVERSE = 1000  # steps of the reverse equation


# ---------------------------------------------------------------------- OT-Flow


class Potential(eqx.Module):
    """Φ(s) = w·u1 + |A s|²/2 + b·s,  u0 = h(K0 s + c0),  u1 = u0 + h(K1 u0 + c1),  s = (x, t),  h = log 2 cosh.

    Its gradient and the trace of its second derivatives in x are written out, as in the paper.
    """

    w: Array
    first: tuple[Array, Array]
    second: tuple[Array, Array]
    root: Array
    slope: Array

    def __init__(self, features: int, width: int, key: Array) -> None:
        sizes, keys = features + 1, jax.random.split(key, 4)
        self.w = jnp.ones(width)
        self.first = jax.random.normal(keys[0], (width, sizes)) / np.sqrt(sizes), jnp.zeros(width)
        self.second = jax.random.normal(keys[1], (width, width)) / np.sqrt(width), jnp.zeros(width)
        self.root = jax.random.normal(keys[2], (min(10, sizes), sizes)) / np.sqrt(sizes)
        self.slope = jnp.zeros(sizes)

    def slopes(self, x: Array, t: Array) -> tuple[Array, Array]:
        """The gradient in (x, t), shape (d + 1,), and the Laplacian in x."""
        s, d = jnp.append(x, t), len(x)
        matrix, shift = self.first
        opening = matrix @ s + shift
        rises = jnp.tanh(opening)  # h'
        inner = jnp.logaddexp(opening, -opening)
        matrix1, shift1 = self.second
        rises1 = jnp.tanh(matrix1 @ inner + shift1)
        back = self.w + matrix1.T @ (rises1 * self.w)
        gradient = matrix.T @ (rises * back) + self.root.T @ (self.root @ s) + self.slope
        in_x = matrix[:, :d]
        curved = jnp.sum((1 - rises**2) * back * jnp.sum(in_x**2, axis=1))
        curved1 = jnp.sum((1 - rises1**2) * self.w * jnp.sum((matrix1 @ (rises[:, None] * in_x)) ** 2, axis=1))
        return gradient, curved + curved1 + jnp.sum(self.root[:, :d] ** 2)


def ot_flow(
    train: np.ndarray, seed: int, source: np.ndarray | None = None, *,
    steps: int = 2000, width: int = 32, rate: float = 1e-1, likelihood: float = 100.0, optimality: float = 5.0,
) -> Sampler:  # fmt: skip
    """Data to a Gaussian by maximum likelihood, with the paper's weights (kinetic energy 1) and 8 steps of RK4."""
    only_gaussian(source, "OT-Flow")
    unit, samples, start = begin(train, None)

    def rates(potential: Potential, x: Array, t: Array) -> tuple[Array, Array]:
        """Of x, and of (log-determinant, kinetic energy, residual)."""
        gradient, laplacian = potential.slopes(x, t)
        speed = 0.5 * jnp.sum(gradient[:-1] ** 2)
        return -gradient[:-1], jnp.stack([-laplacian, speed, jnp.abs(gradient[-1] - speed)])

    def costs(potential: Potential, x: Array) -> Array:
        size = 1 / RK4

        def step(carry: tuple[Array, Array], index: Array) -> tuple[tuple[Array, Array], None]:
            x, sums = carry
            t = index * size
            k1, s1 = rates(potential, x, t)
            k2, s2 = rates(potential, x + size / 2 * k1, t + size / 2)
            k3, s3 = rates(potential, x + size / 2 * k2, t + size / 2)
            k4, s4 = rates(potential, x + size * k3, t + size)
            return (x + size / 6 * (k1 + 2 * k2 + 2 * k3 + k4), sums + size / 6 * (s1 + 2 * s2 + 2 * s3 + s4)), None

        (end, sums), _ = jax.lax.scan(step, (x, jnp.zeros(3)), jnp.arange(RK4))
        return likelihood * (0.5 * jnp.sum(end**2) - sums[0]) + sums[1] + optimality * sums[2]

    def loss(potential: Potential, key: Array, samples: Array) -> Array:
        batch = samples[jax.random.randint(key, (BATCH,), 0, len(samples))]
        return jnp.mean(jax.vmap(partial(costs, potential))(batch))

    potential = descend(loss, Potential(train.shape[1], width, jax.random.key(seed)), samples, seed, steps, rate)
    velocity = lambda x, t: rates(potential, x, t)[0]  # noqa: E731
    return _sampler(eqx.filter_jit(lambda start: integrate(velocity, start, 1.0, 0.0)), start, unit)


RK4 = 8


def _sampler(flow: eqx.Module, start: Start, unit: Unit) -> Sampler:
    return lambda count, seed: unit.outside(flow(start(jax.random.key(seed), count)))
