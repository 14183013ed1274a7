"""Transport where the data live: encode, move, decode.

    z = E(x),   z' = the particles' flow in R^k,   x' = x + D(z') - D(z)    or, for new samples,   x' = D(z')

200 samples of 784 pixels or of 50,000 genes say little about most directions; in the few that they do tell, flows are
faster and closer. What the latent space does not see stays as it is in a map, and is missing from new samples.
Afterwards `bound_` says how far off the result can be at most (`latent.bound`).

Sources: flows in latent spaces, Gu et al. (2024), section 6. Bad at: novelty. In few dimensions particles find the
targets themselves sooner: judge copies (`proxflow.trust`) as well as closeness.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from proxflow.entropies import entropy
from proxflow.estimators import ParticleTransport
from proxflow.flow_files import read_flow, write_flow
from proxflow.latent.base import (
    RESIDUALS,
    Encoding,
    Latent,
    ReconstructionError,
    check_points,
    decode_displacement,
    lost_lengths,
    residual_mean,
)
from proxflow.latent.bound import Image, LatentBound, bound_of
from proxflow.latent.choices import LATENTS, encoding_arrays, encoding_from, named_latent
from proxflow.validation import check_choice, check_same_width, check_two_dimensional, kept_dtype, seed_from

__all__ = ["LatentTransport"]


class LatentTransport(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Transport particles in a latent space: principal components or an autoencoder.

    Parameters
    ----------
    transport
        The `ParticleTransport` with the settings to use; None for its defaults. Its L is in the latent space's units,
        which are the data's for principal components. `scaling="auto"` does not rescale coordinates.
    latent
        "pca", "autoencoder", "identity", or a `Latent` such as `PrincipalComponents(10, whiten=True)`.
    n_components
        k, for a latent given by name. None: a fifth of the smaller side's samples, from 2 to 50.
    residual
        Of rows that are mapped, what the latent space does not see: "keep" it, "drop" it, or "recentre" it on the
        target's mean. New samples, of a drawn source or by `sample`, have none.
    random_state
        Seed. None: the transport's.

    Attributes
    ----------
    particles_ : ndarray (n_particles, n_features)
        Where the particles ended, decoded.
    encoding_ : Encoding
        The fitted encoder and decoder, with `lipschitz`, `explained` and `reconstruction_error`.
    transport_ : ParticleTransport
        The fitted transport of the latent space: its particles, history, settings.
    bound_ : LatentBound
        A bound on the divergence of `particles_` from the target; computed when first asked for.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from proxflow import LatentTransport, ParticleTransport
    >>> digits = load_digits().data[:200]
    >>> fast = ParticleTransport(steps=20, n_particles=100)
    >>> flow = LatentTransport(fast, n_components=8, random_state=0).fit(digits)
    >>> flow.particles_.shape, flow.transport_.particles_.shape
    ((100, 64), (100, 8))
    >>> flow.bound_.decoder < 1 + 1e-9
    True
    """

    _dtype: Any  # of the target: what comes out

    def __init__(
        self,
        transport: ParticleTransport | None = None,
        latent: str | Latent = "pca",
        *,
        n_components: int | None = None,
        residual: str = "keep",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.transport = transport
        self.latent = latent
        self.n_components = n_components
        self.residual = residual
        self.random_state = random_state

    def fit(self, target: Any, source: Any = None) -> LatentTransport:
        """Fit the latent space to all samples, and move particles there onto the target.

        Parameters
        ----------
        target
            Samples of Q, shape (n, d), dense or sparse.
        source
            First positions, shape (m, d), in the data's space. None: drawn in the latent space.

        Raises
        ------
        ValueError
            Bad samples (the place is named), an unknown latent or residual, or a setting that has no meaning there.
        """
        latent = named_latent(self.latent, self.n_components)
        check_choice(self.residual, "residual", RESIDUALS)
        inner, seed = self._inner()
        goal = self._read(target, "target", reset=True)
        given = None if source is None else check_points(source, "source", minimum=1)
        if given is not None:
            check_same_width(goal, given, "the target", "the source")
        elif self.residual == "recentre":
            raise ValueError("residual='recentre' is for a given source; drawn particles have no residuals.")
        union = goal if given is None else _stacked(goal, given)
        sides = None if given is None else np.repeat(["target", "source"], [goal.shape[0], given.shape[0]])
        self.encoding_: Encoding = latent.fit(union, labels=sides, seed=seed)
        first = None if given is None else self.encoding_.encode(given)
        self.transport_ = inner.fit(self.encoding_.encode(goal), first)
        self._kept: np.ndarray | None = None
        self._image = Image(
            self.encoding_.encode(goal),
            lost_lengths(self.encoding_, goal),
            self.encoding_.reconstruction_error(goal),
            self.encoding_.lipschitz,
        )
        moved = np.asarray(self.transport_.particles_, np.float64)
        self._shift = (
            residual_mean(self.encoding_, goal) - residual_mean(self.encoding_, given)
            if self.residual == "recentre"
            else None
        )
        if given is None:
            particles = self.encoding_.decode(moved)
        else:
            particles = self._carried(given, first, moved)
            self._kept = self._lengths(given)
        self.particles_ = particles.astype(self._dtype)
        self.__dict__.pop("_bound", None)
        return self

    def sample(
        self, n: int = 1, random_state: int | np.random.RandomState | None = None, *, method: str = "flow"
    ) -> np.ndarray:
        """Return n new samples, decoded, shape (n, d); see `ParticleTransport.sample`. They have no residuals."""
        check_is_fitted(self, "particles_")
        moved = self.transport_.sample(n, random_state, method=method)
        return self.encoding_.decode(moved).astype(self._dtype)

    def transform(self, points: Any) -> np.ndarray:
        """Carry other points of the source along the fitted flow, (m, d) to (m, d), with their residuals."""
        check_is_fitted(self, "particles_")
        x = self._read(points, "points", reset=False, minimum=1)
        first = self.encoding_.encode(x)
        moved = self._carried(x, first, np.asarray(self.transport_.transform(first), np.float64))
        kept = getattr(points, "dtype", None)
        return moved.astype(kept if kept in (np.float32, np.float64) else np.float64)

    @property
    def bound_(self) -> LatentBound:
        """The bound on D of `particles_` from the target, at the flow's f, L and direction."""
        check_is_fitted(self, "particles_")
        if "_bound" not in self.__dict__:
            flow = self.transport_
            self._bound = bound_of(
                self._image, flow.particles_, entropy(flow.f, flow.alpha), flow.settings_["L"], reverse=flow.reverse,
                kept=self._kept,
            )  # fmt: skip
        return self._bound

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it to one file, whole or not at all; `load` reads it.

        Raises
        ------
        ValueError
            A latent or a setting of your own making, or a refusal of the system.
        """
        check_is_fitted(self, "particles_")
        latent: Any = self.latent
        if not isinstance(latent, str):
            names = [name for name, (kind, _) in LATENTS.items() if type(latent) is kind]
            if not names:
                raise ValueError(f"latent={latent!r:.60} cannot be written to a file; pickle the estimator to keep it.")
            latent = {"name": names[0], "fields": asdict(latent)}
        inner, arrays = self.transport_.contents()
        header = {
            "class": type(self).__name__, "transport": inner, "latent": latent, "n_components": self.n_components,
            "residual": self.residual, "float32": self._dtype == np.float32,
            "error": asdict(self._image.error),
            "columns": [str(name) for name in getattr(self, "feature_names_in_", ())],
        }  # fmt: skip
        optional = {"own.kept": self._kept, "own.shift": self._shift}
        own = {name: array for name, array in optional.items() if array is not None}
        own |= {"own.particles": self.particles_, "own.encoded": self._image.encoded, "own.lost": self._image.lost}
        write_flow(path, header, {f"flow.{k}": v for k, v in arrays.items()} | own | encoding_arrays(self.encoding_))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LatentTransport:
        """Read what `save` wrote. Nothing in the file is run.

        Raises
        ------
        ValueError
            No such file, a damaged one, or one of another kind or version.
        """
        header, arrays = read_flow(path)
        try:
            return cls()._restore(header, arrays)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ValueError(f"{os.fspath(path)}: not a latent transport that can be read ({problem}).") from None

    def _restore(self, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> LatentTransport:
        latent = header["latent"]
        if not isinstance(latent, str):
            kind: Any = LATENTS[latent["name"]][0]
            latent = kind(**latent["fields"])
        inner = {name.removeprefix("flow."): part for name, part in arrays.items() if name.startswith("flow.")}
        self.transport_ = ParticleTransport.from_contents(header["transport"], inner)
        self.set_params(
            transport=clone(self.transport_), latent=latent, n_components=header["n_components"],
            residual=header["residual"], random_state=self.transport_.seed_,
        )  # fmt: skip
        named_latent(latent, self.n_components)
        check_choice(self.residual, "residual", RESIDUALS)
        self.encoding_ = encoding_from(arrays)
        error = ReconstructionError(**header["error"])
        self._image = Image(arrays["own.encoded"], arrays["own.lost"], error, self.encoding_.lipschitz)
        self._kept, self._shift = arrays.get("own.kept"), arrays.get("own.shift")
        self.particles_ = arrays["own.particles"]
        d, k = self.encoding_.n_features, self.encoding_.n_components
        if self.particles_.shape != (len(self.transport_.particles_), d) or self._image.encoded.shape[1:] != (k,):
            raise ValueError("particles, target and encoding of unlike shapes")
        if self.transport_.n_features_in_ != k:
            raise ValueError(f"a flow of {self.transport_.n_features_in_} coordinates, an encoding of {k}")
        self._dtype = np.float32 if header["float32"] else np.float64
        self.n_features_in_ = d
        if header["columns"]:
            self.feature_names_in_ = np.array(header["columns"], object)
        return self

    # ------------------------------------------------------------------ pieces

    def _inner(self) -> tuple[ParticleTransport, int]:
        """The transport to fit in the latent space, and its seed."""
        inner = clone(self.transport or ParticleTransport())
        for name, empty in (("bounds", None), ("fixed_columns", 0)):
            if getattr(inner, name) != empty:
                raise ValueError(f"{name} speaks of the data's columns, which a latent space does not have: leave it.")
        inner.check_settings()
        seed = seed_from(inner.random_state if self.random_state is None else self.random_state)
        # Coordinates are alike in units, however unlike in spread: the plane's first must count the most.
        scaling = "none" if inner.scaling == "auto" and self.latent != "identity" else inner.scaling
        return inner.set_params(random_state=seed, scaling=scaling), seed

    def _read(self, points: Any, name: str, *, reset: bool, minimum: int = 2) -> Any:
        x = check_points(points, name, minimum=minimum)
        check_two_dimensional(points, name)
        validate_data(self, points, reset=reset, skip_check_array=True)
        if reset:
            self._dtype = kept_dtype(points)
        return x

    def _carried(self, x: Any, first: Any, moved: np.ndarray) -> np.ndarray:
        return decode_displacement(self.encoding_, x, first, moved, self.residual, shift=self._shift)

    def _lengths(self, given: Any) -> np.ndarray | None:
        """|r| of what a map adds to the decoded particles."""
        if self.residual == "drop":
            return None
        if self._shift is None:
            return lost_lengths(self.encoding_, given)
        decoded = self.encoding_.decode(self.encoding_.encode(given))
        rows = given.toarray() if hasattr(given, "toarray") else given
        return np.asarray(np.linalg.norm(rows - decoded + self._shift, axis=1))


def _stacked(first: Any, second: Any) -> Any:
    if hasattr(first, "toarray") and hasattr(second, "toarray"):
        from scipy.sparse import vstack

        return vstack([first, second], format="csr")
    return np.concatenate([x.toarray() if hasattr(x, "toarray") else x for x in (first, second)])
