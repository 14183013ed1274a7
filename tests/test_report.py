"""The report: one file that says everything, loads nothing, and survives any text."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from proxflow.report import ReportFigure, ReportTable, write_report

NASTY = "<script>alert('x')</script> & \"$HOME\""


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and the text of each kind of element."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._open = [], {}, []
        self.feed(text)
        assert self._open == [], "an element was left open"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and data.strip():
            self.words.setdefault(self._open[-1], []).append(data.strip())


def write(folder, **changes):
    arguments = {"title": "Moons", "summary": ["It worked.", "Here is why."], **changes}
    path = write_report(folder / "report.html", **arguments)
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8)
    return path


def test_everything_given_is_in_the_page(tmp_path, picture):
    _, page = write(
        tmp_path,
        tables=[ReportTable("Numbers", ["name", "value", "meaning"], [["W1", 0.5, "close"]], note="held out")],
        figures=[ReportFigure(picture, "the caption", "the words instead")],
        settings={"steps": 500},
        command="proxflow demo --steps 500",
    )
    assert page.words["h1"] == ["Moons"]
    assert page.words["p"] == ["It worked.", "Here is why.", "held out"]
    assert page.words["h2"] == ["Numbers", "Figures", "Settings", "Run it again"]
    assert page.words["td"] == ["0.5", "close", "500"]
    assert page.words["figcaption"] == ["the caption"]
    assert page.words["code"] == ["proxflow demo --steps 500"]
    assert re.match(r"Written by proxflow \S+", page.words["footer"][0])
    (image,) = [attributes for tag, attributes in page.elements if tag == "img"]
    assert image["alt"] == "the words instead"


def test_embedded_figures_are_the_same_bytes(tmp_path, picture):
    film = tmp_path / "film.GIF"
    film.write_bytes(b"GIF89a" + bytes(100))
    _, page = write(tmp_path, figures=[ReportFigure(picture, "", ""), ReportFigure(film, "", "")])
    sources = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    for source, kind, file in zip(sources, ("png", "gif"), (picture, film), strict=True):
        head, encoded = source.split(",", 1)
        assert head == f"data:image/{kind};base64"
        assert base64.b64decode(encoded, validate=True) == file.read_bytes()


def test_nothing_is_loaded_and_nothing_runs(tmp_path, picture):
    text, page = write(tmp_path, figures=[ReportFigure(picture, "", "")], settings={"f": "kl"}, command="x")
    assert re.search(r"https?://|//\w|@import|url\(", text.replace(picture.read_text("latin-1"), "")) is None
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "link", "iframe", "object", "embed", "a", "base", "form"})
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset"):
            assert name not in attributes or (tag == "img" and attributes[name].startswith("data:"))
    (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy


def test_dark_screens_and_small_ones_are_served(tmp_path):
    text, page = write(tmp_path)
    assert "prefers-color-scheme: dark" in text
    assert any("width=device-width" in attributes.get("content", "") for _, attributes in page.elements)


def test_every_text_is_escaped(tmp_path, picture):
    text, page = write(
        tmp_path,
        title=NASTY,
        summary=[NASTY, NASTY],
        tables=[ReportTable(NASTY, [NASTY, NASTY], [[NASTY, NASTY]], note=NASTY)],
        figures=[ReportFigure(picture, NASTY, NASTY)],
        settings={NASTY: [NASTY]},
        command=NASTY,
    )
    assert "<script" not in text
    assert "script" not in {tag for tag, _ in page.elements}
    assert text.count("&lt;script&gt;") == 15
    assert page.words["h1"] == page.words["title"] == page.words["code"] == [NASTY]
    (image,) = [attributes for tag, attributes in page.elements if tag == "img"]
    assert image["alt"] == NASTY


@pytest.mark.parametrize(
    ("value", "cell", "setting"),
    [
        (0.0123456, "0.01235", "0.0123456"),
        (123456.7, "123,457", "123456.7"),
        (np.float32(0.5), "0.5", "0.5"),
        (np.array(2.0), "2", "2.0"),
        (1234567, "1,234,567", "1234567"),
        (float("nan"), "nan", "nan"),
        (float("inf"), "inf", "inf"),
        (True, "yes", "yes"),
        (None, "none", "none"),
        ((32, 32), "32, 32", "32, 32"),
        ({"kind": "normal", "scale": 3.0}, "kind = normal, scale = 3.0", "kind = normal, scale = 3.0"),
    ],
)
def test_cells_are_rounded_and_settings_exact(tmp_path, value, cell, setting):
    table = ReportTable("T", ["name", "value"], [["x", value]])
    _, page = write(tmp_path, tables=[table], settings={"x": value})
    assert page.words["td"] == [cell, setting]


def test_columns_of_numbers_are_aligned(tmp_path):
    _, page = write(tmp_path, tables=[ReportTable("T", ["a", "b"], [["x", 1], ["y", 2.5]])])
    classes = [attributes.get("class") for tag, attributes in page.elements if tag == "td"]
    assert classes == ["number", "number"]


def test_a_figure_too_large_is_named_and_those_after_it_are_kept(tmp_path, picture):
    large = tmp_path / "large.png"
    large.write_bytes(bytes(5_000_000))
    text, page = write(
        tmp_path, figures=[ReportFigure(large, "big one", "words"), ReportFigure(picture, "small one", "")]
    )
    assert len(text) < 6_000_000
    assert sum(tag == "img" for tag, _ in page.elements) == 1
    assert "5.0 MB: see large.png" in page.words["figcaption"][0]
    assert "words" in page.words["p"]


def test_the_same_run_gives_the_same_bytes_and_no_other_file(tmp_path):
    first, _ = write(tmp_path, settings={"a": 1})
    second, _ = write(tmp_path, settings={"a": 1})
    assert first == second
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_text_that_is_not_unicode_does_not_cost_the_report(tmp_path):
    _, page = write(tmp_path, title="a\udcff.csv", summary=["Größe ‖ φ 数"])
    assert page.words["h1"] == ["a?.csv"]
    assert page.words["p"] == ["Größe ‖ φ 数"]


def test_what_cannot_be_written_is_named_and_leaves_the_old_report(tmp_path):
    write(tmp_path)
    before = (tmp_path / "report.html").read_bytes()
    for changes, words in (
        ({"summary": []}, "at least one sentence"),
        ({"tables": [ReportTable("T", ["a", "b"], [[1]])]}, "table 'T': 1 cells under 2 headings"),
        (
            {"figures": [ReportFigure(tmp_path / "none.png", "", "")]},
            "cannot read figure .*none.png: No such",
        ),
        ({"figures": [ReportFigure("figure.pdf", "", "")]}, "not '.pdf'"),
    ):
        with pytest.raises(ValueError, match=words):
            write(tmp_path, **changes)
    assert (tmp_path / "report.html").read_bytes() == before
