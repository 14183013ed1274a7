"""The ball of an RKHS and the kernel distances, against closed forms and SciPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from laws.exact import cumulant
from laws.fits import begin, climb, climb_compiled, double, exact_value, single
from proxflow.discrepancies import kale, mmd
from proxflow.divergences import Divergence
from proxflow.entropies import IPM, KL, Alpha, ChiSquared, ReverseKL
from proxflow.evolution import evolve
from proxflow.flows import Particles
from proxflow.gamma import gradients
from proxflow.gamma.kernels import KERNELS, exact_gram, gram
from proxflow.gamma.rkhs import KernelBall, norm
from proxflow.metrics import energy_distance

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(15, 2)), 1.5 * RNG.normal(size=(12, 2)) + 1.0
X, Y = (np.asarray(np.float32(cloud), np.float64) for cloud in (X, Y))  # what float32 sees, exactly
ENTROPIES = {"IPM": IPM(), "KL": KL(), "reverse KL": ReverseKL(), "chi-squared": ChiSquared(), "alpha 2": Alpha(2.0)}

every_kernel = pytest.mark.parametrize("kernel", KERNELS)


def formula(kernel, a, b, bandwidth, centre):
    """k(a_i, b_j), typed anew."""
    if kernel == "gaussian":
        return np.exp(-cdist(a, b, "sqeuclidean") / (2 * bandwidth**2))
    if kernel == "laplace":
        return np.exp(-cdist(a, b) / bandwidth)
    return np.linalg.norm(a - centre, axis=1)[:, None] + np.linalg.norm(b - centre, axis=1) - cdist(a, b)


def features(kernel, bandwidth):
    """B of shape (n + m, n + m) with BBᵀ = K: φ's values are Bc, its norm is |c|."""
    both, centre = np.concatenate([X, Y]), 0.5 * (X.mean(axis=0) + Y.mean(axis=0))
    values, vectors = np.linalg.eigh(formula(kernel, both, both, bandwidth, centre))
    assert values.min() > -1e-12 * values.max()  # positive definite
    return vectors * np.sqrt(np.maximum(values, 0))


def bandwidth_of(kernel):
    return 1.3 if kernel != "energy" else None


def bracket(name, kernel, radius):
    """(lower, upper) around the supremum over the ball: SLSQP, and its own certificate F + radius‖g‖ - <g, v>."""
    root = features(kernel, bandwidth_of(kernel))

    def objective(c):
        v = root @ c
        ascending, reference = v[: len(X)], v[len(X) :]
        if name == "IPM":
            level, weights = reference.mean(), np.full(len(Y), 1 / len(Y))
        else:
            level, weights = cumulant(name, reference)
        return ascending.mean() - level, root.T @ np.concatenate([np.full(len(X), 1 / len(X)), -weights])

    inside = {"type": "ineq", "fun": lambda c: radius**2 - c @ c, "jac": lambda c: -2 * c}
    start = objective(np.zeros(len(root)))[1]
    found = minimize(
        lambda c: tuple(-part for part in objective(c)), 0.1 * radius * start / np.linalg.norm(start),
        jac=True, method="SLSQP", constraints=[inside], options={"maxiter": 500, "ftol": 1e-14},
    ).x  # fmt: skip
    found *= min(1.0, radius / np.linalg.norm(found))
    value, slope = objective(found)
    return value, value + radius * np.linalg.norm(slope) - slope @ found


def fitted(kernel, f, radius=1.0, ascents=1, x=X, y=Y, **settings):
    settings = {"bandwidth": bandwidth_of(kernel), "updates": 40} | settings
    pair = Divergence(KernelBall(radius, kernel, **settings), f)
    return pair, climb(pair, single(x), single(y), begin(pair, x, y), ascents)


