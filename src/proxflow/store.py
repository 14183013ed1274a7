"""Run folders, and the text, JSON and CSV files in them, each whole or absent (see `atomic`).

    RUN/  settings.json   samples.csv or .npy   history.csv   figures/   checkpoint.npz while it runs

Every refusal of the system is one ValueError line with the place, and overwriting removes only what a run
writes. Bad at: two runs in one folder (the last one wins).
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import math
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast, final

import numpy as np
import numpy.typing as npt

from proxflow.atomic import TEMPORARY, atomic_path, named_failure, reason

__all__ = [
    "RunFolder",
    "atomic_path",
    "default_name",
    "read_json",
    "seed_folders",
    "to_json",
    "write_csv",
    "write_json",
    "write_text",
]

# What a run writes, and so all that overwriting may remove. settings.json marks the folder and goes last.
_KNOWN = (
    f"{TEMPORARY}*", "samples.*", "history.csv", "report.html", "report.json", "result.json", "comparison.json",
    "flow.npz", "checkpoint*.npz", "trajectory.npz", "page.json",
)  # fmt: skip
_FIGURES = {".png", ".svg", ".pdf", ".gif"}
_ROWS_AT_ONCE = 65536


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write value as strict JSON in its own order; NaN and infinities become null.

    Raises
    ------
    ValueError
        A part of value has no JSON form, named by its place, or the system refused to write.

    Examples
    --------
    >>> file = tempfile.mkdtemp() + "/settings.json"
    >>> write_json(file, {"steps": np.int64(3), "loss": [0.5, float("nan")]})
    >>> read_json(file)
    {'steps': 3, 'loss': [0.5, None]}
    """
    write_text(path, to_json(value, indent=2) + "\n")


def to_json(value: Any, indent: int | None = None) -> str:
    """Return value as strict JSON, as `write_json` writes it: on one line unless indented."""
    return json.dumps(_plain(value, "value"), indent=indent, allow_nan=False, ensure_ascii=False)


