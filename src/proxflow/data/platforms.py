"""A platform's table as a mapping: which gene each probe of an array measures.

    GPL570-55999.txt, GPL570.annot.gz, GSE*_family.soft.gz  -> lines after # ^ ! ->  one Series: probe id -> gene

Lines are split by tabs alone, because descriptions hold quotes that no one closed. Format:
www.ncbi.nlm.nih.gov/geo/info/soft.html. Bad at: platforms that give sequences or coordinates and no gene names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from proxflow.data.columns import listed
from proxflow.data.geo_files import MISSING, as_text, opened, refuse_other_kinds

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NO_GENE", "read_platform"]

NO_GENE = MISSING | {"---", "<na>"}  # Affymetrix' dashes, and R's way to write a missing text

_WHERE = "'Download full table' on https://www.ncbi.nlm.nih.gov/geo/query/acc.cgi?acc=GPLxxx saves it."


def read_platform(path_or_frame: Any, *, id: str = "ID", column: str = "Gene Symbol") -> pd.Series:
    r"""Read which gene each probe measures, from a platform's table.

    Parameters
    ----------
    path_or_frame
        A GPL*.txt, a GPL*.annot.gz, a SOFT family file with one platform, or a DataFrame.
    id, column
        Names of the columns with the probes' ids and the genes; upper and lower case are told apart only if needed
        (.annot files write "Gene symbol"). Agilent's is "GENE_SYMBOL", Illumina's "Symbol".

    Returns
    -------
    pandas.Series
        Genes by probe id, NaN where the table has none ("", "---", NA). Several genes stay as they are written,
        "DDR1 /// MIR4640": `collapse_probes` knows what to do.

    Raises
    ------
    ValueError
        The file is missing, cut off or of another kind; it has no such column (those there are listed), several
        platforms, a row longer than the heading, or a probe with two different genes.

    Examples
    --------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/GPL570-55999.txt"
    >>> _ = open(file, "w").write("#ID = probe\nID\tGene Symbol\n1007_s_at\tDDR1 /// MIR4640\n1053_at\tRFC2\n")
    >>> read_platform(file).to_dict()
    {'1007_s_at': 'DDR1 /// MIR4640', '1053_at': 'RFC2'}
    """
    import pandas as pd

    if isinstance(path_or_frame, pd.DataFrame):
        name, columns = "the frame", [str(label) for label in path_or_frame.columns]
        places = _find(name, columns, id, column)
        cells = [path_or_frame.iloc[:, place] for place in places]
        ids, genes = ([None if missing else text for text, missing in zip(c, c.isna(), strict=True)] for c in cells)
        pairs = [(_clean(probe), _clean(gene)) for probe, gene in zip(ids, genes, strict=True)]
    elif isinstance(path_or_frame, (str, os.PathLike)):
        with opened(path_or_frame, _WHERE) as (name, handle):
            pairs, column = _pairs(name, handle, id, column)
    else:
        raise TypeError(f"expected a path or a pandas DataFrame, got {type(path_or_frame).__name__}.")
    mapping: dict[str, str] = {}
    for probe, gene in pairs:
        if probe and mapping.setdefault(probe, gene) != gene:
            raise ValueError(f"{name}: probe {probe!r} has two genes, {listed([mapping[probe], gene])}. Keep one row.")
    if not mapping:
        raise ValueError(f"{name}: the table has no rows. {_WHERE}")
    genes_found = [float("nan") if gene.lower() in NO_GENE else gene for gene in mapping.values()]
    return pd.Series(genes_found, index=pd.Index(list(mapping), name=id, dtype=object), name=column, dtype=object)


def _pairs(file: str, handle: Iterable[bytes], id: str, column: str) -> tuple[list[tuple[str, str]], str]:
    """Return probes with their genes, and the column's name as the file writes it."""
    lines = _table_lines(file, handle)
    number, heading = next(lines, (0, ""))
    names = [name.strip().strip('"') for name in heading.split("\t")]
    if len(names) < 2:
        raise ValueError(f"{file}: no table with a heading, cells ended by tabs: not a platform's file? {_WHERE}")
    where_id, where_gene = _find(file, names, id, column)
    pairs = []
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) > len(names):
            raise ValueError(
                f"{file}: line {number} has {len(cells)} cells, but the heading has {len(names)}. Mend that line."
            )
        cells += [""] * (len(names) - len(cells))  # spreadsheets cut empty cells off the end of a line
        pairs.append((_clean(cells[where_id]), _clean(cells[where_gene])))
    return pairs, names[where_gene]


def _table_lines(file: str, handle: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines of the one platform table, its heading first."""
    platforms: list[str] = []
    inside = begun = ended = False
    for number, raw in enumerate(handle, start=1):
        if number == 1:
            refuse_other_kinds(file, raw[:2000], "platform")
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        mark = raw[:30].lower()
        if mark.startswith(b"^sample"):
            break  # in a family file the samples' tables come last, and are long
        if mark.startswith(b"^platform"):
            platforms.append(as_text(raw).partition("=")[2].strip())
        if mark.startswith(b"!platform_table_begin"):
            if ended:
                raise ValueError(
                    f"{file}: several platforms, {listed(platforms)}. Take the table of the one you need: {_WHERE}"
                )
            inside = begun = True
        elif mark.startswith(b"!platform_table_end"):
            inside, ended = False, True
        elif not raw.startswith((b"#", b"^", b"!")) and raw.strip() and (inside or not (begun or platforms)):
            yield number, as_text(raw).rstrip("\r\n")
    if begun and not ended:
        raise ValueError(f"{file}: no line !platform_table_end: the file is cut off. Fetch it again.")


def _find(name: str, names: list[str], *wanted: str) -> list[int]:
    """Return the columns' places, comparing without regard to case where that leaves no doubt."""
    places = []
    for want in wanted:
        same = [place for place, text in enumerate(names) if text == want]
        alike = [place for place, text in enumerate(names) if text.casefold() == want.casefold()]
        if not same and len(alike) != 1:
            raise ValueError(f"{name}: no column {want!r}. It has {listed(names, 40)}: say id= and column=.")
        places.append(same[0] if same else alike[0])
    return places


def _clean(cell: Any) -> str:
    return "" if cell is None else str(cell).strip().strip('"').strip()
