"""`proxflow replay FILE [POINTS]`: points carried along what was fitted, or new samples from it, at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from proxflow.cli.inputs import Columns, Key, Seed, read

__all__ = ["replay"]


def replay(
    flow: Annotated[Path, typer.Argument(help="The flow.npz of a run made with --keep-flow, or the run's folder.")],
    points: Annotated[
        Path | None, typer.Argument(help="Points to carry (gpa, proximal); fresh source points if not given.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", help="How many new samples, without POINTS.")] = None,
    out: Annotated[Path, typer.Option(help="File to write: CSV, TSV, NPY, NPZ or Parquet.")] = Path("replayed.csv"),
    seed: Seed = 0,
    columns: Columns = None,
    key: Key = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier file --out.")] = False,
) -> None:
    """Carry POINTS along a fitted flow, or make new samples with it, far faster than another run."""
    import pandas as pd

    from proxflow.data.tables import write_table

    for read_file in (flow, flow / "flow.npz", points):
        if read_file is not None and read_file.exists() and out.resolve() == read_file.resolve():
            raise ValueError(f"--out {out} is the file to be read: choose another.")
    if out.exists() and not overwrite:
        raise ValueError(f"{out} exists: choose another --out or pass --overwrite.")
    if n is not None and n < 1:
        raise ValueError(f"-n must be a positive whole number, got {n}.")
    if (points is None) == (n is None):
        raise ValueError("give either POINTS to carry or -n, how many new samples to make.")
    fitted, further = _loaded(flow / "flow.npz" if flow.is_dir() else flow)
    if getattr(fitted, "fixed_columns", 0):
        raise ValueError(
            f"{flow} is of labelled samples, and a flow does not know the names of its classes: use"
            " LabelledTransport.sample(..., method='replay') in Python, or generate again with another --seed."
        )
    names = tuple(getattr(fitted, "feature_names_in_", ())) or None
    if points is None:
        moved = fitted.sample(n or 1, random_state=seed, **further)
    elif not hasattr(fitted, "transform"):
        raise ValueError(f"{flow} is a GAN's: it makes new samples (-n), but carries no points. proximal does both.")
    else:
        table = read(points, columns if columns is not None else names, key, None, minimum=1)
        values = table.values
        if values.shape[1] != fitted.n_features_in_:
            raise ValueError(f"{points} has {values.shape[1]} features and {flow} {fitted.n_features_in_}.")
        moved = fitted.transform(values if names is None else pd.DataFrame(values, columns=list(names)))
        names = table.columns
    write_table(out, moved, names)
    typer.echo(f"{len(moved)} points of {moved.shape[1]} feature{'s' * (moved.shape[1] != 1)}: {out}")


def _loaded(path: Path) -> tuple[Any, dict[str, str]]:
    """What the file holds, fitted, and how its `sample` is told to run nothing again."""
    from proxflow.estimators import ParticleTransport
    from proxflow.flow_files import read_flow

    kind = read_flow(path)[0].get("class")
    if kind == "ProximalFlow":
        from proxflow.proximal_flow import ProximalFlow

        return ProximalFlow.load(path), {}
    if kind == "GammaGAN":
        from proxflow.gamma_gan import GammaGAN

        return GammaGAN.load(path), {}
    return ParticleTransport.load(path), {"method": "replay"}
