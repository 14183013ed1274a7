"""Γ_L itself, on samples: exact potentials, their gradients, and the flows they drive."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laws.tables import ENTROPIES
from proxflow import (
    IPM,
    KL,
    ConstantStep,
    Divergence,
    DivergenceStep,
    GroupSort,
    Particles,
    ParticleTransport,
    ReverseKL,
    evolve,
    wasserstein,
)
from proxflow.flows.particles import replay_all
from proxflow.gamma import Discrete
from proxflow.gamma.base import heights_and_slopes

N, M, L = 24, 20, 2.0

every_entropy = pytest.mark.parametrize("name", ENTROPIES)
both_powers = pytest.mark.parametrize("power", [1.0, 2.0])
both_precisions = pytest.mark.parametrize("bits", [32, 64])


@cache
def clouds(features=2):
    rng = np.random.default_rng(features)
    return rng.normal(size=(N, features)) + 1.0, 1.5 * rng.normal(size=(M, features))


def ascended(f, power=1.0, gap=1e-4, bits=64, slope=L, pair=None):
    """The space, its state after one ascent, and both clouds at this precision."""
    cast = lambda cloud: jnp.asarray(np.asarray(cloud, f"float{bits}"))  # noqa: E731
    gamma = Discrete(L=slope, power=power, gap=gap)
    divergence = Divergence(gamma, f)
    x, y = map(cast, clouds() if pair is None else pair)
    return gamma, divergence.fit(x, y, divergence.init(jax.random.key(0), x, y)), x, y


class TestPotential:
    @every_entropy
    @both_powers
    @both_precisions
    def test_it_is_the_solution(self, name, power, bits):
        with jax.enable_x64(bits == 64):
            gamma, state, x, y = ascended(ENTROPIES[name](), power, bits=bits)
            forward, backward = gamma.potential(state), gamma.potential_on_reference(state)
            found = [np.asarray(heights_and_slopes(p, cloud)[0]) for p in (forward, backward) for cloud in (x, y)]
        assert all(values.dtype == np.dtype(f"float{bits}") for values in found)
        rounding = (1e-12 if bits == 64 else 1e-5) * np.abs(state.values).max()
        softness = state.temperature * np.log([M, N])
        above = found[0] - state.values  # the minimum is softened from below
        assert above.max() <= rounding
        assert above.min() >= -softness[0] - rounding
        # φ on Q's points is at most its height there: less, where a height holds no mass
        assert np.max(found[1] - state.heights) <= rounding
        # the other extension reaches down to the heights, and never below the values it starts from
        assert np.max(found[3] - state.heights) <= softness[1] + rounding
        assert np.min(found[2] - state.values) >= -rounding
        if power == 1:
            assert np.max(found[2] - state.values) <= softness[1] + rounding
            if name in ("KL", "reverse KL", "IPM"):  # mass everywhere
                assert np.abs(found[1] - state.heights).max() <= softness[0] + rounding
                assert np.abs(found[3] - state.heights).max() <= 10 * state.temperature + rounding

    @both_precisions
    @pytest.mark.parametrize("f", [KL(), IPM()])
    def test_no_slope_exceeds_L(self, f, bits):
        with jax.enable_x64(bits == 64):
            gamma, state, x, y = ascended(f, bits=bits)
            points = jnp.concatenate([x, y, 5 * x, y + 0.1])
            for potential, elsewhere in [
                (gamma.potential(state), slice(N)),
                (gamma.potential_on_reference(state), slice(N, N + M)),
            ]:
                assert gamma.lipschitz_bound(potential) == L
                heights, slopes = map(np.asarray, heights_and_slopes(potential, points))
                gaps = np.linalg.norm(np.asarray(points)[:, None] - np.asarray(points), axis=2)
                rounding = 1e-12 if bits == 64 else 2e-5
                assert np.all(np.abs(heights[:, None] - heights) <= L * gaps + rounding)
                assert np.linalg.norm(slopes, axis=1).max() <= L * (1 + rounding)
                assert np.linalg.norm(slopes[elsewhere], axis=1).max() > 0.9 * L  # as steep as it may be

    @pytest.mark.parametrize("power", [1.5, 2.0])
    def test_without_a_bound_it_says_so(self, power):
        gamma, state, *_ = ascended(KL(), power, bits=32)
        assert gamma.lipschitz_bound(gamma.potential(state)) == np.inf

    @every_entropy
    @pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
    @pytest.mark.parametrize("size", [1.0, 1e-6, 1e6])
    def test_finite_everywhere_even_at_apexes(self, name, power, size):
        # single precision, both clouds share points
        x, y = clouds()
        gamma, state, x, y = ascended(
            ENTROPIES[name](), power, bits=32, slope=L / size, pair=(np.concatenate([x[:4], y]) * size, y * size)
        )
        points = jnp.concatenate([x, y, y + 1e-6 * size])
        for potential in (gamma.potential(state), gamma.potential_on_reference(state)):
            heights, slopes = heights_and_slopes(potential, points)
            assert np.isfinite(heights).all()
            assert np.isfinite(slopes).all()

    @both_powers
    @pytest.mark.parametrize("f", [KL(), IPM()])
    def test_of_a_single_place_it_is_flat(self, f, power):
        gamma, state, x, _ = ascended(f, power, bits=32, pair=(np.ones((3, 2)), np.ones((4, 2))))
        heights, slopes = heights_and_slopes(gamma.potential(state), x)
        assert np.asarray(heights) == pytest.approx(0, abs=1e-15)
        assert np.array_equal(slopes, np.zeros((3, 2)))

    @pytest.mark.parametrize("name", [name for name in ENTROPIES if name != "IPM"])
    @both_powers
    def test_particles_move_where_their_mass_goes(self, name, power):
        with jax.enable_x64(True):
            gamma, state, x, y = ascended(ENTROPIES[name](), power, gap=1e-7)
            slopes = np.asarray(heights_and_slopes(gamma.potential(state), x)[1])
        plan = gamma.solve(Divergence(gamma, ENTROPIES[name]()).objective, np.asarray(x), np.asarray(y)).plan.toarray()
        ways = np.asarray(x)[:, None] - np.asarray(y)
        far = np.linalg.norm(ways, axis=2, keepdims=True)
        expected = N * np.sum(plan[:, :, None] * L * power * far ** (power - 2) * ways, axis=1)
        assert slopes == pytest.approx(expected, abs=1e-3 * L)


class TestFirstVariation:
    @pytest.mark.parametrize("reverse", [False, True])
    @both_powers
    @pytest.mark.parametrize("name", ["KL", "reverse KL", "Jensen-Shannon", "alpha 2"])
    def test_is_the_derivative_of_the_divergence(self, name, power, reverse):
        # D after all particles have moved a little along v, against (1/n) Σ <∇φ(y_i), v_i>.
        gamma = Discrete(L=L, power=power, gap=1e-9)
        pair = Divergence(gamma, ENTROPIES[name](), reverse)
        x, y = clouds()
        ways = np.random.default_rng(0).normal(size=(2, N, 2))
        with jax.enable_x64(True):
            state = pair.fit(jnp.asarray(x), jnp.asarray(y), pair.init(jax.random.key(0), x, y))
            slopes = np.asarray(heights_and_slopes(pair.variation(jnp.asarray(x), state), jnp.asarray(x))[1])
        for way in ways:
            ends = []
            for step in (1e-5, -1e-5):
                first, second = (y, x + step * way) if reverse else (x + step * way, y)
                found = gamma.solve(pair.objective, first, second)
                ends.append(0.5 * (found.lower + found.upper))
            measured = (ends[0] - ends[1]) / 2e-5
            assert measured == pytest.approx(np.sum(slopes * way) / N, rel=2e-2, abs=2e-2)


# ---------------------------------------------------------------------- flows

SMALL = DivergenceStep(share=0.05)


def falls(run, steps):
    values = run.history["value"]
    assert len(values) == steps
    return np.all(np.diff(values) < 0)


class TestFlows:
    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("f", [KL(), ReverseKL(), IPM()])
    def test_every_step_descends(self, f, reverse):
        x, y = clouds()
        run = evolve(Particles(SMALL), Divergence(Discrete(L=1.0), f, reverse), x + 3, y, steps=20)
        assert falls(run, 20)
        assert run.history["value"][-1] < 0.6 * run.history["value"][0]
        assert run.stopped == "all 20 steps taken"

    def test_power_two_contracts(self):
        # ∇φ = 2 (y - where it goes): a step of 0.1 closes a fifth of the way.
        x, y = clouds()
        values = {}
        for f in (KL(), IPM()):
            flow = Particles(ConstantStep(0.1))
            run = evolve(flow, Divergence(Discrete(L=1.0, power=2.0), f), x + 3, y, steps=20)
            values[f] = run.history["value"]
            assert values[f][-1] < 0.1 * values[f][0]
        assert np.all(np.diff(values[KL()]) < 0)
        # Among several best potentials of a transport problem one need not be that of the plan.
        assert np.all(np.diff(values[IPM()]) < 0.1 * values[IPM()][:-1])

    def test_a_value_is_the_solver_s(self):
        x, y = (np.asarray(cloud, np.float32) for cloud in clouds())
        pair = Divergence(Discrete(L=1.0), KL())
        run = evolve(Particles(), pair, x, y, steps=1)
        exact = pair.gamma.solve(pair.objective, np.asarray(x, float), np.asarray(y, float))
        assert run.history["value"][0] == pytest.approx(exact.lower, rel=1e-3)
        assert run.memory.lower == exact.lower
        assert run.memory.upper == exact.upper
        assert exact.upper - exact.lower <= 1e-4 * exact.upper

    def test_later_ascents_start_warm(self, monkeypatch):
        from proxflow.gamma import discrete

        starts = []

        def spy(*arguments, start, temperature, **settings):
            starts.append((start, temperature))
            return solve(*arguments, start=start, temperature=temperature, **settings)

        solve = discrete.solve_samples
        monkeypatch.setattr(discrete, "solve_samples", spy)
        run = evolve(Particles(), Divergence(Discrete(), KL()), *clouds(), steps=3)
        assert starts[0] == (None, None)
        assert all(start is not None and temperature > 0 for start, temperature in starts[1:])
        monkeypatch.undo()
        cold = Discrete().solve(
            Divergence(Discrete(), KL()).objective, *(np.asarray(c, float) for c in (run.memory.ascending, clouds()[1]))
        )
        assert run.memory.lower == pytest.approx(cold.lower, rel=2e-4)

    @pytest.mark.parametrize("method", ["euler", "heun"])
    @pytest.mark.parametrize("reverse", [False, True])
    @both_powers
    def test_recorded_steps_replay(self, method, reverse, power):
        # Step by step, for between two targets a rounding error may decide which way a particle goes.
        x, y = clouds()
        flow, seen = Particles(ConstantStep(0.05), method=method), []
        pair = Divergence(Discrete(L=1.0, power=power), KL(), reverse)
        watch = lambda run: seen.append(run.state.points)  # noqa: E731
        run = evolve(flow, pair, x, y, steps=5, record=True, chunk=1, callbacks=[watch])
        assert len(run.potentials) == 5
        for before, after, potentials in zip(seen[:-1], seen[1:], run.potentials, strict=True):
            state = replay_all(flow, flow.init(before), potentials, jnp.asarray([0.05], jnp.float32))
            moved = flow.cloud(state)
            assert np.quantile(np.abs(moved - after), [0.5, 0.9]) == pytest.approx(0, abs=1e-3)
            assert np.median(np.abs(moved - after)) < 1e-5
            assert np.abs(moved - before).max() > 0.04

    def test_the_length_of_chunks_changes_nothing(self):
        pair = Divergence(Discrete(), KL())
        runs = [evolve(Particles(), pair, *clouds(), steps=7, chunk=chunk, record=True) for chunk in (1, 50)]
        assert np.array_equal(runs[0].state.points, runs[1].state.points)
        flat = [
            [np.concatenate(leaves) for leaves in zip(*map(jax.tree.leaves, run.potentials), strict=True)]
            for run in runs
        ]
        assert all(np.array_equal(*pair) for pair in zip(*flat, strict=True))

    def test_a_resumed_run_is_an_unbroken_one(self):
        pair = Divergence(Discrete(), KL())
        whole = evolve(Particles(), pair, *clouds(), steps=8)
        resumed = evolve(Particles(), pair, *clouds(), steps=8, resume=evolve(Particles(), pair, *clouds(), steps=3))
        assert np.array_equal(whole.state.points, resumed.state.points)
        assert np.array_equal(whole.history["value"], resumed.history["value"])

    @pytest.mark.parametrize("f", [KL(), IPM()])
    def test_networks_and_the_exact_potential_end_alike(self, f):
        # Judged by the exact divergence, which is what both descend.
        x, y = clouds()
        exact, left = Discrete(L=1.0), {}
        distance = lambda cloud: exact.solve(Divergence(exact, f).objective, cloud, y).upper  # noqa: E731
        for name, gamma in {"exact": exact, "network": GroupSort(L=1.0, width=32)}.items():
            run = evolve(Particles(DivergenceStep(0.1)), Divergence(gamma, f), x + 3, y, steps=60)
            left[name] = distance(np.asarray(run.state.points, float))
        assert left["exact"] < left["network"] < 0.3 * distance(x + 3)


class TestEstimator:
    @pytest.mark.parametrize("reverse", [False, True])
    def test_fits_samples_and_transforms(self, reverse):
        _, y = clouds()
        transport = ParticleTransport(gamma=Discrete(L=0.3), steps=6, n_particles=N, reverse=reverse, random_state=0)
        transport.fit(y)
        again = ParticleTransport(gamma=Discrete(L=0.3), steps=6, n_particles=N, reverse=reverse, random_state=0)
        assert np.array_equal(again.fit(y).particles_, transport.particles_)
        assert transport.particles_.shape == (N, 2)
        assert transport.n_steps_ == 6
        fresh = transport.sample(5)
        assert fresh.shape == (5, 2)
        assert np.isfinite(fresh).all()

    def test_transform_follows_the_fit(self):
        x, y = clouds()
        transport = ParticleTransport(gamma=Discrete(L=0.3), steps=15, random_state=0).fit(y, x + 3)
        moved = transport.transform(x + 3)
        assert wasserstein(moved, y, 1) < 0.5 * wasserstein(x + 3, y, 1)
        riders = transport.transform(x + 3.1)  # near the fit's particles, and apart from them
        assert np.isfinite(riders).all()
        assert wasserstein(riders, y, 1) < 0.6 * wasserstein(x + 3.1, y, 1)
