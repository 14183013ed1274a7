"""Two samples seen in a plane: what each point costs to move, where it goes, and what weight its target gets.

One feature is seen as histograms, two as they are, more on the first two principal components of both samples
together: the directions in which they spread most, which need not be those in which they differ.

Bad at: differences across many features that no plane shows; the table of features is there for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.plots.style import (
    ACCENT,
    INK,
    PARTICLES,
    QUIET,
    TARGET,
    finite_rows,
    footnote,
    headline,
    legend,
    new_figure,
    plural,
    robust_limits,
)
from proxflow.plots.view import View, draw_cloud, gather, histogram, open_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["two_samples"]

_MOST = 2000  # points drawn per sample
_ARROWS = 150
_CHEAP, _DEAR = "#bcd4ee", "#052a52"
# Grey, the colour of the target, is a weight of one.
_WEIGHT_COLOURS = [(0.0, "#eceef1"), (0.5, TARGET), (0.62, "#d9a05b"), (0.8, ACCENT), (1.0, "#8f4800")]


@dataclass(frozen=True)
class _Side:
    """What is drawn of one sample: coordinates (k, 1) or (k, 2), one number per point, and which rows these are."""

    points: npt.NDArray[np.float64]
    numbers: npt.NDArray[np.float64] | None
    rows: npt.NDArray[np.int64]
    name: str


def two_samples(
    moving: npt.ArrayLike,
    fixed: npt.ArrayLike,
    *,
    moved: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    plan: Any = None,
    columns: Sequence[str] | None = None,
    sides: tuple[str, str] = ("P", "Q"),
) -> Figure:
    """Draw two samples, the cost of moving each point of one, and the weight that each point of the other gets.

    Parameters
    ----------
    moving, fixed
        Samples of shape (n, d) and (m, d).
    moved, weights
        A cost for each moving point, (n,), and a weight for each fixed one, (m,). Without them only the clouds.
    plan
        A sparse (n, m) matrix: where mass goes. The largest flows of some points are drawn as arrows.
    columns
        Names of the d features.
    sides
        What the two samples are called.

    Raises
    ------
    ValueError
        Nothing finite to draw, different numbers of features, or not one cost and one weight per point.

    Examples
    --------
    >>> import numpy as np
    >>> figure = two_samples(np.zeros((5, 2)), np.ones((4, 2)), moved=np.ones(5), weights=np.ones(4))
    >>> [axes.get_title(loc="left") for axes in figure.axes][:2]
    ['what each sample of P costs to move', 'which weight each sample of Q gets']
    """
    sources, targets = (
        _chosen(cloud, numbers, name)
        for cloud, numbers, name in zip((moving, fixed), (moved, weights), sides, strict=True)
    )
    if sources.points.shape[1] != targets.points.shape[1]:
        raise ValueError(f"samples have {sources.points.shape[1]} and {targets.points.shape[1]} features.")
    sources, targets, names, explanation = _flattened(sources, targets, columns)
    view = gather([(0, sources.points)], targets.points, names, 1).view
    notes = [
        f"{plural(int(outside), 'sample')} of {side.name} outside the frame"
        for side in (sources, targets)
        if (outside := (~view.inside(side.points)).sum())
    ]
    if max(len(np.asarray(moving)), len(np.asarray(fixed))) > _MOST:
        notes.append(f"at most {_MOST:,} points of a sample are drawn")
    both = sources.numbers is not None and targets.numbers is not None
    draw = _as_histograms if len(view.labels) == 1 else _as_points
    figure = draw(view, sources, targets, plan if both else None, both)
    headline(figure, f"{sources.name} and {targets.name}", explanation)
    legend(figure, [(targets.name, TARGET), (sources.name, PARTICLES)])
    footnote(figure, notes)
    return figure


def _chosen(cloud: Any, numbers: Any, name: str) -> _Side:
    """Drop what cannot be drawn, and of many points all but a fixed random choice."""
    points, drawable = finite_rows(cloud, name)
    if not drawable.any():
        raise ValueError(f"{name}: no finite row to draw.")
    rows = np.flatnonzero(drawable)
    if len(rows) > _MOST:
        rows = np.sort(np.random.default_rng(0).choice(rows, _MOST, replace=False))
    values = None
    if numbers is not None:
        values = np.asarray(numbers, dtype=float)
        if values.shape != (len(points),):
            raise ValueError(f"{name} has {len(points)} samples, but numbers of shape {values.shape} for them.")
        values = np.nan_to_num(values[rows])
    return _Side(points[rows], values, rows, name)


def _flattened(
    sources: _Side, targets: _Side, columns: Sequence[str] | None
) -> tuple[_Side, _Side, Sequence[str] | None, str]:
    """Project more than two features on two components of both samples together."""
    width = sources.points.shape[1]
    if width <= 2:
        return sources, targets, columns, ""
    pooled = np.concatenate([sources.points, targets.points])
    deviations = pooled - pooled.mean(axis=0)
    variance = float((deviations**2).sum())
    if len(pooled) < 3 or not variance > 0:
        flat, names = pooled[:, :2], list(columns[:2]) if columns is not None else ["feature 0", "feature 1"]
        explanation = f"the first 2 of {width:,} features"
    else:
        from sklearn.decomposition import PCA

        flat = deviations @ PCA(2, random_state=0).fit(pooled).components_.T
        shares = (flat**2).sum(axis=0) / variance
        names = [f"PC {index + 1} ({share:.0%} of variance)" for index, share in enumerate(shares)]
        explanation = f"seen by PCA of both: {shares.sum():.0%} of the variance in {width:,} features"
    parts = flat[: len(sources.points)], flat[len(sources.points) :]
    new = [
        _Side(part, side.numbers, side.rows, side.name) for part, side in zip(parts, (sources, targets), strict=True)
    ]
    return new[0], new[1], names, explanation


# ---------------------------------------------------------------------- one feature


def _as_histograms(view: View, sources: _Side, targets: _Side, plan: Any, both: bool) -> Figure:
    """Histograms of both samples and, beside them, of the target reweighted: what the moved sample becomes."""
    figure = new_figure(7.8 if both else 5.4, 3.0)
    grid = figure.subplots(1, 2 if both else 1, squeeze=False, sharex=True, sharey=True)[0]
    tallest = 0.0
    for axes, title in zip(grid, ("the samples as they are", f"{targets.name} reweighted (orange)"), strict=False):
        open_axes(axes, view, title=title if both else "")
        draw_cloud(axes, view, targets.points, target=True)
    draw_cloud(grid[0], view, sources.points, target=False)
    for side in (sources, targets):
        tallest = max(tallest, float(histogram(side.points[:, 0], len(side.points), view)[0].max()))
    if both and targets.numbers is not None:
        _, edges = histogram(targets.points[:, 0], 1, view)
        total = float(targets.numbers.sum()) or 1.0
        heights = np.histogram(targets.points[:, 0], edges, weights=targets.numbers)[0] / total
        grid[1].stairs(heights, edges, color=ACCENT, linewidth=1.5, zorder=3)
        tallest = max(tallest, float(heights.max()))
    grid[0].set_ylim(0, 1.08 * tallest or 1.0)
    return figure


# ---------------------------------------------------------------------- two features, or two components


def _as_points(view: View, sources: _Side, targets: _Side, plan: Any, both: bool) -> Figure:
    lengths = view.limits[:, 1] - view.limits[:, 0]
    ratio = float(np.clip(lengths[1] / lengths[0], 0.6, 1.3)) if view.equal else 0.8
    if not both:
        figure = new_figure(5.6, 4.6 * ratio + 1.0)
        axes = figure.add_subplot()
        open_axes(axes, view)
        draw_cloud(axes, view, targets.points, target=True)
        draw_cloud(axes, view, sources.points, target=False)
        return figure
    figure = new_figure(8.6, 3.9 * ratio + 1.7)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    open_axes(left, view, title=f"what each sample of {sources.name} costs to move")
    open_axes(right, view, title=f"which weight each sample of {targets.name} gets")
    _faint(left, view, targets, TARGET)
    _faint(right, view, sources, PARTICLES)
    if plan is not None:
        _draw_flows(left, view, sources, targets, plan)
    _draw_costs(figure, left, view, sources)
    _draw_weights(figure, right, view, targets)
    right.label_outer()
    return figure


def _faint(axes: Any, view: View, side: _Side, colour: str) -> None:
    points = side.points[view.inside(side.points)]
    size, alpha = 0.4 * _size(len(side.points)), 0.55 if colour == TARGET else 0.25
    axes.scatter(*points.T, s=size, color=colour, alpha=alpha, linewidths=0, zorder=1)


def _draw_flows(axes: Any, view: View, sources: _Side, targets: _Side, plan: Any) -> None:
    """Draw an arrow along the largest flow of a random choice of points: those of all of them would be a thicket."""
    among = plan.tocsr()[sources.rows][:, targets.rows].tocsr()
    seen = view.inside(sources.points) & (np.diff(among.indptr) > 0)
    candidates = np.flatnonzero(seen)
    if len(candidates) > _ARROWS:
        candidates = np.random.default_rng(0).choice(candidates, _ARROWS, replace=False)
    pairs = []
    for row in candidates:
        flows = slice(among.indptr[row], among.indptr[row + 1])
        pairs.append((row, among.indices[flows][np.argmax(among.data[flows])]))
    ways = np.array([targets.points[to] - sources.points[at] for at, to in pairs]).reshape(-1, 2)
    # Shorter than a dot: an arrow would be a blot.
    long = np.linalg.norm(ways / (view.limits[:, 1] - view.limits[:, 0]), axis=1) > 0.015
    if not long.any():
        return
    starts = sources.points[[at for at, _ in pairs]][long]
    axes.quiver(
        *starts.T, *ways[long].T, angles="xy", scale_units="xy", scale=1, color=INK, alpha=0.32, width=0.0022,
        headwidth=5.5, headlength=7, headaxislength=6, zorder=2,
    )  # fmt: skip


def _draw_costs(figure: Figure, axes: Any, view: View, side: _Side) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    assert side.numbers is not None
    highest = min(robust_limits(side.numbers)[1], float(side.numbers.max()))
    highest = highest if highest > 1e-300 else 1.0
    inside = view.inside(side.points)
    order = np.argsort(side.numbers[inside])  # the dear ones on top
    dots = axes.scatter(
        *side.points[inside][order].T, c=side.numbers[inside][order], s=_size(len(side.points)), vmin=0.0, vmax=highest,
        cmap=LinearSegmentedColormap.from_list("cost", [_CHEAP, PARTICLES, _DEAR]), linewidths=0, zorder=3,
    )  # fmt: skip
    _scale(figure, axes, dots, "cost, L·distance", extend="max" if side.numbers.max() > highest else "neither")


def _draw_weights(figure: Figure, axes: Any, view: View, side: _Side) -> None:
    """Colour and size by the logarithm of the weight: half and double are equally far from one."""
    from matplotlib.colors import LinearSegmentedColormap

    assert side.numbers is not None
    doublings = np.log2(np.maximum(side.numbers, 2.0**-20))
    reach = float(np.clip(np.ceil(np.quantile(np.abs(doublings), 0.98)), 1, 5))
    inside = view.inside(side.points)
    order = np.argsort(np.abs(doublings[inside]))
    shown = doublings[inside][order]
    dots = axes.scatter(
        *side.points[inside][order].T, c=shown, vmin=-reach, vmax=reach, zorder=3,
        s=_size(len(side.points)) * 2 ** (np.clip(shown, -reach, reach) / reach),
        cmap=LinearSegmentedColormap.from_list("weight", _WEIGHT_COLOURS), linewidths=0.4,
        edgecolors=QUIET,
    )  # fmt: skip
    below, above = bool((doublings < -reach).any()), bool((doublings > reach).any())
    extend = "both" if below and above else "min" if below else "max" if above else "neither"
    bar = _scale(figure, axes, dots, f"weight dR/d{side.name}", extend=extend)
    ticks = np.unique(np.round(np.linspace(-reach, reach, 5 if reach != 3 else 7)))
    words = ["1" if tick == 0 else f"{2**tick:g}" if tick > 0 else f"1/{2**-tick:g}" for tick in ticks]
    bar.set_ticks(ticks, labels=words)


def _size(count: int) -> float:
    return float(np.clip(5000 / max(count, 1), 9.0, 34.0))


def _scale(figure: Figure, axes: Any, dots: Any, label: str, *, extend: str) -> Any:
    bar = figure.colorbar(dots, ax=axes, orientation="horizontal", extend=extend, fraction=0.05, pad=0.02, aspect=32)
    bar.set_label(label, fontsize=8.5, color=INK)
    bar.ax.tick_params(labelsize=8, length=2.5, width=0.6, color=QUIET, labelcolor=QUIET)
    bar.outline.set_visible(False)
    return bar
