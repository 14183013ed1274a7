"""What an integration did, in a table and in words: before and after, per batch and class, beside floors, held out.

    fitted     the samples as they were moved: how close, and whether closer than fresh samples would be
    held out   other samples, by refits on part of the data: what the correction is worth
    mixing     iLISI and kBET of all batches together; floor: batches permuted within classes
    permuted   the control: refits with labels that mean nothing

Only `obs` and `obsm` are read, so anything with both will do. The basis is that of the data as given: a PCA that was
fitted on all samples has seen the held-out ones too, before any correction.

Bad at: telling biology from batch where a class is of one batch only; such classes are named and not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from proxflow.integration.expression import expression_of, loadings_of
from proxflow.integration.fitted import GENES
from proxflow.integration.floors import FITTED, Floors, band
from proxflow.integration.scores import AT, COLUMNS, FEW, SHORT, score_arrays
from proxflow.integration.sentences import sentences
from proxflow.integration.trials import View, heldout_scores, permuted_control, shared_classes
from proxflow.mixing import FEWEST, chi_square_acceptance, inverse_simpson, kernel_weights, nearest, neighbourhood_size
from proxflow.proportions import listed
from proxflow.validation import check_cloud, seed_from

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["integration_report"]

_MOST = 2000  # neighbourhoods looked at
_NEIGHBOURS = 90
_FEWEST = 4  # samples that a batch needs to be compared at all


def integration_report(
    adata: Any,
    key: str,
    *,
    reference: str,
    label_key: str | None = None,
    basis: str = "X_pca",
    adjusted_basis: str | None = None,
    model: Any = None,
    fit_basis: str | None = None,
    n_permutations: int = 0,
    holdout: float | None = 0.5,
    key_added: str = "proxflow",
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Report on batches that were moved onto a reference: scores before and after, floors, verdicts in words.

    Parameters
    ----------
    adata
        AnnData, or anything with `obs` (a frame of n rows) and `obsm` (arrays of n rows).
    key, reference
        The column of batches, and the batch that the others were moved onto.
    label_key
        The column of classes. None: no classes. Samples without a class are left out, and a note says so.
    basis, adjusted_basis
        Where the samples were and where they are now, in obsm; the second is f"{basis}_{key_added}" if None.
    model
        What is refitted for held-out scores and for the control: anything scikit-learn can clone with
        `fit(Xs, ys, Xt, yt)` and `transform(Xs, ys)`, one fit per batch. None: `BatchTransport()`.
    fit_basis
        Where the model is refitted: "X" for the genes, whose `basis` must then be the PCA of X. None: as `integrate`
        did, if `uns[key_added]` says, else `basis`.
    n_permutations
        Fits of the control per batch; 0 for none.
    holdout
        Share of the samples that two refits per batch hold out; None for no refits.
    key_added
        As given to `integrate`.
    random_state
        Seed of everything that is drawn here, and of the model if it has none.

    Returns
    -------
    DataFrame
        batch, samples ("fitted", "held out", "mixing", "permuted"), class ("all" or one), measure, value, unadjusted,
        floor, floor_low, floor_high, verdict, n_moved, n_reference. `attrs["sentences"]` has the findings in words,
        `attrs["facts"]` what was done.

    Raises
    ------
    ValueError
        A key, batch or basis that is not there (what there is, is listed); a basis with NaN; one batch only; a control
        without labels.

    Examples
    --------
    >>> import pandas as pd
    >>> from types import SimpleNamespace
    >>> points = np.random.default_rng(0).normal(size=(120, 5))
    >>> batch = np.repeat(["A", "B"], 60)
    >>> before = points + 3.0 * (batch == "B")[:, None]
    >>> data = SimpleNamespace(
    ...     obs=pd.DataFrame({"cohort": batch}), obsm={"X_pca": before, "X_pca_proxflow": points}
    ... )
    >>> frame = integration_report(data, "cohort", reference="A", holdout=None, random_state=0)
    >>> print(frame.attrs["sentences"][0])
    B is at the floor: 7 measures do not tell it from A's own halves, which is no proof that nothing else would.
    """
    import pandas as pd

    adjusted = adjusted_basis or f"{basis}_{key_added}"
    batches = _column(adata, key, "key")
    labels = None if label_key is None else _column(adata, label_key, "label_key")
    before, after = (_basis(adata, name, len(batches)) for name in (basis, adjusted))
    if before.shape[1] != after.shape[1]:
        raise ValueError(f"obsm[{basis!r}] has {before.shape[1]} columns and obsm[{adjusted!r}] {after.shape[1]}.")
    others = _check_batches(batches, key, reference)
    if n_permutations and labels is None:
        raise ValueError("n_permutations without label_key: the control permutes labels. Give label_key, or 0.")
    notes: list[str] = []
    batches, labels, kept = _complete(batches, labels, key, label_key, notes)
    before, after = before[kept], after[kept]
    seed, home = seed_from(random_state), batches == reference
    if home.sum() < _FEWEST:
        raise ValueError(f"reference {reference!r} has {home.sum()} samples: at least {_FEWEST} are needed.")
    frames, yt = [], None if labels is None else labels[home]
    genes, view = _genes(adata, kept, basis, fit_basis, key_added) if holdout or n_permutations else (None, None)
    points = before if genes is None else genes
    floors = Floors(after[home], np.full(home.sum(), "") if yt is None else yt, 10, seed)
    still = np.array_equal(before[home], after[home])
    for batch in others:
        mine = batches == batch
        ys = None if labels is None else labels[mine]
        stranger = ys is not None and yt is not None and not np.isin(ys, yt).any()
        if mine.sum() < _FEWEST or stranger:
            why = (
                "none of its classes is in the reference; check the labels' spelling" if stranger else "too few samples"
            )
            notes.append(f"{batch} is not compared: {why}.")
            continue
        own = {"unadjusted": before[mine]} if still else {}
        frame = score_arrays(after[mine], after[home], ys, yt, floors=floors, random_state=seed, **own)
        if not still:  # the reference was moved too: before and after have each its own
            old = score_arrays(before[mine], before[home], ys, yt, random_state=seed)
            frame["unadjusted"] = old["value"]
        for note in frame.attrs["notes"]:
            told = f"{batch}: {note[0].lower()}{note[1:]}" if note.startswith("Not compared") else note
            notes += [told] if told not in notes else []
        frames.append(frame.assign(batch=str(batch), samples="fitted"))
        sides = points[mine], ys, points[home], yt
        frames += _refits(batch, sides, model, holdout, n_permutations, seed, notes, view)
    mixed = _mixing(before, after, batches, labels, seed)
    frames.append(pd.DataFrame(mixed, columns=list(COLUMNS)).assign(batch="all", samples="mixing"))
    for frame in frames:
        frame.attrs = {}
    found = pd.concat(frames, ignore_index=True)[["batch", "samples", *COLUMNS]]
    found["class"] = found["class"].astype(str)
    if not still:
        notes.append(f"{reference} itself was moved; scores before and after have each its own reference.")
    found.attrs["facts"] = {
        "batches": f"{key}: " + ", ".join(f"{b} {int((batches == b).sum())}" for b in np.unique(batches)),
        "reference": str(reference), "labels": label_key or "none", "before": basis, "after": adjusted,
        "dimensions": before.shape[1], "held out": holdout if holdout else "nothing",
        "permutations": n_permutations, "model refitted": _name(model) if holdout or n_permutations else "none",
        "random_state": seed,
    }  # fmt: skip
    found.attrs["notes"] = notes
    found.attrs["sentences"] = sentences(found, str(reference), notes)
    return found


