"""How a training went, and where it leads: curves over its steps, and the paths of the flow that it ended with.

In a two-player game no curve falls and proves success: the divergence is that of two batches, and the potential
improves, too. It should settle, at a level that noise explains; kinetic energy should settle at what the way costs, and
bending near zero. Samples say the rest. Paths of an optimal flow are straight, and do not cross at one moment.

Bad at: more than two features, where paths are seen through two components and may bend or cross unseen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.plots.curves import bound_line, draw_curve
from proxflow.plots.style import ACCENT, PARTICLES, TARGET, bare_axes, footnote, headline, legend, new_figure, plural
from proxflow.plots.view import draw_cloud, gather, open_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["paths", "training_curves"]

_PANELS = {
    "value": "divergence, of batches",
    "kinetic": "kinetic energy, ∫ E|v|² / 2",
    "bending": "bending, share of |v|² that changes along the way",
    "fisher": "mean of |∇φ|² over the batch",
    "slope": "largest slope, max of |∇φ|",
    "step_size": "learning rate",
}
_LINES = 150


def training_curves(history: Mapping[str, npt.ArrayLike], *, lipschitz: float | None = None) -> Figure:
    """Draw what a training said of itself at every step, a panel for each number that it has.

    Parameters
    ----------
    history
        Arrays of shape (steps,): "value", "fisher", "slope", "step_size", of a flow also "kinetic" and "bending".
        Others are ignored.
    lipschitz
        The bound L, drawn as a line in the slope's panel.

    Raises
    ------
    ValueError
        None of these names is there, or an array has not one value per step.

    Examples
    --------
    >>> import numpy as np
    >>> figure = training_curves({"value": np.ones(50), "kinetic": np.arange(50.0)})
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['divergence, of batches', 'kinetic energy, ∫ E|v|² / 2']
    """
    curves = {name: np.asarray(history[name], dtype=float) for name in _PANELS if name in history}
    if not curves:
        raise ValueError(f"history has {sorted(history)}, but none of {', '.join(_PANELS)}.")
    length = len(next(iter(curves.values())))
    for name, values in curves.items():
        if values.shape != (length,):
            raise ValueError(f"history: {name!r} has shape {values.shape}, expected ({length},).")
    across = min(len(curves), 2)
    rows = -(-len(curves) // across)
    figure = new_figure(3.9 * across, 2.2 * rows + 0.2)
    grid = figure.subplots(rows, across, squeeze=False)
    steps, missing = np.arange(1.0, length + 1), 0
    for index, axes in enumerate(grid.flat):
        if index >= len(curves):
            axes.remove()
            continue
        name = list(curves)[index]
        lowest = index + across >= len(curves)
        bare_axes(axes, labels=("training step",) if lowest else (), title=_PANELS[name])
        missing += draw_curve(axes, steps, curves[name], floor=name == "slope")
        if name == "slope" and lipschitz is not None and np.isfinite(lipschitz):
            bound_line(axes, lipschitz)
    if missing:
        footnote(figure, [f"{plural(missing, 'non-finite value')} not drawn"])
    return figure


def paths(
    times: npt.ArrayLike, positions: npt.ArrayLike, target: npt.ArrayLike, *, columns: Sequence[str] | None = None
) -> Figure:
    """Draw the ways of points, from an open ring at the source to a dot at the end, over the target.

    One feature is drawn against time, more in the plane of the first two, or of the target's first two principal
    components. At most 150 ways are drawn.

    Parameters
    ----------
    times
        Shape (l,), of the positions.
    positions
        Shape (l, k, d): k points at l times.
    target
        Shape (n, d).
    columns
        Names of the d features.

    Raises
    ------
    ValueError
        Fewer than two times, shapes that do not fit, or nothing finite to draw.

    Examples
    --------
    >>> import numpy as np
    >>> start = np.random.default_rng(0).normal(size=(30, 2))
    >>> figure = paths([0.0, 1.0], np.stack([start, start + 3]), start + 3)
    >>> len(figure.axes[0].lines)
    30
    """
    moments, ways = np.asarray(times, dtype=float), np.asarray(positions, dtype=float)
    if ways.ndim != 3 or len(ways) < 2 or moments.shape != (len(ways),):
        raise ValueError(f"paths need times (l,) and positions (l, k, d), l > 1; got {moments.shape}, {ways.shape}.")
    ways = ways[:, np.isfinite(ways).all(axis=(0, 2))]
    if not ways.shape[1]:
        raise ValueError("positions: no path is finite all the way.")
    clouds = gather([(0, ways[0]), (1, ways[-1])], target, columns, 2)
    view = clouds.view
    seen = np.stack([view.project(ways[index]) for index in range(len(ways))])
    if seen.shape[2] > 2:  # lines in space hide each other
        seen, goal, labels, limits = seen[:, :, :2], clouds.target[:, :2], view.labels[:2], view.limits[:2]
    else:
        goal, labels, limits = clouds.target, view.labels, view.limits
    drawn = seen[:, :_LINES]
    tall = (limits[1][1] - limits[1][0]) / (limits[0][1] - limits[0][0]) if view.equal and len(limits) == 2 else 0.8
    figure = new_figure(5.6, 4.9 * float(np.clip(tall, 0.6, 1.2)) + 1.1)
    axes = figure.add_subplot()
    if seen.shape[2] == 1:
        bare_axes(axes, labels=("time", labels[0]))
        axes.plot(moments, drawn[:, :, 0], color=PARTICLES, linewidth=0.7, alpha=0.5)
        axes.scatter(np.full(len(goal), moments[-1]), goal[:, 0], s=8, color=TARGET, alpha=0.4, linewidths=0, zorder=1)
        axes.set_ylim(*limits[0])
    else:
        if len(view.labels) == 2:
            open_axes(axes, view)
            draw_cloud(axes, view, goal, target=True)
        else:
            bare_axes(axes, labels=labels)
            axes.scatter(goal[:, 0], goal[:, 1], s=5, color=TARGET, alpha=0.4, linewidths=0, zorder=1)
            axes.set_xlim(*limits[0])
            axes.set_ylim(*limits[1])
        for index in range(drawn.shape[1]):
            axes.plot(*drawn[:, index].T, color=PARTICLES, linewidth=0.7, alpha=0.45, zorder=2)
        _ends(axes, drawn)
    bent = _bent(ways)
    headline(
        figure, "The ways of new points", f"{bent:.1%} longer than straight lines; {view.explanation}".rstrip("; ")
    )
    legend(
        figure,
        [("target", TARGET), ("start", ACCENT), ("end", PARTICLES)] if seen.shape[2] > 1 else [("target", TARGET)],
    )
    left_out = ways.shape[1] - drawn.shape[1]
    footnote(figure, [*clouds.notes, *([f"{plural(left_out, 'more path')} not drawn"] if left_out else [])])
    return figure


def _ends(axes: Any, drawn: npt.NDArray[np.float64]) -> None:
    axes.scatter(*drawn[0].T, s=14, facecolors="none", edgecolors=ACCENT, linewidths=0.8, zorder=3)
    axes.scatter(*drawn[-1].T, s=12, color=PARTICLES, linewidths=0, zorder=4)


def _bent(ways: npt.NDArray[np.float64]) -> float:
    """By which share the ways are longer, on average, than straight lines between their ends."""
    lengths = np.linalg.norm(np.diff(ways, axis=0), axis=2).sum()
    straight = np.linalg.norm(ways[-1] - ways[0], axis=1).sum()
    return float(lengths / straight - 1) if straight > 0 else 0.0
