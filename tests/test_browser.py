"""The moving part of a report, in a real browser: what it shows, what it does, and that it asks for nothing.

One browser for the whole module; it is skipped where there is no Chromium.
"""

import base64
import json
import re

import numpy as np
import pytest

from chromium import PROGRAM, Chromium
from proxflow.browser import Backdrop, Exhibit, Moving, Scene
from proxflow.browser.curves import curves
from proxflow.browser.scene import few_rows
from proxflow.report import ReportFigure, ReportTable, write_report

RNG = np.random.default_rng(0)
NASTY = "</script><img src=x onerror=alert(1)>"
GOAL = RNG.uniform(-1, 1, size=(30, 2)) + 4
START = RNG.uniform(-1, 1, size=(20, 2))


def scene(width=2, moments=5, count=20, **words):
    """Particles that go straight from around 0 to around 4 in the first column."""
    start, goal = RNG.normal(size=(count, width)), RNG.normal(size=(30, width)) + 4
    ways = [start + 4 * share for share in np.linspace(0, 1, moments)]
    backdrop = Backdrop.of(goal, start, [f'"{axis}" <b>' for axis in range(width)], **words)
    return backdrop.scene(
        [10 * step for step in range(moments)], [backdrop.places(w) for w in ways], 10 * (moments - 1)
    )


def history(steps=41):
    values = np.exp(-np.arange(steps) / 10)
    return {"value": np.where(np.arange(steps) == 20, np.nan, values), "slope": np.full(steps, np.inf)}


def page(folder, exhibits, name="page.html", **more):
    path = write_report(folder / name, title="A run", summary=["It went well."], moving=Moving(exhibits), **more)
    return f"file://{path}"


# ---------------------------------------------------------------------- what is in the file


def test_places_come_back_to_a_three_thousandth_of_the_frame():
    ways = [START, START + 1e-3, START + 4]
    backdrop = Backdrop.of(GOAL, START)
    found = backdrop.scene([0, 1, 2], [backdrop.places(way) for way in ways])
    low, high = np.array(found.words["box"]).T
    back = low + (found.places.astype(float) + 32767) / 65534 * (high - low)
    np.testing.assert_allclose(back, ways, atol=np.ptp(backdrop.view.limits, axis=1).max() / 3000)


def test_a_scene_is_what_was_written(tmp_path):
    first = scene(3, rows=[NASTY] * 20, labels=list("ab" * 10), goal_labels=list("bbc" * 10))
    first.write(tmp_path / "trajectory.npz")
    again = Scene.read(tmp_path / "trajectory.npz")
    assert again.payload() == first.payload()
    assert again.words["classes"] == ["a", "b", "c"]


@pytest.mark.parametrize("harm", ["cut", "text", "shape", "words", "another kind"])
def test_a_damaged_trajectory_is_one_line(tmp_path, harm):
    file = tmp_path / "trajectory.npz"
    found = scene()
    if harm == "shape":
        found = Scene(found.times[:1], found.places, found.goal, found.codes, found.goal_codes, found.words)
    if harm == "words":
        found = Scene(found.times, found.places, found.goal, found.codes, found.goal_codes, {"axes": 3})
    found.write(file)
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-300])
    if harm == "text":
        file.write_text("no")
    if harm == "another kind":
        from proxflow.arrays import write_arrays

        write_arrays(file, "flow", 1, {}, {})
    with pytest.raises(ValueError, match=r"trajectory\.npz: (damaged|a flow)") as problem:
        Scene.read(file)
    assert "\n" not in str(problem.value)


def test_lost_particles_are_marked_and_told():
    ways = [START.copy(), START + 4]
    ways[1][3] = np.nan
    ways[1][4] = 1e9
    backdrop = Backdrop.of(np.vstack([GOAL, [[np.nan, 0]]]), START)
    found = backdrop.scene([0, 1], [backdrop.places(way) for way in ways])
    assert np.flatnonzero((found.places[1] == -32768).all(axis=1)).tolist() == [3, 4]
    assert "up to 2 particles lost or far outside" in found.note
    assert "1 target point far outside" in found.note


