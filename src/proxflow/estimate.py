"""`divergence`: one number between two samples, with the bounds that hold it and the potential that proves it.

Any φ in Γ gives a lower bound and any plan an upper one. Up to some thousand points the exact solver makes the two
meet (`gamma.semidual`). Beyond, or if another Γ is asked for, a fitted potential gives the lower bound: it is shrunk
until it is certainly in Γ and the objective is evaluated in float64 on all samples. How far below the supremum it
stays is then unknown, and the upper bound infinite.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from proxflow.defaults import default_width
from proxflow.divergences import Divergence
from proxflow.entropies import Entropy, entropy
from proxflow.gamma import (
    Cones,
    Convolutional,
    Discrete,
    Gamma,
    GradientPenalty,
    GroupSort,
    SpectralNormalised,
    Unregularised,
)
from proxflow.gamma.base import heights_and_slopes, in_double
from proxflow.gamma.semidual import SampleSolution
from proxflow.progress import Progress
from proxflow.spans import Span, affine_span
from proxflow.store import to_json
from proxflow.validation import (
    check_choice,
    check_cloud,
    check_gap,
    check_positive,
    check_same_width,
    check_slope,
    column_names,
    in_order_of,
    seed_from,
)

__all__ = ["EXACT_PAIRS", "DivergenceEstimate", "PotentialFunction", "divergence", "named_gamma"]

_UPDATES_PER_LOOK = 20
EXACT_PAIRS = 25_000_000  # up to here "auto" is exact: 5000 against 5000, tens of seconds
_BATCH = 4096  # samples of either side per update, if there are more
GAMMAS = ("auto", "exact", "cones", "groupsort", "spectral", "convolutional", "penalty", "unregularised")


@dataclass(frozen=True)
class PotentialFunction:
    """A fitted potential as a function of NumPy arrays, in the data's own coordinates."""

    potential: Any
    span: Span

    def __call__(self, points: Any) -> np.ndarray:
        """Values at points of shape (n, d): shape (n,)."""
        return np.asarray(self._evaluated(points)[0])

    def gradient(self, points: Any) -> np.ndarray:
        """Gradients at points of shape (n, d): shape (n, d)."""
        return self.span.displacement(np.asarray(self._evaluated(points)[1]))

    def _evaluated(self, points: Any) -> Any:
        inside = self.span.encode(check_cloud(points, "points", minimum=1))
        with jax.enable_x64(True):  # what is audited against a bound should not lose digits to far cones
            return heights_and_slopes(in_double(self.potential), jnp.asarray(inside))


