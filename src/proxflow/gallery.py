"""The pictures and the report of a run: which ones, in which order, with which words."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from proxflow.metrics import nearest_distance, wasserstein

if TYPE_CHECKING:
    from proxflow.report import ReportFigure, ReportTable
    from proxflow.runs import Data, RunResult
    from proxflow.store import RunFolder

__all__ = ["draw_report"]

_MOST = 2000  # points compared exactly or drawn


def draw_report(
    result: RunResult,
    target: Data,
    source: Data | None,
    folder: RunFolder,
    settings: dict[str, Any],
    command: str | None,
) -> None:
    """Draw every picture that suits the data into figures/, and write page.json and report.html."""
    from proxflow.run_pages import PageContent, write_page

    figures = _figures(result, target, source, folder)
    count, width = result.samples.shape
    verb = "new samples" if source is None else "samples moved"
    title = f"{count} {verb}, {width} feature{'s' * (width != 1)}"
    transport = result.transport
    summary = [
        *result.sentences,
        f"{transport.n_steps_} steps in {result.seconds:.1f} s; {transport.stopped_}.",
        f"From {len(target.values)} target samples" + ("." if source is None else f" and {count} source samples."),
    ]
    shown = {k: v for k, v in settings.get("arguments", {}).items() if v is not None} | transport.settings_
    write_page(folder, PageContent(title, summary, _tables(result, target, source), figures, shown, command))


def _tables(result: RunResult, target: Data, source: Data | None) -> list[ReportTable]:
    from proxflow.report import ReportTable

    history, tables = result.transport.history_, []
    settings = result.transport.settings_
    if result.judgement is not None:
        j = result.judgement
        tables.append(
            ReportTable(
                "How good the result is",
                ("what", "value", "in words"),
                [
                    ("closeness", j.closeness, "W2 to held-out samples over that of real ones: 1 is ideal"),
                    (
                        "W2, new to held-out",
                        j.w2_new,
                        "in the data's units"
                        if settings["scaling"] == "none"
                        else "in standard deviations of the columns",
                    ),
                    ("W2, real to held-out", j.w2_real, "the floor for a sample of that size"),
                    ("energy distance to held-out", j.energy, "0 for equal distributions"),
                    ("nearest training sample, new", j.nearest_new, "median distance; near 0 means copies"),
                    ("nearest training sample, real", j.nearest_real, "the same for held-out real samples"),
                    (
                        "near copies",
                        j.near_copies,
                        "share closer than 95 % of real ones are; 0.05 for real data",
                    ),
                    ("coverage", j.coverage, "share of held-out samples that new ones come near"),
                    ("coverage, real", j.coverage_real, "the same for as many real samples"),
                ],
                note=f"Measured by {j.basis}.",
            )
        )
    if source is not None:
        units = partial(result.transport.in_units, features_only=True)
        start, end, goal = units(source.values), units(result.samples), units(target.values)
        tables.append(
            ReportTable(
                "The transport",
                ("what", "value", "in words"),
                [
                    ("W2 before", _distance(start, goal), "source to target"),
                    ("W2 after", _distance(end, goal), "moved samples to target"),
                    ("mean displacement", _displacement(start, end), "how far samples moved"),
                ],
                note="Against the target samples themselves, which the flow has seen.",
            )
        )
    optimality = getattr(result.transport, "optimality_", None)
    if optimality is not None:
        tables.append(
            ReportTable(
                "How near to optimal the flow is", ("what", "value", "in words"), optimality.rows(),
                note="On paths of points that it was not trained on.",
            )
        )  # fmt: skip
    if len(history["value"]):
        trained = _trained(result)
        rows = [
            ("divergence", "value"),
            ("mean squared slope of the potential" if trained else "Fisher information", "fisher"),
            ("largest slope" if settings["reverse"] else "largest slope (at most L)", "slope"),
            ("learning rate" if trained else "step size", "step_size"),
            ("kinetic energy", "kinetic"),
            ("bending", "bending"),
        ]
        tables.append(
            ReportTable(
                "The training" if trained else "The flow",
                ("what", "first", "last"),
                [(said, history[name][0], history[name][-1]) for said, name in rows if name in history],
                note=f"{settings['f']}, L = {settings['L']:.4g}, {settings['gamma']} potentials; as each"
                " step's potential sees it" + (", of a batch." if trained else "."),
            )
        )
    return tables


def _trained(result: RunResult) -> bool:
    """Whether steps were those of a training, not of particles."""
    return hasattr(result.transport, "health_")


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    rng = np.random.default_rng(0)
    x, y = (c if len(c) <= _MOST else c[rng.choice(len(c), _MOST, replace=False)] for c in (x, y))
    return wasserstein(x, y)


def _displacement(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.linalg.norm(after - before, axis=1).mean())


def _figures(result: RunResult, target: Data, source: Data | None, folder: RunFolder) -> list[ReportFigure]:
    from proxflow import plots
    from proxflow.report import ReportFigure

    transport, found = result.transport, []
    train, columns = target.values, target.columns

    def keep(name: str, figure: Any, caption: str, alt: str) -> None:
        path = plots.save_figure(figure, folder.figure_path(name))
        found.append(ReportFigure(path, caption, alt))

    if target.image is not None:
        _image_figures(result, target, keep)
    # The principal components of columns in mixed units would be the largest column.
    shown = partial(transport.in_units, features_only=True) if train.shape[1] > 3 else np.asarray
    goal = shown(train[:_MOST])
    flows = getattr(transport, "trajectory", None)  # of what carries points along paths that are known at any time
    if flows is None:
        snapshots = [(step, shown(target.features(cloud))) for step, cloud in transport.trajectory_]
        moment, words = "step {:,}", "The particles on their way (colour) over the target (grey)."
    else:
        times, places = flows(n=_MOST, looks=12)
        snapshots = [(round(100 * time / times[-1]), shown(cloud)) for time, cloud in zip(times, places, strict=True)]
        moment, words = "{} % of the way", "Fresh source points on their way (colour) over the target (grey)."
    if _trained(result) and flows is None:
        words = "What fixed latents became along the training (colour) over the target (grey)."
    keep(
        "particles.png",
        plots.particles_over_time(snapshots, goal, columns=columns, moment=moment),
        words,
        "Particles at several times over the target samples",
    )
    path = plots.animation(folder.figure_path("particles.gif"), snapshots, goal, columns=columns, moment=moment)
    found.append(ReportFigure(path, "The same as an animation.", "Animation of the particles"))
    if flows is not None:
        keep(
            "paths.png",
            plots.paths(times, np.stack([cloud for _, cloud in snapshots]), goal, columns=columns),
            "Paths of fresh source points: straight ones cost least, and need few steps.",
            "Paths of points from the source to the target",
        )
    if transport.n_steps_ and _trained(result):
        keep(
            "training_curves.png",
            plots.training_curves(transport.history_, lipschitz=transport.settings_["L"]),
            "The training. A potential that is not yet fitted gives values below the divergence, also negative ones;"
            " and the falling learning rate settles every curve: judge the samples, not these.",
            "Curves of the training",
        )
    elif transport.n_steps_:
        keep(
            "convergence.png",
            plots.convergence(transport.history_, lipschitz=transport.settings_["L"]),
            "Divergence, Fisher information (its rate of decrease), largest slope and step size.",
            "Convergence curves",
        )
    if train.shape[1] > 2 and target.image is None:
        keep(
            "marginals.png",
            plots.marginals(result.samples, train, columns),
            "The features whose distributions differ most between new samples and target.",
            "Histograms of single features",
        )
    units = partial(transport.in_units, features_only=True)
    if source is None and len(train) > 2:
        keep(
            "novelty.png",
            plots.nearest_distances(
                nearest_distance(units(result.samples), units(train)),
                nearest_distance(units(train), units(train), skip_self=True),
                real_label="training samples",
            ),
            "Distance to the nearest training sample, of new samples and of training samples (to the others): a curve"
            " far left of the real one means copies.",
            "Distances to the nearest training sample",
        )
    return found


def _image_figures(result: RunResult, target: Data, keep: Any) -> None:
    from sklearn.neighbors import NearestNeighbors

    from proxflow import plots

    assert target.image is not None
    shape, train = target.image, target.values
    low, high = float(train.min()), float(train.max())
    keep(
        "images.png",
        plots.image_grid(result.samples, shape, low=low, high=high, rows=10, title="New samples"),
        "New samples, in the order of samples.npy: nothing was selected.",
        "A grid of generated images",
    )
    keep(
        "training.png",
        plots.image_grid(train, shape, low=low, high=high, rows=10, title="Training samples"),
        "Training samples, for comparison.",
        "A grid of training images",
    )
    nearest = NearestNeighbors(n_neighbors=1).fit(train).kneighbors(result.samples, return_distance=False)[:, 0]
    keep(
        "nearest.png",
        plots.image_comparison(train, result.samples, nearest, shape),
        "New samples above, the training sample nearest to each below: judge for yourself whether they are copies.",
        "New images beside their nearest training images",
    )
