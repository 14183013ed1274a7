"""Several seeds side by side: each what it is alone, numbers with deviations, and the command that asks for them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.validation import NotFittedError

from command import call
from proxflow import Ensemble, GammaGAN, ParticleTransport, ProximalFlow, Spread, plots, runs, wasserstein
from proxflow.contest import CRITERIA, Contest, Entry
from proxflow.ensembles import Watcher, at_once, curves_of
from proxflow.store import RunFolder

TARGET = np.random.default_rng(0).normal((2, 0), 1, (60, 2))
QUICK = {"steps": 5, "width": 8, "updates": 1}
MOVERS = {
    "particles": ParticleTransport(**QUICK, random_state=3),
    "velocity": ProximalFlow(**QUICK, depth=1, time_steps=2, random_state=3),
    "generator": GammaGAN(**QUICK, depth=1, random_state=3),
}


@pytest.mark.parametrize("name", MOVERS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # five steps need not be sound
def test_every_member_has_the_bits_of_its_seed_alone(name):
    runs = Ensemble(MOVERS[name], seeds=3).fit(TARGET)
    assert runs.seeds_ == (3, 4, 5)
    alone = MOVERS[name].__class__(**MOVERS[name].get_params() | {"random_state": 4}).fit(TARGET)
    np.testing.assert_array_equal(runs.particles_[1], alone.particles_)
    np.testing.assert_array_equal(runs.history_["value"][1], alone.history_["value"])
    assert not np.array_equal(runs.particles_[0], runs.particles_[1])
    assert MOVERS[name].callbacks == ()  # the given estimator is left as it was


def test_numbers_with_deviations():
    runs = Ensemble(MOVERS["particles"], seeds=(7, 3)).fit(TARGET, TARGET - 1)
    found = runs.measure(lambda run: wasserstein(run.particles_, TARGET))
    assert found.values.shape == (2,)
    spread = Spread(np.array([1.0, 2.0, 3.0]))
    assert (spread.mean, spread.deviation, spread.error) == pytest.approx((2.0, 1.0, 3**-0.5))
    assert str(spread) == "2 ± 1"
    padded = curves_of([{"value": np.ones(3)}, {"value": np.ones(2)}])["value"]
    assert np.isnan(padded[1, 2])
    assert np.isfinite(padded).sum() == 5


@pytest.mark.parametrize("settings", [{"seeds": 0}, {"seeds": 10**11}, {"seeds": ()}, {"seeds": 2, "jobs": 0}])
def test_no_seeds_are_refused(settings):
    with pytest.raises(ValueError, match=r"seeds|jobs"):
        Ensemble(MOVERS["particles"], **settings).fit(TARGET)


def test_unfitted_and_failing_members():
    with pytest.raises(NotFittedError):
        Ensemble(MOVERS["particles"]).measure(float)
    with pytest.raises(ValueError, match="NaN"):
        Ensemble(MOVERS["particles"], seeds=2).fit(np.full((9, 2), np.nan))


def test_an_interrupt_stops_all_members():
    watcher, ended = Watcher(), []

    def task():
        while watcher(type("Run", (), {"step": 1})) is None:
            time.sleep(0.01)
        ended.append(1)

    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        at_once([task, task], watcher)
    assert len(ended) == 2


def test_differences_within_two_errors_are_none():
    def entry(method, values):
        members = [{"judgement": {"closeness": value}} for value in values]
        return Entry(method, {"members": members}, TARGET)

    near = Contest((entry("a", [1.5, 2.5, 2.0]), entry("b", [1.8, 2.8, 2.3])), {})
    far = Contest((entry("a", [2.0, 2.01, 1.99]), entry("b", [2.3, 2.31, 2.29])), {})
    assert near.verdicts()[0][1] == ["a", "b"]
    assert far.verdicts()[0][1] == ["a"]
    assert far.table()[1][1] == "2 ± 0.01"
    few, more = (Contest((entry("a", [2.0, 2.1] * n), entry("b", [2.25, 2.35] * n)), {}) for n in (1, 3))
    assert few.verdicts()[0][1] == ["a", "b"]  # of two seeds a deviation is hardly known
    assert more.verdicts()[0][1] == ["a"]
    assert CRITERIA[0].shown(2.0, None) == "2"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    pd.DataFrame(TARGET, columns=["age", "height"]).to_csv(folder / "a.csv", index=False)
    line = ["generate", "a.csv", "--seeds", "3", "--seed", "5", "--steps", "4", "--width", "8", "--updates", "1"]
    words = [sys.executable, "-m", "proxflow", *line, "--out", "o"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout


class TestCommand:
    def test_a_folder_for_each_seed_and_numbers_with_deviations(self, written):
        folder, said = written
        assert {p.name for p in (folder / "o").iterdir()} == {
            "settings.json", "result.json", "page.json", "report.html", "figures", "seed-5", "seed-6", "seed-7",
        }  # fmt: skip
        result = json.loads((folder / "o" / "result.json").read_text())
        values = [json.loads((folder / "o" / f"seed-{s}" / "result.json").read_text()) for s in (5, 6, 7)]
        closeness = [value["judgement"]["closeness"] for value in values]
        assert result["numbers"]["closeness"]["mean"] == pytest.approx(np.mean(closeness))
        assert result["numbers"]["closeness"]["deviation"] == pytest.approx(np.std(closeness, ddof=1))
        assert f"{np.mean(closeness):.3g} ± " in said
        page = (folder / "o" / "report.html").read_text()
        assert "deviation" in page
        assert page.count("<img") == 3

    def test_a_member_is_an_ordinary_run_and_finished_runs_stay(self, written, monkeypatch, capsys):
        monkeypatch.chdir(written[0])
        assert call(capsys, "rerun", "o/seed-6", "--out", "again")[0] == 0
        assert Path("again/samples.csv").read_bytes() == Path("o/seed-6/samples.csv").read_bytes()
        code, out, _ = call(capsys, "resume", "o")
        assert code == 0
        assert "nothing to resume" in out

    def test_overwriting_leaves_no_seed_behind(self, written, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        shutil.copytree(written[0], tmp_path, dirs_exist_ok=True)
        quick = ["--steps", "4", "--width", "8", "--updates", "1", "--no-trial", "--no-pictures", "--overwrite"]
        assert call(capsys, "generate", "a.csv", "--out", "o", *quick)[0] == 0
        assert not list((tmp_path / "o").glob("seed-*"))

    def test_overwriting_takes_nothing_that_a_user_put_there(self, written, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        shutil.copytree(written[0] / "o", "o")
        shutil.copytree("o/seed-5", "o/seed-5-kept")
        copy = Path("o/seed-5-kept/samples.csv")
        assert call(capsys, "report", "o")[0] == 0  # a copy is no seed of it
        for name in ("seed-6/mine.txt", "seed-6/figures/mine.txt"):
            mine = Path("o", name)
            mine.parent.mkdir(exist_ok=True)
            mine.write_text("mine")
            with pytest.raises(ValueError, match=f"{name} is not of the run.*nothing was removed"):
                RunFolder.create("o", overwrite=True)
            assert Path("o/seed-5/samples.csv").exists()
            mine.unlink()
        RunFolder.create("o", overwrite=True)
        assert copy.exists()
        assert not Path("o/seed-5").exists()

    @pytest.mark.filterwarnings("default")
    def test_warnings_of_seeds_side_by_side_are_lines_whichever_ends_first(self, tmp_path, monkeypatch, capsys):
        pd.DataFrame(TARGET, columns=["age", "height"]).to_csv(tmp_path / "a.csv", index=False)
        usual = runs.run_transport
        ended = threading.Barrier(2)

        def warns(transport, *arguments, **options):
            with warnings.catch_warnings():  # as every run has
                if transport.random_state == 0:
                    found = usual(transport, *arguments, **options)
            ended.wait(60)
            warnings.warn("no checkpoint", stacklevel=1)
            return found if transport.random_state == 0 else usual(transport, *arguments, **options)

        monkeypatch.setattr(runs, "run_transport", warns)
        monkeypatch.chdir(tmp_path)
        quick = ["--steps", "4", "--width", "8", "--updates", "1", "--no-pictures", "--no-trial"]
        code, _, err = call(capsys, "generate", "a.csv", "--seeds", "2", "--out", "o", *quick)
        assert code == 0
        assert set(err.splitlines()) == {"proxflow: no checkpoint"}

    def test_a_seed_that_diverges_costs_the_others_nothing(self, tmp_path, monkeypatch, capsys):
        pd.DataFrame(TARGET, columns=["age", "height"]).to_csv(tmp_path / "a.csv", index=False)
        usual = runs.run_transport

        def breaks(transport, *arguments, **options):
            if transport.random_state == 1:
                raise runs.Diverged("non-finite numbers at step 3")
            return usual(transport, *arguments, **options)

        monkeypatch.setattr(runs, "run_transport", breaks)
        monkeypatch.chdir(tmp_path)
        quick = ["--steps", "4", "--width", "8", "--updates", "1", "--no-pictures"]
        code, out, err = call(capsys, "generate", "a.csv", "--seeds", "3", "--out", "o", *quick)
        assert (code, err) == (2, "proxflow: seed 1: non-finite numbers at step 3\n")
        assert out.startswith("2 seeds")
        assert json.loads((tmp_path / "o" / "result.json").read_text())["seeds"] == [0, 2]

    def test_ctrl_c_is_one_line_and_the_rest_can_be_resumed(self, tmp_path):
        pd.DataFrame(TARGET, columns=["age", "height"]).to_csv(tmp_path / "a.csv", index=False)
        line = ["generate", "a.csv", "--seeds", "3", "--steps", "400", "--width", "8", "--updates", "1"]
        program = [sys.executable, "-m", "proxflow"]
        quiet = ["--no-trial", "--no-pictures", "--out", "o"]
        running = subprocess.Popen([*program, *line, *quiet], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        while not (tmp_path / "o" / "seed-0" / "settings.json").exists():
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert running.returncode == 2
        assert said.count("\n") == 1
        assert "proxflow resume o goes on" in said
        done = subprocess.run([*program, "resume", "o"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(json.loads((tmp_path / "o" / "result.json").read_text())["seeds"]) == 3

    @pytest.mark.parametrize(
        ("options", "words"), [(["2", "--distributed"], "give one of them"), (["1", "--out", "x"], "at least 2"),
         (["99999999999", "--out", "x"], "to 10,000"), (["2", "--seed", "4294967296", "--out", "x"], "2**32"),
         (["2", "--seed=-1", "--out", "x"], "between 0")],
    )  # fmt: skip
    def test_what_seeds_cannot_be(self, options, words, written, monkeypatch, capsys):
        monkeypatch.chdir(written[0])
        code, _, err = call(capsys, "generate", "a.csv", "--seeds", *options)
        assert code == 2
        assert words in err
        assert not Path("x").exists()


def test_plots_of_constant_and_short_curves():
    curves = {"value": np.full((2, 3), np.nan), "slope": np.ones((2, 3))}
    curves["value"][:, 0] = 1.0
    assert len(plots.seed_curves(curves).axes) == 2
    with pytest.raises(ValueError, match="none of"):
        plots.seed_curves({"other": np.ones((2, 3))})
    with pytest.raises(ValueError, match="expected"):
        plots.seed_curves({"value": np.ones(3)})
    with pytest.raises(ValueError, match="no numbers"):
        plots.seed_dots({})