@dataclass(frozen=True)
class DivergenceEstimate:
    """What `divergence` found.

    value: the objective at the potential. lower, upper: bounds on the divergence of the two samples; upper is inf if
    only a potential was fitted. lipschitz_bound: the certified slope of the potential. converged: whether the bounds
    meet (exact), or the last tenth of the ascent changed the value by at most 0.1 % (fitted). solution: the plan and
    the reweighting, if exact.
    """

    value: float
    lower: float
    upper: float
    lipschitz_bound: float
    f: Entropy
    L: float
    reverse: bool
    gamma: Gamma
    n_x: int
    n_y: int
    n_features: int
    converged: bool
    steps: int
    seed: int
    seconds: float
    potential: PotentialFunction = field(repr=False)
    history: np.ndarray = field(repr=False)
    solution: SampleSolution | None = field(repr=False, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the potential, the history and the solution, as plain values."""
        return {
            "value": self.value, "lower": self.lower, "upper": self.upper, "lipschitz_bound": self.lipschitz_bound,
            "L": self.L, "f": repr(self.f), "direction": "Q||P" if self.reverse else "P||Q", "gamma": repr(self.gamma),
            "n_x": self.n_x, "n_y": self.n_y, "n_features": self.n_features, "converged": self.converged,
            "steps": self.steps, "seed": self.seed, "seconds": round(self.seconds, 3),
        }  # fmt: skip

    def to_json(self) -> str:
        """Return `to_dict` as one JSON object; inf and NaN become null."""
        return to_json(self.to_dict())

    def __repr__(self) -> str:
        first, second = ("Q", "P") if self.reverse else ("P", "Q")
        name = type(self.f).__name__ if not hasattr(self.f, "order") else f"{type(self.f).__name__} {self.f.order:g}"
        space = type(self.gamma).__name__
        # Not for a soft penalty nor for |x - y|^p: nothing keeps their slopes below L. (Spectral norms lag a little.)
        lipschitz = math.isfinite(self.L) and self.lipschitz_bound <= 1.1 * self.L
        kind = f"Lipschitz-regularised (L = {self.L:g})" if lipschitz else repr(self.gamma)
        over = "L-Lipschitz φ" if lipschitz else f"φ in {space}"
        mixed = f" = inf over R of  D_f(R‖{second}) + L·W1({first}, R)" if lipschitz else ""
        return (
            f"{name} divergence, {kind}: {self._found()}\n"
            f"  D({first}‖{second}) = sup over {over} of  E_{first}[φ] - Λ_f(φ; {second}){mixed}\n"
            f"  value {self.value:.6g}; slope certified at most {self.lipschitz_bound:.6g} ({space});"
            f" {self._verdict()}\n"
            f"  P: {self.n_x} sample{'s' * (self.n_x != 1)}, Q: {self.n_y}, {self.n_features}"
            f" feature{'s' * (self.n_features != 1)}; seed {self.seed}, {self.seconds:.1f} s"
        )

    def _found(self) -> str:
        if self.solution is not None:
            return f"between {self.lower:.6g} and {self.upper:.6g}"
        return f"at least {self.lower:.6g}"

    def _verdict(self) -> str:
        if self.solution is not None:
            return "the bounds meet" if self.converged else f"NOT closed: gap {self.solution.gap:.1e} of the value"
        soft = "the value is no bound; " if self.lower < 0.99 * self.value else ""
        return soft + ("converged" if self.converged else f"NOT converged: take more steps than {self.steps}")


def named_gamma(gamma: str | Gamma, L: float, features: int, **settings: Any) -> Gamma:
    """Return the function space of that name with slope L; a Gamma passes through."""
    if isinstance(gamma, Gamma):
        return gamma
    check_choice(gamma, "gamma", GAMMAS)
    if gamma == "exact":
        if math.isinf(L):
            raise ValueError("gamma='exact' needs a finite L.")
        return Discrete(L=L)
    settings = {"width": default_width(features)} | {k: v for k, v in settings.items() if v is not None}
    # Static fields must be Python's own numbers, not those of a parameter grid made by NumPy.
    settings = {k: v.item() if isinstance(v, np.generic) else v for k, v in settings.items()}
    if settings["width"] % 2:
        raise ValueError(f"width must be even (GroupSort pairs units), got {settings['width']}.")
    if gamma == "unregularised" or math.isinf(L):
        return Unregularised(**settings)
    if gamma == "cones":
        return Cones(L=L, **{k: v for k, v in settings.items() if k in ("updates", "horizon")})
    if gamma == "convolutional":
        side = math.isqrt(features)
        if side * side != features:
            raise ValueError(
                f"gamma='convolutional' takes the features for a square image, but there are {features}: pass"
                " gamma=Convolutional((height, width)), or with channels (height, width, channels)."
            )
        known = ("updates", "horizon", "momentum")
        return Convolutional((side, side, 1), L=L, **{k: v for k, v in settings.items() if k in known})
    spaces = {"spectral": SpectralNormalised, "penalty": GradientPenalty}
    return spaces.get(gamma, GroupSort)(L=L, **settings)


def divergence(
    x: Any,
    y: Any,
    f: str | Entropy = "kl",
    L: float = 1.0,
    gamma: str | Gamma = "auto",
    *,
    alpha: float | None = None,
    reverse: bool = False,
    gap: float = 1e-4,
    steps: int = 3000,
    random_state: int | np.random.RandomState | None = 0,
    progress: bool = False,
) -> DivergenceEstimate:
    """Lipschitz-regularised f-divergence between two samples, with bounds.

    Parameters
    ----------
    x
        Samples of P, shape (n, d).
    y
        Samples of Q, shape (m, d).
    f
        "kl", "alpha", "reverse_kl", "js", "hellinger", "chi2", "ipm" (then the value is L·W1),
        "renyi", or an `Entropy`.
    L
        Lipschitz constant of the potentials, in units of potential per unit of data. Larger L, larger
        divergence: L·W1 for small L, towards the f-divergence for large L. inf is allowed, and unregularised.
    gamma
        "auto" (exact up to 25 million pairs, such as 5000 against 5000; beyond, GroupSort networks), "exact",
        "cones", "groupsort", "spectral", "convolutional" (square images), "penalty" (its value is no bound),
        "unregularised", or a `Gamma`, which brings its own L and settings.
    alpha
        Order of f="alpha".
    reverse
        Compute D(Q‖P) instead of D(P‖Q).
    gap
        Exact: the relative gap (upper - lower) / upper to reach.
    steps
        Fitted: updates of the potential.
    random_state
        Seed of a network's first weights. The exact solver draws nothing.
    progress
        Show a progress bar on a terminal.

    Returns
    -------
    DivergenceEstimate
        With value, lower, upper, converged, potential and a repr that states the formula.

    Raises
    ------
    ValueError
        NaN or inf (row and column named), no samples, different widths, unknown f, L <= 0.

    Examples
    --------
    >>> import numpy as np, proxflow
    >>> rng = np.random.default_rng(0)
    >>> near, far = rng.normal(size=(100, 2)), rng.normal(size=(100, 2)) + 3.0
    >>> result = proxflow.divergence(near, far, L=0.5)
    >>> 1.5 < result.lower <= result.upper < 0.5 * 3 * 2**0.5 + 0.2
    True
    >>> result.converged
    True
    """
    started = time.perf_counter()
    chosen = entropy(f, alpha)
    check_slope(L)
    check_positive(steps, "steps", integer=True)
    check_gap(gap)
    y = in_order_of(x, y)
    px = check_cloud(x, "x", columns=column_names(x), minimum=1)
    py = check_cloud(y, "y", columns=column_names(y), minimum=1)
    check_same_width(px, py, "x", "y")
    seed = seed_from(random_state)
    if gamma == "auto" and len(px) * len(py) <= EXACT_PAIRS and not math.isinf(L):
        gamma = "exact"
    width = default_width(px.shape[1])
    space = Discrete(L=float(L), gap=gap) if gamma == "exact" and not math.isinf(L) else named_gamma(
        gamma, float(L), px.shape[1],
        updates=min(_UPDATES_PER_LOOK, steps), learning_rate=0.64 / width, horizon=float(steps),
    )  # fmt: skip
    span = Span(np.zeros(px.shape[1])) if space.own_coordinates else affine_span(px, py)
    p, q = span.encode(px), span.encode(py)
    pair = Divergence(space, chosen, reverse)
    solve = _solved if isinstance(space, Discrete) else _fitted
    found = solve(pair, p, q, steps, seed, progress)
    potential = found.pop("potential")
    return DivergenceEstimate(
        **found, f=chosen, L=float(getattr(space, "L", math.inf)), reverse=reverse, gamma=space,
        n_x=len(px), n_y=len(py), n_features=px.shape[1], seed=seed,
        seconds=time.perf_counter() - started, potential=PotentialFunction(potential, span),
    )  # fmt: skip


def _solved(pair: Divergence, p: np.ndarray, q: np.ndarray, steps: int, seed: int, progress: bool) -> dict[str, Any]:
    """The bracket and the exact potential."""
    space: Any = pair.gamma
    first, second = (q, p) if pair.reverse else (p, q)
    with Progress("closing the bracket", 1, visible=progress) as bar:
        solution = space.solve(pair.objective, first, second, report=lambda gap: bar.update(0, f"gap {gap:.1e}"))
    potential = space.extension(solution, second.astype(np.float32))
    return {
        "value": solution.lower, "lower": solution.lower, "upper": solution.upper,
        "lipschitz_bound": space.lipschitz_bound(potential), "converged": solution.closed, "steps": solution.levels,
        "potential": potential, "history": np.asarray([solution.lower]), "solution": solution,
    }  # fmt: skip


def _fitted(pair: Divergence, p: np.ndarray, q: np.ndarray, steps: int, seed: int, progress: bool) -> dict[str, Any]:
    """A lower bound from a potential that was fitted by ascent."""
    from proxflow.fitting import fit_potential

    space = pair.gamma
    looks = -(-steps // getattr(space, "updates", 1))
    fitted = fit_potential(pair, p, q, steps=looks, batch=_BATCH, key=jax.random.key(seed), progress=progress)
    share = space.share_inside(fitted.potential)
    first, second = (q, p) if pair.reverse else (p, q)
    value, lower = _in_float64(pair, fitted.potential, first, second, share)
    tail = fitted.values[-max(2, len(fitted.values) // 10) :]
    flat = math.isfinite(value) and np.ptp(tail) <= 1e-3 * max(abs(value), 1e-12)
    return {
        "value": value, "lower": max(lower, 0.0) if math.isfinite(lower) else 0.0,  # a constant potential proves 0
        "upper": math.inf, "lipschitz_bound": space.lipschitz_bound(fitted.potential),
        "converged": bool(flat) and "non-finite" not in fitted.stopped, "steps": steps,
        "potential": fitted.potential, "history": fitted.values,
    }  # fmt: skip


def _in_float64(
    pair: Divergence, potential: Any, ascending: np.ndarray, reference: np.ndarray, shrink: float
) -> tuple[float, float]:
    """The objective at the potential and at `shrink` times it, in float64: the value is claimed to be a bound."""

    @jax.jit
    def evaluate(potential: Any, first: Any, second: Any) -> Any:
        up, down = potential(first), potential(second)
        return pair.objective(up, down), pair.objective(shrink * up, shrink * down)

    with jax.enable_x64(True):
        value, lower = evaluate(in_double(potential), jnp.asarray(ascending), jnp.asarray(reference))
        return float(value), float(lower)
