"""Cones as potentials, and the fit of a potential to clouds that stay."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laws.exact import bracket
from laws.fits import certified
from proxflow.divergences import Divergence
from proxflow.entropies import IPM, KL
from proxflow.fitting import fit_potential
from proxflow.gamma import GroupSort
from proxflow.gamma.base import heights_and_slopes
from proxflow.gamma.cones import Cones, ConesPotential

both_ways = pytest.mark.parametrize("maximum", [False, True])


@cache
def clouds(features=2):
    rng = np.random.default_rng(features)
    return rng.normal(size=(24, features)), 1.5 * rng.normal(size=(20, features)) + 1.0


def wild(features, temperature, maximum=False, count=7, dtype=jnp.float64):
    """Cones with heights and centres of all sizes, two of them the same, one at the origin."""
    rng = np.random.default_rng(features)
    centres = rng.normal(size=(count, features)) * 10.0 ** rng.integers(-3, 4, size=(count, 1))
    centres[0], centres[2] = 0, centres[1]
    heights = rng.normal(size=count) * 10.0 ** rng.integers(-3, 3, size=count)
    arrays = [heights, centres, np.zeros(features), 1.0, 3.0, temperature]
    return ConesPotential(*(jnp.asarray(np.asarray(leaf, dtype)) for leaf in arrays), maximum)


in_its_numbers = jax.jit(jax.grad(lambda potential, points: jnp.sum(potential(points))))


class TestPotential:
    @both_ways
    @pytest.mark.parametrize("features", [1, 2, 9])
    @pytest.mark.parametrize("temperature", [0.0, 1e-30, 1e-6, 1.0, 1e6])
    def test_no_slope_exceeds_L(self, features, temperature, maximum):
        rng = np.random.default_rng(0)
        with jax.enable_x64(True):
            potential = wild(features, temperature, maximum)
            points = rng.normal(size=(40, features)) * 10.0 ** rng.integers(-2, 4, size=(40, 1))
            points = jnp.asarray(np.concatenate([points, points + 1e-4, potential.centres]))
            heights, slopes = map(np.asarray, heights_and_slopes(potential, points))
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
        rises = np.abs(heights[:, None] - heights[None])
        assert np.all(rises <= 3.0 * gaps * (1 + 1e-9) + 1e-6 * (gaps < 1e-3) + 1e-10)
        assert np.linalg.norm(slopes, axis=1).max() <= 3.0 * (1 + 1e-9)
        assert Cones().lipschitz_bound(potential) == 3.0

    @both_ways
    @pytest.mark.parametrize("features", [2, 9])
    @pytest.mark.parametrize("temperature", [0.0, 1e-30, 1e-6, 1.0])
    def test_finite_in_single_precision_even_at_apexes(self, features, temperature, maximum):
        potential = wild(features, temperature, maximum, dtype=jnp.float32)
        heights, slopes = map(np.asarray, heights_and_slopes(potential, potential.centres))
        assert np.all(np.isfinite(heights))
        assert np.all(np.isfinite(slopes))
        assert np.linalg.norm(slopes, axis=1).max() <= 3.0 * 1.02  # rounding, just beyond where it counts as none
        along = in_its_numbers(potential, potential.centres)
        assert np.all(np.isfinite(along.heights))
        assert np.all(np.isfinite(along.centres))

    @pytest.mark.parametrize("features", [2, 9])
    def test_a_lone_cone_is_flat_at_its_apex_and_steep_beside_it(self, features):
        centres = jnp.full((1, features), 5.0)
        potential = ConesPotential.at_apexes(jnp.asarray([7.0]), centres, 2.0)
        top, flat = heights_and_slopes(potential, centres)
        assert np.array_equal(flat, np.zeros((1, features)))
        assert float(top[0]) == pytest.approx(7.0, abs=0.01)
        _, beside = heights_and_slopes(potential, centres.at[0, 0].add(0.5))
        assert np.asarray(beside[0]) == pytest.approx([2.0] + [0.0] * (features - 1), abs=1e-4)

    @pytest.mark.parametrize("features", [2, 9])
    def test_it_is_the_minimum_it_says(self, features):
        p, q = clouds(features)
        heights = np.random.default_rng(1).normal(size=len(q))
        distances = np.linalg.norm(p[:, None] - q, axis=2)
        with jax.enable_x64(True):
            hard, soft = (
                heights_and_slopes(ConesPotential.at_apexes(jnp.asarray(heights), jnp.asarray(q), 2.0, ε), p)[0]
                for ε in (0.0, 0.5)
            )
        values = heights + 2.0 * distances
        assert np.asarray(hard) == pytest.approx(values.min(axis=1), abs=1e-9)
        assert np.asarray(soft) == pytest.approx(-0.5 * np.log(np.exp(-values / 0.5).sum(axis=1)), abs=1e-9)

    def test_a_far_cone_is_a_plane_in_single_precision(self):
        normal = np.asarray([0.6, 0.8] + [0.0] * 7)
        apex = jnp.asarray(-1e6 * normal[None], jnp.float32)
        potential = ConesPotential(jnp.zeros(1), apex, jnp.zeros(9), *map(jnp.asarray, (1.0, 1.0, 0.0)))
        points = np.random.default_rng(0).normal(size=(30, 9))
        assert np.asarray(potential(jnp.asarray(points, jnp.float32))) == pytest.approx(points @ normal, abs=1e-4)


def settings(steps, **changed):
    return {"count": 20, "planes": 0.0, "learning_rate": 1e-2, "updates": 10, "horizon": 10.0 * steps} | changed


class TestSpace:
    @pytest.mark.parametrize(("f", "name"), [(IPM(), "IPM"), (KL(), "KL")])
    @pytest.mark.parametrize("features", [2, 6])
    def test_reaches_the_exact_value_from_below(self, f, name, features):
        lower, upper = bracket(name, *clouds(features), L=2.0)
        pair = Divergence(Cones(L=2.0, temperature=1e-3, **settings(60)), f)
        fitted = fit_potential(pair, *clouds(features), steps=60)
        value, bound = certified(pair, *clouds(features), fitted.memory)
        assert bound == 2.0
        assert 0.98 * lower <= value <= upper * (1 + 1e-6)

    def test_minimum_and_maximum_mirror_each_other(self):
        # D(P, Q) by φ is D(-Q, -P) by -φ(-x), for the pure metric.
        p, q = clouds()
        upright = fit_potential(Divergence(Cones(**settings(5)), IPM()), p, q, steps=5)
        turned = fit_potential(Divergence(Cones(maximum=True, **settings(5)), IPM()), -q, -p, steps=5)
        assert upright.values == pytest.approx(turned.values, rel=1e-4)

    def test_planes_reach_what_near_cones_do_not(self):
        # P is Q moved along one axis, in many dimensions: one plane tells them apart, held-out samples too.
        rng = np.random.default_rng(0)
        x, y, fresh_x, fresh_y = rng.normal(size=(4, 200, 16))
        x[:, 0] += 2
        fresh_x[:, 0] += 2
        found = []
        for planes in (1.0, 0.0):
            pair = Divergence(Cones(**settings(20, planes=planes)), IPM())
            fitted = fit_potential(pair, x, y, steps=20, validation=(fresh_x, fresh_y))
            found.append(fitted.validation_values.max())
        assert found[0] > found[1] + 0.05
        assert found[0] > 1.3

    def test_units(self):
        p, q = clouds()
        found = []
        for factor, shift in [(1.0, 0.0), (2.0**-20, 0.0), (2.0**20, 0.0), (1.0, 8.0)]:
            pair = Divergence(Cones(L=2.0 / factor, **settings(4)))
            found.append(fit_potential(pair, factor * p + shift, factor * q + shift, steps=4).values)
        assert np.array_equal(found[0], found[1])
        assert np.array_equal(found[0], found[2])
        assert found[0] == pytest.approx(found[3], rel=1e-3)

    def test_the_temperature_falls_over_the_horizon_only(self):
        p, q = (jnp.asarray(cloud, jnp.float32) for cloud in clouds())
        gamma = Cones(L=2.0, temperature=1e-3, **settings(4))
        state = gamma.init(jax.random.key(0), p, q)
        softness = [float(gamma.potential(state).temperature / state.scale) / 2.0]
        for _ in range(6):
            state = gamma.ascend(Divergence(gamma).objective, p, q, state)
            softness.append(float(gamma.potential(state).temperature / state.scale) / 2.0)
        assert np.all(np.diff(softness[:5]) < 0)
        assert softness[4:] == pytest.approx([1e-3] * 3, rel=1e-4)


@cache
def small_fit(batch, seed=0):
    x, y = clouds()
    pair = Divergence(Cones(updates=2, count=8), KL())
    return fit_potential(pair, x, y, steps=30, batch=batch, key=jax.random.key(seed))


class TestFitting:
    def test_the_key_decides_all(self):
        again = fit_potential(Divergence(Cones(updates=2, count=8), KL()), *clouds(), steps=30, batch=10)
        assert np.array_equal(again.values, small_fit(10).values)
        equal = jax.tree.map(np.array_equal, again.potential, small_fit(10).potential)
        assert all(jax.tree.leaves(equal))
        assert not np.array_equal(small_fit(10, seed=1).values, small_fit(10).values)

    def test_minibatches_climb_the_same_hill(self):
        pair = Divergence(Cones(updates=2, count=8), KL())
        p, q = (jnp.asarray(cloud, jnp.float32) for cloud in clouds())
        whole, parts = (float(pair.value(p, q, small_fit(batch).memory)) for batch in (2048, 10))
        start = float(pair.value(p, q, pair.init(jax.random.key(0), p, q)))
        assert start < 0.7 * whole
        assert 0.85 * whole < parts < 1.05 * whole
        assert np.ptp(np.diff(small_fit(2048).values[-5:])) < np.ptp(np.diff(small_fit(10).values[-5:]))

    def test_values_are_those_of_the_potential(self):
        fitted = small_fit(2048)
        p, q = (jnp.asarray(cloud, jnp.float32) for cloud in clouds())
        pair = Divergence(Cones(updates=2, count=8), KL())
        assert float(pair.objective(fitted.potential(p), fitted.potential(q))) == pytest.approx(fitted.values[-1], 1e-4)
        assert (fitted.step, fitted.looks[-1], fitted.stopped) == (30, 30, "all 30 steps taken")
        assert fitted.validation_values.shape == (0,)

    @pytest.mark.parametrize("reverse", [False, True])
    def test_keeps_the_best_held_out_potential(self, reverse):
        # Held-out samples with the laws exchanged: what is learned is sooner or later wrong.
        x, y = clouds(6)
        heldout = (y, x)
        pair = Divergence(GroupSort(width=16, updates=5), KL(), reverse)
        fitted = fit_potential(pair, x, y, steps=40, validation=heldout)
        best = int(np.argmax(fitted.validation_values))
        assert best < 20
        assert fitted.values[-1] > fitted.values[best] + 0.1
        assert fitted.step == fitted.looks[best]
        found = float(pair.value(*(jnp.asarray(c, jnp.float32) for c in heldout), fitted.memory))
        assert found == pytest.approx(fitted.validation_values.max(), rel=1e-4)

        short = fit_potential(pair, x, y, steps=40, validation=heldout, patience=best + 2)
        assert len(short.looks) < 40
        assert "held-out" in short.stopped

    def test_tiny_and_uneven_clouds(self):
        x, y = np.zeros((4, 1)), np.ones((5, 1))
        fitted = fit_potential(Divergence(Cones(count=3), IPM()), x, y, steps=20)
        assert fitted.values[-1] == pytest.approx(1, abs=0.01)

    def test_non_finite_numbers_end_it_and_the_last_good_potential_is_kept(self):
        x, y = clouds()
        fitted = fit_potential(Divergence(Cones(count=4, L=1e38), KL()), 1e3 * x, 1e3 * y, steps=5)
        assert "non-finite" in fitted.stopped
        assert len(fitted.looks) == 1
        assert fitted.step == 0
