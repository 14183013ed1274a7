"""The page of a comparison: its verdict in plain words, what each number says and does not say, and pictures."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from proxflow.attribution import Feature
    from proxflow.comparison import Comparison
    from proxflow.report import ReportFigure, ReportTable

__all__ = ["draw_comparison", "verdict"]

_TOP = 20  # features drawn and listed


def draw_comparison(
    result: Comparison,
    x: Any,
    y: Any,
    names: Sequence[str] | None,
    path: str | os.PathLike[str],
    command: str | None = None,
) -> Path:
    """Write the page of a comparison as one self-contained HTML file, and return its path.

    Parameters
    ----------
    result
        What `compare(x, y, ...)` returned.
    x, y
        The samples of P and Q that it was given, shapes (n, d) and (m, d).
    names
        Names of the d features, in the order of the columns.
    path
        Where to write; report.html inside it if it is a folder. The file appears whole or not at all.
    command
        The command line that reproduces the comparison.

    Raises
    ------
    ValueError
        The samples are not those of the result, or the file cannot be written.
    """
    from proxflow.report import write_report

    p, q = (np.asarray(cloud, dtype=float).reshape(len(cloud), -1) for cloud in (x, y))
    if p.shape != (result.n_x, result.n_features) or q.shape != (result.n_y, result.n_features):
        raise ValueError(
            f"the comparison is of {result.n_x} and {result.n_y} samples with {result.n_features} features, not of"
            f" samples of shapes {p.shape} and {q.shape}."
        )
    goal = Path(path) / "report.html" if Path(path).is_dir() else Path(path)
    told = _Told.of(result)
    tables = _numbers(result, told), _parts(result, told), _features(result, told), _notes(result)
    with tempfile.TemporaryDirectory(prefix="proxflow-") as folder:
        return write_report(
            goal,
            title=_title(result),
            summary=[verdict(result), *_reading(result, told)],
            tables=[table for table in tables if table is not None],
            figures=_figures(result, told, p, q, names, Path(folder)),
            settings=_settings(result),
            command=command,
        )


_WHERE = {1: "higher in P", -1: "lower in P", 0: "in spread or shape"}


@dataclass(frozen=True)
class _Told:
    """The exact numbers as they are told: what float64 cannot tell from zero is zero."""

    lower: float
    upper: float
    transported: float
    reweighted: float
    moved: np.ndarray
    features: tuple[Feature, ...]
    sides: tuple[str, str]  # what the moving sample is called, and the one that stays

    @staticmethod
    def of(result: Comparison) -> _Told:
        sides = ("Q", "P") if result.reverse else ("P", "Q")
        if _same_points(result):
            return _Told(0.0, 0.0, 0.0, 0.0, np.zeros_like(result.moved), (), sides)
        return _Told(
            result.lower, result.upper, result.transported, result.reweighted, result.moved, result.features, sides
        )


def _same_points(result: Comparison) -> bool:
    """Whether the samples' divergence is zero up to rounding."""
    return result.solution is not None and result.upper <= result.solution.resolution


# ---------------------------------------------------------------------- words


def verdict(result: Comparison) -> str:
    """Return in one sentence for everybody what the comparison found.

    Examples
    --------
    >>> import numpy as np, proxflow
    >>> found = proxflow.compare(np.zeros((2, 1)), np.ones((3, 1)), L=1.0, heldout=False, test=False)
    >>> print(verdict(found))
    The two samples are 1 apart; whether the populations behind them differ was not asked.
    """
    level = f"{100 * result.level:g}% confidence"
    if _same_points(result):
        return "The two samples are the same points in the same shares: there is no difference between them."
    if result.held_out_lower > 0:
        return f"The populations differ: they are at least {result.held_out_lower:.4g} apart ({level})."
    if result.p_value <= 1 - result.level:
        return (
            f"The populations differ (p = {result.p_value:.2g}), but the samples are too few or too noisy to say by how"
            " much at least."
        )
    if math.isfinite(result.p_value):
        return (
            f"No difference between the populations is proven (p = {result.p_value:.2g}); that does not prove that"
            " there is none."
        )
    if math.isfinite(result.held_out_lower):
        return f"No difference between the populations is proven at {level}; that does not prove that there is none."
    apart = f"{result.upper:.4g}" if result.converged else f"between {result.lower:.4g} and {result.upper:.4g}"
    asked = "was not asked" if min(result.n_x, result.n_y) > 1 else "cannot be told from a single sample"
    if not math.isfinite(result.upper):
        return f"Whether the populations differ {asked}."
    return f"The two samples are {apart} apart; whether the populations behind them differ {asked}."


