"""New rows for a table, class by class: how many of each, and one flow for each.

    rows of class c  ->  points (`mixed_tables`)  ->  ParticleTransport  ->  new points  ->  new rows

A class is generated from its own rows alone, so that a rare one is not drowned by a common one and comes in the number
asked for. Bad at: classes of a handful of rows, and what classes have in common, which each flow learns again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from proxflow.augmenting.mixed_tables import MixedTable, allotted, is_numeric
from proxflow.data.columns import listed
from proxflow.estimators import ParticleTransport
from proxflow.validation import check_choice

__all__ = ["FEWEST", "RowMaker", "Task"]

FEWEST = 3  # rows of a class below which there is nothing to vary
_MOST_CLASSES = 20  # different whole numbers up to which a numeric label is a class

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """The label and its classes, in order; no classes if there is no label or it is a number."""

    label: Hashable | None
    classes: tuple[Any, ...] | None = None
    sizes: tuple[int, ...] = ()

    @classmethod
    def of(cls, frame: Any, label: Hashable | None) -> Task:
        if label is None:
            return cls(None)
        if label not in frame.columns:
            raise ValueError(f"no column {label!r} for the label. There are {listed(frame.columns)}.")
        if frame.shape[1] < 2:
            raise ValueError(f"the label {label!r} is the only column: nothing to generate with it.")
        series = frame[label]
        missing = int(series.isna().sum())
        if missing:
            raise ValueError(f"the label {label!r} is missing in {missing} of {len(series)} rows. Drop those rows.")
        if is_numeric(series):
            values = np.unique(series.to_numpy(dtype=np.float64))
            if len(values) > _MOST_CLASSES or (values != np.rint(values)).any():
                return cls(label)
        sizes = series.value_counts()
        sizes = sizes[sizes > 0]
        few = sizes[sizes < FEWEST]
        if len(few):
            rows = f"{int(few.iloc[0])} row{'s' * (int(few.iloc[0]) != 1)}"
            raise ValueError(
                f"class {few.index[0]!r} of {label!r} has {rows}, and at least {FEWEST} are needed to vary them. Drop"
                f" or merge it{f' and {len(few) - 1} others like it' if len(few) > 1 else ''}."
            )
        classes = tuple(sorted(sizes.index, key=lambda c: (str(type(c)), c) if is_numeric(series) else ("", str(c))))
        return cls(label, classes, tuple(int(sizes[c]) for c in classes))

    def groups(self, frame: Any) -> list[npt.NDArray[np.intp]]:
        """The rows of every class; all rows without classes."""
        if self.classes is None:
            return [np.arange(len(frame))]
        labels = frame[self.label].to_numpy(dtype=object)
        return [np.flatnonzero(labels == value) for value in self.classes]

    def counts(self, n: int | None, balance: str | Mapping[Any, int]) -> list[int]:
        """How many new rows of every class."""
        if isinstance(balance, str):
            check_choice(balance, "balance", ("proportional", "equal"))
        if self.classes is None:
            if balance != "proportional":
                raise ValueError("balance needs a label with classes.")
            if n is None:
                raise ValueError("say how many new rows: n.")
            return [int(n)]
        if isinstance(balance, Mapping):
            unknown = [value for value in balance if value not in self.classes]
            if unknown:
                raise ValueError(
                    f"balance: no class {unknown[0]!r} of {self.label!r}. There are {listed(self.classes)}."
                )
            counts = [balance.get(value, 0) for value in self.classes]
            if not all(isinstance(c, (int, np.integer)) and c >= 0 for c in counts) or sum(counts) == 0:
                raise ValueError(f"balance must give whole numbers of new rows, not all 0, got {dict(balance)!r}.")
            if n is not None and sum(counts) != n:
                raise ValueError(
                    f"balance adds up to {sum(counts)} new rows, but n = {n}: leave n out, or make them agree."
                )
            return [int(c) for c in counts]
        total = sum(self.sizes) if n is None else n
        return allotted(self.sizes if balance == "proportional" else np.ones(len(self.classes)), total).tolist()


@dataclass(frozen=True)
class RowMaker:
    """What makes rows: the task, and the settings of the flow."""

    task: Task
    limits: str
    steps: int
    progress: bool

    def rows(self, frame: Any, wanted: Sequence[int], seed: int) -> Any:
        """New rows, so many of every class, shuffled."""
        return self.several(frame, [wanted], seed)[0]

    def several(
        self, frame: Any, orders: Sequence[Sequence[int]], seed: int, points: Callable[..., Floats] | None = None
    ) -> list[Any]:
        """New rows for several orders from one flow per class; points(rows, count, seed) makes them otherwise."""
        import pandas as pd

        features = frame if self.task.classes is None else frame.drop(columns=self.task.label)
        encoding = MixedTable.of(features, limits=self.limits, check=False)
        pieces: list[list[Any]] = [[] for _ in orders]
        for index, group in enumerate(self.task.groups(frame)):
            counts = [order[index] for order in orders]
            if len(group) == 0 or max(counts) == 0:
                continue
            rows = encoding.encode(features.iloc[group])
            its_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
            made = (points or self._points)(rows, max(counts), its_seed)
            for piece, count in zip(pieces, counts, strict=True):
                part = encoding.decode(made[:count], rows)
                if self.task.classes is not None:
                    value = [self.task.classes[index]] * count
                    part.insert(frame.columns.get_loc(self.task.label), self.task.label, value)
                    part[self.task.label] = part[self.task.label].astype(frame[self.task.label].dtype)
                piece.append(part)
        shuffled = []
        for piece in pieces:
            whole = pd.concat(piece, ignore_index=True)
            order = np.random.default_rng(seed).permutation(len(whole))
            shuffled.append(whole.iloc[order].reset_index(drop=True))
        return shuffled

    def _points(self, rows: Floats, count: int, seed: int) -> Floats:
        """Points from the distribution of these, shape (count, width), in random order."""
        if (rows == rows[0]).all():
            return np.tile(rows[0], (count, 1))
        # A few particles alone would settle at the middle: as many as rows are moved, and a random few are kept.
        transport = ParticleTransport(
            n_particles=max(count, len(rows)), steps=self.steps, scaling="none", memory_budget=0.0,
            progress=self.progress, random_state=seed,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # an early end is an error below
            particles = np.asarray(transport.fit(rows).particles_)
        if transport.stopped_ == "interrupted":
            raise KeyboardInterrupt
        if "non-finite" in transport.stopped_:
            raise ValueError(f"{transport.stopped_}: look for a column with extreme values, and drop or transform it.")
        return particles[np.random.default_rng(seed).permutation(len(particles))[:count]]
