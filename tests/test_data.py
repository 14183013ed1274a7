"""Toy sets and digits: each is the set that its formula says, and seeds and parts are what they promise."""

import math

import numpy as np
import pytest
from sklearn.datasets import load_digits

from proxflow.data.digits import load_digits_split
from proxflow.data.toy import (
    TOY,
    checkerboard,
    circles,
    eight_gaussians,
    moons,
    pinwheel,
    swiss_roll,
    two_spirals,
)

N = 4000
TENTH = pytest.approx(1, rel=0.1)  # many times the error of each statistic below at N points


def squared_distances(points, curve):
    """Squared distance of each point to the nearest of a curve's points."""
    return ((points[:, None] - curve[None]) ** 2).sum(axis=2).min(axis=1)


def arc(t, x, y):
    return np.column_stack([x(t), y(t)])


def shares(labels, count):
    """Return how often each label occurs, relative to equal shares."""
    assert labels.min() >= 0
    return np.bincount(labels, minlength=count) * count / len(labels)


def test_table_of_names():
    names = "eight_gaussians moons two_spirals checkerboard pinwheel swiss_roll circles"
    assert list(TOY) == names.split()
    assert [function.__name__ for function in TOY.values()] == list(TOY)


@pytest.mark.parametrize("draw", TOY.values(), ids=TOY)
class TestEverySet:
    @pytest.mark.parametrize("n", [1, 7, 200])
    def test_shape(self, draw, n):
        points = draw(n)
        assert points.shape == (n, 2)
        assert points.dtype == np.float64
        assert np.abs(points).max() < 6

    def test_seeds(self, draw):
        np.testing.assert_array_equal(draw(50), draw(50, 0))
        np.testing.assert_array_equal(draw(50, random_state=3), draw(50, 3))
        assert not np.isin(draw(50, 3), draw(50, 4)).any()

    def test_random_states_move_on(self, draw):
        state = np.random.RandomState(5)
        first, second = draw(50, state), draw(50, state)
        np.testing.assert_array_equal(first, draw(50, np.random.RandomState(5)))
        assert not np.isin(first, second).any()

    def test_global_state_is_left_alone(self, draw):
        before = np.random.get_state()[1:3]  # noqa: NPY002 - what is tested
        draw(50)
        after = np.random.get_state()[1:3]  # noqa: NPY002
        assert (before[0] == after[0]).all()
        assert before[1] == after[1]

    @pytest.mark.parametrize("n", [0, -1, 2.5, True])
    def test_bad_counts(self, draw, n):
        with pytest.raises(ValueError, match=r"n must be a positive .*whole number"):
            draw(n)

    def test_bad_seed(self, draw):
        with pytest.raises(ValueError, match="random_state must be between"):
            draw(5, -1)