def _title(result: Comparison) -> str:
    samples = f"{result.n_x:,} sample{'s' * (result.n_x != 1)} of P, {result.n_y:,} of Q"
    return f"Comparison: {samples}, {result.n_features:,} feature{'s' * (result.n_features != 1)}"


def _reading(result: Comparison, told: _Told) -> list[str]:
    """Return what the unit is and what moved most."""
    first, _ = told.sides
    words = [
        f"P and Q are the populations behind the first and the second sample. Distances are counted in units of"
        f" 1/L = {1 / result.L:.4g}: moving every sample of {first} by that much would cost 1."
    ]
    leading = [feature for feature in told.features[:3] if feature.share >= 0.01]
    if leading and (result.held_out_lower > 0 or result.p_value <= 1 - result.level):
        listed = ", ".join(f"{feature.name} ({_WHERE[feature.direction]}, {feature.share:.0%})" for feature in leading)
        words.append(f"What moved most: {listed}.")
    if result.notes:
        words.append("Read the notes below before trusting the numbers.")
    return words


def _numbers(result: Comparison, told: _Told) -> ReportTable:
    from proxflow.report import ReportTable

    rows: list[tuple[object, ...]] = []
    if result.solution is not None:
        bracket = f"{told.upper:.6g}" if told.lower == told.upper else f"{told.lower:.6g} to {told.upper:.6g}"
        rows.append((
            "divergence of the samples", bracket,
            "How far these very points are apart; the truth lies between the two ends.",
            "How far the populations are apart: samples of one population differ too, the more the more features.",
        ))  # fmt: skip
    if math.isfinite(result.held_out_lower):
        level = f"{100 * result.level:g}%"
        rows.append((
            f"divergence of the populations, at least ({level})", result.held_out_lower,
            f"With {level} confidence the populations are at least this far apart; above 0 only if a test rejects"
            " that they are one.",
            "How far they are apart at most; and 0 does not say that they are equal.",
        ))  # fmt: skip
        rows.append((
            "estimate on held-out samples", result.held_out,
            "What potentials reach on samples they were not fitted on; on average at most the populations' divergence.",
            "Anything certain: it scatters, and below 0 it says only that no difference was found.",
        ))  # fmt: skip
    if math.isfinite(result.p_value):
        rows.append((
            "p-value of equal populations", result.p_value,
            "How often shuffled labels alone would look at least this different, for all tests together.",
            "How large or how important a difference is; nor anything, if samples are not independent.",
        ))  # fmt: skip
        for name, test in result.tests.items():
            rows.append((f"p-value, {name}", test.p_value, _TESTS.get(name, ""), "Not corrected for several tests."))
    return ReportTable("The numbers", ("number", "value", "what it says", "what it does not say"), rows)


_TESTS = {
    "energy": "By distances between all samples: strong against shifts.",
    "witness": "By a potential judged on samples it has not seen: finds what distances do not.",
}


def _parts(result: Comparison, told: _Told) -> ReportTable | None:
    from proxflow.report import ReportTable

    first, second = told.sides
    rows: list[tuple[object, ...]] = []
    if result.solution is not None:
        rows.append(("moved", told.transported, f"The cost of moving {first} onto a reweighted {second}, L times the"
                     " mean distance: differences in where."))  # fmt: skip
        rows.append(("reweighted", told.reweighted, f"The cost of that reweighting of {second}: differences in how"
                     " many, not in where."))  # fmt: skip
    if told.features:
        rows.append(("largest slope", result.slope, f"The steepest |∇φ| seen; {result.lipschitz_bound:.4g} is proven"
                     f" and L = {result.L:.4g} allowed."))  # fmt: skip
        rows.append(("share of L used", f"{100 * result.budget:.0f}%", "The mean of |∇φ| over L: near 100% where all"
                     " mass wants to move."))  # fmt: skip
    return ReportTable("What the difference is made of", ("part", "value", "in words"), rows) if rows else None


