"""What to know of samples before trusting numbers about them, and of a run that broke, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from proxflow.spans import column_scales

__all__ = ["ended_whole", "notes_on", "way_out_of_overflow"]


def notes_on(
    x: np.ndarray, y: np.ndarray, names: Sequence[str] | None = None, labels: tuple[str, str] = ("x", "y")
) -> Iterator[str]:
    """Yield remarks on samples of shapes (n, d) and (m, d): units, constant columns, repeated rows."""
    names = names or [str(i) for i in range(x.shape[1])]
    yield from _units(np.concatenate([x, y]), names)
    yield from _constant(np.concatenate([x, y]), names)
    for label, points in zip(labels, (x, y), strict=True):
        distinct = len(np.unique(points, axis=0))
        if distinct <= 0.5 * len(points):
            yield (
                f"{label} repeats itself: {distinct} distinct rows of {len(points)}. On discrete data distances "
                "only mean something if the codes do; with few categories compare their shares instead."
            )


def _units(points: np.ndarray, names: Sequence[str]) -> Iterator[str]:
    if column_scales(points) is None:
        return
    deviations = points.std(axis=0)
    widest = int(np.argmax(deviations))
    ratio = deviations[widest] / np.median(np.delete(deviations, widest))
    size = f"{ratio:.3g} times" if np.isfinite(ratio) else "far above"
    yield (
        f"columns in mixed units: column {names[widest]!r} decides, its deviation is {size} the median of the others. "
        "Divide columns by their deviations first, unless they share a unit."
    )


def _constant(points: np.ndarray, names: Sequence[str]) -> Iterator[str]:
    constant = np.flatnonzero(np.ptp(points, axis=0) == 0)
    if 0 < len(constant) < len(names):
        shown = ", ".join(repr(names[i]) for i in constant[:3]) + (", ..." if len(constant) > 3 else "")
        yield f"{len(constant)} constant column{'s' * (len(constant) != 1)} ({shown}) count for nothing."


def way_out_of_overflow(settings: Mapping[str, Any]) -> str:
    """Propose what to change after non-finite numbers, given a fit's settings."""
    if settings["step_size"] is None:
        step = f"a smaller step_share ({settings['step_share']:g} now)"
    else:
        step = f"a smaller step_size ({settings['step_size']:g} now; None follows the divergence)"
    other = ", or f='alpha' instead of KL, for e^φ overflows first" if settings["f"] == "KL()" else ""
    return f"Try {step}, a smaller L ({settings['L']:.3g} now){other}."


def ended_whole(stopped: str) -> bool:
    """Whether a run ended by having taken all its steps, or because a callback asked for it."""
    return not any(word in stopped for word in ("interrupted", "non-finite", "diverged"))
