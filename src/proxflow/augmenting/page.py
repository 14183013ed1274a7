"""The page of an augmentation: what a trial says of the new rows, in words, in numbers, and in pictures."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from proxflow.augmenting.augmentation import Augmentation
    from proxflow.report import ReportFigure, ReportTable

__all__ = ["draw_augmentation"]

_MOST = 2000  # rows of each kind that the picture of distances compares


def draw_augmentation(result: Augmentation, path: str | os.PathLike[str], command: str | None = None) -> Path:
    """Write the page of an augmentation as one self-contained HTML file, and return its path.

    Parameters
    ----------
    result
        What `augment(...)` returned.
    path
        Where to write; report.html inside it if it is a folder. The file appears whole or not at all.
    command
        The command line that makes the rows again.

    Raises
    ------
    ValueError
        The file cannot be written.
    """
    from proxflow.report import write_report

    goal = Path(path) / "report.html" if Path(path).is_dir() else Path(path)
    tables = [_rows(result), _scores(result), _judgements(result), _columns(result)]
    settings = {name: value for name, value in result.settings.items() if name != "columns"}
    with tempfile.TemporaryDirectory(prefix="proxflow-") as folder:
        return write_report(
            goal,
            title=f"{len(result.table):,} new rows from {len(result.real):,}, {result.real.shape[1]} columns",
            summary=[*result.sentences(), *_caution(result)],
            tables=[table for table in tables if table is not None],
            figures=_figures(result, Path(folder)),
            settings=settings | {"time": f"{result.seconds:.1f} s"},
            command=command,
        )


def _caution(result: Augmentation) -> list[str]:
    if result.judgement is None:
        return []
    return [f"Judged by {result.judgement.basis}; the new rows themselves were made from all."]


def _rows(result: Augmentation) -> ReportTable | None:
    from proxflow.report import ReportTable

    if not result.counts:
        return None
    real = result.real[result.label].value_counts()
    rows = [(str(name), int(real.get(name, 0)), count) for name, count in result.counts.items()]
    return ReportTable(f"Classes of {result.label}", ("class", "real rows", "new rows"), rows)


def _scores(result: Augmentation) -> ReportTable | None:
    from proxflow.report import ReportTable

    found = result.usefulness
    if found is None:
        return None
    rows = [
        (f"{s.model}, {s.trained_on}", s.rows, s.value, f"{s.low:.3f} to {s.high:.3f}", f"{s.gain:+.3f}",
         f"{s.gain_low:+.3f} to {s.gain_high:+.3f}")
        for s in found.scores
    ]  # fmt: skip
    return ReportTable(
        "What models learn",
        ("model, trained on", "rows", found.measure.lower() if found.measure != "R²" else "R²", "95 % interval",
         "gain over real", "95 % interval"),
        rows,
        note=f"Tested on {found.n_test} held-out real rows. Intervals are over these rows, not over other splits or"
        " other trainings. Noise: real rows drawn again with noise of a fifth of their standard deviations.",
    )  # fmt: skip


def _judgements(result: Augmentation) -> ReportTable | None:
    from proxflow.report import ReportTable

    if result.judgement is None:
        return None
    every = {"all": result.judgement} | {str(name): found for name, found in result.judgements.items()}
    rows = [
        (name, j.closeness, j.nearest_new / j.nearest_real if j.nearest_real else float("nan"), j.near_copies, j.spread,
         j.n_test)
        for name, j in every.items()
    ]  # fmt: skip
    return ReportTable(
        "How good the rows are",
        ("rows", "closeness", "distance ratio", "near copies", "spread", "held out"),
        rows,
        note="Closeness: W2 to held-out rows over that of real ones; 1 is ideal. Distance ratio: to the nearest"
        " training row, new over held-out; 1 is ideal, 0 a copy. Near copies: share nearer to a training row than 95 %"
        " of held-out rows are; 0.05 for real rows. Spread: total variance over that of the training rows. Numbers are"
        " standardised, categories one-hot.",
    )


def _columns(result: Augmentation) -> ReportTable:
    from proxflow.report import ReportTable

    rows = [(name, kind, str(result.real.dtypes.iloc[i])) for i, (name, kind) in enumerate(_kinds(result).items())]
    return ReportTable("What columns were taken for", ("column", "kind", "type"), rows)


def _kinds(result: Augmentation) -> dict[str, str]:
    return dict(result.settings["columns"])


def _figures(result: Augmentation, folder: Path) -> list[ReportFigure]:
    import pandas as pd

    from proxflow.augmenting.mixed_tables import MixedTable
    from proxflow.metrics import nearest_distance
    from proxflow.plots.samples import nearest_distances
    from proxflow.plots.style import save_figure
    from proxflow.plots.tables import associations, column_shares, usefulness_bars
    from proxflow.report import ReportFigure

    found: list[ReportFigure] = []
    real = result.real
    new = result.table if isinstance(result.table, pd.DataFrame) else pd.DataFrame(result.table, columns=real.columns)

    def keep(name: str, figure: Any, caption: str, alt: str) -> None:
        found.append(ReportFigure(save_figure(figure, folder / f"{name}.png"), caption, alt))

    if result.usefulness is not None:
        keep(
            "usefulness", usefulness_bars(result.usefulness.scores, result.usefulness.measure),
            "Circle: score on held-out real rows; bar: its 95 % interval; dashed: trained on real rows.",
            "Scores of models by what they were trained on",
        )  # fmt: skip
    keep(
        "columns", column_shares(real, new),
        "Every column by itself. Classes in other shares than the real ones move the other columns too.",
        "Histograms and bars of single columns, real and new",
    )  # fmt: skip
    encoding = MixedTable.of(real)
    points, made = encoding.encode(real), encoding.encode(new)
    if encoding.width > 1:
        keep(
            "correlations", associations(points, made, encoding.coordinates()),
            "Numbers standardised (skewed ones as logarithms), a category as one coordinate per value.",
            "Correlation matrices of real rows, new rows, and their difference",
        )  # fmt: skip
    few = np.random.default_rng(0).permutation(len(made))[:_MOST]
    keep(
        "novelty",
        nearest_distances(
            nearest_distance(made[few], points), nearest_distance(points[:_MOST], points, skip_self=True),
            real_label="training rows",
        ),
        "Distance to the nearest training row, of new rows and of training rows (to the others): a curve far left of"
        " the real one means copies.",
        "Distances to the nearest training row",
    )  # fmt: skip
    return found
