"""An autoencoder that starts as principal components and whose decoder's slope is certified.

    c = V (x - m)                    the p leading principal coordinates, p >= k;  u = c / s
    E(x) = s (u_{1..k} + M(u))       M a dense network
    D(z) = m + Vᵀ s (J z/s + W h(z/s) + b),    J z = (z, 0),   h: orthonormal layers with GroupSort, so |h'| <= 1

    a = min(1 + ‖W‖ H,  ‖(J, W)‖ sqrt(1 + H²)),   H = the product of h's layer norms (1 up to rounding)

V has orthonormal rows, so D's slope is that of its bracket: the sum of its two parts' slopes, or the norm of the joint
map times the slope of z -> (z, h(z)); both are true, the smaller is told. Norms are exact, in float64, of the weights
that decode. M and W start at zero, where E and D are those of `PrincipalComponents`. A first training on nine tenths of
the samples finds at which of twenty looks the others are told best, the start included; a second one on all samples
stops there, and counts only if it tells them better than the start.

Sources: autoencoders as nonlinear principal components, Kramer (AIChE J. 1991); orthonormal layers and GroupSort, Anil
et al. (2019). Bad at: a hundred samples. In 784 dimensions 200 digits teach it little that the plane does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.descent import adam_at_rest, descend
from proxflow.gamma.groupsort import orthonormalise
from proxflow.gamma.network import orthonormal
from proxflow.latent.base import Encoding, Latent, check_coordinates, check_points, resolved_components
from proxflow.latent.principal import PrincipalEncoding, plane_of
from proxflow.validation import check_positive

__all__ = ["Autoencoder", "AutoencoderEncoding"]

_PLANE = 200  # principal coordinates that the networks see: beyond, digits and genes are noise
_LOOKS, _BATCH, _RATE = 20, 256, 4e-3
_FEWEST = 20  # samples: 2 of them held out


class Networks(NamedTuple):
    """Weights (in, out) and biases (out,): of M, of h, and of the last, free layer W, with the most that ‖W‖ may be."""

    encoder: tuple[tuple[Array, Array], ...]
    hidden: tuple[tuple[Array, Array], ...]
    last: tuple[Array, Array]
    most: Array  # its gradient is zero, so training leaves it alone


def _through(layers: Any, height: Any, xp: Any) -> Any:
    """Dense layers with GroupSort in its rotated form (`gamma.network.group_sort`), for NumPy and JAX alike."""
    for weight, bias in layers:
        height = height @ weight + bias
        half = height.shape[1] // 2
        height = xp.concatenate([height[:, :half], abs(height[:, half:])], axis=1)
    return height


def _encoded(networks: Networks, u: Any, xp: Any) -> Any:
    weight, bias = networks.encoder[-1]
    return u[:, : weight.shape[1]] + _through(networks.encoder[:-1], u, xp) @ weight + bias


def _decoded(networks: Networks, z: Any, xp: Any) -> Any:
    weight, bias = networks.last
    bent = _through(networks.hidden, z, xp) @ weight + bias
    return xp.concatenate([z + bent[:, : z.shape[1]], bent[:, z.shape[1] :]], axis=1)


def _loss(networks: Networks, u: Array) -> Array:
    return jnp.mean(jnp.sum((_decoded(networks, _encoded(networks, u, jnp), jnp) - u) ** 2, axis=1))


def _project(networks: Networks) -> Networks:
    """Hidden layers orthonormal again, and W within the slope that is left to it."""
    hidden = tuple((orthonormalise(weight.T).T, bias) for weight, bias in networks.hidden)
    weight, bias = networks.last
    # ‖W‖² is at most the largest absolute row sum of its smaller Gram matrix: no power iteration that could lag.
    gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    norm = jnp.sqrt(jnp.max(jnp.sum(jnp.abs(gram), axis=1)))
    last = (weight * jnp.minimum(1.0, networks.most / jnp.maximum(norm, 1e-12)), bias)
    return networks._replace(hidden=hidden, last=last)


@dataclass(frozen=True, eq=False)
class AutoencoderEncoding(Encoding):
    """A plane of principal components, and networks that bend the space inside it.

    plane: (p, d) frame. unit: s. networks: float64 arrays. explained: share of the fitted samples' variance kept.
    """

    plane: PrincipalEncoding
    unit: float
    networks: Networks
    share: float

    @property
    def n_features(self) -> int:
        return self.plane.n_features

    @property
    def n_components(self) -> int:
        return int(self.networks.encoder[-1][0].shape[1])

    @cached_property
    def lipschitz(self) -> float:  # type: ignore[override]
        weight = np.asarray(self.networks.last[0])
        height = float(np.prod([np.linalg.norm(w, 2) for w, _ in self.networks.hidden]))
        joint = np.vstack([np.eye(self.n_components, weight.shape[1]), weight])
        apart = 1 + float(np.linalg.norm(weight, 2)) * height
        return self.plane.lipschitz * min(apart, float(np.linalg.norm(joint, 2)) * float(np.hypot(1.0, height)))

    @property
    def explained(self) -> float:
        return self.share

    def encode(self, points: Any) -> np.ndarray:
        return np.asarray(self.unit * _encoded(self.networks, self.plane.encode(points) / self.unit, np))

    def decode(self, coordinates: Any) -> np.ndarray:
        return self.plane.decode(self._inside(check_coordinates(coordinates, self.n_components)))

    def displacement(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        return self.plane.displacement(self._inside(first), self._inside(last))

    def arrays(self) -> dict[str, np.ndarray]:
        parts = {"encoder": self.networks.encoder, "hidden": self.networks.hidden, "last": (self.networks.last,)}
        layers = {
            f"{part}.{kind}.{i}": layer[at]
            for part, stack in parts.items()
            for i, layer in enumerate(stack)
            for at, kind in enumerate(("weight", "bias"))
        }
        numbers = {"unit": np.array(self.unit), "most": np.asarray(self.networks.most), "share": np.array(self.share)}
        return {**{f"plane.{name}": part for name, part in self.plane.arrays().items()}, **numbers, **layers}  # type: ignore[dict-item]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> AutoencoderEncoding:
        def stack(part: str) -> Any:
            count = sum(name.startswith(f"{part}.weight.") for name in arrays)
            return tuple((arrays[f"{part}.weight.{i}"], arrays[f"{part}.bias.{i}"]) for i in range(count))

        plane = PrincipalEncoding.from_arrays(
            {name.removeprefix("plane."): part for name, part in arrays.items() if name.startswith("plane.")}
        )
        networks = Networks(stack("encoder"), stack("hidden"), stack("last")[0], arrays["most"])  # type: ignore[arg-type]
        made = cls(plane, float(arrays["unit"]), networks, float(arrays["share"]))
        made.decode(made.encode(plane.mean[None]))  # layers that do not fit each other say so here
        return made

    def _inside(self, coordinates: np.ndarray) -> np.ndarray:
        return np.asarray(self.unit * _decoded(self.networks, coordinates / self.unit, np))


@dataclass(frozen=True)
class Autoencoder(Latent):
    """Coordinates of a curved set, by networks whose decoder has a certified slope.

    Parameters
    ----------
    n_components
        k. None: what the smallest class can carry, a fifth of its samples from 2 to 50.
    width, depth
        Units per hidden layer (even) and hidden layers, of encoder and decoder.
    steps
        Adam steps at the most; the best of twenty looks is kept.
    lipschitz
        The most that the decoder's slope may be, at least 1. None: whatever is learned; it is certified all the same.

    Examples
    --------
    >>> import numpy as np
    >>> from proxflow import Autoencoder
    >>> angle = np.random.default_rng(0).uniform(0, 3, size=(200, 1))
    >>> arc = np.hstack([np.cos(angle), np.sin(angle)])
    >>> encoding = Autoencoder(1, width=16, steps=400, lipschitz=3.0).fit(arc)
    >>> encoding.encode(arc).shape, encoding.lipschitz <= 3
    ((200, 1), True)
    """

    n_components: int | None = None
    width: int = 64
    depth: int = 2
    steps: int = 2000
    lipschitz: float | None = None

    def fit(self, points: Any, *, labels: Any = None, seed: int = 0) -> AutoencoderEncoding:
        for name in ("width", "depth", "steps"):
            check_positive(getattr(self, name), name, integer=True)
        if self.width % 2:
            raise ValueError(f"width must be even (GroupSort pairs units), got {self.width}.")
        if self.lipschitz is not None and not self.lipschitz >= 1:
            raise ValueError(f"lipschitz must be at least 1, the slope of principal components; got {self.lipschitz}.")
        x = check_points(points, "points")
        if x.shape[0] < _FEWEST:
            raise ValueError(
                f"points: {x.shape[0]} samples, but an autoencoder needs {_FEWEST}: use PrincipalComponents."
            )
        k = resolved_components(self.n_components, labels, x.shape)
        order = np.random.default_rng(seed).permutation(x.shape[0])
        held, used = order[: len(order) // 10], order[len(order) // 10 :]
        # In a plane of the other rows only: one that knew the held-out rows would look better than it is.
        plane = self._plane(x[used], k, seed)
        unit, u = _standardised(plane, x[used], k)
        fresh = jnp.asarray(plane.encode(x[held]) / unit, jnp.float32)
        looks = [float(_judged(networks, fresh)) for networks in self._training(u, k, seed, _LOOKS)]
        plane = self._plane(x, k, seed)
        unit, u = _standardised(plane, x, k)
        start, *later = self._training(u, k, seed, int(np.argmin(looks)))
        best = later[-1] if later and float(_judged(later[-1], u)) < float(_judged(start, u)) else start
        kept: Any = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), best)
        scores = plane.encode(x)
        missed = np.sum((unit * _decoded(kept, _encoded(kept, scores / unit, np), np) - scores) ** 2)
        share = plane.explained * (1 - float(missed / np.sum(scores**2)))
        return AutoencoderEncoding(plane, unit, kept, share)

    def _plane(self, x: Any, k: int, seed: int) -> PrincipalEncoding:
        """The directions that the networks see: as many as the samples span, at most 200 or k."""
        plane = plane_of(x, min(x.shape[0] - 1, x.shape[1], max(_PLANE, k)), seed)
        if self.n_components is not None and k > plane.n_components:
            raise ValueError(f"n_components={k}, but the samples vary in {plane.n_components} directions only.")
        return plane

    def _training(self, u: Array, k: int, seed: int, looks: int) -> Iterator[Networks]:
        """The networks at the start and at so many looks."""
        most = np.inf if self.lipschitz is None else self.lipschitz - 1
        start = _first(np.random.default_rng(seed), u.shape[1], min(k, u.shape[1]), self.width, self.depth, most)
        networks, memory, stretch = start, adam_at_rest(start), max(1, -(-self.steps // _LOOKS))
        yield start
        for done in range(0, min(self.steps, looks * stretch), stretch):
            networks, memory = descend(
                _loss, _project, networks, memory, (u,), jax.random.key(seed), np.int32(done),
                np.int32(min(stretch, self.steps - done)), np.float32(self.steps), np.float32(_RATE),
                batch=min(_BATCH, len(u)),
            )  # fmt: skip
            error = float(_judged(networks, u))
            if not np.isfinite(error):
                raise ValueError(
                    f"the autoencoder's error is {error} after {done + stretch} of {self.steps} steps. Rescale columns"
                    " in unlike units, or use PrincipalComponents."
                )
            yield networks


_judged = jax.jit(_loss)


def _standardised(plane: PrincipalEncoding, x: Any, k: int) -> tuple[float, Array]:
    """The unit s, and the samples' coordinates in it."""
    scores = plane.encode(x)
    unit = float(np.sqrt(np.mean(np.sum(scores**2, axis=1)) / k))
    return unit, jnp.asarray(scores / unit, jnp.float32)


def _first(rng: np.random.Generator, p: int, k: int, width: int, depth: int, most: float) -> Networks:
    """Random hidden layers; M and W zero, so that all is as in the plane."""

    def layer(weight: np.ndarray, bias: np.ndarray) -> tuple[Array, Array]:
        return jnp.asarray(weight, jnp.float32), jnp.asarray(bias, jnp.float32)

    ways = pairwise([p] + [width] * depth)
    encoder = [layer(rng.normal(size=way) * np.sqrt(1 / way[0]), rng.normal(size=way[1])) for way in ways]
    encoder.append(layer(np.zeros((width, k)), np.zeros(k)))
    ways = pairwise([k] + [width] * depth)
    hidden = [layer(orthonormal(rng, way[1], way[0]).T, rng.normal(size=way[1])) for way in ways]
    last = layer(np.zeros((width, p)), np.zeros(p))
    return Networks(tuple(encoder), tuple(hidden), last, jnp.asarray(most, jnp.float32))
