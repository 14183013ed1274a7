"""CIFAR-10 from a file: the batch, the archive, and files of every other kind."""

import os
import pickle
import tarfile

import numpy as np
import pytest

from benchmarks.cifar import BATCH, read_cifar


@pytest.fixture
def batch(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 3072)).astype(np.uint8)
    file = tmp_path / "data_batch_1"
    file.write_bytes(pickle.dumps({b"data": images, b"labels": [1] * 5}, protocol=2))
    return file, images


def test_a_batch_and_the_archive_that_holds_it_give_the_same_pictures(batch, tmp_path):
    file, images = batch
    packed = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(file, BATCH)
    for path in (file, packed):
        assert np.array_equal(read_cifar(path), images / 255)


class _Runs:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize(
    "content", [b"", b"hello", pickle.dumps([1]), pickle.dumps({b"data": np.zeros((2, 3))}), pickle.dumps(_Runs())]
)
def test_other_files_are_refused_and_run_nothing(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"other: not CIFAR-10's data_batch_1"):
        read_cifar(file)
    assert not (tmp_path / "made-by-a-pickle").exists()


def test_an_archive_without_the_batch_is_refused(batch, tmp_path):
    packed = tmp_path / "other.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(batch[0], "elsewhere")
    with pytest.raises(ValueError, match="Python version"):
        read_cifar(packed)
