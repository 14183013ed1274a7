"""A fitted `BatchTransport` as one file: everything that `transform` needs, and nothing that could run code.

    header: parameters, classes, decisions      arrays: start, latent space, units of the classes, potentials, ...

Bad at: latent spaces and entropies of one's own making; pickle the estimator to keep those.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from proxflow.arrays import leaves, read_arrays, restored, write_arrays
from proxflow.flow_files import decoded, encoded
from proxflow.flows.particles import Particles
from proxflow.flows.steps import FisherStep
from proxflow.gamma.groupsort import GroupSort
from proxflow.integration.guesses import Labelled
from proxflow.integration.maps import BatchMap, LatentClass
from proxflow.integration.paths import STEP
from proxflow.integration.starts import Start
from proxflow.latent import LATENTS, encoding_arrays, encoding_from
from proxflow.recordings import Recording

if TYPE_CHECKING:
    from proxflow.integration.transport import BatchTransport

__all__ = ["packed", "read_transport", "unpacked", "write_transport"]

_KIND, _FORMAT = "fitted batch transport", 1


def write_transport(path: str | os.PathLike[str], model: BatchTransport) -> None:
    """Write a fitted model."""
    write_arrays(path, _KIND, _FORMAT, *packed(model))


def packed(model: BatchTransport) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a fitted model as plain values and named arrays."""
    parameters = {
        name: _latent(value) if name == "latent" else encoded(value, name)
        for name, value in model.get_params(deep=False).items()
        if name != "random_state"
    }
    fitted, known = model._map, model._known
    places = list(fitted.places)
    header = {
        "parameters": parameters, "seed": model.seed_, "features": model.n_features_in_, "labelled": model._labelled,
        "classes": model.classes_, "paths": [model.paths_[c] for c in model.classes_], "start": model.start_,
        "heldout": list(model.heldout_), "notes": model.notes_, "places": places, "flowing": list(fitted.flows),
        "columns": [str(name) for name in getattr(model, "feature_names_in_", ())], "curves": list(model.curves_),
    }  # fmt: skip
    arrays = {
        "scale": fitted.start.scale, "offset": fitted.start.offset, "constant": model._constant,
        "units": model._column_units,
        "scales": np.array([fitted.start.scales[c] for c in model.classes_]),
        "offsets": np.array([fitted.start.offsets[c] for c in model.classes_]), "grid": np.asarray(model.path_grid_),
        "centres": np.array([fitted.places[c].centre for c in places]).reshape(-1, model.n_components_),
        "spreads": np.array([fitted.places[c].spread for c in places]),
        "curves": np.array(list(model.curves_.values())),
        "heldout": np.array(list(model.heldout_.values()), float),  # not JSON: a reference that is one point has NaN
        **encoding_arrays(model.encoding_),
    }  # fmt: skip
    if known is not None:
        arrays |= {"known": known.coordinates, "known.codes": known.codes}
        arrays |= {f"known.{name}": part for name, part in encoding_arrays(known.encoding).items()}
    for i, recording in enumerate(fitted.flows.values()):
        arrays |= {f"sizes.{i}": recording.sizes, **leaves(recording.potentials, f"potentials.{i}")}
    return header, arrays


def read_transport(path: str | os.PathLike[str], model: BatchTransport) -> BatchTransport:
    """Fill a new model with what `write_transport` wrote."""
    header, arrays = read_arrays(path, _KIND, _FORMAT)
    try:
        return unpacked(model, header, arrays)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
        raise ValueError(
            f"{os.fspath(path)}: not a transport that this version of proxflow can read ({problem})."
        ) from None


def unpacked(model: BatchTransport, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> BatchTransport:
    """Fill a new model with what `packed` made; an error of any kind if it does not fit."""
    parameters = {n: _known_latent(v) if n == "latent" else decoded(v) for n, v in header["parameters"].items()}
    model.set_params(**parameters)
    flowing = model._settings()
    model.random_state = model.seed_ = int(header["seed"])
    width = model.n_features_in_ = int(header["features"])
    if any(arrays[name].shape != (width,) for name in ("scale", "offset", "constant", "units")):
        raise ValueError("a start of another width")
    if len(header["columns"]) not in (0, width):
        raise ValueError("names of another number of columns")
    if header["columns"]:
        model.feature_names_in_ = np.array(header["columns"], object)
    model._labelled, model.classes_ = bool(header["labelled"]), list(header["classes"])
    model.paths_ = dict(zip(model.classes_, header["paths"], strict=True))
    model.start_, model.notes_ = header["start"], list(header["notes"])
    model.heldout_ = dict(zip(header["heldout"], arrays["heldout"].tolist(), strict=True))
    offsets = dict(zip(model.classes_, arrays["offsets"], strict=True))
    scales = dict(zip(model.classes_, arrays["scales"], strict=True))
    start = Start(scales, offsets, arrays["scale"], arrays["offset"])
    model._constant, model._column_units, model._known = arrays["constant"].astype(bool), arrays["units"], None
    if "known" in arrays:
        named = {name.removeprefix("known."): part for name, part in arrays.items() if name.startswith("known.")}
        model._known = Labelled(encoding_from(named), arrays["known"], arrays["known.codes"])
    model.encoding_ = encoding_from(arrays)
    model.n_components_ = model.encoding_.n_components
    if model.encoding_.n_features != width or arrays["centres"].shape[1:] != (model.n_components_,):
        raise ValueError("a latent space of another width")
    found = zip(arrays["centres"], arrays["spreads"].tolist(), strict=True)
    places = {c: LatentClass(*place) for c, place in zip(header["places"], found, strict=True)}
    model.path_grid_ = arrays["grid"]
    model.curves_ = dict(zip(header["curves"], arrays["curves"], strict=True))
    # The shapes of a potential are those of a space with these settings.
    gamma, few = GroupSort(flowing.L, flowing.width, flowing.depth), np.zeros((2, model.n_components_), np.float32)
    few[1] = 1.0
    template = (_template(gamma, few),)
    flow = Particles(FisherStep(1.0, STEP))
    flows = {
        c: Recording(flow, restored(template, f"potentials.{i}", arrays, stacked=True), arrays[f"sizes.{i}"])
        for i, c in enumerate(header["flowing"])
    }
    model._map = BatchMap(start, model.encoding_, places, flows)
    return model


def _template(gamma: GroupSort, few: np.ndarray) -> Any:
    import jax

    return gamma.potential(gamma.init(jax.random.key(0), few, few))  # type: ignore[arg-type]


def _latent(latent: Any) -> Any:
    """A latent space as plain JSON: its name, or the class of proxflow's own and its fields."""
    import dataclasses

    if isinstance(latent, str):
        return latent
    names = [name for name, (kind, _) in LATENTS.items() if type(latent) is kind]
    if not names:
        raise ValueError(f"latent={latent!r:.60} cannot be written to a file; pickle the estimator to keep it.")
    return {"latent": names[0], "fields": {f.name: getattr(latent, f.name) for f in dataclasses.fields(latent)}}


def _known_latent(value: Any) -> Any:
    return value if isinstance(value, str) else LATENTS[value["latent"]][0](**value["fields"])
