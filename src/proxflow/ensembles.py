"""The same fit with several seeds: what of a result is luck.

    member i: the estimator with seed s_i            number: mean ± deviation over the members

Members run side by side, as many at a time as there are processors, and share one compiled program; each has exactly
the bits that its seed has alone. One program vectorised over the seeds is the other way; on two
processors it takes 1.0 to 1.5 times as long as one seed after the other, threads 0.5 to 0.6 (`python -m benchmarks.run
seeds`), and its bits are others.

Bad at: a deviation of few seeds, which is itself known to 1 / sqrt(2 (k - 1)) of its size: 27 % at eight.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from proxflow.progress import Progress
from proxflow.validation import check_positive, seed_from

__all__ = ["Ensemble", "Spread", "Watcher", "at_once", "curves_of", "seeds_after"]

T = TypeVar("T")

_MOST = 10_000  # seeds


@dataclass(frozen=True)
class Spread:
    """A number as the members have it: their values (k,), mean, and standard deviation."""

    values: np.ndarray

    @property
    def mean(self) -> float:
        """Of the members."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """From member to member; nan for one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")

    @property
    def error(self) -> float:
        """Of the mean."""
        return self.deviation / float(np.sqrt(len(self.values)))

    def __str__(self) -> str:
        return f"{self.mean:.3g} ± {self.deviation:.2g}"


class Watcher:
    """A callback that members share: it shows how far they all are, and stops them all when asked to."""

    def __init__(self, bar: Progress | None = None) -> None:
        self._bar, self._stop = bar, Event()
        self._steps: dict[int, int] = {}

    def __call__(self, run: Any) -> str | None:
        self._steps[id(run)] = run.step
        if self._bar is not None:
            self._bar.update(sum(self._steps.values()))
        return "interrupted" if self._stop.is_set() else None

    def stop(self) -> None:
        """Let every member end after its present chunk."""
        self._stop.set()

    def __deepcopy__(self, memo: dict[int, Any]) -> Watcher:
        return self  # scikit-learn copies the parameters of estimators that it clones


def at_once(tasks: Sequence[Callable[[], T]], watcher: Watcher, jobs: int | None = None) -> list[T]:
    """Run tasks in threads, so many at a time, and return what they return, in order.

    JAX leaves Python's lock while it computes, so threads are enough. At Ctrl-C the watcher asks all to stop, and the
    interrupt goes on when they have.
    """
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            wait(futures)
        except KeyboardInterrupt:
            watcher.stop()
            for future in futures:
                future.cancel()  # of those that have not begun
            wait(futures)
            raise
        return [future.result() for future in futures]


def seeds_after(first: int, count: int) -> tuple[int, ...]:
    """A seed and those that follow it, after 2^32 - 1 from 0; ValueError for no seed, and for more than 10,000."""
    if not 0 < count <= _MOST:  # each is a run of its own; a slip of the hand must not fill the memory
        raise ValueError(f"seeds must be a whole number from 1 to {_MOST:,}, got {count}.")
    return tuple((seed_from(first) + index) % 2**32 for index in range(count))


def curves_of(histories: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The members' histories as arrays (k, steps), nan after a member's end."""
    longest = max(len(history["value"]) for history in histories)
    return {
        name: np.stack([np.pad(h[name].astype(float), (0, longest - len(h[name])), constant_values=np.nan)
                        for h in histories])
        for name in histories[0]
    }  # fmt: skip


class Ensemble(BaseEstimator):
    """An estimator of this package with several seeds.

    Parameters
    ----------
    estimator
        A `ParticleTransport`, `ProximalFlow`, `GammaGAN`, or any other with `fit`, `particles_` and `history_`. Its
        random_state is the first seed.
    seeds
        How many: that seed and those after it; or the seeds themselves.
    jobs
        How many run at the same time. None: as many as there are processors.
    progress
        Show a progress bar on a terminal.

    Attributes
    ----------
    members_ : list
        The fitted estimators.
    particles_ : ndarray (k, n_particles, n_features)
        What each made.
    history_ : dict of ndarray (k, n_steps)
        Their numbers step by step, nan after a member's end.
    seeds_ : tuple of int
        One per member.

    Examples
    --------
    >>> import numpy as np
    >>> from proxflow import Ensemble, ParticleTransport, wasserstein
    >>> target = np.random.default_rng(0).normal(size=(100, 2))
    >>> runs = Ensemble(ParticleTransport(steps=20, random_state=0), seeds=3).fit(target)
    >>> runs.particles_.shape, runs.history_["value"].shape
    ((3, 100, 2), (3, 20))
    >>> distance = runs.measure(lambda run: wasserstein(run.particles_, target))
    >>> bool(distance.deviation < distance.mean)
    True
    """

    def __init__(
        self, estimator: Any, *, seeds: int | Sequence[int] = 8, jobs: int | None = None, progress: bool = False
    ) -> None:
        self.estimator = estimator
        self.seeds = seeds
        self.jobs = jobs
        self.progress = progress

    def fit(self, target: Any, source: Any = None) -> Ensemble:
        """Fit every member to the target (n, d), from the source (m, d) if there is one.

        Raises
        ------
        ValueError
            No seeds, or what the estimator's own `fit` raises.
        KeyboardInterrupt
            After Ctrl-C, when every member has stopped.
        """
        if isinstance(self.seeds, (int, np.integer)):
            check_positive(self.seeds, "seeds", integer=True)
            self.seeds_ = seeds_after(seed_from(self.estimator.random_state), int(self.seeds))
        else:
            self.seeds_ = tuple(int(seed) for seed in self.seeds)
        if not self.seeds_:
            raise ValueError("seeds must be a number of seeds, or seeds, of which there is at least one.")
        if self.jobs is not None:
            check_positive(self.jobs, "jobs", integer=True)
        data = (target,) if source is None else (target, source)
        with Progress("transporting", len(self.seeds_) * self.estimator.steps, visible=self.progress) as bar:
            watcher = Watcher(bar)
            members = [
                clone(self.estimator).set_params(
                    random_state=seed, progress=False, callbacks=(*self.estimator.callbacks, watcher)
                )
                for seed in self.seeds_
            ]  # fmt: skip
            self.members_ = at_once([partial(member.fit, *data) for member in members], watcher, self.jobs)
        self.particles_ = np.stack([member.particles_ for member in self.members_])
        self.history_ = curves_of([member.history_ for member in self.members_])
        return self

    def measure(self, number: Callable[[Any], float]) -> Spread:
        """Return a number of every member, such as ``lambda run: wasserstein(run.particles_, test)``."""
        check_is_fitted(self, "members_")
        return Spread(np.asarray([float(number(member)) for member in self.members_]))
