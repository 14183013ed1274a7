"""The debiased Sinkhorn divergence: its laws, its two limits, and numbers of geomloss."""

import numpy as np
import pytest

from proxflow.metrics import energy_distance, wasserstein
from proxflow.sinkhorn import sinkhorn_divergence

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 2)), 1.5 * RNG.normal(size=(60, 2)) + 1.0
FEW = Y[:25]


def test_a_sample_has_none_with_itself():
    for p in (1, 2):
        assert sinkhorn_divergence(X, X[::-1], blur=0.3, p=p) == pytest.approx(0, abs=1e-5)
        assert sinkhorn_divergence(X, X + 0.5, blur=0.3, p=p) > 0.1


def test_a_shift_costs_half_its_square():
    assert sinkhorn_divergence(X, X + np.asarray([3.0, 4.0]), blur=0.3) == pytest.approx(12.5, abs=1e-5)


@pytest.mark.parametrize("p", [1, 2])
def test_neither_order_matters(p):
    value = sinkhorn_divergence(X, FEW, blur=0.3, p=p)
    assert sinkhorn_divergence(FEW, X, blur=0.3, p=p) == pytest.approx(value, abs=1e-5)
    assert sinkhorn_divergence(X[::-1], np.roll(FEW, 3, axis=0), blur=0.3, p=p) == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("p", [1, 2])
def test_units(p):
    value = sinkhorn_divergence(X, FEW, blur=0.3, p=p)
    assert sinkhorn_divergence(1e6 * X, 1e6 * FEW, blur=3e5, p=p) == pytest.approx(1e6**p * value)


def test_small_blur_is_exact_transport():
    assert sinkhorn_divergence(X, Y, blur=0.01) == pytest.approx(wasserstein(X, Y) ** 2 / 2, rel=1e-3)
    assert sinkhorn_divergence(X, Y, blur=0.01, p=1) == pytest.approx(wasserstein(X, Y, 1), rel=2e-2)


def test_large_blur_sees_means_or_energy():
    means = 0.5 * np.sum((X.mean(axis=0) - FEW.mean(axis=0)) ** 2)
    for blur in (1e3, 1e200):
        assert sinkhorn_divergence(X, FEW, blur=blur) == pytest.approx(means, rel=1e-5)
        assert sinkhorn_divergence(X, FEW, blur=blur, p=1) == pytest.approx(energy_distance(X, FEW) / 2, rel=1e-2)


@pytest.mark.parametrize(
    ("blur", "p", "expected"), [(0.3, 2, 1.080827), (0.3, 1, 0.936211), (1.0, 2, 0.972123), (1.0, 1, 0.530688)]
)
def test_geomloss_converges_to_it(blur, p, expected):
    # geomloss 0.3.1, SamplesLoss("sinkhorn", scaling=0.999), in float64
    assert sinkhorn_divergence(X, FEW, blur=blur, p=p) == pytest.approx(expected, rel=1e-4)


def test_single_points():
    assert sinkhorn_divergence([[0.0, 0.0]], [[3.0, 4.0]]) == pytest.approx(12.5)
    assert sinkhorn_divergence([[0.0, 0.0]], [[3.0, 4.0]], p=1) == pytest.approx(5)
    assert sinkhorn_divergence([[1.0]], [[1.0]], p=1) == 0


def test_errors():
    with pytest.raises(ValueError, match="1, 2"):
        sinkhorn_divergence(X, Y, p=3)
    for blur in (0.0, -1.0, float("inf")):
        with pytest.raises(ValueError, match="blur must be a positive"):
            sinkhorn_divergence(X, Y, blur=blur)
    with pytest.raises(ValueError, match="wasserstein"):
        sinkhorn_divergence(X, Y, blur=1e-9)
    with pytest.raises(ValueError, match="x has 2 features and y has 1"):
        sinkhorn_divergence(X, Y[:, :1])
    with pytest.raises(ValueError, match="y: NaN in row 0"):
        sinkhorn_divergence(X, np.full((2, 2), np.nan))
