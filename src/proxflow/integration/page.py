"""The page of an integration: findings in words, the scores, pictures, and what was done, in one HTML file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from proxflow.report import ReportTable

__all__ = ["integration_figures", "integration_page"]

_TITLES = {
    "held out": "{batch}: samples that were held out",
    "fitted": "{batch}: the samples as they were moved",
    "permuted": "{batch}: the control, permuted labels",
    "mixing": "How batches mix",
}
_NOTES = {
    "held out": "Means over refits on part of the data, scored against other samples of the reference. This is what"
    " the correction is worth.",
    "fitted": "In sample: better than the floor is no merit. W2's in units of the reference's spread within a class.",
    "permuted": "Labels of both batches were permuted before the fit; a classifier that finds them again found what the"
    " map made. Floor: chance; floor, high: where the control fails.",
    "mixing": "Floor: batches permuted within classes. High is mixed; neither sees memorisation.",
}


def integration_page(
    path: str | os.PathLike[str],
    frame: pd.DataFrame,
    figures: Sequence[tuple[Figure, str, str]] = (),
    facts: Mapping[str, object] | None = None,
    *,
    title: str | None = None,
    command: str | None = None,
) -> Path:
    """Write the page of an integration as one self-contained HTML file, and return its path.

    Parameters
    ----------
    path
        Where to write; report.html inside it if it is a folder. The file appears whole or not at all.
    frame
        What `integration_report` returned.
    figures
        (figure, caption, what it shows for those who cannot see it), as `integration_figures` returns them.
    facts
        What else was done, added to the report's own facts.
    title
        None: the reference and the batches.
    command
        The command line that makes the data again.

    Raises
    ------
    ValueError
        A frame without sentences, or a file that cannot be written.
    """
    from proxflow.plots.style import save_figure
    from proxflow.report import ReportFigure, write_report

    said = frame.attrs.get("sentences")
    if not said:
        raise ValueError("the frame has no sentences: give what integration_report returned, unchanged.")
    goal = Path(path) / "report.html" if Path(path).is_dir() else Path(path)
    known = dict(frame.attrs.get("facts", {})) | dict(facts or {})
    batches = [batch for batch in frame["batch"].unique() if batch != "all"]
    title = title or f"{', '.join(map(str, batches[:6]))} moved onto {known.get('reference', 'the reference')}"
    with tempfile.TemporaryDirectory(prefix="proxflow-") as folder:
        drawn = [
            ReportFigure(save_figure(figure, Path(folder) / f"{index}.png"), caption, alt)
            for index, (figure, caption, alt) in enumerate(figures)
        ]
        return write_report(
            goal, title=title, summary=said, tables=_tables(frame), figures=drawn, settings=known, command=command
        )  # fmt: skip


def _tables(frame: pd.DataFrame) -> list[ReportTable]:
    """Held out first, then in sample, the control, and mixing."""
    from proxflow.integration.sentences import WORDS
    from proxflow.report import ReportTable

    header = ("measure", "class", "before", "after", "floor", "floor, low", "floor, high", "verdict")
    columns = ["unadjusted", "value", "floor", "floor_low", "floor_high"]
    tables = []
    for samples in _TITLES:
        part = frame[frame["samples"] == samples]
        for batch in part["batch"].unique():
            rows = [
                (WORDS.get(row["measure"], row["measure"]), row["class"], *(_shown(row[name]) for name in columns),
                 row["verdict"])
                for row in part[part["batch"] == batch].to_dict("records")
            ]  # fmt: skip
            tables.append(ReportTable(_TITLES[samples].format(batch=batch), header, rows, note=_NOTES[samples]))
    return tables


def _shown(value: Any) -> str:
    """Three decimals: below that everything is noise here."""
    return "" if not np.isfinite(value) else f"{value:.3f}"


def integration_figures(
    frame: pd.DataFrame,
    before: Any,
    after: Any,
    batches: Any,
    labels: Any = None,
    *,
    reference: Any,
    umap: bool | None = None,
    displacement: Any = None,
    expression: Any = None,
    genes: Sequence[str] | None = None,
    random_state: int = 0,
) -> list[tuple[Figure, str, str]]:
    """Draw the figures of a page: planes before and after, scores beside floors, and the genes that moved.

    Parameters
    ----------
    frame
        What `integration_report` returned.
    before, after
        All samples, shape (n, d), with batches and labels (or None), shape (n,).
    reference
        The batch that stays grey.
    umap
        None: a UMAP too if umap-learn is installed.
    displacement, expression, genes
        Mean displacement and mean expression of p genes, shapes (p,), and their names. None: no such figure.
    random_state
        Seed of UMAP.

    Raises
    ------
    ValueError
        As `before_and_after`, `measure_bars` and `gene_displacement`.
    """
    from proxflow.plots.integration import before_and_after, gene_displacement, has_umap, measure_bars

    found = [
        (
            before_and_after(before, after, batches, labels, reference=reference, random_state=random_state),
            "Principal components of the samples before, for both sides. Grey: the reference.",
            "The samples before and after in the plane of two principal components, by batch and by class",
        )
    ]
    if has_umap() if umap is None else umap:
        drawn = before_and_after(
            before, after, batches, labels, reference=reference, method="umap", random_state=random_state
        )
        found.append((drawn, "UMAP of either side by itself. Mixed colours prove nothing: see the scores.",
                      "The samples before and after by UMAP, by batch and by class"))  # fmt: skip
    for batch in [batch for batch in frame["batch"].unique() if batch != "all"][:6]:
        for samples, words in (("held out", "held out"), ("fitted", "as moved")):
            part = frame[(frame["batch"] == batch) & (frame["samples"] == samples)]
            if len(part) and np.isfinite(part["value"]).any():
                found.append((measure_bars(part, title=f"{batch}, {words}"),
                              f"{batch}, {words}: every measure class by class. Within the band: at the floor.",
                              f"Bars of every measure before and after for {batch}, {words}"))  # fmt: skip
    if displacement is not None and expression is not None:
        found.append((gene_displacement(displacement, expression, genes),
                      "Mean displacement of genes over the moved samples.",
                      "Bars of the genes that moved most, and displacement against mean expression"))  # fmt: skip
    return found
