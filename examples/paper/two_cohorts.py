"""Two cohorts of gene expression become one.

**Seeds:** paper, figure 8, figure 17, table 2, table 4; poster, "Gene expression"; README, "gene expression".

**Setting:** tumours of one cohort (source) moved onto those of another (target), oestrogen receptor positive and
negative ones each by its own flow, among the first 50 principal components of all samples, by every default of
`ParticleTransport`; then decoded. Beside it the target's means and deviations, gene by gene and class by class.

**What differs:** the published pair is of GEO, 54,675 probes each; give its two series matrix files, source first, to
have it read. Distances are squared, as in print (they add up so), but exact, not Sinkhorn's; of other data only ratios
compare. (R)/(D) is the least that a decoded sample can reach. All of it, as in print, is against the samples that were
fitted to. `BatchTransport` asks samples held out how far to go and keeps what the plane misses ([why](integrate.md)).
"""

import numpy as np
from plates import Choice, Plate, main

from benchmarks import bio
from proxflow import BatchTransport, ParticleTransport, read_series_matrix, wasserstein
from proxflow.latent.principal import plane_of
from proxflow.plots.style import ACCENT, INK, PARTICLES, TARGET, bare_axes, headline, legend, new_figure

TABLE_4 = {  # positive / negative
    "source to target, latent": "8.43e4 / 8.35e4", "moved to target, latent": "399 / 2068",
    "(R) target to its reconstruction": "2977 / 3381", "(D) source to target": "2.39e5 / 2.38e5",
    "(S) means and deviations, to target": "9440 / 11617", "(G) moved and decoded, to target": "3517 / 6225",
    "(R)/(D)": "0.0125 / 0.0142", "(S)/(D)": "0.0395 / 0.0487", "(G)/(D)": "0.0147 / 0.0261", "BatchTransport/(D)": "",
}  # fmt: skip


def cohorts(choice: Choice) -> tuple[tuple[np.ndarray, ...], str]:
    """Source, its ER status, target, its status; and what it is if it is not the published pair."""
    if len(choice.files) == 2:
        sides, given = [read_series_matrix(file, dtype="float64") for file in choice.files], []
        probes = sorted(set.intersection(*(set(side.var_names[side.var["n_missing"] == 0]) for side in sides)))
        for side in sides:
            column = next((name for name in side.obs if name.lower().startswith(("er", "estrogen", "oestrogen"))), None)
            if column is None:
                raise SystemExit(f"The samples have no oestrogen receptor status: only {list(side.obs)}.")
            er = side.obs[column].astype(str).str.lower().str[0].map({"p": 1, "+": 1, "n": 0, "-": 0})
            given += [np.asarray(side[er.notna().to_numpy(), probes].X), er.dropna().to_numpy(int)]
        return tuple(given), ""
    if file := choice.real("genefu_er/genefu_er.npz"):
        d = np.load(file)
        given = [d[f"{what}_{side}"][d[f"er_{side}"] >= 0] for side in ("vdx", "expo") for what in ("X", "er")]
        return tuple(given), "Not at hand: GSE26639, GSE76275. Instead tumours of genefu's VDX onto EXPO, 966 probes."
    d, genes = bio.made(choice.seed, curved=True), slice(0, 60 if choice.quick else None)
    given = d.source[:, genes], d.ys, d.reference[:, genes], d.yt
    return given, "No data at hand: two simulated cohorts of as many tumours, 5000 genes (`benchmarks/bio.py`)."


def draw(choice: Choice) -> Plate:
    """Move class by class; measure squared distances in latent and in original space."""
    (xs, ys, xt, yt), stand_in = cohorts(choice)
    both = np.concatenate([xs, xt]).astype(float)
    plane, many = (plane_of(both, k, 0) for k in (10 if choice.quick else 50, 200))
    flow, batch = ({"steps": 3, "width": 8}, {"max_path": 0.0, "folds": 2}) if choice.quick else ({}, {})
    merged = BatchTransport(random_state=choice.seed, **batch).fit_transform(xs, ys, xt, yt)
    adjusted, moved, found = xs.copy(), xs.copy(), []
    for c in (1, 0):
        (source, start), (target, goal) = ((x, plane.encode(x)) for x in (xs[ys == c], xt[yt == c]))
        adjusted[ys == c] = (source - source.mean(0)) / source.std(0) * target.std(0) + target.mean(0)
        end = ParticleTransport(random_state=choice.seed, **flow).fit(goal, start).particles_
        moved[ys == c] = plane.decode(end)
        pairs = [(start, goal), (end, goal), *((cloud, target) for cloud in (plane.decode(goal), source))]
        pairs += [(cloud[ys == c], target) for cloud in (adjusted, moved, merged)]
        costs = [wasserstein(*pair) ** 2 for pair in pairs]
        found.append([*costs[:6], *(costs[i] / costs[3] for i in (2, 4, 5, 6))])
    rows = [("source, positive / negative", "138 / 88", f"{np.sum(ys == 1)} / {np.sum(ys == 0)}")]
    rows += [("target, positive / negative", "49 / 216", f"{np.sum(yt == 1)} / {np.sum(yt == 0)}")]
    rows += [(*row, f"{one:.3g} / {two:.3g}") for row, one, two in zip(TABLE_4.items(), *found, strict=True)]
    *panels, last = (figure := new_figure(7.0, 4.8)).subplots(2, 2).flat
    clouds = ("before", xs), ("means and deviations", adjusted), ("GPA", moved)
    for axes, (name, cloud) in zip(panels, clouds, strict=True):
        view = plane_of(both if name == "before" else xt.astype(float), 2, 0)
        bare_axes(axes, labels=("component 1", "component 2"), title=name)
        for x, y, colours in ((xt, yt, (TARGET, INK)), (cloud, ys, (PARTICLES, ACCENT))):
            axes.scatter(*view.encode(x).T, s=4, c=[colours[c] for c in y], linewidths=0)
    bare_axes(last, labels=("components", "share of variance left out"), title="reconstruction of both cohorts")
    last.plot(np.arange(1, len(many.ratios) + 1), 1 - np.cumsum(many.ratios), color=PARTICLES)
    last.axvline(plane.n_components, color=INK, linewidth=0.8, linestyle="--")
    headline(figure, "Source and target by ER status", "plane of all samples; after, of the target")
    legend(figure, [("target −", TARGET), ("target +", INK), ("source −", PARTICLES), ("source +", ACCENT)])
    return Plate(figure, rows, stand_in)


if __name__ == "__main__":
    main(draw, __doc__, files="two series matrix files of GEO, the source first")
