"""Heavy tails: the laws, the compressed coordinates, the metrics, the figure, and flows that have to live with them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from proxflow import ParticleTransport
from proxflow.compression import compression, heavy_columns
from proxflow.data import tails as laws
from proxflow.entropies import cumulant
from proxflow.gamma.network import Network, standing_state
from proxflow.plan import SCALINGS, make_plan
from proxflow.plots import survival_curves
from proxflow.sources import draw_source
from proxflow.spans import affine_span
from proxflow.tails import compare_tails, quantile_ratios, survival, survival_area
from tests.laws.tables import ENTROPIES

RNG = np.random.default_rng(0)
CAUCHY = RNG.standard_cauchy((400, 2)) ** 3  # up to 1e8, index 1/3
MIXED = np.column_stack([RNG.standard_cauchy(400), RNG.normal(5, 2, 400), np.full(400, 7.0)])


class TestLaws:
    def test_generalised_gaussian_has_its_radius_and_no_direction(self):
        points = laws.generalised_gaussian(4000, 1, beta=0.5, dimension=2)
        # |x|^β is Gamma(d/β)
        assert stats.kstest(np.linalg.norm(points, axis=1) ** 0.5, stats.gamma(4).cdf).pvalue > 0.01
        assert np.abs(np.mean(points / np.linalg.norm(points, axis=1, keepdims=True), axis=0)).max() < 0.05

    def test_student_has_t_margins_which_share_their_radius(self):
        points = laws.student_t(4000, 1, nu=1.5, dimension=2)
        assert stats.kstest(points[:, 1], stats.t(1.5).cdf).pvalue > 0.01
        assert stats.kendalltau(*np.abs(points).T).statistic > 0.2

    def test_cauchy_powers_follow_their_survival_function(self):
        points = laws.cauchy_powers(4000, 1, powers=[0.5, 2.0], zeros=3)
        assert points.shape == (4000, 5)
        assert not points[:, 2:].any()
        for column, power in zip(points[:, :2].T, (0.5, 2.0), strict=True):
            assert stats.kstest(np.abs(column), lambda t, p=power: 1 - laws.cauchy_powers_survival(t, p)).pvalue > 0.01
            assert abs(np.mean(column > 0) - 0.5) < 0.04
        # far out no digit is lost: S ~ (2/π) t^(-1/p)
        assert laws.cauchy_powers_survival(1e30, 1.0) == pytest.approx(2 / np.pi * 1e-30)

    @pytest.mark.parametrize("draw", [laws.generalised_gaussian, laws.student_t, laws.cauchy_powers])
    def test_same_seed_same_points_and_bad_numbers_are_named(self, draw):
        assert np.array_equal(draw(5, 3), draw(5, 3))
        assert not np.array_equal(draw(5, 3), draw(5, 4))
        with pytest.raises(ValueError, match="n must be"):
            draw(0)

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda: laws.generalised_gaussian(5, beta=0.0), "beta"),
            (lambda: laws.student_t(5, nu=-1.0), "nu"),
            (lambda: laws.cauchy_powers(5, powers=[1.0, 0.0]), "powers"),
            (lambda: laws.cauchy_powers(5, zeros=-1), "zeros"),
        ],
    )
    def test_errors(self, call, words):
        with pytest.raises(ValueError, match=words):
            call()


class TestCompression:
    def test_is_one_to_one_to_the_last_digits(self):
        bend = compression(MIXED, heavy_columns(MIXED))
        assert heavy_columns(MIXED).tolist() == [True, False, False]
        far = np.vstack([MIXED, MIXED * 1e6])
        assert bend.expand(bend.compress(far)) == pytest.approx(far, rel=1e-9, abs=1e-9)
        assert np.abs(bend.compress(far)[:, 0]).max() < 30

    def test_light_columns_stay_straight(self):
        bend = compression(MIXED, heavy_columns(MIXED))
        column = bend.compress(MIXED)[:, 1]
        assert np.corrcoef(column, MIXED[:, 1])[0, 1] == pytest.approx(1)

    def test_light_tails_sparse_columns_and_few_samples_are_not_heavy(self):
        rng = np.random.default_rng(1)
        sparse = np.where(rng.uniform(size=(300, 1)) < 0.7, 0, rng.pareto(0.5, (300, 1)))
        for cloud in (rng.normal(size=(300, 5)), rng.exponential(size=(300, 5)), sparse, CAUCHY[:40], np.ones((99, 2))):
            assert not heavy_columns(cloud).any()
        assert heavy_columns(rng.normal(size=(300, 2)), CAUCHY).all()  # in either cloud

    def test_what_lies_off_the_span_stays(self):
        points = np.column_stack([CAUCHY, np.zeros(400)])
        span = affine_span(points, bend=compression(points, heavy_columns(points)))
        first = span.encode(points)
        assert first.shape == (400, 2)
        assert span.decode(first) == pytest.approx(points, rel=1e-6, abs=1e-6)
        off = points + np.asarray([0, 0, 3.0])
        carried = span.carry(off, first, np.roll(first, 1, axis=0))
        assert carried[:, :2] == pytest.approx(np.roll(points, 1, axis=0)[:, :2], rel=1e-6, abs=1e-6)
        assert carried[:, 2] == pytest.approx(3)
        with pytest.raises(ValueError, match=r"Span\.carry"):
            span.displacement(first)

    @pytest.mark.parametrize(("kind", "largest"), [("gaussian", 100), ("uniform", 1e6)])
    def test_a_source_has_the_scale_of_most_samples_and_stays_in_the_span(self, kind, largest):
        points = np.column_stack([CAUCHY, np.zeros(400)])
        source = draw_source(kind, points, 1000, 0)
        assert not source[:, 2].any()
        assert np.isfinite(source).all()
        # with the sample's covariance it would be 1e7, in the bounding box 1e8
        assert np.median(np.abs(source[:, 0])) < largest


class TestMetrics:
    def test_survival_is_the_share_above(self):
        values = RNG.normal(size=50)
        thresholds = np.linspace(-2, 2, 7)
        assert survival(values, thresholds) == pytest.approx((values[:, None] > thresholds).mean(axis=0))

    def test_linear_area_is_w1_and_is_cut_at_the_thresholds(self):
        x, y = RNG.pareto(1.5, 60), RNG.pareto(1.5, 50)
        assert survival_area(x, y, low=0, log=False) == pytest.approx(stats.wasserstein_distance(x, y))
        part = integrate.quad(lambda t: float(abs(survival(x, t) - survival(y, t))), 0.5, 3, limit=2000)[0]
        assert survival_area(x, y, low=0.5, high=3, log=False) == pytest.approx(part, rel=1e-3)

    def test_log_area_of_two_power_laws(self):
        shares = (np.arange(10_000) + 0.5) / 10_000
        x, y = shares**-1.0, shares**-0.5
        # between t^-1 and t^-2 from S = 1/2 to 1/1000: the integral of |log S| (1 - 1/2) over decades of S
        exact = 0.5 * (3**2 - math.log10(2) ** 2) / 2
        assert survival_area(x, y) == pytest.approx(exact, rel=0.02)
        assert survival_area(3 * x, 3 * y) == pytest.approx(survival_area(x, y))
        assert survival_area(x, x) == 0

    def test_a_mean_sees_no_tail_and_these_do(self):
        real = laws.student_t(5000, 0, nu=1.5)
        radius = np.linalg.norm(real, axis=1, keepdims=True)
        cut = real * np.minimum(1, np.quantile(radius, 0.98) / radius)
        found, fair = compare_tails(cut, real), compare_tails(laws.student_t(5000, 1, nu=1.5), real)
        assert found.ratios[0.999] < 0.3 < fair.ratios[0.999]
        assert found.area > 2 * fair.area
        assert found.index_new > 5 > 2 > fair.index_new
        assert found.w1 == pytest.approx(radius.mean() - np.linalg.norm(cut, axis=1).mean(), rel=1e-2)
        assert set(found.to_dict()) == {"area", "index_new", "index_real", "ratios", "w1"}

    def test_levels_without_samples_are_not_made_up(self):
        ratios = quantile_ratios(RNG.pareto(1, 500), RNG.pareto(1, 2000), levels=(0.9, 0.999))
        assert ratios[0.9] == pytest.approx(1, abs=0.5)
        assert math.isnan(ratios[0.999])

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda: survival_area([1.0, 2.0], [1.0, 2.0]), "20"),
            (lambda: survival_area([1.0], [2.0], low=3, high=2, log=False), "low must be below high"),
            (lambda: survival_area(np.zeros(30), np.ones(30)), "positive"),
            (lambda: survival(np.ones((5, 2)), 0), "one column"),
            (lambda: survival([1.0, np.nan], 0), "NaN"),
            (lambda: quantile_ratios([1.0], [1.0], levels=[1.0]), "levels"),
            (lambda: compare_tails(np.ones((30, 2)), np.ones((30, 3))), "features"),
        ],
    )
    def test_errors(self, call, words):
        with pytest.raises(ValueError, match=words):
            call()


class TestFigure:
    def test_axes_curves_and_legend(self):
        samples = {"real": np.abs(CAUCHY[:, 0]), "kl": np.abs(CAUCHY[:, 1]), "alpha": np.append(np.ones(9), np.nan)}
        figure = survival_curves({"one": samples, "two": {"real": samples["real"]}}, label="ms", low=1.0)
        first, second = figure.axes
        assert (len(first.lines), len(second.lines)) == (3, 1)
        assert first.get_xscale() == first.get_yscale() == "log"
        assert first.get_xlim()[0] == 1
        x, y = first.lines[0].get_data()
        assert (max(x), min(y)) == (samples["real"].max(), 1 / 400)
        assert survival(samples["real"], np.nextafter(np.asarray(x), 0)) == pytest.approx(np.asarray(y))
        assert [text.get_text() for text in figure.legends[0].get_texts()] == list(samples)
        assert "1 non-finite value" in figure.get_supxlabel()

    def test_errors(self):
        for panels in ({}, {"a": {}}):
            with pytest.raises(ValueError, match="nothing to draw"):
                survival_curves(panels)
        with pytest.raises(ValueError, match="6 samples"):
            survival_curves({"a": {str(i): [1.0] for i in range(6)}})


class TestFlow:
    @pytest.mark.parametrize("name", ENTROPIES)
    def test_cumulants_and_their_slopes_stay_finite(self, name):
        climb = jax.jit(jax.value_and_grad(lambda v: cumulant(ENTROPIES[name](), v)[0]))
        for scale in (1.0, 1e6, 1e12):
            level, slope = climb(jnp.asarray(scale * CAUCHY[:, 0], jnp.float32))
            assert jnp.isfinite(level)
            assert jnp.isfinite(slope).all()
            assert float(slope.sum()) == pytest.approx(1, abs=1e-3)  # R has mass one

    def test_the_network_sees_most_samples_under_a_heavy_tail(self):
        centre, scale = _place(CAUCHY, CAUCHY)
        assert scale < 100  # the deviation is 1e6
        assert np.abs(centre).max() < 1
        # and nothing changes where there is a variance
        light = RNG.normal(3, 2, (400, 2))
        centre, scale = _place(light, light)
        assert centre == pytest.approx(light.mean(axis=0), rel=1e-5)
        assert scale == pytest.approx(light.std(axis=0).mean(), rel=0.01)

    @pytest.mark.parametrize(("f", "alpha"), [("kl", None), ("alpha", 2.0)])
    def test_defaults_reach_the_tail_and_bring_it_home(self, f, alpha):
        gaussian = RNG.normal(size=(300, 2))
        heavy, fresh = laws.student_t(300, 5, nu=0.5), laws.student_t(300, 6, nu=0.5)
        out = ParticleTransport(f, alpha=alpha, steps=150, width=32, random_state=0).fit(heavy, gaussian)
        assert out.settings_["scaling"] == "signed_log"
        assert compare_tails(out.particles_, fresh).area < compare_tails(heavy, fresh).area + 0.25
        assert out.transform(gaussian) == pytest.approx(out.particles_, rel=1e-2, abs=1e-2)
        home = ParticleTransport(f, alpha=alpha, steps=150, width=32, random_state=0).fit(gaussian, heavy)
        assert np.linalg.norm(home.particles_, axis=1).max() < 6

    def test_a_subspace_is_kept_exactly(self):
        points = laws.cauchy_powers(300, 0, powers=[0.5, 2.0], zeros=20)
        new = ParticleTransport(steps=5, width=32, random_state=0).fit(points).particles_
        assert not new[:, 2:].any()
        assert np.isfinite(new).all()

    def test_nothing_is_blurred_or_left_out_of_a_tail(self):
        chosen = ParticleTransport().get_params()
        plans = [make_plan(chosen, c, c, drawn=True, count=9000) for c in (CAUCHY[:60], RNG.normal(size=(60, 2)))]
        assert [plan.settings["scaling"] for plan in plans] == ["signed_log", "none"]
        assert [plan.settings["batch_size"] for plan in plans] == [None, 4096]
        wide = laws.cauchy_powers(60, 0, powers=np.full(12, 2.0), zeros=0)
        assert make_plan(chosen, wide, wide, drawn=True, count=60).settings["smoothing"] == 0
        light = RNG.normal(size=(60, 12))
        assert make_plan(chosen, light, light, drawn=True, count=60).settings["smoothing"] > 0

    def test_scalings_are_checked_and_said(self):
        light = RNG.normal(size=(60, 2))
        found = {}
        for scaling in SCALINGS:
            chosen = ParticleTransport(scaling=scaling).get_params()
            found[scaling] = make_plan(chosen, light, light, drawn=True, count=60).settings["scaling"]
        assert found == {"auto": "none", "columns": "columns", "signed_log": "signed_log", "none": "none"}
        with pytest.raises(ValueError, match="scaling='none'"):
            ParticleTransport(scaling="signed_log", bounds=(0, 1)).fit(light)
        with pytest.raises(ValueError, match="signed_log"):
            ParticleTransport(scaling="log").fit(light)


def _place(particles, target):
    network = Network((np.eye(2), np.ones((1, 2))), (np.zeros((2, 1)),))
    state = standing_state(network, (), particles, target)
    return np.asarray(state.centre), float(state.scale)
