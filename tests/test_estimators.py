"""ParticleTransport: scikit-learn's conventions, every choice, and what must not break."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from proxflow import ParticleTransport, nearest_distance, oracle_ratio
from proxflow.data.toy import moons
from proxflow.gamma import GroupSort, Symmetric
from proxflow.gamma.symmetric import column_permutations

QUICK = {"steps": 3, "width": 8, "depth": 1, "updates": 1, "random_state": 0}


class _OneArgument(ParticleTransport):
    """scikit-learn's checks pass labels as the second argument, where this estimator takes a source."""

    def fit(self, target, y=None):
        return super().fit(target)


@parametrize_with_checks([_OneArgument(**QUICK)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted():
    return ParticleTransport(n_particles=60, steps=40, width=16, random_state=0).fit(moons(50, 0))


def test_defaults_give_samples_as_close_as_real_ones():
    train, fresh, test = (moons(150, seed) for seed in range(3))
    new = ParticleTransport(steps=250, random_state=0).fit(train).particles_
    assert oracle_ratio(new, fresh, test) < 1.3
    source = ParticleTransport(steps=1, step_size=1e-9, random_state=0).fit(train).particles_
    assert oracle_ratio(source, fresh, test) > 2  # where it started from


def test_same_seed_same_bits_and_another_seed_another_sample(fitted):
    settings = {"n_particles": 60, "steps": 40, "width": 16}
    again = ParticleTransport(**settings, random_state=0).fit(moons(50, 0))
    other = ParticleTransport(**settings, random_state=1).fit(moons(50, 0))
    assert (again.particles_ == fitted.particles_).all()
    assert (other.particles_ != fitted.particles_).any()


def test_transform_replays_the_fit():
    source = np.random.default_rng(0).normal(size=(40, 2)) + 3
    for method in ("euler", "heun"):
        transport = ParticleTransport(steps=30, width=16, method=method, random_state=0).fit(moons(50, 0), source)
        np.testing.assert_allclose(transport.transform(source), transport.particles_, atol=1e-4)
        np.testing.assert_allclose(transport.transform(source[:3]), transport.particles_[:3], atol=1e-4)


def test_sample_gives_any_number_repeatably(fitted):
    assert fitted.sample(7).shape == (7, 2)
    assert fitted.sample(100).shape == (100, 2)
    assert (fitted.sample(7) == fitted.sample(7)).all()
    assert (fitted.sample(7, random_state=5) != fitted.sample(7, random_state=6)).any()
    assert np.median(nearest_distance(fitted.sample(60), moons(50, 0))) < 0.2


def test_sample_from_a_given_source_draws_its_rows():
    source = np.random.default_rng(0).normal(size=(10, 2))
    transport = ParticleTransport(**QUICK | {"step_size": 1e-9}).fit(moons(50, 0), source)
    assert nearest_distance(transport.sample(25), source).max() < 1e-5


def test_trajectory_history_and_settings(fitted):
    assert fitted.trajectory_[0][0] == 0
    assert fitted.trajectory_[-1][0] == fitted.n_steps_ == 40
    assert set(fitted.history_) == {"value", "fisher", "slope", "step_size"}
    assert all(len(series) == 40 for series in fitted.history_.values())
    assert (fitted.history_["slope"] <= fitted.settings_["L"] * (1 + 1e-5)).all()
    assert fitted.history_["value"][-5:].mean() < fitted.history_["value"][:5].mean()
    assert fitted.settings_["width"] == 16


@pytest.mark.parametrize(
    "choice",
    [{"f": f} for f in ("alpha", "reverse_kl", "js", "hellinger", "chi2", "ipm")]
    + [{"gamma": g} for g in ("spectral", "unregularised")]
    + [{"L": float("inf")}, {"reverse": True}, {"method": "heun"}, {"source": "uniform"}, {"smoothing": 1.0},
       {"bounds": (-1.5, 2.5)}, {"scaling": "columns"}, {"f": "alpha", "alpha": 0.5}, {"step_size": 0.1}, {"L": 10.0}],
    ids=str,
)  # fmt: skip
def test_every_choice_runs_and_moves(choice):
    data = moons(30, 0)
    transport = ParticleTransport(**QUICK | choice).fit(data)
    assert np.isfinite(transport.particles_).all()
    start = transport.trajectory_[0][1]
    assert (transport.particles_ != start).any()
    if "bounds" in choice:
        assert -1.5 <= transport.particles_.min() <= transport.particles_.max() <= 2.5
        with pytest.raises(ValueError, match="the target goes from"):
            ParticleTransport(**QUICK | {"bounds": (-1, 1)}).fit(data)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"L": 0}, "L must be"), ({"L": -1.0}, "L must be"), ({"L": "1"}, "L must be"), ({"f": "kll"}, "reverse_kl"),
        ({"alpha": 2.0}, "no order"), ({"width": 9}, "even"), ({"steps": 0}, "steps"), ({"steps": 2.5}, "steps"),
        ({"smoothing": 1.5}, "smoothing"), ({"bounds": (1, 0)}, "low < high"), ({"source": "box"}, "gaussian"),
        ({"n_particles": 0}, "n_particles"), ({"method": "rk"}, "heun"), ({"gamma": "x"}, "groupsort"),
        ({"random_state": -1}, "random_state"), ({"scaling": "x"}, "columns"), ({"step_share": 0}, "step_share"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_settings_are_refused_by_name(choice, words):
    with pytest.raises(ValueError, match=words):
        ParticleTransport(**QUICK | choice).fit(moons(20, 0))


def test_bad_data_is_refused_by_place():
    good = pd.DataFrame(moons(20, 0), columns=["age", "height"])
    bad = good.copy()
    bad.loc[3, "height"] = np.nan
    with pytest.raises(ValueError, match="NaN in row 3, column 'height'"):
        ParticleTransport(**QUICK).fit(bad)
    with pytest.raises(ValueError, match=r"2 features.* 3"):
        ParticleTransport(**QUICK).fit(good, np.zeros((5, 3)))
    with pytest.raises(ValueError, match="at least 2"):
        ParticleTransport(**QUICK).fit(good[:1])


def test_constant_column_stays_constant_exactly():
    data = np.c_[moons(40, 0), np.full(40, 7.25)]
    new = ParticleTransport(**QUICK).fit(data).particles_
    np.testing.assert_allclose(new[:, 2], 7.25, rtol=0, atol=1e-12)


def test_spaces_with_coordinates_of_their_own_see_every_column():
    data = np.column_stack([moons(20, 0), np.full(20, 3.0)])  # a span would drop the last column, and turn the others
    gamma = Symmetric(GroupSort(L=1.0, width=8, depth=1, updates=1), column_permutations(3))
    fitted = ParticleTransport(gamma=gamma, steps=3, random_state=0).fit(data, data + 1)
    assert fitted.particles_.shape == (20, 3)
    with pytest.raises(ValueError, match="needs the columns as they are"):
        ParticleTransport(gamma=gamma, scaling="columns", steps=3).fit(data)


def test_wide_data_stay_in_their_span():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(12, 300))
    transport = ParticleTransport(**QUICK, n_particles=20).fit(data)
    residual = np.linalg.lstsq((data - data.mean(0)).T, (transport.particles_ - data.mean(0)).T, rcond=None)[1]
    assert transport.particles_.shape == (20, 300)
    assert residual.size == 0 or residual.max() < 1e-8
    off = rng.normal(size=(3, 300)) * 5
    moved = transport.transform(off)  # what lies outside the span is kept
    basis = np.linalg.svd(data - data.mean(0), full_matrices=False)[2][:11]
    np.testing.assert_allclose((moved - off) - (moved - off) @ basis.T @ basis, 0, atol=1e-4)


