"""The fitted map of a batch: every class by its start, then along its flow in latent space.

    x -> x₀ = start(x) -> z = E(x₀) -> z' (the class's flow replayed) -> x₀ + D(z') - D(z)

Each sample is carried alone, whether the fit has seen it or not. Bad at: samples far from those of the fit, where the
potentials know only their slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from proxflow.integration.paths import padded
from proxflow.integration.starts import Start
from proxflow.latent import Encoding, decode_displacement
from proxflow.recordings import Recording

__all__ = ["BatchMap", "LatentClass"]

_BLOCK = 65536


@dataclass(frozen=True, eq=False)
class LatentClass:
    """The units of a class in latent space: the reference's mean there, shape (k,), and its spread."""

    centre: np.ndarray
    spread: float

    @classmethod
    def of(cls, coordinates: np.ndarray) -> LatentClass:
        """The units of a class whose reference samples are at these coordinates (m, k)."""
        spread = float(np.sqrt(coordinates.var(axis=0).sum()))
        return cls(coordinates.mean(axis=0), spread if spread > 0 else 1.0)

    def units(self, coordinates: np.ndarray) -> np.ndarray:
        """Coordinates (n, k) without units."""
        return (coordinates - self.centre) / self.spread

    def coordinates(self, units: np.ndarray) -> np.ndarray:
        """And back."""
        return self.centre + units * self.spread


@dataclass(frozen=True, eq=False)
class BatchMap:
    """A start, and the flows of the classes that have one."""

    start: Start
    encoding: Encoding
    places: dict[Any, LatentClass]
    flows: dict[Any, Recording]

    def carry(self, points: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Where points (n, d) with classes (n,) go."""
        moved = self.start.apply(points, codes)
        for c, flow in self.flows.items():
            rows = np.flatnonzero(codes == c)
            for block in (rows[i : i + _BLOCK] for i in range(0, len(rows), _BLOCK)):
                moved[block] = self._along(flow, self.places[c], moved[block])
        return moved

    def _along(self, flow: Recording, place: LatentClass, points: np.ndarray) -> np.ndarray:
        first = self.encoding.encode(points)
        ended = flow.carry(padded(place.units(first)))[: len(points)]
        if not np.isfinite(ended).all():
            raise ValueError(
                f"row {int(np.argmin(np.isfinite(ended).all(axis=1)))} of a class cannot be carried: it lies where the"
                " fitted potentials overflow, far from the samples of the fit."
            )
        return decode_displacement(self.encoding, points, first, place.coordinates(ended))
