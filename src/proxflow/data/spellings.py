"""One answer, one spelling: labels that cohorts write differently ("positive", "P", "Positive ") become the same.

    value -> label_map[column][value]; anything that is neither a key nor a target of the map is an error

Bad at: guessing. Nothing is mapped that the map does not say; differences are only pointed out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from proxflow.data.columns import listed

__all__ = ["apply_map", "different_spellings"]

_LEVELS = 50  # more are no labels


def apply_map(frames: Mapping[str, Any], label_map: Mapping[str, Mapping[Any, Any]]) -> None:
    """Replace spellings in the cohorts' obs frames in place; None as a target makes a value missing."""
    import pandas as pd

    for column, spelled in label_map.items():
        targets = [value for value in spelled.values() if not pd.isna(value)]
        for name, frame in frames.items():
            if column not in frame:
                raise ValueError(
                    f"label_map: cohort {name!r} has no column {column!r}; it has "
                    f"{listed(map(str, frame.columns), 12)}. "
                    "Rename its column first: adata.obs.rename(columns=...)."
                )
            values = frame[column].astype(object)
            unknown = [value for value in pd.unique(values.dropna()) if value not in spelled and value not in targets]
            if unknown:
                raise ValueError(
                    f"label_map[{column!r}] says nothing of {listed(map(str, unknown), 8)} in cohort {name!r}: it maps "
                    f"{listed(map(str, spelled), 8)} to {listed(dict.fromkeys(map(str, targets)), 8)}. Add what is "
                    "missing, with None for values that are no label."
                )
            made = [spelled.get(value, value) for value in values]
            frame[column] = [math.nan if pd.isna(value) else value for value in made]


def different_spellings(frames: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each column, or label in one, that differs between cohorts by case or white space alone."""
    said = []
    for spelled in _variants({name: [str(c) for c in frame.columns] for name, frame in frames.items()}):
        said.append(f"columns {spelled} are kept apart: rename them to join them")
    columns = dict.fromkeys(column for frame in frames.values() for column in frame.columns)
    for column in columns:
        levels = {name: _levels(frame[column]) for name, frame in frames.items() if column in frame}
        if max(map(len, levels.values())) < 2:
            continue  # one answer each is no label but a protocol, a country, a telephone
        for spelled in _variants(levels):
            said.append(f"column {column!r} has {spelled}: say label_map={{{column!r}: {{...}}}} to make them one")
    return said


def _variants(words: Mapping[str, list[str]]) -> list[str]:
    """Return each group of words that differ by case or white space alone, with the cohorts that write them so."""
    found: dict[str, dict[str, str]] = {}
    for cohort, each in words.items():
        for word in each:
            found.setdefault("".join(word.split()).casefold(), {}).setdefault(word, cohort)
    return [
        " and ".join(f"{word!r} ({cohort})" for word, cohort in spelled.items())
        for spelled in found.values()
        if len(spelled) > 1
    ]


def _levels(values: Any) -> list[str]:
    """Return the texts of a column that may be a label, none for numbers and for texts that hardly repeat."""
    levels = [value for value in values.dropna().unique() if isinstance(value, str)]
    return levels if len(levels) <= min(_LEVELS, max(len(values) // 2, 2)) else []
