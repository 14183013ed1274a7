"""The one loop: where is the mass, which potential does (f, Γ) see there, move along -grad φ.

Steps are compiled in chunks; between chunks Python looks at the numbers, stops, calls back, shows progress. A
chunk takes its length as an argument, so the last, shorter one compiles nothing new. Ctrl-C ends the run after
the present chunk, a non-finite number before the step that made it; either way everything computed until then is
returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from proxflow.distributed import first, processes
from proxflow.divergences import Divergence
from proxflow.flows.base import Flow, Report
from proxflow.gamma.base import Potential
from proxflow.progress import Progress
from proxflow.sharded import everywhere, on_devices_of, placed, spread, with_padding, without_padding
from proxflow.targets import Samples, Target, even_rows
from proxflow.thinning import kept_steps

__all__ = ["Callback", "Run", "Stopping", "begin", "evolve", "over_mesh"]


@dataclass(frozen=True)
class Stopping:
    """When a run has nothing more to gain.

    fisher: stop once the Fisher information falls below this share of its largest value so far. stalled: stop
    once the mean divergence over this many steps is not `progress` (a share) below that of the same number before.
    """

    fisher: float = 1e-4
    stalled: int = 100
    progress: float = 0.02

    def verdict(self, history: dict[str, np.ndarray]) -> str | None:
        """Return why the run should stop, or None."""
        fisher, value = history["fisher"], history["value"]
        if fisher[-1] < self.fisher * fisher.max():
            return "the Fisher information is spent"
        n = self.stalled
        if n and len(value) >= 2 * n:
            recent, before = value[-n:].mean(), value[-2 * n : -n].mean()
            if recent > (1 - self.progress) * before:
                return f"the divergence stalled over {n} steps"
        return None


@dataclass
class Run:
    """A flow in progress or at its end: all that continuing or replaying it takes."""

    state: Any
    memory: Any
    key: Array
    step: int = 0
    history: dict[str, np.ndarray] = field(default_factory=lambda: {k: np.empty(0) for k in Report._fields})
    stopped: str = ""
    potentials: list[tuple[Potential, ...]] = field(default_factory=list)  # one stack per chunk, if recorded


Callback = Callable[[Run], bool | str | None]  # True, or the reason in words, stops the run


def _step(
    flow: Flow, divergence: Divergence, target: Target, key: Array, index: Any, state: Any, memory: Any,
    ascend: Callable[[Any, Array, Array, Any], Any], record: bool, batch: int | None, driving: Array | None,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    # Folding the step's number into the key makes a resumed run draw what an unbroken one would.
    key = jax.random.fold_in(key, index)
    cloud_q = spread(target.draw(key))

    def drive(cloud: Array, memory: Any, fresh: Any = None) -> tuple[Potential, Array, Any]:
        some = spread(_seen(cloud, key, batch, driving))
        goal = cloud_q if fresh is None else spread(target.draw(jax.random.fold_in(key, 2 + fresh)))
        memory = ascend(index, some, goal, memory)
        value = divergence.value if batch is None else divergence.debiased_value
        return divergence.variation(some, memory), value(some, goal, memory), memory

    state, memory, report, potentials = flow.step(state, drive, memory, index)
    return state, memory, report, potentials if record else None


def _seen(cloud: Array, key: Array, batch: int | None, driving: Array | None) -> Array:
    """Return the particles that the potential is fitted to at this step."""
    key = jax.random.fold_in(key, 1)
    if driving is not None:
        return cloud[even_rows(key, driving, batch or len(cloud))]
    if batch is None or len(cloud) <= batch:
        return cloud
    # With replacement: each row is a fair draw of the particles, so that every mean over them is unbiased.
    return cloud[jax.random.randint(key, (batch,), 0, len(cloud))]


def _chunk_on_host(
    flow: Flow, divergence: Divergence, target: Target, state: Any, memory: Any, key: Array,
    first: Any, count: Any, warm_up: Any, driving: Any, *, length: int, record: bool, batch: int | None,
) -> tuple[Any, Any, Array, Array, Any]:  # fmt: skip
    """What `_chunk` does, for a Γ that climbs in Python: nothing is compiled, and one ascent is all there is."""

    def ascend(index: Any, cloud: Array, cloud_q: Array, memory: Any) -> Any:
        return divergence.fit(cloud, cloud_q, memory)

    reports, kept = [], []
    for index in range(int(first), int(first) + int(count)):
        state, memory, report, potentials = _step(
            flow, divergence, target, key, index, state, memory, ascend, record, batch, driving
        )
        reports.append(report)
        kept.append(potentials)
    finite = flow.sound(state)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *kept) if record else None
    return state, memory, jnp.asarray([*zip(*reports, strict=True)]), finite, stacked


@partial(jax.jit, static_argnames=("length", "record", "batch"))
def _chunk(
    flow: Flow, divergence: Divergence, target: Target, state: Any, memory: Any, key: Array,
    first: Any, count: Any, warm_up: Any, driving: Any, *, length: int, record: bool, batch: int | None,
) -> tuple[Any, Any, Array, Array, Any]:  # fmt: skip
    """Take `count` <= `length` steps; reports and potentials come stacked, `length` long."""
    given = state
    state, target = without_padding((state, target))

    def ascend(index: Array, cloud: Array, cloud_q: Array, memory: Any) -> Any:
        ascents = jnp.where(index == 0, warm_up, 1)
        return jax.lax.fori_loop(0, ascents, lambda _, m: divergence.fit(cloud, cloud_q, m), memory)

    def step(index: Array, state: Any, memory: Any) -> tuple[Any, Any, Any, Any]:
        return _step(flow, divergence, target, key, index, state, memory, ascend, record, batch, driving)

    def body(i: Array, carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        state, memory, kept = carry
        state, memory, *outcome = step(first + i, state, memory)
        kept = jax.tree.map(lambda buffer, leaf: buffer.at[i].set(leaf), kept, outcome)
        return state, memory, kept

    number = flow.cloud(state)[0, 0]  # a report is scalars of the cloud's dtype
    shapes: list[Any] = [flow.reports(*[number] * len(_names(flow))), None]
    if record:
        _, _, *shapes = jax.eval_shape(step, first, state, memory)
    kept = jax.tree.map(lambda leaf: jnp.zeros((length, *leaf.shape), leaf.dtype), shapes)
    state, memory, (reports, potentials) = jax.lax.fori_loop(0, count, body, (state, memory, kept))
    finite = flow.sound(state)
    # One array of numbers: one transfer a chunk.
    return with_padding(given, state), *everywhere((memory, jnp.stack(reports), finite, potentials))


def evolve(
    flow: Flow,
    divergence: Divergence,
    source: Any,
    target: Any,
    *,
    steps: int = 500,
    key: Array | None = None,
    warm_up: int = 20,
    chunk: int = 50,
    batch: int | None = None,
    driving: int | None = None,
    stopping: Stopping | None = None,
    callbacks: Sequence[Callback] = (),
    record: int = 0,
    progress: bool = False,
    title: str = "transporting",
    resume: Run | None = None,
) -> Run:
    """Move mass from source to target and return the run.

    Parameters
    ----------
    flow, divergence
        The mover, and the pair (f, Γ) whose potential drives it.
    source
        First positions, shape (m, d).
    target
        A `Target`, or samples of shape (n, d).
    steps
        The most steps to take (in all, if resumed).
    key
        A JAX random key; the same key gives the same bits on the same machine.
    warm_up
        Ascents of the potential before the first step (afterwards one per stage).
    chunk
        The most steps taken between two looks at the numbers (stopping, callbacks, progress). The first looks
        come sooner.
    batch
        Fit the potential to so many particles a step, drawn afresh; None to all. All of them move either way. The
        target says itself how much of it a step sees. The value of a step is then a batch's, see
        `Divergence.debiased_value`.
    driving
        Fit the potential to the first so many particles only; the others ride along, unseen. None: to all. A rule that
        measures speeds sees them all unless the flow is told too, see `Particles`.
    stopping
        When to stop early; None never does.
    callbacks
        Called with the run before the first step and after every chunk; one that returns True, or the reason in
        words, stops the run.
    record
        Keep the potentials, to replay the run on other points: 1 of all steps, more of fewer, see `kept_steps`; 0 none.
    progress
        Show a progress bar (on a terminal only).
    title
        What the bar says is being done.
    resume
        A run to continue.

    Examples
    --------
    >>> import jax, numpy as np
    >>> from proxflow.divergences import Divergence
    >>> from proxflow.flows import Particles
    >>> from proxflow.gamma import GroupSort
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> run = evolve(Particles(), Divergence(GroupSort(L=1.0, width=16)), x + 5, x, steps=20)
    >>> run.step, bool(run.history["value"][-1] < run.history["value"][0])
    (20, True)
    """
    target = target if isinstance(target, Target) else Samples(_single(target))
    run = resume or begin(flow, divergence, source, target, jax.random.key(0) if key is None else key, driving)
    with Progress(title, steps, visible=progress and first()) as bar:
        run.stopped = ""
        try:
            run.stopped = _asked(callbacks, run)
            if stopping is not None and run.step and not run.stopped:
                run.stopped = stopping.verdict(run.history) or ""  # a resumed run may have been at its end
            while run.step < steps and not run.stopped:
                count = min(_next_chunk(run.step, chunk), steps - run.step)
                _take(run, flow, divergence, target, count, chunk, warm_up, record, batch, driving)
                if run.stopped:
                    break
                bar.update(run.step, f"divergence {run.history['value'][-1]:.4g}")
                run.stopped = _asked(callbacks, run)
                if stopping is not None and not run.stopped:
                    run.stopped = stopping.verdict(run.history) or ""
        except KeyboardInterrupt:
            if processes() > 1:  # the others have not heard it, and would wait for this one
                raise
            run.stopped = "interrupted"
    run.stopped = run.stopped or f"all {steps} steps taken"
    return run


def begin(
    flow: Flow, divergence: Divergence, source: Any, target: Target, key: Array, driving: int | None = None
) -> Run:
    """Return the run before its first step; the potential's units come from the particles that drive it."""
    cloud = _single(source)
    seen = cloud if driving is None else _single(np.asarray(source)[:driving])
    empty = {name: np.empty(0) for name in _names(flow)}
    return Run(flow.init(cloud, key), divergence.init(key, seen, target.points), key, history=empty)


