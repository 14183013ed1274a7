"""One HTML file that tells what a run found: verdict, numbers, figures, settings, command.

The file is self-contained: figures are embedded, styles are inside, and nothing is loaded from a network (a content
security policy in its head forbids it), so it can be mailed or archived. Where something moved, one program inside
shows it over time (`browser`); the policy allows that program and no other, and without JavaScript the page has all
else. It holds no date: the same run gives the same bytes. Bad at: figures beyond a few megabytes.
"""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxflow.browser import Moving, Part, moving_part, stylesheet

__all__ = ["ReportFigure", "ReportTable", "report_text", "write_report"]

_LARGEST = 6_000_000  # bytes; mail servers and reviewers' browsers have patience for about that much
_KINDS = {
    ".png": "image/png",
    ".gif": "image/gif",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}


@dataclass(frozen=True)
class ReportTable:
    """A table of the report: each row usually a name, its value, and what it means in words."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str | None = None


@dataclass(frozen=True)
class ReportFigure:
    """A figure of the report: an image file, a caption, and what it shows for those who cannot see it."""

    path: str | os.PathLike[str]
    caption: str
    alt: str


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: Sequence[str],
    tables: Sequence[ReportTable] = (),
    figures: Sequence[ReportFigure] = (),
    settings: Mapping[str, object] | None = None,
    command: str | None = None,
    moving: Moving | None = None,
) -> Path:
    """Write a run's report as one self-contained HTML file under six megabytes, and return its path.

    Parameters
    ----------
    path
        Where to write; the file appears whole or not at all.
    title
        What was run on what.
    summary
        Sentences; the first is the verdict and is set large.
    tables
        The numbers. Floats are shown with four significant digits.
    figures
        In order of importance: one that would make the file too large is named instead of embedded.
    settings
        The run's settings, shown exactly.
    command
        The command line that reproduces the run.
    moving
        What to show over time, if anything moved.

    Raises
    ------
    ValueError
        No summary, a row whose length differs from the header's, or a figure that cannot be read or is not
        one of the image kinds that browsers show.

    Examples
    --------
    >>> import tempfile
    >>> numbers = ReportTable("Numbers", ["name", "value", "meaning"], [["W1", 0.0123456, "close"]])
    >>> written = write_report(
    ...     tempfile.mkdtemp() + "/report.html",
    ...     title="Moons",
    ...     summary=["The new samples match the target."],
    ...     tables=[numbers],
    ... )
    >>> "0.01235" in written.read_text(encoding="utf-8")
    True
    """
    from proxflow.store import atomic_path

    text = report_text(
        title=title, summary=summary, tables=tables, figures=figures, settings=settings, command=command, moving=moving
    )  # fmt: skip
    with atomic_path(Path(path)) as temporary:
        # "replace": a file name that is not Unicode must not cost the user the report.
        Path(temporary).write_bytes(text.encode("utf-8", "replace"))
    return Path(path)


def report_text(
    *, title: str, summary: Sequence[str], tables: Sequence[ReportTable] = (), figures: Sequence[ReportFigure] = (),
    settings: Mapping[str, object] | None = None, command: str | None = None, moving: Moving | None = None,
) -> str:  # fmt: skip
    """Return what `write_report` writes."""
    if len(summary) == 0:
        raise ValueError("a report needs at least one sentence of summary: its verdict.")
    sections = [_table(table) for table in tables]
    closing = []
    if settings:
        rows = [(str(name), _exact(value)) for name, value in settings.items()]
        closing.append(_table(ReportTable("Settings", ("setting", "value"), rows)))
    if command:
        closing.append(f"<section><h2>Run it again</h2><pre><code>{_escape(command)}</code></pre></section>")
    part = None if moving is None or not (moving.exhibits or moving.live) else moving_part(moving)
    words = _page(title, summary, [*sections, *closing], part)
    pictures = _figures(figures, _LARGEST - len(words.encode("utf-8", "replace")))
    return _page(title, summary, [*sections, *pictures, *closing], part)


def _page(title: str, summary: Sequence[str], sections: Iterable[str], part: Part | None) -> str:
    verdict, rest = summary[0], summary[1:]
    switch = "" if part is None else '<button type="button" id="theme" hidden></button>\n'
    moving, program, policy = ("", "", "") if part is None else (part.section, part.program, f"; {part.policy}")
    paragraphs = f"<p>{_escape(' '.join(rest))}</p>" if rest else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="proxflow {_version()}">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'{policy}">
<title>{_escape(title)}</title>
<style>{stylesheet(part is not None)}</style>
</head>
<body>
<main>
<header>
{switch}<h1>{_escape(title)}</h1>
<p class="verdict">{_escape(verdict)}</p>
{paragraphs}
</header>
{moving}{chr(10).join(sections)}
</main>
<footer>Written by proxflow {_version()}.</footer>
{program}</body>
</html>
"""


