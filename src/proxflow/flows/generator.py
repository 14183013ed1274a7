"""The mover of an adversarial generative network: a generator that is trained.

    min over g of  D_f^Γ(g#ρ‖Q)    or    D_f^Γ(Q‖g#ρ)

    repeat:  draw z;  φ ascends between g(z) and the target;  g descends E φ(g(z)), φ the first variation

By the envelope theorem the gradient of the divergence in g's weights is that of E φ(g(z)), whichever the direction: the
divergence knows it, not the mover. Two time scales: Adam's rate here and the potential's are settings of their own,
and both fall to zero along a cosine, for at constant rates the two players circle.

Sources: Birrell, Dupuis, Katsoulakis, Pantazis, Rey-Bellet, "(f, Γ)-divergences: interpolating between
f-divergences and integral probability metrics", JMLR 23 (2022); Heusel et al., "GANs trained by a two time-scale update
rule", NeurIPS 2017. Bad at: knowing when it is done: a value near zero is also what a potential says that sees nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array

from proxflow.flows.base import Drive, Flow, Report, refitted
from proxflow.flows.proximal import annealed
from proxflow.gamma.base import Potential, gradients
from proxflow.generators.base import Generator, with_network
from proxflow.targets import Target

__all__ = ["Generated", "GeneratedState"]


class GeneratedState(NamedTuple):
    """What training changes, the key of its random numbers, and the last batch that was made."""

    network: Any
    adam: optax.OptState
    key: Array
    ends: Array


class Generated(Flow):
    """Adam on the network of a generator. A report's step_size is the learning rate.

    Parameters
    ----------
    generator
        The generator to begin with.
    source
        ρ: a measure whose `draw` returns a batch of latents (n, k).
    learning_rate
        Of Adam at first; it falls to zero along a cosine.
    horizon
        The step at which it is zero.
    updates
        Of the potential, for each of the generator's.
    """

    generator: Generator
    source: Target
    learning_rate: float
    horizon: float
    updates: int = eqx.field(static=True, default=5)

    def init(self, source: Array, key: Array | None = None) -> GeneratedState:
        key = jax.random.key(0) if key is None else key
        network = self.generator.network
        ends = self.generator(self.source.draw(key))
        return GeneratedState(network, _adam().init(network), jax.random.key_data(key), ends)

    def cloud(self, state: Any) -> Array:
        return state.ends

    def sound(self, state: Any) -> Array:
        return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves((state.network, state.ends))]).all()

    def trained(self, state: Any) -> Generator:
        """The generator of a state."""
        return with_network(self.generator, state.network)

    def step(
        self, state: Any, drive: Drive, memory: Any, index: Array
    ) -> tuple[GeneratedState, Any, Report, tuple[Potential, ...]]:
        latents = self.source.draw(jax.random.fold_in(jax.random.wrap_key_data(state.key), index))
        ends, pull = jax.vjp(lambda network: with_network(self.generator, network)(latents), state.network)
        potential, value, memory = refitted(drive, ends, memory, self.updates)
        slopes = gradients(potential, ends)
        (uphill,) = pull(slopes / len(ends))
        direction, adam = _adam().update(uphill, state.adam)
        rate = annealed(self.learning_rate, index, self.horizon)
        network = jax.tree.map(lambda w, d: w - rate * d, state.network, direction)
        squares = jnp.sum(slopes**2, axis=1)
        report = Report(value, jnp.mean(squares), jnp.sqrt(jnp.max(squares)), rate.astype(value.dtype))
        return GeneratedState(network, adam, state.key, ends), memory, report, (potential,)


def _adam() -> optax.GradientTransformation:
    # Less memory than usual: the potential turns about, and a direction kept for long points to where it was.
    return optax.scale_by_adam(b1=0.5, b2=0.99)
