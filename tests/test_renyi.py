"""Rényi's divergence: its cumulant against the definition, its divergence against closed forms and the common laws."""

import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from laws.fits import fit
from proxflow.divergences import Divergence
from proxflow.entropies import NAMES, Entropy, ReverseKL, WholeEntropy, cost, cumulant, entropy, reweighting
from proxflow.estimate import divergence
from proxflow.evolution import evolve
from proxflow.flows import Particles
from proxflow.gamma import Cones, Discrete, GroupSort, gradients
from proxflow.gamma.semidual import solve_samples
from proxflow.metrics import wasserstein
from proxflow.renyi import Renyi

ORDERS = [0.2, 0.5, 0.9, 1.5, 2.0, 4.0]
every_order = pytest.mark.parametrize("order", ORDERS)

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 2)), 1.5 * RNG.normal(size=(40, 2)) + 1.0
VALUES = np.asarray([0.3, -1.0, 2.0, 0.0, 0.7])


def definition(order, density):
    """R_a(Q‖R) of uniform Q from the density of R, typed anew."""
    return math.log(np.mean(density ** (1 - order))) / (order * (order - 1))


solve = jax.jit(lambda f, v: jax.value_and_grad(lambda w: cumulant(f, w), has_aux=True)(v), static_argnums=0)


def solved(order, values, bits=64):
    """Λ, ν and the gradient of Λ, computed at this precision."""
    with jax.enable_x64(bits == 64):
        (level, nu), gradient = solve(Renyi(order), jnp.asarray(values, f"float{bits}"))
        return float(level), float(nu), np.asarray(gradient, np.float64)


class TestFormulas:
    @every_order
    def test_elementwise_formulas_belong_together(self, order):
        f = Renyi(order)
        t = np.logspace(-3, 2, 25)  # beyond, s is too close to its upper end for its digits
        with jax.enable_x64(True):
            s = np.asarray(f.derivative(jnp.asarray(t)))
            values, conjugates = np.asarray(f(jnp.asarray(t))), np.asarray(f.conjugate(jnp.asarray(s)))
            excess = np.asarray(f.excess(jnp.asarray(s)))
        assert np.all(s < f.upper)
        assert 1 + excess == pytest.approx(t, rel=1e-6)
        assert values + conjugates == pytest.approx(s * t, rel=1e-6, abs=1e-12)
        expected = (t ** (1 - order) - (1 - order) * t - order) / (order * (order - 1))
        assert values == pytest.approx(expected, rel=1e-12, abs=1e-12)

    @every_order
    def test_cost_is_the_definition_and_a_logarithm_of_its_elementwise_one(self, order):
        density = RNG.dirichlet(np.ones(7)) * 7
        f = Renyi(order)
        with jax.enable_x64(True):
            found, mean = float(cost(f, jnp.asarray(density))), float(jnp.mean(f(jnp.asarray(density))))
            assert float(cost(f, jnp.ones(7))) == pytest.approx(0, abs=1e-15)
        assert found == pytest.approx(definition(order, density), rel=1e-12)
        product = order * (order - 1)
        assert found == pytest.approx(math.log1p(product * mean) / product, rel=1e-10)

    def test_leaving_a_point_out(self):
        part = jnp.asarray([2.0, 0.0])
        assert math.isinf(cost(Renyi(2.0), part))
        assert float(cost(Renyi(0.5), part)) == pytest.approx(-4 * math.log(0.5 * math.sqrt(2)), rel=1e-6)

    def test_order_a_half_is_symmetric(self):
        p, q = RNG.dirichlet(np.ones(6), size=2)
        bhattacharyya = -4 * math.log(np.sum(np.sqrt(p * q)))
        assert np.log(q @ (p / q) ** 0.5) * -4 == pytest.approx(bhattacharyya)
        # Q uniform: both arguments can be written as densities
        density = 6 * p
        assert float(cost(Renyi(0.5), jnp.asarray(density))) == pytest.approx(
            -4 * math.log(np.sum(np.sqrt(p / 6))), rel=1e-5
        )


