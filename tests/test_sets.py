"""Sets of low dimension: points lie on them, evenly, and a flow finds them."""

import numpy as np
import pytest

from proxflow import ParticleTransport, nearest_distance
from proxflow.data import sets


class TestCarpet:
    def test_every_scale_has_its_holes(self):
        points = sets.sierpinski_carpet(3000, 1, level=3)
        assert points.min() >= 0
        assert points.max() <= 1
        for scale in range(3):
            digit = np.floor(points * 3 ** (scale + 1)).astype(int) % 3
            assert not (digit == 1).all(axis=1).any()
            squares = np.bincount(3 * digit[:, 0] + digit[:, 1], minlength=9)
            assert np.delete(squares, 4).min() > 3000 / 8 * 0.8  # and the other eight hold alike

    def test_one_point_in_every_cell(self):
        for n in (64, 128):
            points = sets.sierpinski_carpet(n, 0, level=2, one_per_cell=True)
            _, counts = np.unique(np.floor(points * 9), axis=0, return_counts=True)
            assert counts.tolist() == [n // 64] * 64
        assert len(np.unique(np.floor(sets.sierpinski_carpet(64, 0, level=2) * 9), axis=0)) < 64

    def test_in_space_it_lies_on_the_floor(self):
        points = sets.sierpinski_carpet(50, 3, dimension=3)
        assert not points[:, 2].any()
        assert np.array_equal(points[:, :2], sets.sierpinski_carpet(50, 3))

    def test_errors(self):
        with pytest.raises(ValueError, match="dimension"):
            sets.sierpinski_carpet(5, dimension=1)
        with pytest.raises(ValueError, match="level"):
            sets.sierpinski_carpet(5, level=0)


def test_the_roll_is_one_sheet():
    x, y, z = sets.swiss_roll_3d(2000, 0).T
    t = np.hypot(x, z)  # the angle is the radius
    assert np.cos(t) == pytest.approx(x / t)
    assert np.sin(t) == pytest.approx(z / t)
    for values, low, high in ((t, 1.5 * np.pi, 4.5 * np.pi), (y, 0, 21)):
        shares = np.histogram(values, 5, (low, high))[0] / 2000
        assert shares.min() > 0.16


class TestLorenz:
    def test_states_are_on_the_attractor(self):
        states = sets.lorenz_attractor(1500, 0)
        # known of the physical measure: <z> = 23.55, <x> = 0, <x²> = <xy> (from dx²/dt), <xy> = 8/3 <z> (from dz/dt)
        x, y, z = states.T
        assert z.mean() == pytest.approx(23.55, abs=0.9)
        assert abs(x.mean()) < 0.8
        assert np.mean(x * x) == pytest.approx(62.8, rel=0.1)
        assert np.mean(x * y) == pytest.approx(8 / 3 * 23.55, rel=0.12)
        # volumes shrink by e^-13.7 a time unit: of the box it fills less than what strangers would
        other = sets.lorenz_attractor(1500, 1)
        shuffled = np.column_stack([x, y[::-1], np.roll(z, 7)])
        assert np.median(nearest_distance(states, other)) < 0.7 * np.median(nearest_distance(shuffled, other))


@pytest.mark.parametrize("draw", sets.SETS.values(), ids=sets.SETS)
def test_same_seed_same_points(draw):
    assert np.array_equal(draw(4, 7), draw(4, 7))
    assert not np.array_equal(draw(4, 7), draw(4, 8))
    with pytest.raises(ValueError, match="n must be"):
        draw(0)


def test_a_flow_stays_on_the_floor_and_out_of_the_middle():
    train = sets.sierpinski_carpet(400, 0, level=1, dimension=3)
    new = ParticleTransport(steps=150, width=32, random_state=0).fit(train).particles_
    assert np.abs(new[:, 2]).max() < 1e-6
    inside = ((new[:, :2] > 0.38) & (new[:, :2] < 0.62)).all(axis=1)
    assert inside.mean() < 0.02
