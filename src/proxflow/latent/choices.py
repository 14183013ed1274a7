"""Latents by name, and encodings in a file: the table that a new one adds a row to.

    name -> (the choice, what its fit makes)

Bad at: latents of one's own in a file; pickle what uses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from proxflow.latent.autoencoder import Autoencoder, AutoencoderEncoding
from proxflow.latent.base import Encoding, Latent
from proxflow.latent.identity import Identity, IdentityEncoding
from proxflow.latent.principal import PrincipalComponents, PrincipalEncoding
from proxflow.validation import check_choice

__all__ = ["LATENTS", "encoding_arrays", "encoding_from", "named_latent"]

LATENTS: dict[str, tuple[type[Latent], type[Encoding]]] = {
    "identity": (Identity, IdentityEncoding),
    "autoencoder": (Autoencoder, AutoencoderEncoding),
    "pca": (PrincipalComponents, PrincipalEncoding),
}
_KIND = "latent.kind"


def named_latent(latent: str | Latent, n_components: int | None = None) -> Latent:
    """Return the latent of that name with so many components; a Latent passes through.

    Raises
    ------
    ValueError
        No such name (there is a list), or components for one that has none or brings its own.
    """
    if isinstance(latent, Latent):
        if n_components is not None:
            raise ValueError(f"n_components={n_components} beside latent={latent!r}: give it to the latent itself.")
        return latent
    check_choice(latent, "latent", tuple(LATENTS))
    if latent == "identity" and n_components is not None:
        raise ValueError("latent='identity' keeps all features: leave n_components out.")
    kind: Any = LATENTS[latent][0]
    return kind() if n_components is None else kind(n_components)


def encoding_arrays(encoding: Encoding) -> dict[str, np.ndarray]:
    """Return the encoding as named arrays, with its kind: all for `encoding_from`."""
    kinds = [name for name, (_, made) in LATENTS.items() if type(encoding) is made]
    if not kinds:
        raise ValueError(f"{encoding!r:.60} cannot be written to a file; pickle it to keep it.")
    return {_KIND: np.array(kinds[0]), **{f"latent.{name}": part for name, part in encoding.arrays().items()}}


def encoding_from(arrays: Mapping[str, np.ndarray]) -> Encoding:
    """Return the encoding among named arrays (others are left alone).

    Raises
    ------
    ValueError
        None is there, or it is not whole.
    """
    kind = str(arrays[_KIND]) if _KIND in arrays else None
    if kind not in LATENTS:
        raise ValueError(f"no encoding of a known kind ({kind})")
    try:
        return LATENTS[kind][1].from_arrays(
            {name.removeprefix("latent."): part for name, part in arrays.items() if name.startswith("latent.")}
        )
    except (KeyError, TypeError, IndexError) as problem:
        raise ValueError(f"an encoding that is not whole ({problem})") from None
