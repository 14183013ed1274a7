"""The coordinates in which clouds are compared and moved: the data's affine span, and columns in like units.

Divergences are invariant under isometries, so samples that lie in a k-dimensional plane of R^d (always so for
n <= k samples: 200 samples of 50,000 genes span 199 dimensions) can be compared and moved in k orthonormal
coordinates: an exact change of variables. Constant columns vanish, and particles cannot drift off the plane along
directions that the data say nothing about. Decoding a moved point adds its displacement, so what lies outside
the span is kept.

Columns in different units are no isometry's business: a column a thousand times larger than the others is all
that a Euclidean distance sees. `column_scales` finds that case; images and expression values are not it. Columns with
heavy tails are compressed first (`compression`), which is one-to-one and no isometry either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from proxflow.compression import Compression

__all__ = ["LabelledSpan", "Span", "affine_span", "column_scales"]

_RELATIVE_RANK_TOLERANCE = 1e-10  # of singular values: below it a direction is float64 rounding
# Largest standard deviation over the median of the others. Digits have 1.4, MNIST 2.1,
# gene expression 3 to 4; tables in mixed units 414 (wine) and 8662 (breast cancer).
_MIXED_UNITS = 10.0


@dataclass(frozen=True)
class Span:
    """x = centre + scale * (basisᵀ c): a plane with an orthonormal basis (k, d), columns in units of scale (d,).

    Without a basis, all of space; without a scale, columns as they are. Centring comes first, in float64: values
    like 1e9 ± 1 would lose their digits in float32. With a compression all of this happens in its coordinates.
    """

    centre: np.ndarray
    basis: np.ndarray | None = None
    scale: np.ndarray | None = None
    bend: Compression | None = None

    def encode(self, points: np.ndarray) -> np.ndarray:
        """Coordinates of the points' projections, shape (n, k)."""
        inside = (points if self.bend is None else self.bend.compress(points)) - self.centre
        inside = inside if self.scale is None else inside / self.scale
        return inside if self.basis is None else inside @ self.basis.T

    def decode(self, coordinates: np.ndarray) -> np.ndarray:
        """The points of the plane at these coordinates, shape (n, d)."""
        return self._expand(self.centre + self._difference(coordinates))

    def carry(self, points: np.ndarray, first: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """Where points (n, d) end whose coordinates (n, k) move from first to moved: what lies off the plane stays."""
        inside = points if self.bend is None else self.bend.compress(points)
        return self._expand(inside + self._difference(moved - first))

    def displacement(self, coordinates: np.ndarray) -> np.ndarray:
        """A difference of coordinates as a difference of points, shape (n, d); ValueError where it depends on where."""
        if self.bend is not None:
            raise ValueError("compressed coordinates have no displacement of their own: use Span.carry.")
        return self._difference(coordinates)

    def units(self, points: np.ndarray) -> np.ndarray:
        """Points (n, d), all columns kept, in the units in which distances are taken inside."""
        inside = points if self.bend is None else self.bend.compress(points)
        return inside if self.scale is None else inside / self.scale

    def _difference(self, coordinates: np.ndarray) -> np.ndarray:
        inside = coordinates if self.basis is None else coordinates @ self.basis
        return inside if self.scale is None else inside * self.scale

    def _expand(self, inside: np.ndarray) -> np.ndarray:
        return inside if self.bend is None else self.bend.expand(inside)


@dataclass(frozen=True)
class LabelledSpan:
    """Coordinates of the features by a span, and the last columns, labels or covariates, as they are."""

    span: Span
    labels: int

    @property
    def scale(self) -> np.ndarray | None:
        """Of the features, if they are in units of one."""
        return self.span.scale

    @property
    def bend(self) -> Compression | None:
        """Of the features, if they are compressed."""
        return self.span.bend

    def encode(self, points: np.ndarray) -> np.ndarray:
        """As `Span.encode`."""
        return self._joined(self.span.encode, points)

    def decode(self, coordinates: np.ndarray) -> np.ndarray:
        """As `Span.decode`."""
        return self._joined(self.span.decode, coordinates)

    def units(self, points: np.ndarray) -> np.ndarray:
        """As `Span.units`."""
        return self._joined(self.span.units, points)

    def carry(self, points: np.ndarray, first: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """As `Span.carry`."""
        features = [part[:, : -self.labels] for part in (points, first, moved)]
        return np.hstack([self.span.carry(*features), points[:, -self.labels :]])

    def _joined(self, change: Callable[[np.ndarray], np.ndarray], points: np.ndarray) -> np.ndarray:
        return np.hstack([change(points[:, : -self.labels]), points[:, -self.labels :]])


def affine_span(*clouds: np.ndarray, scale: np.ndarray | None = None, bend: Compression | None = None) -> Span:
    """Return the smallest plane that holds all rows of the clouds, each of shape (n_i, d), once compressed."""
    points = np.concatenate(clouds)
    points = points if bend is None else bend.compress(points)
    centre = points.mean(axis=0)
    centred = points - centre if scale is None else (points - centre) / scale
    count, width = centred.shape
    if width == 1:
        return Span(centre, None, scale, bend)
    if count > width:
        _, singular, basis = np.linalg.svd(np.linalg.qr(centred, mode="r"), full_matrices=False)
    else:
        _, singular, basis = np.linalg.svd(centred, full_matrices=False)
    rank = int(np.sum(singular > _RELATIVE_RANK_TOLERANCE * max(singular[0], np.finfo(float).tiny)))
    # Fully spanned, or all points equal: the coordinates as they are.
    return Span(centre, None if rank in (0, width) else basis[:rank], scale, bend)


def column_scales(points: np.ndarray) -> np.ndarray | None:
    """Standard deviations (d,) to divide by if the columns are in mixed units, else None."""
    deviations = points.std(axis=0)
    varying = np.sort(deviations[deviations > 0])
    if len(varying) < 2 or varying[-1] <= _MIXED_UNITS * np.median(varying[:-1]):
        return None
    return np.where(deviations > 0, deviations, 1.0)
