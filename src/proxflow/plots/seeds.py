"""What is luck: the curves of several seeds with their middle, and numbers as one dot per seed.

A band is from the lowest to the highest seed, a line the median over those seeds that have a value there. Bad at: many
seeds, of which the extremes say ever less.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from proxflow.plots.style import INK, PARTICLES, bare_axes, headline, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["seed_curves", "seed_dots"]

_NAMES = {
    "value": "divergence", "fisher": "Fisher information", "slope": "largest slope", "step_size": "step size",
    "kinetic": "kinetic energy", "bending": "bending",
}  # fmt: skip
_SMOOTHED = 50  # windows of a curve: single steps of a minibatch are noise


def seed_curves(curves: Mapping[str, npt.ArrayLike]) -> Figure:
    """Draw each quantity's range over the seeds against the step.

    Parameters
    ----------
    curves
        Arrays of shape (seeds, steps) by name, nan where a seed had ended. Those named as in a history are drawn.

    Raises
    ------
    ValueError
        None of the names is known, or an array is not of two dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> falling = np.exp(-np.arange(60) / 20) * np.linspace(0.9, 1.1, 4)[:, None]
    >>> figure = seed_curves({"value": falling})
    >>> figure.axes[0].get_title(loc="left")
    'divergence'
    """
    drawn = {name: np.asarray(curves[name], float) for name in _NAMES if name in curves}
    if not drawn:
        raise ValueError(f"curves has {sorted(curves)}, but none of {', '.join(_NAMES)}.")
    for name, values in drawn.items():
        if values.ndim != 2 or not values.size:
            raise ValueError(f"curves: {name!r} has shape {values.shape}, expected (seeds, steps).")
    across = min(len(drawn), 2)
    rows = -(-len(drawn) // across)
    figure = new_figure(3.9 * across, 2.2 * rows + 0.6)
    grid = figure.subplots(rows, across, squeeze=False)
    for index, (axes, (name, values)) in enumerate(zip(grid.flat, drawn.items(), strict=False)):
        steps, smooth = _smoothed(values)
        bare_axes(axes, labels=("step",) if index + across >= len(drawn) else (), title=_NAMES[name])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # where all seeds have ended there is nothing
            low, middle, high = (f(smooth, axis=0) for f in (np.nanmin, np.nanmedian, np.nanmax))
        axes.fill_between(steps, low, high, color=PARTICLES, alpha=0.22, linewidth=0)
        axes.plot(steps, middle, color=PARTICLES, linewidth=1.5)
        if np.nanmin(low) > 0 and np.nanmax(high) > 5 * np.nanmin(low):
            axes.set_yscale("log")
    for axes in list(grid.flat)[len(drawn) :]:
        axes.remove()
    headline(figure, f"{len(next(iter(drawn.values())))} seeds", "median, and from the lowest to the highest")
    return figure


def _smoothed(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Steps, and the means of windows of values (seeds, steps)."""
    length = values.shape[1]
    edges = np.unique(np.linspace(0, length, min(length, _SMOOTHED) + 1).astype(int))
    windows = list(pairwise(edges))
    middles = np.array([(first + last + 1) / 2 for first, last in windows])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return middles, np.stack([np.nanmean(values[:, first:last], axis=1) for first, last in windows], axis=1)


def seed_dots(numbers: Mapping[str, npt.ArrayLike]) -> Figure:
    """Draw each number's values, one dot per seed, with their mean and a bar of one deviation to either side.

    Parameters
    ----------
    numbers
        Arrays of shape (seeds,) by name.

    Raises
    ------
    ValueError
        There are none.

    Examples
    --------
    >>> figure = seed_dots({"W2 ratio": [1.2, 1.3, 1.25], "spread": [0.9, 0.95, 0.92]})
    >>> len(figure.axes)
    2
    """
    if not numbers:
        raise ValueError("no numbers to draw: give at least one.")
    figure = new_figure(6.2, 0.62 * len(numbers) + 0.9)
    grid = figure.subplots(len(numbers), 1, squeeze=False)
    for axes, (name, given) in zip(grid.flat, numbers.items(), strict=True):
        values = np.asarray(given, float)
        mean, deviation = values.mean(), values.std(ddof=1) if len(values) > 1 else 0.0
        bare_axes(axes)
        axes.plot([mean - deviation, mean + deviation], [0, 0], color=INK, linewidth=1.2, zorder=1)
        axes.plot([mean], [0], "|", color=INK, markersize=12, zorder=3)
        axes.plot(values, np.zeros(len(values)), "o", color=PARTICLES, alpha=0.6, markersize=6, zorder=2)
        axes.set_yticks([0], [f"{name}\n{mean:.3g} ± {deviation:.2g}"])
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.08)
    headline(figure, "One dot per seed", "mean, and one deviation to either side")
    return figure
