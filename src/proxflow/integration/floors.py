"""The measures of a correction, and their floors: what two samples of one law, of these sizes, would score.

    floor    f(half of T, other half of T), over random splits, carried over to the sizes compared by the rate at which
             f falls from quarters to halves:  f(n) = f(half) (n / half)^slope,  slope in [-1/2, 0]
    band     mean ± t √(1 + 1/R) sd of the R splits: where the next one lies in 98 of 100 cases

n is the harmonic mean of both sizes; deviations shrink like n^-1/2. The U-statistic of the energy distance has mean 0
at any size, and ratios and areas one that hardly depends on it: only W2's are carried over. Their bands are widened by
half of that correction, and by what a sample's total variance varies, which halves of one sample do not show. Source of
the idea: what the truth itself scores in simulations, which real data has not; its own halves stand in for it.

Measured on 40 pairs of samples of one law (160 and 180 in two classes, 6 columns): 18 of 960 scores outside their
bands; on 25 pairs of 226 and 265 in 50 columns, 10 of 575.

Bad at: classes of fewer than 20 samples, whose halves are of ten; classes of several groups in shares that differ
between batches, whose floor no correction can or should reach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxflow import agreement

__all__ = ["FITTED", "LOST", "MEASURES", "MEMORISED", "MOST", "MOST_EXACT", "Floors", "Measure", "band"]

MEMORISED = "better than its floor: memorised"
FITTED = "better than its floor: fitted to these very samples"
LOST = "below its floor: spread lost"

MOST, MOST_EXACT = 2000, 1000  # rows per side and class: seconds, not minutes, for large data


@dataclass(frozen=True)
class Measure:
    """A measure of two clouds: whether it is a distance in the data's units, its rows per side, and what is too good.

    clearly(value, floor): whether value is better than its floor by more than matters.
    """

    function: Callable[..., float]
    most: int | None
    distance: bool
    clearly: Callable[[float, float], bool]

    def __call__(self, moved: np.ndarray, reference: np.ndarray, seed: int) -> float:
        if min(len(moved), len(reference)) < 2:
            return float("nan")
        if self.most is None:
            return self.function(moved, reference)
        return self.function(moved, reference, most=self.most, random_state=seed)

    def size(self, first: int, second: int) -> float:
        """Harmonic mean of the rows that are looked at."""
        most = self.most or max(first, second)
        a, b = min(first, most), min(second, most)
        return 2 * a * b / (a + b)


MEASURES = {
    "energy": Measure(agreement.energy, MOST, False, lambda value, floor: value < floor - 0.02),
    "w2": Measure(agreement.exact_w2, MOST_EXACT, True, lambda value, floor: value < 0.9 * floor),
    "sliced_w2": Measure(agreement.sliced_w2, MOST, True, lambda value, floor: value < 0.7 * floor),
    "gaussian_w2": Measure(agreement.gaussian_w2, None, True, lambda value, floor: value < 0.7 * floor),
    "neighbour_auc": Measure(agreement.neighbour_auc, MOST, False, lambda value, floor: value < floor - 0.05),
    "nn_ratio": Measure(agreement.nn_ratio, MOST, False, lambda value, floor: value < 0.75 * floor),
    "spread_ratio": Measure(agreement.spread_ratio, None, False, lambda value, floor: value < 0.9 * floor),
}


class Floors:
    """What the reference's own halves score, class by class, found once for all that is compared with it.

    Parameters
    ----------
    reference, labels
        T, shape (m, d), and classes, shape (m,).
    repeats
        How many random splits.
    seed
        Of the splits.
    """

    def __init__(self, reference: np.ndarray, labels: np.ndarray, repeats: int, seed: int) -> None:
        self.reference, self.labels, self.repeats, self.seed = reference, labels, repeats, seed
        self._found: dict[tuple[str, Any], tuple[np.ndarray, np.ndarray, int]] = {}
        self._recalls: dict[Any, float] | None = None

    def draws(self, name: str, label: Any, moved: int) -> np.ndarray:
        """Scores of halves, shape (repeats,), carried over to `moved` rows against the whole class."""
        measure, rows = MEASURES[name], np.flatnonzero(self.labels == label)
        if (name, label) not in self._found:
            self._found[name, label] = self._split(measure, rows)
        halves, quarters, half = self._found[name, label]
        sizes = measure.size(half, half), measure.size(moved, len(rows))
        mean = halves.mean()
        level = mean
        if measure.distance and len(quarters) and quarters.mean() > 0 < mean:
            steps = np.log(sizes[0] / measure.size(half // 2, half // 2))
            slope = np.clip(np.log(mean / quarters.mean()) / steps, -0.5, 0.0) if steps > 0 else 0.0
            level = mean * (sizes[1] / sizes[0]) ** slope
        return np.asarray(level + (halves - mean) * np.sqrt(sizes[0] / sizes[1]))

    def slack(self, name: str, label: Any, moved: int) -> float:
        """What to widen a distance's band by: half of the correction for size, and how much total variances vary."""
        if not MEASURES[name].distance:
            return 0.0
        rows = np.flatnonzero(self.labels == label)
        level, half = float(self.draws(name, label, moved).mean()), float(self._found[name, label][0].mean())
        squares = ((self.reference[rows] - self.reference[rows].mean(axis=0)) ** 2).sum(axis=1)
        vary = float(squares.std() / squares.mean()) * np.sqrt(1 / moved + 1 / len(rows)) if squares.any() else 0.0
        # W2 goes with the fourth root of the product of both variances; 2.33: 98 of 100 cases.
        return float(np.hypot(0.5 * (level - half), 2.33 / 4 * vary * level))

    def _split(self, measure: Measure, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        rng, half, halves, quarters = np.random.default_rng(self.seed), len(rows) // 2, [], []
        for repeat in range(self.repeats):
            order = rng.permutation(rows)
            first, second = self.reference[order[:half]], self.reference[order[half : 2 * half]]
            halves.append(measure(first, second, self.seed + repeat))
            if measure.distance and half >= 4 and half // 2 < (measure.most or len(rows)):
                quarters.append(measure(first[: half // 2], second[: half // 2], self.seed + repeat))
        return np.array(halves), np.array(quarters), half

    def recalls(self) -> dict[Any, float]:
        """Share of every class that gets its own label from the reference's other samples, in five folds."""
        if self._recalls is None:
            rng, found = np.random.default_rng(self.seed), {}
            kept = np.sort(rng.permutation(len(self.labels))[: 4 * MOST])
            labels, points = self.labels[kept], self.reference[kept]
            fold = rng.permutation(np.arange(len(labels)) % 5)
            given = labels.copy()
            for index in range(min(5, len(labels))):
                train = fold != index
                given[~train] = agreement.predicted_labels(points[~train], points[train], labels[train])
            for label in np.unique(labels):
                found[label] = float(np.mean(given[labels == label] == label))
            self._recalls = found
        return self._recalls


def band(draws: np.ndarray, slack: float = 0.0) -> tuple[float, float, float]:
    """Return the mean of the draws, and where the next one lies in 98 of 100 cases, widened by the slack."""
    from scipy.special import stdtrit

    mean, count = float(np.mean(draws)), len(draws)
    reach = float(stdtrit(count - 1, 0.99)) * np.sqrt(1 + 1 / count) * float(np.std(draws, ddof=1))
    reach = float(np.hypot(reach, slack))
    return mean, mean - reach, mean + reach
