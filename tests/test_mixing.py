"""LISI and kBET: scib-metrics' numbers, what they must be on known data, and data that are too small."""

import numpy as np
import pytest

from benchmarks import scib_check
from proxflow.mixing import ilisi, kbet, kbet_by_label, kernel_weights, lisi
from proxflow.neighbours import nearest_rows

# Written by `benchmarks.scib_check` with scib-metrics 0.5.10, jax 0.10.2, float32: iLISI (90 neighbours, the sample
# itself included), kBET (50), and the mean of kBET within the two classes.
FROZEN = {
    "apart": (0.0, 0.0, 0.0),
    "close": (0.815293, 0.637037, 0.978395),
    "one law": (0.853986, 0.759259, 1.0),
}


@pytest.mark.parametrize("name", FROZEN)
def test_the_values_are_those_of_scib_metrics(name):
    points, batches, classes = scib_check.embedding(scib_check.SHIFTS[name])
    parts = kbet_by_label(points, batches, classes, neighbours=50)
    found = ilisi(points, batches), kbet(points, batches, neighbours=50), np.mean(list(parts.values()))
    assert found == pytest.approx(FROZEN[name], abs=5e-4)
    assert kbet(points, batches, classes, neighbours=50) == pytest.approx(found[2])


def test_the_check_says_when_scib_metrics_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scib_metrics", None)
    assert scib_check.main() == scib_check.ABSENT


def test_lisi_counts_labels():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(400, 2)), rng.integers(4, size=400)
    found = lisi(points, labels)
    assert found.shape == (400,)
    assert 3.3 < np.median(found) < 4
    assert lisi(points + 50.0 * labels[:, None], labels).max() == pytest.approx(1)
    assert np.array_equal(lisi(points, labels, rows=[5, 9]), found[[5, 9]])


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_units_do_not_matter(scale):
    points, batches, _ = scib_check.embedding(0.25)
    assert ilisi(scale * points, batches) == pytest.approx(ilisi(points, batches), abs=1e-6)
    assert kbet(scale * points, batches) == kbet(points, batches)


def test_the_kernel_has_the_perplexity_that_was_asked_for():
    distances = np.sort(np.random.default_rng(0).exponential(size=(20, 90)), axis=1)
    weights = kernel_weights(distances)[:, 1:]
    assert np.exp(-(weights * np.log(weights + 1e-300)).sum(axis=1)) == pytest.approx(np.full(20, 30.0), rel=1e-6)


def test_one_batch_is_nothing_to_mix():
    points = np.random.default_rng(0).normal(size=(60, 2))
    assert lisi(points, np.zeros(60)) == pytest.approx(np.ones(60))
    for measure in (ilisi, kbet):
        with pytest.raises(ValueError, match="nothing to mix"):
            measure(points, np.zeros(60))
    with pytest.raises(ValueError, match="one per sample"):
        lisi(points, np.zeros(59))


def test_small_batches_are_called_unreliable():
    points = np.random.default_rng(0).normal(size=(40, 2))
    few = np.repeat(["a", "b"], [35, 5])
    for measure in (lisi, ilisi, kbet):
        with pytest.warns(UserWarning, match="'b' has 5 samples, fewer than 20"):
            measure(points, few)


@pytest.mark.filterwarnings("ignore:.*is unreliable")
@pytest.mark.parametrize("count", [2, 3, 5, 12])
def test_neighbourhoods_larger_than_the_data_are_cut(count):
    points, batches = np.arange(count, dtype=float)[:, None], np.arange(count) % 2
    assert np.all((lisi(points, batches) >= 1) & (lisi(points, batches) <= 2 + 1e-9))
    assert 0 <= kbet(points, batches, neighbours=500) <= 1


@pytest.mark.filterwarnings("ignore:.*is unreliable")
def test_classes_that_cannot_be_judged_are_left_out():
    rng = np.random.default_rng(0)
    points, batches = rng.normal(size=(90, 2)), np.arange(90) % 2
    labels = np.repeat(["both", "one batch", "tiny"], [60, 24, 6])
    batches[labels == "one batch"] = 0
    found = kbet_by_label(points, batches, labels)
    assert list(found) == ["both", "one batch", "tiny"]
    assert np.isnan([found["one batch"], found["tiny"]]).all()
    assert kbet(points, batches, labels) == found["both"] > 0.8
    assert np.isnan(kbet(points[labels != "both"], batches[labels != "both"], labels[labels != "both"]))


def test_coinciding_samples_do_no_harm():
    points = np.zeros((50, 3))
    assert lisi(points, np.arange(50) % 2)[0] == pytest.approx(2.0, abs=0.1)
    assert kbet(points, np.arange(50) % 2) == 1.0


def test_nearest_rows_are_the_nearest():
    rng = np.random.default_rng(0)
    among, asked = rng.normal(size=(70, 4)) + 1e3, rng.normal(size=(30, 4)) + 1e3
    apart = np.linalg.norm(asked[:, None] - among[None], axis=2)
    order, distances = nearest_rows(among, asked, 5)
    assert np.array_equal(order, np.argsort(apart, axis=1)[:, :5])
    assert np.allclose(distances, np.sort(apart, axis=1)[:, :5])
    assert nearest_rows(among, among[:3], 1)[1].max() == 0  # exactly: copies are to be seen
    assert nearest_rows(among[:4], asked, 9)[0].shape == (30, 4)
