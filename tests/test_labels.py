"""Labels: new samples have them, transports keep them, and classes on one side only are named."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

from proxflow import LabelledTransport, ParticleTransport
from proxflow.labels import Labelling, balanced
from proxflow.proportions import counts_of_classes
from proxflow.sources import draw_labelled_source

X, NUMBERS = load_iris(return_X_y=True)
Y = np.array(["setosa", "versicolor", "virginica"])[NUMBERS]
FAST = ParticleTransport(steps=40, width=16, depth=2, n_particles=60, random_state=0)
TINY = ParticleTransport(steps=2, width=8, depth=1, updates=1, n_particles=30, random_state=0)


@pytest.fixture(scope="module", params=["joint", "separate"])
def fitted(request):
    return LabelledTransport(FAST, labels=request.param).fit(X, Y)


def of_its_class(points, labels):
    """Share of points whose nearest real sample has the label they claim."""
    nearest = np.argmin(((points[:, None] - X) ** 2).sum(axis=2), axis=1)
    return np.mean(Y[nearest] == labels)


def test_new_samples_are_of_the_class_they_claim(fitted):
    assert fitted.particles_.shape == (60, 4)
    assert dict(zip(*np.unique(fitted.labels_, return_counts=True), strict=True)) == dict.fromkeys(fitted.classes_, 20)
    assert of_its_class(fitted.particles_, fitted.labels_) > 0.9


def test_samples_come_in_the_proportions_asked_for(fitted):
    points, labels = fitted.sample(10, proportions={"setosa": 4, "virginica": 1}, method="replay")
    assert points.shape == (10, 4)
    assert (labels == "setosa").sum() == 8
    assert (labels == "virginica").sum() == 2
    assert of_its_class(points, labels) > 0.7


def test_transform_keeps_every_point_in_its_class(fitted):
    moved = fitted.transform(X[::10], Y[::10])
    assert moved.shape == (15, 4)
    assert of_its_class(moved, Y[::10]) > 0.7
    with pytest.raises(ValueError, match="'rosa' was not in the fit"):
        fitted.transform(X[:1], ["rosa"])


@pytest.mark.parametrize("labels", ["joint", "separate"])
def test_the_flow_runs_again_for_new_samples(labels):
    transport = LabelledTransport(TINY, labels=labels).fit(X, NUMBERS)
    points, codes = transport.sample(7, proportions="equal")
    assert points.shape == (7, 4)
    assert np.bincount(codes).tolist() == [3, 2, 2]
    again, _ = transport.sample(7, proportions="equal")
    assert (points == again).all()


@pytest.mark.parametrize("labels", ["joint", "separate"])
def test_labelled_samples_are_carried_to_their_own_class(labels):
    order = np.random.default_rng(0).permutation(150)
    source, codes = X[order] + 2, Y[order]
    transport = LabelledTransport(FAST, labels=labels).fit(X, Y, source, codes)
    assert (transport.labels_ == codes).all()
    assert of_its_class(transport.particles_, codes) > 0.9


@pytest.mark.parametrize("given", [False, True])
def test_other_shares_than_the_target_s_keep_every_class_pure(given):
    few = np.r_[0:50, 50:60, 100:110]  # the target is 5 : 1 : 1, the particles are 1 : 1 : 1, or 1 : 5 : 5
    others = np.r_[0:10, 50:150]
    source = (X[others] + 2, Y[others]) if given else ()
    transport = LabelledTransport(FAST, proportions=None if given else "equal").fit(X[few], Y[few], *source)
    assert of_its_class(transport.particles_, transport.labels_) > 0.9
    if given:
        assert (transport.labels_ == Y[others]).all()
        return
    points, labels = transport.sample(20, proportions={"virginica": 1})
    assert set(labels) == {"virginica"}
    assert of_its_class(points, labels) > 0.9


def test_particles_are_added_until_the_shares_are_right():
    codes = np.repeat(["a", "b"], [75, 25])
    assert balanced({"a": 75, "b": 25}, codes) == {"a": 75, "b": 25}
    assert balanced({"a": 7, "b": 3}, codes) == {"a": 7, "b": 3}  # within rounding
    assert balanced({"a": 10, "b": 10}, codes) == {"a": 30, "b": 10}
    assert balanced({"a": 0, "b": 10}, codes) == {"a": 30, "b": 10}


def test_same_seed_same_bits():
    first, again = (LabelledTransport(TINY, random_state=3).fit(X, Y).particles_ for _ in range(2))
    other = LabelledTransport(TINY, random_state=4).fit(X, Y).particles_
    assert (first == again).all()
    assert (first != other).any()


def test_fixed_columns_stay_as_they_are():
    covariate = np.linspace(0, 1, 150)
    joint = np.column_stack([X, covariate])
    moved = TINY.set_params(fixed_columns=1).fit(joint, joint + np.array([5, 5, 5, 5, 0])).particles_
    TINY.set_params(fixed_columns=0)
    np.testing.assert_allclose(moved[:, 4], covariate, atol=1e-7)  # through float32
    assert (moved[:, :4] != X + 5).any()


BAD = {
    "a class in the target only": (lambda: (X, Y, X[:100], Y[:100]), r"class 'virginica' is in the target only \(50"),
    "a class in the source only": (lambda: (X[:100], Y[:100], X, Y), r"class 'virginica' is in the source only \(50"),
    "labels of another length": (lambda: (X, Y[:9]), r"shape \(150,\), got \(9,\)"),
    "a missing label": (lambda: (X, np.where(np.arange(150) == 4, np.nan, NUMBERS)), "no label in row 4"),
    "a missing text": (lambda: (X, np.array([*Y[:149], None], object)), "no label in row 149"),
    "numbers and text": (lambda: (X, np.array(["1", 1] * 75, object)), "numbers and text are mixed"),
    "dates": (lambda: (X, np.full(150, np.datetime64("2024-01-01"))), "dates are no classes"),
    "a class of one": (lambda: (X, np.array(["rare", *Y[1:]])), "class .*'rare'.* has one sample only"),
    "a source without labels": (lambda: (X, Y, X), "source_labels"),
    "labels without a source": (lambda: (X, Y, None, Y), "without a source"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_labels_are_refused_by_name(case):
    arguments, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        LabelledTransport(TINY).fit(*arguments())


@pytest.mark.parametrize(
    ("proportions", "words"),
    [({"x": 1}, "class 'x'"), ({"setosa": -1}, "at least 0"), ({"setosa": 0}, "not all 0"), ("even", "equal")],
)
def test_bad_proportions_are_refused_by_name(proportions, words):
    with pytest.raises(ValueError, match=words):
        LabelledTransport(TINY, proportions=proportions).fit(X, Y)
    with pytest.raises(ValueError, match="unknown labels 'both'"):
        LabelledTransport(TINY, labels="both").fit(X, Y)


@pytest.mark.parametrize("total", [0, 1, 7, 1000])
def test_counts_add_up_and_are_within_one_of_the_share(total):
    counts = np.array([1, 5, 30, 64])
    found = counts_of_classes(total, range(4), counts, None)
    assert sum(found.values()) == total
    assert all(abs(found[k] - total * counts[k] / 100) < 1 for k in range(4))


def test_labels_become_columns_and_come_back():
    labelling = Labelling.of(X, Y)
    joined = labelling.joined(X, Y)
    assert joined.shape == (150, 7)
    assert (labelling.features(joined) == X).all()
    assert (labelling.codes(joined) == Y).all()


def test_a_source_with_labels_has_their_proportions_and_their_places():
    target = np.column_stack([X, NUMBERS])[:130]  # 50, 50, 30
    drawn = draw_labelled_source("gaussian", target, 26, 0, 1)
    assert np.bincount(drawn[:, 4].astype(int)).tolist() == [10, 10, 6]
    assert of_its_class(drawn[:, :4], np.array(["setosa", "versicolor", "virginica"])[drawn[:, 4].astype(int)]) > 0.8
