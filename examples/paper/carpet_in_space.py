"""A fractal sheet in space, found from a Gaussian.

**Seeds:** paper, figure 1; poster, "Learning low-dimensional data manifold"; README, the first picture.

**Setting:** 4096 points of Sierpinski's carpet of level 4, one in each dark cell, 6 wide, on the floor of R³; as many
particles from N(0, I) in R³; KL, every default. Four times of the flow.

**What differs:** the published run has L = 1 and a step chosen by hand; here both follow from the data, and the run
stops by itself. W2 ratio: distance to a fresh carpet over that of two fresh carpets, so 1 is a perfect sample.
"""

import numpy as np
from plates import Choice, Plate, main

from proxflow import ParticleTransport, plots, wasserstein
from proxflow.data.sets import sierpinski_carpet

LARGEST = 2000  # of the points: exact transport of 4096 takes ten times as long


def draw(choice: Choice) -> Plate:
    """Move the particles; measure how near the plane and the carpet they come."""
    count = 100 if choice.quick else 4096
    target, *fresh = (
        6.0 * sierpinski_carpet(count, choice.seed + i, dimension=3, one_per_cell=True) - (3.0, 3.0, 0.0)
        for i in range(3)
    )
    source = np.random.default_rng(choice.seed).normal(size=(count, 3))
    run = ParticleTransport(steps=10 if choice.quick else 500, random_state=choice.seed).fit(target, source)
    new = run.particles_[:LARGEST]
    ratio = wasserstein(new, fresh[0][:LARGEST]) / wasserstein(fresh[1][:LARGEST], fresh[0][:LARGEST])
    height = float(np.sqrt(np.mean(run.particles_[:, 2] ** 2)))
    return Plate(
        plots.particles_over_time(run.trajectory_, target, columns=("x", "y", "z"), panels=4),
        [
            ("root mean square distance from the plane at the end (start: 1)", "", f"{height:.1g}"),
            ("W2 ratio", "", f"{ratio:.2f}"),
            ("steps until it stopped", "", str(run.n_steps_)),
        ],
    )


if __name__ == "__main__":
    main(draw, __doc__)