def _refits(
    batch: Any, sides: tuple[Any, ...], model: Any, holdout: float | None, permutations: int, seed: int,
    notes: list[str], view: View | None,
) -> list[pd.DataFrame]:  # fmt: skip
    """Held-out scores and the control of one batch."""
    if not holdout and not permutations:
        return []
    _, ys, target, yt = sides
    enough = min(len(sides[0]), len(target)) >= _FEWEST if ys is None else bool(shared_classes(ys, yt))
    if not enough:
        notes.append(f"{batch}: no class has {_FEWEST} samples on both sides, so that none were held out.")
        return []
    if model is None:
        from proxflow.integration.transport import BatchTransport

        model = BatchTransport()
    found = []
    if holdout:
        frame = heldout_scores(model, *sides, holdout=holdout, view=view, random_state=seed)
        found.append(frame.assign(batch=str(batch), samples="held out"))
    if permutations and len(shared_classes(ys, yt)) < 2:
        notes.append(f"{batch} shares one class with the reference, so that no control by permuted labels is possible.")
    elif permutations:
        frame = permuted_control(model, *sides, permutations=permutations, view=view, random_state=seed)
        found.append(frame.assign(batch=str(batch), samples="permuted"))
    return found


# ---------------------------------------------------------------------- mixing


def _mixing(
    before: np.ndarray, after: np.ndarray, batches: np.ndarray, labels: np.ndarray | None, seed: int
) -> list[tuple[Any, ...]]:
    """Rows of iLISI and of kBET (mean over classes), with floors by batches that are permuted within classes."""
    classes = np.full(len(batches), "") if labels is None else labels
    codes = np.unique(batches, return_inverse=True)[1]
    few = int(np.bincount(codes).min()) < FEWEST
    rows = []
    for name, score in (("ilisi", _ilisi), ("kbet", _kbet)):
        old, _ = score(before, codes, classes, 0, seed)
        value, draws = score(after, codes, classes, 10, seed)
        level, low, high = band(draws)
        # In large data the band is narrow: a difference must matter, too.
        verdict = SHORT if value < min(low, 0.95 * level) else FITTED if value > max(high, 1.05 * level) else AT
        if few or not np.isfinite(value):
            verdict = FEW
        rows.append(("all", name, value, old, level, low, high, verdict, len(batches), len(batches)))
    return rows


