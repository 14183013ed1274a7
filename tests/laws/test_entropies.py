"""Laws of f, f* and Λ_f, for every entropy."""

import math
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp

from laws.tables import ENTROPIES
from proxflow import entropies
from proxflow.entropies import IPM, KL, NAMES, Alpha, Entropy, ReverseKL, cumulant, density, entropy, normaliser

every_entropy = pytest.mark.parametrize("name", ENTROPIES)
strictly_convex = pytest.mark.parametrize("name", [n for n in ENTROPIES if n != "IPM"])
both_precisions = pytest.mark.parametrize("bits", [32, 64])

LENGTH = 41


@partial(jax.jit, static_argnums=0)
def _formulas(f, t, s):
    slope_of = lambda g, x: jax.grad(lambda z: jnp.sum(g(z)))(x)  # noqa: E731
    return {
        "f": f(t),
        "derivative": f.derivative(t),
        "slope of f": slope_of(f, t),
        "curvature": slope_of(f.derivative, t),
        "conjugate": f.conjugate(s),
        "density": density(f, s),
        "excess": f.excess(s),
        "slope of conjugate": slope_of(f.conjugate, s),
    }


def formulas(f, t=1.0, s=0.0, bits=64):
    """All formulas of f at up to 41 arguments."""

    def padded(values):
        return np.pad(np.atleast_1d(np.asarray(values, f"f{bits // 8}")), (0, LENGTH - np.size(values)), mode="edge")

    with jax.enable_x64(bits == 64):
        found = _formulas(f, jnp.asarray(padded(t)), jnp.asarray(padded(s)))
    sizes = dict.fromkeys(("f", "derivative", "slope of f", "curvature"), np.size(t))
    return {key: np.asarray(value)[: sizes.get(key, np.size(s))] for key, value in found.items()}


def heights(f):
    """Heights s across the domain of f*, close to 0 and close to its upper end."""
    top = min(f.upper, 30.0)
    return np.concatenate([-np.logspace(-8, 1.5, 20), [0.0], top * (1 - np.logspace(-6, 0, 20, endpoint=False))])


