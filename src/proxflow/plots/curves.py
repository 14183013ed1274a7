"""Is it done? The four numbers of every step: divergence, Fisher information, largest slope, step size.

The divergence should fall, and fall at the rate of the Fisher information (dD/dt = -I, in the time that step
sizes measure); the slope should stay at or below L. A slope that sits on L while the divergence stalls says
that L caps the speed; a slope above L, that the bound is only a penalty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.plots.style import ACCENT, INK, PARTICLES, QUIET, bare_axes, footnote, new_figure, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bound_line", "convergence", "draw_curve"]

_PANELS = {
    "value": "divergence",
    "fisher": "Fisher information, mean of |∇φ|²",
    "slope": "largest slope, max of |∇φ|",
    "step": "step size",
}


def convergence(history: Mapping[str, npt.ArrayLike], *, lipschitz: float | None = None) -> Figure:
    """Draw divergence, Fisher information, largest slope and step size against the step.

    An axis is logarithmic where all of its values are positive and span more than a factor of five. Above
    200 steps the noisy values are drawn faintly behind their running median.

    Parameters
    ----------
    history
        Arrays of shape (steps,) under the names of a run's report: "value", "fisher", "slope" and "step",
        the step size. A missing one leaves its panel out, other names are ignored. If there is a
        "step_size", as in a written history.csv, that is the step size and "step" the number of each step
        (else 1, 2, 3, ...).
    lipschitz
        The bound L, drawn as a line in the slope's panel.

    Raises
    ------
    ValueError
        None of the four names is there, or an array has not one value per step.

    Examples
    --------
    >>> import numpy as np
    >>> steps = np.arange(100)
    >>> history = {"value": np.exp(-steps / 20), "slope": np.full(100, 0.9)}
    >>> figure = convergence(history, lipschitz=1.0)
    >>> [axes.get_yscale() for axes in figure.axes]
    ['log', 'linear']
    """
    given = dict(history)
    numbers = None
    if "step_size" in given:
        numbers = given.pop("step", None)
        given["step"] = given.pop("step_size")
    curves = {name: np.asarray(given[name], dtype=float) for name in _PANELS if name in given}
    if not curves:
        raise ValueError(f"history has {sorted(history)}, but none of {', '.join(_PANELS)}.")
    length = len(next(iter(curves.values())))
    steps = np.arange(1.0, length + 1) if numbers is None else np.asarray(numbers, dtype=float)
    for name, values in (*curves.items(), ("step", steps)):
        if values.shape != (length,):
            raise ValueError(f"history: {name!r} has shape {values.shape}, expected ({length},).")
    across = min(len(curves), 2)
    rows = -(-len(curves) // across)
    figure = new_figure(3.9 * across, 2.2 * rows + 0.2)
    grid = figure.subplots(rows, across, squeeze=False)
    missing = 0
    for index, axes in enumerate(grid.flat):
        if index >= len(curves):
            axes.remove()
            continue
        name = list(curves)[index]
        lowest = index + across >= len(curves)
        bare_axes(axes, labels=("step",) if lowest else (), title=_PANELS[name])
        missing += draw_curve(axes, steps, curves[name], floor=name == "slope")
        if name == "slope" and lipschitz is not None and np.isfinite(lipschitz):
            bound_line(axes, lipschitz)
    if missing:
        footnote(figure, [f"{plural(missing, 'non-finite value')} not drawn"])
    return figure


def draw_curve(axes: Any, steps: npt.NDArray[Any], values: npt.NDArray[Any], *, floor: bool) -> int:
    """Draw one curve and return how many of its values could not be drawn."""
    finite = np.isfinite(values)
    good = values[finite]
    if len(good) and good.min() > 0 and good.max() > 5 * good.min():
        axes.set_yscale("log")
    axes.xaxis.get_major_locator().set_params(integer=True)
    # A value between two gaps is a curve without length: only a marker shows it.
    beside = np.pad(finite, 1)
    alone = finite & ~beside[:-2] & ~beside[2:]
    if alone.any():
        axes.plot(steps[alone], values[alone], "o", color=PARTICLES, markersize=4)
    if len(good) > 200:
        axes.plot(steps, values, color=PARTICLES, alpha=0.3, linewidth=0.7)
        axes.plot(steps[finite], _running_median(good), color=PARTICLES, linewidth=1.5)
    else:
        axes.plot(steps, values, color=PARTICLES, linewidth=1.5)
    if len(good) and good.min() < 0 < good.max():
        axes.axhline(0.0, color=QUIET, linewidth=0.6, zorder=0)
    if len(good) and good.max() - good.min() <= 1e-9 * abs(good.max()):
        # A constant: without this its ticks would be rounding errors.
        margin = 0.5 * abs(float(good[0])) or 0.5
        axes.set_ylim(float(good[0]) - margin, float(good[0]) + margin)
    if floor and len(good) and axes.get_yscale() == "linear":
        axes.set_ylim(0.0, 1.08 * float(good.max()) or 1.0)
    return int((~finite).sum())


def bound_line(axes: Any, lipschitz: float) -> None:
    """Draw the bound L into a panel of slopes."""
    low, high = axes.get_ylim()
    axes.axhline(lipschitz, color=ACCENT, linewidth=1.2, linestyle=(0, (5, 3)), zorder=3)
    axes.set_ylim(min(low, 0.9 * lipschitz), max(high, 1.12 * lipschitz))
    axes.annotate(
        f"L = {lipschitz:.4g}",
        (1.0, lipschitz),
        xycoords=axes.get_yaxis_transform(),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
        color=INK,
    )


def _running_median(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the median over a window of a fiftieth of the run, shorter at both ends."""
    from scipy.ndimage import median_filter

    return median_filter(values, size=2 * (len(values) // 100) + 1, mode="nearest")
