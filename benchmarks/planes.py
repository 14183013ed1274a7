"""Generated samples of sets on a plane in R^d, judged: Sinkhorn on the plane, distance from it, seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from proxflow import sinkhorn_divergence
from proxflow.data.planes import PLANES

COUNT = 5000
DIMENSIONS = (2, 7, 12)
UNSEEN = 10_000  # added to a seed: the sample that a generator is judged by

Generate = Callable[[np.ndarray, np.ndarray], np.ndarray]


def judge(points: np.ndarray, kind: str, seed: int = 0) -> dict[str, float]:
    """Sinkhorn (p = 2, blur 0.05) on the plane to as many unseen samples, and the rms distance from the plane.

    The latter is the root of the mean over samples and coordinates off the plane; 0 where there are none.
    """
    unseen = PLANES[kind](COUNT, 2, UNSEEN + seed)
    off = points[:, 2:]
    return {
        "sinkhorn": sinkhorn_divergence(points[:, :2], unseen, blur=0.05, p=2),
        "off": float(np.sqrt(np.mean(off**2))) if off.size else 0.0,
    }


def measured(generate: Generate, kind: str, d: int, seed: int = 0) -> dict[str, float]:
    """One row: 5000 samples and 5000 Gaussian points go to `generate(train, source)`, what comes out is judged."""
    train = PLANES[kind](COUNT, d, seed)
    source = np.random.default_rng(seed).normal(size=(COUNT, d))
    start = time.perf_counter()
    points = np.asarray(generate(train, source))
    seconds = time.perf_counter() - start
    return judge(points, kind, seed) | {"seconds": seconds}


def fresh(kind: str, seed: int = 0) -> float:
    """Sinkhorn of two independent samples of the law: what a perfect generator would have."""
    return judge(PLANES[kind](COUNT, 2, seed), kind, seed)["sinkhorn"]
