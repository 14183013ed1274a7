"""What the processes of `test_distributed` run: `python distributed_run.py WHAT ...` prints what it found."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np

ROWS = np.random.default_rng(0).normal(size=(305, 3))  # no multiple of 2
ROWS[:, 0] += np.where(np.arange(305) % 2, 3.0, -3.0)
PARTICLES = np.random.default_rng(1).normal(size=(201, 3))
# Seldom stopping and cheap: what is tested is who does what, not how well it ends.
SETTINGS = {
    "n_particles": 201, "width": 8, "depth": 1, "updates": 1, "batch_size": 101, "memory_budget": 1.0,
    "stop_stalled": 0, "stop_fisher": 0.0, "random_state": 0,
}  # fmt: skip


def in_double(devices, method="euler", batch=None):
    """Particles and values after a few steps in float64, where sums in another order change the eleventh digit."""
    import jax

    from proxflow.divergences import Divergence
    from proxflow.evolution import Run, evolve, over_mesh
    from proxflow.flows import Particles
    from proxflow.gamma import GroupSort
    from proxflow.sharded import gathered, row_mesh
    from proxflow.targets import LocalMixture, Samples, nearest_neighbours

    with jax.enable_x64(True):
        flow, key = Particles(method=method), jax.random.key(0)
        pair = Divergence(GroupSort(width=8, depth=1, updates=2))
        near = ROWS[nearest_neighbours(ROWS)[1]]
        target = LocalMixture(*map(jax.numpy.asarray, (ROWS, near)), 0.5, batch) if batch else Samples(ROWS)
        run = Run(flow.init(jax.numpy.asarray(PARTICLES), key), pair.init(key, PARTICLES, ROWS), key)
        if devices is not None:
            mesh = row_mesh(devices)
            run, target = over_mesh(run, flow, mesh), target.over_devices(mesh)
        run = evolve(flow, pair, None, target, steps=4, warm_up=2, chunk=2, resume=run, batch=batch)
        return np.asarray(gathered(run.state).points), run.history["value"]


def gap(one, other):
    """The largest difference between two results of `in_double`."""
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def sent(rows, width=4):
    """What one compiled chunk of steps sends between devices: [(operation, values)], for so many of either."""
    import jax

    from proxflow.divergences import Divergence
    from proxflow.evolution import _chunk, begin, over_mesh
    from proxflow.flows import Particles
    from proxflow.gamma import GroupSort
    from proxflow.sharded import on_devices_of, row_mesh
    from proxflow.targets import Batches

    cloud = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
    flow, pair, target = Particles(), Divergence(GroupSort(width=8, depth=1)), Batches(cloud, 64)
    run = over_mesh(begin(flow, pair, cloud, target, jax.random.key(0)), flow, row_mesh())
    with on_devices_of(run.state):
        text = _chunk.lower(
            flow, pair, target.over_devices(row_mesh()), run.state, run.memory, run.key,
            np.int32(0), np.int32(1), np.int32(1), None, length=2, record=False, batch=64,
        ).compile().as_text()  # fmt: skip
    operations = r"= (.*?) (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("
    return [
        (name, sum(int(np.prod([int(n) for n in shape.split(",") if n])) for shape in re.findall(r"\[([\d,]*)\]", out)))
        for out, name in re.findall(operations, text)
    ]


def one_process():
    """Checks on several devices of one process."""
    import jax

    from proxflow.sharded import over_devices, row_mesh, without_padding
    from proxflow.targets import Batches

    mesh, key = row_mesh(), jax.random.key(3)
    rows = ROWS.astype(np.float32)
    spread = over_devices(rows, mesh)
    with jax.set_mesh(mesh):
        drawn = jax.jit(lambda rows: Batches(without_padding(rows), 50).draw(key))(spread)
    print(
        json.dumps(
            {
                "devices": len(jax.devices()),
                "gathered": bool((np.asarray(spread) == rows).all()),
                "some": bool((spread[:7] == rows[:7]).all()),
                "draws": bool((np.asarray(drawn) == np.asarray(Batches(jax.numpy.asarray(rows), 50).draw(key))).all()),
                "double": gap(in_double(jax.devices(), method="ab3"), in_double(None, method="ab3")),
                "sent": sent(50_001),
            }
        )
    )


def together(coordinator, process, folder, steps, checks):
    """A fit in two processes with a checkpoint; says its steps, so that one can be killed."""
    import jax

    from proxflow import ParticleTransport, distributed
    from proxflow.sharded import row_mesh, scattered

    distributed.start(coordinator, 2, process)
    assert len(jax.devices()) == 4
    if checks:
        asked = []
        scattered(lambda first, last: asked.append((first, last)) or ROWS[first:last], ROWS.shape, row_mesh())
        assert sorted(asked) == [[(0, 77), (77, 154)], [(154, 231), (231, 305)]][process], asked
        spread = in_double(jax.devices(), batch=101)
        assert process or gap(spread, in_double(None, batch=101)) < 1e-9
        assert distributed.shared(None if process else b"said") == b"said"
        assert distributed.agreed(process == 0)

    def say(run):
        print(json.dumps({"step": run.step}), flush=True)

    transport = ParticleTransport(steps=steps, devices="all", callbacks=(say,), **SETTINGS)
    transport.fit(ROWS, checkpoint=Path(folder) / f"run{process}.npz", checkpoint_seconds=0)


if __name__ == "__main__":
    if sys.argv[1] == "one":
        one_process()
    else:
        together(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), sys.argv[6])
