"""Files that are either whole or absent.

    write to .proxflow-<token>-<name>  ->  fsync  ->  os.replace to <name>

A rename within one folder is atomic (POSIX rename; os.replace on Windows), so a kill or a full disk leaves
the old file or the new one, never half of one. Every OSError on the way becomes one ValueError line with the
place. Bad at: durability of the rename when the power fails.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["TEMPORARY", "atomic_path", "named_failure", "reason"]

TEMPORARY = ".proxflow-"


def reason(error: OSError) -> str:
    """Return the system's words; NumPy reports a short write without an error number."""
    if error.errno:
        return os.strerror(error.errno)
    return f"{(str(error).splitlines() or ['unknown error'])[0]} (is the disk full?)"


@contextlib.contextmanager
def named_failure(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError inside into one ValueError line that names path."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"cannot write {os.fspath(path)}: {reason(error)}.") from error


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary sibling of path to write to; it takes path's name only once it is complete.

    The sibling's name ends like path's, for writers that look at the suffix. Whatever goes wrong inside,
    the sibling is removed and path stays as it was. A symbolic link is written through, not replaced.

    Raises
    ------
    ValueError
        The system refused ("cannot write X: No space left on device."), or path is a folder or a device.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with atomic_path(folder + "/note.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> os.listdir(folder)
    ['note.txt']
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{target.name}")
    with named_failure(path):
        if target.exists():
            if not target.is_file():  # root could replace /dev/null by a table
                raise ValueError(f"cannot write {os.fspath(path)}: it is a folder or a device, not a file.")
            if not os.access(target, os.W_OK):  # a rename would not ask
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        try:
            # Not mkstemp: its files are private (0600), and results are to be shared as the umask says.
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            if target.exists():
                shutil.copymode(target, temporary)
            yield temporary
            with open(temporary, "rb+") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, target)
        finally:
            with contextlib.suppress(OSError):  # gone after success; after failure the first error counts
                temporary.unlink()