class TestClosedForm:
    @every_kernel
    @pytest.mark.parametrize("radius", [0.01, 1.0, 300.0])
    def test_one_ascent_reaches_the_maximum_mean_discrepancy(self, kernel, radius):
        pair, memory = fitted(kernel, IPM(), radius)
        expected = radius * mmd(X, Y, kernel, bandwidth_of(kernel))
        assert float(pair.value(single(X), single(Y), memory)) == pytest.approx(expected, rel=2e-6)
        later = climb(pair, single(X), single(Y), memory, 5)
        assert exact_value(pair, X, Y, later) == pytest.approx(expected, rel=2e-6)

    @every_kernel
    def test_mmd_by_its_formula(self, kernel):
        both, centre = np.concatenate([X, Y]), np.zeros(2)  # any base point
        weights = np.concatenate([np.full(len(X), 1 / len(X)), np.full(len(Y), -1 / len(Y))])
        expected = np.sqrt(weights @ formula(kernel, both, both, 1.3, centre) @ weights)
        assert mmd(X, Y, kernel, bandwidth_of(kernel)) == pytest.approx(expected, rel=1e-10)
        assert mmd(Y, X, kernel, bandwidth_of(kernel)) == pytest.approx(expected, rel=1e-10)
        assert mmd(X, X[::-1], kernel) == pytest.approx(0, abs=1e-7)

    def test_with_the_energy_kernel_it_is_the_energy_distance(self):
        assert mmd(X, Y, "energy") ** 2 == pytest.approx(energy_distance(X, Y))

    def test_blocks_change_nothing(self, monkeypatch):
        expected = [mmd(X, Y), kale(X, Y)]
        potential = fitted("laplace", IPM())[0].gamma.potential(fitted("laplace", IPM())[1])
        length = norm(potential)
        monkeypatch.setattr("proxflow.discrepancies._BLOCK", 4)
        monkeypatch.setattr("proxflow.gamma.rkhs._BLOCK", 4)
        assert [mmd(X, Y), kale(X, Y)] == pytest.approx(expected, rel=1e-12)
        assert norm(potential) == pytest.approx(length, rel=1e-12)

    def test_the_median_distance_is_the_default_bandwidth(self):
        both = np.concatenate([X, Y])
        median = np.median(cdist(both, both)[np.triu_indices(len(both), 1)])
        assert mmd(X, Y) == pytest.approx(mmd(X, Y, bandwidth=median), rel=1e-12)
        pair = Divergence(KernelBall(), IPM())
        assert float(begin(pair, X, Y).bandwidth) == pytest.approx(median, rel=1e-6)
        assert mmd(np.zeros((3, 2)), np.zeros((2, 2))) == 0  # no distance but zero


class TestSupremum:
    @pytest.mark.parametrize(
        ("kernel", "name"), [*(("gaussian", name) for name in ENTROPIES), ("laplace", "KL"), ("energy", "KL")]
    )
    @pytest.mark.parametrize("radius", [0.3, 6.0])
    def test_reaches_the_exact_optimum_and_never_passes_it(self, kernel, name, radius):
        lower, upper = bracket(name, kernel, radius)
        assert upper - lower < 1e-5 * upper  # or it would not tell
        for ascents in (0, 1, 10):
            pair, memory = fitted(kernel, ENTROPIES[name], radius, ascents)
            size = norm(pair.gamma.potential(memory))
            assert size <= radius * (1 + 1e-5)
            value = exact_value(pair, X, Y, memory)
            assert value <= upper + 2e-5 * abs(value)  # by rounding φ may leave the ball by that much
        assert value >= lower - 1e-5 * upper

    @every_kernel
    def test_a_large_ball_takes_a_few_more_ascents(self, kernel):
        lower, upper = bracket("KL", kernel, 50.0)
        assert upper - lower < 1e-3 * upper
        pair, memory = fitted(kernel, KL(), 50.0, 20)
        assert lower * (1 - 1e-3) <= exact_value(pair, X, Y, memory) <= upper * (1 + 1e-4)

    def test_an_ascent_never_lowers_the_objective(self):
        values = []
        pair, memory = fitted("gaussian", KL(), 100.0, 0, updates=3)
        for _ in range(15):
            values.append(exact_value(pair, X, Y, memory))
            memory = climb(pair, single(X), single(Y), memory, 1)
        assert values[0] == 0
        assert values[-1] > 1.2 * values[1] > 0
        assert np.diff(values).min() > -1e-5 * values[-1]

    def test_moved_particles_take_their_coefficients_along(self):
        pair, memory = fitted("gaussian", KL(), 100.0, 30, updates=3)
        moved = single(1.02 * X)
        after = climb(pair, moved, single(Y), memory, 1)
        assert np.array_equal(after.points[: len(X)], moved)
        fresh = climb(pair, moved, single(Y), begin(pair, X, Y), 1)
        assert exact_value(pair, moved, Y, after) > 1.1 * exact_value(pair, moved, Y, fresh)
        # Spread far out, the same coefficients make a larger function: it must come back into the ball.
        apart = climb(pair, 3 * moved, single(Y), memory, 1)
        large = pair.gamma.potential(memory._replace(points=jnp.concatenate([3 * moved, single(Y)])))
        assert norm(large) > 130.0
        assert norm(pair.gamma.potential(apart)) <= 100.0 * (1 + 1e-4)

    def test_reversed_and_of_different_sizes(self):
        pair = Divergence(KernelBall(3.0, bandwidth=1.3, updates=40), KL(), reverse=True)
        # The first cloud of the reversed pair is the second of the other.
        memory = climb(pair, single(Y), single(X), begin(pair, Y, X), 5)
        other, same = fitted("gaussian", KL(), 3.0, 5)
        assert exact_value(pair, Y, X, memory) == pytest.approx(exact_value(other, X, Y, same), rel=1e-5)


