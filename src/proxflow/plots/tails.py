"""Is the tail right? Survival curves on log-log axes, where P(|x| > t) ~ t^-i is a line of slope -i.

Bad at: the right end, where a curve is a few samples. The band of a second real sample, if given, says how much of a
gap is chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.plots.style import (
    ACCENT,
    PARTICLES,
    TARGET,
    bare_axes,
    footnote,
    grid_shape,
    headline,
    legend,
    new_figure,
    plural,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["survival_curves"]

_COLOURS = (PARTICLES, ACCENT, "#5f8f3e", "#9b4f96")


def survival_curves(
    panels: Mapping[str, Mapping[str, npt.ArrayLike]],
    *,
    label: str = "t",
    low: float | None = None,
    title: str = "Survival functions",
) -> Figure:
    """Draw P(v > t) against t on log-log axes, one panel per entry, one curve per sample.

    Parameters
    ----------
    panels
        Title of a panel -> name of a sample -> its values, shape (n,). The first sample is what the others should
        match: it is grey and thick. Values that are not positive count but cannot be seen on a logarithmic axis.
    label
        Of the axis of t.
    low
        Left end of the axis; the real sample's median if not given.
    title
        Of the figure.

    Raises
    ------
    ValueError
        No panel, a panel without a sample, or more than five samples in one.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> samples = {"real": rng.pareto(1.5, 1000), "new": rng.pareto(1.5, 500)}
    >>> survival_curves({"radius": samples}).axes[0].get_xscale()
    'log'
    """
    if not panels or not all(panels.values()):
        raise ValueError("nothing to draw: give at least one panel with at least one sample.")
    largest = max(len(samples) for samples in panels.values())
    if largest > len(_COLOURS) + 1:
        raise ValueError(f"{largest} samples in one panel: at most {len(_COLOURS) + 1} curves can be told apart.")
    rows, columns = grid_shape(len(panels))
    figure = new_figure(3.1 * columns + 0.4, 2.5 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    lost = 0
    for index, axes in enumerate(grid.flat):
        if index >= len(panels):
            axes.remove()
            continue
        name = list(panels)[index]
        bare_axes(
            axes,
            labels=(label if index + columns >= len(panels) else "", "share above" if index % columns == 0 else ""),
            title=name,
        )
        lost += _draw(axes, list(panels[name].values()), low)
    headline(figure, title, "log-log: a straight line is a power law")
    names: dict[str, str] = {}
    for samples in panels.values():
        names |= dict(zip(samples, (TARGET, *_COLOURS), strict=False))
    legend(figure, list(names.items()))
    if lost:
        footnote(figure, [f"{plural(lost, 'non-finite value')} not drawn"])
    return figure


def _draw(axes: Any, samples: Sequence[npt.ArrayLike], low: float | None) -> int:
    """Draw the curves of one panel and return how many values were not finite."""
    lost, longest = 0, 1
    for index, values in enumerate(samples):
        array = np.asarray(values, dtype=float).ravel()
        finite = np.sort(array[np.isfinite(array)])
        lost += len(array) - len(finite)
        longest = max(longest, len(finite))
        # The share at and above each value: the largest one is drawn at 1/n, where log 0 would lose it.
        share = np.arange(len(finite), 0, -1) / max(len(finite), 1)
        seen = finite > 0
        kept = _few(int(seen.sum()))
        axes.step(
            finite[seen][kept], share[seen][kept], where="pre",
            color=(TARGET, *_COLOURS)[index], linewidth=3.2 if index == 0 else 1.3, zorder=2 + index,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_minor_formatter("")  # within two decades they would overlap
    first = np.asarray(samples[0], dtype=float).ravel()
    left = float(np.median(first[np.isfinite(first)])) if low is None and np.isfinite(first).any() else low
    if left is not None and left > 0:
        axes.set_xlim(left=left)
    axes.set_ylim(0.5 / longest, 1.3)
    return lost


def _few(count: int) -> npt.NDArray[np.int_]:
    """Which of so many sorted values to draw: all of the last 200, and fewer of the others, that nobody could see."""
    last = min(count, 200)
    others = np.unique(np.linspace(0, max(count - last - 1, 0), 400).astype(int)) if count > last else np.empty(0, int)
    return np.concatenate([others, np.arange(count - last, count)])
