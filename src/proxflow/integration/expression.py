"""The expression matrix of an AnnData, and the linear map from it to a basis such as X_pca.

    basis = X V - o       V = varm["PCs"], o = the offset that all rows agree on

Only a basis that is that map of X can be decoded to genes, or found for samples that come later. Bad at: bases that
are no linear map (UMAP, an autoencoder's); they are moved, and no genes come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxflow.data.scales import scale_of
from proxflow.latent.base import check_points
from proxflow.latent.principal import plane_of
from proxflow.proportions import listed

__all__ = ["Loadings", "computed_pca", "expression_of", "find_basis", "loadings_of", "store_pca"]

_COMPONENTS = 50  # of a PCA that was not there, as scanpy's
_LOOKED_AT = 2000  # rows that the scale is judged by, and that loadings are checked on
_AGREE = 1e-3  # of the basis's spread
_BLOCK = 4_000_000  # values of X looked at together


@dataclass(frozen=True, eq=False)
class Loadings:
    """basis = X V - offset for these genes: V (genes, k), offset (k,)."""

    genes: tuple[str, ...]
    matrix: np.ndarray
    offset: np.ndarray

    def encode(self, adata: Any, name: str = "the data") -> np.ndarray:
        """The basis of the samples of another AnnData, genes matched by name, shape (n, k)."""
        return np.asarray(expression_of(adata, self.genes, name) @ self.matrix - self.offset)


def expression_of(adata: Any, genes: Sequence[str] | None = None, name: str = "X", *, logged: bool = True) -> Any:
    """Return X in memory, float64, dense or sparse, its genes those named and in their order.

    Raises
    ------
    ValueError
        No X, NaN (gene and sample named), genes twice or missing, or counts where logarithms are expected.
    """
    if adata.X is None:
        raise ValueError(f"{name} has no X.")
    if adata.n_vars == 0:
        raise ValueError(f"{name} has no genes.")
    names = [str(gene) for gene in adata.var_names]
    if len(set(names)) < len(names):
        twice = next(gene for gene in names if names.count(gene) > 1)
        raise ValueError(f"{name}: gene {twice!r} is there twice. Run adata.var_names_make_unique().")
    x = adata.X[:] if adata.isbacked else adata.X
    if genes is not None and list(genes) != names:
        place = {gene: i for i, gene in enumerate(names)}
        missing = [gene for gene in genes if gene not in place]
        if missing:
            raise ValueError(
                f"{name}: {len(missing)} of the {len(genes)} genes of the fit are missing, such as"
                f" {listed(missing[:3])}. Take the same annotation, or fit again on the genes that both have."
            )
        x, names = x[:, [place[gene] for gene in genes]], list(genes)
    _check_finite(adata, x, names, name)
    if logged:
        _check_logged(x, name)
    return check_points(x, name, minimum=1)


def _check_finite(adata: Any, x: Any, genes: Sequence[str], name: str) -> None:
    values = x.data if hasattr(x, "toarray") else np.asarray(x)
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    if hasattr(x, "toarray"):
        rows = x.tocsr()
        at = int(np.argmax(~np.isfinite(rows.data)))
        row, column = int(np.searchsorted(rows.indptr, at, side="right")) - 1, int(rows.indices[at])
    else:
        row, column = (int(i) for i in np.argwhere(bad)[0])
    raise ValueError(
        f"{name}: {x[row, column]} for gene {genes[column]!r} in sample"
        f" {str(adata.obs_names[row])!r} ({int(bad.sum())} such values). Drop those genes or samples, or impute."
    )


def _check_logged(x: Any, name: str) -> None:
    rows = x[: max(1, min(x.shape[0], _LOOKED_AT, _BLOCK // x.shape[1]))]
    scale = scale_of(np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, np.float64))
    if scale.kind != "logged":
        what = "counts" if scale.kind == "counts" else "values on a linear scale"
        raise ValueError(
            f"{name} has {what} ({scale.sentence()}), where logarithms are expected: one gene would decide every"
            " distance. Run sc.pp.normalize_total and sc.pp.log1p on counts, or take log2 of intensities."
        )


def find_basis(adata: Any, basis: str) -> np.ndarray | None:
    """Return obsm[basis] as float64, finite; None if it is X_pca and has to be computed.

    Raises
    ------
    ValueError
        No such basis (there is a list), or NaN (sample and component named).
    """
    if basis not in adata.obsm:
        if basis == "X_pca":
            return None
        raise ValueError(f"obsm has no {basis!r}; it has {listed(list(adata.obsm)) or 'nothing'}.")
    points = np.asarray(adata.obsm[basis], np.float64)
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(f"obsm[{basis!r}] has shape {points.shape}; samples x components are expected.")
    bad = ~np.isfinite(points)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"obsm[{basis!r}]: {points[row, column]} in component {column} of sample {str(adata.obs_names[row])!r}."
        )
    return points


def loadings_of(adata: Any, basis: str, points: np.ndarray) -> Loadings | None:
    """Return the map from X to obsm[basis] if varm["PCs"] is that, else None."""
    if basis != "X_pca" or "PCs" not in adata.varm or adata.X is None or adata.varm["PCs"].shape[1] != points.shape[1]:
        return None
    matrix = np.asarray(adata.varm["PCs"], np.float64)
    rows = np.unique(np.linspace(0, len(points) - 1, min(len(points), 50)).astype(int))
    x = adata.X[rows]
    offsets = (x @ matrix if not hasattr(x, "toarray") else x.toarray() @ matrix) - points[rows]
    spread = float(np.sqrt(points.var(axis=0).sum()))
    if not float(np.abs(offsets - offsets.mean(axis=0)).max()) <= _AGREE * max(spread, 1e-300) * 10:
        return None
    return Loadings(tuple(map(str, adata.var_names)), matrix, offsets.mean(axis=0))


def computed_pca(adata: Any, x: Any, seed: int) -> tuple[np.ndarray, Loadings, np.ndarray]:
    """Return the PCA of all samples of x, float32 (n, k), the map to it, and each component's share of variance."""
    most = min(_COMPONENTS, x.shape[0] - 1, x.shape[1])
    found = plane_of(x, most, seed)
    matrix = found.basis.T.astype(np.float32)
    shares = np.full(found.n_components, np.nan) if found.ratios is None else found.ratios
    loadings = Loadings(tuple(map(str, adata.var_names)), matrix.astype(np.float64), found.mean @ matrix)
    return found.encode(x).astype(np.float32), loadings, shares


def store_pca(adata: Any, points: np.ndarray, loadings: Loadings, shares: np.ndarray) -> None:
    """Store a computed PCA where scanpy does: obsm X_pca, varm PCs, uns pca."""
    adata.obsm["X_pca"] = points
    adata.varm["PCs"] = loadings.matrix.astype(np.float32)
    variance = points.var(axis=0, ddof=1, dtype=np.float64)
    adata.uns["pca"] = {"params": {"zero_center": True}, "variance": variance, "variance_ratio": shares}
