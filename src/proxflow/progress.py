"""A progress bar that is quiet when nobody watches: rich on a terminal, nothing in a file or a pipe."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

__all__ = ["Progress"]


class Progress:
    """A bar on stderr, as a context manager; does nothing unless visible and stderr is a terminal."""

    def __init__(self, label: str, total: int, *, visible: bool = True) -> None:
        self._label = label
        self._total = total
        self._visible = visible and sys.stderr is not None and sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if self._visible:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Bar(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total, note="")
        return self

    def update(self, done: int, note: str = "") -> None:
        """Show that `done` of the total are done, with a note beside the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
