"""A run folder's page, made from what lies in the folder: while the run goes on, after a kill, and years later.

    page.json        what the report says: words, tables, figures by name    the run's own, written with its report
    trajectory.npz   where the particles were        history.csv   the numbers of every step        figures/

Without page.json (a run under way, one without pictures, one of an earlier version) the page says what settings,
history and result.json say; without trajectory.npz it shows the samples as they are. A comparison's page shows the ways
of all its methods. The report of a run is always made here, so that making it again gives the same bytes.

Bad at: tables that need the data themselves, which are only in page.json.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from proxflow.browser import Backdrop, Exhibit, Moving, Scene
from proxflow.browser.curves import curves
from proxflow.browser.scene import few_rows
from proxflow.notes import ended_whole
from proxflow.report import ReportFigure, ReportTable, report_text, write_report
from proxflow.store import RunFolder, read_json, seed_folders, write_json

__all__ = ["PageContent", "Standing", "exhibits_of", "page_text", "rebuild", "standing", "write_page"]

_METHODS = ("gpa", "proximal", "gan")
_HISTORY = 50_000_000  # bytes
_MOST_SEEDS = 6  # shown on one page


@dataclass(frozen=True)
class PageContent:
    """What a report says beside what it shows over time; figures by their names in figures/."""

    title: str
    summary: Sequence[str]
    tables: Sequence[ReportTable] = ()
    figures: Sequence[ReportFigure] = ()
    settings: Mapping[str, object] | None = None
    command: str | None = None


def write_page(folder: RunFolder, content: PageContent) -> Path:
    """Write page.json and, from it, report.html.

    Raises
    ------
    ValueError
        As `rebuild`, or the system refused to write.
    """
    page = {
        "title": content.title, "summary": list(content.summary),
        "tables": [
            {"title": table.title, "header": list(table.header), "note": table.note,
             "rows": [[_cell(cell) for cell in row] for row in table.rows]}
            for table in content.tables
        ],
        "figures": [
            {"name": Path(figure.path).name, "caption": figure.caption, "alt": figure.alt} for figure in content.figures
        ],
        "settings": {str(name): _cell(value) for name, value in (content.settings or {}).items()},
        "command": content.command,
    }  # fmt: skip
    write_json(folder.path / "page.json", page)
    return _written(folder.path, _kept(folder.path), folder.path / "report.html")


def rebuild(folder: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Path:
    """Write the report of a run folder again, to report.html in it or to `out`, and return its path.

    Raises
    ------
    ValueError
        No folder of a run, a damaged file in it, or the system refused to write.

    Examples
    --------
    >>> import tempfile
    >>> run = RunFolder.create(tempfile.mkdtemp() + "/run")
    >>> _ = run.settings({"proxflow": "0.1.0", "command": "generate", "stopped": "all 2 steps taken"})
    >>> _ = run.history({"value": [2.0, 1.0]})
    >>> rebuild(run.path).name
    'report.html'
    """
    place = Path(folder)
    return _written(place, _content(place), place / "report.html" if out is None else Path(out))


def _written(folder: Path, content: PageContent, out: Path) -> Path:
    return write_report(
        out, title=content.title, summary=content.summary, tables=content.tables, figures=content.figures,
        settings=content.settings, command=content.command, moving=Moving(exhibits_of(folder)),
    )  # fmt: skip


def page_text(folder: str | os.PathLike[str], live: Mapping[str, Any]) -> str:
    """The page as it is now, asking a server for news; ValueError as `rebuild`."""
    place, now = Path(folder), standing(folder)
    content = _content(place)
    told = now.ended or content.summary[0] == now.said
    summary = content.summary if told else [now.said, *content.summary]
    return report_text(
        title=content.title, summary=summary, tables=content.tables, figures=content.figures,
        settings=content.settings, command=content.command, moving=Moving(exhibits_of(place), live),
    )  # fmt: skip


# ---------------------------------------------------------------------- how a run stands


@dataclass(frozen=True)
class Standing:
    """How a run stands: whether it has ended, in words, and when it last wrote (seconds since 1970, 0 for never)."""

    ended: bool
    said: str
    written: float


def standing(folder: str | os.PathLike[str]) -> Standing:
    """Say how the run in a folder stands; ValueError if it is no run's."""
    place = Path(folder)
    settings = _settings(place)
    written = max((_changed(file) for file in _files(place)), default=0.0)
    stopped = str(settings.get("stopped", ""))
    keeps = any(place.glob("checkpoint*.npz"))
    if stopped and (not keeps or not ended_whole(stopped)):
        return Standing(True, f"Ended: {stopped}.", written)
    if stopped:
        return Standing(False, f"The steps are done ({stopped}); the result is being judged and drawn.", written)
    parts = [(name, history) for name, where in _parts(place) if (history := _history(where))]
    if not parts:
        return Standing(False, "Under way: no step has been written yet.", written)
    name, history = parts[-1]
    steps, value = len(history["value"]), history["value"][-1]
    which = f"{name}, " if name else ""
    return Standing(False, f"Under way: {which}step {steps:,}, divergence {value:.4g}.", written)