def _features(result: Comparison, told: _Told) -> ReportTable | None:
    from proxflow.report import ReportTable

    if not told.features:
        return None
    words = {1: "P above Q", -1: "P below Q", 0: "spread or shape"}
    shown = told.features[:_TOP]
    rest = len(told.features) - len(shown)
    note = "Share: of what moved. Slope: E|∂φ|, how steep the potential is along the feature. "
    note += "Features that are copies of one another divide their share."
    if not (result.held_out_lower > 0 or result.p_value <= 1 - result.level):
        note += " No difference of the populations is proven here: these may be noise."
    return ReportTable(
        "Which features moved", ("feature", "share", "slope", "direction"),
        [(f.name, f"{100 * f.share:.3g}%", f.slope, words[f.direction]) for f in shown],
        note=note + (f" {rest:,} more features are not listed." if rest else ""),
    )  # fmt: skip


def _notes(result: Comparison) -> ReportTable | None:
    from proxflow.report import ReportTable

    if not result.notes:
        return None
    return ReportTable("Before trusting the numbers", ("no.", "note"), list(enumerate(result.notes, start=1)))


def _settings(result: Comparison) -> dict[str, object]:
    order = f", order {result.f.order:g}" if hasattr(result.f, "order") else ""
    permutations = max((len(test.null) for test in result.tests.values()), default=None)
    return {
        "f": type(result.f).__name__ + order,
        "L": result.L,
        "direction": "D(Q‖P)" if result.reverse else "D(P‖Q)",
        "samples of P, n": result.n_x,
        "samples of Q, m": result.n_y,
        "features, d": result.n_features,
        "confidence level": result.level,
        "permutations": permutations,
        "seed": result.seed,
        "gap reached": f"{result.gap:.1e}" if result.solution is not None else None,
        "time": f"{result.seconds:.1f} s",
        "version": _version(),
    }


def _version() -> str:
    from proxflow import __version__

    return f"proxflow {__version__}"


# ---------------------------------------------------------------------- pictures


def _figures(
    result: Comparison, told: _Told, p: np.ndarray, q: np.ndarray, names: Sequence[str] | None, folder: Path
) -> list[ReportFigure]:
    from proxflow.plots.comparison import moved_features, null_distributions, three_numbers
    from proxflow.plots.costs import costs_and_weights
    from proxflow.plots.plane import two_samples
    from proxflow.plots.style import save_figure
    from proxflow.report import ReportFigure

    found: list[ReportFigure] = []
    first, second = told.sides
    solution = result.solution

    def keep(name: str, figure: Any, caption: str, alt: str) -> None:
        found.append(ReportFigure(save_figure(figure, folder / f"{name}.png"), caption, alt))

    keep(
        "numbers",
        three_numbers(told.lower, told.upper, result.held_out, result.held_out_lower, level=result.level),
        "Grey and black: the samples' own divergence. Blue: where the populations' divergence lies, with the confidence"
        " stated; circle: its estimate on held-out samples.",
        "The samples' divergence, the lower bound on the populations' divergence, and zero on one axis",
    )
    if result.tests:
        keep(
            "tests",
            null_distributions(result.tests, result.p_value),
            "If both samples came from one population, shuffled labels would look like the true ones: the orange line"
            " would lie among the grey.",
            "Null distributions of the permutation tests with the observed statistics",
        )
    if told.features:
        shown = told.features[:_TOP]
        keep(
            "features",
            moved_features(
                [f.name for f in shown], [f.share for f in shown], [f.direction for f in shown],
                total=result.n_features,
            ),
            "Features by their share of what moved. Blue: P lies above Q; orange: below.",
            "Bars of the features that moved most",
        )  # fmt: skip
    moving, fixed = (q, p) if result.reverse else (p, q)
    exact = {} if solution is None else {"moved": told.moved, "weights": result.weights, "plan": solution.plan}
    if solution is None:
        caption = "The two samples."
    elif result.n_features == 1:
        caption = f"Left: the samples. Right: in orange the reweighted {second} onto which {first} is moved."
    else:
        caption = (
            f"Left: the darker a sample of {first}, the dearer to move; arrows show where some of them go. Right:"
            f" orange and large where {second} is asked for more than its share, pale and small where for less."
        )
    figure = two_samples(moving, fixed, **exact, columns=names, sides=told.sides)
    keep("samples", figure, caption, "Both samples in a plane")
    if solution is not None:
        keep(
            "costs",
            costs_and_weights(told.moved, result.weights, told.transported, told.reweighted,
                              sides=told.sides),
            f"Every sample of {first} either moves or stays; {second} is reweighted to meet it half-way. A weight of 1"
            " means: neither more nor less than in the data.",
            "How the divergence splits into moving and reweighting",
        )  # fmt: skip
    return found
