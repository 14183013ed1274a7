"""The command line as its users meet it: as a process where that matters, in this process where it does not."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from command import call

QUICK = ["--steps", "4", "--width", "8", "--updates", "1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    pd.DataFrame(rng.normal(size=(40, 2)), columns=["age", "height"]).to_csv("a.csv", index=False)
    pd.DataFrame(rng.normal(size=(30, 2)) + 3, columns=["height", "age"]).to_csv("b.csv", index=False)
    np.save("a.npy", rng.normal(size=(40, 2)))
    np.save("images.npy", rng.uniform(size=(40, 4, 3)))
    return tmp_path


def process(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "proxflow", *arguments], capture_output=True, text=True, **options)


def test_help_and_version_are_instant_and_complete():
    start = time.perf_counter()
    done = process("--help")
    assert done.returncode == 0
    assert time.perf_counter() - start < 20  # a hang, not a speed: speeds live in benchmarks
    for command in (
        "demo",
        "generate",
        "transport",
        "augment",
        "compare",
        "replay",
        "rerun",
        "resume",
        "report",
        "serve",
    ):
        assert command in done.stdout
        assert f"Example: proxflow {command}" in process(command, "--help").stdout
    assert re.fullmatch(r"proxflow \d+\.\d+\.\d+\n", process("--version").stdout)


def test_generate_writes_everything_and_repeats_itself(here, capsys):
    code, out, err = call(capsys, "generate", "a.csv", "-n", "50", "--out", "one", *QUICK)
    assert (code, err) == (0, "")
    assert "50 samples of 2 features" in out
    assert "W2 ratio" in out
    assert "near copies" in out
    made = {p.relative_to("one").as_posix() for p in Path("one").rglob("*") if p.is_file()}
    assert made == {
        "settings.json", "samples.csv", "history.csv", "result.json", "report.html", "figures/particles.png",
        "figures/particles.gif", "figures/convergence.png", "figures/novelty.png", "trajectory.npz", "page.json",
    }  # fmt: skip
    samples = pd.read_csv("one/samples.csv")
    assert list(samples.columns) == ["age", "height"]
    assert samples.shape == (50, 2)
    assert len(pd.read_csv("one/history.csv")) == 4
    code, _, _ = call(capsys, "rerun", "one", "--out", "two")
    assert code == 0
    assert Path("one/samples.csv").read_bytes() == Path("two/samples.csv").read_bytes()


def test_rerun_of_an_infinite_L_is_the_same_run(here, capsys):
    call(capsys, "generate", "a.csv", "--L", "inf", "--out", "one", "--no-trial", "--no-pictures", *QUICK)
    assert json.loads(Path("one/settings.json").read_text())["arguments"]["L"] == "inf"
    assert call(capsys, "rerun", "one", "--out", "two")[0] == 0
    assert Path("one/samples.csv").read_bytes() == Path("two/samples.csv").read_bytes()


@pytest.mark.parametrize("edit", [{"data": 5}, {"bounds": [0, 1]}, {"steps": "x"}, {"nonsense": 1}, None])
def test_rerun_of_badly_edited_settings_is_one_line(here, capsys, edit):
    call(capsys, "generate", "a.csv", "--out", "one", "--no-trial", "--no-pictures", *QUICK)
    settings = json.loads(Path("one/settings.json").read_text())
    settings["arguments"] = None if edit is None else settings["arguments"] | edit
    Path("one/settings.json").write_text(json.dumps(settings))
    code, _, err = call(capsys, "rerun", "one", "--out", "two")
    assert code == 2
    assert err.count("\n") == 1


def test_a_kept_flow_makes_and_carries_points(here, capsys):
    assert (
        call(capsys, "generate", "a.csv", "--out", "one", "--keep-flow", "50", "--no-trial", "--no-pictures", *QUICK)[0]
        == 0
    )
    code, out, _ = call(capsys, "replay", "one", "-n", "7", "--out", "new.csv")
    assert (code, out) == (0, "7 points of 2 features: new.csv\n")
    assert list(pd.read_csv("new.csv").columns) == ["age", "height"]
    kept = Path("one/flow.npz").read_bytes()
    for refused in (
        ["-n", "7", "--out", "new.csv"],
        ["-n", "7", "--out", "one/flow.npz"],
        ["-n", "0", "--out", "z.csv"],
    ):
        assert call(capsys, "replay", "one", *refused)[0] == 2
    assert call(capsys, "replay", "one", "a.csv", "--out", "a.csv", "--overwrite")[0] == 2
    assert Path("one/flow.npz").read_bytes() == kept
    assert call(capsys, "replay", "one/flow.npz", "b.csv", "--out", "moved.npy")[0] == 0  # columns in another order
    from proxflow import ParticleTransport

    expected = ParticleTransport.load("one/flow.npz").transform(pd.read_csv("b.csv")[["age", "height"]])
    np.testing.assert_array_equal(np.load("moved.npy"), expected)


def test_labels_come_with_new_samples_and_stay_with_moved_ones(here, capsys):
    frame = pd.read_csv("a.csv").assign(kind=np.resize(["red", "green", "green"], 40))
    frame.to_csv("l.csv", index=False)
    code, _, err = call(capsys, "generate", "l.csv", "--label", "kind", "--out", "one", *QUICK)
    assert (code, err) == (0, "")
    new = pd.read_csv("one/samples.csv")
    assert list(new.columns) == ["age", "height", "kind"]
    assert new["kind"].value_counts().to_dict() == {"green": 26, "red": 14}
    moving = frame.assign(kind=frame["kind"][::-1].to_numpy())[["kind", "height", "age"]]
    moving.to_csv("m.csv", index=False)
    arguments = ["--source", "m.csv", "--target", "l.csv", "--label", "kind", "--out", "two", "--no-trial"]
    assert call(capsys, "transport", *arguments, *QUICK)[0] == 0
    moved = pd.read_csv("two/samples.csv")
    assert moved["kind"].tolist() == moving["kind"].tolist()
    np.savez("l.npz", x=frame[["age", "height"]], kind=frame["kind"].to_numpy().astype(str))
    assert call(capsys, "generate", "l.npz", "--label", "kind", "--out", "three", "--no-trial", *QUICK)[0] == 0
    with np.load("three/samples.npz") as made:
        assert made["samples"].shape == (40, 2)
        assert sorted(set(made["kind"])) == ["green", "red"]


def test_the_gate_is_told(here, capsys):
    np.save("wide.npy", np.random.default_rng(1).normal(size=(100, 8)))
    arguments = ["generate", "wide.npy", "--max-copies", "0.05", "--smoothing", "0", "--no-trial", "--no-pictures"]
    code, out, _ = call(capsys, *arguments, "--out", "one", "--steps", "300", "--width", "32")
    assert code == 0
    assert "near copies passed 0.05" in out


def test_a_file_is_streamed(here, capsys):
    arguments = ["generate", "a.npy", "--stream", "--batch-size", "8", "-n", "20", "--out", "one", "--no-trial"]
    code, _, err = call(capsys, *arguments, *QUICK)
    assert (code, err) == (0, "")
    assert np.load("one/samples.npy").shape == (20, 2)


def test_resume_goes_on_or_says_why_not(here, capsys):
    call(capsys, "generate", "a.csv", "--out", "one", "--no-trial", "--no-pictures", *QUICK)
    made = Path("one/samples.csv").read_bytes()
    assert call(capsys, "resume", "one")[:2] == (0, "one is finished: there is nothing to resume.\n")
    settings = json.loads(Path("one/settings.json").read_text())  # as a kill before the first checkpoint leaves it
    Path("one/settings.json").write_text(json.dumps({k: settings[k] for k in ("command", "arguments", "proxflow")}))
    Path("one/samples.csv").unlink()
    Path("one/.proxflow-0000-samples.csv").write_text("half")
    assert call(capsys, "resume", "one")[0] == 0
    assert Path("one/samples.csv").read_bytes() == made
    assert not list(Path("one").glob(".proxflow*"))
    code, _, err = call(capsys, "generate", "a.csv", "--out", "one", "--resume", "--seed", "5", *QUICK)
    assert code == 2
    assert "other options" in err
    Path("one/checkpoint.npz").write_bytes(b"damaged")
    assert "checkpoint.npz: damaged" in call(capsys, "resume", "one")[2]
    assert Path("one/samples.csv").read_bytes() == made
    for words in (["resume", "nowhere"], ["resume", "."]):
        assert call(capsys, *words)[0] == 2


def test_overwrite_never_removes_an_input_nor_a_foreign_folder(here, capsys):
    call(capsys, "generate", "a.csv", "--out", "one", "--no-trial", "--no-pictures", *QUICK)
    code, _, err = call(capsys, "generate", "one/samples.csv", "--out", "one", "--overwrite", *QUICK)
    assert code == 2
    assert "holds the input" in err
    Path("mine").mkdir()
    Path("mine/settings.json").write_text('{"editor.tabSize": 4}')
    Path("mine/samples.csv").write_text("a,b\n1,2\n")
    assert call(capsys, "generate", "a.csv", "--out", "mine", "--overwrite", *QUICK)[0] == 2
    assert Path("mine/samples.csv").read_text() == "a,b\n1,2\n"


def test_digits_of_large_numbers_survive(here, capsys):
    values = 1.7e9 + np.random.default_rng(0).normal(size=(40, 2))
    pd.DataFrame(values, columns=["start", "end"]).to_csv("times.csv", index=False)
    call(capsys, "generate", "times.csv", "--out", "one", "--no-trial", "--no-pictures", *QUICK)
    assert 0.1 < pd.read_csv("one/samples.csv")["start"].std() < 10


def test_a_run_that_cannot_move_says_so(here, capsys):
    pd.DataFrame([*np.random.default_rng(0).normal(size=(20, 2)), [1e12, 0]]).to_csv("far.csv", index=False)
    code, out, err = call(capsys, "generate", "far.csv", "--out", "one", "--no-trial", *QUICK)
    assert code == 2 or "samples of" in out
    assert "Traceback" not in err


def test_generate_json_is_one_object_with_a_judgement(here, capsys):
    code, out, _ = call(capsys, "generate", "a.csv", "--json", "--no-pictures", "--out", "one", *QUICK)
    found = json.loads(out)
    assert code == 0
    assert found["samples"] == 40
    assert found["judgement"]["closeness"] > 0
    assert not Path("one/report.html").exists()


def test_arrays_come_back_as_arrays_and_images_are_drawn(here, capsys):
    code, _, _ = call(capsys, "generate", "images.npy", "--out", "one", "--no-trial", *QUICK)
    assert code == 0
    assert np.load("one/samples.npy").shape == (40, 4, 3)
    assert Path("one/figures/images.png").exists()
    code, _, _ = call(capsys, "generate", "a.npy", "--out", "two", "--no-trial", "--no-pictures", *QUICK)
    assert np.load("two/samples.npy").shape == (40, 2)


def test_a_few_new_samples_are_a_random_few_of_many(here, capsys):
    call(capsys, "generate", "a.csv", "-n", "3", "--out", "few", "--no-trial", *QUICK)
    call(capsys, "generate", "a.csv", "--out", "all", "--no-trial", *QUICK)
    few, every = pd.read_csv("few/samples.csv"), pd.read_csv("all/samples.csv")
    assert len(few) == 3
    assert few.merge(every).shape == few.shape


def test_heldout_samples_judge(here, capsys):
    code, out, _ = call(capsys, "generate", "a.csv", "--test", "b.csv", "--out", "o", "--no-pictures", *QUICK)
    assert code == 0
    assert "15 held-out samples" in out


def test_transport_matches_columns_by_name_and_keeps_rows(here, capsys):
    code, out, err = call(
        capsys, "transport", "--source", "a.csv", "--target", "b.csv", "--out", "o", "--step-size", "0.001", *QUICK
    )
    assert (code, err) == (0, "")
    moved = pd.read_csv("o/samples.csv")
    source = pd.read_csv("a.csv")
    assert list(moved.columns) == ["height", "age"]  # the target's order
    np.testing.assert_allclose(moved[["age", "height"]], source, atol=0.1)  # hardly moved, row by row
    assert "Rows moved by 0" in out
    assert "near copies" not in out
    assert "W2 before" in Path("o/report.html").read_text()


def test_compare_prints_a_table_or_json(here, capsys):
    code, out, _ = call(capsys, "compare", "a.csv", "b.csv", "--L", "2", "--permutations", "99")
    assert code == 0
    assert "these samples" in out
    assert "at least" in out
    assert "p = " in out
    assert "age" in out
    code, out, _ = call(capsys, "compare", "a.csv", "b.csv", "--L", "2", "--permutations", "99", "--json")
    found = json.loads(out)
    assert found["direction"] == "P||Q"
    assert 0 < found["lower"] == found["value"] <= found["upper"] <= found["lower"] * 1.0002
    assert 0 <= found["held_out_lower"] < found["upper"]
    assert found["level"] == 0.95
    assert 0.01 <= found["p_value"] <= 1
    assert found["converged"] is True
    assert {feature["name"] for feature in found["features"]} == {"age", "height"}


def test_compare_in_parts_and_written(here, capsys):
    code, out, _ = call(capsys, "compare", "a.csv", "b.csv", "--exact-only", "--reverse", "--out", "d.json", "--json")
    found = json.loads(out)
    assert (code, found["held_out_lower"], found["p_value"]) == (0, None, None)
    assert json.loads(Path("d.json").read_text()) == found
    code, out, _ = call(capsys, "compare", "a.csv", "b.csv", "--no-test", "--json", "--report", "page.html")
    found = json.loads(out)
    assert found["p_value"] is None
    assert found["held_out_lower"] is not None
    assert "<html" in Path("page.html").read_text()[:200]


def test_compare_says_when_the_bracket_did_not_close(here, capsys, monkeypatch):
    monkeypatch.setattr("proxflow.gamma.semidual._MOST_LEVELS", 1)
    code, out, err = call(capsys, "compare", "a.csv", "b.csv", "--exact-only", "--json")
    assert code == 3
    assert json.loads(out)["converged"] is False
    assert "did not close" in err


def _files(folder: Path) -> None:
    (folder / "nan.csv").write_text("age,height\n1,2\n3,nan\n5,6\n")
    (folder / "inf.csv").write_text("age,height\n1,2\n3,inf\n5,6\n")
    (folder / "words.csv").write_text("age,sex\n1,m\n3,f\n5,m\n")
    (folder / "one.csv").write_text("age,height\n1,2\n")
    (folder / "none.csv").write_text("age,height\n")
    (folder / "wide.csv").write_text("a,b,c\n1,2,3\n4,5,6\n7,8,9\n")
    (folder / "picture.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (folder / "cut.npy").write_bytes(Path("a.npy").read_bytes()[:-100])
    (folder / "table.doc").write_text("1,2")
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").write_text("keep me")


BAD = {
    "nan named": (["generate", "nan.csv"], "row 1, column 'height'"),
    "inf named": (["generate", "inf.csv"], "row 1, column 'height'"),
    "words named": (["generate", "words.csv"], "sex"),
    "one sample": (["generate", "one.csv"], "one.csv: 1 sample"),
    "no rows": (["generate", "none.csv"], "none.csv"),
    "missing": (["generate", "nope.csv"], "nope.csv"),
    "other type": (["generate", "picture.csv"], "picture.csv"),
    "truncated": (["generate", "cut.npy"], "cut.npy"),
    "suffix": (["generate", "table.doc"], ".csv"),
    "folder": (["generate", "full"], "full"),
    "out exists": (["generate", "a.csv", "--out", "full"], "--overwrite"),
    "out is foreign": (["generate", "a.csv", "--out", "full", "--overwrite"], "full"),
    "out under a file": (["generate", "a.csv", "--out", "a.csv/x"], "a.csv"),
    "zero new": (["generate", "a.csv", "-n", "0"], "-n must be"),
    "f": (["generate", "a.csv", "--f", "klu"], "reverse_kl"),
    "alpha without": (["generate", "a.csv", "--alpha", "2"], "f='alpha'"),
    "L": (["generate", "a.csv", "--L", "0"], "L must be"),
    "negative L": (["compare", "a.csv", "b.csv", "--L", "-1"], "L must be"),
    "steps": (["generate", "a.csv", "--steps", "0"], "steps must be"),
    "odd width": (["generate", "a.csv", "--width", "7"], "even"),
    "integrator": (["generate", "a.csv", "--integrator", "rk9"], "heun"),
    "gamma": (["generate", "a.csv", "--gamma", "nets"], "groupsort"),
    "bounds": (["generate", "a.csv", "--bounds", "1"], "LOW,HIGH"),
    "image": (["generate", "a.csv", "--image", "3x3"], "9 pixels"),
    "widths differ": (["compare", "a.npy", "wide.csv"], "features"),
    "names differ": (["compare", "a.csv", "wide.csv"], "height"),
    "no such option": (["generate", "a.csv", "--bogus"], "bogus"),
    "not a number": (["generate", "a.csv", "--steps", "many"], "--steps"),
    "no such command": (["generat"], "generat"),
    "no such label": (["generate", "a.csv", "--label", "kind"], "no column 'kind'"),
    "a label of numbers": (["generate", "a.csv", "--label", "age"], "these are no classes"),
    "a label in an array": (["generate", "a.npy", "--label", "kind"], "NPZ"),
    "a gate below real data": (["generate", "a.csv", "--max-copies", "0.01"], "0.05"),
    "a stream of text": (["generate", "a.csv", "--stream"], "only NPY and Parquet"),
    "a stream with a label": (["generate", "a.npy", "--stream", "--label", "y"], "no --label"),
    "a resumption of nothing": (["generate", "a.csv", "--resume"], "needs --out"),
    "no room for a flow": (["generate", "a.csv", "--keep-flow", "0"], "positive number of megabytes"),
    "bounds beside the data": (["generate", "a.csv", "--bounds", "50,60"], "but the target goes from"),
    "no flow": (["replay", "a.csv", "-n", "3"], "not a fitted flow"),
    "nothing to replay": (["replay", "a.csv"], "either POINTS"),
    "rerun what": (["rerun", "a.csv"], "a.csv"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line_and_exit_code_2(here, capsys, case):
    _files(here)
    arguments, words = BAD[case]
    before = sorted(p.name for p in here.iterdir())
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("proxflow: ")
    assert words in err
    assert (here / "full" / "mine.txt").read_text() == "keep me"
    assert sorted(p.name for p in here.iterdir()) == before  # nothing was left behind


def _start_long_run(folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    np.save(folder / "big.npy", np.random.default_rng(0).normal(size=(400, 8)))
    arguments = ["generate", "big.npy", "--steps", "1000000", "--out", "run", "--no-trial"]
    code = (
        "import proxflow.runs as r; r._SECONDS_BETWEEN_CHECKPOINTS = 0.2\n"
        "import sys; from proxflow.cli import main; sys.argv = ['proxflow', *sys.argv[1:]]; main()"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (folder / "run" / "samples.npy").exists():
        assert started.poll() is None, started.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return started


def test_interrupt_saves_what_was_computed_and_says_where(tmp_path, users_environment):
    started = _start_long_run(tmp_path, users_environment)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 2, err
    assert re.fullmatch(r"proxflow: interrupted after step \d+: .* in run; proxflow resume run goes on\n", err), err
    step = int(re.search(r"step (\d+)", err)[1])
    assert np.load(tmp_path / "run" / "samples.npy").shape == (400, 8)
    assert len(pd.read_csv(tmp_path / "run" / "history.csv")) == step
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["stopped"] == "interrupted"


def test_interrupt_of_the_trial_keeps_the_samples_and_says_so(tmp_path):
    np.save(tmp_path / "big.npy", np.random.default_rng(0).normal(size=(100, 2)))
    code = (
        "import sys, os, signal, proxflow.runs as runs\n"
        "def judge_by_trial(*a, **k):\n    os.kill(os.getpid(), signal.SIGINT)\n    import time; time.sleep(5)\n"
        "runs.judge_by_trial = judge_by_trial\n"
        "sys.argv = ['proxflow', 'generate', 'big.npy', '--steps', '3', '--out', 'o']\n"
        "from proxflow.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("proxflow: interrupted")
    assert done.stderr.count("\n") == 1
    assert np.load(tmp_path / "o" / "samples.npy").shape == (100, 2)


def test_an_interrupt_that_falls_into_a_garbage_collection_is_heard_again(tmp_path):
    np.save(tmp_path / "big.npy", np.random.default_rng(0).normal(size=(100, 2)))
    code = (
        "import gc, os, signal, sys, time, proxflow.runs as runs\n"
        "def collecting(phase, info):\n"
        "    gc.callbacks.remove(collecting)\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(0.1)\n"
        "def judge_by_trial(*a, **k):\n    gc.callbacks.append(collecting)\n    gc.collect()\n"
        "    for _ in range(6000):\n        time.sleep(0.01)\n"
        "runs.judge_by_trial = judge_by_trial\n"
        "sys.argv = ['proxflow', 'generate', 'big.npy', '--steps', '3', '--out', 'o']\n"
        "from proxflow.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert done.returncode == 2
    assert done.stderr.startswith("proxflow: interrupted")
    assert done.stderr.count("\n") == 1


def test_kill_leaves_whole_files(tmp_path, users_environment):
    started = _start_long_run(tmp_path, users_environment)
    started.kill()
    started.communicate(timeout=60)
    assert np.load(tmp_path / "run" / "samples.npy").shape == (400, 8)
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["command"] == "generate"
    assert not list((tmp_path / "run").glob("*.tmp"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk_is_one_line(here, capsys, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("proxflow.atomic.os.replace", full)
    code, _, err = call(capsys, "generate", "a.csv", "--out", "o", *QUICK)
    assert code == 2
    assert "No space left on device" in err


def test_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, _ = call(capsys, "demo", "--steps", "5", "--out", "d")
    assert code == 0
    assert np.load("d/samples.npy").shape == (600, 8, 8)
    assert (np.load("d/samples.npy") >= 0).all()
    assert "600 held-out samples" in out
    html = Path("d/report.html").read_text()
    assert not re.findall(r"(?:src|href)=[\"']https?://", html)
    assert Path("d/figures/images.png").exists()
    assert Path("d/figures/nearest.png").exists()
