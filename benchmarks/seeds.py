"""Eight seeds: one after the other, side by side in threads (what `Ensemble` does), and as one vectorised program.

50 steps of 5 updates, compiled before; seconds, and relative to one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import table
from proxflow.divergences import Divergence
from proxflow.evolution import _chunk, begin
from proxflow.flows import Particles
from proxflow.gamma import GroupSort
from proxflow.targets import Samples

SEEDS, STEPS = 8, 50
CASES = ((200, 2, 32), (600, 2, 64), (600, 64, 64))


def main() -> str:
    rows = []
    for count, features, width in CASES:
        alone, threads, program = _measured(count, features, width)
        shown = [
            f"{alone:.2f} s",
            f"{threads:.2f} s ({threads / alone:.2f})",
            f"{program:.2f} s ({program / alone:.2f})",
        ]
        rows.append([f"{count} + {count} points, {features} features, width {width}", *shown])
    return table(["", "one after the other", "threads", "one vectorised program"], rows)


def _measured(count: int, features: int, width: int) -> tuple[float, float, float]:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(count, features))
    target = Samples(jnp.asarray(cloud, jnp.float32))
    pair, flow = Divergence(GroupSort(L=1.0, width=width)), Particles()
    runs = [begin(flow, pair, rng.normal(3, 1, cloud.shape), target, jax.random.key(seed)) for seed in range(SEEDS)]
    parts = [(run.state, run.memory, run.key) for run in runs]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)

    def one(state: Any, memory: Any, key: Any) -> Any:
        numbers = np.int32(0), np.int32(STEPS), np.int32(20)
        return _chunk(flow, pair, target, state, memory, key, *numbers, None, length=STEPS, record=False, batch=None)

    program = jax.jit(jax.vmap(one))
    with ThreadPoolExecutor() as pool:
        return (
            _seconds(lambda: [jax.block_until_ready(one(*part)) for part in parts]),
            _seconds(lambda: list(pool.map(lambda part: jax.block_until_ready(one(*part)), parts))),
            _seconds(lambda: jax.block_until_ready(program(*together))),
        )


def _seconds(call: Callable[[], Any]) -> float:
    call()
    times = []
    for _ in range(3):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return float(np.median(times))
