"""What the commands share: option types, and files read into samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from proxflow.runs import Data

Entropy = Annotated[str, typer.Option("--f", help="kl, alpha, reverse_kl, js, hellinger, chi2, renyi or ipm.")]
Alpha = Annotated[float | None, typer.Option(help="Order of --f alpha (2 if not given) or renyi (0.5).")]
FlowSlope = Annotated[float | None, typer.Option("--L", help="Lipschitz constant. From the data if not given.")]
Steps = Annotated[int, typer.Option(help="The most steps to take.")]
Seed = Annotated[int, typer.Option(help="Same seed, same machine: the same bits.")]
Out = Annotated[Path | None, typer.Option(help="Folder to write; proxflow-COMMAND if not given.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run in --out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Columns = Annotated[str | None, typer.Option(help="Use only these columns, separated by commas.")]
Key = Annotated[str | None, typer.Option(help="Which array of an NPZ file.")]
Space = Annotated[
    str, typer.Option(help="auto, groupsort, spectral, convolutional, cones, exact, penalty or unregularised.")
]
Reverse = Annotated[bool, typer.Option("--reverse", help="D(Q||P) instead of D(P||Q).")]
Integrator = Annotated[
    str | None,
    typer.Option(help="gpa: euler, heun, rk4, ab2 to ab5, abm2 to abm5, heun_euler or bs23: docs/solvers.md."),
]
StepSize = Annotated[float | None, typer.Option(help="gpa: a constant step. Follows the divergence if not given.")]
Smoothing = Annotated[
    float | None,
    typer.Option(help="gpa, 0 to 1: mix target samples with their neighbours. By their sparsity if not given."),
]
Scaling = Annotated[
    str,
    typer.Option(help="columns: divide by deviations inside; signed_log: compress; none; auto: as the data ask."),
]
MostSteps = Annotated[int | None, typer.Option("--steps", help="500 of gpa at most; else 10000 of training.")]
Width = Annotated[
    int | None, typer.Option(help="Units per layer: gpa, of the potential; else of the mover. From the data.")
]
Depth = Annotated[int | None, typer.Option(help="Hidden layers of that network; 3 if not given.")]
Updates = Annotated[int | None, typer.Option(help="Updates of the potential per step; 8 of gpa, else 5, if not given.")]
Rate = Annotated[
    float | None, typer.Option("--learning-rate", help="Of Adam: gpa, for the potential; else for the mover.")
]
Form = Annotated[str | None, typer.Option(help="proximal: potential (v = -grad U/lambda; default) or free.")]
Network = Annotated[str | None, typer.Option(help="proximal: dense (default), or convolutional for square images.")]
KineticWeight = Annotated[
    float | None, typer.Option(help="proximal: lambda, the price of kinetic energy. From the data if not given.")
]
Blocks = Annotated[
    int | None, typer.Option(help="proximal: flows trained one after the other (1); give --kinetic-weight, too.")
]
Noise = Annotated[float | None, typer.Option(help="proximal: sigma of dx = v dt + sigma dW; 0 if not given.")]
Bounds = Annotated[str | None, typer.Option(help="LOW,HIGH: keep every value in this range.")]
BatchSize = Annotated[
    int | None,
    typer.Option(help="Particles and samples per fit. gpa: all, or 4096 beyond 8192; else 256, if not given."),
]
MaxCopies = Annotated[
    float | None, typer.Option(help="gpa, 0.05 to 1: stop before more new samples than this nearly copy one of DATA.")
]
KeepFlow = Annotated[
    float | None,
    typer.Option(help="Write what was fitted to flow.npz, for proxflow replay; gpa: in at most so many megabytes."),
]
Label = Annotated[
    str | None, typer.Option(help="gpa: column of classes (of an NPZ file: the array); new samples come with theirs.")
]
Distributed = Annotated[
    bool,
    typer.Option("--distributed", help="gpa: on all devices, of all processes that run this command together."),
]
Coordinator = Annotated[
    str | None, typer.Option(help="HOST:PORT of process 0. Slurm and MPI say it themselves, as the next two.")
]
Processes = Annotated[int | None, typer.Option(help="How many processes run this command.")]
Process = Annotated[int | None, typer.Option(help="Which of them this one is, from 0.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, if there is one.")]
Test = Annotated[Path | None, typer.Option(help="Held-out samples to judge by: no trial on 3/4 of the data, then.")]
NoTrial = Annotated[
    bool,
    typer.Option("--no-trial", help="Do not judge by a trial, which is a second run or training: twice as fast."),
]
NoPictures = Annotated[bool, typer.Option("--no-pictures", help="No figures, no report.")]


_SHOWN_OF_LARGE = 10_000  # rows of a streamed file that pictures and judgement see


def read(
    path: Path, columns: str | Sequence[str] | None, key: str | None, image: str | None,
    like: tuple[Path, Data] | None = None, minimum: int | None = None,
) -> Data:  # fmt: skip
    """Return the samples in a file; `like` another file, its columns and their order."""
    from proxflow.data.tables import align_columns, read_table
    from proxflow.runs import Data

    chosen = [name.strip() for name in columns.split(",")] if isinstance(columns, str) else columns
    table = read_table(
        path,
        key=key if like is None else key_for(path, key),
        columns=chosen,
        minimum=minimum or (2 if like is None else 1),
    )
    if like is not None:
        table = align_columns(table, read_table(like[0], key=key_for(like[0], key), columns=chosen, minimum=1))
    return Data(
        table.values, table.columns, path.suffix.lower() in (".npy", ".npz"), table.event_shape,
        _image(image, table.values.shape[1], table.event_shape), rows=table.rows,
    )  # fmt: skip


def read_large(path: Path, columns: str | None, image: str | None) -> Data:
    """Return a file to be read a batch at a time, with some of its rows to judge and draw by."""
    import numpy as np

    from proxflow.runs import Data
    from proxflow.streams import open_samples

    large = open_samples(path, None if columns is None else [name.strip() for name in columns.split(",")])
    few = large.distinct(min(len(large), _SHOWN_OF_LARGE), np.random.default_rng(0))
    shape = large.event_shape
    return Data(few, large.columns, large.columns is None, shape, _image(image, few.shape[1], shape), large)


def read_labelled(
    path: Path, label: str, columns: str | None, key: str | None, image: str | None, like: Data | None = None
) -> Data:
    """Return the samples in a file and their classes: a column of a table, or an array of an NPZ file.

    like: the target, whose columns and classes they must have.
    """
    from dataclasses import replace

    from proxflow.data.arrays import read_labels
    from proxflow.data.frames import read_frame
    from proxflow.labels import Labelling, check_same_classes, codes_of
    from proxflow.runs import LabelColumn

    if path.suffix.lower() == ".npz":
        if label == "samples":
            raise ValueError(f"{path}: the output keeps the points under 'samples': call the labels something else.")
        codes = _classes(path, label, read_labels(str(path), label))
        data = read(path, columns, key, image, minimum=2 if like is None else 1)
    elif path.suffix.lower() == ".npy":
        raise ValueError(f"{path}: an NPY file has no column {label!r}. Put samples and labels into one NPZ file.")
    else:
        frame = read_frame(path)
        if label not in frame.columns:
            raise ValueError(
                f"{path}: no column {label!r} for --label. It has {', '.join(map(str, frame.columns[:20]))}."
            )
        codes = _classes(path, label, frame[label].to_numpy())
        features = [str(name) for name in frame.columns if name != label]
        if like is not None and like.columns is not None:
            features = list(like.columns)
        elif columns is not None:
            features = [name.strip() for name in columns.split(",") if name.strip() != label]
        data = read(path, features, key, image, minimum=2 if like is None else 1)
    codes = codes_of(codes, data.values, f"{path}, {label!r}")
    if like is None or like.labels is None:
        return replace(data, labels=LabelColumn(label, codes, Labelling.of(data.values, codes)))
    check_same_classes(like.labels.codes, codes)
    return replace(data, labels=LabelColumn(label, codes, like.labels.labelling))


def _classes(path: Path, label: str, codes: Any) -> Any:
    """The column of classes, if it is one."""
    import pandas as pd

    counts = pd.Series(codes).value_counts()
    if 2 * len(counts) > len(codes):
        raise ValueError(f"{path}: {label!r} has {len(counts)} values in {len(codes)} rows: these are no classes.")
    if counts.min() < 2:
        raise ValueError(f"{path}: class {counts.idxmin()!r} of {label!r} has one row only: leave it out, or merge it.")
    return codes


def read_like(path: Path, table: Data, reference: Path, key: str | None, columns: str | None) -> Any:
    """Held-out samples in the reference's columns, with their labels' columns if the reference has labels."""
    if table.labels is not None:
        values = read_labelled(path, table.labels.name, columns, key_for(path, key), None, like=table).samples
        _enough(path, values)
        return values
    values = read(path, columns if table.columns is None else table.columns, key_for(path, key), None).values
    if values.shape[1] != table.values.shape[1]:
        raise ValueError(f"{path} has {values.shape[1]} features and {reference} has {table.values.shape[1]}.")
    _enough(path, values)
    return values


def _enough(path: Path, values: Any) -> None:
    if len(values) < 16:
        raise ValueError(f"{path}: {len(values)} held-out samples are too few to judge by; at least 16 are needed.")


def key_for(path: Path, key: str | None) -> str | None:
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
