"""Probes to genes, and cohorts below one another: by name, in a stated order, with nothing lost silently."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from geo_files import matrix_text, platform_text, put, write_cohort
from proxflow import collapse_probes, concat_cohorts, read_platform, read_series_matrix
from proxflow.data.platforms import NO_GENE

anndata = pytest.importorskip("anndata")
AnnData = anndata.AnnData

NAN = float("nan")


def made(values, names, obs=None, samples=None):
    values = np.asarray(values) if not sparse.issparse(values) else values
    samples = [f"s{i}" for i in range(values.shape[0])] if samples is None else samples
    return AnnData(values, obs=pd.DataFrame(obs or {}, index=samples), var=pd.DataFrame(index=names))


def failure(call, *arguments, **options):
    with pytest.raises(ValueError, match=r".") as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 800
    return message


# ---------------------------------------------------------------------- probes to genes

X = [[1.0, 5.0, 2.0, 9.0, 0.0], [3.0, 4.0, 2.5, 1.0, 0.0], [2.0, 6.0, 1.0, 2.0, 1.0]]
PROBES = ["a", "b", "c", "d", "e"]
MAP = {"a": "ESR1", "b": "ESR1", "c": "GATA3", "d": "ESR1"}


@pytest.mark.parametrize(
    ("how", "esr1", "probe"),
    [
        ("max_mean", [5, 4, 6], "b"),
        ("max_var", [9, 1, 2], "d"),
        ("mean", [5, 8 / 3, 10 / 3], "a /// b /// d"),
        ("median", [5, 3, 2], "a /// b /// d"),
    ],
)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_rules(how, esr1, probe, kind):
    data = made(kind(np.array(X)), PROBES, {"er": ["p", "n", "p"]})
    data.layers["twice"] = data.X * 2
    data.obsm["X_pca"] = np.ones((3, 2))
    genes = collapse_probes(data, MAP, how=how)
    dense = genes.X.toarray() if sparse.issparse(genes.X) else genes.X
    np.testing.assert_allclose(dense, np.transpose([esr1, [2.0, 2.5, 1.0]]))
    layer = genes.layers["twice"]
    np.testing.assert_allclose(layer.toarray() if sparse.issparse(layer) else layer, 2 * dense)
    assert sparse.issparse(genes.X) == sparse.issparse(data.X)
    assert genes.var_names.tolist() == ["ESR1", "GATA3"]
    assert genes.var["probe"].tolist() == [probe, "c"]
    assert genes.var["n_probes"].tolist() == [3, 1]
    assert genes.obs["er"].tolist() == ["p", "n", "p"]
    assert genes.obsm["X_pca"].shape == (3, 2)
    assert genes.uns["collapse"] == {
        "how": how, "multi": "drop", "probes": 5, "used": 4, "without_gene": 1, "several_genes": 0, "genes": 2
    }  # fmt: skip


@pytest.mark.parametrize(
    ("multi", "genes", "used"),
    [
        ("drop", {"A": "a", "D": "d"}, 2),
        ("first", {"A": "a", "B": "b", "D": "d"}, 4),
        ("split", {"A": "a", "B": "b", "C": "b", "D": "d"}, 4),
    ],
)
def test_probes_of_several_genes(multi, genes, used):
    mapping = pd.Series({"a": "A", "b": "B /// C", "c": "B///C /// B", "d": "D /// D", "e": None})
    found = collapse_probes(made(X, PROBES), mapping, multi=multi)
    assert found.var["probe"].to_dict() == genes
    assert (found.uns["collapse"]["used"], found.uns["collapse"]["several_genes"]) == (used, 2)
    assert found.uns["collapse"]["without_gene"] == 1


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_missing_values_are_passed_over(kind):
    data = made(kind(np.array([[1.0, NAN, NAN], [3.0, NAN, 2.5]])), ["a", "b", "c"])

    def values(how):
        found = collapse_probes(data, dict.fromkeys("abc", "G"), how=how).X
        return (found.toarray() if sparse.issparse(found) else found)[:, 0]

    np.testing.assert_array_equal(values("max_mean"), [NAN, 2.5])  # c, from one sample; a has 2
    np.testing.assert_array_equal(values("mean"), [1, 2.75])
    np.testing.assert_array_equal(values("median"), [1, 2.75])
    np.testing.assert_array_equal(collapse_probes(made([[NAN, -1.0]], ["a", "b"]), {"a": "G", "b": "G"}).X, [[-1.0]])
    alone = collapse_probes(made([[NAN], [NAN]], ["a"]), {"a": "G"})
    assert np.isnan(alone.X).all()


@given(st.integers(0, 2**31), st.sampled_from(["max_mean", "mean", "median", "max_var"]))
def test_any_mapping_as_pandas_does_it(seed, how):
    rng = np.random.default_rng(seed)
    n, p = rng.integers(2, 6), rng.integers(3, 12)
    values = rng.normal(size=(n, p))
    names = [f"g{i}" for i in rng.integers(0, 4, p)]
    found = collapse_probes(
        made(values, [f"p{i}" for i in range(p)]), {f"p{i}": g for i, g in enumerate(names)}, how=how
    )
    frame = pd.DataFrame(values)
    for gene in dict.fromkeys(names):
        part = frame.loc[:, [g == gene for g in names]]
        expected = {
            "mean": part.mean(axis=1), "median": part.median(axis=1),
            "max_mean": part[part.mean().idxmax()], "max_var": part[part.var().idxmax()],
        }[how]  # fmt: skip
        np.testing.assert_allclose(found[:, gene].X[:, 0], expected)
    assert found.var_names.tolist() == list(dict.fromkeys(names))


def test_what_is_chosen_is_unchanged_and_float32():
    values = np.random.default_rng(0).normal(7, 2, (5, 40)).astype(np.float32)
    data = made(values, [f"p{i}" for i in range(40)])
    mapping = {f"p{i}": f"g{i // 2}" for i in range(40)}
    found = collapse_probes(data, mapping)
    taken = [int(probe[1:]) for probe in found.var["probe"]]
    np.testing.assert_array_equal(found.X, values[:, taken])
    one = collapse_probes(data[:, :9], {"p3": "g"} | {f"p{i}": "h" for i in (4, 5)}, how="mean")
    np.testing.assert_array_equal(one[:, "g"].X[:, 0], values[:, 3])
    assert found.X.dtype == one.X.dtype == np.float32


def test_blocks_change_nothing(monkeypatch):
    data = made(np.random.default_rng(0).normal(size=(4, 60)), [f"p{i}" for i in range(60)])
    mapping = {f"p{i}": f"g{i % 17}" for i in range(60)}
    whole = {how: collapse_probes(data, mapping, how=how).X for how in ("max_mean", "mean", "median")}
    monkeypatch.setattr("proxflow.data.probes._COLUMNS", 7)
    for how, values in whole.items():
        np.testing.assert_array_equal(collapse_probes(data, mapping, how=how).X, values)


def test_backed_by_a_file(tmp_path):
    for name, values in (("dense", np.array(X)), ("sparse", sparse.csr_matrix(X))):
        made(values, PROBES).write_h5ad(tmp_path / f"{name}.h5ad")
        backed = anndata.read_h5ad(tmp_path / f"{name}.h5ad", backed="r")
        found = collapse_probes(backed, MAP).X
        np.testing.assert_array_equal(found.toarray() if sparse.issparse(found) else found, np.array(X)[:, [1, 2]])
        backed.file.close()


def test_bad_mappings():
    data = made(X, PROBES)
    assert "max_mean, mean" in failure(collapse_probes, data, MAP, how="sum")
    assert "drop, first" in failure(collapse_probes, data, MAP, multi="both")
    message = failure(collapse_probes, data, {"1007_s_at": "ESR1"})
    assert "all 5 probes, such as 'a', 'b', 'c'" in message
    assert "'1007_s_at'" in message
    assert "more than one gene each" in failure(collapse_probes, data, dict.fromkeys(PROBES, "A /// B"))
    assert "more than one row for 'a'" in failure(collapse_probes, data, pd.Series(["A", "B"], index=["a", "a"]))
    with pytest.warns(UserWarning, match="not unique"):
        twice = made(X, ["a", "a", "b", "c", "d"])
    assert "duplicate probes: 'a'" in failure(collapse_probes, twice, MAP)
    assert "no X" in failure(
        collapse_probes, AnnData(obs=pd.DataFrame(index=["s"]), var=pd.DataFrame(index=["a"])), MAP
    )
    with pytest.raises(TypeError, match="Series or a dict"):
        collapse_probes(data, ["ESR1"])
    wide = made(np.ones((2, 30)), [f"p{i}" for i in range(30)])
    with pytest.warns(UserWarning, match="only 2 of 30 probes have a gene"):
        collapse_probes(wide, {"p0": "A", "p1": "B"})


# ---------------------------------------------------------------------- cohorts

GENES = [f"G{i}" for i in range(60)]


def cohort(seed, genes=GENES, er=("pos", "neg"), samples=6, names=None):
    values = np.random.default_rng(seed).normal(7, 2, (samples, len(genes))).clip(1).astype(np.float32)
    return made(values, genes, {"er": [er[i % 2] for i in range(samples)]}, names)


def test_genes_are_matched_by_name_in_the_order_of_the_first():
    order = np.random.default_rng(0).permutation(60)
    a, b = cohort(0), cohort(1)
    shuffled = b[:, order].copy()
    both, same = concat_cohorts({"A": a, "B": b}), concat_cohorts({"A": a, "B": shuffled})
    np.testing.assert_array_equal(both.X, same.X)
    np.testing.assert_array_equal(both.X, np.concatenate([a.X, b.X]))
    assert same.var_names.tolist() == GENES
    assert concat_cohorts({"B": shuffled, "A": a}).var_names.tolist() == shuffled.var_names.tolist()
    assert both.obs["batch"].cat.categories.tolist() == ["A", "B"]
    assert both.obs["batch"].tolist() == ["A"] * 6 + ["B"] * 6
    assert both.obs["er"].tolist() == ["pos", "neg"] * 6
    assert both.obs_names.tolist() == [f"s{i}-A" for i in range(6)] + [f"s{i}-B" for i in range(6)]
    assert both.X.dtype == np.float32


def test_names_that_do_not_clash_stay():
    apart = concat_cohorts([cohort(0), cohort(1, names=[f"t{i}" for i in range(6)])], key="cohort")
    assert apart.obs["cohort"].cat.categories.tolist() == ["0", "1"]
    assert apart.obs_names.tolist() == [f"s{i}" for i in range(6)] + [f"t{i}" for i in range(6)]


def test_inner_and_outer():
    a, b = cohort(0), cohort(1, [*GENES[5:], "H"])
    a.layers["z"], b.layers["z"], a.layers["only"] = a.X + 1, b.X + 1, a.X
    inner, outer = concat_cohorts({"A": a, "B": b}), concat_cohorts({"A": a, "B": b}, join="outer")
    assert inner.var_names.tolist() == GENES[5:]
    assert outer.var_names.tolist() == [*GENES, "H"]
    assert np.isnan(outer.X).sum() == 6 * 5 + 6
    np.testing.assert_array_equal(outer[:6, "H"].X, np.full((6, 1), NAN))
    np.testing.assert_array_equal(outer[:6, GENES].X, a.X)
    np.testing.assert_array_equal(inner.layers["z"], inner.X + 1)
    assert list(inner.layers) == ["z"]


def test_sparse_stays_sparse():
    a, b = (made(sparse.csr_matrix(c.X * (c.X > 7)), GENES) for c in (cohort(0), cohort(1)))
    both = concat_cohorts({"A": a, "B": b[:, ::-1].copy()})
    assert sparse.issparse(both.X)
    np.testing.assert_array_equal(both.X.toarray(), np.concatenate([a.X.toarray(), b.X.toarray()]))
    assert "zeros" in failure(concat_cohorts, [a, b], join="outer")
    mixed = concat_cohorts([a, cohort(1)])
    np.testing.assert_array_equal(mixed.X[:6], a.X.toarray())


def test_columns_of_obs_are_united_and_those_of_var_kept():
    a, b = cohort(0), cohort(1)
    a.obs["age"], b.obs["grade"] = range(6), pd.Categorical(["1", "2"] * 3)
    a.var["chromosome"] = b.var["chromosome"] = "X"
    a.var["probe"], b.var["probe"] = "p", "q"
    a.uns["geo"] = {"log2": {"applied": True}}
    both = concat_cohorts({"A": a, "B": b})
    assert list(both.obs) == ["er", "age", "grade", "batch"]
    assert both.obs["age"].isna().tolist() == [False] * 6 + [True] * 6
    assert both.obs["grade"].fillna("-").tolist() == ["-"] * 6 + ["1", "2"] * 3
    assert list(both.var) == ["chromosome", "probe_A", "probe_B"]
    assert both.uns["cohorts"]["A"] == {"samples": 6, "genes": 60, "geo": {"log2": {"applied": True}}}
    assert a.obs.columns.tolist() == ["er", "age"]  # the cohorts themselves are not changed


def test_label_map():
    a, b = cohort(0, er=("positive", "negative")), cohort(1, er=("P", "N"))
    b.obs.loc["s0", "er"] = "unknown"
    spelled = {"positive": "pos", "negative": "neg", "P": "pos", "N": "neg"}
    message = failure(concat_cohorts, {"A": a, "B": b}, label_map={"er": spelled})
    for word in ("'unknown'", "cohort 'B'", "'positive'", "'P'", "None"):
        assert word in message
    both = concat_cohorts({"A": a, "B": b}, label_map={"er": {**spelled, "unknown": None}})
    assert both.obs["er"].fillna("-").tolist() == ["pos", "neg"] * 3 + ["-", "neg"] + ["pos", "neg"] * 2
    assert a.obs["er"].iloc[0] == "positive"
    b.obs["er"] = b.obs["er"].astype("category")
    again = concat_cohorts({"A": a, "B": b}, label_map={"er": {**spelled, "unknown": None}})
    assert again.obs["er"].equals(both.obs["er"])
    missing = failure(concat_cohorts, {"A": a, "B": b}, label_map={"status": spelled})
    assert "no column 'status'; it has 'er'" in missing


def test_spellings_that_are_right_already_need_no_word():
    a, b = cohort(0), cohort(1, er=("P", "N"))
    both = concat_cohorts({"A": a, "B": b}, label_map={"er": {"P": "pos", "N": "neg"}})
    assert both.obs["er"].tolist() == ["pos", "neg"] * 6


def test_numbers_as_labels():
    a, b = cohort(0, er=(1, 0)), cohort(1, er=("1", "0"))
    both = concat_cohorts({"A": a, "B": b}, label_map={"er": {1: "pos", 0: "neg", "1": "pos", "0": "neg"}})
    assert both.obs["er"].tolist() == ["pos", "neg"] * 6


@pytest.mark.parametrize("spelled", [("Positive", "negative"), ("positive ", "negative"), ("posi tive", "negative")])
def test_spellings_that_nearly_agree_are_pointed_out(spelled):
    a, b = cohort(0, er=("positive", "negative")), cohort(1, er=spelled)
    with pytest.warns(UserWarning, match=rf"column 'er' has 'positive' \(A\) and '{spelled[0]}' \(B\): say label_map="):
        concat_cohorts({"A": a, "B": b})
    b.obs = b.obs.rename(columns={"er": "ER"})
    with pytest.warns(UserWarning, match=r"columns 'er' \(A\) and 'ER' \(B\) are kept apart"):
        concat_cohorts({"A": a, "B": b})


def test_titles_are_no_labels():
    a, b = cohort(0), cohort(1)
    a.obs["country"], b.obs["country"] = "Italy", "ITALY"
    a.obs["title"], b.obs["title"] = [f"sample {i}" for i in range(6)], [f"Sample {i}" for i in range(6)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        concat_cohorts({"A": a, "B": b})


@pytest.mark.parametrize(
    ("genes", "words"),
    [
        ([f"{i}_at" for i in range(60)], ["only 0 of 60 genes", "'A' has 'G0'", "'B' has '0_at'", "collapse_probes"]),
        ([*GENES[:5], *(f"H{i}" for i in range(55))], ["only 5 of 60"]),
        ([*GENES[:25], *(f"H{i}" for i in range(35))], ["only 25 of 60"]),  # over a tenth, but under fifty
        ([gene.lower() for gene in GENES], ["only 0 of 60", "60 are shared without regard to upper and lower case"]),
    ],
)
def test_few_shared_genes(genes, words):
    message = failure(concat_cohorts, {"A": cohort(0), "B": cohort(1, genes)})
    for word in words:
        assert word in message


def test_fifty_genes_of_a_thousand_are_few():
    more = [*GENES, *(f"H{i}" for i in range(940))]
    other = [*GENES, *(f"K{i}" for i in range(940))]
    assert "only 60 of 1000 genes" in failure(concat_cohorts, [cohort(0, more), cohort(1, other)])
    assert concat_cohorts([cohort(0, more), cohort(1, other[:600])]).n_vars == 60


def test_a_small_panel_is_enough_when_both_measure_it():
    assert concat_cohorts([cohort(0), cohort(1, GENES[:21])]).n_vars == 21


def linear(data):
    data.X = 2**data.X
    return data


def counted(data):
    data.X = np.random.default_rng(0).poisson(3, data.shape) * np.arange(data.n_vars)
    return data


@pytest.mark.parametrize(("spoil", "word"), [(linear, "looks linear"), (counted, "looks like counts")])
def test_different_scales(spoil, word):
    message = failure(concat_cohorts, {"A": cohort(0), "B": spoil(cohort(1))})
    for part in ("'A' looks logged (median", f"'B' {word} (median", "log2=True", "counts per million"):
        assert part in message
    assert concat_cohorts([spoil(cohort(0)), spoil(cohort(1))]).n_obs == 12
    sparse_one = made(sparse.csr_matrix(spoil(cohort(1)).X), GENES)
    assert f"'B' {word}" in failure(concat_cohorts, {"A": cohort(0), "B": sparse_one})


def test_log_ratios_beside_intensities_are_pointed_out():
    a, b = cohort(0), cohort(1)
    b.X = b.X - b.X.mean(axis=0)
    with pytest.warns(UserWarning, match="values of cohort 'B' lie on both sides of zero"):
        concat_cohorts({"A": a, "B": b})
    assert concat_cohorts({"B": b, "C": b.copy()}).n_obs == 12  # two of ratios agree


def test_columns_without_any_answer():
    a, b = cohort(0), cohort(1)
    a.obs["grade"], a.obs["empty"], b.obs["grade"], b.obs["empty"] = NAN, NAN, ["1", "2"] * 3, None
    both = concat_cohorts({"A": a, "B": b})
    assert both.obs["grade"].fillna("-").tolist() == ["-"] * 6 + ["1", "2"] * 3
    assert both.obs["empty"].isna().all()


def test_bad_cohorts():
    a = cohort(0)
    assert "two or more cohorts, got 1" in failure(concat_cohorts, [a])
    assert "cohort 'B' is empty" in failure(concat_cohorts, {"A": a, "B": a[:0]})
    assert "outer" in failure(concat_cohorts, [a, a], join="left")
    assert "obs column 'er' already" in failure(concat_cohorts, [a, a], key="er")
    with pytest.warns(UserWarning, match="not unique"):
        twice = cohort(1, ["G0", *GENES[:-1]])
    with pytest.warns(UserWarning, match="not unique"):
        same = cohort(1, names=["s"] * 6)
    message = failure(concat_cohorts, {"A": a, "B": twice})
    assert "cohort 'B': duplicate gene 'G0'. Use collapse_probes" in message
    with pytest.raises(ValueError, match="duplicate sample 's'"):
        concat_cohorts([a, same])
    with pytest.raises(TypeError, match="cohort '1' is no AnnData but ndarray"):
        concat_cohorts([a, a.X])


# ---------------------------------------------------------------------- the whole way

REAL = Path(os.environ.get("PROXFLOW_DATA", Path(__file__).parents[2] / "shared/data")) / "genefu_er/genefu_er.npz"


@pytest.mark.skipif(not REAL.exists(), reason="needs genefu_er.npz, see PROXFLOW_DATA")
def test_two_real_cohorts_of_breast_cancer(tmp_path):
    with np.load(REAL) as file:
        real = dict(file)
    cohorts = {}
    for name in ("vdx", "expo"):
        values, er = real[f"X_{name}"], real[f"er_{name}"]
        text = matrix_text(values.T.tolist(), [f"{name}{i}" for i in range(len(values))], real["probes"],
                           [[f"ER: {one}" if one >= 0 else "" for one in er]])  # fmt: skip
        cohorts[name] = read_series_matrix(put(tmp_path, f"{name}_series_matrix.txt.gz", text))
        np.testing.assert_array_equal(cohorts[name].X, values)
        assert not cohorts[name].uns["geo"]["log2"]["applied"]
    both = concat_cohorts(cohorts, label_map={"ER": {"1": "pos", "0": "neg"}})
    symbols = dict(zip(real["probes"], real["gene_symbol"], strict=True))
    genes = collapse_probes(both, symbols)
    assert genes.var_names.is_unique
    assert genes.n_vars == len({symbol for symbol in symbols.values() if symbol.lower() not in NO_GENE})
    assert both.obs["ER"].isna().sum() == sum((real[f"er_{name}"] < 0).sum() for name in cohorts)
    known = genes[genes.obs["ER"].notna()]
    esr1, positive = known[:, "ESR1"].X[:, 0], (known.obs["ER"] == "pos").to_numpy()
    for name in cohorts:  # the receptor's own gene tells its status, in both
        here = (known.obs["batch"] == name).to_numpy()
        assert esr1[here & positive].mean() > esr1[here & ~positive].mean() + 2


SPELLED = {"er status": {"positive": "pos", "negative": "neg", "P": "pos", "N": "neg"}}


def test_from_two_files_to_one_table(tmp_path):
    files = [
        write_cohort(tmp_path, "GSE26639", seed=1, linear=True),
        write_cohort(tmp_path, "GSE76275", seed=2, samples=12, spelled=("P", "N")),
    ]
    mapping = read_platform(put(tmp_path, "GPL570.txt", platform_text()))
    probes = concat_cohorts([read_series_matrix(file) for file in files], key="cohort", label_map=SPELLED)
    genes = collapse_probes(probes, mapping)
    assert genes.shape == (32, 59)
    assert genes.obs["cohort"].value_counts().to_dict() == {"GSE26639": 20, "GSE76275": 12}
    assert set(genes.obs["er status"]) == {"pos", "neg"}
    assert not genes.var["probe"].str.contains("x_at").any()  # the strong probe of each gene
    assert genes.uns["cohorts"]["GSE26639"]["geo"]["log2"]["applied"]
    assert not genes.uns["cohorts"]["GSE76275"]["geo"]["log2"]["applied"]
    high = genes.X[genes.obs["er status"] == "pos", :10].mean() - genes.X[genes.obs["er status"] == "neg", :10].mean()
    assert high == pytest.approx(2, abs=0.2)
    genes.write_h5ad(tmp_path / "merged.h5ad")
    back = anndata.read_h5ad(tmp_path / "merged.h5ad")
    np.testing.assert_array_equal(back.X, genes.X)
    assert back.uns["collapse"]["how"] == "max_mean"
    assert back.obs["er status"].tolist() == genes.obs["er status"].tolist()
