"""Several devices, and several processes on loopback: the numbers of one device, and a kill that nobody waits for."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import proxflow
from benchmarks.distributed import step_cost
from distributed_run import ROWS, SETTINGS
from proxflow import ParticleTransport, distributed
from proxflow.sharded import Rows, over_devices, placed, row_mesh, scattered

DRIVER = Path(__file__).with_name("distributed_run.py")
PATIENCE = 240  # seconds, on a busy machine
pytestmark = pytest.mark.filterwarnings("ignore:Error (reading|writing) persistent")


def environment(devices):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    paths = os.pathsep.join([str(Path(proxflow.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"}


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def two(words):
    """Start two processes of two devices each; `words(address, process)` are their arguments."""
    if not hasattr(pytest.importorskip("jaxlib._jax"), "make_gloo_tcp_collectives"):
        pytest.skip("this jaxlib has no gloo: processes on CPUs cannot talk to one another")
    address, pipe = free_address(), subprocess.PIPE
    return [
        subprocess.Popen(
            [sys.executable, *map(str, words(address, process))],
            env=environment(2),
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        for process in (0, 1)
    ]


def killed_when(running, victim, step):
    """SIGKILL one process once process 0 has taken so many steps; what the other one said, and how long it took."""
    other = running[1 - victim]
    try:
        for line in running[0].stdout:
            if json.loads(line).get("step", 0) >= step:
                break
        os.kill(running[victim].pid, signal.SIGKILL)
        started = time.monotonic()
        _, said = other.communicate(timeout=60)
        return other.returncode, said, time.monotonic() - started
    finally:
        for process in running:
            process.kill()
            process.communicate()


def ended(running):
    """Standard output and error of each, once both have ended well."""
    try:
        said = [process.communicate(timeout=PATIENCE) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], said
    return said


# ---------------------------------------------------------------------- one process


@pytest.fixture(scope="module")
def on_two():
    done = subprocess.run(
        [sys.executable, str(DRIVER), "one"], env=environment(2), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_rows_lie_on_all_devices_and_come_back(on_two):
    assert on_two["devices"] == 2
    assert on_two["gathered"]
    assert on_two["some"]


def test_draws_do_not_depend_on_the_number_of_devices(on_two):
    assert on_two["draws"]


def test_two_devices_give_the_numbers_of_one(on_two):
    assert on_two["double"] < 1e-9


def test_no_step_sends_the_particles_around(on_two):
    parameters, drawn, rows = 8 * 4 + 8 + 8, 2 * 64 * 4, 50_001
    sizes = [values for _, values in on_two["sent"]]
    assert max(sizes) <= max(parameters, drawn) < rows  # not even a number for each of them
    assert parameters in sizes  # one sum of gradients an update, for both clouds
    assert sum(sizes) < parameters + 2 * drawn


def test_every_device_reads_its_own_rows():
    asked = []

    def read(first, last):
        asked.append((first, last))
        return ROWS[first:last].astype(np.float32)

    rows = scattered(read, ROWS.shape, row_mesh())
    assert asked == [(0, len(ROWS))]
    assert isinstance(rows, Rows)
    assert rows.shape == ROWS.shape
    assert (np.asarray(rows, np.float32) == ROWS.astype(np.float32)).all()


def test_the_axis_of_the_particles_is_found():
    cloud = np.zeros((5, 5), np.float32)  # as many rows as columns
    state = placed((cloud, np.zeros((2, 5, 5), np.float32)), lambda c: (c, np.zeros((2, *c.shape))), cloud, row_mesh())
    assert [part.axis for part in state] == [0, 1]
    assert over_devices(ROWS, row_mesh())[3:5].shape == (2, 3)


def test_what_is_not_meant_for_it_is_refused():
    with pytest.raises(ValueError, match='devices must be "all"'):
        ParticleTransport(devices=2).check_settings()
    with pytest.raises(ValueError, match="one machine: leave devices=None"):
        ParticleTransport(gamma="exact", devices="all").fit(ROWS[:40])
    for given, words in {
        ("node:1", 2, None): "all of coordinator", ("node", 2, 0): "HOST:PORT", ("node:99999", 2, 0): "65535",
        ("node:0", 2, 0): "HOST:PORT", ("http://node:1", 2, 0): "HOST:PORT", ("node:1", 2, 2): "counted from 0",
        ("no node:4000", 2, 1): "'no node' is not known here",
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=words):
            distributed.start(*given)
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} cannot be had on this machine .*: choose another"):
            distributed.start(f"127.0.0.1:{port}", 2, 0)


def test_a_process_alone_agrees_with_itself():
    assert distributed.processes() == 1
    assert distributed.first()
    assert distributed.agreed(True)
    assert not distributed.agreed(False)
    assert distributed.shared(b"x") == b"x"
    distributed.finish()
    distributed.abandon(2)  # nobody waits: nothing happens


# ---------------------------------------------------------------------- two processes


def test_kills_end_the_others_and_the_run_goes_on_anywhere(tmp_path):
    def fit(steps, checks):
        return lambda address, process: [DRIVER, "two", address, process, tmp_path, steps, checks]

    code, said, seconds = killed_when(two(fit(10_000, "rows")), victim=1, step=8)
    assert code == distributed.LOST
    assert seconds < 60
    assert "proxflow: process 1 of this run has ended" in said
    assert "--resume" in said
    assert not list(tmp_path.glob("run1*"))  # process 0 alone writes

    running = two(fit(10_000, ""))
    first = json.loads(running[0].stdout.readline())["step"]
    assert first > 0  # it goes on
    code, said, seconds = killed_when(running, victim=0, step=first + 4)
    # JAX ends a process without its coordinator by itself, if it comes first.
    assert code in (distributed.LOST, -signal.SIGABRT)
    assert seconds < 60
    assert "proxflow: process 0 of this run has ended" in said
    assert "Traceback" not in said

    # On one device, as if there had never been two.
    alone = ParticleTransport(steps=1, **SETTINGS).fit(ROWS)
    went_on = ParticleTransport(steps=10_000, callbacks=(lambda run: run.step > first + 30,), **SETTINGS)
    went_on.fit(ROWS, checkpoint=tmp_path / "run0.npz")
    assert went_on.n_steps_ > first
    assert went_on.particles_.shape == alone.particles_.shape
    assert went_on.history_["value"][0] == pytest.approx(alone.history_["value"][0], rel=0.05)
    assert went_on.transform(ROWS[:5]).shape == (5, 3)  # potentials of all three machines


def test_the_command_line_in_two_processes(tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    for k in range(2):
        np.save(shards / f"part{k}.npy", ROWS[k::2].astype(np.float32))
    options = ["--steps", 3, "--width", 8, "--updates", 1, "--batch-size", 64, "--no-trial", "--no-pictures", "--json"]

    def words(address, process):
        where = ["--coordinator", address, "--processes", 2, "--process", process]
        return ["-m", "proxflow", "generate", shards, "--stream", "-n", 101, "--out", tmp_path / "run", *options,
                "--distributed", *where]  # fmt: skip

    (out, _), (nothing, quiet) = ended(two(words))
    assert json.loads(out)["steps"] == 3
    assert nothing == ""
    assert "Traceback" not in quiet
    assert np.load(tmp_path / "run" / "samples.npy").shape == (101, 3)
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert "coordinator" not in settings["arguments"]  # it may be run again elsewhere
    assert not (tmp_path / "run" / "checkpoint.npz").exists()


# ---------------------------------------------------------------------- on paper


def test_a_step_on_paper():
    machine = {"flops": 1e13, "bandwidth": 25e9, "latency": 20e-6}
    one, many = (step_cost(1e9, devices, **machine) for devices in (1, 64))
    assert one.bytes_sent == one.transfer == one.waiting == 0
    parameters = 10 * 128 + 2 * 128**2 + 128 + 3 * 128
    assert many.bytes_sent == pytest.approx(4 * 2 * 63 / 64 * (8 * parameters + 2 * 4096 * 10))
    assert many.move == pytest.approx(one.move / 64)
    assert many.projection == one.projection  # not shared out
    assert many.share < 0.02 < step_cost(1e6, 64, **machine).share
    assert step_cost(1e10, 64, **machine).bytes_sent == many.bytes_sent  # particles are never sent
