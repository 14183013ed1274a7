"""What most people import: scikit-learn objects over the pieces below.

`ParticleTransport` is the generative particle algorithm with every choice made from the data and every choice
exposed.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from proxflow.defaults import default_learning_rate, default_lipschitz, default_width, radius, smoothed
from proxflow.entropies import Entropy, entropy
from proxflow.estimate import named_gamma
from proxflow.gamma import Gamma
from proxflow.sources import SOURCES, draw_source
from proxflow.spans import Span, affine_span, column_scales
from proxflow.validation import check_choice, check_cloud, check_positive, check_same_width, seed_from

if TYPE_CHECKING:
    from proxflow.evolution import Run

__all__ = ["ParticleTransport"]

_DRAWN = 2000  # particles kept in `trajectory_`: enough for any picture


class ParticleTransport(TransformerMixin, BaseEstimator):
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
        chosen = entropy(self.f, self.alpha)
        samples = self._read(target, "target", reset=True)
        given = None if source is None else check_cloud(source, "source", columns=_names(source), minimum=1)
        if given is not None:
            check_same_width(samples, given, "the target", "the source")
        self.seed_ = seed_from(self.random_state)
        start = (
            draw_source(self.source, samples, self.n_particles or len(samples), self.seed_) if given is None else given
        )
        self._span = self._coordinates(samples, start)
        self._given, self._samples = given, samples
        self._flow, self._pair, self._smooth = self._pieces(chosen, self._span.encode(samples), drawn=given is None)
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
        _, moved = self._evolve(start, seed)
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
            self._flow, self._pair, self._span.encode(start), self._smooth.target, steps=self.steps,
            key=jax.random.key(seed), stopping=Stopping(self.stop_fisher, self.stop_stalled),
            callbacks=callbacks, record=record, progress=self.progress,
        )  # fmt: skip
        return run, self.decode_state(run.state)

    def in_units(self, points: np.ndarray) -> np.ndarray:
        """Points (n, d) with their columns in the units of the fit: as they are unless `scaling` applied."""
        return points if self._span.scale is None else points / self._span.scale

    def decode_state(self, state: Any) -> np.ndarray:
        """Where a run's particles are, in the data's own coordinates: for callbacks, which get a `Run`."""
        return self._span.decode(np.asarray(self._flow.cloud(state), np.float64))

    # ------------------------------------------------------------------ the choices

    def check_settings(self) -> None:
        """Raise ValueError for a setting out of range; `fit` does so first of all."""
        from proxflow.flows.particles import METHODS

        entropy(self.f, self.alpha)
        check_choice(self.method, "method", tuple(METHODS))
        check_choice(self.source, "source", SOURCES)
        check_choice(self.scaling, "scaling", ("auto", "columns", "none"))
        if self.scaling == "columns" and self.bounds is not None:
            raise ValueError("bounds are in the data's own units: use scaling='none' with them.")
        for name in ("steps", "depth", "updates"):
            check_positive(getattr(self, name), name, integer=True)
        for name in ("n_particles", "width"):
            if getattr(self, name) is not None:
                check_positive(getattr(self, name), name, integer=True)
        for name in ("L", "step_size", "learning_rate"):
            if getattr(self, name) is not None:
                check_positive(getattr(self, name), name, infinite=name == "L")
        check_positive(self.step_share, "step_share")
        named_gamma(self.gamma, self.L or 1.0, 1, width=self.width)
        if self.smoothing is not None and not 0 <= self.smoothing <= 1:
            raise ValueError(f"smoothing must be between 0 and 1, got {self.smoothing!r}.")
        if self.bounds is not None and not (len(self.bounds) == 2 and self.bounds[0] < self.bounds[1]):
            raise ValueError(f"bounds must be (low, high) with low < high, got {self.bounds!r}.")
        if self.stop_stalled < 0 or self.stop_fisher < 0:
            raise ValueError("stop_stalled and stop_fisher must be at least 0 (0 switches them off).")

    def _coordinates(self, samples: np.ndarray, start: np.ndarray) -> Span:
        scale = None
        if self.scaling == "columns":
            deviations = samples.std(axis=0)
            scale = np.where(deviations > 0, deviations, 1.0)
        elif self.scaling == "auto" and self.bounds is None:
            scale = column_scales(samples)
        # A box is stated in the data's own coordinates, so with one nothing is shifted, scaled or rotated.
        return affine_span(samples, start, scale=scale) if self.bounds is None else Span(np.zeros(samples.shape[1]))

    def _pieces(self, f: Entropy, goal: np.ndarray, *, drawn: bool) -> tuple[Any, Any, Any]:
        """The flow, the divergence and the target to flow to, with every setting resolved."""
        from proxflow.divergences import Divergence
        from proxflow.flows import ConstantStep, DivergenceStep, Particles

        slope = default_lipschitz(goal) if self.L is None else float(self.L)
        width = self.width or default_width(goal.shape[1])
        rate = self.learning_rate or default_learning_rate(width)
        gamma = named_gamma(
            self.gamma, slope, goal.shape[1],
            width=width, depth=self.depth, updates=self.updates, learning_rate=rate,
        )  # fmt: skip
        # For a map between two data sets the samples themselves are the goal; for new samples, what lies between.
        smooth = smoothed(goal, self.smoothing if self.smoothing is not None or drawn else 0.0)
        size = radius(goal)
        rule = DivergenceStep(self.step_share, size) if self.step_size is None else ConstantStep(self.step_size)
        low, high = self.bounds or (-math.inf, math.inf)
        self.settings_: dict[str, Any] = {
            "f": repr(f), "L": getattr(gamma, "L", slope), "gamma": type(gamma).__name__,
            "width": getattr(gamma, "width", width), "depth": getattr(gamma, "depth", self.depth),
            "updates": getattr(gamma, "updates", self.updates),
            "learning_rate": getattr(gamma, "learning_rate", rate), "steps": self.steps, "method": self.method,
            "step_size": self.step_size, "step_share": self.step_share, "smoothing": smooth.weight,
            "scaling": "none" if self._span.scale is None else "columns",
            "reverse": self.reverse, "bounds": self.bounds, "data_radius": size, "seed": self.seed_,
        }  # fmt: skip
        return Particles(rule, self.method, low, high), Divergence(gamma, f, self.reverse), smooth

    # ------------------------------------------------------------------ points in and out

    def _read(self, points: Any, name: str, *, reset: bool, minimum: int = 2) -> np.ndarray:
        samples = check_cloud(points, name, columns=_names(points), minimum=minimum)
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

        pair, blank = self._pair, np.zeros((2, self._span.encode(self._samples[:1]).shape[1]), np.float32)
        potential = pair.gamma.potential(pair.init(jax.random.key(0), blank, blank))
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
        first = self._span.encode(points)
        cloud, done = jnp.asarray(first, jnp.float32), 0
        for potentials in self._potentials:
            count = len(jax.tree.leaves(potentials)[0])
            sizes = jnp.asarray(self.history_["step_size"][done : done + count], jnp.float32)
            cloud = replay_all(self._flow, cloud, potentials, sizes)
            done += count
        moved = np.asarray(cloud, np.float64)
        return points + self._span.displacement(moved - first)


def _names(points: Any) -> list[str] | None:
    columns = getattr(points, "columns", None)
    return None if columns is None else [str(c) for c in columns]
