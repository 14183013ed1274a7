"""Where a transport between batches starts, how far it flows, and which of both samples held out choose."""

from __future__ import annotations

import numpy as np
import pytest

from proxflow import KL
from proxflow.integration.paths import STEP, Flowing, chosen_steps, heldout_curve, looks, padded
from proxflow.integration.starts import ClassMoments, estimate_start, moments_by_class

SMALL = Flowing(KL(), width=16, updates=2)


def cohort(counts, columns, *, scale=1.0, shifts=None, seed=0):
    """Points and classes; class c stands at 5 c, and is moved by shifts[c]."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(list(counts), list(counts.values()))
    points = rng.normal(size=(len(codes), columns))
    for c in counts:
        points[codes == c] += 5.0 * ord(c)
    for c, shift in (shifts or {}).items():
        points[codes == c] = scale * points[codes == c] + shift
    return points, codes


def started(kind, source, target):
    return estimate_start(kind, moments_by_class(*source), moments_by_class(*target))


# ---------------------------------------------------------------------- starts


def test_an_affine_change_is_undone_with_many_samples():
    truth = cohort({"a": 4000, "b": 6000}, 5, seed=1)
    target = cohort({"a": 5000, "b": 3000}, 5, seed=2)
    ratio = np.array([0.5, 1.0, 1.5, 2.0, 3.0])
    changed = truth[0] * ratio - 7
    start = started("scale", (changed, truth[1]), target)
    np.testing.assert_allclose(start.scale, 1 / ratio, rtol=0.03)
    assert np.abs(start.apply(changed, truth[1]) - truth[0]).max() < 0.25
    shifted = started("shift", (truth[0] - 7, truth[1]), target)
    assert (shifted.scale == 1).all()
    np.testing.assert_allclose(shifted.apply(truth[0] - 7, truth[1]), truth[0], atol=0.1)


def test_means_meet_exactly_with_one_class():
    source, target = cohort({"a": 30}, 4), cohort({"a": 20}, 4, seed=1)
    for kind in ("shift", "scale"):
        moved = started(kind, source, target).apply(*source)
        np.testing.assert_allclose(moved.mean(axis=0), target[0].mean(axis=0), atol=1e-12)


def moments(counts, means, columns=200, seed=0):
    """Moments as samples of normal classes would have them: the means' noise is that of so many samples."""
    rng = np.random.default_rng(seed)
    return {
        c: ClassMoments(n, means[c] + rng.normal(size=columns) / np.sqrt(n), np.ones(columns))
        for c, n in counts.items()
    }


def test_classes_that_share_one_shift_are_shifted_alike():
    counts, zero = {"a": 20, "b": 200, "c": 3}, dict.fromkeys("abc", 0.0)
    start = estimate_start("shift", moments(counts, zero, seed=4), moments(counts, dict.fromkeys("abc", 2.0), seed=5))
    errors = {c: np.sqrt(np.mean((start.offsets[c] - 2.0) ** 2)) for c in "abc"}
    # Alone, the error of class c would be that of three samples, 0.8; together it is that of 223.
    assert errors["c"] < 0.2
    assert abs(errors["c"] - errors["b"]) < 0.1


def test_a_class_with_a_shift_of_its_own_keeps_it_when_it_is_large():
    ours, counts = {"a": 0.0, "b": 0.0}, {"a": 500, "b": 500}
    start = estimate_start("shift", moments(counts, ours), moments(counts, {"a": 1.0, "b": 3.0}, seed=1))
    assert np.abs(start.offsets["a"] - 1).mean() < 0.06
    assert np.abs(start.offsets["b"] - 3).mean() < 0.06
    np.testing.assert_allclose(start.offset.mean(), 2, atol=0.05)


def test_the_fewer_samples_the_more_a_class_is_drawn_to_the_others():
    means = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 2.5}
    large = dict.fromkeys("abc", 400)
    drawn = []
    for few in (400, 10, 1):
        counts = large | {"d": few}
        start = estimate_start("shift", moments(counts, dict.fromkeys("abcd", 0.0)), moments(counts, means, seed=1))
        drawn.append(start.offsets["d"].mean())
    assert drawn[0] > drawn[1] > drawn[2]
    assert drawn[0] == pytest.approx(2.5, abs=0.05)
    alone = estimate_start(
        "shift", moments({"a": 400, "d": 1}, means), moments({"a": 400, "d": 1}, means, seed=1)
    )  # of one shift, as far as anybody can tell
    np.testing.assert_allclose(alone.offsets["d"], alone.offsets["a"], atol=0.1)


@pytest.mark.parametrize("few", [1, 2])
def test_a_class_of_one_or_two_has_no_say_in_the_scale(few):
    source = cohort({"a": 300, "b": few}, 3, scale=2.0, shifts={"a": 0.0, "b": 0.0})
    target = cohort({"a": 300, "b": few}, 3, seed=1)
    start = started("scale", source, target)
    np.testing.assert_allclose(start.scale, 0.5, rtol=0.15)
    without = started("scale", *((p[c == "a"], c[c == "a"]) for p, c in (source, target)))
    np.testing.assert_allclose(start.scale, without.scale, rtol=1e-12)
    assert np.isfinite(start.apply(*source)).all()


