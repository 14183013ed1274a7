"""Γ on images seen through a slight blur: particles then move smoothly from pixel to pixel.

    φ(x) = ψ(B x),  ψ in another Γ,      B = I - w (I - K ⊗ K),      K = [1 2 1] / 4 along a side, mirrored at its ends

B is symmetric with eigenvalues in (0, 1], so φ is as Lipschitz as ψ (data processing), and B can be undone: no two laws
are confused. The gradient is B ∇ψ(B x): a dense network knows no neighbours, its slopes are noise from pixel to
pixel, and what particles keep of that noise is speckle; B damps it. On MNIST (200 -> 600) images lose their speckle and
W2 stays (`benchmarks/RESULTS.md`). Multiplying gradients by a smoothing operator is old: Neuberger, "Sobolev
gradients and differential equations", Springer 1997; here it is also a choice of Γ, so that every bound holds.

Bad at: values, which fall as fine detail counts less; texture, which arrives late; anything but images.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from proxflow.gamma.base import Gamma, Objective, Potential
from proxflow.gamma.convolutional import as_shape

__all__ = ["Blurred", "BlurredPotential", "blur"]


def blur(points: Array, shape: tuple[int, int, int], weight: float) -> Array:
    """B x for every row x of points, shape (n, height · width · channels + k): the last k columns stay as they are.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> blur(jnp.asarray([[0.0, 4.0, 0.0]]), (1, 3, 1), 1.0).tolist()
    [[1.0, 2.0, 1.0]]
    """
    count = math.prod(shape)
    images = points[:, :count].reshape(-1, *shape)
    soft = _soften(_soften(images, 1), 2)
    blurred = (images + weight * (soft - images)).reshape(-1, count)
    return blurred if points.shape[1] == count else jnp.concatenate([blurred, points[:, count:]], axis=1)


def _soften(images: Array, axis: int) -> Array:
    """[1 2 1] / 4 along an axis; the ends are their own neighbours, so that constants stay."""
    length = images.shape[axis]
    ends = [(0, 0)] * images.ndim
    ends[axis] = (1, 1)
    wide = jnp.pad(images, ends, mode="edge")
    before, after = (jax.lax.slice_in_dim(wide, first, first + length, axis=axis) for first in (0, 2))
    return 0.5 * images + 0.25 * (before + after)


class BlurredPotential(Potential):
    """φ(x) = ψ(B x) on flattened images (n, height · width · channels)."""

    potential: Potential
    shape: tuple[int, int, int] = eqx.field(static=True)
    weight: float = eqx.field(static=True)

    def __call__(self, points: Array) -> Array:
        return self.potential(blur(points, self.shape, self.weight))


class Blurred(Gamma):
    """The potentials of another Γ, of blurred images.

    Parameters
    ----------
    gamma
        The Γ that sees the blurred images: `GroupSort`, `SpectralNormalised`, ...
    shape
        (height, width) or (height, width, channels) of the images, which come flattened row by row, channels last.
    weight
        w in [0, 1]: 0 leaves the images as they are.
    labels
        Columns after the pixels: labels or covariates, which are not blurred.

    Raises
    ------
    ValueError
        A size is not positive, the weight is outside [0, 1], or the data have another number of columns than an image
        has numbers.

    Examples
    --------
    >>> import jax
    >>> from proxflow.divergences import Divergence
    >>> from proxflow.gamma import GroupSort
    >>> images = jax.random.normal(jax.random.key(0), (20, 64))  # 8 x 8 pixels
    >>> pair = Divergence(Blurred(GroupSort(L=1.0, width=16), (8, 8)))
    >>> memory = pair.fit(images + 1, images, pair.init(jax.random.key(1), images + 1, images))
    >>> pair.gamma.lipschitz_bound(pair.gamma.potential(memory)) < 1.001
    True
    """

    gamma: Gamma
    shape: tuple[int, int, int] = eqx.field(static=True, converter=as_shape)
    weight: float = eqx.field(static=True, default=1.0)
    labels: int = eqx.field(static=True, default=0)
    own_coordinates: ClassVar[bool] = True  # pixels next to each other must stay so

    def __check_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight must be between 0 and 1, got {self.weight!r}.")

    @property
    def on_host(self) -> bool:  # type: ignore[override]
        """Whether the Γ behind the blur ascends in Python."""
        return self.gamma.on_host

    @property
    def L(self) -> float:
        """The Lipschitz constant of the Γ behind the blur."""
        return self.gamma.L  # type: ignore[attr-defined]

    @property
    def updates(self) -> int:
        """Updates per ascent of the Γ behind the blur."""
        return self.gamma.updates  # type: ignore[attr-defined]

    def _seen(self, points: Array) -> Array:
        return blur(points, self.shape, self.weight)

    def init(self, key: Array, particles: Array, target: Array) -> Any:
        """Return the state of the Γ behind the blur."""
        if particles.shape[1] != math.prod(self.shape) + self.labels:
            raise ValueError(
                f"images of shape {self.shape} have {math.prod(self.shape)} numbers, but the data have "
                f"{particles.shape[1]} columns: pass Blurred(gamma, shape) the shape of your images."
            )
        return self.gamma.init(key, self._seen(particles), self._seen(target))

    def ascend(self, objective: Objective, particles: Array, target: Array, state: Any) -> Any:
        return self.gamma.ascend(objective, self._seen(particles), self._seen(target), state)

    def potential(self, state: Any) -> BlurredPotential:
        return BlurredPotential(self.gamma.potential(state), self.shape, self.weight)

    def lipschitz_bound(self, potential: Any) -> float:
        """Return the bound of ψ: ‖B‖₂ = 1."""
        return self.gamma.lipschitz_bound(potential.potential)

    def share_inside(self, potential: Any) -> float:
        return self.gamma.share_inside(potential.potential)