def _plain(value: Any, place: str) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (str, os.PathLike)):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(part, f"{place}[{str(name)!r}]") for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part, f"{place}[{index}]") for index, part in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return _plain(sorted(value, key=str), place)
    if hasattr(value, "__array__"):  # NumPy scalars, and arrays of NumPy or JAX
        with contextlib.suppress(TypeError, ValueError):
            array = np.asarray(value)
            if array.dtype.kind not in "biufU":  # bfloat16 and its like
                array = array.astype(np.float32, casting="safe")
            return _plain(array.tolist(), place)
    raise ValueError(f"{place} has no JSON form: {value!r:.80} is of type {type(value).__name__}.")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises
    ------
    ValueError
        The file cannot be read, is not UTF-8 text or not strict JSON (line and column named).
    """
    file = os.fspath(path)

    def refuse(constant: str) -> None:
        raise ValueError(f"{file}: not strict JSON: {constant} is not a JSON number.")

    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"), parse_constant=refuse)
    except OSError as error:
        raise ValueError(f"cannot read {file}: {reason(error)}.") from error
    except UnicodeDecodeError:
        raise ValueError(f"{file}: not JSON (not UTF-8 text).") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"{file}: not JSON ({error.msg} at {place}).") from None
    except RecursionError:
        raise ValueError(f"{file}: not readable JSON (nested too deeply).") from None


def write_csv(
    path: str | os.PathLike[str], names: Sequence[str], columns: Sequence[npt.ArrayLike], delimiter: str = ","
) -> None:
    """Write named 1-d columns of numbers as text, whole or not at all, compressed if path ends in .gz.

    Whole-number types are written in full, float32 as its shortest text that reads back the same, and float64
    with nine digits: the computation is in float32, and nine digits always give a float32 back.
    """
    arrays = [np.asarray(column) for column in columns]
    lengths = {array.shape for array in arrays}
    if len(names) != len(arrays) or len(lengths) > 1 or any(array.ndim != 1 for array in arrays):
        raise ValueError(
            f"cannot write {os.fspath(path)}: expected one 1-d column of one length for each of "
            f"{len(names)} names, got shapes {', '.join(map(str, sorted(lengths))) or 'none'}."
        )
    # An odd name is quoted, so that a reader cannot take its comma or semicolon for the delimiter.
    header = [_quoted(name) for name in names]
    with atomic_path(path) as temporary, _open_to_write(temporary) as handle:
        handle.write(delimiter.join(header) + "\n")
        for start in range(0, len(arrays[0]) if arrays else 0, _ROWS_AT_ONCE):
            cells = [_texts(array[start : start + _ROWS_AT_ONCE]) for array in arrays]
            handle.writelines(delimiter.join(row) + "\n" for row in zip(*cells, strict=True))


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.\-]+", text) else '"' + text.replace('"', '""') + '"'


def _open_to_write(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return cast("IO[str]", gzip.open(path, "wt", encoding="utf-8", newline="\n"))
    return open(path, "w", encoding="utf-8", newline="\n")


def _texts(column: npt.NDArray[Any]) -> list[str]:
    if column.dtype.kind in "UO":
        return [_quoted(str(value)) for value in column.tolist()]
    if column.dtype.kind == "b":
        column = column.astype(np.int8)
    if column.dtype.kind in "iu":
        return list(map(str, column.tolist()))
    if column.dtype == np.float64:
        return [f"{value:.12g}" for value in column.tolist()]
    return column.astype(np.float32).astype(str).tolist()


def default_name(command: str) -> str:
    """Return the first free folder name for a command: proxflow-<command>, then with -2, -3, ..."""
    names = (f"proxflow-{command}{'' if n == 1 else f'-{n}'}" for n in itertools.count(1))
    return next(name for name in names if not os.path.lexists(name))


@final
@dataclass(frozen=True)
class RunFolder:
    """One run's results: settings.json, samples.csv or .npy, history.csv and figures/.

    Make one with `create`. Every method writes one file, whole or not at all, and returns its path;
    each raises ValueError when the system refuses.
    """

    path: Path

    @classmethod
    def create(
        cls, path: str | os.PathLike[str], *, overwrite: bool = False, inputs: Sequence[str | os.PathLike[str]] = ()
    ) -> RunFolder:
        """Make the folder and its parents, or empty an old run's folder if overwrite.

        Only files that a run writes are ever removed, only beside a settings.json that a run wrote, and never
        when the folder holds one of the inputs.

        Raises
        ------
        ValueError
            The folder is not empty and overwrite is False, or it is no run folder; path is a file;
            or the system refuses to write there.

        Examples
        --------
        >>> run = RunFolder.create(tempfile.mkdtemp() + "/run")
        >>> run.settings({"steps": 3}).name
        'settings.json'
        """
        folder = Path(path)
        with named_failure(path):
            if folder.exists() and not folder.is_dir():
                raise ValueError(f"{folder} is a file: choose another --out, which is to be a folder.")
            folder.mkdir(parents=True, exist_ok=True)
            content = {file.name for file in folder.iterdir() if not file.name.startswith(TEMPORARY)}
            # A run that broke before it made anything leaves its settings only: nothing to be kept.
            if content and not (content == {"settings.json"} and _is_run(folder)):
                if not overwrite:
                    raise ValueError(f"{folder} exists and is not empty: choose another --out or pass --overwrite.")
                if not _is_run(folder):
                    raise ValueError(
                        f"{folder} is not empty and holds no settings.json of a run, so no earlier run made it: "
                        "nothing was removed; choose another --out."
                    )
                for file in inputs:
                    if folder.resolve() in Path(file).resolve().parents:
                        raise ValueError(f"{folder} holds the input {file}: nothing was removed; choose another --out.")
                for part in _parts(folder):  # which the new run makes afresh
                    if (other := _foreign(part)) is not None:
                        raise ValueError(
                            f"{other} is not of the run in {folder}: nothing was removed; move it, or choose another "
                            "--out."
                        )
                _remove_known(folder)
            tempfile.TemporaryFile(dir=folder).close()  # a read-only place fails now, not after the run
        return cls(folder)

    @classmethod
    def reopen(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open an earlier run's folder to go on in it.

        Raises
        ------
        ValueError
            No run's folder, or the system refuses to write there.
        """
        folder = Path(path)
        if not _is_run(folder):
            raise ValueError(f"{folder}: not the folder of a run: it has no settings.json of one.")
        with named_failure(path):
            tempfile.TemporaryFile(dir=folder).close()
        return cls(folder)

    def tidy(self) -> None:
        """Remove what kills left half written. At the end of a run: before, another process may be writing here."""
        for file in self.path.glob(f"{TEMPORARY}*"):
            with contextlib.suppress(OSError):
                file.unlink()

    @property
    def checkpoint(self) -> Path:
        """Where the run keeps itself while it is under way."""
        return self.path / "checkpoint.npz"

    @property
    def trajectory(self) -> Path:
        """Where its particles were, at a few moments, for the report."""
        return self.path / "trajectory.npz"

    def settings(self, settings: Mapping[str, Any]) -> Path:
        """Write settings.json."""
        write_json(self.path / "settings.json", settings)
        return self.path / "settings.json"

    def samples(
        self, values: npt.ArrayLike, columns: Sequence[str] | None = None, as_array: bool = False,
        label: tuple[str, npt.NDArray[Any]] | None = None,
    ) -> Path:  # fmt: skip
        """Write the samples, shape (n, d), to samples.csv, or of any shape to samples.npy if as_array.

        label: the name and the values, shape (n,), of one more column of the CSV.
        """
        array = np.asarray(values)
        file = self.path / ("samples.npy" if as_array else "samples.csv")
        if as_array:
            with atomic_path(file) as temporary:
                np.save(temporary, array, allow_pickle=False)
            return file
        if array.ndim != 2:
            raise ValueError(f"cannot write {file}: expected shape (samples, features), got {array.shape}.")
        names = [f"x{index}" for index in range(array.shape[1])] if columns is None else columns
        named = [] if label is None else [label]
        write_csv(file, [*names, *(name for name, _ in named)], [*array.T, *(values for _, values in named)])
        return file

    def arrays(self, arrays: Mapping[str, npt.ArrayLike]) -> Path:
        """Write several arrays to samples.npz."""
        file = self.path / "samples.npz"
        with atomic_path(file) as temporary, open(temporary, "wb") as handle:
            np.savez(handle, **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]
        return file

    def history(self, history: Mapping[str, npt.ArrayLike]) -> Path:
        """Write history.csv: one row per step, counted from 1, and one column per 1-d array."""
        if "step" in history:
            raise ValueError("the history's column 'step' is counted here: give yours another name.")
        length = max((np.size(series) for series in history.values()), default=0)
        write_csv(self.path / "history.csv", ["step", *history], [np.arange(1, length + 1), *history.values()])
        return self.path / "history.csv"

    def figure_path(self, name: str) -> Path:
        """Return figures/<name>, with the folder made; write there through `atomic_path`."""
        if name in ("", ".", "..") or Path(name).name != name:
            raise ValueError(f"a figure's name must be a plain file name, got {name!r}.")
        with named_failure(self.path / "figures"):
            (self.path / "figures").mkdir(exist_ok=True)
        return self.path / "figures" / name