def _settings(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise ValueError(
            f"{folder}: no such folder." if not folder.exists() else f"{folder}: a file, not a run's folder."
        )
    if not (folder / "settings.json").exists():
        raise ValueError(f"{folder}: not the folder of a run: it has no settings.json of one.")
    settings = read_json(folder / "settings.json")
    if not isinstance(settings, dict) or "proxflow" not in settings:
        raise ValueError(f"{folder}: not the folder of a run: its settings.json is of something else.")
    return settings


def _parts(folder: Path) -> list[tuple[str, Path]]:
    """The run itself, or the runs of its seeds, or of a comparison's methods, of which the first seed speaks."""
    methods = [(name, folder / name) for name in _METHODS if (folder / name / "settings.json").exists()]
    if methods:
        return [(name, next((seed for _, seed in _seeds(own)), own)) for name, own in methods]
    return _seeds(folder)[:_MOST_SEEDS] or [("", folder)]


def _seeds(folder: Path) -> list[tuple[str, Path]]:
    """The runs of several seeds, in their order."""
    numbers = [own.name[5:] for own in seed_folders(folder) if (own / "settings.json").exists()]
    return [(f"seed {number}", folder / f"seed-{number}") for number in sorted(numbers, key=int)]


def _files(folder: Path) -> list[Path]:
    """What tells how far a run is."""
    names = ("settings.json", "trajectory.npz", "history.csv", "result.json", "page.json", "report.html")
    return [part / name for _, part in (("", folder), *_parts(folder)) for name in names]


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


# ---------------------------------------------------------------------- what moves


def exhibits_of(folder: str | os.PathLike[str]) -> list[Exhibit]:
    """What the page shows over time: the run's way, or those of a comparison's methods; none where none was kept.

    Raises
    ------
    ValueError
        A damaged file.
    """
    found = []
    for name, part in _parts(Path(folder)):
        scene = _scene(part)
        if scene is None:
            continue
        history, settings = _history(part), _settings(part)
        resolved = settings.get("resolved")
        slope = resolved.get("L") if isinstance(resolved, dict) else None
        method = (settings.get("arguments") or {}).get("method") or "gpa"
        drawn = curves(
            history, lipschitz=slope if isinstance(slope, (int, float)) else None, trained=method in _METHODS[1:]
        )  # fmt: skip
        found.append(Exhibit(name, scene, drawn))
    return found


def _scene(folder: Path) -> Scene | None:
    if (folder / "trajectory.npz").exists():
        return Scene.read(folder / "trajectory.npz")
    return _samples(folder)


def _samples(folder: Path) -> Scene | None:
    """The samples of a run that kept no way: one moment, over nothing."""
    from proxflow.data.tables import read_table

    for name in ("samples.npy", "samples.csv"):
        if not (folder / name).exists():
            continue
        settings = _settings(folder)
        label = (settings.get("arguments") or {}).get("label")
        try:
            table = read_table(folder / name, minimum=1) if label is None else _without(folder / name, label)
            some = few_rows(len(table.values))
            points = table.values[some]
            rows = None if len(some) == len(table.values) else [f"row {index}" for index in some]
            backdrop = Backdrop.of(
                points, points, table.columns, total=(len(table.values), 0), rows=rows, kind="sample", called="row"
            )
        except ValueError:
            return None  # nothing that could be drawn: the page does without
        return backdrop.alone().scene([len(_history(folder).get("value", ()))], [backdrop.places(points)])
    return None


def _without(file: Path, label: str) -> Any:
    from proxflow.data.frames import read_frame
    from proxflow.data.tables import read_table

    return read_table(file, columns=[name for name in read_frame(file).columns if name != label], minimum=1)


def _history(folder: Path) -> dict[str, np.ndarray]:
    """The columns of history.csv; none where there is none yet."""
    file = folder / "history.csv"
    try:
        if not file.exists() or file.stat().st_size > _HISTORY:
            return {}
        first, _, rest = file.read_text(encoding="utf-8").partition("\n")
        if not rest.strip():
            return {}
        names = first.strip().split(",")
        rows = np.loadtxt(rest.splitlines(), delimiter=",", ndmin=2)
    except OSError as problem:
        raise ValueError(f"cannot read {file}: {problem.strerror}.") from None
    except (ValueError, UnicodeDecodeError):
        raise ValueError(f"{file}: damaged: not the numbers of a run.") from None
    if "value" not in names or rows.shape[1] != len(names):
        raise ValueError(f"{file}: damaged: not the numbers of a run.")
    return dict(zip(names, rows.T, strict=True))


# ---------------------------------------------------------------------- what is said


def _content(folder: Path) -> PageContent:
    settings = _settings(folder)
    if settings.get("command") == "augment":
        raise ValueError(f"{folder}: augment writes its report with its rows: proxflow rerun {folder} makes both.")
    if (folder / "page.json").exists() and "stopped" in settings:
        return _kept(folder)
    return _said(folder, settings)


def _kept(folder: Path) -> PageContent:
    file = folder / "page.json"
    page = read_json(file)
    try:
        tables = [ReportTable(t["title"], t["header"], t["rows"], t["note"]) for t in page["tables"]]
        figures = [
            ReportFigure(folder / "figures" / Path(f["name"]).name, f["caption"], f["alt"]) for f in page["figures"]
        ]
        found = PageContent(
            str(page["title"]), [str(line) for line in page["summary"]], tables,
            [figure for figure in figures if Path(figure.path).exists()], dict(page["settings"]), page["command"],
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise ValueError(f"{file}: damaged ({problem}).") from None
    if not found.summary:
        raise ValueError(f"{file}: damaged (it says nothing).")
    return found


def _said(folder: Path, settings: Mapping[str, Any]) -> PageContent:
    """What can be said without page.json."""
    now = standing(folder)
    arguments = settings.get("arguments")
    arguments = arguments if isinstance(arguments, dict) else {}
    resolved = settings.get("resolved")
    data = arguments.get("data") or arguments.get("target")
    title = " ".join([str(settings.get("command", "run")), *([Path(str(data)).name] if data else [])])
    judged = _judged(folder)
    summary = [*judged[0], now.said] if now.ended and judged is not None else [now.said]
    tables = [] if judged is None else [judged[1]]
    history = _history(folder)
    if history:
        rows = [(name, series[0], series[-1]) for name, series in history.items() if name != "step"]
        tables.append(ReportTable("The steps", ("what", "first", "last"), rows, note=f"Of {len(history['value']):,}."))
    figures = [
        ReportFigure(file, file.stem.replace("_", " "), file.stem.replace("_", " "))
        for file in sorted((folder / "figures").glob("*"))
        if file.suffix.lower() in (".png", ".gif") and not file.name.startswith(".")
    ]
    shown = {name: value for name, value in arguments.items() if value is not None and value is not False}
    return PageContent(
        title, summary, tables, figures, shown | (resolved if isinstance(resolved, dict) else {}),
        f"proxflow rerun {folder}" if now.ended and "interrupted" not in now.said else f"proxflow resume {folder}",
    )  # fmt: skip


def _judged(folder: Path) -> tuple[list[str], ReportTable] | None:
    """What result.json says of the samples' quality, in words and as a table."""
    from proxflow.trust import Judgement

    if not (folder / "result.json").exists():
        return None
    result = read_json(folder / "result.json")
    found = result.get("judgement") if isinstance(result, dict) else None
    if not isinstance(found, dict):
        return None
    try:
        numbers: dict[str, Any] = {name: math.nan if value is None else value for name, value in found.items()}
        judgement = Judgement(**numbers)
        rows = [(name.replace("_", " "), value) for name, value in judgement.to_dict().items() if name != "basis"]
        return judgement.sentences(), ReportTable("How good the result is", ("what", "value"), rows)
    except (TypeError, ValueError):  # an earlier version's
        return None


def _cell(value: Any) -> Any:
    """A cell as JSON keeps it: what is not finite in words."""
    plain = value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
    if isinstance(plain, float) and not math.isfinite(plain):
        return str(plain)
    if plain is None or isinstance(plain, (bool, int, float, str, Mapping, list, tuple)):
        return plain
    return str(plain)
