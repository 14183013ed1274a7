"""How good are new samples? Two questions, both answered with data that took no part.

    closeness   W2(new, held-out) / W2(real, held-out), at like sizes: 1 is as good as real data
    novelty     distance of new samples to the nearest training sample, beside that of held-out real samples

Close but not novel is a copy; novel but not close is noise. Neither number can be read off the training data
alone: there a copier is perfect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from proxflow.metrics import energy_distance, nearest_distance, wasserstein

__all__ = ["Judgement", "judge", "judge_by_trial"]

_LARGEST = 2000  # exact transport between two clouds of this size takes seconds
_FEWEST = 8  # held-out samples below which nothing can be said


@dataclass(frozen=True)
class Judgement:
    """Closeness and novelty of new samples, and where the held-out ones came from.

    closeness: W2 to held-out samples over that of real samples. near_copies: share of new samples closer to a
    training sample than 95 % of held-out real ones are; 0.05 for real data. energy: energy distance to the
    held-out samples.
    """

    closeness: float
    w2_new: float
    w2_real: float
    energy: float
    nearest_new: float
    nearest_real: float
    near_copies: float
    basis: str

    def to_dict(self) -> dict[str, Any]:
        """All numbers as a flat dict."""
        return asdict(self)

    def sentences(self) -> list[str]:
        """What the numbers say, in words."""
        percent = 100 * (self.closeness - 1)
        if self.closeness <= 1.05:
            close = "As close to held-out data as a fresh real sample"
        elif self.closeness <= 1.25:
            close = f"{percent:.0f} % farther from held-out data than a fresh real sample"
        else:
            close = f"Not there yet: {percent:.0f} % farther from held-out data than a fresh real sample"
        relative = self.nearest_new / self.nearest_real if self.nearest_real > 0 else np.inf
        if relative < 0.25:
            new = "Most new samples nearly copy a training sample"
        elif relative < 0.75:
            new = "New samples are variations of training samples, nearer to them than real ones are"
        else:
            new = "New samples lie about as far from the training data as real ones do"
        novelty = f"{new} (distance ratio {relative:.2f}; 1 is ideal, 0 a copy)."
        return [f"{close} (W2 ratio {self.closeness:.3f}; 1 is ideal).", novelty]


def judge(
    new: np.ndarray, train: np.ndarray, fresh: np.ndarray, test: np.ndarray, *, basis: str, seed: int = 0
) -> Judgement:
    """Judge new samples against real ones that took no part in making them.

    Parameters
    ----------
    new
        Generated samples, shape (m, d).
    train
        What they were made from.
    fresh, test
        Two disjoint real samples: the yardstick, and what both are measured against. `fresh` may be `train`
        itself, which is a fresh sample as far as `test` is concerned.
    basis
        In words, where test came from.
    seed
        Of the subsampling to like sizes.
    """
    rng = np.random.default_rng(seed)
    size = min(len(new), len(fresh), _LARGEST)
    new_like, fresh_like, test = _rows(new, size, rng), _rows(fresh, size, rng), _rows(test, _LARGEST, rng)
    w2_new, w2_real = wasserstein(new_like, test), wasserstein(fresh_like, test)
    to_train, real_to_train = nearest_distance(new, train), nearest_distance(test, train)
    return Judgement(
        closeness=w2_new / w2_real if w2_real > 0 else float("inf"),
        w2_new=w2_new,
        w2_real=w2_real,
        energy=energy_distance(new_like, test),
        nearest_new=float(np.median(to_train)),
        nearest_real=float(np.median(real_to_train)),
        near_copies=float(np.mean(to_train < np.quantile(real_to_train, 0.05))),
        basis=basis,
    )


def judge_by_trial(
    samples: np.ndarray,
    generate: Callable[[np.ndarray, int], np.ndarray],
    *,
    units: Callable[[np.ndarray], np.ndarray] = lambda points: points,
    seed: int = 0,
    share: float = 0.25,
) -> Judgement | None:
    """Judge a way to generate where nothing was held out: by a trial on part of the data.

    Parameters
    ----------
    samples
        All the data, shape (n, d).
    generate
        (training samples, how many) -> new samples, with the settings under trial.
    units
        The coordinates to measure distances in.
    share
        What the trial holds out.

    Returns
    -------
    Judgement or None
        None if there are too few samples to hold any out.
    """
    count = int(share * len(samples))
    if count < _FEWEST:
        return None
    order = np.random.default_rng(seed).permutation(len(samples))
    test, train = samples[order[:count]], samples[order[count:]]
    new, train, test = units(generate(train, len(train))), units(train), units(test)
    basis = f"a trial on {len(train)} of the samples, judged on the other {count}"
    return judge(new, train, train, test, basis=basis, seed=seed)


def _rows(points: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    return points if len(points) <= size else points[rng.choice(len(points), size, replace=False)]
