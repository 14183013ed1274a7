"""integrate and Integration: scanpy's conventions, later samples, and what is refused with nothing written."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

anndata = pytest.importorskip("anndata", reason="needs the bio extra")
pd = pytest.importorskip("pandas")
from scipy import sparse  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402

from proxflow import BatchTransport, Integration, integrate  # noqa: E402

START = BatchTransport(max_path=0)  # instant
FLOWS = BatchTransport(start="shift", max_path=0.1, folds=2, width=16, updates=2, n_components=3)
GENES = 30
COMMON = {"reference": "A", "label_key": "er", "transport": START}


def expression(n=60, seed=0, batches=("A", "B")):
    """Two cohorts of n, half of each positive: the first three genes know. B is shifted, gene by gene, and bent."""
    rng = np.random.default_rng(seed)
    cohort, er = np.repeat(batches, n), np.tile(["pos", "neg"], n * len(batches) // 2)
    x = rng.normal(size=(len(cohort), GENES)) * np.r_[2.0, 1.5, 1.2, np.full(GENES - 3, 0.4)] + 9
    bend = 0.8 * ((x[:, 0] - 9) ** 2 - 4)
    x[er == "pos", :3] += 3
    for i, batch in enumerate(batches[1:], 1):
        rows = cohort == batch
        x[rows] += i * np.linspace(0.5, 2, GENES)
        x[rows, 1] += bend[rows]
    adata = anndata.AnnData(x.astype(np.float32))
    adata.obs_names = [f"{c}{i}" for i, c in enumerate(cohort)]
    adata.var_names = [f"gene{i}" for i in range(GENES)]
    order = rng.permutation(len(cohort))
    adata.obs["cohort"], adata.obs["er"] = cohort, er
    return adata[order].copy()


def with_pca(adata, components=8):
    """As sc.pp.pca leaves it."""
    dense = adata.X.toarray() if sparse.issparse(adata.X) else np.asarray(adata.X)
    found = PCA(components, random_state=0).fit(dense)
    adata.obsm["X_pca"] = found.transform(dense).astype(np.float32)
    adata.varm["PCs"] = found.components_.T.astype(np.float64)
    adata.uns["pca"] = {
        "params": {"zero_center": True, "use_highly_variable": False, "mask_var": None},
        "variance": found.explained_variance_, "variance_ratio": found.explained_variance_ratio_,
    }  # fmt: skip
    return adata


def content(adata):
    """All that a call may have written to."""
    return {
        "X": (adata.X.toarray() if sparse.issparse(adata.X) else np.asarray(adata.X[:])).copy(),
        "obs": adata.obs.copy(), "obsm": {name: np.array(value) for name, value in adata.obsm.items()},
        "layers": sorted(adata.layers), "varm": sorted(adata.varm), "uns": sorted(adata.uns), "var": adata.var.copy(),
    }  # fmt: skip


def unchanged(adata, before):
    after = content(adata)
    np.testing.assert_array_equal(after["X"], before["X"])
    pd.testing.assert_frame_equal(after["obs"], before["obs"])
    pd.testing.assert_frame_equal(after["var"], before["var"])
    assert after["obsm"].keys() == before["obsm"].keys()
    for name, value in before["obsm"].items():
        np.testing.assert_array_equal(after["obsm"][name], value)
    return all(after[name] == before[name] for name in ("layers", "varm", "uns"))


@pytest.fixture(scope="module")
def done():
    """Integrated with a flow, genes written; and what it was before."""
    adata = with_pca(expression())
    before = content(adata)
    assert integrate(adata, "cohort", reference="A", label_key="er", transport=FLOWS, expression_layer="moved") is None
    assert min(adata.uns["proxflow"]["batches"]["B"]["paths"].values()) > 0
    return adata, before


# ---------------------------------------------------------------------- what is written


def test_only_new_keys_are_written_and_x_is_not_touched(done):
    adata, before = done
    after = content(adata)
    np.testing.assert_array_equal(after["X"], before["X"])
    assert after["obsm"].keys() - before["obsm"].keys() == {"X_pca_proxflow"}
    np.testing.assert_array_equal(after["obsm"]["X_pca"], before["obsm"]["X_pca"])
    assert set(after["obs"]) - set(before["obs"]) == {"proxflow_shift"}
    assert after["uns"] == ["pca", "proxflow"]
    assert after["layers"] == ["moved"]
    assert after["varm"] == ["PCs"]
    pd.testing.assert_frame_equal(after["obs"][before["obs"].columns], before["obs"])  # order, names, columns


def test_the_reference_is_copied_bit_for_bit(done):
    adata, _ = done
    a = (adata.obs["cohort"] == "A").to_numpy()
    assert adata.obsm["X_pca_proxflow"].dtype == adata.obsm["X_pca"].dtype == np.float32
    assert (adata.obsm["X_pca_proxflow"][a] == adata.obsm["X_pca"][a]).all()
    assert (adata.layers["moved"][a] == adata.X[a]).all()
    assert adata.layers["moved"].dtype == np.float32
    assert (adata.obs["proxflow_shift"][a] == 0).all()
    assert (adata.obs["proxflow_shift"][~a] > 0.5).all()


def test_the_shift_is_the_length_of_the_way(done):
    adata, _ = done
    way = np.linalg.norm(adata.obsm["X_pca_proxflow"] - adata.obsm["X_pca"], axis=1)
    np.testing.assert_allclose(adata.obs["proxflow_shift"], way, atol=1e-4)


def test_batches_meet_class_by_class(done):
    adata, _ = done
    for name, scale in (("X_pca_proxflow", 1.0), ("moved", 1.0)):
        values = adata.obsm[name] if name in adata.obsm else adata.layers[name]
        for er in ("pos", "neg"):
            means = [values[((adata.obs["cohort"] == c) & (adata.obs["er"] == er)).to_numpy()].mean(0) for c in "AB"]
            assert np.abs(means[0] - means[1]).max() < 0.6 * scale
    assert np.abs(adata.X[(adata.obs["cohort"] == "A").to_numpy()].mean() - adata.X.mean()) > 0.4


def test_genes_move_as_the_loadings_say_and_keep_the_rest(done):
    adata, _ = done
    way = (adata.obsm["X_pca_proxflow"] - adata.obsm["X_pca"]).astype(np.float64) @ adata.varm["PCs"].T
    np.testing.assert_allclose(adata.layers["moved"] - adata.X, way, atol=1e-4)
    again = with_pca(expression())
    again.varm["PCs"][4:7] = 0  # as of genes that are not highly variable
    again.obsm["X_pca"] = np.asarray((again.X - again.X.mean(0)) @ again.varm["PCs"], np.float32)
    integrate(again, "cohort", **COMMON, expression_layer="moved")
    assert (again.layers["moved"][:, 4:7] == again.X[:, 4:7]).all()
    assert (again.layers["moved"][:, 7] != again.X[:, 7]).any()


def test_parameters_and_history(done):
    kept = done[0].uns["proxflow"]
    assert kept["params"] == {
        "key": "cohort", "reference": "A", "label_key": "er", "basis": "X_pca", "adjusted_basis": "X_pca_proxflow",
        "expression_layer": "moved", "unlabeled": "error", "seed": 0,
    }  # fmt: skip
    course = kept["batches"]["B"]
    assert course["start"] == "shift"
    assert set(course["paths"]) == {"pos", "neg"}
    assert course["heldout_energy"]["unmoved"] > course["heldout_energy"]["shift"]
    assert len(course["path_grid"]) == 6
    assert all("start:" in note for note in course["notes"][-1:])


def test_other_names_a_copy_and_the_seed():
    adata = with_pca(expression())
    before = content(adata)
    options = {"reference": "A", "label_key": "er", "transport": FLOWS}
    copied = integrate(adata, "cohort", **options, copy=True, adjusted_basis="X_new", key_added="mine", rng=3)
    assert unchanged(adata, before)
    assert "X_new" in copied.obsm
    assert "mine_shift" in copied.obs
    assert copied.uns["mine"]["params"]["seed"] == 3
    again = integrate(adata, "cohort", **options, copy=True, rng=3)
    np.testing.assert_array_equal(again.obsm["X_pca_proxflow"], copied.obsm["X_new"])
    zero, none, other = (
        integrate(adata, "cohort", **options, copy=True, rng=r).obsm["X_pca_proxflow"] for r in (0, None, 4)
    )
    np.testing.assert_array_equal(zero, none)
    assert (zero != other).any()


def test_a_generator_is_a_seed_that_goes_on():
    adata, seeds = with_pca(expression()), []
    for rng in (np.random.default_rng(5), np.random.default_rng(5)):
        for _ in range(2):
            integrate(adata, "cohort", **COMMON, rng=rng)
            seeds.append(adata.uns["proxflow"]["params"]["seed"])
    assert seeds[:2] == seeds[2:]
    assert seeds[0] != seeds[1]
    integrate(adata, "cohort", **COMMON, rng=np.random.RandomState(5))
    with pytest.raises(ValueError, match="random_state"):
        integrate(adata, "cohort", **COMMON, rng=-1)


def test_a_transport_of_the_callers_is_not_changed():
    mine = BatchTransport(max_path=0, random_state=7)
    integrate(with_pca(expression()), "cohort", reference="A", transport=mine, rng=1)
    assert mine.random_state == 7
    assert not hasattr(mine, "start_")


# ---------------------------------------------------------------------- where it comes from


@pytest.mark.parametrize("kind", ["dense", "csr", "csc", "float64"])
def test_without_a_pca_one_is_computed_and_stored(kind):
    adata = expression()
    if kind in ("csr", "csc"):
        adata.X = (sparse.csr_matrix if kind == "csr" else sparse.csc_matrix)(adata.X)
    if kind == "float64":
        adata.X = adata.X.astype(np.float64)
    integrate(adata, "cohort", **COMMON, expression_layer="moved")
    dense = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    assert adata.obsm["X_pca"].shape == (120, 30)
    assert adata.varm["PCs"].shape == (30, 30)
    centred = dense - dense.mean(axis=0)
    np.testing.assert_allclose(centred @ adata.varm["PCs"], adata.obsm["X_pca"], atol=1e-3)
    variances = PCA(30).fit(dense).explained_variance_
    np.testing.assert_allclose(adata.uns["pca"]["variance"], variances, rtol=1e-3)
    assert adata.uns["pca"]["variance_ratio"].sum() == pytest.approx(1, abs=1e-3)
    a = (adata.obs["cohort"] == "A").to_numpy()
    assert (adata.obsm["X_pca_proxflow"][a] == adata.obsm["X_pca"][a]).all()
    assert (adata.layers["moved"][a] == dense[a]).all()
    assert adata.layers["moved"].dtype == adata.X.dtype
    first = adata.obsm["X_pca_proxflow"].copy()
    integrate(adata, "cohort", **COMMON)  # now it is there, and found
    np.testing.assert_allclose(adata.obsm["X_pca_proxflow"], first, atol=1e-4)


def test_sparse_x_stays_sparse_and_gives_what_dense_gives():
    dense, thin = with_pca(expression()), with_pca(expression())
    thin.X = sparse.csr_matrix(thin.X)
    for adata in (dense, thin):
        integrate(adata, "cohort", **COMMON, expression_layer="moved")
    assert sparse.issparse(thin.X)
    np.testing.assert_array_equal(thin.obsm["X_pca_proxflow"], dense.obsm["X_pca_proxflow"])
    np.testing.assert_allclose(thin.layers["moved"], dense.layers["moved"], atol=1e-5)


def test_the_genes_themselves_as_basis():
    for adata in (expression(), with_pca(expression())):
        integrate(adata, "cohort", **COMMON, basis="X", expression_layer="moved")
        a = (adata.obs["cohort"] == "A").to_numpy()
        assert (adata.layers["moved"][a] == adata.X[a]).all()
        assert (adata.obsm["X_pca_proxflow"][a] == adata.obsm["X_pca"][a]).all()
        offset = (adata.X @ adata.varm["PCs"] - adata.obsm["X_pca"]).mean(axis=0)
        np.testing.assert_allclose(
            adata.obsm["X_pca_proxflow"], adata.layers["moved"] @ adata.varm["PCs"] - offset, atol=1e-3
        )
        way = np.linalg.norm(adata.layers["moved"] - adata.X, axis=1)
        np.testing.assert_allclose(adata.obs["proxflow_shift"], way, atol=1e-3)
        means = [adata.layers["moved"][(adata.obs["cohort"] == c).to_numpy()].mean(axis=0) for c in "AB"]
        np.testing.assert_allclose(means[0], means[1], atol=0.3)


def test_genes_as_basis_beside_a_pca_that_is_of_something_else():
    adata = with_pca(expression())
    adata.obsm["X_pca"] = -3 * adata.obsm["X_pca"][:, ::-1]  # of other values, say: not what PCs make of X
    before = content(adata)
    with pytest.raises(ValueError, match=r"obsm\['X_pca'\] is not the PCA of X"):
        integrate(adata, "cohort", **COMMON, basis="X")
    assert unchanged(adata, before)


def test_names_that_are_taken_are_not_replaced():
    adata = with_pca(expression())
    adata.layers["counts"] = adata.X.copy()
    adata.uns["neighbors"] = {"params": {}}
    for taken, place in (
        ({"expression_layer": "counts"}, r"layers\['counts'\]"),
        ({"key_added": "neighbors"}, r"uns\['neighbors'\]"),
        ({"adjusted_basis": "X_umap"}, r"obsm\['X_umap'\]"),
    ):
        adata.obsm["X_umap"] = adata.obsm["X_pca"][:, :2].copy()
        with pytest.raises(ValueError, match=place):
            integrate(adata, "cohort", **COMMON, **taken)
    integrate(adata, "cohort", **COMMON)
    integrate(adata, "cohort", **COMMON)  # its own it may replace


def test_another_basis_is_moved_and_has_no_genes():
    adata = with_pca(expression())
    adata.obsm["X_umap"] = np.asarray(adata.obsm["X_pca"][:, :2] ** 3, np.float64)
    integrate(adata, "cohort", **COMMON, basis="X_umap")
    assert adata.obsm["X_umap_proxflow"].dtype == np.float64
    before = content(adata)
    with pytest.raises(ValueError, match="cannot be decoded to genes"):
        integrate(adata, "cohort", **COMMON, basis="X_umap", expression_layer="moved")
    assert unchanged(adata, before)


def test_loadings_of_another_x_matter_only_for_genes():
    adata = with_pca(expression())
    adata.X = adata.X * 2 + adata.X**2 / 9
    integrate(adata, "cohort", **COMMON)
    with pytest.raises(ValueError, match=r"not what varm\['PCs'\] make of X.*Run\s+sc.pp.pca"):
        integrate(adata, "cohort", **COMMON, expression_layer="moved")


def test_a_view_becomes_its_own_data():
    whole = with_pca(expression())
    view = whole[whole.obs["er"] == "pos"]
    assert view.is_view
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata says that the view is copied
        integrate(view, "cohort", reference="A", transport=START)
    assert "X_pca_proxflow" in view.obsm
    assert set(whole.obsm) == {"X_pca"}


@pytest.mark.parametrize("thin", [False, True])
def test_backed_data(tmp_path, thin):
    adata = with_pca(expression())
    expected = integrate(adata, "cohort", **COMMON, copy=True, expression_layer="moved")
    if thin:
        adata.X = sparse.csr_matrix(adata.X)
    adata.write_h5ad(tmp_path / "a.h5ad")
    size = (tmp_path / "a.h5ad").stat().st_size
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    integrate(backed, "cohort", **COMMON)
    np.testing.assert_array_equal(backed.obsm["X_pca_proxflow"], expected.obsm["X_pca_proxflow"])
    integrate(backed, "cohort", **COMMON, expression_layer="moved")
    np.testing.assert_allclose(backed.layers["moved"], expected.layers["moved"], atol=1e-5)
    assert backed.isbacked
    with pytest.raises(ValueError, match=r"backed"):
        integrate(backed, "cohort", **COMMON, copy=True)
    backed.file.close()
    assert (tmp_path / "a.h5ad").stat().st_size == size
    del adata.obsm["X_pca"], adata.varm["PCs"]
    adata.write_h5ad(tmp_path / "b.h5ad")
    backed = anndata.read_h5ad(tmp_path / "b.h5ad", backed="r")
    integrate(backed, "cohort", **COMMON)
    assert backed.obsm["X_pca"].shape == (120, 30)
    backed.file.close()


# ---------------------------------------------------------------------- later samples


@pytest.fixture(scope="module", params=["X_pca", "computed", "X"])
def fitted(request):
    train = expression(seed=1) if request.param == "computed" else with_pca(expression(seed=1))
    basis = "X" if request.param == "X" else "X_pca"
    model = Integration.fit(train, "cohort", reference="A", label_key="er", basis=basis, transport=FLOWS)
    assert max(model.transports["B"].paths_.values()) > 0
    return model, train


def test_a_fit_writes_nothing_and_projects_as_integrate_does(fitted):
    model, train = fitted
    assert set(train.obsm) <= {"X_pca"}
    one, two = train.copy(), train.copy()
    model.project(one, expression_layer="moved")
    integrate(
        two, "cohort", reference="A", label_key="er", basis=model.basis, transport=FLOWS, expression_layer="moved"
    )
    np.testing.assert_array_equal(one.obsm["X_pca_proxflow"], two.obsm["X_pca_proxflow"])
    np.testing.assert_array_equal(one.layers["moved"], two.layers["moved"])
    assert "X_pca" in one.obsm


def test_later_samples_go_where_they_would_have_gone(fitted):
    model, train = fitted
    whole = train.copy()
    model.project(whole, expression_layer="moved")
    later = train[:50].copy()
    for key in list(later.obsm):
        del later.obsm[key]
    later.varm.clear()
    model.project(later, expression_layer="moved")
    np.testing.assert_allclose(later.obsm["X_pca_proxflow"], whole.obsm["X_pca_proxflow"][:50], atol=1e-3)
    np.testing.assert_allclose(later.layers["moved"], whole.layers["moved"][:50], atol=1e-3)
    assert (later.obs_names == train.obs_names[:50]).all()


def test_as_many_later_samples_as_the_fit_had_are_not_taken_for_them(fitted):
    model, train = fitted
    later = expression(seed=9)
    assert later.n_obs == train.n_obs
    model.project(later, expression_layer="moved")
    by_parts = [expression(seed=9)[rows].copy() for rows in (slice(0, 70), slice(70, 120))]
    for part in by_parts:
        model.project(part, expression_layer="moved")
    for name in ("obsm", "layers"):
        key = "X_pca_proxflow" if name == "obsm" else "moved"
        joined = np.concatenate([getattr(part, name)[key] for part in by_parts])
        np.testing.assert_allclose(getattr(later, name)[key], joined, atol=1e-3)


def test_a_pca_of_their_own_is_another_space(fitted):
    model, _ = fitted
    plain, own = expression(seed=9), with_pca(expression(seed=9))
    for later in (plain, own):
        model.project(later)
    np.testing.assert_allclose(own.obsm["X_pca_proxflow"], plain.obsm["X_pca_proxflow"], atol=1e-4)


def test_genes_are_matched_by_name(fitted):
    model, _ = fitted
    later, shuffled = expression(seed=9), expression(seed=9)
    shuffled = shuffled[:, np.random.default_rng(0).permutation(GENES)].copy()
    for adata in (later, shuffled):
        model.project(adata, expression_layer="moved")
    np.testing.assert_allclose(shuffled.obsm["X_pca_proxflow"], later.obsm["X_pca_proxflow"], atol=1e-4)
    np.testing.assert_allclose(shuffled[:, later.var_names].layers["moved"], later.layers["moved"], atol=1e-4)
    few = expression(seed=9)[:, 2:].copy()
    before = content(few)
    with pytest.raises(ValueError, match=r"2 of the 30 genes of the fit are missing, such as .*gene0"):
        model.project(few)
    assert unchanged(few, before)


def test_genes_that_the_fit_did_not_have_stay(fitted):
    model, _ = fitted
    later = expression(seed=9)
    extra = anndata.AnnData(np.full((120, 1), 5.5, np.float32), obs=later.obs.copy())
    extra.var_names = ["unheard"]
    wide = anndata.concat([extra, later], axis=1, merge="same")
    for adata in (later, wide):
        model.project(adata, expression_layer="moved")
    assert (wide.layers["moved"][:, 0] == 5.5).all()
    np.testing.assert_allclose(wide.layers["moved"][:, 1:], later.layers["moved"], atol=1e-5)


def test_one_later_sample_is_enough(fitted):
    model, _ = fitted
    many = expression(seed=9)
    model.project(many)
    one = expression(seed=9)[[5]].copy()
    model.project(one)
    np.testing.assert_allclose(one.obsm["X_pca_proxflow"], many.obsm["X_pca_proxflow"][[5]], atol=1e-4)


def test_a_batch_that_the_fit_did_not_have(fitted):
    model, _ = fitted
    later = expression(seed=9, batches=("A", "B", "C"))
    before = content(later)
    with pytest.raises(ValueError, match=r"batch 'C' was not in the fit, which had \['A', 'B'\]"):
        model.project(later)
    assert unchanged(later, before)


def test_values_that_are_nan_are_named_by_gene_and_sample_in_any_order(fitted):
    model, _ = fitted
    later = expression(seed=9)[:, ::-1].copy()
    later.X[3, 4] = np.nan
    with pytest.raises(ValueError, match=rf"gene 'gene25' in sample '{later.obs_names[3]}'"):
        model.project(later)
    assert "proxflow_shift" not in later.obs


def test_one_file_brings_the_model_back(fitted, tmp_path):
    model, train = fitted
    model.save(tmp_path / "model.npz")
    back = Integration.load(tmp_path / "model.npz")
    for data in (expression(seed=9), train.copy()):
        mine, theirs = data.copy(), data.copy()
        model.project(mine, expression_layer="moved")
        back.project(theirs, expression_layer="moved")
        np.testing.assert_allclose(theirs.obsm["X_pca_proxflow"], mine.obsm["X_pca_proxflow"], atol=1e-4)
        np.testing.assert_allclose(theirs.layers["moved"], mine.layers["moved"], atol=1e-4)
        assert theirs.uns["proxflow"]["params"] == mine.uns["proxflow"]["params"]
    (tmp_path / "half.npz").write_bytes((tmp_path / "model.npz").read_bytes()[:3000])
    with pytest.raises(ValueError, match="damaged or not a fitted integration"):
        Integration.load(tmp_path / "half.npz")
    with pytest.raises(ValueError, match="No such file"):
        Integration.load(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="not a fitted batch transport"):
        BatchTransport.load(tmp_path / "model.npz")


def test_unfitted_has_the_settings_of_the_fit(fitted):
    fresh = fitted[0].unfitted()
    assert fresh.get_params() == FLOWS.get_params() | {"random_state": 0}
    assert not hasattr(fresh, "start_")


# ---------------------------------------------------------------------- batches and classes


def test_every_batch_is_carried_by_its_own_map():
    adata = with_pca(expression(batches=("A", "B", "C")))
    integrate(adata, "cohort", **COMMON)
    assert set(adata.uns["proxflow"]["batches"]) == {"B", "C"}
    pairs = with_pca(expression(batches=("A", "B", "C")))
    rows = (pairs.obs["cohort"] != "C").to_numpy()
    two = pairs[rows].copy()
    integrate(two, "cohort", **COMMON)
    np.testing.assert_allclose(two.obsm["X_pca_proxflow"], adata.obsm["X_pca_proxflow"][rows], atol=1e-4)


def test_columns_may_be_numbers_or_categories():
    text, other = with_pca(expression()), with_pca(expression())
    integrate(text, "cohort", **COMMON)
    other.obs["cohort"] = pd.Categorical((other.obs["cohort"] == "B").astype(int), categories=[1, 0, 2])
    other.obs["er"] = other.obs["er"].astype("category")
    integrate(other, "cohort", reference=0, label_key="er", transport=START)
    np.testing.assert_array_equal(other.obsm["X_pca_proxflow"], text.obsm["X_pca_proxflow"])
    assert other.obs["cohort"].cat.categories.tolist() == [1, 0, 2]


def holes(adata, count=6):
    er = adata.obs["er"].astype(object)
    rows = np.flatnonzero(adata.obs["cohort"] == "B")[:count]
    er.iloc[rows[: count // 2]], er.iloc[rows[count // 2 :]] = None, " "
    adata.obs["er"] = er
    return rows


def test_samples_without_a_class():
    adata, truth = with_pca(expression()), expression().obs["er"].to_numpy()
    rows = holes(adata)
    before = content(adata)
    with pytest.raises(
        ValueError, match=rf"no value for 6 samples, such as '{adata.obs_names[rows[0]]}'.*nearest.*pool"
    ):
        integrate(adata, "cohort", **COMMON)
    assert unchanged(adata, before)
    with pytest.raises(ValueError, match="choose one of error, pool, nearest"):
        integrate(adata, "cohort", **COMMON, unlabeled="drop")
    nearest = integrate(adata, "cohort", **COMMON, unlabeled="nearest", copy=True)
    assert (nearest.obs["proxflow_label"].iloc[rows] == truth[rows]).mean() > 0.8
    labelled_rows = np.setdiff1d(np.arange(120), rows)
    assert (nearest.obs["proxflow_label"].iloc[labelled_rows] == truth[labelled_rows]).all()
    pooled = integrate(adata, "cohort", **COMMON, unlabeled="pool", copy=True)
    assert "proxflow_label" not in pooled.obs
    ways = (pooled.obsm["X_pca_proxflow"] - pooled.obsm["X_pca"])[rows]
    assert (np.linalg.norm(ways, axis=1) > 1).all()
    same = nearest.obsm["X_pca_proxflow"][labelled_rows] == pooled.obsm["X_pca_proxflow"][labelled_rows]
    assert same.all()


def test_later_samples_without_any_class():
    model = Integration.fit(with_pca(expression()), "cohort", **COMMON, unlabeled="nearest")
    later = expression(seed=9)[:20].copy()
    truth, later.obs["er"] = later.obs["er"].to_numpy(), None
    model.project(later)
    b = (later.obs["cohort"] == "B").to_numpy()
    assert (later.obs["proxflow_label"].to_numpy()[b] == truth[b]).mean() > 0.8
    strict = Integration.fit(with_pca(expression()), "cohort", **COMMON)
    with pytest.raises(ValueError, match="no value for 20 samples"):
        strict.project(later)


def test_a_class_that_the_reference_lacks_stays_with_a_warning():
    adata = with_pca(expression())
    b = np.flatnonzero(adata.obs["cohort"] == "B")[:10]
    er = adata.obs["er"].to_numpy().astype(object)
    er[b] = "unheard"
    adata.obs["er"] = er
    with pytest.warns(UserWarning, match="'unheard'"):
        integrate(adata, "cohort", **COMMON)
    np.testing.assert_array_equal(adata.obsm["X_pca_proxflow"][b], adata.obsm["X_pca"][b])


# ---------------------------------------------------------------------- what is refused


def spoil_key(adata):
    adata.obs["cohort"] = [f"s{i // 2}" for i in range(120)]


def spoil_one_sample(adata):
    adata.obs["cohort"] = np.r_[["C"], adata.obs["cohort"].to_numpy()[1:]]


def spoil_one_batch(adata):
    adata.obs["cohort"] = "A"


def spoil_key_nan(adata):
    adata.obs["cohort"] = [None, *adata.obs["cohort"].to_numpy()[1:]]


def spoil_spelling(adata):
    spelled = {"pos": "Pos ", "neg": "neg"}
    adata.obs["er"] = [spelled[e] if c == "B" else e for e, c in zip(adata.obs["er"], adata.obs["cohort"], strict=True)]


def spoil_shared(adata):
    adata.obs["er"] = [f"{e}{c if c == 'B' else ''}" for e, c in zip(adata.obs["er"], adata.obs["cohort"], strict=True)]


def spoil_labels(adata):
    adata.obs["er"] = [f"patient {i}" for i in range(120)]


def spoil_empty(adata):
    adata.obs["er"] = None


def spoil_pca(adata):
    adata.obsm["X_pca"][3, 2] = np.nan


def spoil_counts(adata):
    del adata.obsm["X_pca"]
    adata.X = np.random.default_rng(0).negative_binomial(2, 0.02, size=adata.shape).astype(np.float32)
    adata.X[:, 0] = 0


def spoil_linear(adata):
    del adata.obsm["X_pca"]
    adata.X = 2**adata.X


def spoil_nan(adata):
    del adata.obsm["X_pca"]
    adata.X[5, 7] = np.nan


def spoil_sparse_nan(adata):
    spoil_nan(adata)
    adata.X = sparse.csr_matrix(adata.X)


def spoil_genes(adata):
    del adata.obsm["X_pca"]
    adata.var_names = ["gene0", *adata.var_names[1:-1], "gene0"]


def spoil_x(adata):
    del adata.obsm["X_pca"]
    adata.X = None


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_key, r"obs\['cohort'\] has 60 values in 120 samples.*an identifier, not batches"),
        (spoil_one_sample, "batch 'C' of .* has one sample only"),
        (spoil_one_batch, "has one batch, 'A': nothing to integrate"),
        (spoil_key_nan, "has no value for 1 samples, such as"),
        (spoil_spelling, "'Pos ' in batch 'B' and 'pos' in the reference 'A' differ by spelling only"),
        (spoil_shared, "no class of batch 'B' .* is in the reference 'A'"),
        (spoil_labels, "120 values in 120 samples: these are no classes"),
        (spoil_empty, r"obs\['er'\] is empty"),
        (spoil_pca, r"obsm\['X_pca'\]: nan in component 2 of sample"),
        (spoil_counts, r"X has counts .*normalize_total"),
        (spoil_linear, "values on a linear scale"),
        (spoil_nan, "X: nan for gene 'gene7' in sample"),
        (spoil_sparse_nan, "X: nan for gene 'gene7' in sample"),
        (spoil_genes, "gene 'gene0' is there twice"),
        (spoil_x, "X has no X"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_bad_data_are_named_and_nothing_is_written(spoil, words):
    adata = with_pca(expression())
    spoil(adata)
    keys = set(adata.obsm), set(adata.obs), set(adata.uns), set(adata.layers)
    with pytest.raises(ValueError, match=words):
        integrate(adata, "cohort", **COMMON)
    assert keys == (set(adata.obsm), set(adata.obs), set(adata.uns), set(adata.layers))


@pytest.mark.parametrize(
    ("key", "options", "words"),
    [
        ("Cohort", {}, "key='Cohort' is no column of obs, which has 'cohort', 'er'"),
        ("cohort", {"reference": "Z"}, "reference='Z' is no batch of .*A"),
        ("cohort", {"label_key": "ER"}, "label_key='ER' is no column"),
        ("cohort", {"basis": "X_scvi"}, r"obsm has no 'X_scvi'; it has .*X_pca"),
        ("cohort", {"adjusted_basis": "X_pca"}, "would replace the basis itself"),
        ("cohort", {"basis": "X", "adjusted_basis": "X_pca"}, "would replace"),
        ("cohort", {"transport": BatchTransport(start="x")}, "unknown start"),
        ("cohort", {"key_added": "a/b"}, "/"),
        ("cohort", {"expression_layer": "a/b"}, "/"),
        ("cohort", {"adjusted_basis": "a/b"}, "/"),
    ],
    ids=str,
)
def test_bad_choices_are_named_and_nothing_is_written(key, options, words):
    adata = with_pca(expression())
    before = content(adata)
    with pytest.raises(ValueError, match=words):
        integrate(adata, key, **COMMON | options)
    assert unchanged(adata, before)


def test_an_interrupt_writes_nothing(monkeypatch):
    adata = with_pca(expression())
    before = content(adata)

    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("proxflow.evolution._asked", interrupt)
    with pytest.raises(KeyboardInterrupt):
        integrate(adata, "cohort", **COMMON | {"transport": FLOWS})
    assert unchanged(adata, before)


# ---------------------------------------------------------------------- files


def test_the_result_is_written_to_h5ad_and_read_back(done, tmp_path):
    done[0].write_h5ad(tmp_path / "done.h5ad")
    back = anndata.read_h5ad(tmp_path / "done.h5ad")
    np.testing.assert_array_equal(back.obsm["X_pca_proxflow"], done[0].obsm["X_pca_proxflow"])
    kept, was = back.uns["proxflow"], done[0].uns["proxflow"]
    assert kept["params"] == was["params"]
    for name, value in was["batches"]["B"].items():
        if isinstance(value, dict):
            assert kept["batches"]["B"][name].keys() == value.keys()
        else:
            np.testing.assert_array_equal(kept["batches"]["B"][name], value)


@pytest.mark.parametrize("basis", ["X_pca", "X"])
def test_names_with_slashes_and_settings_without_a_value_can_be_written(tmp_path, basis):
    adata = expression(batches=("ref/1", "B/2"))
    adata.obs["er"] = adata.obs["er"].map({"pos": "ER/pos", "neg": "ER/neg"}).astype("category")
    integrate(adata, "cohort", reference="ref/1", label_key="er", basis=basis, transport=FLOWS)
    adata.write_h5ad(tmp_path / "done.h5ad")
    course = anndata.read_h5ad(tmp_path / "done.h5ad").uns["proxflow"]["batches"]
    assert list(course) == ["B|2"]
    assert set(course["B|2"]["paths"]) == {"ER|pos", "ER|neg"}
    plain = expression()
    integrate(plain, "cohort", reference="A", basis=basis, transport=START)
    plain.write_h5ad(tmp_path / "plain.h5ad")
    assert "label_key" not in anndata.read_h5ad(tmp_path / "plain.h5ad").uns["proxflow"]["params"]
