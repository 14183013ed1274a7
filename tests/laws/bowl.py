"""A flow with a known solution, for the laws of methods: a bowl as stiff as the cloud is wide."""

import jax
import jax.numpy as jnp
import numpy as np

from laws.tables import METHODS, PAIRS
from proxflow.flows import Particles
from proxflow.gamma import Potential

START = np.asarray([[0.3, -1.1], [2.0, 0.7], [-0.5, 1.6]])


class Bowl(Potential):
    """φ(x) = stiffness |x|² / 2."""

    stiffness: jax.Array

    def __call__(self, points):
        return self.stiffness * jnp.sum(points**2, axis=1) / 2


def bowl_drive(cloud, memory):
    """A potential that depends on the cloud, as a fitted one does, and a memory that counts the fits.

    With m the mean square of the coordinates as stiffness, dm/dt = -2 m², so y(t) = y(0) / √(1 + 2 m(0) t).
    """
    potential = Bowl(jnp.mean(cloud**2))
    return potential, jnp.mean(potential(cloud)), memory + 1


@jax.jit
def follow(flow, cloud, until):
    """Step until that time: the cloud there, the time, and how many steps and fits it took."""

    def step(carry):
        state, fits, steps, time = carry
        state, fits, report, _ = flow.step(state, bowl_drive, fits, steps)
        return state, fits, steps + 1, time + report.step_size

    zero = jnp.zeros((), cloud.dtype)
    carry = jax.lax.while_loop(lambda c: c[3] < until * (1 - 1e-9), step, (flow.init(cloud), 0, 0, zero))
    return flow.cloud(carry[0]), carry[3], carry[2], carry[1]


@jax.jit
def one_step(flow, cloud):
    return flow.step(flow.init(cloud), bowl_drive, 0, 0)


@jax.jit
def recorded(flow, cloud):
    """Twenty steps: where they end, and their sizes and potentials."""

    def step(carry, index):
        state, memory, report, potentials = flow.step(carry[0], bowl_drive, carry[1], index)
        return (state, memory), (report.step_size, potentials)

    (state, _), kept = jax.lax.scan(step, (flow.init(cloud), 0), jnp.arange(20))
    return state, kept


def errors_at_half_and_half_the_step(method, rule, steps=(40, 80, 160)):
    """The step sizes, or means of those that a pair chose, the errors, and the fits per step."""
    sizes, errors, ratios = [], [], []
    with jax.enable_x64(True):
        for count in steps:
            # The error of a pair's step is of the method's order, so this halves its steps too.
            flow = Particles(rule(0.5 / count), method, rtol=0.0, atol=0.3 * count ** -float(METHODS[method]))
            cloud, time, taken, fits = follow(flow, jnp.asarray(START), 0.5)
            exact = START / np.sqrt(1 + 2 * np.mean(START**2) * float(time))
            errors.append(np.abs(np.asarray(cloud) - exact).max())
            sizes.append(float(time / taken) if method in PAIRS else 0.5 / count)
            ratios.append(float(fits / taken))
    return np.asarray(sizes), np.asarray(errors), ratios
