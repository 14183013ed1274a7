"""BatchTransport: what it carries, what it leaves, what it refuses, and that it is never worse than a shift."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from proxflow import Autoencoder, BatchTransport, Integration, ParticleTransport
from proxflow.agreement import energy, label_transfer
from proxflow.arrays import read_arrays, write_arrays
from proxflow.neighbours import nearest_rows

QUICK = {"max_path": 0.1, "folds": 2, "width": 16, "updates": 2, "n_components": 3, "random_state": 0}
FLOWS = QUICK | {"start": "shift"}  # from a start that leaves much to do
START = {"max_path": 0, "random_state": 0}  # no flow: instant


def labelled(counts, columns=12, seed=0):
    """Classes in three large directions; class number i stands at 3 i in the first three columns."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(list(counts), list(counts.values()))
    points = rng.normal(size=(len(codes), columns)) * np.r_[2.0, 1.5, 1.2, np.full(columns - 3, 0.4)]
    for i, c in enumerate(counts):
        points[codes == c, :3] += 3.0 * i
    return points, codes


def bent(points, codes):
    """A batch effect: the second column follows the square of the first, within each class; then all is shifted."""
    moved = points.copy()
    for c in np.unique(codes):
        first = points[codes == c, 0]
        moved[codes == c, 1] += 0.8 * ((first - first.mean()) ** 2 - 4)
    return moved + 2


def affine(points, codes):
    return points * np.linspace(1.6, 0.7, points.shape[1]) - 3


def unchanged(points, codes):
    return points


SOURCE = labelled({"a": 60, "b": 50}, seed=1)
XS, YS = bent(*SOURCE), SOURCE[1]
XT, YT = labelled({"a": 50, "b": 64}, seed=2)
LATER = labelled({"a": 30, "b": 20}, seed=3)
XN, YN = bent(*LATER), LATER[1]


@pytest.fixture(scope="module")
def fitted():
    model = BatchTransport(**FLOWS).fit(XS, YS, XT, YT)
    assert min(model.paths_.values()) > 0, "tests of the flow need classes that flow"
    return model


# ---------------------------------------------------------------------- what it does


def test_new_samples_come_as_close_as_those_of_the_fit(fitted):
    for points, codes in ((XS, YS), (XN, YN)):
        moved = fitted.transform(points, codes)
        for c in "ab":
            before, after = (energy(cloud[codes == c], XT[c == YT]) for cloud in (points, moved))
            assert after < 0.15 < 0.5 < before
    assert (fitted.fit_transform(XS, YS, XT, YT) == clone(fitted).fit(XS, YS, XT, YT).transform(XS, YS)).all()


def test_the_image_of_a_sample_does_not_depend_on_the_others(fitted):
    moved = fitted.transform(XN, YN)
    for rows in ([3], [45, 2], np.arange(len(XN))[::-1]):
        np.testing.assert_allclose(fitted.transform(XN[rows], YN[rows]), moved[rows], atol=2e-6)


def test_a_class_moves_by_its_own_map(fitted):
    one = XN[:1]
    assert np.abs(fitted.transform(one, ["a"]) - fitted.transform(one, ["b"])).max() > 0.01
    assert list(fitted.paths_) == fitted.classes_ == ["a", "b"]


def test_what_the_latent_space_does_not_see_moves_by_the_start_alone(fitted):
    start = BatchTransport(**FLOWS | {"max_path": 0}).fit(XS, YS, XT, YT)
    flowed = fitted.transform(XN, YN) - start.transform(XN, YN)
    assert np.linalg.norm(flowed, axis=1).min() > 0.05
    frame = fitted.encoding_.basis
    np.testing.assert_allclose(flowed @ frame.T @ frame, flowed, atol=1e-9)
    assert np.abs(start.transform(XN, YN) - XN - flowed).max() > 1


def test_no_path_is_the_start_alone():
    model = BatchTransport(**START, start="shift").fit(XS, YS, XT, YT)
    assert model.paths_ == {"a": 0.0, "b": 0.0}
    moved = model.transform(XS, YS) - XS
    for c in "ab":
        assert np.ptp(moved[c == YS], axis=0).max() < 1e-9
    assert clone(model).set_params(start="scale").fit(XS, YS, XT, YT).start_ == "scale"


