"""`compare`: how far apart are two samples? Three honest numbers, and what moved.

    [lower, upper]    the divergence of the two samples themselves, exact up to the gap between the two
    held_out_lower    a lower confidence bound on the divergence of the laws they came from
    p_value           of the hypothesis that they came from one law

They answer different questions. In high dimension the first is large for samples of one law (their noise counts), the
second is not; the third says only whether, not how far.

Bad at: saying which of two changes matters to you.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from proxflow.advice import tail_note
from proxflow.attribution import Feature, Slopes, by_feature, fitted_slopes, locations, transport_slopes
from proxflow.defaults import radius
from proxflow.entropies import Entropy, entropy
from proxflow.estimate import EXACT_PAIRS, named_gamma
from proxflow.gamma import Gamma
from proxflow.gamma.semidual import SampleSolution
from proxflow.heldout import HeldOut, fewest_samples, heldout_bound
from proxflow.notes import notes_on
from proxflow.permutation import PermutationTest, combined, energy_test, witness_test
from proxflow.samples import bracket
from proxflow.spans import Span, affine_span
from proxflow.store import to_json
from proxflow.validation import (
    check_cloud,
    check_gap,
    check_positive,
    check_same_width,
    check_slope,
    column_names,
    in_order_of,
    seed_from,
)

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What `compare` found. Numbers that were not asked for, or cannot be had, are nan.

    value: the divergence of the samples, as the best potential attains it; lower, upper: its bracket; converged:
    whether the bracket closed to the gap asked for (False without one). held_out: what potentials reach on samples
    they have not seen; held_out_lower: its lower confidence bound at `level`. p_value: of P = Q. transported,
    reweighted: the two parts of the infimal convolution, L·W1(P, R) and D_f(R‖Q). moved: the cost of moving each
    sample of P (of Q if reversed), shape (n,); weights: dR/dQ at each sample of Q, shape (m,). features: what moved,
    most first. slope: the largest |∇φ| seen; budget: the mean of |∇φ| over L. notes: what to know before trusting
    the numbers.
    """

    value: float
    lower: float
    upper: float
    converged: bool
    held_out: float
    held_out_lower: float
    level: float
    p_value: float
    f: Entropy
    L: float
    reverse: bool
    n_x: int
    n_y: int
    n_features: int
    transported: float
    reweighted: float
    slope: float
    lipschitz_bound: float
    budget: float
    features: tuple[Feature, ...]
    notes: tuple[str, ...]
    seed: int
    seconds: float
    moved: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    solution: SampleSolution | None = field(repr=False)
    heldout: HeldOut | None = field(repr=False)
    tests: dict[str, PermutationTest] = field(repr=False)

    @property
    def gap(self) -> float:
        """(upper - lower) / upper."""
        return self.solution.gap if self.solution is not None else math.nan

    def to_dict(self, top: int = 20) -> dict[str, Any]:
        """The numbers and the `top` steepest features as plain values."""
        return {
            "value": self.value, "lower": self.lower, "upper": self.upper, "gap": self.gap,
            "converged": self.converged, "held_out": self.held_out, "held_out_lower": self.held_out_lower,
            "level": self.level, "p_value": self.p_value,
            "p_values": {name: test.p_value for name, test in self.tests.items()},
            "direction": "Q||P" if self.reverse else "P||Q", "f": repr(self.f), "L": self.L,
            "n_x": self.n_x, "n_y": self.n_y, "n_features": self.n_features,
            "transported": self.transported, "reweighted": self.reweighted,
            "slope": self.slope, "lipschitz_bound": self.lipschitz_bound, "budget": self.budget,
            "features": [feature.to_dict() for feature in self.features[:top]],
            "notes": list(self.notes), "seed": self.seed, "seconds": round(self.seconds, 3),
        }  # fmt: skip

    def to_json(self) -> str:
        """Return `to_dict` as one JSON object; inf and NaN become null."""
        return to_json(self.to_dict())

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, top: int = 5) -> list[str]:
        """The result as a short table."""
        first, second = ("Q", "P") if self.reverse else ("P", "Q")
        order = f" {self.f.order:g}" if hasattr(self.f, "order") else ""
        samples = f"{self.n_x} sample{'s' * (self.n_x != 1)} of P, {self.n_y} of Q"
        said = [
            f"D({first}‖{second}), {type(self.f).__name__}{order}, L = {self.L:.4g}:"
            f" {samples}, {self.n_features} feature{'s' * (self.n_features != 1)}"
        ]
        if self.solution is not None:
            verdict = f"gap {self.gap:.1e}" if self.converged else f"NOT closed: gap {self.gap:.1e}"
            said.append(f"  these samples      {self.lower:.6g} to {self.upper:.6g}   ({verdict})")
            said.append(f"    of which moved   {self.transported:.4g}, reweighted {self.reweighted:.4g}")
        if self.heldout is not None:
            said.append(
                f"  their laws         at least {self.held_out_lower:.4g}   ({100 * self.level:g} % confidence;"
                f" {self.held_out:.4g} on held-out samples)"
            )
        if self.tests:
            parts = ", ".join(f"{name} {test.p_value:.3g}" for name, test in self.tests.items())
            said.append(f"  one law?           p = {self.p_value:.3g}   ({parts})")
        if self.features:
            chance = self.p_value > 1 - self.level
            moved = f"nothing to explain (p = {self.p_value:.3g})" if chance else self._features(top)
            said.append(f"  what moved         {moved}")
            said.append(
                f"  slope              at most {self.slope:.4g} seen, {self.lipschitz_bound:.4g} proven;"
                f" {100 * self.budget:.0f} % of L used"
            )
        said += [f"  note: {note}" for note in self.notes]
        said.append(f"  seed {self.seed}, {self.seconds:.1f} s")
        return said

    def _features(self, top: int) -> str:
        shown = [feature for feature in self.features[:top] if feature.share >= 0.005]
        words = [f"{f.name} {'↓↔↑'[f.direction + 1]} {f.share:.0%}" for f in shown]
        rest = len(self.features) - len(shown)
        return ", ".join(words) + (f" and {rest} more" if rest > 0 else "")


