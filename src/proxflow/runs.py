"""A run: data in, a folder out. What the command line's `generate`, `transport` and `demo` have in common.

Any estimator runs that has what `Mover` lists: particles, a trained flow, a generator.

The order is chosen so that nothing computed is lost: settings first, samples and history as soon as there are
any, then the judgement; pictures and the report (`gallery`) come last. Every file is written whole or not at all.
While it runs, the run keeps a checkpoint (`checkpoints`); in a folder that has one, it goes on from there.
"""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from proxflow.checkpoints import any_checkpoint, remove_checkpoints
from proxflow.distributed import finish as finish_together
from proxflow.distributed import processes
from proxflow.health import Health
from proxflow.labels import Labelling
from proxflow.notes import way_out_of_overflow
from proxflow.optimality import Optimality
from proxflow.store import RunFolder, write_json
from proxflow.streams import LargeSamples
from proxflow.training import ended_whole
from proxflow.trajectories import Onlooker, final_scene
from proxflow.trust import Judgement, judge, judge_by_halves, judge_by_trial

__all__ = [
    "Data",
    "Diverged",
    "Interrupted",
    "LabelColumn",
    "Mover",
    "RunResult",
    "finish",
    "run_transport",
    "say_warning",
]

_SECONDS_BETWEEN_CHECKPOINTS = 10.0
_SECONDS_BETWEEN_LOOKS = 2.0  # of trajectory.npz and history.csv, for those who follow the run in a browser
_MOST_COLUMNS = 500
_QUICK = 5.0  # seconds of a call below which it is timed again, now that everything is compiled


class Mover(Protocol):
    """What a run uses of an estimator, whichever it is.

    Some know more of how they ended: `health_`, `optimality_`. What a run reports of those is asked by these names.
    """

    bounds: tuple[float, float] | None
    particles_: Any
    history_: dict[str, np.ndarray]
    trajectory_: list[tuple[int, np.ndarray]]
    settings_: dict[str, Any]
    n_steps_: int
    stopped_: str
    seed_: int
    fit: Callable[..., Any]  # (target, source if there is one, checkpoint=, checkpoint_seconds=)
    set_params: Callable[..., Any]

    def check_settings(self) -> None:
        """Raise ValueError for a setting out of range."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name."""

    def sample(self, n: int = 1) -> np.ndarray:
        """Fresh samples, shape (n, d)."""

    def save(self, path: Path) -> None:
        """Write what was fitted to one file."""

    def in_units(self, points: np.ndarray, *, features_only: bool = False) -> np.ndarray:
        """Points in the units that distances are measured in."""

    def decode_state(self, state: Any, most: int | None = None) -> np.ndarray:
        """Where the mass of a run is, in the data's own coordinates."""


class Interrupted(Exception):
    """Ctrl-C during the flow; the message says what was saved and where."""


class Diverged(ValueError):
    """A run that broke; the message says at which step, where what there was is, and what to change."""


@dataclass(frozen=True)
class LabelColumn:
    """The classes of samples, shape (n,), under the name of their column, and as columns of numbers."""

    name: str
    codes: np.ndarray
    labelling: Labelling


@dataclass(frozen=True)
class Data:
    """Samples as they came: shape (n, d), their column names, and the shape each had in an array file.

    image: height and width, to draw them as pictures.
    """

    values: np.ndarray
    columns: tuple[str, ...] | None = None
    is_array: bool = False
    event_shape: tuple[int, ...] | None = None
    image: tuple[int, int] | None = None
    large: LargeSamples | None = None  # the file that `values` are only some rows of
    labels: LabelColumn | None = None
    rows: tuple[str, ...] | None = None  # the names of the n samples, if they have some

    @property
    def samples(self) -> Any:
        """What to fit to: the values, with their labels' columns if they have some."""
        if self.labels is not None:
            return self.labels.labelling.joined(self.values, self.labels.codes)
        return self.values if self.large is None else self.large

    def features(self, particles: np.ndarray) -> np.ndarray:
        """Of what a transport made, the columns that `values` has."""
        return particles if self.labels is None else self.labels.labelling.features(particles)

    def write(self, particles: np.ndarray, folder: RunFolder) -> None:
        """Write what a transport made in this form: under these names, or as an array of this shape."""
        rows = np.asarray(self.features(particles))
        if self.labels is not None:
            codes = self.labels.labelling.codes(particles)
            codes = codes.astype(str) if codes.dtype.kind == "b" else codes
            if self.is_array:
                folder.arrays(
                    {"samples": rows.reshape(len(rows), *(self.event_shape or (-1,))), self.labels.name: codes}
                )
            else:
                folder.samples(rows, self.columns, label=(self.labels.name, codes))
            return
        if self.is_array and self.event_shape is not None:
            rows = rows.reshape(len(rows), *self.event_shape)
        folder.samples(rows, self.columns, as_array=self.is_array)


