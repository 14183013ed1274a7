"""More rows for a table: new rows from its distribution, class by class, in its own types.

    rows of class c  -> `mixed_tables` -> points -> ParticleTransport -> new points -> `mixed_tables` -> new rows

One flow per class, so that a rare class is learned from its own rows and comes in the number asked for. The source is
the class's Gaussian, the target its rows, smoothed where they are sparse (`targets`). Judged by a trial on held-out
rows: closeness and copies (`trust`), and what models learn from the new rows (`usefulness`).

Bad at: what the rows do not show. New rows are variations of the real ones: they smooth, they do not add knowledge, and
a model that already reads the table well gains nothing. Also at relations between columns that hold exactly.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxflow.augmenting.mixed_tables import LIMITS, MixedTable, check_frame
from proxflow.augmenting.new_rows import RowMaker, Task
from proxflow.augmenting.trial import Trial, row_tuples, tried
from proxflow.augmenting.usefulness import Usefulness
from proxflow.data.columns import listed
from proxflow.trust import Judgement
from proxflow.validation import check_choice, check_positive, seed_from

__all__ = ["Augmentation", "augment", "check_request"]


@dataclass(frozen=True, eq=False)
class Augmentation:
    """New rows, and how good a trial found such rows to be.

    Attributes
    ----------
    table
        The new rows: columns, their order and their types as in the table given (a DataFrame or an array).
    real
        The rows they were made from, without dropped columns, as a DataFrame.
    label
        Name of the label's column, None without.
    counts
        By class, how many new rows; empty without classes.
    judgement, judgements
        Closeness, novelty and spread of such rows in a trial, of all rows and by class; None and empty without a trial.
    usefulness
        Scores of models trained on such rows, None without a label or a trial.
    copies
        How many new rows equal a real row in every column.
    copies_expected
        That share among held-out real rows; NaN without a trial.
    settings, seconds
        What was chosen, and how long it took.
    """

    table: Any
    real: Any
    label: Hashable | None
    counts: Mapping[Any, int]
    judgement: Judgement | None
    judgements: Mapping[Any, Judgement]
    usefulness: Usefulness | None
    copies: int
    copies_expected: float
    settings: Mapping[str, Any]
    seconds: float

    def sentences(self) -> list[str]:
        """What the numbers say, in words."""
        said = ["Not judged: no trial."] if self.judgement is None else self.judgement.sentences()
        rows = len(self.table)
        if self.copies:
            real = f"; of held-out real rows {self.copies_expected:.0%}" if self.copies_expected >= 0 else ""
            said.append(f"{self.copies} of {rows} new rows equal a real row ({self.copies / rows:.0%}{real}).")
        return said + self._useful()

    def _useful(self) -> list[str]:
        if self.usefulness is None:
            return []
        said = []
        for alone, both in zip(self.usefulness.of("new"), self.usefulness.of("real + new"), strict=True):
            change = "a gain" if both.gain_low > 0 else "a loss" if both.gain_high < 0 else "no change proven"
            said.append(
                f"{alone.model.capitalize()} model, {self.usefulness.measure.lower()} on held-out real rows:"
                f" {alone.value - alone.gain:.3f} from real rows, {alone.value:.3f} from new ones, {both.value:.3f}"
                f" from both: {change} ({both.gain:+.3f}, {both.gain_low:+.3f} to {both.gain_high:+.3f})."
            )
        return said

    def lines(self) -> list[str]:
        """The result as a terminal shows it."""
        shares = ", ".join(f"{name}: {count}" for name, count in self.counts.items())
        made = f"{len(self.table)} new rows from {len(self.real)} in {self.seconds:.1f} s"
        said = [f"{made}{f' ({shares})' if shares else ''}", *(f"  {sentence}" for sentence in self.sentences())]
        if self.usefulness is not None:
            said += [f"  {line}" for line in self.usefulness.lines()]
        return said

    def to_dict(self) -> dict[str, Any]:
        """All numbers as one object, for JSON."""
        return {
            "rows": len(self.table),
            "real_rows": len(self.real),
            "label": None if self.label is None else str(self.label),
            "counts": {str(name): count for name, count in self.counts.items()},
            "copies": self.copies,
            "copies_expected": self.copies_expected,
            "judgement": None if self.judgement is None else self.judgement.to_dict(),
            "judgements": {str(name): found.to_dict() for name, found in self.judgements.items()},
            "usefulness": None if self.usefulness is None else self.usefulness.to_dict(),
            "settings": dict(self.settings),
            "seconds": round(self.seconds, 2),
        }


def augment(
    table: Any,
    n: int | None = None,
    label: Hashable | None = None,
    *,
    balance: str | Mapping[Any, int] = "proportional",
    drop: Sequence[Hashable] = (),
    limits: str = "observed",
    trial: bool = True,
    steps: int = 500,
    progress: bool = False,
    random_state: int | np.random.RandomState | None = 0,
) -> Augmentation:
    """Make new rows from the distribution of a table's rows, with types, categories and ranges kept.

    Parameters
    ----------
    table
        A pandas DataFrame, or an array of numbers of shape (rows, columns). Text, bool and category columns are
        categories, and a missing category is one of its own. Columns of one value stay as they are.
    n
        How many new rows; as many as there are if None.
    label
        The column to predict: its name, or its index in an array. Text, bools, categories and up to 20 different
        whole numbers are classes, each generated by itself; another number is generated with the other columns.
    balance
        "proportional": classes in the table's shares; "equal": as many of each; or {class: how many}.
    drop
        Columns to leave out, such as identifiers.
    limits
        "observed": numbers stay within a column's smallest and largest value; "sign": columns that are nowhere
        negative (positive) stay so, and may otherwise go beyond what was seen.
    trial
        Judge by a trial: the same on three quarters of the rows, judged on the others. Twice as long.
    steps
        The most steps of a flow.
    progress
        Show progress bars on a terminal.
    random_state
        Seed: the same seed gives the same rows on the same machine.

    Returns
    -------
    Augmentation
        `table` has the new rows; `lines()` says how good such rows are.

    Raises
    ------
    ValueError
        A column that cannot be generated (missing or infinite numbers, dates, free text, row numbers), named with the
        way out; a class with fewer than 3 rows; an unknown label, class or column; n out of range.

    Examples
    --------
    >>> import pandas as pd
    >>> people = pd.DataFrame({"age": [23, 31, 45, 28, 52, 37] * 4, "city": ["Bern", "Rome", "Rome"] * 8})
    >>> more = augment(people, 50, steps=20, trial=False)
    >>> more.table.shape, sorted(more.table["city"].unique()), bool(more.table["age"].between(23, 52).all())
    ((50, 2), ['Bern', 'Rome'], True)
    """
    started = time.perf_counter()
    frame, task, wanted = check_request(table, n, label, balance=balance, drop=drop, limits=limits, steps=steps)
    seed = seed_from(random_state)
    maker = RowMaker(task, limits, steps, progress)
    new = maker.rows(frame, wanted, seed)
    found = tried(maker, frame, wanted, seed) if trial else Trial()
    real_rows = set(row_tuples(frame))
    settings = {
        "label": None if label is None else str(label), "balance": balance if isinstance(balance, str) else "counts",
        "limits": limits, "steps": steps, "seed": seed, "columns": dict(MixedTable.of(frame, limits=limits).describe()),
    }  # fmt: skip
    return Augmentation(
        table=new.to_numpy() if not hasattr(table, "columns") else new,
        real=frame,
        label=label,
        counts={} if task.classes is None else dict(zip(task.classes, wanted, strict=True)),
        judgement=found.judgement,
        judgements=found.judgements,
        usefulness=found.usefulness,
        copies=sum(row in real_rows for row in row_tuples(new)),
        copies_expected=found.copies,
        settings=settings,
        seconds=time.perf_counter() - started,
    )


# ---------------------------------------------------------------------- what is asked for


def check_request(
    table: Any,
    n: int | None,
    label: Hashable | None,
    *,
    balance: str | Mapping[Any, int],
    drop: Sequence[Hashable],
    limits: str,
    steps: int,
) -> tuple[Any, Task, list[int]]:
    """Return the table's frame, its classes and how many new rows of each, or raise what `augment` raises."""
    check_choice(limits, "limits", LIMITS)
    check_positive(steps, "steps", integer=True)
    if n is not None:
        check_positive(n, "n", integer=True)
    frame = _without(_frame(table), drop)
    check_frame(frame)
    task = Task.of(frame, label)
    return frame, task, task.counts(n, balance)


def _frame(table: Any) -> Any:
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        frame = table.reset_index(drop=True)
        return frame.infer_objects()  # numbers kept as objects are numbers
    array = np.asarray(table)
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"the table must be a DataFrame or an array of numbers of shape (rows, columns), got {array.dtype} of shape"
            f" {array.shape}."
        )
    return pd.DataFrame(array)


def _without(frame: Any, drop: Sequence[Hashable]) -> Any:
    names = [drop] if isinstance(drop, str) else list(drop)
    unknown = [name for name in names if name not in frame.columns]
    if unknown:
        raise ValueError(f"no column {unknown[0]!r} to drop. There are {listed(frame.columns)}.")
    return frame.drop(columns=names)
