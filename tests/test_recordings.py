"""Fitted flows that are kept: replayed within a budget, saved to one file, distilled into a network."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from proxflow import DistilledMap, ParticleTransport, Stopping, oracle_ratio
from proxflow.arrays import read_arrays, write_arrays
from proxflow.data.toy import pinwheel
from proxflow.flow_files import decoded
from proxflow.gamma import GroupSort
from proxflow.recordings import record_for
from proxflow.thinning import kept_steps, record_within

DATA = pinwheel(60, 0)
QUICK = {"steps": 30, "width": 16, "depth": 2, "updates": 2, "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    return ParticleTransport(**QUICK, n_particles=80).fit(DATA)


def test_replayed_samples_are_new_and_as_many_as_asked_for(fitted):
    first = fitted.sample(7, method="replay")
    assert first.shape == (7, 2)
    assert (first == fitted.sample(7, method="replay")).all()
    assert (first != fitted.sample(7, 5, method="replay")).any()
    with pytest.raises(ValueError, match="flow"):
        fitted.sample(7, method="map")


def test_replay_comes_as_close_as_the_particles():
    fresh, test = pinwheel(300, 1), pinwheel(300, 2)
    fit = ParticleTransport(steps=200, random_state=0, n_particles=300).fit(pinwheel(300, 0))
    start = fit.trajectory_[0][1]
    assert oracle_ratio(fit.sample(300, method="replay"), fresh, test) < 0.85 * oracle_ratio(start, fresh, test)


def test_the_budget_thins_the_potentials_and_then_drops_them():
    assert record_for(1000, 1000, 500) == 1
    assert 240 <= len(kept_steps(record_for(1.0, 1000, 500), 500)) <= 250  # 500 steps of 4 kB are 2 MB
    assert kept_steps(record_for(0.004, 1000, 500), 500).tolist() == [0]
    assert record_for(0.003, 1000, 500) == 0
    sizes = {}
    for budget in (1000.0, 0.02, 0.01):
        fit = ParticleTransport(**QUICK, memory_budget=budget).fit(DATA)
        leaves = [np.asarray(leaf) for leaf in _leaves(fit._recording.potentials)]
        sizes[budget] = sum(leaf.nbytes for leaf in leaves) / 1e6
        moved = fit.transform(fit.trajectory_[0][1])
        assert np.abs(moved - fit.particles_).mean() < {1000.0: 1e-4}.get(budget, 0.5)
    assert sizes[0.02] <= 0.02 < sizes[1000.0]
    assert sizes[0.01] <= 0.01


@pytest.mark.parametrize("record", [1, 2, 90, 3000, 10**6])
def test_gaps_grow_and_do_not_depend_on_where_a_run_is_cut(record):
    kept = kept_steps(record, 500)
    assert kept[0] == 0
    assert (np.diff(np.diff(kept)) >= 0).all()
    assert (kept_steps(record, 200) == kept[kept < 200]).all()


def test_as_many_are_kept_as_the_count_allows():
    for count in (1, 2, 7, 28, 250, 499, 500, 10_000):
        record = record_within(count, 500)
        assert len(kept_steps(record, 500)) <= count
        assert record == 1 or len(kept_steps(record - 1, 500)) > count
    assert record_within(0.9, 500) == 0
    assert len(kept_steps(0, 500)) == 0


def _leaves(tree):
    import jax

    return jax.tree.leaves(tree)


SETTINGS = {
    "defaults": {},
    "an object for f and for gamma": {"gamma": GroupSort(L=0.5, width=8, depth=1, updates=1), "width": None},
    "infinite L": {"L": float("inf"), "f": "js"},
    "a method with stages": {"method": "heun"},
    "the other direction": {"reverse": True},
    "bounds": {"bounds": (-6.0, 6.0)},
    "no potentials": {"memory_budget": 0.0},
    "compressed columns": {"scaling": "signed_log"},
    "labels": {"fixed_columns": 1},
    "the exact potential": {"gamma": "exact"},
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_saved_flow_does_what_the_fitted_one_does(case, tmp_path):
    file = tmp_path / "flow.npz"
    fit = ParticleTransport(**QUICK | {"steps": 4} | SETTINGS[case]).fit(DATA)
    fit.save(file)
    again = ParticleTransport.load(file)
    assert (again.particles_ == fit.particles_).all()
    assert again.settings_ == fit.settings_
    assert again.get_params().keys() == fit.get_params().keys()
    assert (again.sample(5) == fit.sample(5)).all()
    if case != "no potentials":
        assert (again.transform(DATA[:9]) == fit.transform(DATA[:9])).all()
    for name, series in fit.history_.items():
        np.testing.assert_array_equal(again.history_[name], series)


def test_a_saved_flow_knows_its_columns_and_its_source(tmp_path):
    frame = pd.DataFrame(DATA, columns=["age", "height"])
    fit = ParticleTransport(**QUICK | {"steps": 3}).fit(frame, frame + 1)
    fit.save(tmp_path / "flow.npz")
    again = ParticleTransport.load(tmp_path / "flow.npz")
    assert (again.transform(frame) == fit.transform(frame)).all()
    assert (again.sample(20) == fit.sample(20)).all()
    with pytest.raises(ValueError, match="feature names"):
        again.transform(frame[["height", "age"]])


def test_what_cannot_be_saved_is_named(tmp_path):
    class Mine(GroupSort):
        pass

    fit = ParticleTransport(**QUICK | {"steps": 2, "gamma": Mine(L=1.0, width=8)}).fit(DATA)
    with pytest.raises(ValueError, match=r"gamma=.*Mine.*pickle"):
        fit.save(tmp_path / "flow.npz")
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_flows_are_refused(tmp_path, fitted):
    file = tmp_path / "flow.npz"
    fitted.save(file)
    content = file.read_bytes()
    inside = content.index(b"samples.npy") + 200  # in the numbers: some bytes of an archive's headers mean nothing
    flipped = content[:inside] + bytes([content[inside] ^ 1]) + content[inside + 1 :]
    for damaged in (b"", content[:1000], content[:-100], flipped):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"flow\.npz: damaged"):
            ParticleTransport.load(file)
    with pytest.raises(ValueError, match="No such file"):
        ParticleTransport.load(tmp_path / "none.npz")
    np.savez(file, a=np.zeros(3))
    with pytest.raises(ValueError, match="not a fitted flow"):
        ParticleTransport.load(file)
    file.write_bytes(content)
    header, arrays = read_arrays(file, "fitted flow", 1)
    rest = {k: v for k, v in header.items() if k not in ("kind", "format")}

    def f(name, **fields):
        return {"parameters": {"f": {"class": name, "fields": fields}}}

    nonsense = [
        f("os"), f("open_samples", path=str(file)), f("wasserstein", x=[[0]], y=[[1]]), {"parameters": {"nothing": 1}},
        {"parameters": {"depth": 10**7}}, {"steps": "a"}, {"record": -1}, {"columns": ["a"]}, {"seed": 1.5},
        {"parameters": {"bounds": [1, 0]}},
    ]  # fmt: skip
    for change in nonsense:
        write_arrays(file, "fitted flow", 1, rest | change, arrays)
        with pytest.raises(ValueError, match="not a flow that can be read"):
            ParticleTransport.load(file)
    for name, array in {"samples": np.zeros(3), "particles": np.zeros((4, 9)), "history.value": np.zeros(2)}.items():
        write_arrays(file, "fitted flow", 1, rest, arrays | {name: array})
        with pytest.raises(ValueError, match="not a flow that can be read"):
            ParticleTransport.load(file)
    for name in (name for name in arrays if name.startswith("potentials.")):
        write_arrays(file, "fitted flow", 1, rest, arrays | {name: arrays[name][:-1]})
        with pytest.raises(ValueError, match="not a flow that can be read"):
            ParticleTransport.load(file)


@pytest.mark.parametrize("name", ["Run", "Stopping", "ConstantStep", "ParticleTransport", "augment", "os", None])
def test_nothing_but_entropies_and_spaces_is_made_from_a_file(name):
    with pytest.raises(ValueError, match="unknown class"):
        decoded({"class": name, "fields": {}})


def test_a_distilled_map_makes_samples_at_once(tmp_path):
    fit = ParticleTransport(**QUICK | {"steps": 150, "width": 32}, n_particles=200).fit(pinwheel(200, 0))
    small = fit.distil(1000, width=64, depth=2, steps=600)
    fresh, test = pinwheel(300, 1), pinwheel(300, 2)
    start = fit.trajectory_[0][1]
    ratio = oracle_ratio(small.sample(300), fresh, test)
    assert ratio < 0.8 * oracle_ratio(start, fresh, test)
    assert 0 < small.error < 0.7
    assert small.sample(5).shape == (5, 2)
    assert (small.sample(5, 1) != small.sample(5, 2)).any()
    np.testing.assert_allclose(small.transform(DATA[:3]), small.transform(DATA)[:3], atol=1e-4)
    small.save(tmp_path / "map.npz")
    assert (DistilledMap.load(tmp_path / "map.npz").sample(5) == small.sample(5)).all()
    fit.save(tmp_path / "flow.npz")
    with pytest.raises(ValueError, match="not a distilled map"):
        DistilledMap.load(tmp_path / "flow.npz")
    with pytest.raises(ValueError, match="pairs"):
        fit.distil(0)


def test_labels_survive_a_distilled_map():
    labelled = np.column_stack([DATA, np.arange(60) % 2 * 8.0])
    fit = ParticleTransport(**QUICK | {"fixed_columns": 1}).fit(labelled)
    new = fit.distil(100, width=16, depth=1, steps=20).sample(10)
    assert sorted(new[:, 2].tolist()) == [0.0] * 5 + [8.0] * 5


def test_the_command_refuses_labels_that_it_cannot_name(tmp_path):
    from proxflow.cli.replay import replay

    labelled = np.column_stack([DATA, np.arange(60) % 2 * 8.0])
    ParticleTransport(**QUICK | {"fixed_columns": 1, "steps": 2}).fit(labelled).save(tmp_path / "flow.npz")
    with pytest.raises(ValueError, match="labelled samples"):
        replay(tmp_path, n=3)


def test_stopping_is_asked_when_a_run_is_resumed():
    assert Stopping(fisher=1e-4, stalled=0).verdict({"value": np.ones(3), "fisher": np.array([1.0, 1.0, 1e-9])})
