"""Generators of laws that a finite group leaves alone: noise in R^k × G, and any generator moved about by G.

    x = u · g(z),      z ~ noise on R^k,  u uniform on G      a latent's last column is the number of u

With G acting on the noise by h (z, u) = (z, h u) this is equivariant, exactly and whatever g is: h x = (h u) · g(z).
The noise is invariant, so the generated law is. Together with an invariant potential the group is known, not learned:
Birrell, Katsoulakis, Rey-Bellet, Zhu, "Structure-preserving GANs", ICML 2022, where g itself is equivariant.

Bad at: data without the symmetry; paths between samples of different u, for there are none.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.gamma.symmetric import Group
from proxflow.generators.base import Frame, FramedGenerator, Generator, Network
from proxflow.targets import Target

__all__ = ["GroupNoise", "SymmetricGenerator", "with_group"]


class GroupNoise(Target):
    """Noise on R^k × G: `noise` and, as one more column, the number of an element."""

    points: Array
    noise: Any
    elements: int = eqx.field(static=True)

    def draw(self, key: Array) -> Array:
        return self.some(key, self.noise.size)

    def some(self, key: Array, count: int) -> Array:
        """So many latents, shape (count, k + 1)."""
        numbers = jax.random.randint(jax.random.fold_in(key, 1), (count, 1), 0, self.elements)
        return jnp.concatenate([self.noise.some(key, count), numbers.astype(jnp.float32)], axis=1)


class SymmetricGenerator(Generator):
    """u · g(z) for latents (z, u) of shape (n, k + 1)."""

    network: Network
    frame: Frame
    group: Group = eqx.field(static=True)

    def __call__(self, latents: Array) -> Array:
        points = FramedGenerator(self.network, self.frame)(latents[:, :-1])
        number = latents[:, -1].astype(jnp.int32)
        moved = jnp.take_along_axis(points, jnp.asarray(self.group.permutations)[number], axis=1)
        if self.group.signs is None:
            return moved
        return moved * jnp.asarray(self.group.signs, points.dtype)[number]


def with_group(noise: Any, group: Group) -> GroupNoise:
    """Return this noise (a `noise.Noise`) and a uniform element of the group beside it."""
    empty = GroupNoise(jnp.zeros((0, noise.points.shape[1] + 1)), noise, len(group))
    drawn = empty.some(jax.random.key(np.uint32(len(group))), len(noise.points))
    return eqx.tree_at(lambda n: n.points, empty, drawn)
