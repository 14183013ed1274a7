"""A run's way as a scene: collected while it goes on, and whole at its end.

    gpa        the particles' own ways; row i of a transport is row i of its source
    gan        while it trains, batches, in which no row is the same twice; at the end, what fixed latents became
    proximal   while it trains, batches; at the end, source points on the trained flow's ways, by the per cent

A scene keeps two or three coordinates of a point, so that the collection of a run of any width stays small. Bad at: the
beginning of a training that was resumed, of which batches are not kept.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from proxflow.browser import Backdrop, Scene
from proxflow.browser.scene import MOST, few_rows
from proxflow.store import RunFolder

__all__ = ["Onlooker", "backdrop_of", "final_scene"]

_SHARE = 20  # of the run's time that writing may take is one over this
_LOOKS = 12  # at a trained flow, per block
_WIDE = 3  # features up to which units are the data's own


def backdrop_of(transport: Any, target: Any, source: Any, first: np.ndarray) -> Backdrop:
    """The backdrop of a run of `transport` onto the data `target`, from the data `source` or None.

    first: (m, d), the first cloud, with the labels' columns if the data have labels. What its rows are called follows
    from the source; a caller who knows better replaces it.
    """
    some, columns = few_rows(len(target.values)), target.columns
    labels = goal_labels = None
    if target.labels is not None:
        labels = [str(code) for code in target.labels.labelling.codes(first)]
        goal_labels = [str(code) for code in target.labels.codes[some]]
    show = _shown(transport, target)
    return Backdrop.of(
        show(target.values[some]), show(target.features(first)), columns,
        total=(_count(transport, target, source), len(target.values)), rows=None if source is None else source.rows,
        labels=labels, goal_rows=_named(target.rows, some, len(target.values), "target row"), goal_labels=goal_labels,
    )  # fmt: skip


def _shown(transport: Any, target: Any) -> Any:
    """What is drawn of points: the principal components of columns in mixed units would be the largest column."""
    if target.values.shape[1] <= _WIDE:
        return np.asarray
    return lambda points: transport.in_units(points, features_only=True)


def _count(transport: Any, target: Any, source: Any) -> int:
    if source is not None:
        return len(source.values)
    return int(transport.get_params(deep=False).get("n_particles") or len(target.values))


def _named(rows: Sequence[str] | None, some: np.ndarray, count: int, noun: str) -> list[str] | None:
    """Names of some rows; None if their numbers alone say as much."""
    if rows is not None:
        return [rows[index] for index in some]
    return None if len(some) == count else [f"{noun} {index}" for index in some]


class Onlooker:
    """A callback that collects where the particles of a run are, and writes trajectory.npz and history.csv.

    seconds: between two writes, longer if writing takes long. What cannot be drawn or written is left out: the run
    goes on.
    """

    def __init__(self, folder: RunFolder, transport: Any, target: Any, source: Any, seconds: float) -> None:
        self._folder, self._transport, self._target, self._source = folder, transport, target, source
        self._pause = seconds
        self._due = time.monotonic() + seconds
        self._backdrop: Backdrop | None = None
        self._times: list[int] = []
        self._places: list[np.ndarray] = []

    def __call__(self, run: Any) -> None:
        """Look, and write if it is time."""
        seen = getattr(self._transport, "trajectory_", None)  # of particles it grows as they go
        if seen is None:
            few = max(1, min(MOST, 400_000 // self._target.values.shape[1]))
            self._take([(run.step, self._transport.decode_state(run.state, few))], paired=False)
        else:
            self._take(seen[len(self._times) :], paired=True)
        if time.monotonic() >= self._due:
            started = time.monotonic()
            with contextlib.suppress(ValueError):  # a full disk, of which the checkpoint tells
                self._folder.history(run.history)
                self.write(run.step)
            finished = time.monotonic()
            self._due = finished + max(self._pause, _SHARE * (finished - started))

    def write(self, steps: int) -> None:
        """Write the scene of what was seen; ValueError if there is nothing to be drawn, or no room for it."""
        if self._backdrop is None:
            raise ValueError("nothing was seen of the run.")
        scene = self._backdrop.scene(self._times, self._places, steps)
        scene.write(self._folder.trajectory)

    def _take(self, clouds: Sequence[tuple[int, np.ndarray]], *, paired: bool) -> None:
        for step, cloud in clouds:
            if not paired and self._times and step < self._times[-1]:  # the next of several trainings
                self._times.clear()
                self._places.clear()
            if self._times and step == self._times[-1]:
                continue
            if self._backdrop is None:
                try:
                    found = backdrop_of(self._transport, self._target, self._source, cloud)
                except ValueError:
                    return
                total = (len(cloud), found.total[1])
                batch = replace(found, kind="sample", called="sample", rows=None, total=total, paired=False)
                self._backdrop = found if paired else batch
            shown = _shown(self._transport, self._target)
            self._times.append(int(step))
            self._places.append(self._backdrop.places(shown(self._target.features(cloud))))


def final_scene(transport: Any, target: Any, source: Any, called: str = "particle") -> Scene:
    """The scene of a fitted estimator; called: what the rows of `trajectory_` are, see `Backdrop`.

    Raises
    ------
    ValueError
        Nothing can be drawn of it.
    """
    if hasattr(transport, "trajectory"):  # points on ways that are known at any time
        return _flow_scene(transport, target, source)
    snapshots = transport.trajectory_
    if not snapshots:
        raise ValueError("no moment to show.")
    backdrop = replace(backdrop_of(transport, target, source, snapshots[0][1]), called=called)
    if hasattr(transport, "health_"):  # of what was trained
        total = (len(snapshots[0][1]), len(target.values))
        backdrop = replace(backdrop, kind="sample", called="latent", total=total)
    show = _shown(transport, target)
    places = [backdrop.places(show(target.features(cloud))) for _, cloud in snapshots]
    return backdrop.scene([step for step, _ in snapshots], places, transport.n_steps_)


def _flow_scene(transport: Any, target: Any, source: Any) -> Scene:
    """The scene of points on the ways of a trained flow: of a given source's own rows, else of fresh points."""
    some = few_rows(MOST if source is None else len(source.values))
    if source is None:
        times, ways = transport.trajectory(n=MOST, looks=_LOOKS)
    else:
        times, ways = transport.trajectory(source.values[some], looks=_LOOKS)
    backdrop = backdrop_of(transport, target, source, ways[0])
    backdrop = replace(backdrop, unit="% of the way", kind="source point", called="point", rows=None)
    if source is None:
        backdrop = replace(backdrop, total=(len(some), len(target.values)))
    else:
        backdrop = replace(backdrop, called="row", rows=_named(source.rows, some, len(source.values), "row"))
    show = _shown(transport, target)
    return backdrop.scene(100 * np.asarray(times) / times[-1], [backdrop.places(show(cloud)) for cloud in ways])
