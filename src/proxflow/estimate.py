"""`divergence`: one number between two samples, with the potential that proves it.

Any φ in Γ gives a lower bound, so the value is one whatever the optimiser did, provided φ's slope is certified:
the potential is divided by its bound's excess over L, and the objective evaluated in float64. How far below the
supremum it stays is not known here; on the README's pair
GroupSort reaches 99.2 % or more, on small samples that overlap it may be 90 %.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from proxflow.defaults import default_width
from proxflow.divergences import Divergence
from proxflow.entropies import Entropy, entropy
from proxflow.gamma import Gamma, GroupSort, SpectralNormalised, Unregularised
from proxflow.spans import Span, affine_span
from proxflow.store import to_json
from proxflow.validation import (
    check_choice,
    check_cloud,
    check_positive,
    check_same_width,
    check_slope,
    column_names,
    in_order_of,
    seed_from,
)

__all__ = ["DivergenceEstimate", "PotentialFunction", "divergence", "named_gamma"]

_UPDATES_PER_LOOK = 20
GAMMAS = ("auto", "groupsort", "spectral", "unregularised")


@dataclass(frozen=True)
class PotentialFunction:
    """A fitted potential as a function of NumPy arrays, in the data's own coordinates."""

    potential: Any
    span: Span

    def __call__(self, points: Any) -> np.ndarray:
        """Values at points of shape (n, d): shape (n,)."""
        return np.asarray(self.potential(self._encode(points)))

    def gradient(self, points: Any) -> np.ndarray:
        """Gradients at points of shape (n, d): shape (n, d)."""
        from proxflow.gamma import gradients

        inside = np.asarray(gradients(self.potential, self._encode(points)))
        return self.span.displacement(inside)

    def _encode(self, points: Any) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(self.span.encode(check_cloud(points, "points", minimum=1)), jnp.float32)


@dataclass(frozen=True)
class DivergenceEstimate:
    """What `divergence` found.

    value: the objective at the fitted potential. lower_bound: the same with the potential rescaled to a certified
    slope of at most L, at least 0: never above the exact divergence of the samples. converged: whether the
    last tenth of the ascent changed the value by at most 0.1 %.
    """

    value: float
    lower_bound: float
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

    def to_dict(self) -> dict[str, Any]:
        """Everything but the potential and the history, as plain values."""
        return {
            "value": self.value, "lower_bound": self.lower_bound, "lipschitz_bound": self.lipschitz_bound, "L": self.L,
            "f": repr(self.f), "direction": "Q||P" if self.reverse else "P||Q", "gamma": repr(self.gamma),
            "n_x": self.n_x, "n_y": self.n_y, "n_features": self.n_features, "converged": self.converged,
            "steps": self.steps, "seed": self.seed, "seconds": round(self.seconds, 3),
        }  # fmt: skip

    def to_json(self) -> str:
        """Return `to_dict` as one JSON object; inf and NaN become null."""
        return to_json(self.to_dict())

    def __repr__(self) -> str:
        first, second = ("Q", "P") if self.reverse else ("P", "Q")
        name = type(self.f).__name__ if not hasattr(self.f, "order") else f"Alpha {self.f.order:g}"
        space = type(self.gamma).__name__
        verdict = "converged" if self.converged else f"NOT converged: take more steps than {self.steps}"
        return (
            f"{name} divergence, Lipschitz-regularised (L = {self.L:g}): at least {self.lower_bound:.6g}\n"
            f"  D({first}‖{second}) = sup over L-Lipschitz φ of  E_{first}[φ] - Λ_f(φ; {second})"
            f" = inf over R of  D_f(R‖{second}) + L·W1({first}, R)\n"
            f"  value {self.value:.6g}; slope certified at most {self.lipschitz_bound:.6g} ({space}); {verdict}\n"
            f"  P: {self.n_x} samples, Q: {self.n_y}, {self.n_features} feature{'s' * (self.n_features != 1)};"
            f" seed {self.seed}, {self.seconds:.1f} s"
        )


def named_gamma(gamma: str | Gamma, L: float, features: int, **settings: Any) -> Gamma:
    """Return the function space of that name with slope L; a Gamma passes through."""
    if isinstance(gamma, Gamma):
        return gamma
    check_choice(gamma, "gamma", GAMMAS)
    settings = {"width": default_width(features)} | {k: v for k, v in settings.items() if v is not None}
    # Static fields must be Python's own numbers, not those of a parameter grid made by NumPy.
    settings = {k: v.item() if isinstance(v, np.generic) else v for k, v in settings.items()}
    if settings["width"] % 2:
        raise ValueError(f"width must be even (GroupSort pairs units), got {settings['width']}.")
    if gamma == "unregularised" or float("inf") == L:
        return Unregularised(**settings)
    return SpectralNormalised(L=L, **settings) if gamma == "spectral" else GroupSort(L=L, **settings)


