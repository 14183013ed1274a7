"""Laws of D_f^Γ: each fact of the mathematics, on clouds small enough to know the answer by other means."""

import json
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from laws.exact import FORMULAS, bracket
from laws.fits import SHAPE, begin, climb, double, fit, single, value, variation
from laws.tables import ENTROPIES
from proxflow import divergence, nearest_distance, wasserstein
from proxflow.divergences import Divergence
from proxflow.entropies import KL, Alpha, ChiSquared, ReverseKL, cumulant, density
from proxflow.estimate import GAMMAS
from proxflow.gamma import Discrete, GroupSort, KernelBall

every_entropy = pytest.mark.parametrize("name", ENTROPIES)
either_way = pytest.mark.parametrize("reverse", [False, True], ids=["P‖Q", "Q‖P"])

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=SHAPE), 1.5 * RNG.normal(size=SHAPE) + 1.0
FAR = X + np.asarray([4.0, 3.0])
TURN = np.linalg.qr(RNG.normal(size=(2, 2)))[0]
# name -> (particles, target)
CLOUDS = {
    "overlapping": (X, Y),
    "apart": (FAR, Y),
    "turned and moved": (FAR @ TURN + 7.0, Y @ TURN + 7.0),
    "doubled": (2 * FAR, 2 * Y),
    "projected": (FAR * [1, 0], Y * [1, 0]),
    "equal": (Y[::-1], Y),
    "reweighted": (Y[RNG.integers(0, 16, 16)], Y),  # P is a density on Q's points, zero on some
    "Diracs": (np.tile([3.0, 4.0], (16, 1)), np.zeros((16, 2))),
}


@cache
def fitted(name, clouds, L=1.0, reverse=False, seed=0):
    return fit(ENTROPIES[name](), *CLOUDS[clouds], L, reverse=reverse, seed=seed)


@cache
def w1(clouds):
    return wasserstein(*CLOUDS[clouds], p=1)


