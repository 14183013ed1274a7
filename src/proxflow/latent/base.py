"""What a latent space and its encodings promise.

    E: R^d -> R^k,   D: R^k -> R^d with |D(z) - D(w)| <= a |z - w|,   residual r(x) = x - D(E(x))
    transport in R^k, then   x' = x + D(z') - D(E(x))          the residual stays: x' - D(z') = r(x)

A *latent* is a choice: plain values, frozen. Its `fit` makes an *encoding*, which holds arrays and never changes:

    fit(points, labels=None, seed=0)  -> Encoding
    encode(x), decode(z)                 (n, d) -> (n, k) -> (n, d), float64
    lipschitz                            a: a certified bound on the decoder's slope, in the data's units
    arrays(), from_arrays(arrays)        the encoding as named arrays and back, bit for bit

The laws, tested over all instances: decoding stretches no distance by more than a; a fit repeats itself bit for bit;
so does an encoding that went through its arrays; where nothing moved, `decode_displacement` returns the original's
bits. Bad at: sizes that do not fit in memory.
"""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from proxflow.validation import check_choice, check_cloud, check_positive

__all__ = [
    "RESIDUALS",
    "Encoding",
    "Latent",
    "ReconstructionError",
    "carried_components",
    "check_coordinates",
    "check_points",
    "class_counts",
    "decode_displacement",
    "lost_lengths",
    "residual_mean",
    "resolved_components",
]

RESIDUALS = ("keep", "drop", "recentre")

_SAMPLES_PER_COMPONENT, _FEWEST, _MOST = 5, 2, 50
_BLOCK_VALUES = 4_000_000  # decoded at a time: 32 MB
_LARGEST = 1e18  # as in check_cloud: its square still fits float32's range


@dataclass(frozen=True)
class ReconstructionError:
    """What D(E(x)) misses of samples x.

    rms: root mean square of |x - D(E(x))|, in the data's units. relative: the same over the root mean square distance
    of the samples to their mean. mean: the mean of |x - D(E(x))|, which bounds W1 between the samples and their images.
    """

    rms: float
    relative: float
    mean: float


