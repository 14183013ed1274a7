"""What most people import: scikit-learn objects over the pieces below.

`ParticleTransport` is the generative particle algorithm with every choice made from the data and every choice
exposed.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from proxflow.arrays import restored
from proxflow.distributed import check_alike
from proxflow.entropies import Entropy
from proxflow.flow_files import check_flow, decoded, encoded, read_flow, span_arrays, span_from, write_flow
from proxflow.gamma import Gamma
from proxflow.notes import way_out_of_overflow
from proxflow.plan import check_settings, make_plan
from proxflow.recordings import Recording, floats_per_step, record_for, replay
from proxflow.sources import draw_labelled_source
from proxflow.spans import LabelledSpan
from proxflow.streams import LargeSamples
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

if TYPE_CHECKING:
    from proxflow.checkpoints import Checkpoint
    from proxflow.distillation import DistilledMap
    from proxflow.evolution import Run

__all__ = ["ParticleTransport"]

_DRAWN = 2000  # particles kept in `trajectory_`, fewer if they are wide: enough for any picture
_DRAWN_VALUES = 400_000
_LOOKED_AT = 20_000  # rows of a large file that the defaults are chosen from
_CHUNK, _CHUNK_OF_A_GATE = 50, 10  # steps between two looks; a gate must look often, for it goes back to the last one


class ParticleTransport(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Transport particles onto the distribution of a sample, along -grad φ.

    Fitting solves dy/dt = -grad φ_t(y), φ_t the first variation of the Lipschitz-regularised divergence between
    the particles and the target: the generative particle algorithm (Gu, Birmpa, Pantazis, Rey-Bellet,
    Katsoulakis, SIAM J. Math. Data Science 2024). None means "chosen from the data"; `settings_` says what was.

    Parameters
    ----------
    f
        "kl", "alpha", "reverse_kl", "js", "hellinger", "chi2", "ipm", or an `Entropy`.
    alpha
        Order of f="alpha".
    L
        Lipschitz constant, per unit of data. None: 0.2 / radius of the target.
    n_particles
        How many particles to move when the source is drawn. None: as many as target samples.
    source
        "gaussian" (the target's mean and covariance), "uniform" (its bounding box), "logistic" (its mean and
        deviations, longer tails) or "standard" (N(0, I), whatever the target).
    steps
        The most steps.
    method
        "euler", "heun", "rk4", "ab2" to "ab5", "abm2" to "abm5", "heun_euler" or "bs23": see `flows.methods`.
    step_size
        A constant dt; the first one for "heun_euler" and "bs23", which go on by their own error. None: share · D / I
        at every step, see `step_share`.
    step_share
        Share of the remaining time D / I that a step takes.
    smoothing
        Weight in [0, 1] with which target samples are mixed with their nearest neighbours, against memorisation.
        None: by how sparse they are when the source is drawn, 0 when a source is given.
    scaling
        "columns": divide every column by its standard deviation inside; "none"; "auto": "columns" if one column's
        deviation is over ten times the median's (mixed units) and there are no bounds. "signed_log": compress every
        column by asinh around its median; "auto" does so for columns whose tails leave no variance. L and `history_`
        are then in those units.
    gamma
        "auto", "groupsort", "spectral", "convolutional", "cones", "exact", "penalty", "unregularised" (L = inf), or a
        `Gamma`. "auto" is GroupSort, and behind a blur for images, which are known by `bounds` and a square number of
        pixels from 14 x 14 on.
    width, depth, updates, learning_rate
        Of the network: units per layer (even), hidden layers, Adam steps per fit, learning rate.
    reverse
        Descend D(Q‖P) instead of D(P‖Q).
    bounds
        (low, high): particles are projected onto that box after every step.
    fixed_columns
        The last so many columns are labels or covariates: particles keep theirs, drawn from the target's rows if the
        source is drawn, and are compared with them. They count in distances as they are, so scale them to say how far
        apart two labels are. See `LabelledTransport`.
    stop_fisher
        Stop when the Fisher information falls below this share of its largest value; 0 never does.
    stop_stalled
        Stop when the divergence has not fallen by 2 % over this many steps; 0 never does.
    callbacks
        Functions of a `Run`, called after every chunk of steps; one that returns True stops the run.
        `decode_state(run.state)` gives them the particles.
    batch_size
        Particles and target samples that a step fits its potential to, drawn afresh. None: all, or 4096 if either
        are more than 8192. All particles move at every step.
    max_copies
        Stop at the last state whose share of near copies of training samples was not clearly above this; real
        samples have 0.05. None: never.
    memory_budget
        Megabytes for the potentials that `transform` replays. If they are more, ever fewer are kept the later the step.
    progress
        Show a progress bar on a terminal.
    devices
        "all": particles and target samples lie in equal shares on all devices, of all processes that
        `proxflow.distributed.start` has joined, see docs/distributed.md. None: on one.
    random_state
        Seed: the same seed gives the same bits on the same machine.

    Attributes
    ----------
    particles_ : ndarray (n_particles, n_features)
        Where the particles ended: the new samples.
    history_ : dict of ndarray (n_steps_,)
        "value", "fisher", "slope" before each step, and its "step_size".
    trajectory_ : list of (step, ndarray)
        At most 2000 of the particles at several times.
    copies_ : list of (step, share)
        Near copies along the run, if `max_copies` is given.
    n_steps_, stopped_, settings_, seed_
        Steps taken, why it ended, every setting resolved, the seed used.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from proxflow import ParticleTransport
    >>> target, _ = make_moons(200, noise=0.05, random_state=0)
    >>> transport = ParticleTransport(n_particles=100, steps=50, random_state=0).fit(target)
    >>> transport.particles_.shape, transport.sample(7).shape
    ((100, 2), (7, 2))
    """

    def __init__(
        self,
        f: str | Entropy = "kl",
        *,
        alpha: float | None = None,
        L: float | None = None,
        n_particles: int | None = None,
        source: str = "gaussian",
        steps: int = 500,
        method: str = "euler",
        step_size: float | None = None,
        step_share: float = 0.2,
        smoothing: float | None = None,
        scaling: str = "auto",
        gamma: str | Gamma = "auto",
        width: int | None = None,
        depth: int = 3,
        updates: int = 8,
        learning_rate: float | None = None,
        reverse: bool = False,
        bounds: tuple[float, float] | None = None,
        fixed_columns: int = 0,
        stop_fisher: float = 1e-4,
        stop_stalled: int = 100,
        callbacks: tuple[Any, ...] = (),
        batch_size: int | None = None,
        max_copies: float | None = None,
        memory_budget: float = 1000.0,
        progress: bool = False,
        devices: str | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.f = f
        self.alpha = alpha
        self.L = L
        self.n_particles = n_particles
        self.source = source
        self.steps = steps
        self.method = method
        self.step_size = step_size
        self.step_share = step_share
        self.smoothing = smoothing
        self.scaling = scaling
        self.gamma = gamma
        self.width = width
        self.depth = depth
        self.updates = updates
        self.learning_rate = learning_rate
        self.reverse = reverse
        self.bounds = bounds
        self.fixed_columns = fixed_columns
        self.stop_fisher = stop_fisher
        self.stop_stalled = stop_stalled
        self.callbacks = callbacks
        self.batch_size = batch_size
        self.max_copies = max_copies
        self.memory_budget = memory_budget
        self.progress = progress
        self.devices = devices
        self.random_state = random_state

    # ------------------------------------------------------------------ scikit-learn's verbs

    def fit(
        self, target: Any, source: Any = None, *, checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_seconds: float = 30.0,
    ) -> ParticleTransport:  # fmt: skip
        """Move particles onto the target's distribution.

        Parameters
        ----------
        target
            Samples of Q, shape (n, d), or what `open_samples` returns for a file larger than memory.
        source
            First positions of the particles, shape (m, d). None: drawn, see the parameter `source`.
        checkpoint
            A file to keep the run in, written every so often. If it is there already, and of the same data and
            settings, the run continues from it and ends with the bits of an unbroken one.
        checkpoint_seconds
            Between two writes.

        Raises
        ------
        ValueError
            Bad samples (the place is named), different widths, a setting out of range, or a checkpoint that is
            damaged or of another run.
        """
        self.check_settings()
        start = self._prepare(target, source)
        self.trajectory_: list[tuple[int, np.ndarray]] = []
        watching: list[Any] = [self._watch]
        if self.max_copies is not None:
            from proxflow.copies import CopyGate

            gate = CopyGate(
                self.max_copies,
                self.in_units(self._samples),
                lambda state: self.in_units(self.decode_state(state, _DRAWN)),
            )
            self.copies_ = gate.shares
            watching.append(gate)
        keeper, resume = None, None
        if checkpoint is not None:
            keeper, resume = self._checkpointed(checkpoint, checkpoint_seconds, start)
        callbacks = (*watching, *self.callbacks, *([] if keeper is None else [keeper]))
        run, moved = self._evolve(start, self.seed_, record=self._kept(), callbacks=callbacks, resume=resume)
        self._recorded(run)
        self.particles_ = moved.astype(self._dtype)
        self.history_, self.n_steps_, self.stopped_ = run.history, run.step, run.stopped
        if keeper is not None:
            keeper.write_or_warn(run)
        if "interrupted" in run.stopped or "non-finite" in run.stopped:
            way_out = f" {way_out_of_overflow(self.settings_)}" if "non-finite" in run.stopped else ""
            warnings.warn(
                f"the run ended early ({run.stopped}); particles_ holds the state after step {run.step}.{way_out}",
                RuntimeWarning,
                stacklevel=2,
            )
        return self

    def sample(
        self, n: int = 1, random_state: int | np.random.RandomState | None = None, *, method: str = "flow"
    ) -> np.ndarray:
        """Return n new samples, shape (n, d), from fresh source points.

        Parameters
        ----------
        n
            How many. For the particles of the fit themselves take `particles_`.
        random_state
            Seed of the fresh source points. None: fixed by the fit's seed, so that a call repeats itself.
        method
            "flow": the flow run again, as good as `particles_` and as slow as a fit, for particles find their places
            together; at least as many move as did in the fit, and n of them are returned. "replay": `transform` of
            the source points, much faster; as good in a few dimensions, coarser in many.

        Raises
        ------
        ValueError
            If n is not a positive whole number, the method is unknown, or no potentials were kept to replay.
        """
        check_is_fitted(self, "particles_")
        check_positive(n, "n", integer=True)
        check_choice(method, "method", ("flow", "replay"))
        seed = (self.seed_ + 1) % 2**32 if random_state is None else seed_from(random_state)
        count = max(int(n), len(self.particles_)) if method == "flow" else int(n)
        if self._given is None:
            start = self._start(count, seed)
        else:
            rows = np.random.default_rng(seed).choice(len(self._given), count, replace=count > len(self._given))
            start = self._given[rows]
        if method == "replay":
            return self._carry(start).astype(self._dtype)
        run, moved = self._evolve(start, seed)
        if run.stopped == "interrupted":
            raise KeyboardInterrupt
        if "non-finite" in run.stopped:
            raise ValueError(f"the run from fresh source points ended early: {run.stopped}.")
        return moved[:n].astype(self._dtype)

    def transform(self, new_particles: Any) -> np.ndarray:
        """Carry other points of the source's distribution along the fitted flow, shape (k, d) to (k, d).

        Each point replays the fit's potentials alone, so its image does not depend on the others. The potentials
        were fitted around the fit's particles: riders end less precisely than those, the more so the fewer
        particles there were and the more dimensions.
        """
        check_is_fitted(self, "particles_")
        points = self._read(new_particles, "new_particles", reset=False, minimum=1)
        moved = self._carry(points)
        kept = np.asarray(new_particles).dtype
        return moved.astype(kept if kept in (np.float32, np.float64) else np.float64)

    def distil(
        self, pairs: int = 10_000, *, width: int = 256, depth: int = 3, steps: int = 2000, batch: int = 256
    ) -> DistilledMap:
        """Return one network that does what the flow does, for new samples at once.

        Parameters
        ----------
        pairs
            Source points and their images to learn from: the fit's own particles, the rest by replay.
        width, depth
            Units per hidden layer, and hidden layers.
        steps, batch
            Adam steps, and pairs per step.

        Raises
        ------
        ValueError
            A number is not positive, or no potentials were kept to replay and the particles are too few.
        """
        from proxflow.distillation import distilled

        check_is_fitted(self, "particles_")
        for name, value in (("pairs", pairs), ("width", width), ("depth", depth), ("steps", steps), ("batch", batch)):
            check_positive(value, name, integer=True)
        first, last = self._start(len(self.particles_), self.seed_), np.asarray(self.particles_, np.float64)
        if self._given is None and pairs > len(first):
            fresh = self._start(pairs - len(first), (self.seed_ + 2) % 2**32)
            first, last = np.concatenate([first, fresh]), np.concatenate([last, self._carry(fresh)])
        return distilled(
            first, last, self._plan.span, self._samples if self._given is None else self._given,
            kind=self.source if self._given is None else "given",
            width=width, depth=depth, steps=steps, batch=batch, seed=self.seed_, progress=self.progress,
        )  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted flow to one file, whole or not at all; `load` reads it.

        Raises
        ------
        ValueError
            A setting that is an object of your own, or a refusal of the system.
        """
        write_flow(path, *self.contents())

    def contents(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What `save` writes: plain values, and arrays or pytrees by name. For files that hold more than a flow."""
        check_is_fitted(self, "particles_")
        parameters = {
            name: encoded(value, name)
            for name, value in self.get_params(deep=False).items()
            if name not in ("callbacks", "random_state")
        }
        header = {
            "class": type(self).__name__, "parameters": parameters, "seed": self.seed_, "steps": self.n_steps_,
            "stopped": self.stopped_, "record": self._record, "float32": self._dtype == np.float32,
            "columns": [str(name) for name in getattr(self, "feature_names_in_", ())],
        }  # fmt: skip
        arrays: dict[str, Any] = {
            "samples": self._samples,
            "particles": self.particles_,
            **span_arrays(self._plan.span),
        }
        arrays |= {f"history.{name}": series for name, series in self.history_.items()}
        arrays |= {} if self._given is None else {"given": self._given}
        arrays |= {} if self._recording is None else {"potentials": self._recording.potentials}
        return header, arrays

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ParticleTransport:
        """Read a fitted flow that `save` wrote. Nothing in the file is run.

        Raises
        ------
        ValueError
            No such file, a damaged one, or one of another kind or version.
        """
        header, arrays = read_flow(path)
        try:
            return cls.from_contents(header, arrays)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ValueError(f"{os.fspath(path)}: not a flow that can be read ({problem}).") from None

    @classmethod
    def from_contents(cls, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> ParticleTransport:
        """Return the flow of such `contents`, pytrees as numbered leaves; ValueError or KeyError for others."""
        return cls()._restore(header, arrays)

    def _restore(self, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> ParticleTransport:
        check_flow(header, arrays)
        self.set_params(**{name: decoded(value) for name, value in header["parameters"].items()})
        self.check_settings()
        self.random_state = self.seed_ = int(header["seed"])
        self._samples, self._given = arrays["samples"], arrays.get("given")
        self._dtype = np.float32 if header["float32"] else np.float64
        self.n_features_in_ = self._samples.shape[1]
        if len(header["columns"]) not in (0, self.n_features_in_):
            raise ValueError("names of another number of columns")
        if header["columns"]:
            self.feature_names_in_ = np.array(header["columns"], object)
        self.particles_ = arrays["particles"]
        start = self._samples if self._given is None else self._given
        self._count = len(self.particles_)
        # The span as it was: another machine's singular vectors may differ in sign from those potentials know.
        self._plan = make_plan(
            self.get_params(deep=False), self._samples, start, drawn=self._given is None,
            count=len(self.particles_), span=span_from(arrays),
        )  # fmt: skip
        self.settings_ = {**self._plan.settings, "seed": self.seed_}
        self.n_steps_, self.stopped_, self._record = header["steps"], header["stopped"], header["record"]
        self.history_ = {name[8:]: series for name, series in arrays.items() if name.startswith("history.")}
        self.trajectory_ = []
        self._recording = None
        if self._record and self.n_steps_:
            potentials = restored(self._potential_template(), "potentials", arrays, stacked=True)
            self._recording = Recording(self._plan.flow, potentials, self._sizes(), self._record)
        return self

    # ------------------------------------------------------------------ the run

    def _prepare(self, target: Any, source: Any) -> np.ndarray:
        """Read the data, resolve the settings, and return the first positions."""
        large = target if isinstance(target, LargeSamples) else None
        if large is None:
            samples = self._read(target, "target", reset=True)
        else:  # what the defaults are chosen from
            samples = large.distinct(min(len(large), _LOOKED_AT), np.random.default_rng(0))
            self._read(samples, "target", reset=True)
        given = None
        if source is not None:
            ordered = in_order_of(target, source, ("the target", "the source"))
            given = check_cloud(ordered, "source", columns=column_names(ordered), minimum=1)
        if given is not None:
            check_same_width(samples, given, "the target", "the source")
        self.seed_ = seed_from(self.random_state)
        count = self.n_particles or len(samples)
        if self.fixed_columns >= samples.shape[1]:
            raise ValueError(f"fixed_columns = {self.fixed_columns} of {samples.shape[1]} columns leaves none to move.")
        start = (
            draw_labelled_source(self.source, samples, count, self.seed_, self.fixed_columns)
            if given is None
            else given
        )
        self._given, self._samples, self._large = given, samples, large
        self._count = len(start)
        self._plan = make_plan(
            self.get_params(deep=False), samples, start, drawn=given is None, count=len(start), large=large
        )
        self.settings_ = {**self._plan.settings, "seed": self.seed_}
        return start

    def _start(self, count: int, seed: int) -> np.ndarray:
        """First positions as the fit has them, for that many particles and that seed; a given source as it is."""
        if self._given is not None:
            return self._given
        return draw_labelled_source(self.source, self._samples, count, seed, self.fixed_columns)

    def _watch(self, run: Run) -> None:
        if not self.trajectory_ or self.trajectory_[-1][0] < run.step:
            few = min(_DRAWN, max(1, _DRAWN_VALUES // self._samples.shape[1]))
            self.trajectory_.append((run.step, self.decode_state(run.state, few)))

    def _checkpointed(
        self, path: str | os.PathLike[str], seconds: float, start: np.ndarray
    ) -> tuple[Checkpoint, Run | None]:
        """Return the callback that writes the run, and the run that is on disk already."""
        import jax

        from proxflow.checkpoints import Checkpoint, fingerprint, shared_checkpoint
        from proxflow.evolution import begin

        free = {
            "steps", "callbacks", "progress", "random_state", "stop_fisher", "stop_stalled", "max_copies", "devices",
        }  # fmt: skip
        settings = {name: value for name, value in self.get_params(deep=False).items() if name not in free}
        mark = fingerprint(self._large or self._samples, start, self.seed_, self._kept(), sorted(settings.items()))

        def drawn() -> dict[str, np.ndarray]:
            return {f"trajectory.{step}": points for step, points in self.trajectory_}

        check_alike(fingerprint((self._large or self._samples).shape, start, self.seed_, sorted(settings.items())))
        first = begin(
            self._plan.flow, self._plan.divergence, self._plan.span.encode(start), self._plan.target,
            jax.random.key(self.seed_),
        )  # fmt: skip
        found = shared_checkpoint(path, first, mark, self._potential_template())
        if found is None:
            return Checkpoint(path, mark, seconds, drawn), None
        run, extras, problems = found
        for problem in problems:
            warnings.warn(f"{problem} Continuing from the one before, after step {run.step}.", stacklevel=3)
        steps = sorted(int(name.split(".")[1]) for name in extras)
        self.trajectory_ += [(step, extras[f"trajectory.{step}"]) for step in steps]
        return Checkpoint(path, mark, seconds, drawn), run

    def _evolve(
        self, start: np.ndarray, seed: int, *, record: int = 0, callbacks: tuple[Any, ...] = (),
        resume: Run | None = None,
    ) -> tuple[Run, np.ndarray]:  # fmt: skip
        """Run the fitted pieces from first positions (m, d); the run, and where the particles ended."""
        import jax

        from proxflow.evolution import Stopping, begin, evolve, over_mesh
        from proxflow.sharded import row_mesh

        points, target, key = self._plan.span.encode(start), self._plan.target, jax.random.key(seed)
        if self.devices is not None:
            run = resume or begin(self._plan.flow, self._plan.divergence, points, target, key)
            mesh = row_mesh()
            resume, target = over_mesh(run, self._plan.flow, mesh), target.over_devices(mesh)
        run = evolve(
            self._plan.flow, self._plan.divergence, points, target, steps=self.steps,
            key=key, stopping=Stopping(self.stop_fisher, self.stop_stalled), batch=self._plan.batch,
            chunk=_CHUNK if self.max_copies is None else _CHUNK_OF_A_GATE,
            callbacks=callbacks, record=record, progress=self.progress, resume=resume,
        )  # fmt: skip
        return run, self.decode_state(run.state)

    # ------------------------------------------------------------------ replay

    def _potential_template(self) -> Any:
        """One step's potentials, for their shapes."""
        import jax

        from proxflow.flows import METHODS

        pair, few = self._plan.divergence, self._plan.target.points[:2]
        if pair.gamma.on_host:  # its potentials know every sample
            particles = np.broadcast_to(np.asarray(few[:1]), (self._count, few.shape[1]))
            memory = pair.gamma.init(jax.random.key(0), jax.numpy.asarray(particles), self._plan.target.points)
        else:
            memory = pair.gamma.init(jax.random.key(0), few, few)
        if not pair.reverse:
            potential: Any = pair.gamma.potential(memory)
        elif pair.gamma.on_host:
            potential = pair.variation(few, memory)
        else:
            potential = jax.eval_shape(pair.variation, few, memory)  # nothing is compiled for a shape
        return (potential,) * METHODS[self.method].stages

    def _kept(self) -> int:
        """Which steps' potentials are kept within the memory budget, as `kept_steps` counts; 0 if none can be."""
        return record_for(self.memory_budget, floats_per_step(self._potential_template()), self.steps)

    def _recorded(self, run: Run) -> None:
        self._record = self._kept()
        self.history_ = run.history
        self._recording = (
            Recording.of(self._plan.flow, run.potentials, self._sizes(), self._record)
            if self._record and run.potentials
            else None
        )

    def _sizes(self) -> np.ndarray:
        return np.asarray(self.history_["step_size"], np.float32)

    def _carry(self, points: np.ndarray) -> np.ndarray:
        """Replay the recorded potentials on points (k, d); what lies outside the data's span stays as it is."""
        if self._recording is None and self.n_steps_:
            raise ValueError(
                f"one step's potentials are more than memory_budget = {self.memory_budget:g} MB, so none were kept:"
                " raise it and fit again."
            )
        return points if self._recording is None else replay(self._recording, self._plan.span, points)

    def in_units(self, points: np.ndarray, *, features_only: bool = False) -> np.ndarray:
        """Points (n, d) with their columns in the units of the fit: as they are unless `scaling` applied.

        features_only: they come without the fixed columns.
        """
        span = self._plan.span
        return span.span.units(points) if features_only and isinstance(span, LabelledSpan) else span.units(points)

    def decode_state(self, state: Any, most: int | None = None) -> np.ndarray:
        """Where a run's particles are (the first so many), in the data's own coordinates: for callbacks."""
        return self._plan.span.decode(np.asarray(self._plan.flow.cloud(state)[:most], np.float64))

    def check_settings(self) -> None:
        """Raise ValueError for a setting out of range; `fit` does so first of all."""
        check_settings(self.get_params(deep=False))

    # ------------------------------------------------------------------ points in and out

    def _read(self, points: Any, name: str, *, reset: bool, minimum: int = 2) -> np.ndarray:
        samples = read_points(self, points, name, reset=reset, minimum=minimum)
        if reset:
            self._dtype = kept_dtype(points)
        return samples
