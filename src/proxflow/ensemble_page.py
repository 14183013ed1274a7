"""One method with several seeds: the numbers with their deviations, in result.json and in one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proxflow.contest import CRITERIA, samples_in
from proxflow.ensembles import Spread, curves_of
from proxflow.report import ReportFigure, ReportTable
from proxflow.run_pages import PageContent, write_page
from proxflow.store import read_json

if TYPE_CHECKING:
    from proxflow.runs import Data
    from proxflow.store import RunFolder

__all__ = ["draw_seeds", "lines_of", "summary_of"]

_SHOWN = 6  # clouds side by side
_MOST = 2000  # points drawn of a cloud


def summary_of(folders: Mapping[int, Path]) -> dict[str, Any]:
    """What the runs in these folders, by seed, say together: as plain values, the members' own included."""
    members = [read_json(folder / "result.json") for folder in folders.values()]
    spreads = _spreads(members)
    return {
        "seeds": list(folders), "members": members, "samples": members[0]["samples"],
        "features": members[0]["features"], "stopped": members[0]["stopped"], "settings": members[0]["settings"],
        "numbers": {
            key: {"mean": found.mean, "deviation": found.deviation, "values": found.values.tolist()}
            for key, found in spreads.items()
        },
    }  # fmt: skip


def _spreads(members: Sequence[Mapping[str, Any]]) -> dict[str, Spread]:
    found = {criterion.key: criterion.values({"members": members}) for criterion in CRITERIA}
    return {key: Spread(np.asarray(values)) for key, values in found.items() if len(values) == len(members)}


def lines_of(summary: Mapping[str, Any]) -> list[str]:
    """The numbers for a terminal: mean ± deviation."""
    spreads = _spreads(summary["members"])
    names = {criterion.key: criterion.name for criterion in CRITERIA}
    width = max(len(names[key]) for key in spreads)
    return [f"{names[key]:<{width}}  {found}" for key, found in spreads.items()]


def draw_seeds(
    summary: Mapping[str, Any], folders: Mapping[int, Path], target: Data, folder: RunFolder,
    arguments: Mapping[str, Any], command: str,
) -> None:  # fmt: skip
    """Draw the spread of curves and numbers into figures/, and write page.json and report.html."""
    from proxflow import plots

    members, spreads = summary["members"], _spreads(summary["members"])
    known = {criterion.key: criterion for criterion in CRITERIA}
    rows = [
        (known[key].name, found.mean, found.deviation, float(found.values.min()), float(found.values.max()),
         known[key].meaning)
        for key, found in spreads.items()
    ]  # fmt: skip
    tables = [ReportTable("Over the seeds", ("what", "mean", "deviation", "least", "most", "in words"), rows)]
    drawn = {known[key].name: found.values for key, found in spreads.items() if np.ptp(found.values) > 0}
    shown = {f"seed {seed}": samples_in(own)[:_MOST] for seed, own in list(folders.items())[:_SHOWN]}
    pictures = [
        (
            "seed_curves", plots.seed_curves(curves_of([_history(own) for own in folders.values()])),
            "Curves over the seeds: the median, and from the lowest to the highest.", "Curves of all seeds",
        )
    ]  # fmt: skip
    if drawn:
        said = "Each number, one dot per seed: what of a difference is luck."
        pictures.insert(0, ("seed_numbers", plots.seed_dots(drawn), said, "Numbers of all seeds"))
    if target.image is None:
        beside = plots.clouds_beside(shown, target.values[:_MOST], columns=target.columns)
        said = "New samples (colour) over the data (grey), seed by seed."
        pictures.append(("seed_samples", beside, said, "Samples of each seed"))
    figures = [
        ReportFigure(plots.save_figure(figure, folder.figure_path(f"{name}.png")), caption, alt)
        for name, figure, caption, alt in pictures
    ]
    content = PageContent(
        title=f"{len(members)} seeds of one run", summary=_sentences(spreads, members), tables=tables, figures=figures,
        settings={k: v for k, v in arguments.items() if v is not None}, command=command,
    )  # fmt: skip
    write_page(folder, content)


def _sentences(spreads: Mapping[str, Spread], members: Sequence[Mapping[str, Any]]) -> list[str]:
    closeness = spreads.get("closeness")
    first = (
        f"W2 ratio {closeness} over {len(members)} seeds (1 is ideal)."
        if closeness is not None
        else f"{len(members)} seeds ran; none was judged."
    )
    return [
        first,
        "Every seed has a folder of its own beside this page; ± is one standard deviation from seed to seed.",
    ]


def _history(folder: Path) -> dict[str, np.ndarray]:
    rows = np.atleast_1d(np.genfromtxt(folder / "history.csv", delimiter=",", names=True))
    return {name: rows[name] for name in rows.dtype.names or () if name != "step"}
