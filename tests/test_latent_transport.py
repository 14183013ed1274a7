"""LatentTransport: encode, move, decode; what is kept, what is bounded, and one file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils import estimator_checks

from proxflow import Autoencoder, LatentTransport, ParticleTransport, PrincipalComponents, divergence, oracle_ratio

TINY = ParticleTransport(steps=3, width=8, depth=1, updates=1, n_particles=80)
FAST = ParticleTransport(steps=60, width=16, depth=2, n_particles=80)
DIGITS = np.random.default_rng(0).permutation(load_digits().data)
A, B = DIGITS[:80] + 3.0, DIGITS[80:160]


class _OneArgument(LatentTransport):
    """scikit-learn's checks pass labels as the second argument, where this estimator takes a source."""

    def fit(self, target, y=None):
        return super().fit(target)


# All of scikit-learn's checks pass; these are the ones that this class answers for itself, in a few seconds.
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_estimators_unfitted,
        estimator_checks.check_fit1d,
        estimator_checks.check_n_features_in,
    ],
)
def test_scikit_learn_checks(check):
    check("LatentTransport", _OneArgument(TINY, random_state=0))


@pytest.fixture(scope="module")
def drawn():
    return LatentTransport(FAST, n_components=6, random_state=0).fit(B)


@pytest.fixture(scope="module")
def mapped():
    return LatentTransport(FAST, n_components=6, random_state=0).fit(B, A)


def test_new_samples_lie_in_the_latent_space(drawn):
    assert drawn.particles_.shape == (80, 64)
    assert drawn.encoding_.reconstruction_error(drawn.particles_).rms < 1e-9
    assert oracle_ratio(drawn.particles_, DIGITS[300:380], DIGITS[400:480]) < 1.15
    assert drawn.sample(5, method="replay").shape == (5, 64)


def test_the_seed_decides(drawn):
    again = LatentTransport(FAST, n_components=6, random_state=0).fit(B)
    assert np.array_equal(again.particles_, drawn.particles_)
    through_the_transport = clone(FAST).set_params(random_state=0)
    assert np.array_equal(LatentTransport(through_the_transport, n_components=6).fit(B).particles_, drawn.particles_)


def test_a_map_keeps_what_the_latent_space_does_not_see(mapped):
    encoding = mapped.encoding_
    lost = A - encoding.decode(encoding.encode(A))
    np.testing.assert_allclose(mapped.particles_ - encoding.decode(mapped.transport_.particles_), lost, atol=1e-8)
    np.testing.assert_allclose(mapped.transform(A[:5]), mapped.particles_[:5], atol=1e-3)
    assert np.linalg.norm(mapped.particles_.mean(0) - B.mean(0)) < 0.2 * np.linalg.norm(A.mean(0) - B.mean(0))


def test_residuals_dropped_and_recentred(mapped):
    dropped = LatentTransport(FAST, n_components=6, residual="drop", random_state=0).fit(B, A)
    np.testing.assert_allclose(dropped.particles_, mapped.encoding_.decode(mapped.transport_.particles_), atol=1e-9)
    assert dropped.bound_.kept == 0 < mapped.bound_.kept
    centred = LatentTransport(FAST, n_components=6, residual="recentre", random_state=0).fit(B, A)
    encoding = centred.encoding_
    ours = (centred.particles_ - encoding.decode(centred.transport_.particles_)).mean(axis=0)
    np.testing.assert_allclose(ours, (B - encoding.decode(encoding.encode(B))).mean(axis=0), atol=1e-8)


def test_the_smaller_side_decides_how_many_components():
    assert LatentTransport(TINY, random_state=0).fit(B, A[:34]).encoding_.n_components == 6
    assert LatentTransport(TINY, random_state=0).fit(B).encoding_.n_components == 16


def test_the_bound_holds_for_what_came_out(drawn, mapped):
    for fitted in (drawn, mapped):
        L = fitted.transport_.settings_["L"]
        assert fitted.bound_.value >= divergence(fitted.particles_, B, L=L).lower
        assert fitted.bound_.L == L
        assert fitted.bound_ is fitted.bound_
    assert drawn.bound_.kept == 0


def test_the_identity_changes_nothing():
    plain = clone(FAST).set_params(random_state=0).fit(B)
    same = LatentTransport(FAST, "identity", random_state=0).fit(B)
    np.testing.assert_array_equal(same.particles_, plain.particles_)
    assert same.bound_.missing == 0


