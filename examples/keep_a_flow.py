"""Fit once, keep the flow as one file, and make new points later: by replay, with fewer potentials, by one network.

    python examples/keep_a_flow.py [--quick] [--out kept.png]

W2 compares each with samples not seen: 1 is as close as real data. Bad at: many dimensions, where replayed points
end farther off than the fit's own particles; run the flow again there.
"""

import argparse
import tempfile
import time
from pathlib import Path

from proxflow import DistilledMap, ParticleTransport, oracle_ratio, plots
from proxflow.data.toy import pinwheel
from proxflow.plots.style import PARTICLES, TARGET, bare_axes, headline, legend, new_figure

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few points and steps: to see that it runs")
parser.add_argument("--out", type=Path, help="a .png file for the figure; none is drawn if not given")
choice = parser.parse_args()

count, steps, learning = (60, 30, 200) if choice.quick else (500, 500, 2000)
train, fresh, test = (pinwheel(count, seed) for seed in range(3))


def megabytes(file):
    return file.stat().st_size / 1e6


made, notes = {}, {}
with tempfile.TemporaryDirectory() as scratch:
    flow_file, thin_file, map_file = (Path(scratch) / f"{name}.npz" for name in ("flow", "thin", "map"))

    started = time.perf_counter()
    fit = ParticleTransport(steps=steps, random_state=0).fit(train)
    made["the fit's particles"] = fit.particles_
    notes["the fit's particles"] = f"fit in {time.perf_counter() - started:.1f} s"
    fit.save(flow_file)

    # Another day: nothing is fitted, each new point goes its own way along the stored potentials.
    kept = ParticleTransport.load(flow_file)
    started = time.perf_counter()
    made["replay"] = kept.sample(count, method="replay")
    seconds = time.perf_counter() - started
    notes["replay"] = f"{megabytes(flow_file):.1f} MB, {seconds:.2f} s with compilation"

    # A memory budget: potentials of every so-many-th step, each of which serves until the next one.
    thin = ParticleTransport(steps=steps, random_state=0, memory_budget=1.0).fit(train)
    thin.save(thin_file)
    made["replay, at most 1 MB"] = thin.sample(count, method="replay")
    notes["replay, at most 1 MB"] = f"{megabytes(thin_file):.1f} MB"

    # One network that goes all the way at once.
    small = kept.distil(20 * count, steps=learning)
    small.save(map_file)
    small = DistilledMap.load(map_file)
    small.sample(count)  # compiles
    started = time.perf_counter()
    made["distilled map"] = small.sample(count)
    seconds = time.perf_counter() - started
    notes["distilled map"] = f"{megabytes(map_file):.1f} MB, {1000 * seconds:.0f} ms, error {small.error:.2f}"

figure = new_figure(9.6, 3.0)
for axes, (name, points) in zip(figure.subplots(1, 4, sharex=True, sharey=True), made.items(), strict=True):
    ratio = oracle_ratio(points, fresh, test)
    print(f"{name:21} W2 ratio {ratio:.3f}; {notes[name]}")
    bare_axes(axes, title=f"{name}: {ratio:.2f}")
    axes.scatter(*train.T, s=3, color=TARGET, linewidths=0)
    axes.scatter(*points.T, s=3, color=PARTICLES, linewidths=0)
    axes.set_aspect("equal")
headline(figure, "New points of one fit, made four ways, and their W2 ratio")
legend(figure, [("training", TARGET), ("new", PARTICLES)])
if choice.out:
    plots.save_figure(figure, choice.out)
    print(f"{choice.out}: {choice.out.stat().st_size / 1000:.0f} kB")