def test_without_labels_all_is_one_class():
    model = BatchTransport(**START).fit(XS, None, XT)
    assert len(model.classes_) == 1
    assert model.transform(XN).shape == XN.shape
    np.testing.assert_allclose(model.transform(XS).mean(axis=0), XT.mean(axis=0), atol=1e-9)
    with pytest.raises(ValueError, match="the fit had no labels"):
        model.transform(XN, YN)
    with pytest.raises(ValueError, match="no labels, so there are none to guess"):
        model.predict_labels(XN)


def test_labels_are_needed_where_the_fit_had_them(fitted):
    with pytest.raises(ValueError, match=r"the fit had labels.*predict_labels"):
        fitted.transform(XN)


def test_predicted_labels_and_their_shares(fitted):
    guessed, share = fitted.predict_labels(XN)
    assert (guessed == YN).mean() > 0.8
    assert guessed.shape == share.shape == (len(XN),)
    assert ((share >= 0.5) & (share <= 1)).all()
    assert (fitted.predict_labels(XS)[0] == YS).all()  # they are their own nearest neighbours
    assert fitted.predict_labels(XN, neighbours=10**6)[0].shape == (len(XN),)
    assert fitted.shift(XN).shape == XN.shape


def test_what_is_said_of_the_choice(fitted):
    choosing = BatchTransport(**START).fit(XS, YS, XT, YT)
    assert {"unmoved", "shift", "scale"} <= set(choosing.heldout_)
    assert choosing.heldout_["unmoved"] > 5 * choosing.heldout_["shift"]
    assert choosing.start_ == min(("shift", "scale"), key=choosing.heldout_.get) == "scale"
    assert any("columns rescaled" in note for note in choosing.notes_)
    assert any("each class shifted. Then a flow in 3 components" in note for note in fitted.notes_)
    np.testing.assert_allclose(fitted.path_grid_, 0.02 * np.arange(6))
    for c in "ab":
        assert fitted.curves_[c].shape == (6,)
        assert fitted.paths_[c] in fitted.path_grid_
    assert fitted.heldout_["after the flow"] < fitted.heldout_["before the flow"]


# ---------------------------------------------------------------------- quality

FAMILIES = {"affine": affine, "curved": bent, "null": unchanged}


def distances(model, points, codes, target):
    moved = model.transform(points, codes)
    return np.mean([energy(moved[codes == c], target[0][target[1] == c]) for c in "ab"])


@pytest.mark.parametrize("family", FAMILIES)
def test_held_out_it_is_never_worse_than_a_class_shift(family):
    change, gains = FAMILIES[family], []
    for seed in range(2):
        source = labelled({"a": 60, "b": 60}, seed=10 + seed)
        target = labelled({"a": 60, "b": 60}, seed=20 + seed)
        later, judges = labelled({"a": 400, "b": 400}, seed=30 + seed), labelled({"a": 400, "b": 400}, seed=40 + seed)
        xs, later_xs = change(*source), change(*later)
        full = BatchTransport(**QUICK | {"folds": 3, "max_path": 0.4}).fit(xs, source[1], *target)
        shift = BatchTransport(**START, start="shift").fit(xs, source[1], *target)
        gains.append(distances(shift, later_xs, later[1], judges) - distances(full, later_xs, later[1], judges))
    assert np.mean(gains) > {"affine": 0.01, "curved": 0.03, "null": -0.004}[family]


def test_without_a_batch_effect_samples_stay_near():
    source, target = labelled({"a": 60, "b": 60}, seed=11), labelled({"a": 60, "b": 60}, seed=21)
    moved = BatchTransport(**QUICK).fit(*source, *target).transform(*source)
    nearest = nearest_rows(target[0], target[0], 2)[1][:, 1]
    assert np.median(np.linalg.norm(moved - source[0], axis=1)) < 0.6 * np.median(nearest)


