"""By how much a velocity misses the optimum of its W1+W2 proximal, seen on paths of points it was not trained on.

| number | what | 0 for |
| --- | --- | --- |
| kinetic energy | ∫ E|v|² / 2 along the paths | |
| straightness | ∫ E|v - (x_T - x_0)/T|², over ∫ E|v|² | straight lines at constant speed |
| acceleration | rms of ∂v/∂t + (v·∇)v, over rms |v| / T | the same, also between the paths' steps |
| Hamilton-Jacobi | rms of the residual of U/λ (`velocities.equations`), over the mean of |v|² / 2 | an optimal U |
| terminal mismatch | rms |λ v(x_T, T) + ∇φ(x_T)|, over rms |λ v| | U(., T) = φ up to a constant |
| discretisation | rms distance between end points of n and of many steps, over the target's radius | any step count |

Source: the optimality conditions of Gu, Katsoulakis, Rey-Bellet, Zhang (2024), a mean-field game. The mismatch is
judged with the last potential of the training, and φ is known up to its own error: a network of slope near L
everywhere does not tell a gradient of 0.02 L. So of these numbers it is the least exact, and the one that λ moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.gamma.base import Potential, gradients
from proxflow.velocities.base import PotentialVelocity, Velocity
from proxflow.velocities.equations import acceleration, hamilton_jacobi

__all__ = ["Optimality", "optimality_of"]

_TINY = float(np.finfo(np.float32).tiny)
_FINE, _FINEST = 32, 128  # steps of the paths that are judged, and of those that end points are compared with


@dataclass(frozen=True)
class Optimality:
    """See the table above. hamilton_jacobi is None in the free form, whose velocity has no potential.

    discretisation: for each number of steps, how far end points are from those of the finest, over the target's radius.
    """

    kinetic: float
    straightness: float
    acceleration: float
    hamilton_jacobi: float | None
    terminal_mismatch: float | None
    discretisation: dict[int, float]

    def to_dict(self) -> dict[str, Any]:
        """All numbers, with plain keys."""
        return asdict(self) | {"discretisation": {str(n): d for n, d in self.discretisation.items()}}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Optimality:
        """What `to_dict` told."""
        return cls(**{**found, "discretisation": {int(n): float(d) for n, d in found["discretisation"].items()}})

    def rows(self) -> list[tuple[str, float, str]]:
        """What, value and meaning, for a table."""
        found = [
            ("kinetic energy", self.kinetic, "∫ E|v|² / 2: what the way costs, before λ"),
            ("straightness", self.straightness, "share of |v|² that is not along a straight line at constant speed"),
            ("acceleration", self.acceleration, "how fast v changes along its lines, over |v| / T"),
            (
                "Hamilton-Jacobi residual",
                self.hamilton_jacobi,
                "over |v|² / 2; 0 for an optimal potential; large where mass hardly moves",
            ),
            (
                "terminal mismatch",
                self.terminal_mismatch,
                "|λ v + ∇φ| at the end, over λ |v|; large for a small λ, where it says little",
            ),
        ]
        found += [
            (f"{n} steps", d, "how far end points are from those of many steps, in radii of the target")
            for n, d in self.discretisation.items()
        ]
        return [(what, value, meaning) for what, value, meaning in found if value is not None]

    def sentence(self) -> str:
        """What they say, in words."""
        bent = max(self.straightness, 0.0)
        lines = "straight" if bent < 0.02 else "nearly straight" if bent < 0.1 else "bent"
        worst = max(self.discretisation.values(), default=0.0)
        steps = ", ".join(str(n) for n in self.discretisation)
        return (
            f"Paths are {lines} ({bent:.1%} of their energy is not along a line); end points differ by at most"
            f" {worst:.1%} of the target's radius at {steps} steps."
        )


@jax.jit
def _along(velocity: Velocity, start: Array) -> tuple[Array, dict[str, Array]]:
    """End points by fine Euler steps, and means over the path of what the numbers are made of."""
    duration = velocity.frame.duration
    size = duration / _FINE
    key = jax.random.key(0)

    def step(carry: Any, number: Array) -> tuple[Any, Any]:
        points = carry
        time = number * size
        v = velocity(points, time)
        told = {
            "speed": jnp.mean(jnp.sum(v**2, axis=1)),
            "change": jnp.mean(jnp.sum(acceleration(velocity, points, time) ** 2, axis=1)),
        }
        if isinstance(velocity, PotentialVelocity):
            told["missed"] = jnp.mean(hamilton_jacobi(velocity, points, time, 0.0, key) ** 2)
        return points + size * v, told

    ends, told = jax.lax.scan(step, start, jnp.arange(_FINE, dtype=start.dtype))
    return ends, {name: jnp.mean(series) for name, series in told.items()}


@jax.jit
def ends_after(velocity: Velocity, start: Array, steps: Any) -> Array:
    """End points after so many equal steps of Heun's, as in sampling; the number is not compiled in."""
    size = velocity.frame.duration / steps

    def step(number: Array, points: Array) -> Array:
        first = velocity(points, number * size)
        second = velocity(points + size * first, (number + 1) * size)
        return points + 0.5 * size * (first + second)

    return jax.lax.fori_loop(0, steps, step, start)


