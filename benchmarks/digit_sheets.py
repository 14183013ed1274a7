"""Handwritten digits for the pictures of `examples/paper`: where they come from, how they are judged, how drawn.

    digits = few to learn from | fresh | test | rest        MNIST from a file, else scikit-learn's; ink 1, paper 0

Real digits are drawn in black ink, made ones in blue, all on one scale. Bad at: colours, and digits of other sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgb
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from proxflow.data.mnist import MnistSplit, load_mnist_split
from proxflow.plots.style import INK, PARTICLES, headline, new_figure
from proxflow.trust import Judgement, judge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MNIST = "mnist_5k/mnist_5k.npz"
SURE = 0.8
NO_MNIST = "No MNIST at hand (5000 digits in `mnist_5k.npz`): drawn with scikit-learn's digits of 8 x 8 pixels."

Strip = tuple[np.ndarray, str]  # one row of tiles, and its ink


def split_digits(path: Path | None, few: int, held: int, seed: int, *, quick: bool = False) -> tuple[MnistSplit, str]:
    """Shuffle and part the digits, few | held | held | rest; and what was not to be had.

    Without a path scikit-learn's, at most 400 a part; quick: 30 | 30 | 30 | 310, alike so as to compile once.
    """
    if path is not None and not quick:
        return load_mnist_split(few, held, seed, path), ""
    images, labels = load_digits(return_X_y=True)
    few, held = (30, 30) if quick else (min(few, 400), min(held, 400))
    order = np.random.default_rng(seed).permutation(len(images))[: 400 if quick else None]
    parts = np.split(order, np.cumsum([few, held, held]))
    said = NO_MNIST if path is None else "Drawn with scikit-learn's digits of 8 x 8 pixels, to see that it runs."
    return MnistSplit(*(images[rows] / 16 for rows in parts), *(labels[rows] for rows in parts), (8, 8)), said


@dataclass(frozen=True)
class Score:
    """A judgement, and how many digits a classifier of other digits is 80 % sure of."""

    judgement: Judgement
    recognised: float

    def said(self, *more: str) -> str:
        """In one line; `more` goes behind."""
        told = self.judgement
        parts = [f"W2 ratio {told.closeness:.2f}", f"recognised {self.recognised:.0%}"]
        return ", ".join([*parts, f"near copies {told.near_copies:.0%}", f"spread {told.spread:.2f}", *more])


class DigitJudge:
    """Scores of made digits by those held out, and by a support vector machine that learned from others."""

    def __init__(self, split: MnistSplit, most: int = 2000) -> None:
        others, labels = split.rest[:most], split.rest_labels[:most]
        slope = 15.7 / split.train.shape[1]  # 0.02 at 784 pixels
        machine = SVC(C=10.0, gamma=slope)
        self.split, self.classifier = split, CalibratedClassifierCV(machine, ensemble=False).fit(others, labels)

    def __call__(self, made: np.ndarray, train: np.ndarray | None = None) -> Score:
        """Of made digits in [0, 1], shape (m, d), learned from `train`: the split's unless given."""
        split = self.split
        told = judge(made, split.train if train is None else train, split.fresh, split.test, basis="held-out digits")
        return Score(told, float(np.mean(self.classifier.predict_proba(made).max(axis=1) > SURE)))


def nearest(made: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The real digit nearest to each made one, shape (m, d)."""
    squares = (made**2).sum(axis=1)[:, None] + (real**2).sum(axis=1) - 2 * made @ real.T
    return real[squares.argmin(axis=1)]


def tiles(images: np.ndarray, columns: int, rows: int, ink: str = PARTICLES) -> list[Strip]:
    """The first columns x rows images, row by row."""
    return [(images[start : start + columns], ink) for start in range(0, min(len(images), columns * rows), columns)]


def over_nearest(made: np.ndarray, real: np.ndarray, columns: int, rows: int) -> list[Strip]:
    """Rows of made digits, each above its nearest real one."""
    pairs = zip(tiles(made, columns, rows), tiles(nearest(made, real), columns, rows, INK), strict=True)
    return [strip for pair in pairs for strip in pair]


def contact_sheet(
    lines: Sequence[Mapping[str, Sequence[Strip]]], shape: tuple[int, int], title: str, second: str = "",
    room: int = 0,
) -> Figure:  # fmt: skip
    """Lines of panels, each panel named above it; a tile's pixel is a whole number of the picture's.

    Below the title so many pixels stay free for axes of the caller.
    """
    drawn = [{said: _sheet(strips, shape) for said, strips in line.items()} for line in lines]
    wide = [sum(sheet.shape[1] for sheet in line.values()) for line in drawn]
    zoom = max(1, min((MOST - GAP * (len(line) + 1)) // pixels for line, pixels in zip(drawn, wide, strict=True)))
    width = max(max(zoom * pixels + GAP * (len(line) + 1) for line, pixels in zip(drawn, wide, strict=True)), LEAST)
    down, places = (78 if second else 48) + room, []
    for line in drawn:
        left, down = GAP, down + NAME
        for said, sheet in line.items():
            places.append((said, sheet, left, down))
            left += zoom * sheet.shape[1] + GAP
        down += zoom * max(sheet.shape[0] for sheet in line.values()) + 15
    figure = new_figure(width / DPI, down / DPI)
    figure.set_layout_engine("none")
    for said, sheet, left, above in places:
        tall, wider = (zoom * side for side in sheet.shape[:2])
        axes = figure.add_axes((left / width, 1 - (above + tall) / down, wider / width, tall / down))
        axes.imshow(sheet, aspect="auto", interpolation="nearest")
        axes.axis("off")
        figure.text(left / width, 1 - (above - 7) / down, said, fontsize=9, color=INK, va="bottom")
    headline(figure, title, second)
    return figure


DPI, MOST, LEAST, GAP, NAME = 150, 1080, 600, 18, 39  # of `save_figure`; of a sheet, in its pixels


LEVELS = 10


def _sheet(strips: Sequence[Strip], shape: tuple[int, int]) -> np.ndarray:
    """RGB of few levels, for the file's size: strips below one another, their tiles side by side, thin gaps between."""
    height, width = shape
    gap = max(1, round(0.05 * height))
    columns = max(len(images) for images, _ in strips)
    paper = np.ones((len(strips) * (height + gap), columns * (width + gap), 3))
    for row, (images, ink) in enumerate(strips):
        for column, image in enumerate(np.round(LEVELS * np.clip(images, 0.0, 1.0)) / LEVELS):
            top, left = row * (height + gap), column * (width + gap)
            tile = 1 - image.reshape(height, width, 1) * (1 - np.array(to_rgb(ink)))
            paper[top : top + height, left : left + width] = tile
    return paper
