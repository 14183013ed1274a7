"""One look for every figure: a palette, a blank figure, bare axes, and saving.

Grey is always the target (or whatever is real), blue the particles (or whatever is new), orange what the eye
should compare with. The three differ in lightness too, so they survive colour blindness and a grey print.
Every property is set on the figure itself, because ``rcParams`` are global and not safe across threads.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "ACCENT",
    "INK",
    "PARTICLES",
    "QUIET",
    "TARGET",
    "WALL",
    "bare_axes",
    "column_names",
    "finite_rows",
    "footnote",
    "grid_shape",
    "headline",
    "legend",
    "new_figure",
    "plural",
    "robust_limits",
    "save_figure",
]

TARGET = "#a7adb5"
PARTICLES = "#0b5cad"
ACCENT = "#e07b00"
INK = "#24292f"
QUIET = "#6a737d"
WALL = "#f4f5f7"

# The square of anything beyond this overflows float32: such a particle has been lost, as with NaN.
_LARGEST = 1e18


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure of that many inches, with its own Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.03)
    figure = Figure(figsize=(width, height), facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    return figure


def bare_axes(axes: Any, *, labels: Sequence[str] = (), title: str = "") -> None:
    """Strip the axes to two thin spines and small quiet ticks; set labels and a title on the left."""
    axes.set_facecolor("white")
    if axes.name == "3d":
        _bare_3d(axes, labels)
    else:
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set(color=QUIET, linewidth=0.6)
        axes.tick_params(labelsize=8, length=2.5, width=0.6, color=QUIET, labelcolor=QUIET)
        axes.tick_params(which="minor", length=1.5, width=0.4, color=QUIET, labelsize=7, labelcolor=QUIET)
    for axis, label in zip((axes.xaxis, axes.yaxis, getattr(axes, "zaxis", None)), labels, strict=False):
        # A column may be called "cost in $ of $": no mathematics in names.
        axis.set_label_text(label, fontsize=8.5, color=INK, parse_math=False)
    if title:
        axes.set_title(title, loc="left", fontsize=9, color=INK, parse_math=False)


def _bare_3d(axes: Any, labels: Sequence[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.tick_params(labelsize=7, pad=-3, labelcolor=QUIET)
    axes.grid(False)  # its lines would compete with the points; the tinted walls give the depth
    axes.view_init(elev=20, azim=-65)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_major_locator(MaxNLocator(4, prune="both"))
        axis.set_pane_color(WALL)
        axis.line.set(color=QUIET, linewidth=0.6)
        axis.labelpad = -8 if labels else 0


def headline(figure: Figure, title: str, second: str = "") -> None:
    """Write the figure's title and, on a second line, how to read it."""
    text = title if not second else f"{title}\n{second}"
    figure.suptitle(text, x=0.012, ha="left", fontsize=11, color=INK, parse_math=False)


def footnote(figure: Figure, notes: Sequence[str]) -> None:
    """Write what was left out of the figure beneath it, if anything was."""
    if notes:
        text = "; ".join(notes) + "."
        text = text[0].upper() + text[1:]
        figure.supxlabel(text, x=0.012, ha="left", fontsize=8, color=QUIET, parse_math=False)


def legend(figure: Figure, entries: Sequence[tuple[str, str]]) -> None:
    """Name the colours once for the whole figure: pairs of a label and a colour."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker="o", markersize=5, linewidth=0, label=label) for label, colour in entries
    ]
    figure.legend(
        handles=handles,
        loc="outside upper right",
        ncols=len(handles),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handletextpad=0.1,
        columnspacing=1.0,
    )


def grid_shape(count: int) -> tuple[int, int]:
    """Return rows and columns for so many panels, wider than tall."""
    columns = count if count <= 3 else 2 if count == 4 else 3 if count <= 9 else 4
    return -(-count // columns), columns


def finite_rows(points: Any, name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return points as (n, d) and which rows can be drawn: finite and not astronomically far away."""
    array = np.asarray(points, dtype=np.float64)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{name}: nothing to draw (shape {array.shape}).")
    array = array.reshape(len(array), -1)
    with np.errstate(invalid="ignore"):
        return array, np.all(np.abs(array) < _LARGEST, axis=1)


def robust_limits(*samples: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the interval that shows all of the 1-D samples but their far outliers, with a margin.

    A sample's far outliers lie more than 1.5 times its 5% to 95% range beyond that range: none in Gaussian,
    uniform or clustered data, and one wild value among eight or more cannot move the limits.
    """
    lows, highs = [], []
    for sample in samples:
        values = np.sort(sample[np.isfinite(sample)])
        if len(values) == 0:
            continue
        # The inner of the two neighbouring order statistics, so that an extreme never takes part.
        low = float(np.quantile(values, 0.05, method="higher"))
        high = float(np.quantile(values, 0.95, method="lower"))
        if high > low and len(values) >= 8:  # fewer cannot say what is far
            reach = 1.5 * (high - low)
            values = values[(values >= low - reach) & (values <= high + reach)]
        lows.append(float(values[0]))
        highs.append(float(values[-1]))
    if not lows:
        return -0.5, 0.5
    low, high = min(lows), max(highs)
    # Constant data: something to look at around it, at the data's own scale.
    margin = 0.05 * (high - low) or 0.5 * abs(low) or 0.5
    return low - margin, high + margin


def column_names(columns: Sequence[str] | None, width: int) -> list[str]:
    """Return one short printable name per feature."""
    if columns is None:
        return ["value"] if width == 1 else [f"feature {index}" for index in range(width)]
    if len(columns) != width:
        raise ValueError(f"{len(columns)} column names for {width} features.")
    names = (" ".join(str(column).split()) for column in columns)
    return [name if len(name) <= 28 else name[:27] + "…" for name in names]


def plural(count: int, noun: str) -> str:
    """Return "1 particle" or "1,200 particles"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write the figure as a PNG of 150 dots per inch, all of it or nothing.

    Examples
    --------
    >>> import tempfile
    >>> save_figure(new_figure(2, 1), tempfile.mkdtemp() + "/blank.png").name
    'blank.png'
    """
    from proxflow.store import atomic_path

    with atomic_path(Path(path)) as temporary:
        # No software version in the file: the same arrays give the same bytes.
        figure.savefig(temporary, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    return Path(path)
