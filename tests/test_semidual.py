"""The exact solver: its bracket is closed and true, on easy and on hard samples."""

from functools import cache
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist

from laws.exact import FORMULAS, cumulant
from laws.tables import ENTROPIES
from proxflow import wasserstein
from proxflow.entropies import IPM, KL, ChiSquared, ReverseKL
from proxflow.gamma import semidual
from proxflow.gamma.semidual import SampleSolution, solve_samples

every_entropy = pytest.mark.parametrize("name", ENTROPIES)
reweighting_entropy = pytest.mark.parametrize("name", [name for name in ENTROPIES if name != "IPM"])

N, M = 30, 40  # one M wherever it does not matter: compiled functions are reused


@cache
def clouds(features=2, n=N, m=M):
    rng = np.random.default_rng(features)
    return rng.normal(size=(n, features)) + 0.7, 1.5 * rng.normal(size=(m, features))


def check(found, x, y, L, power=1.0):
    """What every solution promises."""
    cost = L * cdist(x, y) ** power
    slack = 1e-12 * max(cost.max(), 1e-300)
    assert np.isfinite([found.lower, found.upper]).all()
    assert 0 <= found.lower <= found.upper
    assert found.closed
    # the lower bound's witness
    values = np.min(cost + found.heights, axis=1)
    assert found.values == pytest.approx(values, rel=0, abs=slack)
    # the upper bound's
    plan = found.plan.toarray()
    assert plan.shape == cost.shape
    assert plan.min() >= 0
    assert plan.sum(axis=1) == pytest.approx(1 / len(x), rel=1e-12)
    assert len(y) * plan.sum(axis=0) == pytest.approx(found.density, rel=0, abs=1e-9)
    assert found.density.mean() == pytest.approx(1, abs=1e-12)
    assert found.transported == pytest.approx(float(np.sum(plan * cost)), rel=1e-9, abs=slack)
    assert found.reweighted >= 0
    assert found.transported + found.reweighted == pytest.approx(found.upper, rel=1e-9, abs=slack)
    assert found.gap >= 0


def agree(first, second):
    """Whether two brackets meet."""
    rounding = 1e-12 * max(first.upper, second.upper)
    return first.lower <= second.upper + rounding and second.lower <= first.upper + rounding


# ---------------------------------------------------------------------- other solvers


