"""Labels on two sides: which classes both have, and whether a difference is one of spelling only.

Bad at: labels that mean different things in spite of the same name; nothing in the data can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxflow.labels import codes_of
from proxflow.proportions import listed

__all__ = ["ONE_CLASS", "Labels", "check_spelling", "codes_or_one", "read_labels"]

ONE_CLASS = "all samples"  # the class of everybody when no labels are given


@dataclass(frozen=True, eq=False)
class Labels:
    """Classes of the samples to move, shape (n,), and of the reference, shape (m,); which are on both sides."""

    source: np.ndarray
    reference: np.ndarray
    shared: list[Any]
    source_only: list[Any]
    given: bool


def codes_or_one(labels: Any, points: np.ndarray, name: str) -> np.ndarray:
    """Return the classes of points (n, d), shape (n,); one class of all if labels is None."""
    if labels is None:
        return np.full(len(points), ONE_CLASS)
    codes = codes_of(labels, points, name)
    return codes.astype(str) if codes.dtype.kind in "US" else codes


def read_labels(ys: Any, yt: Any, xs: np.ndarray, xt: np.ndarray) -> Labels:
    """Return the labels of both sides.

    Raises
    ------
    ValueError
        Labels on one side only, of another length, missing, numbers on one side and text on the other, no class in
        common, or two classes that differ by spelling only.
    """
    if (ys is None) != (yt is None):
        side, other = ("ys", "yt") if yt is None else ("yt", "ys")
        raise ValueError(f"{side} without {other}: give the labels of both sides, or of neither.")
    source, reference = codes_or_one(ys, xs, "ys"), codes_or_one(yt, xt, "yt")
    if (source.dtype.kind == "U") != (reference.dtype.kind == "U"):
        raise ValueError(
            f"ys has {listed(np.unique(source))} and yt has {listed(np.unique(reference))}: numbers on one side and"
            " text on the other. Make both text."
        )
    check_spelling(np.unique(source).tolist(), np.unique(reference).tolist(), "ys", "yt")
    ours, theirs = np.unique(source).tolist(), set(np.unique(reference).tolist())
    shared = [c for c in ours if c in theirs]
    if not shared:
        raise ValueError(
            f"no class is on both sides: ys has {listed(np.unique(source))}, yt has {listed(np.unique(reference))}."
            " Rename them, or give no labels."
        )
    return Labels(source, reference, shared, [c for c in ours if c not in theirs], ys is not None)


def check_spelling(ours: Sequence[Any], theirs: Sequence[Any], our_name: str, their_name: str) -> None:
    """Raise ValueError for a class that is on one side only but for capitals, blanks or punctuation."""
    plain = {_plain(c): c for c in theirs if c not in set(ours)}
    for c in ours:
        if c not in set(theirs) and _plain(c) in plain:
            raise ValueError(
                f"{c!r} in {our_name} and {plain[_plain(c)]!r} in {their_name} differ by spelling only:"
                " rename one of them."
            )


def _plain(label: Any) -> str:
    """A label without what people spell differently. Signs stay: ER+ is not ER-, nor <5 >5."""
    return "".join(letter for letter in str(label).casefold() if letter.isalnum() or letter in "+-<>=.")
