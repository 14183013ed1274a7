"""Batches of an AnnData carried onto a reference, in scanpy's conventions: the call that does it all.

    sc.pp.pca(adata)
    integrate(adata, "cohort", reference="A", label_key="er")
    sc.pp.neighbors(adata, use_rep="X_pca_proxflow")

A new obsm key is added; X is not touched, and the reference's rows are copied bit for bit. `fitted.Integration` is the
two-step form, for samples that come later. Bad at: see there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from proxflow.integration.columns import check_free, check_keys
from proxflow.integration.fitted import Integration
from proxflow.integration.transport import BatchTransport

__all__ = ["integrate"]


def integrate(
    adata: Any,
    key: str,
    *,
    reference: Any,
    label_key: str | None = None,
    basis: str = "X_pca",
    adjusted_basis: str | None = None,
    expression_layer: str | None = None,
    unlabeled: str = "error",
    transport: BatchTransport | None = None,
    key_added: str = "proxflow",
    rng: int | np.random.Generator | np.random.RandomState | None = None,
    copy: bool = False,
    progress: bool = False,
) -> Any:
    """Carry every batch onto the reference batch, class by class, in place.

    Parameters
    ----------
    adata
        AnnData, samples x genes; dense, sparse or backed.
    key, reference
        The column of `obs` that names the batch, and the batch that the others are carried onto.
    label_key
        The column of `obs` with the classes. None: batches are taken as wholes, which is wrong wherever they hold the
        classes in other shares.
    basis
        Where they are compared and moved: a key of `obsm`, or "X" for the genes themselves (bulk data of a few hundred
        samples: closer to the truth, and slower). "X_pca" is computed from all samples if it is not there.
    adjusted_basis
        The key of `obsm` to write. None: f"{basis}_{key_added}"; of "X" it is the PCA of the moved genes,
        f"X_pca_{key_added}".
    expression_layer
        Also write genes, to this layer: dense, samples x genes. Of a basis that is not "X", genes move as their
        loadings `varm["PCs"]` say; what the basis does not see stays.
    unlabeled
        Samples without a class: "error"; "nearest": the class of the nearest samples of their batch, written to
        `obs[f"{key_added}_label"]`; "pool": moved by what all classes share.
    transport
        A `BatchTransport` with the settings to use. None: its defaults.
    key_added
        Of `uns`, where parameters and history go, and of `obs[f"{key_added}_shift"]`, how far each sample moved.
    rng
        Seed. None: the transport's, else 0, so that a call repeats itself.
    copy
        Return a changed copy, and leave `adata` as it is.
    progress
        Show a progress bar on a terminal.

    Returns
    -------
    None, or AnnData if copy

    Raises
    ------
    ValueError
        A column, batch or basis that is not there (what there is, is listed), a key that names single samples, a batch
        of one sample, classes that differ by spelling, NaN, counts where logarithms are expected, loadings that do not
        lead from X to the basis. Nothing is written then.

    Examples
    --------
    >>> import anndata
    >>> rng = np.random.default_rng(0)
    >>> x, cohort = rng.normal(7, 1, size=(60, 20)), np.repeat(["A", "B"], 30)
    >>> adata = anndata.AnnData((x + 2.0 * (cohort == "B")[:, None]).astype("float32"))
    >>> adata.obs["cohort"] = cohort
    >>> integrate(adata, "cohort", reference="A")
    >>> adata.obsm["X_pca_proxflow"].shape, bool(adata.obs["proxflow_shift"]["0"] == 0)
    ((60, 20), True)
    """
    check_keys(basis, adjusted_basis, expression_layer, key_added)
    check_free(adata, basis, adjusted_basis, expression_layer, key_added)
    target = adata.copy() if copy else adata
    model = Integration.fit(
        target, key, reference=reference, label_key=label_key, basis=basis, unlabeled=unlabeled, transport=transport,
        rng=rng, progress=progress,
    )  # fmt: skip
    model.project(target, adjusted_basis=adjusted_basis, expression_layer=expression_layer, key_added=key_added)
    return target if copy else None