def test_permuted_labels_bring_no_signal():
    rng, found = np.random.default_rng(0), []
    for _ in range(3):
        source, target = (rng.normal(size=(100, 12)) for _ in range(2))
        ys, yt = (rng.permutation(np.repeat(["a", "b"], 50)) for _ in range(2))
        fold = np.arange(100) < 60
        model = BatchTransport(**QUICK).fit(source[fold] + 2, ys[fold], target[fold], yt[fold])
        moved = model.transform(source[~fold] + 2, ys[~fold])
        found.append(label_transfer(moved, ys[~fold], target[~fold], yt[~fold]))
    assert np.mean(found) < 0.55


# ---------------------------------------------------------------------- classes


def test_a_class_that_the_reference_lacks_is_left_moved_or_refused():
    xs, ys = np.concatenate([XS, XS[:25] + 9]), np.concatenate([YS, np.repeat("q", 25)])
    with pytest.warns(UserWarning, match=r"not in the reference: 'q'.*25 samples stay") as told:
        left = BatchTransport(**START).fit(xs, ys, XT, YT)
    assert told[0].filename == __file__
    q = ys == "q"
    assert (left.transform(xs, ys)[q] == xs[q]).all()
    moving = BatchTransport(**START, missing_class="shift").fit(xs, ys, XT, YT)
    np.testing.assert_allclose(moving.transform(xs, ys)[q], moving.shift(xs[q]))
    assert np.abs(moving.transform(xs, ys)[q] - xs[q]).max() > 1
    assert any("move by what the other classes share" in note for note in moving.notes_)
    with pytest.raises(ValueError, match="class 'q' is not in the reference"):
        BatchTransport(**START, missing_class="error").fit(xs, ys, XT, YT)
    # And samples of a class that neither side of the fit had.
    assert (left.transform(XN[:2], ["new", "new"]) == XN[:2]).all()
    refusing = BatchTransport(**START, missing_class="error").fit(XS, YS, XT, YT)
    with pytest.raises(ValueError, match="class 'new' is not in the reference"):
        refusing.transform(XN[:2], ["a", "new"])


def test_a_class_of_the_reference_alone_changes_nothing():
    xt, yt = np.concatenate([XT, XT[:30] + 50]), np.concatenate([YT, np.repeat("r", 30)])
    base, more = (BatchTransport(**START, start="shift").fit(XS, YS, *side) for side in ((XT, YT), (xt, yt)))
    assert more.classes_ == ["a", "b"]
    np.testing.assert_allclose(more.transform(XN, YN), base.transform(XN, YN), atol=1e-9)


def test_tiny_classes_are_shifted_with_the_others():
    xs, ys = np.concatenate([XS, XS[:3]]), np.concatenate([YS, np.repeat("t", 3)])
    xt, yt = np.concatenate([XT, XT[:1] + 2]), np.concatenate([YT, ["t"]])
    model = BatchTransport(**QUICK).fit(xs, ys, xt, yt)
    assert model.paths_["t"] == 0
    assert any("fewer than 20" in note and "'t'" in note for note in model.notes_)
    assert np.isfinite(model.transform(xs, ys)).all()


def test_nothing_flows_when_all_classes_are_small(tmp_path):
    small = [(p[:8], c[:8]) for p, c in (labelled({"a": 4, "b": 4}, seed=s) for s in (0, 1))]
    model = BatchTransport(random_state=0).fit(*small[0], *small[1])
    assert model.paths_ == {"a": 0.0, "b": 0.0}
    assert model.curves_ == {}
    assert np.isfinite(model.transform(*small[0])).all()
    model.save(tmp_path / "model.npz")
    assert (BatchTransport.load(tmp_path / "model.npz").transform(*small[0]) == model.transform(*small[0])).all()
    again = BatchTransport(random_state=0).fit(small[0][0][:2], ["a", "b"], small[1][0][:2], ["a", "b"])
    assert np.isfinite(again.transform(small[0][0][:2], ["a", "b"])).all()


