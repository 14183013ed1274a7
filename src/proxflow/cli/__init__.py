"""The command line: `proxflow demo | generate | transport | augment | integrate | compare`, and what follows them.

`replay`, `resume`, `rerun`, `report` and `serve` take what an earlier run left.

Every command reads files, writes one folder and prints a few lines. Bad input is one line on stderr and exit
code 2, never a traceback. Heavy imports wait inside the commands, so that --help is instant.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from proxflow import __version__
from proxflow.cli.augment import augment
from proxflow.cli.choices import Choices, words_of
from proxflow.cli.compare import compare
from proxflow.cli.generate import generate, transport
from proxflow.cli.inputs import AsJson, Out, Overwrite, Resume, Seed, Steps
from proxflow.cli.integrate import integrate
from proxflow.cli.methods import estimator_for
from proxflow.cli.pages import report, serve
from proxflow.cli.replay import replay
from proxflow.cli.running import run_one
from proxflow.distributed import abandon, listen

__all__ = ["main"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Compare and transport probability measures known only through samples.",
    epilog="Bad input, and Ctrl-C, end with one line on stderr and exit code 2.",
)


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
    options = {"seed": seed, "steps": steps}
    mover = estimator_for("gpa", options | {"bounds": f"{split.low:g},{split.high:g}"}, n_particles=600)
    run_one(Choices("demo", options), mover, data, out, overwrite, as_json, resume, heldout=(split.fresh, split.test))


app.command(epilog="Example: proxflow generate samples.csv -n 600 --out runs/first")(generate)
app.command(epilog="Example: proxflow transport --source cohort_a.csv --target cohort_b.csv --out runs/a_to_b")(
    transport
)
app.command(epilog="Example: proxflow compare a.csv b.csv --report comparison.html")(compare)
app.command(epilog="Example: proxflow augment train.csv -n 5000 --label y --out runs/more")(augment)


app.command(
    epilog="Example: proxflow integrate cohorts.h5ad --batch cohort --reference A --label er --out merged.h5ad"
)(integrate)


app.command(epilog="Example: proxflow replay runs/first/flow.npz new.csv --out moved.csv")(replay)
app.command(epilog="Example: proxflow report runs/first --out first.html")(report)
app.command(epilog="Example: proxflow serve runs/first --port 8000")(serve)


@app.command(epilog="Example: proxflow rerun runs/first --out runs/again")
def rerun(
    run: Annotated[Path, typer.Argument(help="A run's folder, or its settings.json.")],
    out: Out = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Run again what a run's settings.json says: same data, same seed, same bits."""
    words = words_of(run / "settings.json" if run.is_dir() else run)
    words += [] if out is None else ["--out", str(out)]
    app([*words, *["--overwrite"] * overwrite, *["--json"] * as_json], standalone_mode=False)


@app.command(epilog="Example: proxflow resume runs/first")
def resume(run: Annotated[Path, typer.Argument(help="A run's folder.")], as_json: AsJson = False) -> None:
    """Go on with a run that was killed or interrupted: it ends with the same bits as an unbroken one."""
    words = words_of(run / "settings.json")
    if words[0] == "augment":
        raise ValueError(f"{run}: augment keeps no checkpoint, for its flows are short: proxflow rerun {run}.")
    app([*words, "--out", str(run), "--resume", *["--json"] * as_json], standalone_mode=False)


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
        listen()
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
    abandon(2)
    sys.exit(2)
