"""No latent space: E(x) = D(x) = x, a = 1. For comparisons, and for data that are few columns already.

Bad at: everything a latent space is for. A divergence between 200 samples in 50,000 dimensions is all noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxflow.latent.base import Encoding, Latent, check_coordinates, check_points

__all__ = ["Identity", "IdentityEncoding"]


@dataclass(frozen=True)
class IdentityEncoding(Encoding):
    """Points of so many features as they are."""

    features: int

    @property
    def n_features(self) -> int:
        return self.features

    @property
    def n_components(self) -> int:
        return self.features

    @property
    def lipschitz(self) -> float:
        return 1.0

    @property
    def explained(self) -> float:
        return 1.0

    def encode(self, points: Any) -> np.ndarray:
        x = check_points(points, "points", width=self.features, minimum=1)
        return x.toarray() if hasattr(x, "toarray") else x

    def decode(self, coordinates: Any) -> np.ndarray:
        return check_coordinates(coordinates, self.features)

    def displacement(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        return np.asarray(last - first)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"features": np.array(self.features)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> IdentityEncoding:
        return cls(int(arrays["features"]))


@dataclass(frozen=True)
class Identity(Latent):
    """The data's own coordinates."""

    def fit(self, points: Any, *, labels: Any = None, seed: int = 0) -> IdentityEncoding:
        return IdentityEncoding(int(check_points(points, "points").shape[1]))