def _table(table: ReportTable) -> str:
    width = len(table.header)
    for row in table.rows:
        if len(row) != width:
            raise ValueError(f"table {table.title!r}: {len(row)} cells under {width} headings: {row!r}.")
    numeric = [len(table.rows) > 0 and all(_is_number(row[index]) for row in table.rows) for index in range(width)]
    head = "".join(
        f'<th scope="col"{_align(right)}>{_escape(name)}</th>'
        for name, right in zip(table.header, numeric, strict=True)
    )
    body = []
    for row in table.rows:
        cells = [
            # The first cell names the row: a screen reader repeats it with each number.
            f'<th scope="row"{_align(right)}>{_escape(_rounded(cell))}</th>'
            if index == 0
            else f"<td{_align(right)}>{_escape(_rounded(cell))}</td>"
            for index, (cell, right) in enumerate(zip(row, numeric, strict=True))
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    note = f'<p class="note">{_escape(table.note)}</p>' if table.note else ""
    return (
        f'<section><h2>{_escape(table.title)}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>{note}</section>"
    )


def _align(right: bool) -> str:
    return ' class="number"' if right else ""


def _figures(figures: Sequence[ReportFigure], room: int) -> list[str]:
    """Return the figures' section, embedding each for which there is still room."""
    if not figures:
        return []
    parts = []
    for figure in figures:
        file = Path(figure.path)
        kind = _KINDS.get(file.suffix.lower())
        if kind is None:
            raise ValueError(f"figure {file}: browsers show {', '.join(_KINDS)}, not {file.suffix!r}.")
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ValueError(f"cannot read figure {file}: {error.strerror}.") from error
        frame = (
            f'<figure><img alt="{_escape(figure.alt)}" src="data:{kind};base64,'
            f'{base64.b64encode(content).decode("ascii")}">'
            f"<figcaption>{_escape(figure.caption)}</figcaption></figure>"
        )
        absent = (
            f"<figure><p>{_escape(figure.alt)}</p><figcaption>{_escape(figure.caption)} "
            f"(Not embedded, {len(content) / 1e6:.1f} MB: see {_escape(file.name)}.)</figcaption></figure>"
        )
        size = len(frame.encode("utf-8", "replace"))
        parts.append(frame if size <= room - 500 else absent)
        room -= len(parts[-1].encode("utf-8", "replace"))
    return [f"<section><h2>Figures</h2>{''.join(parts)}</section>"]


def _escape(text: object) -> str:
    return html.escape(str(text), quote=True)


def _is_number(value: object) -> bool:
    value = _plain(value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    """Return NumPy's and JAX's scalars as Python's."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def _rounded(value: object) -> str:
    """Return a cell's words: floats with four significant digits, without exponents if readable."""
    value = _plain(value)
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _exact(value)


def _exact(value: object) -> str:
    """Return a setting's words, from which the value could be typed again."""
    value = _plain(value)
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {_exact(entry)}" for name, entry in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_exact(entry) for entry in value)
    return str(value)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("proxflow")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "of unknown version"
