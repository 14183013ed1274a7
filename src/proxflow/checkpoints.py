"""A run on disk, so that a kill loses seconds: written every so often, continued to the same bits.

    checkpoint.npz            the run after some chunk: state, memory, key, history, recorded potentials
    checkpoint.previous.npz   the one before, in case the disk damages the first

Steps draw from the run's key and their own number, and all that later steps depend on is in the run. So a run that
is read back continues exactly as the unbroken one did, on the same machine. A fingerprint of the data and of the
settings is stored beside it: a checkpoint of another run is refused. Bad at: runs whose potentials fill the memory
budget, for they are written whole each time; the time between two writes is stretched so that writing stays below a
twentieth of the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from proxflow.arrays import Damaged, leaves, read_arrays, restored, write_arrays
from proxflow.distributed import agreed, first, processes, shared
from proxflow.evolution import Run
from proxflow.sharded import gathered

__all__ = [
    "Checkpoint", "any_checkpoint", "fingerprint", "read_checkpoint", "remove_checkpoints", "shared_checkpoint",
    "write_checkpoint",
]  # fmt: skip

_KIND, _FORMAT = "checkpoint", 1
_SHARE = 20  # of the run's time that writing may take is one over this


def fingerprint(*parts: Any) -> str:
    """Return a digest of arrays (their bytes) and of anything else (its repr)."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()


def write_checkpoint(
    path: str | os.PathLike[str], run: Run, mark: str, extras: Mapping[str, np.ndarray] | None = None
) -> None:
    """Write the run with its fingerprint and further arrays; the last checkpoint becomes the previous one.

    Raises
    ------
    ValueError
        The system refused; the last checkpoint still stands.
    """
    import jax

    file = Path(path)
    arrays = leaves(run.state, "state") | leaves(run.memory, "memory")
    arrays |= {"key": np.asarray(jax.random.key_data(run.key))}
    arrays |= {f"history.{name}": series for name, series in run.history.items()}
    for index, stack in enumerate(run.potentials):
        arrays |= leaves(stack, f"potentials.{index}")
    arrays |= {f"extra.{name}": array for name, array in (extras or {}).items()}
    header = {"step": run.step, "fingerprint": mark, "stopped": run.stopped, "stacks": len(run.potentials)}
    _, fresh, previous = _names(file)
    write_arrays(fresh, _KIND, _FORMAT, header, arrays)
    if file.exists():
        os.replace(file, previous)
    os.replace(fresh, file)


def read_checkpoint(
    path: str | os.PathLike[str], template: Run, mark: str, potential: Any = None
) -> tuple[Run, dict[str, np.ndarray], list[str]] | None:
    """Read the newest whole checkpoint of a run.

    Parameters
    ----------
    path
        Of the checkpoint; the one before it is tried where this one is damaged.
    template
        The run before its first step, for the shapes.
    mark
        The fingerprint that it must have.
    potential
        One step's potentials, for the shapes of the recorded ones; None if none are recorded.

    Returns
    -------
    (run, extras, notes) or None
        None if there is no checkpoint at all; notes say what was wrong with a newer one, which is then replaced.

    Raises
    ------
    ValueError
        Every checkpoint there is damaged, or it is of another version or of another run.
    """
    file = Path(path)
    problems: list[str] = []
    for candidate in _names(file):
        if not candidate.exists():
            continue
        try:
            found = _read(candidate, template, mark, potential)
        except Damaged as problem:
            problems.append(str(problem))
            continue
        if candidate != file:
            os.replace(candidate, file)  # in place of the damaged one, which must not become the one before
        return (*found, problems)
    if problems:
        raise ValueError(problems[0])
    return None


