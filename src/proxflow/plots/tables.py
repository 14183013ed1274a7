"""A table's new rows in pictures: every column beside the real one, how columns go together, and what models learn.

    column_shares   numbers as histograms, categories as bars, real and new
    associations    correlations between all coordinates of real rows, of new rows, and their difference
    usefulness_bars scores of models trained on real rows, on new ones, on both, with intervals

Bad at: relations of three columns at once, and correlations that are no straight line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.plots.samples import _gap, _overlay
from proxflow.plots.style import (
    ACCENT,
    INK,
    PARTICLES,
    QUIET,
    TARGET,
    bare_axes,
    column_names,
    grid_shape,
    headline,
    legend,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["associations", "column_shares", "usefulness_bars"]

_MOST_BARS = 8
_MOST_CELLS = 40


def column_shares(real: Any, new: Any, *, panels: int = 12) -> Figure:
    """Draw columns of two pandas frames, those that differ most first.

    The difference is the largest gap between cumulative shares for numbers, the total variation for categories: 0 if
    equal, 1 if disjoint.

    Parameters
    ----------
    real, new
        Frames with the same columns.
    panels
        At most so many columns are drawn.

    Raises
    ------
    ValueError
        Different columns, or no rows.

    Examples
    --------
    >>> import pandas as pd
    >>> real = pd.DataFrame({"age": [1, 2, 3], "city": ["Bern", "Rome", "Bern"]})
    >>> figure = column_shares(real, real.assign(city="Rome"))
    >>> figure.axes[0].get_title(loc="left")
    'city, gap 0.67'
    """
    import pandas as pd

    if list(real.columns) != list(new.columns) or len(real) == 0 or len(new) == 0:
        raise ValueError("real and new rows must have the same columns, and there must be some of both.")
    names = column_names([str(name) for name in real.columns], real.shape[1])
    drawn: list[tuple[float, str, Any]] = []
    for index, name in enumerate(names):
        sides = [frame.iloc[:, index] for frame in (new, real)]
        if pd.api.types.is_numeric_dtype(sides[1].dtype) and not pd.api.types.is_bool_dtype(sides[1].dtype):
            values = [side.to_numpy(dtype=np.float64) for side in sides]
            drawn.append((_gap(*values), name, values))
        else:
            counts = [side.astype(str).value_counts(normalize=True) for side in sides]
            both = pd.DataFrame({"new": counts[0], "real": counts[1]}).fillna(0.0).sort_values("real", ascending=False)
            drawn.append((0.5 * float((both["new"] - both["real"]).abs().sum()), name, both))
    drawn.sort(key=lambda part: -part[0])
    shown = drawn[:panels]
    rows, across = grid_shape(len(shown))
    figure = new_figure(max(2.5 * across, 5.5), 1.9 * rows + 0.8)
    grid = figure.subplots(rows, across, squeeze=False).flat
    for axes, (gap, name, values) in zip(grid, shown, strict=False):
        bare_axes(axes, title=f"{name}, gap {gap:.2f}")
        if isinstance(values, list):
            _overlay(axes, *values)
        else:
            _bars(axes, values.iloc[:_MOST_BARS])
    for axes in list(grid)[: rows * across - len(shown)]:
        axes.remove()
    which = "All columns, those that differ most first"
    if len(shown) < len(drawn):
        which = f"The {len(shown)} of {len(drawn)} columns that differ most"
    headline(figure, which, "gap: the largest difference of (cumulative) shares")
    legend(figure, [("real", TARGET), ("new", PARTICLES)])
    return figure


def _bars(axes: Any, shares: Any) -> None:
    places = np.arange(len(shares))
    axes.barh(places, shares["real"], height=0.8, color=TARGET, alpha=0.6)
    axes.barh(places, shares["new"], height=0.8, fill=False, edgecolor=PARTICLES, linewidth=1.2)
    axes.set_yticks(places, [str(name)[:18] for name in shares.index], parse_math=False)
    axes.set_ylim(len(shares) - 0.4, -0.6)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def associations(real: npt.ArrayLike, new: npt.ArrayLike, columns: Sequence[str] | None = None) -> Figure:
    """Draw the correlations between coordinates of real rows, of new rows, and their difference.

    Parameters
    ----------
    real, new
        Points, shapes (n, d) and (m, d), d at least 2. Only the first 40 coordinates are drawn.
    columns
        Names of the d coordinates.

    Examples
    --------
    >>> points = np.random.default_rng(0).normal(size=(50, 3))
    >>> print(associations(points, points).get_suptitle().splitlines()[1])
    largest difference 0.00, median 0.00
    """
    clouds = [np.asarray(points, dtype=np.float64)[:, :_MOST_CELLS] for points in (real, new)]
    width = clouds[0].shape[1]
    if width < 2:
        raise ValueError(f"correlations need at least 2 coordinates, got {width}.")
    names = column_names(columns, np.asarray(real).shape[1])[:width]
    tables = [_correlations(cloud) for cloud in clouds]
    differences = tables[1] - tables[0]
    figure = new_figure(9.6, 3.9)
    panels = figure.subplots(1, 3)
    titles = ("real rows", "new rows", "new minus real")
    for axes, table, title in zip(panels, [*tables, differences], titles, strict=True):
        bare_axes(axes, title=title)
        picture = axes.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        few = width <= 16
        axes.set_xticks([])  # in the order of the rows
        axes.set_yticks(
            range(width) if few and axes is panels[0] else [],
            names if few and axes is panels[0] else [],
            parse_math=False,
        )
        axes.tick_params(labelsize=6.5, length=0)
    bar = figure.colorbar(picture, ax=panels, shrink=0.7, ticks=[-1, 0, 1])
    bar.ax.tick_params(labelsize=8, labelcolor=QUIET)
    pairs = np.abs(differences[np.triu_indices(width, 1)])
    headline(
        figure, "How columns go together: correlations",
        f"largest difference {pairs.max():.2f}, median {np.median(pairs):.2f}",
    )  # fmt: skip
    return figure


def _correlations(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    centred = points - points.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    centred = centred / np.where(spread > 0, spread, 1.0)  # a constant column goes with nothing
    return np.asarray(centred.T @ centred / len(points))


def usefulness_bars(scores: Sequence[Any], measure: str) -> Figure:
    """Draw the scores of models by what they were trained on, with 95 % intervals.

    Parameters
    ----------
    scores
        Objects with `model`, `trained_on`, `value`, `low` and `high`; the first of a model is what others are held to.
    measure
        What the scores are.

    Examples
    --------
    >>> from proxflow.augmenting.usefulness import Score
    >>> figure = usefulness_bars([Score("real", "linear", 9, 0.8, 0.7, 0.9, 0, 0, 0)], "Balanced accuracy")
    >>> figure.axes[0].get_title(loc="left")
    'linear model'
    """
    models = list(dict.fromkeys(score.model for score in scores))
    kinds = list(dict.fromkeys(score.trained_on for score in scores))
    figure = new_figure(4.6 * len(models), 0.42 * len(kinds) + 1.5)
    colours = {"real": TARGET, "new": PARTICLES, "real + new": PARTICLES}
    for axes, model in zip(figure.subplots(1, len(models), squeeze=False, sharey=True).flat, models, strict=True):
        mine = [score for score in scores if score.model == model]
        bare_axes(axes, labels=(measure.lower() if measure != "R²" else measure,), title=f"{model} model")
        axes.axvline(mine[0].value, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)))
        for score in mine:
            place, colour = kinds.index(score.trained_on), colours.get(score.trained_on, ACCENT)
            axes.plot([score.low, score.high], [place, place], color=colour, linewidth=5, solid_capstyle="butt")
            axes.plot([score.value], [place], "o", color="white", markeredgecolor=INK, markersize=5.5)
        axes.set_yticks(range(len(kinds)), kinds)
        axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=9)
        axes.set_ylim(len(kinds) - 0.5, -0.5)
        axes.margins(x=0.08)
    headline(figure, "What models learn", "by what they were trained on; tested on held-out real rows; 95 % intervals")
    return figure
