"""Our LISI and kBET beside scib-metrics', on three embeddings. scib-metrics need not be installed."""

from __future__ import annotations

import numpy as np

from benchmarks.measure import table
from proxflow.mixing import ilisi, kbet, kbet_by_label

ABSENT = "Not measured here: scib-metrics is not installed (`pip install scib-metrics`).\n"
SHIFTS = {"apart": 6.0, "close": 0.25, "one law": 0.0}
NEIGHBOURS = 50


def embedding(shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (270, 10), batches and classes; class 1 is 3 away along the first column, in unequal shares."""
    rng = np.random.default_rng(0)
    batches = np.repeat([0, 1], [150, 120])
    classes = (rng.random(270) < np.where(batches == 0, 0.3, 0.6)).astype(int)
    points = rng.normal(size=(270, 10)) + shift * batches[:, None]
    points[:, 0] += 3.0 * classes
    return points, batches, classes


def main() -> str:
    """Our values beside scib-metrics', and the largest difference of all.

    Batches of 150 and 120 samples in 10 dimensions: far apart (the second shifted by 6 along every column), close (by
    0.25) and of one law. iLISI has a perplexity of 30; kBET neighbourhoods of 50, of all and within two classes.
    Both get the same neighbours: exact, Euclidean, the sample itself among them. (scib-metrics' `kbet_per_label` seeks
    them by diffusion distance instead; compared here is its `kbet` on each class.)
    """
    try:
        import scib_metrics
        from scib_metrics.nearest_neighbors import NeighborsResults
    except ImportError:
        return ABSENT
    from sklearn.neighbors import NearestNeighbors

    def theirs(points: np.ndarray, batches: np.ndarray, measure: str) -> float:
        count = 90 if measure == "lisi" else NEIGHBOURS
        distances, order = NearestNeighbors(n_neighbors=count).fit(points).kneighbors(points)
        near = NeighborsResults(indices=order, distances=distances)
        if measure == "lisi":
            return float(scib_metrics.ilisi_knn(near, batches))
        return float(scib_metrics.kbet(near, batches)[0])

    rows, largest = [], 0.0
    for name, shift in SHIFTS.items():
        points, batches, classes = embedding(shift)
        parts = [classes == c for c in np.unique(classes)]
        pairs = {
            "iLISI": (ilisi(points, batches), theirs(points, batches, "lisi")),
            "kBET": (kbet(points, batches, neighbours=NEIGHBOURS), theirs(points, batches, "kbet")),
            "kBET within classes": (
                float(np.mean(list(kbet_by_label(points, batches, classes, neighbours=NEIGHBOURS).values()))),
                float(np.mean([theirs(points[i], batches[i], "kbet") for i in parts])),
            ),
        }
        for measure, (ours, other) in pairs.items():
            rows.append([name, measure, f"{ours:.4f}", f"{other:.4f}"])
            largest = max(largest, abs(ours - other))
    header = ["batches", "measure", "proxflow", f"scib-metrics {scib_metrics.__version__}"]
    return f"{table(header, rows)}\nLargest difference: {largest:.1e}.\n"
