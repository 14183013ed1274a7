"""Nothing lost: runs that are killed, damaged, or denied the disk, and end with the same bits."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import warnings

import numpy as np
import pytest

from proxflow import ParticleTransport, open_samples
from proxflow.arrays import read_arrays, write_arrays
from proxflow.checkpoints import fingerprint
from proxflow.data.toy import moons

QUICK = {"steps": 40, "width": 8, "depth": 1, "updates": 1, "random_state": 0, "n_particles": 30}
DATA = moons(40, 0)


class Killed(BaseException):
    """Nobody catches this: what a kill leaves is what was on disk."""


def kill_at(step):
    def callback(run):
        if run.step >= step:
            raise Killed

    return callback


def killed(file, step, data=DATA, **settings):
    with pytest.raises(Killed):
        ParticleTransport(**QUICK | settings, callbacks=(kill_at(step),)).fit(
            data, checkpoint=file, checkpoint_seconds=0
        )


def continued(file, data=DATA, **settings):
    return ParticleTransport(**QUICK | settings).fit(data, checkpoint=file)


CASES = {
    "defaults": {},
    "a method with a past": {"method": "ab3"},
    "a smooth target": {"smoothing": 0.5},
    "the other direction": {"reverse": True},
    "batches": {"batch_size": 16},
    "a gate": {"max_copies": 0.2, "smoothing": 0.0},
    "thinned potentials": {"memory_budget": 0.001},
    "no potentials": {"memory_budget": 0.0},
    "the exact potential": {"gamma": "exact", "steps": 8},
    "kernels": {"gamma": "spectral"},
}


@pytest.mark.parametrize("case", CASES)
def test_a_killed_run_ends_with_the_same_bits(case, tmp_path):
    whole = ParticleTransport(**QUICK | CASES[case]).fit(DATA)
    file = tmp_path / "run.npz"
    for step in (4, 17, 30):
        if step < whole.n_steps_:
            killed(file, step, **CASES[case])
    again = continued(file, **CASES[case])
    assert (again.particles_ == whole.particles_).all()
    assert again.stopped_ == whole.stopped_
    for name, series in whole.history_.items():
        np.testing.assert_array_equal(again.history_[name], series)
    assert [step for step, _ in again.trajectory_] == [step for step, _ in whole.trajectory_]
    assert all((a == b).all() for (_, a), (_, b) in zip(again.trajectory_, whole.trajectory_, strict=True))
    if case != "no potentials":
        assert (again.transform(DATA) == whole.transform(DATA)).all()


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_a_killed_run_on_a_file_ends_with_the_same_bits(suffix, tmp_path):
    rows = np.random.default_rng(0).normal(size=(500, 3))
    data = tmp_path / f"big{suffix}"
    if suffix == ".npy":
        np.save(data, rows)
    else:
        import pandas as pd

        pd.DataFrame(rows, columns=list("abc")).to_parquet(data, row_group_size=64)
    settings = {"batch_size": 32}
    whole = ParticleTransport(**QUICK | settings).fit(open_samples(data))
    killed(tmp_path / "run.npz", 17, open_samples(data), **settings)
    same = data.parent / "." / ".." / data.parent.name / data.name  # another way to say where it is
    again = continued(tmp_path / "run.npz", open_samples(same), **settings)
    assert (again.particles_ == whole.particles_).all()


def test_more_steps_go_on_from_the_last(tmp_path):
    file = tmp_path / "run.npz"
    short = ParticleTransport(**QUICK | {"steps": 13, "memory_budget": 0}).fit(DATA, checkpoint=file)
    assert short.n_steps_ == 13
    longer = continued(file, memory_budget=0)
    assert longer.n_steps_ == 40
    assert longer.trajectory_[0][0] == 0


DAMAGES = {
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "a flipped bit": lambda content: content[:3000] + bytes([content[3000] ^ 1]) + content[3001:],
    "no end": lambda content: content[:-200] + bytes(200),
    "something else": lambda content: b"x" * 1000,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(damage, tmp_path):
    file = tmp_path / "run.npz"
    killed(file, 20)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    with pytest.warns(UserWarning, match=r"run\.npz: damaged.*Continuing from the one before"):
        again = continued(file)
    assert (again.particles_ == ParticleTransport(**QUICK).fit(DATA).particles_).all()
    assert (continued(file).particles_ == again.particles_).all()  # the good one was not pushed out by the damaged


def test_a_run_without_any_whole_checkpoint_says_so(tmp_path):
    file = tmp_path / "run.npz"
    file.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"run\.npz: damaged or not a checkpoint"):
        continued(file)


def test_another_version_or_another_kind_is_named(tmp_path):
    file = tmp_path / "run.npz"
    killed(file, 20)
    (tmp_path / "run.previous.npz").unlink()
    header, arrays = read_arrays(file, "checkpoint", 1)
    for kind, form, words in (("checkpoint", 0, "older"), ("checkpoint", 9, "newer"), ("fitted flow", 1, "a fitted")):
        write_arrays(file, kind, form, {k: v for k, v in header.items() if k not in ("kind", "format")}, arrays)
        with pytest.raises(ValueError, match=words):
            continued(file)


@pytest.mark.parametrize("change", [{"L": 3.0}, {"random_state": 1}, {"width": 10}, {"n_particles": 31}, {"f": "js"}])
def test_a_checkpoint_of_other_settings_is_refused(change, tmp_path):
    file = tmp_path / "run.npz"
    killed(file, 5)
    with pytest.raises(ValueError, match="the data or the settings have changed"):
        continued(file, **change)


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    file = tmp_path / "run.npz"
    killed(file, 5)
    data = DATA.copy()
    data[7, 1] = np.nextafter(data[7, 1], 9)
    with pytest.raises(ValueError, match="the data or the settings have changed"):
        continued(file, data)


def test_fingerprints_tell_shapes_and_types_apart():
    marks = {fingerprint(a) for a in (np.zeros(4), np.zeros((2, 2)), np.zeros(4, np.float32), np.zeros(8, np.float32))}
    assert len(marks) == 4


def test_a_full_disk_costs_the_checkpoint_not_the_run(tmp_path):
    file = tmp_path / "run.npz"
    killed(file, 20)
    stood = file.read_bytes()
    import signal

    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            fit = ParticleTransport(**QUICK | {"steps": 39}).fit(DATA, checkpoint=file, checkpoint_seconds=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert any("The run goes on" in str(warning.message) for warning in told)
    assert file.read_bytes() == stood
    assert fit.n_steps_ == 39
    assert (fit.particles_ == ParticleTransport(**QUICK | {"steps": 39}).fit(DATA).particles_).all()


@pytest.mark.parametrize("change", [{"step": "x"}, {"step": -5}, {"step": 10**9}, {"stacks": 99}, {"step": 20.5}])
def test_a_checkpoint_that_is_whole_and_nonsense_counts_as_damaged(change, tmp_path):
    file = tmp_path / "run.npz"
    killed(file, 20)
    header, arrays = read_arrays(file, "checkpoint", 1)
    write_arrays(
        file, "checkpoint", 1, {k: v for k, v in (header | change).items() if k[:4] not in ("kind", "form")}, arrays
    )
    with pytest.warns(UserWarning, match="Continuing from the one before"):
        again = continued(file)
    assert (again.particles_ == ParticleTransport(**QUICK).fit(DATA).particles_).all()


# One process imports everything and forks before JAX starts: real processes, really killed, without 20 start-ups.
_KILLER = """
import json, os, random, shutil, signal, sys, time
import proxflow.cli, proxflow.runs, proxflow.estimators, proxflow.evolution, proxflow.streams
proxflow.runs._SECONDS_BETWEEN_CHECKPOINTS = 0.05
arguments = ["generate", "data.npy", "--steps", "20000", "--width", "8", "--depth", "1", "--updates", "1",
             "--no-trial", "--no-pictures"]
