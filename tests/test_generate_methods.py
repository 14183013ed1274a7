"""`proxflow generate --method ...`: particles, a trained flow and a generator behind one interface, or side by side."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from command import call
from proxflow import cli, plots
from proxflow.contest import CRITERIA, Contest, Entry
from proxflow.run_pages import exhibits_of

# Every run shares these, so that a process compiles each method once.
QUICK = ["--steps", "4", "--width", "8", "--depth", "2", "--updates", "1", "--no-trial"]
PLAIN = [*QUICK, "--no-pictures"]


def write_tables(folder: Path) -> None:
    rng = np.random.default_rng(0)
    pd.DataFrame(rng.normal(size=(40, 2)), columns=["age", "height"]).to_csv(folder / "a.csv", index=False)
    pd.DataFrame(rng.normal(size=(40, 2)) + 3, columns=["height", "age"]).to_csv(folder / "b.csv", index=False)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tables(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """One comparison of all methods, pictures and all; the folder it was made in, and what was printed."""
    folder = tmp_path_factory.mktemp("compared")
    write_tables(folder)
    words = ["generate", "a.csv", "--method", "gpa,proximal,gan", "--test", "b.csv", "--keep-flow", "9", "--out", "all"]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["proxflow", *words, *QUICK])
        with pytest.raises(SystemExit) as end:
            cli.main()
    assert not end.value.code
    return folder, said.getvalue()


@pytest.fixture
def again(compared, tmp_path, monkeypatch):
    """The same folder, to be changed."""
    shutil.copytree(compared[0], tmp_path, dirs_exist_ok=True)
    # Tables are named by where they are.
    for file in tmp_path.rglob("settings.json"):
        file.write_text(file.read_text().replace(str(compared[0]), str(tmp_path)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: str) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file()}


WRITTEN = {"settings.json", "samples.csv", "history.csv", "result.json", "report.html", "flow.npz"}
WRITTEN |= {"trajectory.npz", "page.json"}
DRAWN = {f"figures/{name}" for name in ("particles.png", "particles.gif", "training_curves.png", "novelty.png")}


def test_a_proximal_run_says_how_it_ended_and_carries_further_points(again, capsys):
    assert files("all/proximal") == WRITTEN | DRAWN | {"figures/paths.png"}
    result = json.loads(Path("all/proximal/result.json").read_text())
    assert result["optimality"]["kinetic"] >= 0
    assert result["health"]["stopped"] == ""
    assert {"kinetic", "bending"} <= set(pd.read_csv("all/proximal/history.csv").columns)
    page = Path("all/proximal/report.html").read_text()
    assert "How near to optimal the flow is" in page
    assert "straightness" in page
    assert "come near" in page
    assert call(capsys, "replay", "all/proximal", "b.csv", "--out", "moved.npy")[0] == 0
    from proxflow import ProximalFlow

    expected = ProximalFlow.load("all/proximal/flow.npz").transform(pd.read_csv("b.csv")[["age", "height"]])
    np.testing.assert_array_equal(np.load("moved.npy"), expected)


def test_a_gan_run_makes_further_samples_but_carries_no_points(again, capsys):
    assert files("all/gan") == WRITTEN | DRAWN
    code, out, _ = call(capsys, "replay", "all/gan", "-n", "7", "--out", "new.csv")
    assert (code, out) == (0, "7 points of 2 features: new.csv\n")
    code, _, err = call(capsys, "replay", "all/gan", "b.csv", "--out", "moved.csv")
    assert (code, err.count("\n")) == (2, 1)
    assert "carries no points" in err


def test_transport_by_a_trained_flow_keeps_rows(here, capsys):
    arguments = ["--source", "a.csv", "--target", "b.csv", "--method", "proximal", "--out", "o"]
    code, out, err = call(capsys, "transport", *arguments, *PLAIN)
    assert (code, err) == (0, "")
    assert "Rows moved by" in out
    moved = pd.read_csv("o/samples.csv")
    assert list(moved.columns) == ["height", "age"]
    source = pd.read_csv("a.csv")[["height", "age"]]
    # Nearly a shift of the whole cloud: who was left of whom still is.
    assert np.corrcoef(moved["height"], source["height"])[0, 1] > 0.8


def test_several_methods_are_compared(compared):
    folder, out = compared
    assert "W2 ratio" in out
    assert "Closest to held-out samples:" in out
    assert "Trained soundly" in out or "Modes are missing" in out
    assert "Paths are" in out
    found = json.loads((folder / "all/comparison.json").read_text())
    assert list(found["methods"]) == ["gpa", "proximal", "gan"]
    for numbers in found["methods"].values():
        assert all(numbers[criterion.key] is not None for criterion in CRITERIA)
    assert set(found["winners"]["closeness"]) <= {"gpa", "proximal", "gan"}
    page = (folder / "all/report.html").read_text()
    assert [exhibit.name for exhibit in exhibits_of(folder / "all")] == ["gpa", "proximal", "gan"]
    assert 'id="moving"' in page
    assert "The methods side by side" in page
    assert "Who is best at what" in page
    assert (folder / "all/figures/methods.png").exists()


def test_a_comparison_is_resumed_and_its_runs_are_ordinary_ones(again, capsys):
    assert call(capsys, "resume", "all")[1] == "all is finished: there is nothing to resume.\n"
    # As after a kill while the last method ran: the others are not run again.
    settings = json.loads(Path("all/settings.json").read_text())
    del settings["stopped"]
    Path("all/settings.json").write_text(json.dumps(settings))
    samples = Path("all/gan/samples.csv").read_bytes()
    before = Path("all/proximal/samples.csv").stat().st_mtime_ns
    shutil.rmtree("all/gan")
    assert call(capsys, "resume", "all")[0] == 0
    assert Path("all/proximal/samples.csv").stat().st_mtime_ns == before
    assert Path("all/gan/samples.csv").read_bytes() == samples
    # Alone, this method makes the same.
    arguments = ["--method", "proximal", "--out", "alone"]
    assert call(capsys, "generate", "a.csv", *arguments, *PLAIN)[0] == 0
    assert Path("alone/samples.csv").read_bytes() == Path("all/proximal/samples.csv").read_bytes()


@pytest.mark.parametrize("method", ["proximal", "gan"])
def test_an_interrupted_training_goes_on_to_the_same_bits(here, capsys, monkeypatch, method):
    arguments = ["generate", "a.csv", "--method", method, *PLAIN]
    assert call(capsys, *arguments, "--out", "whole")[0] == 0

    def interrupt(_self, run):
        if run.step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("proxflow.runs._Preview.__call__", interrupt)
        code, _, err = call(capsys, *arguments, "--out", "o")
    assert code == 2
    assert "interrupted after step 2" in err
    assert "proxflow resume o goes on" in err
    assert len(pd.read_csv("o/samples.csv")) == 40
    assert call(capsys, "resume", "o")[0] == 0
    assert Path("o/samples.csv").read_bytes() == Path("whole/samples.csv").read_bytes()
    assert not list(Path("o").glob("checkpoint*"))


def test_all_checkpoints_of_several_blocks_are_removed(here, capsys):
    arguments = ["--method", "proximal", "--blocks", "2", "--kinetic-weight", "0.1", "--out", "o"]
    assert call(capsys, "generate", "a.csv", *arguments, *PLAIN)[0] == 0
    assert files("o") == {"settings.json", "samples.csv", "history.csv", "result.json", "trajectory.npz"}
    assert len(pd.read_csv("o/history.csv")) == 8


def test_a_training_that_diverges_is_saved_and_told_and_does_not_stop_the_others(here, capsys, monkeypatch):
    def broken(_self, run):
        return "diverged by step 1: of this test" if run.step else None

    monkeypatch.setattr("proxflow.health.Watch.__call__", broken)
    code, out, err = call(capsys, "generate", "a.csv", "--method", "gpa,proximal", "--out", "o", *PLAIN)
    assert code == 2
    assert err.count("\n") == 1
    assert "diverged by step 1" in err
    assert "--learning-rate" in err
    assert "Compared: gpa" in out
    assert len(pd.read_csv("o/proximal/samples.csv")) == 40
    found = json.loads(Path("o/comparison.json").read_text())
    assert list(found["methods"]) == ["gpa"]
    assert list(found["failed"]) == ["proximal"]


def test_settings_from_before_the_integrator_had_its_name_rerun(here, capsys):
    assert call(capsys, "generate", "a.csv", "--integrator", "heun", "--out", "one", *PLAIN)[0] == 0
    settings = json.loads(Path("one/settings.json").read_text())
    arguments = settings["arguments"]
    arguments["method"] = arguments.pop("integrator")
    Path("one/settings.json").write_text(json.dumps(settings))
    assert call(capsys, "rerun", "one", "--out", "two")[0] == 0
    assert Path("one/samples.csv").read_bytes() == Path("two/samples.csv").read_bytes()
    assert json.loads(Path("two/settings.json").read_text())["resolved"]["method"] == "heun"
    assert "finished" in call(capsys, "resume", "one")[1]


BAD = {
    "no such method": (["generate", "a.csv", "--method", "vae"], "choose gpa, proximal or gan"),
    "the old name": (["generate", "a.csv", "--method", "heun"], "--integrator"),
    "no integrator": (["generate", "a.csv", "--integrator", "rk9"], "heun"),
    "a gan is no map": (["transport", "--source", "a.csv", "--target", "b.csv", "--method", "gan"], "carries none"),
    "one map": (["transport", "--source", "a.csv", "--target", "b.csv", "--method", "gpa,proximal"], "one --method"),
    "blocks of particles": (["generate", "a.csv", "--blocks", "2"], "--blocks is an option of --method proximal"),
    "particles of a gan": (["generate", "a.csv", "--method", "gan", "--smoothing", "0"], "--smoothing is an option of"),
    "a generator of none": (["generate", "a.csv", "--method", "gpa,proximal", "--generator", "dense"], "--generator"),
    "labels": (["generate", "a.csv", "--method", "gpa,gan", "--label", "age"], "--label is an option of --method gpa"),
    "a stream": (["generate", "a.csv", "--method", "proximal", "--stream"], "--stream is an option of --method gpa"),
    "form": (["generate", "a.csv", "--method", "proximal", "--form", "x"], "potential"),
    "network": (["generate", "a.csv", "--method", "proximal", "--network", "x"], "dense"),
    "generator": (["generate", "a.csv", "--method", "gan", "--generator", "x"], "dense"),
    "one of several": (["generate", "a.csv", "--method", "gpa,gan", "--steps", "0"], "steps"),
    "scaling": (["generate", "a.csv", "--method", "proximal", "--scaling", "x"], "columns"),
    "bounds": (["generate", "a.csv", "--method", "gan", "--bounds", "2,1"], "low < high"),
    "exact": (["generate", "a.csv", "--method", "gan", "--gamma", "exact"], "exact"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_choices_are_one_line_before_anything_is_written(here, capsys, case):
    arguments, words = BAD[case]
    before = sorted(p.name for p in here.iterdir())
    code, out, err = call(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert sorted(p.name for p in here.iterdir()) == before


# ---------------------------------------------------------------------- who wins


def entry(method: str, **changes) -> Entry:
    judgement = {"closeness": 1.0, "near_copies": 0.05, "coverage": 0.9, "coverage_real": 0.9, "spread": 1, "energy": 1}
    result = {"judgement": judgement | changes, "seconds": 3.0, "fresh_seconds": 1.0, "steps": 5, "settings": {}}
    return Entry(method, result, np.zeros((3, 2)))


def winners(key: str, **values: float) -> list[str]:
    contest = Contest(tuple(entry(method, **{key: value}) for method, value in values.items()), {})
    return contest.to_dict()["winners"][key]


def test_each_column_has_its_own_idea_of_best():
    assert winners("closeness", gpa=1.2, gan=1.5) == ["gpa"]
    assert winners("closeness", gpa=0.8, gan=1.01) == ["gpa", "gan"]  # nothing is closer than real samples
    assert winners("near_copies", gpa=0.4, gan=0.02) == ["gan"]
    assert winners("coverage", gpa=0.5, gan=0.9) == ["gan"]
    assert winners("spread", gpa=2.0, proximal=0.9, gan=0.5) == ["proximal"]  # half is as far off as twice
    assert winners("energy", gpa=0.1, gan=0.2) == ["gpa"]


def test_the_verdict_warns_of_copiers_and_of_what_is_left_out():
    said = Contest((entry("gpa", near_copies=0.5), entry("gan", closeness=1.4, coverage=0.3)), {}).sentences()
    assert said[0] == "Closest to held-out samples: gpa (W2 ratio 1)."
    assert any(s.startswith("gpa nearly copies: 50%") for s in said)
    assert any(s.startswith("gan leaves something out") for s in said)


def test_without_a_judgement_nobody_is_best():
    unjudged = [Entry(m, {"judgement": None, "seconds": 1.0, "settings": {}}, np.zeros((3, 2))) for m in ("gpa", "gan")]
    contest = Contest(tuple(unjudged), {"proximal": "it broke."})
    assert contest.sentences() == [
        "Not judged: give --test, or leave --no-trial out, to say which is best.",
        "proximal did not end well: it broke.",
    ]
    assert "closeness" not in contest.to_dict()["winners"]
    assert Contest((), {"gan": "it broke."}).sentences()[0] == "No method ended well."


# ---------------------------------------------------------------------- pictures


@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_paths_and_clouds_are_drawn_in_any_dimension(dimension, tmp_path):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(20, dimension))
    ways = np.stack([start, start + 1, start + 2])
    figure = plots.paths([0, 0.5, 1], ways, start + 2)
    assert len(figure.axes[0].lines) == 20
    assert "0.0% longer" in figure.get_suptitle()
    assert plots.save_figure(figure, tmp_path / "paths.png").stat().st_size > 5000
    beside = plots.clouds_beside({"gpa": start, "gan": start * 2}, start)
    assert len(beside.axes) == 2
    plots.save_figure(beside, tmp_path / "beside.png")


def test_pictures_refuse_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="times"):
        plots.paths([0, 1], np.zeros((3, 4, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="finite all the way"):
        plots.paths([0, 1], np.full((2, 4, 2), np.nan), np.ones((4, 2)))
    with pytest.raises(ValueError, match="no clouds"):
        plots.clouds_beside({}, np.ones((4, 2)))
    with pytest.raises(ValueError, match="none of value"):
        plots.training_curves({"else": np.ones(3)})
    with pytest.raises(ValueError, match="kinetic"):
        plots.training_curves({"value": np.ones(3), "kinetic": np.ones(2)})


def test_one_method_over_several_leaves_nothing_of_them(again, capsys):
    (again / "all" / "gan" / "notes.txt").write_text("mine")
    code, _, err = call(capsys, "generate", "a.csv", "--out", "all", "--overwrite", *PLAIN)
    assert (code, "notes.txt is not of the run" in err, Path("all/proximal").exists()) == (2, True, True)
    (again / "all" / "gan" / "notes.txt").unlink()
    assert call(capsys, "generate", "a.csv", "--out", "all", "--overwrite", *PLAIN)[0] == 0
    assert files("all") == WRITTEN - {"report.html", "flow.npz", "page.json"}
    assert not Path("all/proximal").exists()
