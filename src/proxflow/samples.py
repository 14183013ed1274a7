"""The bracket around the divergence of two samples, at any size.

Up to 25 million pairs the exact solver closes it (`gamma.semidual`). Beyond, both bounds hold but do not meet:

    upper   the samples are split into blocks, each solved exactly; the blocks' plans together are a plan for all
    lower   a network fitted in minibatches and judged on all samples in float64

Bad at: the gap, beyond. In high dimension blocks see more noise than all samples together do.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from proxflow.entropies import Entropy
from proxflow.estimate import EXACT_PAIRS, divergence
from proxflow.gamma.semidual import Reweighting, SampleSolution, solve_samples
from proxflow.progress import Progress

__all__ = ["bracket"]

_BLOCK = 2000  # points per side and block


def bracket(
    p: np.ndarray,
    q: np.ndarray,
    f: Entropy,
    L: float,
    *,
    gap: float = 1e-4,
    seed: int = 0,
    progress: bool = False,
) -> SampleSolution:
    """Return bounds on D(P‖Q) between samples of shapes (n, d) and (m, d), and the plan of the upper one."""
    if len(p) * len(q) <= EXACT_PAIRS:
        with Progress("closing the bracket", 1, visible=progress) as bar:
            return solve_samples(p, q, f, L, gap=gap, report=lambda width: bar.update(0, f"gap {width:.1e}"))
    return _by_blocks(p, q, f, L, gap, seed, progress)


def _by_blocks(
    p: np.ndarray, q: np.ndarray, f: Entropy, L: float, gap: float, seed: int, progress: bool
) -> SampleSolution:
    rng = np.random.default_rng(seed)
    count = -(-max(len(p), len(q)) // _BLOCK)
    count = min(count, len(p), len(q))
    blocks = [np.array_split(rng.permutation(len(cloud)), count) for cloud in (p, q)]
    pieces, transported = [], 0.0
    with Progress("bounding from above", count, visible=progress) as bar:
        for number, (rows, columns) in enumerate(zip(*blocks, strict=True)):
            part = solve_samples(p[rows], q[columns], f, L, gap=max(gap, 1e-3))
            share = len(rows) / len(p)
            plan = part.plan.tocoo()
            pieces.append((share * plan.data, rows[plan.row], columns[plan.col]))
            transported += share * part.transported
            bar.update(number + 1)
    mass, at, to = (np.concatenate(leaves) for leaves in zip(*pieces, strict=True))
    plan = sparse.csr_array((mass, (at, to)), shape=(len(p), len(q)))
    arrived = np.asarray(plan.sum(axis=0))
    reweighted = Reweighting(f, len(q)).cost(arrived)
    upper = transported + reweighted
    found = divergence(p, q, f, L, "groupsort", random_state=seed, progress=progress)
    lower = min(found.lower, upper)
    return SampleSolution(
        lower, upper, found.potential(q), found.potential(p), plan, arrived * len(q), transported, reweighted, 0.0,
        upper - lower <= gap * upper, count, 0.0,
    )  # fmt: skip
