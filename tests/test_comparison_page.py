"""The page of a comparison: pictures that survive any data, and words that match the numbers."""

import math
import re
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from proxflow import compare
from proxflow.comparison_page import draw_comparison, verdict
from proxflow.plots.comparison import moved_features, null_distributions, three_numbers
from proxflow.plots.costs import costs_and_weights
from proxflow.plots.plane import two_samples

NASTY = "<b>TP53 & $x_1$</b>"


def _draws(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def _cauchy(seed):
    return np.random.default_rng(seed).standard_cauchy((30, 2))


EXACT = {"heldout": False, "test": False}
SHIFT = np.array([3.0, 0.0])
CASES = {
    "everything": (
        _draws(0, 40, 2) + np.array([3, 0]),
        _draws(1, 30, 2),
        {"feature_names": [NASTY, "age"], "permutations": 99},
    ),
    "one law": (_draws(0, 40, 2), _draws(1, 30, 2), {"permutations": 99}),
    "reverse": (_draws(0, 20, 2), _draws(1, 15, 2) + 1, {"reverse": True, **EXACT}),
    "one sample": (_draws(0, 1, 3), _draws(1, 1, 3), {}),
    "one of two sides": (_draws(0, 1, 2), _draws(1, 12, 2), {}),
    "identical": (_draws(0, 12, 2), _draws(0, 12, 2), EXACT),
    "constant": (np.zeros((6, 5)), np.zeros((5, 5)), EXACT),
    "a constant column": (_draws(0, 12, 3) * [1, 1, 0], _draws(1, 9, 3) * [1, 1, 0], EXACT),
    "one feature": (_draws(0, 30, 1), _draws(1, 30, 1) + 2, EXACT),
    "many features": (_draws(0, 8, 50_000), _draws(1, 9, 50_000), EXACT),
    "heavy tails": (_cauchy(0), _cauchy(1), EXACT),
    "weights of zero": (_draws(0, 20, 2) + 2, _draws(1, 20, 2), {"f": "chi2", "L": 20.0, **EXACT}),
    "no reweighting": (_draws(0, 20, 2), _draws(1, 20, 2), {"f": "ipm", **EXACT}),
    "tiny units": (1e-9 * _draws(0, 12, 2), 1e-9 * _draws(1, 12, 2), {"L": 1.0, **EXACT}),
}


@cache
def found(case):
    x, y, settings = CASES[case]
    return compare(x, y, **settings)


def page(folder, case, result=None, command="proxflow compare a.csv b.csv"):
    x, y, settings = CASES[case]
    result = found(case) if result is None else result
    path = draw_comparison(result, x, y, settings.get("feature_names"), folder / "page.html", command)
    return path.read_text(encoding="utf-8")


def drawn(figure):
    figure.canvas.draw()
    return figure


def words(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


# ---- the page


@pytest.mark.parametrize("case", CASES)
def test_every_case_has_a_whole_page_with_pictures_and_nothing_from_outside(tmp_path, case):
    text = page(tmp_path, case)
    assert text.rstrip().endswith("</html>")
    result = found(case)
    has_features = len(result.features) > 0 and case not in ("identical", "constant")
    pictures = 2 + has_features + (len(result.tests) > 0) + (result.solution is not None)
    assert text.count("data:image/png;base64,") == pictures
    assert not re.search(r'(src|href)\s*=\s*"(?!data:)|https?://|<script|@import|url\(', text)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_the_page_has_numbers_settings_command_and_escaped_names(tmp_path):
    result = found("everything")
    text = page(tmp_path, "everything", command="proxflow compare 'a b.csv' c.csv")
    assert f"{result.lower:.6g}" in text
    for number in (result.held_out_lower, result.held_out, result.p_value, result.transported, result.reweighted):
        assert f">{number:.4g}<" in text, number
    for setting in ("KL", "D(P‖Q)", str(result.L), "0.95", "99"):
        assert f">{setting}<" in text, setting
    assert "proxflow compare &#x27;a b.csv&#x27; c.csv" in text
    assert "Before trusting" not in text
    assert "&lt;b&gt;TP53 &amp; $x_1$&lt;/b&gt;" in text
    assert NASTY not in text


def test_notes_stand_on_the_page(tmp_path):
    assert "too few samples to hold any out" in page(tmp_path, "one sample")


def test_a_folder_gets_a_report_and_wrong_samples_get_none(tmp_path):
    x, y, _ = CASES["reverse"]
    assert draw_comparison(found("reverse"), x, y, None, tmp_path).name == "report.html"
    with pytest.raises(ValueError, match=r"20 and 15 samples with 2 features, not of .*\(15, 2\)"):
        draw_comparison(found("reverse"), y, x, None, tmp_path / "other.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    page(tmp_path, "reverse")
    before = (tmp_path / "page.html").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ValueError, match="No space left"):
        page(tmp_path, "reverse", command="another")
    assert (tmp_path / "page.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_the_verdict_follows_the_evidence():
    both, law = found("everything"), found("one law")
    assert both.held_out_lower > 0
    apart = f"{both.held_out_lower:.4g}"
    assert verdict(both) == f"The populations differ: they are at least {apart} apart (95% confidence)."
    assert verdict(replace(both, held_out_lower=0.0)).startswith("The populations differ (p = 0.0")
    assert verdict(replace(both, held_out_lower=0.0, p_value=math.nan)).startswith("No difference")
    assert law.p_value > 0.05
    assert verdict(law).startswith("No difference between the populations is proven (p = ")
    assert "same points" in verdict(found("identical"))
    assert "same points" not in verdict(found("tiny units"))
    assert "single sample" in verdict(found("one sample"))
    assert "was not asked" in verdict(found("reverse"))
    assert "between 1 and 9 apart" in verdict(replace(found("reverse"), lower=1.0, upper=9.0, converged=False))


def test_rounding_errors_are_told_as_zero(tmp_path):
    text = page(tmp_path, "identical")
    assert not re.search(r">\d[^<]*e-\d\d<", text.split("Settings")[0])


def test_without_the_exact_number_the_rest_is_drawn(tmp_path):
    none = np.full(0, math.nan)
    missing = dict.fromkeys(("value", "lower", "upper", "transported", "reweighted"), math.nan)
    result = replace(found("everything"), solution=None, moved=none, weights=none, **missing)
    text = page(tmp_path, "everything", result)
    assert text.count("data:image/png") == 4
    assert ">nan<" not in text


# ---- the three numbers


def test_numbers_lie_on_one_axis_and_the_axis_shows_them():
    figure = drawn(three_numbers(1.0, 1.001, 0.8, 0.6, level=0.9))
    left, right = figure.axes[0].get_xlim()
    assert left < 0 < 1.001 < right < 1.5
    assert {"1.001", "at least 0.6 (90% confidence)", "on held-out samples 0.8"} <= set(words(figure))


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((0.5, 5e4, math.nan, math.nan), "between 0.5 and 5e+04 (off the scale)"),
        ((79.0, 79.0, -1e9, 0.0), "no difference proven"),
        ((0.0, 0.0, 0.0, 0.0), "0"),
        ((math.nan, math.nan, math.nan, math.nan), "not computed"),
        ((0.0, 7.0, math.nan, math.nan), "between 0 and 7"),
    ],
)
def test_one_wild_number_does_not_hide_the_others(numbers, said):
    figure = drawn(three_numbers(*numbers))
    assert said in words(figure)
    assert max(map(abs, figure.axes[0].get_xlim())) < 100


# ---- tests, features, costs


@pytest.mark.parametrize("null", [np.zeros(9), np.full(9, 2e-18), np.append(_draws(0, 50), np.inf), _cauchy(3)[:, 0]])
def test_the_observed_statistic_is_in_the_frame_or_said_to_be_outside(null):
    for statistic in (0.0, 0.5, 1e6):
        figure = drawn(null_distributions({"energy": SimpleNamespace(statistic=statistic, null=null, p_value=0.1)}))
        axes = figure.axes[0]
        low, high = axes.get_xlim()
        assert low <= axes.lines[0].get_xdata()[0] <= high
        assert "p = 0.1" in words(figure)[0]
        if statistic == 1e6:
            assert "off the scale" in words(figure)[0]


def test_features_keep_their_order_colour_and_both_ends_of_long_names():
    names = ["ENSG00000000001|" + 40 * "x" + "|TP53", "a", "b", "c"]
    figure = drawn(moved_features(names, [0.6, 0.3, 0.1, 0.0], [1, -1, 0, 1], total=50_000))
    axes = figure.axes[0]
    first, *others = [label.get_text() for label in axes.get_yticklabels()]
    assert first.startswith("ENSG00000000001")
    assert first.endswith("TP53")
    assert len(first) <= 40
    assert others == ["a", "b"]  # without a share: left out
    assert [bar.get_width() for bar in axes.patches] == [0.6, 0.3, 0.1]
    assert len({bar.get_facecolor() for bar in axes.patches}) == 3
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first on top
    assert "3 of 50,000" in figure.get_suptitle()


def test_features_that_all_stand_still_say_so():
    assert drawn(moved_features(["a", "b"], [0, 0], [0, 0])).get_suptitle().startswith("No feature")


def test_every_cost_and_weight_is_counted_once():
    costs, weights = np.abs(_draws(0, 50)), np.exp(2 * _draws(1, 60))
    figure = drawn(costs_and_weights(costs, weights, 3.0, 1.0))
    _, left, right = figure.axes
    assert left.patches[0].get_data().values.sum() == 50
    assert right.patches[0].get_data().values.sum() == 60
    assert right.get_xscale() == "log"
    assert figure.get_suptitle().startswith("75% moved, 25% reweighted")


@pytest.mark.parametrize(("costs", "weights"), [([0.0], [1.0]), ([1e-20, 0], [0.0, 1.0]), ([1e9, 1, 2], [0, 0, 3e9])])
def test_strange_costs_and_weights_are_counted_too(costs, weights):
    figure = drawn(costs_and_weights(costs, weights, 0.0, 0.0))
    assert figure.axes[2].patches[0].get_data().values.sum() == len(weights)
    assert figure.get_suptitle().startswith("Nothing")


# ---- the plane


def test_points_carry_costs_and_weights_and_arrows_end_where_mass_goes():
    result = found("everything")
    x, y, _ = CASES["everything"]
    figure = drawn(two_samples(x, y, moved=result.moved, weights=result.weights, plan=result.solution.plan))
    left, right = figure.axes[:2]
    costs, weights = left.collections[-1], right.collections[-1]
    assert sorted(costs.get_array()) == pytest.approx(sorted(result.moved))
    assert sorted(weights.get_array()) == pytest.approx(sorted(np.log2(result.weights)))
    assert np.all(np.diff(weights.get_sizes()[np.argsort(weights.get_array())]) >= 0)
    arrows = next(artist for artist in left.collections if hasattr(artist, "U"))
    ends = arrows.get_offsets() + np.stack([arrows.U, arrows.V], axis=1)
    assert len(ends) > 20
    assert np.abs(ends[:, None] - y).max(axis=2).min(axis=1).max() < 1e-12


def test_many_points_are_thinned_and_those_far_away_are_counted():
    many = np.append(_draws(0, 2500, 2), [[1e6, 0.0]], axis=0)
    figure = drawn(two_samples(many, many[:-1] + 1, moved=np.ones(2501), weights=np.ones(2500)))
    assert len(figure.axes[0].collections[-1].get_offsets()) <= 2000
    assert "at most 2,000 points" in figure._supxlabel.get_text()
    few = drawn(two_samples(many[-30:], many[:30]))
    assert figure.axes[0].get_xlim()[1] < 100
    assert "1 sample of P outside the frame" in few._supxlabel.get_text()


def test_one_feature_is_two_histograms_and_the_reweighted_target():
    result = found("one feature")
    x, y, _ = CASES["one feature"]
    figure = drawn(two_samples(x, y, moved=result.moved, weights=result.weights, plan=result.solution.plan))
    left, right = figure.axes
    assert [patch.get_data().values.sum() for patch in left.patches] == pytest.approx([1, 1])
    assert right.patches[-1].get_data().values.sum() == pytest.approx(1)


def test_numbers_of_another_sample_are_refused():
    with pytest.raises(ValueError, match=r"P has 5 samples, but numbers of shape \(4,\)"):
        two_samples(np.zeros((5, 2)), np.zeros((4, 2)), moved=np.zeros(4), weights=np.zeros(4))
    with pytest.raises(ValueError, match="2 and 3 features"):
        two_samples(np.zeros((5, 2)), np.zeros((4, 3)))
