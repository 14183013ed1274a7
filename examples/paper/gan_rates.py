"""Learning rates: an (f, Γ)-GAN beside a WGAN.

**Seeds:** talk, "CIFAR-10".

**Setting:** the same generator and the same potentials, dense, trained against the KL-Lipschitz divergence and against
W1, by the learning rate of both networks; 1500 pictures, 500 steps of 256. Judged by the energy distance of 500 made
pictures to 500 held-out ones.

**What differs:** the talk's pictures are of CIFAR-10, by convolutional networks and longer runs, and it prints no
numbers: "f-GAN is more stable with respect to learning rates than W-GAN". That is not what comes out here, of four
rates in a short training with one seed: the KL-Lipschitz GAN depends on the rate no less than the WGAN. Given the file
`data_batch_1` of CIFAR-10's Python version, or its archive, the script takes pictures from there. Worst over best: how
much a wrong rate costs, of those tried. Spread: variance over that of the training pictures, lowest of all rates; a
generator that draws the same for any noise has none.
"""

import warnings

import numpy as np
from plates import Choice, Plate, main

from benchmarks.cifar import read_cifar
from benchmarks.digit_sheets import MNIST, split_digits
from proxflow import GammaGAN, energy_distance
from proxflow.plots.style import ACCENT, PARTICLES, QUIET, bare_axes, headline, legend, new_figure

RATES = (3e-4, 1e-3, 3e-3, 1e-2)


def draw(choice: Choice) -> Plate:
    """Train for every rate, twice."""
    if choice.files:
        images = np.random.default_rng(choice.seed).permutation(read_cifar(choice.files[0]))
        train, test, stand_in = images[:1500], images[1500:2000], ""
    else:
        split, stand_in = split_digits(choice.real(MNIST), 1500, 500, choice.seed, quick=choice.quick)
        train, test = split.train, split.test
        stand_in = f"CIFAR-10 was not at hand: MNIST digits stand in. {stand_in}".strip()
    small = {"steps": 5, "width": 16} if choice.quick else {"steps": 500}
    figure, rows = new_figure(7.0, 3.4), []
    axes = figure.add_subplot()
    kinds = (("KL-Lipschitz GAN", "kl", PARTICLES), ("WGAN", "ipm", ACCENT))
    for name, f, colour in kinds[: 1 if choice.quick else 2]:
        found, spreads = [], []
        for rate in RATES[:1] if choice.quick else RATES:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # what they say is in the picture
                gan = GammaGAN(
                    f, learning_rate=rate, potential_learning_rate=rate, bounds=(0.0, 1.0), random_state=choice.seed,
                    **small,
                ).fit(train)  # fmt: skip
            new = gan.sample(len(test))
            found.append(energy_distance(new, test) if np.isfinite(new).all() else np.nan)
            spreads.append(new.var(axis=0).sum() / train.var(axis=0).sum())
        axes.plot(RATES[: len(found)], found, "o-", color=colour, linewidth=1.4, markersize=4)
        said = ", ".join(f"{number:.2f}" for number in found)
        worst = f"worst over best {np.max(found) / np.min(found):.1f}, lowest spread {np.min(spreads):.2f}"
        rows.append((f"{name}: energy distance by rate", "", f"{said}; {worst}"))
    floor = energy_distance(train[: len(test)], test)
    rows.append(("as many real pictures", "", f"{floor:.2f}"))
    axes.axhline(floor, color=QUIET, linewidth=0.7, linestyle=":")
    axes.set(xscale="log", yscale="log")
    bare_axes(axes, labels=["learning rate of both networks", "energy distance to held-out pictures"])
    headline(figure, "How much the learning rate matters", "dotted: real pictures")
    legend(figure, [("KL-Lipschitz GAN", PARTICLES), ("WGAN", ACCENT)])
    return Plate(figure, rows, stand_in)


if __name__ == "__main__":
    main(draw, __doc__, files="CIFAR-10: data_batch_1 of the Python version, or cifar-10-python.tar.gz")
