"""Cohorts in files: read into one AnnData, and the merged result written in the format that its name says.

    one H5AD    batches are a column of obs
    several     CSV, TSV, Parquet, H5AD or GEO series matrix, one cohort each, named by its file; genes matched by name

Bad at: files larger than memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from proxflow.atomic import atomic_path, reason
from proxflow.data.geo_files import import_anndata
from proxflow.proportions import listed

__all__ = ["Cohorts", "read_cohorts", "write_merged"]

_TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
_WRITABLE = (".csv", ".tsv", ".parquet")
_MOSTLY = 0.5


@dataclass(frozen=True, eq=False)
class Cohorts:
    """One AnnData, the column of batches, the label's column if any, and whether all of it came as H5AD or GEO."""

    adata: Any
    key: str
    label: str | None
    annotated: bool
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def reference(self, wanted: str | None) -> str:
        """The reference's name: as given, a file's path for its name, or the first file's."""
        if wanted is None:
            return self.names[0]
        return Path(wanted).name.split(".")[0] if wanted not in self.names and Path(wanted).exists() else wanted

    def check_output(self, path: Path, layer: str | None) -> None:
        """Raise ValueError for a file that the result cannot be written to."""
        kinds = (".h5ad", *(() if self.annotated else _WRITABLE))
        if path.suffix.lower() not in kinds:
            raise ValueError(f"--out {path}: write {', '.join(kinds)}, got {path.suffix or 'no suffix'!r}.")
        if layer is not None and not self.annotated:
            raise ValueError("--layer goes with H5AD files; moved tables are all that is written for tables.")


def read_cohorts(
    paths: Sequence[Path], key: str, label: str | None, platform: Path | None = None, columns: str | None = None,
    label_map: str | None = None, drop_missing: bool = False,
) -> Cohorts:  # fmt: skip
    """Read one H5AD with a column of batches, or a file per cohort.

    Raises
    ------
    ValueError
        Files that cannot be read, of kinds that do not go together, of one name, or without the label's column.
    """
    _anndata()
    if len(paths) == 1:
        if paths[0].suffix.lower() != ".h5ad":
            raise ValueError(
                f"{paths[0]}: one file must be an H5AD with a column of batches; or give a file per cohort."
            )
        if columns is not None:
            raise ValueError("--columns goes with tables; choose genes of an H5AD before.")
        return _settled(Cohorts(_read_h5ad(paths[0]), key, label, True, ()), platform, label_map, drop_missing)
    names = tuple(path.name.split(".")[0].removesuffix("_series_matrix") for path in paths)
    if len(set(names)) < len(names):
        raise ValueError(f"two files are called {max(names, key=names.count)!r}: batches are named by their files.")
    tables = [
        path.name.lower().removesuffix(".gz").endswith(_TABLES) and "series_matrix" not in path.name for path in paths
    ]
    if any(tables) and not all(tables):
        odd = paths[tables.index(False)]
        raise ValueError(f"{odd} beside tables: give tables only, or H5AD and GEO files only.")
    from proxflow.data.cohorts import concat_cohorts

    wanted = [name.strip() for name in columns.split(",")] if columns else None
    read = _read_tables(paths, label, wanted) if all(tables) else [_read_cohort(path) for path in paths]
    if any(key in cohort.var_names or key in cohort.obs.columns for cohort in read):
        raise ValueError(f"a column is called {key!r}, as that of the batches would be: give another --batch.")
    merged = concat_cohorts(dict(zip(names, read, strict=True)), key=key)
    notes = tuple(
        f"{path}: columns that not all files have are left out, such as {listed(sorted(lost)[:3])} ({len(lost)})."
        for path, cohort in zip(paths, read, strict=True) if (lost := set(cohort.var_names) - set(merged.var_names))
    )  # fmt: skip
    return _settled(Cohorts(merged, key, label, not all(tables), names, notes), platform, label_map, drop_missing)


def _settled(cohorts: Cohorts, platform: Path | None, label_map: str | None, drop_missing: bool) -> Cohorts:
    """Probes collapsed, labels spelled in one way, and genes with missing values left out, if asked for."""
    adata, notes = _collapsed(cohorts.adata, platform), cohorts.notes
    if label_map is not None:
        spelled = dict(part.split("=", 1) for part in label_map.split(",") if "=" in part)
        if cohorts.label is None or len(spelled) < label_map.count(",") + 1:
            raise ValueError(f"--label-map {label_map}: give --label, and OLD=NEW,OLD=NEW.")
        column = adata.obs[cohorts.label].astype(object)
        adata.obs[cohorts.label] = column.map(lambda value: spelled.get(str(value), value))
    if drop_missing:
        x = adata.X
        values = x.toarray() if hasattr(x, "toarray") else np.asarray(x)
        whole = np.isfinite(values).all(axis=0)
        if not whole.all():
            notes = (*notes, f"{int((~whole).sum())} genes with missing values are left out.")
            adata = adata[:, whole].copy()
    return replace(cohorts, adata=adata, notes=notes)


