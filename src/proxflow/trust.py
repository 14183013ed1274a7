"""How good are new samples? Questions answered with data that took no part, but for the last.

    closeness   W2(new, held-out) / W2(real, held-out), at like sizes: 1 is as good as real data
    novelty     distance of new samples to the nearest training sample, beside that of held-out real samples

    coverage    share of held-out samples with a new one in their neighbourhood, beside that of real samples
    spread      total variance of new samples over that of the training data: W2 alone rewards shrinking

Close but not novel is a copy; novel but not close is noise; close and narrow is an average. Closeness and novelty
cannot be read off the training data alone: there a copier is perfect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from proxflow.metrics import coverage, energy_distance, nearest_distance, wasserstein

__all__ = ["Judgement", "judge", "judge_by_halves", "judge_by_trial"]

_LARGEST = 2000  # exact transport between two clouds of this size takes seconds
_SPLITS = 4
_ROUGH = 50  # below it a W2 ratio moves by tenths from one sample to the next
_FEWEST = 8  # held-out samples below which nothing can be said


@dataclass(frozen=True)
class Judgement:
    """Closeness and novelty of new samples, and where the held-out ones came from.

    closeness: W2 to held-out samples over that of real samples. near_copies: share of new samples closer to a
    training sample than 95 % of held-out real ones are; 0.05 for real data. coverage, coverage_real: share of
    held-out samples that new ones, and as many real ones, come near. spread: total variance over the training
    data's. energy: energy distance to the held-out samples. n_test: how many samples judged.
    """

    closeness: float
    w2_new: float
    w2_real: float
    energy: float
    nearest_new: float
    nearest_real: float
    near_copies: float
    coverage: float
    coverage_real: float
    spread: float
    n_test: int
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
        rough = f"; a rough number, from {self.n_test} samples" if self.n_test < _ROUGH else ""
        said = [f"{close} (W2 ratio {self.closeness:.3f}; 1 is ideal{rough}).", self._novelty()]
        what = "Something is" if self.coverage < 0.8 * self.coverage_real else "Nothing seems"
        said.append(
            f"{what} left out: new samples come near {self.coverage:.0%} of the held-out ones, real samples near"
            f" {self.coverage_real:.0%}."
        )
        if not 0.9 <= self.spread <= 1.1:
            kind = "Narrower" if self.spread < 1 else "Wider"
            said.append(f"{kind} than the training data: {self.spread:.2f} of its total variance.")
        return said

    def _novelty(self) -> str:
        if self.nearest_real == 0:
            return "Novelty cannot be measured: most held-out real samples equal a training sample."
        relative = self.nearest_new / self.nearest_real
        if relative < 0.25 or self.near_copies > 0.5:
            words = "Most new samples nearly copy a training sample"
        elif relative < 0.75:
            words = "New samples are variations of training samples, nearer to them than real ones are"
        else:
            words = "New samples lie about as far from the training data as real ones do"
        return f"{words} (distance ratio {relative:.2f}; near copies {self.near_copies:.0%}, of real data 5 %)."


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
    variance = float(train.var(axis=0).sum())
    looked_at = _rows(new, 10 * _LARGEST, rng)
    to_train, real_to_train = nearest_distance(looked_at, train), nearest_distance(test, train)
    return Judgement(
        closeness=w2_new / w2_real if w2_real > 0 else float("inf"),
        w2_new=w2_new,
        w2_real=w2_real,
        energy=energy_distance(new_like, test),
        nearest_new=float(np.median(to_train)),
        nearest_real=float(np.median(real_to_train)),
        near_copies=float(np.mean(to_train <= np.quantile(real_to_train, 0.05))),
        coverage=coverage(new_like, test),
        coverage_real=coverage(fresh_like, test),
        spread=float(new.var(axis=0).sum()) / variance if variance > 0 else 1.0,
        n_test=len(test),
        basis=basis,
    )


def judge_by_halves(new: np.ndarray, train: np.ndarray, heldout: np.ndarray, *, seed: int = 0) -> Judgement:
    """Judge against one held-out sample (k, d): its halves are yardstick and test in turn, over several splits."""
    rng, found = np.random.default_rng(seed), []
    half = len(heldout) // 2
    basis = f"{half} held-out samples against {half} others, {_SPLITS} times"
    for _ in range(_SPLITS):
        order = rng.permutation(len(heldout))
        fresh, test = heldout[order[:half]], heldout[order[half:]]
        found.append(judge(new, train, fresh, test, basis=basis, seed=seed))
    means = {
        name: float(np.mean([getattr(j, name) for j in found]))
        for name in (
            "w2_new",
            "w2_real",
            "energy",
            "nearest_new",
            "nearest_real",
            "near_copies",
            "coverage",
            "coverage_real",
            "spread",
        )
    }
    closeness = means["w2_new"] / means["w2_real"] if means["w2_real"] > 0 else float("inf")
    return Judgement(closeness=closeness, n_test=half, basis=basis, **means)


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
