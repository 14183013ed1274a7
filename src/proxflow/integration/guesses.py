"""Guesses of the class of samples, from the labelled samples of their own batch: no batch effect is in between.

    k nearest neighbours among the first principal components, nearer ones counting more

Bad at: classes of fewer samples than half the neighbours asked, which are always outvoted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proxflow.latent import Encoding
from proxflow.latent.principal import plane_of
from proxflow.validation import check_positive

__all__ = ["Labelled"]

_COMPONENTS = 20
_NEIGHBOURS = 15


@dataclass(frozen=True, eq=False)
class Labelled:
    """Samples of known class: their coordinates, shape (n, k), and classes, shape (n,)."""

    encoding: Encoding
    coordinates: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, codes: np.ndarray, seed: int) -> Labelled | None:
        """Those that know the classes of points (n, d); None if all points are equal."""
        if not np.ptp(points, axis=0).any():
            return None
        most = min(_COMPONENTS, len(points) - 1, points.shape[1])
        encoding = plane_of(points, most, seed)
        return cls(encoding, encoding.encode(points), codes)

    def guess(self, points: np.ndarray, neighbours: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The likeliest class of points (m, d), and its share among the neighbours, both shape (m,)."""
        from sklearn.neighbors import KNeighborsClassifier

        count = _NEIGHBOURS if neighbours is None else neighbours
        check_positive(count, "neighbours", integer=True)
        found = KNeighborsClassifier(min(count, len(self.codes)), weights="distance").fit(self.coordinates, self.codes)
        shares = found.predict_proba(self.encoding.encode(points))
        return found.classes_[shares.argmax(axis=1)], shares.max(axis=1)
