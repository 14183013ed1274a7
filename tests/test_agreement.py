"""Measures of agreement: closed forms, what they are for one law, invariances, and small or large data."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from proxflow import agreement
from proxflow.metrics import wasserstein

CLOUDS = np.random.default_rng(0).normal(size=(2, 120, 6))
S, T = CLOUDS
DISTANCES = {"sliced": agreement.sliced_w2, "gaussian": agreement.gaussian_w2, "exact": agreement.exact_w2}
EVERY = DISTANCES | {
    "energy": agreement.energy, "auc": agreement.neighbour_auc, "nn": agreement.nn_ratio,
    "spread": agreement.spread_ratio,
}  # fmt: skip


def test_energy_is_the_u_statistic():
    inside = pdist(T).mean()
    assert agreement.energy(S, T) == pytest.approx((2 * cdist(S, T).mean() - pdist(S).mean() - inside) / inside)


def test_energy_is_unbiased():
    draws = np.random.default_rng(1).normal(size=(200, 2, 15, 4))
    values = [agreement.energy(s, t) for s, t in draws]
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


@pytest.mark.parametrize("name", DISTANCES)
def test_a_shift_costs_its_length(name):
    way = np.array([3.0, 0, 0, 4.0, 0, 0])
    assert DISTANCES[name](T + way, T) == pytest.approx(5.0, rel=0.15 if name == "sliced" else 1e-6)
    assert DISTANCES[name](T, T) == pytest.approx(0.0, abs=1e-6)


def test_sliced_w2_of_unequal_sizes_is_exact_on_a_line():
    s, t = S[:, :1], T[:77, :1]
    assert agreement.sliced_w2(s, t, projections=3) == pytest.approx(wasserstein(s, t), rel=1e-6)


def test_gaussian_w2_of_commuting_covariances():
    rng = np.random.default_rng(0)
    white = np.linalg.qr(rng.normal(size=(100, 3)) - 0.0)[0]
    white = (white - white.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T))).T
    scales = np.array([1.0, 2.0, 3.0])
    assert agreement.gaussian_w2(white * scales, white, shrinkage=0) == pytest.approx(np.sqrt(5.0))
    assert np.isfinite(agreement.gaussian_w2(S[:4], T[:3]))  # fewer samples than columns


def test_neighbour_auc_has_two_sides():
    many = np.random.default_rng(2).normal(size=(2, 400, 3))
    assert agreement.neighbour_auc(many[0], many[1]) == pytest.approx(0.5, abs=0.06)
    assert agreement.neighbour_auc(many[0] + 4, many[1]) > 0.99
    # Every sample beside its twin of the other side: nearer to it than to its own.
    assert agreement.neighbour_auc(many[1] + 1e-6, many[1], neighbours=1) < 0.4
    assert np.isnan(agreement.neighbour_auc(S[:3], T))


def test_nn_ratio_sees_copies_and_is_one_for_one_law():
    assert agreement.nn_ratio(S, T) == pytest.approx(1.0, abs=0.1)
    assert agreement.nn_ratio(T[:50] + 1e-9, T) < 1e-6
    assert np.isnan(agreement.nn_ratio(S, np.zeros((5, 6))))


def test_label_transfer_is_balanced_and_ignores_strange_classes():
    t = np.concatenate([T[:60], T[60:] + 20])
    yt = np.repeat(["a", "b"], 60)
    ys = np.array(["a"] * 90 + ["b"] * 20 + ["only here"] * 10)
    s = S + np.where(ys == "b", 20.0, 0.0)[:, None]
    assert agreement.label_transfer(s, ys, t, yt) == 1.0
    assert agreement.label_transfer(S, ys, t, yt) == 0.5  # all of a, none of b
    assert np.isnan(agreement.label_transfer(s, np.full(120, "only here"), t, yt))
    assert agreement.predicted_labels(t[:5], t, yt).tolist() == ["a"] * 5  # in the very place
    with pytest.raises(ValueError, match="one per moved sample"):
        agreement.label_transfer(s, ys[:5], t, yt)


def test_weights_of_neighbours_are_inverse_distances():
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(3)
    labels = rng.integers(3, size=120)
    theirs = KNeighborsClassifier(15, weights="distance").fit(T, labels).predict(S)
    assert np.array_equal(agreement.predicted_labels(S, T, labels), theirs)


@pytest.mark.parametrize("name", EVERY)
def test_large_clouds_are_subsampled_by_the_seed(name):
    if name in ("gaussian", "spread"):
        return  # linear in the rows: no subsample
    first, again, other = (EVERY[name](S, T, most=40, random_state=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert first == pytest.approx(EVERY[name](S, T), abs=0.6)


def test_fifty_thousand_rows_fit():
    large = np.random.default_rng(0).normal(size=(2, 50_000, 5)).astype(np.float32)
    assert abs(agreement.energy(large[0], large[1], most=500)) < 0.02
    assert agreement.nn_ratio(large[0], large[1], most=100) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("name", EVERY)
def test_bad_clouds_are_named(name):
    with pytest.raises(ValueError, match="reference: NaN in row 2"):
        EVERY[name](S, np.where(np.arange(120)[:, None] == 2, np.nan, T))
    with pytest.raises(ValueError, match="moved has 6 features and reference has 5"):
        EVERY[name](S, T[:, :5])


def test_the_unit_is_the_spread_inside_a_class():
    points, labels = np.concatenate([T, T + 100]), np.repeat([0, 1], 120)
    alone = np.sqrt(T.var(axis=0).sum())
    assert agreement.within_class_spread(points, labels) == pytest.approx(alone)
    assert agreement.within_class_spread(points) > 50