def test_labels_may_be_numbers_text_or_categories(fitted):
    base = BatchTransport(**START).fit(XS, YS, XT, YT).transform(XN, YN)
    number = {"a": 3, "b": 1}
    kinds = {
        "int": lambda y: np.array([number[c] for c in y]),
        "float": lambda y: np.array([float(number[c]) for c in y]),
        "bool": lambda y: y == "a",
        "object": lambda y: y.astype(object),
        "category": lambda y: pd.Series(y, dtype="category"),
        "list": lambda y: y.tolist(),
        "long text": lambda y: np.array([c * 40 for c in y]),
    }
    for name, turn in kinds.items():
        moved = BatchTransport(**START).fit(XS, turn(YS), XT, turn(YT)).transform(XN, turn(YN))
        np.testing.assert_allclose(moved, base, atol=1e-9, err_msg=name)
    with pytest.raises(ValueError, match="numbers on one side and text on the other"):
        BatchTransport(**START).fit(XS, YS, XT, kinds["int"](YT))
    with pytest.raises(ValueError, match="1"):  # text for numbers, later
        BatchTransport(**START).fit(XS, kinds["int"](YS), XT, kinds["int"](YT)).transform(XN[:1], ["1"])


@pytest.mark.parametrize(
    ("ys", "yt", "words"),
    [
        (YS, None, "ys without yt"),
        (None, YT, "yt without ys"),
        (YS[:-1], YT, r"ys: expected one label per sample, shape \(110,\), got \(109,\)"),
        (np.where(np.arange(110) == 4, None, YS.astype(object)), YT, "ys: no label in row 4"),
        (np.char.upper(YS), YT, "'A' in ys and 'a' in yt differ by spelling only"),
        (np.char.add(YS, " "), YT, "differ by spelling only"),
        (np.char.add(YS, "2"), YT, "no class is on both sides"),
    ],
    ids=["one side", "other side", "length", "missing", "capitals", "blanks", "none shared"],
)
def test_labels_that_do_not_fit(ys, yt, words):
    with pytest.raises(ValueError, match=words):
        BatchTransport(**START).fit(XS, ys, XT, yt)


def test_signs_are_no_spelling():
    sign = {"a": "ER+", "b": "ER-"}
    ys, yt = ([sign[c] for c in codes] for codes in (YS, YT))
    assert BatchTransport(**START).fit(XS, ys, XT, yt).classes_ == ["ER+", "ER-"]
    with pytest.raises(ValueError, match=r"'er \+' in ys and 'ER\+' in the fit"):
        BatchTransport(**START).fit(XS, ys, XT, yt).transform(XN[:1], ["er +"])


# ---------------------------------------------------------------------- columns and values


def test_constant_columns_pass_unchanged_and_are_named():
    frames = [pd.DataFrame(x).rename(columns=str).assign(stuck=0.1) for x in (XS, XT)]
    with pytest.warns(UserWarning, match="1 constant columns, such as 'stuck', pass unchanged"):
        model = BatchTransport(**FLOWS).fit(frames[0], YS, frames[1], YT)
    assert (model.transform(frames[0], YS)[:, -1] == 0.1).all()
    odd = frames[0].assign(stuck=5.0)
    assert (model.transform(odd, YS)[:, -1] == 5.0).all()
    assert (model.shift(odd)[:, -1] == 5.0).all()
    # The rest does not notice, but for what rounding makes of it.
    plain = BatchTransport(**FLOWS).fit(XS, YS, XT, YT)
    assert plain.start_ == model.start_
    np.testing.assert_allclose(model.transform(frames[0], YS)[:, :-1], plain.transform(XS, YS), atol=0.02)


def test_frames_are_matched_by_name_in_any_order():
    names = [f"gene{i}" for i in range(12)]
    xs, xt, xn = (pd.DataFrame(x, columns=names) for x in (XS, XT, XN))
    base = BatchTransport(**START).fit(xs, YS, xt, YT)
    other = BatchTransport(**START).fit(xs[names[::-1]], YS, xt, YT)
    expected = base.transform(xn, YN)
    np.testing.assert_allclose(other.transform(xn, YN), expected)
    np.testing.assert_array_equal(base.transform(xn[names[::-1]], YN), expected)
    np.testing.assert_array_equal(base.transform(XN, YN), expected)
    np.testing.assert_array_equal(base.transform(xn.assign(extra=1.0), YN), expected)
    with pytest.raises(ValueError, match="Xs: column 'gene4' of the fit is missing"):
        base.transform(xn.drop(columns="gene4"), YN)
    with pytest.raises(ValueError, match="different columns"):
        BatchTransport(**START).fit(xs.rename(columns={"gene1": "other"}), YS, xt, YT)
    again = base.fit(XS, YS, XT, YT)
    assert not hasattr(again, "feature_names_in_")


