"""A rolled sheet from 200 points, and a generator that learns from what the particles make of them.

**Seeds:** paper, figure 6; README, "Swiss roll", "data augmentation".

**Setting:** 200 points of the Swiss roll in R³ become 5000 by KL particles, stopped before one in ten is a near copy
(`max_copies=0.1`); then the same KL (f, Γ)-GAN is trained on the 200, on 200 + 5000, and, to see what more data would
do, on 5200 real points. Seen along the roll's axis. W2 ratio: 1 is a fresh sample.

**What differs:** published, the GAN on 200 points breaks down altogether. The GAN here begins from a Gaussian matched
to the data and has a tight potential: it does not break down, but misses modes and says so, and augmentation mends
that. No augmentation knows what 200 points do not say; real data are worth more.
"""

import numpy as np
from plates import Choice, Plate, main

from proxflow import GammaGAN, ParticleTransport, wasserstein
from proxflow.data.sets import swiss_roll_3d
from proxflow.plots.style import ACCENT, PARTICLES, QUIET, TARGET, bare_axes, headline, new_figure


def draw(choice: Choice) -> Plate:
    """Augment, train three generators, and compare with held-out points."""
    few, many, judged = (40, 80, 60) if choice.quick else (200, 5000, 2000)
    target, test, real = (swiss_roll_3d(n, choice.seed + i) for i, n in enumerate((few, judged, judged)))
    run = ParticleTransport(
        n_particles=many, steps=5 if choice.quick else 500, max_copies=0.1, random_state=choice.seed
    ).fit(target)
    sets = {
        "GAN on 200": target,
        "GAN on 200 + 5000 made": np.concatenate([target, run.particles_]),
        "GAN on 5200 real": swiss_roll_3d(few + many, choice.seed + 7),
    }
    gans = {
        name: GammaGAN(random_state=choice.seed, **({"steps": 5} if choice.quick else {})).fit(points)
        for name, points in list(sets.items())[: 1 if choice.quick else 3]
    }
    clouds = {
        "200 training points": target,
        "5000 particles": run.particles_,
        **{name: gan.sample(judged, random_state=choice.seed) for name, gan in gans.items()},
    }

    figure = new_figure(9.0, 5.4)
    floor, rows = wasserstein(real, test), []
    for place, (name, points) in enumerate(clouds.items()):
        axes = figure.add_subplot(2, 3, place + 1)
        x, _, z = points[:judged].T  # along its axis: only so is a roll seen
        axes.scatter(x, z, s=1.5 if place else 5, color=PARTICLES if place else TARGET, linewidths=0)
        axes.set(xlim=(-12, 15), ylim=(-13, 16), aspect="equal")
        bare_axes(axes, title=name)
        same = points[np.random.default_rng(choice.seed).integers(len(points), size=judged)]  # as many of each
        rows.append((f"{name}: W2 ratio", "", f"{wasserstein(same, test) / floor:.2f}"))
    curves = figure.add_subplot(2, 3, 6)
    for (name, gan), colour in zip(gans.items(), (ACCENT, PARTICLES, QUIET), strict=False):
        curves.plot(gan.history_["value"], color=colour, linewidth=0.6, label=name)
    curves.legend(frameon=False, fontsize=7.5)
    bare_axes(curves, labels=("step",), title="divergence in training")
    headline(figure, "A Swiss roll from 200 points")
    return Plate(figure, rows)


if __name__ == "__main__":
    main(draw, __doc__)
