"""Sets on a plane in R^d: the laws they are said to be, and nothing off the plane."""

import numpy as np
import pytest
from sklearn.datasets import make_moons

from proxflow.data.planes import PLANES, moons_on_plane, pinwheel_on_plane


def test_moons_are_scikit_learn_s():
    expected = (make_moons(40, noise=0.05, random_state=3)[0] - [0.5, 0.2]) * 4.2
    assert moons_on_plane(40, 7, 3)[:, :2] == pytest.approx(expected)


def test_pinwheel_has_five_bent_arms():
    points = pinwheel_on_plane(5000, 3, 0)[:, :2] / 1.4
    radius, angle = np.linalg.norm(points, axis=1), np.arctan2(points[:, 1], points[:, 0])
    # Straightened, the arms lie at multiples of 2π/5; near the centre the sideways noise is not small.
    outer = radius > 0.7
    arms = ((angle - 0.25 * np.exp(radius))[outer] / (2 * np.pi / 5)) % 5
    shares = np.bincount(np.rint(arms).astype(int) % 5) / outer.sum()
    assert shares.min() > 0.17
    assert np.std(arms - np.rint(arms)) == pytest.approx(0.1 * np.mean(1 / radius[outer]) * 5 / (2 * np.pi), rel=0.25)
    assert np.mean(radius**2) == pytest.approx(1 + 0.3**2 + 0.1**2, rel=0.03)


@pytest.mark.parametrize("draw", PLANES.values(), ids=PLANES)
def test_laws_of_all(draw):
    points = draw(20, 5, 1)
    assert points.shape == (20, 5)
    assert not points[:, 2:].any()
    assert np.array_equal(points[:, :2], draw(20, 2, 1))
    assert np.array_equal(points, draw(20, 5, 1))
    assert not np.array_equal(points, draw(20, 5, 2))
    with pytest.raises(ValueError, match="d must be at least 2"):
        draw(5, 1)
    with pytest.raises(ValueError, match="n must be"):
        draw(0, 2)
