"""CIFAR-10: 10,000 pictures of 32 x 32 pixels in three colours, from a file that is at hand.

    row = red, green, blue planes, each row by row        pixels in [0, 1]

Source: Krizhevsky, "Learning multiple layers of features from tiny images" (2009), its Python version, which is a
pickle. A pickle can run anything: here it may only make arrays. Bad at: the binary and Matlab versions, and labels.
"""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np

BATCH = "cifar-10-batches-py/data_batch_1"


class _ArraysOnly(pickle.Unpickler):
    """Loads numbers, strings, lists, dicts and arrays; refuses to call anything else."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "ndarray", "dtype"):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"it wants to call {module}.{name}")


def read_cifar(path: Path) -> np.ndarray:
    """The pictures of one batch file, or of the first batch in the archive, float64 of shape (n, 3072) in [0, 1].

    Raises
    ------
    ValueError
        The file is damaged or of another kind.
    """
    try:
        images = _images(path)
    except (OSError, EOFError, KeyError, TypeError, ValueError, AttributeError, IndexError, ImportError,
            pickle.UnpicklingError, tarfile.TarError) as problem:  # fmt: skip
        raise ValueError(
            f"{path}: not CIFAR-10's data_batch_1 or cifar-10-python.tar.gz, of the Python version ({problem})."
        ) from None
    return images.astype(np.float64) / 255


def _images(path: Path) -> np.ndarray:
    raw = path.read_bytes()
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            member = archive.extractfile(BATCH)
            if member is None:
                raise ValueError(f"no file {BATCH} in it")
            raw = member.read()
    images = np.asarray(_ArraysOnly(io.BytesIO(raw), encoding="bytes").load()[b"data"])
    if images.ndim != 2 or images.shape[1] != 3072 or images.dtype != np.uint8:
        raise ValueError(f"its pictures have shape {images.shape} and type {images.dtype}")
    return images