class TestFormulas:
    @every_entropy
    def test_normalisation(self, name):
        at = formulas(ENTROPIES[name]())
        for key, expected in {"f": 0, "derivative": 0, "conjugate": 0, "density": 1}.items():
            assert at[key] == pytest.approx(expected, abs=1e-15), key

    @every_entropy
    def test_fenchel_young(self, name):
        f = ENTROPIES[name]()
        t, s = np.concatenate([[0.0, 1.0], np.logspace(-6, 6, 39)]), heights(f)
        at = formulas(f, t, s)
        gap = at["f"][:, None] + at["conjugate"] - t[:, None] * s
        assert np.all(gap >= -1e-12 * (1 + np.abs(t[:, None] * s)))

    @every_entropy
    def test_equality_where_t_is_the_density(self, name):
        f = ENTROPIES[name]()
        s = heights(f)
        at = formulas(f, s=s)
        t = at["density"]
        value = formulas(f, t=t)["f"]
        assert value + at["conjugate"] == pytest.approx(s * t, rel=1e-8, abs=1e-12)

    @strictly_convex
    def test_derivative_is_the_inverse_of_density(self, name):
        f = ENTROPIES[name]()
        t = np.logspace(-1, 3, LENGTH)
        s = formulas(f, t=t)["derivative"]
        assert np.all(s < f.upper)
        assert formulas(f, s=s)["density"] == pytest.approx(t, rel=1e-6)

    @strictly_convex
    def test_derivatives_are_slopes(self, name):
        f = ENTROPIES[name]()
        at = formulas(f, np.logspace(-3, 3, LENGTH), heights(f))
        assert at["slope of f"] == pytest.approx(at["derivative"], rel=1e-9, abs=1e-12)
        assert at["slope of conjugate"] == pytest.approx(at["density"], rel=1e-9, abs=1e-12)

    @every_entropy
    def test_density_is_monotone_and_nonnegative(self, name):
        f = ENTROPIES[name]()
        found = formulas(f, s=np.sort(heights(f)))["density"]
        assert np.all(np.diff(found) >= 0)
        assert np.all(found >= 0)

    @every_entropy
    def test_density_is_accurate_near_zero(self, name):
        f = ENTROPIES[name]()
        tiny = np.asarray([-1e-12, -1e-9, 1e-9, 1e-12])
        at = formulas(f, t=1.0, s=tiny)
        curvature = 0.0 if name == "IPM" else 1 / at["curvature"][0]
        assert at["excess"] == pytest.approx(curvature * tiny, rel=1e-7)

    @every_entropy
    @both_precisions
    def test_at_and_beyond_the_upper_end(self, name, bits):
        f = ENTROPIES[name]()
        if math.isinf(f.upper):
            at = formulas(f, s=[1e2, 1e10, 1e30], bits=bits)
            assert not np.isnan(np.r_[at["conjugate"], at["density"]]).any()
        else:
            at = formulas(f, s=f.upper + np.asarray([1e-6, 1.0, 1e10, -1e-6, -1e-3]), bits=bits)
            for key in ("conjugate", "density"):
                assert np.all(np.isposinf(at[key][:3])), key
                assert np.all(np.isfinite(at[key][3:])), key
        assert not np.isnan(at["slope of conjugate"]).any()

    @every_entropy
    def test_at_zero_and_below(self, name):
        f = ENTROPIES[name]()
        at_zero, near_zero, *below = formulas(f, t=[0.0, 1e-14, -1e-14, -1.0, -1e10])["f"]
        assert np.all(np.isposinf(below))
        assert not np.isnan(at_zero)
        if np.isfinite(at_zero):  # continuous
            assert at_zero == pytest.approx(near_zero, abs=1e-6)
        else:  # f(0) = -f*(-inf)
            assert name == "IPM" or formulas(f, s=-1e100)["conjugate"] < -200

    def test_known_values(self):
        # By hand, from the table of the mathematics: f(2), f*(-1).
        expected = {
            "KL": (2 * math.log(2) - 1, math.exp(-1) - 1),
            "alpha 2": (0.5, -0.5),
            "alpha 0.5": (4 * (1.5 - math.sqrt(2)), 2 * (1 / 1.5 - 1)),
            "reverse KL": (1 - math.log(2), -math.log(2)),
            "Jensen-Shannon": (2 * math.log(2) - 3 * math.log(1.5), -math.log(2 - math.exp(-1))),
            "squared Hellinger": ((math.sqrt(2) - 1) ** 2, -0.5),
            "chi-squared": (1.0, -0.75),
            "IPM": (math.inf, -1.0),
        }
        for name, pair in expected.items():
            at = formulas(ENTROPIES[name](), t=2.0, s=-1.0)
            assert (at["f"][0], at["conjugate"][0]) == pytest.approx(pair, rel=1e-14), name


# ---------------------------------------------------------------------- Λ

COUNT = 12


@partial(jax.jit, static_argnums=0)
def _solve(f, values):
    def one(v):
        (value, nu), gradient = jax.value_and_grad(lambda w: cumulant(f, w), has_aux=True)(v)
        return value, nu, gradient

    return jax.vmap(one)(values)


@partial(jax.jit, static_argnums=0)
def _mass(f, values, nu):
    return jnp.mean(density(f, values - nu[:, None]), axis=1)


def _cases():
    rng = np.random.default_rng(0)
    normal, heavy = rng.normal(size=COUNT), rng.standard_cauchy(COUNT)
    cases = {}
    for scale in (1e-12, 1e-6, 1e-3, 0.1, 1.0, 10.0, 1e3, 1e6, 1e9, 1e12):
        cases[f"normal x {scale:g}"] = scale * normal
        cases[f"heavy x {scale:g}"] = scale * heavy
    for level in (0.0, 3.0, -1e6, 1e12):
        cases[f"all equal to {level:g}"] = np.full(COUNT, level)
    for step in (1e-3, 1.0, 1e3):
        cases[f"one higher by {step:g}"] = np.r_[np.zeros(COUNT - 1), step]
        cases[f"one lower by {step:g}"] = np.r_[np.zeros(COUNT - 1), -step]
    cases["far from zero"] = 1e6 + normal
    return cases