def test_ratios_of_a_few_samples_are_drawn_together():
    source = cohort({"a": 12}, 400, scale=2.0, shifts={"a": 0.0})
    start = started("scale", source, cohort({"a": 12}, 400, seed=1))
    assert np.log(start.scale).std() < 0.1  # alone they would vary by 0.3
    assert np.exp(np.log(start.scale).mean()) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("kind", ["shift", "scale"])
def test_units_of_columns_and_the_order_of_classes_change_nothing(kind):
    counts = {"a": 15, "b": 40, "c": 4}
    source = cohort(counts, 6, shifts={"a": 1.0, "b": 2.0, "c": 0.0})
    target = cohort(counts, 6, seed=1)
    base = started(kind, source, target).apply(*source)
    units = np.array([1e-3, 1.0, 1e3, 7.0, 0.1, 50.0])
    scaled = started(kind, (source[0] * units, source[1]), (target[0] * units, target[1]))
    np.testing.assert_allclose(scaled.apply(source[0] * units, source[1]) / units, base, rtol=1e-9, atol=1e-9)
    names = {"a": "z", "b": "y", "c": "x"}
    renamed = [(points, np.array([names[c] for c in codes])) for points, codes in (source, target)]
    np.testing.assert_allclose(started(kind, *renamed).apply(*renamed[0]), base, rtol=1e-9, atol=1e-9)
    order = np.random.default_rng(0).permutation(len(source[0]))
    shuffled = started(kind, (source[0][order], source[1][order]), target)
    np.testing.assert_allclose(shuffled.apply(*source), base, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["shift", "scale"])
def test_constant_columns_say_nothing_about_the_others(kind):
    counts = {"a": 15, "b": 40}
    source, target = cohort(counts, 6, shifts={"a": 1.0, "b": 2.0}), cohort(counts, 6, seed=1)
    base = started(kind, source, target)
    # 0.1 many times has a mean, and a variance, that are off by rounding.
    wide = [(np.column_stack([p, np.full((len(p), 20), v)]), c) for (p, c), v in ((source, 0.1), (target, 0.7))]
    start = started(kind, *wide)
    for c in counts:
        np.testing.assert_allclose(start.offsets[c][:6], base.offsets[c], rtol=1e-9)
        np.testing.assert_allclose(start.offsets[c][6:], 0.6, atol=1e-12)
    np.testing.assert_allclose(start.scale, [*base.scale, *np.ones(20)], rtol=1e-9)


def test_everything_constant_is_shifted():
    for kind in ("shift", "scale"):
        start = started(kind, (np.zeros((5, 2)), np.array(list("aaabb"))), (np.ones((4, 2)), np.array(list("aabb"))))
        np.testing.assert_allclose(start.apply(np.zeros((1, 2)), np.array(["a"])), 1.0)


def test_classes_on_one_side_take_no_part_and_move_by_what_is_common():
    source = cohort({"a": 50, "q": 30}, 3, shifts={"a": 2.0, "q": 100.0})
    target = cohort({"a": 50, "r": 30}, 3, seed=1)
    start = started("shift", source, target)
    assert list(start.offsets) == ["a"]
    np.testing.assert_array_equal(start.offset, start.offsets["a"])
    q = source[1] == "q"
    np.testing.assert_allclose(start.apply(*source)[q], source[0][q] + start.offset)


# ---------------------------------------------------------------------- how far


def test_a_run_is_looked_at_when_it_says_so():
    draws = np.random.default_rng(0).normal(size=(2, 20, 3))
    for steps in (0, 1, 7, 13):
        seen = []
        SMALL.run(draws[0], draws[0][:0], draws[1], steps, 0, lambda step, *_, seen=seen: seen.append(step))
        assert seen == looks(steps)
        assert seen[0] == 0
        assert seen[-1] == steps


def test_no_steps_are_no_recording():
    draws = np.random.default_rng(0).normal(size=(2, 20, 3))
    assert SMALL.run(draws[0], draws[0][:0], draws[1], 0, 0) is None
    assert len(SMALL.run(draws[0], draws[0][:0], draws[1], 2, 0).sizes) == 2


def run(drivers, riders, target, steps=6, seed=0):
    last = {}

    def look(step, ours, theirs):
        last.update(step=step, drivers=ours, riders=theirs)
        return False

    last["recording"] = SMALL.run(drivers, riders, target, steps, seed, look)
    return last