class TestPotential:
    @every_kernel
    @pytest.mark.parametrize("width", [1, 2, 20])  # beyond 8 features squares come from a matrix product
    def test_gradients_at_coinciding_points(self, kernel, width):
        x, y = RNG.normal(size=(6, width)) + 50, RNG.normal(size=(5, width)) + 50
        y[0] = x[0]
        pair, memory = fitted(kernel, IPM(), x=x, y=y)
        potential = pair.gamma.potential(memory)
        places = jnp.concatenate([memory.points, memory.centre[None]])
        found = np.asarray(jax.jit(gradients)(potential, places))
        assert np.all(np.isfinite(found))
        # Every other anchor pulls, the coinciding ones do not.
        anchors, weights = np.float64(potential.anchors), np.float64(potential.coefficients)
        gaps = anchors[:, None] - anchors
        lengths = np.maximum(np.linalg.norm(gaps, axis=2), 1e-300)
        slope = {
            "gaussian": -lengths * np.exp(-(lengths**2) / 2),
            "laplace": -np.exp(-lengths),
            "energy": -np.ones_like(lengths),
        }[kernel]
        expected = ((weights * slope / lengths)[:, :, None] * gaps).sum(axis=1) / float(potential.bandwidth)
        if kernel == "energy":
            away = anchors / np.linalg.norm(anchors, axis=1, keepdims=True)
            expected += weights.sum() * away / float(potential.bandwidth)
        assert found[:-1] == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())

    @every_kernel
    @pytest.mark.parametrize("width", [2, 20])
    def test_gram_matrices_in_both_precisions(self, kernel, width):
        u, v = RNG.normal(size=(7, width)), RNG.normal(size=(6, width))
        v[2] = u[3]
        exact = exact_gram(KERNELS[kernel], u, v)
        assert exact == pytest.approx(formula(kernel, u, v, 1.0, np.zeros(width)), abs=1e-12)
        assert np.asarray(gram(KERNELS[kernel], single(u), single(v))) == pytest.approx(exact, abs=2e-5)

    @pytest.mark.parametrize("bandwidth", [0.1, 1.3, 10.0])
    @pytest.mark.parametrize("ascents", [0, 10])
    def test_no_slope_exceeds_the_bound_of_the_gaussian_ball(self, bandwidth, ascents):
        pair, memory = fitted("gaussian", KL(), 5.0, ascents, bandwidth=bandwidth)
        potential = pair.gamma.potential(memory)
        bound = pair.gamma.lipschitz_bound(potential)
        assert bound <= 5.0 / float(memory.bandwidth) * (1 + 1e-5)
        points = np.concatenate([X, Y, X + 1e-3, 3 * X, (X[:12] + Y) / 2])
        with jax.enable_x64(True):
            slopes = np.linalg.norm(gradients(double(potential), jnp.asarray(points)), axis=1)
        assert slopes.max() <= bound * (1 + 1e-9)
        assert (ascents == 0) == (bound == 0)

    def test_kinked_kernels_have_no_bound(self):
        for kernel in ("laplace", "energy"):
            pair, memory = fitted(kernel, IPM())
            assert pair.gamma.lipschitz_bound(pair.gamma.potential(memory)) == np.inf

    @every_kernel
    def test_state_and_potential_keep_shapes_and_types(self, kernel):
        pair, memory = fitted(kernel, KL(), 2.0, 2)
        before = pair.init(jax.random.key(0), np.float32(X), np.float32(Y))
        same = jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), before, memory)
        assert all(jax.tree.leaves(same))
        values = pair.gamma.potential(memory)(single(X))
        assert values.shape == (len(X),)
        assert values.dtype == jnp.float32

    @every_kernel
    @pytest.mark.parametrize(("factor", "shift"), [(2.0**-20, 0.0), (2.0**20, 0.0), (1.0, 64.0), (1e6, 1e6)])
    def test_potentials_move_with_the_data(self, kernel, factor, shift):
        found = []
        with jax.enable_x64(True):
            for unit, offset in [(1.0, 0.0), (factor, shift)]:
                radius = 2.0 / np.sqrt(unit) if kernel == "energy" else 2.0
                x, y = (jnp.asarray(unit * cloud + offset) for cloud in (X, Y))
                pair = Divergence(KernelBall(radius, kernel))
                memory = climb(pair, x, y, pair.init(jax.random.key(0), x, y), 2)
                found.append(np.asarray(pair.gamma.potential(memory)(x)))
        assert found[1] == pytest.approx(found[0], rel=1e-6)

    @every_kernel
    def test_clouds_that_coincide_stay_finite(self, kernel):
        twice = np.concatenate([Y[:6], Y[:6]])
        for x, y in [(Y, Y[::-1]), (twice, twice + 1e-7), (np.zeros((12, 2)), np.zeros((12, 2)))]:
            pair, memory = fitted(kernel, KL(), x=x, y=y, bandwidth=None)
            potential = pair.gamma.potential(memory)
            assert np.all(np.isfinite(gradients(potential, single(x))))
            assert abs(float(pair.value(single(x), single(y), memory))) < 2e-3

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"kernel": "gauss"}, "gaussian, laplace, energy"),
            ({"bandwidth": 0.0}, "bandwidth must be a positive"),
            ({"radius": -1.0}, "radius must be a positive"),
            ({"kernel": "energy", "bandwidth": 1.0}, "no bandwidth"),
        ],
    )
    def test_errors(self, settings, message):
        with pytest.raises(ValueError, match=message):
            KernelBall(**settings)
        if "radius" not in settings:
            for distance in (mmd, kale):
                with pytest.raises(ValueError, match=message):
                    distance(X, Y, **settings)