@jax.jit
def _mismatch(velocity: Velocity, potential: Potential, ends: Array, weight: Any) -> tuple[Array, Array]:
    forces = weight * velocity(ends, velocity.frame.duration * (1 - 1e-3))
    slopes = gradients(potential, ends)
    return jnp.mean(jnp.sum((forces + slopes) ** 2, axis=1)), jnp.mean(jnp.sum(forces**2, axis=1))


def optimality_of(
    blocks: Sequence[Velocity], start: Array, *, weight: float, radius: float, potential: Potential | None,
    steps: Sequence[int],
) -> Optimality:  # fmt: skip
    """Judge a chain of velocities on points (n, k) of the source, none of which it need have seen.

    Parameters
    ----------
    blocks
        The velocities, one after the other; numbers but the last two are means over them.
    start
        Points of the source.
    weight
        λ.
    radius
        Of the target, the unit of `discretisation`.
    potential
        φ at the end; None leaves the mismatch out.
    steps
        Step counts per block to compare with the finest.
    """
    points = start
    found: list[dict[str, Any]] = []
    for velocity in blocks:
        ends, means = _along(velocity, points)
        told = {name: float(value) for name, value in means.items()}
        straight = float(jnp.mean(jnp.sum((ends - points) ** 2, axis=1))) / float(velocity.frame.duration) ** 2
        unit = max(told["speed"], _TINY)
        found.append(
            {
                "kinetic": 0.5 * told["speed"] * float(velocity.frame.duration),
                "straightness": 1 - straight / unit,
                "acceleration": np.sqrt(told["change"] / unit) * float(velocity.frame.duration),
                "missed": np.sqrt(told["missed"]) / (0.5 * unit) if "missed" in told else None,
            }
        )
        points = ends
    end, apart = points, {}
    fine = start
    for velocity in blocks:
        fine = ends_after(velocity, fine, np.int32(_FINEST))
    for count in steps:
        points = start
        for velocity in blocks:
            points = ends_after(velocity, points, np.int32(count))
        apart[count] = float(jnp.sqrt(jnp.mean(jnp.sum((points - fine) ** 2, axis=1)))) / radius
    mismatch = None
    if potential is not None and weight > 0:
        missed, size = _mismatch(blocks[-1], potential, end, weight)
        mismatch = float(np.sqrt(missed / max(float(size), _TINY)))
    residuals = [part["missed"] for part in found]
    return Optimality(
        kinetic=sum(part["kinetic"] for part in found),  # type: ignore[misc]
        straightness=float(np.mean([part["straightness"] for part in found])),
        acceleration=float(np.mean([part["acceleration"] for part in found])),
        hamilton_jacobi=None if None in residuals else float(np.mean(residuals)),  # type: ignore[arg-type]
        terminal_mismatch=mismatch,
        discretisation=apart,
    )
