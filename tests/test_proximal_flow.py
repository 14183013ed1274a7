"""ProximalFlow: answers that are known, the switches, files, interruptions, and what it says of itself."""

import math
import warnings

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import root
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.utils import estimator_checks

from proxflow import GroupSort, ProximalFlow, energy_distance
from proxflow.checkpoints import any_checkpoint
from proxflow.health import Watch, health_of
from proxflow.optimality import Optimality

RNG = np.random.default_rng(0)
MOONS = make_moons(300, noise=0.05, random_state=0)[0]
# One shape for all, so that little is compiled.
TINY = {"steps": 12, "width": 8, "depth": 1, "updates": 2, "batch_size": 64, "random_state": 0, "time_steps": 2}


def fitted(target=MOONS, given=None, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a dozen steps need not be sound
        return ProximalFlow(**(TINY | settings)).fit(target, given)


@pytest.fixture(scope="module")
def tiny():
    return fitted()


class _OneArgument(ProximalFlow):
    """scikit-learn's checks pass labels as the second argument, where this estimator takes a source."""

    def fit(self, target, y=None):
        return super().fit(target)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_estimators_unfitted,
        estimator_checks.check_fit1d,
    ],
)
def test_scikit_learn_checks(check):
    check("ProximalFlow", _OneArgument(**TINY))


class TestKnownAnswers:
    def test_gaussian_to_gaussian_is_the_closed_form_of_the_proximal(self):
        """min over N(m, s²) of KL(N(m, s²)‖N(μ, τ²)) + λ/2 ((m - m0)² + (s - s0)²), L large enough not to count."""
        weight, mu, tau, m0, s0 = 0.5, 2.0, 1.5, 0.0, 0.5

        def slopes(z):
            m, s = z
            return [(m - mu) / tau**2 + weight * (m - m0), s / tau**2 - 1 / s + weight * (s - s0)]

        m, s = root(slopes, [mu, tau]).x
        source, target = RNG.normal(m0, s0, (4000, 1)), RNG.normal(mu, tau, (4000, 1))
        flow = ProximalFlow(
            L=8.0, kinetic_weight=weight, steps=600, width=16, depth=2, time_steps=2, random_state=0
        ).fit(target, source)
        ends = flow.transform(RNG.normal(m0, s0, (20_000, 1)))
        assert ends.mean() == pytest.approx(m, abs=0.06)
        assert ends.std() == pytest.approx(s, abs=0.06)
        assert 0.3 < m < mu - 0.3  # the answer is neither source nor target

    @pytest.mark.parametrize(("weight", "reach"), [(0.5, 2.0), (0.05, 5.0)])
    def test_two_diracs_move_by_L_over_lambda_or_arrive(self, weight, reach):
        """min over y of L |y - 5| + λ/2 |y|²: y = min(L/λ, 5)."""
        source, target = np.zeros((64, 2)), np.tile([5.0, 0.0], (64, 1))
        flow = fitted(target, source, L=1.0, kinetic_weight=weight, steps=300)
        assert flow.particles_.mean(axis=0) == pytest.approx([reach, 0.0], abs=0.15)

    def test_straight_lines_and_equations_where_training_ends(self):
        source = RNG.normal(size=(500, 2))
        flow = ProximalFlow(L=5.0, steps=800, width=32, depth=2, learning_rate=5e-3, random_state=0)
        flow.fit(MOONS * 3, source)
        told = flow.optimality_
        assert told.straightness < 0.05
        assert told.kinetic == pytest.approx(flow.history_["kinetic"][-50:].mean(), rel=0.2)
        assert energy_distance(flow.particles_, MOONS * 3) < 0.2 * energy_distance(source, MOONS * 3)
        assert flow.health_.ok


