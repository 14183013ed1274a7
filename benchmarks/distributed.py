"""More devices: the same work on one and on two cores of this machine, and a billion particles on paper."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.measure import table

FEATURES, WIDTH, BATCH, UPDATES = 10, 128, 4096, 8
STEPS = 4


@dataclass(frozen=True)
class StepCost:
    """What one step takes on each of g devices, in seconds, and what it sends."""

    move: float
    fit: float
    projection: float
    transfer: float
    waiting: float
    bytes_sent: float

    @property
    def compute(self) -> float:
        """Seconds of arithmetic."""
        return self.move + self.fit + self.projection

    @property
    def share(self) -> float:
        """Of the step's time that is communication, if none of it overlaps with arithmetic."""
        return (self.transfer + self.waiting) / (self.compute + self.transfer + self.waiting)


def step_cost(
    particles: float, devices: int, *, features: int = FEATURES, width: int = WIDTH, depth: int = 3, batch: int = BATCH,
    updates: int = UPDATES, flops: float, bandwidth: float, latency: float,
) -> StepCost:  # fmt: skip
    """Return the cost of an Euler step on paper.

    Parameters
    ----------
    particles, devices
        In all: n and g.
    flops, bandwidth, latency
        What a device reaches, in operations a second; what it sends, in bytes a second; seconds of one collective.
    """
    parameters = features * width + (depth - 1) * width**2 + width + depth * width
    around = 2 * (devices - 1) / devices  # a ring all-reduce sends so many times what it sums
    sent = 4 * around * (updates * parameters + 2 * batch * features)
    calls = updates * 4 + 8 if devices > 1 else 0
    return StepCost(
        move=4 * parameters * particles / devices / flops,  # forward, and back to the points
        fit=6 * parameters * updates * 2 * batch / devices / flops,  # forward, back to the points and to the weights
        projection=updates * (depth - 1) * 8 * width**3 / flops,  # on every device alike
        transfer=sent / bandwidth,
        waiting=calls * latency * math.log2(max(devices, 2)) / 2,
        bytes_sent=sent,
    )


def scaling() -> str:
    """The same work on one and on two devices, and twice the work on two.

    A flow in 10 dimensions with a 3x128 GroupSort potential fitted to 4096 particles and 4096 samples a step. One
    device is pinned to one core; two devices, in one process or in two, have a core each. Per step after compilation,
    one round: seconds by the clock, and seconds that each core worked, which do not count waiting, neither for other
    devices nor for other programs on the machine. Perfect strong scaling is 2 (the same particles in half the time).
    Perfect weak scaling, twice the particles on two, would be 1 if all work grew with the particles; the fit's batches
    do not grow and are shared out, hence less. Keeping weights orthonormal is not shared out: every device does it.
    """
    strong, weak = 32_768, 16_384
    alone, few = _measured(strong, [["0"]], 1), _measured(weak, [["0"]], 1)
    rows = [
        ["16,384", "1 device, 1 core", *_times(few), "", "1"],
        ["32,768", "1 device, 1 core", *_times(alone), "1", ""],
    ]
    for name, cores, devices in (("2 devices, 1 process", ["0,1"], 2), ("2 processes, 1 device each", ["0", "1"], 1)):
        many = _measured(strong, [[own] for own in cores], devices)
        ratios = [f"{many[k] / few[k]:.2f}" for k in (0, 1)], [f"{alone[k] / many[k]:.2f}" for k in (0, 1)]
        rows.append(["32,768", name, *_times(many), " / ".join(ratios[1]), " / ".join(ratios[0])])
    header = [
        "particles",
        "on",
        "a step",
        "each core worked",
        "strong: times faster (clock / work)",
        "weak: times as long",
    ]
    return table(header, rows)


def _times(measured: tuple[float, float]) -> list[str]:
    return [f"{seconds:.2f} s" for seconds in measured]


def paper() -> str:
    """On paper: a billion particles on 64 GPUs.

    Assumed: 10 features, the network and batch above, 10 TFLOP/s reached of float32, 25 GB/s between machines, 20 µs a
    collective and hop; a ring all-reduce; nothing overlaps. docs/distributed.md has the formula. Not measured.
    """
    rows = []
    for particles, devices in ((1e6, 1), (1e6, 8), (1e9, 8), (1e9, 64), (1e9, 512)):
        cost = step_cost(particles, devices, flops=1e13, bandwidth=25e9, latency=20e-6)
        rows.append(
            [f"{particles:.0e}", devices, f"{1e3 * cost.compute:.3g} ms", f"{cost.bytes_sent / 1e6:.2f} MB",
             f"{1e3 * (cost.transfer + cost.waiting):.2g} ms", f"{100 * cost.share:.2g} %"]
        )  # fmt: skip
    return table(["particles", "GPUs", "arithmetic a step", "sent by each", "communication", "its share"], rows)


# ---------------------------------------------------------------------- one run


def _measured(particles: int, cores: list[list[str]], devices: int) -> tuple[float, float]:
    """Seconds a step by the clock, and of work of each core."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.distributed", str(particles), own[0], address, str(len(cores)), str(k)],
            env=os.environ | {"XLA_FLAGS": flags}, stdout=subprocess.PIPE, text=True,
        )
        for k, own in enumerate(cores)
    ]  # fmt: skip
    said = [process.communicate(timeout=900)[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("a process of the benchmark failed")
    found = [json.loads(text.splitlines()[-1]) for text in said]
    return found[0]["seconds"], max(one["worked"] for one in found) / devices


def one(particles: int, address: str, processes: int, process: int) -> None:
    """Run steps on all devices, and print the seconds of one once all is compiled."""
    import jax

    from proxflow import distributed
    from proxflow.divergences import Divergence
    from proxflow.evolution import begin, evolve, over_mesh
    from proxflow.flows import Particles
    from proxflow.gamma import GroupSort
    from proxflow.sharded import row_mesh
    from proxflow.targets import Batches

    if processes > 1:
        distributed.start(address, processes, process)
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(particles, FEATURES)).astype(np.float32)
    flow, pair = Particles(), Divergence(GroupSort(width=WIDTH, updates=UPDATES))
    target = Batches(jax.device_put(cloud + 1), BATCH)
    run = begin(flow, pair, cloud, target, jax.random.key(0))
    run, target = over_mesh(run, flow, row_mesh()), target.over_devices(row_mesh())

    def go(steps: int) -> tuple[float, float]:
        started, worked = time.perf_counter(), time.process_time()
        evolve(flow, pair, None, target, steps=run.step + steps, warm_up=1, resume=run, batch=BATCH)
        return (time.perf_counter() - started) / steps, (time.process_time() - worked) / steps

    go(1)
    seconds, worked = go(STEPS)
    print(json.dumps({"seconds": seconds, "worked": worked}), flush=True)
    distributed.finish()


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(core) for core in sys.argv[2].split(",")})
    one(int(sys.argv[1]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