def compare(
    x: Any,
    y: Any,
    f: str | Entropy = "kl",
    L: float | None = None,
    *,
    alpha: float | None = None,
    reverse: bool = False,
    gap: float = 1e-4,
    level: float = 0.95,
    permutations: int = 999,
    parts: int = 2,
    gamma: str | Gamma | None = None,
    exact: bool = True,
    heldout: bool = True,
    test: bool = True,
    feature_names: Sequence[str] | None = None,
    random_state: int | np.random.RandomState | None = 0,
    progress: bool = False,
) -> Comparison:
    """Compare two samples: exact divergence, lower confidence bound, permutation test, and what moved.

    Parameters
    ----------
    x
        Samples of P, shape (n, d), or a frame.
    y
        Samples of Q, shape (m, d), or a frame with the same columns.
    f
        The entropy: "kl", "alpha", "reverse_kl", "js", "hellinger", "chi2", "ipm" (then the value is L·W1), "renyi",
        or an `Entropy`.
    L
        Lipschitz constant. None takes 1 / radius of y (the median distance to its centre): moving all mass by one
        radius then costs 1. Pass the number that is reported to compare other samples on the same scale.
    alpha
        Order of f="alpha" or "renyi".
    reverse
        D(Q‖P) instead of D(P‖Q): reweight P and move Q.
    gap
        The relative gap of the bracket to reach.
    level
        Confidence of the lower bound, between 0 and 1.
    permutations
        Relabellings of each test.
    parts
        How many parts the samples are split into for the held-out bound.
    gamma
        Γ of the held-out potentials, certified inside Γ_L: a name, or a `Gamma`; None lets
        networks and cones compete.
    exact, heldout, test
        Which of the three numbers to compute.
    feature_names
        Names of the d features; those of x's columns if it is a frame.
    random_state
        Seed of splits, fits and relabellings. The bracket depends on none.
    progress
        Show progress on a terminal.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        NaN or inf (row and column named), no samples, different columns, unknown f, L <= 0, level outside (0, 1).

    Examples
    --------
    >>> import numpy as np, proxflow
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(200, 3)), rng.normal(size=(200, 3))
    >>> x[:, 1] += 1.0
    >>> found = proxflow.compare(x, y, feature_names=["age", "height", "weight"])
    >>> found.converged, found.p_value < 0.01, found.features[0].name
    (True, True, 'height')
    >>> 0 < found.held_out_lower < found.upper
    True
    """
    started = time.perf_counter()
    chosen = entropy(f, alpha)
    _check_numbers(gap, level, permutations, parts)
    names = column_names(x) if feature_names is None else [str(name) for name in feature_names]
    y = in_order_of(x, y)
    px = check_cloud(x, "x", columns=names if names and len(names) == np.shape(x)[-1] else None, minimum=1)
    py = check_cloud(y, "y", columns=column_names(y), minimum=1)
    check_same_width(px, py, "x", "y")
    if names is not None and len(names) != px.shape[1]:
        raise ValueError(f"feature_names has {len(names)} names for {px.shape[1]} features.")
    names = names or [str(i) for i in range(px.shape[1])]
    slope = 1 / radius(py) if L is None else float(L)
    if L is None and not 1e-15 <= slope <= 1e15:
        raise ValueError(
            f"the typical distance in y is {1 / slope:.1e}, too far from 1: use another unit for the data."
        )
    check_slope(slope)
    if math.isinf(slope):
        raise ValueError("compare needs a finite L: without it the divergence of samples is infinite.")
    seed = seed_from(random_state)
    notes = list(notes_on(px, py, names, ("P", "Q")))
    notes += [note for note in [tail_note(px, py, ("P", "Q"))] if note is not None]

    space = None if gamma is None else _certified(named_gamma(gamma, slope, px.shape[1]), slope)
    span = Span(np.zeros(px.shape[1])) if space is not None and space.own_coordinates else affine_span(px, py)
    moving, fixed = (py, px) if reverse else (px, py)
    p, q = span.encode(moving), span.encode(fixed)
    solution = bracket(p, q, chosen, slope, gap=gap, seed=seed, progress=progress) if exact else None
    held, tests = None, {}
    smallest = min(len(p), len(q))
    if heldout or test:
        if smallest < fewest_samples(parts):
            notes.append(
                f"too few samples to hold any out ({smallest}, where {fewest_samples(parts)} are the least): no lower"
                " bound on the laws, and the test sees only distances."
            )
        else:
            held = heldout_bound(
                p, q, chosen, slope, span=span, gamma=space, level=level, parts=parts, seed=seed, progress=progress
            )
        tests = _tests(chosen, p, q, held, permutations, seed) if smallest > 1 else {}
    lower_bound = math.nan
    p_value = combined(*tests.values()) if tests else math.nan
    if held is not None:
        # Near P = Q the CLT fails, so the bound is positive only where an exact test rejects.
        lower_bound = held.lower if p_value <= 1 - level else 0.0
        if len(tests) / (permutations + 1) > 1 - level:
            notes.append(
                f"{permutations} permutations cannot reject at a level of {1 - level:.2g}, so the lower bound is 0:"
                f" take {math.ceil(len(tests) / (1 - level))} or more."
            )
    if heldout and held is not None and lower_bound == 0 and p_value <= 1 - level:
        notes.append(
            f"the laws differ (p = {p_value:.2g}), but potentials fitted on a part of the samples prove no distance:"
            " try more samples, another L, or f = ipm."
        )
    slopes, proven = _slopes(held, solution, moving, fixed, slope)
    if solution is not None and not solution.closed:
        way = (
            "compare random parts of at most 5000 rows"
            if len(px) * len(py) > EXACT_PAIRS
            else "take a smaller order or L"
        )
        notes.append(
            f"the bracket did not close to {gap:g}: the samples' divergence lies inside it. To close it, {way}."
        )
    missing = np.full(0, math.nan)
    return Comparison(
        value=solution.lower if solution else math.nan, lower=solution.lower if solution else math.nan,
        upper=solution.upper if solution else math.nan, converged=solution.closed if solution is not None else False,
        held_out=held.estimate if held and heldout else math.nan,
        held_out_lower=lower_bound if heldout else math.nan, level=level, p_value=p_value if test else math.nan,
        f=chosen, L=slope, reverse=reverse, n_x=len(px), n_y=len(py), n_features=px.shape[1],
        transported=solution.transported if solution else math.nan,
        reweighted=solution.reweighted if solution else math.nan,
        slope=slopes.largest if slopes else math.nan, lipschitz_bound=proven,
        budget=slopes.length / slope if slopes else math.nan,
        features=by_feature(slopes, locations(px, py), names) if slopes else (), notes=tuple(notes), seed=seed,
        seconds=time.perf_counter() - started,
        moved=_moved(solution, p, q, slope) if solution else missing,
        weights=solution.density if solution else missing,
        solution=solution, heldout=held if heldout else None, tests=tests if test else {},
    )  # fmt: skip


