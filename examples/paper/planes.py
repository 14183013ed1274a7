"""Sets on a plane inside R^d, by the Wasserstein-1 and Wasserstein-2 proximals together.

**Seeds:** talk, "low-d structure", "table 1".

**Setting:** moons (noise 0.05, radius 4.2) and a pinwheel of five arms on the plane of the first two coordinates of R²,
R⁷ and R¹²; 5000 samples, N(0, I) in R^d carried by one velocity field (`ProximalFlow`). Every default, the same
for all six. Debiased Sinkhorn divergence (p = 2, blur 0.05, W2² / 2 for short) on the plane between 5000 new samples
and 5000 that training has not seen.

**What differs:** the published numbers are of 25,000 training steps; how many draws they are of is not said, and one
draw of a Gaussian decides how many samples each moon or arm gets. So here each number is a mean of two independent
draws of the source, as published, and of two even (quasi-random) ones, which leave that luck out; "equal shares" is a
fresh sample with as many samples of every moon or arm. Off the plane: root mean square distance.
"""

import numpy as np
from plates import Choice, Plate, main

from benchmarks.planes import COUNT, PUBLISHED, UNSEEN
from proxflow import ProximalFlow, sinkhorn_divergence
from proxflow.data.planes import PLANES
from proxflow.plots.style import PARTICLES, TARGET, bare_axes, headline, legend, new_figure

DRAWS = (1, 2)


def draw(choice: Choice) -> Plate:
    """Train six flows; measure them on the plane and off it; draw those of R¹²."""
    count = 60 if choice.quick else COUNT
    settings = {"steps": 2, "batch_size": 16, "width": 4, "depth": 1, "time_steps": 2} if choice.quick else {}
    rows, figure = [], new_figure(9.0, 5.4)
    grid = figure.subplots(2, 3)
    for line, (kind, sample) in zip(grid, PLANES.items(), strict=True):
        unseen = sample(count, 2, UNSEEN + choice.seed)
        fresh = sinkhorn_divergence(sample(count, 2, choice.seed + 1), unseen, blur=0.05)
        for axes, d in zip(line, (2, 7, 12), strict=True):
            bare_axes(axes, title=f"{kind}, from R{'²⁷¹'[(2, 7, 12).index(d)]}{'²' * (d == 12)}")
            axes.scatter(*sample(count, 2, choice.seed).T, s=1.5, color=TARGET, linewidths=0)
            axes.set_aspect("equal")
            if choice.quick and (kind, d) != ("moons", 7):
                continue
            flow = ProximalFlow(source="standard", random_state=choice.seed, **settings)
            flow.fit(sample(count, d, choice.seed))
            scores = {}
            for even in (False, True):
                clouds = [flow.sample(count, i, quasi_random=even) for i in DRAWS]
                scores[even] = np.mean([sinkhorn_divergence(c[:, :2], unseen, blur=0.05) for c in clouds])
            off = float(np.sqrt(np.mean(np.sum(clouds[-1][:, 2:] ** 2, axis=1))))
            axes.scatter(*clouds[-1][:, :2].T, s=1.5, color=PARTICLES, linewidths=0)
            rows.append(
                (
                    f"{kind}, d = {d}", f"{PUBLISHED[kind, d]:g}",
                    f"{scores[False]:.4f} (even draws {scores[True]:.4f}, equal shares {fresh:.4f})"
                    + (f", {off:.4f} off the plane" if d > 2 else ""),
                )
            )  # fmt: skip
    headline(figure, "New samples, seen on the plane", "even draws")
    legend(figure, [("data", TARGET), ("new", PARTICLES)])
    return Plate(figure, rows)


if __name__ == "__main__":
    main(draw, __doc__)
