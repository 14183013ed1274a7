"""The referee's distances, against closed forms and SciPy."""

import numpy as np
import pytest
from scipy import stats

from proxflow.metrics import energy_distance, nearest_distance, oracle_ratio, wasserstein

RNG = np.random.default_rng(0)
X, Y, Z = RNG.normal(size=(30, 3)), RNG.normal(size=(20, 3)) + 1.0, 2 * RNG.normal(size=(25, 3))
LINE_X, LINE_Y = RNG.normal(size=(30, 1)), RNG.standard_cauchy((20, 1))


class TestWasserstein:
    @pytest.mark.parametrize("p", [1, 2])
    def test_a_shift_costs_its_length(self, p):
        assert wasserstein(X, X + np.asarray([2.0, 3.0, 6.0]), p) == pytest.approx(7)

    @pytest.mark.parametrize("p", [1, 2])
    def test_is_a_metric(self, p):
        assert wasserstein(X, X[::-1], p) == pytest.approx(0, abs=1e-7)
        assert wasserstein(X, Y, p) == pytest.approx(wasserstein(Y, X, p))
        assert wasserstein(X, Z, p) <= wasserstein(X, Y, p) + wasserstein(Y, Z, p)
        assert wasserstein(1e6 * X, 1e6 * Y, p) == pytest.approx(1e6 * wasserstein(X, Y, p))
        assert wasserstein(X, Y, 1) <= wasserstein(X, Y, 2)

    def test_on_a_line(self):
        assert wasserstein(LINE_X, LINE_Y, 1) == pytest.approx(stats.wasserstein_distance(LINE_X[:, 0], LINE_Y[:, 0]))
        # sorted quantiles and the network simplex agree
        padded = lambda line: np.column_stack([line, np.zeros(len(line))])  # noqa: E731
        for p in (1, 2):
            expected = wasserstein(padded(LINE_X[:20]), padded(LINE_Y), p)
            assert wasserstein(LINE_X[:20], LINE_Y, p) == pytest.approx(expected)

    def test_one_sample_against_many(self):
        mean_square = np.mean(np.sum((Y - X[0]) ** 2, axis=1))
        assert wasserstein(X[:1], Y, 2) == pytest.approx(np.sqrt(mean_square))

    def test_errors(self):
        with pytest.raises(ValueError, match="1, 2"):
            wasserstein(X, Y, 3)
        with pytest.raises(ValueError, match="x has 3 features and y has 2"):
            wasserstein(X, Y[:, :2])
        with pytest.raises(ValueError, match="y: NaN in row 0"):
            wasserstein(X, np.full((2, 3), np.nan))


def test_energy_distance_is_scipy_s_squared():
    expected = stats.energy_distance(LINE_X[:, 0], LINE_Y[:, 0]) ** 2
    assert energy_distance(LINE_X, LINE_Y) == pytest.approx(expected)
    assert energy_distance(X, X[::-1]) == pytest.approx(0, abs=1e-12)
    assert energy_distance(X, Y) > 0.1


def test_nearest_distance():
    expected = np.linalg.norm(X[:, None] - Y, axis=2).min(axis=1)
    assert nearest_distance(X, Y) == pytest.approx(expected)
    assert nearest_distance(X, X) == pytest.approx(0, abs=1e-7)
    gaps = np.linalg.norm(X[:, None] - X, axis=2) + 1e9 * np.eye(30)
    assert nearest_distance(X, X, skip_self=True) == pytest.approx(gaps.min(axis=1))


def test_oracle_ratio():
    fresh, test = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 3))
    assert oracle_ratio(fresh, fresh, test) == 1
    assert oracle_ratio(fresh + 5, fresh, test) > 2
    assert oracle_ratio(test, fresh, test) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="coincide"):
        oracle_ratio(fresh, test, test)
