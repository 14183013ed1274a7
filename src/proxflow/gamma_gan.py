"""A generator to sample from: the (f, Γ)-GAN as an estimator.

    min over g of  D_f^Γ(g#ρ‖Q),    or, reversed,  D_f^Γ(Q‖g#ρ)

`GammaGAN` trains a generator once (`flows.generator`); then a sample costs one pass through a network. What other texts
call by names of their own are choices of f and Γ, see the class. Bad at: saying how near it is to the optimum: there is
no such number for a generator, only what its samples are like (`health`, `trust`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from proxflow.arrays import restored
from proxflow.entropies import Entropy
from proxflow.evolution import Run
from proxflow.flows.generator import Generated
from proxflow.gamma import Gamma
from proxflow.gamma.convolutional import as_shape
from proxflow.gamma.symmetric import Group
from proxflow.generators.choices import GENERATORS, default_width, first_generator
from proxflow.generators.latents import between, made
from proxflow.generators.symmetric import with_group
from proxflow.health import Health, Watch, health_of, warn_of
from proxflow.noise import latent_noise
from proxflow.plan import coordinates
from proxflow.sources import SOURCES
from proxflow.spans import Span
from proxflow.trained_files import potential_template, read_trained, write_trained
from proxflow.training import UNMARKED, Stage, check_training, jax_key, set_stage, train
from proxflow.validation import (
    check_choice,
    check_cloud,
    check_positive,
    check_same_width,
    kept_dtype,
    read_points,
    seed_from,
)

__all__ = ["GammaGAN"]

_FEWEST_LATENTS, _MOST_LATENTS = 2, 64
# Shares of the training at which `trajectory_` looks: most of the way is early.
_LOOKS = (0.0, 0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
_SHOWN = 2000


class GammaGAN(BaseEstimator):
    """Learn to make samples like those of a target: a generator against an (f, Γ)-potential.

    | what others call | here |
    | --- | --- |
    | Lipschitz-regularised f-GAN (Birrell et al. 2022) | `f="kl"`, `"alpha"`, ...: the default |
    | WGAN, its critic Lipschitz by its layers | `f="ipm"` |
    | WGAN-GP (one-sided) | `f="ipm", gamma="penalty"` |
    | f-GAN | `L=float("inf")` |
    | GAN (Jensen-Shannon, without the non-saturating trick) | `f="js", L=float("inf"), reverse=True` |
    | structure-preserving GAN | `group=rotations(28)` |

    None means "chosen from the data"; `settings_` says what was.

    Parameters
    ----------
    f, alpha
        The entropy, as in `ParticleTransport`.
    L
        Lipschitz constant of the potential, per unit of data. None: 40 / radius of the target. inf: no bound.
    gamma
        The space of potentials, as in `ParticleTransport`.
    reverse
        Take D(Q‖P), P the generated law.
    generator
        "dense", or "convolutional" for pictures.
    group
        A `gamma.symmetric.Group` that leaves the data's law alone: then it leaves the generated law and the potentials
        alone, too, exactly.
    image
        (height, width) or (height, width, channels) of pictures; None: square and grey.
    noise
        "gaussian", "uniform" or "logistic": the law of the latents' independent columns.
    latent_dimensions
        k. None: as many as the target's coordinates, from 2 to 64.
    n_particles
        How many new samples `particles_` holds; None as many as the target.
    steps
        Of the generator.
    batch_size
        Points per step.
    width
        Units of the generator's dense layers, or channels of its coarsest grid. None: 64, 128 from 33 coordinates; 32.
    depth
        Dense layers.
    updates
        Of the potential, for each of the generator's.
    learning_rate, potential_learning_rate
        Of generator and potential at first; both fall to zero along a cosine. None: 5e-3.
    scaling, bounds
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
        New samples.
    generator_ : Generator
        In the coordinates of the fit.
    history_ : dict of ndarray (n_steps_,)
        "value", "fisher", "slope", "step_size" (the generator's learning rate) of every step.
    health_ : Health
        Whether modes are missing or the training diverged.
    trajectory_ : list of (step, ndarray)
        What at most 2000 latents became, along the training; of a resumed fit, since it went on.
    n_steps_, stopped_, settings_, seed_
        Training steps, why it ended, every setting resolved, the seed used.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from proxflow import GammaGAN
    >>> target, _ = make_moons(500, noise=0.05, random_state=0)
    >>> gan = GammaGAN(steps=200, random_state=0).fit(target)  # some thousand for a good one
    >>> gan.sample(100).shape
    (100, 2)
    >>> z = gan.latents(2, random_state=0)
    >>> gan.decode(z).shape, gan.interpolate(z[0], z[1], 10).shape
    ((2, 2), (10, 2))
    """

    _dtype: Any  # of the target: what comes out

    def __init__(
        self,
        f: str | Entropy = "kl",
        *,
        alpha: float | None = None,
        L: float | None = None,
        gamma: str | Gamma = "auto",
        reverse: bool = False,
        generator: str = "dense",
        group: Group | None = None,
        image: tuple[int, ...] | None = None,
        noise: str = "gaussian",
        latent_dimensions: int | None = None,
        n_particles: int | None = None,
        steps: int = 10_000,
        batch_size: int = 256,
        width: int | None = None,
        depth: int = 3,
        updates: int = 5,
        learning_rate: float = 3e-3,
        potential_learning_rate: float | None = None,
        scaling: str = "auto",
        bounds: tuple[float, float] | None = None,
        callbacks: tuple[Any, ...] = (),
        progress: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.f = f
        self.alpha = alpha
        self.L = L
        self.gamma = gamma
        self.reverse = reverse
        self.generator = generator
        self.group = group
        self.image = image
        self.noise = noise
        self.latent_dimensions = latent_dimensions
        self.n_particles = n_particles
        self.steps = steps
        self.batch_size = batch_size
        self.width = width
        self.depth = depth
        self.updates = updates
        self.learning_rate = learning_rate
        self.potential_learning_rate = potential_learning_rate
        self.scaling = scaling
        self.bounds = bounds
        self.callbacks = callbacks
        self.progress = progress
        self.random_state = random_state

    # ------------------------------------------------------------------ fitting and sampling

    def fit(
        self, target: Any, *, checkpoint: str | os.PathLike[str] | None = None, checkpoint_seconds: float = 30.0
    ) -> GammaGAN:
        """Train the generator.

        Parameters
        ----------
        target
            Samples of Q, shape (n, d).
        checkpoint, checkpoint_seconds
            A file to keep the run in, as in `ParticleTransport.fit`.

        Raises
        ------
        ValueError
            Bad samples (the place is named), a setting out of range or of another number of columns, or a checkpoint
            that is damaged or of another run.
        """
        self.check_settings()
        samples = self._read(target)
        self.seed_ = seed_from(self.random_state)
        self._stage = self.stage_of(samples, None)
        self._describe()
        self._train(checkpoint, checkpoint_seconds)
        self._conclude()
        return self

    def sample(self, n: int = 1, random_state: int | np.random.RandomState | None = None) -> np.ndarray:
        """Return n new samples, shape (n, d).

        Parameters
        ----------
        n
            How many.
        random_state
            Seed of the latents. None: fixed by the fit's seed, so that a call repeats itself.

        Raises
        ------
        ValueError
            If n is not a positive whole number.
        """
        return self.decode(self.latents(n, random_state))

    def latents(self, n: int = 1, random_state: int | np.random.RandomState | None = None) -> np.ndarray:
        """Return n latents, shape (n, k), as `sample` draws them; with a group (n, k + 1), the element's number last.

        The parameters are those of `sample`.
        """
        check_is_fitted(self, "particles_")
        check_positive(n, "n", integer=True)
        seed = (self.seed_ + 1) % 2**32 if random_state is None else seed_from(random_state)
        return np.asarray(self._stage.source.some(jax_key(seed), int(n)))  # type: ignore[attr-defined]

    def decode(self, latents: Any) -> np.ndarray:
        """Return what the generator makes of latents (n, k): shape (n, d); each row depends on its own latent only.

        Raises
        ------
        ValueError
            Latents of another width, not finite, or with no element of the group in the last column.
        """
        check_is_fitted(self, "particles_")
        z = check_cloud(latents, "latents", minimum=1)
        check_same_width(z, np.asarray(self._stage.source.points), "the given latents", "the generator's")
        if self.group is not None and not np.isin(z[:, -1], np.arange(len(self.group))).all():
            raise ValueError(
                f"latents: the last column is the number of a group element, 0 to {len(self.group) - 1}: `latents`"
                " draws such rows."
            )
        points = self._stage.decode(made(self.generator_, z))
        return self._clipped(points).astype(self._dtype)

    def interpolate(self, first: Any, last: Any, n: int = 10) -> np.ndarray:
        """Return n points, shape (n, d), made of latents on the way from first to last, shape (k,) each.

        Gaussian latents turn about the origin, for straight lines pass nearer to it than samples ever lie; the others
        go straight.

        Raises
        ------
        ValueError
            Latents of other shapes, or of two elements of the group: no path joins those.
        """
        check_positive(n, "n", integer=True)
        ends = [np.asarray(end, np.float64) for end in (first, last)]
        if any(end.ndim != 1 for end in ends) or ends[0].shape != ends[1].shape:
            raise ValueError(f"two latents of shape (k,) are needed, got {ends[0].shape} and {ends[1].shape}.")
        if self.group is not None and ends[0][-1] != ends[1][-1]:
            raise ValueError("no path joins two elements of a group: give both latents the same last column.")
        kept = len(ends[0]) - (self.group is not None)
        path = between(ends[0][:kept], ends[1][:kept], int(n), turning=self.noise == "gaussian")
        return self.decode(np.hstack([path, np.tile(ends[0][kept:], (int(n), 1))]))

    # ------------------------------------------------------------------ training

    def check_settings(self) -> None:
        """Raise ValueError for a setting out of range; `fit` does so first of all."""
        check_training(self.get_params(deep=False))
        check_choice(self.generator, "generator", GENERATORS)
        check_choice(self.noise, "noise", SOURCES)
        if self.latent_dimensions is not None:
            check_positive(self.latent_dimensions, "latent_dimensions", integer=True)
        if self.potential_learning_rate is not None:
            check_positive(self.potential_learning_rate, "potential_learning_rate")
        if self.group is not None and not isinstance(self.group, Group):
            raise ValueError(f"group must be a proxflow.gamma.symmetric.Group, got {self.group!r:.60}.")
        if self.image is not None:
            as_shape(self.image)
            if self.generator != "convolutional":
                raise ValueError("image is for generator='convolutional'; a dense one knows no neighbours.")
        if self._own_coordinates() and self.scaling in ("columns", "signed_log"):
            raise ValueError("pictures and columns that a group moves must stay as they are: use scaling='none'.")

    def stage_of(self, samples: np.ndarray, given: np.ndarray | None, span: Any = None) -> Stage:
        """What this estimator trains among, for target samples (n, d); `given` is for estimators with a source."""
        self._check_columns(samples.shape[1])
        p = self.get_params(deep=False)
        if span is None:
            own = self._own_coordinates()
            span = Span(np.zeros(samples.shape[1])) if own else coordinates(p, samples, samples, True)
        columns = samples.shape[1] if span.basis is None else len(span.basis)
        count = self.latent_dimensions or min(max(_FEWEST_LATENTS, columns), _MOST_LATENTS)
        noise: Any = latent_noise(int(count), self.noise, int(self.batch_size), _key(self.seed_, 7))
        noise = noise if self.group is None else with_group(noise, self.group)
        return set_stage(p, samples, None, self.seed_, source=noise, span=span, group=self.group)

    def _own_coordinates(self) -> bool:
        return self.generator == "convolutional" or self.group is not None

    def _check_columns(self, columns: int) -> None:
        if self.group is not None and self.group.columns != columns:
            raise ValueError(f"the group moves {self.group.columns} columns, but the data have {columns}.")
        if self.generator == "convolutional" and math.prod(self._image(columns)) != columns:
            raise ValueError(f"the data have {columns} columns, which is no picture of shape {self.image or 'n x n'}.")

    def _image(self, columns: int) -> tuple[int, int, int]:
        side = math.isqrt(columns)
        return as_shape((side, side) if self.image is None else self.image)

    def _describe(self) -> None:
        own = ("generator", "noise", "image", "depth", "potential_learning_rate")
        self.settings_ = {
            **self._stage.settings, **{name: getattr(self, name) for name in own}, "width": self._width(),
            "latent_dimensions": self._latent_dimensions(), "group": None if self.group is None else len(self.group),
        }  # fmt: skip

    def _width(self) -> int:
        return self.width or default_width(self.generator, len(self._stage.centre))

    def _latent_dimensions(self) -> int:
        return int(self._stage.source.points.shape[1]) - (self.group is not None)

    def _first(self) -> Any:
        """The generator that training begins with."""
        stage, count = self._stage, self._latent_dimensions()
        columns = len(stage.centre)
        return first_generator(
            self.generator, _key(self.seed_, 100), np.asarray(stage.start), stage.centre, stage.scale, latents=count,
            deviation=1 / math.sqrt(3) if self.noise == "uniform" else 1.0, width=self._width(), depth=int(self.depth),
            image=self._image(columns) if self.generator == "convolutional" else None, group=self.group,
        )  # fmt: skip

    def _train(self, checkpoint: str | os.PathLike[str] | None, seconds: float) -> None:
        stage = self._stage
        flow = Generated(self._first(), stage.source, float(self.learning_rate), float(self.steps), int(self.updates))
        start = made(flow.generator, np.asarray(stage.source.points))
        goal = np.asarray(stage.target.points)
        extent = max(stage.settings["data_radius"], float(np.median(np.linalg.norm(start - goal.mean(axis=0), axis=1))))
        watch = Watch(lambda run: run.state.ends, goal.mean(axis=0), extent)
        looks = _Looks(self, flow)
        run = train(
            flow, stage, start, _key(self.seed_, 0), steps=int(self.steps), callbacks=(watch, looks, *self.callbacks),
            progress=self.progress, checkpoint=checkpoint, seconds=seconds,
            mark=(self.seed_, sorted((n, v) for n, v in self.get_params(deep=False).items() if n not in UNMARKED)),
        )  # fmt: skip
        self.generator_ = flow.trained(run.state)
        self.potential_ = stage.divergence.variation(run.state.ends, run.memory)
        self.history_, self.n_steps_, self.stopped_ = run.history, run.step, run.stopped
        self.trajectory_ = looks.seen

    def _conclude(self) -> None:
        stage = self._stage
        count = int(self.n_particles or len(stage.samples))
        ends = made(self.generator_, np.asarray(stage.source.some(jax_key(self.seed_), count)))  # type: ignore[attr-defined]
        self.particles_ = self._clipped(stage.decode(ends)).astype(self._dtype)
        self.health_: Health = health_of(ends, stage.span.encode(stage.samples), self.stopped_, self.seed_)
        warn_of(self.health_, self.stopped_, self.n_steps_)

    # ------------------------------------------------------------------ files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trained generator to one file, whole or not at all; `load` reads it.

        Raises
        ------
        ValueError
            A setting that is an object of your own, or a refusal of the system.
        """
        check_is_fitted(self, "particles_")
        trees = {"generator": self.generator_, "potential": self.potential_}
        write_trained(path, self, self._stage, {"health": self.health_.to_dict()}, trees)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GammaGAN:
        """Read a trained generator that `save` wrote. Nothing in the file is run.

        Raises
        ------
        ValueError
            No such file, a damaged one, or one of another kind or version.
        """
        return read_trained(path, cls(), cls._restore)

    def _restore(self, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray], stage: Stage) -> None:
        self._stage = stage
        self._describe()
        self.generator_ = restored(self._first(), "generator", arrays)
        self.potential_ = restored(potential_template(stage), "potential", arrays)
        self.health_ = Health(**header["health"])
        self.trajectory_ = []

    # ------------------------------------------------------------------ pieces

    def in_units(self, points: np.ndarray, *, features_only: bool = False) -> np.ndarray:
        """Points (n, d) with their columns in the units of the fit: as they are unless `scaling` applied."""
        return self._stage.span.units(points)

    def decode_state(self, state: Any, most: int | None = None) -> np.ndarray:
        """What a run's last batch was (its first rows), in the data's own coordinates: for callbacks."""
        return self._stage.decode(np.asarray(state.ends[:most]))

    def _clipped(self, points: np.ndarray) -> np.ndarray:
        return points if self.bounds is None else np.clip(points, *self.bounds)

    def _read(self, points: Any) -> np.ndarray:
        self._dtype = kept_dtype(points)
        return read_points(self, points, "target", reset=True)


class _Looks:
    """A callback that keeps what some fixed latents become, at a few steps."""

    def __init__(self, gan: GammaGAN, flow: Any) -> None:
        self._flow, self._stage, self._clipped = flow, gan._stage, gan._clipped
        self._latents = np.asarray(flow.source.points)[:_SHOWN]
        self._due = [math.floor(share * gan.steps) for share in _LOOKS]
        self.seen: list[tuple[int, np.ndarray]] = []

    def __call__(self, run: Run) -> None:
        if self._due and run.step >= self._due[0]:
            self._due = [step for step in self._due if step > run.step]
            points = made(self._flow.trained(run.state), self._latents)
            self.seen.append((run.step, self._clipped(self._stage.decode(points))))


def _key(seed: int, number: int) -> jax.Array:
    return jax.random.fold_in(jax_key(seed), number)
