"""Cohorts one below the other: genes matched by name, what is known of samples united, nothing lost silently.

    genes:  those of all cohorts (inner) or of any (outer), in the order of the first      obs: all columns of all

Cohorts on different scales, with hardly a gene in common, or with labels that the map does not know, are errors: a
table of them could be made, and everything computed from it would be wrong.

Bad at: telling whether two names mean one gene. Old symbols and aliases do not match, and are left out.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from proxflow.data.columns import listed
from proxflow.data.geo_files import import_anndata
from proxflow.data.scales import scale_of
from proxflow.data.spellings import apply_map, different_spellings
from proxflow.validation import check_choice

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["concat_cohorts"]

_FEW, _SHARE = 50, 0.1
_SAMPLES = 64  # of each cohort, to tell its scale


def concat_cohorts(
    adatas: Mapping[str, AnnData] | Sequence[AnnData],
    *,
    key: str = "batch",
    join: str = "inner",
    label_map: Mapping[str, Mapping[Any, Any]] | None = None,
) -> AnnData:
    """Put the samples of several cohorts below one another.

    Parameters
    ----------
    adatas
        Two or more cohorts, samples x genes (or probes of one platform): a dict by name, or a list. Cohorts in a list
        are called by their GEO accession where `read_series_matrix` found one, otherwise "0", "1", ...
    key
        The new obs column that says which cohort a sample is of.
    join
        "inner" keeps the genes that all have; "outer" all, with NaN where a cohort has not measured one.
    label_map
        By obs column, one spelling for each: {"ER": {"positive": "pos", "P": "pos", "unknown": None}}. Values that are
        neither mapped nor mapped to raise; None makes them missing.

    Returns
    -------
    AnnData
        Genes in the order of the first cohort, samples in the order given. obs[key] is a category; obs has the columns
        of all cohorts. When two cohorts share a sample name, all names get "-" and their cohort's behind them. Columns
        of var that differ get the cohort's name behind them. Layers that all have are kept; obsm, varm and raw are not,
        since they were computed of one cohort. uns["cohorts"] has each cohort's uns["geo"] and number of samples.

    Raises
    ------
    ValueError
        Fewer than two cohorts; the column key is there already; genes or samples are duplicate within a cohort; less
        than 10 % of the smallest cohort's genes are shared, or fewer than 50 and less than half of them; one cohort is
        logged and another is not; spellings the label_map does not know; a sparse cohort with join="outer".

    Warns
    -----
    UserWarning
        Columns or labels that differ between cohorts by case or white space alone; log-ratios beside log-intensities.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> def cohort(values, genes, er):
    ...     obs = pd.DataFrame({"ER": er}, index=["s1", "s2"])
    ...     return anndata.AnnData(np.array(values), obs=obs, var=pd.DataFrame(index=genes))
    >>> a = cohort([[7.0, 2.0], [5.0, 3.0]], ["ESR1", "GATA3"], ["pos", "neg"])
    >>> b = cohort([[4.0, 9.0], [1.0, 8.0]], ["GATA3", "ESR1"], ["P", "N"])
    >>> both = concat_cohorts({"A": a, "B": b}, label_map={"ER": {"P": "pos", "N": "neg"}})
    >>> both.X
    array([[7., 2.],
           [5., 3.],
           [9., 4.],
           [8., 1.]])
    >>> both.obs
          ER batch
    s1-A  pos     A
    s2-A  neg     A
    s1-B  pos     B
    s2-B  neg     B
    """
    anndata = import_anndata()
    import pandas as pd

    check_choice(join, "join", ("inner", "outer"))
    cohorts = _named(adatas)
    for name, cohort in cohorts.items():
        _check_cohort(name, cohort, key)
    genes = _genes(cohorts, join)
    _check_scales(cohorts)
    frames = {name: cohort.obs.copy() for name, cohort in cohorts.items()}
    apply_map(frames, label_map or {})
    for sentence in different_spellings(frames):
        warnings.warn(f"cohorts spell the same thing differently: {sentence}.", stacklevel=2)
    for name, frame in frames.items():
        for column in frame.select_dtypes("category"):
            frame[column] = frame[column].astype(object)  # united below: categories differ
        frame[key] = name
    obs = pd.concat(frames.values(), join="outer")
    obs[key] = pd.Categorical(obs[key], categories=list(cohorts))
    obs = obs[[*(column for column in obs.columns if column != key), key]]
    if not obs.index.is_unique:
        obs.index = pd.Index(
            [f"{sample}-{name}" for sample, name in zip(obs.index, obs[key], strict=True)], dtype=object
        )
    layers = [name for name in cohorts[next(iter(cohorts))].layers if all(name in c.layers for c in cohorts.values())]
    places = [cohort.var_names.get_indexer(genes) for cohort in cohorts.values()]
    joined = anndata.AnnData(
        X=_stack([cohort.X for cohort in cohorts.values()], places),
        obs=obs,
        var=_united_var(cohorts, genes),
        layers={name: _stack([cohort.layers[name] for cohort in cohorts.values()], places) for name in layers},
    )
    joined.uns["cohorts"] = {
        name: {"samples": cohort.n_obs, "genes": cohort.n_vars, "geo": copy.deepcopy(cohort.uns.get("geo", {}))}
        for name, cohort in cohorts.items()
    }
    return joined


def _named(adatas: Mapping[str, AnnData] | Sequence[AnnData]) -> dict[str, Any]:
    if isinstance(adatas, Mapping):
        cohorts: dict[str, Any] = {str(name): cohort for name, cohort in adatas.items()}
    else:
        each: list[Any] = list(adatas)
        names = [str(cohort.uns.get("geo", {}).get("accession", "")) for cohort in each if hasattr(cohort, "uns")]
        named = len(set(names)) == len(each) and all(names)
        cohorts = {names[i] if named else str(i): cohort for i, cohort in enumerate(each)}
    if len(cohorts) < 2:
        raise ValueError(f"expected two or more cohorts, got {len(cohorts)}.")
    for name, cohort in cohorts.items():
        if not all(hasattr(cohort, part) for part in ("obs", "var_names", "uns", "X")):
            raise TypeError(f"cohort {name!r} is no AnnData but {type(cohort).__name__}.")
    return {name: c.to_memory() if getattr(c, "isbacked", False) else c for name, c in cohorts.items()}


def _check_cohort(name: str, cohort: Any, key: str) -> None:
    if cohort.X is None or 0 in cohort.shape:
        raise ValueError(f"cohort {name!r} is empty: {cohort.n_obs} samples of {cohort.n_vars} genes.")
    for names, what in ((cohort.var_names, "gene"), (cohort.obs_names, "sample")):
        if not names.is_unique:
            way = "collapse_probes, or var_names_make_unique()" if what == "gene" else "obs_names_make_unique()"
            raise ValueError(
                f"cohort {name!r}: duplicate {what} {listed(names[names.duplicated()].unique(), 3)}. Use {way} first."
            )
    if key in cohort.obs:
        raise ValueError(f"cohort {name!r} has an obs column {key!r} already: choose another key, or drop that column.")


def _genes(cohorts: Mapping[str, Any], join: str) -> Any:
    """Return the names of the genes to keep, in the order of the first cohort."""
    import pandas as pd

    names = [cohort.var_names for cohort in cohorts.values()]
    shared = names[0]
    for each in names[1:]:
        shared = shared[shared.isin(each)]
    smallest = min(map(len, names))
    if len(shared) < _SHARE * smallest or (len(shared) < _FEW and len(shared) < smallest / 2):
        folded = set.intersection(*({str(gene).upper() for gene in each} for each in names))
        way = (
            f"{len(folded)} are shared without regard to upper and lower case: make the spelling the same."
            if len(folded) > max(2 * len(shared), _SHARE * smallest)
            else "Probes beside symbols? Collapse both to genes first, with collapse_probes."
        )
        some = "; ".join(f"{name!r} has {listed(map(str, c.var_names), 3)}" for name, c in cohorts.items())
        raise ValueError(f"only {len(shared)} of {smallest} genes are shared by name: {some}. {way}")
    if join == "inner":
        return shared
    if any(hasattr(cohort.X, "tocsr") for cohort in cohorts.values()):
        raise ValueError(
            "join='outer' on sparse data would store genes that were not measured as zeros. "
            "Use join='inner', or make X dense first: adata.X = adata.X.toarray()."
        )
    return pd.Index(list(dict.fromkeys(gene for each in names for gene in each)), dtype=object)


def _check_scales(cohorts: Mapping[str, Any]) -> None:
    scales = {}
    for name, cohort in cohorts.items():
        some = cohort.X[np.unique(np.linspace(0, cohort.n_obs - 1, min(_SAMPLES, cohort.n_obs)).astype(int))]
        scales[name] = scale_of(np.asarray(some.toarray() if hasattr(some, "toarray") else some, dtype=np.float64))
    kinds = {name: scale.kind for name, scale in scales.items()}
    if len(set(kinds.values())) > 1:
        said = "; ".join(f"{name!r} looks {kinds[name]} ({scale.sentence()})" for name, scale in scales.items())
        said = said.replace("looks counts", "looks like counts")
        raise ValueError(
            f"the cohorts are on different scales: {said}. Take log2 of those that are not logged: log2=True in "
            "read_series_matrix for intensities, log2(counts per million + 1) for counts."
        )
    ratios = [name for name, scale in scales.items() if scale.centred]
    if ratios and any(scale.lower_quartile > 1 for scale in scales.values()):
        warnings.warn(
            f"values of cohort {listed(ratios)} lie on both sides of zero, as log-ratios do, beside log-intensities: "
            "what differs between genes within a sample means nothing across these cohorts.",
            stacklevel=3,
        )


def _stack(matrices: Iterable[Any], places: Sequence[Any]) -> Any:
    """Return the matrices' columns at the places, one matrix below the other; NaN at -1. Sparse if all are."""
    matrices = list(matrices)
    if all(hasattr(matrix, "tocsr") for matrix in matrices):
        from scipy import sparse

        return sparse.vstack([m.tocsc()[:, p].tocsr() for m, p in zip(matrices, places, strict=True)], format="csr")
    dense = [matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix) for matrix in matrices]
    gaps = any((place < 0).any() for place in places)
    dtype = np.result_type(*dense, *([np.float32] if gaps else []))
    result = np.empty((sum(map(len, dense)), len(places[0])), dtype)
    row = 0
    for matrix, place in zip(dense, places, strict=True):
        result[row : row + len(matrix)] = matrix[:, place]
        if (place < 0).any():
            result[row : row + len(matrix), place < 0] = np.nan
        row += len(matrix)
    return result


def _united_var(cohorts: Mapping[str, Any], genes: Any) -> Any:
    """Return the columns of var: one where all cohorts say the same, otherwise one per cohort."""
    import pandas as pd

    frames = {name: cohort.var.reindex(genes) for name, cohort in cohorts.items()}
    columns: dict[str, Any] = {}
    for column in dict.fromkeys(column for frame in frames.values() for column in frame.columns):
        each = {name: frame[column] for name, frame in frames.items() if column in frame}
        first = next(iter(each.values()))
        if len(each) == len(frames) and all(first.equals(other) for other in each.values()):
            columns[str(column)] = first
        else:
            columns |= {f"{column}_{name}": values for name, values in each.items()}
    return pd.DataFrame(columns, index=pd.Index(genes, dtype=object))
