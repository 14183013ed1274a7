"""Two means and one root that keep their digits, for cumulants Λ(v) = inf over ν of  ν + (a mean of v - ν).

Values of a potential may be 1e-12 or 1e12 in float32, and the formulas of a cumulant are at home near zero. So values
are measured from their largest, exponentials are averaged either as e^w - 1 or as logarithms, and roots are enclosed
from both sides until no digit is left.

Bad at: values that are not finite.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

__all__ = ["below_top", "log_mean_exp", "rising_root"]


def log_mean_exp(values: Array) -> Array:
    """Log of the mean of e^v, shape (n,) to scalar: log(1 + mean(e^w - 1)) keeps the digits of small spreads.

    Examples
    --------
    >>> bool(abs(log_mean_exp(jnp.asarray([1e-6, 3e-6])) - 2e-6) < 1e-11)
    True
    """
    top = jax.lax.stop_gradient(jnp.max(values))
    centred = below_top(values)
    mean = jnp.mean(jnp.expm1(centred))
    near = mean > -0.5
    close = jnp.log1p(jnp.where(near, mean, 0.0))
    far = jnp.log(jnp.where(near, 1.0, jnp.mean(jnp.exp(centred))))
    return top + jnp.where(near, close, far)


def below_top(values: Array) -> Array:
    """The values less their largest: at most 0, and 0 at the top.

    Compiled, a network's last product and this difference may fuse into one operation that rounds once, while
    max v was rounded before. The top then misses 0 by a last digit of v: for v = 1e6, more than f* has room for.
    So what is left at the top is subtracted once more.
    """
    centred = values - jax.lax.stop_gradient(jnp.max(values))
    return centred - jax.lax.stop_gradient(jnp.maximum(jnp.max(centred), centred))


def rising_root(equation: Callable[[Array], tuple[Array, Array]], reach: Array) -> Array:
    """The root in [0, reach] of a rising function, given with its slope, to the precision of reach.

    Newton steps, each aimed a rounding error past the root so that the bracket closes from both sides; every
    fourth step bisects, because a kink can make Newton crawl. Only a closed bracket ends it.

    Examples
    --------
    >>> root = rising_root(lambda z: (z**2 - 2, 2 * z), jnp.asarray(10.0))
    >>> bool(abs(root - 2**0.5) < 1e-5)
    True
    """
    tolerance = jnp.finfo(reach.dtype).eps * reach

    def unfinished(state: tuple[Array, Array, Array, Array]) -> Array:
        low, high, _, iteration = state
        return (iteration < 200) & (high - low > 2 * tolerance)

    def improve(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        low, high, guess, iteration = state
        value, slope = equation(guess)
        low = jnp.where(value <= 0, guess, low)
        high = jnp.where(value >= 0, guess, high)
        newton = guess - value / slope - jnp.sign(value) * tolerance
        inside = (newton > low) & (newton < high)  # False for NaN too
        proposal = jnp.where(inside & (iteration % 4 != 3), newton, 0.5 * (low + high))
        return low, high, proposal, iteration + 1

    low, high, _, _ = jax.lax.while_loop(unfinished, improve, (jnp.zeros_like(reach), reach, reach, jnp.asarray(0)))
    return 0.5 * (low + high)
