"""`proxflow integrate`: h5ad, tables and GEO files in, one file out, and one line for whatever is wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import command
from geo_files import platform_text, put, write_cohort
from proxflow import Integration

anndata = pytest.importorskip("anndata", reason="needs the bio extra")
START = ["--max-path", "0"]  # instant
GENES = [f"gene{i}" for i in range(12)]


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    return command.call(capsys, "integrate", *arguments)


def refused(capsys, *arguments: str) -> str:
    """The one line that a call ends with; nothing new may lie in the folder."""
    before = {path: path.read_bytes() for path in Path(".").rglob("*") if path.is_file()}
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1, err
    assert err.startswith("proxflow: ")
    assert {path: path.read_bytes() for path in Path(".").rglob("*") if path.is_file()} == before
    return err


def cohort(name, n=30, seed=0):
    """Samples of one cohort: two classes that stand apart in the first three genes."""
    rng = np.random.default_rng([seed, len(name), *map(ord, name)])
    er = np.resize(["pos", "neg"], n)
    x = rng.normal(8, 1, size=(n, len(GENES)))
    x[er == "pos", :3] += 4
    return x + 1.5 * (name != "A"), er


def merged(names=("A", "B"), seed=0):
    parts = [cohort(name, seed=seed) for name in names]
    adata = anndata.AnnData(np.concatenate([x for x, _ in parts]).astype(np.float32))
    adata.var_names = GENES
    adata.obs["cohort"] = np.repeat(names, [len(x) for x, _ in parts])
    adata.obs["er"] = np.concatenate([er for _, er in parts])
    adata.obs_names = [f"{c}{i}" for i, c in enumerate(adata.obs["cohort"])]
    return adata


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    merged().write_h5ad("data.h5ad")
    for name in "AB":
        x, er = cohort(name)
        frame = pd.DataFrame(x, columns=GENES).round(4)
        frame.insert(0, "patient", [f"{name}-{i}" for i in range(len(x))])
        frame["er"] = er
        (frame if name == "A" else frame[frame.columns[::-1]]).to_csv(f"{name}.csv", index=False)
    return tmp_path


KEYS = ["--batch", "cohort", "--reference", "A", "--label", "er"]


# ---------------------------------------------------------------------- what comes out


def test_h5ad_in_and_out_with_a_report(here, capsys, monkeypatch):
    monkeypatch.setattr("proxflow.plots.integration.has_umap", lambda: False)  # whose first picture takes 20 s
    arguments = ["data.h5ad", *KEYS, "--max-path", "0.1", "--report", "--permutations", "1", "--layer", "moved"]
    code, out, err = call(capsys, *arguments, "--out", "merged.h5ad")
    assert code == 0, err
    done, before = anndata.read_h5ad("merged.h5ad"), merged()
    np.testing.assert_array_equal(done.X, before.X)
    assert done.obs_names.tolist() == before.obs_names.tolist()
    a = (done.obs["cohort"] == "A").to_numpy()
    assert (done.layers["moved"][a] == done.X[a]).all()
    assert np.abs(done.layers["moved"][~a] - done.X[~a]).max() > 1
    assert "X_pca_proxflow" in done.obsm
    assert done.uns["proxflow"]["params"]["reference"] == "A"
    assert "60 samples of 12 features onto A: merged.h5ad" in out
    assert "start: " in out
    assert "Report: merged.html" in out
    page = Path("merged.html").read_text()
    assert "proxflow integrate data.h5ad" in page
    assert "data:image/png" in page
    assert sorted(os.listdir()) == ["A.csv", "B.csv", "data.h5ad", "merged.h5ad", "merged.html"]


def test_two_tables_with_a_label_and_a_name(here, capsys):
    code, out, err = call(capsys, "A.csv", "B.csv", "--label", "er", "--out", "both.csv", *START)
    assert code == 0, err
    assert "60 samples of 12 features onto A: both.csv" in out
    both, ours = pd.read_csv("both.csv"), {name: pd.read_csv(f"{name}.csv") for name in "AB"}
    assert both.columns.tolist() == ["batch", "patient", "er", *GENES]
    assert both["batch"].tolist() == ["A"] * 30 + ["B"] * 30
    assert both["patient"].tolist() == [*ours["A"]["patient"], *ours["B"]["patient"]]
    assert both["er"].tolist() == [*ours["A"]["er"], *ours["B"]["er"]]
    np.testing.assert_allclose(both[GENES][:30], ours["A"][GENES], rtol=1e-11)
    for er in ("pos", "neg"):  # carried to A, class by class
        means = [both[GENES][(both["batch"] == b) & (both["er"] == er)].mean() for b in "AB"]
        np.testing.assert_allclose(means[1], means[0], atol=0.5)
    assert np.abs(ours["B"][GENES].mean() - ours["A"][GENES].mean()).min() > 0.9
    call(capsys, "A.csv", "B.csv", "--label", "er", "--reference", "B.csv", "--out", "other.tsv", *START)
    np.testing.assert_allclose(pd.read_csv("other.tsv", sep="\t")[GENES][30:], ours["B"][GENES], rtol=1e-11)
    assert call(capsys, "A.csv", "B.csv", "--label", "er", "--reference", "B", "--out", "o.parquet", *START)[0] == 0
    assert pd.read_parquet("o.parquet")["er"].tolist() == both["er"].tolist()
    assert call(capsys, "A.csv", "B.csv", "--label", "er", "--out", "o.h5ad", *START)[0] == 0
    np.testing.assert_allclose(anndata.read_h5ad("o.h5ad").layers["proxflow"], both[GENES], rtol=1e-4)


def test_without_out_a_name_is_chosen(here, capsys):
    assert call(capsys, "A.csv", "B.csv", *START)[0] == 0
    assert call(capsys, "data.h5ad", "--batch", "cohort", "--reference", "A", *START)[0] == 0
    assert {"proxflow-integrate.csv", "proxflow-integrate.h5ad"} <= set(os.listdir())


def test_two_geo_series_and_their_platform(here, capsys):
    files = [write_cohort(".", name, samples=24, seed=i) for i, name in enumerate(("GSE11", "GSE22"))]
    put(".", "GPL570.txt", platform_text())
    arguments = [*files, "--platform", "GPL570.txt", "--label", "er status", "--out", "m.h5ad", "--layer", "moved"]
    code, out, err = call(capsys, *arguments, *START)
    assert code == 0, err
    assert "48 samples of 59 features onto GSE11" in out
    done = anndata.read_h5ad("m.h5ad")
    assert sorted(set(done.obs["batch"])) == ["GSE11", "GSE22"]
    assert "GENE3" in done.var_names
    rows = {name: (done.obs["batch"] == name).to_numpy() for name in ("GSE11", "GSE22")}
    before, after = (
        np.abs(x[rows["GSE22"]].mean(axis=0) - x[rows["GSE11"]].mean(axis=0)).mean()
        for x in (np.asarray(done.X), done.layers["moved"])
    )
    assert after < 0.5 * before


def test_a_saved_model_carries_later_samples(here, capsys):
    assert call(capsys, "data.h5ad", *KEYS, "--save-model", "model.npz", "--out", "m.h5ad", *START)[0] == 0
    later = merged(seed=1)[:, ::-1].copy()
    later.write_h5ad("later.h5ad")
    arguments = ["later.h5ad", "--model", "model.npz", "--batch", "cohort", "--label", "er", "--out", "l.h5ad"]
    code, _, err = call(capsys, *arguments, "--layer", "moved")
    assert code == 0, err
    expected = merged(seed=1)
    Integration.load("model.npz").project(expected)
    found = anndata.read_h5ad("l.h5ad")
    np.testing.assert_allclose(found.obsm["X_pca_proxflow"], expected.obsm["X_pca_proxflow"], atol=1e-4)
    assert found.var_names.tolist() == GENES[::-1]
    merged(("A", "C"), seed=1).write_h5ad("new.h5ad")
    assert "batch 'C' was not in the fit" in refused(
        capsys, "new.h5ad", *KEYS, "--model", "model.npz", "--out", "n.h5ad"
    )
    assert "cannot read none.npz" in refused(capsys, "later.h5ad", "--model", "none.npz", "--out", "n.h5ad")
    Path("bad.npz").write_bytes(Path("model.npz").read_bytes()[:2000])
    assert "bad.npz: damaged" in refused(capsys, "later.h5ad", "--model", "bad.npz", "--out", "n.h5ad")


def test_json_has_all_of_it(here, capsys):
    code, out, _ = call(capsys, "data.h5ad", *KEYS, "--json", "--out", "m.h5ad", "--max-path", "0.04")
    assert code == 0
    found = json.loads(out)
    assert found["out"] == "m.h5ad"
    assert found["reference"] == "A"
    assert found["warnings"] == []
    about = found["batches"]["B"]
    assert about["start"] in ("shift", "scale")
    assert set(about["paths"]) == {"pos", "neg"}
    assert about["notes"]


def test_settings_reach_the_fit(here, capsys):
    common = [*KEYS, *START, "--json"]
    found = {
        start: json.loads(call(capsys, "data.h5ad", *common, "--start", start, "--out", f"{start}.h5ad")[1])
        for start in ("shift", "scale")
    }
    assert [found[start]["batches"]["B"]["start"] for start in found] == ["shift", "scale"]
    code, _, _ = call(
        capsys, "data.h5ad", *common, "--components", "4", "--basis", "X", "--seed", "3", "--out", "x.h5ad"
    )
    assert code == 0
    kept = anndata.read_h5ad("x.h5ad").uns["proxflow"]
    assert kept["params"]["basis"] == "X"
    assert kept["params"]["seed"] == 3
    assert kept["batches"]["B"]["n_components"] == 4
    again = call(capsys, "data.h5ad", *common, "--start", "shift", "--out", "shift.h5ad", "--overwrite")
    assert again[0] == 0


def test_classes_and_labels_that_are_missing(here, capsys):
    adata = merged()
    adata.obs["er"] = adata.obs["er"].astype(object)
    adata.obs.iloc[-3:, adata.obs.columns.get_loc("er")] = None
    adata.write_h5ad("holes.h5ad")
    assert "--" not in (line := refused(capsys, "holes.h5ad", *KEYS, "--out", "o.h5ad"))
    assert "no value for 3 samples" in line
    assert call(capsys, "holes.h5ad", *KEYS, *START, "--unlabeled", "nearest", "--out", "o.h5ad")[0] == 0
    assert (anndata.read_h5ad("o.h5ad").obs["proxflow_label"][-3:] != "").all()
    extra = merged()
    extra.obs["er"] = [*extra.obs["er"][:-4], *["odd"] * 4]
    extra.write_h5ad("extra.h5ad")
    code, out, err = call(capsys, "extra.h5ad", *KEYS, *START, "--out", "e.h5ad", "--json")
    assert code == 0
    assert "not in the reference: 'odd'" in err
    assert json.loads(out)["warnings"] == [err.strip().removeprefix("proxflow: ")]
    assert "class 'odd' is not" in refused(capsys, "extra.h5ad", *KEYS, "--missing-class", "error", "--out", "f.h5ad")


# ---------------------------------------------------------------------- one line and exit code 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.h5ad", *KEYS], "cannot read none.h5ad: No such file"),
        (["damaged.h5ad", *KEYS], "cannot read damaged.h5ad: damaged or not an H5AD file"),
        (["half.h5ad", *KEYS], "cannot read half.h5ad: damaged"),
        (["A.csv", *KEYS], "A.csv: one file must be an H5AD"),
        (["A.csv", "data.h5ad"], "data.h5ad beside tables"),
        (["A.csv", "none.csv"], "none.csv"),
        (["A.csv", "folder/A.csv"], "two files are called 'A'"),
        (["data.h5ad", "--batch", "cohort"], "--reference is missing"),
        (["data.h5ad", "--batch", "cohort", "--reference", "Z"], "reference='Z' is no batch"),
        (["data.h5ad", "--reference", "A"], "key='batch' is no column of obs, which has 'cohort', 'er'"),
        (["data.h5ad", *KEYS[:4], "--label", "ER"], "label_key='ER' is no column"),
        (["A.csv", "B.csv", "--label", "ER"], "A.csv: no column 'ER'. It has patient"),
        (["A.csv", "B.csv", "--reference", "C"], "reference='C' is no batch"),
        (["A.csv", "B.csv", "--batch", "patient"], "a column is called 'patient'"),
        (["A.csv", "text.csv"], "text.csv: no columns of numbers"),
        (["A.csv", "hole.csv", "--label", "er"], "hole.csv"),
        (["data.h5ad", *KEYS, "--out", "o.csv"], "--out o.csv: write .h5ad"),
        (["data.h5ad", *KEYS, "--out", "o"], "got 'no suffix'"),
        (["A.csv", "B.csv", "--out", "o.xlsx"], "--out o.xlsx: write .h5ad, .csv, .tsv, .parquet, got '.xlsx'"),
        (["A.csv", "B.csv", "--out", "o.csv", "--layer", "x"], "--layer goes with H5AD"),
        (["data.h5ad", *KEYS, "--out", "there.h5ad"], "there already: --overwrite"),
        (["data.h5ad", *KEYS, "--out", "data.h5ad", "--overwrite"], "one of the inputs"),
        (["data.h5ad", *KEYS, "--out", "folder"], "--out folder is a folder"),
        (["data.h5ad", *KEYS, "--out", "nowhere/o.h5ad"], "the folder .*nowhere does not exist"),
        (["data.h5ad", *KEYS, "--out", "o.h5ad", "--save-model", "o.h5ad"], "name the same file"),
        (
            ["data.h5ad", *KEYS, "--out", "there.h5ad", "--report", "--overwrite", "--save-model", "there.html"],
            "same file",
        ),
        (["data.h5ad", *KEYS, "--save-model", "nowhere/m.npz"], "--save-model nowhere/m.npz: the folder"),
        (["data.h5ad", *KEYS, "--start", "zscore"], "unknown start 'zscore'"),
        (["data.h5ad", *KEYS, "--max-path", "-1"], "max_path"),
        (["data.h5ad", *KEYS, "--unlabeled", "drop"], "unlabeled"),
        (["data.h5ad", *KEYS, "--basis", "X_umap"], "obsm has no 'X_umap'"),
        (["data.h5ad", *KEYS, "--layer", "a/b"], "expression_layer='a/b'"),
        (["data.h5ad", *KEYS, "--seed", "-1"], "random_state must be"),
        (["data.h5ad", *KEYS, "--permutations", "-1"], "--permutations must be"),
        (["data.h5ad", *KEYS, "--platform", "none.txt"], "none.txt"),
    ],
    ids=lambda value: " ".join(value).replace("--", "") if isinstance(value, list) else "",
)
def test_one_line_for_what_is_wrong(here, capsys, arguments, words):
    Path("damaged.h5ad").write_text("this is no HDF5")
    Path("half.h5ad").write_bytes(Path("data.h5ad").read_bytes()[:9000])
    Path("there.h5ad").write_text("kept")
    Path("folder").mkdir()
    Path("folder/A.csv").write_text(Path("A.csv").read_text())
    Path("text.csv").write_text("name,city\na,b\nc,d\n")
    frame = pd.read_csv("B.csv")
    frame.loc[4, "gene5"] = np.nan
    frame.to_csv("hole.csv", index=False)
    line = refused(capsys, *arguments, *([] if "--max-path" in arguments else START))
    assert re.search(words, line), line


def test_counts_and_identifiers_are_one_line_too(here, capsys):
    adata = merged()
    adata.X = np.random.default_rng(0).negative_binomial(1, 0.02, adata.shape).astype(np.float32)
    adata.write_h5ad("counts.h5ad")
    assert "logarithms are expected" in refused(capsys, "counts.h5ad", *KEYS, "--out", "o.h5ad")
    adata = merged()
    adata.obs["cohort"] = adata.obs_names
    adata.write_h5ad("ids.h5ad")
    assert "an identifier, not batches" in refused(
        capsys, "ids.h5ad", "--batch", "cohort", "--reference", "A0", "--out", "o.h5ad"
    )


@pytest.mark.parametrize("kind", ["h5ad", "csv", "model"])
def test_a_full_disk_is_one_line(here, capsys, monkeypatch, kind):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("proxflow.atomic.os.replace", full)
    arguments = {
        "h5ad": ["data.h5ad", *KEYS, "--out", "o.h5ad"],
        "csv": ["A.csv", "B.csv", "--out", "o.csv"],
        "model": ["data.h5ad", *KEYS, "--out", "o.h5ad", "--save-model", "m.npz"],
    }[kind]
    line = refused(capsys, *arguments, *START)
    assert "No space left on device" in line
    assert f"cannot write {'m.npz' if kind == 'model' else arguments[arguments.index('--out') + 1]}" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_one_line(here, capsys):
    Path("locked").mkdir(mode=0o500)
    assert "Permission denied" in refused(capsys, "data.h5ad", *KEYS, "--out", "locked/o.h5ad", *START)


def test_an_interrupt_is_one_line_and_leaves_nothing(here):
    doubled = anndata.concat([merged(), merged(seed=1)], index_unique="-")  # classes large enough to flow
    doubled.write_h5ad("data.h5ad")
    code = (
        "import os, signal, sys, proxflow.integration.paths as paths\n"
        "def looking(*_):\n    os.kill(os.getpid(), signal.SIGINT)\n    import time; time.sleep(5)\n"
        "paths.energy = looking\n"
        f"sys.argv = ['proxflow', 'integrate', 'data.h5ad', *{KEYS!r}, '--out', 'o.h5ad', '--save-model', 'm.npz']\n"
        "from proxflow.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("proxflow: interrupted"), done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(os.listdir()) == ["A.csv", "B.csv", "data.h5ad"]


def test_tables_that_do_not_fit_together_are_said(here, capsys):
    frame = pd.read_csv("B.csv")
    frame.drop(columns=["gene4"]).to_csv("fewer.csv", index=False)
    frame.assign(gene4="high").to_csv("words.csv", index=False)
    assert "'gene4' is text in one file and numbers in another" in refused(capsys, "A.csv", "words.csv", *START)
    code, _, err = call(capsys, "A.csv", "fewer.csv", "--label", "er", "--out", "less.csv", *START)
    assert code == 0
    assert "A.csv: columns that not all files have are left out, such as 'gene4' (1)" in err
