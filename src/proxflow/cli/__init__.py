"""The command line: `proxflow demo | generate | transport | augment | integrate | compare | replay | resume | rerun`.

Every command reads files, writes one folder and prints a few lines. Bad input is one line on stderr and exit
code 2, never a traceback. Heavy imports wait inside the commands, so that --help is instant.
"""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxflow import __version__
from proxflow.cli.augment import augment
from proxflow.cli.compare import compare
from proxflow.cli.inputs import (
    Alpha,
    AsJson,
    BatchSize,
    Bounds,
    Columns,
    Depth,
    Entropy,
    FlowSlope,
    KeepFlow,
    Key,
    Label,
    MaxCopies,
    Method,
    NoPictures,
    NoTrial,
    Out,
    Overwrite,
    Rate,
    Resume,
    Reverse,
    Scaling,
    Seed,
    Smoothing,
    Space,
    Steps,
    StepSize,
    Test,
    Updates,
    Width,
    key_for,
    read,
    read_labelled,
    read_large,
    read_like,
)
from proxflow.cli.integrate import integrate
from proxflow.cli.replay import replay

if TYPE_CHECKING:
    from proxflow.runs import Data
    from proxflow.store import RunFolder

__all__ = ["main"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Compare and transport probability measures known only through samples.",
    epilog="Bad input, and Ctrl-C, end with one line on stderr and exit code 2.",
)


@dataclass(frozen=True)
class _Choices:
    """What a command was given, by option name: enough to run it again."""

    command: str
    arguments: dict[str, Any]

    def line(self) -> str:
        return shlex.join(["proxflow", *self.words()])

    def words(self) -> list[str]:
        """The command line that gives these choices, as a list."""
        words = [self.command]
        for name, value in self.arguments.items():
            flag = "-n" if name == "n" else f"--{name.replace('_', '-')}"
            if name == "data":
                words.append(str(value))
            elif value is True:
                words.append(flag)
            elif value is not None and value is not False:
                words += [flag, str(value)]
        return words

    def settings(self) -> dict[str, Any]:
        return {"command": self.command, "arguments": self.arguments, "proxflow": __version__}


# ---------------------------------------------------------------------- commands


@app.command(epilog="Example: proxflow demo --out runs/demo")
def demo(
    out: Out = None, seed: Seed = 0, overwrite: Overwrite = False, resume: Resume = False, as_json: AsJson = False,
    steps: Steps = 500,
) -> None:  # fmt: skip
    """200 real handwritten digits (8x8) become 600 new ones, judged on 1200 that took no part."""
    from proxflow.data.digits import load_digits_split
    from proxflow.runs import Data

    split = load_digits_split(random_state=seed)
    data = Data(split.train, is_array=True, event_shape=split.shape, image=split.shape)
    choices = _Choices("demo", {"seed": seed, "steps": steps})
    transport = _transport(n_particles=600, seed=seed, steps=steps, bounds=f"{split.low:g},{split.high:g}")
    _run(choices, transport, data, out, overwrite, as_json, resume, heldout=(split.fresh, split.test))