def _check_numbers(gap: float, level: float, permutations: int, parts: int) -> None:
    check_gap(gap)
    check_positive(permutations, "permutations", integer=True)
    check_positive(parts, "parts", integer=True)
    if parts < 2:
        raise ValueError(f"parts must be at least 2 (one to fit on, one to judge on), got {parts}.")
    if not (isinstance(level, (int, float, np.number)) and 0 < level < 1):
        raise ValueError(f"level must be between 0 and 1, such as 0.95, got {level!r}.")


def _certified(space: Gamma, L: float) -> Gamma:
    """Refuse a space whose potentials prove nothing about the laws."""
    name = type(space).__name__
    if space.on_host:
        raise ValueError(
            f"gamma: {name} knows its samples only; held-out potentials need groupsort, cones or spectral."
        )
    if not getattr(space, "L", math.inf) <= L:
        raise ValueError(
            f"gamma: {name} is not certified to have slopes of at most L = {L:g}; use groupsort, cones or spectral, or"
            f" an object with L={L:g}."
        )
    return space


def _tests(
    f: Entropy, p: np.ndarray, q: np.ndarray, held: HeldOut | None, permutations: int, seed: int
) -> dict[str, PermutationTest]:
    rng = np.random.default_rng([seed, 1])
    tests = {"energy": energy_test(p, q, permutations, rng)}
    if held is not None:
        # One part only: two share data, so their statistics cannot be relabelled independently.
        first = held.values_x[held.parts_x == 0], held.values_y[held.parts_y == 0]
        tests["witness"] = witness_test(f, *first, permutations, rng)
    return tests


def _slopes(
    held: HeldOut | None, solution: SampleSolution | None, moving: np.ndarray, fixed: np.ndarray, L: float
) -> tuple[Slopes | None, float]:
    """Slopes where the mass is, of the held-out potentials or else of the exact one, and their proven bound."""
    if held is not None:
        return fitted_slopes(held.potentials, moving), held.lipschitz_bound
    if solution is not None and solution.plan.nnz:
        return transport_slopes(solution.plan, moving, fixed, L), L
    return None, math.nan


def _moved(solution: SampleSolution, p: np.ndarray, q: np.ndarray, L: float) -> np.ndarray:
    """What each sample of P costs to move, shape (n,); their mean is `transported`."""
    plan = solution.plan.tocoo()
    costs = L * np.linalg.norm(p[plan.row] - q[plan.col], axis=1)
    return np.bincount(plan.row, weights=plan.data * costs, minlength=len(p)) * len(p)
