"""From an estimator and data to a folder and some printed lines: for one method, and for several side by side."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from proxflow.cli.choices import Choices, folder_for
from proxflow.cli.methods import only_own
from proxflow.distributed import agreed, first

if TYPE_CHECKING:
    from proxflow.runs import Data, Mover, RunResult
    from proxflow.store import RunFolder

__all__ = ["run_one", "run_seeds", "run_several"]

_CHECKPOINT = "checkpoint.npz"  # never written here: the word that process 0 has one, for all gather
_FRESH = 1000  # new samples whose making is timed where methods are compared


def run_one(
    choices: Choices, transport: Mover, target: Data, out: Path | None, overwrite: bool, as_json: bool, resume: bool, *,
    source: Data | None = None, pictures: bool = True, **options: Any,
) -> None:  # fmt: skip
    """Run one method and say what came out."""
    from proxflow.store import to_json

    started = time.perf_counter()
    _check(transport, target)
    folder = folder_for(choices, out, overwrite, resume) if first() else None
    if not agreed(folder is not None):
        if first():
            _finished(out, as_json)
        return
    if folder is None:
        _take_part(transport, target, source)
        return
    result = _run(choices, transport, target, folder, source=source, pictures=pictures, **options)
    if as_json:
        typer.echo(to_json(result.to_dict()))
    else:
        _tell(result, time.perf_counter() - started)


def run_seeds(
    choices: Choices, make: Callable[[int], Mover], seeds: Sequence[int], target: Data, out: Path | None,
    overwrite: bool, as_json: bool, resume: bool, *, pictures: bool = True, **options: Any,
) -> None:  # fmt: skip
    """Run one method with several seeds, each into a folder of its own, and say what of the result is luck.

    Raises
    ------
    ValueError
        At the end, if some of the seeds diverged; the others are told of.
    """
    from proxflow.store import to_json

    _check(make(seeds[0]), target)
    whole = folder_for(choices, out, overwrite, resume)
    if whole is None:
        _finished(out, as_json)
        return
    whole.settings(choices.settings())
    summary = _spread_over(choices, make, seeds, target, whole, overwrite, resume, pictures, whole.path, **options)
    whole.settings(choices.settings() | {"stopped": "all seeds have run"})
    if as_json:
        typer.echo(to_json(summary))
    else:
        from proxflow.ensemble_page import lines_of

        typer.echo(f"{len(summary['seeds'])} seeds: {whole.path}")
        for line in lines_of(summary):
            typer.echo(f"  {line}")
        if pictures:
            typer.echo(f"  Report: {whole.path / 'report.html'}")
    _raise_failed(_broken(summary))


def _spread_over(
    choices: Choices, make: Callable[[int], Mover], seeds: Sequence[int], target: Data, whole: RunFolder,
    overwrite: bool, resume: bool, pictures: bool, resume_at: Path, **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Run the seeds side by side in folders of this one, and write what they say together.

    Raises
    ------
    Interrupted
        At Ctrl-C, when each has saved what it had.
    Diverged
        Every one did.
    """
    from proxflow.ensemble_page import draw_seeds, summary_of
    from proxflow.ensembles import Watcher, at_once
    from proxflow.progress import Progress
    from proxflow.runs import Diverged, Interrupted, finish, run_transport, say_warning
    from proxflow.store import write_json

    folders = {seed: whole.path / f"seed-{seed}" for seed in seeds}
    steps = make(seeds[0]).get_params()["steps"]
    with warnings.catch_warnings(), Progress("transporting", len(seeds) * steps) as bar:
        # Filters are one for all threads: one that leaves its own would show what another has hidden.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.showwarning = say_warning
        watcher = Watcher(bar)

        def task(seed: int) -> str:
            own = Choices(choices.command, choices.arguments | {"seeds": None, "seed": seed})
            folder = folder_for(own, folders[seed], overwrite, resume)
            if folder is None:
                return ""  # finished before
            transport = make(seed).set_params(progress=False)
            try:
                run_transport(
                    transport, target, folder=folder, settings=own.settings(), resume_at=resume_at,
                    callbacks=(watcher,), **options,
                )  # fmt: skip
            except Diverged as problem:
                return str(problem)
            finish(folder)
            return ""

        try:
            told = at_once([partial(task, seed) for seed in seeds], watcher)
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted: each seed's samples until there are in its folder; proxflow resume {resume_at} goes on"
            ) from None
    failed = {seed: problem for seed, problem in zip(seeds, told, strict=True) if problem}
    if len(failed) == len(seeds):
        raise Diverged(f"every seed failed; seed {seeds[0]}: {failed[seeds[0]]}")
    folders = {seed: folder for seed, folder in folders.items() if seed not in failed}
    summary = summary_of(folders) | {"failed": failed}
    write_json(whole.path / "result.json", summary)
    if pictures:
        draw_seeds(summary, folders, target, whole, choices.arguments, choices.line())
    return summary


