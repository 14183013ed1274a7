"""Small multiples: the particles at a few moments, each over the same target.

The moments are spread evenly over the motion, not over the steps: most of the way is covered early.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from proxflow.plots.style import PARTICLES, TARGET, footnote, grid_shape, headline, legend, new_figure
from proxflow.plots.view import Clouds, draw_cloud, gather, histogram, open_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["particles_over_time", "tallest_bar"]


def particles_over_time(
    snapshots: Sequence[tuple[int, npt.ArrayLike]],
    target: npt.ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    panels: int = 6,
    moment: str = "step {:,}",
) -> Figure:
    """Draw the particles at several moments over the target.

    One feature is drawn as histograms, two or three as points, more on the target's first two principal
    components. Limits come from the target and the first snapshot without their far outliers; how many
    particles a panel leaves out is written above it.

    Parameters
    ----------
    snapshots
        Pairs (step, particles of shape (M, d)) in the order of time. Non-finite particles are dropped, and a
        note says so.
    target
        The target data, shape (N, d).
    columns
        Names of the d features.
    panels
        At most so many moments are drawn, the first and the last among them.
    moment
        What a panel is called; {} stands for the snapshot's number.

    Returns
    -------
    Figure
        A matplotlib figure with one axes per moment.

    Raises
    ------
    ValueError
        No snapshots, nothing finite in the target, or different numbers of features.

    Examples
    --------
    >>> import numpy as np
    >>> start = np.random.default_rng(0).normal(size=(50, 2))
    >>> figure = particles_over_time([(step, start + step / 10) for step in range(11)], start + 1, panels=3)
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['step 0', 'step 5', 'step 10']
    """
    clouds = gather(snapshots, target, columns, panels)
    view, count = clouds.view, len(clouds.steps)
    dimension = len(view.labels)
    rows, across = grid_shape(count)
    width, height = _panel_size(clouds)
    figure = new_figure(max(across * width + 0.4, 6.6), rows * height + 0.8)
    grid = figure.subplots(
        rows,
        across,
        squeeze=False,
        sharex=dimension < 3,
        sharey=dimension < 3,
        subplot_kw={"projection": "3d"} if dimension == 3 else None,
    )
    for index, axes in enumerate(grid.flat):
        if index >= count:
            axes.remove()
            continue
        particles = clouds.particles[index]
        outside = int((~view.inside(particles)).sum())
        title = moment.format(clouds.steps[index])
        open_axes(axes, view, title=title + (f"   ({outside:,} outside)" if outside else ""))
        draw_cloud(axes, view, clouds.target, target=True)
        if len(particles):
            draw_cloud(axes, view, particles, target=False)
        if dimension == 1:
            axes.set_ylim(0, tallest_bar(clouds))
        if dimension < 3:
            axes.label_outer()
    # label_outer hides the ticks of panels that have become the lowest of their column.
    if dimension < 3:
        for column in range(count - (rows - 1) * across, across if rows > 1 else 0):
            lowest = grid[rows - 2, column]
            lowest.tick_params(labelbottom=True)
            lowest.set_xlabel(view.labels[0], fontsize=8.5, parse_math=False)
    headline(figure, clouds.title, view.explanation)
    legend(figure, [("target", TARGET), ("particles", PARTICLES)])
    footnote(figure, clouds.notes)
    return figure


def tallest_bar(clouds: Clouds) -> float:
    """Return the upper limit of 1-D panels: all bars fit, unless a spike would flatten the target."""
    peaks = [
        float(histogram(cloud[:, 0], len(cloud), clouds.view)[0].max()) for cloud in (clouds.target, *clouds.particles)
    ]
    return 1.08 * min(max(peaks), 5 * peaks[0]) or 1.0


def _panel_size(clouds: Clouds) -> tuple[float, float]:
    """Return inches: as wide as three fit a page, as tall as the data's proportions ask for."""
    lengths = clouds.view.limits[:, 1] - clouds.view.limits[:, 0]
    if len(lengths) == 1:
        return 3.0, 2.0
    if len(lengths) == 3:
        return 3.0, 2.8
    ratio = lengths[1] / lengths[0] if clouds.view.equal else 0.8
    return 3.0, float(np.clip(2.7 * ratio, 1.6, 4.2)) + 0.3
