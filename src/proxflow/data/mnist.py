"""MNIST: handwritten digits of 28 x 28 pixels with their labels, from a local file or from a public mirror.

    shuffled digits = train | fresh | test | rest            pixels in [0, 1]: 0 paper, 1 ink

`train` is what a flow sees, `test` judges its samples, `fresh`, real and as many as `test`, shows what a perfect
sampler would score, and a classifier that recognises new digits is trained on the `rest`. Source: LeCun, Cortes,
Burges, the MNIST database (1998), as four gzipped IDX files; what is fetched has to match their published MD5 sums.
Bad at: other data in the IDX format (numbers of more than one byte are refused).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from proxflow.atomic import atomic_path
from proxflow.validation import check_positive, seed_from

__all__ = ["MnistSplit", "load_mnist_split", "read_mnist"]

Images = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
# (images, labels) of the 60,000 training and the 10,000 test digits, each with its MD5
_FILES = (
    (("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
     ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432")),
    (("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
     ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c")),
)  # fmt: skip
_KEYS = (("X", "y"), ("images", "labels"), ("x_train", "y_train"))  # of an NPZ file, in order of preference
_SECONDS = 30.0  # without an answer, until the next mirror is tried


@dataclass(frozen=True, eq=False)
class MnistSplit:
    """Four disjoint parts of the digits.

    Attributes
    ----------
    train, fresh, test, rest
        Float64 arrays of shape (n, 784), one flattened image per row.
    train_labels, fresh_labels, test_labels, rest_labels
        Whole numbers 0 to 9, shape (n,).
    shape
        One image's height and width.
    low, high
        The range of a pixel: paper and ink.
    """

    train: Images
    fresh: Images
    test: Images
    rest: Images
    train_labels: Labels
    fresh_labels: Labels
    test_labels: Labels
    rest_labels: Labels
    shape: tuple[int, int] = (28, 28)
    low: float = 0.0
    high: float = 1.0


def load_mnist_split(
    n_train: int = 200,
    n_test: int = 600,
    random_state: int | np.random.RandomState = 0,
    path: str | os.PathLike[str] | None = None,
) -> MnistSplit:
    """Shuffle the digits and return n_train, n_test (as `fresh`), again n_test (as `test`), and the rest.

    Parameters
    ----------
    n_train, n_test
        How many digits.
    random_state
        Seed of the shuffle.
    path
        See `read_mnist`.

    Raises
    ------
    ValueError
        A count is not positive, n_train + 2 n_test exceeds the digits there are, or see `read_mnist`.
    """
    check_positive(n_train, "n_train", integer=True)
    check_positive(n_test, "n_test", integer=True)
    images, labels = read_mnist(path)
    needed = n_train + 2 * n_test
    if needed > len(images):
        raise ValueError(f"n_train + 2 n_test = {needed}, but there are only {len(images)} digits: ask for fewer.")
    order = np.random.default_rng(seed_from(random_state)).permutation(len(images))
    parts = np.split(order, np.cumsum([n_train, n_test, n_test]))
    train, fresh, test, rest = ((images[rows], labels[rows]) for rows in parts)
    return MnistSplit(train[0], fresh[0], test[0], rest[0], train[1], fresh[1], test[1], rest[1])


def read_mnist(path: str | os.PathLike[str] | None = None) -> tuple[Images, Labels]:
    """Return the images, shape (n, 784) in [0, 1], and their labels, shape (n,).

    Parameters
    ----------
    path
        An NPZ file with images "X" (or "images", "x_train"), 0 to 255 or 0 to 1, and labels "y" ("labels",
        "y_train"); or a folder with the IDX files, such as `train-images-idx3-ubyte.gz`, gzipped or not. None: the
        70,000 digits, fetched once (11 MB) into `proxflow/mnist` below the user's cache folder ($XDG_CACHE_HOME, else
        ~/.cache).

    Raises
    ------
    ValueError
        The file or folder is missing or damaged, holds no 28 x 28 images with labels, or cannot be fetched.

    Examples
    --------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/two.npz"
    >>> np.savez(file, X=np.full((2, 28, 28), 255, np.uint8), y=[3, 8])
    >>> images, labels = read_mnist(file)
    >>> images.shape, float(images.max()), labels.tolist()
    ((2, 784), 1.0, [3, 8])
    """
    if path is None:
        return _read_folder(_fetched())
    place = Path(path)
    if not place.exists():
        raise ValueError(f"{place}: no such file or folder. Without a path the digits are fetched.")
    return _read_folder(place) if place.is_dir() else _read_archive(place)


def _read_archive(file: Path) -> tuple[Images, Labels]:
    try:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            raise ValueError("it holds one array, but images need their labels beside them: save an NPZ")
        with content:
            names = next((pair for pair in _KEYS if set(pair) <= set(content.files)), None)
            if names is None:
                raise ValueError(f"no arrays 'X' and 'y' in it, only {', '.join(content.files) or 'none'}")
            images, labels = (content[name] for name in names)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as problem:
        raise ValueError(f"{file}: not an NPZ file of digits ({problem}).") from None
    return _checked(file, images, labels)


def _read_folder(folder: Path) -> tuple[Images, Labels]:
    parts = []
    for (images, _), (labels, _) in _FILES:
        pair = [_present(folder, name) for name in (images, labels)]
        if all(pair):
            parts.append(_checked(folder / images, *(_read_idx(file) for file in pair if file)))
    if not parts:
        raise ValueError(f"{folder}: no pair of MNIST's IDX files in it, such as {_FILES[0][0][0]} and its labels.")
    return np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])


def _present(folder: Path, name: str) -> Path | None:
    return next((file for file in (folder / name, folder / name.removesuffix(".gz")) if file.is_file()), None)


def _read_idx(file: Path) -> npt.NDArray[np.uint8]:
    """Read one IDX file: two zero bytes, the type (8 is a byte), the number of axes, their lengths, the values."""
    try:
        raw = file.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        zero, kind, axes = struct.unpack_from(">HBB", raw)
        shape = struct.unpack_from(f">{axes}I", raw, 4)
        if zero or kind != 8:
            raise ValueError("not an IDX file of bytes")
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as problem:
        raise ValueError(f"{file}: damaged or of another kind ({problem}).") from None


def _checked(place: Path, images: Any, labels: Any) -> tuple[Images, Labels]:
    if images.dtype.kind not in "buif" or labels.dtype.kind not in "buif":
        raise ValueError(f"{place}: images and labels must be numbers, got {images.dtype} and {labels.dtype}.")
    if images.ndim < 2 or images[:1].size != 784 or labels.shape != (len(images),):
        raise ValueError(
            f"{place}: expected images of shape (n, 28, 28) and n labels, got {images.shape} and {labels.shape}."
        )
    rows = images.reshape(len(images), 784).astype(np.float64)
    if not (np.isfinite(rows).all() and rows.min() >= 0 and rows.max() <= 255):
        raise ValueError(f"{place}: pixels must lie between 0 and 255 (or 0 and 1).")
    if images.dtype.kind in "ui" or rows.max() > 1:
        rows /= 255
    return rows, labels.astype(np.int64)


# ---------------------------------------------------------------------- fetching


def _fetched() -> Path:
    """Return the folder of the four files, fetching those that are not there yet."""
    cache = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(cache) if cache else Path.home() / ".cache") / "proxflow" / "mnist"
    for name, digest in (file for pair in _FILES for file in pair):
        if not (folder / name).is_file():
            content = _download(name, digest)
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(content)
    return folder


def _download(name: str, digest: str) -> bytes:
    from http.client import HTTPException
    from urllib.request import urlopen

    problems = []
    for mirror in _MIRRORS:
        try:
            with urlopen(mirror + name, timeout=_SECONDS) as answer:
                content: bytes = answer.read()
        except (OSError, HTTPException) as problem:
            problems.append(f"{mirror}: {problem}")
            continue
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == digest:
            return content
        problems.append(f"{mirror}: what came is not the file (its MD5 differs)")
    raise ValueError(
        f"cannot fetch MNIST's {name} ({'; '.join(problems)}). With the digits on disk, pass path=: a folder with the"
        " four IDX files, or an NPZ file with arrays X and y."
    )
