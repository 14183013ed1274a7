"""New digits with labels: as many of each as asked for, from one flow whose network sees the label.

    python examples/labelled_samples.py [--quick] [--separate] [--out labels.png]

A support vector machine that has seen none of them says how many are what they were asked to be. Bad at: saying
whether they are new; see examples/memorisation.py.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from proxflow import LabelledTransport, ParticleTransport, plots

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="three classes and few steps: to see that it runs")
parser.add_argument("--separate", action="store_true", help="one flow per class instead of one for all")
parser.add_argument("--out", type=Path, help="a .png file: a row of new digits for each class")
choice = parser.parse_args()

images, labels = load_digits(return_X_y=True)
if choice.quick:
    images, labels = images[labels < 3], labels[labels < 3]
order = np.random.default_rng(0).permutation(len(images))
train, rest = order[:200], order[200:]
classes = np.unique(labels)

settings = {"n_particles": 20 * len(classes), "bounds": (0.0, 16.0), "random_state": 0}
base = ParticleTransport(steps=20 if choice.quick else 500, **settings)
way = "separate" if choice.separate else "joint"
flow = LabelledTransport(base, labels=way, proportions="equal").fit(images[train], labels[train])

judge = SVC().fit(images[rest], labels[rest])
of_train = np.bincount(labels[train])
print(f"{len(train)} digits ({', '.join(map(str, of_train))} of each) became {len(flow.particles_)}, labels {way}")
print(f"named as asked: {judge.score(flow.particles_, flow.labels_):.3f}")

# Others in other proportions: the flow again, from fresh source points.
more, their = flow.sample(40, proportions={classes[0]: 3, classes[1]: 1})
print(f"{np.sum(their == classes[0])} and {np.sum(their == classes[1])} more,", end=" ")
print(f"named as asked: {judge.score(more, their):.3f}")

if choice.out:
    rows = flow.particles_[np.argsort(flow.labels_, kind="stable")]
    sheet = plots.image_grid(rows, (8, 8), columns=20, title=f"New digits by the label asked for ({way})")
    plots.save_figure(sheet, choice.out)
    print(f"{choice.out}: {choice.out.stat().st_size / 1000:.0f} kB")
