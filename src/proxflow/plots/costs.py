"""What it takes to turn one sample into another: moving and reweighting, and how the divergence splits into the two.

    D = L·W1(P, R) + D_f(R‖Q)        costs of moving to R, by sample of P;  weights dR/dQ, by sample of Q

Bad at: costs with heavy tails, of which the axis shows the bulk.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.plots.style import (
    ACCENT,
    INK,
    PARTICLES,
    TARGET,
    bare_axes,
    footnote,
    headline,
    new_figure,
    plural,
    robust_limits,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["costs_and_weights"]

_FAINTEST = 2.0**-10  # weights below are drawn there


def costs_and_weights(
    moved: npt.ArrayLike,
    weights: npt.ArrayLike,
    transported: float,
    reweighted: float,
    *,
    sides: tuple[str, str] = ("P", "Q"),
) -> Figure:
    """Draw how the divergence splits, what each sample costs to move, and which weight each target gets.

    Parameters
    ----------
    moved
        What each sample of the moving side costs to move, shape (n,).
    weights
        The proximal density dR/dQ at each sample of the side that stays, shape (m,).
    transported, reweighted
        The two parts, which sum to the divergence.
    sides
        What the two samples are called: the one that moves, the one that stays.

    Raises
    ------
    ValueError
        No finite cost or weight.

    Examples
    --------
    >>> figure = costs_and_weights([0.0, 1.0, 2.0], [0.5, 1.0, 1.5], 1.0, 0.2)
    >>> print(figure.get_suptitle().splitlines()[0])
    83% moved, 17% reweighted
    """
    costs, density = (np.asarray(values, dtype=float).ravel() for values in (moved, weights))
    costs, density = costs[np.isfinite(costs)], density[np.isfinite(density)]
    if len(costs) == 0 or len(density) == 0:
        raise ValueError("no finite cost or weight to draw.")
    first, second = sides
    figure = new_figure(7.8, 3.6)
    places: dict[str, Any] = figure.subplot_mosaic(
        [["split", "split"], ["moved", "weights"]], height_ratios=[0.24, 1.0]
    )
    shares = _draw_split(places["split"], transported, reweighted)
    notes: list[str] = []
    _draw_costs(places["moved"], costs, first, notes)
    _draw_weights(places["weights"], density, second, notes)
    headline(
        figure,
        "Nothing to move or to reweight" if shares is None else f"{shares[0]} moved, {shares[1]} reweighted",
        f"{first} is moved (blue) onto a reweighted {second} (orange), whichever is cheaper",
    )
    footnote(figure, notes)
    return figure


def _draw_split(axes: Any, transported: float, reweighted: float) -> tuple[str, str] | None:
    axes.set_axis_off()
    whole = transported + reweighted
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.5, 0.5)
    if not (math.isfinite(whole) and whole > 0):
        axes.barh([0], [1], color=TARGET, alpha=0.5, height=0.9)
        return None
    share = transported / whole
    axes.barh([0], [share], color=PARTICLES, height=0.9)
    axes.barh([0], [1 - share], left=[share], color=ACCENT, height=0.9)
    for portion, place, side, text in (
        (share, 0.01, "left", f"moving {transported:.3g}"),
        (1 - share, 0.99, "right", f"reweighting {reweighted:.3g}"),
    ):
        if portion > 0.22:  # narrower, the words would not fit
            axes.annotate(text, (place, 0.0), ha=side, va="center", fontsize=9, color="white")
    if 0.995 <= share < 1 or 0 < share < 0.005:
        return (">99%", "<1%") if share > 0.5 else ("<1%", ">99%")
    return f"{100 * share:.0f}%", f"{100 * (1 - share):.0f}%"


def _draw_costs(axes: Any, costs: npt.NDArray[np.float64], side: str, notes: list[str]) -> None:
    bare_axes(axes, labels=("cost L·distance", f"samples of {side}"), title=f"what each sample of {side} costs to move")
    right = robust_limits(costs)[1]
    # The costs of identical samples are rounding errors.
    edges = np.linspace(0.0, right if right > 1e-12 * max(float(costs.max()), 1.0) else 1.0, 32)
    axes.stairs(np.histogram(costs, edges)[0], edges, fill=True, color=PARTICLES, alpha=0.85)
    mean = float(costs.mean())
    if 0 < mean < edges[-1]:
        axes.axvline(mean, color=INK, linewidth=1.0, linestyle=(0, (5, 3)))
        _name_line(axes, mean, f"mean {mean:.3g}")
    beyond = int((costs > edges[-1]).sum())
    if beyond:
        notes.append(f"{plural(beyond, 'cost')} beyond the axis, up to {costs.max():.3g}")
    axes.set_xlim(0.0, edges[-1])
    _count_axis(axes)


def _draw_weights(axes: Any, weights: npt.NDArray[np.float64], side: str, notes: list[str]) -> None:
    bare_axes(
        axes, labels=(f"weight dR/d{side}", f"samples of {side}"), title=f"which weight each sample of {side} gets"
    )
    faint = int((weights < _FAINTEST).sum())
    drawn = np.maximum(weights, _FAINTEST)
    low, high = float(drawn.min()), float(drawn.max())
    logarithmic = high > 4 * low
    if logarithmic:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
        reach = max(math.log2(high), -math.log2(low))
        edges = 2.0 ** np.linspace(max(math.log2(low), -reach) - 0.2, max(math.log2(high), 0.0) + 0.2, 31)
    else:
        margin = max(0.06 * (high - low), 0.05)
        edges = np.linspace(max(min(low, 1.0) - margin, 0.0), max(high, 1.0) + margin, 32)
    axes.stairs(np.histogram(drawn, edges)[0], edges, fill=True, color=ACCENT, alpha=0.85)
    axes.axvline(1.0, color=INK, linewidth=1.0, linestyle=(0, (5, 3)))
    axes.set_xlim(edges[0], edges[-1])
    _name_line(axes, 1.0, "as it was")
    if faint:
        notes.append(f"{plural(faint, 'weight')} below 1/1024 drawn there")
    _count_axis(axes)


def _name_line(axes: Any, place: float, text: str) -> None:
    share = float(axes.transAxes.inverted().transform(axes.transData.transform((place, 0.0)))[0])
    to_left = share > 0.6
    axes.annotate(
        text, (place, 0.98), xycoords=axes.get_xaxis_transform(), xytext=(-4 if to_left else 4, 0),
        textcoords="offset points", ha="right" if to_left else "left", va="top", fontsize=8, color=INK,
    )  # fmt: skip


def _count_axis(axes: Any) -> None:
    axes.set_ylim(0, 1.22 * axes.dataLim.y1 or 1.0)
    axes.yaxis.get_major_locator().set_params(integer=True, nbins=5)
