"""New digits from 200, by method.

**Seeds:** paper, figure 10; README, "scarce data".

**Setting:** 200 MNIST digits of 28 x 28 pixels become 600 by particles moved from the uniform law (GPA: KL,
convolutional potential), by a generator trained against KL-Lipschitz potentials, by a WGAN with gradient penalty, and
by a score model with the probability flow.

**What differs:** the others' networks are dense (the published ones convolutional), of 256 to 512 units, and no rival
was tuned on digits for long: their digits could be better. The README says that of GPA and GANs with networks alike
only the GANs fail at 200 digits, the paper the same of WGAN and score models; neither prints a number. W2 ratio:
distance to 600 test digits over that of 600 fresh ones; spread: variance over the training digits', which small W2
ratios alone do not show; near copies: as near to a training digit as only 5 % of real ones are; recognised: a
classifier of other digits is 80 % sure. Seconds: training, the sample and compilation, on the machine named below.
"""

import time
from collections.abc import Callable

import numpy as np
from plates import Choice, Plate, main

from benchmarks.digit_sheets import MNIST, DigitJudge, contact_sheet, split_digits, tiles
from benchmarks.rival_fields import score_model
from benchmarks.rival_others import wgan_gp
from benchmarks.rival_training import Sampler
from proxflow import Convolutional, GammaGAN, ParticleTransport
from proxflow.defaults import default_lipschitz
from proxflow.plots.style import INK


def draw(choice: Choice) -> Plate:
    """Train, time, sample, judge."""
    split, stand_in = split_digits(choice.real(MNIST), 200, 600, choice.seed, quick=choice.quick)
    told, train, count, quick, seed = DigitJudge(split), split.train, len(split.test), choice.quick, choice.seed

    def particles() -> Sampler:
        gamma = "auto" if quick else Convolutional(split.shape, default_lipschitz(train))
        flow = ParticleTransport(
            n_particles=count, source="uniform", gamma=gamma, steps=5 if quick else 300, bounds=(0.0, 1.0),
            random_state=seed,
        ).fit(train)  # fmt: skip
        return lambda count, seed: flow.particles_

    def generator() -> Sampler:
        gan = GammaGAN(random_state=seed).fit(train)
        return lambda count, seed: gan.sample(count, random_state=seed)

    methods: dict[str, Callable[[], Sampler]] = {
        "GPA": particles,
        "KL-Lipschitz GAN": generator,
        "WGAN": lambda: wgan_gp(train, seed, steps=800, width=256, rate=5e-4, weight=10.0),
        "score model": lambda: score_model(train, seed, steps=1200, width=512, rate=1e-3),
    }
    panels, rows = {f"the {len(train)} digits, some": tiles(train, 11, 6, INK)}, []
    for name, fit in list(methods.items())[: 1 if quick else None]:
        start = time.perf_counter()
        new = np.clip(fit()(count, seed + 1), 0.0, 1.0)
        seconds = time.perf_counter() - start  # after the sample: a fit may return before its work is done
        panels[name] = tiles(new, 11, 6)
        rows.append((name, "", told(new).said(f"{seconds:.0f} s")))
    rows.append((f"{count} fresh real digits", "", told(split.fresh).said()))
    panels["real digits that none has seen"] = tiles(split.fresh, 11, 6, INK)
    named = list(panels.items())
    lines = [dict(named[first : first + 3]) for first in range(0, len(named), 3)]
    return Plate(contact_sheet(lines, split.shape, f"{count} new digits from {len(train)}, by method"), rows, stand_in)


if __name__ == "__main__":
    main(draw, __doc__)
