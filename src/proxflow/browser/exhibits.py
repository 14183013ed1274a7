"""The HTML of the moving part: its skeleton, the data inside it, the style and the program.

The section stays hidden until the program runs, so that without JavaScript a page lacks it and nothing else. Data stand
in a JSON block, in which every "<" is escaped: no name of a row can end it. The page's content security policy
allows this one program, by its hash. Bad at: browsers of before 2020.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from proxflow.browser.scene import Scene

__all__ = ["Exhibit", "Moving", "Part", "moving_part", "payload", "stylesheet"]

_PROGRAM = ("scene.js", "camera.js", "marks.js", "curves.js", "player.js", "live.js", "main.js")


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One scene and the curves of its run; `linked` if its time counts the curves' steps."""

    name: str
    scene: Scene
    curves: Mapping[str, Any] | None = None

    @property
    def linked(self) -> bool:
        """Whether a moment of the scene is a step of the curves."""
        return self.scene.words["unit"] == "step"


@dataclass(frozen=True, eq=False)
class Moving:
    """What moves on a page: exhibits to choose among, and, of a run that goes on, where news are asked for.

    live: "mark", what the page knows already, and "seconds" between two questions; the server answers at /news.
    """

    exhibits: Sequence[Exhibit] = ()
    live: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Part:
    """The section, the program that comes last in the page, and the policy that allows it."""

    section: str
    program: str
    policy: str


def payload(moving: Moving) -> dict[str, Any]:
    """What the program reads, as plain values."""
    return {
        "exhibits": [
            {"name": each.name, "scene": each.scene.payload(), "curves": each.curves, "linked": each.linked}
            for each in moving.exhibits
        ],
        "live": None if moving.live is None else dict(moving.live),
    }


def moving_part(moving: Moving) -> Part:
    """Return the HTML of the moving part.

    Examples
    --------
    >>> part = moving_part(Moving())
    >>> part.section.startswith('<section id="moving" hidden>'), part.policy.startswith("script-src 'sha256-")
    (True, True)
    """
    program = '(() => {\n"use strict";\n' + "\n".join(_text(name) for name in _PROGRAM) + "\n})();\n"
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode("ascii")
    policy = f"script-src 'sha256-{digest}'" + ("; connect-src 'self'" if moving.live is not None else "")
    data = json.dumps(payload(moving), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    section = f'{_SKELETON}<script type="application/json" id="exhibits">{data}</script>'
    return Part(section, f"<script>{program}</script>", policy)


def stylesheet(moving: bool) -> str:
    """The style of a page, with that of the moving part if there is one."""
    return _text("page.css") + (_text("moving.css") if moving else "")


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


_SKELETON = """<section id="moving" hidden>
<div class="head"><h2>On the way</h2><div class="tabs" role="group" aria-label="Methods"></div>
<div class="legend" role="group" aria-label="What is shown"></div></div>
<div class="stage">
<canvas tabindex="0" role="img"></canvas>
<div class="tip" hidden></div>
<div class="zoom"><button type="button" data-zoom="in" aria-label="Zoom in">+</button><button
 type="button" data-zoom="out" aria-label="Zoom out">−</button><button
 type="button" data-zoom="reset" aria-label="Whole view">⤢</button></div>
</div>
<div class="time"><button type="button" class="play" aria-label="Play"><svg viewBox="0 0 16 16" aria-hidden="true">
<path class="start" d="M4 2.5v11l9-5.5z"/><path class="pause" d="M4 2.5h3v11H4zM9 2.5h3v11H9z"/></svg></button>
<input type="range" min="0" step="any" aria-label="Moment"><output></output></div>
<div class="curves"></div>
<p class="note"></p>
</section>
"""
