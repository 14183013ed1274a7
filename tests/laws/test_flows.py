"""Laws of movers, step rules, targets, sources and coordinates, over the tables of all instances."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.laws.tables import METHODS, SOURCES, STEP_RULES, TARGETS

from proxflow import Divergence, GroupSort, Particles, evolve
from proxflow.data.digits import load_digits_split
from proxflow.data.toy import TOY
from proxflow.flows import ConstantStep, DecayingStep, DivergenceStep
from proxflow.flows.particles import ParticleState, replay_all
from proxflow.gamma.base import Potential
from proxflow.sources import draw_source
from proxflow.spans import affine_span, column_scales
from proxflow.targets import LocalMixture, Samples, mixture_weight, nearest_neighbours

RNG = np.random.default_rng(0)
CLOUD = RNG.normal(size=(12, 2)).astype(np.float32)


class Quartic(Potential):
    """φ(x) = |x|² / 2 + |x|⁴ / 4: a known flow that is not linear."""

    def __call__(self, points):
        squares = jnp.sum(points**2, axis=1)
        return squares / 2 + squares**2 / 4


def drive(cloud, memory):
    potential = Quartic()
    return potential, jnp.mean(potential(cloud)), memory


def exact(points, time):
    """The flow of dx/dt = -(1 + |x|²) x: s = |x|² obeys s / (1 + s) = e^{-2t} s0 / (1 + s0)."""
    squares = np.sum(points**2, axis=1, keepdims=True)
    share = np.exp(-2 * time) * squares / (1 + squares)
    return points * np.sqrt(share / (1 - share) / squares)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_a_method_is_what_it_says(method):
    with jax.enable_x64(True):
        points = jnp.asarray(CLOUD, jnp.float64)

        def error(count):
            flow = Particles(ConstantStep(0.5 / count), method)
            state = ParticleState(points)
            step = jax.jit(lambda state: flow.step(state, drive, (), 0)[0])
            for _ in range(count):
                state = step(state)
            return np.abs(np.asarray(state.points) - exact(np.asarray(points), 0.5)).max()

        observed = np.log2(error(40) / error(80))
    assert abs(observed - METHODS[method]) < 0.2


@pytest.mark.parametrize("method", METHODS)
def test_a_step_keeps_shapes_and_reports_what_it_saw(method):
    flow = Particles(ConstantStep(0.1), method)
    state = flow.init(jnp.asarray(CLOUD))
    moved, _, report, potentials = flow.step(state, drive, (), 0)
    slopes = (1 + np.sum(CLOUD**2, axis=1, keepdims=True)) * CLOUD
    assert flow.cloud(moved).shape == CLOUD.shape
    assert len(potentials) == METHODS[method]
    np.testing.assert_allclose(report.fisher, np.mean(np.sum(slopes**2, axis=1)), rtol=1e-5)
    np.testing.assert_allclose(report.slope, np.linalg.norm(slopes, axis=1).max(), rtol=1e-5)
    np.testing.assert_allclose(report.step_size, 0.1, rtol=1e-6)


def test_the_divergence_falls_at_the_rate_of_the_fisher_information():
    target = RNG.normal(size=(40, 2))
    source = 0.5 * RNG.normal(size=(40, 2)) + 3
    pair = Divergence(GroupSort(L=1.0, width=16, updates=30, learning_rate=5e-3))
    run = evolve(Particles(ConstantStep(0.01)), pair, source, target, steps=60, warm_up=20)
    value, fisher = run.history["value"], run.history["fisher"]
    fallen = value[20] - value[50]
    assert abs(fallen / (0.01 * fisher[20:50].sum()) - 1) < 0.1


@pytest.mark.parametrize("rule", STEP_RULES)
def test_step_rules_are_positive_scalars(rule):
    size = STEP_RULES[rule](0.3)(jnp.float32(2.0), jnp.float32(1.0), jnp.float32(1.0), 0)
    assert size.shape == ()
    assert 0 < float(size) <= 0.4


def test_the_divergence_step_waits_follows_and_is_capped():
    rule = DivergenceStep(share=0.2, reach=0.5)
    scalars = lambda *v: [jnp.float32(x) for x in v]  # noqa: E731
    assert float(rule(*scalars(-1.0, 1.0, 1.0), 0)) == 0  # the potential has not caught up: wait
    assert float(rule(*scalars(1.0, 4.0, 2.0), 0)) == pytest.approx(0.05)
    assert float(rule(*scalars(100.0, 4.0, 2.0), 0)) == pytest.approx(0.25)  # no particle beyond reach
    assert np.isfinite(float(rule(*scalars(1.0, 0.0, 0.0), 0)))


def test_the_decaying_step_decays_to_its_ratio():
    rule = DecayingStep(2.0, ratio=0.01, steps=10)
    sizes = [float(rule(*[jnp.float32(1.0)] * 3, i)) for i in (0, 5, 10)]
    np.testing.assert_allclose(sizes, [2.0, 0.2, 0.02], rtol=1e-5)


def test_particles_stay_in_their_box():
    flow = Particles(ConstantStep(-5.0), low=-1.0, high=0.5)  # a negative step flees from the origin
    moved = flow.step(flow.init(jnp.asarray(CLOUD)), drive, (), 0)[0].points
    assert float(moved.min()) == -1.0
    assert float(moved.max()) == 0.5


@pytest.mark.parametrize("method", METHODS)
def test_replaying_a_run_carries_its_source_where_it_went(method):
    flow, pair = Particles(method=method), Divergence(GroupSort(L=1.0, width=8, depth=1, updates=2))
    source, target = CLOUD + 3, CLOUD[::-1] * 2
    run = evolve(flow, pair, source, target, steps=13, record=True)
    cloud, done = jnp.asarray(source), 0
    for potentials in run.potentials:
        count = len(jax.tree.leaves(potentials)[0])
        cloud = replay_all(flow, cloud, potentials, jnp.asarray(run.history["step_size"][done : done + count]))
        done += count
    np.testing.assert_allclose(cloud, run.state.points, atol=1e-5)


@pytest.mark.parametrize("name", TARGETS)
def test_targets_draw_clouds_of_their_own_shape(name):
    target = TARGETS[name](jnp.asarray(CLOUD))
    first, again = target.draw(jax.random.key(0)), target.draw(jax.random.key(0))
    assert first.shape == CLOUD.shape
    assert (first == again).all()
    assert (target.points == CLOUD).all()


def test_a_local_mixture_stays_in_the_plane_of_the_neighbours_and_keeps_their_variance():
    indices = nearest_neighbours(CLOUD)[1]
    assert (indices[:, 0] == np.arange(len(CLOUD))).all()
    still = LocalMixture(jnp.asarray(CLOUD), jnp.asarray(CLOUD[indices]), 0.0)
    assert (still.draw(jax.random.key(1)) == CLOUD).all()
    assert (Samples(jnp.asarray(CLOUD)).draw(jax.random.key(1)) == CLOUD).all()
    # Neighbours alike: 4000 groups of five independent standard normal points on the line {(t, 1)}.
    alike = np.dstack([RNG.normal(size=(4000, 5)), np.ones((4000, 5))]).astype(np.float32)
    drawn = np.asarray(LocalMixture(jnp.asarray(alike[:, 0]), jnp.asarray(alike), 1.0).draw(jax.random.key(1)))
    np.testing.assert_allclose(drawn[:, 1], 1, atol=1e-5)
    assert abs(drawn[:, 0].std() - 1) < 0.05
    assert (drawn != alike[:, 0]).any(axis=1).all()


def test_samples_are_mixed_where_they_are_sparse_only():
    for draw in TOY.values():
        points = draw(300, 0)
        assert mixture_weight(points, nearest_neighbours(points)[0]) == 0
    digits = load_digits_split().train
    assert mixture_weight(digits, nearest_neighbours(digits)[0]) > 0.45
    same = np.ones((10, 2))
    assert mixture_weight(same, nearest_neighbours(same)[0]) == 0


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("shape", [(500, 3), (6, 20)], ids=["tall", "wide"])
def test_sources_match_the_data(kind, shape):
    data = np.random.default_rng(3).normal(size=shape) @ np.diag(np.linspace(0.1, 5, shape[1])) + 7
    drawn = draw_source(kind, data, 20_000, 1)
    assert (drawn == draw_source(kind, data, 20_000, 1)).all()
    assert (drawn != draw_source(kind, data, 20_000, 2)).any()
    if kind == "uniform":
        assert (drawn >= data.min(axis=0)).all()
        assert (drawn <= data.max(axis=0)).all()
        np.testing.assert_allclose(drawn.mean(0), (data.min(0) + data.max(0)) / 2, atol=0.2)
    else:
        covariance = np.cov(data.T)
        np.testing.assert_allclose(drawn.mean(axis=0), data.mean(axis=0), atol=0.2)
        np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.05 * np.abs(covariance).max())


@pytest.mark.parametrize("shape", [(30, 4), (5, 40)], ids=["tall", "wide"])
def test_the_span_is_an_isometry_with_nothing_lost(shape):
    rng = np.random.default_rng(1)
    flat = rng.normal(size=(shape[0], 2)) @ rng.normal(size=(2, shape[1])) + 100
    span = affine_span(flat)
    inside = span.encode(flat)
    assert inside.shape == (shape[0], 2)
    np.testing.assert_allclose(span.decode(inside), flat, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(inside[0] - inside[1]), np.linalg.norm(flat[0] - flat[1]))
    full = rng.normal(size=(30, 4))
    assert affine_span(full).basis is None
    np.testing.assert_allclose(affine_span(full).decode(affine_span(full).encode(full)), full, atol=1e-12)


def test_column_scales_find_mixed_units_and_nothing_else():
    same = RNG.normal(size=(50, 6))
    assert column_scales(same) is None
    mixed = same * [1, 1, 1, 1, 1, 1000]
    np.testing.assert_allclose(column_scales(mixed), mixed.std(axis=0))
    assert column_scales(np.c_[mixed, np.full(50, 3.0)])[-1] == 1  # a constant column is left alone
    assert column_scales(load_digits_split().train) is None
    assert column_scales(np.ones((5, 3))) is None