def _is_run(folder: Path) -> bool:
    try:
        settings = read_json(folder / "settings.json")
    except ValueError:
        return False
    return isinstance(settings, dict) and "proxflow" in settings


def _parts(folder: Path) -> list[Path]:
    """Of a run of several methods or seeds, the folders of the single ones."""
    arguments = read_json(folder / "settings.json").get("arguments")
    arguments = arguments if isinstance(arguments, dict) else {}
    methods = str(arguments.get("method", "")).split(",")
    parts = [folder / name for name in methods if len(methods) > 1 and name.isalpha()]
    parts += seed_folders(folder) if arguments.get("seeds") else []
    return [part for part in parts if _is_run(part)]


def seed_folders(folder: Path) -> list[Path]:
    """The folders of single seeds in a run's folder; a copy of one, under a name like it, is the user's."""
    return [own for own in folder.glob("seed-*") if re.fullmatch(r"seed-[0-9]+", own.name)]


def _foreign(folder: Path) -> Path | None:
    """Something in the part of a run, or in a part of that, that no run wrote."""
    parts = _parts(folder)
    for file in folder.iterdir():
        if file.name == "figures" and file.is_dir() and not file.is_symlink():
            others = [figure for figure in file.iterdir() if figure.suffix.lower() not in _FIGURES]
            if others:
                return others[0]
        elif file not in parts and file.name != "settings.json" and not any(file.match(known) for known in _KNOWN):
            return file
    return next((found for part in parts if (found := _foreign(part)) is not None), None)


def _remove_known(folder: Path) -> None:
    for part in _parts(folder):
        _remove_known(part)
        with contextlib.suppress(OSError):  # something else lies there, too
            part.rmdir()
    old = [file for pattern in _KNOWN for file in folder.glob(pattern) if file.is_file()]
    figures = folder / "figures"
    if figures.is_dir() and not figures.is_symlink():
        old += [file for file in figures.iterdir() if file.is_file() and file.suffix.lower() in _FIGURES]
    for file in old:
        file.unlink()
    with contextlib.suppress(OSError):  # somebody else's file in figures/ keeps the folder
        figures.rmdir()
    (folder / "settings.json").unlink()
