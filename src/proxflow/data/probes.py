"""Probes to genes: several probes of an array measure one gene, and one column per gene is wanted.

    max_mean, max_var   the probe with the highest mean (variance) over all samples: one measured column, unchanged
    mean, median        of the probes, sample by sample

The rule looks at all samples given. So collapse cohorts of one platform *after* `concat_cohorts`, on the union: then
the same probe stands for a gene in both. Cohorts of different platforms have no probe in common: collapse each first.
Source: Miller et al., BMC Bioinformatics 12:322 (2011), the R function collapseRows, whose default is max_mean.

Bad at: genes whose probes measure different transcripts; the one that is kept says nothing of the others.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.data.columns import listed
from proxflow.data.geo_files import import_anndata
from proxflow.data.platforms import NO_GENE
from proxflow.validation import check_choice

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["collapse_probes"]

_HOW = ("max_mean", "mean", "median", "max_var")
_MULTI = ("drop", "first", "split")
_COLUMNS = 2048  # made dense, and float64, at a time

Places = npt.NDArray[np.intp]


def collapse_probes(adata: AnnData, mapping: Any, *, how: str = "max_mean", multi: str = "drop") -> AnnData:
    """Make one column per gene out of several probes; probes without a gene are left out, and counted.

    Parameters
    ----------
    adata
        Samples x probes, dense or sparse, var_names the probes' ids. Layers, obs, obsm and uns go along; what belongs
        to single probes (varm, varp, raw) does not.
    mapping
        Gene by probe: the Series of `read_platform`, or a dict.
    how
        "max_mean" (the probe with the highest mean over all samples), "max_var", "mean" or "median". NaN are passed
        over; of equals the first is taken.
    multi
        A probe of several genes, "DDR1 /// MIR4640": "drop" it, count it for the "first", or "split" it, for each.

    Returns
    -------
    AnnData
        Samples x genes, in the order in which genes first appear; dense or sparse as before. var: "probe" (the one
        taken, or all that went in, joined by " /// ") and "n_probes". uns["collapse"]: the rule and all counts.

    Raises
    ------
    ValueError
        Unknown how or multi; duplicate probes; a mapping with a gene for none of them.

    Warns
    -----
    UserWarning
        Less than a tenth of the probes have a gene.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> data = anndata.AnnData(np.array([[1.0, 5.0, 2.0], [2.0, 7.0, 3.0]]), var=pd.DataFrame(index=["a", "b", "c"]))
    >>> genes = collapse_probes(data, {"a": "ESR1", "b": "ESR1", "c": "GATA3"})
    >>> genes.X
    array([[5., 2.],
           [7., 3.]])
    >>> genes.var["probe"].to_dict()
    {'ESR1': 'b', 'GATA3': 'c'}
    """
    anndata = import_anndata()
    import pandas as pd

    check_choice(how, "how", _HOW)
    check_choice(multi, "multi", _MULTI)
    if adata.X is None:
        raise ValueError("the AnnData has no X to collapse.")
    probes = [str(name) for name in adata.var_names]
    if len(set(probes)) < len(probes):
        raise ValueError(f"duplicate probes: {listed(adata.var_names[adata.var_names.duplicated()], 3)}. Rename them.")
    genes, counts = _genes(probes, _known(mapping), multi)
    places = list(genes.values())
    matrix = _in_memory(adata.X)
    used = places
    if how in ("max_mean", "max_var"):
        scores = _scores(matrix, how)
        used = [each[[np.argmax(scores[each])]] for each in places]
    collapsed = anndata.AnnData(
        X=_merged(matrix, used, how),
        obs=adata.obs.copy(),
        var=pd.DataFrame(
            {
                "probe": [" /// ".join(probes[place] for place in each) for each in used],
                "n_probes": [len(each) for each in places],
            },
            index=pd.Index(list(genes), dtype=object),
        ),
        layers={name: _merged(_in_memory(values), used, how) for name, values in adata.layers.items()},
        obsm={name: values.copy() for name, values in adata.obsm.items()},
        uns=copy.deepcopy(dict(adata.uns)),
    )
    collapsed.uns["collapse"] = {"how": how, "multi": multi, "probes": len(probes), **counts, "genes": len(genes)}
    return collapsed


def _known(mapping: Any) -> dict[str, str]:
    """Return the mapping as texts, "" where there is no gene."""
    import pandas as pd

    if not isinstance(mapping, (Mapping, pd.Series)):
        raise TypeError(f"mapping must be a pandas Series or a dict, got {type(mapping).__name__}.")
    if isinstance(mapping, pd.Series) and not mapping.index.is_unique:
        repeated = mapping.index[mapping.index.duplicated()]
        raise ValueError(f"the mapping has more than one row for {listed(map(str, repeated), 3)}. Keep one.")
    return {str(probe): "" if pd.isna(gene) else str(gene) for probe, gene in mapping.items()}


def _genes(probes: list[str], known: Mapping[str, str], multi: str) -> tuple[dict[str, Places], dict[str, int]]:
    """Return the places of each gene's probes, and how many probes have a gene, none, or several."""
    found: dict[str, list[int]] = {}
    mapped = unmapped = several = 0
    for place, probe in enumerate(probes):
        parts = re.split(r"\s*///\s*", known.get(probe, "").strip())
        names = list(dict.fromkeys(part for part in parts if part.lower() not in NO_GENE))
        unmapped += not names
        if len(names) > 1:
            several += 1
            names = {"drop": [], "first": names[:1], "split": names}[multi]
        mapped += bool(names)
        for name in names:
            found.setdefault(name, []).append(place)
    if not found:
        why = "have more than one gene each" if several else "have no gene in the mapping"
        raise ValueError(
            f"all {len(probes)} probes, such as {listed(probes, 3)}, {why}, which knows {listed(known, 3) or 'none'}. "
            "Is it of another platform, or were the probes collapsed before?"
        )
    if unmapped > 0.9 * len(probes):
        warnings.warn(
            f"only {len(probes) - unmapped} of {len(probes)} probes have a gene. Is the mapping of this platform?",
            stacklevel=3,
        )
    counts = {"used": mapped, "without_gene": unmapped, "several_genes": several}
    return {gene: np.array(places, dtype=np.intp) for gene, places in found.items()}, counts


