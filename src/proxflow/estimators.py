"""What most people import: scikit-learn objects over the pieces below.

`ParticleTransport` is the generative particle algorithm with every choice made from the data and every choice
exposed.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from proxflow.entropies import Entropy
from proxflow.gamma import Gamma
from proxflow.plan import check_settings, make_plan
from proxflow.sources import draw_source
from proxflow.validation import check_cloud, check_positive, check_same_width, column_names, seed_from

if TYPE_CHECKING:
    from proxflow.evolution import Run

__all__ = ["ParticleTransport"]

_DRAWN = 2000  # particles kept in `trajectory_`: enough for any picture


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
        "gaussian" (the target's mean and covariance) or "uniform" (its bounding box).
    steps
        The most steps.
    method
        "euler" or "heun".
    step_size
        A constant dt. None: share · D / I at every step, see `step_share`.
    step_share
        Share of the remaining time D / I that a step takes.
    smoothing
        Weight in [0, 1] with which target samples are mixed with their nearest neighbours, against memorisation.
        None: by how sparse they are when the source is drawn, 0 when a source is given.
    scaling
        "columns": divide every column by its standard deviation inside; "none"; "auto": "columns" if one column's
        deviation is over ten times the median's (mixed units) and there are no bounds. L and `history_` are then
        in those units.
    gamma
        "auto", "groupsort", "spectral", "unregularised" (L = inf), or a `Gamma`.
    width, depth, updates, learning_rate
        Of the network: units per layer (even), hidden layers, Adam steps per fit, learning rate.
    reverse
        Descend D(Q‖P) instead of D(P‖Q).
    bounds
        (low, high): particles are projected onto that box after every step.
    stop_fisher
        Stop when the Fisher information falls below this share of its largest value; 0 never does.
    stop_stalled
        Stop when the divergence has not fallen by 2 % over this many steps; 0 never does.
    callbacks
        Functions of a `Run`, called after every chunk of steps; one that returns True stops the run.
        `decode_state(run.state)` gives them the particles.
    memory_budget
        Megabytes for the potentials that `transform` and `sample` replay. Over it they are not kept.
    progress
        Show a progress bar on a terminal.
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
        stop_fisher: float = 1e-4,
        stop_stalled: int = 100,
        callbacks: tuple[Any, ...] = (),
        memory_budget: float = 1000.0,
        progress: bool = False,
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
        self.stop_fisher = stop_fisher
        self.stop_stalled = stop_stalled
        self.callbacks = callbacks
        self.memory_budget = memory_budget
        self.progress = progress
        self.random_state = random_state

    # ------------------------------------------------------------------ scikit-learn's verbs

    def fit(self, target: Any, source: Any = None) -> ParticleTransport:
        """Move particles onto the target's distribution.

        Parameters
        ----------
        target
            Samples of Q, shape (n, d).
        source
            First positions of the particles, shape (m, d). None: drawn, see the parameter `source`.

        Raises
        ------
        ValueError
            Bad samples (the place is named), different widths, or a setting out of range.
        """
        self.check_settings()
        samples = self._read(target, "target", reset=True)
        given = None if source is None else check_cloud(source, "source", columns=column_names(source), minimum=1)
        if given is not None:
            check_same_width(samples, given, "the target", "the source")
        self.seed_ = seed_from(self.random_state)
        start = (
            draw_source(self.source, samples, self.n_particles or len(samples), self.seed_) if given is None else given
        )
        self._given, self._samples = given, samples
        self._plan = make_plan(self.get_params(deep=False), samples, start, drawn=given is None)
        self.settings_: dict[str, Any] = self._plan.settings | {"seed": self.seed_}
        self.trajectory_: list[tuple[int, np.ndarray]] = []

        def watch(run: Run) -> None:
            self.trajectory_.append((run.step, self.decode_state(run.state)[:_DRAWN]))

        run, moved = self._evolve(start, self.seed_, record=self._replayable(), callbacks=(watch, *self.callbacks))
        self._potentials = run.potentials
        self.particles_ = moved.astype(self._dtype)
        self.history_, self.n_steps_, self.stopped_ = run.history, run.step, run.stopped
        if "interrupted" in run.stopped or "non-finite" in run.stopped:
            warnings.warn(
                f"the run ended early ({run.stopped}); particles_ holds the state after step {run.step}",
                RuntimeWarning,
                stacklevel=2,
            )
        return self

    def sample(self, n: int = 1, random_state: int | np.random.RandomState | None = None) -> np.ndarray:
        """Return n new samples, shape (n, d): the flow run again from fresh source points.

        As good as `particles_` and as slow as a fit, for particles find their places together. The run moves at
        least as many particles as the fit did, and returns n of them.

        Parameters
        ----------
        n
            How many. For the particles of the fit themselves take `particles_`.
        random_state
            Seed of the fresh source points. None: fixed by the fit's seed, so that a call repeats itself.

        Raises
        ------
        ValueError
            If n is not a positive whole number.
        """
        check_is_fitted(self, "particles_")
        check_positive(n, "n", integer=True)
        seed = (self.seed_ + 1) % 2**32 if random_state is None else seed_from(random_state)
        count = max(int(n), len(self.particles_))
        if self._given is None:
            start = draw_source(self.source, self._samples, count, seed)
        else:
            rows = np.random.default_rng(seed).choice(len(self._given), count, replace=count > len(self._given))
            start = self._given[rows]
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
        particles there were. For new samples of the target use `sample`.
        """
        check_is_fitted(self, "particles_")
        points = self._read(new_particles, "new_particles", reset=False, minimum=1)
        moved = self._carry(points)
        kept = np.asarray(new_particles).dtype
        return moved.astype(kept if kept in (np.float32, np.float64) else np.float64)

    def _evolve(
        self, start: np.ndarray, seed: int, *, record: bool = False, callbacks: tuple[Any, ...] = ()
    ) -> tuple[Run, np.ndarray]:
        """Run the fitted pieces from first positions (m, d); the run, and where the particles ended."""
        import jax

        from proxflow.evolution import Stopping, evolve

        run = evolve(
            self._plan.flow, self._plan.divergence, self._plan.span.encode(start), self._plan.target, steps=self.steps,
            key=jax.random.key(seed), stopping=Stopping(self.stop_fisher, self.stop_stalled),
            callbacks=callbacks, record=record, progress=self.progress,
        )  # fmt: skip
        return run, self.decode_state(run.state)

    def in_units(self, points: np.ndarray) -> np.ndarray:
        """Points (n, d) with their columns in the units of the fit: as they are unless `scaling` applied."""
        return points if self._plan.span.scale is None else points / self._plan.span.scale

    def decode_state(self, state: Any) -> np.ndarray:
        """Where a run's particles are, in the data's own coordinates: for callbacks, which get a `Run`."""
        return self._plan.span.decode(np.asarray(self._plan.flow.cloud(state), np.float64))

    def check_settings(self) -> None:
        """Raise ValueError for a setting out of range; `fit` does so first of all."""
        check_settings(self.get_params(deep=False))

    # ------------------------------------------------------------------ points in and out

    def _read(self, points: Any, name: str, *, reset: bool, minimum: int = 2) -> np.ndarray:
        samples = check_cloud(points, name, columns=column_names(points), minimum=minimum)
        if not hasattr(points, "columns") and np.asarray(points).ndim == 1:
            raise ValueError(
                f"{name}: expected 2D array, got 1D array instead. Reshape your data with .reshape(-1, 1) if it has"
                " one feature, or .reshape(1, -1) if it is one sample."
            )
        validate_data(self, points, reset=reset, skip_check_array=True)
        if reset:
            dtype = getattr(points, "dtype", None)
            self._dtype = np.float32 if dtype == np.float32 else np.float64
        return samples

    def _replayable(self) -> bool:
        import jax

        from proxflow.flows.particles import METHODS

        gamma, few = self._plan.divergence.gamma, self._plan.target.points[:2]
        potential = gamma.potential(gamma.init(jax.random.key(0), few, few))
        floats = sum(leaf.size for leaf in jax.tree.leaves(potential))
        self._megabytes = 4e-6 * floats * self.steps * len(METHODS[self.method].stages)
        return self._megabytes <= self.memory_budget

    def _carry(self, points: np.ndarray) -> np.ndarray:
        """Replay the recorded potentials on points (k, d); what lies outside the data's span stays as it is."""
        import jax
        import jax.numpy as jnp

        from proxflow.flows.particles import replay_all

        if not self._potentials and self.n_steps_:
            raise ValueError(
                f"the potentials of this run ({self._megabytes:.0f} MB) were over memory_budget ="
                f" {self.memory_budget:g} MB and were not kept: raise it and fit again."
            )
        first = self._plan.span.encode(points)
        cloud, done = jnp.asarray(first, jnp.float32), 0
        for potentials in self._potentials:
            count = len(jax.tree.leaves(potentials)[0])
            sizes = jnp.asarray(self.history_["step_size"][done : done + count], jnp.float32)
            cloud = replay_all(self._plan.flow, cloud, potentials, sizes)
            done += count
        moved = np.asarray(cloud, np.float64)
        lost = ~np.isfinite(moved).all(axis=1)
        if lost.any():
            raise ValueError(
                f"row {int(np.argmax(lost))} cannot be carried: it lies where the fitted potentials overflow, far from"
                " the source and the target of the fit."
            )
        return points + self._plan.span.displacement(moved - first)
