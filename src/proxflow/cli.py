"""The command line: `proxflow demo | generate | transport | divergence | rerun`.

Every command reads files, writes one folder and prints a few lines. Bad input is one line on stderr and exit
code 2, never a traceback. Heavy imports wait inside the commands, so that --help is instant.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxflow import __version__

if TYPE_CHECKING:
    from proxflow.runs import Data

__all__ = ["main"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Compare and transport probability measures known only through samples.",
    epilog="Bad input, and Ctrl-C, end with one line on stderr and exit code 2.",
)

Entropy = Annotated[str, typer.Option("--f", help="kl, alpha, reverse_kl, js, hellinger, chi2 or ipm.")]
Alpha = Annotated[float | None, typer.Option(help="Order of --f alpha (2 if not given).")]
FlowSlope = Annotated[float | None, typer.Option("--L", help="Lipschitz constant. From the data if not given.")]
Steps = Annotated[int, typer.Option(help="The most steps to take.")]
Seed = Annotated[int, typer.Option(help="Same seed, same machine: the same bits.")]
Out = Annotated[Path | None, typer.Option(help="Folder to write; proxflow-COMMAND if not given.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in --out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Columns = Annotated[str | None, typer.Option(help="Use only these columns, separated by commas.")]
Key = Annotated[str | None, typer.Option(help="Which array of an NPZ file.")]
Space = Annotated[str, typer.Option(help="auto, groupsort, spectral or unregularised.")]
Reverse = Annotated[bool, typer.Option("--reverse", help="D(Q||P) instead of D(P||Q).")]
Method = Annotated[str, typer.Option(help="euler or heun.")]
StepSize = Annotated[float | None, typer.Option(help="A constant step. Follows the divergence if not given.")]
Smoothing = Annotated[
    float | None,
    typer.Option(help="0 to 1: mix target samples with their neighbours. By their sparsity if not given."),
]
Scaling = Annotated[
    str, typer.Option(help="columns: divide by standard deviations inside; none; auto: if units are mixed.")
]
Width = Annotated[int | None, typer.Option(help="Units per layer of the network. From the data if not given.")]
Depth = Annotated[int, typer.Option(help="Hidden layers of the network.")]
Updates = Annotated[int, typer.Option(help="Updates of the potential per step.")]
Rate = Annotated[float | None, typer.Option("--learning-rate", help="Of Adam. From the width if not given.")]
Bounds = Annotated[str | None, typer.Option(help="LOW,HIGH: keep every value in this range.")]
Test = Annotated[Path | None, typer.Option(help="Held-out samples to judge by; else a trial on 3/4 of the data.")]
NoTrial = Annotated[bool, typer.Option("--no-trial", help="Do not judge by a trial run: twice as fast.")]
NoPictures = Annotated[bool, typer.Option("--no-pictures", help="No figures, no report.")]


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
    out: Out = None, seed: Seed = 0, overwrite: Overwrite = False, as_json: AsJson = False, steps: Steps = 500
) -> None:
    """200 real handwritten digits (8x8) become 600 new ones, judged on 1200 that took no part."""
    from proxflow.data.digits import load_digits_split
    from proxflow.runs import Data

    split = load_digits_split(random_state=seed)
    data = Data(split.train, is_array=True, event_shape=split.shape, image=split.shape)
    choices = _Choices("demo", {"seed": seed, "steps": steps})
    transport = _transport(n_particles=600, seed=seed, steps=steps, bounds=f"{split.low:g},{split.high:g}")
    _run(choices, transport, data, out, overwrite, as_json, heldout=(split.fresh, split.test))


@app.command(epilog="Example: proxflow generate samples.csv -n 600 --out runs/first")
def generate(
    data: Annotated[Path, typer.Argument(help="CSV, TSV, NPY, NPZ or Parquet: one sample per row.")],
    n: Annotated[
        int | None, typer.Option("-n", help="How many new samples; as many as there are if not given.")
    ] = None,
    source: Annotated[str, typer.Option(help="gaussian (matched to the data) or uniform (its box).")] = "gaussian",
    f: Entropy = "kl",
    alpha: Alpha = None,
    L: FlowSlope = None,
    steps: Steps = 500,
    seed: Seed = 0,
    out: Out = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    test: Test = None,
    no_trial: NoTrial = False,
    no_pictures: NoPictures = False,
    columns: Columns = None,
    key: Key = None,
    image: Annotated[str | None, typer.Option(help="HEIGHTxWIDTH: samples are images; draw them.")] = None,
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
) -> None:
    """New samples from the distribution of the samples in DATA, with pictures and numbers."""
    arguments = _given(locals())
    table = _read(data, columns, key, image)
    heldout = () if test is None else (_read_like(test, table, data, key, columns),)
    if n is not None and n < 1:
        raise ValueError(f"-n must be a positive whole number, got {n}.")
    transport = _transport(
        n_particles=max(n or 0, len(table.values)), source=source, f=f, alpha=alpha, L=L, steps=steps, seed=seed,
        method=method, step_size=step_size, smoothing=smoothing, scaling=scaling,
        gamma=gamma, width=width, depth=depth, updates=updates,
        learning_rate=learning_rate, reverse=reverse, bounds=bounds,
    )  # fmt: skip
    _run(
        _Choices("generate", arguments), transport, table, out, overwrite, as_json,
        heldout=heldout, trial=not no_trial, pictures=not no_pictures, keep=n,
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
    as_json: AsJson = False,
    test: Test = None,
    no_trial: NoTrial = False,
    no_pictures: NoPictures = False,
    columns: Columns = None,
    key: Key = None,
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
) -> None:
    """Carry the samples of one file onto the distribution of another, row by row."""
    arguments = _given(locals())
    goal = _read(target, columns, _key_for(target, key), None)
    moving = _read(source, columns, key, None, like=(target, goal))
    heldout = () if test is None else (_read_like(test, goal, target, key, columns),)
    fitted = _transport(
        f=f, alpha=alpha, L=L, steps=steps, seed=seed, method=method, step_size=step_size, smoothing=smoothing,
        scaling=scaling,
        gamma=gamma, width=width, depth=depth, updates=updates, learning_rate=learning_rate, reverse=reverse,
        bounds=bounds,
    )  # fmt: skip
    _run(
        _Choices("transport", arguments), fitted, goal, out, overwrite, as_json,
        source=moving, heldout=heldout, trial=not no_trial, pictures=not no_pictures,
    )  # fmt: skip


@app.command(epilog="Example: proxflow divergence a.csv b.csv --f kl --L 1")
def divergence(
    x: Annotated[Path, typer.Argument(help="Samples of P.")],
    y: Annotated[Path, typer.Argument(help="Samples of Q.")],
    f: Entropy = "kl",
    alpha: Alpha = None,
    L: Annotated[float, typer.Option("--L", help="Lipschitz constant of the potentials.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Updates of the potential.")] = 3000,
    seed: Seed = 0,
    gamma: Space = "auto",
    reverse: Reverse = False,
    columns: Columns = None,
    key: Key = None,
    out: Annotated[Path | None, typer.Option(help="Also write the result to this JSON file.")] = None,
    as_json: AsJson = False,
) -> None:
    """The Lipschitz-regularised f-divergence between two samples, as a certified lower bound."""
    from proxflow.estimate import divergence as estimate
    from proxflow.spans import column_scales
    from proxflow.store import to_json, write_json

    second = _read(y, columns, _key_for(y, key), None)
    first = _read(x, columns, key, None, like=(y, second))
    result = estimate(
        first.values, second.values, f, L, gamma,
        alpha=alpha, reverse=reverse, steps=steps, random_state=seed, progress=True,
    )  # fmt: skip
    found = result.to_dict() | {"x": str(x), "y": str(y)}
    typer.echo(to_json(found) if as_json else repr(result))
    if out is not None:
        write_json(out, found)
    if not as_json and column_scales(second.values) is not None:
        typer.echo("  One column is over ten times wider than the others' median: it decides this number. Rescale it?")


@app.command(epilog="Example: proxflow rerun runs/first --out runs/again")
def rerun(
    run: Annotated[Path, typer.Argument(help="A run's folder, or its settings.json.")],
    out: Out = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Run again what a run's settings.json says: same data, same seed, same bits."""
    from proxflow.store import read_json

    path = run / "settings.json" if run.is_dir() else run
    settings = read_json(path)
    commands = ("demo", "generate", "transport")
    if not isinstance(settings, dict) or settings.get("command") not in commands:
        raise ValueError(f"{path}: not the settings of a run (its 'command' must be one of {', '.join(commands)}).")
    arguments = settings.get("arguments")
    if not isinstance(arguments, dict) or not all(
        value is None or isinstance(value, (str, int, float, bool)) for value in arguments.values()
    ):
        raise ValueError(f'{path}: \'arguments\' must be options and plain values, such as "bounds": "0,1".')
    # Through the parser, which checks every value as it would if typed.
    words = _Choices(settings["command"], arguments).words()
    words += [] if out is None else ["--out", str(out)]
    app([*words, *["--overwrite"] * overwrite, *["--json"] * as_json], standalone_mode=False)


