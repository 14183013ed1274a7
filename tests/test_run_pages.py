"""A run's page made again from its folder, and served while it goes on: by hand-made folders, and as processes."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from chromium import PROGRAM, Chromium
from command import call
from proxflow.browser import Backdrop
from proxflow.report import ReportFigure, ReportTable
from proxflow.run_pages import PageContent, exhibits_of, rebuild, standing, write_page
from proxflow.serving import Pages, server_of
from proxflow.store import RunFolder

START = np.random.default_rng(0).normal(size=(20, 2))


def run_folder(path, *, steps=10, stopped="all 10 steps taken", way=True, samples=True, command="generate"):
    """A folder as a run leaves it, whose particles go to the right."""
    folder = RunFolder.reopen(path) if Path(path, "settings.json").exists() else RunFolder.create(path)
    settings = {"proxflow": "0.1.0", "command": command, "arguments": {"data": "/there/a.csv", "label": None}}
    folder.settings(settings | ({} if stopped is None else {"stopped": stopped, "resolved": {"L": 0.5}}))
    numbers = np.linspace(1, 0.5, steps)
    if steps:
        folder.history({"value": np.where(numbers == 1, np.nan, numbers), "slope": numbers})
    if samples:
        folder.samples(START + 4, ["length", 'the "width"'])
    if way:
        backdrop = Backdrop.of(START + 4, START, ["length", 'the "width"'], rows=[f"name {i}" for i in range(20)])
        times = range(0, steps + 1, max(steps, 1))
        ways = [backdrop.places(START + 4 * time / max(steps, 1)) for time in times]
        backdrop.scene(list(times), ways, steps).write(folder.trajectory)
    return folder


def content(folder, **more):
    from proxflow.plots.style import new_figure, save_figure

    picture = save_figure(new_figure(1, 1), folder.figure_path("particles.png"))
    return PageContent(
        "20 new samples", ["Close.", "More <b>."],
        [ReportTable("Numbers", ["a", "b"], [["x", float("nan")], ["y", 2.0]])],
        [ReportFigure(picture, "caption", "words")], {"L": 0.5, "f": None}, "proxflow generate a.csv",
    )  # fmt: skip


# ---------------------------------------------------------------------- made again


def test_a_report_made_again_is_the_same_bytes(tmp_path, capsys):
    folder = run_folder(tmp_path / "run")
    before = write_page(folder, content(folder)).read_bytes()
    (folder.path / "report.html").unlink()
    code, out, err = call(capsys, "report", folder.path)
    assert (code, out, err) == (0, f"Report: {folder.path / 'report.html'}\n", "")
    assert (folder.path / "report.html").read_bytes() == before
    assert call(capsys, "report", folder.path, "--out", tmp_path / "other.html")[0] == 0
    assert (tmp_path / "other.html").read_bytes() == before
    text = before.decode()
    assert 'id="moving"' in text
    assert "name 19" in text
    assert "More &lt;b&gt;." in text
    assert '<td class="number">nan</td>' not in text  # a column with words is aligned as words
    assert ">nan<" in text


def test_a_figure_that_was_removed_is_left_out(tmp_path):
    folder = run_folder(tmp_path / "run")
    write_page(folder, content(folder))
    (folder.path / "figures/particles.png").unlink()
    assert "<img" not in rebuild(folder.path).read_text(encoding="utf-8")


def test_an_older_run_shows_its_samples(tmp_path):
    folder = run_folder(tmp_path / "run", way=False)
    text = rebuild(folder.path).read_text(encoding="utf-8")
    assert "generate a.csv" in text
    assert "Ended: all 10 steps taken." in text
    assert "All 20 samples, at 1 moment" in text
    (exhibit,) = exhibits_of(folder.path)
    assert exhibit.scene.goal.shape == (0, 2)
    assert exhibit.curves["panels"][0]["values"][0] is None  # NaN in its history


def test_a_run_of_which_nothing_moved_has_a_page_without_a_program(tmp_path):
    folder = run_folder(tmp_path / "run", way=False, samples=False, steps=0)
    assert "<script" not in rebuild(folder.path).read_text(encoding="utf-8")


def test_labelled_samples_of_an_older_run_are_shown_without_their_labels(tmp_path):
    folder = run_folder(tmp_path / "run", way=False)
    settings = json.loads((folder.path / "settings.json").read_text())
    settings["arguments"]["label"] = "kind"
    folder.settings(settings)
    folder.samples(START, ["a", "b"], label=("kind", np.array(["one", "two"] * 10)))
    (exhibit,) = exhibits_of(folder.path)
    assert exhibit.scene.words["axes"] == ["a", "b"]


def test_a_comparison_shows_all_its_methods(tmp_path):
    whole = run_folder(tmp_path / "all", way=False, samples=False, steps=0)
    for name in ("gan", "gpa"):
        run_folder(tmp_path / "all" / name)
    write_page(whole, content(whole))
    assert [exhibit.name for exhibit in exhibits_of(whole.path)] == ["gpa", "gan"]


@pytest.mark.parametrize(("harm", "words"), [
    (lambda run: shutil.rmtree(run), "no such folder"),
    (lambda run: (run / "settings.json").unlink(), "it has no settings.json"),
    (lambda run: (run / "settings.json").write_text("{}"), "settings.json is of something else"),
    (lambda run: (run / "settings.json").write_text("{"), "not JSON"),
    (lambda run: (run / "trajectory.npz").write_bytes(b"PK"), "trajectory.npz: damaged"),
    (lambda run: (run / "history.csv").write_text("step,value\n1,x\n"), "history.csv: damaged"),
    (lambda run: (run / "history.csv").write_bytes(b"\xff\xfe\n1"), "history.csv: damaged"),
    (lambda run: (run / "page.json").write_text('{"title": 1}'), "page.json: damaged"),
    (lambda run: (run / "page.json").write_text('[1]'), "page.json: damaged"),
    (lambda run: (run / "report.html").mkdir(), "it is a folder"),
])  # fmt: skip
def test_what_is_no_run_or_damaged_is_one_line(tmp_path, capsys, harm, words):
    folder = run_folder(tmp_path / "run")
    write_page(folder, content(folder))
    (folder.path / "report.html").unlink()
    harm(folder.path)
    code, out, err = call(capsys, "report", folder.path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_a_report_of_augment_is_made_by_augment(tmp_path, capsys):
    run_folder(tmp_path / "run", command="augment")
    assert "proxflow rerun" in call(capsys, "report", tmp_path / "run")[2]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_line_and_another_place_works(tmp_path, capsys):
    folder = run_folder(tmp_path / "run")
    folder.path.chmod(0o500)
    try:
        code, _, err = call(capsys, "report", folder.path)
        assert (code, err.count("\n")) == (2, 1)
        assert call(capsys, "report", folder.path, "--out", tmp_path / "out.html")[0] == 0
    finally:
        folder.path.chmod(0o700)


@pytest.mark.parametrize(("stopped", "checkpoint", "ended", "said"), [
    (None, True, False, "Under way: step 10, divergence 0.5."), ("all 10 steps taken", True, False, "being judged"),
    ("all 10 steps taken", False, True, "Ended: all 10 steps taken."),
    ("interrupted", True, True, "Ended: interrupted."),
    ("non-finite numbers at step 3", True, True, "Ended: non-finite"),
])  # fmt: skip
def test_how_a_run_stands(tmp_path, stopped, checkpoint, ended, said):
    folder = run_folder(tmp_path / "run", stopped=stopped)
    if checkpoint:
        folder.checkpoint.write_bytes(b"")
    found = standing(folder.path)
    assert found.ended == ended
    assert said in found.said


def test_a_run_that_goes_on_again_is_not_told_by_its_old_page(tmp_path):
    folder = run_folder(tmp_path / "run")
    write_page(folder, content(folder))
    run_folder(folder.path, stopped=None)
    text = rebuild(folder.path).read_text(encoding="utf-8")
    assert "Under way: step 10" in text
    assert "20 new samples" not in text


# ---------------------------------------------------------------------- served


@pytest.fixture
def served(tmp_path):
    """A server of tmp_path/run, and a function that asks it."""
    server = server_of(tmp_path / "run")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()

    def ask(path="/", host=None, method="GET"):
        line = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        line.putrequest(method, path, skip_host=True)
        if host != "":
            line.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        line.endheaders()
        answer = line.getresponse()
        found = answer.status, answer.read().decode()
        line.close()
        return found

    yield server, ask
    server.shutdown()
    server.server_close()
    thread.join()


def test_only_the_page_is_served_and_only_to_this_machine(tmp_path, served):
    server, ask = served
    run_folder(tmp_path / "run")
    assert server.server_address[0] == "127.0.0.1"
    assert ask()[0] == 200
    assert ask(host=f"localhost:{server.server_port}")[0] == 200
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1", "", "localhost:1"):
        assert ask(host=host)[0] == 403
    for path in ("/settings.json", "/../run/settings.json", "//etc/passwd", "/%2e%2e/x", "/news/"):
        assert ask(path)[0] == 404
    assert ask(method="POST")[0] == 501


def test_news_come_once_and_an_end_asks_for_the_whole_page(tmp_path, served):
    _, ask = served
    status, text = ask()
    assert status == 200
    assert "holds no run yet: waiting for it." in text
    assert json.loads(ask("/news?mark=waiting:")[1])["mark"] == "waiting:"
    run_folder(tmp_path / "run", stopped=None)
    news = json.loads(ask("/news?mark=waiting:")[1])
    assert news["whole"]
    mark = news["mark"]
    assert "connect-src 'self'" in ask()[1]
    assert "exhibits" not in json.loads(ask(f"/news?mark={mark.replace(' ', '+')}")[1])
    os.utime(tmp_path / "run/trajectory.npz", (time.time() + 5, time.time() + 5))
    news = json.loads(ask(f"/news?mark={mark.replace(' ', '+')}")[1])
    assert news["exhibits"][0]["scene"]["note"].startswith("All 20 particles")
    assert news["said"] == "Under way: step 10, divergence 0.5."
    run_folder(tmp_path / "run")
    assert json.loads(ask(f"/news?mark={mark.replace(' ', '+')}")[1])["whole"]
    assert "Ended: all 10 steps taken." in ask()[1]


def test_a_folder_that_is_damaged_while_it_is_served_says_so(tmp_path, served):
    _, ask = served
    run_folder(tmp_path / "run", stopped=None)
    mark = json.loads(ask("/news?mark=x:")[1])["mark"]
    (tmp_path / "run/trajectory.npz").write_bytes(b"PK")
    assert "damaged" in ask()[1]
    os.utime(tmp_path / "run/trajectory.npz", (1e10, 1e10))
    assert "damaged" in json.loads(ask(f"/news?mark={mark.replace(' ', '+')}")[1])["said"]
    (tmp_path / "run/settings.json").write_text("{}")
    assert "of something else" in ask()[1]
    assert ask("/news?mark=a:")[0] == 200
    shutil.rmtree(tmp_path / "run")
    assert [ask(path)[0] for path in ("/", "/news?mark=a:")] == [200, 200]


def test_silence_is_told(tmp_path):
    folder = run_folder(tmp_path / "run", stopped=None)
    for file in folder.path.iterdir():
        os.utime(file, (time.time() - 200, time.time() - 200))
    assert "Nothing new for 3 minutes: if it was killed, proxflow resume" in Pages(folder.path).standing()


def test_a_page_that_is_open_follows_the_run_and_keeps_its_moment(tmp_path, served, monkeypatch):
    if PROGRAM is None:
        pytest.skip("no chromium on this machine")
    server, _ = served
    monkeypatch.setattr("proxflow.serving._SECONDS", 0.05)
    browser = Chromium(tmp_path / "browser")
    try:
        browser.open(server.address)
        browser.until("document.querySelector('.verdict').textContent.includes('no run yet')")
        folder = run_folder(tmp_path / "run", stopped=None)
        moment = "document.querySelector('#moving .time output')?.textContent"
        browser.until(f"{moment} === 'step 10'")
        run_folder(tmp_path / "run", stopped=None, steps=20)
        browser.until(f"{moment} === 'step 20'")  # at the end one stays at the end
        browser.value("proxflow.player.seek(0.25); proxflow.player.camera.zoomAt(2, 50, 50)")
        run_folder(tmp_path / "run", stopped=None, steps=40)
        browser.until("proxflow.player.scene.times[1] === 40")
        assert browser.value(moment) == "step 5"
        assert browser.value("proxflow.player.camera.zoom") == 2
        folder.settings({"proxflow": "0.1.0", "command": "generate", "stopped": "all 40 steps taken"})
        browser.until("document.querySelector('.verdict')?.textContent === 'Ended: all 40 steps taken.'")
        assert browser.value(moment) == "step 5"
        assert [event for event in browser.complaints() if event["method"] != "Network.loadingFailed"] == []
    finally:
        browser.close()


def test_serving_as_a_process_ends_with_one_line(tmp_path):
    folder = run_folder(tmp_path / "run")
    started = subprocess.Popen(
        [sys.executable, "-m", "proxflow", "serve", "run"], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    line = started.stdout.readline()
    assert line.startswith("run at http://127.0.0.1:"), started.communicate()
    assert started.stdout.readline() == "  Ended: all 10 steps taken.\n"
    port = int(line.split(":")[2].split("/")[0])
    other = subprocess.run(
        [sys.executable, "-m", "proxflow", "serve", folder.path, "--port", str(port)], capture_output=True, text=True
    )
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)
    assert f"port {port} is in use" in other.stderr
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=30)
    assert (started.returncode, err) == (0, "proxflow: no longer served; the run itself goes on\n")


@pytest.mark.parametrize(("arguments", "words"), [
    (["file.txt"], "a file, not a run's folder"), (["other"], "it has no settings.json"),
    (["run", "--port", "70000"], "--port must be 0 to 65535"),
])  # fmt: skip
def test_what_cannot_be_served_is_one_line(tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    Path("file.txt").write_text("x")
    Path("other").mkdir()
    Path("other/thing").write_text("x")
    run_folder("run")
    code, _, err = call(capsys, "serve", *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert words in err
    assert socket.gethostbyname("127.0.0.1")  # nothing was left bound: the process goes on
