"""What to know of two samples before trusting numbers about them, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from proxflow.spans import column_scales

__all__ = ["notes_on"]


def notes_on(x: np.ndarray, y: np.ndarray, names: Sequence[str]) -> Iterator[str]:
    """Yield remarks on samples of shapes (n, d) and (m, d) whose features have these names."""
    pooled = np.concatenate([x, y])
    scales = column_scales(pooled)
    if scales is not None:
        widest = names[int(np.argmax(scales))]
        yield f"column {widest!r} is over ten times wider than the others' median: it decides these numbers."
    constant = np.flatnonzero(np.ptp(pooled, axis=0) == 0)
    if len(constant):
        shown = ", ".join(repr(names[i]) for i in constant[:3]) + ("..." if len(constant) > 3 else "")
        yield f"{len(constant)} constant column{'s' * (len(constant) != 1)} ({shown}): they count for nothing."
    for label, cloud in (("P", x), ("Q", y)):
        distinct = len(np.unique(cloud, axis=0))
        if distinct < 0.9 * len(cloud):
            yield f"{label} has {len(cloud)} rows but {distinct} different ones: are repeated rows independent samples?"
