"""Images: the blur as a matrix, potentials behind it, when it is chosen, and convolutions by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from laws.fits import single
from proxflow import Blurred, Convolutional, GroupSort, ParticleTransport, divergence
from proxflow.defaults import image_shape
from proxflow.estimate import named_gamma
from proxflow.gamma import gradients
from proxflow.gamma.blurred import blur

RNG = np.random.default_rng(0)
SIDE = 8
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
CENTRES = RNG.uniform(1, 6, size=(60, 2, 1, 1))
BLOBS = np.exp(-((ROWS - CENTRES[:, 0]) ** 2 + (COLUMNS - CENTRES[:, 1]) ** 2) / 4).reshape(60, -1)  # in (0, 1]
QUICK = {"steps": 3, "updates": 2, "width": 8, "depth": 1, "random_state": 0, "bounds": (0, 1)}


def matrix(shape, weight):
    size = int(np.prod(shape))
    return np.asarray(blur(jnp.eye(size), shape, weight))


class TestBlur:
    @pytest.mark.parametrize("shape", [(5, 5, 1), (3, 6, 1), (4, 3, 2), (1, 4, 1), (1, 1, 1)])
    @pytest.mark.parametrize("weight", [0.3, 1.0])
    def test_it_is_symmetric_no_longer_than_one_and_can_be_undone(self, shape, weight):
        found = matrix(shape, weight)
        assert found == pytest.approx(found.T, abs=1e-7)
        values = np.linalg.eigvalsh(found.astype(np.float64))
        assert values[-1] == pytest.approx(1, abs=1e-6)
        assert values[0] > 0

    def test_it_is_the_kernel_away_from_the_border(self):
        spot = matrix((5, 5, 1), 1.0)[12].reshape(5, 5)
        assert spot[1:4, 1:4] * 16 == pytest.approx(np.outer([1, 2, 1], [1, 2, 1]))
        assert spot.sum() == pytest.approx(1)

    def test_channels_do_not_mix_and_constants_stay(self):
        found = matrix((4, 3, 2), 1.0)
        assert np.all(found[::2, 1::2] == 0)
        assert found @ np.ones(24) == pytest.approx(1)
        assert matrix((4, 3, 2), 0.0) == pytest.approx(np.eye(24))


class TestBlurred:
    def test_gradients_lose_what_differs_from_pixel_to_pixel(self):
        board = (-1.0) ** (ROWS + COLUMNS).ravel() / SIDE
        shares = []
        for gamma in (GroupSort(L=1.0, width=16), Blurred(GroupSort(L=1.0, width=16), (SIDE, SIDE))):
            phi = gamma.potential(gamma.init(jax.random.key(0), single(BLOBS), single(BLOBS)))
            slopes = np.asarray(gradients(phi, single(RNG.uniform(size=(20, 64)))))
            shares.append(np.abs(slopes @ board).mean() / np.linalg.norm(slopes, axis=1).mean())
        assert shares[1] < 0.05 * shares[0]

    def test_what_it_certifies_holds(self):
        x, y = BLOBS[:30], 0.5 * BLOBS[30:]
        exact = divergence(x, y, f="ipm")
        found = divergence(x, y, f="ipm", gamma=Blurred(GroupSort(L=1.0, width=16, updates=5), (SIDE, SIDE)), steps=60)
        assert found.lipschitz_bound <= 1 + 1e-5
        assert 0.3 * exact.upper < found.lower <= exact.upper

    def test_errors_name_the_numbers(self):
        with pytest.raises(ValueError, match="weight must be between 0 and 1, got 2"):
            Blurred(GroupSort(), (8, 8), weight=2.0)
        with pytest.raises(ValueError, match="have 64 numbers, but the data have 4 columns"):
            Blurred(GroupSort(), (8, 8)).init(jax.random.key(0), jnp.ones((3, 4)), jnp.ones((3, 4)))


class TestImageShape:
    def test_smooth_squares_are_images(self):
        assert image_shape(BLOBS) == (8, 8)

    @pytest.mark.parametrize(
        "table",
        {
            "columns in any order": BLOBS[:, RNG.permutation(64)],
            "no square": BLOBS[:, :63],
            "a small square": BLOBS[:, :49],
            "one factor": RNG.normal(size=(60, 1)) + 0.1 * RNG.normal(size=(60, 64)),
            "a walk": RNG.normal(size=(60, 64)).cumsum(axis=1),
            "constant": np.ones((60, 64)),
            "coarse digits": load_digits().data[:200],  # 8 x 8, too coarse for neighbours to go together
        }.items(),
        ids=lambda case: case[0],
    )
    def test_tables_are_not(self, table):
        assert image_shape(table[1]) is None


class TestFlow:
    def test_bounded_images_are_seen_through_the_blur_and_stay_in_the_box(self):
        transport = ParticleTransport(**QUICK).fit(BLOBS)
        assert transport.settings_["gamma"] == "Blurred(GroupSort)"
        assert transport.settings_["width"] == 8
        for made in (transport.particles_, transport.transform(BLOBS[:3] + 0.5), transport.sample(3)):
            assert made.min() >= 0
            assert made.max() <= 1

    def test_nothing_else_is(self):
        asked = ParticleTransport(**QUICK, gamma="groupsort").fit(BLOBS)
        shuffled = ParticleTransport(**QUICK).fit(BLOBS[:, RNG.permutation(64)])
        assert {t.settings_["gamma"] for t in (asked, shuffled)} == {"GroupSort"}


def test_labels_beside_the_pixels_are_seen_as_they_are():
    labelled = np.column_stack([BLOBS, 5.0 * (np.arange(60) % 2)])
    fit = ParticleTransport(**QUICK, fixed_columns=1).fit(labelled)
    assert fit.settings_["gamma"] == "Blurred(GroupSort)"
    assert set(fit.particles_[:, -1]) == {0.0, 5.0}
    seen = np.asarray(blur(jnp.asarray(labelled, jnp.float32), (8, 8, 1), 1.0))
    np.testing.assert_array_equal(seen[:, -1], labelled[:, -1])
    np.testing.assert_array_equal(seen[:, :-1], blur(jnp.asarray(BLOBS, jnp.float32), (8, 8, 1), 1.0))


class TestConvolutionsByName:
    def test_the_side_is_the_root_of_the_features(self):
        assert named_gamma("convolutional", 2.0, 49).shape == (7, 7, 1)
        with pytest.raises(ValueError, match=r"square image, but there are 50: pass gamma=Convolutional"):
            named_gamma("convolutional", 2.0, 50)

    def test_a_flow_keeps_pixels_where_they_are(self):
        settings = QUICK | {"bounds": None, "source": "uniform"}
        by_name = ParticleTransport(**settings, gamma="convolutional").fit(BLOBS)
        gamma = Convolutional((8, 8), by_name.settings_["L"], updates=2)
        asked = ParticleTransport(**settings, gamma=gamma).fit(BLOBS)
        assert by_name.settings_["gamma"] == "Convolutional"
        np.testing.assert_array_equal(by_name.particles_, asked.particles_)