@dataclass
class RunResult:
    """What a run made: numbers for people and programs."""

    folder: Path
    samples: np.ndarray
    transport: Mover
    seconds: float
    judgement: Judgement | None = None
    fresh: tuple[int, float] | None = None  # how many fresh samples were made in how many seconds
    resumed: bool = False  # then `seconds` are those since it went on
    labels: np.ndarray | None = None
    sentences: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """One flat object for --json."""
        value = self.transport.history_["value"]
        health, optimality = _health(self.transport), _optimality(self.transport)
        return {
            "out": str(self.folder),
            "samples": len(self.samples),
            "features": self.samples.shape[1],
            "steps": self.transport.n_steps_,
            "stopped": self.transport.stopped_,
            "divergence_first": float(value[0]) if len(value) else None,
            "divergence_last": float(value[-1]) if len(value) else None,
            "seconds": round(self.seconds, 2),
            "resumed": self.resumed,
            "fresh_samples": None if self.fresh is None else self.fresh[0],
            "fresh_seconds": None if self.fresh is None else self.fresh[1],
            "seed": self.transport.seed_,
            "settings": self.transport.settings_,
            "judgement": None if self.judgement is None else self.judgement.to_dict(),
            "health": None if health is None else health.to_dict(),
            "optimality": None if optimality is None else optimality.to_dict(),
        }


