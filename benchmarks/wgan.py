"""A WGAN on few digits, on many, and on few made many: 200 MNIST digits, 1400, and 200 with 1200 made from them.

The paper's experiment (Gu et al. 2024). Generator: 64-256-512-784, ReLU, sigmoid, Adam, 2000 steps of 64.
Critic: orthonormal GroupSort of slope at most 1, 5 updates a step; IPM, so that its value is W1. Augmented: 1200
particles of `ParticleTransport` on the 200 digits, defaults, clipped to [0, 1]. Judged by 600 new digits of each: W2 to
1000 test digits over that of 600 fresh real ones, energy distance, the share that a classifier trained on other
digits is 90 % sure of, and how evenly its ten answers are used (entropy over log 10). One seed. Dense nets: the
convolutional WGAN of the paper draws better digits. Data: `../shared/data/mnist_5k`, or the folder in PROXFLOW_DATA.
"""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.measure import table
from proxflow import IPM, Divergence, GroupSort, ParticleTransport, energy_distance, wasserstein

STEPS, BATCH, NOISE, JUDGED, SEEDS = 2000, 64, 64, 600, (0,)


def main() -> str:
    file = Path(os.environ.get("PROXFLOW_DATA", "../shared/data")) / "mnist_5k" / "mnist_5k.npz"
    if not file.exists():
        return f"Skipped: no {file.name}.\n"
    with np.load(file) as data:
        images, labels = data["X"].reshape(-1, 784) / 255.0, data["y"]
    header = ["seed", "trained on", "W2 ratio", "energy", "sure, of 10 kinds", "entropy of kinds", "seconds"]
    rows = []
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(images))
        few, many = images[order[:200]], images[order[:1400]]
        fresh, test, rest = images[order[1400:2000]], images[order[2000:3000]], order[3000:]
        judge = _Judge(fresh, test, images[rest], labels[rest])
        start = time.perf_counter()
        transport = ParticleTransport(n_particles=1200, memory_budget=0.0, random_state=seed).fit(few)
        made = np.clip(transport.particles_, 0.0, 1.0)
        rows.append([seed, "(the 1200 particles)", *judge(made[:JUDGED]), f"{time.perf_counter() - start:.0f}"])
        rows.append([seed, "(600 fresh digits)", *judge(fresh), ""])
        for name, digits in {"200": few, "1400": many, "200 + 1200 made": np.concatenate([few, made])}.items():
            start = time.perf_counter()
            new = wgan(digits, JUDGED, seed)
            rows.append([seed, name, *judge(new), f"{time.perf_counter() - start:.0f}"])
            print(rows[-1], flush=True)
    return table(header, rows)


class _Judge:
    """Scores of digits: closeness to test digits, and what a classifier of other digits says."""

    def __init__(self, fresh: np.ndarray, test: np.ndarray, others: np.ndarray, labels: np.ndarray) -> None:
        from sklearn.neural_network import MLPClassifier

        self.test, self.floor = test, wasserstein(fresh, test)
        self.classifier = MLPClassifier((256,), max_iter=30, early_stopping=True, random_state=0).fit(others, labels)

    def __call__(self, digits: np.ndarray) -> list[str]:
        chances = self.classifier.predict_proba(digits)
        shares = np.bincount(chances.argmax(axis=1), minlength=10) / len(digits)
        entropy = -np.sum(shares[shares > 0] * np.log(shares[shares > 0])) / np.log(10)
        ratio = wasserstein(digits, self.test) / self.floor
        energy = energy_distance(digits, self.test)
        return [f"{ratio:.3f}", f"{energy:.3f}", f"{np.mean(chances.max(axis=1) > 0.9):.2f}", f"{entropy:.2f}"]


class Generator(eqx.Module):
    """Noise (64,) -> image (pixels,)."""

    layers: list

    def __init__(self, key: Any, pixels: int) -> None:
        sizes, keys = (NOISE, 256, 512, pixels), jax.random.split(key, 3)
        self.layers = [eqx.nn.Linear(a, b, key=k) for a, b, k in zip(sizes[:-1], sizes[1:], keys, strict=True)]

    def __call__(self, noise: jax.Array) -> jax.Array:
        for layer in self.layers[:-1]:
            noise = jax.nn.relu(layer(noise))
        return jax.nn.sigmoid(self.layers[-1](noise))


def wgan(digits: np.ndarray, count: int, seed: int, *, steps: int = STEPS) -> np.ndarray:
    """Train on digits, shape (n, pixels), and return so many new ones."""
    real = jnp.asarray(digits, jnp.float32)
    pair = Divergence(GroupSort(L=1.0, width=128, updates=5, learning_rate=2e-3), IPM())
    rule = optax.adam(optax.cosine_decay_schedule(1e-3, steps), b1=0.5, b2=0.9)
    key = jax.random.key(seed)
    generator = Generator(key, digits.shape[1])
    memory = pair.init(key, jax.vmap(generator)(jax.random.normal(key, (BATCH, NOISE))), real[:BATCH])
    arrays, static = eqx.partition(generator, eqx.is_inexact_array)

    @partial(jax.jit, static_argnames="count")
    def train(arrays: Any, state: Any, memory: Any, first: Any, count: int) -> Any:
        def step(index: Any, carry: Any) -> Any:
            arrays, state, memory = carry
            one, two, three = jax.random.split(jax.random.fold_in(key, index), 3)
            batch = real[jax.random.randint(one, (BATCH,), 0, len(real))]
            fake = jax.vmap(eqx.combine(arrays, static))(jax.random.normal(two, (BATCH, NOISE)))
            memory = pair.fit(fake, batch, memory)
            potential = pair.variation(fake, memory)

            def loss(arrays: Any) -> jax.Array:
                made = jax.vmap(eqx.combine(arrays, static))(jax.random.normal(three, (BATCH, NOISE)))
                return jnp.mean(potential(made))

            updates, state = rule.update(jax.grad(loss)(arrays), state, arrays)
            return optax.apply_updates(arrays, updates), state, memory

        return jax.lax.fori_loop(first, first + count, step, (arrays, state, memory))

    arrays, _, memory = train(arrays, rule.init(arrays), memory, 0, steps)
    noise = jax.random.normal(jax.random.fold_in(key, steps), (count, NOISE))
    return np.asarray(jax.vmap(eqx.combine(arrays, static))(noise), np.float64)


if __name__ == "__main__":
    print(main())
