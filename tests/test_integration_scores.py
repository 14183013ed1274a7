"""Scores beside floors, trials and the control: one law is at the floor, a shift helps, a memoriser is caught."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator

from proxflow.integration.floors import LOST, MEMORISED, Floors, band
from proxflow.integration.scores import ABOVE, AT, COLUMNS, FAILS, FEW, SHRUNK, score_arrays
from proxflow.integration.trials import heldout_scores, permuted_control

WIDTH = 6


class Shift(BaseEstimator):
    """Every class to the mean of its class."""

    def fit(self, Xs, ys, Xt, yt):
        ys, yt = (np.zeros(len(X)) if y is None else y for X, y in ((Xs, ys), (Xt, yt)))
        self.ways_ = {c: Xt[yt == c].mean(axis=0) - Xs[ys == c].mean(axis=0) for c in np.unique(ys)}
        return self

    def transform(self, Xs, ys=None):
        return Xs + np.stack([self.ways_[c] for c in (np.zeros(len(Xs)) if ys is None else ys)])


class Memoriser(Shift):
    """The shift, and then almost all the way to the nearest sample of the class."""

    def fit(self, Xs, ys, Xt, yt):
        self.seen_ = {c: Xt[yt == c] for c in np.unique(yt)}
        return super().fit(Xs, ys, Xt, yt)

    def transform(self, Xs, ys=None):
        moved = super().transform(Xs, ys)
        for c, seen in self.seen_.items():
            own = moved[ys == c]
            moved[ys == c] += 0.95 * (seen[cdist(own, seen).argmin(axis=1)] - own)
        return moved


class Collapse(Shift):
    def transform(self, Xs, ys=None):
        moved = super().transform(Xs, ys)
        return moved.mean(axis=0) + 0.3 * (moved - moved.mean(axis=0))


def cohorts(seed=0, n=160, m=180, shift=2.0):
    """Source and reference of one law with two classes, but for a shift that depends on the class."""
    rng = np.random.default_rng(seed)
    ys, yt = (np.where(np.arange(k) < share * k, "neg", "pos") for k, share in ((n, 0.4), (m, 0.6)))
    s, t = (rng.normal(size=(len(y), WIDTH)) + 2.5 * (y == "pos")[:, None] * np.eye(WIDTH)[0] for y in (ys, yt))
    s[:, 1] += shift
    s[:, 2] += shift * (ys == "pos")
    return s, ys, t, yt


def row(frame, measure, label="all"):
    (found,) = frame[(frame["measure"] == measure) & (frame["class"] == label)].to_dict("records")
    return SimpleNamespace(**found)


@pytest.fixture(scope="module")
def data():
    return cohorts()


@pytest.fixture(scope="module")
def trials(data):
    return {model: heldout_scores(model(), *data, random_state=0) for model in (Shift, Memoriser, Collapse)}


def test_one_law_is_at_the_floor():
    verdicts = []
    for seed in range(100, 105):
        s, ys, t, yt = cohorts(seed, shift=0.0)
        frame = score_arrays(s, t, ys, yt, random_state=seed)
        assert list(frame.columns) == list(COLUMNS)
        assert set(frame["class"]) == {"all", "neg", "pos"}
        assert (frame["floor_low"] < frame["floor"]).all()
        assert (frame["floor"] < frame["floor_high"]).all()
        verdicts += frame["verdict"].tolist()
    assert len(verdicts) == 5 * 24
    assert verdicts.count(AT) > 0.9 * len(verdicts)


def test_a_batch_effect_is_above_the_floor(data):
    s, ys, t, yt = data
    frame = score_arrays(s, t, ys, yt, unadjusted=s, random_state=0)
    for measure in ("energy", "w2", "sliced_w2", "gaussian_w2", "neighbour_auc", "nn_ratio"):
        for label in ("all", "neg", "pos"):
            assert row(frame, measure, label).verdict == ABOVE, (measure, label)
    assert np.allclose(frame["value"], frame["unadjusted"])
    # Pooled by the classes' shares among the moved: squares of distances, values otherwise.
    share = {c: np.mean(ys == c) for c in ("neg", "pos")}
    assert row(frame, "w2").value ** 2 == pytest.approx(sum(share[c] * row(frame, "w2", c).value ** 2 for c in share))
    assert row(frame, "energy").value == pytest.approx(sum(share[c] * row(frame, "energy", c).value for c in share))


def test_the_unit_of_distances_is_the_spread(data):
    s, ys, t, yt = data
    near, far = (score_arrays(k * s, k * t, ys, yt, random_state=0) for k in (1.0, 1000.0))
    assert np.allclose(near["value"], far["value"])
    assert near["verdict"].tolist() == far["verdict"].tolist()


def test_floors_are_carried_over_to_the_sizes_compared():
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(8):
        t, s = rng.normal(size=(100, 2)), rng.normal(size=(400, 2))
        floors = Floors(t, np.full(100, ""), 10, 0)
        ratios.append(score_arrays(s, t, floors=floors, random_state=0).set_index("measure").loc["w2"])
    carried = np.mean([r["value"] / r["floor"] for r in ratios])
    assert carried == pytest.approx(1.0, abs=0.15)
    unscaled = np.mean([floors._found["w2", ""][0].mean()]) / floors.draws("w2", "", 400).mean()
    assert unscaled > 1.2  # halves are farther apart than the wholes


def test_the_band_is_a_prediction_interval():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(2000):
        draws = rng.normal(size=11)
        _, low, high = band(draws[:10])
        inside.append(low < draws[10] < high)
    assert np.mean(inside) == pytest.approx(0.98, abs=0.01)


def test_samples_on_top_of_the_reference_are_memorised(data):
    s, ys, t, yt = data
    moved = Memoriser().fit(s, ys, t, yt).transform(s, ys)
    frame = score_arrays(moved, t, ys, yt, random_state=0)
    assert row(frame, "nn_ratio").verdict == MEMORISED
    assert row(frame, "w2").verdict == MEMORISED
    frame = score_arrays(Shift().fit(s, ys, t, yt).transform(s, ys), t, ys, yt, random_state=0)
    assert MEMORISED not in set(frame["verdict"])


def test_a_cloud_that_was_drawn_together_has_lost_its_spread(data, trials):
    s, ys, t, yt = data
    frame = score_arrays(Collapse().fit(s, ys, t, yt).transform(s, ys), t, random_state=0)
    assert row(frame, "spread_ratio").verdict == LOST
    assert row(trials[Collapse], "spread_ratio").verdict == LOST
    assert MEMORISED not in set(trials[Collapse]["verdict"])
    assert set(frame["class"]) == {"all"}  # no labels, no rows of classes
    wide = np.random.default_rng(0).normal(size=(2, 100, 40))
    shrunk = score_arrays(0.6 * wide[0], wide[1], random_state=0)
    assert row(shrunk, "w2").verdict == SHRUNK


def test_held_out_a_shift_helps_and_copies_nothing(trials):
    frame = trials[Shift]
    assert row(frame, "energy").unadjusted > 0.5
    assert row(frame, "energy").verdict == AT
    assert row(frame, "nn_ratio_fitted").verdict in (AT, ABOVE)
    assert row(frame, "label_transfer").value > row(frame, "label_transfer").unadjusted
    assert not [v for v in frame["verdict"] if v.startswith("better")]


def test_held_out_the_memoriser_is_flagged(trials):
    frame = trials[Memoriser]
    assert row(frame, "nn_ratio_fitted").verdict == MEMORISED
    assert row(frame, "nn_ratio_fitted").value < 0.3


def test_the_control_tells_a_shift_from_a_memoriser(data):
    shift = permuted_control(Shift(), *data, permutations=3, random_state=0)
    assert shift["verdict"].tolist() == [AT, AT]
    assert shift["floor"].tolist() == [0.5, 0.5]
    memoriser = permuted_control(Memoriser(), *data, permutations=3, random_state=0)
    assert memoriser["verdict"].tolist() == [FAILS, FAILS]
    assert memoriser["value"].min() > 0.8


def test_a_trial_works_without_labels_and_seeds_models_that_have_none():
    seen = []

    class Noted(Shift):
        def __init__(self, random_state=None):
            self.random_state = random_state

        def fit(self, Xs, ys, Xt, yt):
            seen.append((self.random_state, ys, len(Xs), len(Xt)))
            return super().fit(Xs, ys, Xt, yt)

    s, _, t, _ = cohorts(n=50, m=61)
    first = heldout_scores(Noted(), s, None, t, None, holdout=0.4, random_state=7)
    again = heldout_scores(Noted(), s, None, t, None, holdout=0.4, random_state=7)
    assert first.equals(again)
    assert seen[:2] == [(7, None, 30, 37), (8, None, 30, 37)]
    assert "label_transfer" not in set(first["measure"])
    heldout_scores(Noted(3), s, None, t, None, random_state=7)
    assert seen[-1][0] == 3


def test_few_samples_are_said_to_be_few(data):
    s, ys, t, yt = data
    kept = (ys == "pos") | (np.arange(len(ys)) < 12)
    frame = score_arrays(s[kept], t, ys[kept], yt, random_state=0)
    assert set(frame[frame["class"] == "neg"]["verdict"]) == {FEW}
    assert FEW not in set(frame[frame["class"] == "pos"]["verdict"])
    frame = score_arrays(s[:3], t[:3], random_state=0)
    assert set(frame["verdict"]) == {FEW}


def test_classes_on_one_side_are_named(data):
    s, ys, t, yt = data
    ys = np.where(np.arange(len(ys)) % 2, ys, "only here")
    frame = score_arrays(s, t, ys, yt, random_state=0)
    assert set(frame["class"]) == {"all", "neg", "pos"}
    assert frame.attrs["notes"] == ["Not compared, absent from the reference: only here."]
    assert len(heldout_scores(Shift(), s, ys, t, yt, repeats=1, random_state=0))


def test_large_classes_are_subsampled_and_it_is_said():
    rng = np.random.default_rng(0)
    s, t = rng.normal(size=(2, 2500, 3))
    frame = score_arrays(s, t, repeats=2, random_state=0)
    assert "at most 2,000 rows" in frame.attrs["notes"][0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ys": None}, "one side only"),
        ({"ys": ["a"] * 3}, "ys must be one label per sample"),
        ({"ys": ["Neg"] * 160}, "no class in common"),
        ({"unadjusted": np.zeros((3, WIDTH))}, "must be the same samples"),
        ({"repeats": 0}, "repeats"),
    ],
)
def test_bad_input_is_named(data, change, words):
    s, ys, t, yt = data
    with pytest.raises(ValueError, match=words):
        score_arrays(**{"moved": s, "reference": t, "ys": ys, "yt": yt} | change)


def test_trials_need_samples_and_labels(data):
    s, ys, t, yt = data
    with pytest.raises(ValueError, match="too few to hold any out"):
        heldout_scores(Shift(), s[:3], None, t, None)
    with pytest.raises(ValueError, match="between 0 and 1"):
        heldout_scores(Shift(), s, ys, t, yt, holdout=1.0)
    with pytest.raises(ValueError, match="permutes labels"):
        permuted_control(Shift(), s, None, t, None)
