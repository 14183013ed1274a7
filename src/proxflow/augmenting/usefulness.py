"""Train on new samples, test on real ones: what a model learns from them, beside what it learns from real data.

    TSTR    score on held-out real rows of a model trained on synthetic rows
    TRTR    the same model trained on the real rows that they were made from
    gain    TSTR - TRTR, with a 95 % interval by resampling the held-out rows, the same ones for both

Source: Esteban, Hyland, Rätsch, "Real-valued (medical) time series generation with recurrent conditional GANs", 2017;
percentile bootstrap: Efron 1979. Models: a linear one and a forest, for they want different things from data.

Bad at: the luck of one split and of one training run, which resampling the test rows does not see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Score", "Usefulness", "usefulness"]

_RESAMPLES = 1000
_LEVEL = 0.95
_TREES = 100


@dataclass(frozen=True)
class Score:
    """One model trained on one kind of rows: its score on held-out real rows, and the gain over real training rows.

    Each with the ends of its 95 % interval. The score is balanced accuracy for classes and R² for numbers.
    """

    trained_on: str
    model: str
    rows: int
    value: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class Usefulness:
    """Scores of all models on all kinds of training rows; the first kind is what the others are compared with."""

    measure: str
    scores: tuple[Score, ...]
    n_test: int

    def to_dict(self) -> dict[str, Any]:
        """All numbers, for JSON."""
        return {"measure": self.measure, "n_test": self.n_test, "scores": [asdict(score) for score in self.scores]}

    def lines(self) -> list[str]:
        """A table for a terminal."""
        wide = max(len(score.trained_on) for score in self.scores)
        said = [f"{self.measure} on {self.n_test} held-out real rows, and the gain over real rows (95 % intervals)"]
        for score in self.scores:
            text = f"  {score.model:<8}  {score.trained_on:<{wide}}  {score.value:.3f}"
            text += f" ({score.low:.3f} to {score.high:.3f})"
            if score is not self._reference(score.model):
                text += f"  gain {score.gain:+.3f} ({score.gain_low:+.3f} to {score.gain_high:+.3f})"
            said.append(text)
        return said

    def of(self, trained_on: str) -> list[Score]:
        """The scores of models trained on this kind of rows."""
        return [score for score in self.scores if score.trained_on == trained_on]

    def _reference(self, model: str) -> Score:
        return next(score for score in self.scores if score.model == model)


def usefulness(
    training: Mapping[str, tuple[npt.NDArray, npt.NDArray]],
    test: tuple[npt.NDArray, npt.NDArray],
    *,
    classes: bool,
    models: Sequence[str] = ("linear", "forest"),
    seed: int = 0,
) -> Usefulness:
    """Score models trained on several kinds of rows on the same held-out rows.

    Parameters
    ----------
    training
        By name, what to train on: features (n, d) and labels (n,). The first is the reference, usually real rows.
    test
        Held-out real rows: features (m, d) and labels (m,).
    classes
        Whether labels are classes or numbers.
    models
        "linear" (logistic or ridge regression) and "forest" (100 trees).
    seed
        Of the forests and the resampling.

    Raises
    ------
    ValueError
        No training rows or no test rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> found = usefulness({"real": (x[:100], y[:100]), "luck": (x[:100], y[100:])}, (x[100:], y[100:]), classes=True)
    >>> [score.gain < -0.2 for score in found.of("luck")]
    [True, True]
    """
    points, truth = np.asarray(test[0]), np.asarray(test[1])
    if not training or len(truth) == 0:
        raise ValueError("usefulness needs rows to train on and rows to test on.")
    rng = np.random.default_rng(seed)
    draws = _resamples(truth, rng, classes)
    scores = []
    for model in models:
        reference: npt.NDArray[np.float64] | None = None
        for name, (x, y) in training.items():
            predicted = _fitted(model, x, y, classes, seed).predict(points)
            values = _scores(truth, predicted, draws, classes)
            reference = values if reference is None else reference
            (low, high), (down, up) = _interval(values[1:]), _interval(values[1:] - reference[1:])
            gain = float(values[0] - reference[0])
            scores.append(Score(name, model, len(y), float(values[0]), low, high, gain, down, up))
    return Usefulness("Balanced accuracy" if classes else "R²", tuple(scores), len(truth))


def _resamples(truth: npt.NDArray, rng: np.random.Generator, classes: bool) -> npt.NDArray[np.intp]:
    """The rows themselves, then resampled ones, shape (1 + resamples, m); every class keeps its number of rows."""
    every = np.arange(len(truth))
    draws = np.tile(every, (1 + _RESAMPLES, 1))
    groups = [np.flatnonzero(truth == value) for value in np.unique(truth)] if classes else [every]
    for group in groups:
        draws[1:, group] = rng.choice(group, size=(_RESAMPLES, len(group)))
    return draws


def _scores(
    truth: npt.NDArray, predicted: npt.NDArray, draws: npt.NDArray[np.intp], classes: bool
) -> npt.NDArray[np.float64]:
    if classes:
        right = truth == predicted
        # Rows of a class stay in that class's places, so its recall is a mean over fixed columns.
        return np.mean([right[draws[:, truth == value]].mean(axis=1) for value in np.unique(truth)], axis=0)
    errors = ((truth - predicted) ** 2)[draws].mean(axis=1)
    variance = truth[draws].var(axis=1)
    return np.asarray(1 - errors / np.where(variance > 0, variance, np.nan))


def _interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    tail = (1 - _LEVEL) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _fitted(model: str, x: npt.NDArray, y: npt.NDArray, classes: bool, seed: int) -> Any:
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if classes and len(np.unique(y)) < 2:
        return DummyClassifier().fit(x, y)
    if model == "linear":
        last = LogisticRegression(max_iter=2000) if classes else RidgeCV(np.logspace(-3, 3, 13))
        return make_pipeline(StandardScaler(), last).fit(x, y)
    forest = RandomForestClassifier if classes else RandomForestRegressor
    return forest(n_estimators=_TREES, random_state=seed).fit(x, y)
