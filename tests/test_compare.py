"""`compare`: three numbers that hold what they promise, what moved, and inputs that would break them."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from laws.tables import ENTROPIES
from proxflow import compare, wasserstein
from proxflow.attribution import by_feature, fitted_slopes, locations, transport_slopes
from proxflow.entropies import IPM, KL
from proxflow.gamma import GroupSort, KernelBall
from proxflow.heldout import heldout_bound
from proxflow.permutation import PermutationTest, combined, energy_test, witness_test
from proxflow.samples import bracket
from proxflow.spans import affine_span

N, D = 60, 3
RNG = np.random.default_rng(0)
Y = RNG.normal(size=(N, D))
SAME = RNG.normal(size=(N, D))
MOVED = RNG.normal(size=(N, D)) + np.asarray([0.0, 2.0, 0.0])
CAUCHY = RNG.standard_cauchy(size=(N, D))
UNITS = np.asarray([1e9, 1.0, 1e-9])
# One network, so that tests compile one loop.
QUICK = {"gamma": GroupSort(L=0.5, width=8, depth=2, updates=10, learning_rate=0.04, horizon=600.0), "permutations": 99}


@cache
def found(name="moved", **changes):
    x = {"moved": MOVED, "same": SAME, "identical": Y}[name]
    return compare(x, Y, "kl", 0.5, feature_names=["age", "height", "weight"], **(QUICK | changes))


class TestNumbers:
    def test_they_stand_in_order(self):
        result = found()
        assert 0 < result.held_out_lower < result.held_out < result.upper
        assert 0 < result.lower == result.value <= result.upper <= result.lower * (1 + 2e-4)
        assert result.converged
        assert result.p_value == pytest.approx(0.02)  # twice 1 / 100: the smallest there is
        assert result.transported + result.reweighted == pytest.approx(result.upper)
        assert result.moved.mean() == pytest.approx(result.transported, rel=1e-9)
        assert result.weights.mean() == pytest.approx(1)
        assert result.slope <= result.lipschitz_bound * (1 + 1e-5) <= 0.5 * (1 + 1e-4)
        assert 0 < result.budget <= 1

    def test_what_moved_is_named(self):
        first = found().features[0]
        assert (first.name, first.direction) == ("height", 1)
        assert first.share > 0.8
        assert sum(feature.share for feature in found().features) == pytest.approx(1)

    def test_one_law(self):
        result = found("same")
        assert result.lower > 0.05  # samples of one law differ
        assert result.held_out_lower == 0
        assert result.p_value > 0.05
        assert "nothing to explain" in repr(result)

    def test_identical_samples(self):
        result = found("identical")
        assert (result.value, result.lower, result.held_out_lower) == (0, 0, 0)
        assert result.upper < 1e-9
        assert result.converged
        assert result.p_value > 0.5

    def test_same_seed_same_bits_and_another_seed_only_changes_what_is_random(self):
        again, other = compare(MOVED, Y, "kl", 0.5, **QUICK), found(random_state=1)
        assert again.held_out == found().held_out
        assert again.p_value == found().p_value
        assert other.held_out != found().held_out
        assert (other.lower, other.upper) == (found().lower, found().upper)

    def test_the_other_direction_swaps_the_samples(self):
        forward, back = (
            found(reverse=True),
            compare(Y, MOVED, "kl", 0.5, feature_names=["age", "height", "weight"], **QUICK),
        )
        assert (forward.lower, forward.upper) == (back.lower, back.upper)
        assert forward.held_out == pytest.approx(back.held_out, rel=1e-9)  # one span, another rounding
        assert forward.to_dict()["direction"] == "Q||P"
        first, mirrored = forward.features[0], back.features[0]
        assert (first.name, first.direction, mirrored.direction) == ("height", 1, -1)  # of P against Q, either way

    def test_parts_can_be_left_out(self):
        exact = found(heldout=False, test=False)
        assert np.isnan([exact.held_out, exact.held_out_lower, exact.p_value]).all()
        assert exact.features[0].name == "height"
        laws = found(exact=False)
        assert np.isnan([laws.value, laws.lower, laws.upper]).all()
        assert laws.held_out_lower == found().held_out_lower
        assert np.isnan(found(test=False).p_value)
        assert found(test=False).held_out_lower == found().held_out_lower

    @pytest.mark.parametrize("f", ENTROPIES)
    def test_every_entropy(self, f):
        result = compare(MOVED, Y, ENTROPIES[f](), 0.5, **QUICK)
        assert result.converged
        assert 0 < result.lower <= result.upper <= 0.5 * wasserstein(MOVED, Y, p=1) * (1 + 1e-9)
        assert 0 < result.held_out_lower < result.upper

    def test_L_is_chosen_from_the_reference(self):
        for scale in (1e-6, 1.0, 1e6):
            result = compare(scale * MOVED, scale * Y, heldout=False, test=False)
            assert result.L * scale == pytest.approx(compare(Y, Y, heldout=False, test=False).L)
            assert result.value == pytest.approx(compare(MOVED, Y, heldout=False, test=False).value, rel=2e-4)

    def test_more_pairs_than_the_exact_solver_takes(self, monkeypatch):
        closed = bracket(MOVED, Y, KL(), 0.5)
        monkeypatch.setattr("proxflow.samples.EXACT_PAIRS", 10)
        monkeypatch.setattr("proxflow.estimate.EXACT_PAIRS", 10)
        monkeypatch.setattr("proxflow.samples._BLOCK", 25)
        found = bracket(MOVED, Y, KL(), 0.5)
        assert not found.closed
        assert 0 < found.lower <= closed.lower <= closed.upper <= found.upper < 2 * closed.upper
        assert np.asarray(found.plan.sum(axis=1)) == pytest.approx(1 / N)
        assert found.density.mean() == pytest.approx(1)


class TestHeldOut:
    def test_its_level_moves_the_bound_only(self):
        loose, strict = found(level=0.5), found(level=0.99)
        assert loose.held_out == strict.held_out
        assert strict.held_out_lower < found().held_out_lower < loose.held_out_lower

    def test_it_is_zero_where_the_test_cannot_reject(self):
        few = found(permutations=9)  # twice 1 / 10 is above 5 %
        assert few.held_out > 0
        assert few.held_out_lower == 0
        assert any("permutations cannot reject" in note for note in few.notes)

    def test_every_sample_is_judged_once_and_parts_are_even(self):
        held = found().heldout
        assert np.bincount(held.parts_x).tolist() == [30, 30]
        assert len(held.potentials) == 2
        for part, potential in enumerate(held.potentials):
            here = held.parts_x == part
            assert potential(MOVED[here]) == pytest.approx(held.values_x[here], abs=1e-5)

    def test_the_bound_is_the_clt_s(self):
        held, f = found().heldout, KL()
        thetas, variances = [], []
        for part in range(2):
            a, b = held.values_x[held.parts_x == part], held.values_y[held.parts_y == part]
            density = np.exp(b) / np.mean(np.exp(b))
            thetas.append(a.mean() - np.log(np.mean(np.exp(b))) - density.var() / (2 * len(b)))
            variances.append(a.var(ddof=1) / len(a) + density.var(ddof=1) / len(b))
        assert held.estimate == pytest.approx(np.mean(thetas), rel=1e-6)
        assert held.standard_error == pytest.approx(np.sqrt(sum(variances)) / 2, rel=1e-6)
        assert isinstance(f, KL)

    def test_below_the_population_s_value(self):
        rng, misses = np.random.default_rng(5), 0
        for seed in range(12):
            x, y = rng.normal(size=(2, N, D))
            held = heldout_bound(
                x + np.asarray([0, 1, 0]), y, IPM(), 1.0, span=affine_span(x, y), seed=seed,
                gamma=GroupSort(width=8, depth=2, updates=10, learning_rate=0.04, horizon=600.0),
            )  # fmt: skip
            misses += held.lower > 1
        assert misses <= 3  # of 12 at 95 %: more in 1 of 4000 runs


class TestPermutation:
    def test_p_values_are_uniform_under_one_law(self):
        rng = np.random.default_rng(0)
        energy, witness = [], []
        for _ in range(300):
            x, y = rng.normal(size=(2, 20, 2))
            energy.append(energy_test(x, y, 39, rng).p_value)
            witness.append(witness_test(KL(), x[:, 0], y[:, 0], 39, rng).p_value)
        for p_values in (energy, witness):
            assert 0.02 <= np.mean(np.asarray(p_values) <= 0.05) <= 0.085
            assert 0.44 <= np.mean(p_values) <= 0.58

    def test_the_statistic_is_the_energy_distance(self):
        from proxflow import energy_distance

        assert energy_test(MOVED, Y, 9, np.random.default_rng(0)).statistic == pytest.approx(
            energy_distance(MOVED, Y), rel=1e-4
        )

    def test_equal_values_never_reject(self):
        rng = np.random.default_rng(0)
        assert energy_test(np.ones((9, 2)), np.ones((9, 2)), 99, rng).p_value == 1
        assert witness_test(KL(), np.zeros(9), np.zeros(9), 99, rng).p_value == 1

    def test_two_tests_cost_a_factor_of_two(self):
        tests = [PermutationTest(0.0, np.empty(0), p) for p in (0.01, 0.7)]
        assert combined(*tests) == 0.02
        assert combined(tests[1], tests[1]) == 1.0


class TestAttribution:
    def test_noise_along_a_feature_is_not_shared(self):
        rng = np.random.default_rng(0)
        signs = rng.choice([-1.0, 1.0], size=(2, 400))

        class Steep:  # along feature 0 always, along feature 1 up or down at random
            def __init__(self, part):
                self.part = part

            def gradient(self, points):
                return np.column_stack([np.ones(len(points)), signs[self.part, : len(points)]])

        slopes = fitted_slopes([Steep(0), Steep(1)], np.zeros((400, 2)))
        features = by_feature(slopes, np.zeros(2), ["signal", "noise"])
        assert features[0].name == "signal"
        assert features[0].share > 0.8
        assert features[0].slope == features[1].slope == 1

    def test_directions_are_those_of_the_means(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(2, 200, 3)) * [1.0, 1.0, 1.0]
        found = locations(x * [1, 1, 3] + [1, -1, 0], y)
        assert found.tolist() == [1, -1, 0]

    def test_the_exact_potential_points_along_the_plan(self):
        plan = sparse.csr_array(np.asarray([[0.25, 0.25], [0.5, 0.0]]))
        x, y = np.asarray([[0.0, 0.0], [5.0, 5.0]]), np.asarray([[-3.0, 0.0], [0.0, -4.0]])
        slopes = transport_slopes(plan, x, y, L=2.0)
        second = 2 * np.asarray([8.0, 5.0]) / np.hypot(8, 5)
        assert slopes.signed == pytest.approx((np.asarray([1.0, 1.0]) + second) / 2)


class TestHardInput:
    @pytest.mark.parametrize(
        ("x", "y"),
        [
            (Y[:1], SAME[:1]),
            (Y[:1], SAME),
            (Y, SAME[:1]),
            (Y[:, 0], SAME[:, 0]),
            (np.repeat(Y[:12], 5, axis=0), SAME),
            (CAUCHY, SAME),
            (SAME, CAUCHY),
            (UNITS * Y, UNITS * SAME),
            (np.hstack([Y[:9]] * 10), np.hstack([SAME[:9]] * 10)),
            (np.ones((N, D)), np.ones((N, D))),
        ],
        ids=["1 1", "1 n", "n 1", "1-d", "repeated", "Cauchy P", "Cauchy Q", "units", "d > n", "all equal"],
    )
    def test_finite_and_labelled(self, x, y):
        result = compare(x, y, **(QUICK | {"gamma": "groupsort"}))
        assert result.converged
        assert 0 <= result.lower <= result.upper < np.inf
        json.loads(result.to_json())
        assert "these samples" in repr(result)
        if min(len(x), len(y)) < 8:
            assert np.isnan(result.held_out_lower)
            assert any("too few" in note for note in result.notes)
        else:
            assert 0 <= result.held_out_lower <= result.upper

    def test_notes(self):
        assert "heavy tails" in " ".join(compare(CAUCHY, SAME, heldout=False, test=False).notes)
        words = " ".join(compare(UNITS * Y, UNITS * SAME, heldout=False, test=False).notes)
        assert "column '0' decides" in words
        words = " ".join(compare(np.repeat(Y[:6], 10, axis=0), SAME, heldout=False, test=False).notes)
        assert "P repeats itself: 6 distinct rows of 60" in words
        constant = np.column_stack([Y, np.full(N, 2.0)])
        assert "1 constant column ('3')" in " ".join(compare(constant, constant, heldout=False, test=False).notes)

    def test_frames_are_matched_by_name(self):
        names = ["age", "height", "weight"]
        x, y = pd.DataFrame(MOVED, columns=names), pd.DataFrame(Y, columns=names)
        result = compare(x, y[["weight", "age", "height"]], "kl", 0.5, **QUICK)
        assert result.lower == pytest.approx(found().lower, rel=1e-12)
        assert result.features[0].name == "height"

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"x": [[0.0, 1.0, np.nan]]}, "x: NaN in row 0, column 2"),
            ({"y": np.zeros((4, 2))}, "x has 3 features and y has 2"),
            ({"y": np.zeros((0, 3))}, "y: no samples"),
            ({"L": np.inf}, "finite L"),
            ({"L": -1.0}, "L must be"),
            ({"f": "tv"}, "unknown f"),
            ({"level": 1.0}, "level must be between 0 and 1"),
            ({"gap": 0.0}, "gap must be"),
            ({"gap": 10.0}, "gap must be below 1"),
            ({"x": 1e17 * MOVED, "y": 1e17 * Y}, "use another unit"),
            ({"permutations": 0}, "permutations must be"),
            ({"parts": 1}, "parts must be at least 2"),
            ({"gamma": "transformer"}, "unknown gamma"),
            ({"gamma": "exact"}, "knows its samples only"),
            ({"gamma": "unregularised"}, "not certified"),
            ({"gamma": KernelBall()}, "not certified"),
            ({"gamma": GroupSort(L=5.0), "L": 1.0}, "not certified to have slopes of at most L = 1"),
            ({"feature_names": ["a"]}, "feature_names has 1 names for 3 features"),
        ],
    )
    def test_refused(self, change, words):
        with pytest.raises(ValueError, match=words):
            compare(**({"x": MOVED, "y": Y} | change))
