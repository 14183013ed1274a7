"""A GAN for which 200 digits are too few, and 200 with 1200 made from them.

**Seeds:** paper, figure 9; poster, "WGAN on MNIST".

**Setting:** a WGAN learns from 200 MNIST digits; from 1400; from the first 200 with 600 particles that were moved onto
them and 600 that were carried along (the picture of 600 new digits from 200 says how). Each makes 600 digits.

**What differs:** the WGAN has a critic of orthonormal layers and dense networks, so that its digits are rougher than
the published ones; L and steps of the flow follow from the data. The poster says that the WGAN learns nothing from
200, draws at a moderate quality from 1400, and alike from the augmented ones. Here it learns from 200 already, and more
digits help little, real ones or made ones: what holds it back is the WGAN. No numbers are printed. W2 ratio and energy
distance are to 600 test digits, the first over that of 600 fresh ones; recognised: a classifier of other digits is 80 %
sure; near copies and spread are by the first 200 digits.
"""

import time

import numpy as np
from plates import Choice, Plate, main

from benchmarks.digit_sheets import MNIST, DigitJudge, contact_sheet, split_digits, tiles
from benchmarks.wgan import wgan
from proxflow import Convolutional, ParticleTransport
from proxflow.defaults import default_lipschitz
from proxflow.plots.style import INK


def draw(choice: Choice) -> Plate:
    """Make more digits of few, then train three times."""
    split, stand_in = split_digits(choice.real(MNIST), 200, 600, choice.seed, quick=choice.quick)
    few, many, half = split.train, len(split.test), len(split.rest) // 2
    told, others = DigitJudge(split, half), split.rest[half:][: 2 * many]
    flow = ParticleTransport(
        n_particles=many, source="uniform", bounds=(0.0, 1.0), steps=5 if choice.quick else 250,
        gamma="auto" if choice.quick else Convolutional(split.shape, default_lipschitz(few)), random_state=choice.seed,
    ).fit(few)  # fmt: skip
    made = np.concatenate([flow.particles_, np.clip(flow.sample(many, method="replay"), 0.0, 1.0)])
    sets = {
        f"{len(few)}": few,
        f"{len(few) + len(others)}": np.concatenate([few, others]),
        f"{len(few)} + {len(made)} made": np.concatenate([few, made]),
    }
    panels = {f"{len(few)} real digits, some": tiles(few, 9, 8, INK)}
    rows = [(f"the {len(made)} made by the flow", "", _said(told, made))]
    for name, digits in list(sets.items())[-1 if choice.quick else 0 :]:
        start = time.perf_counter()
        new = wgan(digits, many, choice.seed, steps=5 if choice.quick else 2000)
        rows.append((f"WGAN of {name}", "", f"{_said(told, new)}, {time.perf_counter() - start:.0f} s"))
        panels[f"WGAN of {name}"] = tiles(new, 9, 8)
    rows.append((f"{many} fresh real digits", "", _said(told, split.fresh)))
    return Plate(contact_sheet([panels], split.shape, "What a WGAN draws"), rows, stand_in)


def _said(told: DigitJudge, digits: np.ndarray) -> str:
    score = told(digits)
    return score.said(f"energy distance {score.judgement.energy:.3f}")


if __name__ == "__main__":
    main(draw, __doc__)
