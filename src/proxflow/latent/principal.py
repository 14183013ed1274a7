"""Principal components: E(x) = S^-1 B (x - m),  D(z) = m + B^T S z,  B orthonormal (k, d), S = 1 or deviations.

    a = 1 without whitening,  the largest deviation with it

The best k-dimensional plane in mean square (Pearson 1901; Eckart, Young 1936). The k largest singular values and their
vectors come from whichever is cheapest: the singular value decomposition of few values; the eigenvectors of the
smaller of X Xᵀ and XᵀX (491 samples of 54,675 probes: 1 s, where the full decomposition takes 24, and scikit-learn's
randomised one 7 with the 50th value 5 % low); scikit-learn's randomised one if both are large; ARPACK if X is sparse,
centred without being filled.

Bad at: curved sets, and columns in unlike units, of which it sees the largest only: scale them first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from proxflow.latent.base import (
    Encoding,
    Latent,
    check_coordinates,
    check_points,
    resolved_components,
)

__all__ = ["PrincipalComponents", "PrincipalEncoding", "plane_of"]

_SMALL = 1e8  # n d min(n, d): a full decomposition takes a blink
_GRAM = 5000  # rows of the smaller Gram matrix
# Of singular values: below it a direction is rounding. Gram matrices square it, and must resolve it.
_RANK_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class PrincipalEncoding(Encoding):
    """An orthonormal frame, and the units of its coordinates.

    mean: (d,). basis: orthonormal rows (k, d). scale: (k,), the coordinates' units; None for the data's own.
    ratios: (k,), each component's share of the fitted samples' variance; None if unknown.
    """

    mean: np.ndarray
    basis: np.ndarray
    scale: np.ndarray | None = None
    ratios: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        k, d = np.shape(self.basis) if np.ndim(self.basis) == 2 else (0, 0)
        others = [part for part in (self.scale, self.ratios) if part is not None]
        if k == 0 or np.shape(self.mean) != (d,) or any(np.shape(part) != (k,) for part in others):
            raise ValueError("principal components of unlike shapes.")

    @property
    def n_features(self) -> int:
        return int(self.basis.shape[1])

    @property
    def n_components(self) -> int:
        return int(self.basis.shape[0])

    @cached_property
    def lipschitz(self) -> float:  # type: ignore[override]
        rows = self.basis if self.scale is None else self.basis * self.scale[:, None]
        return float(np.sqrt(np.linalg.eigvalsh(rows @ rows.T)[-1]))

    @property
    def explained(self) -> float:
        return float("nan") if self.ratios is None else float(np.sum(self.ratios))

    def encode(self, points: Any) -> np.ndarray:
        x = check_points(points, "points", width=self.n_features, minimum=1)
        sparse = hasattr(x, "toarray")
        inside = x @ self.basis.T - self.mean @ self.basis.T if sparse else (x - self.mean) @ self.basis.T
        return np.asarray(inside if self.scale is None else inside / self.scale)

    def decode(self, coordinates: Any) -> np.ndarray:
        return self.mean + self._expanded(check_coordinates(coordinates, self.n_components))

    def displacement(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        return self._expanded(last - first)

    def arrays(self) -> dict[str, np.ndarray]:
        named = {"mean": self.mean, "basis": self.basis, "scale": self.scale, "ratios": self.ratios}
        return {name: array for name, array in named.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> PrincipalEncoding:
        return cls(arrays["mean"], arrays["basis"], arrays.get("scale"), arrays.get("ratios"))

    def _expanded(self, coordinates: np.ndarray) -> np.ndarray:
        return (coordinates if self.scale is None else coordinates * self.scale) @ self.basis


@dataclass(frozen=True)
class PrincipalComponents(Latent):
    """A plane of principal components.

    Parameters
    ----------
    n_components
        k. None: what the smallest class can carry, a fifth of its samples from 2 to 50, and never more than the rank.
    whiten
        Divide every coordinate by its standard deviation. The decoder's slope is then the largest deviation.

    Examples
    --------
    >>> import numpy as np
    >>> from proxflow import PrincipalComponents
    >>> x = np.random.default_rng(0).normal(size=(60, 8)) * [9, 5, 1, 1, 1, 1, 1, 0]
    >>> encoding = PrincipalComponents(2).fit(x)
    >>> encoding.encode(x).shape, round(encoding.lipschitz, 6), encoding.explained > 0.9
    ((60, 2), 1.0, True)
    """

    n_components: int | None = None
    whiten: bool = False

    def fit(self, points: Any, *, labels: Any = None, seed: int = 0) -> PrincipalEncoding:
        x = check_points(points, "points")
        k = resolved_components(self.n_components, labels, x.shape)
        plane = plane_of(x, k, seed, self.whiten)
        if self.n_components is not None and plane.n_components < k:
            raise ValueError(f"n_components={k}, but the samples vary in {plane.n_components} directions only.")
        return plane


def plane_of(x: Any, k: int, seed: int, whiten: bool = False) -> PrincipalEncoding:
    """The k leading components of checked samples (n, d), or fewer if they vary in fewer directions."""
    mean = np.asarray(x.mean(axis=0)).ravel()
    values, basis, total = _leading(x, mean, k, seed)
    rank = int(np.sum(values > _RANK_TOLERANCE * values[0])) if values[0] > 0 else 0
    if rank == 0:
        raise ValueError("points: all samples are equal, so there is no direction to keep.")
    values, basis = values[:rank], basis[:rank]
    signs = np.sign(basis[np.arange(rank), np.argmax(np.abs(basis), axis=1)])
    scale = values / np.sqrt(x.shape[0] - 1) if whiten else None
    return PrincipalEncoding(mean, basis * signs[:, None], scale, values**2 / total)


def _leading(x: Any, mean: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The k largest singular values (k,) of the centred samples, their right vectors (k, d), and all squares' sum."""
    n, d = x.shape
    if hasattr(x, "toarray"):
        if k < min(n, d) and n * d * min(n, d) > _SMALL:
            return _by_scikit_learn(x, k, seed, "arpack")
        x = x.toarray()
    centred = x - mean
    if n * d * min(n, d) <= _SMALL:
        _, values, vectors = np.linalg.svd(centred, full_matrices=False)
        return values[:k], vectors[:k], float(np.sum(values**2))
    if min(n, d) > _GRAM:
        return _by_scikit_learn(x, k, seed, "randomized")
    from scipy.linalg import eigh

    gram = centred @ centred.T if n < d else centred.T @ centred
    squares, vectors = eigh(gram, subset_by_index=[len(gram) - k, len(gram) - 1])
    values, vectors = np.sqrt(np.maximum(squares[::-1], 0.0)), vectors[:, ::-1].T
    if n < d:
        # Left vectors uᵀX = s v: orthogonal up to rounding in the Gram matrix, which a QR step takes away.
        frame, triangle = np.linalg.qr((vectors @ centred).T)
        vectors = (frame * np.sign(np.diag(triangle))).T
    return values, vectors, float(np.trace(gram))


def _by_scikit_learn(x: Any, k: int, seed: int, solver: str) -> tuple[np.ndarray, np.ndarray, float]:
    from sklearn.decomposition import PCA

    found = PCA(k, svd_solver=solver, random_state=seed).fit(x)
    values = np.asarray(found.singular_values_, np.float64)
    share = float(np.sum(found.explained_variance_ratio_))
    return values, np.asarray(found.components_, np.float64), float(np.sum(values**2)) / max(share, 1e-300)