def _broken(summary: Mapping[str, Any]) -> dict[str, str]:
    return {f"seed {seed}": problem for seed, problem in summary["failed"].items()}


def _raise_failed(failed: Mapping[str, str]) -> None:
    if failed:
        raise ValueError(" ".join(f"{name}: {problem}" for name, problem in failed.items()))


def run_several(
    choices: Choices, movers: Mapping[str, Callable[[int], Mover]], seeds: Sequence[int], target: Data,
    out: Path | None, overwrite: bool, as_json: bool, resume: bool, *, pictures: bool = True, **options: Any,
) -> None:  # fmt: skip
    """Run every method into a folder of its own, and compare them in one report.

    Raises
    ------
    ValueError
        At the end, if one of them, or of its seeds, diverged; the others are compared.
    """
    from proxflow.contest import Contest
    from proxflow.runs import Diverged
    from proxflow.store import to_json, write_json

    for make in movers.values():
        _check(make(seeds[0]), target)
    whole = folder_for(choices, out, overwrite, resume)
    if whole is None:
        _finished(out, as_json)
        return
    whole.settings(choices.settings())
    failed: dict[str, str] = {}
    broken: dict[str, str] = {}  # single seeds, of methods that are compared by the others
    for method, make in movers.items():
        own = Choices(choices.command, only_own(method, choices.arguments))
        folder = folder_for(own, whole.path / method, overwrite, resume)
        if folder is None:
            continue  # finished before
        started = time.perf_counter()
        try:
            if len(seeds) > 1:
                folder.settings(own.settings())
                summary = _spread_over(
                    own, make, seeds, target, folder, overwrite, resume, pictures, whole.path, fresh=_FRESH, **options
                )
                folder.settings(own.settings() | {"stopped": "all seeds have run"})
                broken |= {f"{method}, {name}": problem for name, problem in _broken(summary).items()}
                continue
            result = _run(
                own, make(seeds[0]), target, folder, pictures=pictures, resume_at=whole.path, fresh=_FRESH, **options
            )  # fmt: skip
        except Diverged as problem:
            failed[method] = str(problem)
            continue
        if not as_json:
            typer.echo(f"{method}:")
            _tell(result, time.perf_counter() - started)
    contest = Contest.read(whole.path, [method for method in movers if method not in failed], failed)
    write_json(whole.path / "comparison.json", contest.to_dict())
    if pictures:
        from proxflow.contest_page import draw_contest

        draw_contest(contest, target, whole, choices.arguments, choices.line())
    whole.settings(choices.settings() | {"stopped": "all methods have run"})
    if as_json:
        typer.echo(to_json(contest.to_dict()))
    else:
        for line in contest.lines():
            typer.echo(line)
        if (whole.path / "report.html").exists():
            typer.echo(f"  Report: {whole.path / 'report.html'}")
    _raise_failed(failed | broken)


def _take_part(transport: Mover, target: Data, source: Data | None) -> None:
    """Do what a process does that neither writes nor prints: its share of the steps."""
    from proxflow.distributed import finish

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = [target.samples, *([] if source is None else [source.samples])]
        transport.fit(*data, checkpoint=_CHECKPOINT)
    finish()


def _check(transport: Mover, target: Data) -> None:
    """Refuse bad settings before anything is written."""
    from proxflow.validation import check_inside

    transport.check_settings()
    check_inside(target.values, transport.bounds)


def _run(
    choices: Choices, transport: Mover, target: Data, folder: RunFolder, *, source: Data | None = None,
    pictures: bool, **options: Any,
) -> RunResult:  # fmt: skip
    from proxflow.runs import finish, run_transport

    settings = choices.settings()
    result = run_transport(transport, target, folder=folder, settings=settings, source=source, **options)
    if pictures:
        from proxflow.gallery import draw_report

        draw_report(result, target, source, folder, settings, choices.line())
    finish(folder)
    return result


def _finished(out: Path | None, as_json: bool) -> None:
    from proxflow.store import to_json

    said = f"{out} is finished: there is nothing to resume."
    typer.echo(to_json({"out": str(out), "finished": True}) if as_json else said)


def _tell(result: RunResult, seconds: float) -> None:
    transport = result.transport
    count, width = result.samples.shape
    value = transport.history_["value"]
    typer.echo(f"{count} samples of {width} feature{'s' * (width != 1)} in {seconds:.1f} s: {result.folder}")
    if hasattr(transport, "health_"):  # two batches before and two after would say nothing
        typer.echo(f"  trained: {transport.stopped_}")
    elif len(value):
        typer.echo(
            f"  divergence {value[0]:.4g} -> {value[-1]:.4g} in {transport.n_steps_} steps; {transport.stopped_}"
        )
    else:
        typer.echo(f"  not moved: {transport.stopped_}")
    for sentence in result.sentences:
        typer.echo(f"  {sentence}")
    if result.judgement is not None:
        typer.echo(f"  Judged by {result.judgement.basis}.")
    if (result.folder / "report.html").exists():
        typer.echo(f"  Report: {result.folder / 'report.html'}")