def test_identical_samples_single_particles_and_one_feature():
    for data, count in ((np.ones((5, 2)), 3), (moons(20, 0), 1), (moons(20, 0)[:, :1], 10)):
        transport = ParticleTransport(**QUICK, n_particles=count).fit(data)
        assert transport.particles_.shape == (count, data.shape[1])
        assert np.isfinite(transport.particles_).all()
    assert np.allclose(ParticleTransport(**QUICK).fit(np.ones((5, 2))).particles_, 1, atol=1e-3)


def test_the_result_follows_the_unit_of_the_data():
    base = ParticleTransport(steps=20, width=16, random_state=0).fit(moons(50, 0)).particles_
    for scale in (2.0**20, 2.0**-20):  # exact in float32, so that nothing but the formulas can differ
        moved = ParticleTransport(steps=20, width=16, random_state=0).fit(moons(50, 0) * scale).particles_
        np.testing.assert_allclose(moved / scale, base, atol=1e-2)


def test_a_large_offset_costs_no_digits():
    offset = 2.0**30  # float32 has none left for the moons there
    moved = ParticleTransport(steps=60, width=16, random_state=0).fit(moons(50, 0) + offset).particles_
    assert len(np.unique(moved[:, 0])) == 50
    assert np.median(nearest_distance(moved - offset, moons(50, 0))) < 0.15