def over_mesh(run: Run, flow: Flow, mesh: Mesh) -> Run:
    """Return the run with its particles' rows on the devices of the mesh, and potential and key on every one."""
    state = placed(run.state, flow.init, flow.cloud(run.state), mesh)
    return replace(run, state=state, memory=everywhere(run.memory, mesh), key=everywhere(run.key, mesh))


def _names(flow: Flow) -> tuple[str, ...]:
    return flow.reports._fields  # type: ignore[attr-defined, no-any-return]


def _asked(callbacks: Sequence[Callback], run: Run) -> str:
    """Call all of them; why one of them wants the run to stop, if so."""
    answers = [callback(run) for callback in callbacks]
    return next((a if isinstance(a, str) else "a callback asked to stop" for a in answers if a), "")


def _single(points: Any) -> Array:
    return jax.device_put(np.asarray(points, np.float32))  # converted by NumPy: nothing to compile


def _next_chunk(step: int, longest: int) -> int:
    """Look often at first, when most of the motion happens, and ever more seldom later."""
    return min(longest, 1 + step // 4)


def _take(
    run: Run,
    flow: Flow,
    divergence: Divergence,
    target: Target,
    count: int,
    length: int,
    warm_up: int,
    record: int,
    batch: int | None,
    driving: int | None,
) -> None:
    """Advance the run by one chunk, or as far into it as numbers stay finite."""
    take = _chunk_on_host if divergence.gamma.on_host else _chunk
    target = target.renewed(run.key, run.step)
    seen = None if driving is None else np.int32(driving)

    def attempt(count: int) -> tuple[Any, Any, np.ndarray, int, str, Any]:
        """The outcome, how many of its steps are sound, and what broke the next."""
        with on_devices_of(run.state):
            state, memory, reports, sound_state, potentials = take(
                flow, divergence, target, run.state, run.memory, run.key,
                np.int32(run.step), np.int32(count), np.int32(warm_up), seen, length=length, record=bool(record),
                batch=batch,
            )  # fmt: skip
        rows = np.asarray(reports)[:, :count]
        finite = np.isfinite(rows)
        if not finite.all():
            sound = int(np.argmin(finite.all(axis=0)))
            broken = [name for name, fine in zip(_names(flow), finite[:, sound], strict=True) if not fine]
            return state, memory, rows, sound, ", ".join(broken), potentials
        # A report is made before its step moves anything: the step that breaks the state looks sound itself.
        return state, memory, rows, count - (not sound_state), "particles", potentials

    state, memory, rows, sound, broken, potentials = attempt(count)
    while sound < count:
        last = run.step + sound
        run.stopped = f"non-finite numbers at step {last + 1} ({broken}); kept the state after step {last}"
        if sound == 0:
            return
        count = sound
        state, memory, rows, sound, broken, potentials = attempt(count)
    if record:
        kept = kept_steps(record, run.step + count) - run.step
        kept = kept[kept >= 0]
        if len(kept):
            run.potentials.append(jax.tree.map(lambda leaf: np.asarray(leaf)[kept], potentials))
    run.state, run.memory, run.step = state, memory, run.step + count
    run.history = {name: np.concatenate([run.history[name], row]) for name, row in zip(_names(flow), rows, strict=True)}
