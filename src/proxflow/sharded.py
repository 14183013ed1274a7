"""Arrays whose rows lie on several devices, and what compiled code has to know of that: next to nothing.

    outside    Rows(array): equal shares of the rows on each device, up to g - 1 rows of zeros behind the last
    inside     array[:count], whole-array code as on one device; XLA's partitioner says who sends what to whom

JAX arrays on g devices must divide by g; what is computed on them need not, for the partitioner pads and masks by
itself (GSPMD: Xu et al., "General and scalable parallelization for ML computation graphs", 2021). So padding is cut off
where a compiled function begins and put back where it ends, no formula ever sees it, and any number of rows on any
number of devices gives the numbers of one device, up to the order of sums. Without a mesh every function here
returns what it was given.

Bad at: joining two clouds and cutting a cloud into blocks, which across devices would send all rows around. `joined`
and `by_rows` do that within each device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

__all__ = [
    "Rows", "by_rows", "everywhere", "gathered", "joined", "mesh_of", "on_devices_of", "over_devices", "parted",
    "placed", "row_mesh", "scattered", "spread", "with_padding", "without_padding",
]  # fmt: skip

_AXIS = "rows"


def row_mesh(devices: Any = None) -> Mesh:
    """Return all devices of all processes (or these) in one line."""
    line = np.array(jax.devices() if devices is None else devices)
    return Mesh(line, (_AXIS,), axis_types=(AxisType.Auto,))


class Rows(eqx.Module):
    """An array of `count` rows along `axis`, in equal shares on the devices of a mesh.

    NumPy sees the whole of it: `np.asarray(rows)` gathers, so that in a run of several processes all of them must ask.
    """

    array: Array
    count: int = eqx.field(static=True)
    axis: int = eqx.field(static=True, default=0)

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.array.shape[: self.axis], self.count, *self.array.shape[self.axis + 1 :])

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    @property
    def mesh(self) -> Mesh:
        """The devices that the rows lie on."""
        sharding: Any = self.array.sharding
        mesh: Mesh = sharding.mesh
        return mesh

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """The rows start:stop of the first axis, gathered."""
        start, stop, _ = rows.indices(len(self))
        return np.asarray(_gathered(self, start, stop, NamedSharding(self.mesh, PartitionSpec())))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


@partial(jax.jit, static_argnames=("start", "stop", "sharding"))
def _gathered(rows: Rows, start: int, stop: int, sharding: NamedSharding) -> Array:
    array = jax.lax.slice_in_dim(rows.array, 0, rows.count, axis=rows.axis)
    return jax.lax.with_sharding_constraint(array[start:stop], sharding)


def scattered(read: Callable[[int, int], np.ndarray], shape: tuple[int, ...], mesh: Mesh, axis: int = 0) -> Rows:
    """Return an array of this shape of which every process reads only the rows of its own devices.

    read: (first, last) -> those rows, an array with `last - first` of them along the axis.
    """
    count = shape[axis]
    whole = [*shape]
    whole[axis] = -(-count // mesh.size) * mesh.size
    spec = PartitionSpec(*[None] * axis, _AXIS)

    def part(index: Any) -> np.ndarray:
        first, last, _ = index[axis].indices(whole[axis])
        rows = read(min(first, count), min(last, count))
        short = [(0, 0)] * len(shape)
        short[axis] = (0, last - first - rows.shape[axis])
        return np.pad(rows, short)

    return Rows(jax.make_array_from_callback(tuple(whole), NamedSharding(mesh, spec), part), count, axis)


def over_devices(array: Any, mesh: Mesh, axis: int = 0) -> Rows:
    """Return an array that every process holds whole with its rows spread over the mesh."""
    whole = np.asarray(array)
    return scattered(lambda first, last: whole[(slice(None),) * axis + (slice(first, last),)], whole.shape, mesh, axis)


def everywhere(tree: Any, mesh: Mesh | None = None) -> Any:
    """Return the tree with its arrays whole on every device: of this mesh, or inside compiled code of the present one.

    Keys and plain numbers stay what they are.
    """
    if mesh is not None:
        return jax.tree.map(lambda leaf: _copied(leaf, mesh) if isinstance(leaf, jax.Array) else leaf, tree)
    if not several():
        return tree
    return jax.lax.with_sharding_constraint(tree, PartitionSpec())


def _copied(leaf: Array, mesh: Mesh) -> Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_copied(jax.random.key_data(leaf), mesh))
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, NamedSharding(mesh, PartitionSpec()), lambda index: whole[index])


def placed(state: Any, init: Callable[[Any], Any], cloud: Any, mesh: Mesh) -> Any:
    """Return a mover's state with the rows of its particles over the mesh, and whatever else it has everywhere.

    Which axis of an array is that of the particles is told by what `init`, which makes a first state of a cloud
    (m, d), would make of one particle more.
    """
    sizes = [jax.eval_shape(init, jax.ShapeDtypeStruct((len(cloud) + k, cloud.shape[1]), cloud.dtype)) for k in (0, 1)]

    def place(leaf: Any, now: Any, larger: Any) -> Any:
        grown = [axis for axis, (a, b) in enumerate(zip(now.shape, larger.shape, strict=True)) if a != b]
        return over_devices(leaf, mesh, grown[0]) if grown else everywhere(leaf, mesh)

    return jax.tree.map(place, state, *sizes)


def gathered(tree: Any) -> Any:
    """Return the tree with NumPy arrays in place of `Rows`; in a run of several processes all of them must ask."""
    return jax.tree.map(lambda leaf: np.asarray(leaf) if _is_rows(leaf) else leaf, tree, is_leaf=_is_rows)


# ---------------------------------------------------------------------- around compiled code


def mesh_of(tree: Any) -> Mesh | None:
    """Return the devices that the tree's rows lie on, None if none of its arrays is `Rows`."""
    found = [leaf.mesh for leaf in jax.tree.leaves(tree, is_leaf=_is_rows) if _is_rows(leaf)]
    return found[0] if found else None


