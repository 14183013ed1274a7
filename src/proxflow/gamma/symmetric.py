"""Potentials that a finite group leaves alone: any Γ, averaged over the group.

    φ̄(x) = (1/|G|) Σ_g φ(g x),      (g x)_i = sign_i(g) x_perm_i(g)

Every g permutes columns and flips signs, so it is an isometry: φ̄ has φ's Lipschitz bound. Among invariant
measures the supremum over invariant potentials is that over all of them, and fewer samples suffice to find it.
Sources: Birrell, Katsoulakis, Rey-Bellet, Zhu, "Structure-preserving GANs", ICML 2022; Chen, Katsoulakis, Rey-Bellet,
Zhu, "Sample complexity of probability divergences under group symmetry", ICML 2023.

Bad at: data without the symmetry. Where P and Q differ only by a move in G, φ̄ sees no difference at all. An ascent
costs |G| times as much, so large groups (all permutations of 6 columns: 720) want few samples.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.gamma.base import Gamma, Objective, Potential

__all__ = [
    "Group", "Symmetric", "SymmetricPotential", "column_permutations", "cyclic_shifts", "flips", "generated",
    "rotations", "sign_flip",
]  # fmt: skip

Rows = tuple[tuple[int, ...], ...]
_Element = tuple[tuple[int, ...], tuple[int, ...]]  # a permutation and its signs
_LARGEST = 1000  # elements: every one costs a pass through the network
_MOST_COLUMNS = 6  # 6! = 720


@dataclass(frozen=True)
class Group:
    """A finite group of moves of the columns: (g x)_i = signs[g][i] · x[permutations[g][i]].

    Parameters
    ----------
    permutations
        One permutation of 0, ..., d - 1 per element.
    signs
        One row of +1 and -1 per element; None leaves all signs alone.

    Raises
    ------
    ValueError
        A row is no permutation or has other signs, the identity is missing, an element comes twice, or two elements
        make one that is missing.

    Examples
    --------
    >>> len(Group(((0, 1, 2), (1, 2, 0), (2, 0, 1))))
    3
    """

    permutations: Rows
    signs: Rows | None = None

    def __post_init__(self) -> None:
        permutations = tuple(tuple(int(i) for i in row) for row in self.permutations)
        signs = None if self.signs is None else tuple(tuple(int(s) for s in row) for row in self.signs)
        object.__setattr__(self, "permutations", permutations)
        object.__setattr__(self, "signs", signs)
        _check_rows(permutations, signs)
        elements = self.elements()
        if len(set(elements)) < len(elements):
            raise ValueError("not a group: an element comes twice.")
        if _identity(self.columns) not in elements:
            raise ValueError("not a group: the identity is missing.")
        _closure(elements, allowed=set(elements))

    def __len__(self) -> int:
        return len(self.permutations)

    @property
    def columns(self) -> int:
        """How many columns it moves."""
        return len(self.permutations[0])

    def elements(self) -> list[_Element]:
        """Each element's permutation and signs."""
        signs = self.signs or ((1,) * self.columns,) * len(self)
        return list(zip(self.permutations, signs, strict=True))

    def orbits(self, points: Array) -> Array:
        """Move points (n, d) by every element: shape (|G| n, d), all points moved by the first element first."""
        count, columns = points.shape
        # Whole columns are copied, not single numbers: many times faster on a CPU.
        moved = points.T[np.asarray(self.permutations).ravel()].reshape(len(self), columns, count)
        if self.signs is not None:
            moved = moved * np.asarray(self.signs)[:, :, None].astype(points.dtype)
        return moved.transpose(0, 2, 1).reshape(-1, columns)


def _check_rows(permutations: Rows, signs: Rows | None) -> None:
    if not permutations or not permutations[0]:
        raise ValueError("a group needs at least one element, the identity, on at least one column.")
    columns = len(permutations[0])
    for row in permutations:
        if sorted(row) != list(range(columns)):
            raise ValueError(f"{_short(row)} is no permutation of 0, ..., {columns - 1}.")
    if signs is not None:
        if len(signs) != len(permutations):
            raise ValueError(f"{len(permutations)} permutations but {len(signs)} rows of signs: give one per element.")
        for row in signs:
            if len(row) != columns or not set(row) <= {-1, 1}:
                raise ValueError(f"signs {_short(row)} must be {columns} numbers, each 1 or -1.")