def test_columns_in_mixed_units_are_scaled_inside():
    data = moons(50, 0) @ np.diag([1.0, 1.0])
    mixed = np.c_[data, 1000 * data[:, 0], data[:, 1]]
    transport = ParticleTransport(**QUICK).fit(mixed)
    assert transport.settings_["scaling"] == "columns"
    assert np.allclose(transport.in_units(mixed).std(axis=0), 1)
    assert ParticleTransport(**QUICK).fit(data).settings_["scaling"] == "none"


def test_interrupt_keeps_the_particles_and_warns():
    def interrupt(run):
        if run.step >= 2:
            raise KeyboardInterrupt

    transport = ParticleTransport(**QUICK | {"steps": 50}, callbacks=(interrupt,))
    with pytest.warns(RuntimeWarning, match="interrupted"):
        transport.fit(moons(20, 0))
    assert transport.n_steps_ == 2
    assert len(transport.history_["value"]) == 2
    assert transport.stopped_ == "interrupted"


def test_non_finite_run_keeps_what_it_had():
    with pytest.warns(RuntimeWarning, match="non-finite numbers at step 1"):
        transport = ParticleTransport(**QUICK | {"step_size": 1e38, "L": 1e15}).fit(moons(20, 0))
    assert np.isfinite(transport.particles_).all()


def test_memory_budget_is_named():
    transport = ParticleTransport(**QUICK, memory_budget=1e-9).fit(moons(20, 0))
    with pytest.raises(ValueError, match="memory_budget"):
        transport.transform(moons(5, 0))
    assert transport.sample(5).shape == (5, 2)  # which needs none


def test_clone_pickle_and_dtype():
    transport = ParticleTransport(**QUICK).fit(moons(20, 0).astype(np.float32))
    assert transport.particles_.dtype == np.float32
    assert clone(transport).get_params() == transport.get_params()
    again = pickle.loads(pickle.dumps(transport))
    assert (again.transform(moons(5, 0)) == transport.transform(moons(5, 0))).all()


def test_settings_may_come_from_a_numpy_grid():
    grid = {"width": np.int64(8), "depth": np.int64(1), "updates": np.int32(1), "L": np.float32(0.5)}
    transport = ParticleTransport(**QUICK | grid | {"steps": np.int64(3)}).fit(moons(20, 0))
    plain = ParticleTransport(**QUICK | {"L": 0.5}).fit(moons(20, 0))
    assert (transport.particles_ == plain.particles_).all()


def test_columns_keep_their_names():
    frame = pd.DataFrame(moons(20, 0), columns=["age", "height"])
    transport = ParticleTransport(**QUICK).set_output(transform="pandas").fit(frame)
    assert list(transport.get_feature_names_out()) == ["age", "height"]
    assert list(transport.transform(frame).columns) == ["age", "height"]
    with pytest.raises(ValueError, match="feature names"):
        transport.transform(frame[["height", "age"]])