class TestSampling:
    def test_shapes_and_seeds(self, tiny):
        assert tiny.particles_.shape == MOONS.shape
        assert np.array_equal(tiny.sample(7), tiny.sample(7))
        assert not np.array_equal(tiny.sample(7), tiny.sample(7, random_state=2))
        again = fitted()
        assert np.array_equal(tiny.particles_, again.particles_)
        assert np.array_equal(tiny.history_["value"], again.history_["value"])
        assert not np.array_equal(tiny.particles_, fitted(random_state=1).particles_)

    def test_step_counts_and_solvers_agree(self, tiny):
        exact = tiny.sample(50, steps="adaptive")
        for given in ({"steps": 64}, {"steps": 16, "solver": "heun"}, {"steps": "adaptive", "solver": "dopri5"}):
            assert tiny.sample(50, **given) == pytest.approx(exact, abs=0.05)

    def test_inverse_and_trajectory(self, tiny):
        there = tiny.transform(MOONS, steps="adaptive")
        assert tiny.inverse(there) == pytest.approx(MOONS, abs=2e-2)
        times, places = tiny.trajectory(MOONS[:5], looks=4, steps=8)
        assert times == pytest.approx([0, 0.25, 0.5, 0.75, 1])
        assert places.shape == (5, 5, 2)
        assert places[0] == pytest.approx(MOONS[:5], abs=1e-5)
        assert places[-1] == pytest.approx(tiny.transform(MOONS[:5], steps=8), abs=1e-4)

    def test_types_columns_and_bounds(self):
        frame = pd.DataFrame(MOONS.astype(np.float32), columns=["a", "b"])
        flow = fitted(frame, bounds=(-1.2, 2.2))
        assert flow.sample(2000).min() == -1.2
        assert fitted(MOONS.astype(np.float32)).sample(3).dtype == np.float32
        with pytest.raises(ValueError, match="feature names"):
            flow.transform(frame[["b", "a"]])

    def test_a_source_frame_is_read_by_the_names_of_its_columns(self):
        frame = pd.DataFrame(MOONS, columns=["a", "b"])
        there, same = fitted(frame, frame + 1.0), fitted(frame, (frame + 1.0)[["b", "a"]])
        assert np.array_equal(there.particles_, same.particles_)
        with pytest.raises(ValueError, match="the target and the source have different columns"):
            fitted(frame, frame.rename(columns={"b": "c"}))

    def test_a_trajectory_begins_at_its_points_and_ends_inside_the_bounds(self):
        flat = np.column_stack([MOONS[:, 0], np.full(len(MOONS), 3.0)])
        assert fitted(flat).trajectory([[0.0, 5.0]])[1][[0, -1], 0, 1] == pytest.approx([5.0, 5.0], abs=1e-3)
        bounded = fitted(bounds=(-1.2, 2.2))
        assert bounded.trajectory(n=500)[1][-1].min() >= -1.2
        assert bounded.trajectory_[-1][1].min() >= -1.2

    def test_a_given_source_is_mapped_row_by_row(self):
        source = MOONS[::2] + np.array([5.0, 0.0])
        flow = fitted(given=source)
        assert flow.particles_.shape == source.shape
        assert flow.transform(source) == pytest.approx(flow.particles_, abs=1e-4)


class TestChoices:
    @pytest.mark.parametrize(
        "settings",
        [
            {"form": "free"},
            {"L": math.inf},
            {"kinetic_weight": 0.0},
            {"L": math.inf, "kinetic_weight": 0.0},
            {"power": 1.5},
            {"noise": 0.3},
            {"residual_weight": 0.1, "terminal_weight": 0.1},
            {"f": "alpha", "alpha": 2.0},
            {"f": "ipm", "gamma": "penalty"},
            {"f": "hellinger", "reverse": True},
            {"blocks": 2, "kinetic_weight": 1.0},
            {"source": "uniform", "duration": 2.0},
            {"scaling": "columns"},
        ],
        ids=str,
    )
    def test_every_switch_trains(self, settings):
        flow = fitted(**settings)
        assert flow.n_steps_ == TINY["steps"] * settings.get("blocks", 1)
        assert np.isfinite(flow.sample(10)).all()
        assert np.isfinite(flow.optimality_.kinetic)

    def test_images(self):
        pictures = RNG.uniform(size=(80, 16))
        for form in ("potential", "free"):
            flow = fitted(pictures, network="convolutional", form=form, bounds=(0.0, 1.0))
            assert flow.sample(3).shape == (3, 16)

    def test_jko_blocks_follow_each_other(self):
        """Each block pays for its own way, so a chain gets farther than one block of the same λ."""
        source, target = np.zeros((64, 1)), np.full((64, 1), 6.0)
        settings = {"L": 1.0, "kinetic_weight": 0.5, "steps": 200}
        one, two = (fitted(target, source, blocks=blocks, **settings) for blocks in (1, 2))
        assert one.particles_.mean() == pytest.approx(2.0, abs=0.2)
        assert two.particles_.mean() == pytest.approx(4.0, abs=0.4)
        assert len(two.velocities_) == 2
        assert two.trajectory(n=3)[0][-1] == 2.0

    def test_a_space_of_ones_own(self):
        assert fitted(gamma=GroupSort(L=3.0, width=8, depth=1)).settings_["L"] == 3.0


