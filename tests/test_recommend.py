"""`recommend` and `hill_index`: tails are seen where they are and, above all, not where they are not."""

import math

import numpy as np
import pandas as pd
import pytest

from proxflow.advice import recommend
from proxflow.defaults import radius
from proxflow.estimate import divergence
from proxflow.store import to_json
from proxflow.tail_index import hill_index, tail_of


def student(degrees, shape, rng):
    """Isotropic Student samples, tail index = degrees."""
    return rng.normal(size=shape) / np.sqrt(rng.chisquare(degrees, (shape[0], 1)) / degrees)


class TestHillIndex:
    def test_by_hand(self):
        assert hill_index([16.0, 1.0, 2.0, 4.0], k=2) == pytest.approx(2 / (math.log(8) + math.log(2)))

    @pytest.mark.parametrize("index", [0.5, 1.0, 3.0, 8.0])
    def test_of_pareto_samples(self, index):
        estimates = [hill_index(1 + np.random.default_rng(s).pareto(index, 2000), k=200) for s in range(50)]
        assert np.mean(estimates) == pytest.approx(index, rel=0.04)
        assert np.std(estimates) == pytest.approx(index / math.sqrt(200), rel=0.4)

    def test_units_do_not_matter_and_powers_divide(self):
        values = 1 + np.random.default_rng(0).pareto(2.0, 500)
        assert hill_index(1000 * values) == pytest.approx(hill_index(values))
        assert hill_index(values**2) == pytest.approx(hill_index(values) / 2)

    def test_equal_values_have_notail_of(self):
        assert math.isinf(hill_index(np.full(100, 3.0)))

    @pytest.mark.parametrize(
        ("values", "k", "message"),
        [
            ([1.0, 2.0], 2, "n - 1"),
            ([1.0, 2.0], 0, "k must be"),
            ([1.0, 2.0], 1.5, "k must be"),
            ([-1.0, 0.0, 2.0], 1, "positive"),
            ([1.0, math.nan], 1, "NaN"),
            ([[1.0, 2.0], [3.0, 4.0]], 1, "one column"),
            ([1.0], None, "at least 2"),
        ],
    )
    def test_errors(self, values, k, message):
        with pytest.raises(ValueError, match=message):
            hill_index(values, k)


class TestTails:
    @pytest.mark.parametrize(("count", "features"), [(50, 1), (100, 1), (100, 10), (500, 2), (2000, 1), (500, 50)])
    def test_normal_samples_are_practically_never_called_heavy(self, count, features):
        rng = np.random.default_rng(count + features)
        repeats = 300 if count * features < 5000 else 60
        # Measured over 3000 seeds: 0.1 % of samples of 50, none of samples of 100.
        assert sum(tail_of(rng.normal(size=(count, features))).heavy for _ in range(repeats)) <= 1

    def test_uniform_and_clustered_samples_are_not_either(self):
        rng = np.random.default_rng(1)
        centres = 20 * rng.normal(size=(5, 2))
        for _ in range(100):
            assert not tail_of(rng.uniform(size=(300, 2))).heavy
            assert not tail_of(centres[rng.integers(5, size=300)] + rng.normal(size=(300, 2))).heavy

    def test_exponential_samples_at_the_level_asked_for(self):
        rng = np.random.default_rng(2)
        assert np.mean([tail_of(rng.laplace(size=(400, 1))).heavy for _ in range(400)]) <= 0.03

    @pytest.mark.parametrize(
        ("degrees", "count", "power"), [(0.5, 100, 0.9), (1.5, 500, 0.85), (1.5, 2000, 0.95), (3.0, 10_000, 0.9)]
    )
    def test_student_samples_are_seen(self, degrees, count, power):
        rng = np.random.default_rng(3)
        found = [tail_of(student(degrees, (count, 2), rng)) for _ in range(40)]
        assert np.mean([tail.heavy for tail in found]) >= power
        assert np.median([tail.index for tail in found]) == pytest.approx(degrees, rel=0.15)


