"""Clouds side by side: what several methods made of the same data, each over the same target in the same view.

The view is that of the target alone, so a panel differs from its neighbour in the samples only. Bad at: more than three
features, where the target's first two principal components are all that is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from proxflow.plots.style import PARTICLES, TARGET, footnote, grid_shape, headline, legend, new_figure
from proxflow.plots.view import draw_cloud, gather, histogram, open_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["clouds_beside"]


def clouds_beside(
    clouds: Mapping[str, npt.ArrayLike], target: npt.ArrayLike, *, columns: Sequence[str] | None = None
) -> Figure:
    """Draw each cloud over the target in a panel of its own.

    Parameters
    ----------
    clouds
        Arrays of shape (m, d) by the name of who made them.
    target
        Shape (n, d).
    columns
        Names of the d features.

    Raises
    ------
    ValueError
        No clouds, nothing finite to draw, or different numbers of features.

    Examples
    --------
    >>> import numpy as np
    >>> target = np.random.default_rng(0).normal(size=(50, 2))
    >>> figure = clouds_beside({"one": target, "other": 0.9 * target}, target)
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['one', 'other']
    """
    if not clouds:
        raise ValueError("no clouds to draw: give at least one.")
    # The target as the first snapshot, so that the frame is the target's.
    snapshots = [(0, target), *((index + 1, cloud) for index, cloud in enumerate(clouds.values()))]
    found = gather(snapshots, target, columns, len(snapshots))
    view, shown = found.view, found.particles[1:]
    dimension = len(view.labels)
    rows, across = grid_shape(len(clouds))
    lengths = view.limits[:, 1] - view.limits[:, 0]
    ratio = float(np.clip(lengths[1] / lengths[0], 0.6, 1.4)) if dimension == 2 and view.equal else 0.8
    figure = new_figure(max(3.2 * across + 0.4, 5.6), rows * (2.9 * ratio + 0.4) + 0.9)
    grid = figure.subplots(
        rows, across, squeeze=False, sharex=dimension < 3, sharey=dimension < 3,
        subplot_kw={"projection": "3d"} if dimension == 3 else None,
    )  # fmt: skip
    tallest = 0.0
    for axes, name, cloud in zip(grid.flat, clouds, shown, strict=False):
        outside = int((~view.inside(cloud)).sum())
        open_axes(axes, view, title=name + (f"   ({outside:,} outside)" if outside else ""))
        draw_cloud(axes, view, found.target, target=True)
        draw_cloud(axes, view, cloud, target=False)
        if dimension == 1:
            bars = [histogram(part[:, 0], len(part), view)[0].max() for part in (found.target, cloud)]
            tallest = max(tallest, 1.08 * float(max(bars)))
        elif dimension == 2:
            axes.label_outer()
    for axes in list(grid.flat)[len(clouds) :]:
        axes.remove()
    if dimension == 1:
        grid.flat[0].set_ylim(0, tallest or 1.0)
    headline(figure, "New samples of each method", view.explanation)
    legend(figure, [("target", TARGET), ("new samples", PARTICLES)])
    footnote(figure, found.notes)
    return figure