CASES = _cases()


def epsilon(bits):
    return float(np.finfo(f"float{bits}").eps)


@cache
def solved(name, bits):
    """Λ, ν and the gradient of Λ for every case, computed at this precision, as float64."""
    f, dtype = ENTROPIES[name](), np.dtype(f"float{bits}")
    values = np.stack(list(CASES.values())).astype(dtype)
    with jax.enable_x64(bits == 64):
        found = _solve(f, jnp.asarray(values))
        assert all(leaf.dtype == dtype for leaf in found)
    level, nu, gradient = (np.asarray(leaf, np.float64) for leaf in found)
    values = values.astype(np.float64)
    rounding = 8 * epsilon(bits) * np.abs(values).max(axis=1)
    return f, values, level, nu, gradient, rounding


class TestCumulant:
    @every_entropy
    @both_precisions
    def test_lies_between_the_mean_and_the_maximum(self, name, bits):
        _, values, level, nu, _, rounding = solved(name, bits)
        assert np.all(level >= values.mean(axis=1) - rounding)
        assert np.all(level <= values.max(axis=1) + rounding)
        assert np.all(nu >= values.min(axis=1) - rounding)
        assert np.all(nu <= values.max(axis=1) + rounding)

    @every_entropy
    @both_precisions
    def test_nu_is_the_root_to_float_precision(self, name, bits):
        # One rounding of ν to either side the mean density passes one.
        f, values, _, nu, _, rounding = solved(name, bits)
        with jax.enable_x64(True):
            above = np.asarray(_mass(f, jnp.asarray(values), jnp.asarray(nu - rounding)))
            below = np.asarray(_mass(f, jnp.asarray(values), jnp.asarray(nu + rounding)))
        slack = 2e-15
        for case, a, b in zip(CASES, above, below, strict=True):
            assert a >= 1 - slack, case
            assert b <= 1 + slack, case

    @every_entropy
    @both_precisions
    def test_gradient_is_a_probability_vector(self, name, bits):
        # At every scale: measured from ν the heights of large values would be rounded out of f*'s domain.
        _, values, _, _, gradient, rounding = solved(name, bits)
        assert np.all(gradient >= 0)
        tolerance = np.full(len(values), 1e-4 if bits == 32 else 1e-9)
        if name == "alpha 10":  # near its kink f*' rises like the ninth root: the last bit decides
            tolerance += (10 * rounding) ** (1 / 9) / COUNT
        assert np.all(np.abs(gradient.sum(axis=1) - 1) <= tolerance)

    @every_entropy
    @both_precisions
    def test_gradient_is_the_density(self, name, bits):
        f, values, _, nu, gradient, _ = solved(name, bits)
        ordinary = [i for i, case in enumerate(CASES) if case in ("normal x 0.1", "normal x 1", "one higher by 1")]
        with jax.enable_x64(True):
            expected = np.asarray(density(f, jnp.asarray(values - nu[:, None]))) / COUNT
        tolerance = 1e-5 if bits == 32 else 1e-12
        assert gradient[ordinary] == pytest.approx(expected[ordinary], rel=tolerance, abs=tolerance)

    @every_entropy
    @both_precisions
    def test_equal_values(self, name, bits):
        _, values, level, nu, gradient, rounding = solved(name, bits)
        for i, case in enumerate(CASES):
            if case.startswith("all equal"):
                allowed = rounding[i] if name == "IPM" else 0.0  # a mean may round, a maximum does not
                assert [level[i], nu[i]] == pytest.approx([values[i, 0]] * 2, rel=0, abs=allowed), case
                assert gradient[i] == pytest.approx(1 / COUNT, rel=1e-6)

    @every_entropy
    @both_precisions
    def test_constants_pass_through(self, name, bits):
        f, dtype = ENTROPIES[name](), np.dtype(f"float{bits}")
        values = np.stack([CASES["normal x 1"], CASES["heavy x 1"], CASES["normal x 1e-06"]]).astype(dtype)
        values = np.concatenate([values, np.zeros((len(CASES) - 3, COUNT), dtype)])  # one shape, one compilation
        with jax.enable_x64(bits == 64):
            level, nu, _ = _solve(f, jnp.asarray(values))
            for constant in (-3.0, 0.125, 1e4):
                moved, moved_nu, _ = _solve(f, jnp.asarray(values + dtype.type(constant)))
                rounding = 16 * epsilon(bits) * (abs(constant) + np.abs(values).max())
                assert np.asarray(moved - constant) == pytest.approx(np.asarray(level), abs=float(rounding))
                assert np.asarray(moved_nu - constant) == pytest.approx(np.asarray(nu), abs=float(rounding))

    @every_entropy
    def test_one_value(self, name):
        values = jnp.asarray([[0.0], [2.5], [-1e6]])
        level, nu, gradient = _solve(ENTROPIES[name](), values)
        assert np.array_equal(level, values[:, 0])
        assert np.array_equal(nu, values[:, 0])
        assert np.array_equal(gradient, np.ones((3, 1)))

    @both_precisions
    def test_kl_is_log_mean_exp(self, bits):
        _, values, level, *_ = solved("KL", bits)
        # scipy loses the digits of small spreads, so each case is measured from its mean there.
        exact = logsumexp(values, axis=1) - math.log(COUNT)
        scale = np.abs(values).max(axis=1)
        assert np.all(np.abs(level - exact) <= epsilon(bits) * (4 * scale + 4))
        small = CASES["normal x 1e-06"].astype(f"float{bits}").astype(float)
        second_order = small.mean() + small.var() / 2
        found = level[list(CASES).index("normal x 1e-06")]
        assert found == pytest.approx(second_order, abs=8 * epsilon(bits) * 2e-6 + 1e-18)

    @pytest.mark.parametrize("name", ["KL", "reverse KL"])
    def test_many_values(self, name):
        # All mass ends on the one sample that is higher: sums of 20,000 must not swallow it.
        values = np.full((1, 20_000), -1e6, np.float32)
        values[0, 7] = 0.0
        level, _, gradient = _solve(ENTROPIES[name](), jnp.asarray(values))
        assert float(gradient[0, 7]) == pytest.approx(1, rel=1e-3)
        if name == "KL":
            assert float(level[0]) == pytest.approx(-math.log(20_000), abs=1e-5)

    @every_entropy
    def test_primal_is_dual(self, name):
        # Λ_f(v) = max over probability vectors r of <r, v> - D_f(r‖uniform), at r = density / n
        f, values, level, _, gradient, _ = solved(name, 64)
        rng = np.random.default_rng(1)
        for case in ("normal x 0.1", "normal x 1", "heavy x 1", "one higher by 1", "one lower by 1"):
            i = list(CASES).index(case)
            v, best = values[i], gradient[i]
            cost = lambda r: float(np.mean(formulas(f, t=COUNT * r)["f"]))  # noqa: E731
            if name != "IPM":  # there only the uniform vector itself has a finite cost, and rounding spoils it
                assert best @ v - cost(best) == pytest.approx(level[i], rel=1e-9, abs=1e-9), case
            for concentration in (0.3, 3.0, 100.0):
                r = rng.dirichlet(np.full(COUNT, concentration))
                assert r @ v - cost(r) <= level[i] + 1e-12
            nearby = np.abs(best + 1e-3 * rng.normal(size=COUNT) / COUNT)
            assert nearby / nearby.sum() @ v - cost(nearby / nearby.sum()) <= level[i] + 1e-12
        uniform = np.full(COUNT, 1 / COUNT)
        assert cost(uniform) == pytest.approx(0, abs=1e-15)


