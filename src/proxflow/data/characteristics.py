"""What GEO says about samples: rows of cells become columns with a name.

    row i:  "age: 51"   "ER: positive"   "tumour"     (one cell per sample; a row may mix keys)
    ->      column age  column ER        the rest, as characteristics_ch1

Each cell is read by itself, because submitters leave out what they do not know, and later cells then slide up a row.
Bad at: keys that were misspelt. They become columns of their own, and the raw rows are kept to look it up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from proxflow.data.columns import as_number
from proxflow.data.geo_files import MISSING

__all__ = ["numbered", "parse_characteristics"]


def numbered(names: Iterable[str]) -> list[str]:
    """Return the names, repeated ones as "a", "a.1", "a.2".

    Examples
    --------
    >>> numbered(["label", "data_processing", "data_processing"])
    ['label', 'data_processing', 'data_processing.1']
    """
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        result.append(f"{name}.{seen[name]}" if seen[name] else name)
    return result


def parse_characteristics(
    rows: Sequence[tuple[str, Sequence[str]]], samples: int, taken: Iterable[str] = ()
) -> dict[str, list[str | float]]:
    """Sort cells "key: value" into one column per key, in the order in which keys first appear.

    Parameters
    ----------
    rows
        Pairs of the row's name, such as "characteristics_ch1", and its cells, one per sample.
    samples
        How many samples there are.
    taken
        Column names that are in use: a key of the same name gets its channel behind it.

    Returns
    -------
    dict
        By key, one text per sample, NaN where a sample has none. Keys are compared without regard to case, and written
        as first met, with "_" for "/" (a path within .h5ad files). Values of a repeated key are joined by "; ". Cells
        without a key go into a column of the row's own name.

    Examples
    --------
    >>> rows = [("characteristics_ch1", ["ER: pos", "age: 51"]), ("characteristics_ch1", ["age: 40", "tumour"])]
    >>> parse_characteristics(rows, 2)
    {'ER': ['pos', nan], 'age': ['40', '51'], 'characteristics_ch1': [nan, 'tumour']}
    """
    spelled: dict[tuple[str, str], str] = {}
    used = {name.casefold() for name in taken}
    found: dict[str, list[list[str]]] = {}
    for row, cells in rows:
        channel = row.rsplit("_", 1)[-1]
        for sample, cell in enumerate(cells):
            key, value = _split(cell)
            if key and not value:
                value = "NA"  # asked and not answered: the column exists all the same
            if not key and not value:
                continue
            place = (channel, key.casefold())
            if place not in spelled:
                name = key.replace("/", "_") or row
                spelled[place] = f"{name}:{channel}" if name.casefold() in used else name
                used.add(spelled[place].casefold())
                found[spelled[place]] = [[] for _ in range(samples)]
            if value.lower() not in MISSING:
                found[spelled[place]][sample].append(value)
    return {name: ["; ".join(each) if each else math.nan for each in values] for name, values in found.items()}


def _split(cell: str) -> tuple[str, str]:
    """Return key and value; an empty key for a cell such as "tumour", "12:30" or an address on the web."""
    cell = " ".join(cell.split())
    match = re.match(r"(.+?)\s*:(?: (.*)|$)", cell) or re.match(r"([^:]+):(?!//)(.*)", cell)
    if match is None or as_number(match[1]) is not None:
        return "", cell
    return match[1].strip(), (match[2] or "").strip()