class TestFacts:
    @every_entropy
    @pytest.mark.parametrize("clouds", CLOUDS)
    def test_never_negative(self, name, clouds):
        assert fitted(name, clouds).lower >= -1e-6 * max(1.0, w1(clouds))

    @every_entropy
    @pytest.mark.parametrize("L", [0.1, 1.0, 10.0])
    def test_zero_between_equal_samples(self, name, L):
        assert abs(fitted(name, "equal", L).value) <= 1e-4 * L
        assert fitted(name, "apart", L).lower > 0.1 * L

    @every_entropy
    def test_two_diracs_cost_L_times_their_distance(self, name):
        for L in (0.1, 1.0):
            assert 0.98 * 5 * L <= fitted(name, "Diracs", L).lower <= 5 * L * (1 + 1e-12)

    @every_entropy
    @pytest.mark.parametrize("clouds", ["overlapping", "apart", "reweighted"])
    def test_at_most_L_times_w1(self, name, clouds):
        for L in (0.1, 1.0, 3.0):
            assert fitted(name, clouds, L).lower <= L * w1(clouds) * (1 + 1e-9)

    @every_entropy
    def test_at_most_the_f_divergence(self, name):
        particles, target = CLOUDS["reweighted"]
        counts = (particles[:, None] == target[None]).all(axis=2).sum(axis=0)
        with jax.enable_x64(True):
            unregularised = float(jnp.mean(ENTROPIES[name]()(jnp.asarray(counts, jnp.float64))))
        reached = [fitted(name, "reweighted", L).lower for L in (1.0, 10.0, 100.0)]
        assert max(reached) <= unregularised * (1 + 1e-9)
        if name in ("KL", "alpha 1.5", "alpha 2", "chi-squared"):  # and reaches it as L grows
            assert max(reached) == pytest.approx(unregularised, rel=0.02)

    @every_entropy
    def test_grows_with_L(self, name):
        found = [fitted(name, "apart", L).lower for L in (0.03, 0.1, 0.3, 1.0, 3.0)]
        assert np.all(np.diff(found) > 0)

    @every_entropy
    def test_small_L_leaves_w1(self, name):
        L = 1e-3
        assert 0.94 * w1("apart") <= fitted(name, "apart", L).lower / L <= w1("apart") * (1 + 1e-9)

    @every_entropy
    @pytest.mark.parametrize("L", [0.1, 1.0])
    def test_a_larger_cloud_is_a_larger_L(self, name, L):
        # D_L(2P, 2Q) = D_2L(P, Q): standardised inputs make both the same problem
        assert fitted(name, "doubled", L).lower == pytest.approx(fitted(name, "apart", 2 * L).lower, rel=1e-3)

    @every_entropy
    def test_isometries_change_nothing(self, name):
        # Both are lower bounds from weights that start elsewhere; alpha 10 has a kink, and they part by 2 %.
        assert fitted(name, "turned and moved", 0.3).lower == pytest.approx(fitted(name, "apart", 0.3).lower, rel=0.03)

    @every_entropy
    def test_data_processing(self, name):
        # A projection is 1-Lipschitz. What is shown lies between: the exact values are farther apart than the fits.
        for L in (0.1, 1.0):
            assert fitted(name, "projected", L).lower < fitted(name, "apart", L).lower

    @pytest.mark.parametrize("name", [*FORMULAS, "IPM"])
    @pytest.mark.parametrize("clouds", ["overlapping", "apart"])
    def test_never_above_the_exact_value(self, name, clouds):
        low, high = bracket(name, *CLOUDS[clouds], L=1.0)
        assert high - low < 1e-3 * high  # or it would not tell
        assert fitted(name, clouds).lower <= high
        assert fitted(name, clouds).lower >= 0.6 * low

    @pytest.mark.parametrize("name", ["reverse KL", "chi-squared"])
    def test_the_other_direction(self, name):
        particles, target = CLOUDS["apart"]
        low, high = bracket(name, target, particles, L=0.3)
        assert 0.9 * low <= fitted(name, "apart", 0.3, reverse=True).lower <= high

    @every_entropy
    @pytest.mark.parametrize("scale", [1e6, 1e12])
    def test_large_potentials_keep_their_meaning(self, name, scale):
        # L = 1 and data of size 1e6: potentials of height 1e6, of which float32 keeps seven digits, while f* may end
        # at 1. Reweighting costs nothing beside the way: all mass goes to the nearest target point.
        particles, target = (scale * cloud for cloud in CLOUDS["apart"])
        nearest = w1("apart") if name == "IPM" else nearest_distance(*CLOUDS["apart"]).mean()
        assert 0.5 * nearest < fit(ENTROPIES[name](), particles, target).lower / scale <= 1.01 * nearest

    def test_directions_differ(self):
        particles, target = CLOUDS["overlapping"]
        ahead, back = (bracket("alpha 2", *pair, L=3.0) for pair in [(particles, target), (target, particles)])
        assert ahead[1] < back[0] or back[1] < ahead[0]


