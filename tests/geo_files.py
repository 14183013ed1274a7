"""Files as GEO writes them, small: series matrices, a platform's table, a SOFT family file, whole or spoilt."""

import gzip
from pathlib import Path

import numpy as np


def quoted(cells):
    return "\t".join(f'"{cell}"' for cell in cells)


def matrix_text(values, samples, probes, characteristics=(), rows=(), *, series=(), end="\n", table_end=True):
    """The text of a series matrix. values: probes x samples, numbers or texts; rows: (name, cells)."""
    lines = ['!Series_title\t"A series, with ""quotes"""', '!Series_geo_accession\t"GSE1"']
    lines += [f'!Series_{name}\t"{text}"' for name, text in series]
    lines += ["", f"!Sample_title\t{quoted(f'tumour {i}, replicate' for i in range(len(samples)))}"]
    lines += [f"!Sample_geo_accession\t{quoted(samples)}", f"!Sample_platform_id\t{quoted(['GPL570'] * len(samples))}"]
    lines += [f"!Sample_characteristics_ch1\t{quoted(cells)}" for cells in characteristics]
    lines += [f"!Sample_{name}\t{quoted(cells)}" for name, cells in rows]
    lines += ["!series_matrix_table_begin", f'"ID_REF"\t{quoted(samples)}']
    lines += [f'"{probe}"\t' + "\t".join(map(str, row)) for probe, row in zip(probes, values, strict=True)]
    lines += ["!series_matrix_table_end"] * table_end
    return end.join(lines) + end


def put(folder, name, text):
    """Write a file, gzipped if its name ends so."""
    content = text.encode() if isinstance(text, str) else text
    file = Path(folder) / name
    file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return file


def write_cohort(folder, accession, *, samples=20, genes=60, seed=0, linear=False, spelled=("positive", "negative")):
    """Write one series matrix of a platform with two probes a gene, and return its path.

    The first probe of a gene measures it, the second one is weak. Half of the samples are ER positive, and the first
    ten genes know. Each accession has its own shift per gene.
    """
    rng = np.random.default_rng(seed)
    er = np.arange(samples) % 2
    truth = rng.uniform(6, 10, genes)[:, None] + rng.normal(0, 0.5, (genes, samples))
    truth[:10] += 2.0 * er
    truth += np.random.default_rng(int(accession[3:])).normal(0, 0.4, genes)[:, None]
    values = np.stack([truth, truth / 3 + rng.normal(0, 0.2, truth.shape)], axis=1).reshape(2 * genes, samples)
    values = np.round(2**values if linear else values, 4)
    names = [f"GSM{accession[3:]}{i:03d}" for i in range(samples)]
    status = [[f"er status: {spelled[1 - one]}" for one in er], [f"age: {40 + i}" for i in range(samples)]]
    probes = [f"{100 + i}_{kind}at" for i in range(genes) for kind in ("", "x_")]
    text = matrix_text(values.tolist(), names, probes, status).replace("GSE1", accession)
    return put(folder, f"{accession}_series_matrix.txt.gz", text)


def platform_text(genes=60):
    """The table of the platform of `write_cohort`, as GEO saves it; the last gene's probes are shared with another."""
    lines = ["#ID = Affymetrix probe set", '#Gene Symbol = a "symbol', "ID\tGB_ACC\tGene Symbol\tGene Title"]
    for i in range(genes):
        symbol = f"GENE{i}" if i < genes - 1 else f"GENE{i} /// OTHER"
        lines += [f'{100 + i}_{kind}at\tU{i}\t{symbol}\tthe 5" end of {i}' for kind in ("", "x_")]
    return "\n".join([*lines, "AFFX-1\t\t---\tcontrol"]) + "\n"
