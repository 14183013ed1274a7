"""Laws of the movers, the step rules, the targets, the sources and the coordinates they work in."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits, make_moons

from laws.bowl import errors_at_half_and_half_the_step, one_step, recorded
from laws.fits import SHAPE, single
from laws.tables import CERTIFIED, GAMMAS, METHODS, SOURCES, STEP_RULES, TARGETS
from proxflow import sources
from proxflow.divergences import Divergence
from proxflow.entropies import KL, ChiSquared
from proxflow.evolution import evolve
from proxflow.flows import (
    ConstantStep,
    CosineStep,
    DecayingStep,
    DivergenceStep,
    FisherStep,
    LipschitzStep,
    Particles,
    StepRule,
    particles,
)
from proxflow.flows.particles import replay_all
from proxflow.sources import draw_source
from proxflow.spans import affine_span, column_scales
from proxflow.targets import LocalMixture, Target, mixture_weight, nearest_neighbours

every_method = pytest.mark.parametrize("method", METHODS)
every_rule = pytest.mark.parametrize("rule", STEP_RULES)

RNG = np.random.default_rng(0)
CLOUD, GOAL = RNG.normal(size=SHAPE) + 3.0, RNG.normal(size=SHAPE)


class TestParticles:
    @every_method
    def test_order_of_accuracy(self, method):
        sizes, errors, fits = errors_at_half_and_half_the_step(method, ConstantStep)
        orders = np.diff(np.log(errors)) / np.diff(np.log(sizes))
        assert orders == pytest.approx(METHODS[method], abs=0.2)
        assert fits == [particles.METHODS[method].stages] * 3  # every stage refits

    @every_method
    def test_a_replay_repeats_the_run_and_carries_each_point_alone(self, method):
        flow = Particles(STEP_RULES["divergence"](0.2), method)
        state, (sizes, potentials) = recorded(flow, single(CLOUD))
        again = flow.cloud(replay_all(flow, flow.init(single(CLOUD)), potentials, sizes))
        assert np.asarray(again) == pytest.approx(np.asarray(flow.cloud(state)), abs=2e-6)
        others = single(CLOUD).at[1:].add(5.0)
        one = replay_all(flow, flow.init(others), potentials, sizes)
        assert np.array_equal(one.points[0], again[0])
        assert np.abs(np.asarray(again) - CLOUD).max() > 0.5

    @every_method
    def test_the_table_says_how_many_fits_and_of_which_order(self, method):
        assert particles.METHODS[method].order == METHODS[method]
        assert particles.METHODS[method].stages >= 1

    @pytest.mark.parametrize("method", ["euler", "heun", "rk4"])
    def test_a_tableau_is_consistent(self, method):
        tableau = particles.METHODS[method]
        assert sum(tableau.weights) == pytest.approx(1)
        assert [len(row) for row in tableau.rows] == list(range(tableau.stages))

    @pytest.mark.parametrize(
        ("method", "rule"), [*((m, "constant") for m in METHODS), *(("heun", r) for r in STEP_RULES if r != "constant")]
    )
    def test_shapes_and_report(self, method, rule):
        flow = Particles(STEP_RULES[rule](0.01), method)
        state, memory, report, potentials = one_step(flow, single(CLOUD))
        assert flow.cloud(state).shape == SHAPE
        assert flow.cloud(state).dtype == jnp.float32
        assert memory == len(potentials) == particles.METHODS[method].stages
        assert jax.tree.map(jnp.shape, state) == jax.tree.map(jnp.shape, flow.init(single(CLOUD)))
        slopes = np.mean(CLOUD**2) * np.linalg.norm(CLOUD, axis=1)
        assert float(report.value) == pytest.approx(np.mean(CLOUD**2) ** 2, rel=1e-5)
        assert float(report.fisher) == pytest.approx((slopes**2).mean(), rel=1e-5)
        assert float(report.slope) == pytest.approx(slopes.max(), rel=1e-5)

    @every_method
    def test_a_box_holds_its_particles(self, method):
        inside = np.asarray(one_step(Particles(ConstantStep(5.0), method, 0.0, 1.0), single(CLOUD))[0].points)
        assert inside.min() >= 0
        assert inside.max() <= 1
        assert ((inside == 0) | (inside == 1)).any()

    @every_method
    def test_zero_step_moves_nothing(self, method):
        assert np.array_equal(one_step(Particles(ConstantStep(0.0), method), single(CLOUD))[0].points, single(CLOUD))

    def test_the_table_has_every_method(self):
        assert set(METHODS) == set(particles.METHODS)


@cache
def moved(gamma="GroupSort", method="euler", reverse=False, size=0.05, steps=25, f=KL()):  # noqa: B008
    pair = Divergence(GAMMAS[gamma](0.7, updates=20, learning_rate=0.01), f, reverse)
    flow = Particles(ConstantStep(size), method)
    return evolve(flow, pair, CLOUD, GOAL, steps=steps, record=True, warm_up=30, chunk=25), flow


class TestFlow:
    @pytest.mark.parametrize("gamma", CERTIFIED)
    def test_no_particle_is_faster_than_L(self, gamma):
        run, _ = moved(gamma)
        assert run.history["slope"].max() <= 0.7 * (1 + (1e-5 if gamma == "GroupSort" else 0.06))
        assert run.history["slope"].min() > 0

    @pytest.mark.parametrize("method", ["euler", "heun"])
    def test_the_divergence_falls_at_the_rate_of_the_fisher_information(self, method):
        # dD/dt = -I, to first order in dt, once the potential has caught up
        run, _ = moved(method=method)
        value, fisher, size = (run.history[name][3:] for name in ("value", "fisher", "step_size"))
        rate = (value[-1] - value[0]) / size[:-1].sum()
        assert rate == pytest.approx(-0.5 * (fisher[1:] + fisher[:-1]).mean(), rel=0.05)

    def test_in_reverse_it_falls_too(self):
        run, _ = moved(reverse=True, size=0.02, f=ChiSquared())
        value, fisher = run.history["value"][3:], run.history["fisher"][3:]
        rate = (value[-1] - value[0]) / (0.02 * (len(value) - 1))
        assert rate == pytest.approx(-0.5 * (fisher[1:] + fisher[:-1]).mean(), rel=0.15)

    @pytest.mark.parametrize(
        ("method", "reverse"), [("euler", False), ("heun", False), ("ab4", False), ("euler", True)]
    )
    def test_a_replay_repeats_the_run(self, method, reverse):
        run, flow = moved(
            method=method, reverse=reverse, size=0.02 if reverse else 0.05, f=ChiSquared() if reverse else KL()
        )
        potentials = jax.tree.map(lambda *stacks: np.concatenate(stacks), *run.potentials)
        sizes = jnp.asarray(run.history["step_size"], jnp.float32)
        again = np.asarray(flow.cloud(replay_all(flow, flow.init(single(CLOUD)), potentials, sizes)))
        assert again == pytest.approx(np.asarray(flow.cloud(run.state)), abs=2e-5)
        assert np.abs(again - CLOUD).max() > 0.1

    def test_identical_particles_stay_together(self):
        twins = np.repeat(CLOUD[:8], 2, axis=0)
        run = evolve(Particles(ConstantStep(0.05)), moved_pair(), twins, GOAL, steps=5)
        ends = np.asarray(run.state.points)
        assert np.array_equal(ends[::2], ends[1::2])


def moved_pair():
    return Divergence(GAMMAS["GroupSort"](0.7, updates=20, learning_rate=0.01))


class TestSteps:
    def size(self, rule, value, fisher, slope, index=0):
        return float(rule(jnp.float32(value), jnp.float32(fisher), jnp.float32(slope), jnp.int32(index)))

    @every_rule
    def test_a_size_is_finite_and_never_negative(self, rule):
        for numbers in [(1.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1e-30, 1e-30, 1e-15)]:
            found = self.size(STEP_RULES[rule](0.3), *numbers)
            assert np.isfinite(found), numbers
            assert found >= 0, numbers

    def test_constant(self):
        assert self.size(ConstantStep(0.3), 5.0, 2.0, 1.0, 7) == pytest.approx(0.3)

    def test_decaying(self):
        rule = DecayingStep(0.3, ratio=0.01, steps=50)
        assert [self.size(rule, 1, 1, 1, i) for i in (0, 25, 50)] == pytest.approx([0.3, 0.03, 0.003], rel=1e-5)

    def test_cosine(self):
        rule = CosineStep(0.3, steps=50, ratio=0.1)
        assert [self.size(rule, 1, 1, 1, i) for i in (0, 25, 50, 80)] == pytest.approx([0.3, 0.165, 0.03, 0.03])

    def test_lipschitz_moves_nobody_farther_than_its_share(self):
        assert self.size(LipschitzStep(L=4.0, reach=2.0, share=0.1), 5, 1, 1) * 4.0 == pytest.approx(0.2)

    @pytest.mark.parametrize("slope", [0.0, -1.0, float("inf"), float("nan")])
    def test_lipschitz_needs_a_bound(self, slope):
        with pytest.raises(ValueError, match="L"):
            LipschitzStep(slope, reach=1.0)

    def test_fisher_moves_everybody_by_its_share(self):
        assert self.size(FisherStep(reach=2.0, share=0.1), 5, 9.0, 4) * 3.0 == pytest.approx(0.2)

    def test_divergence_takes_a_share_of_the_time_left(self):
        assert self.size(DivergenceStep(0.2), 3.0, 2.0, 1.0) == pytest.approx(0.3)

    def test_a_negative_divergence_waits(self):
        assert self.size(DivergenceStep(0.2, 1.0), -3.0, 2.0, 1.0) == 0

    def test_no_particle_moves_beyond_reach(self):
        size = self.size(DivergenceStep(0.2, reach=0.5), 300.0, 2.0, 4.0)
        assert size * 4.0 == pytest.approx(0.5)
        assert self.size(DivergenceStep(0.2, reach=0.5), 3.0, 2.0, 1.0) == pytest.approx(0.3)  # not in the way

    def test_the_table_has_every_rule(self):
        known = {rule for rule in StepRule.__subclasses__() if rule.__module__.startswith("proxflow.")}
        assert {type(make(0.1)) for make in STEP_RULES.values()} == known


# ---------------------------------------------------------------------- targets

POINTS = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)


class TestTargets:
    @pytest.mark.parametrize("name", TARGETS)
    def test_draws_are_clouds_of_the_same_shape_and_repeat_themselves(self, name):
        target = TARGETS[name](POINTS)
        drawn = target.draw(jax.random.key(0))
        assert drawn.shape == POINTS.shape
        assert drawn.dtype == jnp.float32
        assert np.array_equal(drawn, target.draw(jax.random.key(0)))

    @pytest.mark.parametrize("name", TARGETS)
    def test_a_renewed_target_draws_by_the_key_and_the_step_alone(self, name):
        target, key = TARGETS[name](POINTS), jax.random.key(0)
        first, again, later = (target.renewed(key, step).draw(key) for step in (5, 5, 9))
        assert np.array_equal(first, again)
        assert first.shape == POINTS.shape
        assert np.array_equal(first, later) == (name != "on disk")  # what is in memory needs no renewal

    def test_mixing_weights_add_to_one_and_keep_the_variance(self):
        # Neighbours at the corners of a simplex: a draw is its own weights.
        count = 5
        corners = np.eye(count, dtype=np.float32)
        target = LocalMixture(corners[:1], corners[None], 1.0)
        weights = np.asarray(jax.vmap(target.draw)(jax.random.split(jax.random.key(0), 20_000)))[:, 0]
        assert weights.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert weights.mean(axis=0) == pytest.approx(1 / count, abs=0.01)
        assert (weights**2).sum(axis=1).mean() == pytest.approx(1, abs=0.02)  # the spread of one neighbour
        assert weights.min() >= (1 - np.sqrt(count + 1)) / count - 1e-5

    @pytest.mark.parametrize("weight", [0.3, 1.0])
    def test_a_weight_scales_the_way_to_the_mixture(self, weight):
        part, whole = (np.asarray(TARGETS["local mixture"](POINTS, w).draw(jax.random.key(0))) for w in (weight, 1.0))
        assert part == pytest.approx(POINTS + weight * (whole - POINTS), abs=1e-5)
        assert not np.array_equal(whole, TARGETS["local mixture"](POINTS, 1.0).draw(jax.random.key(1)))

    def test_mixtures_stay_among_their_neighbours(self):
        target = TARGETS["local mixture"](POINTS[:4], 1.0)  # four points in R^3: any three span a plane
        planes = LocalMixture(target.points, target.neighbours[:, :3], 1.0)
        for point, neighbours in zip(
            *map(np.asarray, (planes.draw(jax.random.key(0)), planes.neighbours)), strict=True
        ):
            normal = np.cross(neighbours[1] - neighbours[0], neighbours[2] - neighbours[0])
            assert (point - neighbours[0]) @ normal == pytest.approx(0, abs=1e-4)

    def test_weight_zero_is_the_samples(self):
        target = TARGETS["local mixture"](POINTS, 0.0)
        assert np.asarray(target.draw(jax.random.key(0))) == pytest.approx(POINTS)

    def test_neighbours_start_with_the_sample_itself(self):
        distances, indices = nearest_neighbours(POINTS)
        assert np.array_equal(indices[:, 0], np.arange(20))
        assert np.all(np.diff(distances, axis=1) >= 0)
        assert nearest_neighbours(POINTS[:3])[1].shape == (3, 3)  # no more than there are

    @pytest.mark.parametrize(
        ("points", "low", "high"),
        [
            (make_moons(200, noise=0.05, random_state=0)[0], 0.0, 0.0),
            (np.random.default_rng(0).normal(size=(200, 2)), 0.0, 0.0),
            (load_digits().data[:200], 0.5, 0.5),
            (np.random.default_rng(0).normal(size=(200, 30)), 0.5, 0.5),
            (np.ones((10, 2)), 0.0, 0.0),
        ],
        ids=["moons", "Gaussian in the plane", "digits", "Gaussian in 30 dimensions", "all equal"],
    )
    def test_sparse_samples_are_mixed_and_dense_ones_are_not(self, points, low, high):
        weight = mixture_weight(points, nearest_neighbours(points)[0])
        assert low <= weight <= high
        assert mixture_weight(1e6 * points, nearest_neighbours(1e6 * points)[0]) == pytest.approx(weight)  # no units

    def test_the_table_has_every_target(self):
        homes = ("proxflow.targets", "proxflow.streams")  # other measures are sources: noise, or what has been moved
        every = {kind for kind in Target.__subclasses__() if kind.__module__ in homes}
        assert {type(make(POINTS)) for make in TARGETS.values()} == every
        assert isinstance(TARGETS["local mixture"](POINTS), LocalMixture)


# ---------------------------------------------------------------------- sources

SKEWED = np.random.default_rng(2).normal(size=(40, 3)) @ [[1.0, 0.5, 0], [0, 2.0, 0], [0, 0, 0.1]] + [5.0, 0, -2.0]


class TestSources:
    @pytest.mark.parametrize("kind", SOURCES)
    def test_shape_and_seed(self, kind):
        drawn = draw_source(kind, SKEWED, 7, 0)
        assert drawn.shape == (7, 3)
        assert np.array_equal(drawn, draw_source(kind, SKEWED, 7, 0))
        assert not np.array_equal(drawn, draw_source(kind, SKEWED, 7, 1))

    @pytest.mark.parametrize("target", [SKEWED, SKEWED[:3]], ids=["more samples than features", "fewer"])
    def test_gaussian_has_the_target_s_mean_and_covariance(self, target):
        drawn = draw_source("gaussian", target, 200_000, 0)
        scale = np.sqrt(np.diag(np.cov(target.T)))
        assert drawn.mean(axis=0) == pytest.approx(target.mean(axis=0), abs=0.02 * scale.max())
        assert (np.cov(drawn.T) / np.outer(scale, scale)) == pytest.approx(
            np.cov(target.T) / np.outer(scale, scale), abs=0.02
        )

    def test_gaussian_stays_in_the_span_of_few_samples(self):
        few = np.random.default_rng(0).normal(size=(5, 30))
        drawn = draw_source("gaussian", few, 50, 0)
        assert np.linalg.matrix_rank(drawn - few.mean(axis=0)) == 4

    def test_uniform_fills_the_bounding_box(self):
        drawn = draw_source("uniform", SKEWED, 5000, 0)
        low, high = SKEWED.min(axis=0), SKEWED.max(axis=0)
        assert np.all(drawn >= low)
        assert np.all(drawn <= high)
        assert drawn.min(axis=0) == pytest.approx(low, abs=0.01 * (high - low).max())
        assert drawn.mean(axis=0) == pytest.approx((low + high) / 2, abs=0.03 * (high - low).max())

    def test_logistic_has_the_target_s_means_and_variances_and_heavier_tails(self):
        drawn = draw_source("logistic", SKEWED, 200_000, 0)
        standard = (drawn - SKEWED.mean(axis=0)) / SKEWED.std(axis=0)
        assert standard.mean(axis=0) == pytest.approx(0, abs=0.02)
        assert np.cov(standard.T) == pytest.approx(np.eye(3), abs=0.02)
        assert (standard**4).mean(axis=0) == pytest.approx(4.2, abs=0.3)  # of a normal law 3

    @pytest.mark.parametrize("kind", [kind for kind in SOURCES if kind != "standard"])  # which knows no data
    def test_constant_columns_stay_constant(self, kind):
        target = np.column_stack([SKEWED, np.full(40, 3.0)])
        assert draw_source(kind, target, 20, 0)[:, 3] == pytest.approx(3.0, abs=1e-12)

    def test_an_unknown_kind_lists_the_known(self):
        with pytest.raises(ValueError, match="gaussian, uniform"):
            draw_source("normal", SKEWED, 5, 0)
        assert set(SOURCES) == set(sources.SOURCES)


# ---------------------------------------------------------------------- coordinates


class TestSpan:
    FLAT = RNG.normal(size=(30, 3)) @ RNG.normal(size=(3, 10)) + 5.0  # a 3-d plane in R^10

    @pytest.mark.parametrize("rows", [30, 6], ids=["more samples than features", "fewer"])
    def test_an_exact_isometry(self, rows):
        points = self.FLAT[:rows]
        span = affine_span(points)
        inside = span.encode(points)
        assert inside.shape == (rows, 3)
        assert span.decode(inside) == pytest.approx(points, abs=1e-12)
        distances = lambda cloud: np.linalg.norm(cloud[:, None] - cloud, axis=2)  # noqa: E731
        assert distances(inside) == pytest.approx(distances(points), abs=1e-12)
        assert span.basis @ span.basis.T == pytest.approx(np.eye(3), abs=1e-12)

    def test_holds_every_cloud(self):
        wide = RNG.normal(size=(4, 50))
        span = affine_span(wide[:2], wide[2:])
        assert span.encode(wide).shape == (4, 3)
        assert span.decode(span.encode(wide)) == pytest.approx(wide, abs=1e-12)

    def test_what_lies_outside_is_kept_beside_a_displacement(self):
        span = affine_span(self.FLAT)
        outside = RNG.normal(size=(5, 10))
        step = RNG.normal(size=(5, 3))
        moved = outside + span.displacement(step)
        assert span.encode(moved) - span.encode(outside) == pytest.approx(step, abs=1e-12)
        residual = lambda cloud: cloud - span.decode(span.encode(cloud))  # noqa: E731
        assert residual(moved) == pytest.approx(residual(outside), abs=1e-12)

    def test_full_rank_and_equal_points_keep_their_axes(self):
        for points in (RNG.normal(size=(30, 3)) + 1e9, np.full((5, 3), 7.0)):
            span = affine_span(points)
            assert span.basis is None
            assert np.array_equal(span.encode(points), points - points.mean(axis=0))
            assert span.decode(span.encode(points)) == pytest.approx(points, rel=1e-12)

    def test_constant_columns_vanish_and_return_exactly(self):
        points = np.column_stack([RNG.normal(size=(20, 2)), np.full(20, 0.1)])
        span = affine_span(points)
        assert span.encode(points).shape == (20, 2)
        anywhere = span.decode(RNG.normal(size=(50, 2)))
        assert np.ptp(anywhere[:, 2]) <= 1e-15
        assert anywhere[:, 2] == pytest.approx(0.1, abs=1e-14)

    def test_rounding_is_no_direction(self):
        points = np.column_stack([RNG.normal(size=(30, 2)), 1e-13 * RNG.normal(size=30)])
        assert affine_span(points).encode(points).shape == (30, 2)

    def test_columns_in_mixed_units_are_found(self):
        points = RNG.normal(size=(50, 3))
        assert column_scales(points) is None
        mixed = points * [1.0, 1.0, 1e4]
        assert column_scales(mixed) == pytest.approx(mixed.std(axis=0))
        span = affine_span(mixed, scale=column_scales(mixed))
        assert span.encode(mixed).std(axis=0) == pytest.approx(1)
        assert span.decode(span.encode(mixed)) == pytest.approx(mixed, rel=1e-9)
        assert column_scales(np.column_stack([mixed, np.ones(50)]))[3] == 1  # a constant column divides nothing
        assert column_scales(np.ones((5, 3))) is None
