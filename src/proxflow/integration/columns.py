"""The columns of `obs` that say which batch and which class a sample is of, and whether they can be that.

Bad at: a column that could be either; it believes the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from proxflow.integration.labelling import check_spelling
from proxflow.proportions import listed
from proxflow.validation import check_choice

__all__ = [
    "UNLABELLED",
    "batch_column",
    "check_free",
    "check_keys",
    "check_reference",
    "check_spellings",
    "label_column",
]

UNLABELLED = ("error", "pool", "nearest")
_FEWEST = 3.0  # samples of a batch, on average: with fewer the column is an identifier


def _values(adata: Any, name: str, argument: str) -> tuple[np.ndarray, np.ndarray]:
    """A column of obs as text, shape (n,), and where it has no value."""
    import pandas as pd

    if name not in adata.obs.columns:
        raise ValueError(f"{argument}={name!r} is no column of obs, which has {listed(list(adata.obs.columns))}.")
    column = adata.obs[name]
    missing = pd.isna(column).to_numpy()
    return np.where(missing, "", column.astype(object).astype(str).to_numpy()).astype(str), missing


def batch_column(adata: Any, key: str, *, several: bool = True) -> np.ndarray:
    """Return the batch of every sample, shape (n,), as text.

    several: there must be at least two, each with two samples, as in a fit.

    Raises
    ------
    ValueError
        No such column, samples without a batch, one batch only, almost as many batches as samples, a batch of one.
    """
    batches, missing = _values(adata, key, "key")
    if missing.any():
        first = str(adata.obs_names[np.argmax(missing)])
        raise ValueError(f"obs[{key!r}] has no value for {missing.sum()} samples, such as {first!r}. Drop them.")
    names, counts = np.unique(batches, return_counts=True)
    if not several:
        return batches
    if len(names) < 2:
        raise ValueError(
            f"obs[{key!r}] has one batch, {str(names[0])!r}: nothing to integrate. Is it the right column?"
        )
    if len(batches) / len(names) < _FEWEST:
        raise ValueError(
            f"obs[{key!r}] has {len(names)} values in {len(batches)} samples, such as {listed(names[:3])}: an"
            " identifier, not batches. Give the column that names the cohort or the run."
        )
    if counts.min() < 2:
        lonely = str(names[np.argmin(counts)])
        raise ValueError(
            f"batch {lonely!r} of obs[{key!r}] has one sample only: nothing tells its batch from itself. Drop it, or"
            " merge it with the batch that it was measured with."
        )
    return batches


def check_keys(basis: str, adjusted_basis: str | None, expression_layer: str | None, key_added: str) -> None:
    """Raise ValueError for a name to write to that a file could not hold, or that would replace the basis."""
    names = {"adjusted_basis": adjusted_basis, "expression_layer": expression_layer, "key_added": key_added}
    for argument, name in names.items():
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(f"{argument}={name!r}: give a name without a slash, which would be a folder of an h5ad.")
    if adjusted_basis is not None and adjusted_basis in (basis, "X_pca"):
        raise ValueError(f"adjusted_basis={adjusted_basis!r} would replace the basis itself: give another name.")


def check_reference(batches: np.ndarray, reference: Any, key: str) -> str:
    """Return the reference's name; ValueError, listing the batches, if there is none of that name."""
    if str(reference) not in set(batches.tolist()):
        raise ValueError(
            f"reference={reference!r} is no batch of obs[{key!r}], which has {listed(np.unique(batches))}."
        )
    return str(reference)


def label_column(adata: Any, label_key: str | None, unlabeled: str, *, several: bool = True) -> np.ndarray | None:
    """Return the class of every sample, shape (n,), as text, "" for none; None without a label_key.

    several: there must be some, and classes of more than one sample, as in a fit.
    """
    check_choice(unlabeled, "unlabeled", UNLABELLED)
    if label_key is None:
        return None
    if not several and unlabeled != "error" and label_key not in adata.obs.columns:
        return np.full(adata.n_obs, "")  # later samples, all of them without a label
    labels, missing = _values(adata, label_key, "label_key")
    missing |= np.char.strip(labels) == ""
    if missing.all() and several:
        raise ValueError(f"obs[{label_key!r}] is empty.")
    if missing.any() and unlabeled == "error":
        first = str(adata.obs_names[np.argmax(missing)])
        raise ValueError(
            f"obs[{label_key!r}] has no value for {missing.sum()} samples, such as {first!r}. Drop them, or say what"
            " becomes of them: unlabeled='nearest' takes the class of the nearest samples of their batch, 'pool' moves"
            " them by what all classes share."
        )
    names = np.unique(labels[~missing])
    if several and 2 * len(names) > (~missing).sum():
        raise ValueError(f"obs[{label_key!r}] has {len(names)} values in {len(labels)} samples: these are no classes.")
    return np.where(missing, "", labels)


def check_spellings(labels: np.ndarray | None, batches: np.ndarray, reference: str) -> None:
    """Raise ValueError for a class of another batch that differs from one of the reference's by spelling only."""
    if labels is None:
        return
    theirs = sorted(set(labels[batches == reference].tolist()) - {""})
    for batch in np.unique(batches).tolist():
        ours = sorted(set(labels[batches == batch].tolist()) - {""})
        check_spelling(ours, theirs, f"batch {batch!r}", f"the reference {reference!r}")
        if batch != reference and not set(ours) & set(theirs):
            raise ValueError(
                f"no class of batch {batch!r} ({listed(ours)}) is in the reference {reference!r} ({listed(theirs)})."
                " Rename them, or leave that batch out."
            )


def check_free(adata: Any, basis: str, adjusted_basis: str | None, layer: str | None, key_added: str) -> None:
    """Raise ValueError if a name that would be written is taken by something that an earlier call did not write."""
    earlier = adata.uns.get(key_added)
    ours = isinstance(earlier, Mapping) and {"params", "version"} <= set(earlier)
    written = dict(earlier["params"]) if ours and isinstance(earlier, Mapping) else {}
    adjusted = adjusted_basis or f"{'X_pca' if basis == 'X' else basis}_{key_added}"
    taken = [
        (f"uns[{key_added!r}]", earlier is not None and not ours),
        (f"obs[{key_added + '_shift'!r}]", f"{key_added}_shift" in adata.obs and not ours),
        (f"obsm[{adjusted!r}]", adjusted in adata.obsm and written.get("adjusted_basis") != adjusted),
        (
            f"layers[{layer!r}]",
            layer is not None and layer in adata.layers and written.get("expression_layer") != layer,
        ),
    ]
    for place, is_taken in taken:
        if is_taken:
            raise ValueError(f"{place} is there already, and not of an earlier call: give another name, or delete it.")