class TestPotential:
    @pytest.mark.parametrize("name", ["KL", "alpha 2", "reverse KL", "chi-squared"])
    def test_the_proximal_measure_closes_the_gap(self, name):
        # R* has density f*'(φ - ν); D_f(R‖Q) + L W1(P, R) is an upper bound for every R, tight at R*.
        import ot
        from scipy.spatial.distance import cdist

        (particles, target), L = CLOUDS["apart"], 0.3
        found, f = fitted(name, "apart", L), ENTROPIES[name]()
        heights = found.pair.gamma.potential(found.memory)(single(target))
        weights = np.asarray(density(f, heights - cumulant(f, heights)[1]), float)
        assert weights.mean() == pytest.approx(1, abs=1e-5)
        weights /= weights.mean()
        transport = ot.emd2(np.full(16, 1 / 16), weights / 16, cdist(particles, target))
        upper = float(np.mean(FORMULAS[name][0](weights))) + L * transport
        assert found.lower <= upper <= 1.1 * found.lower

    def test_unique_up_to_a_constant_on_the_supports(self):
        clouds = np.concatenate(CLOUDS["apart"])
        heights = []
        for seed in (0, 1):
            found = fitted("alpha 2", "apart", 0.3, seed=seed)
            values = np.asarray(found.pair.gamma.potential(found.memory)(single(clouds)))
            heights.append(values - values.mean())
        assert np.abs(heights[0] - heights[1]).max() < 0.05 * np.ptp(heights[0])

    @either_way
    @pytest.mark.parametrize("f", [KL(), Alpha(2.0), ReverseKL(), ChiSquared()], ids=lambda f: type(f).__name__)
    def test_variation_is_how_the_value_follows_one_particle(self, f, reverse):
        # d value / d y_i = grad variation(y_i) / M, at a fixed potential; by central differences in float64
        particles, target = CLOUDS["apart"]
        pair = Divergence(GroupSort(L=0.3, width=8, depth=2), f, reverse)
        memory = begin(pair, particles, target)
        with jax.enable_x64(True):
            memory, x, y = double(memory), jnp.asarray(particles), jnp.asarray(target)
            slopes = np.asarray(variation(pair, x, memory, x)[1])
            h = 1e-6
            for i, j in [(0, 0), (3, 1), (15, 0)]:
                ahead, back = (float(value(pair, x.at[i, j].add(step), y, memory)) for step in (h, -h))
                assert (ahead - back) / (2 * h) == pytest.approx(slopes[i, j] / 16, rel=1e-5, abs=1e-9)

    def test_reversed_variation_is_the_conjugate(self):
        found = fitted("KL", "apart", 0.3, reverse=True)
        particles, _ = CLOUDS["apart"]
        heights = np.asarray(found.pair.gamma.potential(found.memory)(single(particles)), float)
        levels = np.asarray(variation(found.pair, single(particles), found.memory, single(particles))[0])
        level = np.log(np.mean(np.exp(heights)))
        assert levels == pytest.approx(-np.expm1(heights - level), rel=1e-4, abs=1e-4)

    def test_without_reverse_the_variation_is_the_potential(self):
        found = fitted("KL", "apart")
        particles, target = (single(cloud) for cloud in CLOUDS["apart"])
        levels, _ = variation(found.pair, particles, found.memory, target)
        expected = np.asarray(found.pair.gamma.potential(found.memory)(target))
        assert np.asarray(levels) == pytest.approx(expected, rel=1e-5, abs=1e-5)

    def test_reversed_potentials_of_large_values_stay_finite(self):
        # f* of reverse KL ends at 1: a rounded ν must not push a particle beyond it.
        particles, target = 1e6 * CLOUDS["apart"][0], 1e6 * CLOUDS["apart"][1]
        pair = Divergence(GroupSort(L=1.0, width=8, depth=2), ReverseKL(), True)
        memory = climb(pair, single(particles), single(target), begin(pair, particles, target), 3)
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(memory))


# ---------------------------------------------------------------------- the public function

SMALL = GroupSort(L=0.3, width=16, depth=2, updates=20, learning_rate=0.04, horizon=600.0)


@cache
def estimated(f="kl", reverse=False, seed=0, scale=1.0, steps=600):
    gamma = GroupSort(L=0.3 / scale, width=16, depth=2, updates=20, learning_rate=0.04, horizon=600.0)
    x, y = CLOUDS["apart"]
    return divergence(scale * x, scale * y, f=f, gamma=gamma, reverse=reverse, random_state=seed, steps=steps)


