"""What movers that are trained share: from data and settings to the pieces of an adversarial training, and its run.

    coordinates (span)   source (a measure to draw from)   divergence (f, Γ_L)   target, in minibatches

The loop is `evolution.evolve`, as for particles: at every step the potential ascends between the mover's batch and the
target's, and the mover takes one step down. So a training is interrupted, resumed, watched and stopped like any run.

| setting | rule | why |
| --- | --- | --- |
| L | 40 / radius of the target | steep: masses are told apart to a per cent, and a plane is hit sharply |
| batch | 256, all if fewer | |
| Γ | GroupSort 3 x 64, 3 x 128 from 33 features, and 5 updates for each of the mover's | |
| momentum | of the potential 0.5, 0.9 from 33 features | a mover answers at once: old gradients mislead |
| rates | 5e-3 the potential; the mover says its own; to zero along a cosine | at a constant rate neither settles |

Bad at: one step's value. It is that of two batches; the end is judged on samples (`health`, `trust`).
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from proxflow.checkpoints import Checkpoint, fingerprint, read_checkpoint
from proxflow.defaults import radius
from proxflow.divergences import Divergence
from proxflow.entropies import IPM, entropy
from proxflow.estimate import named_gamma
from proxflow.evolution import Run, begin, evolve
from proxflow.flows import Flow
from proxflow.gamma import Gamma, GroupSort, Symmetric
from proxflow.gamma.symmetric import Group
from proxflow.noise import source_noise
from proxflow.notes import ended_whole
from proxflow.plan import check_coordinates, coordinates
from proxflow.sources import SOURCES, draw_source
from proxflow.spans import Span
from proxflow.targets import Batches, Samples, Target
from proxflow.validation import check_choice, check_inside, check_positive, check_slope

__all__ = ["UNMARKED", "Stage", "check_training", "ended_whole", "jax_key", "measure_of", "set_stage", "train"]

_STEEPNESS = 40.0  # L times the target's radius
_POTENTIAL_RATE = 5e-3
_FEW = 32  # features
# b1 of the potential's Adam. In few dimensions 0.9 leaves it flat while mass is still missing, the more so the more
# updates it takes; in 784, 0.5 lets a free velocity run away.
_MOMENTUM_OF_FEW, _MOMENTUM = 0.5, 0.9
_CHUNK = 100
_KNOWN = 2000

# Settings that may change between a checkpoint and its continuation.
UNMARKED = frozenset({"callbacks", "progress", "random_state", "n_particles", "bounds"})


@dataclass(frozen=True)
class Stage:
    """The pieces that a mover is trained among, all in the coordinates of the span.

    samples (n, d) and given (m, d), or None, are the data as they came; start (l, k) some points of the source; centre
    (k,) the middle of source and target; scale the root mean square along the widest direction of either.
    """

    samples: np.ndarray
    given: np.ndarray | None
    span: Span
    source: Target
    target: Target
    divergence: Divergence
    start: np.ndarray
    centre: np.ndarray
    scale: float
    batch: int
    settings: dict[str, Any]

    def encode(self, points: np.ndarray) -> jax.Array:
        """Points (n, d) in these coordinates, float32."""
        return jnp.asarray(self.span.encode(points), jnp.float32)

    def decode(self, coordinates: Any) -> np.ndarray:
        """Points (n, d) at coordinates (n, k)."""
        return self.span.decode(np.asarray(coordinates, np.float64))


def check_training(p: Mapping[str, Any]) -> None:
    """Raise ValueError, naming it, for a parameter out of range that every trained mover has."""
    entropy(p["f"], p["alpha"])
    check_choice(p["source"], "source", SOURCES) if "source" in p else None
    check_coordinates(p)
    for name in ("steps", "depth", "updates", "batch_size"):
        check_positive(p[name], name, integer=True)
    for name in ("n_particles", "width"):
        if p[name] is not None:
            check_positive(p[name], name, integer=True)
    if p["learning_rate"] is not None:
        check_positive(p["learning_rate"], "learning_rate")
    if not isinstance(p["reverse"], (bool, np.bool_)):
        raise ValueError(f"reverse must be True or False, got {p['reverse']!r}.")
    if isinstance(entropy(p["f"], p["alpha"]), IPM) and p["L"] is not None and math.isinf(p["L"]):
        raise ValueError("f='ipm' without a Lipschitz bound is infinite: give a finite L.")
    if p["L"] is not None and not (isinstance(p["L"], float) and math.isinf(p["L"]) and p["L"] > 0):
        check_slope(p["L"])
    gamma = named_gamma(p["gamma"], p["L"] or 1.0, 1)
    if gamma.on_host:
        raise ValueError(f"gamma={p['gamma']!r:.40} solves for its potential anew, which a training cannot wait for.")
    if not (isinstance(p["callbacks"], (tuple, list)) and all(callable(call) for call in p["callbacks"])):
        raise ValueError(f"callbacks must be a tuple of functions, got {p['callbacks']!r}.")


def set_stage(
    p: Mapping[str, Any], samples: np.ndarray, given: np.ndarray | None, seed: int, *, source: Target | None = None,
    span: Span | None = None, group: Group | None = None,
) -> Stage:  # fmt: skip
    """Resolve the parameters for target samples (n, d) and, if there are some, source samples (m, d).

    source: what is pushed, in coordinates of its own (a generator's noise); None for one in those of the data. span:
    coordinates that are known already. group: moves that the potentials are to be blind to.
    """
    check_inside(samples, p["bounds"])
    if given is None and not np.ptp(samples, axis=0).any():
        raise ValueError("every row of the target is the same: there is nothing to learn from it.")
    if span is None:
        # New samples are to lie where the source does, too: N(0, I) fills all of space.
        drawn = source is None and given is None
        first = draw_source(p["source"], samples, _KNOWN, seed) if drawn else samples if given is None else given
        span = coordinates(p, samples, first, given is None)
    goal = span.encode(samples)
    batch = int(p["batch_size"])
    key = jax_key(seed)
    origin: Target
    if source is not None:
        origin = source
        start = goal
    elif given is None:
        noise = source_noise(p["source"], samples, span, batch, jax.random.fold_in(key, 7))
        origin, start = noise, np.asarray(noise.points, np.float64)
    else:
        start = span.encode(given)
        origin = measure_of(start, batch)
    slope = _STEEPNESS / radius(goal) if p["L"] is None else float(p["L"])
    f = entropy(p["f"], p["alpha"])
    gamma = _space(p, slope, goal.shape[1])
    gamma = gamma if group is None or isinstance(gamma, Symmetric) else Symmetric(gamma, group)
    centre = 0.5 * (goal.mean(axis=0) + start.mean(axis=0))
    scale = max(_widest(goal - centre), _widest(start - centre)) or 1.0
    settings = {
        "f": repr(f), "L": getattr(gamma, "L", slope), "gamma": type(gamma).__name__, "steps": p["steps"],
        "updates": p["updates"], "batch_size": batch, "learning_rate": p["learning_rate"], "reverse": p["reverse"],
        "scaling": "signed_log" if span.bend is not None else "none" if span.scale is None else "columns",
        "bounds": p["bounds"], "data_radius": radius(goal), "seed": seed,
    }  # fmt: skip
    pair = Divergence(gamma, f, p["reverse"])
    return Stage(samples, given, span, origin, measure_of(goal, batch), pair, start, centre, scale, batch, settings)


def _space(p: Mapping[str, Any], slope: float, features: int) -> Gamma:
    horizon = float(p["steps"] * p["updates"])
    momentum = _MOMENTUM_OF_FEW if features <= _FEW else _MOMENTUM
    gamma = named_gamma(
        p["gamma"], slope, features, width=64 if features <= _FEW else 128, depth=3, updates=1,
        learning_rate=p.get("potential_learning_rate") or _POTENTIAL_RATE, horizon=horizon, momentum=momentum,
    )  # fmt: skip
    return replace(gamma, loose=True) if p["gamma"] == "auto" and isinstance(gamma, GroupSort) else gamma


def _widest(centred: np.ndarray) -> float:
    """The root mean square of points (n, k) along the direction in which they are widest, from some of them."""
    some = centred[:: -(-len(centred) // 500)]
    return float(np.linalg.norm(some, 2) / np.sqrt(len(some)))


def measure_of(points: np.ndarray, batch: int) -> Target:
    """Samples (n, k) as a measure that is drawn from in batches, or whole where they are no more than one."""
    cloud = jnp.asarray(points, jnp.float32)
    return Batches(cloud, batch) if len(cloud) > batch else Samples(cloud)


def train(
    flow: Flow, stage: Stage, start: np.ndarray, key: jax.Array, *, steps: int,
    callbacks: Sequence[Callable[[Run], Any]], progress: bool,
    checkpoint: str | os.PathLike[str] | None = None, seconds: float = 30.0, mark: Sequence[Any] = (),
    memory: Any = None,
) -> Run:  # fmt: skip
    """Train a mover and return the run; with a checkpoint, from where that stands.

    start: points (m, k) like those the mover makes at first, from which the potential takes its units. mark: what makes
    this training another one, beside the data: its settings. memory: of the divergence, to begin with.
    """
    run = begin(flow, stage.divergence, start, stage.target, key)
    run.memory = run.memory if memory is None else memory
    keepers: list[Checkpoint] = []
    if checkpoint is not None:
        of_run = fingerprint(stage.samples, stage.given if stage.given is not None else 0, *mark)
        found = read_checkpoint(checkpoint, run, of_run)
        if found is not None:
            run, _, problems = found
            for problem in problems:
                warnings.warn(f"{problem} Continuing from the one before, after step {run.step}.", stacklevel=3)
        keepers.append(Checkpoint(checkpoint, of_run, seconds))
    run = evolve(
        flow, stage.divergence, None, stage.target, steps=steps, key=key, chunk=_CHUNK, batch=stage.batch,
        callbacks=(*callbacks, *keepers), progress=progress, title="training", resume=run,
    )  # fmt: skip
    for keeper in keepers:
        keeper.write_or_warn(run)
    return run


def jax_key(seed: int) -> jax.Array:
    """The random key of a seed, which may be any whole number."""
    return jax.random.key(seed % 2**32)
