"""Large data and long runs: what a minibatch's divergence is off by, and a run that is killed twice.

    python examples/large_and_long.py [--quick] [--out large.png]

Left: the divergence of one potential, from minibatches of the target of growing size B: on average too large, by
O(1/B), and by less after the jackknife. Right: a run that is killed twice and goes on from its checkpoint, on top of
an unbroken one. Bad at: showing bits. That they are the same is printed.
"""

import argparse
import tempfile
from pathlib import Path

import jax
import numpy as np

from proxflow import Divergence, GroupSort, ParticleTransport, plots
from proxflow.data.toy import pinwheel
from proxflow.plots.style import ACCENT, INK, PARTICLES, TARGET, bare_axes, headline, legend, new_figure
from proxflow.targets import Batches

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="small and short")
parser.add_argument("--out", type=Path, help="draw both panels into this PNG file")
choice = parser.parse_args()
repeats, steps = (50, 30) if choice.quick else (3000, 300)

rng = np.random.default_rng(0)
x, y = (rng.normal(size=(4000, 2)).astype(np.float32) + shift for shift in (2.5, 0.0))
pair = Divergence(GroupSort(L=2.0, width=32))
memory = pair.init(jax.random.key(0), x, y)
for _ in range(60):
    memory = pair.fit(x, y, memory)
whole = float(pair.value(x, y, memory))
sizes, means = [16, 32, 64, 128, 256, 512], []
for size in sizes:
    batches = Batches(jax.device_put(y), size)

    def both(key, batches=batches):
        cloud = batches.draw(key)
        return pair.value(x[:500], cloud, memory), pair.debiased_value(x[:500], cloud, memory)

    values = jax.lax.map(jax.jit(both), jax.random.split(jax.random.key(1), repeats))
    means.append([float(np.mean(value)) + whole - float(pair.value(x[:500], y, memory)) for value in values])
    print(f"batches of {size:4}: {means[-1][0]:.3f} on average, debiased {means[-1][1]:.3f}; of all {whole:.3f}")


class Killed(BaseException):
    """Nobody catches this but the last line of defence, the checkpoint on disk."""


def killer(step):
    def callback(run):
        if run.step >= step:
            raise Killed

    return callback


settings, kills = {"steps": steps, "stop_stalled": 0, "random_state": 0}, [steps // 4, steps // 2]
unbroken = ParticleTransport(**settings).fit(pinwheel(300, 0))
file = Path(tempfile.mkdtemp()) / "run.npz"
for step in kills:
    try:
        ParticleTransport(**settings, callbacks=(killer(step),)).fit(
            pinwheel(300, 0), checkpoint=file, checkpoint_seconds=0
        )
    except Killed:
        print(f"killed at step {step}; on disk: {file.stat().st_size / 1e6:.1f} MB")
resumed = ParticleTransport(**settings).fit(pinwheel(300, 0), checkpoint=file)
print(f"the same bits as the unbroken run: {bool((resumed.particles_ == unbroken.particles_).all())}")

if choice.out is not None:
    figure = new_figure(7.2, 2.8)
    left, right = figure.subplots(1, 2)
    left.semilogx(sizes, [plain for plain, _ in means], "o-", color=PARTICLES, markersize=4)
    left.semilogx(sizes, [debiased for _, debiased in means], "o-", color=TARGET, markersize=4)
    left.axhline(whole, color=INK, linewidth=0.8)
    left.set_xticks(sizes, [str(size) for size in sizes])
    left.minorticks_off()
    bare_axes(left, labels=["batch size", "divergence"], title="mean over batches")
    right.semilogy(unbroken.history_["value"], color=TARGET, linewidth=3)
    right.semilogy(resumed.history_["value"], color=PARTICLES, linewidth=0.8)
    for step in kills:
        right.axvline(step, color=ACCENT, linewidth=0.8)
    bare_axes(right, labels=["step", "divergence"], title="killed at the lines")
    headline(figure, "Minibatches, and a run that was killed twice", "line on the left: all samples")
    legend(figure, [("plain; resumed", PARTICLES), ("debiased; unbroken", TARGET)])
    plots.save_figure(figure, choice.out)
