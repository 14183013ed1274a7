"""`proxflow integrate DATA`: cohorts carried onto a reference, from an h5ad, from tables, or from series matrices.

One file goes out, in the format that its name says, and beside it, if asked for, the report and the fitted model.
"""

from __future__ import annotations

import shlex
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from proxflow.cli.inputs import AsJson, Columns, Seed

__all__ = ["integrate"]

_PERMUTATIONS = 3


def integrate(
    data: Annotated[
        list[Path], typer.Argument(help="One H5AD; or a file per cohort: CSV, TSV, Parquet, H5AD, GEO series matrix.")
    ],
    reference: Annotated[
        str | None, typer.Option(help="The batch that the others are carried onto; the first file if not given.")
    ] = None,
    batch: Annotated[str, typer.Option(help="Column of batches. Of several files it is made, from their names.")] = (
        "batch"
    ),
    label: Annotated[str | None, typer.Option(help="Column of classes: they are carried class by class.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write: .h5ad, or .csv, .tsv, .parquet for tables.")] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Also write scores, held out, and pictures: OUT with .html.")
    ] = False,
    basis: Annotated[
        str | None, typer.Option(help="X_pca or another key of obsm; X: the genes (closer for bulk, as for tables).")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Also write moved genes, to this layer of the H5AD.")] = None,
    unlabeled: Annotated[str, typer.Option(help="Samples without a class: error, nearest or pool.")] = "error",
    missing_class: Annotated[
        str, typer.Option(help="Classes that the reference lacks: leave, shift or error.")
    ] = "leave",
    start: Annotated[str, typer.Option(help="auto, none, shift or scale: see docs/integrate.md.")] = "auto",
    max_path: Annotated[float, typer.Option(help="Longest flow, in spreads of a class; 0: the start alone.")] = 1.0,
    components: Annotated[
        int | None, typer.Option(help="Of the space of the flow. By class size if not given.")
    ] = None,
    columns: Columns = None,
    label_map: Annotated[
        str | None, typer.Option(help="One spelling for each label: positive=pos,P=pos. Others stay.")
    ] = None,
    drop_missing: Annotated[bool, typer.Option("--drop-missing", help="Leave out genes with missing values.")] = False,
    platform: Annotated[
        Path | None, typer.Option(help="Platform table (GPL...) that maps probes to genes: they are collapsed.")
    ] = None,
    permutations: Annotated[
        int, typer.Option(help="Fits of the report's control with permuted labels; 0 for none.")
    ] = _PERMUTATIONS,
    save_model: Annotated[
        Path | None, typer.Option(help="Write the fitted model, for samples that come later.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Apply this fitted model instead of fitting one.")] = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Carry cohorts onto a reference cohort, class by class, and say how good the result is."""
    from proxflow.integration.cohort_files import read_cohorts, write_merged
    from proxflow.integration.fitted import Integration
    from proxflow.integration.transport import BatchTransport
    from proxflow.store import to_json
    from proxflow.validation import check_positive, seed_from

    seed_from(seed)
    if permutations != 0:
        check_positive(permutations, "--permutations", integer=True)
    if model is not None and (report or save_model is not None):
        raise ValueError("--model applies a fit that was judged when it was made: leave --report and --save-model out.")
    cohorts = read_cohorts(data, batch, label, platform, columns, label_map, drop_missing)
    for note in cohorts.notes:
        print(f"proxflow: {note}", file=sys.stderr)
    goal = out or Path("proxflow-integrate" + (".h5ad" if cohorts.annotated else ".csv"))
    page = goal.with_suffix(".html") if report else None
    _check_outputs({"--out": goal, "--report": page, "--save-model": save_model}, data, overwrite)
    cohorts.check_output(goal, layer)
    adata = cohorts.adata
    settings = BatchTransport(
        start=start, max_path=max_path, n_components=components, missing_class=missing_class, progress=True
    )
    given, basis = basis, basis or ("X_pca" if cohorts.annotated else "X")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        if model is None:
            if reference is None and len(data) == 1:
                raise ValueError(f"--reference is missing: which batch of {batch!r} the others are carried onto.")
            fitted = Integration.fit(
                adata, batch, reference=cohorts.reference(reference), label_key=label, basis=basis,
                unlabeled=unlabeled, transport=settings, rng=seed, logged=cohorts.annotated,
            )  # fmt: skip
        else:
            fitted = Integration.load(model)
            _check_same(fitted, {"--batch": (batch if batch != "batch" else None, fitted.key),
                                 "--label": (label, fitted.label_key), "--basis": (given, fitted.basis),
                                 "--reference": (reference, fitted.reference)}, model)  # fmt: skip
        fitted.project(adata, expression_layer=layer if cohorts.annotated else "proxflow")
    remarks = list(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, UserWarning)))
    for remark in remarks:
        print(f"proxflow: {remark}", file=sys.stderr)
    if save_model is not None:
        fitted.save(save_model)
    write_merged(goal, cohorts)
    lines = [f"{name}: {note}" for name, each in fitted.transports.items() for note in each.notes_]
    found: dict[str, Any] = {
        "out": str(goal), "reference": fitted.reference, "warnings": remarks,
        "batches": {
            name: {"start": each.start_, "paths": {str(c): p for c, p in each.paths_.items()},
                   "heldout_energy": each.heldout_, "notes": each.notes_}
            for name, each in fitted.transports.items()
        },
    }  # fmt: skip
    if page is not None:
        drawn = layer if cohorts.annotated else "proxflow"
        try:
            found["report"], found["findings"] = (
                str(page),
                _write_report(page, adata, fitted, drawn, permutations, seed),
            )
        except ValueError as problem:
            raise ValueError(f"{goal} is written, its report is not: {problem}") from problem
        lines = [*found["findings"], *lines]
    if as_json:
        typer.echo(to_json(found))
        return
    typer.echo(f"{adata.n_obs} samples of {adata.n_vars} features onto {fitted.reference}: {goal}")
    for line in lines:
        typer.echo(f"  {line}")
    if page is not None:
        typer.echo(f"  Report: {page}")


def _check_outputs(outputs: dict[str, Path | None], inputs: list[Path], overwrite: bool) -> None:
    """Say before minutes of work, not after, that a result has nowhere to go."""
    given = {name: path for name, path in outputs.items() if path is not None}
    if len({path.absolute() for path in given.values()}) < len(given):
        raise ValueError(f"{' and '.join(given)} name the same file.")
    for name, path in given.items():
        if path.is_dir():
            raise ValueError(f"{name} {path} is a folder; give the name of a file.")
        if not path.absolute().parent.is_dir():
            raise ValueError(f"{name} {path}: the folder {path.absolute().parent} does not exist.")
        if any(path.exists() and other.exists() and path.samefile(other) for other in inputs):
            raise ValueError(f"{name} {path} is one of the inputs; it would be overwritten.")
        if path.exists() and not overwrite:
            raise ValueError(f"{name} {path} is there already: --overwrite replaces it.")


def _check_same(fitted: Any, given: dict[str, tuple[str | None, str | None]], model: Path) -> None:
    """Refuse options that the fitted model contradicts."""
    for option, (wanted, known) in given.items():
        if wanted is not None and wanted != known:
            raise ValueError(f"{option} {wanted}: {model} was fitted with {known!r}. Leave it out.")


def _write_report(page: Path, adata: Any, fitted: Any, layer: str | None, permutations: int, seed: int) -> list[str]:
    """Score, draw and write the page; the findings in words."""
    import numpy as np

    from proxflow.integration.page import integration_figures, integration_page
    from proxflow.integration.report import integration_report

    basis = "X_pca" if fitted.basis == "X" else fitted.basis
    adjusted = f"{basis}_proxflow"
    frame = integration_report(
        adata, fitted.key, reference=fitted.reference, label_key=fitted.label_key, basis=basis,
        adjusted_basis=adjusted, model=fitted.unfitted(), n_permutations=permutations if fitted.label_key else 0,
        random_state=seed,
    )  # fmt: skip
    batches = adata.obs[fitted.key].astype(str).to_numpy()
    labels = None if fitted.label_key is None else adata.obs[fitted.label_key].astype(str).to_numpy()
    genes: dict[str, Any] = {}
    moved = batches != fitted.reference
    if layer is not None:
        change = np.asarray(adata.layers[layer][moved] - adata.X[moved]).mean(axis=0)
        genes = {"displacement": change, "genes": [str(name) for name in adata.var_names]}
    elif fitted.loadings is not None and list(fitted.loadings.genes) == [str(name) for name in adata.var_names]:
        way = np.asarray(adata.obsm[adjusted][moved] - adata.obsm[basis][moved], float).mean(axis=0)
        genes = {"displacement": way @ fitted.loadings.matrix.T, "genes": list(fitted.loadings.genes)}
    if genes:
        genes["expression"] = np.asarray(adata.X[moved].mean(axis=0)).ravel()
    figures = integration_figures(
        frame, np.asarray(adata.obsm[basis]), np.asarray(adata.obsm[adjusted]), batches, labels,
        reference=fitted.reference, random_state=seed, **genes,
    )  # fmt: skip
    integration_page(page, frame, figures, {"settings": repr(fitted.unfitted())},
                     command=shlex.join(["proxflow", *sys.argv[1:]]))  # fmt: skip
    return [str(sentence) for sentence in frame.attrs["sentences"]]