class Encoding(abc.ABC):
    """A fitted encoder and decoder."""

    @property
    @abc.abstractmethod
    def n_features(self) -> int:
        """d, of the data."""

    @property
    @abc.abstractmethod
    def n_components(self) -> int:
        """k, of the latent space."""

    @property
    @abc.abstractmethod
    def lipschitz(self) -> float:
        """A certified bound a on the decoder's Lipschitz constant, in the data's units; inf if there is none."""

    @property
    @abc.abstractmethod
    def explained(self) -> float:
        """Share of the fitted samples' variance that reconstructions keep."""

    @abc.abstractmethod
    def encode(self, points: Any) -> np.ndarray:
        """Coordinates of points (n, d), dense or sparse: shape (n, k), float64."""

    @abc.abstractmethod
    def decode(self, coordinates: Any) -> np.ndarray:
        """Points at these coordinates (n, k): shape (n, d), float64."""

    @abc.abstractmethod
    def displacement(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """D(last) - D(first), both (n, k): shape (n, d), exactly zero where they agree."""

    @abc.abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """All that the encoding is, by name."""

    @classmethod
    @abc.abstractmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the encoding that `arrays` described; ValueError if they do not fit each other."""

    def reconstruction_error(self, points: Any) -> ReconstructionError:
        """What the reconstructions of points (n, d) miss, in float64."""
        x = check_points(points, "points", width=self.n_features, minimum=1)
        lengths = lost_lengths(self, x)
        mean = np.asarray(x.mean(axis=0)).ravel()
        squares = sum(float(np.sum((_dense(x[rows]) - mean) ** 2)) for rows in _blocks(*x.shape))
        rms, spread = float(np.sqrt(np.mean(lengths**2))), float(np.sqrt(squares / x.shape[0]))
        relative = rms / spread if spread > 0 else (0.0 if rms == 0 else float("inf"))
        return ReconstructionError(rms, relative, float(np.mean(lengths)))


class Latent(abc.ABC):
    """The choice of a latent space: hyperparameters only."""

    @abc.abstractmethod
    def fit(self, points: Any, *, labels: Any = None, seed: int = 0) -> Encoding:
        """Fit the encoder and the decoder.

        Parameters
        ----------
        points
            Samples, shape (n, d); of both sides, if a map between two data sets is to be found.
        labels
            Classes that will be transported apart, shape (n,): the smallest decides how many components there are by
            default. Rows without one (None, NaN) do not count. Classes on two sides are two: join the names.
        seed
            Of whatever is drawn.

        Raises
        ------
        ValueError
            Bad samples (the place is named), too few of them, or more components than they span.
        """


def decode_displacement(
    encoding: Encoding, original: Any, encoded: Any, moved: Any, residual: str = "keep", *, shift: Any = None
) -> np.ndarray:
    """Return where samples end whose coordinates moved, shape (n, d), in the original's float type.

    Parameters
    ----------
    original
        The samples x, shape (n, d), dense or sparse.
    encoded, moved
        Their coordinates E(x) and where those went, shape (n, k).
    residual
        "keep": x + D(moved) - D(encoded), so that what the latent space does not see stays as it is. "drop":
        D(moved). "recentre": "keep", plus the shift.
    shift
        For "recentre": what to add to the residuals, shape (d,) or (n, d), such as the `residual_mean` of the
        target's samples less that of the source's, class by class.

    Raises
    ------
    ValueError
        An unknown residual, a missing shift, or shapes that do not fit.

    Examples
    --------
    >>> from proxflow.latent import PrincipalComponents, decode_displacement
    >>> x = np.random.default_rng(0).normal(size=(40, 5))
    >>> encoding = PrincipalComponents(2).fit(x)
    >>> z = encoding.encode(x)
    >>> bool(np.array_equal(decode_displacement(encoding, x, z, z), x))
    True
    """
    check_choice(residual, "residual", RESIDUALS)
    if (shift is None) == (residual == "recentre"):
        way = "needs a shift, such as the target's residual_mean less the source's" if shift is None else "has no shift"
        raise ValueError(f"residual={residual!r} {way}.")
    shape = tuple(original.shape if hasattr(original, "shape") else np.shape(original))
    first, last = np.asarray(encoded, np.float64), np.asarray(moved, np.float64)
    expected = (shape[0], encoding.n_components)
    if len(shape) != 2 or shape[1] != encoding.n_features or first.shape != expected or last.shape != expected:
        raise ValueError(
            f"original {shape}, encoded {first.shape}, moved {last.shape}: expected (n, {encoding.n_features}) and"
            f" twice (n, {encoding.n_components})."
        )
    offset = None if shift is None else np.broadcast_to(np.asarray(shift, np.float64), shape)
    rows_of = original if hasattr(original, "toarray") or isinstance(original, np.ndarray) else np.asarray(original)
    out = np.empty(shape, rows_of.dtype if rows_of.dtype in (np.float32, np.float64) else np.float64)
    for rows in _blocks(*shape):
        if residual == "drop":
            out[rows] = encoding.decode(last[rows])
            continue
        step = encoding.displacement(first[rows], last[rows])
        out[rows] = _dense(rows_of[rows]) + (step if offset is None else step + offset[rows])
    return out


def lost_lengths(encoding: Encoding, points: Any) -> np.ndarray:
    """|x - D(E(x))| of checked points (n, d): shape (n,)."""
    return np.concatenate([np.linalg.norm(residual, axis=1) for residual in _residuals(encoding, points)])


def residual_mean(encoding: Encoding, points: Any) -> np.ndarray:
    """Mean of x - D(E(x)) over points (n, d): shape (d,)."""
    x = check_points(points, "points", width=encoding.n_features, minimum=1)
    total = sum(residual.sum(axis=0) for residual in _residuals(encoding, x))
    return np.asarray(total / x.shape[0])


def check_points(points: Any, name: str, *, width: int | None = None, minimum: int = 2) -> Any:
    """Return points as float64, dense (n, d) or sparse in rows, once they are known to be finite."""
    if hasattr(points, "toarray"):
        from scipy.sparse import csr_matrix

        x = csr_matrix(points, dtype=np.float64)
        if x.shape[0] < minimum or x.shape[1] == 0:
            raise ValueError(f"{name}: shape {x.shape}, but at least {minimum} samples of 1 feature are needed.")
        bad = ~(np.abs(x.data) <= _LARGEST)
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            row = int(np.searchsorted(x.indptr, at, side="right")) - 1
            raise ValueError(
                f"{name}: {x.data[at]} in row {row}, column {x.indices[at]} (rows count from 0). Drop or impute it."
            )
    else:
        x = check_cloud(points, name, minimum=minimum)
    if width is not None and x.shape[1] != width:
        raise ValueError(f"{name}: {x.shape[1]} features, but the encoding was fitted to {width}.")
    return x


def check_coordinates(coordinates: Any, width: int) -> np.ndarray:
    """Return coordinates as a finite float64 array (n, k), or say what is wrong."""
    z = check_cloud(coordinates, "the coordinates", minimum=1)
    if z.shape[1] != width:
        raise ValueError(f"the coordinates: {z.shape[1]} columns, but the latent space has {width}.")
    return z


def carried_components(smallest: int) -> int:
    """How many components the smallest of the classes can carry: a fifth of its samples, from 2 to 50.

    With ~45 to 110 samples per class nothing learned in 50 dimensions beats a shift of the class's mean on held-out
    samples; in 10 dimensions it does.

    Examples
    --------
    >>> carried_components(49), carried_components(7), carried_components(1000)
    (9, 2, 50)
    """
    return max(_FEWEST, min(_MOST, smallest // _SAMPLES_PER_COMPONENT))


def class_counts(labels: Any, count: int) -> dict[Any, int]:
    """How many samples each class has; rows whose label is None or NaN do not count."""
    if labels is None:
        return {}
    names = np.asarray(labels, object).ravel().tolist()
    if len(names) != count:
        raise ValueError(f"labels: expected one per sample, {count}, got {len(names)}.")
    return dict(Counter(name for name in names if name is not None and name == name))


def resolved_components(wanted: int | None, labels: Any, shape: tuple[int, int]) -> int:
    """The number of components asked for, or by default what the smallest class carries, at most min(n - 1, d).

    Raises
    ------
    ValueError
        More are asked for than so many samples can span.
    """
    most = min(shape[0] - 1, shape[1])
    if wanted is None:
        return min(carried_components(min(class_counts(labels, shape[0]).values(), default=shape[0])), most)
    check_positive(wanted, "n_components", integer=True)
    if wanted > most:
        raise ValueError(
            f"n_components={wanted}, but {shape[0]} samples of {shape[1]} features span at most {most} directions."
        )
    return int(wanted)


def _dense(points: Any) -> np.ndarray:
    return points.toarray() if hasattr(points, "toarray") else points


def _blocks(count: int, width: int) -> Iterator[slice]:
    size = max(1, _BLOCK_VALUES // max(1, width))
    return (slice(first, first + size) for first in range(0, count, size))


def _residuals(encoding: Encoding, points: Any) -> Iterator[np.ndarray]:
    for rows in _blocks(*points.shape):
        yield _dense(points[rows]) - encoding.decode(encoding.encode(points[rows]))
