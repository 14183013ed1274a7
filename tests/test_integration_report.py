"""The report and its page: what is compared, what is said, what is refused; pictures that survive any data."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from proxflow import integration_report
from proxflow.integration.page import integration_figures, integration_page
from proxflow.integration.scores import ABOVE, AT, FAILS, FEW, SHORT
from proxflow.plots.integration import before_and_after, gene_displacement, measure_bars

WIDTH = 5


class Shift(BaseEstimator):
    """Every class to the mean of its class."""

    def fit(self, Xs, ys, Xt, yt):
        self.ways_ = {c: Xt[yt == c].mean(axis=0) - Xs[ys == c].mean(axis=0) for c in np.unique(ys)}
        return self

    def transform(self, Xs, ys):
        return Xs + np.stack([self.ways_[c] for c in ys])


class Nearest(Shift):
    """Every sample to the nearest of its class."""

    def fit(self, Xs, ys, Xt, yt):
        self.seen_ = {c: Xt[yt == c] for c in np.unique(yt)}
        return super().fit(Xs, ys, Xt, yt)

    def transform(self, Xs, ys):
        moved = super().transform(Xs, ys)
        pairs = [(x, self.seen_[c]) for x, c in zip(moved, ys, strict=True)]
        nearest = [seen[np.square(seen - x).sum(axis=1).argmin()] for x, seen in pairs]
        return np.stack(nearest) + 0.01 * (moved - np.stack(nearest))


def adata(model=None, sizes=(120, 100), seed=0, **columns):
    """Batches A, B, ... of one law; all but A are shifted, and moved back by a model fitted to them, if given."""
    rng = np.random.default_rng(seed)
    batch = np.repeat(list("ABCD")[: len(sizes)], sizes)
    label = np.where(rng.random(len(batch)) < 0.5, "pos", "neg")
    points = rng.normal(size=(len(batch), WIDTH)) + 3.0 * (label == "pos")[:, None] * np.eye(WIDTH)[0]
    before = points + 2.0 * (batch != "A")[:, None]
    after = before.copy()
    for b in np.unique(batch)[1:] if model is not None else ():
        mine, home = batch == b, batch == "A"
        after[mine] = model.fit(before[mine], label[mine], before[home], label[home]).transform(
            before[mine], label[mine]
        )
    obs = pd.DataFrame({"cohort": pd.Categorical(batch), "er": label, "age": np.arange(len(batch))} | columns)
    return SimpleNamespace(obs=obs, obsm={"X_pca": before, "X_pca_proxflow": after})


def report(data, **settings):
    given = {"reference": "A", "label_key": "er", "holdout": None, "random_state": 0} | settings
    return integration_report(data, "cohort", **given)


def value(frame, **cell):
    for name, wanted in cell.items():
        frame = frame[frame[name.rstrip("_")] == wanted]
    assert len(frame) == 1
    return frame.iloc[0]


@pytest.fixture(scope="module")
def shifted():
    data = adata(Shift())
    return data, report(data, model=Shift(), holdout=0.5, n_permutations=2)


def test_the_table_has_every_part(shifted):
    _, frame = shifted
    assert frame["samples"].unique().tolist() == ["fitted", "held out", "permuted", "mixing"]
    assert set(frame["class"]) == {"all", "neg", "pos"}
    assert value(frame, samples="held out", class_="all", measure="energy")["verdict"] == AT
    assert value(frame, samples="mixing", measure="ilisi")["value"] > 0.7
    assert value(frame, samples="mixing", measure="kbet")["unadjusted"] < 0.1
    assert frame.attrs["facts"]["model refitted"] == "Shift()"


def test_the_sentences_say_what_the_table_says(shifted):
    said = shifted[1].attrs["sentences"]
    assert said[0].startswith("Held out, B is ")
    assert any(line.startswith("B before → after, held out: energy distance ") for line in said)
    assert any(line.startswith("Label transfer to B, held out: ") for line in said)
    assert any(line.startswith("The control passes") for line in said)
    assert not any("emorised" in line for line in said)


def test_a_memoriser_is_told_off():
    frame = report(adata(Nearest()), model=Nearest(), holdout=0.5, n_permutations=2)
    said = " ".join(frame.attrs["sentences"])
    assert "Memorised: B lies closer to A than fresh samples would" in said
    assert "The control fails: manufactured signal" in said
    assert set(frame[frame["samples"] == "permuted"]["verdict"]) == {FAILS}


def test_what_was_not_moved_is_above_its_floor():
    frame = report(adata())
    assert value(frame, samples="fitted", class_="all", measure="energy")["verdict"] == ABOVE
    assert value(frame, samples="mixing", measure="ilisi")["verdict"] == SHORT
    assert "batches are still told apart" in frame.attrs["sentences"][-1]
    assert set(frame["samples"]) == {"fitted", "mixing"}


def test_the_same_seed_gives_the_same_report():
    data = adata(Shift())
    assert report(data).equals(report(data))


def test_several_batches_have_rows_of_their_own():
    frame = report(adata(Shift(), sizes=(80, 60, 15)))
    assert frame["batch"].unique().tolist() == ["B", "C", "all"]
    assert FEW not in set(frame[(frame["batch"] == "B") & (frame["class"] == "all")]["verdict"])
    assert set(frame[frame["batch"] == "C"]["verdict"]) == {FEW}
    assert set(frame[frame["samples"] == "mixing"]["verdict"]) == {FEW}
    assert "C: too few samples to say anything." in frame.attrs["sentences"]
    tiny = report(adata(sizes=(80, 60, 1)), holdout=0.5, model=Shift())
    assert "C is not compared: too few samples." in tiny.attrs["sentences"]


def test_a_reference_that_was_moved_too_has_scores_before_of_its_own():
    data = adata(Shift())
    data.obsm["X_pca_proxflow"] = data.obsm["X_pca_proxflow"] + 100.0
    frame = report(data)
    assert value(frame, class_="all", measure="energy")["unadjusted"] == pytest.approx(
        value(report(adata()), class_="all", measure="energy")["value"]
    )
    assert value(frame, class_="all", measure="energy")["value"] < 0.1
    assert "A itself was moved" in frame.attrs["sentences"][-1]


def test_samples_without_class_or_batch_are_left_out_and_counted():
    data = adata(Shift())
    data.obs.loc[:9, "er"] = None
    data.obs["cohort"] = data.obs["cohort"].where(data.obs.index != 150)
    frame = report(data)
    assert "10 samples without er are left out." in frame.attrs["notes"]
    assert "1 samples without cohort are left out." in frame.attrs["notes"]
    assert value(frame, class_="all", measure="energy")["n_reference"] == 110


def test_classes_spelt_differently_are_named():
    data = adata(Shift())
    data.obs["er"] = np.where(data.obs["cohort"] == "B", data.obs["er"].str.title(), data.obs["er"])
    frame = report(data, model=Shift(), holdout=0.5)
    assert "check the labels' spelling" in frame.attrs["sentences"][-1]
    data = adata(Shift())
    data.obs.loc[data.obs["cohort"] == "A", "er"] = data.obs["er"].replace("pos", "Pos")
    assert report(data).attrs["notes"] == [
        "B: not compared, absent from the reference: pos.", "B: not compared, absent from the moved samples: Pos.",
    ]  # fmt: skip


def test_the_default_model_is_ours(monkeypatch):
    fake = ModuleType("proxflow.integration.transport")
    fake.BatchTransport = Shift
    monkeypatch.setitem(sys.modules, "proxflow.integration.transport", fake)
    frame = report(adata(Shift()), holdout=0.5)
    assert "held out" in set(frame["samples"])
    assert frame.attrs["facts"]["model refitted"] == "BatchTransport()"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reference": "Z"}, "reference='Z' is no batch of obs\\['cohort'\\], which has 'A', 'B'"),
        ({"label_key": "ER"}, "label_key='ER' is no column of obs, which has 'cohort', 'er', 'age'"),
        ({"basis": "X_umap"}, "obsm has no 'X_umap'; it has 'X_pca', 'X_pca_proxflow'"),
        ({"key_added": "other"}, "obsm has no 'X_pca_other'"),
        ({"adjusted_basis": "narrow"}, "5 columns and obsm\\['narrow'\\] 2"),
        ({"adjusted_basis": "nan"}, "obsm\\['nan'\\]: NaN in row 0"),
        ({"label_key": None, "n_permutations": 1}, "control permutes labels"),
    ],
)
def test_bad_input_is_named(change, words):
    data = adata()
    data.obsm["narrow"], data.obsm["nan"] = np.zeros((220, 2)), np.full((220, WIDTH), np.nan)
    with pytest.raises(ValueError, match=words):
        report(data, **change)


def test_a_column_that_is_no_batch_is_refused():
    data = adata()
    with pytest.raises(ValueError, match="no column of batches"):
        integration_report(data, "age", reference="3")
    data.obs["cohort"] = "A"
    with pytest.raises(ValueError, match="has one batch, 'A'"):
        report(data)


# ---- page and pictures


def test_the_page_has_words_numbers_pictures_and_facts(shifted, tmp_path):
    data, frame = shifted
    drawn = integration_figures(
        frame, data.obsm["X_pca"], data.obsm["X_pca_proxflow"], data.obs["cohort"], data.obs["er"], reference="A",
        umap=False, displacement=np.arange(30.0), expression=np.arange(30.0),
    )  # fmt: skip
    assert len(drawn) == 4  # plane, held out, fitted, genes
    page = integration_page(tmp_path, frame, drawn[-1:], {"residual": "<kept>"}, command="proxflow integrate d.h5ad")
    text = page.read_text(encoding="utf-8")
    assert page.name == "report.html"
    assert text.count("<img") == 1
    for words in (frame.attrs["sentences"][0], "samples that were held out", "the control, permuted labels",
                  "&lt;kept&gt;", "proxflow integrate d.h5ad", "at the floor", "B moved onto A"):  # fmt: skip
        assert words.replace("'", "&#x27;") in text, words
    assert "<script" not in text
    with pytest.raises(ValueError, match="no sentences"):
        integration_page(tmp_path / "x.html", pd.DataFrame(frame.to_dict("list")))
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize("width", [1, 2, 9])
def test_planes_show_every_sample_and_keep_the_reference_grey(width):
    from proxflow.plots.style import TARGET

    rng = np.random.default_rng(0)
    points, batch = rng.normal(size=(60, width)), np.repeat(["A", "B", "$C_1$"], 20)
    figure = before_and_after(points + 5, points, batch, np.arange(60) % 12, reference="A")
    figure.canvas.draw()
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "before, by batch", "after, by batch", "before, by class", "after, by class",
    ]  # fmt: skip
    assert all(len(axes.collections[0].get_offsets()) == 60 for axes in figure.axes)
    entries = {text.get_text(): handle.get_color() for text, handle in zip(
        figure.axes[1].get_legend().get_texts(), figure.axes[1].get_legend().legend_handles, strict=True)}  # fmt: skip
    assert entries["A"] == TARGET
    assert len(set(entries.values())) == 3
    assert "5 others" in [text.get_text() for text in figure.axes[3].get_legend().get_texts()]


def test_umap_is_seeded_and_asked_for_by_name(monkeypatch):
    asked = []

    class UMAP:
        def __init__(self, **settings):
            asked.append(settings)

        def fit_transform(self, points):
            return points[:, :2]

    fake = ModuleType("umap")
    fake.UMAP = UMAP
    monkeypatch.setitem(sys.modules, "umap", fake)
    monkeypatch.setattr("proxflow.plots.integration.has_umap", lambda: True)
    points = np.random.default_rng(0).normal(size=(30, 3))
    figure = before_and_after(points, points + 1, np.repeat(["A", "B"], 15), method="umap", random_state=4)
    assert figure.axes[0].get_xlabel() == "UMAP 1"
    assert asked == [{"n_neighbors": 15, "random_state": 4, "n_jobs": 1}] * 2
    monkeypatch.setattr("proxflow.plots.integration.has_umap", lambda: False)
    with pytest.raises(ValueError, match="pip install 'proxflow\\[bio\\]'"):
        before_and_after(points, points, np.repeat(["A", "B"], 15), method="umap")


def test_many_samples_are_thinned_and_it_is_said(monkeypatch):
    monkeypatch.setattr("proxflow.plots.integration._MOST", 25)
    points = np.random.default_rng(0).normal(size=(60, 3))
    figure = before_and_after(points, points, np.repeat(["A", "B"], 30))
    assert len(figure.axes[0].collections[0].get_offsets()) == 25
    assert "random 25" in figure.get_supxlabel()


def test_bars_of_a_report_are_drawn(shifted):
    frame = shifted[1]
    figure = measure_bars(frame[(frame["batch"] == "B") & (frame["samples"] == "held out")])
    figure.canvas.draw()
    assert len(figure.axes) == 9
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["all", "neg", "pos"]
    with pytest.raises(ValueError, match="no score to draw"):
        measure_bars(frame.assign(value=np.nan))


def test_genes_are_listed_by_how_far_they_moved():
    rng = np.random.default_rng(0)
    moved = rng.normal(size=300)
    figure = gene_displacement(moved, rng.normal(size=300), [f"g{i}" for i in range(300)], top=5)
    figure.canvas.draw()
    wanted = [f"g{i}" for i in np.argsort(-np.abs(moved))[:5]]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == wanted
    with pytest.raises(ValueError, match="as many names"):
        gene_displacement(moved, moved[:9])