def _read(file: Path, template: Run, mark: str, potential: Any) -> tuple[Run, dict[str, np.ndarray]]:
    import jax

    header, arrays = read_arrays(file, _KIND, _FORMAT)
    if header.get("fingerprint") != mark:
        raise ValueError(f"{file}: of another run: the data or the settings have changed since.")
    try:
        history = {name: arrays[f"history.{name}"] for name in template.history}
        stacks = [restored(potential, f"potentials.{index}", arrays, stacked=True) for index in range(header["stacks"])]
        run = Run(
            _as_in(template.state, restored(template.state, "state", arrays)),
            _as_in(template.memory, restored(template.memory, "memory", arrays)),
            jax.random.wrap_key_data(jax.numpy.asarray(arrays["key"])),
            header["step"], history, header["stopped"], stacks,
        )  # fmt: skip
        if not (isinstance(run.step, int) and 0 <= run.step == len(run.history["value"])):
            raise ValueError(f"step {run.step!r}")
        if not all(series.ndim == 1 and series.dtype.kind == "f" for series in run.history.values()):
            raise ValueError("its history")
    except (KeyError, TypeError, ValueError, IndexError) as problem:
        raise Damaged(f"{file}: damaged ({problem}).") from None
    extras = {name.removeprefix("extra."): array for name, array in arrays.items() if name.startswith("extra.")}
    return run, extras


def _as_in(template: Any, tree: Any) -> Any:
    """The stored leaves as what they were: JAX arrays, NumPy arrays (of float64, too), or plain numbers."""
    import jax

    def alike(leaf: Any, stored: Any) -> Any:
        if isinstance(leaf, jax.Array):
            return jax.device_put(stored)
        return stored if isinstance(leaf, np.ndarray) else stored.item()

    return jax.tree.map(alike, template, tree)


def _names(file: Path) -> tuple[Path, Path, Path]:
    """The newest, one on its way to be it, and the one before: at every moment one of them is whole."""
    fresh, previous = (file.with_name(f"{file.stem}.{age}{file.suffix}") for age in ("next", "previous"))
    return file, fresh, previous


def shared_checkpoint(
    path: str | os.PathLike[str], template: Run, mark: str, potential: Any = None
) -> tuple[Run, dict[str, np.ndarray], list[str]] | None:
    """Do what `read_checkpoint` does in a run of several processes: process 0 has the file, and the others get it.

    Its fingerprint is that of process 0, where alone the data's own file must be the same as before.
    """
    if processes() == 1:
        return read_checkpoint(path, template, mark, potential)
    found, content = None, None
    if first():
        found = read_checkpoint(path, template, mark, potential)
        content = None if found is None else Path(path).read_bytes()
    content, theirs = shared(content), shared(mark.encode())
    if first() or content is None or theirs is None:
        return found
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkpoint.npz"
        copy.write_bytes(content)
        return read_checkpoint(copy, template, theirs.decode(), potential)


class Checkpoint:
    """A callback that writes the run every so many seconds.

    When the system refuses (a full disk), the run goes on: it warns, and tries again later.

    Parameters
    ----------
    path
        Where to.
    mark
        The run's fingerprint.
    seconds
        Between two writes, longer if writing takes long; 0 writes after every chunk.
    extras
        Called for further arrays to store.
    """

    def __init__(
        self, path: str | os.PathLike[str], mark: str, seconds: float,
        extras: Callable[[], Mapping[str, np.ndarray]] = dict,
    ) -> None:  # fmt: skip
        self._path, self._mark, self._pause, self._extras = path, mark, seconds, extras
        self._due = time.monotonic() + seconds

    def __call__(self, run: Run) -> None:
        """Write if it is time: by the clock of the process that writes, for all of them gather."""
        if agreed(time.monotonic() >= self._due):
            self.write_or_warn(run)

    def write_or_warn(self, run: Run) -> None:
        """Write now; a refusal of the system is a warning, for the run itself is not harmed."""
        try:
            self.write(run)
        except ValueError as problem:
            self._due = time.monotonic() + self._pause
            warnings.warn(f"no checkpoint after step {run.step}: {problem} The run goes on.", stacklevel=2)

    def write(self, run: Run) -> None:
        """Write now."""
        started = time.monotonic()
        whole = replace(run, state=gathered(run.state))
        if first():
            write_checkpoint(self._path, whole, self._mark, self._extras())
        finished = time.monotonic()
        self._due = finished + (max(self._pause, _SHARE * (finished - started)) if self._pause else 0.0)


def any_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Whether there is a checkpoint, or the one before it."""
    return any(name.exists() for name in _names(Path(path)))


def remove_checkpoints(path: str | os.PathLike[str]) -> None:
    """Remove a checkpoint and the one before it."""
    for name in _names(Path(path)):
        with contextlib.suppress(FileNotFoundError):
            name.unlink()