def test_bad_values_are_named_by_place(fitted):
    holes = XS.copy()
    holes[7, 3] = np.nan
    with pytest.raises(ValueError, match="Xs: NaN in row 7, column 3"):
        BatchTransport(**START).fit(holes, YS, XT, YT)
    with pytest.raises(ValueError, match="Xs: NaN in row 7, column 3"):
        fitted.transform(holes, YS)
    frame = pd.DataFrame(holes).rename(columns=lambda i: f"g{i}")
    with pytest.raises(ValueError, match="Xt: NaN in row 7, column 'g3'"):
        BatchTransport(**START).fit(XT, YT, frame, YS)
    with pytest.raises(ValueError, match="sparse"):
        BatchTransport(**START).fit(sparse.csr_matrix(XS), YS, XT, YT)
    for call in (lambda: fitted.transform(XS[:, :5], YS), lambda: BatchTransport(**START).fit(XS[:, :5], YS, XT, YT)):
        with pytest.raises(ValueError, match=r"5 features.*12"):
            call()
    with pytest.raises(ValueError, match="Xt, the reference, is missing"):
        BatchTransport().fit(XS, YS)
    with pytest.raises(ValueError, match="Xs: 1 sample, but at least 2"):
        BatchTransport().fit(XS[:1], None, XT)


def test_float32_in_is_float32_out(fitted):
    moved = fitted.transform(XN.astype(np.float32), YN)
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved, fitted.transform(XN, YN), atol=1e-4)
    assert fitted.transform(XN.tolist(), YN).dtype == np.float64
    assert fitted.transform(np.round(XN).astype(int), YN).dtype == np.float64