@app.command(epilog="Example: proxflow generate samples.csv -n 600 --out runs/first")
def generate(
    data: Annotated[Path, typer.Argument(help="CSV, TSV, NPY, NPZ or Parquet: one sample per row.")],
    n: Annotated[
        int | None, typer.Option("-n", help="How many new samples; as many as there are if not given.")
    ] = None,
    source: Annotated[
        str, typer.Option(help="gaussian (matched to the data), uniform (its box) or logistic.")
    ] = "gaussian",
    f: Entropy = "kl",
    alpha: Alpha = None,
    L: FlowSlope = None,
    steps: Steps = 500,
    seed: Seed = 0,
    out: Out = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
    test: Test = None,
    no_trial: NoTrial = False,
    no_pictures: NoPictures = False,
    columns: Columns = None,
    key: Key = None,
    image: Annotated[str | None, typer.Option(help="HEIGHTxWIDTH: samples are images; draw them.")] = None,
    label: Label = None,
    max_copies: MaxCopies = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="DATA is larger than memory: read a batch at a time (NPY, Parquet).")
    ] = False,
    method: Method = "euler",
    step_size: StepSize = None,
    smoothing: Smoothing = None,
    scaling: Scaling = "auto",
    gamma: Space = "auto",
    width: Width = None,
    depth: Depth = 3,
    updates: Updates = 8,
    learning_rate: Rate = None,
    reverse: Reverse = False,
    bounds: Bounds = None,
    batch_size: BatchSize = None,
    keep_flow: KeepFlow = None,
) -> None:
    """New samples from the distribution of the samples in DATA, with pictures and numbers."""
    arguments = _given(locals())
    if stream:
        if label is not None or key is not None or (columns is not None and data.suffix.lower() == ".npy"):
            raise ValueError("--stream reads samples only: no --label, no --key, and --columns of Parquet files only.")
        table = read_large(data, columns, image)
    elif label is not None:
        table = read_labelled(data, label, columns, key, image)
    else:
        table = read(data, columns, key, image)
    heldout = () if test is None else (read_like(test, table, data, key, columns),)
    if n is not None and n < 1:
        raise ValueError(f"-n must be a positive whole number, got {n}.")
    if keep_flow is not None and keep_flow <= 0:
        raise ValueError(f"--keep-flow must be a positive number of megabytes, got {keep_flow:g}.")
    transport = _transport(
        labels=table.labels, n_particles=max(n or 0, len(table.values)), source=source, max_copies=max_copies,
        f=f, alpha=alpha, L=L, steps=steps, seed=seed, method=method, step_size=step_size, smoothing=smoothing,
        scaling=scaling, gamma=gamma, width=width, depth=depth, updates=updates,
        learning_rate=learning_rate, reverse=reverse, bounds=bounds, batch_size=batch_size, keep_flow=keep_flow,
    )  # fmt: skip
    _run(
        _Choices("generate", arguments), transport, table, out, overwrite, as_json, resume,
        heldout=heldout, trial=not no_trial, pictures=not no_pictures, keep=n, keep_flow=keep_flow is not None,
    )  # fmt: skip


@app.command(epilog="Example: proxflow transport --source cohort_a.csv --target cohort_b.csv --out runs/a_to_b")
def transport(
    source: Annotated[Path, typer.Option(help="Samples to move, one per row.")],
    target: Annotated[Path, typer.Option(help="Samples of the distribution to move them to.")],
    f: Entropy = "kl",
    alpha: Alpha = None,
    L: FlowSlope = None,
    steps: Steps = 500,
    seed: Seed = 0,
    out: Out = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
    test: Test = None,
    no_trial: NoTrial = False,
    no_pictures: NoPictures = False,
    columns: Columns = None,
    key: Key = None,
    label: Label = None,
    method: Method = "euler",
    step_size: StepSize = None,
    smoothing: Smoothing = None,
    scaling: Scaling = "auto",
    gamma: Space = "auto",
    width: Width = None,
    depth: Depth = 3,
    updates: Updates = 8,
    learning_rate: Rate = None,
    reverse: Reverse = False,
    bounds: Bounds = None,
    batch_size: BatchSize = None,
    keep_flow: KeepFlow = None,
) -> None:
    """Carry the samples of one file onto the distribution of another, row by row."""
    arguments = _given(locals())
    if label is None:
        goal = read(target, columns, key_for(target, key), None)
        moving = read(source, columns, key, None, like=(target, goal))
    else:
        goal = read_labelled(target, label, columns, key_for(target, key), None)
        moving = read_labelled(source, label, columns, key_for(source, key), None, like=goal)
    heldout = () if test is None else (read_like(test, goal, target, key, columns),)
    fitted = _transport(
        labels=goal.labels, f=f, alpha=alpha, L=L, steps=steps, seed=seed, method=method, step_size=step_size,
        smoothing=smoothing, scaling=scaling,
        gamma=gamma, width=width, depth=depth, updates=updates, learning_rate=learning_rate, reverse=reverse,
        bounds=bounds, batch_size=batch_size, keep_flow=keep_flow,
    )  # fmt: skip
    _run(
        _Choices("transport", arguments), fitted, goal, out, overwrite, as_json, resume,
        source=moving, heldout=heldout, trial=not no_trial, pictures=not no_pictures, keep_flow=keep_flow is not None,
    )  # fmt: skip


