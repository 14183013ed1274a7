"""How good are new rows? A trial: hold out a quarter, make rows from the rest, and put three questions to both.

    closeness, novelty, spread    of the new rows, in the coordinates of `mixed_tables`, per class and in all (`trust`)
    usefulness                    of models trained on real rows, new ones, both, and real rows with noise instead
    copies                        how many held-out real rows equal a training row: the share to expect by chance

It judges the way to make rows, not the very rows that are kept, which were made from all. Bad at: tables so small that
a quarter of them says little; the intervals tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from proxflow.augmenting.mixed_tables import MixedTable, allotted
from proxflow.augmenting.new_rows import FEWEST, RowMaker
from proxflow.augmenting.usefulness import Usefulness, usefulness
from proxflow.trust import Judgement, judge

__all__ = ["Trial", "noisy_rows", "row_tuples", "tried"]

_FEWEST_TO_TEST = 8  # held-out rows below which nothing can be said
_HELD_OUT = 0.25
_MOST_IN_TRIAL = 1000  # new rows that the trial trains on, unless there are more real ones
_NOISE = 0.2  # the rival's noise, in standard deviations of the class

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """What a trial found; all empty if there were too few rows to hold any out."""

    judgement: Judgement | None = None
    judgements: Mapping[Any, Judgement] = field(default_factory=dict)
    usefulness: Usefulness | None = None
    copies: float = float("nan")


def tried(maker: RowMaker, frame: Any, wanted: Sequence[int], seed: int) -> Trial:
    """Judge by the same on three quarters of the rows."""
    task = maker.task
    train_rows, test_rows = _split(task.groups(frame), seed)
    if len(test_rows) < _FEWEST_TO_TEST:
        return Trial()
    train, test = (frame.iloc[rows].reset_index(drop=True) for rows in (train_rows, test_rows))
    sizes = [len(group) for group in task.groups(train)]
    asked = allotted(wanted, min(sum(wanted), max(_MOST_IN_TRIAL, len(train)))).tolist()
    like_real, new = maker.several(train, [sizes, asked], seed + 1)
    basis = f"a trial on {len(train)} of the rows, judged on the other {len(test)}"
    features = [name for name in frame.columns if task.classes is None or name != task.label]
    encoding = MixedTable.of(train[features], limits=maker.limits, check=False)
    made, seen, unseen = (encoding.encode(part[features]) for part in (like_real, train, test))
    judgements = {}
    for index, value in enumerate(task.classes or ()):
        mine = [part[task.groups(rows)[index]] for part, rows in ((made, like_real), (seen, train), (unseen, test))]
        if len(mine[2]) >= _FEWEST_TO_TEST:
            its = f"{len(mine[1])} of its rows, judged on the other {len(mine[2])}"
            judgements[value] = judge(mine[0], mine[1], mine[1], mine[2], basis=its, seed=seed)
    known = set(row_tuples(train))
    return Trial(
        judge(made, seen, seen, unseen, basis=basis, seed=seed),
        judgements,
        None if task.label is None else _scored(maker, train, test, new, asked, seed),
        float(np.mean([row in known for row in row_tuples(test)])),
    )


def _scored(maker: RowMaker, train: Any, test: Any, new: Any, asked: Sequence[int], seed: int) -> Usefulness | None:
    """What models learn from real rows, new ones, both, and from noise instead."""
    import pandas as pd

    label, classes = maker.task.label, maker.task.classes
    noise = maker.several(train, [asked], seed + 1, noisy_rows)[0]
    kinds = {
        "real": train, "new": new, "real + new": pd.concat([train, new]), "noise": noise,
        "real + noise": pd.concat([train, noise]),
    }  # fmt: skip
    reading = MixedTable.of(train.drop(columns=label), check=False)

    def pair(rows: Any) -> tuple[npt.NDArray, npt.NDArray]:
        labels = rows[label]
        if classes is None:
            return reading.encode(rows.drop(columns=label)), labels.to_numpy(dtype=np.float64)
        code = {value: index for index, value in enumerate(classes)}
        return reading.encode(rows.drop(columns=label)), np.array([code[value] for value in labels])

    if reading.width == 0 or (classes is not None and len(classes) < 2):
        return None  # nothing to tell apart, or nothing to tell it by
    pairs = {name: pair(rows) for name, rows in kinds.items()}
    return usefulness(pairs, pair(test), classes=classes is not None, seed=seed)


def _split(groups: Sequence[npt.NDArray[np.intp]], seed: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows to train on and rows held out, a quarter of every class that can spare one."""
    rng = np.random.default_rng(seed)
    train, test = [], []
    for group in groups:
        order = rng.permutation(group)
        count = max(round(_HELD_OUT * len(group)), 1) if len(group) > FEWEST else 0
        test.append(order[:count])
        train.append(order[count:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def noisy_rows(rows: Floats, count: int, seed: int) -> Floats:
    """Return the rival's rows, shape (count, width): drawn again, with noise of a fifth of their deviations."""
    rng = np.random.default_rng(seed)
    drawn = rows[rng.integers(len(rows), size=count)]
    return drawn + _NOISE * rows.std(axis=0) * rng.normal(size=drawn.shape)


def row_tuples(frame: Any) -> list[tuple[Any, ...]]:
    """Return the rows as tuples, None where a value is missing: equal rows are equal."""
    values = [frame[column].astype(object).where(frame[column].notna(), None) for column in frame.columns]
    return list(zip(*values, strict=True))
