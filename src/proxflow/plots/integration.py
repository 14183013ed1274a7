"""An integration in pictures: the samples before and after, the scores beside their floors, and the genes that moved.

    before_and_after    a plane of the samples, coloured by batch and, below, by class
    measure_bars        every measure, class by class, before and after; the floor as a band
    gene_displacement   the genes that moved most, and displacement against mean expression

The plane is that of the first two principal components before, for both, so that a shift is seen as one; or a UMAP of
either, whose axes mean nothing and whose distances between groups are not to be read. The reference is grey.

Bad at: proving anything; mixed colours are what maps that memorise give, too. The bars are there for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.plots.style import (
    ACCENT,
    INK,
    PARTICLES,
    QUIET,
    TARGET,
    bare_axes,
    finite_rows,
    footnote,
    grid_shape,
    headline,
    legend,
    new_figure,
    plural,
    robust_limits,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["before_and_after", "gene_displacement", "has_umap", "measure_bars"]

# After Okabe and Ito: told apart by colour-blind eyes, and dark enough on white.
_COLOURS = (PARTICLES, ACCENT, "#009e73", "#cc79a7", "#56b4e9", "#7a4f01", "#3b1f5b")
_CLASS_COLOURS = (*_COLOURS[2:], *_COLOURS[:2])  # blue is a batch above, so no class below
_MOST = 20_000  # points drawn or embedded
_TITLES = {
    "energy": "energy distance",
    "w2": "exact W2",
    "sliced_w2": "sliced W2",
    "gaussian_w2": "Gaussian W2",
    "neighbour_auc": "neighbour AUC, 0.5 is ideal",
    "nn_ratio": "nearest neighbour, 0: copies",
    "spread_ratio": "spread, 1 is ideal",
    "label_transfer": "label transfer, high is good",
    "nn_ratio_fitted": "nearest fitted, 0: copies",
}


def has_umap() -> bool:
    """Whether umap-learn is installed (extra `bio`)."""
    from importlib.util import find_spec

    return find_spec("umap") is not None


def before_and_after(
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    batches: Any,
    labels: Any = None,
    *,
    reference: Any = None,
    method: str = "pca",
    random_state: int = 0,
) -> Figure:
    """Draw samples before (left) and after (right), coloured by batch (above) and by class (below).

    Parameters
    ----------
    before, after
        The same samples, shape (n, d). Beyond 20,000 a random choice is drawn.
    batches, labels
        A batch and a class for each, shape (n,); no classes, no lower row.
    reference
        The batch that stays grey.
    method
        "pca": the first two components of the samples before. "umap": one embedding of each; needs umap-learn.
    random_state
        Seed of UMAP and of the choice.

    Raises
    ------
    ValueError
        Other shapes, nothing finite, an unknown method, or UMAP without umap-learn.

    Examples
    --------
    >>> points, batch = np.random.default_rng(0).normal(size=(40, 5)), np.repeat(["A", "B"], 20)
    >>> figure = before_and_after(points + 3.0 * (batch == "B")[:, None], points, batch, reference="A")
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['before, by batch', 'after, by batch']
    """
    clouds = [finite_rows(cloud, name) for cloud, name in ((before, "before"), (after, "after"))]
    kept = np.flatnonzero(clouds[0][1] & clouds[1][1]) if clouds[0][0].shape == clouds[1][0].shape else np.zeros(0, int)
    groups = [("batch", np.asarray(batches)), *([] if labels is None else [("class", np.asarray(labels))])]
    if not len(kept) or any(len(column) != len(clouds[0][0]) for _, column in groups):
        raise ValueError("before and after must be the same samples, finite, with one batch (and class) each.")
    notes = []
    if len(kept) > _MOST:
        kept = np.sort(np.random.default_rng(random_state).choice(kept, _MOST, replace=False))
        notes.append(f"a random {_MOST:,} samples are drawn")
    planes, names = _planes([cloud[kept] for cloud, _ in clouds], method, random_state)
    figure = new_figure(8.6, 3.7 * len(groups) + 0.7)
    grid = figure.subplots(len(groups), 2, squeeze=False)
    limits = [robust_limits(*(plane[:, i] for plane in planes)) for i in (0, 1)]
    order = np.random.default_rng(random_state).permutation(len(kept))  # no batch on top of the other
    for row, (word, column) in zip(grid, groups, strict=True):
        home, colours = (None, _CLASS_COLOURS) if word == "class" else (reference, _COLOURS)
        coded, entries = _coloured(column[kept].astype(str), home, colours)
        for axes, plane, when in zip(row, planes, ("before", "after"), strict=True):
            bare_axes(axes, labels=names, title=f"{when}, by {word}")
            size = float(np.clip(4000 / len(kept), 2.0, 18.0))
            axes.scatter(*plane[order].T, c=[coded[i] for i in order], s=size, alpha=0.75, linewidths=0)
            if method == "pca":
                axes.set_xlim(*limits[0])
                axes.set_ylim(*limits[1])
            else:
                axes.set_xticks([])
                axes.set_yticks([])
        _name_colours(row[1], entries)
    say = (
        "the plane of the first two components before"
        if method == "pca"
        else "UMAP: shapes and distances are not to scale"
    )
    headline(figure, "The samples before and after", say)
    footnote(figure, notes)
    return figure


def _planes(clouds: list[np.ndarray], method: str, seed: int) -> tuple[list[np.ndarray], tuple[str, str]]:
    if method == "pca":
        from sklearn.decomposition import PCA

        if clouds[0].shape[1] < 2 or len(clouds[0]) < 2:
            return [np.column_stack([cloud[:, 0], np.zeros(len(cloud))]) for cloud in clouds], ("feature 0", "")
        fitted = PCA(2, random_state=0).fit(clouds[0])
        shares = fitted.explained_variance_ratio_
        return [fitted.transform(cloud) for cloud in clouds], (f"PC 1 ({shares[0]:.0%})", f"PC 2 ({shares[1]:.0%})")
    if method != "umap":
        raise ValueError(f"unknown method {method!r}: choose one of pca, umap.")
    if not has_umap():
        raise ValueError("UMAP needs umap-learn: pip install 'proxflow[bio]', or method=\"pca\".")
    import umap  # type: ignore[import-untyped]

    neighbours = int(np.clip(len(clouds[0]) - 1, 2, 15))
    found = [
        np.asarray(umap.UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(cloud))
        for cloud in clouds
    ]
    return found, ("UMAP 1", "UMAP 2")


def _coloured(column: np.ndarray, reference: Any, colours: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return a colour per sample, and the names: the reference grey, the most frequent in colours, others together."""
    names, counts = np.unique(column, return_counts=True)
    home = None if reference is None else str(reference)
    others = [str(name) for name in names[np.argsort(-counts, kind="stable")] if name != home]
    # In the order of their names: colours stay when counts change a little.
    shown = sorted(others[: len(colours)])
    chosen = dict(zip(shown, colours, strict=False)) | ({home: TARGET} if home is not None else {})
    entries = [(name, colour) for name, colour in chosen.items() if name in names]
    if len(others) > len(shown):
        entries.append((f"{len(others) - len(shown)} others", QUIET))
    return [chosen.get(str(name), QUIET) for name in column], entries


