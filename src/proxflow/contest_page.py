"""The report of several methods: the table, who wins what, their ways, and their samples side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proxflow.contest import CRITERIA, Contest
from proxflow.report import ReportFigure, ReportTable
from proxflow.run_pages import PageContent, write_page

if TYPE_CHECKING:
    from proxflow.runs import Data
    from proxflow.store import RunFolder

__all__ = ["draw_contest"]

_MOST = 2000  # points drawn of a cloud


def draw_contest(contest: Contest, target: Data, folder: RunFolder, arguments: Mapping[str, Any], command: str) -> None:
    """Draw the samples of all methods into figures/, and write page.json and report.html."""
    names = [entry.method for entry in contest.entries]
    head, *rows = contest.table()
    tables = [
        ReportTable(
            "The methods side by side", head, rows,
            note="; ".join(f"{c.name}: {c.meaning}" for c in CRITERIA) + "." + _resumed(contest),
        )
    ]  # fmt: skip
    won = [(criterion.name, sentence, criterion.meaning) for criterion, _, sentence in contest.verdicts()]
    if won:
        tables.append(ReportTable("Who is best at what", ("what", "best", "in words"), won))
    content = PageContent(
        f"{', '.join(names) or 'No method'} on the same data",
        [*contest.sentences(), "Every method has a folder and a report of its own beside this page."],
        tables, _figures(contest, target, folder),
        {name: value for name, value in arguments.items() if value is not None}, command,
    )  # fmt: skip
    write_page(folder, content)


def _resumed(contest: Contest) -> str:
    resumed = [entry.method for entry in contest.entries if entry.result.get("resumed")]
    return f" {' and '.join(resumed)} went on after a break: the seconds are those since." if resumed else ""


def _unit(contest: Contest, train: np.ndarray) -> np.ndarray:
    """What to divide columns by: the first principal component of mixed units would be the largest column."""
    deviations = train.std(axis=0)
    mixed = contest.entries[0].result["settings"].get("scaling") != "none"
    few = train.shape[1] <= 3
    return np.ones(train.shape[1]) if few or not mixed else np.where(deviations > 0, deviations, 1.0)


def _figures(contest: Contest, target: Data, folder: RunFolder) -> list[ReportFigure]:
    from proxflow import plots

    found = []
    train = target.values
    if target.image is not None:
        low, high = float(train.min()), float(train.max())
        for name, images in [(e.method, e.samples) for e in contest.entries] + [("real", train)]:
            figure = plots.image_grid(images, target.image, low=low, high=high, rows=5, title=name)
            path = plots.save_figure(figure, folder.figure_path(f"images_{name}.png"))
            found.append(ReportFigure(path, f"{name}: the first samples, none selected.", f"Images of {name}"))
    if contest.entries:
        unit = _unit(contest, train)
        clouds = {entry.method: entry.samples[:_MOST] / unit for entry in contest.entries}
        figure = plots.clouds_beside(clouds, train[:_MOST] / unit, columns=target.columns)
        path = plots.save_figure(figure, folder.figure_path("methods.png"))
        found.append(
            ReportFigure(path, "New samples (colour) over the data (grey), in one view.", "Samples of each method")
        )
    return found
