"""`proxflow compare A B`: three honest numbers between two files, and what moved."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from proxflow.cli.inputs import Alpha, AsJson, Columns, Entropy, Key, Reverse, Seed, key_for, read

if TYPE_CHECKING:
    from proxflow.comparison import Comparison

__all__ = ["compare"]

_NOT_CLOSED = 3


def compare(
    x: Annotated[Path, typer.Argument(help="Samples of P, one per row: CSV, TSV, NPY, NPZ or Parquet.")],
    y: Annotated[Path, typer.Argument(help="Samples of Q, in the same columns.")],
    f: Entropy = "kl",
    alpha: Alpha = None,
    L: Annotated[
        float | None, typer.Option("--L", help="Lipschitz constant of the potentials. 1 / radius of Q if not given.")
    ] = None,
    reverse: Reverse = False,
    level: Annotated[float, typer.Option(help="Confidence of the lower bound on the laws.")] = 0.95,
    permutations: Annotated[int, typer.Option(help="Relabellings of each test.")] = 999,
    gap: Annotated[float, typer.Option(help="Relative gap of the bracket to reach.")] = 1e-4,
    gamma: Annotated[
        str | None,
        typer.Option(help="Space of the held-out potentials: groupsort, cones or spectral. All if not given."),
    ] = None,
    exact_only: Annotated[bool, typer.Option("--exact-only", help="The samples' divergence only.")] = False,
    no_test: Annotated[bool, typer.Option("--no-test", help="No test of P = Q.")] = False,
    top: Annotated[int, typer.Option(help="How many features to name.")] = 10,
    seed: Seed = 0,
    columns: Columns = None,
    key: Key = None,
    out: Annotated[Path | None, typer.Option(help="Also write the numbers to this JSON file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a page with pictures to this HTML file.")] = None,
    as_json: AsJson = False,
) -> None:
    """How far apart are two samples, how far their laws, and what moved? Exit code 3 if a bracket did not close."""
    from proxflow.comparison import compare as compared
    from proxflow.store import to_json, write_json

    if top < 1:
        raise ValueError(f"--top must be a positive whole number, got {top}.")
    for name, path in (("--out", out), ("--report", report)):
        _check_writable(name, path, (x, y))
    if out is not None and report is not None and out.absolute() == report.absolute():
        raise ValueError(f"--out and --report name the same file, {out}.")
    second = read(y, columns, key_for(y, key), None, minimum=1)
    first = read(x, columns, key, None, like=(y, second), minimum=1)
    result = compared(
        first.values, second.values, f, L, alpha=alpha, reverse=reverse, gap=gap, level=level,
        permutations=permutations, gamma=gamma, heldout=not exact_only, test=not (exact_only or no_test),
        feature_names=first.columns, random_state=seed, progress=True,
    )  # fmt: skip
    found = {"x": str(x), "y": str(y)} | result.to_dict(top=max(top, 20))
    typer.echo(to_json(found) if as_json else "\n".join(result.lines(top)))
    if out is not None:
        write_json(out, found)
    if report is not None:
        _write_page(result, first.values, second.values, first.columns, report)
        if not as_json:
            typer.echo(f"  Report: {report}")
    if not result.converged:
        print(
            f"proxflow: the bracket did not close: {result.lower:.6g} to {result.upper:.6g}, gap {result.gap:.1e}",
            file=sys.stderr,
        )
        raise typer.Exit(_NOT_CLOSED)


def _check_writable(name: str, path: Path | None, inputs: tuple[Path, ...]) -> None:
    """Say before hours of work, not after, that a result has nowhere to go."""
    if path is None:
        return
    if path.is_dir():
        raise ValueError(f"{name} {path} is a folder; give the name of a file.")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{name} {path}: the folder {path.absolute().parent} does not exist.")
    if any(path.exists() and path.samefile(other) for other in inputs if other.exists()):
        raise ValueError(f"{name} {path} is one of the inputs; it would be overwritten.")


def _write_page(result: Comparison, x: object, y: object, names: Sequence[str] | None, path: Path) -> None:
    from proxflow.comparison_page import draw_comparison

    draw_comparison(result, x, y, names, path, shlex.join(["proxflow", *sys.argv[1:]]))