def _name_colours(axes: Any, entries: Sequence[tuple[str, str]]) -> None:
    from matplotlib.lines import Line2D

    short = [(name if len(name) <= 24 else name[:23] + "…", colour) for name, colour in entries]
    handles = [Line2D([], [], color=c, marker="o", markersize=5, linewidth=0, label=name) for name, c in short]
    found = axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8,
                        labelcolor=INK, handletextpad=0.1)  # fmt: skip
    for text in found.get_texts():
        text.set_parse_math(False)


def measure_bars(frame: pd.DataFrame, *, title: str = "Scores before and after") -> Figure:
    """Draw every measure of a table of scores, class by class: grey before, blue after, the floor as an orange band.

    Parameters
    ----------
    frame
        Rows of one batch with class, measure, value, unadjusted, floor, floor_low and floor_high, as
        `integration_report` returns them for one `batch` and `samples`.
    title
        Above the figure.

    Raises
    ------
    ValueError
        No row with a finite value.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"class": "all", "measure": "energy", "value": 0.02, "unadjusted": 1.2, "floor": 0.0}
    >>> figure = measure_bars(pd.DataFrame([row | {"floor_low": -0.02, "floor_high": 0.02}]))
    >>> figure.axes[0].get_title(loc="left")
    'energy distance'
    """
    told = frame[np.isfinite(frame["value"].to_numpy(float))]
    if not len(told):
        raise ValueError("no score to draw: every value is missing.")
    measures = list(dict.fromkeys(told["measure"]))
    rows, across = grid_shape(len(measures))
    classes = list(dict.fromkeys(told["class"].astype(str)))
    left_out = max(len(classes) - 7, 0)
    figure = new_figure(max(2.9 * across, 5.5), 2.2 * rows + 0.9)
    grid = figure.subplots(rows, across, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(measures):
            axes.remove()
            continue
        own = told[told["measure"] == measures[place]]
        own = own[own["class"].astype(str).isin(classes[:7])]
        _bars(axes, own, _TITLES.get(measures[place], measures[place].replace("_", " ")))
    headline(figure, title, "band: what two samples of one law, of these sizes, score; W2 in units of the spread")
    _name_bars(figure)
    footnote(
        figure, [f"{plural(left_out, 'class')[:-1] + 'es' if left_out > 1 else '1 class'} not drawn"] * bool(left_out)
    )
    return figure


def _bars(axes: Any, own: pd.DataFrame, title: str) -> None:
    bare_axes(axes, title=title)
    places = np.arange(len(own))
    for offset, name, colour in ((-0.2, "unadjusted", TARGET), (0.2, "value", PARTICLES)):
        heights = own[name].to_numpy(float)
        axes.bar(places + offset, np.nan_to_num(heights), width=0.36, color=colour, zorder=2)
        for place, height in zip(places, heights, strict=True):
            if np.isfinite(height) and len(own) <= 4:
                axes.annotate(f"{height:.2f}", (place + offset, max(height, 0.0)), xytext=(0, 1.5),
                              textcoords="offset points", ha="center", fontsize=6.5, color=QUIET)  # fmt: skip
    low, high = own["floor_low"].to_numpy(float), own["floor_high"].to_numpy(float)
    good = np.isfinite(low) & np.isfinite(high)
    axes.bar(places[good], (high - low)[good], bottom=low[good], width=0.9, color=ACCENT, alpha=0.35, zorder=3)
    axes.hlines(own["floor"].to_numpy(float), places - 0.45, places + 0.45, color=ACCENT, linewidth=1.2, zorder=4)
    names = [str(name) if len(str(name)) <= 12 else str(name)[:11] + "…" for name in own["class"]]
    axes.set_xticks(places, names, rotation=0 if len(names) <= 4 else 40, parse_math=False)
    axes.margins(y=0.15)


def _name_bars(figure: Figure) -> None:
    legend(figure, [("before", TARGET), ("after", PARTICLES), ("floor", ACCENT)])


def gene_displacement(
    displacement: npt.ArrayLike, expression: npt.ArrayLike, names: Sequence[str] | None = None, *, top: int = 25
) -> Figure:
    """Draw the genes that moved most, and every gene's displacement against its mean expression.

    Parameters
    ----------
    displacement
        Mean over samples of after less before, shape (p,).
    expression
        Mean expression before, shape (p,).
    names
        Of the p genes.
    top
        How many to list.

    Raises
    ------
    ValueError
        Other lengths, or nothing finite.

    Examples
    --------
    >>> figure = gene_displacement([0.1, -2.0, 0.5], [5.0, 6.0, 7.0], ["ESR1", "GATA3", "FOXA1"])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['GATA3', 'FOXA1', 'ESR1']
    """
    moved, level = np.asarray(displacement, float).ravel(), np.asarray(expression, float).ravel()
    if moved.shape != level.shape or (names is not None and len(names) != len(moved)):
        raise ValueError(f"{len(moved)} displacements, {len(level)} expressions and as many names are needed.")
    known = np.flatnonzero(np.isfinite(moved) & np.isfinite(level))
    if not len(known) or top < 1:
        raise ValueError("nothing to draw: no gene with a finite displacement, or top below 1.")
    largest = known[np.argsort(-np.abs(moved[known]), kind="stable")[:top]]
    figure = new_figure(9.2, max(0.19 * len(largest) + 1.6, 3.4))
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.25))
    bare_axes(left, labels=("mean displacement",), title=f"the {len(largest)} of {len(moved):,} that moved most")
    places = np.arange(len(largest))
    shades = [PARTICLES if value > 0 else ACCENT for value in moved[largest]]
    left.barh(places, moved[largest], color=shades)
    texts = [str(i if names is None else names[i]) for i in largest]
    left.set_yticks(places, [text if len(text) <= 18 else text[:17] + "…" for text in texts], parse_math=False)
    left.invert_yaxis()
    left.axvline(0, color=QUIET, linewidth=0.6)
    bare_axes(right, labels=("mean expression", "mean displacement"), title="all genes")
    shown = known if len(known) <= _MOST else np.random.default_rng(0).choice(known, _MOST, replace=False)
    right.scatter(level[shown], moved[shown], s=4, color=TARGET, linewidths=0, rasterized=True)
    right.scatter(level[largest], moved[largest], s=9, c=shades, linewidths=0)
    right.axhline(0, color=QUIET, linewidth=0.6)
    headline(figure, "Which genes moved", "blue: raised, orange: lowered")
    return figure
