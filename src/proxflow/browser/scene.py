"""Particles at a few moments, as a browser draws them: two or three coordinates each, in sixteen bits.

    place = low + (q + 32767) / 65534 · (high - low),    q = -32768 for a particle that is lost

[low, high] holds every place within ten frames of the frame; what is farther is lost, as are non-finite numbers. A
frame is then at least 3,000 levels wide, more than a screen has dots. At most 60 moments, spread evenly over the
motion, of 2,000 particles over 2,000 target points: a megabyte in a page, whatever the run was.

Bad at: runs whose last thousandth of the way matters.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from proxflow.arrays import Damaged, read_arrays, write_arrays
from proxflow.plots.style import finite_rows, plural
from proxflow.plots.view import View, choose_moments, fit_view

__all__ = ["MOST", "Backdrop", "Scene", "few_rows"]

MOST = 2000  # of particles, and of target points
_MOMENTS = 60
_REACH = 10.0  # frames beyond the frame
_LOST = -32768
_NAME = 60  # letters of a row's name
_CLASSES = 200
_KIND, _FORMAT = "trajectory", 1


def few_rows(count: int, most: int = MOST) -> npt.NDArray[np.int64]:
    """Return at most so many row numbers, evenly spread over `count` rows, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


@dataclass(frozen=True, eq=False)
class Backdrop:
    """All that stays while particles move: the view, the target in it, and what everything is called.

    goal: (n, k), the target where it is drawn. total: of how many particles and of how many target points those that
    are drawn are. rows, labels: names and classes of the drawn particles, (m,); goal_rows, goal_labels: of the drawn
    target points, (n,); None if they have none. unit: what time counts; kind: what a particle is; called: what its
    number counts, such as rows of a file.
    """

    view: View
    goal: npt.NDArray[np.float64]
    total: tuple[int, int]
    rows: Sequence[str] | None = None
    labels: Sequence[str] | None = None
    goal_rows: Sequence[str] | None = None
    goal_labels: Sequence[str] | None = None
    unit: str = "step"
    kind: str = "particle"
    called: str = "particle"
    paired: bool = True  # row i is the same particle at all times

    @classmethod
    def of(
        cls, target: npt.ArrayLike, first: npt.ArrayLike, columns: Sequence[str] | None = None, *,
        total: tuple[int, int] | None = None, rows: Sequence[str] | None = None, labels: Sequence[str] | None = None,
        goal_rows: Sequence[str] | None = None, goal_labels: Sequence[str] | None = None, unit: str = "step",
        kind: str = "particle", called: str = "particle", paired: bool = True,
    ) -> Backdrop:  # fmt: skip
        """Fit the view to the target (n, d) and the first cloud (m, d).

        Raises
        ------
        ValueError
            Nothing finite in either, or different numbers of features.
        """
        goal, sound = finite_rows(target, "target")
        cloud, alive = finite_rows(first, "first cloud")
        if goal.shape[1] != cloud.shape[1]:
            raise ValueError(f"{cloud.shape[1]} features over a target of {goal.shape[1]}.")
        if not sound.any() or not alive.any():
            raise ValueError(f"{'first cloud' if sound.any() else 'target'}: no finite row to draw.")
        view = fit_view(goal[sound], cloud[alive], columns)
        places = np.where(sound[:, None], view.project(np.where(sound[:, None], goal, 0.0)), np.nan)
        return cls(
            view, places, total or (len(cloud), len(goal)), rows, labels, goal_rows, goal_labels, unit, kind, called,
            paired,
        )  # fmt: skip

    def alone(self) -> Backdrop:
        """The same view without the target."""
        return replace(self, goal=self.goal[:0], total=(self.total[0], 0), goal_rows=None, goal_labels=None)

    def places(self, cloud: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return where points (m, d) are drawn, (m, k); NaN for those that are lost."""
        points, alive = finite_rows(cloud, "cloud")
        drawn = self.view.project(np.where(alive[:, None], points, 0.0))
        return np.where(alive[:, None], drawn, np.nan).astype(np.float32)

    def scene(self, times: Sequence[float], places: Sequence[npt.NDArray[Any]], steps: int | None = None) -> Scene:
        """Return the scene of places (m, k) at these times; `steps` the run has taken, if time counts steps.

        Raises
        ------
        ValueError
            No time at all.

        Examples
        --------
        >>> start = np.zeros((3, 2)) + [[0.0], [1.0], [2.0]]
        >>> backdrop = Backdrop.of(start + 1, start, ["a", "b"])
        >>> scene = backdrop.scene([0, 5], [backdrop.places(start), backdrop.places(start + 1)], steps=5)
        >>> scene.places.shape, scene.note
        ((2, 3, 2), 'All 3 particles and 3 target points, at 2 moments of 5 steps.')
        """
        if not len(times):
            raise ValueError("no moment to show.")
        clouds = [np.asarray(cloud, np.float64) for cloud in places]
        alive = [np.asarray(np.isfinite(cloud).all(axis=1)) for cloud in clouds]
        chosen = choose_moments(clouds, alive, _MOMENTS)
        most = min(len(cloud) for cloud in clouds)
        stack = np.stack([clouds[index][:most] for index in chosen])
        span = (self.view.limits[:, 1] - self.view.limits[:, 0])[:, None] * [-_REACH, _REACH] + self.view.limits
        everything = np.concatenate([stack.reshape(-1, stack.shape[-1]), self.goal])
        everything = everything[np.isfinite(everything).all(axis=1)]
        low = np.maximum(span[:, 0], everything.min(axis=0, initial=np.inf, where=everything >= span[:, 0]))
        high = np.minimum(span[:, 1], everything.max(axis=0, initial=-np.inf, where=everything <= span[:, 1]))
        box = np.stack([np.minimum(low, self.view.limits[:, 0]), np.maximum(high, self.view.limits[:, 1])], axis=1)
        frames, goal = _quantised(stack, box), _quantised(self.goal, box)
        classes, codes, goal_codes = _classes(self.labels, self.goal_labels, most, len(self.goal))
        words = {
            "axes": list(self.view.labels), "limits": self.view.limits.tolist(), "box": box.tolist(),
            "equal": self.view.equal, "unit": self.unit,
            "kind": self.kind, "called": self.called, "paired": self.paired,
            "explanation": self.view.explanation, "note": self._note(frames, goal, len(times), steps),
            "rows": _names(self.rows, most), "goal_rows": _names(self.goal_rows, len(goal)), "classes": classes,
        }  # fmt: skip
        return Scene(np.array([float(times[index]) for index in chosen]), frames, goal, codes, goal_codes, words)

    def _note(self, frames: npt.NDArray[Any], goal: npt.NDArray[Any], looks: int, steps: int | None) -> str:
        """Say how many of how many are shown, and what is lost."""
        many, points = self.total
        shown = [_of(frames.shape[1], many, self.kind), *([_of(len(goal), points, "target point")] if points else [])]
        said = f"{' and '.join(shown)}, at {plural(len(frames), 'moment')}"
        said = said if any(" of " in part for part in shown) else "All " + said
        if steps is not None:
            said += f" of {plural(steps, 'step')}"
        elif looks > len(frames):
            said += f" of {looks:,}"
        lost = int((frames[..., 0] == _LOST).sum(axis=1).max(initial=0))
        lost_goal = int((goal[:, 0] == _LOST).sum())
        said += f"; up to {plural(lost, self.kind)} lost or far outside" if lost else ""
        said += f"; {plural(lost_goal, 'target point')} far outside" if lost_goal else ""
        return f"{said}."


@dataclass(frozen=True, eq=False)
class Scene:
    """What a page shows: quantised places (t, m, k) at times (t,), the target (n, k), classes, and words."""

    times: npt.NDArray[np.float64]
    places: npt.NDArray[np.int16]
    goal: npt.NDArray[np.int16]
    codes: npt.NDArray[np.uint8]  # the class of each particle, empty without classes
    goal_codes: npt.NDArray[np.uint8]
    words: Mapping[str, Any]

    @property
    def note(self) -> str:
        """How many of how many are shown."""
        return str(self.words["note"])

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write one file, whole or not at all; ValueError when the system refuses."""
        arrays = {name: getattr(self, name) for name in ("times", "places", "goal", "codes", "goal_codes")}
        write_arrays(path, _KIND, _FORMAT, {"words": dict(self.words)}, arrays)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Scene:
        """Read what `write` wrote.

        Raises
        ------
        ValueError
            No such file, a damaged one, or one of another kind or version.
        """
        header, arrays = read_arrays(path, _KIND, _FORMAT)
        try:
            words = header["words"]
            found = cls(
                arrays["times"], arrays["places"], arrays["goal"], arrays["codes"], arrays["goal_codes"], words
            )  # fmt: skip
            moments, count, width = found.places.shape
            coded = (found.codes.shape, found.goal_codes.shape) == ((count,), found.goal.shape[:1])
            sound = (
                found.places.dtype == found.goal.dtype == np.int16
                and found.codes.dtype == found.goal_codes.dtype == np.uint8
                and found.times.shape == (moments,) and moments > 0 and found.goal.shape[1:] == (width,)
                and len(words["axes"]) == len(words["limits"]) == len(words["box"]) == width
                and (coded or not words["classes"])
                and (words["rows"] is None or len(words["rows"]) == count)
                and (words["goal_rows"] is None or len(words["goal_rows"]) == len(found.goal))
                and isinstance(words["note"], str)
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
            raise Damaged(f"{os.fspath(path)}: damaged ({problem}).") from None
        if not sound:
            raise Damaged(f"{os.fspath(path)}: damaged (its parts do not fit).")
        return found

    def payload(self) -> dict[str, Any]:
        """What the page's program reads: plain values, arrays as base64 of little-endian numbers."""
        return {
            **self.words, "times": self.times.tolist(), "count": int(self.places.shape[1]),
            "places": _base64(self.places), "goal": _base64(self.goal), "codes": _base64(self.codes),
            "goal_codes": _base64(self.goal_codes),
        }  # fmt: skip


def _quantised(points: npt.NDArray[np.float64], box: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    low, high = box.T
    with np.errstate(invalid="ignore"):
        inside = np.all((points >= low) & (points <= high), axis=-1, keepdims=True)
        levels = np.rint((points - low) / (high - low) * 65534 - 32767)
    return np.where(inside, levels, _LOST).astype(np.int16)


def _classes(
    labels: Sequence[str] | None, goal_labels: Sequence[str] | None, count: int, goal_count: int
) -> tuple[list[str], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the classes' names, and each point's number among them; nothing where there are none or too many."""
    none = np.empty(0, np.uint8)
    if labels is None or goal_labels is None:
        return [], none, none
    ours, theirs = ([str(label)[:_NAME] for label in names] for names in (labels[:count], goal_labels[:goal_count]))
    known = sorted({*ours, *theirs})
    if len(known) > _CLASSES or (len(ours), len(theirs)) != (count, goal_count):
        return [], none, none
    number = {name: index for index, name in enumerate(known)}
    codes, goal_codes = (np.array([number[name] for name in names], np.uint8) for names in (ours, theirs))
    return known, codes, goal_codes


def _names(names: Sequence[str] | None, count: int) -> list[str] | None:
    if names is None or len(names) < count:
        return None
    return [name if len(name) <= _NAME else name[: _NAME - 1] + "…" for name in map(str, names[:count])]


def _of(shown: int, total: int, noun: str) -> str:
    return plural(total, noun) if shown >= total else f"{shown:,} of {plural(total, noun)}"


def _base64(array: npt.NDArray[Any]) -> str:
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(little.tobytes()).decode("ascii")
