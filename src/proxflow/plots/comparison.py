"""A comparison of two samples in pictures: its three numbers, the tests, what moved, and at what cost.

    three_numbers        the samples' bracket, the laws' lower bound, and zero, on one axis
    null_distributions   each test's statistic among those of relabelled samples
    moved_features       the features along which the samples differ most

The clouds themselves are drawn by `plane`, what it takes to turn one into the other by `costs`. Bad at: values that
span many orders of magnitude; axes end where the bulk ends, and a mark says what lies beyond.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    headline,
    legend,
    new_figure,
    plural,
    robust_limits,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["moved_features", "null_distributions", "three_numbers"]

_LONGEST_NAME = 40
_TESTS = {"energy": "distances between samples (energy)", "witness": "a potential trained on others (witness)"}


def three_numbers(
    lower: float, upper: float, held_out: float = math.nan, held_out_lower: float = math.nan, *, level: float = 0.95
) -> Figure:
    r"""Draw the bracket of the samples' divergence and the lower confidence bound of their laws' over one axis.

    Parameters
    ----------
    lower, upper
        The bracket; NaN if it was not computed.
    held_out, held_out_lower
        The estimate on held-out samples and its one-sided lower bound; NaN if not computed.
    level
        Confidence of the bound.

    Examples
    --------
    >>> figure = three_numbers(1.0, 1.1, 0.8, 0.6)
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['the two samples', 'the populations\nbehind them']
    """
    figure = new_figure(7.4, 2.6)
    axes = figure.add_subplot()
    bare_axes(axes, labels=("divergence",))
    left, right = _span_of_numbers(lower, upper, held_out, held_out_lower)
    axes.set_xlim(left, right)
    axes.set_ylim(-0.6, 1.75)
    axes.set_yticks([1.0, 0.0], ["the two samples", "the populations\nbehind them"], fontsize=9)
    axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=9)
    axes.spines["left"].set_visible(False)
    axes.axvline(0.0, color=QUIET, linewidth=1.0, zorder=1)
    axes.annotate(
        "0: no difference", (0.0, 1.68), xytext=(4, 0), textcoords="offset points", va="top", fontsize=8, color=QUIET
    )
    _draw_bracket(axes, lower, upper)
    _draw_bound(axes, held_out, held_out_lower, level)
    headline(figure, "How far apart?", "samples of one population differ by chance too; the blue bound allows for that")
    return figure


def _span_of_numbers(lower: float, upper: float, held_out: float, held_out_lower: float) -> tuple[float, float]:
    """Return the ends of the axis: all numbers, unless one of them would squeeze the others into a point."""
    inner = [value for value in (lower, held_out_lower, held_out) if math.isfinite(value) and value > 0]
    highest = max(inner, default=upper if math.isfinite(upper) else 0.0)
    if math.isfinite(upper):
        highest = max(highest, min(upper, 4 * highest))
    highest = highest if highest > 1e-300 else 1.0
    lowest = min(0.0, held_out) if math.isfinite(held_out) else 0.0
    lowest = max(lowest, -0.5 * highest)
    return lowest - 0.06 * (highest - lowest), highest + 0.12 * (highest - lowest)


def _draw_bracket(axes: Any, lower: float, upper: float) -> None:
    if not (math.isfinite(lower) and math.isfinite(upper)):
        _say(axes, 0.0, 1.0, "not computed", colour=QUIET)
        return
    left, right = axes.get_xlim()
    beyond = upper > right
    end = right if beyond else upper
    axes.plot([lower, end], [1.0, 1.0], color=TARGET, linewidth=7, solid_capstyle="butt", zorder=2)
    axes.plot([lower], [1.0], "|", color=INK, markersize=13, markeredgewidth=1.6, zorder=3)
    axes.plot([end], [1.0], ">" if beyond else "|", color=INK, markersize=7 if beyond else 13, zorder=3, clip_on=False)
    closed = upper - lower <= 0.004 * (right - left)
    text = f"{upper:.4g}" if closed else f"between {lower:.4g} and {upper:.4g}" + (" (off the scale)" if beyond else "")
    _say(axes, 0.5 * (lower + end), 1.0, text, centred=True)


def _draw_bound(axes: Any, held_out: float, bound: float, level: float) -> None:
    if not math.isfinite(bound):
        _say(axes, 0.0, 0.0, "not computed", colour=QUIET)
        return
    left, right = axes.get_xlim()
    axes.fill_between([bound, right], -0.2, 0.2, color=PARTICLES, alpha=0.13, linewidth=0, zorder=1)
    axes.plot([bound], [0.0], "|", color=PARTICLES, markersize=19, markeredgewidth=2.4, zorder=4)
    text = f"at least {bound:.4g} ({100 * level:g}% confidence)" if bound > 0 else "no difference proven"
    _say(axes, bound, 0.0, text, colour=PARTICLES)
    if not math.isfinite(held_out):
        return
    outside = held_out < left
    place = left if outside else held_out
    axes.plot([place], [0.0], "<" if outside else "o", color="white", markeredgecolor=PARTICLES, markersize=6.5,
              markeredgewidth=1.4, zorder=5, clip_on=False)  # fmt: skip
    side = "left" if place < 0.5 * (left + right) else "right"
    axes.annotate(
        f"on held-out samples {held_out:.4g}", (place, 0.0), xytext=(0, -11), textcoords="offset points", ha=side,
        va="top",
        fontsize=8, color=QUIET, annotation_clip=False,
    )  # fmt: skip


def _say(axes: Any, place: float, height: float, text: str, *, colour: str = INK, centred: bool = False) -> None:
    """Write above a mark, to whichever side has room."""
    left, right = axes.get_xlim()
    share = (place - left) / (right - left)
    side = "center" if centred and 0.25 < share < 0.75 else "left" if share < 0.5 else "right"
    axes.annotate(
        text, (place, height), xytext=({"left": 4, "right": -4, "center": 0}[side], 10), textcoords="offset points",
        ha=side, va="bottom", fontsize=9, color=colour,
    )  # fmt: skip


def null_distributions(tests: Mapping[str, Any], p_value: float = math.nan) -> Figure:
    """Draw each test's statistic among those of samples whose labels were shuffled.

    Parameters
    ----------
    tests
        By name, objects with `statistic`, `null` of shape (permutations,) and `p_value`.
    p_value
        Of all tests together.

    Raises
    ------
    ValueError
        No tests.

    Examples
    --------
    >>> import numpy as np
    >>> from proxflow.permutation import PermutationTest
    >>> figure = null_distributions({"energy": PermutationTest(3.0, np.linspace(0, 1, 99), 0.01)}, 0.01)
    >>> figure.axes[0].get_title(loc="left")
    'distances between samples (energy)'
    """
    if not tests:
        raise ValueError("no tests to draw.")
    figure = new_figure(max(3.9 * len(tests), 5.4), 2.9)
    for axes, (name, test) in zip(figure.subplots(1, len(tests), squeeze=False).flat, tests.items(), strict=True):
        bare_axes(axes, labels=("statistic",), title=_TESTS.get(name, name))
        null = np.asarray(test.null, dtype=float)
        null = null[np.isfinite(null)]
        _draw_null(axes, float(test.statistic), null, float(test.p_value))
    together = f"; p = {p_value:.3g} together" if len(tests) > 1 and math.isfinite(p_value) else ""
    headline(
        figure, "Could one population have given both samples?",
        f"orange: as observed; grey: with labels shuffled, as if from one population{together}",
    )  # fmt: skip
    return figure


def _draw_null(axes: Any, statistic: float, null: npt.NDArray[np.float64], p_value: float) -> None:
    left, right = robust_limits(null)
    reach = 8 * (right - left)  # farther, the distribution would shrink to a line
    beyond = not left - reach <= statistic <= right + reach
    place = float(np.clip(statistic, left - reach, right + reach)) if math.isfinite(statistic) else right
    margin = 0.06 * (max(right, place) - min(left, place))
    counts, edges = np.histogram(null, np.linspace(left, right, 32))
    axes.stairs(counts, edges, fill=True, color=TARGET, alpha=0.75)
    axes.axvline(place, color=ACCENT, linewidth=1.8)
    axes.set_xlim(min(left, place - margin), max(right, place + margin))
    axes.set_ylim(0, 1.3 * max(float(counts.max(initial=0)), 1.0))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    low, high = axes.get_xlim()
    to_left = place > 0.5 * (low + high)
    where = f"observed {statistic:.4g}" + (", off the scale" if beyond else "")
    axes.annotate(
        f"{where}\np = {p_value:.3g}", (place, 0.97), xycoords=axes.get_xaxis_transform(),
        xytext=(-5 if to_left else 5, 0), textcoords="offset points", ha="right" if to_left else "left", va="top",
        fontsize=8.5, color=INK,
    )  # fmt: skip


def moved_features(
    names: Sequence[str],
    shares: npt.ArrayLike,
    directions: npt.ArrayLike,
    *,
    total: int | None = None,
    sides: tuple[str, str] = ("P", "Q"),
    most: int = 20,
) -> Figure:
    """Draw each feature's share of what moved as a bar, in the order given, coloured by which sample lies higher.

    Parameters
    ----------
    names, shares, directions
        Of the features that moved most: the share, and +1, 0 or -1 as the first side lies above the second or below.
        Features without a share are left out.
    total
        How many features there are in all; as many as names if None.
    sides
        What the two samples are called: the one that moves, the one that stays.
    most
        At most so many bars.

    Raises
    ------
    ValueError
        No features.

    Examples
    --------
    >>> figure = moved_features(["height", "age"], [0.9, 0.1], [1, -1])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['height', 'age']
    """
    from matplotlib.ticker import MaxNLocator

    if len(names) == 0:
        raise ValueError("no features to draw.")
    total = len(names) if total is None else total
    portions = np.nan_to_num(np.asarray(shares, dtype=float))[:most]
    kept = np.flatnonzero(portions > 0) if (portions > 0).any() else np.arange(1)  # an empty axis has no layout
    portions, signs, count = portions[kept], np.asarray(directions)[kept], len(kept)
    colours = {1: PARTICLES, -1: ACCENT}
    figure = new_figure(7.0, 0.235 * count + 1.25)
    axes = figure.add_subplot()
    bare_axes(axes, labels=("share of what moved",))
    axes.barh(range(count), portions, height=0.68, color=[colours.get(int(sign), TARGET) for sign in signs])
    axes.set_yticks(range(count), [_short(names[int(index)]) for index in kept], parse_math=False)
    axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=8.5)
    axes.set_ylim(count - 0.4, -0.6)
    axes.set_xlim(0, 1.12 * float(portions.max()) or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    for row, portion in enumerate(portions):
        axes.annotate(
            _percent(float(portion)), (portion, row), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=8, color=QUIET,
        )  # fmt: skip
    if not portions.any():
        headline(figure, "No feature stands out", f"of {plural(total, 'feature')}")
    else:
        together = f"together {_percent(float(portions.sum()))} of what moved" if count < total else ""
        which = f"The {count} of {total:,} features that moved most" if 1 < count < total else "Which features moved"
        headline(figure, which, together)
    first, second = sides
    legend(figure, [(f"{first} above {second}", PARTICLES), (f"{first} below {second}", ACCENT)])
    return figure


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 0.1 else f"{100 * share:.0f}%"


def _short(name: str) -> str:
    """Cut long names in the middle: identifiers differ at their ends."""
    words = " ".join(str(name).split())
    if len(words) <= _LONGEST_NAME:
        return words
    half = _LONGEST_NAME // 2
    return f"{words[:half]}…{words[1 - half :]}"
