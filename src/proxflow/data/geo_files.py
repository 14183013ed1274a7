"""Files as GEO gives them: opened whatever their suffix says, and told apart when one is not what was asked for.

    bytes 1f 8b -> gzip, else plain         "^DATABASE" -> SOFT        "<" -> a page of errors that was saved as a file

Nothing is ever downloaded: an error says where the file can be had. Bad at: GEO's other archives, RAW.tar of CEL files
and MINiML, which are named and refused.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from typing import IO, Any, cast

__all__ = ["MISSING", "as_text", "import_anndata", "opened", "refuse_other_kinds", "where_to_get"]

# Cells that hold no value, after lower(). "None" is none of them: it is an answer ("treatment: none").
MISSING = frozenset({"", "na", "n/a", "nan", "null"})

_SERIES = "https://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSExxx/matrix/"


def where_to_get(file: str) -> str:
    """Return the address of a series' matrix files, its own when the file's name has the accession.

    Examples
    --------
    >>> where_to_get("GSE26639_series_matrix.txt.gz")
    'https://ftp.ncbi.nlm.nih.gov/geo/series/GSE26nnn/GSE26639/matrix/'
    """
    found = re.search(r"GSE(\d+)", os.path.basename(file), flags=re.IGNORECASE)
    return _SERIES if found is None else _SERIES.replace("GSEnnn/GSExxx", f"GSE{found[1][:-3]}nnn/GSE{found[1]}")


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], hint: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Open a file that may be gzipped and yield its path and a binary handle.

    hint: a sentence for the error of a file that is not there.

    Raises
    ------
    ValueError
        The file is missing, a folder, empty, unreadable, or only part of a gzip file; also while it is being read.
    """
    file = os.fspath(path)
    if os.path.exists(file) and not os.path.isfile(file) and not os.path.isdir(file):
        raise ValueError(f"{file}: a pipe or a device, not a file.")
    try:
        with open(file, "rb") as plain:
            start = plain.read(2)
            plain.seek(0)
            if not start:
                raise ValueError(f"{file}: the file is empty.")
            # by content: browsers unpack a .gz and keep its name
            handle = cast("IO[bytes]", gzip.GzipFile(fileobj=plain)) if start == b"\x1f\x8b" else plain
            yield file, handle
    except FileNotFoundError:
        raise ValueError(f"{file}: no such file. Nothing is downloaded here: {hint}") from None
    except IsADirectoryError:
        raise ValueError(f"{file}: is a folder; name a file in it.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise ValueError(f"{file}: not a whole gzip file; fetch it again.") from None
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}.") from error


def as_text(raw: bytes) -> str:
    """Decode UTF-8, or Latin-1 where a submitter's text is not UTF-8."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def refuse_other_kinds(file: str, start: bytes, wanted: str) -> None:
    """Raise ValueError when the first bytes are not those of a text file of GEO's, or of another kind of it.

    wanted: "matrix" or "platform".
    """
    words = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if words.startswith((b"<!doctype html", b"<html")):
        raise ValueError(
            f"{file}: a web page, not data: a page of errors was saved under this name. "
            f"Fetch it again, from {where_to_get(file)} or the page of the platform."
        )
    if words.startswith(b"<"):
        raise ValueError(f"{file}: XML (MINiML?). Take the *_series_matrix.txt.gz from {where_to_get(file)}")
    if b"\0" in start:
        raise ValueError(f"{file}: not text (zero bytes). Take the *_series_matrix.txt.gz from {where_to_get(file)}")
    matrix = words.startswith((b"!series_", b"!sample_"))
    if wanted == "platform" and matrix:
        raise ValueError(
            f"{file}: a series matrix, which has no gene names; read_series_matrix reads it. A platform's table is "
            "'Download full table' on https://www.ncbi.nlm.nih.gov/geo/query/acc.cgi?acc=GPLxxx, or its .annot.gz."
        )
    if wanted == "matrix" and words.startswith((b"^annotation", b"#id")):
        raise ValueError(f"{file}: a platform's table, not a series matrix; read_platform reads it.")
    if wanted == "matrix" and words.startswith(b"^"):
        raise ValueError(
            f"{file}: a SOFT family file, one table per sample. Take the *_series_matrix.txt.gz of the same series "
            f"from {where_to_get(file)} (read_platform reads the platform's table in a SOFT file)."
        )


def import_anndata() -> Any:
    """Return the module anndata, or say how to install it."""
    try:
        import anndata
    except ImportError:
        raise ImportError("this needs the package anndata: pip install 'proxflow[bio]'.") from None
    return anndata
