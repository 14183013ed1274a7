"""The command line, called in this process: what a terminal would show, without the second that a start takes."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from proxflow import cli


def call(capsys: Any, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `proxflow` with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["proxflow", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err
