"""Two whole cohorts of breast tumours, VDX onto EXPO by ER status: the samples as a user would merge them.

All of VDX is fitted and moved; EXPO's samples without a status are scored too. Share of the five nearest neighbours
that are of the same cohort: 1 for cohorts that lie apart, 0.58 by chance. Samples of the fit, so not what the map is
worth to others: for that see the halves.
"""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from benchmarks.bio import DATA
from benchmarks.measure import table


def _same(points: np.ndarray, cohort: np.ndarray) -> float:
    nearest = NearestNeighbors(n_neighbors=6).fit(points).kneighbors(points)[1][:, 1:]
    return float((cohort[nearest] == cohort[:, None]).mean())


def main() -> str:
    """Return the table, or say that the data are not there."""
    from proxflow import BatchTransport

    file = DATA / "genefu_er" / "genefu_er.npz"
    if not file.exists():
        return f"Not measured here: {file} is not there.\n"
    with np.load(file, allow_pickle=True) as data:
        batch, reference = data["X_vdx"].astype(float), data["X_expo"].astype(float)
        ours, theirs = data["er_vdx"].astype(int), data["er_expo"].astype(int)
    known = theirs >= 0
    scored = batch.copy()
    for c in (0, 1):
        mine, goal = batch[ours == c], reference[known & (theirs == c)]
        scored[ours == c] = (mine - mine.mean(axis=0)) / mine.std(axis=0) * goal.std(axis=0) + goal.mean(axis=0)
    model = BatchTransport(random_state=0)
    moved = model.fit(batch, ours, reference[known], theirs[known]).transform(batch, ours)
    cohort = np.repeat([0, 1], [len(batch), len(reference)])
    planes = [PCA(d, random_state=0).fit(np.concatenate([batch, reference])).transform for d in (10, 50)]
    rows = [
        [name, *(f"{_same(np.concatenate([look(x), look(reference)]), cohort):.3f}" for look in planes)]
        for name, x in (("none", batch), ("class z-score", scored), ("BatchTransport", moved))
    ]
    return table(["method", "10 components", "50 components"], rows)
