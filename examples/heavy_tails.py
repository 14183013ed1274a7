"""Move a Gaussian onto a heavy tail, and draw survival curves: a figure.

    python examples/heavy_tails.py [VALUES.txt] [--quick] [--out tails.png] [--nu 0.5]

Without a file of values (one per line, both signs) the target is Student's law in the plane. In the data's own units
no particle gets far: the flow's speed is bounded, the tail is not. In compressed coordinates, which the defaults
choose by themselves for such data, it is a short way. Half of the data is the target, the other half the judge. Bad
at: the last handful of samples, which differ by factors between any two halves.
"""

import argparse
from pathlib import Path

import numpy as np

from proxflow import ParticleTransport, compare_tails, plots
from proxflow.data.tails import student_t
from proxflow.defaults import radius

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("values", nargs="?", type=Path, help="a text file of numbers; Student's law if not given")
parser.add_argument("--quick", action="store_true", help="few points and steps: to see that it runs")
parser.add_argument("--out", type=Path, help="a .png file for the figure; none is drawn if not given")
parser.add_argument("--nu", type=float, default=0.5, help="degrees of freedom of Student's law (%(default)s)")
parser.add_argument("--unit", default="", help="what the values are measured in, for the axis")
choice = parser.parse_args()

count = 200 if choice.quick else 1000
if choice.values is None:
    data = student_t(count, 0, nu=choice.nu)
else:
    values = np.loadtxt(choice.values).ravel()
    data = np.random.default_rng(0).permutation(values)[: 2 * count, None]
target, judge = data[::2], data[1::2]
centre, size = np.median(target, axis=0), radius(target)
source = centre + size * np.random.default_rng(1).normal(size=target.shape)
steps = 30 if choice.quick else 500


def distance(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points - centre, axis=1)


panels = {}
for scaling, title in (("none", "columns as they are"), ("auto", "defaults")):
    curves = {"real (held out)": distance(judge)}
    for f, alpha in (("kl", None), ("alpha", 2.0)):
        transport = ParticleTransport(f, alpha=alpha, scaling=scaling, steps=steps, random_state=0).fit(target, source)
        found = compare_tails(transport.particles_, judge)
        print(
            f"{title}, {f}: {transport.settings_['scaling']}; area {found.area:.2f}, Hill {found.index_new:.2f} (real"
            f" {found.index_real:.2f}), 99 % quantile {found.ratios[0.99]:.2g} of the real one; {transport.stopped_}"
        )
        curves[f if alpha is None else f"alpha = {alpha:g}"] = distance(transport.particles_)
    panels[title] = curves
unit = f" ({choice.unit})" if choice.unit else ""
figure = plots.survival_curves(panels, label=f"distance to the median{unit}", low=0.3 * size)
if choice.out:
    plots.save_figure(figure, choice.out)
    print(f"{choice.out}: {choice.out.stat().st_size / 1000:.0f} kB")
