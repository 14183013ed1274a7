"""New digits from few, from more, from many.

**Seeds:** paper, figure 16.

**Setting:** 200, 800 and 3200 MNIST digits of 28 x 28 pixels; 600 particles from the uniform law on [0, 1]⁷⁸⁴, KL, a
convolutional potential; 600 further points of that law carried along by what the first were moved by. 250 steps, each
of which fits its potential to 200 digits and 200 particles drawn afresh, so that it costs the same for any number.

**What differs:** the caption of the figure, with its numbers of digits, is lost; L and the step sizes follow from the
data. The same 500 held-out digits judge all three. W2 ratio: distance to them over that of 500 fresh ones. Near copies:
as near to a training digit as only 5 % of real ones are. Recognised: a classifier of 800 other digits is 80 % sure.
Seconds are of one fit, without the time to compile being taken off.
"""

import time

import numpy as np
from plates import Choice, Plate, main

from benchmarks.digit_sheets import MNIST, DigitJudge, contact_sheet, split_digits, tiles
from proxflow import Convolutional, ParticleTransport
from proxflow.defaults import default_lipschitz
from proxflow.plots.style import INK

BATCH, PARTICLES = 200, 600


def draw(choice: Choice) -> Plate:
    """The same flow for three numbers of digits."""
    split, stand_in = split_digits(choice.real(MNIST), 3200, 500, choice.seed, quick=choice.quick)
    told, most = DigitJudge(split), len(split.train)
    panels, rows = {f"training digits, some of {most}": tiles(split.train, 9, 8, INK)}, []
    for count in [most] if choice.quick else [most // 16, most // 4, most]:
        train = split.train[:count]
        start = time.perf_counter()
        flow = ParticleTransport(
            n_particles=count if choice.quick else PARTICLES, source="uniform",
            gamma="auto" if choice.quick else Convolutional(split.shape, default_lipschitz(train)),
            steps=5 if choice.quick else 250, batch_size=min(BATCH, count), bounds=(0.0, 1.0), random_state=choice.seed,
        ).fit(train)  # fmt: skip
        seconds = time.perf_counter() - start
        carried = np.clip(flow.sample(len(flow.particles_), method="replay"), 0.0, 1.0)
        panels[f"carried along, from {count}"] = tiles(carried, 9, 8)
        rows.append((f"{count} digits: particles moved", "", told(flow.particles_, train).said(f"{seconds:.0f} s")))
        rows.append((f"{count} digits: carried along", "", told(carried, train).said()))
    rows.append(("fresh real digits", "", told(split.fresh).said()))
    figure = contact_sheet([panels], split.shape, "New digits, by how many there are to learn from")
    return Plate(figure, rows, stand_in)


if __name__ == "__main__":
    main(draw, __doc__)
