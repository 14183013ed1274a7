"""A fitted flow as one network: new samples of any number, at once.

    T = argmin over networks of  mean |T(y_0) - y_end|²,      T(y) = y + s N((y - c) / s)

over pairs (y_0, y_end): the fit's own particles, and fresh source points replayed along the stored potentials, as many
as one likes. Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network" (2015); for flows, Luhman and
Luhman, "Knowledge distillation in iterative generative models" (2021).

Bad at: tears. A continuous map cannot split a Gaussian into clusters without a few points in between, and it is never
better than the replay it learned from.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.descent import adam_at_rest, descend
from proxflow.flow_files import read_flow, span_arrays, span_from, write_flow
from proxflow.progress import Progress
from proxflow.sources import draw_labelled_source
from proxflow.spans import LabelledSpan, Span
from proxflow.validation import check_positive

__all__ = ["DistilledMap", "distilled"]

_LOOKS, _RATE = 20, 2e-3


class Layers(NamedTuple):
    """Weights (in, out) and biases (out,) of a dense network."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]


def _apply(layers: Layers, points: Array) -> Array:
    """Return the displacement of standardised points, shape (n, k)."""
    height = points
    for weight, bias in zip(layers.weights[:-1], layers.biases[:-1], strict=True):
        height = jax.nn.gelu(height @ weight + bias)
    return height @ layers.weights[-1] + layers.biases[-1]


class DistilledMap:
    """A map from source points to new samples. Made by `ParticleTransport.distil`.

    error: root mean square distance of the map from held-out pairs, over that of a map that stays where it is.
    """

    def __init__(
        self, layers: Layers, centre: np.ndarray, unit: float, span: Span | LabelledSpan, source: np.ndarray,
        kind: str, error: float,
    ) -> None:  # fmt: skip
        self._layers, self._centre, self._unit, self._span = layers, centre, unit, span
        self._source, self._kind, self.error = source, kind, error

    def transform(self, points: Any) -> np.ndarray:
        """Map source points, shape (n, d), to new samples, shape (n, d)."""
        cloud = np.asarray(points, np.float64)
        first = self._span.encode(cloud)
        return self._span.carry(cloud, first, self._moved(first))

    def sample(self, n: int = 1, random_state: int = 0) -> np.ndarray:
        """Return n new samples, shape (n, d), from fresh points of the fit's source; of a given one, from its rows."""
        check_positive(n, "n", integer=True)
        if self._kind == "given":
            rows = np.random.default_rng(random_state).choice(len(self._source), n, replace=n > len(self._source))
            return self.transform(self._source[rows])
        fixed = self._span.labels if isinstance(self._span, LabelledSpan) else 0
        return self.transform(draw_labelled_source(self._kind, self._source, n, random_state, fixed))

    def _moved(self, first: np.ndarray) -> np.ndarray:
        inside = jnp.asarray((first - self._centre) / self._unit, jnp.float32)
        return np.asarray(first + self._unit * np.asarray(_applied(self._layers, inside), np.float64))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the map to one file, whole or not at all."""
        arrays = {"layers": self._layers, "centre": self._centre, "source": self._source, **span_arrays(self._span)}
        header = {
            "class": "DistilledMap", "unit": self._unit, "source": self._kind, "error": self.error,
            "depth": len(self._layers.weights),
        }  # fmt: skip
        write_flow(path, header, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> DistilledMap:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            No such file, a damaged one, or one of another kind.
        """
        header, arrays = read_flow(path)
        try:
            depth = header["depth"]
            found = [jnp.asarray(arrays[f"layers.{i}"]) for i in range(2 * depth)]
            layers = Layers(tuple(found[:depth]), tuple(found[depth:]))
            place = arrays["centre"], header["unit"], span_from(arrays), arrays["source"]
            return cls(layers, *place, header["source"], header["error"])
        except KeyError as missing:
            raise ValueError(f"{os.fspath(path)}: not a distilled map (no {missing}).") from None


_applied = jax.jit(_apply)


def _loss(layers: Layers, x: Array, y: Array) -> Array:
    return jnp.mean(jnp.sum((_apply(layers, x) - y) ** 2, axis=1))


def _free(layers: Layers) -> Layers:
    return layers


def distilled(
    start: np.ndarray, end: np.ndarray, span: Span | LabelledSpan, source: np.ndarray, *, kind: str,
    width: int, depth: int, steps: int, batch: int, seed: int, progress: bool,
) -> DistilledMap:  # fmt: skip
    """Fit the map to pairs of first and last positions, each of shape (n, d), in the data's coordinates."""
    x, y = span.encode(start), span.encode(end)
    centre = x.mean(axis=0)
    unit = float(np.sqrt(np.mean((x - centre) ** 2))) or 1.0
    order = np.random.default_rng(seed).permutation(len(x))
    held = order[: max(1, len(x) // 10)] if len(x) > 1 else order
    used = order[len(held) :] if len(x) > 1 else order
    inside, displacement = ((part.astype(np.float32)) for part in ((x - centre) / unit, (y - x) / unit))
    layers = _first_layers([x.shape[1]] + [width] * depth + [x.shape[1]], seed)
    memory = adam_at_rest(layers)
    data = jnp.asarray(inside[used]), jnp.asarray(displacement[used])
    with Progress("distilling", steps, visible=progress) as bar:
        for first in range(0, steps, max(1, steps // _LOOKS)):
            count = min(max(1, steps // _LOOKS), steps - first)
            layers, memory = descend(
                _loss, _free, layers, memory, data, jax.random.key(seed), np.int32(first), np.int32(count),
                np.float32(steps), np.float32(_RATE), batch=batch,
            )  # fmt: skip
            bar.update(first + count)
    miss = np.asarray(_applied(layers, jnp.asarray(inside[held]))) - displacement[held]
    still = float(np.sqrt(np.mean(displacement[held] ** 2)))
    error = float(np.sqrt(np.mean(miss**2))) / still if still > 0 else 0.0
    return DistilledMap(layers, centre, unit, span, source, kind, error)


def _first_layers(sizes: list[int], seed: int) -> Layers:
    rng = np.random.default_rng(seed)
    weights = [jnp.asarray(rng.normal(size=shape) * np.sqrt(2 / shape[0]), jnp.float32) for shape in pairwise(sizes)]
    weights[-1] = 0.1 * weights[-1]  # nearly the identity at first
    return Layers(tuple(weights), tuple(jnp.zeros(size, jnp.float32) for size in sizes[1:]))
