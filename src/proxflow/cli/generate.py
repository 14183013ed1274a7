"""`proxflow generate` and `proxflow transport`: new samples of a law, and samples carried onto another."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from proxflow.cli.choices import Choices, given
from proxflow.cli.inputs import (
    Alpha,
    AsJson,
    BatchSize,
    Blocks,
    Bounds,
    Columns,
    Coordinator,
    Depth,
    Distributed,
    Entropy,
    FlowSlope,
    Form,
    Integrator,
    KeepFlow,
    Key,
    KineticWeight,
    Label,
    MaxCopies,
    MostSteps,
    Network,
    Noise,
    NoPictures,
    NoTrial,
    Out,
    Overwrite,
    Process,
    Processes,
    Rate,
    Resume,
    Reverse,
    Scaling,
    Seed,
    Smoothing,
    Space,
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
from proxflow.cli.methods import check_options, chosen_methods, estimator_for
from proxflow.cli.running import run_one, run_seeds, run_several

__all__ = ["generate", "transport"]


def generate(
    data: Annotated[Path, typer.Argument(help="CSV, TSV, NPY, NPZ or Parquet: one sample per row.")],
    n: Annotated[
        int | None, typer.Option("-n", help="How many new samples; as many as there are if not given.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="gpa, proximal or gan; several, with commas between, are compared.")
    ] = "gpa",
    source: Annotated[
        str,
        typer.Option(help="gaussian (matched to the data), uniform (its box) or logistic; gan: of the latents."),
    ] = "gaussian",
    f: Entropy = "kl",
    alpha: Alpha = None,
    L: FlowSlope = None,
    steps: MostSteps = None,
    seed: Seed = 0,
    seeds: Annotated[
        int | None,
        typer.Option(help="Run so many seeds, --seed and those after it, side by side: numbers get deviations."),
    ] = None,
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
        bool,
        typer.Option("--stream", help="gpa: DATA is larger than memory: read a batch at a time (NPY, Parquet)."),
    ] = False,
    integrator: Integrator = None,
    step_size: StepSize = None,
    smoothing: Smoothing = None,
    form: Form = None,
    network: Network = None,
    kinetic_weight: KineticWeight = None,
    blocks: Blocks = None,
    noise: Noise = None,
    generator: Annotated[str | None, typer.Option(help="gan: dense (default), or convolutional for images.")] = None,
    scaling: Scaling = "auto",
    gamma: Space = "auto",
    width: Width = None,
    depth: Depth = None,
    updates: Updates = None,
    learning_rate: Rate = None,
    reverse: Reverse = False,
    bounds: Bounds = None,
    batch_size: BatchSize = None,
    keep_flow: KeepFlow = None,
    distributed: Distributed = False,
    coordinator: Coordinator = None,
    processes: Processes = None,
    process: Process = None,
) -> None:
    """New samples from the distribution of the samples in DATA, with pictures and numbers."""
    options = dict(locals())
    from proxflow.ensembles import seeds_after

    methods = chosen_methods(method)
    check_options(methods, options)
    if distributed and len(methods) > 1:
        raise ValueError("--distributed runs one method, gpa: leave the others out of --method.")
    if distributed and seeds is not None:
        raise ValueError("--distributed spreads one run over devices, --seeds several over threads: give one of them.")
    _joined(distributed, coordinator, processes, process)
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
    _check_kept(keep_flow)

    def mover(name: str, seed: int) -> Any:
        return estimator_for(
            name, options | {"seed": seed}, n_particles=max(n or 0, len(table.values)), source=source,
            labels=table.labels, image=table.image,
        )  # fmt: skip

    judged: dict[str, Any] = {"heldout": heldout, "trial": not no_trial, "pictures": not no_pictures, "keep": n}
    choices = Choices("generate", given(options))
    if seeds is not None and seeds < 2:
        raise ValueError(f"--seeds must be a whole number of at least 2, got {seeds}.")
    several = seeds_after(seed, seeds or 1)
    if len(methods) == 1 and seeds is not None:
        run_seeds(
            choices, partial(mover, methods[0]), several, table, out, overwrite, as_json, resume,
            keep_flow=keep_flow is not None, **judged,
        )  # fmt: skip
        return
    if len(methods) == 1:
        run_one(
            choices, mover(methods[0], seed), table, out, overwrite, as_json, resume,
            keep_flow=keep_flow is not None, **judged,
        )  # fmt: skip
        return
    run_several(
        choices, {name: partial(mover, name) for name in methods}, several, table, out, overwrite, as_json, resume,
        keep_flow=keep_flow is not None, **judged,
    )  # fmt: skip


def transport(
    source: Annotated[Path, typer.Option(help="Samples to move, one per row.")],
    target: Annotated[Path, typer.Option(help="Samples of the distribution to move them to.")],
    method: Annotated[str, typer.Option(help="gpa, or proximal: a map that was trained.")] = "gpa",
    f: Entropy = "kl",
    alpha: Alpha = None,
    L: FlowSlope = None,
    steps: MostSteps = None,
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
    integrator: Integrator = None,
    step_size: StepSize = None,
    smoothing: Smoothing = None,
    form: Form = None,
    network: Network = None,
    kinetic_weight: KineticWeight = None,
    blocks: Blocks = None,
    noise: Noise = None,
    scaling: Scaling = "auto",
    gamma: Space = "auto",
    width: Width = None,
    depth: Depth = None,
    updates: Updates = None,
    learning_rate: Rate = None,
    reverse: Reverse = False,
    bounds: Bounds = None,
    batch_size: BatchSize = None,
    keep_flow: KeepFlow = None,
) -> None:
    """Carry the samples of one file onto the distribution of another, row by row."""
    options = dict(locals())
    methods = chosen_methods(method)
    if "gan" in methods:
        raise ValueError("--method gan makes new samples and carries none: transport has gpa and proximal.")
    if len(methods) > 1:
        raise ValueError("transport takes one --method at a time: gpa or proximal.")
    check_options(methods, options)
    if label is None:
        goal = read(target, columns, key_for(target, key), None)
        moving = read(source, columns, key, None, like=(target, goal))
    else:
        goal = read_labelled(target, label, columns, key_for(target, key), None)
        moving = read_labelled(source, label, columns, key_for(source, key), None, like=goal)
    heldout = () if test is None else (read_like(test, goal, target, key, columns),)
    _check_kept(keep_flow)
    run_one(
        Choices("transport", given(options)), estimator_for(methods[0], options, labels=goal.labels), goal, out,
        overwrite, as_json, resume, source=moving, heldout=heldout, trial=not no_trial, pictures=not no_pictures,
        keep_flow=keep_flow is not None,
    )  # fmt: skip


def _check_kept(megabytes: float | None) -> None:
    if megabytes is not None and not megabytes > 0:
        raise ValueError(f"--keep-flow must be a positive number of megabytes, got {megabytes:g}.")


def _joined(distributed: bool, coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Join the other processes of the run, before anything is computed."""
    if not distributed:
        if (coordinator, processes, process) != (None, None, None):
            raise ValueError("--coordinator, --processes and --process go with --distributed.")
        return
    from proxflow.distributed import start

    start(coordinator, processes, process)