class TestKale:
    @every_kernel
    @pytest.mark.parametrize("ridge", [10.0, 0.1, 0.01])
    def test_against_another_solver(self, kernel, ridge):
        root = features(kernel, bandwidth_of(kernel))

        def loss(c):
            h = root @ c
            growth = np.exp(h[len(X) :]) / len(Y)
            value = 1 + h[: len(X)].mean() - growth.sum() - 0.5 * ridge * c @ c
            slope = root.T @ np.concatenate([np.full(len(X), 1 / len(X)), -growth]) - ridge * c
            return -value, -slope

        found = minimize(loss, np.zeros(len(root)), jac=True, options={"gtol": 1e-9, "maxiter": 5000})
        expected = -(1 + ridge) * found.fun
        assert kale(X, Y, kernel, bandwidth_of(kernel), ridge) == pytest.approx(expected, rel=1e-6)

    def test_between_the_two_limits(self):
        values = [kale(X, Y, ridge=ridge) for ridge in (1e9, 1.0, 1e-2, 1e-4)]
        assert values[0] == pytest.approx(mmd(X, Y) ** 2 / 2, rel=1e-7)
        assert np.all(np.diff(values) > 0)
        assert kale(X, X[::-1], ridge=1e-3) == pytest.approx(0, abs=1e-12)

    def test_a_gap_that_does_not_close_is_an_error(self, monkeypatch):
        monkeypatch.setattr("proxflow.discrepancies._ROUNDS", 1)
        with pytest.raises(RuntimeError, match=r"between .* and .* with ridge = 0\.001"):
            kale(X, Y, ridge=1e-3)
        with pytest.raises(ValueError, match="ridge"):
            kale(X, Y, ridge=0.0)


class TestFlow:
    @pytest.mark.parametrize(("kernel", "shift", "share"), [("energy", 4.0, 0.1), ("gaussian", 1.5, 0.1)])
    def test_particles_descend_the_maximum_mean_discrepancy(self, kernel, shift, share):
        source = X + shift
        pair = Divergence(KernelBall(kernel=kernel), IPM())
        run = evolve(Particles(), pair, source, Y, steps=100, warm_up=1)
        after = np.asarray(run.state.points, np.float64)
        bandwidth = None if kernel == "energy" else float(run.memory.bandwidth)
        ratio = mmd(after, Y, kernel, bandwidth) / mmd(source, Y, kernel, bandwidth)
        assert ratio < share
        assert run.history["value"][0] == pytest.approx(mmd(source, Y, kernel, bandwidth), rel=1e-4)
        assert energy_distance(after, Y) < 0.3 * energy_distance(source, Y)

    def test_with_kl_and_heun_too(self):
        pair = Divergence(KernelBall(1.0, "energy"), KL())
        run = evolve(Particles(method="heun"), pair, X + 4, Y, steps=40, record=True)
        assert run.step == 40
        assert run.history["value"][-1] < 0.2 * run.history["value"][0]

    def test_another_radius_or_bandwidth_compiles_nothing_new(self):
        climb_compiled.clear_cache()
        for radius, bandwidth in [(1.0, 1.0), (2.0, 0.5)]:
            fitted("laplace", KL(), radius, bandwidth=bandwidth)
        assert climb_compiled._cache_size() == 1
