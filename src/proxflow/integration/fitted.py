"""Transports of every batch of an AnnData to its reference: fitted once, applied to these samples and to later ones.

    fit       one `BatchTransport` per batch, in a basis of `obsm` or in the genes; nothing is written
    project   samples of those batches carried over, and the results written as scanpy's users expect them

Bad at: a reference that lacks a class: nothing says where that class should be. Genes in a layer are for display and
prediction, not for tests of differential expression, which take the batch as a covariate.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from proxflow.arrays import read_arrays, write_arrays
from proxflow.integration.columns import (
    batch_column,
    check_free,
    check_keys,
    check_reference,
    check_spellings,
    label_column,
)
from proxflow.integration.expression import (
    Loadings,
    computed_pca,
    expression_of,
    find_basis,
    loadings_of,
    store_pca,
)
from proxflow.integration.history import history
from proxflow.integration.transport import BatchTransport
from proxflow.integration.transport_files import packed, unpacked
from proxflow.validation import seed_from

__all__ = ["GENES", "Integration"]

GENES = "X"  # the basis that is the expression itself
_LARGEST_LAYER = 8e9  # bytes
_KIND, _FORMAT = "fitted integration", 1
_PLAIN = ("key", "reference", "label_key", "basis", "unlabeled", "seed", "logged")


@dataclass(eq=False)
class Integration:
    """Fitted transports of all batches: made by `fit`, applied by `project`, also to samples that come later.

    transports: batch -> its `BatchTransport`.

    Examples
    --------
    >>> import anndata
    >>> rng = np.random.default_rng(0)
    >>> x, cohort = rng.normal(7, 1, size=(80, 20)), np.tile(["A", "B"], 40)
    >>> adata = anndata.AnnData((x + 2.0 * (cohort == "B")[:, None]).astype("float32"))
    >>> adata.obs["cohort"] = cohort
    >>> model = Integration.fit(adata[:70].copy(), "cohort", reference="A")
    >>> later = adata[70:].copy()
    >>> model.project(later)
    >>> later.obsm["X_pca_proxflow"].shape
    (10, 20)
    """

    key: str
    reference: str
    label_key: str | None
    basis: str
    unlabeled: str
    seed: int
    logged: bool
    transports: dict[str, BatchTransport]
    loadings: Loadings | None
    _computed: tuple[Any, ...] | None = None  # a PCA that was not there, until it is stored

    @classmethod
    def fit(
        cls, adata: Any, key: str, *, reference: Any, label_key: str | None = None, basis: str = "X_pca",
        unlabeled: str = "error", transport: BatchTransport | None = None,
        rng: int | np.random.Generator | np.random.RandomState | None = None, progress: bool = False,
        logged: bool = True,
    ) -> Self:  # fmt: skip
        """Fit one transport per batch; parameters as those of `integrate`. Nothing is written to adata.

        logged: X holds logarithms of expression: what looks like counts or intensities is refused. False: anything.
        """
        batches = batch_column(adata, key)
        name = check_reference(batches, reference, key)
        labels = label_column(adata, label_key, unlabeled)
        check_spellings(labels, batches, name)
        own = None if transport is None else transport.random_state
        seed = _seed(own if rng is None else rng)
        computed, loadings = None, None
        found = None if basis == GENES else find_basis(adata, basis)
        if found is None:
            x = expression_of(adata, logged=logged)
        if basis == GENES:
            points = np.asarray(x.toarray() if hasattr(x, "toarray") else x)
            existing = find_basis(adata, "X_pca") if "X_pca" in adata.obsm else None
            loadings = None if existing is None else loadings_of(adata, "X_pca", existing)
            if existing is not None and loadings is None:
                raise ValueError(
                    "obsm['X_pca'] is not the PCA of X (of scaled data, or of a layer?), so moved genes cannot be shown"
                    " beside it. Run sc.pp.pca on this X, or del adata.obsm['X_pca']: it is then computed."
                )
            if loadings is None:
                computed = computed_pca(adata, x, seed)
                loadings = computed[1]
        elif found is None:
            computed = computed_pca(adata, x, seed)
            points, loadings = computed[0].astype(np.float64), computed[1]
        else:
            points, loadings = found, loadings_of(adata, basis, found)
        base = clone(transport or BatchTransport()).set_params(random_state=seed)
        base.set_params(progress=bool(progress or base.progress))
        model = cls(key, name, label_key, basis, unlabeled, seed, logged, {}, loadings, computed)
        genes = list(map(str, adata.var_names)) if basis == GENES else None
        for batch in np.unique(batches).tolist():
            if batch != name:
                model.transports[batch] = _fitted(clone(base), points, batches, labels, batch, name, genes)
        return model

    def project(
        self, adata: Any, *, adjusted_basis: str | None = None, expression_layer: str | None = None,
        key_added: str = "proxflow",
    ) -> None:  # fmt: skip
        """Carry the samples of adata, of the fit or later ones of its batches, and write the results as `integrate`.

        Later samples need the columns of the fit in `obs`, and its genes: their basis is found by the fit's loadings,
        for a PCA of their own would be another space.

        Raises
        ------
        ValueError
            A batch that was not in the fit, missing genes, or no way to the fit's basis; nothing is written then.
        """
        check_keys(self.basis, adjusted_basis, expression_layer, key_added)
        check_free(adata, self.basis, adjusted_basis, expression_layer, key_added)
        batches = batch_column(adata, self.key, several=False)
        unknown = sorted(set(batches.tolist()) - {self.reference, *self.transports})
        if unknown:
            raise ValueError(
                f"batch {unknown[0]!r} was not in the fit, which had {sorted({self.reference, *self.transports})}."
                " Fit again with its samples."
            )
        labels = label_column(adata, self.label_key, self.unlabeled, several=False)
        before = self._points(adata)
        after, guessed = before.copy(), None if labels is None else labels.astype(object)
        for batch, model in self.transports.items():
            rows = np.flatnonzero(batches == batch)
            if len(rows):
                own = None if labels is None else labels[rows]
                after[rows], named = _moved(model, before[rows], own, self.unlabeled)
                if guessed is not None and named is not None:
                    guessed[rows] = named
        moved = batches != self.reference
        layer = None if expression_layer is None else self._genes(adata, before, after, moved)
        self._write(adata, before, after, moved, layer, guessed, adjusted_basis, expression_layer, key_added)

    def __repr__(self) -> str:
        batches = ", ".join(map(repr, self.transports))
        return f"Integration(of {batches} onto {self.reference!r}, basis={self.basis!r}, label_key={self.label_key!r})"

    def unfitted(self) -> BatchTransport:
        """Return a transport with the settings of the fit, such as `integration_report` refits."""
        return clone(next(iter(self.transports.values())))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted transports of all batches to one file, whole or not at all; `load` reads it.

        Raises
        ------
        ValueError
            A setting that is an object of your own, or a refusal of the system.
        """
        header: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        header["batches"] = list(self.transports)
        arrays: dict[str, np.ndarray] = {}
        for i, model in enumerate(self.transports.values()):
            header[f"transport.{i}"], parts = packed(model)
            arrays |= {f"{i}:{name}": part for name, part in parts.items()}
        if self.loadings is not None:
            header["genes"] = list(self.loadings.genes)
            arrays |= {"loadings": self.loadings.matrix, "offset": self.loadings.offset}
        write_arrays(path, _KIND, _FORMAT, header, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote. Nothing in the file is run.

        Raises
        ------
        ValueError
            No such file, a damaged one, or one of another kind or version.
        """
        header, arrays = read_arrays(path, _KIND, _FORMAT)
        try:
            transports = {}
            for i, batch in enumerate(header["batches"]):
                parts = {n.removeprefix(f"{i}:"): part for n, part in arrays.items() if n.startswith(f"{i}:")}
                transports[str(batch)] = unpacked(BatchTransport(), header[f"transport.{i}"], parts)
            loadings = None
            if "genes" in header:
                loadings = Loadings(tuple(header["genes"]), arrays["loadings"], arrays["offset"])
            return cls(**{name: header[name] for name in _PLAIN}, transports=transports, loadings=loadings)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
            raise ValueError(
                f"{os.fspath(path)}: not an integration that this version of proxflow can read ({problem})."
            ) from None

    # ------------------------------------------------------------------ points

    def _points(self, adata: Any) -> np.ndarray:
        """Where the samples of adata are in the fit's basis, or their genes."""
        if self.basis == GENES:
            model = next(iter(self.transports.values()))
            x = expression_of(adata, list(model.feature_names_in_), logged=self.logged)
            return np.asarray(x.toarray() if hasattr(x, "toarray") else x)
        computed = self._computed_for(adata)
        if computed is not None and self.basis not in adata.obsm:
            return np.asarray(computed[0], np.float64)
        found = find_basis(adata, self.basis)
        if self.loadings is None:
            if found is None:
                raise ValueError(f"obsm has no {self.basis!r}, and the fit knows no loadings that lead to it.")
            return found
        if found is not None and self._same_space(adata, found):
            return found
        return self.loadings.encode(adata)

    def _computed_for(self, adata: Any) -> tuple[Any, ...] | None:
        """The PCA that the fit computed, if it is of these samples and not of others that are as many."""
        if self._computed is None or len(self._computed[0]) != adata.n_obs or "X_pca" in adata.obsm:
            return None
        points, loadings, _ = self._computed
        return self._computed if np.allclose(loadings.encode(adata), points, rtol=1e-3, atol=1e-3) else None

    def _same_space(self, adata: Any, points: np.ndarray, basis: str | None = None) -> bool:
        """Whether obsm holds what the fit's loadings make of X, as it does for the samples of the fit."""
        assert self.loadings is not None
        theirs = loadings_of(adata, basis or self.basis, points)
        if theirs is None or theirs.genes != self.loadings.genes:
            return False
        return bool(
            np.array_equal(theirs.matrix, self.loadings.matrix)
            and np.allclose(theirs.offset, self.loadings.offset, rtol=1e-3, atol=1e-3)
        )

    def _genes(self, adata: Any, before: np.ndarray, after: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """The layer of genes, samples x genes: the reference's rows are those of X."""
        size = adata.n_obs * adata.n_vars * 4.0
        if size > _LARGEST_LAYER:
            raise ValueError(
                f"a layer of {adata.n_obs} x {adata.n_vars} genes is {size / 1e9:.0f} GB, for moved genes are dense."
                " Leave expression_layer out, or take fewer genes, such as the highly variable ones."
            )
        if self.basis != GENES and self.loadings is None:
            raise ValueError(
                f"obsm[{self.basis!r}] is not what varm['PCs'] make of X, so it cannot be decoded to genes. Run"
                " sc.pp.pca on this X, or take basis='X'."
            )
        x = adata.X[:] if adata.isbacked else adata.X
        dense = np.asarray(x.toarray() if hasattr(x, "toarray") else x)
        out = dense.astype(dense.dtype if dense.dtype in (np.float32, np.float64) else np.float32)
        assert self.loadings is not None  # with genes as the basis there is always a PCA of them
        places = {gene: i for i, gene in enumerate(map(str, adata.var_names))}
        columns = np.array([places[gene] for gene in self.loadings.genes])
        if self.basis == GENES:
            out[np.ix_(moved, columns)] = after[moved]
            return out
        for rows in np.array_split(np.flatnonzero(moved), max(1, int(moved.sum()) // 500)):
            out[np.ix_(rows, columns)] += (after[rows] - before[rows]) @ self.loadings.matrix.T
        return out

    # ------------------------------------------------------------------ what is written

    def _write(
        self, adata: Any, before: np.ndarray, after: np.ndarray, moved: np.ndarray, layer: np.ndarray | None,
        labels: np.ndarray | None, adjusted_basis: str | None, expression_layer: str | None, key_added: str,
    ) -> None:  # fmt: skip
        name = adjusted_basis or f"{'X_pca' if self.basis == GENES else self.basis}_{key_added}"
        computed = self._computed_for(adata)
        if self.basis == GENES:
            assert self.loadings is not None
            basis = (after @ self.loadings.matrix - self.loadings.offset).astype(np.float32)
            existing = computed[0] if computed is not None else adata.obsm.get("X_pca")
            if existing is not None and (computed is not None or self._same_space(adata, existing, "X_pca")):
                basis[~moved] = np.asarray(existing)[~moved]
        else:
            kept = np.asarray(adata.obsm[self.basis]) if self.basis in adata.obsm else before.astype(np.float32)
            same = kept.dtype in (np.float32, np.float64) and np.array_equal(kept, before)
            basis = after.astype(kept.dtype if same else np.float32)
        if computed is not None:
            store_pca(adata, *computed)
        adata.obsm[name] = basis
        adata.obs[f"{key_added}_shift"] = np.linalg.norm(after - before, axis=1)
        if labels is not None and self.unlabeled == "nearest":
            adata.obs[f"{key_added}_label"] = labels
        if layer is not None and expression_layer is not None:
            adata.layers[expression_layer] = layer
        adata.uns[key_added] = history(self, name, expression_layer)


def _fitted(
    model: BatchTransport, points: np.ndarray, batches: np.ndarray, labels: np.ndarray | None, batch: str,
    reference: str, genes: list[str] | None,
) -> BatchTransport:  # fmt: skip
    """The transport of one batch; errors name it."""
    sides = []
    for name in (batch, reference):
        rows = batches == name
        rows &= np.True_ if labels is None else labels != ""
        cloud: Any = points[rows]
        if genes is not None:
            import pandas as pd

            cloud = pd.DataFrame(cloud, columns=genes)
        sides += [cloud, None if labels is None else labels[rows]]
    try:
        return model.fit(*sides)
    except ValueError as problem:
        raise ValueError(f"batch {batch!r}: {problem}") from problem


def _moved(
    model: BatchTransport, points: np.ndarray, labels: np.ndarray | None, unlabeled: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Where points of the model's batch go, and their classes."""
    if labels is None:
        return model.transform(points), None
    codes, without = labels.astype(object), labels == ""  # not text of a length that would cut the guesses
    if without.any() and unlabeled == "nearest":
        codes[without] = model.predict_labels(points[without])[0]
        without = codes == ""
    moved = points.copy()
    if (~without).any():
        moved[~without] = model.transform(points[~without], codes[~without])
    if without.any():
        moved[without] = model.shift(points[without])
    return moved, codes


def _seed(rng: Any) -> int:
    if rng is None:
        return 0
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**31 - 1))
    return seed_from(rng)
