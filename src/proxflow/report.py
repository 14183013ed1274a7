"""One HTML file that tells what a run found: verdict, numbers, figures, settings, command.

The file is self-contained: figures are embedded, styles are inside, there are no scripts and nothing is
loaded from a network (a content security policy in its head forbids it), so it can be mailed or archived. It
holds no date: the same run gives the same bytes. Bad at: interaction, and figures beyond a few megabytes.
"""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ReportFigure", "ReportTable", "write_report"]

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

    if len(summary) == 0:
        raise ValueError("a report needs at least one sentence of summary: its verdict.")
    sections = [_table(table) for table in tables]
    closing = []
    if settings:
        rows = [(str(name), _exact(value)) for name, value in settings.items()]
        closing.append(_table(ReportTable("Settings", ("setting", "value"), rows)))
    if command:
        closing.append(f"<section><h2>Run it again</h2><pre><code>{_escape(command)}</code></pre></section>")
    words = _page(title, summary, [*sections, *closing])
    pictures = _figures(figures, _LARGEST - len(words.encode("utf-8", "replace")))
    text = _page(title, summary, [*sections, *pictures, *closing])
    with atomic_path(Path(path)) as temporary:
        # "replace": a file name that is not Unicode must not cost the user the report.
        Path(temporary).write_bytes(text.encode("utf-8", "replace"))
    return Path(path)


def _page(title: str, summary: Sequence[str], sections: Iterable[str]) -> str:
    verdict, rest = summary[0], summary[1:]
    paragraphs = f"<p>{_escape(' '.join(rest))}</p>" if rest else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="proxflow {_version()}">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{_escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<header>
<h1>{_escape(title)}</h1>
<p class="verdict">{_escape(verdict)}</p>
{paragraphs}
</header>
{chr(10).join(sections)}
</main>
<footer>Written by proxflow {_version()}.</footer>
</body>
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


# Dark only on screens: paper is white. Figures keep their white paper in both.
_STYLE = """
:root { --paper: #ffffff; --ink: #1f2328; --quiet: #59636e; --line: #d1d9e0;
  --tint: #f6f8fa; --blue: #0b5cad; }
@media screen and (prefers-color-scheme: dark) {
  :root { --paper: #14181d; --ink: #e6e9ed; --quiet: #9aa4af; --line: #353c45;
    --tint: #1d232a; --blue: #6cb0f5; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main, footer { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { margin: 0 0 1rem; font-size: 1.05rem; font-weight: 600; color: var(--quiet); overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.15rem; }
p { margin: 0 0 .75rem; max-width: 46rem; overflow-wrap: anywhere; }
.verdict { padding-left: 1rem; border-left: .3rem solid var(--blue);
  font-size: 1.45rem; line-height: 1.35; font-weight: 600; }
.note, figcaption, footer { font-size: .9rem; color: var(--quiet); }
.note { margin-top: .6rem; }
.wide { overflow-x: auto; }
table { min-width: min(100%, 32rem); border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem 1.25rem .5rem 0; border-bottom: 1px solid var(--line);
  text-align: left; vertical-align: top; overflow-wrap: break-word; }
thead th { font-size: .85rem; font-weight: 600; color: var(--quiet); }
tbody th { font-weight: 600; min-width: 8rem; }
td { min-width: 5rem; }
.number { text-align: right; white-space: nowrap; }
figure { margin: 0 0 2rem; }
figure img { display: block; width: auto; max-width: 100%; height: auto; padding: .75rem;
  background: #ffffff; border: 1px solid var(--line); border-radius: .5rem; }
figcaption { margin-top: .6rem; max-width: 46rem; overflow-wrap: anywhere; }
pre { margin: 0; padding: .9rem 1rem; background: var(--tint); border: 1px solid var(--line);
  border-radius: .5rem; overflow-x: auto; }
code { font: .9rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
footer { padding-top: 2.5rem; padding-bottom: 2rem; }
@media print {
  body { font-size: 11pt; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  figure img { max-height: 10cm; }
  figure, tr, pre { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""
