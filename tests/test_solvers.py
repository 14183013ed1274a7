"""What is particular to each kind of method: unequal steps, the start, the past, and a pair's own error."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laws.bowl import START, bowl_drive, errors_at_half_and_half_the_step, follow
from laws.tables import METHODS, PAIRS
from proxflow import Divergence, GroupSort, ParticleTransport, evolve
from proxflow.data.toy import moons
from proxflow.flows import ConstantStep, DivergenceStep, Particles, StepRule
from proxflow.flows.adams import Adams, integral_weights
from proxflow.flows.particles import replay_all

ADAMS = [name for name in METHODS if name.startswith("ab")]

# The textbooks' coefficients at equal steps, newest slope first (Hairer, Nørsett, Wanner, III.1); the corrector's
# first is of the slope ahead.
BASHFORTH = {
    2: np.array([3, -1]) / 2,
    3: np.array([23, -16, 5]) / 12,
    4: np.array([55, -59, 37, -9]) / 24,
    5: np.array([1901, -2774, 2616, -1274, 251]) / 720,
}
MOULTON = {
    2: np.array([1, 1]) / 2,
    3: np.array([5, 8, -1]) / 12,
    4: np.array([9, 19, -5, 1]) / 24,
    5: np.array([251, 646, -264, 106, -19]) / 720,
}


class WavyStep(StepRule):
    """Steps that differ: between 0.4 and 1.6 times the size, over a period of time rather than of steps."""

    size: float

    def __call__(self, value, fisher, slope, index):
        return self.size * (1 + 0.6 * jnp.sin(2 * jnp.pi * index * self.size / 0.5))


class TestWeights:
    @pytest.mark.parametrize("order", BASHFORTH)
    def test_equal_steps_give_the_textbooks(self, order):
        predictor, corrector = Adams(order).weights(jnp.full(order - 1, 0.1), jnp.float32(0.1))
        assert np.asarray(predictor) == pytest.approx(BASHFORTH[order], abs=1e-5)
        assert np.asarray(corrector) == pytest.approx(MOULTON[order], abs=1e-5)

    @pytest.mark.parametrize("order", BASHFORTH)
    def test_polynomials_are_integrated_exactly_whatever_the_steps(self, order):
        sizes = np.random.default_rng(order).uniform(0.9, 1.1, order)
        with jax.enable_x64(True):
            weights = Adams(order).weights(jnp.asarray(sizes[1:]), jnp.asarray(sizes[0]))
        times = -np.concatenate([[0], np.cumsum(sizes[1:])])
        for found, at in zip(weights, (times, np.concatenate([[sizes[0]], times[:-1]])), strict=True):
            for power in range(order):
                exact = sizes[0] ** (power + 1) / (power + 1)
                assert sizes[0] * np.asarray(found) @ at**power == pytest.approx(exact, abs=1e-12)

    def test_a_past_too_near_or_too_far_is_not_used(self):
        few = lambda *sizes: int(np.count_nonzero(Adams(4).weights(jnp.asarray(sizes), jnp.float32(1.0))[0]))  # noqa: E731
        assert few(1.0, 1.0, 1.0) == 4
        assert few(1.0, 1.0, 0.0) == 3  # nothing there yet
        assert few(0.5, 0.25, 0.125) == 2  # steps that double: more slopes would magnify noise 12 times
        assert few(1e-6, 1.0, 1.0) == 1
        assert few(1e6, 1.0, 1.0) == 1
        assert few(0.0, 0.0, 0.0) == 1

    def test_a_step_of_no_length_has_finite_weights(self):
        for weights in Adams(5).weights(jnp.full(4, 0.1), jnp.float32(0.0)):
            assert np.isfinite(weights).all()

    def test_weights_add_to_one(self):
        weights = np.asarray(integral_weights(jnp.asarray([1.0, 0.0, -0.3, -2.0]), np.array([1, 3, 4])))
        assert weights.sum(axis=1) == pytest.approx(1, abs=1e-6)
        assert (weights != 0).sum(axis=1).tolist() == [1, 3, 4]


class TestUnequalSteps:
    @pytest.mark.parametrize("method", [name for name in METHODS if name not in PAIRS])
    def test_order_of_accuracy(self, method):
        sizes, errors, _ = errors_at_half_and_half_the_step(method, WavyStep, steps=(80, 160, 320))
        assert np.log2(errors[0] / errors[2]) / 2 == pytest.approx(METHODS[method], abs=0.25)
        assert sizes[0] == 4 * sizes[2]

    @pytest.mark.parametrize("method", ["ab4", "abm3"])
    def test_waiting_steps_keep_the_past(self, method):
        """A rule that waits (dt = 0) must not put two slopes at one time."""

        class Waiting(StepRule):
            size: float

            def __call__(self, value, fisher, slope, index):
                return jnp.where(index % 3 == 1, 0.0, self.size)

        with jax.enable_x64(True):
            cloud, time, *_ = follow(Particles(Waiting(0.01), method), jnp.asarray(START), 0.5)
        exact = START / np.sqrt(1 + 2 * np.mean(START**2) * float(time))
        assert np.abs(np.asarray(cloud) - exact).max() < {"ab4": 1e-5, "abm3": 2e-5}[method]


class TestAdamsStart:
    @pytest.mark.parametrize("method", ADAMS)
    def test_takes_classical_steps_one_stage_a_fit(self, method):
        flow, rk4 = (Particles(ConstantStep(0.02), name) for name in (method, "rk4"))
        stages = 2 if method.startswith("abm") else 1
        state, classical, sizes = flow.init(jnp.asarray(START)), rk4.init(jnp.asarray(START)), []
        step, whole = (jax.jit(lambda state, flow=f: flow.step(state, bowl_drive, 0, 0)) for f in (flow, rk4))
        for _ in range(METHODS[method] - 1):
            for _ in range(4 // stages):
                state, _, report, _ = step(state)
                sizes.append(float(report.step_size))
            classical, *_ = whole(classical)
            assert np.asarray(state.points) == pytest.approx(np.asarray(classical.points), rel=1e-5)
        assert sizes == pytest.approx([0.02 * stages / 4] * len(sizes))
        assert float(step(state)[2].step_size) == pytest.approx(0.02)  # from here on by the past


class TestPairs:
    @pytest.mark.parametrize("method", PAIRS)
    def test_the_error_follows_the_tolerance(self, method):
        found = {}
        with jax.enable_x64(True):
            for tolerance in (1e-4, 1e-6):
                flow = Particles(ConstantStep(1e-3), method, rtol=0.0, atol=tolerance)
                cloud, time, steps, _ = follow(flow, jnp.asarray(START), 0.5)
                exact = START / np.sqrt(1 + 2 * np.mean(START**2) * float(time))
                found[tolerance] = np.abs(np.asarray(cloud) - exact).max(), int(steps)
        (loose, few), (tight, many) = found[1e-4], found[1e-6]
        assert 30 < loose / tight < 300
        assert many > 2 * few
        assert loose < 1e-3

    @pytest.mark.parametrize("method", PAIRS)
    @pytest.mark.parametrize("first", [1e-6, 1e3])
    def test_a_first_step_far_off_is_left_behind(self, method, first):
        """The rule gives the first step only: twenty steps later it is forgotten."""
        flow = Particles(ConstantStep(first), method, rtol=0.0, atol=1e-3, low=-5.0, high=5.0)
        sizes = []
        state, step = flow.init(jnp.asarray(START)), jax.jit(lambda s: flow.step(s, bowl_drive, 0, 0))
        for _ in range(20):
            state, _, report, _ = step(state)
            sizes.append(float(report.step_size))
        assert sizes[0] == pytest.approx(first)
        assert 1e-3 < sizes[-1] < 10
        assert np.isfinite(np.asarray(state.points)).all()

    def test_a_step_shrinks_at_most_five_times_and_grows_three(self):
        flow = Particles(ConstantStep(0.1), "bs23", rtol=0.0)
        for tolerance, change in ((1e-12, 0.2), (1e9, 3.0)):
            flow = Particles(ConstantStep(0.1), "bs23", rtol=0.0, atol=tolerance)
            state, *_ = flow.step(flow.init(jnp.asarray(START)), bowl_drive, 0, 0)
            assert float(flow.step(state, bowl_drive, 0, 1)[2].step_size) == pytest.approx(0.1 * change)

    def test_a_rule_that_waits_is_asked_again(self):
        flow = Particles(DivergenceStep(), "heun_euler")
        drive = lambda cloud, memory: (bowl_drive(cloud, 0)[0], memory, memory)  # noqa: E731
        state, _, report, _ = flow.step(flow.init(jnp.asarray(START)), drive, jnp.float32(-1.0), 0)
        assert float(report.step_size) == 0
        assert float(flow.step(state, drive, jnp.float32(1.0), 1)[2].step_size) > 0


class TestRuns:
    CLOUDS = tuple(np.random.default_rng(0).normal(size=(20, 2)) + shift for shift in (2.0, 0.0))
    PAIR = Divergence(GroupSort(L=1.0, width=8, depth=1, updates=2))

    def test_a_resumed_run_is_an_unbroken_one(self):
        flow = Particles(method="abm3")
        whole = evolve(flow, self.PAIR, *self.CLOUDS, steps=20, record=1)
        half = evolve(flow, self.PAIR, *self.CLOUDS, steps=9, record=1)
        half.state = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), half.state)  # as from a file
        half = evolve(flow, self.PAIR, *self.CLOUDS, steps=20, resume=half, record=1)
        assert all(map(np.array_equal, jax.tree.leaves(whole.state), jax.tree.leaves(half.state)))
        riders, done = flow.init(jnp.asarray(self.CLOUDS[0], jnp.float32)), 0
        for potentials in whole.potentials:  # chunk by chunk, each with the past of the one before
            count = len(jax.tree.leaves(potentials)[0])
            sizes = jnp.asarray(whole.history["step_size"][done : done + count], jnp.float32)
            riders, done = replay_all(flow, riders, potentials, sizes), done + count
        assert np.asarray(riders.points) == pytest.approx(np.asarray(whole.state.points), abs=1e-4)

    def test_the_estimator_takes_the_name(self):
        transport = ParticleTransport(steps=30, width=16, method="ab3", random_state=0)
        source = np.random.default_rng(0).normal(size=(40, 2)) + 3
        moved = transport.fit(moons(50, 0), source)
        assert np.abs(moved.transform(source) - moved.particles_).max() < 1e-3
        assert moved.history_["value"][-1] < 0.5 * moved.history_["value"][0]

    def test_step_size_is_the_first_step_of_a_pair(self):
        transport = ParticleTransport(steps=5, width=8, depth=1, method="heun_euler", step_size=0.125, random_state=0)
        sizes = transport.fit(moons(30, 0)).history_["step_size"]
        assert sizes[0] == pytest.approx(0.125)
        assert len(np.unique(sizes)) > 1

    def test_an_unknown_method_lists_the_known(self):
        with pytest.raises(ValueError, match=r"unknown method 'rk5'.*ab4.*bs23"):
            Particles(method="rk5")
