"""Are two samples from one law? Exact tests by relabelling.

Under P = Q the labels of the pooled samples are exchangeable, so relabelled at random they give the null
distribution of any statistic, whatever the law. Two statistics, for they see different things:

    energy      2 E|X - Y| - E|X - X'| - E|Y - Y'| on all samples: strong against shifts, in many dimensions too
    witness     E_P[φ] - Λ_f(φ; Q) on samples that φ was not fitted on: finds what only a trained φ can see

The smaller p-value, doubled, is valid for both together (Bonferroni).

Sources: Székely and Rizzo, "Energy statistics", J. Statistical Planning and Inference (2013); Lehmann and Romano,
"Testing Statistical Hypotheses", ch. 17 (2022); Phipson and Smyth, "Permutation p-values should never be zero" (2010),
for counting the observed value itself.

Bad at: samples that are not independent (repeated measurements of one patient, say): then nothing is exchangeable.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.distance import cdist

from proxflow.entropies import Entropy, cumulant

__all__ = ["PermutationTest", "combined", "energy_test", "witness_test"]

_BLOCK = 2**20  # relabelled values, or distances, held at a time
_LARGEST = 5000  # samples per side that the energy test looks at


@dataclass(frozen=True)
class PermutationTest:
    """A statistic, its null distribution of shape (permutations,), and the share of it that is at least as large."""

    statistic: float
    null: np.ndarray
    p_value: float


def combined(*tests: PermutationTest) -> float:
    """One p-value for several tests of the same hypothesis (Bonferroni)."""
    return min(1.0, len(tests) * min(test.p_value for test in tests))


def _ranked(observed: float, null: np.ndarray, rounding: float) -> PermutationTest:
    at_least = np.sum(null >= observed - rounding)  # equal up to rounding counts as equal
    p_value = float((1 + at_least) / (len(null) + 1))
    return PermutationTest(observed, null, p_value)


def energy_test(x: np.ndarray, y: np.ndarray, permutations: int, rng: np.random.Generator) -> PermutationTest:
    """Test P = Q by the energy distance of two samples, shapes (n, d) and (m, d).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> energy_test(rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 1, 99, rng).p_value
    0.01
    """
    x, y = (cloud if len(cloud) <= _LARGEST else rng.permutation(cloud)[:_LARGEST] for cloud in (x, y))
    pooled, count = np.concatenate([x, y]), len(x)
    # With weights z = 1/n on X and -1/m on Y the energy distance is -zᵀ D z.
    weights = np.full((len(pooled), permutations + 1), -1 / len(y), np.float32)
    weights[:count, 0] = 1 / count
    for column in range(1, permutations + 1):
        weights[rng.permutation(len(pooled))[:count], column] = 1 / count
    found, scale = np.zeros(permutations + 1), 0.0
    rows = max(1, _BLOCK // len(pooled))
    for first in range(0, len(pooled), rows):
        distances = cdist(pooled[first : first + rows], pooled)
        scale = scale or float(distances.mean()) or 1.0  # float32 needs a common scale
        part = (distances / scale).astype(np.float32) @ weights
        found -= np.einsum("ij,ij->j", part, weights[first : first + rows], dtype=np.float64)
    return _ranked(float(found[0] * scale), found[1:] * scale, 1e-7 * scale)


@partial(jax.jit, static_argnums=(0, 1))
def _statistics(f: Entropy, count: int, relabelled: Any) -> Any:
    return jax.vmap(lambda row: jnp.mean(row[:count]) - cumulant(f, row[count:])[0])(relabelled)


def witness_test(
    f: Entropy, over_p: np.ndarray, over_q: np.ndarray, permutations: int, rng: np.random.Generator
) -> PermutationTest:
    """Test P = Q by a potential's values on samples that it has not seen, shapes (n,) and (m,)."""
    pooled, count = np.concatenate([over_p, over_q]), len(over_p)
    block = max(1, min(permutations + 1, _BLOCK // len(pooled)))
    found: list[np.ndarray] = []
    with jax.enable_x64(True):
        for first in range(0, permutations + 1, block):  # the last block is whole too: nothing compiles twice
            rows = np.stack([rng.permutation(pooled) for _ in range(block)])
            if first == 0:
                rows[0] = pooled
            found.append(np.asarray(_statistics(f, count, jnp.asarray(rows))))
    statistics = np.concatenate(found)[: permutations + 1]
    return _ranked(float(statistics[0]), statistics[1:], 1e-12 * float(np.abs(pooled).max()))