# ---------------------------------------------------------------------- shared steps


def _given(scope: dict[str, Any]) -> dict[str, Any]:
    """The options of a command as plain values, paths absolute, without those a rerun sets itself."""
    skip = {"out", "overwrite", "as_json"}
    return {
        # JSON has no inf: as text it survives, and the parser reads it back.
        name: str(value.absolute()) if isinstance(value, Path) else str(value) if value == float("inf") else value
        for name, value in scope.items()
        if name not in skip
    }


def _read(
    path: Path, columns: str | Sequence[str] | None, key: str | None, image: str | None,
    like: tuple[Path, Data] | None = None,
) -> Data:  # fmt: skip
    from proxflow.data.tables import align_columns, read_table
    from proxflow.runs import Data

    chosen = [name.strip() for name in columns.split(",")] if isinstance(columns, str) else columns
    table = read_table(
        path, key=key if like is None else _key_for(path, key), columns=chosen, minimum=2 if like is None else 1
    )
    if like is not None:
        table = align_columns(table, read_table(like[0], key=_key_for(like[0], key), columns=chosen))
    return Data(
        table.values, table.columns, path.suffix.lower() in (".npy", ".npz"), table.event_shape,
        _image(image, table.values.shape[1], table.event_shape),
    )  # fmt: skip


