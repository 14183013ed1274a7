"""Latent spaces one by one: how many components, by which route, what training keeps, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from proxflow import Autoencoder, PrincipalComponents
from proxflow.latent import (
    Encoding,
    Identity,
    PrincipalEncoding,
    autoencoder,
    carried_components,
    decode_displacement,
    encoding_arrays,
    encoding_from,
    latent_bound,
    named_latent,
    principal,
)

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(300, 40)) * np.linspace(5, 1, 40)
ANGLE = RNG.uniform(0, 4, size=(400, 1))
ARC = np.hstack([np.cos(ANGLE), np.sin(ANGLE)])
SMALL = Autoencoder(1, width=16, depth=2, steps=400)


class TestHowManyComponents:
    @pytest.mark.parametrize(("smallest", "k"), [(2, 2), (14, 2), (49, 9), (100, 20), (250, 50), (10_000, 50)])
    def test_a_fifth_of_the_smallest_class(self, smallest, k):
        assert carried_components(smallest) == k

    def test_the_smallest_class_decides(self):
        labels = np.repeat(["a", "b"], [255, 45])
        assert PrincipalComponents().fit(POINTS, labels=labels).n_components == 9
        assert PrincipalComponents().fit(POINTS).n_components == 39 + 1  # 300 / 5 = 60 of 40 features

    def test_rows_without_a_label_do_not_count(self):
        labels = np.array([None] * 5 + [np.nan] * 5 + ["a"] * 240 + ["b"] * 50, object)
        assert PrincipalComponents().fit(POINTS, labels=labels).n_components == 10

    def test_never_more_than_the_samples_span(self):
        flat = POINTS[:, :3] @ RNG.normal(size=(3, 20))
        assert PrincipalComponents().fit(flat).n_components == 3
        assert PrincipalComponents().fit(POINTS[:2]).n_components == 1
        with pytest.raises(ValueError, match="n_components=4, but the samples vary in 3 directions only"):
            PrincipalComponents(4).fit(flat)
        with pytest.raises(ValueError, match="n_components=10, but 10 samples of 40 features span at most 9"):
            PrincipalComponents(10).fit(POINTS[:10])
        with pytest.raises(ValueError, match="n_components=4, but the samples vary in 3 directions only"):
            Autoencoder(4).fit(flat)

    @pytest.mark.parametrize("wrong", [0, -1, 2.5, True])
    def test_a_number_of_components_is_whole_and_positive(self, wrong):
        with pytest.raises(ValueError, match="n_components must be a positive whole number"):
            PrincipalComponents(wrong).fit(POINTS)

    def test_labels_of_another_length(self):
        with pytest.raises(ValueError, match="expected one per sample, 300, got 2"):
            PrincipalComponents().fit(POINTS, labels=["a", "b"])


class TestPrincipalComponents:
    @pytest.mark.parametrize("points", [POINTS, POINTS[:30], sparse.csr_matrix(POINTS)], ids=["tall", "wide", "sparse"])
    @pytest.mark.parametrize("large", [False, True])
    def test_all_routes_find_the_same_plane(self, points, large, monkeypatch):
        dense = points.toarray() if sparse.issparse(points) else points
        values, rows = np.linalg.svd(dense - dense.mean(axis=0))[1:]
        if large:
            monkeypatch.setattr(principal, "_SMALL", 0)  # Gram matrices, or ARPACK
        found = PrincipalComponents(5).fit(points)
        np.testing.assert_allclose(np.abs(np.sum(found.basis * rows[:5], axis=1)), 1, atol=1e-9)
        assert found.explained == pytest.approx(np.sum(values[:5] ** 2) / np.sum(values**2))
        np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(5), atol=1e-12)

    def test_both_sides_large_is_scikit_learns_business(self, monkeypatch):
        exact = PrincipalComponents(5).fit(POINTS).explained
        monkeypatch.setattr(principal, "_SMALL", 0)
        monkeypatch.setattr(principal, "_GRAM", 10)
        found = PrincipalComponents(5).fit(POINTS, seed=3)
        assert 0.95 * exact < found.explained <= exact
        assert np.array_equal(found.basis, PrincipalComponents(5).fit(POINTS, seed=3).basis)

    def test_signs_do_not_hang_on_the_route(self, monkeypatch):
        first = PrincipalComponents(5).fit(POINTS).basis
        monkeypatch.setattr(principal, "_SMALL", 0)
        np.testing.assert_allclose(PrincipalComponents(5).fit(POINTS).basis, first, atol=1e-8)

    def test_slope_and_whitening(self):
        plain, white = PrincipalComponents(4).fit(POINTS), PrincipalComponents(4, whiten=True).fit(POINTS)
        assert plain.lipschitz == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(white.encode(POINTS).std(axis=0, ddof=1), 1)
        assert white.lipschitz == pytest.approx(plain.encode(POINTS)[:, 0].std(ddof=1))
        np.testing.assert_allclose(white.decode(white.encode(POINTS)), plain.decode(plain.encode(POINTS)), atol=1e-12)

    def test_large_values_lose_no_digits(self):
        found = PrincipalComponents(2).fit(POINTS + 1e9)
        np.testing.assert_allclose(found.basis, PrincipalComponents(2).fit(POINTS).basis, atol=1e-5)

    def test_samples_without_any_spread(self):
        with pytest.raises(ValueError, match="all samples are equal"):
            PrincipalComponents().fit(np.ones((20, 3)))

    def test_a_frame_of_ones_own(self):
        found = PrincipalEncoding(np.zeros(3), np.eye(3)[:2])
        assert found.encode([[1.0, 2.0, 3.0]]).tolist() == [[1.0, 2.0]]
        assert np.isnan(found.explained)
        with pytest.raises(ValueError, match="unlike shapes"):
            PrincipalEncoding(np.zeros(4), np.eye(3)[:2])


@pytest.fixture(scope="module")
def fitted():
    return SMALL.fit(ARC[:300])


class TestAutoencoder:
    def test_it_follows_what_a_plane_cannot(self, fitted):
        plane = PrincipalComponents(1).fit(ARC[:300])
        assert fitted.reconstruction_error(ARC[300:]).relative < 0.5 * plane.reconstruction_error(ARC[300:]).relative
        assert fitted.explained > plane.explained

    def test_its_slope_keeps_to_the_limit(self, fitted):
        bounded = Autoencoder(1, width=16, depth=2, steps=400, lipschitz=1.5).fit(ARC[:300])
        assert 1.2 < bounded.lipschitz <= 1.5 + 1e-6
        assert fitted.lipschitz > 1.5

    def test_without_any_slope_to_spare_it_is_the_plane(self):
        flat = Autoencoder(1, width=16, depth=2, steps=400, lipschitz=1).fit(ARC[:300])
        plane = PrincipalComponents(1).fit(ARC[:300])
        np.testing.assert_allclose(flat.decode([[0.5]]), plane.decode([[0.5]]), atol=0.1)
        assert flat.lipschitz == pytest.approx(1, abs=1e-6)

    def test_on_noise_it_stays_the_plane(self):
        noise = np.random.default_rng(1).normal(size=(300, 2))
        found, plane = SMALL.fit(noise), PrincipalComponents(1).fit(noise)
        assert found.reconstruction_error(noise).rms <= plane.reconstruction_error(noise).rms + 1e-9

    def test_another_seed_another_network(self, fitted):
        assert not np.array_equal(SMALL.fit(ARC[:300], seed=1).encode(ARC), fitted.encode(ARC))

    def test_a_training_that_breaks_says_so(self, monkeypatch):
        monkeypatch.setattr(autoencoder, "_RATE", 1e30)
        with pytest.raises(ValueError, match=r"error is (nan|inf) after 20 of 400 steps"):
            SMALL.fit(ARC[:300])

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"width": 7}, "even"),
            ({"steps": 0}, "steps"),
            ({"lipschitz": 0.5}, "at least 1"),
            ({"depth": 1.5}, "depth"),
        ],
    )
    def test_settings_out_of_range(self, settings, words):
        with pytest.raises(ValueError, match=words):
            Autoencoder(1, **settings).fit(ARC)

    def test_too_few_samples(self):
        with pytest.raises(ValueError, match="12 samples, but an autoencoder needs 20: use PrincipalComponents"):
            Autoencoder(1).fit(ARC[:12])


class TestDecodingADisplacement:
    encoding = PrincipalComponents(3).fit(POINTS)
    z = encoding.encode(POINTS)

    def test_it_keeps_the_type_and_takes_sparse_rows(self):
        single = POINTS.astype(np.float32)
        assert decode_displacement(self.encoding, single, self.z, self.z + 1).dtype == np.float32
        moved = decode_displacement(self.encoding, sparse.csr_matrix(POINTS), self.z, self.z + 1)
        np.testing.assert_allclose(moved, decode_displacement(self.encoding, POINTS, self.z, self.z + 1))
        assert decode_displacement(self.encoding, POINTS.astype(int), self.z, self.z).dtype == np.float64

    def test_blocks_of_rows_make_no_difference(self, monkeypatch):
        whole = decode_displacement(self.encoding, POINTS, self.z, self.z + 1)
        monkeypatch.setattr("proxflow.latent.base._BLOCK_VALUES", 7 * 40)
        np.testing.assert_allclose(decode_displacement(self.encoding, POINTS, self.z, self.z + 1), whole)

    def test_a_shift_for_every_row(self):
        shift = np.repeat([[1.0], [2.0]], 150, axis=0) * np.ones(40)
        moved = decode_displacement(self.encoding, POINTS, self.z, self.z, "recentre", shift=shift)
        np.testing.assert_allclose(moved - POINTS, shift)

    def test_what_it_refuses(self):
        with pytest.raises(ValueError, match="unknown residual 'lose': choose one of keep, drop, recentre"):
            decode_displacement(self.encoding, POINTS, self.z, self.z, "lose")
        with pytest.raises(ValueError, match="'recentre' needs a shift"):
            decode_displacement(self.encoding, POINTS, self.z, self.z, "recentre")
        with pytest.raises(ValueError, match="'keep' has no shift"):
            decode_displacement(self.encoding, POINTS, self.z, self.z, shift=np.zeros(40))
        with pytest.raises(ValueError, match=r"moved \(300, 2\): expected"):
            decode_displacement(self.encoding, POINTS, self.z, self.z[:, :2])


class TestTheBound:
    encoding = PrincipalComponents(3).fit(POINTS)

    def test_without_loss_it_is_the_latent_divergence(self):
        found = latent_bound(Identity().fit(POINTS), POINTS[:20] + 1, POINTS[20:50], L=0.3)
        assert found.value == found.upper
        assert found.lower <= found.upper <= found.lower * 1.001

    def test_the_mean_error_alone_would_be_no_bound(self):
        """KL moves mass to the sample that is badly reconstructed, so its error counts in full."""
        encoding = PrincipalEncoding(np.zeros(2), np.array([[1.0, 0.0]]))
        target = np.array([[0.0, 10.0]] + [[100.0, 0.0]] * 9)
        found = latent_bound(encoding, [[0.0]], target, L=1.0)
        assert found.reconstruction.mean == pytest.approx(1)
        assert found.missing == pytest.approx(10, rel=1e-3)
        # Exactly: all mass to the first sample, a tenth of Q, 10 away.
        assert found.value == pytest.approx(np.log(10) + 10, rel=1e-3)

    def test_it_tells_its_parts(self):
        found = latent_bound(self.encoding, self.encoding.encode(POINTS[:10]), POINTS[:50], L=0.3, kept=np.ones(10))
        assert found.value == found.upper + 0.3 * (found.missing + 1)
        for words in ("KL divergence D(P‖Q)", "reconstruction", "residuals kept", "P: 10 samples, Q: 50"):
            assert words in repr(found)
        assert found.to_dict()["value"] == found.value

    def test_too_many_pairs_prove_nothing(self, monkeypatch):
        monkeypatch.setattr("proxflow.latent.bound.EXACT_PAIRS", 100)
        assert latent_bound(self.encoding, self.encoding.encode(POINTS[:20]), POINTS).value == np.inf

    def test_what_it_refuses(self):
        z = self.encoding.encode(POINTS[:10])
        with pytest.raises(ValueError, match="L=inf"):
            latent_bound(self.encoding, z, POINTS, L=np.inf)
        with pytest.raises(ValueError, match=r"one length per sample is needed, shape \(10,\)"):
            latent_bound(self.encoding, z, POINTS, kept=np.ones(3))
        with pytest.raises(ValueError, match="2 columns, but the latent space has 3"):
            latent_bound(self.encoding, z[:, :2], POINTS)


def test_names_and_their_errors():
    assert named_latent("pca", 5) == PrincipalComponents(5)
    assert named_latent("autoencoder") == Autoencoder()
    assert named_latent(SMALL) is SMALL
    with pytest.raises(ValueError, match="unknown latent 'umap': choose one of identity, autoencoder, pca"):
        named_latent("umap")
    with pytest.raises(ValueError, match="give it to the latent itself"):
        named_latent(SMALL, 3)
    with pytest.raises(ValueError, match="keeps all features"):
        named_latent("identity", 3)


def test_files_of_another_kind_are_refused():
    arrays = encoding_arrays(PrincipalComponents(3).fit(POINTS))
    with pytest.raises(ValueError, match="no encoding of a known kind"):
        encoding_from({"x": np.zeros(3)})
    with pytest.raises(ValueError, match="not whole"):
        encoding_from({name: array for name, array in arrays.items() if name != "latent.mean"})
    with pytest.raises(ValueError, match="unlike shapes"):
        encoding_from(arrays | {"latent.mean": np.zeros(3)})

    class Mine(PrincipalEncoding):
        pass

    assert issubclass(Mine, Encoding)
    with pytest.raises(ValueError, match="cannot be written to a file"):
        encoding_arrays(Mine(np.zeros(3), np.eye(3)))
