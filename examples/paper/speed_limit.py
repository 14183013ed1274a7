"""The Lipschitz bound is a speed limit.

**Seeds:** paper, figure 2, figure 3.

**Setting:** 200 particles from N(0, I/4) in the plane, four Gaussians 5 away, KL, and one step size for all, Δt = 0.01;
L = 1, 10, 100, and no bound at all. Kinetic energy: half the mean square of the particles' speed.

**What differs:** the networks are orthonormal GroupSort instead of spectral ReLU, which reach their bound and not only
respect it. L Δt is then the longest step: at Δt = 0.1 the particles of L = 100 are thrown out of the picture, too.
"""

import jax
import numpy as np
from plates import Choice, Plate, main

from proxflow import Divergence, GroupSort, Unregularised, evolve
from proxflow.flows import ConstantStep, Particles
from proxflow.plots.style import ACCENT, INK, PARTICLES, QUIET, TARGET, bare_axes, headline, new_figure

COLOURS = {1.0: PARTICLES, 10.0: ACCENT, 100.0: QUIET, np.inf: INK}


def draw(choice: Choice) -> Plate:
    """Run the four flows; draw where particles end and their kinetic energy."""
    rng = np.random.default_rng(choice.seed)
    source = 0.5 * rng.normal(size=(200, 2))
    corners = 5.0 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    target = corners[rng.integers(4, size=200)] + 0.5 * rng.normal(size=(200, 2))
    steps = 10 if choice.quick else 1000
    width = 16 if choice.quick else 64
    figure = new_figure(9.0, 4.6)
    grid = figure.add_gridspec(2, 4, height_ratios=(1.0, 1.0))
    curve = figure.add_subplot(grid[1, :])
    rows = []
    for column, slope in enumerate((1.0,) if choice.quick else COLOURS):
        space = GroupSort(L=slope, width=width) if np.isfinite(slope) else Unregularised(width=width)
        flow = Particles(ConstantStep(0.01))
        run = evolve(flow, Divergence(space), source, target, steps=steps, key=jax.random.key(choice.seed))
        points, energy = np.asarray(run.state.points), 0.5 * run.history["fisher"]
        name = f"L = {slope:g}" if np.isfinite(slope) else "no bound"
        axes = figure.add_subplot(grid[0, column])
        axes.scatter(*target.T, s=5, color=TARGET, linewidths=0)
        axes.scatter(*points.T, s=5, color=COLOURS[slope], linewidths=0)
        axes.set(xlim=(-8, 8), ylim=(-8, 8), aspect="equal")
        bare_axes(axes, title=f"{name}, step {len(energy):,}")
        curve.semilogy(energy, color=COLOURS[slope], linewidth=1.0, label=name)
        nearest = np.linalg.norm(points[:, None] - corners, axis=2)
        held = f"{np.mean(nearest.min(axis=1) < 2.0):.0%} in a cluster"
        rows.append(
            (name, "" if np.isfinite(slope) else "fails to converge", f"kinetic energy {energy[-1]:.2g}, {held}")
        )
    curve.legend(frameon=False, fontsize=8, ncols=4)
    bare_axes(curve, labels=("step",), title="kinetic energy")
    headline(figure, "One step size, four bounds on the slope")
    return Plate(figure, rows)


if __name__ == "__main__":
    main(draw, __doc__)