class TestEstimate:
    def test_reference_values(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(0, 1, (500, 2)), rng.normal(10, 2, (300, 2))
        for L, exact in ((1.0, 12.7903), (10.0, 98.4924)):
            found = divergence(x, y, L=L, gap=1e-6)
            assert exact - 1e-4 <= found.lower <= found.upper <= exact + 1e-4
            assert found.converged
            assert found.value == found.lower
            assert found.lipschitz_bound == L
            assert found.potential(x).mean() - np.log(np.mean(np.exp(found.potential(y)))) >= 0.999 * exact

    def test_networks_stay_below_the_exact_value_and_near_it(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(0, 1, (500, 2)), rng.normal(10, 2, (300, 2))
        found = divergence(x, y, gamma="groupsort", steps=2000)
        assert 0.99 * 12.7903 <= found.lower <= 12.7904
        assert found.converged
        assert found.lower <= found.value <= found.lower * (1 + 1e-5)
        assert found.lipschitz_bound == pytest.approx(1, rel=1e-5)
        assert np.isposinf(found.upper)

    @either_way
    def test_between_the_brackets(self, reverse):
        x, y = CLOUDS["apart"]
        low, high = bracket("KL", *((y, x) if reverse else (x, y)), L=0.3)
        assert 0.95 * low <= estimated(reverse=reverse).lower <= high

    def test_same_seed_same_bits(self):
        x, y = CLOUDS["apart"]
        again = divergence(x, y, gamma=SMALL, random_state=0, steps=600)
        first = estimated()
        assert again.value == first.value
        assert np.array_equal(again.history, first.history)
        assert estimated(seed=1).value != first.value
        by_generator = [divergence(x, y, gamma=SMALL, random_state=np.random.RandomState(3), steps=20) for _ in "ab"]
        assert by_generator[0].value == by_generator[1].value

    def test_units_of_the_data(self):
        for scale in (2.0**-20, 2.0**20):  # of which rounding is the same: else an ascent is soon another
            assert estimated(scale=scale).value == pytest.approx(estimated().value, rel=1e-5)
        assert estimated(scale=1e6).value == pytest.approx(estimated().value, rel=0.05)

    def test_potential_in_the_data_s_coordinates(self):
        x, y = CLOUDS["apart"]
        found = estimated()
        assert found.potential(x).shape == (16,)
        assert found.potential.gradient(x).shape == (16, 2)
        assert np.linalg.norm(found.potential.gradient(x), axis=1).max() <= 0.3 * (1 + 1e-5)
        heights = found.potential(y)
        level = float(np.log(np.mean(np.exp(heights.astype(float)))))
        assert found.potential(x).mean() - level == pytest.approx(found.value, rel=1e-4)

    def test_more_features_than_samples(self):
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=(6, 40)), rng.normal(size=(5, 40)) + 2
        gamma = GroupSort(L=0.1, width=16, depth=2, updates=20, learning_rate=0.04, horizon=400.0)
        found = divergence(x, y, f="ipm", gamma=gamma, steps=400)
        assert found.n_features == 40
        assert 0.9 * 0.1 * wasserstein(x, y, p=1) <= found.lower <= 0.1 * wasserstein(x, y, p=1)
        assert found.potential.gradient(x).shape == (6, 40)

    def test_constant_columns_are_allowed(self):
        x, y = (np.column_stack([cloud, np.full(16, 3.0)]) for cloud in CLOUDS["apart"])
        assert divergence(x, y, gamma=SMALL, steps=600).value == pytest.approx(estimated().value, rel=0.02)

    def test_a_far_origin_costs_no_digits(self):
        x, y = (cloud + 2.0**30 for cloud in CLOUDS["apart"])
        found = divergence(x, y, gamma=SMALL, steps=600).value
        assert found == pytest.approx(estimated().value, rel=5e-3)  # training amplifies the last digits

    def test_identical_points(self):
        found = divergence(np.ones((16, 2)), np.ones((16, 2)), gamma=SMALL, steps=20)
        assert abs(found.value) < 1e-6

    def test_repr_states_the_formula(self):
        text = repr(estimated())
        assert "KL divergence, Lipschitz-regularised (L = 0.3)" in text
        assert "sup over L-Lipschitz φ of  E_P[φ] - Λ_f(φ; Q)" in text
        assert f"{estimated().lower:.6g}" in text
        assert "16 samples" in text
        assert "seed 0" in text
        assert "E_Q[φ] - Λ_f(φ; P)" in repr(estimated(reverse=True))
        assert "NOT converged" in repr(estimated(steps=20))
        assert not estimated(steps=20).converged

    def test_json(self):
        found = estimated()
        plain = json.loads(found.to_json())
        assert plain["value"] == found.value
        assert plain["lower"] == found.lower
        assert (plain["f"], plain["direction"], plain["n_x"]) == ("KL()", "P||Q", 16)
        assert json.loads(estimated(reverse=True).to_json())["direction"] == "Q||P"

    def test_infinite_L_is_allowed_and_not_certified(self):
        x, y = CLOUDS["overlapping"]
        found = divergence(x, y, L=np.inf, steps=20)
        assert np.isposinf(found.lipschitz_bound)
        plain = json.loads(found.to_json())  # strict: no Infinity
        assert plain["L"] is None
        assert plain["lipschitz_bound"] is None

    @pytest.mark.parametrize("gamma", [*(name for name in GAMMAS if name != "convolutional"), KernelBall()])
    def test_gammas_by_name(self, gamma):
        x, y = CLOUDS["overlapping"]
        found = divergence(x, y, L=0.5, gamma=gamma, steps=40)
        assert np.isfinite(found.value)
        if gamma not in ("unregularised", found.gamma):
            assert 0 <= found.lower <= 0.5 * w1("overlapping")

    def test_auto_is_exact_until_there_are_too_many_pairs(self, monkeypatch):
        x, y = CLOUDS["overlapping"]
        assert isinstance(divergence(x, y).gamma, Discrete)
        monkeypatch.setattr("proxflow.estimate.EXACT_PAIRS", 200)
        assert isinstance(divergence(x, y, steps=20).gamma, GroupSort)

    def test_one_sample_each_is_two_diracs(self):
        found = divergence([[0.0, 0.0]], [[3.0, 4.0]], L=2.0)
        assert found.lower == pytest.approx(10)
        assert found.upper == pytest.approx(10)
        assert "P: 1 sample," in repr(found)

    def test_a_soft_penalty_s_value_is_labelled(self):
        assert "the value is no bound" in repr(divergence(*CLOUDS["apart"], gamma="penalty", steps=40))

    @pytest.mark.parametrize("gamma", [KernelBall(radius=2.0), Discrete(power=2.0), "penalty"])
    def test_other_spaces_do_not_claim_to_be_lipschitz(self, gamma):
        found = divergence(*CLOUDS["apart"], gamma=gamma, steps=40)
        assert repr(found.gamma) in repr(found)
        assert "W1" not in repr(found)
        assert "Lipschitz" not in repr(found)

    def test_accepts_data_frames_lists_and_one_column(self):
        x, y = CLOUDS["apart"]
        frames = divergence(pd.DataFrame(x, columns=["a", "b"]), pd.DataFrame(y), gamma=SMALL, steps=600)
        assert frames.value == pytest.approx(estimated().value, rel=1e-9)  # columns lie elsewhere in memory
        assert divergence(x.tolist(), y.tolist(), gamma=SMALL, steps=600).value == estimated().value
        line = divergence(x[:, 0], y[:, 0], gamma=SMALL, steps=20)
        assert line.n_features == 1

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"x": [[0.0, 1.0], [np.nan, 2.0]]}, "x: NaN in row 1, column 0"),
            ({"y": [[0.0, -np.inf], [1.0, 2.0]]}, "y: infinity in row 0, column 1"),
            ({"x": pd.DataFrame({"age": [1.0, 2.0], "height": [3.0, np.nan]})}, "x: NaN in row 1, column 'height'"),
            ({"y": np.zeros((0, 2))}, "y: no samples"),
            ({"y": np.zeros((4, 0))}, "y: no features"),
            ({"y": np.zeros((4, 3))}, "x has 2 features and y has 3"),
            ({"x": np.zeros((4, 2, 2))}, r"x: expected shape .*\(4, 2, 2\)"),
            ({"x": [["a", "b"], ["c", "d"]]}, "x: not an array of numbers"),
            ({"x": [[1, 2], [3]]}, "x: not an array of numbers"),
            ({"x": [[10**400, 1], [1, 2]]}, "x: not an array of numbers"),
            ({"x": None}, "x: expected shape"),
            ({"x": np.full((4, 2), 1e30)}, "x: .*overflows"),
            ({"x": np.ones((4, 2), complex)}, "Complex data not supported"),
            ({"f": "kll"}, "reverse_kl"),
            ({"f": KL}, r"KL\(\)"),
            ({"alpha": 2.0}, "alpha = 2.0"),
            ({"L": 0}, "L must be a positive"),
            ({"L": -1.0}, "L must be a positive"),
            ({"L": np.nan}, "L must be a positive"),
            ({"L": "1"}, "L must be a positive"),
            ({"gamma": "group"}, "groupsort"),
            ({"steps": 0}, "steps"),
            ({"steps": 1.5}, "steps"),
            ({"random_state": -1}, "random_state"),
        ],
        ids=lambda p: p if isinstance(p, str) else next(iter(p)),
    )
    def test_errors_name_the_place_and_the_way_out(self, change, words):
        arguments = {"x": np.zeros((4, 2)), "y": np.ones((4, 2))} | change
        with pytest.raises(ValueError, match=words):
            divergence(**arguments)

    def test_sparse_input_says_what_to_do(self):
        from scipy.sparse import csr_matrix

        with pytest.raises(ValueError, match="toarray"):
            divergence(csr_matrix(np.eye(3)), np.eye(3))

    def test_objects_that_are_no_numbers(self):
        with pytest.raises(TypeError, match="x: not an array of numbers"):
            divergence([[{}, 1.0], [2.0, 3.0]], np.eye(2))
