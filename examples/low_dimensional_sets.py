"""New samples of a fractal, a rolled sheet and a strange attractor, by the defaults: a figure.

    python examples/low_dimensional_sets.py [--quick] [--out sets.png]

Top: training samples. Bottom: as many new ones, from a Gaussian. W2 compares both with samples not seen: 1 is as close
as real data. Bad at: saying whether single points repeat the training samples; `proxflow.trust` does.
"""

import argparse
from pathlib import Path

from proxflow import ParticleTransport, oracle_ratio, plots
from proxflow.data.sets import SETS
from proxflow.plots.style import PARTICLES, TARGET, bare_axes, headline, legend, new_figure

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few points and steps: to see that it runs")
parser.add_argument("--out", type=Path, help="a .png file for the figure; none is drawn if not given")
choice = parser.parse_args()

COUNTS = {"sierpinski_carpet": 4096, "swiss_roll_3d": 200, "lorenz_attractor": 1000}
TITLES = dict(zip(SETS, ("Sierpinski carpet", "Swiss roll", "Lorenz attractor"), strict=True))

figure = new_figure(8.4, 5.8)
for column, (name, draw) in enumerate(SETS.items()):
    count = 60 if choice.quick else COUNTS[name]
    train, fresh, test = (draw(count, seed) for seed in range(3))
    transport = ParticleTransport(steps=30 if choice.quick else 500, random_state=0).fit(train)
    few = min(count, 2000)  # exact transport of more takes long
    ratio = oracle_ratio(transport.particles_[:few], fresh[:few], test[:few])
    print(f"{TITLES[name]}: {count} points, W2 ratio {ratio:.3f}; {transport.stopped_}")
    for row, (points, colour) in enumerate(((train, TARGET), (transport.particles_, PARTICLES))):
        flat = points.shape[1] == 2
        axes = figure.add_subplot(2, 3, 3 * row + column + 1, projection=None if flat else "3d")
        bare_axes(axes, title=TITLES[name] if row == 0 else "")
        axes.scatter(*points.T, s=1.2 if count > 2000 else 3, color=colour, linewidths=0, alpha=0.9)
        for axis, low, high in zip(("x", "y", "z"), train.min(axis=0), train.max(axis=0), strict=False):
            getattr(axes, f"set_{axis}lim")(low, high)
        if flat:
            axes.set_aspect("equal")
        elif name == "swiss_roll_3d":
            axes.view_init(elev=8, azim=-84)  # along its axis: only so is a roll seen
headline(figure, "As many new samples as training samples")
legend(figure, [("training", TARGET), ("new", PARTICLES)])
if choice.out:
    plots.save_figure(figure, choice.out)
    print(f"{choice.out}: {choice.out.stat().st_size / 1000:.0f} kB")
