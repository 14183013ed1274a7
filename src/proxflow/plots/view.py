"""How a cloud of any dimension is looked at, and at which moments.

One feature is seen as a histogram, two and three as they are, more on the target's first two principal
components. The view is fitted once, on the target and the first snapshot, and every panel shares it: only
then does a difference between two panels mean that particles moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from proxflow.plots.style import (
    PARTICLES,
    TARGET,
    bare_axes,
    column_names,
    finite_rows,
    plural,
    robust_limits,
)

__all__ = ["Clouds", "View", "choose_moments", "draw_cloud", "fit_view", "gather", "open_axes"]

# More dots than this only blacken the page.
_MOST_DOTS = 10_000


@dataclass(frozen=True)
class View:
    """A map from (n, d) points to the (n, 1), (n, 2) or (n, 3) that is drawn, with labels and limits."""

    centre: npt.NDArray[np.float64]  # (d,)
    directions: npt.NDArray[np.float64] | None  # (2, d), or None to draw the features themselves
    labels: tuple[str, ...]
    limits: npt.NDArray[np.float64]  # (dimension, 2)
    explanation: str  # what a reader has to know, empty if the view is the data itself
    equal: bool  # one unit is as long on every axis

    def project(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the coordinates that are drawn."""
        if self.directions is None:
            return points[:, : len(self.labels)]
        return (points - self.centre) @ self.directions.T

    def inside(self, coordinates: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which points lie within the frame."""
        low, high = self.limits.T
        return np.all((coordinates >= low) & (coordinates <= high), axis=1)


@dataclass(frozen=True)
class Clouds:
    """Checked input of the particle plots: drawable coordinates, and words about what is not drawn."""

    view: View
    target: npt.NDArray[np.float64]
    steps: tuple[int, ...]
    particles: tuple[npt.NDArray[np.float64], ...]
    title: str
    notes: tuple[str, ...]


def gather(snapshots: Sequence[tuple[int, Any]], target: Any, columns: Sequence[str] | None, moments: int) -> Clouds:
    """Check the arrays, choose the moments, fit the view and project everything on it."""
    if len(snapshots) == 0:
        raise ValueError("no snapshots to draw: pass at least one pair (step, particles).")
    if moments < 1:
        raise ValueError(f"at least 1 picture is needed, got {moments}.")
    goal, drawable = finite_rows(target, "target")
    if not drawable.any():
        raise ValueError("target: no finite row to draw.")
    notes = []
    if not drawable.all():
        notes.append(f"{plural(int((~drawable).sum()), 'non-finite target point')} dropped")
    goal = goal[drawable]
    clouds, alive = [], []
    for step, cloud in snapshots:
        points, drawable = finite_rows(cloud, f"snapshot of step {step}")
        if points.shape[1] != goal.shape[1]:
            raise ValueError(
                f"snapshot of step {step} has {points.shape[1]} features and the target has {goal.shape[1]}."
            )
        clouds.append(points)
        alive.append(drawable)
    chosen = choose_moments(clouds, alive, moments)
    view = fit_view(goal, clouds[0][alive[0]], columns)
    particles = tuple(view.project(clouds[index][alive[index]]) for index in chosen)
    lost = max(int((~alive[index]).sum()) for index in chosen)
    if lost:
        notes.append(f"up to {plural(lost, 'non-finite particle')} dropped")
    coordinates = view.project(goal)
    outside = int((~view.inside(coordinates)).sum())
    if outside:
        notes.append(f"{plural(outside, 'target point')} outside the frame")
    largest = max(len(goal), *(len(cloud) for cloud in particles))
    if len(view.labels) > 1 and largest > _MOST_DOTS:
        notes.append(f"at most {_MOST_DOTS:,} points of a cloud are drawn")
    title = f"{plural(len(clouds[-1]), 'particle')} moving onto {plural(len(goal), 'target point')}"
    steps = tuple(int(snapshots[index][0]) for index in chosen)
    return Clouds(view, coordinates, steps, particles, title, tuple(notes))


def choose_moments(
    clouds: Sequence[npt.NDArray[np.float64]], alive: Sequence[npt.NDArray[np.bool_]], count: int
) -> list[int]:
    """Return the indices of at most count snapshots, first and last among them, evenly spread in motion.

    Motion is progress from the first to the last cloud, S / (S + D) with S and D the mean distances that
    particles have covered and have yet to cover. Unlike the length of the path it does not grow while
    particles that have arrived merely tremble.
    """
    total = len(clouds)
    if count >= total:
        return list(range(total))
    if count == 1:
        return [total - 1]
    steps = np.linspace(0.0, 1.0, total)
    # A little of plain time gives ties and clouds that stand still an order.
    progress = 0.95 * _progress(clouds, alive, steps) + 0.05 * steps
    wanted = np.linspace(progress[0], progress[-1], count)
    chosen = {int(np.abs(progress - level).argmin()) for level in wanted}
    while len(chosen) < count:
        gap = np.abs(progress[:, None] - progress[sorted(chosen)]).min(axis=1)
        gap[sorted(chosen)] = -1.0
        chosen.add(int(gap.argmax()))
    return sorted(chosen)


def _progress(
    clouds: Sequence[npt.NDArray[np.float64]],
    alive: Sequence[npt.NDArray[np.bool_]],
    otherwise: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    if len({len(cloud) for cloud in clouds}) > 1:
        return otherwise
    rows = np.flatnonzero(np.logical_and.reduce(alive))[:1000]
    if len(rows) == 0:
        return otherwise
    first, last = clouds[0][rows], clouds[-1][rows]
    covered = np.array([np.linalg.norm(cloud[rows] - first, axis=1).mean() for cloud in clouds])
    ahead = np.array([np.linalg.norm(cloud[rows] - last, axis=1).mean() for cloud in clouds])
    if not covered[-1] > 0:
        return otherwise
    return np.maximum.accumulate(covered / (covered + ahead))


def fit_view(target: npt.NDArray[np.float64], first: npt.NDArray[np.float64], columns: Sequence[str] | None) -> View:
    """Return the view that suits target (n, d) and first cloud (m, d), both finite."""
    width = target.shape[1]
    names = column_names(columns, width)
    centre, directions, explanation = target.mean(axis=0), None, ""
    if width > 3:
        deviations = target - centre
        variance = float((deviations**2).sum())
        if variance > 0 and len(target) > 2:
            from sklearn.decomposition import PCA

            directions = PCA(2, random_state=0).fit(target).components_
            shares = ((deviations @ directions.T) ** 2).sum(axis=0) / variance
            names = [f"component {index + 1} ({share:.0%} of variance)" for index, share in enumerate(shares)]
            explanation = f"PCA view: {shares.sum():.0%} of the target's variance in {width} features"
        else:
            explanation = f"the first 2 of {width} features"
    labels = tuple(names[: width if width <= 3 else 2])
    # The limits are those of the coordinates, so the frame has to exist first.
    frameless = View(centre, directions, labels, np.zeros((len(labels), 2)), explanation, False)
    drawn = [frameless.project(target), frameless.project(first)]
    limits = np.array([robust_limits(*(cloud[:, axis] for cloud in drawn)) for axis in range(len(labels))])
    lengths = limits[:, 1] - limits[:, 0]
    # Feet against dollars: beyond this ratio an equal scale would leave a sliver.
    equal = bool(lengths.max() <= 6 * lengths.min())
    if equal and len(labels) == 2:
        short = np.maximum(0.6 * lengths.max() - lengths, 0.0) / 2
        limits = limits + np.stack([-short, short], axis=1)
    return View(centre, directions, labels, limits, explanation, equal)


def open_axes(axes: Any, view: View, *, title: str = "") -> None:
    """Give the axes the view's limits, labels and proportions."""
    bare_axes(axes, labels=view.labels, title=title)
    setters = (axes.set_xlim, axes.set_ylim, getattr(axes, "set_zlim", None))
    for setter, limits in zip(setters, view.limits, strict=False):
        if setter is not None:
            setter(*limits)
    lengths = view.limits[:, 1] - view.limits[:, 0]
    if len(view.labels) == 1:
        axes.set_ylabel("")
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
    elif len(view.labels) == 2 and view.equal:
        axes.set_aspect("equal")
    elif len(view.labels) == 3:
        axes.set_box_aspect(lengths if view.equal else None)
        axes.computed_zorder = False  # else the target hides the particles whenever its middle is nearer


def draw_cloud(axes: Any, view: View, coordinates: npt.NDArray[np.float64], *, target: bool) -> Any:
    """Draw one cloud and return its artist; points outside the frame are not drawn."""
    colour = TARGET if target else PARTICLES
    order = 1 if target else 2
    inside = coordinates[view.inside(coordinates)]
    if len(view.labels) == 1:
        heights, edges = histogram(inside[:, 0], len(coordinates), view)
        if target:
            return axes.stairs(heights, edges, fill=True, color=colour, alpha=0.6, zorder=order)
        return axes.stairs(heights, edges, color=colour, linewidth=1.4, zorder=order)
    if len(inside) > _MOST_DOTS:
        inside = inside[np.linspace(0, len(inside) - 1, _MOST_DOTS).astype(int)]
    size = float(np.clip(4000 / max(len(inside), 1), 2.0, 14.0))
    alpha = float(np.clip(40 / np.sqrt(max(len(inside), 1)), 0.35, 0.75))
    if len(view.labels) == 3:
        alpha = min(1.0, 1.3 * alpha)  # depth fades the far points once more
    return axes.scatter(*inside.T, s=size, color=colour, alpha=alpha, linewidths=0, zorder=order)


def histogram(
    values: npt.NDArray[np.float64], total: int, view: View
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return shares of the total per bin, and the bins' edges: the same for every cloud of the view."""
    edges = np.linspace(float(view.limits[0, 0]), float(view.limits[0, 1]), 41)
    counts, _ = np.histogram(values, edges)
    return counts / max(total, 1), edges
