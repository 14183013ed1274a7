"""The affine span of the data, in orthonormal coordinates: an exact change of variables, no approximation.

Divergences are invariant under isometries, so samples that lie in a k-dimensional plane of R^d (always so for
n <= k samples: 200 samples of 50,000 genes span 199 dimensions) can be compared and moved in k coordinates.
Constant columns vanish, and particles cannot drift off the plane along directions that the data say nothing
about. Decoding adds the displacement, so what lies outside the span is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Span", "affine_span"]

_RELATIVE_RANK_TOLERANCE = 1e-6  # of singular values: below it float32 cannot tell a direction from rounding


@dataclass(frozen=True)
class Span:
    """An affine plane: a centre (d,) and an orthonormal basis (k, d), or None for the whole space as it is."""

    centre: np.ndarray
    basis: np.ndarray | None

    def encode(self, points: np.ndarray) -> np.ndarray:
        """Coordinates of the points' projections, shape (n, k)."""
        return points if self.basis is None else (points - self.centre) @ self.basis.T

    def decode(self, coordinates: np.ndarray) -> np.ndarray:
        """The points of the plane at these coordinates, shape (n, d)."""
        return coordinates if self.basis is None else self.centre + coordinates @ self.basis


def affine_span(*clouds: np.ndarray) -> Span:
    """Return the smallest plane that holds all rows of the clouds, each of shape (n_i, d)."""
    points = np.concatenate(clouds)
    centre = points.mean(axis=0)
    centred = points - centre
    count, width = centred.shape
    if width == 1:
        return Span(centre, None)
    if count > width:
        _, singular, basis = np.linalg.svd(np.linalg.qr(centred, mode="r"), full_matrices=False)
    else:
        _, singular, basis = np.linalg.svd(centred, full_matrices=False)
    rank = int(np.sum(singular > _RELATIVE_RANK_TOLERANCE * max(singular[0], np.finfo(float).tiny)))
    # Fully spanned, or all points equal: the coordinates as they are.
    return Span(centre, None if rank in (0, width) else basis[:rank])
