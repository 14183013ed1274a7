"""A fractal in the plane, by particles, generators and scores.

**Seeds:** paper, figure 7; talk, "Sierpinski carpet".

**Setting:** 4096 points of the carpet of level 4, one in each dark cell, 10 wide; as many new ones: KL particles, the
KL (f, Γ)-GAN, a WGAN with gradient penalty, and a variance-exploding score model. Every default of ours; the rivals as
tuned for the page [Which method when](which-method.md). W2 ratio: 1 is a fresh carpet.

**What differs:** published, none but the particles find the holes. Here the others find the largest, the particles
those of three levels.
"""

import numpy as np
from plates import Choice, Plate, main

from benchmarks.rival_fields import score_model
from benchmarks.rival_others import wgan_gp
from proxflow import GammaGAN, ParticleTransport, wasserstein
from proxflow.data.sets import sierpinski_carpet
from proxflow.plots.style import PARTICLES, TARGET, bare_axes, headline, new_figure

LARGEST = 2000  # of the points: exact transport of 4096 takes ten times as long


def in_holes(points: np.ndarray, levels: int) -> float:
    """The share of points in holes of the carpet's first levels."""
    digits = [np.floor(points / 10.0 * 3**level) % 3 for level in range(1, levels + 1)]
    return float(np.mean(np.any([(digit == 1).all(axis=1) for digit in digits], axis=0)))


def draw(choice: Choice) -> Plate:
    """Make a carpet by every method, and count who sits in its holes."""
    count = 100 if choice.quick else 4096
    target, test, real = (10.0 * sierpinski_carpet(count, choice.seed + i, one_per_cell=True) for i in range(3))
    few = {"steps": 5} if choice.quick else {}
    run = ParticleTransport(random_state=choice.seed, **few).fit(target)
    clouds = {"target": target, "particles (GPA)": run.particles_}
    if not choice.quick:
        clouds["(f, Γ)-GAN"] = GammaGAN(random_state=choice.seed).fit(target).sample(count, random_state=choice.seed)
    for name, fit in list(RIVALS.items())[: 1 if choice.quick else 2]:
        clouds[name] = np.asarray(fit(target, choice.seed, **few)(count, choice.seed))

    figure = new_figure(9.0, 6.2)
    panels = figure.subplots(2, 3).ravel()
    rows, floor = [], wasserstein(real[:LARGEST], test[:LARGEST])
    for axes, (name, points) in zip(panels, clouds.items(), strict=False):
        axes.scatter(*points.T, s=0.9, color=TARGET if name == "target" else PARTICLES, linewidths=0)
        axes.set(xlim=(-0.5, 10.5), ylim=(-0.5, 10.5), aspect="equal")
        bare_axes(axes, title=name)
        if name != "target":
            ratio = wasserstein(points[:LARGEST], test[:LARGEST]) / floor
            shares = ", ".join(f"{in_holes(points, levels):.1%}" for levels in (1, 2, 3))
            rows.append((f"{name}: W2 ratio; in holes of the first 1, 2, 3 levels", "", f"{ratio:.2f}; {shares}"))
    panels[-1].semilogy(run.history_["fisher"], color=PARTICLES, linewidth=0.8)
    bare_axes(panels[-1], labels=("step",), title="particles: mean squared slope")
    headline(figure, f"{count:,} points of a fractal, and as many new ones")
    rows.append(("all of the plane: in holes", "", ", ".join(f"{1 - (8 / 9) ** k:.1%}" for k in (1, 2, 3))))
    return Plate(figure, rows)


RIVALS = {"WGAN-GP": wgan_gp, "score model": score_model}

if __name__ == "__main__":
    main(draw, __doc__)