class TestCumulant:
    @every_order
    def test_is_the_maximum_over_reweightings(self, order):
        level, _, gradient = solved(order, VALUES)
        density = 5 * gradient
        assert np.mean(density * VALUES) - definition(order, density) == pytest.approx(level, abs=1e-10)
        best = minimize(
            lambda z: definition(order, 5 * np.exp(z) / np.exp(z).sum()) - np.exp(z) @ VALUES / np.exp(z).sum(),
            np.zeros(5),
            options={"gtol": 1e-9},
        )
        assert level == pytest.approx(-best.fun, abs=1e-7)

    @every_order
    def test_is_the_paper_s_formula_without_its_sign_constraint(self, order):
        def paper(shift):  # of g = v - shift < 0, its least value over shifts
            gap = np.exp(shift) + VALUES.max() - VALUES
            power = math.log(np.mean(gap ** ((order - 1) / order))) / (order - 1)
            return np.exp(shift) + VALUES.max() - power - (math.log(order) + 1) / order

        found = minimize_scalar(paper, bounds=(-30, 5), method="bounded", options={"xatol": 1e-10})
        assert solved(order, VALUES)[0] == pytest.approx(found.fun, abs=1e-9)

    @every_order
    def test_nu_is_the_mean_under_the_reweighted_measure(self, order):
        _, nu, gradient = solved(order, VALUES)
        assert nu == pytest.approx(gradient @ VALUES, rel=1e-12)

    @pytest.mark.parametrize("order", [1 - 1e-6, 1 + 1e-6])
    def test_order_near_one_is_reverse_kl(self, order):
        level, nu, gradient = solved(order, VALUES)
        with jax.enable_x64(True):
            (limit, limit_nu), slope = solve(ReverseKL(), jnp.asarray(VALUES))
        assert (level, nu) == pytest.approx((float(limit), float(limit_nu)), abs=1e-5)
        assert gradient == pytest.approx(np.asarray(slope), abs=1e-5)

    @pytest.mark.parametrize("order", [*ORDERS, 10.0])
    @pytest.mark.parametrize("bits", [32, 64])
    def test_at_every_scale(self, order, bits):
        normal, heavy = RNG.normal(size=12), RNG.standard_cauchy(12)
        epsilon = float(np.finfo(f"float{bits}").eps)
        for scale in (1e-12, 1e-6, 1e-2, 1.0, 1e3, 1e6, 1e12):
            for values in (scale * normal, scale * heavy):
                level, nu, gradient = solved(order, values, bits)
                rounding = 16 * epsilon * np.abs(values).max()
                assert values.mean() - rounding <= level <= values.max() + rounding
                assert values.min() - rounding <= nu <= values.max() + rounding
                assert np.all(gradient >= 0)
                assert gradient.sum() == pytest.approx(1, abs=1e-5)

    @every_order
    def test_small_spreads_keep_their_digits(self, order):
        values = 1e-6 * VALUES
        expected = values.mean() + values.var() / 2
        assert solved(order, values)[0] == pytest.approx(expected, abs=1e-17)

    @every_order
    @pytest.mark.parametrize("bits", [32, 64])
    def test_equal_values(self, order, bits):
        for constant in (0.0, -3.5, 1e6):
            level, nu, gradient = solved(order, np.full(5, constant), bits)
            assert (level, nu) == (constant, constant)
            assert gradient == pytest.approx(0.2)

    @every_order
    def test_monotone_convex_and_nonexpansive(self, order):
        for scale in (0.1, 3.0, 100.0):
            v, w = scale * RNG.normal(size=(2, 5))
            at_v, at_w, between = (solved(order, z)[0] for z in (v, w, 0.3 * v + 0.7 * w))
            assert between <= 0.3 * at_v + 0.7 * at_w + 1e-10
            assert solved(order, np.maximum(v, w))[0] >= max(at_v, at_w) - 1e-10
            assert abs(at_v - at_w) <= np.abs(v - w).max() + 1e-10

    @pytest.mark.parametrize("order", [0.5, 3.0])
    def test_derivatives_to_second_order(self, order):
        f = Renyi(order)
        with jax.enable_x64(True):
            v = jnp.asarray(VALUES)
            hessian = np.asarray(jax.jit(jax.hessian(lambda w: cumulant(f, w)[0]))(v))
            slope_of_nu = np.asarray(jax.jit(jax.grad(lambda w: cumulant(f, w)[1]))(v))
            _, density, slope = (np.asarray(part) for part in reweighting(f, v, jnp.asarray(0.1)))
        step = 1e-5
        for j in range(5):
            up, down = (solved(order, VALUES + sign * step * np.eye(5)[j]) for sign in (1, -1))
            assert hessian[:, j] == pytest.approx((up[2] - down[2]) / (2 * step), abs=1e-8)
            assert slope_of_nu[j] == pytest.approx((up[1] - down[1]) / (2 * step), abs=1e-8)
        # what Newton's method in the exact solver is told
        whole = (np.diag(slope) + f.coupling * np.outer(density, density) / 5) / 5
        constants = whole.sum(axis=0)
        assert hessian == pytest.approx(whole - np.outer(constants, constants) / constants.sum(), abs=1e-10)