class TestOtherSolvers:
    @pytest.mark.parametrize("power", [1.0, 2.0])
    @pytest.mark.parametrize("L", [0.1, 1.0, 10.0])
    @pytest.mark.parametrize("f", [KL(), ChiSquared()])
    def test_a_cone_solver(self, f, L, power):
        cvxpy = pytest.importorskip("cvxpy", reason="the independent convex solver is not installed")
        x, y = clouds(n=25, m=M)
        cost = L * cdist(x, y) ** power
        plan = cvxpy.Variable(cost.shape, nonneg=True)
        density = M * cvxpy.sum(plan, axis=0)
        reweighted = cvxpy.kl_div(density, 1) if f == KL() else cvxpy.square(density - 1)
        problem = cvxpy.Problem(
            cvxpy.Minimize(cvxpy.sum(cvxpy.multiply(cost, plan)) + cvxpy.sum(reweighted) / M),
            [cvxpy.sum(plan, axis=1) == 1 / len(x)],
        )
        problem.solve(solver=cvxpy.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
        assert problem.status == "optimal"
        found = solve_samples(x, y, f, L, power=power, gap=1e-6)
        check(found, x, y, L, power)
        tolerance = 1e-7 * (1 + problem.value)
        assert found.lower - tolerance <= problem.value <= found.upper + tolerance

    @pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
    @pytest.mark.parametrize("name", FORMULAS)
    def test_two_target_points_by_brute_force(self, name, power):
        # R = (r, 1 - r): whoever gains most from the first point goes there first. One unknown is left.
        x, y = clouds(n=7, m=2)
        for L in (0.1, 1.0, 10.0):
            cost = L * cdist(x, y) ** power
            gains = np.sort(cost[:, 0] - cost[:, 1])

            def total(r, cost=cost, gains=gains):
                shares = np.clip(7 * r - np.arange(7), 0, 1) / 7
                reweighted = np.mean(FORMULAS[name][0](np.asarray([2 * r, 2 - 2 * r])))
                return cost[:, 1].mean() + gains @ shares + reweighted

            best = minimize_scalar(total, bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-12}).fun
            found = solve_samples(x, y, ENTROPIES[name](), L, power=power, gap=1e-7)
            check(found, x, y, L, power)
            assert found.lower - 1e-9 * (1 + best) <= best <= found.upper + 1e-7 * (1 + best)

    def test_reference_values(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(0, 1, (500, 2)), rng.normal(10, 2, (300, 2))
        for L, value, precision in [(1.0, 12.7903, 1e-4), (10.0, 98.4924, 1e-3)]:
            found = solve_samples(x, y, KL(), L, gap=5e-6)
            check(found, x, y, L)
            assert value - precision <= found.lower
            assert found.upper <= value + precision


# ---------------------------------------------------------------------- hard samples


@cache
def hard():
    """name -> (x, y, L)."""
    rng = np.random.default_rng(0)

    def normal(count=N, features=2):
        return rng.normal(size=(count, features))

    y = normal(M)
    return {
        "identical": (y, y, 1.0),
        "identical, shuffled": (rng.permutation(y), y, 1.0),
        "identical, one place": (np.ones((N, 2)), np.ones((M, 2)), 1.0),
        "duplicates": (np.repeat(normal(6) + 1, 5, axis=0), np.repeat(normal(8), 5, axis=0), 1.0),
        "a lattice": (np.round(normal()), np.round(y), 1.0),
        "one, one": (normal(1), normal(1) + 3, 1.0),
        "one, many": (normal(1), y, 1.0),
        "many, one": (normal(), normal(1), 1.0),
        "one feature": (normal(N, 1) + 1, normal(M, 1), 1.0),
        "more features than points": (normal(N, 100) + 0.3, normal(M, 100), 1.0),
        "Cauchy, both": (rng.standard_cauchy((N, 2)), rng.standard_cauchy((M, 2)), 1.0),
        "Cauchy, P": (rng.standard_cauchy((N, 2)), y, 1.0),
        "Cauchy, Q": (normal(), rng.standard_cauchy((M, 2)), 1.0),
        "a column times 1e9": ((normal() + 1) * [1, 1e9], y * [1, 1e9], 1.0),
        "a column times 1e-9": ((normal() + 1) * [1, 1e-9], y * [1, 1e-9], 1.0),
        "all times 1e9": ((normal() + 1) * 1e9, y * 1e9, 1.0),
        "all times 1e-9": ((normal() + 1) * 1e-9, y * 1e-9, 1.0),
        "P shifted by 1e6": (normal() + 1e6, y, 1.0),
        "both shifted by 1e6": (normal() + 1e6, y + 1e6, 1.0),
        "tiny L": (normal() + 0.3, y, 1e-6),
        "large L": (normal() + 0.3, y, 1e4),
        "large L, shared points": (y[rng.permutation(np.r_[np.arange(M), np.arange(9)])], y, 1e4),
        "huge L, a lattice": (np.round(y + 0.2 * normal(M)), np.round(y), 1e6),
        "nearly identical": (y + 1e-7 * normal(M), y, 1.0),
    }


class TestHardSamples:
    @every_entropy
    @pytest.mark.parametrize("case", hard())
    def test_closed_and_true(self, case, name):
        x, y, L = hard()[case]
        found = solve_samples(x, y, ENTROPIES[name](), L)
        check(found, x, y, L)
        transport = L * wasserstein(x, y, p=1)
        assert found.lower <= transport * (1 + 1e-6) + found.resolution
        assert found.upper <= transport * (1 + 1e-4) + found.resolution
        if case.startswith("identical"):
            assert found.lower == 0
            assert found.upper <= found.resolution
        else:
            assert found.lower > 0

    @every_entropy
    @pytest.mark.parametrize("case", ["one, one", "many, one"])
    def test_to_a_single_point_all_mass_goes(self, case, name):
        x, y, L = hard()[case]
        found = solve_samples(x, y, ENTROPIES[name](), L)
        exact = L * np.linalg.norm(x - y, axis=1).mean()
        assert [found.lower, found.upper] == pytest.approx([exact, exact], rel=1e-9)

    @pytest.mark.parametrize("name", [n for n in ENTROPIES if n != "IPM"])
    @pytest.mark.parametrize("L", [1e3, 1e6])
    def test_where_moving_is_too_dear_only_reweighting_is_left(self, name, L):
        # Ten of the forty points come twice in P. The value is far below the costs of moving.
        _, y = clouds()
        found = solve_samples(np.concatenate([y, y[:10]]), y, ENTROPIES[name](), L)
        density = np.where(np.arange(M) < 10, 2, 1) * M / 50
        exact = float(jnp.mean(ENTROPIES[name]()(jnp.asarray(density, jnp.float32))))
        assert found.closed
        assert found.lower - 1e-6 <= exact <= found.upper + 1e-6
        assert found.density == pytest.approx(density, abs=1e-3)
        assert found.transported < 1e-3 * found.upper

    @every_entropy
    def test_where_moving_is_cheap_it_is_transport(self, name):
        x, y = clouds()
        transport = wasserstein(x, y, p=1)
        found = solve_samples(x, y, ENTROPIES[name](), 1e-6)
        assert found.lower / 1e-6 == pytest.approx(transport, rel=2e-4)
        assert found.density == pytest.approx(1, abs=1e-4)


# ---------------------------------------------------------------------- laws


class TestLaws:
    @every_entropy
    @pytest.mark.parametrize("power", [1.0, 2.0])
    def test_units(self, name, power):
        x, y = clouds()
        found = solve_samples(x, y, ENTROPIES[name](), 4.0**power, power=power)
        twofold = solve_samples(4 * x, 4 * y, ENTROPIES[name](), 1.0, power=power)
        assert (found.lower, found.upper) == (twofold.lower, twofold.upper)  # a power of two rounds nothing
        found = solve_samples(x, y, ENTROPIES[name](), 3.0**power, power=power, gap=1e-6)
        threefold = solve_samples(3 * x - 5, 3 * y - 5, ENTROPIES[name](), 1.0, power=power, gap=1e-6)
        assert agree(found, threefold)

    @every_entropy
    def test_nondecreasing_in_L(self, name):
        x, y = clouds()
        found = [solve_samples(x, y, ENTROPIES[name](), L, gap=1e-6) for L in (1e-3, 0.1, 1.0, 1.001, 10.0, 1e3)]
        for before, after in pairwise(found):
            assert before.lower < after.upper
            assert before.upper < after.lower  # by far more than the gap

    @every_entropy
    @pytest.mark.parametrize("power", [1.0, 2.0])
    def test_a_smaller_gap(self, name, power):
        x, y = clouds()
        rough = solve_samples(x, y, ENTROPIES[name](), 1.0, power=power, gap=1e-2)
        fine = solve_samples(x, y, ENTROPIES[name](), 1.0, power=power, gap=1e-8)
        check(fine, x, y, 1.0, power)
        assert fine.gap <= 1e-8
        assert rough.gap <= 1e-2
        assert agree(rough, fine)

    @pytest.mark.parametrize("name", FORMULAS)
    def test_density_is_what_the_heights_ask_for(self, name):
        x, y = clouds()
        found = solve_samples(x, y, ENTROPIES[name](), 1.0, gap=1e-8)
        _, gradient = cumulant(name, found.heights)
        assert found.density == pytest.approx(M * gradient, abs=2e-3)

    @pytest.mark.parametrize("power", [1.0, 2.0])
    @reweighting_entropy
    def test_a_warm_start_changes_nothing_but_the_time(self, name, power):
        x, y = clouds()
        f = ENTROPIES[name]()
        cold = solve_samples(x, y, f, 1.0, power=power)
        warm = solve_samples(x, y, f, 1.0, power=power, start=cold.heights + 7.0, temperature=4 * cold.temperature)
        check(warm, x, y, 1.0, power)
        assert agree(cold, warm)
        assert warm.levels < cold.levels
        # nor does a start that misleads
        wrong = np.random.default_rng(0).normal(size=M)
        misled = solve_samples(x, y, f, 1.0, power=power, start=wrong, temperature=cold.temperature)
        check(misled, x, y, 1.0, power)
        assert agree(cold, misled)

    def test_progress_is_reported_level_by_level(self):
        x, y = clouds()
        gaps = []
        found = solve_samples(x, y, KL(), 1.0, report=gaps.append)
        assert len(gaps) == found.levels
        assert gaps[-1] <= 1e-4 < gaps[0]

    def test_an_open_bracket_says_so(self, monkeypatch):
        monkeypatch.setattr(semidual, "_newton_direction", lambda *arguments: np.zeros(M))
        x, y = clouds()
        found = solve_samples(x, y, KL(), 1.0)
        assert not found.closed
        assert 0 <= found.lower < found.upper
        assert found.gap > 1e-4

    def test_the_gap_of_nothing_is_nothing(self):
        y = clouds()[1]
        for f in (KL(), IPM()):
            assert solve_samples(np.ones((3, 2)), np.ones((M, 2)), f).gap == 0
            assert solve_samples(y, y, f).gap <= 1


# ---------------------------------------------------------------------- any small samples

_COUNT = 5
coordinates = st.integers(-2, 2).map(float) | st.floats(-3, 3, width=32)
points = st.tuples(coordinates, coordinates)


@settings(max_examples=150)
@given(
    x=st.lists(points, min_size=1, max_size=7),
    y=st.lists(points, min_size=_COUNT, max_size=_COUNT),
    name=st.sampled_from([*FORMULAS, "IPM"]),
    L=st.sampled_from([1e-3, 0.3, 1.0, 30.0, 1e4]),
    power=st.sampled_from([1.0, 2.0]),
    seed=st.integers(0, 99),
)
def test_no_heights_pass_above_and_no_plan_below(x, y, name, L, power, seed):
    x, y, rng = np.asarray(x), np.asarray(y), np.random.default_rng(seed)
    found = solve_samples(x, y, ENTROPIES[name](), L, power=power)
    check(found, x, y, L, power)
    cost = L * cdist(x, y) ** power
    for size in (0.1, 1.0, 10.0):
        heights = found.heights + size * min(found.upper, 10.0) * rng.normal(size=_COUNT)
        level = heights.mean() if name == "IPM" else cumulant(name, heights)[0]
        assert np.mean(np.min(heights + cost, axis=1)) - level <= found.upper + 1e-9 * (1 + cost.max())
    if name != "IPM":  # there a random plan costs infinitely much
        for size in (0.0, 1e-3, 1.0):
            plan = found.plan.toarray() + size * rng.dirichlet(np.ones(_COUNT), len(x)) / len(x)
            plan /= len(x) * plan.sum(axis=1, keepdims=True)
            reweighted = np.mean(FORMULAS[name][0](_COUNT * plan.sum(axis=0)))
            assert np.sum(plan * cost) + reweighted >= found.lower - 1e-9 * (1 + cost.max())


# ---------------------------------------------------------------------- its parts


class TestManyPoints:
    @pytest.mark.parametrize("power", [1.0, 2.0])
    @pytest.mark.parametrize("f", [KL(), ReverseKL(), ChiSquared()])
    def test_a_part_of_the_points_comes_first(self, f, power, monkeypatch):
        x, y = clouds(n=90)
        plain = solve_samples(x, y, f, 1.0, power=power)
        monkeypatch.setattr(semidual, "_COARSE", 20)
        heights, temperature = semidual._coarse_start(x, y, f, 1.0, power)
        assert heights.shape == (M,)
        assert temperature > 0
        assert np.corrcoef(heights, plain.heights)[0, 1] > 0.5  # of forty points, twenty say that much
        found = solve_samples(x, y, f, 1.0, power=power)
        check(found, x, y, 1.0, power)
        assert agree(plain, found)
        assert semidual._coarse_start(x[:10], y, f, 1.0, power) == (None, None)  # few points need none

    def test_blocks_change_nothing(self, monkeypatch):
        x, y = clouds()
        for f in (KL(), IPM()):
            monkeypatch.undo()
            whole = solve_samples(x, y, f, 1.0)
            for kept in (semidual._KEPT, 0):  # costs kept, or computed again at every scan
                monkeypatch.setattr(semidual, "_KEPT", kept)
                monkeypatch.setattr(semidual, "_BLOCK", 7 * M + 3)
                found = solve_samples(x, y, f, 1.0)
                check(found, x, y, 1.0)
                assert [found.lower, found.upper] == pytest.approx([whole.lower, whole.upper], rel=1e-9)

    @pytest.mark.parametrize(("dense", "pairs"), [(5, 1000), (5, 0)])
    def test_factorised_and_iterated_steps_close_the_bracket_too(self, dense, pairs, monkeypatch):
        for n in (N, 60):
            x, y = clouds(n=n)
            plain = solve_samples(x, y, KL(), 1.0)
            with monkeypatch.context() as patched:
                patched.setattr(semidual, "_DENSE", dense)
                patched.setattr(semidual, "_SPARSE", pairs)
                found = solve_samples(x, y, KL(), 1.0)
            check(found, x, y, 1.0)
            assert agree(plain, found)


class TestScan:
    @pytest.mark.parametrize("block", [2**21, 5 * M])
    @pytest.mark.parametrize("reach", [0.0, 0.3, 1e9])
    def test_keeps_what_is_within_reach_and_one_pair_per_row_and_column(self, reach, block, monkeypatch):
        monkeypatch.setattr(semidual, "_BLOCK", block)
        x, y = clouds()
        heights = np.random.default_rng(0).normal(size=M)
        cost = 2.0 * cdist(x, y) ** 1.5
        values, arcs = semidual._scan(semidual._Costs(x, y, 2.0, 1.5), heights, reach)
        reduced = cost + heights - np.min(cost + heights, axis=1, keepdims=True)
        assert values == pytest.approx(np.min(cost + heights, axis=1), rel=1e-12)
        rows, columns = arcs.matrix.tocoo().row, arcs.matrix.tocoo().col
        kept = np.zeros(cost.shape, int)
        np.add.at(kept, (rows, columns), 1)
        assert kept.max() == 1
        assert np.all(kept[reduced <= reach - 1e-9] == 1)
        beyond = (kept == 1) & (reduced > reach + 1e-9)
        # only for the columns that none is within reach of, and then the nearest row
        lonely = np.flatnonzero(reduced.min(axis=0) > reach)
        assert np.array_equal(np.flatnonzero(beyond.any(axis=0)), lonely)
        assert np.count_nonzero(beyond, axis=0)[lonely].tolist() == [1] * len(lonely)
        assert np.array_equal(np.argmax(beyond, axis=0)[lonely], reduced.argmin(axis=0)[lonely])
        assert kept.any(axis=1).all()
        assert kept.any(axis=0).all()
        assert arcs.matrix.data == pytest.approx(cost[rows, columns], rel=1e-12)
        assert np.all(np.diff(arcs.matrix.indptr) > 0)

    def test_soft_minima_and_weights(self):
        x, y = clouds()
        heights, cost = np.random.default_rng(0).normal(size=M), cdist(x, y)
        _, arcs = semidual._scan(semidual._Costs(x, y, 1.0, 1.0), heights, 1e9)
        for temperature in (1e-3, 0.1, 10.0):
            tilted = -(heights + cost) / temperature
            level = np.logaddexp.reduce(tilted, axis=1)
            soft, weights = arcs.soft_minimum(heights, temperature)
            assert soft == pytest.approx(np.mean(-temperature * level), rel=1e-12)
            assert arcs.with_weights(weights).toarray() == pytest.approx(np.exp(tilted - level[:, None]), abs=1e-12)
        assert arcs.lowest(heights) == pytest.approx(np.min(heights + cost, axis=1))

    def test_unions(self):
        rng = np.random.default_rng(0)
        cost = rng.uniform(1, 2, (6, 9))
        kept = [rng.uniform(size=cost.shape) < share for share in (0.1, 0.4)]
        for mask in kept:
            mask[:, 3] = True  # a row without pairs cannot be
        first, second = (semidual._Arcs(sparse.csr_array(np.where(mask, cost, 0))) for mask in kept)
        for both in (first.union(second), second.union(first)):
            assert np.array_equal(both.matrix.toarray(), np.where(kept[0] | kept[1], cost, 0))
            assert both.matrix.nnz == np.count_nonzero(kept[0] | kept[1])
            assert both.lowest(np.zeros(9)) == pytest.approx(np.where(kept[0] | kept[1], cost, np.inf).min(axis=1))
        assert np.array_equal(first.union(first).matrix.toarray(), first.matrix.toarray())

    def test_a_union_keeps_pairs_that_cost_nothing(self):
        arcs = semidual._Arcs(sparse.csr_array((np.asarray([0.0, 5.0]), [1, 0], [0, 1, 2]), shape=(2, 3)))
        other = semidual._Arcs(sparse.csr_array((np.asarray([4.0, 0.0]), [0, 2], [0, 1, 2]), shape=(2, 3)))
        both = arcs.union(other)
        assert both.matrix.nnz == 4
        assert both.lowest(np.zeros(3)).tolist() == [0, 0]


def _system(rows, columns, per_row, seed=0):
    """A plan, and what Newton's method asks of it."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((rows, columns))
    for row in weights:
        row[rng.choice(columns, per_row, replace=False)] = rng.dirichlet(np.ones(per_row))
    curvature = rng.uniform(0.5, 2, columns) / columns
    gradient = rng.normal(size=columns) / columns
    return weights, curvature, gradient - gradient.mean()


class TestNewtonDirection:
    @pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
    @pytest.mark.parametrize(("dense", "pairs"), [(300, 2), (5, 1000), (5, 0)])
    @pytest.mark.parametrize("temperature", [0.01, 1.0])
    def test_solves_the_system(self, shape, dense, pairs, temperature, monkeypatch):
        monkeypatch.setattr(semidual, "_DENSE", dense)
        monkeypatch.setattr(semidual, "_SPARSE", pairs)
        weights, curvature, gradient = _system(*shape, per_row=4)
        arrived = weights.mean(axis=0)
        hessian = np.diag(arrived / temperature + curvature) - weights.T @ weights / (shape[0] * temperature)
        exact = np.linalg.solve(hessian, gradient)
        found = semidual._newton_direction(
            sparse.csr_array(weights), arrived, curvature, temperature, gradient, farthest=1e12
        )
        if pairs == 0:  # iterated: near enough, measured by what is missed of the ascent
            missed = (found - exact) @ hessian @ (found - exact)
            assert missed < 0.01 * exact @ hessian @ exact
        else:
            assert found == pytest.approx(exact, rel=1e-6, abs=1e-9 * np.abs(exact).max())

    @pytest.mark.parametrize("columns", [12, 40])
    def test_heights_that_nothing_holds_move_at_most_so_far(self, columns):
        # Each row goes to one point alone, and f has no curvature: the Hessian is zero.
        weights = np.eye(20, columns) if columns > 20 else np.eye(columns)[np.arange(20) % columns]
        gradient = np.random.default_rng(0).normal(size=columns)
        found = semidual._newton_direction(
            sparse.csr_array(weights), weights.mean(axis=0), np.zeros(columns), 0.1, gradient, farthest=3.0
        )
        assert np.isfinite(found).all()
        assert np.abs(found).max() <= 3.0 * (1 + 1e-6)
        assert gradient @ found > 0


def test_a_solution_is_plain_numbers_and_arrays():
    x, y = clouds()
    found = solve_samples(x, y, KL())
    assert isinstance(found, SampleSolution)
    assert found.heights.shape == found.density.shape == (M,)
    assert found.values.shape == (N,)
    assert isinstance(found.plan, sparse.csr_array)
    assert {found.heights.dtype, found.values.dtype, found.density.dtype} == {np.dtype(np.float64)}
