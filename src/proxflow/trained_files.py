"""A trained mover as one file: settings, data, history and networks, and nothing that could run code.

    header: class, parameters, seed, what the estimator adds      arrays: samples, span, particles, history, networks

As `flow_files`, whose format it shares. A network is read into the shapes that its settings ask for, so a file from a
stranger can be opened. Bad at: entropies and spaces of one's own making; pickle the estimator to keep those.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np

from proxflow.flow_files import decoded, encoded, read_flow, span_arrays, span_from, write_flow
from proxflow.training import Stage

__all__ = ["potential_template", "read_trained", "write_trained"]

T = TypeVar("T")


def write_trained(
    path: str | os.PathLike[str], estimator: Any, stage: Stage, extra: Mapping[str, Any], trees: Mapping[str, Any]
) -> None:
    """Write a fitted estimator: its parameters, its stage, plain values of its own, and its networks by name."""
    skipped = ("callbacks", "random_state")
    parameters = {k: encoded(v, k) for k, v in estimator.get_params(deep=False).items() if k not in skipped}
    header = {
        "class": type(estimator).__name__, "parameters": parameters, "seed": estimator.seed_,
        "steps": estimator.n_steps_, "stopped": estimator.stopped_, "float32": estimator._dtype == np.float32,
        "columns": [str(name) for name in getattr(estimator, "feature_names_in_", ())], "extra": dict(extra),
    }  # fmt: skip
    arrays: dict[str, Any] = {
        "samples": stage.samples, "particles": estimator.particles_, **span_arrays(stage.span), **trees,
    }  # fmt: skip
    arrays |= {f"history.{name}": series for name, series in estimator.history_.items()}
    arrays |= {} if stage.given is None else {"given": stage.given}
    write_flow(path, header, arrays)


def read_trained(
    path: str | os.PathLike[str], empty: T, restore: Callable[[T, Mapping[str, Any], Mapping[str, Any], Stage], None]
) -> T:
    """Read what `write_trained` wrote into an unfitted estimator; restore adds what is its own.

    Raises
    ------
    ValueError
        No such file, a damaged one, or one of another kind, version or class.
    """
    header, arrays = read_flow(path)
    try:
        if header["class"] != type(empty).__name__:
            raise ValueError(f"it holds a {header['class']}")
        _restored(empty, header, arrays, restore)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise ValueError(f"{os.fspath(path)}: not a {type(empty).__name__} that can be read ({problem}).") from None
    return empty


def _restored(estimator: Any, header: Mapping[str, Any], arrays: Mapping[str, Any], restore: Any) -> None:
    estimator.set_params(**{name: decoded(value) for name, value in header["parameters"].items()})
    estimator.check_settings()
    samples, particles = arrays["samples"], arrays["particles"]
    if samples.ndim != 2 or particles.ndim != 2 or samples.shape[1] != particles.shape[1] or samples.dtype.kind != "f":
        raise ValueError("samples and particles of unlike shapes")
    estimator.random_state = estimator.seed_ = int(header["seed"])
    estimator._dtype = np.float32 if header["float32"] else np.float64
    estimator.n_features_in_ = samples.shape[1]
    if header["columns"]:
        estimator.feature_names_in_ = np.array(header["columns"], object)
    estimator.particles_ = particles
    estimator.n_steps_, estimator.stopped_ = int(header["steps"]), str(header["stopped"])
    estimator.history_ = {name[8:]: series for name, series in arrays.items() if name.startswith("history.")}
    stage = estimator.stage_of(samples, arrays.get("given"), span=span_from(arrays))
    restore(estimator, header["extra"], arrays, stage)


def potential_template(stage: Stage) -> Any:
    """The potential of a stage, for its shapes."""
    few = stage.target.points[:2]
    pair = stage.divergence
    memory = pair.init(jax.random.key(0), few, few)
    if not pair.reverse:
        return pair.gamma.potential(memory)
    return jax.eval_shape(pair.variation, few, memory)
