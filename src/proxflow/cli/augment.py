"""`proxflow augment TABLE`: new rows for a table of mixed columns, in its own types and format."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from proxflow.cli.inputs import AsJson, NoPictures, NoTrial, Out, Overwrite, Seed, Steps

__all__ = ["augment"]


def augment(
    data: Annotated[Path, typer.Argument(help="CSV, TSV or Parquet, one row per line: numbers, text, bools.")],
    n: Annotated[int | None, typer.Option("-n", help="How many new rows; as many as there are if not given.")] = None,
    label: Annotated[str | None, typer.Option(help="The column to predict: rows are made class by class.")] = None,
    balance: Annotated[
        str, typer.Option(help="proportional, equal, or how many of each class: yes=300,no=200.")
    ] = "proportional",
    drop: Annotated[str | None, typer.Option(help="Leave out these columns, separated by commas.")] = None,
    limits: Annotated[
        str, typer.Option(help="observed: numbers stay in the range seen; sign: only their sign is kept.")
    ] = "observed",
    steps: Steps = 500,
    seed: Seed = 0,
    out: Out = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    no_trial: NoTrial = False,
    no_pictures: NoPictures = False,
) -> None:
    """More rows for a table with mixed columns, types and ranges kept, judged by what models learn from them."""
    from proxflow import __version__
    from proxflow.augmenting.augmentation import augment as augmented
    from proxflow.augmenting.augmentation import check_request
    from proxflow.data.frames import read_frame, write_frame
    from proxflow.store import RunFolder, default_name, to_json, write_json
    from proxflow.validation import seed_from

    if n is not None and n < 1:
        raise ValueError(f"-n must be a positive whole number, got {n}.")
    frame = read_frame(data)
    left_out = [name.strip() for name in drop.split(",")] if drop else []
    n = len(frame) if n is None and "=" not in balance else n
    shares = balance if "=" not in balance else _counts(balance, frame, label)
    arguments = {
        "data": str(data.absolute()), "n": n, "label": label, "balance": balance, "drop": drop, "limits": limits,
        "steps": steps, "seed": seed, "no_trial": no_trial, "no_pictures": no_pictures,
    }  # fmt: skip
    settings: dict[str, Any] = {"command": "augment", "arguments": arguments, "proxflow": __version__}
    check_request(frame, n, label, balance=shares, drop=left_out, limits=limits, steps=steps)
    seed_from(seed)  # all of it before anything is written
    folder = RunFolder.create(out or default_name("augment"), overwrite=overwrite, inputs=[str(data)])
    folder.settings(settings)
    result = augmented(
        frame, n, label, balance=shares, drop=left_out, limits=limits, trial=not no_trial, steps=steps, progress=True,
        random_state=seed,
    )  # fmt: skip
    written = write_frame(folder.path / f"samples{_kind(data)}", result.table)
    folder.settings(settings | {"resolved": dict(result.settings)})
    write_json(folder.path / "report.json", result.to_dict())
    if not no_pictures:
        from proxflow.augmenting.page import draw_augmentation

        draw_augmentation(result, folder.path, _line(arguments))
    if as_json:
        typer.echo(to_json({"out": str(folder.path)} | result.to_dict()))
        return
    typer.echo("\n".join(result.lines()))
    typer.echo(f"  Rows: {written}")
    if not no_pictures:
        typer.echo(f"  Report: {folder.path / 'report.html'}")


def _kind(data: Path) -> str:
    """The suffix to write for the one read: text as CSV or TSV, uncompressed."""
    name = data.name.lower().removesuffix(".gz")
    return ".parquet" if name.endswith((".parquet", ".pq")) else ".tsv" if name.endswith(".tsv") else ".csv"


def _counts(text: str, frame: Any, label: str | None) -> dict[Any, int]:
    """How many new rows of each class, from "yes=300,no=200"; classes are known by their words."""
    if label is None or label not in frame.columns:
        raise ValueError(f"--balance {text} needs --label, one of the table's columns.")
    known = {str(value): value for value in frame[label].dropna().unique()}
    counts: dict[Any, int] = {}
    for part in text.split(","):
        name, _, number = part.rpartition("=")
        if name.strip() not in known or not number.strip().isdigit():
            shown = ", ".join(sorted(known)[:12])
            raise ValueError(f"--balance must be like CLASS=NUMBER,..., got {part!r}. Classes of {label!r}: {shown}.")
        counts[known[name.strip()]] = int(number)
    return counts


def _line(arguments: dict[str, Any]) -> str:
    words = ["proxflow", "augment", str(arguments["data"])]
    for name, value in arguments.items():
        flag = "-n" if name == "n" else f"--{name.replace('_', '-')}"
        if name != "data" and value is True:
            words.append(flag)
        elif name != "data" and value is not None and value is not False:
            words += [flag, str(value)]
    return shlex.join(words)