def _shuffled(codes: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    new = codes.copy()
    for c in np.unique(classes):
        inside = np.flatnonzero(classes == c)
        new[inside] = codes[rng.permutation(inside)]
    return new


def _ilisi(points: np.ndarray, codes: np.ndarray, classes: np.ndarray, repeats: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    order, distances = nearest(points, min(_NEIGHBOURS, len(points)), rng.permutation(len(points))[:_MOST])
    weights, reach = kernel_weights(distances), int(codes.max())
    found = [
        float((np.median(inverse_simpson(order, weights, each)) - 1) / reach)
        for each in [codes, *(_shuffled(codes, classes, rng) for _ in range(repeats))]
    ]
    return found[0], np.array(found[1:])


def _kbet(points: np.ndarray, codes: np.ndarray, classes: np.ndarray, repeats: int, seed: int) -> Any:
    """As `mixing.kbet` with labels; permuting batches within a class leaves its neighbours where they are."""
    rng, found = np.random.default_rng(seed), []
    for c in np.unique(classes):
        inside = np.flatnonzero(classes == c)
        own = np.unique(codes[inside], return_inverse=True)[1]
        if len(inside) < 10 or own.max() == 0:
            continue
        rows = rng.permutation(len(inside))[:_MOST]
        order, _ = nearest(points[inside], min(neighbourhood_size(own), len(inside)), rows)
        each = [own, *(rng.permutation(own) for _ in range(repeats))]
        found.append([chi_square_acceptance(order, part) for part in each])
    if not found:
        return float("nan"), np.full(max(repeats, 2), np.nan)
    means = np.mean(found, axis=0)
    return float(means[0]), means[1:]


# ---------------------------------------------------------------------- what was given


def _column(adata: Any, name: str, argument: str) -> np.ndarray:
    """Return a column of obs as text, None where there is no value."""
    import pandas as pd

    columns = [str(column) for column in adata.obs.columns]
    if name not in columns:
        raise ValueError(f"{argument}={name!r} is no column of obs, which has {listed(columns) or 'none'}.")
    column = adata.obs[name]
    missing = pd.isna(column).to_numpy() | (column.astype(object).astype(str).str.strip() == "").to_numpy()
    return np.array([None if none else str(value) for value, none in zip(column, missing, strict=True)], object)


def _basis(adata: Any, name: str, count: int) -> np.ndarray:
    there = [str(key) for key in adata.obsm]
    if name not in there:
        hint = "Run `integrate` first, or give adjusted_basis." if name != "X_pca" else "Run `sc.pp.pca` first."
        raise ValueError(f"obsm has no {name!r}; it has {listed(there) or 'nothing'}. {hint}")
    points = check_cloud(adata.obsm[name], f"obsm[{name!r}]")
    if len(points) != count:
        raise ValueError(f"obsm[{name!r}] has {len(points)} rows and obs {count}.")
    return points


def _check_batches(batches: np.ndarray, key: str, reference: str) -> list[str]:
    names = sorted({batch for batch in batches if batch is not None})
    if str(reference) not in names:
        raise ValueError(f"reference={reference!r} is no batch of obs[{key!r}], which has {listed(names)}.")
    if len(names) < 2:
        raise ValueError(f"obs[{key!r}] has one batch, {names[0]!r}: nothing was integrated. Is it the right column?")
    if len(names) > max(2, len(batches) // 2):
        raise ValueError(f"obs[{key!r}] has {len(names)} values for {len(batches)} samples: no column of batches.")
    return [name for name in names if name != str(reference)]


def _complete(
    batches: np.ndarray, labels: np.ndarray | None, key: str, label_key: str | None, notes: list[str]
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Leave out samples without a batch or a class, and note how many; which rows were kept, too."""
    kept = np.ones(len(batches), bool)
    for name, column in ((key, batches), (label_key, labels)):
        if column is None:
            continue
        missing = np.array([value is None for value in column])
        if missing.any():
            notes.append(f"{int(missing.sum())} samples without {name} are left out.")
        kept &= ~missing
    texts: Sequence[np.ndarray | None] = [None if c is None else c[kept].astype(str) for c in (batches, labels)]
    assert texts[0] is not None
    return texts[0], texts[1], kept


def _genes(
    adata: Any, kept: np.ndarray, basis: str, fit_basis: str | None, key_added: str
) -> tuple[np.ndarray | None, View | None]:
    """The genes that the model is refitted to and their way to the basis, or None where the basis itself serves."""
    done = getattr(adata, "uns", {}).get(key_added, {}).get("params", {})
    if (fit_basis or done.get("basis", basis)) != GENES:
        return None, None
    loadings = loadings_of(adata, basis, _basis(adata, basis, len(kept)))
    if loadings is None:
        raise ValueError(f"fit_basis='X' needs obsm[{basis!r}] to be the PCA of X, with its loadings in varm['PCs'].")
    x = expression_of(adata)
    dense = np.asarray(x.toarray() if hasattr(x, "toarray") else x)[kept]
    return dense, lambda points: np.asarray(points @ loadings.matrix - loadings.offset)


def _name(model: Any) -> str:
    return "BatchTransport()" if model is None else " ".join(repr(model).split())