proxflow.evolution.Stopping.verdict = lambda self, history: None

def child(*words):
    pid = os.fork()
    if pid == 0:
        sys.argv = ["proxflow", *words]
        sys.stdout = open(os.devnull, "w")
        code = 1
        try:
            proxflow.cli.main()
        except SystemExit as end:
            code = end.code or 0
        os._exit(code)
    return pid

started = time.monotonic()
first = child(*arguments, "--out", "whole")
while not os.path.exists("whole/checkpoint.npz"):
    time.sleep(0.01)
longest = time.monotonic() - started + 0.5  # half a second into the run, however slow the machine
assert os.waitpid(first, 0)[1] == 0
random.seed(0)
kills, pauses = 0, []
while kills < 20:
    pid = child(*arguments, "--out", "killed", "--resume")
    pause = random.uniform(0.05, longest)
    time.sleep(pause)
    os.kill(pid, signal.SIGKILL)
    killed = os.waitpid(pid, 0)[1] == signal.SIGKILL
    kills += killed
    if not killed:  # it was done first: another run, from the start
        shutil.rmtree("killed")
    left = [name for name in os.listdir("killed") if name.startswith("checkpoint")] if os.path.exists("killed") else []
    pauses.append((pause, len(left)))
    if len(pauses) > 60:
        break
assert os.waitpid(child(*arguments, "--out", "killed", "--resume"), 0)[1] == 0
print(json.dumps({"kills": kills, "with": sum(count > 0 for _, count in pauses)}))
"""


def test_twenty_kills_at_random_times_change_no_bit(tmp_path, users_environment):
    np.save(tmp_path / "data.npy", moons(60, 0))
    program = [sys.executable, "-c", _KILLER]
    done = subprocess.run(program, cwd=tmp_path, env=users_environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] == 20
    assert told["with"] > 5  # most of them in mid-run
    for name in ("samples.npy", "history.csv", "trajectory.npz"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    left = sorted(file.name for file in (tmp_path / "killed").iterdir())
    assert left == [
        "history.csv",
        "result.json",
        "samples.npy",
        "settings.json",
        "trajectory.npz",
    ]  # nothing half written stays behind
