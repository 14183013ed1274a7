"""See what the solver does: particles fall onto a plane in 12 dimensions, by Euler, Heun and others.

    python examples/which_solver.py [--quick] [--out solvers.png] [--dt 0.5] [--methods euler heun rk4]

The paper's setting (Gu et al. 2024, explicit solvers): four Gaussians on a plane, a source that fills all 12
dimensions, steps of constant size. A slope near L never fades, so long steps carry particles back and forth across the
plane. Bad at: telling whether the result is any good on the plane. That is up to the potential.
"""

import argparse
from pathlib import Path

import jax
import numpy as np

from proxflow import Divergence, evolve, plots
from proxflow.flows import METHODS, ConstantStep, Particles
from proxflow.gamma import SpectralNormalised
from proxflow.plots.style import ACCENT, PARTICLES, QUIET, TARGET, bare_axes, headline, new_figure

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few steps: to see that it runs")
parser.add_argument("--out", type=Path, help="draw the paths into this PNG file")
parser.add_argument("--dt", type=float, default=0.5, help="step size (%(default)s)")
parser.add_argument("--methods", nargs="+", choices=METHODS, default=["euler", "heun", "rk4"], metavar="METHOD")
choice = parser.parse_args()

count, steps = (60, 20) if choice.quick else (600, int(200 / choice.dt))
rng = np.random.default_rng(0)
centres = 5.0 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
target = np.zeros((count, 12))
target[:, :2] = centres[rng.integers(0, 4, count)] + 0.5 * rng.normal(size=(count, 2))
source = 3.0 * rng.normal(size=(count, 12))
pair = Divergence(SpectralNormalised(L=1.0, width=32, learning_rate=4e-3))

figure = new_figure(7.2, 2.6)
panels = figure.subplots(1, len(choice.methods), sharey=True, squeeze=False)[0]
for method, axes in zip(choice.methods, panels, strict=True):
    paths, times = [], []

    def watch(run, paths=paths, times=times):
        paths.append(np.asarray(run.state.points)[:, 2:])  # the ten coordinates that should vanish
        times.append(run.history["step_size"].sum())

    flow = Particles(ConstantStep(choice.dt), method)
    evolve(flow, pair, source, target, steps=steps, chunk=2, callbacks=[watch], key=jax.random.key(0))
    off = np.sqrt((np.asarray(paths) ** 2).sum(axis=2).mean(axis=1))
    tail = off[3 * len(off) // 4 :]
    print(f"{method:11}{METHODS[method].stages} fits a step, distance to the plane {tail.mean():.3f}", end="")
    print(f" over the last quarter, {tail.max():.3f} at most")
    axes.plot(times, np.asarray(paths)[:, :12, 0], color=TARGET, linewidth=0.5)
    axes.plot(times, np.asarray(paths)[:, 0, 0], color=PARTICLES, linewidth=0.9)
    axes.plot(times, off, color=ACCENT, linewidth=1.2)
    axes.set_ylim(-4, 4)
    axes.axhline(0, color=QUIET, linewidth=0.4)
    bare_axes(axes, labels=["time"], title=f"{method}: {tail.mean():.2f} at the end")

if choice.out is not None:
    headline(figure, "One coordinate off the plane, of 12 particles", "orange: distance to the plane, of all of them")
    plots.save_figure(figure, choice.out)
    print(f"{choice.out}: {choice.out.stat().st_size / 1000:.0f} kB")