def _short(row: tuple[int, ...]) -> str:
    return str(row) if len(row) <= 12 else f"({', '.join(map(str, row[:12]))}, ...)"


def _identity(columns: int) -> _Element:
    return tuple(range(columns)), (1,) * columns


def _after(g: _Element, h: _Element) -> _Element:
    """First h, then g."""
    return tuple(h[0][i] for i in g[0]), tuple(s * h[1][i] for s, i in zip(g[1], g[0], strict=True))


def _closure(elements: Iterable[_Element], allowed: set[_Element] | None = None) -> list[_Element]:
    """The group that the elements generate. ValueError as soon as it leaves `allowed` or is too large.

    Elements already reached generate nothing new, so few generators are composed with anything.
    """
    elements = list(elements)
    found = [_identity(len(elements[0][0]))]
    seen, generators = set(found), []
    for element in elements:
        if element in seen:
            continue
        generators.append(element)
        frontier = list(found)
        while frontier:
            made = dict.fromkeys(_after(g, h) for g in generators for h in frontier)  # in order, without repeats
            frontier = [move for move in made if move not in seen]
            for move in frontier:
                if allowed is not None and move not in allowed:
                    raise ValueError(
                        f"not a group: two of its elements, one after the other, make {_named(move)}, which is "
                        "missing. generated(...) completes a set of moves to a group."
                    )
            found += frontier
            seen.update(frontier)
            if len(found) > _LARGEST and allowed is None:
                raise ValueError(f"these moves generate more than {_LARGEST} elements: choose a subgroup.")
    return found


def _named(move: _Element) -> str:
    signs = "" if set(move[1]) == {1} else f" with signs {_short(move[1])}"
    return _short(move[0]) + signs


def _from(elements: list[_Element]) -> Group:
    signed = any(-1 in signs for _, signs in elements)
    return Group(tuple(p for p, _ in elements), tuple(s for _, s in elements) if signed else None)


def generated(*moves: Group | tuple[int, ...]) -> Group:
    """Return the smallest group that contains all these groups and permutations.

    Raises
    ------
    ValueError
        It would have more than 1000 elements, or the numbers of columns differ.

    Examples
    --------
    >>> len(generated(rotations(8), flips(8, 8)))  # the symmetries of a square
    8
    """
    elements: list[_Element] = []
    for move in moves:
        if not isinstance(move, Group):
            _check_rows((tuple(move),), None)
        elements += move.elements() if isinstance(move, Group) else [(tuple(move), (1,) * len(move))]
    widths = sorted({len(permutation) for permutation, _ in elements})
    if len(widths) != 1:
        raise ValueError(f"moves of one number of columns are needed, got {', '.join(map(str, widths)) or 'none'}.")
    return _from(_closure(elements))


def column_permutations(d: int) -> Group:
    """Return all d! permutations of d columns, for samples that are sets of d numbers; d at most 6."""
    if not 1 <= d <= _MOST_COLUMNS:
        raise ValueError(
            f"all permutations of {d} columns are too many to average over (d is 1 to {_MOST_COLUMNS}): use a subgroup "
            "such as cyclic_shifts(d), or sort every row's numbers before, which makes them a function of the set."
        )
    return Group(tuple(itertools.permutations(range(d))))


def cyclic_shifts(d: int) -> Group:
    """Return the d cyclic shifts of d columns, for periodic signals."""
    _check_sizes(d=d)
    return Group(tuple(tuple((i + shift) % d for i in range(d)) for shift in range(d)))


def flips(height: int, width: int, channels: int = 1) -> Group:
    """Return the identity and the left-right flip of images, flattened row by row, channels last."""
    _check_sizes(height=height, width=width, channels=channels)
    places = np.arange(height * width * channels).reshape(height, width, channels)
    moves = [places] if width == 1 else [places, places[:, ::-1]]
    return Group(tuple(tuple(move.ravel().tolist()) for move in moves))


