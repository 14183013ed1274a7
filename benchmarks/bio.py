"""Cohorts with classes, made and real, and their halves: the data of `integration`.

Made: log2 intensities of 265 + 226 samples of 5000 genes, as many of each class as two series of breast tumours have.

    x = μ + y e + F W + s noise                                  biology of both cohorts: e the classes, W modules
    b = μ + shift + exp(r) (x - μ) + shift of the class + T V    the second cohort's machine; above 12 it saturates
    curved:  b + Σ_k (z_k² - 1) V_k,   z the three leading factors of F, standardised, V_k along 15 % of the genes

The law, sizes and constants are those of the study of baselines in the field notes (`bio_synth`), drawn anew: the same
seed is another draw. Real: `genefu_er`, `pbmc_symphony_1200`, `cell_lines_pcs` in `../shared/data` or $PROXFLOW_DATA.

Bad at: saying what a method does to data unlike these: mostly a shift and a scale of each gene, which per-gene methods
fit by construction.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

DATA = Path(os.environ.get("PROXFLOW_DATA", "../shared/data"))
GENES, MODULES, BENT = 5000, 12, 3
REFERENCE, SOURCE = (265, 49), (226, 138)  # samples, and of them of class 1
FEWEST = 10  # samples of a class on a side, or it is left out


@dataclass(frozen=True)
class Cohorts:
    """A source to move, (n, p), a reference, (m, p), their classes; of made data the undistorted source, (n, p).

    unlabelled: samples of the reference without a class, (u, p): nothing is fitted to them, they only count when
    neighbours are counted.
    """

    source: np.ndarray
    ys: np.ndarray
    reference: np.ndarray
    yt: np.ndarray
    truth: np.ndarray | None = None
    unlabelled: np.ndarray | None = None

    def halves(self, seed: int) -> tuple[Cohorts, Cohorts]:
        """A random half of every class, to be fitted, and the other."""
        rng = np.random.default_rng(seed)
        s, t = _half(self.ys, rng), _half(self.yt, rng)
        u = None if self.unlabelled is None else _half(np.zeros(len(self.unlabelled)), rng)
        return self.part(s, t, u), self.part(~s, ~t, None if u is None else ~u)

    def permuted(self, seed: int) -> Cohorts:
        """The classes of both sides in random order: there is nothing to be learned from them."""
        rng = np.random.default_rng(seed)
        return replace(self, ys=rng.permutation(self.ys), yt=rng.permutation(self.yt))

    def undistorted(self) -> Cohorts:
        """A source without a batch effect."""
        return replace(self, source=self.truth)

    def part(self, s: np.ndarray, t: np.ndarray, u: np.ndarray | None = None) -> Cohorts:
        """Samples of the source, of the reference, and of its rows without a class, by masks."""
        return Cohorts(
            self.source[s], self.ys[s], self.reference[t], self.yt[t],
            None if self.truth is None else self.truth[s], None if u is None else self.unlabelled[u],
        )  # fmt: skip


def _half(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    chosen = np.zeros(len(codes), bool)
    for c in np.unique(codes):
        rows = np.flatnonzero(codes == c)
        chosen[rng.permutation(rows)[: len(rows) // 2]] = True
    return chosen


# ---------------------------------------------------------------------- made


def made(seed: int, *, curved: bool = False) -> Cohorts:
    """Two cohorts of one biology, the source behind a distorting machine; curved: one that bends, too."""
    rng = np.random.default_rng([seed, 5000])

    def sparse(rows: int, deviation: float | np.ndarray, share: float) -> np.ndarray:
        return np.where(rng.random((rows, GENES)) < share, rng.normal(size=(rows, GENES)) * deviation, 0.0)

    level = rng.normal(7.0, 2.0, GENES).clip(3.0, 14.0)
    noise = 0.25 + 0.35 * rng.gamma(2.0, 0.5, GENES)
    effect = np.zeros(GENES)
    effect[rng.permutation(GENES)[:400]] = rng.normal(0.0, 1.3, 400)
    modules = sparse(MODULES, 0.45 * np.linspace(1.0, 0.3, MODULES)[:, None], 0.15)

    def biology(count: int, positive: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        y = rng.permutation((np.arange(count) < positive).astype(int))
        factors = rng.normal(size=(count, MODULES))
        # Class 0 has two kinds of tumour; class 1 varies more along the second module.
        factors[:, 0] += (y == 0) * np.where(rng.random(count) < 0.3, 2.5, -1.0)
        factors[:, 1] *= np.where(y == 1, 1.4, 0.7)
        own = rng.normal(size=(count, GENES)) * noise
        return level + y[:, None] * effect + factors @ modules + own, y, factors

    reference, yt, _ = biology(*REFERENCE)
    truth, ys, factors = biology(*SOURCE)
    shift = rng.normal(0.2, 0.8, GENES) + 0.8 * rng.choice([-1.0, 1.0], MODULES) @ modules
    scale = np.exp(rng.normal(0.0, 0.25, GENES))
    by_class = rng.normal(0.0, 0.5, (2, GENES)) * (rng.random(GENES) < 0.10)
    nuisance = rng.normal(size=(len(ys), 3)) @ sparse(3, 0.4, 0.1)
    seen = level + shift + scale * (truth - level) + by_class[ys] + nuisance
    if curved:
        z = factors[:, :BENT]
        z = (z - z.mean(axis=0)) / z.std(axis=0)
        seen += (z**2 - 1) @ sparse(BENT, 0.35, 0.15)
    seen = np.where(seen > 12, 12 + 1.5 * np.tanh((seen - 12) / 1.5), seen)
    return Cohorts(seen, ys, reference, yt, truth)


def field(seed: int) -> tuple[Cohorts, Cohorts] | None:
    """The halves, fitted and held out, of `field/bio_synth.py` beside the data folder, as it takes them itself."""
    file = DATA.parent / "field" / "bio_synth.py"
    if not file.exists():
        return None
    d, rng = runpy.run_path(str(file))["make_data"](seed), np.random.default_rng(seed)
    every = Cohorts(d["XB"], d["yB"], d["XA"], d["yA"], d["XB_true"])
    t, s = (np.isin(np.arange(len(y)), rng.permutation(len(y))[: len(y) // 2]) for y in (every.yt, every.ys))
    return every.part(s, t), every.part(~s, ~t)


# ---------------------------------------------------------------------- real


def tumours(platform: str) -> Cohorts | None:
    """VDX or NKI onto EXPO by ER status, matched by probe or by gene; None if the file is absent."""
    file = DATA / "genefu_er" / "genefu_er.npz"
    if not file.exists():
        return None
    with np.load(file) as found:
        d = {name: found[name] for name in found.files}
    source, labels, reference = d[f"X_{platform}"], d[f"er_{platform}"], d["X_expo"]
    if platform == "nki":
        # Genes that come once on both platforms and were measured in every sample.
        here, there = ([n for n, k in zip(*np.unique(d[e], return_counts=True), strict=True) if k == 1]
                       for e in ("entrez_nki", "entrez_vdx"))  # fmt: skip
        shared = sorted(set(here) & set(there))
        source = source[:, [list(d["entrez_nki"]).index(g) for g in shared]]
        reference = reference[:, [list(d["entrez_vdx"]).index(g) for g in shared]]
        whole = np.isfinite(source).all(axis=0)
        source, reference = source[:, whole], reference[:, whole]
    known, given = labels >= 0, d["er_expo"] >= 0
    source, reference = source.astype(np.float64), reference.astype(np.float64)
    return Cohorts(source[known], labels[known], reference[given], d["er_expo"][given], None, reference[~given])


def cells(name: str) -> Iterator[Cohorts]:
    """Every batch onto the reference one, by cell type: 5p of `pbmc_symphony_1200`, half of `cell_lines_pcs`.

    Classes of fewer than FEWEST cells on a side and genes that fewer than one cell in twenty of a batch has are left
    out. Nothing, if the file or anndata is absent.
    """
    batch, reference = {"pbmc_symphony_1200": ("donor", "5p"), "cell_lines_pcs": ("dataset", "half")}[name]
    file = DATA / name / f"{name}.h5ad"
    try:
        import anndata
    except ImportError:
        return
    if not file.exists():
        return
    found = anndata.read_h5ad(file)
    x = found.X.toarray() if hasattr(found.X, "toarray") else found.X
    x, types, batches = np.asarray(x, np.float64), found.obs["cell_type"].to_numpy(str), found.obs[batch].to_numpy(str)
    if "nGene" in found.obs and x.min() >= 0:
        x = x[:, np.all([(x[batches == b] > 0).mean(axis=0) >= 0.05 for b in np.unique(batches)], axis=0)]
    else:
        x = x / x.std()
    for other in sorted(set(batches) - {reference}):
        s, t = batches == other, batches == reference
        kept = [c for c in np.unique(types) if min((types[s] == c).sum(), (types[t] == c).sum()) >= FEWEST]
        s &= np.isin(types, kept)
        # A class that the source lacks stays: a source must not be drawn to it.
        t &= np.isin(types, kept) if len(kept) > 1 else True
        yield Cohorts(x[s], types[s], x[t], types[t])
