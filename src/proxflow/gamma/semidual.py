"""The divergence of two samples, exactly: a lower and an upper bound that meet.

    lower:  for any heights g on Q's points      mean_i min_j (g_j + c_ij) - Λ_f(g)
    upper:  for any plan π with π1 = 1/n         <c, π> + D_f(πᵀ1‖Q),               c_ij = L|y_i - x_j|^p

The two are convex duals (semi-relaxed unbalanced optimal transport), so they meet at the optimum. The way up: the
minimum is softened at a temperature ε that falls level by level, each level a concave problem solved by Newton's
method; rounding gives both bounds at every level. As ε falls, nearly all pairs (i, j) become irrelevant: those whose
reduced cost g_j + c_ij - min_j(...) is many ε are left out, so late levels cost next to nothing. A full scan at
each level keeps the lower bound true whatever was left out; the upper bound holds for any plan.

Source: the semi-dual of (f, Γ)-divergences with Γ the Lipschitz functions (Birrell et al., JMLR 2022); annealing and
Newton as in Schmitzer, "Stabilized sparse scaling algorithms for entropy regularized transport problems", SIAM
J. Scientific Computing (2019). Without reweighting (IPM) it is the transport problem: POT's network simplex.

Bad at: more than some ten thousand points (every scan looks at all pairs), and saying anything of the populations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from proxflow.entropies import IPM, Entropy, WholeEntropy, cost, reweighting

__all__ = ["Reweighting", "SampleSolution", "solve_samples"]

_BLOCK = 2**21  # pairs looked at together: 16 MB
_KEPT = 5 * 10**7  # pairs whose costs are kept rather than computed at every scan: 400 MB
_COARSE = 1200  # points per side of the first, coarse solution when there are many more
_FIRST, _SHRINK = 0.1, 0.25  # temperature: of the mean cost at first, and from level to level
_MOST_LEVELS = 100  # some 7 to 15 are usual
_REACH = 24.0  # pairs kept for a level: reduced cost up to this many temperatures of the level before
_STRIDE = 16.0  # temperatures that a height may move at first where nothing holds it
_DENSE, _SPARSE = 300, 2  # up to that many points, or pairs per point, a factorisation is cheaper than iterating
_ROUNDING = 1e-13  # of the mean cost: a gap below it is closed


@dataclass(frozen=True)
class SampleSolution:
    """A bracket around the divergence of two samples, and what attains it.

    lower, upper: the bracket, float64. heights: φ on Q's points, shape (m,). values: φ on P's, (n,). plan: CSR (n, m),
    rows sum to 1/n. density: dR/dQ on Q's points, (m,), for R the plan's second marginal. transported, reweighted:
    the two parts of upper, <c, π> and D_f(R‖Q). temperature: the last ε. closed: whether the gap asked for was reached.
    """

    lower: float
    upper: float
    heights: np.ndarray
    values: np.ndarray
    plan: sparse.csr_array
    density: np.ndarray
    transported: float
    reweighted: float
    temperature: float
    closed: bool
    levels: int
    resolution: float

    @property
    def gap(self) -> float:
        """(upper - lower) / upper, both above what float64 can tell apart for costs of this size."""
        return (self.upper - self.lower) / max(self.upper, self.resolution, 1e-300)


def solve_samples(
    x: np.ndarray,
    y: np.ndarray,
    f: Entropy,
    L: float = 1.0,
    *,
    power: float = 1.0,
    gap: float = 1e-4,
    start: np.ndarray | None = None,
    temperature: float | None = None,
    report: Callable[[float], None] = lambda gap: None,
) -> SampleSolution:
    """Bracket inf over R of D_f(R‖Q) + L·W_p^p(P, R) between two samples.

    Parameters
    ----------
    x, y
        Points of P, shape (n, d), and of Q, shape (m, d), float64.
    f
        The entropy.
    L, power
        The cost of moving mass is L·distance^power. With power 1 this is the Lipschitz-regularised divergence.
    gap
        Stop once upper - lower <= gap · upper.
    start, temperature
        Heights (m,) to start from and the temperature they belong to, from a similar problem.
    report
        Called with the relative gap after each level.

    Examples
    --------
    >>> import numpy as np
    >>> from proxflow.entropies import KL
    >>> found = solve_samples(np.zeros((3, 2)), np.array([[3.0, 4.0], [3.0, 4.0]]), KL(), L=2.0)
    >>> round(found.lower, 9), round(found.upper, 9)
    (10.0, 10.0)
    """
    if isinstance(f, IPM):
        return _network_simplex(x, y, L, power)
    costs = _Costs(x, y, L, power)
    mean_cost = costs.mean()
    if mean_cost == 0:  # all points coincide
        return _all_in_one(len(x), len(y))
    reweight = Reweighting(f, len(y))
    if start is None:
        start, temperature = _coarse_start(x, y, f, L, power)
    hot = _FIRST * mean_cost
    with threadpool_limits(1, user_api="blas"):  # threads for small systems cost more than they bring
        if start is not None:
            warm = hot if temperature is None else temperature
            found = _anneal(costs, reweight, np.asarray(start, np.float64), warm, mean_cost, gap, report)
            if found.closed:
                return found  # else the start misled
        return _anneal(costs, reweight, np.zeros(len(y)), hot, mean_cost, gap, report)


def _anneal(
    costs: _Costs,
    reweight: Reweighting,
    heights: np.ndarray,
    temperature: float,
    mean_cost: float,
    gap: float,
    report: Callable[[float], None],
) -> SampleSolution:
    count = costs.shape[0]
    best: tuple[float, np.ndarray, np.ndarray] = (-math.inf, heights, np.zeros(count))  # lower, heights, φ on P
    plan_of_best: tuple[float, Any, np.ndarray, float, float] = (math.inf, None, np.zeros(0), 0.0, 0.0)
    values, arcs = _scan(costs, heights, _REACH * temperature / _SHRINK)
    levels, stalled = 0, 0
    while True:
        levels += 1
        aim = gap * max(min(plan_of_best[0], float(np.mean(values))), 0.0)
        heights, plan, balanced = _ascend(arcs, reweight, heights, temperature, aim + _ROUNDING * mean_cost)
        mass = plan.sum(axis=0) / count
        transported = float(plan.multiply(arcs.matrix).sum()) / count
        reweighted = reweight.cost(mass)
        before = plan_of_best[0] - best[0]
        if math.isnan(reweighted):  # powers beyond float64's reach
            reweighted = math.inf
        if plan_of_best[1] is None or transported + reweighted < plan_of_best[0]:
            plan_of_best = (transported + reweighted, plan / count, mass, transported, reweighted)
        values, fresh = _scan(costs, heights, _REACH * temperature)
        missed = float(np.mean(arcs.lowest(heights) - values))
        slack = temperature * _entropy_of_rows(plan.data, count)
        complete = missed <= 0.2 * max(slack, aim)
        arcs = fresh if complete else arcs.union(fresh)
        lower = float(np.mean(values)) - reweight(heights)[0]
        if lower > best[0]:
            best = (lower, heights, values)
        width = plan_of_best[0] - best[0]
        report(width / plan_of_best[0] if plan_of_best[0] > 0 else 0.0)
        closed = math.isfinite(width) and width <= max(gap * plan_of_best[0], _ROUNDING * mean_cost)
        falls = balanced and complete and slack > 0.2 * aim
        # Between overlapping samples the value may be far below the costs: cold levels alone can tell it.
        stalled = 0 if falls or width < 0.9 * before else stalled + 1
        if closed or stalled >= 6 or levels >= _MOST_LEVELS or temperature < 1e-16 * mean_cost:
            break
        if falls:
            temperature *= _SHRINK
    lower = max(best[0], 0.0)  # a constant potential proves 0
    upper = max(plan_of_best[0], lower)  # they may cross by a rounding error
    return SampleSolution(
        lower, upper, best[1], best[2], sparse.csr_array(plan_of_best[1]), plan_of_best[2] * len(heights),
        plan_of_best[3], plan_of_best[4], temperature, closed, levels, _ROUNDING * mean_cost,
    )  # fmt: skip


def _coarse_start(
    x: np.ndarray, y: np.ndarray, f: Entropy, L: float, power: float
) -> tuple[np.ndarray | None, float | None]:
    """Heights from a part of the points, carried over to all of them, if there are many."""
    if len(x) * len(y) <= (2 * _COARSE) ** 2:
        return None, None
    rng = np.random.default_rng(0)
    rows = rng.choice(len(x), min(_COARSE, len(x)), replace=False)
    columns = rng.choice(len(y), min(_COARSE, len(y)), replace=False)
    coarse = solve_samples(x[rows], y[columns], f, L, power=power, gap=0.02)
    between = _Costs(y, y[columns], L, power)
    # φ's extension to the other points of Q: exact for power 1, near enough as a start for others.
    heights = np.concatenate([(block + coarse.heights).min(axis=1) for _, block in between.blocks()])
    return heights, 0.25 * coarse.temperature


# ---------------------------------------------------------------------- pairs


class _Costs:
    """c_ij = L|x_i - y_j|^p by blocks of rows; kept if there are not too many."""

    def __init__(self, x: np.ndarray, y: np.ndarray, L: float, power: float) -> None:
        self.x, self.y, self.L, self.power = x, y, L, power
        self.shape = (len(x), len(y))
        self.rows = max(1, _BLOCK // len(y))
        self._kept: list[np.ndarray] | None = [] if len(x) * len(y) <= _KEPT else None

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Row slices and their costs; not to be written to."""
        for number, first in enumerate(range(0, self.shape[0], self.rows)):
            if self._kept is not None and number < len(self._kept):
                block = self._kept[number]
            else:
                block = cdist(self.x[first : first + self.rows], self.y)
                if self.power != 1:
                    block **= self.power
                block *= self.L
                if self._kept is not None:
                    self._kept.append(block)
            yield slice(first, first + len(block)), block

    def mean(self) -> float:
        return sum(float(block.sum()) for _, block in self.blocks()) / (self.shape[0] * self.shape[1])


