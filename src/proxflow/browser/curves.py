"""A run's history as a page draws it: at most 800 numbers a curve, each with five digits.

Steps are counted as states are: the number at step s is of the state after s steps, so that a cursor on the curves and
particles at step s show one moment. Bad at: spikes of a single step in runs of thousands, of which some are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["curves"]

_MOST = 800
_TITLES = {
    "value": "divergence",
    "fisher": "Fisher information",
    "kinetic": "kinetic energy",
    "bending": "bending",
    "slope": "largest slope",
    "step_size": "step size",
}
_TRAINED = {"fisher": "mean squared slope", "step_size": "learning rate"}


def curves(
    history: Mapping[str, npt.ArrayLike], *, lipschitz: float | None = None, trained: bool = False
) -> dict[str, Any] | None:
    """Return the curves of a history (arrays of one length) as plain values, None if there is none to draw.

    lipschitz: the bound L, drawn among the slopes. trained: steps were those of a training, not of particles.

    Examples
    --------
    >>> found = curves({"value": [2.0, 1.0, float("nan")]})
    >>> found["steps"], found["panels"][0]["values"]
    ([0, 1, 2], [2.0, 1.0, None])
    """
    titles = _TITLES | (_TRAINED if trained else {})
    series = {name: np.asarray(history[name], float).ravel() for name in titles if name in history}
    length = min((len(values) for values in series.values()), default=0)
    if not length:
        return None
    steps = np.unique(np.linspace(0, length - 1, min(length, _MOST)).round().astype(int))
    panels = []
    for name, values in series.items():
        panel: dict[str, Any] = {"title": titles[name], "values": [_short(number) for number in values[steps]]}
        if name == "slope" and lipschitz is not None and math.isfinite(lipschitz):
            panel["bound"] = float(lipschitz)
        panels.append(panel)
    return {"steps": steps.tolist(), "length": length, "panels": panels}


def _short(number: float) -> float | None:
    return float(f"{number:.5g}") if math.isfinite(number) else None