@pytest.mark.parametrize(
    ("case", "xs", "xt"),
    [
        ("one feature", XS[:, :1], XT[:, :1]),
        ("more features than samples", np.random.default_rng(0).normal(size=(60, 200)) + 1, None),
        ("duplicated samples", np.repeat(XS[:10], 6, axis=0), np.repeat(XT[:10], 6, axis=0)),
        ("all of the reference equal", XS, np.ones((60, 12))),
        ("all of the batch equal", np.zeros((60, 12)), XT),
        ("both equal", np.zeros((60, 2)), np.ones((60, 2))),
        ("the reference itself", XT, XT),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_odd_clouds(case, xs, xt, tmp_path):
    xt = np.random.default_rng(1).normal(size=(50, 200)) if xt is None else xt
    model = BatchTransport(**QUICK | {"n_components": None}).fit(xs, None, xt)
    moved = model.transform(xs)
    assert moved.shape == xs.shape
    assert np.isfinite(moved).all()
    np.testing.assert_allclose(moved.mean(axis=0), xt.mean(axis=0), atol=0.5)
    model.save(tmp_path / "model.npz")
    assert (BatchTransport.load(tmp_path / "model.npz").transform(xs) == moved).all()


# ---------------------------------------------------------------------- conventions


def test_scikit_learn_conventions(fitted):
    assert clone(fitted).get_params() == fitted.get_params()
    assert BatchTransport().set_params(L=1.0, start="shift").L == 1.0
    assert repr(BatchTransport(L=0.5)) == "BatchTransport(L=0.5)"
    for call in (lambda m: m.transform(XS), lambda m: m.predict_labels(XS), lambda m: m.shift(XS)):
        with pytest.raises(NotFittedError):
            call(BatchTransport())
    with pytest.raises(NotFittedError):
        BatchTransport().save("nowhere")
    again = pickle.loads(pickle.dumps(fitted))
    assert (again.transform(XN, YN) == fitted.transform(XN, YN)).all()
    before = [array.copy() for array in (XS, XT)]
    clone(fitted).set_params(**START).fit(XS, YS, XT, YT).transform(XS, YS)
    assert (before[0] == XS).all()
    assert (before[1] == XT).all()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"start": "zscore"}, "unknown start 'zscore': choose one of none, shift, scale, auto"),
        ({"missing_class": "drop"}, "choose one of leave, shift, error"),
        ({"latent": "umap"}, "unknown latent 'umap'"),
        ({"f": "kll"}, "kll"),
        ({"alpha": 2.0}, "no order"),
        ({"L": 0}, "L must be"),
        ({"max_path": -1}, "max_path must be a positive"),
        ({"max_path": float("nan")}, "max_path"),
        ({"folds": 1}, "at least 2 folds"),
        ({"folds": 11}, "two samples of a class in each"),
        ({"min_samples": 2.5}, "min_samples must be a positive whole number"),
        ({"updates": 0}, "updates"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"n_components": 13}, "at most 12 directions"),
        ({"n_components": 0}, "n_components"),
        ({"width": 7}, "even"),
        ({"random_state": -1}, "random_state"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused_by_name(choice, words):
    with pytest.raises(ValueError, match=words):
        BatchTransport(**QUICK | choice).fit(XS, YS, XT, YT)


def test_same_seed_same_bits_and_another_seed_another_fit(fitted):
    expected = fitted.transform(XN, YN)
    assert (BatchTransport(**FLOWS).fit(XS, YS, XT, YT).transform(XN, YN) == expected).all()
    other = BatchTransport(**FLOWS | {"random_state": 1}).fit(XS, YS, XT, YT)
    assert (other.transform(XN, YN) != expected).any()
    drawn = BatchTransport(**START | {"random_state": np.random.RandomState(5)}).fit(XS, YS, XT, YT)
    assert drawn.seed_ == np.random.RandomState(5).randint(2**31 - 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads are counted by the system's affinity")
def test_one_thread_gives_the_same_bits_as_two(fitted, tmp_path):
    fitted.save(tmp_path / "two.npz")
    np.savez(tmp_path / "data.npz", xs=XS, ys=YS, xt=XT, yt=YT)
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import numpy as np; from proxflow import BatchTransport\n"
        f"d = np.load('data.npz'); m = BatchTransport(**{FLOWS!r}).fit(d['xs'], d['ys'], d['xt'], d['yt'])\n"
        "m.save('one.npz')\n"
    )
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=os.environ | one)
    models = [BatchTransport.load(tmp_path / name) for name in ("one.npz", "two.npz")]
    assert (models[0].transform(XN, YN) == models[1].transform(XN, YN)).all()


def test_an_interrupt_passes_through_and_leaves_nothing_that_pretends(monkeypatch):
    import proxflow.evolution as evolution

    real, calls = evolution._asked, []

    def interrupt(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    fresh, old = BatchTransport(**QUICK), BatchTransport(**START).fit(XS[:, :3], YS, XT[:, :3], YT)
    for model in (fresh, old.set_params(**QUICK)):
        calls.clear()
        monkeypatch.setattr(evolution, "_asked", interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.fit(XS, YS, XT, YT)
        monkeypatch.setattr(evolution, "_asked", real)
        with pytest.raises(NotFittedError):
            model.transform(XN, YN)


# ---------------------------------------------------------------------- one file


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"latent": "identity", "n_components": None},
        {"latent": Autoencoder(3, width=8, steps=5), "n_components": None},
        {"f": "alpha", "alpha": 2.0},
        {"max_path": 0},
        {"missing_class": "shift"},
    ],
    ids=str,
)
def test_one_file_brings_it_back(choice, tmp_path):
    names = [f"gene{i}" for i in range(12)] if not choice else None
    xs, xt = (pd.DataFrame(x, columns=names) if names else x for x in (XS, XT))
    model = BatchTransport(**FLOWS | choice).fit(xs, YS, xt, YT)
    model.save(tmp_path / "model.npz")
    back = BatchTransport.load(tmp_path / "model.npz")
    assert (back.transform(XN, YN) == model.transform(XN, YN)).all()
    assert (back.shift(XN) == model.shift(XN)).all()
    for mine, theirs in zip(back.predict_labels(XN), model.predict_labels(XN), strict=True):
        assert (mine == theirs).all()
    for name in ("classes_", "paths_", "start_", "heldout_", "notes_", "n_components_", "n_features_in_", "seed_"):
        assert getattr(back, name) == getattr(model, name), name
    assert list(getattr(back, "feature_names_in_", [])) == (names or [])
    assert back.get_params() | {"random_state": 0} == model.get_params()
    for c, curve in model.curves_.items():
        np.testing.assert_array_equal(back.curves_[c], curve)
    back.save(tmp_path / "again.npz")
    assert (BatchTransport.load(tmp_path / "again.npz").transform(XN, YN) == model.transform(XN, YN)).all()