@pytest.mark.parametrize(("target", "first", "words"), [
    (np.full((3, 2), np.nan), START, "target: no finite row"),
    (GOAL, np.full((3, 2), np.inf), "first cloud: no finite"),
    (GOAL, START[:, :1], "1 features over a target of 2"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_named(target, first, words):
    with pytest.raises(ValueError, match=words):
        Backdrop.of(target, first)


def test_a_large_run_is_thinned_and_stays_small(tmp_path):
    goal = RNG.normal(size=(600, 784))
    few = few_rows(50_000, 510)
    assert len(few) == 510
    assert (few[0], few[-1]) == (0, 49_999)
    backdrop = Backdrop.of(goal, goal[:510] + 1, total=(50_000, 4000),
                           goal_rows=["a name that is far too long for a page " * 9] * 600)  # fmt: skip
    ways = [backdrop.places(goal[:510] + 1 - step / 80) for step in range(80)]
    found = backdrop.scene(list(range(80)), ways, 10_000)
    assert found.note == ("510 of 50,000 particles and 600 of 4,000 target points, at 60 moments of 10,000 steps.")
    drawn = curves({name: RNG.normal(size=10_000) for name in ("value", "fisher", "slope", "step_size")})
    written = page(tmp_path, [Exhibit(name, found, drawn) for name in ("gpa", "proximal", "gan")])
    assert (tmp_path / "page.html").stat().st_size < 6_000_000
    assert written.endswith("page.html")


def test_the_largest_scene_of_all_leaves_room_for_pictures(tmp_path):
    start = RNG.normal(size=(2000, 3))
    backdrop = Backdrop.of(start, start, rows=["n" * 60] * 2000, goal_rows=["n" * 60] * 2000)
    found = backdrop.scene(list(range(200)), [backdrop.places(start)] * 200, 200)
    page(tmp_path, [Exhibit(name, found) for name in ("gpa", "proximal", "gan")])
    assert (tmp_path / "page.html").stat().st_size < 5_000_000


def test_nothing_can_end_the_data_and_the_policy_allows_one_program(tmp_path):
    found = scene(rows=[NASTY] * 20, labels=[NASTY] * 20, goal_labels=[NASTY] * 30)
    page(tmp_path, [Exhibit(NASTY, found, curves(history()))])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("</script") == 2
    assert "<img" not in text
    assert re.search(r"https?://(?!www\.w3\.org/2000/svg)", text) is None
    assert len(re.findall(r"script-src 'sha256-[\w+/=]{44}'", text)) == 1
    assert "connect-src" not in text
    data = re.search(r'<script type="application/json" id="exhibits">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(data)["exhibits"][0]["name"] == NASTY


def test_a_page_without_ways_has_no_program(tmp_path):
    page(tmp_path, [])
    assert "<script" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_curves_know_gaps_and_say_where_they_are():
    found = curves({"value": [3.0, np.nan, 1.0], "noise": [1, 2, 3], "slope": [np.inf] * 3}, lipschitz=2.0)
    assert [panel["title"] for panel in found["panels"]] == ["divergence", "largest slope"]
    assert found["panels"][0]["values"] == [3.0, None, 1.0]
    assert found["panels"][1] == {"title": "largest slope", "values": [None] * 3, "bound": 2.0}
    assert curves({}) is None
    long = curves({"value": np.arange(5000.0)})
    assert (long["steps"][0], long["steps"][-1], len(long["steps"])) == (0, 4999, 800)


# ---------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("no chromium on this machine")
    found = Chromium(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    """A page in the plane with everything on it; written once, for tests do not change it."""
    folder = tmp_path_factory.mktemp("plane")
    from proxflow.plots.style import new_figure, save_figure

    picture = save_figure(new_figure(2, 1), folder / "picture.png")
    found = scene(rows=[f"{NASTY} {i}" for i in range(20)], labels=["one & <b>", "two"] * 10, goal_labels=["two"] * 30)
    return page(
        folder, [Exhibit("gpa", found, curves(history(), lipschitz=1.0))],
        tables=[ReportTable("Numbers", ["what", "value"], [["W2", 0.5]])],
        figures=[ReportFigure(picture, "The same, still.", "A picture")],
    )  # fmt: skip


def ink(browser):
    """How much of the canvas each of a few colours covers: the sum of its opacities."""
    return browser.value("""(() => {
        const canvas = document.querySelector("#moving canvas");
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let sum = 0;
        for (let i = 0; i < data.length; i += 4) sum = (sum * 31 + data[i] + 7 * data[i + 1] + 3 * data[i + 3]) % 1e9;
        return sum; })()""")


def seek(browser, share):
    browser.value(f"""(() => {{ const slider = document.querySelector("#moving input");
        slider.value = {share} * slider.max; slider.dispatchEvent(new Event("input")); }})()""")
    browser.painted()


def places(browser):
    return np.array(browser.value("proxflow.player.dots.filter((d) => !d.goal).map((d) => [d.index, d.x, d.y])"))


def spot(browser, index):
    """Where a particle is in the window."""
    return browser.value(f"""(() => {{ const box = document.querySelector("#moving canvas").getBoundingClientRect();
        const dot = proxflow.where({index}); return [box.left + dot.x, box.top + dot.y]; }})()""")


def text_of(browser, selector):
    return browser.value(f"document.querySelector({json.dumps(selector)}).textContent")


def test_it_loads_in_silence_and_asks_for_nothing(browser, plane):
    browser.open(plane)
    browser.painted()
    assert browser.complaints() == []
    assert [address for address in browser.requests() if not address.startswith("data:")] == [plane]
    assert not browser.value("document.getElementById('moving').hidden")
    assert text_of(browser, "#moving .time output") == "step 40"
    assert text_of(browser, "#moving .note").startswith(
        "All 20 particles and 30 target points, at 5 moments of 40 steps."
    )


def test_the_slider_moves_the_points_and_the_cursor(browser, plane):
    browser.open(plane)
    browser.painted()
    after, end = ink(browser), places(browser)
    seek(browser, 0)
    before, start = ink(browser), places(browser)
    assert before != after
    assert (end[:, 1] - start[:, 1]).min() > 50  # to the right
    assert (start[:, 2] - end[:, 2]).min() > 20  # and up
    assert text_of(browser, "#moving .time output") == "step 0"
    seek(browser, 0.125)  # half-way between the first moments
    np.testing.assert_allclose(places(browser)[:, 1:], start[:, 1:] + (end - start)[:, 1:] / 8, atol=0.1)
    assert text_of(browser, "#moving .time output") == "step 5"
    assert float(browser.value("document.querySelector('.cursor').getAttribute('x1')")) == pytest.approx(125)
    assert text_of(browser, "#moving .panel output") == f"{np.exp(-0.5):.4g}"
    seek(browser, 0.5)
    assert text_of(browser, "#moving .panel output") == "–"  # there the number was none


def test_clicking_a_curve_moves_the_slider(browser, plane):
    browser.open(plane)
    left, top, width, height = browser.value(
        "(() => { const b = document.querySelector('#moving .field'); b.scrollIntoView();"
        " const r = b.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
    )
    browser.press(left + width / 4, top + height / 2)
    browser.painted()
    assert text_of(browser, "#moving .time output") == "step 10"


def test_pointing_names_the_row_its_class_and_its_place(browser, plane):
    browser.open(plane)
    browser.painted()
    browser.mouse("Moved", *spot(browser, 7))
    browser.painted()
    assert not browser.value("document.querySelector('#moving .tip').hidden")
    lines = browser.value("[...document.querySelectorAll('#moving .tip > *')].map((line) => line.textContent)")
    assert lines[:2] == [f"{NASTY} 7", "two"]
    assert lines[2].startswith('"0" <b>  ')
    browser.mouse("Moved", 2, 2)
    browser.painted()
    assert browser.value("document.querySelector('#moving .tip').hidden")
    assert browser.complaints() == []


def test_playing_goes_to_the_end_and_stops(browser, plane):
    browser.open(plane)
    seek(browser, 0.97)
    browser.value("document.querySelector('#moving .play').click()")
    assert text_of(browser, "#moving .time output") != "step 40"
    assert browser.value("document.querySelector('#moving .play').getAttribute('aria-label')") == "Pause"
    browser.until("document.querySelector('#moving .time output').textContent === 'step 40'")
    browser.until("document.querySelector('#moving .play').getAttribute('aria-label') === 'Play'")


def test_zoom_pan_and_the_whole_view_again(browser, plane):
    browser.open(plane)
    browser.painted()
    first = places(browser)
    x, y = spot(browser, 0)
    browser.value("proxflow.player.camera.zoomAt(2, 0, 0); proxflow.player.redraw()")
    browser.painted()
    near = places(browser)
    for index, across, down in near:
        was = first[first[:, 0] == index][0]
        np.testing.assert_allclose([across, down], 2 * was[1:], atol=0.01)
    browser.drag(x, y, 30, -20)
    browser.painted()
    moved = {int(row[0]): row[1:] for row in places(browser)}
    for index, across, down in near:
        if int(index) in moved:
            np.testing.assert_allclose(moved[int(index)], [across + 30, down - 20], atol=0.01)
    browser.value("document.querySelector('[data-zoom=reset]').click()")
    browser.painted()
    np.testing.assert_allclose(places(browser), first)


def test_the_legend_hides_what_is_clicked(browser, plane):
    browser.open(plane)
    browser.painted()
    names = browser.value("[...document.querySelectorAll('#moving .legend button')].map((one) => one.textContent)")
    assert names == ["target", "particles", "one & <b>", "two"]
    browser.value("document.querySelectorAll('#moving .legend button')[2].click()")
    browser.painted()
    assert set(places(browser)[:, 0] % 2) == {1}


def test_light_and_dark_by_taste_and_by_the_switch(browser, plane):
    paper = "getComputedStyle(document.body).backgroundColor"
    browser.open(plane)
    browser.value("localStorage.clear()")
    browser.open(plane)
    browser.painted()
    light, bright = browser.value(paper), ink(browser)
    browser.look(dark=True)
    browser.painted()
    assert browser.value(paper) == "rgb(20, 24, 29)" != light
    assert ink(browser) != bright
    browser.value("document.getElementById('theme').click()")
    assert browser.value(paper) == light
    assert text_of(browser, "#theme") == "Dark"
    browser.open(plane, dark=True)  # remembered
    assert browser.value(paper) == light
    browser.value("localStorage.clear()")


def test_without_a_program_there_are_words_and_pictures(browser, plane):
    browser.open(plane, scripts=False)
    assert browser.value("document.getElementById('moving').getBoundingClientRect().height") == 0
    assert browser.value("document.getElementById('theme').getBoundingClientRect().height") == 0
    assert browser.value("document.querySelector('figure img').naturalWidth") == 300
    assert text_of(browser, "td") == "0.5"


def test_in_space_dragging_turns(browser, tmp_path):
    browser.open(page(tmp_path, [Exhibit("gpa", scene(3), None)]))
    browser.painted()
    first = places(browser)
    box = "document.querySelector('#moving canvas').getBoundingClientRect()"
    x, y = browser.value(f"[{box}.left + 40, {box}.top + 60]")
    browser.drag(x, y, 100, 0)
    browser.painted()
    second = places(browser)
    order = [np.argsort(cloud[:, 0]) for cloud in (first, second)]
    change = second[order[1]][:, 1:] - first[order[0]][:, 1:]
    assert np.abs(change[:, 0]).max() > 20
    assert browser.complaints() == []


def test_several_methods_one_column_and_one_moment(browser, tmp_path):
    still = scene(1, moments=1)
    flow = scene(5, unit="% of the way", rows=None)
    exhibits = [Exhibit("gpa", still, curves(history())), Exhibit("proximal", flow, curves(history(), trained=True))]
    browser.open(page(tmp_path, exhibits), width=400)
    browser.painted()
    assert browser.value("getComputedStyle(document.querySelector('#moving .time')).display") == "none"
    assert len(places(browser)) == 20
    browser.mouse("Moved", *spot(browser, 3))
    browser.painted()
    assert text_of(browser, "#moving .tip b") == "particle 3"
    browser.value("document.querySelectorAll('#moving .tabs button')[1].click()")
    browser.painted()
    assert text_of(browser, "#moving .time output") == "40 % of the way"
    assert text_of(browser, "#moving .note").startswith("PCA view: ")
    assert browser.value("document.querySelectorAll('#moving .linked').length") == 0  # its curves are of the training
    assert browser.value("document.documentElement.scrollWidth") <= 400
    assert browser.complaints() == []


def test_screenshots_are_not_blank(browser, plane):
    browser.open(plane)
    browser.painted()
    picture = browser.screenshot()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(base64.b64encode(picture)) > 20_000
