"""Many particles, large targets: memory, and what a step costs as either grows.

Each row is a fresh process: steps of a flow in 10 dimensions with a 3x128 GroupSort potential, fitted to 4096 particles
and 4096 samples a step (the default from 8193 of either on). Seconds per step are the slope between a short and a long
run, so that compilation and reading drop out.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import in_fresh_process, table

FEATURES = 10
SHORT, LONG = 10, 40


def _law(count: int, seed: int) -> np.ndarray:
    """A mixture of two Gaussians, bent."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, FEATURES)).astype(np.float32)
    points[:, 0] += np.where(rng.uniform(size=count) < 0.5, -3, 3).astype(np.float32)
    points[:, 1] += 0.5 * points[:, 0] ** 2
    return points


def one(particles: int, samples: int, steps: int, file: str = "") -> None:
    """Run one flow and print seconds, peak memory and how close it ended."""
    from proxflow import ParticleTransport, open_samples
    from proxflow.metrics import oracle_ratio

    target = open_samples(file) if file else _law(samples, 0)
    transport = ParticleTransport(
        n_particles=particles, steps=steps, batch_size=4096, stop_stalled=0, memory_budget=0, random_state=0
    )
    started = time.perf_counter()
    transport.fit(target)
    seconds = time.perf_counter() - started
    new = np.asarray(transport.particles_[np.random.default_rng(0).permutation(particles)[:2000]])
    print(
        json.dumps(
            {
                "seconds": seconds,
                "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
                "ratio": oracle_ratio(new, _law(2000, 1), _law(2000, 2)),
            }
        )
    )


def _per_step(*arguments: object) -> tuple[float, dict]:
    particles, samples, *file = arguments
    short, long = (
        in_fresh_process("benchmarks.scale", str(particles), str(samples), str(steps), *map(str, file))
        for steps in (SHORT, LONG)
    )
    return (long["seconds"] - short["seconds"]) / (LONG - SHORT), long


def growth() -> str:
    """Cost per step against particles and against target samples."""
    rows, first = [], None
    for particles, samples in (
        (4096, 20_000),
        (16_384, 20_000),
        (65_536, 20_000),
        (16_384, 200_000),
        (16_384, 2_000_000),
    ):
        seconds, long = _per_step(particles, samples)
        first = first or seconds
        rows.append(
            [
                f"{particles:,}",
                f"{samples:,}",
                f"{seconds:.3f} s",
                f"{seconds / first:.1f}",
                f"{long['megabytes']:.0f} MB",
            ]
        )
    return table(["particles", "target samples", "a step", "over the first row", "peak memory"], rows) + (
        "\nReach: 65,536 particles at most 17 times 4,096; flat in target samples.\n"
    )


def largest() -> str:
    """A million particles, and targets on disk."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "target.npy"
        samples = 5_000_000
        np.save(file, np.concatenate([_law(samples // 10, 100 + k) for k in range(10)]))
        for particles, count, name, steps in (
            (1_000_000, 100_000, "memory", 100), (20_000, samples, "NPY on disk, 200 MB", 300),
        ):  # fmt: skip
            arguments = [str(particles), str(count), str(steps)] + ([str(file)] if "disk" in name else [])
            found = in_fresh_process("benchmarks.scale", *arguments)
            rows.append(
                [f"{particles:,}", f"{count:,}", name, steps, f"{found['seconds']:.0f} s",
                 f"{found['megabytes'] / 1e3:.2f} GB", f"{found['ratio']:.3f}"]
            )  # fmt: skip
    header = ["particles", "target samples", "in", "steps", "whole fit", "peak memory", "oracle ratio (2000 of them)"]
    return table(header, rows) + "\nReach: a million particles in 10 dimensions under 4 GB.\n"


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:4]]
    one(*numbers, *sys.argv[4:])