def _read_cohort(path: Path) -> Any:
    if path.suffix.lower() == ".h5ad":
        return _read_h5ad(path)
    from proxflow.data.series_matrix import read_series_matrix

    return read_series_matrix(path)


def _read_tables(paths: Sequence[Path], label: str | None, wanted: list[str] | None) -> list[Any]:
    """Tables as AnnData: columns of numbers, or those wanted, are features; the others, and the label, go to obs."""
    from proxflow.data.frames import read_frame
    from proxflow.data.tables import read_table

    frames, found = [read_frame(path) for path in paths], []
    words = [[str(name) for name in frame.columns if _is_text(path, frame[name])]
             for path, frame in zip(paths, frames, strict=True)]  # fmt: skip
    mixed = [
        name
        for name in set().union(*words)
        if name != label and any(name in f.columns and name not in w for f, w in zip(frames, words, strict=True))
    ]
    if mixed:
        raise ValueError(
            f"column {sorted(mixed)[0]!r} is text in one file and numbers in another: make it one of them."
        )
    for path, frame, text in zip(paths, frames, words, strict=True):
        names = [str(name) for name in frame.columns]
        for name in [*([] if label is None else [label]), *(wanted or [])]:
            if name not in names:
                raise ValueError(f"{path}: no column {name!r}. It has {', '.join(names[:20])}.")
        features = wanted or [name for name in names if name != label and name not in text]
        if not features:
            raise ValueError(f"{path}: no columns of numbers besides the label.")
        adata = _anndata().AnnData(read_table(path, columns=features).values)
        adata.var_names = features
        for name in names:
            if name not in features:
                adata.obs[name] = frame[name].to_numpy()
        found.append(adata)
    return found


def _is_text(path: Path, column: Any) -> bool:
    """Whether a column is names or notes: text that is mostly no numbers. A number misspelt is an error, not a note."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return False
    if any(hasattr(value, "__len__") and not isinstance(value, (str, bytes)) for value in column.head(20)):
        raise ValueError(f"{path}: column {str(column.name)!r} holds lists, not values.")
    return bool(pd.to_numeric(column, errors="coerce").notna().mean() < _MOSTLY)


def _anndata() -> Any:
    try:
        return import_anndata()
    except ImportError as problem:
        raise ValueError(str(problem)) from None


def _read_h5ad(path: Path) -> Any:
    if path.exists() and not path.is_file():
        raise ValueError(f"cannot read {path}: it is a folder, a pipe or a device, not a file.")
    try:
        return _anndata().read_h5ad(path)
    except OSError as error:
        words = reason(error) if error.errno else "damaged or not an H5AD file"
        raise ValueError(f"cannot read {path}: {words}.") from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can fail anywhere in the parser
        raise ValueError(f"cannot read {path}: damaged or not an H5AD file ({type(error).__name__}).") from None


def _collapsed(adata: Any, platform: Path | None) -> Any:
    if platform is None:
        return adata
    from proxflow.data.platforms import read_platform
    from proxflow.data.probes import collapse_probes

    return collapse_probes(adata, read_platform(platform))


def write_merged(path: Path, cohorts: Cohorts) -> None:
    """Write the result, whole or not at all: the AnnData, or a table of moved features with batch and label."""
    adata = cohorts.adata
    if path.suffix.lower() == ".h5ad":
        with atomic_path(path) as temporary:
            try:
                adata.write_h5ad(temporary)
            except (RuntimeError, TypeError) as problem:  # how HDF5 speaks of a full disk, and of names it has none for
                words = (str(problem).splitlines() or ["unknown error"])[0]
                raise ValueError(f"cannot write {path}: {words} (is the disk full?)") from None
        return
    import pandas as pd

    from proxflow.data.frames import write_frame

    frame = pd.DataFrame(np.asarray(adata.layers["proxflow"]), columns=list(adata.var_names))
    about = [name for name in adata.obs.columns if name not in (cohorts.key, "proxflow_shift")]
    for i, name in enumerate([cohorts.key, *about]):
        frame.insert(i, name, adata.obs[name].to_numpy())
    write_frame(path, frame)
