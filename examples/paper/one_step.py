"""One step of the flow, and the law that it obeys.

**Seeds:** poster, "An iteration of GPA"; README, "dissipates", "computational schemes".

**Setting:** 80 particles and 120 target points in the plane, KL, L = 1. Left: the potential's level lines and the step
along −∇φ. Middle: the divergence falls at the rate of the Fisher information, dD/dt = −I, so D(t) lies on
D(0) − ∫ I dt. Right: what a GAN does with the same potential.

**What differs:** the originals are sketches. The law holds for the exact potential; a network that is a little behind
loses some of it, most at the end, where little is left to fall.
"""

import jax
import numpy as np
from plates import Choice, Plate, main

from proxflow import Divergence, GroupSort, divergence, evolve
from proxflow.flows import ConstantStep, Particles
from proxflow.plots.style import ACCENT, INK, PARTICLES, QUIET, TARGET, bare_axes, headline, legend, new_figure

BOXES = {
    "particles (GPA)": ("samples P, Q", "φ: argmax over Γ", "y ← y − Δt ∇φ(y)", "again"),
    "generator (GAN)": (
        "noise z, samples Q",
        "φ: argmax over Γ",
        "θ ← θ − η ∇ E φ(g_θ(z))",
        "again, with new z",
    ),
}


def draw(choice: Choice) -> Plate:
    """Run a flow with a small step, and draw a tight potential of its beginning."""
    rng = np.random.default_rng(choice.seed)
    source = rng.normal((0.0, 0.0), (0.7, 0.5), size=(80, 2))
    target = np.concatenate([rng.normal((-2.2, 0.6), 0.3, size=(40, 2)), rng.normal((2.1, -0.6), 0.3, size=(80, 2))])
    space = GroupSort(L=1.0, width=16 if choice.quick else 64, updates=40)
    steps = 8 if choice.quick else 150
    run = evolve(Particles(ConstantStep(0.02)), Divergence(space), source, target, steps=steps, key=jax.random.key(0))
    value, falls = run.history["value"], run.history["step_size"] * run.history["fisher"]
    time = np.cumsum(run.history["step_size"])
    predicted = value[0] - np.cumsum(falls) + falls[0]
    phi = divergence(source, target, L=1.0, gamma="groupsort", steps=30 if choice.quick else 1500).potential

    figure = new_figure(9.0, 3.0)
    one, fall, schemes = figure.subplots(1, 3, width_ratios=(1.45, 1.0, 1.15))
    x, y = np.meshgrid(np.linspace(-3.3, 3.3, 120), np.linspace(-1.8, 1.8, 70))
    one.contour(
        x,
        y,
        phi(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape),
        12,
        colors=INK,
        linewidths=0.4,
        linestyles="-",
    )
    one.scatter(*target.T, s=8, color=TARGET, linewidths=0)
    arrows = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "width": 0.004}
    one.quiver(*source.T, *(-0.5 * phi.gradient(source)).T, color=PARTICLES, **arrows)
    one.set_aspect("equal")
    bare_axes(one, title="level lines of φ, and −∇φ")
    fall.plot(time, value, color=PARTICLES, linewidth=1.6)
    fall.plot(time, predicted, color=ACCENT, linewidth=1.0, linestyle="--")
    bare_axes(fall, labels=("time",), title="D(t), and D(0) − ∫ I dt dashed")
    schemes.set(xlim=(0, 1), ylim=(-0.05, 1))
    schemes.axis("off")
    for left, (name, boxes) in zip((0.25, 0.76), BOXES.items(), strict=True):
        for row, text in enumerate((name, *boxes)):
            high = 0.97 - 0.23 * row
            box = {"boxstyle": "round", "facecolor": "white", "edgecolor": QUIET if row else "none", "linewidth": 0.6}
            schemes.text(left, high, text, ha="center", va="center", fontsize=7, color=INK, bbox=box)
            if 0 < row < len(boxes):
                schemes.annotate(
                    "", (left, high - 0.17), (left, high - 0.06), arrowprops={"arrowstyle": "->", "lw": 0.6}
                )
    headline(figure, "One step of the flow")
    legend(figure, [("target Q", TARGET), ("particles P", PARTICLES)])
    half = steps // 2
    ratios = [(value[0] - value[end]) / falls[:end].sum() for end in (half, steps - 1)]
    rows = [
        (f"fall of D over ∫ I dt until t = {time[e]:.1f}", "1", f"{r:.2f}")
        for e, r in zip((half, -1), ratios, strict=True)
    ]
    return Plate(figure, rows)


if __name__ == "__main__":
    main(draw, __doc__)