app.command(epilog="Example: proxflow compare a.csv b.csv --report comparison.html")(compare)
app.command(epilog="Example: proxflow augment train.csv -n 5000 --label y --out runs/more")(augment)


app.command(
    epilog="Example: proxflow integrate cohorts.h5ad --batch cohort --reference A --label er --out merged.h5ad"
)(integrate)


app.command(epilog="Example: proxflow replay runs/first/flow.npz new.csv --out moved.csv")(replay)


@app.command(epilog="Example: proxflow rerun runs/first --out runs/again")
def rerun(
    run: Annotated[Path, typer.Argument(help="A run's folder, or its settings.json.")],
    out: Out = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Run again what a run's settings.json says: same data, same seed, same bits."""
    words = _words_of(run / "settings.json" if run.is_dir() else run)
    words += [] if out is None else ["--out", str(out)]
    app([*words, *["--overwrite"] * overwrite, *["--json"] * as_json], standalone_mode=False)


@app.command(epilog="Example: proxflow resume runs/first")
def resume(run: Annotated[Path, typer.Argument(help="A run's folder.")], as_json: AsJson = False) -> None:
    """Go on with a run that was killed or interrupted: it ends with the same bits as an unbroken one."""
    words = _words_of(run / "settings.json")
    if words[0] == "augment":
        raise ValueError(f"{run}: augment keeps no checkpoint, for its flows are short: proxflow rerun {run}.")
    app([*words, "--out", str(run), "--resume", *["--json"] * as_json], standalone_mode=False)


def _words_of(path: Path) -> list[str]:
    """The command line of a run, from its settings.json."""
    from proxflow.store import read_json

    settings = read_json(path)
    commands = ("demo", "generate", "transport", "augment")
    if not isinstance(settings, dict) or settings.get("command") not in commands:
        raise ValueError(f"{path}: not the settings of a run (its 'command' must be one of {', '.join(commands)}).")
    arguments = settings.get("arguments")
    if not isinstance(arguments, dict) or not all(
        value is None or isinstance(value, (str, int, float, bool)) for value in arguments.values()
    ):
        raise ValueError(f'{path}: \'arguments\' must be options and plain values, such as "bounds": "0,1".')
    # Through the parser, which checks every value as it would if typed.
    return _Choices(settings["command"], arguments).words()


# ---------------------------------------------------------------------- shared steps


def _given(scope: dict[str, Any]) -> dict[str, Any]:
    """The options of a command as plain values, paths absolute, without those a rerun sets itself."""
    skip = {"out", "overwrite", "resume", "as_json"}
    return {
        # JSON has no inf: as text it survives, and the parser reads it back.
        name: str(value.absolute()) if isinstance(value, Path) else str(value) if value == float("inf") else value
        for name, value in scope.items()
        if name not in skip
    }


def _transport(
    *, seed: int, bounds: str | None, labels: Any = None, keep_flow: float | None = None, **settings: Any
) -> Any:
    from proxflow.estimators import ParticleTransport

    box = None
    if bounds is not None:
        try:
            low, high = (float(part) for part in bounds.split(","))
        except ValueError:
            raise ValueError(f"--bounds must be LOW,HIGH, such as 0,1, got {bounds!r}.") from None
        box = (low, high)
    fixed = 0 if labels is None else len(labels.labelling.classes)
    return ParticleTransport(
        fixed_columns=fixed, random_state=seed, bounds=box, progress=True, memory_budget=keep_flow or 0.0, **settings
    )


def _run(
    choices: _Choices, transport: Any, target: Data, out: Path | None, overwrite: bool, as_json: bool, resume: bool, *,
    source: Data | None = None, pictures: bool = True, **options: Any,
) -> None:  # fmt: skip
    from proxflow.runs import finish, run_transport
    from proxflow.store import to_json
    from proxflow.validation import check_inside

    started = time.perf_counter()
    transport.check_settings()  # before anything is written
    check_inside(target.values, transport.bounds)
    folder = _folder(choices, out, overwrite, resume)
    if folder is None:
        said = f"{out} is finished: there is nothing to resume."
        typer.echo(to_json({"out": str(out), "finished": True}) if as_json else said)
        return
    settings = choices.settings()
    result = run_transport(transport, target, folder=folder, settings=settings, source=source, **options)
    if pictures:
        from proxflow.gallery import draw_report

        draw_report(result, target, source, folder, settings, choices.line())
    finish(folder)
    if as_json:
        typer.echo(to_json(result.to_dict()))
        return
    count, width = result.samples.shape
    value = transport.history_["value"]
    seconds = time.perf_counter() - started
    typer.echo(f"{count} samples of {width} feature{'s' * (width != 1)} in {seconds:.1f} s: {result.folder}")
    if len(value):
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


def _folder(choices: _Choices, out: Path | None, overwrite: bool, resume: bool) -> RunFolder | None:
    """The folder to write: new, or that of a run to go on with; None if that run is finished."""
    from proxflow.checkpoints import any_checkpoint
    from proxflow.store import RunFolder, default_name, read_json

    if resume and out is None:
        raise ValueError("--resume needs --out, the folder of the run to go on with.")
    if resume and out is not None and (out / "settings.json").exists():
        folder = RunFolder.reopen(out)
        earlier = read_json(out / "settings.json")
        if earlier.get("command") != choices.command or earlier.get("arguments") != choices.arguments:
            raise ValueError(f"{out} holds a run with other options: proxflow resume {out} goes on with its own.")
        ended = "stopped" in earlier and "interrupted" not in str(earlier["stopped"])
        return None if ended and not any_checkpoint(folder.checkpoint) else folder
    inputs = [choices.arguments[name] for name in ("data", "source", "target", "test") if choices.arguments.get(name)]
    return RunFolder.create(out or default_name(choices.command), overwrite=overwrite, inputs=inputs)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"proxflow {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


_INTERRUPTED = 130


def main() -> None:
    """Entry point: one clear line and exit code 2 for whatever the user can mend."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a pipe that cannot spell ‖ still gets its number
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    sys.unraisablehook = _hear_again
    try:
        code = app(standalone_mode=False)
        if code == _INTERRUPTED:  # typer's own answer to Ctrl-C
            raise KeyboardInterrupt
        sys.exit(code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted; files written until then are in the output folder, each one whole")
    except (ValueError, OSError, MemoryError) as problem:
        _fail(str(problem) or type(problem).__name__)
    except Exception as problem:
        # typer may carry its own copy of click, so its usage errors are known by what they can do. `Interrupted`
        # is known by name, for importing its module would cost every command a second.
        if hasattr(problem, "format_message"):
            _fail(problem.format_message())
        if type(problem).__name__ == "Interrupted":
            _fail(str(problem))
        raise


def _hear_again(lost: Any) -> None:
    """Repeat a Ctrl-C that fell into a callback of the garbage collector, where Python prints it and goes on."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    import _thread
    import threading

    # From another thread and a little later: raised here, it would be lost again.
    threading.Timer(0.05, _thread.interrupt_main).start()


def _fail(message: str) -> None:
    print(f"proxflow: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