def test_riders_never_influence_drivers():
    rng = np.random.default_rng(0)
    drivers, riders, target = rng.normal(size=(20, 3)) + 1, rng.normal(size=(10, 3)), rng.normal(size=(30, 3))
    first, second = run(drivers, riders, target), run(drivers, 5 * riders[:7] + 50, target)
    assert (first["drivers"] == second["drivers"]).all()
    assert np.abs(first["drivers"] - drivers).max() > 0.02
    assert (first["recording"].sizes == second["recording"].sizes).all()
    # And riders go where the potentials would take anybody.
    np.testing.assert_allclose(first["recording"].carry(riders), first["riders"], atol=1e-5)
    assert (run(drivers, riders, target, seed=1)["drivers"] != first["drivers"]).any()


def test_a_step_is_a_share_of_the_spread():
    rng = np.random.default_rng(0)
    drivers = rng.normal(size=(20, 3)) + 1
    moved = run(drivers, drivers[:0], rng.normal(size=(30, 3)), steps=1)["drivers"]
    assert np.sqrt(np.mean(np.sum((moved - drivers) ** 2, axis=1))) == pytest.approx(STEP, rel=1e-4)


def test_padding_repeats_the_first_points():
    points = np.arange(140.0).reshape(70, 2)
    assert padded(points).shape == (128, 2)
    np.testing.assert_array_equal(padded(points)[70:], points[:58])
    assert padded(points[:3]).shape == (64, 2)
    assert (padded(points[:64]) == points[:64]).all()


def test_the_curve_of_a_class_that_can_be_memorised_goes_down_and_up():
    curves = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        draw = lambda n, rng=rng: rng.normal(size=(n, 4)) / 2  # noqa: E731
        fitted, heldout = (draw(24) + 0.25, draw(24)), (draw(120) + 0.25, draw(120))
        curves.append(heldout_curve(SMALL, fitted, heldout, steps=60, patience=100, seed=seed))
    curve, grid = np.mean(curves, axis=0), looks(60)
    assert len(curve) == len(grid)
    best = int(np.argmin(curve))
    assert 0 < grid[best] < 60
    assert curve[0] > 1.5 * curve[best]
    assert curve[-1] > 1.5 * curve[best]


def test_patience_ends_a_curve_with_its_last_value():
    rng = np.random.default_rng(0)
    fitted, heldout = rng.normal(size=(2, 24, 4)), rng.normal(size=(2, 60, 4))
    whole = heldout_curve(SMALL, fitted, heldout, steps=40, patience=100, seed=0)
    short = heldout_curve(SMALL, fitted, heldout, steps=40, patience=4, seed=0)
    assert len(short) == len(whole)
    same = int(np.argmax(short != whole))
    assert 0 < same < len(short)
    assert (short[same:] == short[same - 1]).all()
    assert looks(40)[same - 1] - looks(40)[int(np.argmin(short))] >= 4


# ---------------------------------------------------------------------- chosen_steps

GRID = [0, 1, 2, 4]


def choice(curves, counts, grid=GRID):
    return chosen_steps({c: np.array(rows, float) for c, rows in curves.items()}, counts, grid)


def test_the_largest_sure_gain_is_chosen():
    rows = [[1.0, 0.8, 0.5, 0.7], [1.1, 0.9, 0.6, 0.8]]
    steps, left = choice({"a": rows}, {"a": 10**6})
    assert steps == {"a": 2}
    assert left == pytest.approx(0.55)


def test_no_flow_for_a_gain_within_its_error():
    lucky = [[1.0, 1.0, 0.5, 1.0], [1.0, 1.0, 1.3, 1.0], [1.0, 1.0, 0.9, 1.0]]  # a mean gain of 0.1, give or take 0.23
    steps, left = choice({"a": lucky}, {"a": 10**6})
    assert steps == {"a": 0}
    assert left == pytest.approx(1.0)
    sure = [[1.0, 1.0, 0.9, 1.0], [1.0, 1.0, 0.91, 1.0], [1.0, 1.0, 0.89, 1.0]]
    assert choice({"a": sure}, {"a": 10**6})[0] == {"a": 2}


def test_the_error_is_that_of_the_gain_and_not_of_the_level():
    levels = [[5.0, 4.9, 4.9, 4.9], [0.5, 0.4, 0.4, 0.4], [2.0, 1.9, 1.9, 1.9]]
    assert choice({"a": levels}, {"a": 10**6})[0] == {"a": 1}


def test_small_classes_trust_all_together_and_large_ones_themselves():
    falling, rising = [[1.0, 0.9, 0.8, 0.5]] * 3, [[1.0, 1.2, 1.4, 1.8]] * 3
    small, large = {"many": 5000, "few": 5}, {"many": 5000, "few": 5000}
    assert choice({"many": falling, "few": rising}, small)[0] == {"many": 4, "few": 4}
    assert choice({"many": falling, "few": rising}, large)[0] == {"many": 4, "few": 0}
    assert choice({"many": rising, "few": falling}, small)[0] == {"many": 0, "few": 0}


def test_what_is_left_is_a_mean_by_counts():
    curves = {"a": [[1.0, 0.5]] * 2, "b": [[2.0, 1.5]] * 2}
    assert choice(curves, {"a": 300, "b": 100}, [0, 1])[1] == pytest.approx(0.75 * 0.5 + 0.25 * 1.5)
