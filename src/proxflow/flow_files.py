"""A fitted flow as one file: everything that `transform` and `sample` need, and nothing that could run code.

    flow.npz    header: class, parameters, settings      arrays: span, target, source, particles, potentials, ...

Nothing is pickled, so a file from a stranger can be opened, and any version that knows the format reads it. An entropy
or a space given as an object is written as its name and fields. Bad at: objects of one's own making and callbacks;
pickle the estimator to keep those.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from proxflow.arrays import leaves, read_arrays, write_arrays
from proxflow.compression import Compression
from proxflow.gamma.base import Gamma
from proxflow.gamma.symmetric import Group
from proxflow.spans import LabelledSpan, Span
from proxflow.thinning import kept_steps

__all__ = ["check_flow", "decoded", "encoded", "read_flow", "span_arrays", "span_from", "write_flow"]

_KIND, _FORMAT = "fitted flow", 1
_DEEPEST = 1000  # layers


def write_flow(path: str | os.PathLike[str], header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a flow: plain values, and arrays or pytrees of arrays by name."""
    flat: dict[str, np.ndarray] = {}
    for name, tree in arrays.items():
        flat |= {name: tree} if isinstance(tree, np.ndarray) else leaves(tree, name)
    write_arrays(path, _KIND, _FORMAT, header, flat)


def read_flow(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `write_flow` wrote, pytrees as numbered leaves."""
    return read_arrays(path, _KIND, _FORMAT)


def check_flow(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError for arrays that do not fit each other: a file may be whole and still nonsense."""
    samples, steps = arrays["samples"], header["steps"]
    tables = [samples, arrays["particles"], *([arrays["given"]] if "given" in arrays else [])]
    if any(t.ndim != 2 or t.shape[1:] != samples.shape[1:] or 0 in t.shape or t.dtype.kind != "f" for t in tables):
        raise ValueError("samples and particles of unlike shapes")
    if not all(isinstance(header[name], int) and header[name] >= 0 for name in ("steps", "record", "seed")):
        raise ValueError("steps, record and seed must be whole numbers")
    if not all(series.shape == (steps,) for name, series in arrays.items() if name.startswith("history.")):
        raise ValueError("a history of another length than the run")
    if header["parameters"].get("depth", 1) > _DEEPEST:
        raise ValueError("a network beyond belief")
    kept = len(kept_steps(header["record"], steps))
    if any(leaf.ndim < 1 or len(leaf) != kept for name, leaf in arrays.items() if name.startswith("potentials.")):
        raise ValueError("potentials of another number of steps than the run")


def span_arrays(span: Span | LabelledSpan) -> dict[str, np.ndarray]:
    """Return the coordinates of a flow as named arrays."""
    if isinstance(span, LabelledSpan):
        return {**span_arrays(span.span), "labels": np.array(span.labels)}
    arrays = {f"span.{name}": getattr(span, name) for name in ("centre", "basis", "scale")}
    if span.bend is not None:
        arrays |= {f"bend.{f.name}": getattr(span.bend, f.name) for f in dataclasses.fields(span.bend)}
    return {name: array for name, array in arrays.items() if array is not None}


def span_from(arrays: Mapping[str, np.ndarray]) -> Span | LabelledSpan:
    """Return the coordinates that `span_arrays` named."""
    bend = {name[5:]: array for name, array in arrays.items() if name.startswith("bend.")}
    span = Span(
        arrays["span.centre"], arrays.get("span.basis"), arrays.get("span.scale"), Compression(**bend) if bend else None
    )
    return LabelledSpan(span, int(arrays["labels"])) if "labels" in arrays else span


def encoded(value: Any, name: str) -> Any:
    """Return a parameter as plain JSON: objects of proxflow's own by class and fields."""
    import proxflow

    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value) if value in (float("inf"), -float("inf")) else value
    if isinstance(value, (np.integer, np.floating)):
        return encoded(value.item(), name)
    if isinstance(value, (tuple, list)):
        return [encoded(part, name) for part in value]
    if isinstance(value, Group):
        return {"class": "Group", "fields": {"permutations": value.permutations, "signs": value.signs}}
    if dataclasses.is_dataclass(value) and type(value).__name__ in proxflow.__all__:
        fields = {f.name: encoded(getattr(value, f.name), name) for f in dataclasses.fields(value)}
        return {"class": type(value).__name__, "fields": fields}
    if isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        return {"array": np.asarray(value).tolist(), "dtype": str(np.asarray(value).dtype)}
    raise ValueError(f"{name}={value!r:.60} cannot be written to a file; pickle the estimator to keep it.")


def _is_part(known: type) -> bool:
    return issubclass(known, (Gamma, Group)) or known.__module__ in ("proxflow.entropies", "proxflow.renyi")


def decoded(value: Any) -> Any:
    """Return a parameter from its plain form."""
    import proxflow

    if isinstance(value, list):
        return tuple(decoded(part) for part in value)
    if isinstance(value, dict) and "array" in value:
        return np.asarray(value["array"], value["dtype"])
    if isinstance(value, dict):
        name = value.get("class")
        known = Group if name == "Group" else getattr(proxflow, name) if name in proxflow.__all__ else None
        # Nothing but an entropy, a space or its group is made from a file, whatever it asks for.
        if not (isinstance(known, type) and dataclasses.is_dataclass(known) and _is_part(known)):
            raise ValueError(f"unknown class {name!r}")
        return known(**{field: decoded(part) for field, part in value["fields"].items()})
    return float(value) if value in ("inf", "-inf") else value
