"""Cohorts of real size: seconds and memory of a whole integration, each in a fresh process."""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np

from benchmarks.measure import in_fresh_process, table

PROBES = 54_675


def _bulk() -> None:
    """226 samples of 54,675 probes onto 265, two classes, fifty components, decoded: `BatchTransport`."""
    from proxflow import BatchTransport

    rng = np.random.default_rng(0)
    modules = rng.normal(0, 0.4, (12, PROBES)).astype(np.float32)

    def samples(count: int) -> np.ndarray:
        noise = rng.normal(7, 0.6, (count, PROBES)).astype(np.float32)
        return rng.normal(size=(count, 12)).astype(np.float32) @ modules + noise

    reference, batch = samples(265), samples(226) * 1.1 + rng.normal(0, 0.8, PROBES).astype(np.float32)
    theirs, ours = np.repeat([1, 0], [49, 216]), np.repeat([1, 0], [138, 88])
    started = time.perf_counter()
    model = BatchTransport(n_components=50, random_state=0).fit(batch, ours, reference, theirs)
    moved = model.transform(batch, ours)
    _tell(started, f"{moved.shape[0]} x {moved.shape[1]:,}")


def _cells(labelled: bool) -> None:
    """50,000 cells in 50 components, three batches, six classes: `integrate`."""
    import anndata

    import proxflow

    rng, count, width = np.random.default_rng(0), 50_000, 50
    batch, kind = rng.integers(0, 3, count), rng.integers(0, 6, count)
    points = rng.normal(0, 4, (6, width))[kind] + rng.normal(0, 1.5, (3, width))[batch]
    points += rng.normal(size=(count, width)) * np.linspace(3, 0.3, width)
    points[batch == 1] += 0.025 * points[batch == 1] ** 2
    cells = anndata.AnnData(np.zeros((count, 1), np.float32))
    cells.obsm["X_pca"] = points.astype(np.float32)
    cells.obs["batch"], cells.obs["kind"] = batch.astype(str), kind.astype(str)
    started = time.perf_counter()
    proxflow.integrate(cells, "batch", reference="0", label_key="kind" if labelled else None)
    _tell(started, f"{count:,} x {width}")


def _tell(started: float, size: str) -> None:
    seconds, peak = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"size": size, "seconds": seconds, "gigabytes": peak}))


RUNS = {
    "two cohorts of bulk samples, two classes, 50 components": _bulk,
    "cells in three batches, six classes": lambda: _cells(True),
    "cells in three batches, no classes": lambda: _cells(False),
}


def main() -> str:
    """Return the table."""
    rows = []
    for index, name in enumerate(RUNS):
        found = in_fresh_process("benchmarks.cohorts", str(index))
        rows.append([name, found["size"], f"{found['seconds']:.0f} s", f"{found['gigabytes']:.2f} GB"])
    return table(["what", "size", "time", "peak memory"], rows)


if __name__ == "__main__":
    list(RUNS.values())[int(sys.argv[1])]()