@partial(jax.jit, static_argnums=0)
def _to_second_order(f, values):
    gradient = jax.grad(lambda v: cumulant(f, v)[0])
    nu_gradient = jax.grad(lambda v: normaliser(f, v))
    return jax.vmap(lambda v: (cumulant(f, v)[0], gradient(v), jax.jacfwd(gradient)(v), nu_gradient(v)))(values)


class TestDerivatives:
    @every_entropy
    def test_to_second_order(self, name):
        v, h = np.asarray([0.05, -0.02, 0.08, -0.04]), 1e-4
        points = np.concatenate([[v], v + h * np.eye(4), v - h * np.eye(4)])
        with jax.enable_x64(True):
            found = _to_second_order(ENTROPIES[name](), jnp.asarray(points))
        level, gradient, hessian, nu_gradient = (np.asarray(leaf) for leaf in found)
        assert gradient[0] == pytest.approx((level[1:5] - level[5:]) / (2 * h), rel=1e-6)
        assert hessian[0] == pytest.approx((gradient[1:5] - gradient[5:]) / (2 * h), rel=1e-5, abs=1e-8)
        assert hessian[0].sum(axis=0) == pytest.approx(0, abs=1e-12)  # a constant passes through
        assert np.linalg.eigvalsh(hessian[0]).min() >= -1e-12  # convex
        if name != "IPM":  # every ν serves there
            assert nu_gradient[0].sum() == pytest.approx(1, abs=1e-12)
            assert np.all(nu_gradient[0] > 0)

    def test_compiled_batched_and_plain_agree(self):
        f, values = ReverseKL(), jnp.asarray(np.stack(list(CASES.values())[:12]), jnp.float32)
        batched = _solve(f, values)
        plain = cumulant(f, values[8])
        assert float(plain[0]) == pytest.approx(float(batched[0][8]), rel=1e-6)
        assert float(plain[1]) == pytest.approx(float(batched[1][8]), rel=1e-6)


