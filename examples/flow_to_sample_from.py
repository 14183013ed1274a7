"""Train a velocity once, then sample, look at the paths, change the number of steps, and go back.

    python examples/flow_to_sample_from.py [--quick] [--out proximal.png]

W2 compares new samples with samples not seen: 1 is as close as real data. Bad at: a short training, see `health_`.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np

from proxflow import ProximalFlow, oracle_ratio, plots
from proxflow.data.toy import pinwheel
from proxflow.plots.style import INK, PARTICLES, TARGET, bare_axes, headline, legend, new_figure

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few points and steps: to see that it runs")
parser.add_argument("--out", type=Path, help="a .png file for the figure; none is drawn if not given")
choice = parser.parse_args()

count, steps = (100, 20) if choice.quick else (1000, 6000)
train, fresh, test = (pinwheel(count, seed) for seed in range(3))

with warnings.catch_warnings():
    warnings.simplefilter("ignore" if choice.quick else "default", RuntimeWarning)  # a quick one is not sound
    flow = ProximalFlow(source="standard", steps=steps, random_state=0).fit(train)
print(flow.health_.sentence())
print(flow.optimality_.sentence())

# The same source points at other step counts: a straight flow makes the same samples.
source = np.random.default_rng(0).normal(size=(count, 2))
made = {n: flow.transform(source, steps=n) for n in (2, 4, 32)}
for n, points in made.items():
    print(f"{n:2} steps: W2 ratio {oracle_ratio(points, fresh, test):.3f}")

# Backwards: which noise a sample comes from.
back = flow.inverse(made[32])
print(f"there and back: {np.abs(back - source).max():.3f} at most")

figure = new_figure(9.6, 2.9)
panels = figure.subplots(1, 4)
_, places = flow.trajectory(n=100, steps=32, looks=16)
bare_axes(panels[0], title="paths from N(0, I)")
panels[0].plot(places[:, :, 0], places[:, :, 1], color=INK, linewidth=0.4, alpha=0.6)
panels[0].scatter(*places[-1].T, s=5, color=PARTICLES, linewidths=0, zorder=3)
for axes, (n, points) in zip(panels[1:], made.items(), strict=True):
    bare_axes(axes, title=f"{n} steps: {oracle_ratio(points, fresh, test):.2f}")
    axes.scatter(*train.T, s=3, color=TARGET, linewidths=0)
    axes.scatter(*points.T, s=3, color=PARTICLES, linewidths=0)
headline(figure, "One training, then any number of steps")
legend(figure, [("training samples", TARGET), ("new samples", PARTICLES)])
if choice.out is not None:
    plots.save_figure(figure, choice.out)
    print(f"figure: {choice.out}")
