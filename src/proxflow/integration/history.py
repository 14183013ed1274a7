"""What `integrate` keeps in `uns`: parameters and the course of every fit, in types that an h5ad file can hold.

No None, no keys that are not text, no slashes in them: they would be folders of the file. Bad at: being read back into
a model; `Integration.save` is for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from proxflow.integration.fitted import Integration

__all__ = ["history"]


def history(model: Integration, adjusted_basis: str, layer: str | None) -> dict[str, Any]:
    """Return the parameters and, by batch, start, paths, held-out energy distances and their curves, and notes."""
    from proxflow import __version__

    params = {
        "key": model.key, "reference": model.reference, "label_key": model.label_key, "basis": model.basis,
        "adjusted_basis": adjusted_basis, "expression_layer": layer, "unlabeled": model.unlabeled, "seed": model.seed,
    }  # fmt: skip
    return {
        "version": __version__,
        "params": {name: value for name, value in params.items() if value is not None},
        "batches": {_key(batch): _course(transport) for batch, transport in model.transports.items()},
    }


def _course(model: Any) -> dict[str, Any]:
    curves = {_key(c): np.asarray(curve) for c, curve in model.curves_.items()}
    return {
        "start": model.start_,
        "n_components": model.n_components_,
        "notes": np.array(model.notes_, dtype=object),
        "paths": {_key(c): float(path) for c, path in model.paths_.items()},
        "heldout_energy": {name: float(value) for name, value in model.heldout_.items()},
        "path_grid": np.asarray(model.path_grid_, float),
        "heldout_curves": curves,
    }


def _key(name: Any) -> str:
    text = str(name).replace("/", "|")
    return f"({text})" if text in ("", ".", "..") else text  # folders, too