class TestBadInput:
    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"power": 1.0}, "power must be a number above 1"),
            ({"form": "curl"}, "form.*potential.*free"),
            ({"network": "transformer"}, "network.*dense.*convolutional"),
            ({"noise": -1.0}, "noise must be a number of at least 0"),
            ({"kinetic_weight": math.nan}, "kinetic_weight must be a number of at least 0"),
            ({"blocks": 0}, "blocks"),
            ({"steps": 1.5}, "steps"),
            ({"L": 0.0}, "L"),
            ({"residual_weight": 1.0, "form": "free"}, "needs form='potential'"),
            ({"gamma": "exact"}, "cannot wait"),
            ({"f": "kl2"}, "kl"),
            ({"f": "ipm", "L": math.inf}, "give a finite L"),
            ({"reverse": "yes"}, "reverse must be True or False"),
            ({"network": "convolutional"}, "square grey images, but there are 2"),
        ],
    )
    def test_settings(self, settings, words):
        with pytest.raises(ValueError, match=words):
            ProximalFlow(**(TINY | settings)).fit(MOONS)

    @pytest.mark.parametrize(
        ("target", "source", "words"),
        [
            (MOONS * np.nan, None, "NaN"),
            (MOONS[:1], None, "at least 2"),
            (MOONS, MOONS[:, :1], "features|columns"),
            (MOONS[:0], None, "no samples"),
            (np.ones((9, 2)), None, "every row of the target is the same"),
        ],
    )
    def test_samples(self, target, source, words):
        with pytest.raises(ValueError, match=words):
            ProximalFlow(**TINY).fit(target, source)

    def test_calls(self, tiny):
        for call in (lambda: tiny.sample(0), lambda: tiny.sample(3, steps=0), lambda: tiny.sample(3, solver="rk4")):
            with pytest.raises(ValueError, match=r"n|steps|solver"):
                call()
        with pytest.raises(ValueError, match="has no inverse"):
            fitted(noise=0.3).inverse(MOONS)

    def test_two_samples_and_a_constant_column_are_enough(self):
        assert fitted(MOONS[:2]).sample(3).shape == (3, 2)
        flat = np.column_stack([MOONS[:, 0], np.full(len(MOONS), 7.0)])
        assert fitted(flat).sample(5)[:, 1] == pytest.approx(np.full(5, 7.0), abs=1e-3)


class TestFiles:
    def test_a_saved_flow_samples_the_same_bits(self, tmp_path, tiny):
        tiny.save(tmp_path / "flow.npz")
        again = ProximalFlow.load(tmp_path / "flow.npz")
        assert np.array_equal(again.sample(20), tiny.sample(20))
        assert np.array_equal(again.inverse(MOONS[:5]), tiny.inverse(MOONS[:5]))
        assert again.optimality_ == tiny.optimality_
        assert again.health_ == tiny.health_
        assert again.settings_ == tiny.settings_

    def test_files_that_are_none(self, tmp_path, tiny):
        (tmp_path / "text.npz").write_text("no flow")
        with pytest.raises(ValueError, match="damaged or not a"):
            ProximalFlow.load(tmp_path / "text.npz")
        tiny.save(tmp_path / "flow.npz")
        whole = (tmp_path / "flow.npz").read_bytes()
        (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match="damaged or not a"):
            ProximalFlow.load(tmp_path / "cut.npz")
        from proxflow import ParticleTransport

        ParticleTransport(steps=2, width=8, random_state=0).fit(MOONS).save(tmp_path / "particles.npz")
        with pytest.raises(ValueError, match="ParticleTransport"):
            ProximalFlow.load(tmp_path / "particles.npz")

    @pytest.mark.parametrize("blocks", [1, 2])
    def test_a_run_interrupted_goes_on_to_the_same_bits(self, tmp_path, blocks):
        whole = fitted(blocks=blocks, kinetic_weight=0.1)
        stop = {"after": 6 if blocks == 1 else TINY["steps"] + 6}
        seen = []

        def interrupt(run):
            seen.append(run.step)
            if sum(step == 0 for step in seen) == blocks and run.step >= 6:
                raise KeyboardInterrupt

        broken = ProximalFlow(**TINY, blocks=blocks, kinetic_weight=0.1, callbacks=(interrupt,))
        with pytest.warns(RuntimeWarning, match="interrupted"):
            broken.fit(MOONS, checkpoint=tmp_path / "run.npz", checkpoint_seconds=0)
        assert stop["after"] <= broken.n_steps_ < blocks * TINY["steps"]
        assert any_checkpoint(tmp_path / "run.npz")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            rest = clone(broken).set_params(callbacks=()).fit(MOONS, checkpoint=tmp_path / "run.npz")
        assert np.array_equal(rest.particles_, whole.particles_)
        assert np.array_equal(rest.history_["value"], whole.history_["value"])
        with pytest.raises(ValueError, match="of another run"):
            ProximalFlow(**(TINY | {"width": 16})).fit(MOONS, checkpoint=tmp_path / "run.npz")


