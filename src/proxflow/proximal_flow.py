"""A flow to sample from: the W1+W2 proximal flow as an estimator.

`ProximalFlow` trains a velocity field once (`flows.proximal`); then new samples, maps, inverses and paths cost
milliseconds, at any number of steps. Beside them it says how near to optimal the velocity is (`optimality`) and whether
the training went wrong (`health`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from proxflow.arrays import restored
from proxflow.entropies import Entropy
from proxflow.gamma import Gamma
from proxflow.health import Health, Watch, health_of, warn_of
from proxflow.optimality import Optimality, optimality_of
from proxflow.trained_files import potential_template, read_trained, write_trained
from proxflow.training import UNMARKED, Stage, check_training, ended_whole, jax_key, set_stage, train
from proxflow.validation import (
    check_choice,
    check_cloud,
    check_positive,
    check_same_width,
    column_names,
    in_order_of,
    kept_dtype,
    read_points,
    seed_from,
)

__all__ = ["ProximalFlow"]

FORMS, NETWORKS = ("potential", "free"), ("dense", "convolutional")
_TRAVEL = 0.01  # λ times the mean squared distance to travel
_JUDGED = 2000  # points on which optimality and health are judged
_RATE, _USUAL_STEPS, _FASTEST = 1.5e-3, 12_000, 3e-3
_MATCHED = 500  # points between which the distance to travel is measured


class ProximalFlow(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Carry a source onto the distribution of a sample by a velocity field that is learned once.

    Fitting solves  min over v of  D_f^Γ(ρ_T‖Q) + λ ∫ E|v_t|^p / p dt,  dx/dt = v_t(x), x_0 ~ source: a Wasserstein-1
    and a Wasserstein-2 proximal together (Gu, Katsoulakis, Rey-Bellet, Zhang, 2024), one implicit (JKO) step of the
    gradient flow of which `ParticleTransport` takes explicit ones. None means "chosen from the data"; `settings_` says
    what was.

    Parameters
    ----------
    f, alpha
        The entropy, as in `ParticleTransport`.
    L
        Lipschitz constant of the potential, per unit of data. None: 40 / radius of the target. inf: no W1 proximal.
    kinetic_weight
        λ, in units of the divergence per squared unit of data. None: 0.01 over the mean squared distance that mass has
        to travel. 0: no W2 proximal; paths are then not unique.
    power
        p > 1 of the cost λ c^(2-p) |v|^p / p, c the typical speed; 2 is the kinetic energy.
    form
        "potential": v = -∇U/λ, what is optimal; or "free": any network, faster and with more freedom to be wrong.
    network
        "dense", or "convolutional" for square images.
    blocks
        JKO steps: flows trained one after the other, each from where the one before ended. With several give
        kinetic_weight, too: a step of size h has λ = duration / h.
    duration
        T, of each block.
    noise
        σ of dx = v dt + σ dW; 0 for an ordinary differential equation.
    straightening, residual_weight, terminal_weight
        Weights of optimality conditions as terms of training: changes of v along the way (in units of λ), the squared
        Hamilton-Jacobi residual (λ), the squared mismatch of λ v and -∇φ at the end (1/λ).
    time_steps
        Euler steps per path in training.
    source
        "gaussian" (the target's mean and covariance), "uniform", "logistic", or "standard" (N(0, I)), where `fit` is
        given none.
    n_particles
        How many new samples `particles_` holds; None as many as the target.
    steps
        Training steps, per block.
    batch_size
        Points per training step.
    width, depth
        Of the velocity's dense network. None: 64 units, 128 from 33 features.
    updates
        Of the potential, for each of the velocity's.
    learning_rate
        Of the velocity at first; it falls to zero along a cosine. None: 1.5e-3 for 12,000 steps, more for fewer, as
        their root, up to 3e-3.
    gamma, reverse, scaling, bounds
        As in `ParticleTransport`; samples are clipped to the bounds.
    callbacks
        Functions of a `Run`, called after every chunk of steps; one that returns True stops the run.
    progress
        Show a progress bar on a terminal.
    random_state
        Seed: the same seed gives the same bits on the same machine.

    Attributes
    ----------
    particles_ : ndarray (n_particles, n_features)
        New samples, or where the given source's rows were carried.
    velocities_ : tuple of Velocity
        One per block, in the coordinates of the fit.
    history_ : dict of ndarray (n_steps_,)
        "value", "fisher", "slope", "step_size" (the learning rate), "kinetic", "bending" of every step.
    optimality_ : Optimality
        How near the velocity is to an optimum.
    health_ : Health
        Whether modes are missing or the training diverged.
    trajectory_ : list of (step, ndarray)
        At most 2000 particles on their way.
    n_steps_, stopped_, settings_, seed_
        Training steps, why it ended, every setting resolved, the seed used.

    Examples
    --------
    >>> import numpy as np
    >>> from proxflow import ProximalFlow
    >>> target = np.random.default_rng(0).uniform(size=(500, 2))
    >>> flow = ProximalFlow(steps=20, random_state=0).fit(target)  # some thousand for a good one
    >>> flow.sample(100).shape, flow.sample(100, steps=64).shape
    ((100, 2), (100, 2))
    >>> back = flow.inverse(flow.transform(target, steps=100), steps=100)
    >>> bool(abs(back - target).max() < 0.1)
    True
    """

    _dtype: Any  # of the target: what comes out

    def __init__(
        self,
        f: str | Entropy = "kl",
        *,
        alpha: float | None = None,
        L: float | None = None,
        kinetic_weight: float | None = None,
        power: float = 2.0,
        form: str = "potential",
        network: str = "dense",
        blocks: int = 1,
        duration: float = 1.0,
        noise: float = 0.0,
        straightening: float = 80.0,
        residual_weight: float = 0.0,
        terminal_weight: float = 0.0,
        time_steps: int = 4,
        source: str = "gaussian",
        n_particles: int | None = None,
        steps: int = 12_000,
        batch_size: int = 256,
        width: int | None = None,
        depth: int = 3,
        updates: int = 5,
        learning_rate: float | None = None,
        gamma: str | Gamma = "auto",
        reverse: bool = False,
        scaling: str = "auto",
        bounds: tuple[float, float] | None = None,
        callbacks: tuple[Any, ...] = (),
        progress: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.f = f
        self.alpha = alpha
        self.L = L
        self.kinetic_weight = kinetic_weight
        self.power = power
        self.form = form
        self.network = network
        self.blocks = blocks
        self.duration = duration
        self.noise = noise
        self.straightening = straightening
        self.residual_weight = residual_weight
        self.terminal_weight = terminal_weight
        self.time_steps = time_steps
        self.source = source
        self.n_particles = n_particles
        self.steps = steps
        self.batch_size = batch_size
        self.width = width
        self.depth = depth
        self.updates = updates
        self.learning_rate = learning_rate
        self.gamma = gamma
        self.reverse = reverse
        self.scaling = scaling
        self.bounds = bounds
        self.callbacks = callbacks
        self.progress = progress
        self.random_state = random_state

    # ------------------------------------------------------------------ scikit-learn's verbs

    def fit(
        self, target: Any, source: Any = None, *, checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_seconds: float = 30.0,
    ) -> ProximalFlow:  # fmt: skip
        """Train the velocity.

        Parameters
        ----------
        target
            Samples of Q, shape (n, d).
        source
            Samples of the source, shape (m, d). None: drawn afresh at every step, see the parameter `source`.
        checkpoint, checkpoint_seconds
            A file to keep the run in, as in `ParticleTransport.fit`.

        Raises
        ------
        ValueError
            Bad samples (the place is named), different widths, a setting out of range, or a checkpoint that is
            damaged or of another run.
        """
        self.check_settings()
        samples = self._read(target, "target", reset=True)
        given = None
        if source is not None:
            ordered = in_order_of(target, source, ("the target", "the source"))
            given = check_cloud(ordered, "source", columns=column_names(ordered), minimum=2)
        if given is not None:
            check_same_width(samples, given, "the target", "the source")
        self.seed_ = seed_from(self.random_state)
        self._stage = self.stage_of(samples, given)
        self._weight = self._resolved_weight()
        self._describe()
        self._train(checkpoint, checkpoint_seconds)
        self._conclude()
        return self

    def sample(
        self, n: int = 1, random_state: int | np.random.RandomState | None = None, *, steps: int | str | None = None,
        solver: str = "heun", quasi_random: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Return n new samples, shape (n, d), from fresh source points.

        Parameters
        ----------
        n
            How many.
        random_state
            Seed of the source points. None: fixed by the fit's seed, so that a call repeats itself.
        steps
            Per block. None: as many as in training. "adaptive": as many as Tsit5 needs for an error of 1e-4.
        solver
            "euler", "heun", "tsit5", "dopri5" or "dopri8".
        quasi_random
            Draw the source's points evenly, from scrambled Sobol' numbers: modes then get their shares of the samples
            almost exactly, which are no longer independent of each other.

        Raises
        ------
        ValueError
            If n or steps is not a positive whole number, the solver is unknown, or quasi-random points are asked of a
            source that is itself a sample.
        """
        check_is_fitted(self, "particles_")
        check_positive(n, "n", integer=True)
        seed = (self.seed_ + 1) % 2**32 if random_state is None else seed_from(random_state)
        start = self._evenly(int(n), seed) if quasi_random else self._start(int(n), seed)
        ends = self._carry(start, steps, solver)
        return self._clipped(self._stage.decode(ends)).astype(self._dtype)

    def transform(self, points: Any, *, steps: int | str | None = None, solver: str = "heun") -> np.ndarray:
        """Carry points of the source, shape (k, d), along the flow; each image depends on its own point only."""
        return self._moved(points, steps, solver, backwards=False)

    def inverse(self, points: Any, *, steps: int | str | None = "adaptive", solver: str = "heun") -> np.ndarray:
        """Carry points of the target back to the source, shape (k, d): the flow integrated backwards.

        What the flow presses flat (onto a plane) does not come back.

        Raises
        ------
        ValueError
            A flow with noise has no inverse.
        """
        if self.noise:
            raise ValueError("a flow with noise has no inverse: fit with noise=0.")
        return self._moved(points, steps, solver, backwards=True)

    def trajectory(
        self, points: Any = None, *, n: int = 200, looks: int = 8, steps: int | str | None = None, solver: str = "heun"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return times (l,) and positions (l, k, d) of points on their way, or of n fresh ones; looks per block."""
        from proxflow.velocities.paths import along

        check_is_fitted(self, "particles_")
        check_positive(looks, "looks", integer=True)
        check_positive(n, "n", integer=True)
        start = self._start(int(n), (self.seed_ + 1) % 2**32)
        first = self._stage.decode(start)
        if points is not None:
            first = self._read(points, "points", reset=False, minimum=1)
            start = self._stage.encode(first)
        count, chosen = self._steps(steps, solver)
        found = along(
            self.velocities_, start, count, looks, solver=chosen, noise=self.noise, key=jax_key(self.seed_ + 1)
        )
        inside = np.asarray(start, np.float64)
        places = np.stack([self._stage.span.carry(first, inside, part.astype(np.float64)) for part in found])
        places[-1] = self._clipped(places[-1])
        return np.linspace(0, self.blocks * self.duration, len(found)), places

    # ------------------------------------------------------------------ training

    def check_settings(self) -> None:
        """Raise ValueError for a setting out of range; `fit` does so first of all."""
        check_training(self.get_params(deep=False))
        check_choice(self.form, "form", FORMS)
        check_choice(self.network, "network", NETWORKS)
        for name in ("blocks", "time_steps"):
            check_positive(getattr(self, name), name, integer=True)
        check_positive(self.duration, "duration")
        for name in ("noise", "straightening", "residual_weight", "terminal_weight"):
            _check_not_negative(getattr(self, name), name)
        if self.kinetic_weight is not None:
            _check_not_negative(self.kinetic_weight, "kinetic_weight")
        if not (isinstance(self.power, (int, float, np.number)) and 1 < self.power < math.inf):
            raise ValueError(f"power must be a number above 1, got {self.power!r}: it is the p of |v|^p.")
        if self.residual_weight and self.form == "free":
            raise ValueError("residual_weight needs form='potential': a free velocity has no U to obey an equation.")

    def _resolved_weight(self) -> float:
        if self.kinetic_weight is not None:
            return float(self.kinetic_weight)
        from scipy.optimize import linear_sum_assignment
        from scipy.spatial.distance import cdist

        rng = np.random.default_rng(self.seed_)
        ends = [np.asarray(self._stage.target.points), self._stage.start]
        count = min(_MATCHED, *map(len, ends))
        cost = cdist(*(cloud[rng.permutation(len(cloud))[:count]] for cloud in ends), "sqeuclidean")
        far = float(cost[linear_sum_assignment(cost)].mean())
        return _TRAVEL * self.duration / max(far, (0.1 * self._stage.settings["data_radius"]) ** 2)

    def _describe(self) -> None:
        own: tuple[str, ...] = ("form", "network", "blocks", "duration", "noise", "power", "time_steps", "depth")
        own += ("straightening", "residual_weight", "terminal_weight")
        self.settings_ = {
            **self._stage.settings, "kinetic_weight": self._weight, "learning_rate": self._rate(),
            "width": self._width(),
            **{name: getattr(self, name) for name in own},
        }  # fmt: skip

    def _rate(self) -> float:
        """The learning rate: short trainings need larger steps to get there at all."""
        if self.learning_rate is not None:
            return float(self.learning_rate)
        return min(_FASTEST, _RATE * math.sqrt(_USUAL_STEPS / self.steps))

    def _width(self) -> int:
        return self.width or (64 if len(self._stage.centre) <= 32 else 128)

    def _velocity(self, block: int, start: np.ndarray | None = None) -> Any:
        """The velocity that training of a block begins with, from points (l, k) where mass is then."""
        import jax
        import jax.numpy as jnp

        from proxflow.velocities.base import Frame, FreeVelocity, PotentialVelocity
        from proxflow.velocities.choices import first_field

        stage = self._stage
        frame = Frame(*(jnp.asarray(part, jnp.float32) for part in (stage.centre, stage.scale, self.duration)))
        start = stage.start if start is None else start
        ends = [(cloud - stage.centre) / stage.scale for cloud in (start, np.asarray(stage.target.points, np.float64))]
        paid = self._weight / float(self.duration)
        field = first_field(
            self.network, jax.random.fold_in(jax_key(self.seed_), 100 + block), *ends, width=self._width(),
            depth=int(self.depth), scalar=self.form == "potential", weight=paid * stage.scale**2,
            reach=stage.settings["L"] / max(paid, 1e-30) / stage.scale,
        )  # fmt: skip
        if self.form == "free":
            return FreeVelocity(field, frame)
        return PotentialVelocity(field, frame, float(self.power))

    def _flow(self, block: int, velocities: Sequence[Any]) -> Any:
        from proxflow.flows.proximal import Proximal, Pushed
        from proxflow.velocities.paths import carried

        source, start = self._stage.source, self._stage.start
        if velocities:
            steps = int(2 * self.time_steps)
            source = Pushed(source.points, source, tuple(velocities), steps, float(self.noise))
            start = carried(
                velocities, np.asarray(start, np.float32), steps, noise=float(self.noise), key=jax_key(self.seed_)
            ).astype(np.float64)
        return Proximal(
            self._velocity(block, start), source, self._weight, self._rate(), float(self.steps),
            updates=int(self.updates), time_steps=int(self.time_steps), straightening=float(self.straightening),
            residual_weight=float(self.residual_weight), terminal_weight=float(self.terminal_weight),
            noise=float(self.noise), power=float(self.power),
        )  # fmt: skip

    def _train(self, checkpoint: str | os.PathLike[str] | None, seconds: float) -> None:
        import jax

        stage, memory, stopped = self._stage, None, ""
        velocities: list[Any] = []
        histories: list[dict[str, np.ndarray]] = []
        extent = max(stage.settings["data_radius"], float(np.median(_lengths(stage.start, stage.target.points))))
        watch = Watch(lambda run: run.state.ends, np.asarray(stage.target.points).mean(axis=0), extent)
        settings = sorted((n, v) for n, v in self.get_params(deep=False).items() if n not in UNMARKED)
        for block in range(int(self.blocks)):
            flow = self._flow(block, velocities)
            run = train(
                flow, stage, stage.start, jax.random.fold_in(jax_key(self.seed_), block), steps=int(self.steps),
                callbacks=(watch, *self.callbacks), progress=self.progress, memory=memory,
                checkpoint=None if checkpoint is None else _of_block(checkpoint, block), seconds=seconds,
                mark=(self.seed_, block, settings),
            )  # fmt: skip
            memory, stopped = run.memory, run.stopped
            velocities.append(flow.trained(run.state))
            histories.append(run.history)
            if not ended_whole(stopped):
                break
        self.velocities_ = tuple(velocities)
        self.potential_ = stage.divergence.variation(run.state.ends, memory)
        self.history_ = {name: np.concatenate([h[name] for h in histories]) for name in histories[0]}
        self.n_steps_, self.stopped_ = len(self.history_["value"]), stopped

    def _conclude(self) -> None:
        import jax.numpy as jnp

        from proxflow.velocities.paths import along

        stage = self._stage
        count = self.n_particles or len(stage.samples)
        start = self._start(count, self.seed_) if stage.given is None else stage.encode(stage.given)
        steps, solver = self._steps(None, "heun")
        found = along(
            self.velocities_, start, steps, 4, solver=solver, noise=float(self.noise), key=jax_key(self.seed_)
        )
        ends = found[-1]
        if stage.given is None:
            self.particles_ = self._clipped(stage.decode(ends)).astype(self._dtype)
        else:
            carried = stage.span.carry(stage.given, np.asarray(start, np.float64), ends.astype(np.float64))
            self.particles_ = self._clipped(carried).astype(self._dtype)
        self.trajectory_ = [(step, stage.decode(part[:_JUDGED])) for step, part in enumerate(found[:-1])]
        self.trajectory_.append((len(found) - 1, np.asarray(self.particles_[:_JUDGED], np.float64)))
        self.health_: Health = health_of(ends, stage.span.encode(stage.samples), self.stopped_, self.seed_)
        usual = int(self.time_steps)
        judged = jnp.asarray(start[:_JUDGED])
        self.optimality_: Optimality = optimality_of(
            self.velocities_, judged, weight=self._weight, radius=stage.settings["data_radius"],
            potential=self.potential_, steps=sorted({max(1, usual // 2), usual, 2 * usual, 8 * usual}),
        )  # fmt: skip
        warn_of(self.health_, self.stopped_, self.n_steps_)

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trained flow to one file, whole or not at all; `load` reads it.

        Raises
        ------
        ValueError
            A setting that is an object of your own, or a refusal of the system.
        """
        check_is_fitted(self, "particles_")
        trees = {f"velocity{block}": velocity for block, velocity in enumerate(self.velocities_)}
        extra = {
            "weight": self._weight, "blocks": len(self.velocities_), "optimality": self.optimality_.to_dict(),
            "health": self.health_.to_dict(),
        }  # fmt: skip
        write_trained(path, self, self._stage, extra, {**trees, "potential": self.potential_})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ProximalFlow:
        """Read a trained flow that `save` wrote. Nothing in the file is run.

        Raises
        ------
        ValueError
            No such file, a damaged one, or one of another kind or version.
        """
        return read_trained(path, cls(), cls._restore)

    def _restore(self, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], stage: Stage) -> None:
        self._stage, self._weight = stage, float(header["weight"])
        self._describe()
        blocks = range(int(header["blocks"]))
        self.velocities_ = tuple(restored(self._velocity(block), f"velocity{block}", arrays) for block in blocks)
        self.potential_ = restored(potential_template(stage), "potential", arrays)
        self.optimality_ = Optimality.from_dict(header["optimality"])
        self.health_ = Health(**header["health"])
        self.trajectory_ = []

    # ------------------------------------------------------------------ pieces

    def stage_of(self, samples: np.ndarray, given: np.ndarray | None, span: Any = None) -> Stage:
        """What this estimator trains among, for target samples (n, d) and given source samples (m, d) or None."""
        return set_stage(self.get_params(deep=False), samples, given, self.seed_, span=span)

    def in_units(self, points: np.ndarray, *, features_only: bool = False) -> np.ndarray:
        """Points (n, d) with their columns in the units of the fit: as they are unless `scaling` applied."""
        return self._stage.span.units(points)

    def decode_state(self, state: Any, most: int | None = None) -> np.ndarray:
        """Where a run's last batch ended (its first rows), in the data's own coordinates: for callbacks."""
        return self._stage.decode(np.asarray(state.ends[:most]))

    def _start(self, count: int, seed: int) -> Any:
        """Points of the source in the fit's coordinates, (count, k): drawn afresh, or rows of the given one."""
        stage = self._stage
        if stage.given is None:
            return stage.source.some(jax_key(seed), count)  # type: ignore[attr-defined]
        rows = np.random.default_rng(seed).choice(len(stage.given), count, replace=count > len(stage.given))
        return stage.encode(stage.given[rows])

    def _evenly(self, count: int, seed: int) -> Any:
        """Points of the source as evenly as can be, (count, k)."""
        if self._stage.given is not None:
            raise ValueError("quasi_random needs a source that is drawn, but this flow was fitted to a given one.")
        return self._stage.source.evenly(seed, count)  # type: ignore[attr-defined]

    def _steps(self, steps: int | str | None, solver: str) -> tuple[int | None, str]:
        """How many steps, None for adaptive ones, and the solver; noisy paths know Euler's only."""
        solver = "euler" if self.noise and solver == "heun" else solver
        if steps is None or (self.noise and steps == "adaptive"):
            return (2 if self.noise else 1) * int(self.time_steps), solver
        if steps == "adaptive":
            return None, "tsit5" if solver in ("euler", "heun") else solver
        if isinstance(steps, str):
            raise ValueError(f"steps must be a positive whole number, 'adaptive' or None, got {steps!r}.")
        check_positive(steps, "steps", integer=True)
        return int(steps), solver

    def _carry(self, start: Any, steps: int | str | None, solver: str, *, backwards: bool = False) -> np.ndarray:
        from proxflow.velocities.paths import carried

        count, chosen = self._steps(steps, solver)
        return carried(
            self.velocities_, start, count, solver=chosen, backwards=backwards, noise=float(self.noise),
            key=jax_key(self.seed_ + 1),
        )  # fmt: skip

    def _moved(self, points: Any, steps: int | str | None, solver: str, *, backwards: bool) -> np.ndarray:
        check_is_fitted(self, "particles_")
        x = self._read(points, "points", reset=False, minimum=1)
        start = self._stage.encode(x)
        ends = self._carry(start, steps, solver, backwards=backwards)
        moved = self._stage.span.carry(x, np.asarray(start, np.float64), ends.astype(np.float64))
        kept = getattr(points, "dtype", None)
        moved = moved if backwards else self._clipped(moved)
        return moved.astype(kept if kept in (np.float32, np.float64) else np.float64)

    def _clipped(self, points: np.ndarray) -> np.ndarray:
        return points if self.bounds is None else np.clip(points, *self.bounds)

    def _read(self, points: Any, name: str, *, reset: bool, minimum: int = 2) -> np.ndarray:
        samples = read_points(self, points, name, reset=reset, minimum=minimum)
        if reset:
            self._dtype = kept_dtype(points)
        return samples


def _of_block(path: str | os.PathLike[str], block: int) -> Path:
    """The checkpoint of a block: the given file for the first."""
    file = Path(path)
    return file if not block else file.with_name(f"{file.stem}-{block}{file.suffix}")


def _lengths(points: np.ndarray, around: Any) -> np.ndarray:
    return np.asarray(np.linalg.norm(points - np.asarray(around).mean(axis=0), axis=1))


def _check_not_negative(value: Any, name: str) -> None:
    if not (isinstance(value, (int, float, np.number)) and 0 <= value < math.inf):
        raise ValueError(f"{name} must be a number of at least 0, got {value!r}.")
