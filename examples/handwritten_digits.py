"""New handwritten digits, and 2s turned into 0s: a picture, and how good they are.

    python examples/handwritten_digits.py [--quick] [--mnist PATH] [--out digits.png] [--pairs pairs.png]

With MNIST (an NPZ file or a folder of IDX files): 200 digits of 28 x 28 pixels become 600. Without: scikit-learn's
digits of 8 x 8. Bad at: novelty, for 200 digits do not say what else people write; see the near copies.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from proxflow import ParticleTransport, plots
from proxflow.data.digits import load_digits_split
from proxflow.data.mnist import load_mnist_split
from proxflow.trust import judge

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few digits and steps: to see that it runs")
parser.add_argument("--mnist", help="where MNIST is; the small digits if not given")
parser.add_argument("--out", type=Path, help="a .png file: training digits above new ones")
parser.add_argument("--pairs", type=Path, help="a .png file: 2s above the 0s they became")
choice = parser.parse_args()

count = 60 if choice.quick else 600
if choice.mnist:
    split = load_mnist_split(n_test=count, path=choice.mnist)
    images, labels = (
        np.concatenate([split.train, split.fresh]),
        np.concatenate([split.train_labels, split.fresh_labels]),
    )
else:
    split = load_digits_split(n_test=count)
    images, labels = load_digits(return_X_y=True)
settings = {
    "bounds": (split.low, split.high),
    "memory_budget": 0.0,
    "steps": 20 if choice.quick else 500,
    "random_state": 0,
}

transport = ParticleTransport(n_particles=count, **settings).fit(split.train)
new = transport.particles_
found = judge(new, split.train, split.fresh, split.test, basis=f"{count} held-out digits")
print(f"{len(split.train)} digits became {count}; {transport.settings_['gamma']}, {transport.stopped_}")
print("\n".join(found.sentences()))
if choice.out:
    sheet = plots.image_pairs(
        split.train, new[: len(split.train)], split.shape, labels=("training", "new"), columns=22, rows=4,
        title="Training digits above new ones, in no order",
    )  # fmt: skip
    plots.save_figure(sheet, choice.out)
    print(f"{choice.out}: {choice.out.stat().st_size / 1000:.0f} kB")

twos, zeros = images[labels == 2], images[labels == 0]
moved = ParticleTransport(**settings).fit(zeros, twos).particles_
print(f"{len(twos)} twos moved by {np.linalg.norm(moved - twos, axis=1).mean():.2f} on average")
if choice.pairs:
    sheet = plots.image_pairs(
        twos, moved, split.shape, labels=("a 2", "moved"), columns=22, rows=2, title="From 2 to 0"
    )
    plots.save_figure(sheet, choice.pairs)
    print(f"{choice.pairs}: {choice.pairs.stat().st_size / 1000:.0f} kB")