class TestExact:
    @pytest.mark.parametrize("L", [0.3, 3.0, 30.0])
    @every_order
    def test_the_bracket_closes(self, order, L):
        found = solve_samples(X, Y, Renyi(order), L)
        assert found.closed
        assert 0 < found.lower <= found.upper
        assert found.gap <= 1e-4
        assert found.upper == pytest.approx(found.transported + definition(order, found.density), rel=1e-9)

    @every_order
    def test_large_L_is_the_divergence_of_discrete_measures(self, order):
        points = np.asarray([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        p, q = np.asarray([1, 2, 5]), np.asarray([4, 3, 1])
        found = solve_samples(np.repeat(points, p, axis=0), np.repeat(points, q, axis=0), Renyi(order), 1e4)
        closed_form = math.log(np.sum((q / 8) * (q / p) ** (order - 1))) / (order * (order - 1))
        assert found.lower <= closed_form * (1 + 1e-9)
        assert found.upper == pytest.approx(closed_form, rel=2e-4)

    @every_order
    def test_laws(self, order):
        f = Renyi(order)
        values = [solve_samples(X, Y, f, L) for L in (0.1, 1.0, 10.0)]
        assert all(a.lower < b.upper and a.upper < b.lower for a, b in pairwise(values))
        for L, found in zip((0.1, 1.0, 10.0), values, strict=True):
            assert 0 < found.lower <= L * wasserstein(X, Y, p=1)
        assert solve_samples(X, Y, f, 1e-4).upper / 1e-4 == pytest.approx(wasserstein(X, Y, p=1), rel=1e-2)
        assert solve_samples(X, X[::-1], f, 1.0).upper == pytest.approx(0, abs=1e-6)
        assert solve_samples(3 * X, 3 * Y, f, 1.0).lower == pytest.approx(solve_samples(X, Y, f, 3.0).lower, rel=2e-4)

    @every_order
    def test_two_diracs_cost_their_distance(self, order):
        found = solve_samples(np.zeros((3, 2)), np.full((2, 2), [3.0, 4.0]), Renyi(order), 2.0)
        assert (found.lower, found.upper) == pytest.approx((10.0, 10.0), rel=1e-9)


SPACES = [GroupSort(width=8, depth=2), Cones(), Discrete()]


class TestInUse:
    @pytest.mark.parametrize(("reverse", "order"), [(False, 2.0), (True, 0.5)])
    def test_networks_stay_below_the_exact_value(self, reverse, order):
        first, second = (Y[:16], X[:16]) if reverse else (X[:16], Y[:16])
        exact = solve_samples(first, second, Renyi(order), 1.0)
        found = fit(Renyi(order), X[:16], Y[:16], reverse=reverse)
        assert 0.6 * exact.lower <= found.lower <= exact.upper

    def test_by_name_in_divergence(self):
        found = divergence(X, Y, f="renyi", alpha=2.0, gamma="groupsort", steps=40)
        assert found.f == Renyi(2.0)
        assert 0 < found.value <= solve_samples(X, Y, Renyi(2.0), 1.0).upper
        assert "renyi 2" in repr(found).lower()

    @pytest.mark.parametrize(("reverse", "order"), [(False, 2.0), (True, 0.5), (True, 2.0)])
    @pytest.mark.parametrize("gamma", SPACES, ids=["GroupSort", "Cones", "Discrete"])
    def test_particles_arrive(self, gamma, reverse, order):
        target = X[:10].astype(np.float32)
        pair = Divergence(gamma, Renyi(order), reverse)
        run = evolve(Particles(), pair, target + 2.0, target, steps=6 if gamma.on_host else 40)
        value = run.history["value"]
        assert np.all(np.isfinite(value))
        assert value[-1] < 0.5 * value[0]

    @pytest.mark.parametrize(("order", "scale"), [(0.5, 1.0), (0.5, 1e3), (2.0, 1.0), (2.0, 1e3), (10.0, 1.0)])
    def test_first_variation_of_the_reverse_direction(self, order, scale):
        # At a fixed potential the objective falls, as particles move, like the mean of the first variation.
        particles, target = jnp.asarray(scale * X, jnp.float32), jnp.asarray(scale * Y, jnp.float32)
        pair = Divergence(GroupSort(width=8, depth=2), Renyi(order), reverse=True)
        memory = pair.init(jax.random.key(0), particles, target)
        slopes = gradients(pair.variation(particles, memory), particles)
        expected = len(X) * jax.grad(lambda cloud: pair.value(cloud, target, memory))(particles)
        assert np.all(np.isfinite(slopes))
        assert np.asarray(slopes) == pytest.approx(np.asarray(expected), rel=1e-2, abs=1e-4)

    def test_first_variation_beyond_the_sample_goes_on(self):
        f, values = Renyi(2.0), jnp.asarray([0.0, 1.0, 2.0])
        level = f.cut(values)
        value, slope = jax.vmap(jax.value_and_grad(lambda v: f.influence(v, level)))(jnp.asarray([1.5, 2.0, 2.1, 50.0]))
        assert np.all(np.isfinite(value))
        assert np.all(np.diff(value) >= 0)
        assert float(slope[0]) < float(slope[1]) == pytest.approx(float(slope[3]))


class TestNames:
    def test_by_name(self):
        assert "renyi" in NAMES
        assert entropy("renyi") == Renyi(0.5)
        assert entropy("renyi", 3.0) == Renyi(3.0)
        assert isinstance(Renyi(2.0), Entropy)
        assert isinstance(Renyi(2.0), WholeEntropy)
        assert not isinstance(ReverseKL(), WholeEntropy)
        assert hash(Renyi(2.0)) == hash(Renyi(2.0))

    def test_order_one_points_to_reverse_kl(self):
        with pytest.raises(ValueError, match="reverse_kl"):
            entropy("renyi", 1)

    @pytest.mark.parametrize("order", [0, -1, math.inf, math.nan, "2", True])
    def test_bad_orders(self, order):
        with pytest.raises(ValueError, match="alpha"):
            Renyi(order)

    def test_an_order_given_twice(self):
        with pytest.raises(ValueError, match="alpha = 3"):
            entropy(Renyi(2.0), 3)
