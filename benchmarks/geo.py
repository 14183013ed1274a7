"""Files of GEO's size: 54,675 probes (GPL570) of 500 samples, read, joined and collapsed, each in a fresh process."""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import in_fresh_process, table

PROBES, SAMPLES = 54_675, 500


def _write(file: Path, seed: int) -> None:
    """A series matrix of linear intensities with six digits, 0.1 % of the cells empty; plain and gzipped."""
    rng = np.random.default_rng(seed)
    samples = [f"GSM{seed}{index:05d}" for index in range(SAMPLES)]
    quoted = "\t".join(f'"{name}"' for name in samples)
    status = "\t".join(f'"er status: {"pos" if index % 2 else "neg"}"' for index in range(SAMPLES))
    with open(file, "w", encoding="utf-8") as handle:
        handle.write(f'!Series_title\t"Synthetic"\n!Series_geo_accession\t"GSE{seed}"\n')
        handle.write(f"!Sample_geo_accession\t{quoted}\n!Sample_characteristics_ch1\t{status}\n")
        handle.write(f'!series_matrix_table_begin\n"ID_REF"\t{quoted}\n')
        for probe in range(PROBES):
            values = np.exp2(rng.normal(7 + probe % 5, 1.5, SAMPLES))
            cells = ["%.6g" % value for value in values.tolist()]  # noqa: UP031 - twice as fast as format()
            if probe % 1000 == 0:
                cells[: SAMPLES // 2] = [""] * (SAMPLES // 2)
            handle.write(f'"{probe}_at"\t' + "\t".join(cells) + "\n")
        handle.write("!series_matrix_table_end\n")
    with open(file, "rb") as plain, gzip.open(f"{file}.gz", "wb", compresslevel=6) as packed:
        shutil.copyfileobj(plain, packed)


def one(what: str, *files: str) -> None:
    """Do one thing on one core, and print its seconds, those of the processor, and the process's peak memory."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import warnings

    import anndata
    import pandas as pd
    import pyarrow.csv  # noqa: F401 - imports are not what is measured

    import proxflow

    warnings.simplefilter("ignore", UserWarning)
    data = [proxflow.read_series_matrix(file) for file in files] if what not in ("read", "pandas") else []
    joined = anndata.AnnData() if what != "collapse" else proxflow.concat_cohorts(data)
    mapping = {f"{probe}_at": f"GENE{probe * 2 // 5}" for probe in range(PROBES)}
    calls = {
        "read": lambda: proxflow.read_series_matrix(files[0]),
        "pandas": lambda: pd.read_csv(files[0], sep="\t", comment="!", index_col=0),
        "concat": lambda: proxflow.concat_cohorts(data),
        "collapse": lambda: proxflow.collapse_probes(joined, mapping),
    }
    started, used = time.perf_counter(), time.process_time()
    result = calls[what]()
    found = {"seconds": time.perf_counter() - started, "processor": time.process_time() - used}
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps(found | {"megabytes": megabytes, "shape": list(result.shape)}))


def main() -> str:
    """54,675 probes of 500 samples, linear intensities with six digits, log2 taken; one core, one run each.

    Synthetic: two files of about 220 MB of text, 100 MB as .gz. Seconds of the clock, and of the processor in brackets:
    on shared cores compare the latter. pandas: read_csv(comment="!") of the same table, without metadata. Peak memory
    is the whole process's, with what it read before. Reach: read in under 10 s and 1.5 GB.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain = [str(Path(folder) / f"GSE{seed}_series_matrix.txt") for seed in (1, 2)]
        for seed, file in enumerate(plain, start=1):
            _write(Path(file), seed)
        cases = {
            "read .txt.gz": ["read", f"{plain[0]}.gz"],
            "read .txt": ["read", plain[0]],
            "pandas, .txt.gz": ["pandas", f"{plain[0]}.gz"],
            "concat_cohorts, two of them": ["concat", *plain],
            "collapse_probes of both, max_mean": ["collapse", *plain],
        }
        rows = []
        for name, arguments in cases.items():
            done = in_fresh_process("benchmarks.geo", *arguments)
            shape = " x ".join(f"{size:,}" for size in done["shape"])
            rows.append(
                [name, f"{done['seconds']:.1f} s ({done['processor']:.1f} s)", f"{done['megabytes']:,.0f} MB", shape]
            )
    return table(["what", "seconds (processor)", "peak memory", "result"], rows)


if __name__ == "__main__":
    one(*sys.argv[1:]) if sys.argv[1:] else print(main())