def rotations(side: int, channels: int = 1) -> Group:
    """Return the quarter turns of square images, flattened row by row, channels last."""
    _check_sizes(side=side, channels=channels)
    places = np.arange(side * side * channels).reshape(side, side, channels)
    turns = range(4 if side > 1 else 1)
    return Group(tuple(tuple(np.rot90(places, turn).ravel().tolist()) for turn in turns))


def sign_flip(d: int) -> Group:
    """Return x -> x and x -> -x on d columns."""
    _check_sizes(d=d)
    return Group((tuple(range(d)),) * 2, ((1,) * d, (-1,) * d))


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"{name} must be a positive whole number, got {size!r}.")


class SymmetricPotential(Potential):
    """φ̄(x) = (1/|G|) Σ_g φ(g x)."""

    potential: Potential
    group: Group = eqx.field(static=True)

    def __call__(self, points: Array) -> Array:
        return _average(self.potential(self.group.orbits(points)), self.group)


def _average(values: Array, group: Group) -> Array:
    return jnp.mean(values.reshape(len(group), -1), axis=0)


class _Averaged(NamedTuple):
    """The objective of φ̄, from φ's values on whole orbits."""

    objective: Objective
    group: Group

    @property
    def f(self) -> Any:
        """That of the objective: with it, between whole orbits, φ and φ̄ have the same supremum (Λ is convex)."""
        return self.objective.f

    def __call__(self, ascending: Array, reference: Array) -> Array:
        return self.objective(_average(ascending, self.group), _average(reference, self.group))


def _as_group(group: Group | Rows) -> Group:
    return group if isinstance(group, Group) else Group(group)


class Symmetric(Gamma):
    """The potentials of another Γ, averaged over a finite group that moves the columns.

    Parameters
    ----------
    gamma
        The Γ to average: `GroupSort`, `SpectralNormalised`, `Convolutional`, ...
    group
        A `Group`, or its permutations as a tuple of tuples. `column_permutations`, `cyclic_shifts`, `flips`,
        `rotations` and `sign_flip` make the usual ones, `generated` combines them.

    Examples
    --------
    >>> import jax
    >>> from proxflow.divergences import Divergence
    >>> from proxflow.gamma import GroupSort
    >>> y = jax.random.normal(jax.random.key(0), (50, 2))
    >>> pair = Divergence(Symmetric(GroupSort(L=1.0, width=8), column_permutations(2)))
    >>> memory = pair.fit(y + 3, y, pair.init(jax.random.key(1), y + 3, y))
    >>> phi = pair.gamma.potential(memory)
    >>> bool(abs(phi(y) - phi(y[:, ::-1])).max() < 1e-5)
    True
    """

    gamma: Gamma
    group: Group = eqx.field(static=True, converter=_as_group)
    own_coordinates: ClassVar[bool] = True  # a change of basis would change the group

    @property
    def on_host(self) -> bool:  # type: ignore[override]
        """Whether the Γ that is averaged ascends in Python."""
        return self.gamma.on_host

    @property
    def L(self) -> float:
        """The Lipschitz constant of the Γ that is averaged."""
        return self.gamma.L  # type: ignore[attr-defined]

    @property
    def updates(self) -> int:
        """Updates per ascent of the Γ that is averaged."""
        return self.gamma.updates  # type: ignore[attr-defined]

    def init(self, key: Array, particles: Array, target: Array) -> Any:
        """Return the state of the Γ that is averaged, at home where the whole orbits lie."""
        columns = particles.shape[1]
        if columns != self.group.columns:
            raise ValueError(f"the group moves {self.group.columns} columns, but the data have {columns}.")
        return self.gamma.init(key, self.group.orbits(particles), self.group.orbits(target))

    def ascend(self, objective: Objective, particles: Array, target: Array, state: Any) -> Any:
        averaged = _Averaged(objective, self.group)
        return self.gamma.ascend(averaged, self.group.orbits(particles), self.group.orbits(target), state)

    def potential(self, state: Any) -> SymmetricPotential:
        return SymmetricPotential(self.gamma.potential(state), self.group)

    def lipschitz_bound(self, potential: Any) -> float:
        """Return the bound of the averaged potential's one φ: averaging over isometries raises no slope."""
        return self.gamma.lipschitz_bound(potential.potential)

    def share_inside(self, potential: Any) -> float:
        return self.gamma.share_inside(potential.potential)
