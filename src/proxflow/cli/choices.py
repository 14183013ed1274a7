"""What a command was given, as plain values: enough to say it again, run it again, and go on with it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxflow import __version__

if TYPE_CHECKING:
    from proxflow.store import RunFolder

__all__ = ["Choices", "folder_for", "given", "words_of"]

COMMANDS = ("demo", "generate", "transport", "augment")
_DEFAULT_METHOD = "gpa"


@dataclass(frozen=True)
class Choices:
    """A command and its options by name."""

    command: str
    arguments: dict[str, Any]

    def line(self) -> str:
        """The command line, to be typed again."""
        return shlex.join(["proxflow", *self.words()])

    def words(self) -> list[str]:
        """The command line that gives these choices, as a list."""
        words = [self.command]
        for name, value in self.arguments.items():
            flag = "-n" if name == "n" else f"--{name.replace('_', '-')}"
            if name == "data":
                words.append(str(value))
            elif value is True:
                words.append(flag)
            elif value is not None and value is not False:
                words += [flag, str(value)]
        return words

    def settings(self) -> dict[str, Any]:
        """What settings.json says of them."""
        return {"command": self.command, "arguments": self.arguments, "proxflow": __version__}


def given(scope: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a command as plain values, paths absolute, without those a rerun sets itself."""
    # Nor where it runs: it may go on elsewhere.
    skip = {"out", "overwrite", "resume", "as_json", "distributed", "coordinator", "processes", "process"}
    return {
        # JSON has no inf: as text it survives, and the parser reads it back.
        name: str(value.absolute()) if isinstance(value, Path) else str(value) if value == float("inf") else value
        for name, value in scope.items()
        if name not in skip
    }


def words_of(path: Path) -> list[str]:
    """The command line of a run, from its settings.json."""
    from proxflow.store import read_json

    settings = read_json(path)
    if not isinstance(settings, dict) or settings.get("command") not in COMMANDS:
        raise ValueError(f"{path}: not the settings of a run (its 'command' must be one of {', '.join(COMMANDS)}).")
    arguments = settings.get("arguments")
    if not isinstance(arguments, dict) or not all(
        value is None or isinstance(value, (str, int, float, bool)) for value in arguments.values()
    ):
        raise ValueError(f'{path}: \'arguments\' must be options and plain values, such as "bounds": "0,1".')
    # Through the parser, which checks every value as it would if typed.
    return Choices(settings["command"], _renamed(arguments)).words()


def folder_for(choices: Choices, out: Path | None, overwrite: bool, resume: bool) -> RunFolder | None:
    """The folder to write: new, or that of a run to go on with; None if that run is finished."""
    from proxflow.checkpoints import any_checkpoint
    from proxflow.store import RunFolder, default_name, read_json

    if resume and out is None:
        raise ValueError("--resume needs --out, the folder of the run to go on with.")
    if resume and out is not None and (out / "settings.json").exists():
        folder = RunFolder.reopen(out)
        earlier = read_json(out / "settings.json")
        if earlier.get("command") != choices.command or _said(earlier.get("arguments")) != _said(choices.arguments):
            raise ValueError(f"{out} holds a run with other options: proxflow resume {out} goes on with its own.")
        ended = "stopped" in earlier and "interrupted" not in str(earlier["stopped"])
        return None if ended and not any_checkpoint(folder.checkpoint) else folder
    inputs = [choices.arguments[name] for name in ("data", "source", "target", "test") if choices.arguments.get(name)]
    return RunFolder.create(out or default_name(choices.command), overwrite=overwrite, inputs=inputs)


def _renamed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they are called today: --integrator was --method in settings of the first runs."""
    from proxflow.cli.methods import METHODS

    renamed = dict(arguments)
    method = renamed.get("method")
    if "integrator" not in renamed and method is not None and str(method).split(",")[0] not in METHODS:
        renamed["integrator"] = renamed.pop("method")
    return renamed


def _said(arguments: Any) -> Any:
    """Options that differ from what is assumed when they are left out."""
    if not isinstance(arguments, dict):
        return arguments
    return {
        name: value
        for name, value in _renamed(arguments).items()
        if value is not None and value is not False and (name, value) != ("method", _DEFAULT_METHOD)
    }
