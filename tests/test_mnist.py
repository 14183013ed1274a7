"""Digits from files of every kind, damaged files, a mirror that fails, and the split."""

import gzip
import hashlib
import io
import struct

import numpy as np
import pytest

from proxflow.data import mnist
from proxflow.data.mnist import load_mnist_split, read_mnist

IMAGES = np.random.default_rng(0).integers(0, 256, size=(30, 28, 28), dtype=np.uint8)
LABELS = np.arange(30, dtype=np.uint8) % 10
NAMES = [name for pair in mnist._FILES for name, _ in pair]


def idx(array, kind=8):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


def content(name):
    return gzip.compress(idx(IMAGES if "images" in name else LABELS), mtime=0)


@pytest.fixture
def folder(tmp_path):
    for name in NAMES[:2]:
        (tmp_path / name).write_bytes(content(name))
    return tmp_path


def expect(path, count=30):
    images, labels = read_mnist(path)
    assert images.shape == (count, 784)
    np.testing.assert_allclose(images[:30] * 255, IMAGES.reshape(30, 784), atol=1e-9)
    np.testing.assert_array_equal(labels[:30], LABELS)


@pytest.mark.parametrize("names", mnist._KEYS, ids="-".join)
@pytest.mark.parametrize("unit", [1, 1 / 255], ids=["bytes", "shares"])
def test_npz(tmp_path, names, unit):
    pixels = IMAGES if unit == 1 else IMAGES * unit
    np.savez(tmp_path / "digits.npz", **dict(zip(names, (pixels, LABELS), strict=True)))
    expect(tmp_path / "digits.npz")


def test_bytes_that_are_all_small_are_still_bytes(tmp_path):
    np.savez(tmp_path / "faint.npz", X=IMAGES % 2, y=LABELS)
    assert read_mnist(tmp_path / "faint.npz")[0].max() == 1 / 255


def test_idx_gzipped_or_not_one_pair_or_two(folder):
    expect(folder)
    for name in NAMES[2:]:
        (folder / name.removesuffix(".gz")).write_bytes(gzip.decompress(content(name)))
    expect(folder, 60)


DAMAGE = {
    "cut short": lambda name: content(name)[:-100],
    "cut inside": lambda name: gzip.compress(gzip.decompress(content(name))[:-5]),
    "empty": lambda name: b"",
    "floats": lambda name: idx(IMAGES, kind=13),
    "not a digit": lambda name: idx(IMAGES[:, :20]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_idx_files_are_named(folder, damage):
    (folder / NAMES[0]).write_bytes(DAMAGE[damage](NAMES[0]))
    with pytest.raises(ValueError, match=NAMES[0]):
        read_mnist(folder)


BAD = {
    "no labels": ({"X": IMAGES}, "only X"),
    "too few labels": ({"X": IMAGES, "y": LABELS[1:]}, r"\(29,\)"),
    "not square": ({"X": IMAGES[:, 1:], "y": LABELS}, r"\(30, 27, 28\)"),
    "out of range": ({"X": IMAGES * 2.0, "y": LABELS}, "between 0 and 255"),
    "not finite": ({"X": np.full((30, 784), np.nan), "y": LABELS}, "between 0 and 255"),
    "words": ({"X": IMAGES, "y": LABELS.astype(str)}, "must be numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_archives_are_named(tmp_path, case):
    arrays, words = BAD[case]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=rf"bad\.npz.*{words}"):
        read_mnist(tmp_path / "bad.npz")


def test_places_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="no such file or folder"):
        read_mnist(tmp_path / "nowhere.npz")
    with pytest.raises(ValueError, match="no pair of MNIST's IDX files"):
        read_mnist(tmp_path)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(ValueError, match="not an NPZ file of digits"):
        read_mnist(tmp_path / "text.npz")
    np.save(tmp_path / "alone.npy", IMAGES)
    with pytest.raises(ValueError, match="labels beside them"):
        read_mnist(tmp_path / "alone.npy")


# ---------------------------------------------------------------------- fetching, without a network


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Files a made-up mirror has, by address; what is asked for is kept in order."""
    served, asked = {}, []
    files = [(name, hashlib.md5(content(name)).hexdigest()) for name in NAMES]
    monkeypatch.setattr(mnist, "_FILES", (tuple(files[:2]), tuple(files[2:])))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def urlopen(address, timeout):
        asked.append(address)
        if address not in served:
            raise OSError("no route to host")
        return io.BytesIO(served[address])

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    return served, asked


def test_fetched_once_and_from_the_second_mirror_if_need_be(mirror, tmp_path):
    served, asked = mirror
    first, second = mnist._MIRRORS
    served |= {second + name: content(name) for name in NAMES}
    served |= {first + NAMES[0]: b"a login page"}  # a wrong sum counts as a failure, too
    expect(None, 60)
    assert len(asked) == 8
    expect(None, 60)
    assert len(asked) == 8
    assert sorted(file.name for file in (tmp_path / "proxflow" / "mnist").iterdir()) == sorted(NAMES)


def test_offline_says_the_way_out_and_leaves_nothing(mirror, tmp_path):
    with pytest.raises(ValueError, match=r"no route to host.*pass path=") as problem:
        read_mnist()
    assert all(name in str(problem.value) for name in mnist._MIRRORS)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- the split


def test_parts_are_disjoint_and_labels_go_with_their_images(folder):
    split = load_mnist_split(5, 8, 3, folder)
    parts = ("train", "fresh", "test", "rest")
    images = np.concatenate([getattr(split, name) for name in parts])
    labels = np.concatenate([getattr(split, name + "_labels") for name in parts])
    assert [len(getattr(split, name)) for name in parts] == [5, 8, 8, 9]
    known = {image.tobytes(): label for image, label in zip(IMAGES.reshape(30, -1), LABELS, strict=True)}
    assert {image.tobytes() for image in np.rint(images * 255).astype(np.uint8)} == set(known)
    assert [known[image.tobytes()] for image in np.rint(images * 255).astype(np.uint8)] == labels.tolist()
    np.testing.assert_array_equal(split.test, load_mnist_split(5, 8, 3, folder).test)
    assert not np.array_equal(split.test, load_mnist_split(5, 8, 4, folder).test)


@pytest.mark.parametrize(("sizes", "words"), [((0, 8), "n_train"), ((5, 1.5), "n_test"), ((15, 8), "31.*only 30")])
def test_bad_counts(folder, sizes, words):
    with pytest.raises(ValueError, match=words):
        load_mnist_split(*sizes, path=folder)
