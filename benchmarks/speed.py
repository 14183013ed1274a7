"""The published setting: 200 + 200 points in the plane, 500 Euler steps x 3 updates of a 3x32 network.

`--cold` runs one flow in a fresh process and prints its time with compilation. `by_hand` is the same loop written
out as one `lax.scan` over the same formulas, with none of the library's structure: what the library may cost.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.measure import REPEATS, in_fresh_process, table
from proxflow.divergences import Divergence
from proxflow.evolution import evolve
from proxflow.flows import ConstantStep, Particles
from proxflow.gamma import GroupSort, SpectralNormalised
from proxflow.gamma.groupsort import orthonormalise

STEPS, UPDATES, WIDTH, RATE, DT = 500, 3, 32, 1e-3, 0.1
PUBLISHED_SECONDS = 17.0  # the papers' code, same setting, same kind of machine


def clouds() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 5


def library(space: type = GroupSort) -> np.ndarray:
    pair = Divergence(space(L=1.0, width=WIDTH, updates=UPDATES, learning_rate=RATE))
    run = evolve(Particles(ConstantStep(DT)), pair, *clouds(), steps=STEPS, warm_up=1)
    return np.asarray(run.state.points)


def _potential(weights: list, biases: list, points: jax.Array) -> jax.Array:
    height = points.T
    for weight, bias in zip(weights[:-1], biases, strict=True):
        height = weight @ height + bias
        half = height.shape[0] // 2
        height = jnp.concatenate([height[:half], jnp.abs(height[half:])])
    return (weights[-1] @ height)[0]


@jax.jit
def by_hand(weights: list, biases: list, particles: jax.Array, target: jax.Array) -> tuple:
    """GPA with GroupSort, KL and L = 1 as one scan."""
    adam = optax.scale_by_adam()

    def loss(parameters: tuple, both: jax.Array) -> jax.Array:
        values = _potential(*parameters, both)
        n = particles.shape[0]
        return -(jnp.mean(values[:n]) - jax.nn.logsumexp(values[n:]) + jnp.log(values.shape[0] - n))

    def update(_: int, carry: tuple) -> tuple:
        parameters, memory, both = carry
        direction, memory = adam.update(jax.grad(loss)(parameters, both), memory)
        weights, biases = jax.tree.map(lambda w, d: w - RATE * d, parameters, direction)
        return ([orthonormalise(w) for w in weights], biases), memory, both

    def step(carry: tuple, _: None) -> tuple:
        parameters, memory, cloud = carry
        both = jnp.concatenate([cloud, target])
        parameters, memory, _ = jax.lax.fori_loop(0, UPDATES, update, (parameters, memory, both))
        slopes = jax.grad(lambda points: jnp.sum(_potential(*parameters, points)))(cloud)
        squares = jnp.sum(slopes**2, axis=1)
        return (parameters, memory, cloud - DT * slopes), (-loss(parameters, both), squares.mean(), squares.max())

    start = (weights, biases)
    return jax.lax.scan(step, (start, adam.init(start), particles), None, length=STEPS)


def by_hand_call() -> np.ndarray:
    particles, target = (jnp.asarray(cloud, jnp.float32) for cloud in clouds())
    state = GroupSort(width=WIDTH).init(jax.random.key(0), particles, target)
    carry, _ = by_hand(list(state.network.weights), list(state.network.biases), particles, target)
    return np.asarray(carry[2])


def main() -> str:
    library(), by_hand_call()
    library_times, hand_times, ratios = [], [], []
    for _ in range(3 * REPEATS):  # in turn, so that the machine's mood hits both
        times = []
        for call in (library, by_hand_call):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        library_times.append(times[0])
        hand_times.append(times[1])
        ratios.append(times[0] / times[1])
    library(SpectralNormalised)
    start = time.perf_counter()
    library(SpectralNormalised)
    spectral = time.perf_counter() - start
    cold = statistics.median(in_fresh_process("benchmarks.speed", "--cold")["seconds"] for _ in range(REPEATS))
    warm = statistics.median(library_times)
    rows = [
        ["GroupSort, warm", f"{warm:.3f} s", "0.17 s", f"{PUBLISHED_SECONDS / warm:.0f} times faster"],
        ["GroupSort, with compilation", f"{cold:.2f} s", "1.5 s", f"{PUBLISHED_SECONDS / cold:.0f} times faster"],
        ["spectral ReLU, warm", f"{spectral:.3f} s", "", f"{PUBLISHED_SECONDS / spectral:.0f} times faster"],
        ["the same loop by hand, one scan", f"{statistics.median(hand_times):.3f} s", "", ""],
        ["library over by hand, run by run", f"{statistics.median(ratios):.2f}", "1.2", ""],
    ]
    return table(["what", "measured", "reach", f"against published {PUBLISHED_SECONDS:.0f} s"], rows)


if __name__ == "__main__":
    if "--cold" in sys.argv:
        begin = time.perf_counter()
        library()
        print(json.dumps({"seconds": time.perf_counter() - begin}))
    else:
        print(main())
