"""How far apart are two samples: one number.

**Seeds:** README, "f_Lip_divergence".

**Setting:** the README's own example: 500 points of N(0, I) and 300 of N(10, 4 I) in the plane, KL, and L from 0.01 to
100. They never overlap, so KL itself is infinite. As L falls to 0, D/L becomes W1(P, Q); as it grows, the W1 from P to
the nearest reweighting of Q.

**What differs:** the published function trains a network for a fixed number of steps and returns what it reached. Here
the finite problem is solved, and what is returned is a bracket: the value of a potential from below, of a coupling from
above. Published values: what the published function was measured to return (`benchmarks/exactness.py`).
"""

import numpy as np
from plates import Choice, Plate, main

from proxflow import divergence, wasserstein
from proxflow.plots.style import ACCENT, INK, PARTICLES, bare_axes, headline, new_figure

PUBLISHED = {1.0: "1 to 2", 10.0: "6.7"}


def draw(choice: Choice) -> Plate:
    """Bracket D at several L, and draw D/L between its two limits."""
    rng = np.random.default_rng(choice.seed)
    size = 10 if choice.quick else 1
    p, q = rng.normal(0.0, 1.0, size=(500 // size, 2)), rng.normal(10.0, 2.0, size=(300 // size, 2))
    slopes = [1.0, 10.0] if choice.quick else [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
    found = {slope: divergence(p, q, L=slope) for slope in slopes}
    w1 = wasserstein(p, q, p=1)

    figure = new_figure(7.0, 2.9)
    axes = figure.add_subplot()
    axes.axhline(w1, color=ACCENT, linewidth=1.0)
    axes.text(slopes[-1], w1, "W1", color=ACCENT, ha="right", va="bottom", fontsize=9)
    axes.plot(slopes, [d.lower / slope for slope, d in found.items()], color=PARTICLES, marker="o", markersize=4)
    axes.plot([1.0, 10.0], [1.5, 0.67], "x", color=INK, markersize=6)
    axes.text(10.0, 0.67, "   published code", va="center", fontsize=8.5, color=INK)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.12 * w1)
    bare_axes(axes, labels=("L", "D / L"))
    headline(figure, "The divergence over L: W1 as L falls to 0")
    rows = [
        (f"D at L = {slope:g}", PUBLISHED[slope], f"{found[slope].lower:.4f} to {found[slope].upper:.4f}")
        for slope in PUBLISHED
    ]
    return Plate(
        figure,
        [*rows, ("W1", "", f"{w1:.4f}"), ("D / L at the least L", "", f"{found[slopes[0]].lower / slopes[0]:.4f}")],
    )


if __name__ == "__main__":
    main(draw, __doc__)