def test_eight_gaussians():
    points = eight_gaussians(N)
    angles = np.arange(8) * np.pi / 4
    centres = 4 * arc(angles, np.cos, np.sin)
    nearest = ((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert shares(nearest, 8) == pytest.approx(1, abs=0.2)
    assert (points - centres[nearest]).std(axis=0) / 0.3 == TENTH
    assert (points - centres[nearest]).mean(axis=0) == pytest.approx(0, abs=0.03)


def test_moons():
    points = moons(N)
    t = np.linspace(0, np.pi, 400)
    upper = squared_distances(points, arc(t, np.cos, np.sin))
    lower = squared_distances(points, arc(t, lambda a: 1 - np.cos(a), lambda a: 0.5 - np.sin(a)))
    assert shares((lower < upper).astype(int), 2) == TENTH
    assert np.minimum(lower, upper).mean() / 0.05**2 == TENTH


def test_two_spirals():
    points = two_spirals(N)
    t = np.linspace(0, 3 * np.pi, 1000)
    arm = arc(t, lambda t: -t * np.cos(t) / 3, lambda t: t * np.sin(t) / 3)
    one, other = squared_distances(points, arm), squared_distances(points, -arm)
    assert shares((other < one).astype(int), 2) == TENTH
    # Of the noise only the part across the arm is seen; near the origin the arms are close to each other.
    assert np.minimum(one, other).mean() / 0.1**2 == pytest.approx(1, abs=0.15)
    # t² is uniform on [0, 9π²], and the noise adds 2 · 0.1² to r² = t²/9.
    assert ((points**2).sum(axis=1).mean() - 0.02) / (np.pi**2 / 2) == TENTH


def test_checkerboard():
    cells = np.floor(checkerboard(N) / 2).astype(int)
    assert cells.min() == -2
    assert cells.max() == 1
    assert (cells.sum(axis=1) % 2 == 0).all()
    _, counts = np.unique(cells, axis=0, return_counts=True)
    assert counts * 8 / N == pytest.approx(1, abs=0.2)
    inside = checkerboard(N) / 2 - cells
    assert inside.mean(axis=0) == pytest.approx(0.5, abs=0.03)
    assert inside.var(axis=0) * 12 == TENTH


def test_pinwheel():
    x, y = pinwheel(N).T / 2
    radius = np.hypot(x, y)
    assert radius.mean() == pytest.approx(1, abs=0.03)
    assert radius.std() / 0.3 == TENTH
    unwound = (np.arctan2(y, x) - 0.25 * np.exp(radius)) / (2 * np.pi / 5)
    arms = np.rint(unwound)
    assert shares((arms % 5).astype(int), 5) == pytest.approx(1, abs=0.15)
    across = radius * np.sin((unwound - arms) * 2 * np.pi / 5)
    assert across.std() / 0.1 == TENTH
    assert across.mean() == pytest.approx(0, abs=0.01)


def test_swiss_roll():
    points = swiss_roll(N)
    t = np.linspace(1.5 * np.pi, 4.5 * np.pi, 1000)
    curve = arc(t, lambda t: t * np.cos(t) / 5, lambda t: t * np.sin(t) / 5)
    assert squared_distances(points, curve).mean() / 0.08**2 == TENTH
    radius = np.linalg.norm(points, axis=1) * 5
    assert radius.mean() / (3 * np.pi) == pytest.approx(1, rel=0.03)
    assert radius.std() / (3 * np.pi / math.sqrt(12)) == TENTH


def test_circles():
    points = circles(N)
    radius = np.linalg.norm(points, axis=1)
    outer = radius > 0.75
    assert shares(outer.astype(int), 2) == pytest.approx(1, abs=0.01)
    for part, size in ((outer, 1.0), (~outer, 0.5)):
        assert radius[part].mean() == pytest.approx(size, abs=0.01)
        assert radius[part].std() / 0.05 == TENTH
        assert points[part].mean(axis=0) == pytest.approx(0, abs=0.01)


def rows(*parts):
    return {row.tobytes() for part in parts for row in part}


class TestDigits:
    def test_parts(self):
        split = load_digits_split()
        assert split.train.shape == (200, 64)
        assert split.fresh.shape == split.test.shape == (600, 64)
        assert split.shape == (8, 8)
        parts = (split.train, split.fresh, split.test)
        # No two of the 1797 digits are equal, so equal counts mean that the parts share nothing.
        everything = rows(load_digits().data)
        assert len(everything) == 1797
        assert len(rows(*parts)) == 1400
        assert rows(*parts) < everything
        for part in parts:
            assert part.dtype == np.float64
            assert part.min() == split.low == 0
            assert part.max() == split.high == 16

    def test_parts_are_shuffled_digits(self):
        split = load_digits_split()
        label = {row.tobytes(): target for row, target in zip(*load_digits(return_X_y=True), strict=True)}
        for part in (split.train, split.fresh, split.test):
            labels = np.array([label[row.tobytes()] for row in part])
            assert shares(labels, 10) == pytest.approx(1, abs=0.5)
        # In scikit-learn's order they run 0, 1, ..., 9, 0, 1, ...
        assert (np.diff(labels) % 10 == 1).mean() < 0.2

    def test_seeds(self):
        first = load_digits_split()
        np.testing.assert_array_equal(first.train, load_digits_split(random_state=0).train)
        assert rows(first.train) != rows(load_digits_split(random_state=1).train)
        state = np.random.RandomState(5)
        one, two = (load_digits_split(random_state=state).test for _ in range(2))
        assert rows(one) != rows(two)
        np.testing.assert_array_equal(one, load_digits_split(random_state=np.random.RandomState(5)).test)

    def test_a_caller_cannot_spoil_the_next_split(self):
        load_digits_split().train[:] = -1
        assert load_digits_split().train.min() == 0

    def test_every_digit_can_be_used_and_no_more(self):
        split = load_digits_split(n_train=597, n_test=600)
        assert len(rows(split.train, split.fresh, split.test)) == 1797
        with pytest.raises(ValueError, match=r"n_train \+ 2 n_test = 1798, but there are only 1797 digits"):
            load_digits_split(n_train=598, n_test=600)

    @pytest.mark.parametrize("counts", [{"n_train": 0}, {"n_test": 0}, {"n_train": 1.5}, {"n_test": -3}])
    def test_bad_counts(self, counts):
        with pytest.raises(ValueError, match=rf"{next(iter(counts))} must be a positive .*whole number"):
            load_digits_split(**counts)