class TestHealth:
    def test_divergence_is_stopped_and_said(self):
        with pytest.warns(RuntimeWarning, match="diverged"):
            flow = ProximalFlow(**(TINY | {"steps": 400, "learning_rate": 3.0, "form": "free"})).fit(MOONS)
        assert "diverged" in flow.stopped_
        assert flow.n_steps_ < 400
        assert not flow.health_.ok

    def test_missing_modes_are_said(self):
        half = MOONS[MOONS[:, 1] > 0.25]
        told = health_of(half[RNG.integers(0, len(half), 300)], MOONS, "", 0)
        assert not told.ok
        assert "Modes are missing" in told.sentence()
        assert health_of(make_moons(300, noise=0.05, random_state=1)[0], MOONS, "", 0).ok
        assert not health_of(np.full((300, 2), np.nan), MOONS, "", 0).ok
        assert "too wide" in health_of(3 * MOONS, MOONS, "", 0).sentence()

    def test_a_rising_divergence_is_seen(self):
        class Run:
            step, state, history = 500, None, {"value": np.concatenate([np.ones(300), np.full(200, 9.0)])}

        assert "rose" in Watch(lambda run: np.zeros((5, 2)), np.zeros(2), 1.0)(Run())
        Run.history = {"value": np.ones(500)}
        assert Watch(lambda run: np.zeros((5, 2)), np.zeros(2), 1.0)(Run()) is None


def test_optimality_as_words_and_rows(tiny):
    told = tiny.optimality_
    assert Optimality.from_dict(told.to_dict()) == told
    assert set(told.discretisation) == {1, 2, 4, 16}
    assert "Paths are" in told.sentence()
    assert len(told.rows()) == 9
    assert fitted(form="free").optimality_.hamilton_jacobi is None


class TestQuasiRandomSamples:
    def test_averages_are_nearer_to_their_limit_and_a_seed_repeats_itself(self, tiny):
        limit = tiny.sample(20_000, random_state=0).mean(axis=0)
        means = {
            even: [tiny.sample(500, random_state=seed, quasi_random=even).mean(axis=0) for seed in range(1, 5)]
            for even in (False, True)
        }
        off = {even: np.abs(np.array(found) - limit).mean() for even, found in means.items()}
        assert off[True] < 0.5 * off[False]
        twice = [tiny.sample(33, random_state=3, quasi_random=True) for _ in range(2)]
        assert twice[0].shape == (33, 2)
        assert np.array_equal(*twice)

    @pytest.mark.parametrize("source", ["gaussian", "uniform", "logistic", "standard"])
    def test_every_source_keeps_its_moments(self, source):
        noise = fitted(source=source)._stage.source
        even = np.asarray(noise.evenly(0, 4096))
        usual = np.asarray(noise.some(jax.random.key(0), 100_000))
        assert even.mean(axis=0) == pytest.approx(usual.mean(axis=0), abs=0.01)
        assert np.cov(even.T) == pytest.approx(np.cov(usual.T), rel=0.05, abs=0.01)

    def test_a_given_source_has_no_even_draws(self):
        with pytest.raises(ValueError, match="given one"):
            fitted(MOONS, MOONS + 1).sample(5, quasi_random=True)
