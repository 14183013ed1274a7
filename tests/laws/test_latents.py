"""What every latent space promises, for all of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from laws.tables import LATENTS
from proxflow import divergence
from proxflow.latent import decode_displacement, encoding_arrays, encoding_from, latent_bound, residual_mean

ANGLES = np.random.default_rng(0).uniform(0, 4, size=(160, 2))
NOISE = np.random.default_rng(1).normal(size=(160, 6)) * 0.05
# A bent sheet, some noise, and a column that never changes: 2 directions to learn, 6 that vary.
POINTS = (
    np.hstack([3 * np.cos(ANGLES[:, :1]), 3 * np.sin(ANGLES[:, :1]), ANGLES[:, 1:] ** 2, np.zeros((160, 3))]) + NOISE
)
POINTS[:, 5] = 7.0


@pytest.fixture(scope="module")
def fitted():
    return {name: make().fit(POINTS, seed=0) for name, make in LATENTS.items()}


pytestmark = pytest.mark.parametrize("name", LATENTS)


def test_shapes_and_double_precision(fitted, name):
    encoding = fitted[name]
    z = encoding.encode(POINTS[:20])
    x = encoding.decode(z)
    assert (encoding.n_features, encoding.n_components) == (6, 6 if name == "identity" else 3)
    assert (z.shape, x.shape) == ((20, encoding.n_components), (20, 6))
    assert z.dtype == x.dtype == np.float64
    np.testing.assert_allclose(encoding.encode(sparse.csr_matrix(POINTS[:20])), z, atol=1e-9)


def test_reconstructions_keep_what_the_encoding_says(fitted, name):
    encoding = fitted[name]
    missed = np.linalg.norm(POINTS - encoding.decode(encoding.encode(POINTS)), axis=1)
    error = encoding.reconstruction_error(POINTS)
    assert error.rms == pytest.approx(np.sqrt(np.mean(missed**2)), abs=1e-12)
    assert error.mean == pytest.approx(missed.mean(), abs=1e-12)
    assert error.relative**2 == pytest.approx(1 - encoding.explained, abs=1e-9)
    assert error.relative < 0.3


def test_decoding_stretches_no_distance_beyond_the_bound(fitted, name):
    encoding = fitted[name]
    rng = np.random.default_rng(2)
    z = encoding.encode(POINTS)
    # Near and far, on the data and off it: a network is steepest somewhere.
    first = rng.normal(size=(4000, z.shape[1])) * z.std(axis=0) * 2
    last = first + rng.normal(size=first.shape) * 10.0 ** rng.uniform(-4, 1, size=(4000, 1))
    ratio = np.linalg.norm(encoding.decode(last) - encoding.decode(first), axis=1) / np.linalg.norm(
        last - first, axis=1
    )
    assert ratio.max() <= encoding.lipschitz * (1 + 1e-7)
    assert ratio.max() > 0.5 * encoding.lipschitz  # a bound that is far off would prove little


def test_the_same_seed_gives_the_same_bits(fitted, name):
    again = LATENTS[name]().fit(POINTS, seed=0)
    for key, array in fitted[name].arrays().items():
        assert np.array_equal(again.arrays()[key], array), key


def test_arrays_bring_it_back_bit_for_bit(fitted, name, tmp_path):
    encoding = fitted[name]
    np.savez(tmp_path / "encoding.npz", **encoding_arrays(encoding), other=np.zeros(3))
    with np.load(tmp_path / "encoding.npz", allow_pickle=False) as stored:
        back = encoding_from(dict(stored))
    z = encoding.encode(POINTS)
    assert type(back) is type(encoding)
    assert np.array_equal(back.encode(POINTS), z)
    assert np.array_equal(back.decode(z), encoding.decode(z))
    assert (back.lipschitz, back.explained) == (encoding.lipschitz, encoding.explained)


def test_what_did_not_move_keeps_its_bits_and_the_rest_its_residual(fitted, name):
    encoding = fitted[name]
    z = encoding.encode(POINTS)
    moved = z.copy()
    moved[::2] += 0.5
    kept = decode_displacement(encoding, POINTS, z, moved)
    assert np.array_equal(kept[1::2], POINTS[1::2])
    residual = POINTS - encoding.decode(z)
    np.testing.assert_allclose(kept - encoding.decode(moved), residual, atol=1e-9)
    np.testing.assert_array_equal(decode_displacement(encoding, POINTS, z, moved, "drop"), encoding.decode(moved))
    centred = decode_displacement(encoding, POINTS, z, z, "recentre", shift=-residual_mean(encoding, POINTS))
    np.testing.assert_allclose((centred - encoding.decode(z)).mean(axis=0), 0, atol=1e-9)


def test_it_refuses_what_it_cannot_read(fitted, name):
    holes = POINTS.copy()
    holes[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN in row 3, column 2"):
        LATENTS[name]().fit(holes)
    with pytest.raises(ValueError, match="nan in row 3, column 2"):
        fitted[name].encode(sparse.csr_matrix(holes))
    with pytest.raises(ValueError, match="5 features, but the encoding was fitted to 6"):
        fitted[name].encode(POINTS[:, :5])
    with pytest.raises(ValueError, match="at least 2 are needed"):
        LATENTS[name]().fit(POINTS[:1])


@pytest.mark.parametrize(("f", "reverse"), [("kl", False), ("kl", True), ("ipm", False), ("reverse_kl", False)])
def test_the_bound_holds_and_each_of_its_parts(fitted, name, f, reverse):
    """Against the exact divergence of the decoded samples, with both ends bracketed."""
    encoding, L = fitted[name], 0.7
    settings = {"f": f, "L": L, "reverse": reverse}
    rng = np.random.default_rng(3)
    moved = encoding.encode(POINTS[:40])
    moved = moved + 0.4 * moved.std(axis=0) * rng.normal(size=moved.shape)
    target = POINTS[60:110]
    bound = latent_bound(encoding, moved, target, **settings)
    assert bound.value >= divergence(encoding.decode(moved), target, **settings).lower
    # Without the reconstruction's part it still holds for the reconstructed target: data processing.
    images = encoding.decode(encoding.encode(target))
    assert bound.upper >= divergence(encoding.decode(moved), images, **settings).lower
    residuals = rng.normal(size=(40, 6)) * 0.3
    with_residuals = latent_bound(encoding, moved, target, **settings, kept=np.linalg.norm(residuals, axis=1))
    assert with_residuals.value >= divergence(encoding.decode(moved) + residuals, target, **settings).lower
    assert with_residuals.value > bound.value
