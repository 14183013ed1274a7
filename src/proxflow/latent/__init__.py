"""Latent spaces, one file each; `base` says what all of them promise."""

from proxflow.latent.autoencoder import Autoencoder, AutoencoderEncoding
from proxflow.latent.base import (
    RESIDUALS,
    Encoding,
    Latent,
    ReconstructionError,
    carried_components,
    decode_displacement,
    residual_mean,
)
from proxflow.latent.bound import LatentBound, latent_bound
from proxflow.latent.choices import LATENTS, encoding_arrays, encoding_from, named_latent
from proxflow.latent.identity import Identity, IdentityEncoding
from proxflow.latent.principal import PrincipalComponents, PrincipalEncoding

__all__ = [
    "LATENTS",
    "RESIDUALS",
    "Autoencoder",
    "AutoencoderEncoding",
    "Encoding",
    "Identity",
    "IdentityEncoding",
    "Latent",
    "LatentBound",
    "PrincipalComponents",
    "PrincipalEncoding",
    "ReconstructionError",
    "carried_components",
    "decode_displacement",
    "encoding_arrays",
    "encoding_from",
    "latent_bound",
    "named_latent",
    "residual_mean",
]