def test_number_labels_survive_the_file(tmp_path):
    model = BatchTransport(**START).fit(XS, (YS == "a").astype(int), XT, (YT == "a").astype(int))
    model.save(tmp_path / "model.npz")
    back = BatchTransport.load(tmp_path / "model.npz")
    assert back.classes_ == [0, 1]
    assert (back.transform(XN, (YN == "a").astype(int)) == model.transform(XN, (YN == "a").astype(int))).all()


def test_damaged_files_and_others_are_refused(fitted, tmp_path):
    file = tmp_path / "model.npz"
    with pytest.raises(ValueError, match=r"cannot read .*missing.npz: No such file"):
        BatchTransport.load(tmp_path / "missing.npz")
    fitted.save(file)
    content = file.read_bytes()
    for damaged in (b"", b"not a file", content[: len(content) // 2], content[:900] + b"\x00\xff" * 40 + content[980:]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"damaged or not a fitted batch transport"):
            BatchTransport.load(file)
    ParticleTransport(steps=2, width=8, depth=1, updates=1, random_state=0).fit(XT[:20, :2]).save(file)
    with pytest.raises(ValueError, match="not a fitted batch transport"):
        BatchTransport.load(file)
    file.write_bytes(content)
    with pytest.raises(ValueError, match="not a fitted integration"):
        Integration.load(file)
    kind, form = "fitted batch transport", 1
    header, arrays = read_arrays(file, kind, form)
    plain = {name: value for name, value in header.items() if name not in ("kind", "format")}
    write_arrays(file, kind, form + 1, plain, arrays)
    with pytest.raises(ValueError, match="a newer version"):
        BatchTransport.load(file)
    spoilt = [
        (plain, {name: part for name, part in arrays.items() if name != "scale"}),
        (plain, arrays | {"scale": arrays["scale"][:3]}),
        (plain, arrays | {"offsets": arrays["offsets"][:1]}),
        (plain, arrays | {"centres": arrays["centres"][:, :2]}),
        (plain, {name: part[:, :1] if name == "potentials.0.0" else part for name, part in arrays.items()}),
        (plain | {"parameters": plain["parameters"] | {"width": 7}}, arrays),
        (plain | {"parameters": plain["parameters"] | {"nonsense": 7}}, arrays),
        ({name: value for name, value in plain.items() if name != "classes"}, arrays),
        (plain | {"classes": 5}, arrays),
    ]
    for header, parts in spoilt:
        write_arrays(file, kind, form, header, parts)
        with pytest.raises(ValueError, match="not a transport that this version of proxflow can read"):
            BatchTransport.load(file)


def test_a_file_that_cannot_be_written_leaves_the_old_one(fitted, tmp_path, monkeypatch):
    file = tmp_path / "model.npz"
    file.write_bytes(b"old")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("proxflow.atomic.os.replace", full)
    with pytest.raises(ValueError, match=r"cannot write .*No space left on device"):
        fitted.save(file)
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.npz"]


def test_a_far_sample_is_named_and_held_out_samples_keep_the_others_where_they_fit():
    rng = np.random.default_rng(0)
    reference, batch = rng.normal(size=(80, 4)), rng.normal(size=(80, 4)) + 0.3
    batch[7] += 1000
    with pytest.warns(UserWarning, match="row 7 of Xs is 50 times as far"):
        model = BatchTransport(max_path=0, random_state=0).fit(batch, None, reference)
    assert model.start_ == "none"
    assert model.heldout_["unmoved"] == min(model.heldout_.values())
    np.testing.assert_array_equal(model.transform(batch), batch)