def run_transport(
    transport: Mover,
    target: Data,
    *,
    folder: RunFolder,
    settings: dict[str, Any],
    source: Data | None = None,
    heldout: Sequence[np.ndarray] = (),
    trial: bool = True,
    keep: int | None = None,
    keep_flow: bool = False,
    resume_at: Path | None = None,
    fresh: int = 0,
    callbacks: Sequence[Callable[[Any], Any]] = (),
) -> RunResult:
    """Fit the mover to the target, judge the result, and leave samples, history and settings in the folder.

    Parameters
    ----------
    transport
        An unfitted estimator.
    target, source
        The data; without a source it is drawn.
    folder
        Where to write.
    settings
        What reruns this, written to settings.json beside the resolved settings.
    heldout
        Real samples that take no part: one sample (split in two), or (fresh, test).
    trial
        Without held-out samples: judge by a trial run on three quarters of the data.
    keep
        Write only so many of the particles, chosen at random: a few particles alone would settle at the target's
        middle, for together they are the measure that is matched.
    keep_flow
        Write the fitted flow, too, to be replayed.
    resume_at
        The folder that an interrupted run is resumed by, if it is another.
    fresh
        Also time the making of so many fresh samples.
    callbacks
        Called after every chunk of steps, of the trial too.

    Raises
    ------
    Interrupted
        After saving what there was when Ctrl-C came.
    Diverged
        After saving what there was when numbers ceased to be finite, or the training ran away.
    """
    folder.settings(settings)
    resumed = any_checkpoint(folder.checkpoint)
    started = time.perf_counter()
    spread = transport.get_params().get("devices") is not None
    # Looking on while it runs would be a collective, which the other processes know nothing of.
    preview = () if processes() > 1 else (_Preview(folder, target, source, transport),)
    transport.set_params(callbacks=(*preview, *callbacks))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an early end is told below, in the command's own words
        warnings.showwarning = say_warning
        data = [target.samples, *([] if source is None else [source.samples])]
        transport.fit(*data, checkpoint=folder.checkpoint, checkpoint_seconds=_SECONDS_BETWEEN_CHECKPOINTS)
    if spread:  # what follows is one process's work
        finish_together()
        transport.set_params(devices=None)
    seconds = time.perf_counter() - started
    chosen = _chosen(np.asarray(transport.particles_), keep, transport.seed_)
    result = RunResult(folder.path, target.features(chosen), transport, seconds, resumed=resumed)
    if target.labels is not None:
        result.labels = target.labels.labelling.codes(chosen)
    target.write(chosen, folder)
    folder.history(transport.history_)
    with contextlib.suppress(ValueError):  # a way that cannot be drawn costs no result
        whole_file = len(chosen) == len(transport.particles_)  # a particle's number is its row's in the file
        final_scene(transport, target, source, "row" if whole_file else "particle").write(folder.trajectory)
    folder.settings(settings | {"resolved": transport.settings_, "stopped": transport.stopped_})
    whole = ended_whole(transport.stopped_)
    if keep_flow and (whole or transport.stopped_ == "interrupted"):
        if target.columns is not None:
            transport.feature_names_in_ = np.array(target.columns, object)  # type: ignore[attr-defined]
        transport.save(folder.path / "flow.npz")
    if transport.stopped_ == "interrupted":
        raise Interrupted(
            f"interrupted after step {transport.n_steps_}: samples and history until there are in {folder.path}; "
            f"proxflow resume {resume_at or folder.path} goes on"
        )
    if not whole:
        raise Diverged(f"{transport.stopped_} (in {folder.path}). {_way_out(transport)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result.judgement = _judged(transport, target, source, heldout, trial, callbacks)
        if fresh:
            result.fresh = (fresh, _seconds_of(lambda: transport.set_params(progress=False).sample(fresh)))
    result.sentences = _sentences(result, target, source, trial)
    write_json(folder.path / "result.json", result.to_dict())
    return result


def finish(folder: RunFolder) -> None:
    """All is written: the run need not be kept for a resumption any more."""
    # Of several blocks the first is what a resumption looks for: it goes last.
    for later in folder.path.glob(f"{folder.checkpoint.stem}-*.npz"):
        later.unlink(missing_ok=True)
    remove_checkpoints(folder.checkpoint)
    folder.tidy()


def _health(transport: Any) -> Health | None:
    found: Health | None = getattr(transport, "health_", None)
    return found


def _optimality(transport: Any) -> Optimality | None:
    found: Optimality | None = getattr(transport, "optimality_", None)
    return found


def _way_out(transport: Mover) -> str:
    if _health(transport) is None:
        return way_out_of_overflow(transport.settings_)
    return "Try a smaller --learning-rate, a finite --L, or more --updates per step."


def _seconds_of(call: Callable[[], Any]) -> float:
    """How long a call takes; of a quick one the second time, when nothing is left to compile."""
    started = time.perf_counter()
    call()
    first = time.perf_counter() - started
    if first > _QUICK:
        return first
    call()
    return time.perf_counter() - started - first


def _sentences(result: RunResult, target: Data, source: Data | None, trial: bool) -> list[str]:
    judged = [] if result.judgement is None else result.judgement.sentences()
    if not judged and trial:
        judged = ["Too few samples to hold any out: quality not judged."]
    if result.labels is not None and source is None:
        judged = [*judged, _classes(result.labels)]
    ends = [part.sentence() for part in (_health(result.transport), _optimality(result.transport)) if part is not None]
    ends = [*_farthest_column(result.samples, target), *ends]
    if source is None:
        return [*judged, *ends]

    # For a map, how far rows went matters; whether they copy the target's samples does not.
    def units(points: np.ndarray) -> np.ndarray:
        return result.transport.in_units(points, features_only=True)

    moved = float(np.linalg.norm(units(result.samples) - units(source.values), axis=1).mean())
    across = float(np.sqrt(units(target.values).var(axis=0).sum()))
    share = f", {moved / across:.2f} of the target's spread" if across > 0 else ""
    return [*judged[:1], f"Rows moved by {moved:.3g} on average{share}.", *ends]


def _farthest_column(samples: np.ndarray, target: Data) -> list[str]:
    """The column whose distribution is farthest off, if it is clearly so: distances see wide columns only."""
    from scipy.stats import ks_2samp

    goal = target.values
    if target.image is not None or samples.shape[1] > _MOST_COLUMNS:
        return []
    gaps = [ks_2samp(ours, theirs, method="asymp").statistic for ours, theirs in zip(samples.T, goal.T, strict=True)]
    worst = int(np.argmax(gaps))
    usual = 1.36 * np.sqrt(1 / len(samples) + 1 / len(goal))  # of two samples of one law, in 95 of 100 cases
    if gaps[worst] < 2 * usual:
        return []
    name = worst if target.columns is None else target.columns[worst]
    return [
        f"Farthest off is column {name}: its distribution differs by {gaps[worst]:.2f} (Kolmogorov-Smirnov; {usual:.2f}"
        " is usual). If its units are small beside the others', --scaling columns gives it its weight."
    ]


def _classes(labels: np.ndarray) -> str:
    names, counts = np.unique(labels, return_counts=True)
    listed = ", ".join(f"{name} {count}" for name, count in zip(names[:12], counts[:12], strict=True))
    return f"Classes: {listed}{', ...' if len(names) > 12 else ''}."


def _chosen(particles: np.ndarray, keep: int | None, seed: int) -> np.ndarray:
    if keep is None or keep >= len(particles):
        return particles
    return particles[np.sort(np.random.default_rng(seed).choice(len(particles), keep, replace=False))]


def _judged(
    transport: Mover,
    target: Data,
    source: Data | None,
    heldout: Sequence[np.ndarray],
    trial: bool,
    callbacks: Sequence[Callable[[Any], Any]],
) -> Judgement | None:
    train = target.values if target.large is not None else target.samples
    new, train = transport.in_units(np.asarray(transport.particles_)), transport.in_units(train)
    heldout = [transport.in_units(cloud) for cloud in heldout]
    if len(heldout) == 2:
        return judge(new, train, *heldout, basis=f"{len(heldout[1])} held-out samples", seed=transport.seed_)
    if len(heldout) == 1:
        return judge_by_halves(new, train, heldout[0], seed=transport.seed_)
    if not trial:
        return None

    def generate(part: np.ndarray, count: int) -> np.ndarray:
        from sklearn.base import clone

        again = clone(transport).set_params(callbacks=tuple(callbacks), n_particles=count, random_state=transport.seed_)
        if "memory_budget" in again.get_params():
            again.set_params(memory_budget=0.0)
        again.fit(part, *([] if source is None else [source.samples]))
        if again.stopped_ == "interrupted":
            raise Interrupted("interrupted while judging: the samples are saved, the quality is not known")
        if not ended_whole(again.stopped_):
            raise Diverged(f"the samples are saved, but the trial that judges them failed: {again.stopped_}.")
        return np.asarray(again.particles_)

    rows = target.values if target.large is not None else target.samples
    return judge_by_trial(rows, generate, units=transport.in_units, seed=transport.seed_)


def say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Say a warning in one line of the command's own."""
    print(f"proxflow: {message}", file=sys.stderr)


class _Preview:
    """Writes the particles, their way and the numbers every few seconds, to be looked at while the run goes on."""

    def __init__(self, folder: RunFolder, data: Data, source: Data | None, transport: Mover) -> None:
        self._folder, self._data, self._transport = folder, data, transport
        seconds = min(_SECONDS_BETWEEN_LOOKS, _SECONDS_BETWEEN_CHECKPOINTS)
        self._onlooker = Onlooker(folder, transport, data, source, seconds)
        self._last = time.monotonic()

    def __call__(self, run: Any) -> None:
        self._onlooker(run)
        if time.monotonic() - self._last > _SECONDS_BETWEEN_CHECKPOINTS:
            # A full disk is told by the checkpoint; the run goes on.
            with contextlib.suppress(ValueError):
                self._data.write(self._transport.decode_state(run.state), self._folder)
                self._folder.history(run.history)
            self._last = time.monotonic()

    def __sklearn_clone__(self) -> _Preview:
        return self  # a clone's run must not write here; `generate` drops it anyway
