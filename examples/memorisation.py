"""When do new samples become copies? Closeness, near copies and coverage along the steps, and where the gate stops.

    python examples/memorisation.py [--quick] [--gate 0.2] [--out memorisation.png]

200 digits move N or 4 N particles. All numbers are of 200 particles at a time, so that the two runs compare. Bad at:
one pair of held-out samples, partly luck.
"""

import argparse
from pathlib import Path

from proxflow import ParticleTransport, plots
from proxflow.data.digits import load_digits_split
from proxflow.plots.style import ACCENT, PARTICLES, QUIET, TARGET, bare_axes, headline, legend, new_figure
from proxflow.trust import judge

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few digits and steps: to see that it runs")
parser.add_argument("--gate", type=float, default=0.2, help="the gate's share of near copies (%(default)s)")
parser.add_argument("--out", type=Path, help="a .png file for the curves; none is drawn if not given")
choice = parser.parse_args()

count, steps = (40, 12) if choice.quick else (200, 500)
split = load_digits_split(n_train=count, n_test=3 * count)
NUMBERS = {"closeness": 1.0, "near_copies": 0.05, "coverage": None}  # and what real samples have


def judged(points):
    return judge(points[:count], split.train, split.fresh, split.test, basis="held-out digits")


def fitted(particles, **settings):
    """Fit, and judge what there is at every look: a list of (step, judgement)."""
    seen = []

    def watch(run):
        if not seen or seen[-1][0] < run.step:
            seen.append((run.step, judged(transport.decode_state(run.state))))

    transport = ParticleTransport(
        n_particles=particles, steps=steps, memory_budget=0.0, random_state=0, callbacks=(watch,), **settings
    )
    transport.fit(split.train)
    return transport, seen


curves = {}
for name, particles in (("M = N", count), ("M = 4 N", 4 * count)):
    transport, curves[name] = fitted(particles)
    last = curves[name][-1][1]
    print(f"{name:8} {transport.n_steps_:3} steps: closeness {last.closeness:.3f}, ", end="")
    print(f"near copies {last.near_copies:.2f}, coverage {last.coverage:.2f} (real {last.coverage_real:.2f})")

gated, _ = fitted(4 * count, max_copies=choice.gate)
end = judged(gated.particles_)
print(f"gate     {gated.n_steps_:3} steps: closeness {end.closeness:.3f}, ", end="")
print(f"near copies {end.near_copies:.2f}, coverage {end.coverage:.2f}; {gated.stopped_}")

if choice.out:
    figure = new_figure(9.2, 2.9)
    for axes, (number, real) in zip(figure.subplots(1, 3), NUMBERS.items(), strict=True):
        for (_, seen), colour in zip(curves.items(), (TARGET, PARTICLES), strict=True):
            axes.plot(*zip(*[(1 + n, getattr(j, number)) for n, j in seen], strict=True), color=colour, linewidth=1.6)
        axes.axhline(end.coverage_real if real is None else real, color=QUIET, linewidth=0.7, linestyle=":")
        axes.plot(1 + gated.n_steps_, getattr(end, number), "o", color=ACCENT, markersize=6)
        axes.set_xscale("log")
        bare_axes(axes, labels=["1 + step"], title=number.replace("_", " "))
    headline(figure, f"{count} digits: how new samples become copies", "dotted: real digits")
    legend(figure, [("M = N", TARGET), ("M = 4 N", PARTICLES), (f"gate at {choice.gate:g}", ACCENT)])
    plots.save_figure(figure, choice.out)
    print(f"{choice.out}: {choice.out.stat().st_size / 1000:.0f} kB")