class TestRecommend:
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(1000, 2))
    heavy = student(1.5, (1000, 2), rng)

    def test_scale_and_default(self):
        advice = recommend(self.normal, 7 * self.normal)
        assert advice.L == 1 / radius(7 * self.normal) == 1 / advice.scale
        assert (advice.f, advice.alpha, advice.heavy) == ("kl", None, (False, False))
        assert pytest.approx(advice.L / 10) == recommend(self.normal, 70 * self.normal).L

    def test_heavy_targets_get_an_order_with_finite_moments(self):
        advice = recommend(self.normal, self.heavy)
        assert advice.f == "alpha"
        assert advice.heavy == (False, True)
        assert 1 < advice.alpha / (advice.alpha - 1) < advice.tail_index[1]
        assert not any("only x" in reason for reason in advice.reasons)

    def test_a_lighter_tail_gets_a_lower_order(self):
        lighter = student(3.0, (20_000, 2), np.random.default_rng(5))
        assert recommend(lighter, lighter).alpha == pytest.approx(2, abs=0.3)
        assert recommend(lighter, lighter).alpha < recommend(self.heavy, self.heavy).alpha

    def test_heavy_sources_are_told_apart(self):
        advice = recommend(self.heavy, self.normal)
        assert advice.f == "alpha"
        assert any("only x" in reason for reason in advice.reasons)

    def test_no_first_moment(self):
        advice = recommend(self.normal, student(0.5, (1000, 2), np.random.default_rng(0)))
        assert advice.f == "alpha"
        assert any("log1p" in reason and "infinite" in reason for reason in advice.reasons)

    def test_too_few(self):
        advice = recommend(self.heavy[:49], self.normal)
        assert advice.tail_index[0] is None
        assert advice.tail_index[1] is not None
        assert any("too few" in reason and "49" in reason for reason in advice.reasons)

    def test_mixed_units_name_the_column(self):
        frame = pd.DataFrame(self.normal * [1.0, 500.0], columns=["age", "income"]).assign(height=self.normal[:, 0])
        assert any("'income'" in reason and "mixed units" in reason for reason in recommend(frame, frame).reasons)
        plain = recommend(frame.to_numpy(), frame.to_numpy()).reasons
        assert any("column '1'" in reason for reason in plain)
        assert not any("mixed units" in reason for reason in recommend(self.normal, self.normal).reasons)

    def test_discrete_data(self):
        dice = np.random.default_rng(0).integers(1, 7, size=(600, 1))
        advice = recommend(self.normal[:, :1], dice)
        assert any("y repeats itself: 6 distinct rows of 600" in reason for reason in advice.reasons)
        assert not any("x repeats" in reason for reason in advice.reasons)

    @pytest.mark.parametrize("constant", [0.0, 3.0])
    def test_all_samples_equal(self, constant):
        advice = recommend(np.full((60, 2), constant), np.full((60, 2), constant))
        assert advice.f == "kl"
        assert math.isfinite(advice.L)

    def test_it_prints_the_call_and_becomes_json(self):
        advice = recommend(self.normal, self.heavy)
        assert repr(advice).startswith(f'divergence(x, y, f="alpha", alpha={advice.alpha:g}, L=')
        assert set(advice.to_dict()) == set(type(advice).__dataclass_fields__)
        assert '"alpha"' in to_json(advice.to_dict())
        few = divergence(
            self.normal[:50], self.heavy[:50], f=advice.f, alpha=advice.alpha, L=advice.L, gamma="groupsort", steps=20
        )
        assert few.L == advice.L

    def test_errors(self):
        with pytest.raises(ValueError, match="features"):
            recommend(self.normal, self.normal[:, :1])
        with pytest.raises(ValueError, match="NaN"):
            recommend(self.normal, np.full((5, 2), np.nan))
