"""`proxflow report RUN` and `proxflow serve RUN`: a run's page, made again from its folder, and while it goes on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report", "serve"]


def report(
    run: Annotated[Path, typer.Argument(help="A run's folder, finished, killed or under way.")],
    out: Annotated[Path | None, typer.Option(help="File to write; report.html in the folder if not given.")] = None,
) -> None:
    """Make the report of a run again, from what lies in its folder."""
    from proxflow.run_pages import rebuild

    if out is not None and out.is_dir():
        raise ValueError(f"--out {out} is a folder: name a file, such as {out / 'report.html'}.")
    typer.echo(f"Report: {rebuild(run, out)}")


def serve(
    run: Annotated[Path, typer.Argument(help="A run's folder; it need not be there yet.")],
    port: Annotated[int, typer.Option(help="Port on this machine, 0 to 65535; 0: any that is free.")] = 0,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = False,
) -> None:  # fmt: skip
    """Follow a run in a browser on this machine: its report, which keeps itself up to date."""
    from proxflow.serving import Waiting, server_of

    if not 0 <= port <= 65535:
        raise ValueError(f"--port must be 0 to 65535, got {port}.")
    with server_of(run, port) as server:
        try:
            state = server.pages.standing()
        except Waiting as absent:
            state = str(absent)
        typer.echo(f"{run} at {server.address} (Ctrl-C ends this)")
        typer.echo(f"  {state}")
        sys.stdout.flush()
        if open_browser:
            import webbrowser

            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("proxflow: no longer served; the run itself goes on", file=sys.stderr)
