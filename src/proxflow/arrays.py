"""Named arrays and a few words about them in one NPZ file, and pytrees as lists of arrays.

    header   JSON: the kind of file, its format, and plain values       arrays   by name, never unpickled

Each member carries a CRC that is checked on reading, so a damaged file is refused, not half read. A pytree's leaves
are stored in order; its structure comes from a template of the reader's own making, whose shapes and types must agree.
Bad at: reading what another format of the same kind wrote; it says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from proxflow.atomic import atomic_path, reason

__all__ = ["Damaged", "leaves", "read_arrays", "restored", "write_arrays"]

_HEADER = "header"


class Damaged(ValueError):
    """A file that is not whole, or none of this kind at all."""


def write_arrays(
    path: str | os.PathLike[str], kind: str, form: int, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a file of this kind and format, whole or not at all.

    Raises
    ------
    ValueError
        The system refused, such as a full disk; what stood there before still does.
    """
    text = json.dumps({"kind": kind, "format": form, **header}, allow_nan=False)
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, **{_HEADER: np.frombuffer(text.encode(), np.uint8)}, **arrays)  # type: ignore[arg-type]


def read_arrays(path: str | os.PathLike[str], kind: str, form: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read the header and all arrays of a file of this kind and format.

    Raises
    ------
    Damaged
        Not a whole file of this kind.
    ValueError
        No such file, or one of another kind or format.
    """
    file = os.fspath(path)
    if os.path.exists(file) and not os.path.isfile(file):
        raise ValueError(f"cannot read {file}: it is a folder, a pipe or a device, not a file.")
    try:
        with open(file, "rb") as handle, np.load(handle, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(bytes(arrays.pop(_HEADER)))
        found, version = header["kind"], int(header["format"])
    except OSError as error:
        if error.errno:
            raise ValueError(f"cannot read {file}: {reason(error)}.") from None
        raise Damaged(f"{file}: damaged or not a {kind}.") from None
    except MemoryError:
        raise
    except Exception:  # a damaged file can fail anywhere in the parser
        raise Damaged(f"{file}: damaged or not a {kind}.") from None
    if found != kind:
        raise ValueError(f"{file}: a {found}, not a {kind}.")
    if version != form:
        other = "an older" if version < form else "a newer"
        raise ValueError(f"{file}: written by {other} version of proxflow (format {version}, this one reads {form}).")
    return header, arrays


def leaves(tree: Any, name: str) -> dict[str, np.ndarray]:
    """Return the leaves of a pytree by numbered names."""
    import jax

    return {f"{name}.{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}


def restored(template: Any, name: str, arrays: Mapping[str, np.ndarray], *, stacked: bool = False) -> Any:
    """Return a pytree like the template, with the leaves stored under this name.

    stacked: the stored leaves have one more axis in front, any length.

    Raises
    ------
    ValueError
        The stored leaves are of another number, shape or type.
    """
    import jax

    expected, structure = jax.tree.flatten(template)
    stored = [arrays.get(f"{name}.{i}") for i in range(len(expected))]
    for leaf, theirs in zip(expected, stored, strict=True):
        mine = leaf if hasattr(leaf, "shape") else np.asarray(leaf)
        shape = None if theirs is None else theirs.shape[1:] if stacked else theirs.shape
        if theirs is None or shape != mine.shape or theirs.dtype != mine.dtype:
            raise ValueError(f"its {name} belongs to other settings or data")
    if f"{name}.{len(expected)}" in arrays:
        raise ValueError(f"its {name} belongs to other settings or data")
    return jax.tree.unflatten(structure, stored)