vectors = arrays(np.float64, COUNT, elements=st.floats(-100, 100))


class TestProperties:
    @every_entropy
    @given(v=vectors, w=vectors, share=st.floats(0, 1))
    def test_monotone_convex_and_nonexpansive(self, name, v, w, share):
        stack = np.zeros((len(CASES), COUNT))  # the shape of all cases, compiled already
        stack[:4] = v, w, share * v + (1 - share) * w, np.maximum(v, w)
        with jax.enable_x64(True):
            at_v, at_w, between, above = np.asarray(_solve(ENTROPIES[name](), jnp.asarray(stack))[0])[:4]
        assert between <= share * at_v + (1 - share) * at_w + 1e-10
        assert above >= max(at_v, at_w) - 1e-10
        assert abs(at_v - at_w) <= np.abs(v - w).max() + 1e-10


# ---------------------------------------------------------------------- names


class TestNames:
    def test_the_table_has_every_entropy(self):
        listed = {type(make()) for make in ENTROPIES.values()}
        assert listed == set(entropies._ENTROPIES.values())

    @pytest.mark.parametrize("name", NAMES)
    def test_every_name_gives_an_entropy(self, name):
        assert isinstance(entropy(name), Entropy)

    @every_entropy
    def test_instances_pass_through_hash_and_compare(self, name):
        f = ENTROPIES[name]()
        assert entropy(f) is f
        assert f == ENTROPIES[name]()
        assert hash(f) == hash(ENTROPIES[name]())  # compiled functions are cached by it

    def test_order(self):
        assert entropy("alpha", 1.5) == Alpha(1.5)
        assert entropy("alpha") == Alpha(2.0)

    def test_an_unknown_name_lists_the_valid_ones(self):
        with pytest.raises(ValueError, match="reverseKL") as caught:
            entropy("reverseKL")
        assert all(name in str(caught.value) for name in NAMES)

    @pytest.mark.parametrize("f", [None, 3, np.log, {"kl": 1}])
    def test_anything_else_is_refused(self, f):
        with pytest.raises(ValueError, match="reverse_kl"):
            entropy(f)

    def test_a_class_is_no_instance(self):
        with pytest.raises(ValueError, match=r"write KL\(\)"):
            entropy(KL)

    @pytest.mark.parametrize("order", [0, -1, math.inf, math.nan, "2", True])
    def test_bad_orders(self, order):
        with pytest.raises(ValueError, match="alpha"):
            Alpha(order)

    def test_order_one_points_to_kl(self):
        with pytest.raises(ValueError, match="f='kl'"):
            Alpha(1)

    @pytest.mark.parametrize("f", ["kl", "ipm", KL(), Alpha(2.0), IPM()])
    def test_an_order_needs_alpha(self, f):
        with pytest.raises(ValueError, match="alpha = 2"):
            entropy(f, 2)
