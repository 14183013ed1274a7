"""Targets on disk: fair draws, bad files, and a flow that never reads the whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from proxflow import Divergence, GroupSort, ParticleTransport, open_samples
from proxflow.evolution import evolve
from proxflow.flows import Particles
from proxflow.targets import Batches, Samples

ROWS = np.random.default_rng(0).normal(size=(1000, 3)) + np.array([0, 10, 20])


@pytest.fixture(params=["npy", "images", "parquet", "folder"])
def file(request, tmp_path):
    if request.param == "folder":
        (tmp_path / "shards").mkdir()
        for k, part in enumerate(np.split(ROWS, [100, 350])):
            np.save(tmp_path / "shards" / f"{k}.npy", part)
        return tmp_path / "shards"
    if request.param == "parquet":
        path = tmp_path / "big.parquet"
        pd.DataFrame(ROWS, columns=["a", "b", "c"]).to_parquet(path, row_group_size=100)
        return path
    np.save(tmp_path / "big.npy", ROWS if request.param == "npy" else ROWS.reshape(1000, 3, 1))
    return tmp_path / "big.npy"


def test_rows_are_drawn_fairly_and_whole(file):
    samples = open_samples(file)
    assert samples.shape == (1000, 3)
    drawn = np.concatenate([samples.some(500, np.random.default_rng(seed)) for seed in range(60)])
    known = {row.tobytes(): i for i, row in enumerate(ROWS)}
    counts = np.bincount([known[row.tobytes()] for row in drawn], minlength=1000)  # KeyError: a row that is not there
    assert counts.min() > 0
    first, last = counts[:500].sum(), counts[500:].sum()
    assert abs(first - last) < 4 * np.sqrt(60 * 500 * 100)  # Parquet: eight groups of 100 rows a draw
    assert np.allclose(drawn.mean(axis=0), ROWS.mean(axis=0), atol=0.15)


def test_rows_are_read_from_here_to_there(file):
    samples = open_samples(file)
    for first, last in ((0, 1), (95, 360), (999, 1000), (7, 7)):
        assert (samples.between(first, last) == ROWS[first:last]).all()


def test_shards_are_alike(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    np.save(tmp_path / "b.npy", ROWS[:, :2])
    with pytest.raises(ValueError, match=r"b\.npy: other columns"):
        open_samples(tmp_path)


def test_a_flow_reaches_a_target_on_disk(file):
    transport = ParticleTransport(n_particles=100, steps=60, width=16, batch_size=128, random_state=0)
    transport.fit(open_samples(file))
    assert transport.settings_["batch_size"] == 128
    assert np.allclose(transport.particles_.mean(axis=0), ROWS.mean(axis=0), atol=0.5)
    assert transport.transform(transport.trajectory_[0][1]).shape == (100, 3)
    assert transport.sample(10).shape == (10, 3)


def test_rows_to_look_at_are_distinct(file):
    drawn = open_samples(file).distinct(900, np.random.default_rng(0))
    assert len(np.unique(drawn, axis=0)) == len(drawn) > 400


def test_columns_of_parquet_can_be_chosen(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4], "name": ["x", "y"]})
    frame.to_parquet(tmp_path / "t.parquet")
    assert open_samples(tmp_path / "t.parquet", ["b"]).some(3, np.random.default_rng(0)).shape == (3, 1)
    with pytest.raises(ValueError, match=r"'name' holds .*string"):
        open_samples(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="no column 'z'"):
        open_samples(tmp_path / "t.parquet", ["z"])


def test_bad_files_are_refused_by_name(tmp_path):
    np.save(tmp_path / "text.npy", np.array(["a"]))
    np.save(tmp_path / "none.npy", np.zeros((0, 3)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "text.npy").read_bytes()[:50])
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "a.csv").write_text("1,2")
    for name, words in {
        "text.npy": "not an array of real numbers", "none.npy": "no samples", "cut.npy": "not a whole NPY",
        "cut.parquet": "not a whole Parquet", "a.csv": "only NPY and Parquet", "gone.npy": "No such file",
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=f"{name}.*{words}|{words}.*{name}"):
            open_samples(tmp_path / name)


def test_bad_values_are_found_when_they_are_read(tmp_path):
    rows = ROWS.copy()
    rows[:, 1] = np.nan
    np.save(tmp_path / "bad.npy", rows)
    with pytest.raises(ValueError, match=r"bad\.npy \(some of its rows\): NaN"):
        ParticleTransport(steps=2).fit(open_samples(tmp_path / "bad.npy"))


def test_a_batch_s_value_is_too_large_and_the_debiased_one_is_not():
    import jax

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3000, 2)).astype(np.float32) + 2, rng.normal(size=(3000, 2)).astype(np.float32)
    pair = Divergence(GroupSort(L=1.0, width=16))
    memory = pair.init(jax.random.key(0), x, y)
    for _ in range(30):
        memory = pair.fit(x, y, memory)
    whole = float(pair.value(x, y, memory))
    batches = Batches(jax.device_put(y), 16)

    @jax.jit
    def both(key):
        cloud = batches.draw(key)
        return pair.value(x, cloud, memory), pair.debiased_value(x, cloud, memory)

    plain, debiased = (np.mean(v) for v in zip(*[both(jax.random.key(i)) for i in range(4000)], strict=True))
    assert plain - whole > 0.02
    assert abs(debiased - whole) < 0.25 * (plain - whole)


def test_batches_find_the_way_of_the_whole():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(400, 2)) + 4, rng.normal(size=(300, 2))
    pair = Divergence(GroupSort(L=1.0, width=16))
    samples = np.asarray(target, np.float32)
    run = evolve(Particles(), pair, source, Batches(samples, 64), steps=60, batch=64)
    whole = evolve(Particles(), pair, source, Samples(samples), steps=60)
    ends = [np.asarray(r.state.points).mean(axis=0) for r in (run, whole)]
    assert np.abs(ends[0] - ends[1]).max() < 0.3
    assert len(run.state.points) == 400


def test_large_samples_are_fitted_in_batches_by_default():
    quick = {"steps": 1, "width": 8, "depth": 1, "updates": 1}
    rows = np.random.default_rng(0).normal(size=(9000, 2))
    small, large = (ParticleTransport(**quick).fit(rows[:n]) for n in (50, 9000))
    assert small.settings_["batch_size"] is None
    assert large.settings_["batch_size"] == 4096
    assert large.particles_.shape == (9000, 2)
