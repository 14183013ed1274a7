"""The ball of an RKHS: φ = Σ_z a_z k(z, ·) with ‖φ‖² = aᵀKa <= radius², z the particles and the target's samples.

With f = IPM the divergence is radius · MMD, in closed form, and the particles follow the MMD flow (Arbel, Korba,
Salim, Gretton, "Maximum mean discrepancy gradient flow", NeurIPS 2019). With KL they follow a relative of the KALE
flow (Glaser, Arbel, Gretton, "KALE flow: a relaxed KL gradient flow for probabilities with disjoint support",
NeurIPS 2021), which penalises ‖φ‖² where this bounds it.

By the representer theorem nothing is lost by these φ. The objective F is concave in φ's values v = Ka, and its
gradient in the RKHS is Σ_z (∂F/∂v_z) k(z, ·): coefficients step along g = ∂F/∂v, and the ball's projection scales
them. F* <= F(φ) + radius ‖g‖ - <g, v>, with equality for linear F, says when to stop.

Bad at: thousands of points (the Gram matrix), particles far away (Gaussian and Laplace kernels are flat beyond a few
bandwidths: use the energy kernel), details much finer than the bandwidth, and high dimension. The bandwidth
is that of the data at the start; a flow that begins far from its target deserves one of the target alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.gamma.base import Gamma, Objective, Potential
from proxflow.gamma.kernels import KERNELS, exact_gram, gram, named_kernel, placed
from proxflow.validation import check_positive

__all__ = ["KernelBall", "KernelPotential", "KernelState", "norm"]

_GROWTH = 1.5  # of the step length after every update; halved as often as needed
_HALVINGS = 30
_PRECISION = 1e-6  # of F, at which an ascent ends early
_BLOCK = 1000  # rows of a Gram matrix at a time, in float64


class KernelPotential(Potential):
    """φ(x) = Σ_j a_j k(u_j, (x - c) / σ), with anchors u_j of shape (n, d) in units of the bandwidth σ."""

    anchors: Array
    coefficients: Array
    centre: Array
    bandwidth: Array
    kernel: str = eqx.field(static=True)

    def __call__(self, points: Array) -> Array:
        inside = (points - self.centre) / self.bandwidth
        return gram(KERNELS[self.kernel], inside, self.anchors) @ self.coefficients


class KernelState(NamedTuple):
    """All that an ascent changes. Row j of points, at its latest place, carries coefficient j."""

    points: Array
    coefficients: Array
    previous: Array  # coefficients one update before, for the momentum
    momentum: Array  # Nesterov's t
    step: Array  # the last step length, 0 before the first
    centre: Array
    bandwidth: Array


class _Iterate(NamedTuple):
    """A function in the RKHS: its coefficients and its values, which depend on them linearly."""

    coefficients: Array
    values: Array


def _combine(first: _Iterate, weight: Array, second: _Iterate) -> _Iterate:
    """Return first + weight · second."""
    return jax.tree.map(lambda a, b: a + weight * b, first, second)


class KernelBall(Gamma):
    """Potentials in the ball of an RKHS.

    Parameters
    ----------
    radius
        Of the ball, in units of potential (over the square root of the data's unit for the energy kernel).
        For f = IPM it only scales the potential.
    kernel
        "gaussian", "laplace" or "energy".
    bandwidth
        σ, in the data's unit; None takes the median distance between points of the pooled first clouds. The energy
        kernel has none.
    updates
        The most gradient steps per ascent, each one product with the Gram matrix of all points.

    Raises
    ------
    ValueError
        An unknown kernel, a radius or bandwidth that is not positive, or a bandwidth for the energy kernel.

    Examples
    --------
    >>> import numpy as np
    >>> from proxflow import Divergence, IPM, evolve
    >>> from proxflow.flows import Particles
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> run = evolve(Particles(), Divergence(KernelBall(kernel="energy"), IPM()), x + 5, x, steps=50)
    >>> bool(run.history["value"][-1] < 0.1 * run.history["value"][0])
    True
    """

    radius: float = 1.0
    kernel: str = eqx.field(static=True, default="gaussian")
    bandwidth: float | None = None
    updates: int = eqx.field(static=True, default=20)

    def __check_init__(self) -> None:
        named_kernel(self.kernel, self.bandwidth)
        check_positive(self.radius, "radius")

    def init(self, key: Array, particles: Array, target: Array) -> KernelState:
        """Return φ = 0 with the data's centre and bandwidth: nothing is random."""
        clouds = np.asarray(particles), np.asarray(target)
        dtype = clouds[0].dtype
        centre, unit = placed(*clouds)
        if self.bandwidth is not None:
            unit = float(self.bandwidth)
        still = np.zeros(len(clouds[0]) + len(clouds[1]), dtype)
        leaves: Any = (
            np.concatenate(clouds).astype(dtype), still, still, np.ones((), dtype), np.zeros((), dtype),
            centre.astype(dtype), np.asarray(unit, dtype),
        )  # fmt: skip
        return jax.device_put(KernelState(*leaves))

    def ascend(self, objective: Objective, particles: Array, target: Array, state: Any) -> KernelState:
        count = particles.shape[0]
        points = jnp.concatenate([particles, target])
        inside = (points - state.centre) / state.bandwidth
        return _ascend(
            lambda values: objective(values[:count], values[count:]),
            gram(KERNELS[self.kernel], inside, inside),
            self._reach(state.bandwidth),
            state._replace(points=points),
            self.updates,
        )

    def potential(self, state: Any) -> KernelPotential:
        anchors = (state.points - state.centre) / state.bandwidth
        return KernelPotential(anchors, state.coefficients, state.centre, state.bandwidth, self.kernel)

    def lipschitz_bound(self, potential: Any) -> float:
        """Return ‖φ‖ / σ, at most radius / σ, for the Gaussian kernel; inf for the others.

        ‖φ‖ bounds no slope where the kernel has a kink, whatever the slope of this one φ is.
        """
        return norm(potential) / float(potential.bandwidth) if KERNELS[self.kernel].smooth else math.inf

    def share_inside(self, potential: Any) -> float:
        return min(1.0, self.radius / max(norm(potential), 1e-300))

    def _reach(self, bandwidth: Array) -> Array:
        """The radius in the RKHS of the kernel in bandwidths; the energy kernel in the data's units is σ times it."""
        radius = jnp.asarray(self.radius, bandwidth.dtype)
        return radius * jnp.sqrt(bandwidth) if KERNELS[self.kernel].anchored else radius


def norm(potential: KernelPotential) -> float:
    """‖φ‖ in the RKHS, in float64 whatever φ was fitted in: at most the radius, but for that fit's rounding."""
    kernel = KERNELS[potential.kernel]
    anchors, weights = (np.asarray(leaf, np.float64) for leaf in (potential.anchors, potential.coefficients))
    square = 0.0
    for start in range(0, len(anchors), _BLOCK):
        rows = slice(start, start + _BLOCK)
        square += float(weights[rows] @ exact_gram(kernel, anchors[rows], anchors) @ weights)
    unit = float(potential.bandwidth) if kernel.anchored else 1.0
    return math.sqrt(max(square, 0.0) / unit)


def _ascend(
    height: Callable[[Array], Array], matrix: Array, radius: Array, state: KernelState, updates: int
) -> KernelState:
    """FISTA (Beck and Teboulle 2009) with a step length found by trial and a restart wherever F would fall.

    Values are linear in coefficients, so a trial step costs no product with the matrix: each update has one.
    """
    epsilon = jnp.finfo(matrix.dtype).eps
    largest = jnp.maximum(jnp.max(jnp.diagonal(matrix)), epsilon)
    slope = jax.grad(height)

    def direction(at: _Iterate) -> tuple[_Iterate, Array]:
        """The gradient in the RKHS and its norm, not below what rounding leaves of a gradient that vanishes."""
        gradient = slope(at.values)
        up = _Iterate(gradient, matrix @ gradient)
        floor = 4 * epsilon * largest * jnp.sum(jnp.abs(gradient)) ** 2
        size = jnp.sqrt(jnp.maximum(jnp.vdot(*up), jnp.maximum(floor, jnp.finfo(matrix.dtype).tiny)))
        return up, size

    def shrink(at: _Iterate) -> tuple[_Iterate, Array]:
        """Project onto the ball; the factor too."""
        square = jnp.vdot(*at)
        outside = square > radius**2
        factor = jnp.where(outside, radius / jnp.sqrt(jnp.where(outside, square, 1.0)), 1.0)
        return jax.tree.map(lambda leaf: factor * leaf, at), factor

    def attempt(start: _Iterate, up: _Iterate, first_step: Array) -> tuple[_Iterate, Array]:
        """The projected step, the largest of first_step, first_step / 2, ... along which F curves less than 1 / step.

        Curvature is read off gradients, for differences of F drown in rounding near the maximum.
        """

        def trial(step: Array) -> tuple[_Iterate, Array]:
            new, factor = shrink(_combine(start, step, up))
            # new - start, without cancellation
            change = jax.tree.map(lambda s, u: (factor - 1) * s + factor * step * u, start, up)
            bend = jnp.vdot(up.coefficients - slope(new.values), change.values)
            noise = 4 * epsilon * jnp.sum(jnp.abs(up.coefficients)) * jnp.max(jnp.abs(change.values))
            return new, step * (bend - noise) <= jnp.vdot(*change)

        def again(carry: tuple[Array, Array, _Iterate, Array]) -> tuple[Array, Array, _Iterate, Array]:
            halvings, step, _, _ = carry
            return (halvings + 1, 0.5 * step, *trial(0.5 * step))

        first = (jnp.asarray(0), first_step, *trial(first_step))
        _, step, new, _ = jax.lax.while_loop(lambda carry: ~carry[3] & (carry[0] < _HALVINGS), again, first)
        return new, step

    def unfinished(carry: tuple[Any, ...]) -> Array:
        index, *_, gap, level = carry
        return (index < updates) & ~(gap <= _PRECISION * jnp.abs(level))

    def update(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        index, now, before, momentum, step, _, level = carry
        following = 0.5 * (1 + jnp.sqrt(1 + 4 * momentum**2))
        weight = (momentum - 1) / following
        start = jax.tree.map(lambda a, b: a + weight * (a - b), now, before)
        up, size = direction(start)
        # A longer step than this ends at the same point of the sphere.
        new, step = attempt(start, up, jnp.minimum(_GROWTH * step, 1e4 * radius / size))
        reached = height(new.values)
        gap = height(start.values) + radius * size - jnp.vdot(up.coefficients, start.values) - level
        better = reached > level
        keep = lambda a, b: jnp.where(better, a, b)  # noqa: E731
        after = jax.tree.map(keep, new, now)
        return index + 1, after, now, keep(following, 1.0), step, gap, jnp.maximum(reached, level)

    now, _ = shrink(_Iterate(state.coefficients, matrix @ state.coefficients))
    up, size = direction(now)
    # The maximum of F's linear part: for f = IPM, where F is linear, this is the answer.
    vertex = jax.tree.map(lambda leaf: radius / size * leaf, up)
    level, top = height(now.values), height(vertex.values)
    better = top > level
    now = jax.tree.map(lambda a, b: jnp.where(better, a, b), vertex, now)
    before = _Iterate(state.previous, matrix @ state.previous)
    before = jax.tree.map(lambda a, b: jnp.where(better, a, b), now, before)
    gap = jnp.full_like(level, jnp.inf)
    step = jnp.where(state.step > 0, state.step, 1 / largest)
    carry = (jnp.asarray(0), now, before, state.momentum, step, gap, jnp.maximum(level, top))
    _, now, before, momentum, step, *_ = jax.lax.while_loop(unfinished, update, carry)
    return state._replace(coefficients=now.coefficients, previous=before.coefficients, momentum=momentum, step=step)
