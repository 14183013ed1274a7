"""Mixed tables: every kind of column returns with its type, its values and its constraints; the rest is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from proxflow.augmenting.mixed_tables import Category, Constant, MixedTable, Number, allotted, check_frame

ROWS = 60
RNG = np.random.default_rng(0)

# What people have in tables: name -> a column, and what it is to be taken for.
COLUMNS = {
    "floats": (pd.Series(RNG.normal(size=ROWS)), Number),
    "float32": (pd.Series(RNG.normal(size=ROWS).astype(np.float32)), Number),
    "prices": (pd.Series(np.round(RNG.exponential(20, ROWS), 2)), Number),
    "skewed": (pd.Series(np.exp(2 * RNG.normal(size=ROWS))), Number),
    "half zeros": (pd.Series(np.where(RNG.uniform(size=ROWS) < 0.5, 0, np.round(RNG.exponential(9, ROWS), 1))), Number),
    "large": (pd.Series(1.7e9 + RNG.normal(size=ROWS)), Number),
    "negative": (pd.Series(-np.exp(RNG.normal(size=ROWS))), Number),
    "integers": (pd.Series(RNG.integers(18, 80, ROWS)), Number),
    "counts": (pd.Series(RNG.poisson(1.0, ROWS).astype(np.int8)), Number),
    "zero and one": (pd.Series(RNG.integers(0, 2, ROWS)), Number),
    "nullable integers": (pd.Series(RNG.integers(0, 9, ROWS), dtype="Int64"), Number),
    "unsigned": (pd.Series(RNG.integers(0, 200, ROWS).astype(np.uint8)), Number),
    "text": (pd.Series(RNG.choice(["Bern", "Rome", "Oslo"], ROWS)), Category),
    "text with gaps": (pd.Series(RNG.choice(np.array(["a", "b", None], object), ROWS)), Category),
    "objects": (pd.Series(RNG.choice(np.array(["a", 1, True], object), ROWS), dtype=object), Category),
    "bools": (pd.Series(RNG.uniform(size=ROWS) < 0.2), Category),
    "nullable bools": (pd.Series(RNG.uniform(size=ROWS) < 0.2, dtype="boolean"), Category),
    "categories": (pd.Series(pd.Categorical(RNG.choice(list("ab"), ROWS), categories=list("abc"))), Category),
    "ordered": (
        pd.Series(pd.Categorical(RNG.choice(["low", "high"], ROWS), categories=["low", "high"], ordered=True)),
        Category,
    ),
    "one number": (pd.Series(np.full(ROWS, 2020)), Constant),
    "one text": (pd.Series(["x"] * ROWS), Constant),
    "all missing text": (pd.Series([None] * ROWS, dtype=object), Constant),
}
FRAME = pd.DataFrame({name: column for name, (column, _) in COLUMNS.items()})


@pytest.mark.parametrize("name", COLUMNS)
def test_encoding_and_back_is_the_same_column(name):
    frame = FRAME[[name]]
    table = MixedTable.of(frame)
    points = table.encode(frame)
    assert isinstance(table.columns[0], COLUMNS[name][1])
    assert points.shape == (ROWS, table.width) and len(table.coordinates()) == table.width  # noqa: PT018
    assert np.isfinite(points).all()
    pd.testing.assert_frame_equal(table.decode(points), frame, check_exact=False, rtol=1e-6)


@pytest.mark.parametrize("name", COLUMNS)
def test_wild_points_still_give_possible_values(name):
    frame = FRAME[[name]]
    table = MixedTable.of(frame)
    wild = np.random.default_rng(1).normal(size=(200, table.width)) * 5
    for like in (None, table.encode(frame)):
        made = table.decode(wild, like)[name]
        assert made.dtype == frame[name].dtype
        assert len(made) == 200
        if COLUMNS[name][1] is not Number:
            assert set(made.astype(object).where(made.notna(), None)) <= set(
                frame[name].astype(object).where(frame[name].notna(), None)
            )
            continue
        assert made.between(frame[name].min(), frame[name].max()).all()
        decimals = {"prices": 2, "half zeros": 1, "integers": 0, "counts": 0}.get(name)
        if decimals is not None:
            np.testing.assert_allclose(made, np.round(made.astype(float), decimals), atol=1e-12)


def test_coordinates_are_in_like_units():
    points = MixedTable.of(FRAME[["floats", "skewed", "integers", "large"]]).encode(FRAME)
    np.testing.assert_allclose(points.std(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-6)
    text = MixedTable.of(FRAME[["text"]]).encode(FRAME[["text"]])
    assert set(np.linalg.norm(text[:, None] - text[None], axis=2).round(6).ravel()) == {0.0, 1.414214}


def test_repeated_values_come_as_often_as_in_the_rows_to_be_like():
    names = ["text", "bools", "counts", "zero and one", "half zeros"]
    frame = FRAME[names]
    table = MixedTable.of(frame)
    like = table.encode(frame)
    made = table.decode(np.random.default_rng(2).normal(size=(600, table.width)), like)
    for name in names[:-1]:
        shares = made[name].value_counts(normalize=True)
        pd.testing.assert_series_equal(
            shares.sort_index(), frame[name].value_counts(normalize=True).sort_index(), atol=0.01
        )
    assert abs((made["half zeros"] == 0).mean() - (frame["half zeros"] == 0).mean()) < 0.01
    alone = table.decode(np.random.default_rng(2).normal(size=(600, table.width)))
    assert abs((alone["zero and one"] == 1).mean() - (frame["zero and one"] == 1).mean()) > 0.02  # the test can fail


def test_a_category_is_the_nearest_corner_that_the_shares_allow():
    frame = pd.DataFrame({"c": ["a", "b"] * 10})
    table = MixedTable.of(frame)
    points = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.55, 0.45]])
    assert table.decode(points)["c"].tolist() == ["a"] * 4
    assert table.decode(points, table.encode(frame))["c"].tolist() == ["a", "a", "b", "b"]


def test_sign_keeps_the_sign_only():
    frame = FRAME[["skewed", "negative", "floats", "integers"]]
    table = MixedTable.of(frame, limits="sign")
    made = table.decode(np.random.default_rng(3).normal(size=(500, 4)) * 4)
    assert (made["skewed"] >= 0).all()
    assert (made["negative"] <= 0).all()
    assert made["skewed"].max() > frame["skewed"].max()
    assert made["floats"].max() > frame["floats"].max()
    with pytest.raises(ValueError, match="observed, sign"):
        MixedTable.of(frame, limits="none")


def test_an_unseen_category_is_no_corner():
    table = MixedTable.of(pd.DataFrame({"c": ["a", "b", "a"]}))
    assert table.encode(pd.DataFrame({"c": ["b", "z"]})).tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_the_order_of_rows_decides_nothing():
    shuffled = FRAME.sample(frac=1, random_state=0)
    assert MixedTable.of(shuffled).coordinates() == MixedTable.of(FRAME).coordinates()


@pytest.mark.parametrize(("shares", "total"), [([1, 1, 1], 10), ([0.7, 0.3], 1), ([5, 0, 2], 3), ([1e-9, 1], 4)])
def test_allotted_counts_add_up_and_are_near(shares, total):
    counts = allotted(shares, total)
    assert counts.sum() == total
    assert (counts >= 0).all()
    assert np.abs(counts - total * np.array(shares) / np.sum(shares)).max() < 1


BAD = {
    "missing number": ({"a": [1.0, None, 3.0]}, "'a': 1 of 3 numbers missing. Drop"),
    "infinite": ({"a": [1.0, np.inf, 3.0]}, "'a': 1 of 3 numbers infinite"),
    "beyond": ({"a": [1.0, 1e18, 3.0]}, "Rescale"),
    "dates": ({"a": pd.date_range("2020", periods=3)}, "'a' holds dates"),
    "durations": ({"a": pd.to_timedelta([1, 2, 3], unit="D")}, "'a' holds dates or durations"),
    "complex": ({"a": np.array([1j, 2, 3])}, "complex128"),
    "names": ({"a": [f"person {i}" for i in range(20)]}, "20 different texts in 20 rows"),
    "row numbers": ({"a": np.arange(5, 25)}, "'a' numbers the rows"),
    "identifiers": ({"patient_id": np.random.default_rng(0).choice(9999, 20, replace=False)}, "numbers the rows"),
    "lists": ({"a": [[1], [2], [3]]}, "lists"),
    "one row": ({"a": [1]}, "1 row, but"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_generated_is_named_with_the_way_out(case):
    content, words = BAD[case]
    with pytest.raises(ValueError, match=words) as found:
        check_frame(pd.DataFrame(content), "a.csv")
    assert str(found.value).startswith("a.csv: ")
    assert "\n" not in str(found.value)


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(ValueError, match="more than one column is called 'a'"):
        check_frame(pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]))


def test_measurements_without_repeats_are_no_identifiers():
    incomes = np.random.default_rng(0).choice(99999, 30, replace=False)
    widths = np.random.default_rng(0).normal(size=30)
    check_frame(pd.DataFrame({"income": incomes, "width": widths, "group": 1}))