def _in_memory(values: Any) -> Any:
    """Return the matrix; one backed by a file is read, a sparse one gets columns that are quick to take."""
    from scipy import sparse

    if not isinstance(values, np.ndarray) and not sparse.issparse(values):
        values = values[:] if not hasattr(values, "to_memory") else values.to_memory()
    return values.tocsc() if sparse.issparse(values) else values


def _dense(values: Any) -> npt.NDArray[np.float64]:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)


def _scores(values: Any, how: str) -> npt.NDArray[np.float64]:
    """Return each probe's mean or variance over the samples that have it, -inf where none has."""
    scores = np.full(values.shape[1], -np.inf)
    for start in range(0, len(scores), _COLUMNS):
        part = _dense(values[:, start : start + _COLUMNS])
        there = ~np.isnan(part)
        count = np.maximum(there.sum(axis=0), 1)
        score = np.where(there, part, 0).sum(axis=0) / count
        if how == "max_var":
            score = (np.where(there, part - score, 0) ** 2).sum(axis=0) / count
        scores[start : start + _COLUMNS] = np.where(there.any(axis=0), score, -np.inf)
    return scores


def _merged(values: Any, places: Sequence[Places], how: str) -> Any:
    """Return one column per gene, made of the columns at its places; sparse as csr."""
    sizes = np.array([len(each) for each in places])
    if (sizes == 1).all():
        chosen = values[:, np.concatenate(places)]
        return chosen.tocsr() if hasattr(chosen, "tocsr") else chosen
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float32)
    parts, order = [], []
    for size in np.unique(sizes):
        genes = np.flatnonzero(sizes == size)
        for start in range(0, len(genes), max(_COLUMNS // size, 1)):
            now = genes[start : start + max(_COLUMNS // size, 1)]
            part = _dense(values[:, np.concatenate([places[gene] for gene in now])])
            merged = _average(part.reshape(len(part), len(now), size), how).astype(dtype)
            parts.append(type(values)(merged) if hasattr(values, "tocsr") else merged)
            order.append(now)
    back = np.argsort(np.concatenate(order))
    if hasattr(values, "tocsr"):
        from scipy import sparse

        return sparse.hstack(parts, format="csc")[:, back].tocsr()
    return np.concatenate(parts, axis=1)[:, back]


def _average(values: npt.NDArray[np.float64], how: str) -> npt.NDArray[np.float64]:
    """Return the mean or median along the last axis, of those that are there; NaN where none is."""
    count = (~np.isnan(values)).sum(axis=-1)
    if how == "mean":
        total = np.where(np.isnan(values), 0, values).sum(axis=-1)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)
    ordered = np.sort(values, axis=-1)  # NaN come last

    def at(place: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        return np.take_along_axis(ordered, place[..., None], axis=-1)[..., 0]

    return (at(np.maximum(count - 1, 0) // 2) + at(np.minimum(count // 2, values.shape[-1] - 1))) / 2
