"""More rows for a table: as many as asked, of the classes asked, in the table's own types; and how good they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from command import call
from proxflow import augment
from proxflow.augmenting.page import draw_augmentation
from proxflow.augmenting.trial import noisy_rows
from proxflow.augmenting.usefulness import usefulness
from proxflow.data.frames import read_frame, write_frame
from proxflow.plots.tables import associations, column_shares


class Quick:
    """Stands for `ParticleTransport` where the flow is not what is tested: jittered rows, in no time."""

    def __init__(self, *, n_particles, random_state, **_settings):
        self.count, self.seed, self.stopped_ = n_particles, random_state, ""

    def fit(self, rows):
        rng = np.random.default_rng(self.seed)
        assert self.count >= len(rows)  # a few particles would settle at the middle
        self.particles_ = rows[rng.integers(len(rows), size=self.count)]
        self.particles_ = self.particles_ + 0.1 * rng.normal(size=self.particles_.shape)
        return self


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("proxflow.augmenting.new_rows.ParticleTransport", Quick)
    monkeypatch.setattr("proxflow.augmenting.usefulness._TREES", 10)


def people(rows: int = 80, seed: int = 0) -> pd.DataFrame:
    """Numbers on several scales, a column half zeros, categories, a constant, and classes that they tell apart."""
    rng = np.random.default_rng(seed)
    late = np.arange(rows) % 4 == 0
    return pd.DataFrame({
        "age": rng.integers(18, 80, rows),
        "late": np.where(late, "yes", "no"),  # the label in the middle
        "income": np.round(np.exp(rng.normal(8 - 2 * late, 0.5)), 2),
        "debt": np.where(rng.uniform(size=rows) < 0.5, 0, np.round(rng.exponential(500, rows))),
        "city": np.where(rng.uniform(size=rows) < 0.2 + 0.6 * late, "Rome", "Bern"),
        "owner": rng.uniform(size=rows) < 0.3,
        "year": 2020,
    })  # fmt: skip


def test_the_flow_itself_makes_rows_that_teach_what_real_ones_do():
    """The one test with real flows: shares, relations, types, the trial's verdict, and the same seed again."""
    real = people(48)[["age", "late", "income", "city"]]
    found = augment(real, 60, "late", steps=40)
    new = found.table
    assert list(new.columns) == list(real.columns)
    assert (new.dtypes == real.dtypes).all()
    assert found.counts == {"no": 45, "yes": 15}
    income = new.groupby("late")["income"].median()
    assert 3 < income["no"] / income["yes"] < 20  # e² = 7.4
    assert 0.5 < found.judgement.closeness < 1.3
    assert found.usefulness.of("new")[0].value > 0.8
    assert found.usefulness.n_test == 12
    assert found.copies < 5
    again = augment(real, 60, "late", steps=40, trial=False)
    pd.testing.assert_frame_equal(again.table, new)


BALANCES = {
    "proportional": ("proportional", 40, {"no": 30, "yes": 10}),
    "equal": ("equal", 41, {"no": 21, "yes": 20}),
    "asked for": ({"yes": 7, "no": 2}, None, {"no": 2, "yes": 7}),
    "one class only": ({"yes": 5}, 5, {"no": 0, "yes": 5}),
    "as many as there are": ("proportional", None, {"no": 60, "yes": 20}),
}


@pytest.mark.parametrize("case", BALANCES)
def test_classes_come_in_the_numbers_asked_for(quick, case):
    balance, n, counts = BALANCES[case]
    found = augment(people(), n, "late", balance=balance, trial=False)
    assert found.counts == counts
    assert {name: int((found.table["late"] == name).sum()) for name in counts} == counts


