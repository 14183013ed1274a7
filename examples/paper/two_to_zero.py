"""From 2 to 0 in 784 dimensions.

**Seeds:** README, "2 to 0".

**Setting:** half of the 2s of 3500 MNIST digits move onto half of the 0s, α-divergence with α = 2, a convolutional
potential of 28 x 28 pixels. The other halves take no part: the 2s among them are carried along, the 0s judge, and so
does a classifier of 1500 other digits.

**What differs:** the published L is 1, ours follows from the data, as does the step. The README shows a moving picture
and prints no numbers. W2 ratio: distance to held-out 0s over that of real 0s. Ink kept: correlation of a digit's ink
before and after, so 1 if thin 2s become thin 0s. Detour: how far the 2s went over what exact transport to where they
arrived would take, root mean squares. What is weak: many a 0 is nearly one of the training 0s, for there are about as
many of them as of 2s.
"""

import numpy as np
from plates import Choice, Plate, main
from sklearn.svm import SVC

from benchmarks.digit_sheets import MNIST, contact_sheet, split_digits
from proxflow import Convolutional, ParticleTransport, nearest_distance, wasserstein
from proxflow.defaults import default_lipschitz
from proxflow.plots.style import INK, PARTICLES

TIMES = (0, 20, 50, 100, 300)


def draw(choice: Choice) -> Plate:
    """Move the 2s, carry others along, ask a classifier."""
    split, stand_in = split_digits(choice.real(MNIST), 1500, 1, choice.seed, quick=choice.quick)
    machine = SVC(C=10.0).fit(split.train, split.train_labels)
    images, labels = split.rest, split.rest_labels
    most = 20 if choice.quick else len(images)
    (twos, other_twos), (zeros, other_zeros) = (np.array_split(images[labels == digit][:most], 2) for digit in (2, 0))
    flow = ParticleTransport(
        "alpha", alpha=2.0, bounds=(0.0, 1.0), steps=5 if choice.quick else 300, random_state=choice.seed,
        gamma="auto" if choice.quick else Convolutional(split.shape, default_lipschitz(zeros)),
    ).fit(zeros, twos)  # fmt: skip
    new, carried = flow.particles_, np.clip(flow.transform(other_twos), 0.0, 1.0)
    real = wasserstein(zeros, other_zeros)

    def said(digits: np.ndarray, before: np.ndarray) -> str:
        share = np.mean(machine.predict(digits) == 0)
        kept = np.corrcoef(digits.mean(axis=1), before.mean(axis=1))[0, 1]
        return f"{share:.0%} are 0s, W2 ratio {wasserstein(digits, other_zeros) / real:.2f}, ink kept {kept:.2f}"

    went = np.sqrt(np.mean(np.sum((new - twos) ** 2, axis=1)))
    edge = np.quantile(nearest_distance(other_zeros, zeros), 0.05)
    looks = dict(flow.trajectory_)
    shown = {step: looks[step][:34] for step in sorted({min(looks, key=lambda at: abs(at - time)) for time in TIMES})}
    figure = contact_sheet(
        [
            {"2s that move, after " + ", ".join(map(str, shown)) + " steps": [
                (points, INK if step == 0 else PARTICLES) for step, points in shown.items()
            ]},
            {"2s that took no part, carried along": [(other_twos[:34], INK), (carried[:34], PARTICLES)]},
        ],
        split.shape, f"{len(twos)} 2s become 0s",
    )  # fmt: skip
    rows = [
        ("2s moved", "", said(new, twos)),
        ("2s carried along", "", said(carried, other_twos)),
        ("real 0s", "", f"{np.mean(machine.predict(other_zeros) == 0):.0%} are 0s, W2 ratio 1.00"),
        ("detour of the 2s moved", "", f"{went / wasserstein(new, twos):.2f}"),
        ("near copies of training 0s among the 2s moved (real 0s: 5%)", "",
         f"{np.mean(nearest_distance(new, zeros) <= edge):.0%}"),
    ]  # fmt: skip
    return Plate(figure, rows, stand_in)


if __name__ == "__main__":
    main(draw, __doc__)
