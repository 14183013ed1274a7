"""What two samples say of the laws they came from: a lower confidence bound on their divergence.

The divergence of the samples themselves is biased upwards: their noise counts too. A potential φ fitted on one part of
the data and judged on another is not:

    θ(φ) = E_P[φ] - Λ_f(φ; Q) <= D(P‖Q)       for any φ in Γ_L, and its estimate on fresh samples obeys the CLT
    var  = var(φ(X)) / n + var(f*(φ(Y) - ν) + ν) / m                          (delta method: Λ's influence function)

Cross-fitting lets every part judge once. The bound is the mean of θ over the parts, less a t-quantile of standard
errors, and less the bias of Λ on m samples. Close to P = Q the parts' errors are correlated and the CLT fails: whoever
reports the bound should report 0 unless an exact test rejects P = Q (`permutation`).

Source: cross-fitting as in Chernozhukov et al., "Double/debiased machine learning", The Econometrics Journal (2018).

Bad at: a dozen samples, and tails so heavy that φ(Y) has no variance: there the t-quantile promises too much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from proxflow.defaults import default_width
from proxflow.divergences import Divergence
from proxflow.entropies import Entropy, cut, influence, reweighting
from proxflow.estimate import PotentialFunction
from proxflow.fitting import fit_potential
from proxflow.gamma import Cones, Gamma, GroupSort, Potential
from proxflow.gamma.base import ScaledPotential, heights_and_slopes, in_double
from proxflow.progress import Progress
from proxflow.spans import Span

__all__ = ["HeldOut", "fewest_samples", "heldout_bound"]

_UPDATES, _STEPS = 10, 60  # of a fit: updates per ascent, ascents
_VALIDATION = 0.25  # of the training part: when to stop
_MANY = 4000  # samples per side from which wider networks pay
_FEWEST = 8  # samples per side below which nothing is held out


@dataclass(frozen=True)
class HeldOut:
    """The lower confidence bound, and what it was made of.

    estimate: the mean of θ over the parts. lower: the bound at `level`, at least 0. standard_error: of the estimate.
    potentials: one per part, as functions of data. parts_x, parts_y: which part judged each sample, shapes (n,), (m,).
    values_x, values_y: φ there, by the potential that has not seen it, shapes (n,), (m,). lipschitz_bound: their slope,
    proven.
    """

    estimate: float
    lower: float
    level: float
    standard_error: float
    potentials: tuple[PotentialFunction, ...]
    parts_x: np.ndarray
    parts_y: np.ndarray
    values_x: np.ndarray
    values_y: np.ndarray
    lipschitz_bound: float


def fewest_samples(parts: int) -> int:
    """Return how many samples each side needs, at least."""
    return _FEWEST * parts // 2


def heldout_bound(
    x: np.ndarray,
    y: np.ndarray,
    f: Entropy,
    L: float,
    *,
    span: Span,
    gamma: Gamma | None = None,
    level: float = 0.95,
    parts: int = 2,
    seed: int = 0,
    progress: bool = False,
) -> HeldOut:
    """Bound the divergence of the laws behind two samples from below.

    Parameters
    ----------
    x, y
        Samples of P, shape (n, d), and of Q, shape (m, d), in the coordinates of `span`. P is what moves.
    f, L
        The divergence.
    span
        Takes the data to these coordinates: potentials are returned as functions of data.
    gamma
        The space to fit in, certified inside Γ_L; None lets networks and cones compete.
    level
        Of the one-sided bound.
    parts
        How many parts the samples are split into.
    seed
        Of the split and the fits.
    """
    rng = np.random.default_rng(seed)
    part_x, part_y = _random_parts(len(x), parts, rng), _random_parts(len(y), parts, rng)
    spaces = candidate_spaces(L, x.shape[1], min(len(x), len(y))) if gamma is None else (gamma,)
    values_x, values_y = np.empty(len(x)), np.empty(len(y))
    potentials, thetas, variances, proven = [], [], [], 0.0
    with Progress("held-out bound", parts, visible=progress) as bar:
        for part in range(parts):
            # Of one size for every part, so that nothing compiles twice.
            learn_x, learn_y = (
                cloud[rng.permutation(np.flatnonzero(labels != part))[: len(cloud) - -(-len(cloud) // parts)]]
                for cloud, labels in ((x, part_x), (y, part_y))
            )
            potential, slope = _fitted(spaces, f, learn_x, learn_y, seed * parts + part, rng)
            proven = max(proven, slope)
            here_x, here_y = part_x == part, part_y == part
            values_x[here_x] = _values(potential, x[here_x])
            values_y[here_y] = _values(potential, y[here_y])
            theta, variance = _judged(f, values_x[here_x], values_y[here_y])
            potentials.append(PotentialFunction(potential, span))
            thetas.append(theta)
            variances.append(variance)
            bar.update(part + 1)
    estimate, error = float(np.mean(thetas)), math.sqrt(sum(variances)) / parts
    lower = max(estimate - _quantile(level, min(len(x), len(y))) * error, 0.0)
    return HeldOut(estimate, lower, level, error, tuple(potentials), part_x, part_y, values_x, values_y, proven)


def candidate_spaces(L: float, features: int, samples: int) -> tuple[Gamma, ...]:
    """Return the spaces that compete for the held-out potential: networks are smooth, cones have edges both ways."""
    width = 64 if samples < _MANY else default_width(features)
    count = 64 if samples < _MANY else 256
    fit: dict[str, Any] = {"L": L, "updates": _UPDATES, "horizon": float(_UPDATES * _STEPS)}
    return (
        GroupSort(width=width, depth=2, learning_rate=0.64 / width, **fit),
        Cones(count=count, **fit),
        Cones(count=count, maximum=True, **fit),
    )


def _random_parts(count: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """A label for each sample; parts differ by at most one in size."""
    labels = np.arange(count) % parts
    rng.shuffle(labels)
    return labels


def _fitted(
    spaces: tuple[Gamma, ...], f: Entropy, x: np.ndarray, y: np.ndarray, seed: int, rng: np.random.Generator
) -> tuple[Potential, float]:
    """Fit on most of these samples in every space; return the best on the rest, inside Γ, and its proven slope."""
    (learn_x, judge_x), (learn_y, judge_y) = (_most_and_rest(cloud, rng) for cloud in (x, y))
    best: tuple[float, Any, float] = (-math.inf, None, 0.0)
    for space in spaces:
        fitted = fit_potential(
            Divergence(space, f), learn_x, learn_y, steps=_STEPS, key=jax.random.key(seed),
            validation=(judge_x, judge_y), patience=10,
        )  # fmt: skip
        reached = float(np.nanmax(fitted.validation_values))
        if best[1] is None or reached > best[0]:
            share = space.share_inside(fitted.potential)
            proven = share * space.lipschitz_bound(fitted.potential)
            best = reached, ScaledPotential(fitted.potential, share), proven
    return best[1], best[2]


def _most_and_rest(points: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    order = rng.permutation(len(points))
    rest = max(1, int(_VALIDATION * len(points)))
    return points[order[rest:]], points[order[:rest]]


def _values(potential: Potential, points: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(heights_and_slopes(in_double(potential), jnp.asarray(points))[0])


@partial(jax.jit, static_argnums=0)
def _cumulant_and_influence(f: Entropy, values: Any) -> Any:
    level, density, slope = reweighting(f, values, jnp.asarray(1e-6))
    bend = jnp.mean(slope)
    bias = jnp.where(bend > 0, jnp.var(density) / (2 * len(values) * jnp.where(bend > 0, bend, 1.0)), 0.0)
    return level, influence(f, values, cut(f, values)), bias


def _judged(f: Entropy, over_p: np.ndarray, over_q: np.ndarray) -> tuple[float, float]:
    """θ and its variance from φ's values on fresh samples, shapes (n,) and (m,).

    Λ is an infimum of means, so on samples it is too small by about var(f*') / (2 m mean f*''): θ is lowered by that.
    """
    with jax.enable_x64(True):
        level, change, bias = (np.asarray(v) for v in _cumulant_and_influence(f, jnp.asarray(over_q)))
    theta = float(over_p.mean() - level - bias)
    return theta, float(over_p.var(ddof=1) / len(over_p) + change.var(ddof=1) / len(over_q))


def _quantile(level: float, count: int) -> float:
    from scipy.stats import t

    return float(t.ppf(level, df=count - 1))