@dataclass
class _Arcs:
    """The pairs that matter, row by row, with their costs as a CSR matrix."""

    matrix: sparse.csr_array

    def soft_minimum(self, heights: np.ndarray, temperature: float) -> tuple[float, np.ndarray]:
        """Return mean_i of -ε log Σ_j exp(-(g_j + c_ij)/ε) and the weights of each row, one per pair."""
        starts, counts = self.matrix.indptr[:-1], np.diff(self.matrix.indptr)
        weights = heights[self.matrix.indices]
        weights += self.matrix.data
        lowest = np.minimum.reduceat(weights, starts)
        weights -= np.repeat(lowest, counts)
        weights *= -1 / temperature
        np.exp(weights, out=weights)
        totals = np.add.reduceat(weights, starts)
        weights /= np.repeat(totals, counts)
        return float(np.mean(lowest - temperature * np.log(totals))), weights

    def lowest(self, heights: np.ndarray) -> np.ndarray:
        """min_j (g_j + c_ij) over the pairs of each row, shape (n,)."""
        return np.minimum.reduceat(heights[self.matrix.indices] + self.matrix.data, self.matrix.indptr[:-1])

    def union(self, other: _Arcs) -> _Arcs:
        """The pairs of both."""
        both = [arcs.matrix.tocoo() for arcs in (self, other)]
        width = self.matrix.shape[1]
        keys, first = np.unique(
            np.concatenate([c.row.astype(np.int64) * width + c.col for c in both]), return_index=True
        )
        costs = np.concatenate([c.data for c in both])[first]
        pointers = np.searchsorted(keys, np.arange(self.matrix.shape[0] + 1) * width)
        indices = (keys % width).astype(np.int32)
        return _Arcs(sparse.csr_array((costs, indices, pointers), shape=self.matrix.shape))

    def with_weights(self, weights: np.ndarray) -> sparse.csr_array:
        return sparse.csr_array((weights, self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape)


def _scan(costs: _Costs, heights: np.ndarray, reach: float) -> tuple[np.ndarray, _Arcs]:
    """Return min_j (g_j + c_ij) for every i, and the pairs within reach of it (at least one per row and column)."""
    values = np.empty(costs.shape[0])
    nearest, nearest_row = np.full(costs.shape[1], math.inf), np.zeros(costs.shape[1], np.int64)
    pieces: list[sparse.csr_array] = []
    for rows, block in costs.blocks():
        reduced = block + heights
        values[rows] = reduced.min(axis=1)
        reduced -= values[rows][:, None]
        closest = reduced.argmin(axis=0)
        least = reduced[closest, np.arange(len(heights))]
        better = least < nearest
        nearest[better], nearest_row[better] = least[better], rows.start + closest[better]
        kept = reduced <= reach
        indices = np.flatnonzero(kept)
        indices %= len(heights)
        pointers = np.concatenate([[0], np.cumsum(np.count_nonzero(kept, axis=1))])
        pieces.append(sparse.csr_array((block[kept], indices.astype(np.int32), pointers), shape=block.shape))
    matrix = sparse.vstack(pieces, format="csr") if len(pieces) > 1 else pieces[0]
    lonely = np.flatnonzero(nearest > reach)  # points of Q that no row would reach
    if len(lonely):
        extra = _costs_of(costs, nearest_row[lonely], lonely)
        coordinates = matrix.tocoo()
        matrix = sparse.csr_array(
            (
                np.concatenate([coordinates.data, extra]),
                (
                    np.concatenate([coordinates.row, nearest_row[lonely]]),
                    np.concatenate([coordinates.col, lonely]),
                ),
            ),
            shape=matrix.shape,
        )
    return values, _Arcs(matrix)


def _costs_of(costs: _Costs, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    distances = np.linalg.norm(costs.x[rows] - costs.y[columns], axis=1)
    return costs.L * distances**costs.power


# ---------------------------------------------------------------------- one level


class Reweighting:
    """Λ_f on m points in float64: value, gradient (a measure of mass one) and curvature."""

    def __init__(self, f: Entropy, count: int) -> None:
        self.f, self.count = f, count
        self.coupling = f.coupling if isinstance(f, WholeEntropy) else 0.0

    def __call__(self, heights: np.ndarray, width: float = 1.0) -> tuple[float, np.ndarray, np.ndarray]:
        with jax.enable_x64(True):
            level, density, curvature = _compiled(self.f, jnp.asarray(heights), width)
            return float(level), np.asarray(density) / self.count, np.asarray(curvature) / self.count

    def cost(self, mass: np.ndarray) -> float:
        """D_f(R‖Q) for R of this mass on Q's points."""
        with jax.enable_x64(True):
            return max(float(cost(self.f, jnp.asarray(mass * self.count))), 0.0)


@partial(jax.jit, static_argnums=0)
def _compiled(f: Entropy, heights: Any, width: Any) -> Any:
    return reweighting(f, heights, width)


def _ascend(
    arcs: _Arcs, reweight: Reweighting, heights: np.ndarray, temperature: float, aim: float
) -> tuple[np.ndarray, sparse.csr_array, bool]:
    """Newton's method on the softened objective.

    Return heights, the plan with rows that sum to one, and whether its second marginal is what Λ asks for.
    """
    count = arcs.matrix.shape[0]
    width = narrowest = min(temperature, 0.5)  # heights are in units of f, of order one
    soft, weights = arcs.soft_minimum(heights, temperature)
    level, mass, curvature = reweight(heights, width)
    objective = soft - level
    stride = _STRIDE
    for _ in range(60):
        plan = arcs.with_weights(weights)
        arrived = plan.sum(axis=0) / count
        gradient = arrived - mass
        direction = _newton_direction(plan, arrived, curvature, temperature, gradient, stride * temperature)
        if reweight.coupling != 0:
            # Λ'' has coupling · (R's masses)(R's masses)ᵀ besides its diagonal: Sherman and Morrison's formula.
            across = _newton_direction(plan, arrived, curvature, temperature, mass, stride * temperature)
            bend = 1 + reweight.coupling * float(mass @ across)
            corrected = direction - reweight.coupling * float(mass @ direction) / bend * across
            direction = corrected if gradient @ corrected > 0 else direction
        gain = float(gradient @ direction)  # twice what a full step would gain
        unbalanced = reweight.cost(arrived) + level - float(arrived @ heights)  # Fenchel's gap: 0 if w is Λ's gradient
        slack = temperature * _entropy_of_rows(weights, count)
        if unbalanced <= 0.2 * max(aim, slack):
            return heights - heights.mean(), plan, True
        step = 1.0
        while True:
            proposed = heights + step * direction
            soft, weights_there = arcs.soft_minimum(proposed, temperature)
            level, mass_there, curvature_there = reweight(proposed, width)
            if soft - level >= objective + 0.1 * step * gain - 1e-14 * abs(objective):
                break
            step *= 0.4
            if step < 1e-7:
                break
        if step < 1e-7:
            if width >= temperature:
                return heights, plan, False
            # Kinks of f*' look like jumps to heights of this size, and slopes beside them say nothing.
            width = min(16 * width, temperature)
            level, mass, curvature = reweight(heights, width)
            continue
        if step < 0.1:
            width = min(4 * width, temperature)
        elif step == 1:
            width = max(0.25 * width, narrowest)
        stride = min(4 * stride, 1e6) if step == 1 else max(0.5 * stride, 4)
        heights, weights, mass, curvature = proposed, weights_there, mass_there, curvature_there
        objective = soft - level
    return heights - heights.mean(), arcs.with_weights(weights), False


def _entropy_of_rows(weights: np.ndarray, count: int) -> float:
    """Mean entropy of the plan's rows: times ε, about the gap that this temperature leaves."""
    positive = weights[weights > 0]
    return float(-(positive * np.log(positive)).sum() / count)


def _newton_direction(
    plan: sparse.csr_array,
    arrived: np.ndarray,
    curvature: np.ndarray,
    temperature: float,
    gradient: np.ndarray,
    farthest: float,
) -> np.ndarray:
    """Solve [diag(w/ε + κ) - ΠᵀΠ/(n ε)] δ = gradient.

    The Hessian of Λ is diag(κ) - κκᵀ/Σκ, but its second term vanishes at the solution: the matrix above sends
    constants to κ and the gradient sums to zero, so κ·δ = 0. Where nothing else holds a height (no curvature, no
    shared rows) a ridge lets it move `farthest`; elsewhere the ridge vanishes with the gradient, and Newton's speed
    stays.
    """
    count, width = plan.shape
    ridge = np.abs(gradient) / farthest + 1e-14 / (temperature * width)
    bounded = np.minimum(curvature, 1e6 * (arrived + 1 / width) / temperature)
    diagonal = arrived / temperature + bounded + ridge
    inverse, scale = 1 / diagonal, 1 / (count * temperature)
    by_column = width <= count
    if min(count, width) <= _DENSE or plan.nnz <= _SPARSE * (count + width):
        # The smaller of the two sides, for D - ΠᵀΠ and 1 - ΠD⁻¹Πᵀ are the same system (Woodbury).
        root = plan * np.sqrt(scale)
        inner = root.T @ root if by_column else (root * inverse) @ root.T
        goal = gradient if by_column else root @ (inverse * gradient)
        outer = diagonal if by_column else np.ones(count)
        solved = _solve_symmetric(outer, inner, goal)
        direction = solved if by_column else inverse * (gradient + root.T @ solved)
        if np.isfinite(direction).all() and gradient @ direction > 0:
            return np.asarray(direction)
    transposed = plan.T if plan.nnz > 3_000_000 else plan.T.tocsr()
    return _conjugate_gradients(lambda v: diagonal * v - scale * (transposed @ (plan @ v)), gradient, inverse)


def _solve_symmetric(diagonal: np.ndarray, inner: sparse.csr_array, goal: np.ndarray) -> np.ndarray:
    """Solve (diag - inner) v = goal, inner positive semidefinite."""
    if len(goal) <= _DENSE:
        return np.linalg.solve(np.diag(diagonal) - inner.toarray(), goal)
    return sparse.linalg.spsolve((sparse.diags_array(diagonal) - inner).tocsc(), goal)


def _conjugate_gradients(
    apply: Callable[[np.ndarray], np.ndarray], goal: np.ndarray, inverse: np.ndarray, most: int = 300
) -> np.ndarray:
    """Preconditioned conjugate gradients to 3 % of the residual: Newton's next step mends the rest."""
    solution, residual = np.zeros_like(goal), goal.copy()
    scaled = residual * inverse
    direction, product = scaled.copy(), float(residual @ scaled)
    enough = 1e-3 * product
    for _ in range(most):
        image = apply(direction)
        bend = float(direction @ image)
        if not bend > 0:
            break
        solution += (product / bend) * direction
        residual -= (product / bend) * image
        scaled = residual * inverse
        following = float(residual @ scaled)
        if following <= enough:
            break
        direction = scaled + (following / product) * direction
        product = following
    return solution


# ---------------------------------------------------------------------- without reweighting


def _network_simplex(x: np.ndarray, y: np.ndarray, L: float, power: float) -> SampleSolution:
    """L·W_p^p by POT's network simplex (Bonneel et al. 2011); its dual, made feasible, is the lower bound."""
    import ot

    costs = _Costs(x, y, L, power)
    cost = np.concatenate([block for _, block in costs.blocks()])
    largest = float(cost.max())
    if largest == 0:
        return _all_in_one(len(x), len(y))
    masses = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    # The solver's tolerances are absolute: without a common scale, tiny units would end it early.
    cost /= largest
    plan, log = ot.emd(*masses, cost, numItermax=100_000_000, log=True)
    cost *= largest
    heights = -largest * np.asarray(log["v"])
    heights -= heights.mean()
    values = np.concatenate([(block + heights).min(axis=1) for _, block in costs.blocks()])
    lower = max(float(values.mean() - heights.mean()), 0.0)
    flow = sparse.csr_array(plan)
    upper = max(float(flow.multiply(cost).sum()), lower)
    closed = log["warning"] is None and upper - lower <= 1e-9 * upper
    return SampleSolution(
        lower,
        upper,
        heights,
        values,
        flow,
        np.ones(len(y)),
        upper,
        0.0,
        0.0,
        closed,
        1,
        _ROUNDING * largest,
    )


def _all_in_one(n: int, m: int) -> SampleSolution:
    plan = sparse.csr_array(np.full((n, m), 1 / (n * m)))
    return SampleSolution(0.0, 0.0, np.zeros(m), np.zeros(n), plan, np.ones(m), 0.0, 0.0, 0.0, True, 0, 0.0)
