"""The W1+W2 proximal flow: a velocity field that is trained, one implicit Euler (JKO) step.

    min over v:  D_f^Γ(ρ_T‖Q) + λ ∫_0^T (1/p) E|v_t|^p dt,        dx/dt = v_t(x) [+ σ dW],   x_0 ~ ρ_0

    repeat:  push a batch along v;  φ ascends between its end and the target;  v descends E φ(x_T) + λ · its cost

Forward only: nothing is inverted, no determinant is taken. The gradient in v of the first term is that of E φ(x_T), φ
the first variation. The optimum is a mean-field game (`optimality` measures by how much a velocity misses it): along
its lines v is constant, so a term that fines changes of v on the way moves no optimum and makes lines straight, which
is why the same samples come out at other step counts. Grids of times are drawn afresh at every step, so that none is
learned.

Source: Gu, Katsoulakis, Rey-Bellet, Zhang, "Combining Wasserstein-1 and Wasserstein-2 proximals: robust manifold
learning via well-posed generative flows" (2024). Bad at: a λ that is large beside L / distance: then it pays to stay.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array

from proxflow.flows.base import Drive, Flow, refitted
from proxflow.gamma.base import Potential, gradients
from proxflow.targets import Target
from proxflow.velocities.base import PotentialVelocity, Velocity, with_network
from proxflow.velocities.equations import hamilton_jacobi

__all__ = ["Proximal", "ProximalReport", "ProximalState", "Pushed", "annealed", "push", "random_grid"]

_FIRST_MOMENT = 0.9
# Of a step: across a flat target, speeds of points that are not quite there grow as the time left ends.
_LEAST_CUT = 0.15


class ProximalReport(NamedTuple):
    """What every training step says, before it changes the velocity.

    value, fisher, slope: of φ at the end points, as in `Report`; step_size: the learning rate; kinetic: the mean of
    ∫ |v|^p / p; bending: mean squared change of v from step to step.
    """

    value: Array
    fisher: Array
    slope: Array
    step_size: Array
    kinetic: Array
    bending: Array


class ProximalState(NamedTuple):
    """What training changes, the key of its random numbers, and where the last batch ended."""

    network: Any
    adam: optax.OptState
    key: Array
    ends: Array


class Costs(NamedTuple):
    """Of one push of a batch: ∫ E|v|^p / p; the mean squared change of v; the squared residual, in units of |v|²."""

    kinetic: Array
    bending: Array
    residual: Array


class Pushed(Target):
    """A source carried along velocities that are trained already: where the next block of a chain begins."""

    points: Array
    source: Target
    velocities: tuple[Velocity, ...]
    steps: int = eqx.field(static=True)
    noise: float = eqx.field(static=True)

    def draw(self, key: Array) -> Array:
        cloud = self.source.draw(key)
        for number, velocity in enumerate(self.velocities):
            times = jnp.linspace(0.0, 1.0, self.steps + 1) * velocity.frame.duration
            cloud = push(velocity, cloud, times, noise=self.noise, key=jax.random.fold_in(key, number))[0]
        return cloud


class Proximal(Flow):
    """Adam on the network of a velocity.

    Parameters
    ----------
    velocity
        The velocity to begin with.
    source
        ρ_0: a measure whose `draw` returns a batch.
    weight
        λ.
    straightening
        Of the fine on changes of v along the way, in units of λ; 0 for none. Without effect on noisy paths.
    residual_weight
        Of the squared Hamilton-Jacobi residual along the way, in units of λ; potential form only.
    terminal_weight
        Of |λ v(x_T) + ∇φ(x_T)|², in units of 1/λ.
    updates
        Of the potential, for each of the velocity's.
    noise
        σ.
    time_steps
        K.
    learning_rate
        Of Adam at first; it falls to zero along a cosine.
    horizon
        The step at which it is zero.
    """

    reports: ClassVar[type[tuple]] = ProximalReport
    velocity: Velocity
    source: Target
    weight: float
    learning_rate: float
    horizon: float
    updates: int = eqx.field(static=True, default=5)
    time_steps: int = eqx.field(static=True, default=4)
    straightening: float = eqx.field(static=True, default=80.0)
    residual_weight: float = eqx.field(static=True, default=0.0)
    terminal_weight: float = eqx.field(static=True, default=0.0)
    noise: float = eqx.field(static=True, default=0.0)
    power: float = eqx.field(static=True, default=2.0)

    def init(self, source: Array, key: Array | None = None) -> ProximalState:
        key = jax.random.key(0) if key is None else key
        network = self.velocity.network
        ends = self.source.draw(key)
        return ProximalState(network, _adam().init(network), jax.random.key_data(key), ends)

    def cloud(self, state: Any) -> Array:
        return state.ends

    def sound(self, state: Any) -> Array:
        return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves((state.network, state.ends))]).all()

    def trained(self, state: Any) -> Velocity:
        """The velocity of a state."""
        return with_network(self.velocity, state.network)

    def step(
        self, state: Any, drive: Drive, memory: Any, index: Array
    ) -> tuple[ProximalState, Any, ProximalReport, tuple[Potential, ...]]:
        keys = jax.random.split(jax.random.fold_in(jax.random.wrap_key_data(state.key), index), 3)
        start = self.source.draw(keys[0])
        times = random_grid(keys[1], self.time_steps) * self.velocity.frame.duration
        (ends, last, _), pull, costs = jax.vjp(
            lambda n: self._pushed(n, start, times, keys[2]), state.network, has_aux=True
        )
        potential, value, memory = refitted(drive, ends, memory, self.updates)
        slopes = gradients(potential, ends)
        mismatch = 2 * self.terminal_weight * (self.weight * last + slopes)  # of the last velocities to what φ asks for
        (uphill,) = pull((slopes / len(start), mismatch / len(start), jnp.ones_like(value)))
        direction, adam = _adam().update(uphill, state.adam)
        rate = annealed(self.learning_rate, index, self.horizon)
        network = jax.tree.map(lambda w, d: w - rate * d, state.network, direction)
        squares = jnp.sum(slopes**2, axis=1)
        report = ProximalReport(
            value, jnp.mean(squares), jnp.sqrt(jnp.max(squares)), rate.astype(value.dtype), costs.kinetic, costs.bending
        )
        return ProximalState(network, adam, state.key, ends), memory, report, (potential,)

    def _pushed(self, network: Any, start: Array, times: Array, key: Array) -> tuple[tuple[Array, Array, Array], Costs]:
        """End points, last velocities, and what the way costs, λ included; and the costs one by one."""
        velocity = with_network(self.velocity, network)
        ends, last, costs = push(
            velocity, start, times, power=self.power, noise=self.noise, key=key, residual=bool(self.residual_weight)
        )
        straight = 0.0 if self.noise else self.straightening * velocity.frame.duration
        cost = self.weight * (costs.kinetic + straight * costs.bending + self.residual_weight * costs.residual)
        return (ends, last, cost), costs


def push(
    velocity: Velocity, start: Array, times: Array, *, power: float = 2.0, noise: float = 0.0, key: Array | None = None,
    residual: bool = False,
) -> tuple[Array, Array, Costs]:  # fmt: skip
    """Carry points (n, d) along a velocity by Euler's steps between the times; ends, last velocities, costs."""
    unit = velocity.frame.scale / velocity.frame.duration
    key = jax.random.key(0) if key is None else key

    def step(carry: tuple[Array, Array, Array], interval: tuple[Array, ...]) -> tuple[Any, None]:
        points, before, total = carry
        time, size, weight, number = interval
        v = velocity(points, time)
        squares = jnp.sum(v**2, axis=1)
        powers = squares if power == 2 else unit**2 * (squares / unit**2 + 1e-12) ** (power / 2)
        bent = weight * jnp.mean(jnp.sum((v - before) ** 2, axis=1))
        drawn = jax.random.fold_in(key, number)
        missed: Any = 0.0
        if residual and isinstance(velocity, PotentialVelocity):
            missed = jnp.mean(hamilton_jacobi(velocity, points, time, noise, drawn) ** 2)
        costs = jnp.stack([size * jnp.mean(powers) / power, bent, size * missed / unit**2])
        points += size * v
        if noise:
            points += noise * jnp.sqrt(size) * jax.random.normal(drawn, points.shape)
        return (points, v, total + costs), None

    sizes = jnp.diff(times)
    # A change counts by the shorter of its two steps, and the first velocity is none.
    shorter = jnp.concatenate([jnp.zeros(1), jnp.minimum(sizes[1:], sizes[:-1])])
    intervals = times[:-1], sizes, shorter / jnp.maximum(jnp.sum(shorter), 1e-12), jnp.arange(len(sizes))
    at_rest = start, jnp.zeros_like(start), jnp.zeros(3, start.dtype)
    (ends, last, total), _ = jax.lax.scan(step, at_rest, intervals)
    return ends, last, Costs(*total)


def random_grid(key: Array, steps: int) -> Array:
    """Times 0 to 1 of that many steps, by one of three rules.

    Equal steps; half as many, the rest without length; equal ones but for the first and the last, which are cut at
    random, so that every time but the very end is seen.
    """
    if steps == 1:
        return jnp.asarray([0.0, 1.0])
    kind, place = jax.random.split(key)
    cut = jax.random.uniform(place, minval=_LEAST_CUT, maxval=1 - _LEAST_CUT)
    shifted = jnp.concatenate([jnp.zeros(1), (jnp.arange(steps - 1) + cut) / (steps - 1), jnp.ones(1)])
    half = steps // 2
    few = jnp.concatenate([jnp.zeros(steps - half), jnp.linspace(0.0, 1.0, half + 1)])
    grids = jnp.stack([jnp.linspace(0.0, 1.0, steps + 1), few, shifted])
    return grids[jax.random.randint(kind, (), 0, len(grids))]


def annealed(rate: Any, index: Any, horizon: Any) -> Array:
    """A learning rate that falls to zero along a cosine."""
    return 0.5 * rate * (1 + jnp.cos(jnp.pi * jnp.minimum(index / horizon, 1.0)))


def _adam() -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=_FIRST_MOMENT)