@pytest.mark.parametrize("latent", ["pca", PrincipalComponents(6, whiten=True), Autoencoder(6, width=8, steps=20)])
def test_one_file_brings_it_back(latent, tmp_path):
    plain = latent == "pca"
    target = pd.DataFrame(B, columns=[f"p{i}" for i in range(64)]) if plain else B.astype(np.float32)
    source = None if plain else A
    fitted = LatentTransport(TINY, latent, n_components=6 if plain else None, random_state=0).fit(target, source)
    fitted.save(tmp_path / "flow.npz")
    back = LatentTransport.load(tmp_path / "flow.npz")
    assert np.array_equal(back.transform(target[:7]), fitted.transform(target[:7]))
    assert np.array_equal(back.sample(3, method="replay"), fitted.sample(3, method="replay"))
    assert np.array_equal(back.particles_, fitted.particles_)
    assert back.bound_ == fitted.bound_
    assert (back.latent, back.residual) == (latent, "keep")
    assert back.particles_.dtype == (np.float64 if plain else np.float32)
    assert list(getattr(back, "feature_names_in_", [])) == (list(target.columns) if plain else [])
    # Its settings make the same fit again.
    assert np.array_equal(clone(back).fit(target, source).particles_, fitted.particles_)


def test_a_recentred_map_in_a_file(tmp_path):
    fitted = LatentTransport(TINY, n_components=6, residual="recentre", random_state=0).fit(B, A)
    fitted.save(tmp_path / "flow.npz")
    assert np.array_equal(LatentTransport.load(tmp_path / "flow.npz").transform(A), fitted.transform(A))


def test_files_that_are_none(tmp_path, drawn):
    clone(TINY).set_params(random_state=0).fit(B).save(tmp_path / "plain.npz")
    with pytest.raises(ValueError, match="not a latent transport that can be read"):
        LatentTransport.load(tmp_path / "plain.npz")
    drawn.save(tmp_path / "latent.npz")
    with pytest.raises(ValueError, match="not a flow that can be read"):
        ParticleTransport.load(tmp_path / "latent.npz")
    with pytest.raises(ValueError, match="cannot read"):
        LatentTransport.load(tmp_path / "nothing.npz")


def test_sparse_rows(drawn):
    fitted = LatentTransport(FAST, n_components=6, random_state=0).fit(sparse.csr_matrix(B))
    np.testing.assert_allclose(fitted.encoding_.basis, drawn.encoding_.basis, atol=1e-8)
    mapped = LatentTransport(TINY, n_components=6, random_state=0).fit(sparse.csr_matrix(B), sparse.csr_matrix(A))
    dense = LatentTransport(TINY, n_components=6, random_state=0).fit(B, A)
    np.testing.assert_allclose(mapped.particles_, dense.particles_, atol=1e-4)
    np.testing.assert_allclose(mapped.transform(sparse.csr_matrix(A[:3])), dense.transform(A[:3]), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"latent": "umap"}, "unknown latent 'umap': choose one of identity, autoencoder, pca"),
        ({"residual": "lose"}, "unknown residual 'lose': choose one of keep, drop, recentre"),
        ({"residual": "recentre"}, "for a given source"),
        ({"n_components": 80}, "n_components=80, but 80 samples of 64 features span at most 64"),
        ({"latent": PrincipalComponents(3), "n_components": 3}, "give it to the latent itself"),
        ({"transport": ParticleTransport(bounds=(0, 16))}, "bounds speaks of the data's columns"),
        ({"transport": ParticleTransport(fixed_columns=2)}, "fixed_columns speaks of the data's columns"),
        ({"transport": ParticleTransport(f="nothing")}, "nothing"),
    ],
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(ValueError, match=words):
        LatentTransport(**settings).fit(B)


def test_bad_samples_are_named(drawn):
    holes = B.copy()
    holes[2, 5] = np.nan
    with pytest.raises(ValueError, match="target: NaN in row 2, column 5"):
        LatentTransport(TINY).fit(holes)
    with pytest.raises(ValueError, match="source: NaN in row 2, column 5"):
        LatentTransport(TINY).fit(B, holes)
    with pytest.raises(ValueError, match="64 features and the source has 3"):
        LatentTransport(TINY).fit(B, A[:, :3])
    with pytest.raises(ValueError, match="features"):
        drawn.transform(A[:, :3])
