"""A GEO series matrix as AnnData: samples x probes, with everything the file says about its samples.

    !Series_*  -> uns      !Sample_*  -> obs, characteristics by key      table, probes x samples -> X, turned round

One file holds one platform of a series. Metadata are read record by record with csv, since titles hold commas, quotes
and line ends; `probe_values` reads the table. Format: www.ncbi.nlm.nih.gov/geo/info/soft.html.

Bad at: series whose values are in supplementary files, as nearly all of sequencing: their tables are empty.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.data.characteristics import numbered, parse_characteristics
from proxflow.data.columns import listed
from proxflow.data.geo_files import as_text, import_anndata, opened, refuse_other_kinds, where_to_get
from proxflow.data.probe_values import check_ids, read_values
from proxflow.data.scales import scale_of
from proxflow.validation import check_choice

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["read_series_matrix"]

Values = npt.NDArray[Any]

_BEGIN, _END = b"!series_matrix_table_begin", b"!series_matrix_table_end"
_RECORD = re.compile(rb"!(Series|Sample)_(\w+)(?=\t|\r?$)")


def read_series_matrix(path: str | os.PathLike[str], *, log2: str | bool = "auto", dtype: str = "float32") -> AnnData:
    r"""Read a GSE*_series_matrix.txt.gz, or the same file unpacked, into samples x probes.

    Parameters
    ----------
    path
        A local file; nothing is downloaded.
    log2
        "auto" takes log2 when GEO2R would: the 99 % quantile is above 100, or the range is above 50 and the lower
        quartile positive. True takes it in any case, False never. Values that are not positive become NaN.
    dtype
        "float32" or "float64".

    Returns
    -------
    AnnData
        X: samples x probes, NaN where the file has an empty cell, NA or null. obs: a column for every `!Sample_` row
        (repeated ones get .1, .2) and for every key of the characteristics. var["n_missing"]: NaN per probe.
        uns["geo"]: "file", "accession", "series" (the `!Series_` rows), "characteristics" (raw rows), "log2" (whether,
        and the numbers that decided), "missing" (counts).

    Raises
    ------
    ValueError
        One line with the file and the way out: the file is missing, cut off, or of another kind (SOFT, a web page); its
        table is missing, empty or ragged; ids are duplicate; a cell is no number; with log2="auto", counts.
    ImportError
        anndata is not installed.

    Warns
    -----
    UserWarning
        Values are missing, with how many probes; or log2 made some so.

    Examples
    --------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/GSE1_series_matrix.txt"
    >>> _ = open(file, "w").write('''!Series_title\t"Two samples"
    ... !Sample_geo_accession\t"GSM1"\t"GSM2"
    ... !Sample_characteristics_ch1\t"ER: pos"\t"ER: neg"
    ... !series_matrix_table_begin
    ... "ID_REF"\t"GSM1"\t"GSM2"
    ... "1007_s_at"\t1024\t512
    ... "1053_at"\t64\t32
    ... !series_matrix_table_end
    ... ''')
    >>> data = read_series_matrix(file)
    >>> data.X
    array([[10.,  6.],
           [ 9.,  5.]], dtype=float32)
    >>> data.obs["ER"].tolist(), data.uns["geo"]["log2"]["applied"]
    (['pos', 'neg'], True)
    """
    anndata = import_anndata()
    import pandas as pd

    if log2 not in ("auto", True, False):
        raise ValueError(f"log2 must be 'auto', True or False, got {log2!r}.")
    check_choice(dtype, "dtype", ("float32", "float64"))
    with opened(path, f"the series has it at {where_to_get(os.fspath(path))}") as (file, handle):
        content = handle.read()
    refuse_other_kinds(file, content[:2000], "matrix")
    start, stop = _table_places(file, content)
    series, rows = _records(content[: start.begin])
    if stop <= start.rows:
        raise ValueError(_empty_table(file, series))
    samples = _sample_ids(file, content[start.begin : start.rows])
    probes, values = read_values(file, memoryview(content)[start.rows : stop], start.line, samples, np.dtype(dtype))
    del content
    infinite = int(np.isinf(values).sum())
    if infinite:
        values[np.isinf(values)] = np.nan
    missing = int(np.isnan(values).sum())
    decision = _take_log2(file, values, log2)
    missing_in = np.isnan(values).sum(axis=0)

    named = _sample_rows(file, rows, samples)
    raw = {name: cells for name, cells in named.items() if name.startswith("characteristics_ch")}
    columns: dict[str, Any] = {name: cells for name, cells in named.items() if name not in raw}
    cells_of = [(name.split(".")[0], cells) for name, cells in raw.items()]
    columns |= parse_characteristics(cells_of, len(samples), columns)
    data = anndata.AnnData(
        X=values,
        obs=pd.DataFrame(columns, index=pd.Index(samples, dtype=object)),
        var=pd.DataFrame({"n_missing": missing_in}, index=pd.Index(probes, dtype=object)),
    )
    data.uns["geo"] = {
        "file": os.path.basename(file),
        "accession": "".join(series.get("geo_accession", [])),
        "series": {name: texts[0] if len(texts) == 1 else texts for name, texts in series.items()},
        "characteristics": {name: np.array(cells, dtype=object) for name, cells in raw.items()},
        "log2": decision,
        "missing": {"values": missing, "infinite": infinite, "probes": int((missing_in > 0).sum())},
    }
    _warn_of_missing(file, data, missing, decision)
    return data


class _Start:
    """Where the table's heading begins, where its rows do, and the number of the first row's line from 1."""

    def __init__(self, content: bytes, begin: int) -> None:
        self.begin = content.find(b"\n", begin + 1) + 1 or len(content)
        self.rows = content.find(b"\n", self.begin) + 1 or len(content)
        self.line = content.count(b"\n", 0, self.rows) + 1


def _table_places(file: str, content: bytes) -> tuple[_Start, int]:
    begin = 0 if content.startswith(_BEGIN) else content.find(b"\n" + _BEGIN)
    if begin < 0:
        raise ValueError(
            f"{file}: no line {_BEGIN.decode()}: not a series matrix, or cut off before the table. "
            f"Fetch it again from {where_to_get(file)}"
        )
    if content.find(b"\n" + _BEGIN, begin + 1) >= 0:
        raise ValueError(f"{file}: more than one table. Keep each series and platform in a file of its own.")
    end = content.rfind(b"\n" + _END)
    if end < begin:
        raise ValueError(f"{file}: no line {_END.decode()}: the file is cut off. Fetch it again.")
    return _Start(content, begin), end + 1


def _records(head: bytes) -> tuple[dict[str, list[str]], list[tuple[str, int, str]]]:
    """Return the `!Series_` values by name, and name, line and text of every `!Sample_` row.

    A line that does not begin a record belongs to the one before: submitters' texts hold line ends.
    """
    records: list[tuple[str, str, int, list[bytes]]] = []
    for number, line in enumerate(head.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        match = _RECORD.match(line)
        if match:
            records.append((match[1].decode(), match[2].decode(), number, [line[match.end() + 1 :]]))
        elif records and not line.startswith(_BEGIN):
            records[-1][-1].append(line)
    series: dict[str, list[str]] = {}
    rows = []
    for kind, name, number, lines in records:
        text = as_text(b"\n".join(lines)).strip("\r\n")
        if kind == "Series":
            series.setdefault(name, []).extend(_cells(text))
        else:
            rows.append((name, number, text))
    return series, rows


def _cells(text: str, count: int = 1) -> list[str]:
    """Split a record; by tabs alone when quotes within the text lead csv astray."""
    cells: list[str] = []
    with contextlib.suppress(csv.Error):  # a cell longer than csv allows: thousands of samples in !Series_sample_id
        cells = next(csv.reader([text.replace("\r", " ").replace("\n", " ")], delimiter="\t"), [""])
    plain = text.split("\t")
    if len(cells) != count and (len(plain) == count or not cells):
        cells = [cell.strip().removeprefix('"').removesuffix('"') for cell in plain]
    return [" ".join(cell.split()) for cell in cells]


def _sample_ids(file: str, heading: bytes) -> list[str]:
    cells = _cells(as_text(heading).strip("\r\n"), 0)
    samples = cells[1:]
    if not samples:
        raise ValueError(f"{file}: the table has no heading with the samples. Fetch it again from {where_to_get(file)}")
    check_ids(file, samples, "sample")
    return samples


def _sample_rows(file: str, rows: list[tuple[str, int, str]], samples: list[str]) -> dict[str, list[str]]:
    """Return one list per row, one text per sample, in the order of the table."""
    found = []
    for name, number, text in rows:
        cells = _cells(text, len(samples))
        if len(cells) != len(samples):
            raise ValueError(
                f"{file}: line {number}, !Sample_{name}, has {len(cells)} values, but the table {len(samples)} samples."
                " Fetch it again, or mend that line."
            )
        found.append(cells)
    named = dict(zip(numbered(name for name, _, _ in rows), found, strict=True))
    order = named.get("geo_accession", samples)
    if order == samples:
        return named
    if sorted(order) != sorted(samples):
        differ = sorted(set(order) ^ set(samples))
        raise ValueError(
            f"{file}: !Sample_geo_accession and the table's heading have different samples, such as {listed(differ)}."
        )
    place = [order.index(sample) for sample in samples]
    return {name: [cells[index] for index in place] for name, cells in named.items()}


def _empty_table(file: str, series: dict[str, list[str]]) -> str:
    names = [os.path.basename(text) for text in series.get("supplementary_file", []) if text not in ("", "NONE")]
    there = f" ({listed(names, 3)})" if names else ""
    return (
        f"{file}: the table has no rows. For sequencing GEO keeps values in the series' supplementary files{there}, at "
        f"{where_to_get(file).replace('/matrix/', '/suppl/')} Read those, and take log2 of counts per million."
    )


def _take_log2(file: str, values: Values, log2: str | bool) -> dict[str, Any]:
    """Take log2 of the values in place if asked for or due, and return what decided."""
    scale = scale_of(values)
    if log2 == "auto" and scale.counts:
        raise ValueError(
            f"{file}: the values look like counts (only whole numbers, {scale.zeros:.0%} zeros, {scale.sentence()}). "
            "Read them with log2=False and take log2(counts per million + 1); log2=True would make zeros NaN."
        )
    applied = scale.linear if log2 == "auto" else bool(log2)
    refused = 0
    if applied:
        positive = values > 0
        refused = int((~positive & ~np.isnan(values)).sum())
        if refused:
            values[~positive] = np.nan
        np.log2(values, out=values)
    return {
        "applied": applied,
        "decided_by": "GEO2R's rule: q99 > 100, or max - min > 50 and q25 > 0" if log2 == "auto" else f"log2={log2}",
        "quantile_99": scale.quantile_99,
        "quantile_25": scale.lower_quartile,
        "minimum": scale.minimum,
        "maximum": scale.maximum,
        "not_positive": refused,
    }


def _warn_of_missing(file: str, data: Any, missing: int, decision: dict[str, Any]) -> None:
    counts = data.var["n_missing"].to_numpy()
    holes = np.flatnonzero(counts)
    if not len(holes):
        return
    refused = decision["not_positive"]
    why = [f"{missing} missing or infinite in the file"] * (missing > 0) + [f"{refused} not positive, before log2"] * (
        refused > 0
    )
    warnings.warn(
        f"{file}: {counts.sum()} of {data.n_obs * data.n_vars} values are NaN ({', '.join(why)}), in {len(holes)} of "
        f"{data.n_vars} probes, such as {listed(data.var_names[holes[:3]])}. "
        "Drop those probes, data[:, data.var['n_missing'] == 0], or impute them.",
        stacklevel=3,
    )
