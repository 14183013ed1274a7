"""Two questions to a finished sample: what still differs, and is it too close to the training data.

`marginals` sees one feature at a time: two clouds can agree in all of them and differ in every correlation.
`nearest_distances` sees exact and near copies; a sample that blends two training points passes unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.plots.style import (
    ACCENT,
    INK,
    PARTICLES,
    QUIET,
    TARGET,
    bare_axes,
    column_names,
    finite_rows,
    footnote,
    grid_shape,
    headline,
    legend,
    new_figure,
    plural,
    robust_limits,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["marginals", "nearest_distances"]


def marginals(
    new: npt.ArrayLike, target: npt.ArrayLike, columns: Sequence[str] | None = None, *, panels: int = 12
) -> Figure:
    """Draw histograms of the features in which the new samples differ most from the target.

    The difference of one feature is the largest gap between the two cumulative shares (the two-sample
    Kolmogorov-Smirnov statistic): 0 if equal, 1 if disjoint, whatever the unit.

    Parameters
    ----------
    new, target
        Clouds of shape (M, d) and (N, d). Non-finite rows are dropped, and a note says so.
    columns
        Names of the d features.
    panels
        At most so many features are drawn, those with the largest difference first.

    Raises
    ------
    ValueError
        Different numbers of features, or nothing finite to draw.

    Examples
    --------
    >>> import numpy as np
    >>> target = np.random.default_rng(0).normal(size=(200, 4))
    >>> figure = marginals(target + [0, 0, 3, 0], target, ["a", "b", "c", "d"], panels=1)
    >>> figure.axes[0].get_xlabel()
    'c'
    """
    if panels < 1:
        raise ValueError(f"panels must be at least 1, got {panels}.")
    clouds, notes = [], []
    for points, name in ((new, "new sample"), (target, "target sample")):
        array, drawable = finite_rows(points, name + "s")
        if not drawable.any():
            raise ValueError(f"{name}s: no finite row to draw.")
        if not drawable.all():
            notes.append(f"{plural(int((~drawable).sum()), 'non-finite ' + name)} dropped")
        clouds.append(array[drawable])
    moved, goal = clouds
    width = goal.shape[1]
    if moved.shape[1] != width:
        raise ValueError(f"new samples have {moved.shape[1]} features and the target has {width}.")
    names = column_names(columns, width)
    gaps = np.array([_gap(moved[:, index], goal[:, index]) for index in range(width)])
    largest = np.argsort(-gaps, kind="stable")[:panels]
    rows, across = grid_shape(len(largest))
    figure = new_figure(max(2.4 * across, 5.5), 1.75 * rows + 0.8)
    grid = figure.subplots(rows, across, squeeze=False)
    for position, axes in enumerate(grid.flat):
        if position >= len(largest):
            axes.remove()
            continue
        index = int(largest[position])
        bare_axes(axes, labels=(names[index],), title=f"gap {gaps[index]:.2f}")
        _overlay(axes, moved[:, index], goal[:, index])
    if len(largest) < width:
        title = f"The {len(largest)} of {width:,} features that differ most"
    else:
        title = "All features, those that differ most first" if width > 1 else "New samples and target"
    headline(figure, title, "gap: the largest distance between the two cumulative shares")
    legend(figure, [("target", TARGET), ("new", PARTICLES)])
    footnote(figure, notes)
    return figure


def nearest_distances(
    new_to_train: npt.ArrayLike,
    real_to_train: npt.ArrayLike,
    *,
    real_label: str = "held-out real samples",
) -> Figure:
    """Draw whether new samples lie closer to the training samples than real samples do (memorisation).

    Two cumulative curves of the distance to the nearest training sample. A new sample that is as different
    from the training data as a real one follows the grey curve; a copy pulls the blue curve to the left.

    Parameters
    ----------
    new_to_train
        For each new sample its distance to the nearest training sample, shape (n,).
    real_to_train
        The same for real samples: held out ones, or each training sample's distance to the nearest other.
    real_label
        What the real samples are called.

    Raises
    ------
    ValueError
        No finite distance, or a negative one.

    Examples
    --------
    >>> import numpy as np
    >>> real = np.random.default_rng(0).uniform(1, 2, size=500)
    >>> figure = nearest_distances(real / 10, real)
    >>> print(figure.get_suptitle().splitlines()[1])
    100% of new samples are as close as the closest 5% of held-out real samples
    """
    distances, notes = [], []
    for values, name in ((new_to_train, "new_to_train"), (real_to_train, "real_to_train")):
        array = np.asarray(values, dtype=np.float64).ravel()
        finite = array[np.isfinite(array)]
        if len(finite) == 0:
            raise ValueError(f"{name}: no finite distance.")
        if finite.min() < 0:
            raise ValueError(f"{name}: a distance is negative ({finite.min():.3g}).")
        if len(finite) < len(array):
            notes.append(f"{plural(len(array) - len(finite), 'non-finite distance')} dropped")
        distances.append(np.sort(finite))
    made, real = distances
    threshold = float(np.quantile(real, 0.05))
    share = float((made <= threshold).mean())
    figure = new_figure(6.6, 3.9)
    axes = figure.add_subplot()
    bare_axes(axes, labels=("distance to the nearest training sample", "share of samples"))
    right = max(robust_limits(made)[1], robust_limits(real)[1])
    for values, colour, width in ((real, TARGET, 2.6), (made, PARTICLES, 1.8)):
        axes.ecdf(values, color=colour, linewidth=width)
    axes.axvline(threshold, color=ACCENT, linewidth=1.0, linestyle=(0, (5, 3)))
    axes.annotate(
        f"closest 5%\nof {real_label}",
        (threshold, 0.97),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-4, 0) if threshold > 0.35 * right else (4, 0),
        textcoords="offset points",
        ha="right" if threshold > 0.35 * right else "left",
        va="top",
        fontsize=8.5,
        color=QUIET,
        parse_math=False,
    )
    axes.set_xlim(0.0, right)
    axes.set_ylim(0.0, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _name_curves(axes, made, real, real_label, right)
    headline(
        figure,
        "How close samples come to the training data",
        f"{share:.0%} of new samples are as close as the closest 5% of {real_label}",
    )
    footnote(figure, notes)
    return figure


def _name_curves(
    axes: Any, made: npt.NDArray[np.float64], real: npt.NDArray[np.float64], real_label: str, right: float
) -> None:
    handles = [
        axes.plot([], [], color=PARTICLES, linewidth=1.8, label=f"new samples ({len(made):,})")[0],
        axes.plot([], [], color=TARGET, linewidth=2.6, label=f"{real_label} ({len(real):,})")[0],
    ]
    axes.legend(handles=handles, loc="lower right", frameon=False, fontsize=8.5, labelcolor=INK)


def _gap(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Return the largest difference of the two empirical distribution functions."""
    places = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(side), places, side="right") / len(side) for side in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def _overlay(axes: Any, moved: npt.NDArray[np.float64], goal: npt.NDArray[np.float64]) -> None:
    edges = np.linspace(*robust_limits(moved, goal), 31)
    shares = [np.histogram(side, edges)[0] / len(side) for side in (moved, goal)]
    axes.stairs(shares[1], edges, fill=True, color=TARGET, alpha=0.6)
    axes.stairs(shares[0], edges, color=PARTICLES, linewidth=1.4)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.08 * max(shares[0].max(), shares[1].max()) or 1.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