def on_devices_of(tree: Any) -> contextlib.AbstractContextManager[Any]:
    """Return the context in which what is compiled knows the tree's devices."""
    mesh = mesh_of(tree)
    return contextlib.nullcontext() if mesh is None else jax.set_mesh(mesh)


def _is_rows(leaf: Any) -> bool:
    return isinstance(leaf, Rows)


# ---------------------------------------------------------------------- inside compiled code


def several() -> bool:
    """Whether this is compiled for a mesh of devices."""
    return not jax.sharding.get_abstract_mesh().empty


def spread(array: Array) -> Array:
    """Return the array with its rows shared out evenly, so that what is computed of them is, too."""
    return jax.lax.with_sharding_constraint(array, PartitionSpec(_AXIS)) if several() else array


def without_padding(tree: Any) -> Any:
    """Return the tree with plain arrays of `count` rows in place of `Rows`."""

    def cut(leaf: Any) -> Any:
        if not _is_rows(leaf):
            return leaf
        return _along(jax.lax.slice_in_dim(leaf.array, 0, leaf.count, axis=leaf.axis), leaf.axis)

    return jax.tree.map(cut, tree, is_leaf=_is_rows)


def with_padding(like: Any, tree: Any) -> Any:
    """Return the tree with `Rows` where `like` has them."""

    def padded(old: Any, leaf: Any) -> Any:
        if not _is_rows(old):
            return leaf
        short = [(0, 0)] * leaf.ndim
        short[old.axis] = (0, old.array.shape[old.axis] - old.count)
        return Rows(_along(jnp.pad(leaf, short), old.axis), old.count, old.axis)

    return jax.tree.map(padded, like, tree, is_leaf=_is_rows)


def _along(array: Array, axis: int) -> Array:
    return jax.lax.with_sharding_constraint(array, PartitionSpec(*[None] * axis, _AXIS))


def by_rows(function: Callable[[Any, Array], Array], tree: Any, points: Array) -> Array:
    """Return function(tree, points), one row out for each row in, every device with its own rows and the whole tree."""
    if not several():
        return function(tree, points)
    arrays, rest = eqx.partition(tree, eqx.is_array)

    def local(arrays: Any, mine: Array) -> Array:
        return function(eqx.combine(arrays, rest), mine)

    specs = PartitionSpec(), PartitionSpec(_AXIS)
    out = jax.shard_map(local, in_specs=specs, out_specs=specs[1], check_vma=False)(arrays, _even(points))
    return spread(out[: len(points)])


def joined(first: Array, second: Array) -> Array:
    """Return the rows of both; on several devices those of each device together, with padding, for `parted`."""
    if not several():
        return jnp.concatenate([first, second])
    return _local(lambda a, b: jnp.concatenate([a, b]), _even(first), _even(second))


def parted(values: Array, first: int, second: int) -> tuple[Array, Array]:
    """Return what was computed of the rows of `joined`, one value each, for the so many rows of either."""
    if not several():
        return values[:first], values[first:]
    share = -(-first // jax.sharding.get_abstract_mesh().size)
    front, back = (_local(lambda v, part=part: v[part], values) for part in (slice(share), slice(share, None)))
    return spread(front[:first]), spread(back[:second])


def _local(function: Callable[..., Array], *arrays: Array) -> Array:
    spec = PartitionSpec(_AXIS)
    return jax.shard_map(function, in_specs=(spec,) * len(arrays), out_specs=spec, check_vma=False)(*arrays)


def _even(points: Array) -> Array:
    """The points with rows of zeros behind them, so many that every device has as many rows."""
    short = -len(points) % jax.sharding.get_abstract_mesh().size
    return spread(jnp.pad(points, ((0, short), *[(0, 0)] * (points.ndim - 1))))