def divergence(
    x: Any,
    y: Any,
    f: str | Entropy = "kl",
    L: float = 1.0,
    gamma: str | Gamma = "auto",
    *,
    alpha: float | None = None,
    reverse: bool = False,
    steps: int = 3000,
    random_state: int | np.random.RandomState | None = 0,
    progress: bool = False,
) -> DivergenceEstimate:
    """Lipschitz-regularised f-divergence between two samples, from below.

    Parameters
    ----------
    x
        Samples of P, shape (n, d).
    y
        Samples of Q, shape (m, d).
    f
        "kl", "alpha", "reverse_kl", "js", "hellinger", "chi2", "ipm" (then the value is L·W1), or an `Entropy`.
    L
        Lipschitz constant of the potentials, in units of potential per unit of data. Larger L, larger
        divergence: L·W1 for small L, towards the f-divergence for large L. inf is allowed, and unregularised.
    gamma
        "auto" (GroupSort networks sized by the data), "groupsort", "spectral", "unregularised", or a `Gamma`.
    alpha
        Order of f="alpha".
    reverse
        Compute D(Q‖P) instead of D(P‖Q).
    steps
        Updates of the potential.
    random_state
        Seed of the network's first weights.
    progress
        Show a progress bar on a terminal.

    Returns
    -------
    DivergenceEstimate
        With value, lower_bound, lipschitz_bound, potential, history and a repr that states the formula.

    Raises
    ------
    ValueError
        NaN or inf (row and column named), fewer than two samples, different widths, unknown f, L <= 0.

    Examples
    --------
    >>> import numpy as np, proxflow
    >>> rng = np.random.default_rng(0)
    >>> near, far = rng.normal(size=(100, 2)), rng.normal(size=(100, 2)) + 3.0
    >>> result = proxflow.divergence(near, far, L=0.5, steps=500)
    >>> 1.5 < result.value < 0.5 * 3 * 2**0.5 + 0.2
    True
    """
    import jax

    from proxflow.evolution import evolve
    from proxflow.flows import ConstantStep, Particles

    started = time.perf_counter()
    chosen = entropy(f, alpha)
    check_slope(L)
    check_positive(steps, "steps", integer=True)
    y = in_order_of(x, y)
    px, py = check_cloud(x, "x", columns=column_names(x)), check_cloud(y, "y", columns=column_names(y))
    check_same_width(px, py, "x", "y")
    seed = seed_from(random_state)

    span = affine_span(px, py)
    p, q = span.encode(px), span.encode(py)
    width = default_width(p.shape[1])
    space = named_gamma(
        gamma, float(L), p.shape[1],
        updates=min(_UPDATES_PER_LOOK, steps), learning_rate=0.64 / width, horizon=float(steps),
    )  # fmt: skip
    bound = getattr(space, "L", float("inf"))
    pair = Divergence(space, chosen, reverse)
    # The flow's own loop with particles that stay where they are: nothing but the potential evolves.
    looks = -(-steps // getattr(space, "updates", 1))
    run = evolve(
        Particles(ConstantStep(0.0)),
        pair,
        p,
        q,
        steps=looks,
        key=jax.random.key(seed),
        warm_up=1,
        progress=progress,
    )
    if run.stopped == "interrupted":
        raise KeyboardInterrupt
    values = run.history["value"]
    potential = space.potential(run.memory)
    proven = space.lipschitz_bound(potential)
    shrink = min(1.0, bound / proven) if np.isfinite(bound) else 1.0
    value, lower = _in_float64(pair, potential, *((q, p) if reverse else (p, q)), shrink)
    lower = max(lower, 0.0) if np.isfinite(lower) else 0.0  # a constant potential proves 0
    tail = values[-max(2, len(values) // 10) :]
    flat = np.isfinite(value) and len(tail) > 1 and np.ptp(tail) <= 1e-3 * max(abs(value), 1e-12)
    settled = bool(flat) and "non-finite" not in run.stopped
    return DivergenceEstimate(
        value=value, lower_bound=lower, lipschitz_bound=proven, f=chosen, L=float(bound), reverse=reverse,
        gamma=space, n_x=len(px), n_y=len(py), n_features=px.shape[1], converged=settled, steps=steps, seed=seed,
        seconds=time.perf_counter() - started, potential=PotentialFunction(potential, span), history=values,
    )  # fmt: skip


def _in_float64(
    pair: Divergence, potential: Any, ascending: np.ndarray, reference: np.ndarray, shrink: float
) -> tuple[float, float]:
    """The objective at the potential and at `shrink` times it, in float64: the value is claimed to be a bound."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def evaluate(potential: Any, first: Any, second: Any) -> Any:
        up, down = potential(first), potential(second)
        return pair.objective(up, down), pair.objective(shrink * up, shrink * down)

    with jax.enable_x64(True):
        double = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), potential)
        value, lower = evaluate(double, jnp.asarray(ascending), jnp.asarray(reference))
        return float(value), float(lower)