def _read_like(path: Path, table: Data, reference: Path, key: str | None, columns: str | None) -> Any:
    """Held-out samples in the reference's columns."""
    values = _read(path, columns if table.columns is None else table.columns, _key_for(path, key), None).values
    if values.shape[1] != table.values.shape[1]:
        raise ValueError(f"{path} has {values.shape[1]} features and {reference} has {table.values.shape[1]}.")
    if len(values) < 16:
        raise ValueError(f"{path}: {len(values)} held-out samples are too few to judge by; at least 16 are needed.")
    return values


def _key_for(path: Path, key: str | None) -> str | None:
    """The key of an NPZ file; files of other kinds beside it need none."""
    return key if path.suffix.lower() == ".npz" else None


def _image(text: str | None, features: int, event_shape: tuple[int, ...]) -> tuple[int, int] | None:
    if text is None:
        return (event_shape[0], event_shape[1]) if len(event_shape) == 2 else None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isdigit() and int(p) > 0 for p in parts):
        raise ValueError(f"--image must be HEIGHTxWIDTH, such as 28x28, got {text!r}.")
    height, width = int(parts[0]), int(parts[1])
    if height * width != features:
        raise ValueError(f"--image {text} has {height * width} pixels, but the samples have {features} features.")
    return height, width


def _transport(*, seed: int, bounds: str | None, **settings: Any) -> Any:
    from proxflow.estimators import ParticleTransport

    box = None
    if bounds is not None:
        try:
            low, high = (float(part) for part in bounds.split(","))
        except ValueError:
            raise ValueError(f"--bounds must be LOW,HIGH, such as 0,1, got {bounds!r}.") from None
        box = (low, high)
    return ParticleTransport(random_state=seed, bounds=box, progress=True, memory_budget=0.0, **settings)


def _run(
    choices: _Choices, transport: Any, target: Data, out: Path | None, overwrite: bool, as_json: bool, *,
    source: Data | None = None, pictures: bool = True, **options: Any,
) -> None:  # fmt: skip
    from proxflow.runs import run_transport
    from proxflow.store import RunFolder, default_name, to_json

    started = time.perf_counter()
    transport.check_settings()  # before anything is written
    inputs = [choices.arguments[name] for name in ("data", "source", "target", "test") if choices.arguments.get(name)]
    folder = RunFolder.create(out or default_name(choices.command), overwrite=overwrite, inputs=inputs)
    settings = choices.settings()
    result = run_transport(transport, target, folder=folder, settings=settings, source=source, **options)
    if pictures:
        from proxflow.gallery import draw_report

        draw_report(result, target, source, folder, settings, choices.line())
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
    for sentence in result.sentences:
        typer.echo(f"  {sentence}")
    if result.judgement is not None:
        typer.echo(f"  Judged by {result.judgement.basis}.")
    if (result.folder / "report.html").exists():
        typer.echo(f"  Report: {result.folder / 'report.html'}")


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


def _fail(message: str) -> None:
    print(f"proxflow: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