LABELS = {
    "text": lambda y: np.where(y, "yes", "no"),
    "bools": lambda y: y,
    "integers": lambda y: y.astype(np.int8) + 1,
    "whole floats": lambda y: y.astype(float),
    "categories": lambda y: pd.Categorical(np.where(y, "b", "a"), categories=list("cab")),
    "nullable": lambda y: pd.array(y, dtype="boolean"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_every_type_are_classes_and_keep_their_type(quick, kind):
    real = people(40)
    real["late"] = LABELS[kind](real["late"].to_numpy() == "yes")
    found = augment(real, 20, "late", trial=kind == "integers")
    assert found.table["late"].dtype == real["late"].dtype
    assert list(found.counts.values()) == [15, 5]
    assert set(found.table["late"]) == set(real["late"])
    assert kind != "integers" or found.usefulness.measure == "Balanced accuracy"


def test_a_number_to_predict_is_generated_with_the_rest(quick):
    real = people().drop(columns="late")
    found = augment(real, 50, "income")
    assert found.counts == {}
    assert found.usefulness.measure == "R²"
    assert found.table.shape == (50, 6)
    assert found.table["income"].between(real["income"].min(), real["income"].max()).all()


def test_arrays_come_back_as_arrays(quick):
    real = np.column_stack([np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2])
    found = augment(real, 30, 2, trial=False)
    assert isinstance(found.table, np.ndarray)
    assert found.table.shape == (30, 3)
    assert found.counts == {0.0: 15, 1.0: 15}


def test_columns_are_dropped_and_constants_kept(quick):
    found = augment(people().assign(id=range(80)), 10, "late", drop=["id"], trial=False)
    assert "id" not in found.table
    assert (found.table["year"] == 2020).all()


def test_a_class_whose_rows_are_all_alike_is_repeated(quick):
    real = pd.DataFrame({"a": [1.0, 2.0, 3.0] * 4 + [9.0] * 4, "y": ["x"] * 12 + ["z"] * 4})
    made = augment(real, 16, "y", trial=False).table
    assert (made.loc[made["y"] == "z", "a"] == 9.0).all()


def test_a_few_rows_are_not_judged_and_say_so(quick):
    found = augment(people(20), 10, "late")
    assert found.judgement is None
    assert found.sentences()[0] == "Not judged: no trial."
    assert augment(people(20), 10, "late", trial=False).usefulness is None


def test_copies_are_counted(monkeypatch):
    class Copier(Quick):
        def fit(self, rows):
            self.particles_ = np.tile(rows, (-(-self.count // len(rows)), 1))[: self.count]
            return self

    monkeypatch.setattr("proxflow.augmenting.new_rows.ParticleTransport", Copier)
    found = augment(people(), 80, "late")
    assert found.copies > 60
    assert found.judgement.near_copies > 0.6
    assert any("equal a real row" in sentence for sentence in found.sentences())


def test_the_trial_notices_rows_that_teach_nothing(monkeypatch):
    class Nonsense(Quick):
        def fit(self, rows):
            rng = np.random.default_rng(self.seed)
            self.particles_ = rng.normal(size=(self.count, rows.shape[1]))
            return self

    monkeypatch.setattr("proxflow.augmenting.new_rows.ParticleTransport", Nonsense)
    real = people(160)[["age", "late", "income"]]
    found = augment(real, 400, "late")
    scores = {(s.model, s.trained_on): s for s in found.usefulness.scores}
    assert scores["forest", "real"].value > 0.9
    assert scores["forest", "new"].gain_high < 0
    assert found.judgement.closeness > 1.05


def test_an_interrupted_or_broken_flow_is_no_result(monkeypatch):
    for words, kind in (("interrupted", KeyboardInterrupt), ("non-finite numbers at step 3", ValueError)):

        class Broken(Quick):
            def fit(self, rows, words=words):
                super().fit(rows).stopped_ = words
                return self

        monkeypatch.setattr("proxflow.augmenting.new_rows.ParticleTransport", Broken)
        with pytest.raises(kind):
            augment(people(), 10, trial=False)


BAD = {
    "no such label": ({"label": "lat"}, "no column 'lat' for the label. There are 'age'"),
    "no such column": ({"drop": ["agee"]}, "no column 'agee' to drop"),
    "label dropped": ({"label": "late", "drop": ["late"]}, "no column 'late' for the label"),
    "zero": ({"n": 0}, "n must be a positive whole number"),
    "half": ({"n": 2.5}, "n must be a positive whole number"),
    "balance": ({"label": "late", "balance": "fair"}, "proportional, equal"),
    "balance without label": ({"balance": "equal"}, "needs a label"),
    "unknown class": ({"label": "late", "balance": {"maybe": 3}}, "no class 'maybe' of 'late'. There are 'no', 'yes'"),
    "counts and n": ({"n": 9, "label": "late", "balance": {"yes": 3}}, "adds up to 3 new rows, but n = 9"),
    "negative counts": ({"n": None, "label": "late", "balance": {"yes": -3}}, "whole numbers"),
    "no n": ({"n": None}, "how many new rows"),
    "limits": ({"limits": "none"}, "observed, sign"),
    "steps": ({"steps": 0}, "steps must be"),
    "seed": ({"random_state": -1}, "random_state"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_requests_are_named_with_the_way_out(case):
    settings, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        augment(people(), **({"n": 5} | settings))


def test_a_class_too_small_to_vary_is_named():
    real = people()
    real.loc[[3, 5], "late"] = "never"
    with pytest.raises(ValueError, match=r"class 'never' of 'late' has 2 rows, and at least 3 are needed"):
        augment(real, 10, "late")
    real.loc[[3, 5], "late"] = None
    with pytest.raises(ValueError, match=r"the label 'late' is missing in 2 of 80 rows"):
        augment(real, 10, "late")
    with pytest.raises(ValueError, match="only column"):
        augment(real[["age"]], 10, "age")
    with pytest.raises(ValueError, match="DataFrame or an array of numbers"):
        augment(np.array(["a", "b"]), 10)


# ---------------------------------------------------------------------- usefulness


def test_usefulness_knows_good_rows_from_bad_ones_with_intervals():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    number = x @ [1.0, 2.0, 0.0] + 0.3 * rng.normal(size=400)
    for classes, y in ((True, (number > 0).astype(int)), (False, number)):
        kinds = {"few": (x[:12], y[:12]), "many": (x[12:200], y[12:200]), "wrong": (x[:200], y[200:])}
        found = usefulness(kinds, (x[200:], y[200:]), classes=classes)
        for score in found.of("many"):
            assert score.gain_low > -0.01
            assert score.low < score.value < score.high
            assert score.high - score.low < 0.2
        assert all(score.gain_high < 0 for score in found.of("wrong"))
        assert all(score.gain == 0 for score in found.of("few"))
    with pytest.raises(ValueError, match="rows to test on"):
        usefulness(kinds, (x[:0], y[:0]), classes=False)


def test_intervals_of_the_score_cover_the_truth():
    """The law's accuracy of a fixed rule lies in nineteen of twenty intervals."""
    rng, inside = np.random.default_rng(0), 0
    x = np.repeat([[0.0], [1.0]], 20, axis=0)
    train = (x, x[:, 0].astype(int))
    for seed in range(40):
        truth = rng.integers(0, 2, 80)
        test = np.where(rng.uniform(size=80) < 0.8, truth, 1 - truth)[:, None].astype(float)
        score = usefulness({"a": train}, (test, truth), classes=True, models=["linear"], seed=seed).scores[0]
        inside += score.low <= 0.8 <= score.high
    assert 34 <= inside <= 40


def test_noise_is_a_fifth_of_the_deviation():
    rows = np.random.default_rng(0).normal(size=(500, 2)) * [1.0, 100.0]
    made = noisy_rows(rows, 4000, 0)
    np.testing.assert_allclose(made.std(axis=0), np.sqrt(1.04) * rows.std(axis=0), rtol=0.05)


# ---------------------------------------------------------------------- page and pictures


def test_the_page_says_it_all_and_loads_nothing(quick, tmp_path):
    text = draw_augmentation(augment(people(), 40, "late"), tmp_path, "proxflow augment a.csv").read_text()
    for words in (
        "What models learn",
        "real + noise",
        "Classes of late",
        "skewed: as logarithms",
        "a.csv",
        "40 new rows",
    ):
        assert words in text
    assert text.count("<img") == 4
    assert "http" not in text.replace("http-equiv", "")
    plain = draw_augmentation(augment(people()[["age"]], 40, trial=False), tmp_path / "one.html").read_text()
    assert "Not judged" in plain


def test_pictures_show_what_differs_first():
    real = people()
    figure = column_shares(real, real.assign(city="Rome"), panels=2)
    assert figure.axes[0].get_title(loc="left").startswith("city, gap 0.")
    with pytest.raises(ValueError, match="same columns"):
        column_shares(real, real[["age"]])
    points = np.random.default_rng(0).normal(size=(300, 2))
    assert "largest difference 0.98" in associations(points, points[:, [0, 0]]).get_suptitle()
    with pytest.raises(ValueError, match="at least 2"):
        associations(points[:, :1], points[:, :1])


# ---------------------------------------------------------------------- files and the command


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_frames_survive_a_file(tmp_path, suffix):
    frame = people().assign(note=["a, b", None] * 40)
    back = read_frame(write_frame(tmp_path / f"t{suffix}", frame))
    assert back["note"].isna().tolist() == frame["note"].isna().tolist()
    filled = [table.fillna({"note": ""}) for table in (back, frame)]  # pandas before 3 tells None from NaN
    pd.testing.assert_frame_equal(*filled, check_dtype=False)
    assert back["owner"].dtype == bool


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    people().to_csv("a.csv", index=False)
    people().assign(name=[f"p{i}" for i in range(80)]).to_csv("names.csv", index=False)
    people().assign(age=[None, *range(79)]).to_csv("gaps.csv", index=False)
    Path("none.csv").write_text("age,late\n")
    Path("blank.csv").write_text("")
    Path("twice.csv").write_text("a,a\n1,2\n3,4\n")
    Path("ragged.csv").write_text("a,b\n1,2\n3\n")
    Path("picture.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    people().to_parquet("a.parquet")
    Path("cut.parquet").write_bytes(Path("a.parquet").read_bytes()[:-80])
    Path("full").mkdir()
    Path("full/mine.txt").write_text("keep me")
    return tmp_path


def test_augment_writes_a_folder_in_the_types_of_the_input(quick, here, capsys):
    code, out, err = call(capsys, "augment", "a.csv", "-n", "50", "--label", "late", "--out", "one")
    assert (code, err) == (0, "")
    assert "50 new rows from 80" in out
    assert "(no: 37, yes: 13)" in out or "(no: 38, yes: 12)" in out
    assert "real + new" in out
    assert {file.name for file in Path("one").iterdir()} == {
        "settings.json",
        "samples.csv",
        "report.html",
        "report.json",
    }
    new = pd.read_csv("one/samples.csv")
    assert (new.dtypes == pd.read_csv("a.csv").dtypes).all()
    assert "proxflow augment" in Path("one/report.html").read_text()


def test_augment_options_and_the_same_rows_again(quick, here, capsys):
    code, out, _ = call(
        capsys, "augment", "a.parquet", "--label", "late", "--balance", "yes=9,no=4", "--drop", "year,debt", "--json",
        "--no-trial", "--no-pictures", "--limits", "sign", "--seed", "3", "--out", "one",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert found["counts"] == {"no": 4, "yes": 9}
    assert (found["judgement"], found["settings"]["seed"]) == (None, 3)
    new = pd.read_parquet("one/samples.parquet")
    assert list(new.columns) == ["age", "late", "income", "city", "owner"]
    assert not Path("one/report.html").exists()
    assert call(capsys, "rerun", "one", "--out", "two")[0] == 0
    assert Path("one/samples.parquet").read_bytes() == Path("two/samples.parquet").read_bytes()
    assert call(capsys, "augment", "a.csv", "--label", "late", "--out", "one", "--no-trial", "--no-pictures")[0] == 2


WRONG = {
    "missing": (["nope.csv"], "nope.csv: no such file"),
    "blank": (["blank.csv"], "blank.csv"),
    "no rows": (["none.csv"], "none.csv"),
    "other type": (["picture.csv"], "picture.csv"),
    "ragged": (["ragged.csv"], "line 3 has 1 cell"),
    "truncated": (["cut.parquet"], "cut.parquet"),
    "duplicate names": (["twice.csv"], "more than one column is called 'a'"),
    "suffix": (["a.doc"], ".csv"),
    "label": (["a.csv", "--label", "nope"], "no column 'nope' for the label"),
    "text": (["names.csv", "-n", "5"], "column 'name' holds 80 different texts"),
    "gaps": (["gaps.csv", "-n", "5"], "column 'age': 1 of 80 numbers missing"),
    "zero": (["a.csv", "-n", "0"], "-n must be"),
    "balance": (["a.csv", "--label", "late", "--balance", "maybe=3"], "CLASS=NUMBER"),
    "balance without label": (["a.csv", "--balance", "yes=3"], "needs --label"),
    "drop": (["a.csv", "-n", "5", "--drop", "agee"], "no column 'agee' to drop"),
    "limits": (["a.csv", "-n", "5", "--limits", "none"], "observed, sign"),
    "steps": (["a.csv", "-n", "5", "--steps", "0"], "steps"),
    "out exists": (["a.csv", "-n", "5", "--out", "full"], "--overwrite"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_clear_line_and_exit_code_2(quick, here, capsys, case):
    arguments, words = WRONG[case]
    before = sorted(p.name for p in here.iterdir())
    code, out, err = call(capsys, "augment", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("proxflow: ")
    assert err.count("\n") == 1
    assert words in err
    assert sorted(p.name for p in here.iterdir()) == before
