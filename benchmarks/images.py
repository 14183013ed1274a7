"""MNIST, 28 x 28 pixels: 200 digits become 600, judged by 600 fresh, 600 test digits and a classifier.

The classifier is a support vector machine trained on the 3600 other digits of 5000. ratio: W2 to the test digits over
that of fresh ones. recognised: share to which the classifier gives one class with a probability above 0.8. faint: share
of pixels with 2 to 20 % ink, of which ghosts and speckle are made. distance: median to the nearest training digit over
that of test digits.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.svm import SVC

from benchmarks.measure import table
from proxflow import Convolutional, ParticleTransport
from proxflow.data.mnist import MnistSplit, load_mnist_split
from proxflow.defaults import default_lipschitz
from proxflow.trust import judge

DATA = Path(os.environ.get("PROXFLOW_DATA", "../shared/data"))
ABSENT = "Not measured here: no MNIST at `mnist_5k/mnist_5k.npz` below `../shared/data` (or $PROXFLOW_DATA).\n"
SETTINGS: dict[str, Any] = {"bounds": (0.0, 1.0), "memory_budget": 0.0, "random_state": 0}
SURE = 0.8
EACH, OF_EACH = 20, 60  # training digits and new ones, of every class

HEADER = ["", "ratio (reach 1.05)", "recognised", "faint", "distance", "near copies", "spread", "fit"]


@cache
def _split() -> MnistSplit | None:
    file = DATA / "mnist_5k" / "mnist_5k.npz"
    return load_mnist_split(path=file) if file.exists() else None


@cache
def _classifier() -> CalibratedClassifierCV:
    split = _split()
    return CalibratedClassifierCV(SVC(C=10.0, gamma=0.02), ensemble=False).fit(split.rest, split.rest_labels)


def _recognised(images: np.ndarray) -> float:
    return float(np.mean(_classifier().predict_proba(images).max(axis=1) > SURE))


def _faint(images: np.ndarray) -> float:
    return float(np.mean((images > 0.02) & (images < 0.2)))


def _row(name: str, new: np.ndarray, seconds: float | None = None, train: np.ndarray | None = None) -> list[object]:
    split = _split()
    found = judge(new, split.train if train is None else train, split.fresh, split.test, basis="")
    return [
        name, f"{found.closeness:.3f}", f"{_recognised(new):.3f}", f"{_faint(new):.3f}",
        f"{found.nearest_new / found.nearest_real:.2f}", f"{found.near_copies:.2f}", f"{found.spread:.2f}",
        "" if seconds is None else f"{seconds:.0f} s",
    ]  # fmt: skip


def _made(train: np.ndarray, **changes: Any) -> tuple[np.ndarray, float]:
    """600 new digits clipped to the box, and how long that took with compilation."""
    start = time.perf_counter()
    new = ParticleTransport(**{"n_particles": 600, **SETTINGS, **changes}).fit(train).particles_
    return np.clip(new, 0.0, 1.0), time.perf_counter() - start


def main() -> str:
    split = _split()
    if split is None:
        return ABSENT
    rows = [_row("real: fresh digits", split.fresh)]
    rows.append(_row("copies: the training digits", split.train))
    for name, changes in {
        "defaults: GroupSort seen through a blur": {},
        'no blur: gamma="groupsort"': {"gamma": "groupsort"},
        "no smoothing": {"smoothing": 0.0},
        "no box: the digits' span, clipped at the end": {"bounds": None},
    }.items():
        rows.append(_row(name, *_made(split.train, **changes)))
    return table(HEADER, rows)


def convolutions() -> str:
    """The papers' source, uniform on [0, 1]^784, and convolutional potentials: the same judges."""
    split = _split()
    if split is None:
        return ABSENT
    slope = default_lipschitz(split.train)
    rows = []
    for name, changes in {
        "convolutions": {"gamma": Convolutional((28, 28), slope), "steps": 400},
        "defaults": {},
    }.items():
        rows.append(_row(name, *_made(split.train, source="uniform", **changes)))
    return table(HEADER, rows)


def classes() -> str:
    """One flow per class, 20 digits become 60. right: share recognised as the class that was asked for."""
    split = _split()
    if split is None:
        return ABSENT
    known, labels = np.concatenate([split.train, split.fresh]), np.concatenate([split.train_labels, split.fresh_labels])
    new, train, start = [], [], time.perf_counter()
    for digit in range(10):
        train.append(known[labels == digit][:EACH])
        new.append(ParticleTransport(n_particles=OF_EACH, **SETTINGS).fit(train[-1]).particles_)
    seconds, asked = time.perf_counter() - start, np.repeat(np.arange(10), OF_EACH)
    right = _classifier().predict(np.concatenate(new)) == asked
    each = ", ".join(f"{share:.2f}" for share in right.reshape(10, OF_EACH).mean(axis=1))
    real = float(np.mean(_classifier().predict(split.test) == split.test_labels))
    row = _row("600 of ten flows", np.concatenate(new), seconds, np.concatenate(train))
    header = [*HEADER, "right", "of real digits"]
    return table(header, [[*row, f"{right.mean():.3f}", f"{real:.3f}"]]) + f"\nRight, of 0 to 9: {each}.\n"


def pairs() -> str:
    """From class to class: every 2 of 1400 digits moves onto the 0s among them, `fit(zeros, twos)`, defaults."""
    split = _split()
    if split is None:
        return ABSENT
    known = np.concatenate([split.train, split.fresh, split.test])
    labels = np.concatenate([split.train_labels, split.fresh_labels, split.test_labels])
    twos, zeros = known[labels == 2], known[labels == 0]
    start = time.perf_counter()
    moved = ParticleTransport(**SETTINGS).fit(zeros, twos).particles_
    seconds = time.perf_counter() - start
    shares = [f"{np.mean(_classifier().predict(images) == 0):.3f}" for images in (moved, zeros, twos)]
    header = ["", "moved 2s", "real 0s", "2s before", "fit"]
    return table(header, [["recognised as 0", *shares, f"{seconds:.0f} s"]])


if __name__ == "__main__":
    print(main(), convolutions(), classes(), pairs(), sep="\n")
