"""What the scripts of this folder share: their options, what they return, and the page that shows them.

    python examples/paper/plates.py [NAME ...]      draw again (all, or those named) and write docs/gallery.md

A script is a docstring, a function ``draw(choice)`` and a call of ``main``. The docstring is the page's text: its first
line the title, then where the original is (**Seeds:**), the setting, and what differs and why. Numbers are not in it:
they come from the run, beside the published ones.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from proxflow import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "gallery.md"
PICTURES = ROOT / "docs" / "images" / "paper"
sys.path.append(str(ROOT))  # some scripts compare with the rivals of benchmarks/

# In the order of the page.
CHAPTERS = {
    "Divergences and flows": ("one_number", "one_step", "speed_limit", "higher_order", "networks"),
    "Sets of low dimension": ("carpet_in_space", "carpet_in_the_plane", "swiss_roll", "planes"),
    "Heavy tails": ("tails_by_entropy", "tail_cases", "tail_without_limit", "tails_by_proximal", "keystrokes"),
    "Pictures": (
        "digits_from_200", "equal_counts", "more_digits", "two_to_zero", "digits_by_method", "digits_for_a_gan",
        "gan_rates",
    ),
    "Gene expression": ("two_cohorts",),
}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """What the command line asks for. ``quick``: few points and steps, to see that it runs."""

    quick: bool = False
    seed: int = 0
    data: Path = Path(os.environ.get("PROXFLOW_DATA", ROOT.parent / "shared" / "data"))
    files: tuple[Path, ...] = ()

    def real(self, name: str) -> Path | None:
        """A file of the folder of real data, if it is there."""
        return self.data / name if (self.data / name).exists() else None


@dataclass(frozen=True)
class Plate:
    """A picture, and rows of (what was measured, the published number, ours); ``stand_in``: what was not to be had."""

    figure: Figure | None
    rows: Sequence[tuple[str, str, str]]
    stand_in: str = ""

    def table(self) -> str:
        """The rows as Markdown."""
        lines = [f"| {what} | {published or '–'} | {ours} |" for what, published, ours in self.rows]
        return "\n".join(["| | published | here |", "| --- | --- | --- |", *lines])


def main(draw: Callable[[Choice], Plate], doc: str, *, files: str = "") -> None:
    """Run one script from the command line; ``files`` says which files it can be given."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few points and steps: to see that it runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Choice.data, help="folder of real data")
    parser.add_argument("--out", type=Path, help="a .png file for the picture")
    if files:
        parser.add_argument("files", type=Path, nargs="*", help=files)
    given = parser.parse_args()
    missing = [str(file) for file in getattr(given, "files", []) if not file.exists()]
    if missing:
        parser.error(f"no such file: {', '.join(missing)}")
    if given.out and (given.out.suffix != ".png" or not given.out.parent.is_dir()):
        parser.error(f"--out takes a .png file in a folder that exists, got {given.out}")
    start = time.perf_counter()
    plate = draw(Choice(given.quick, given.seed, given.data, tuple(getattr(given, "files", ()))))
    print(f"{plate.table()}\n{plate.stand_in}\n{time.perf_counter() - start:.0f} s")
    if given.out and plate.figure:
        plots.save_figure(plate.figure, given.out)


# ---------------------------------------------------------------------- the page

_HEAD = """# Gallery

Every figure and table of the work that proxflow comes from, drawn again: the paper (Gu, Birmpa, Pantazis, Rey-Bellet
and Katsoulakis 2024, with its supplement), the poster about it (SIAM MDS 2024), the talk (Rey-Bellet, ICERM 2024), and
the README of the published code. One script each, in `examples/paper/`; `--quick` runs any of them in seconds. The
numbers beside the pictures come from the run that drew them (seed 0); "published" is what the source prints, a dash
where it prints none.
"""


def write_page(*only: str) -> None:
    """Run the scripts (all, or those named) and write their sections of the page; the others stay."""
    known = [name for chapter in CHAPTERS.values() for name in chapter]
    if unknown := sorted(set(only) - set(known)):
        raise SystemExit(f"no such script: {', '.join(unknown)}; there are {', '.join(known)}")
    texts = _written()
    for name in only or known:
        module = importlib.import_module(name)
        start = time.process_time()  # whatever else the machine does meanwhile
        plate = module.draw(Choice())
        texts[name] = section(name, module.__doc__, plate, time.process_time() - start)
        print(texts[name], flush=True)
        if plate.figure:
            PICTURES.mkdir(exist_ok=True)
            _shrink(plots.save_figure(plate.figure, PICTURES / f"{name}.png"))
        texts = _written() | {name: texts[name]}  # now: another run may have written since this one began
        parts = [[f"## {chapter}", *(texts[n] for n in names if n in texts)] for chapter, names in CHAPTERS.items()]
        PAGE.write_text("\n".join([_HEAD, *("\n\n".join(part) + "\n" for part in parts)]), encoding="utf-8")


def section(name: str, doc: str, plate: Plate, seconds: float) -> str:
    """The text of one script on the page."""
    title, text = doc.strip().split("\n", 1)
    parts = [f"### {title.rstrip('.')}", text.strip()]
    if plate.figure:
        parts.append(f"![{title}](images/paper/{name}.png)")
    parts += [plate.table(), *([plate.stand_in] if plate.stand_in else [])]
    took = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    machine = f"{os.cpu_count()} cores ({platform.machine()}), {date.today()}"
    return "\n\n".join([*parts, f"`python examples/paper/{name}.py`: {took} of processor time on {machine}."])


def _shrink(picture: Path) -> None:
    """A palette is enough for a picture of a few colours."""
    from PIL import Image

    with Image.open(picture) as image:
        image.convert("RGB").quantize(64).save(picture, optimize=True)


def _written() -> dict[str, str]:
    """The sections that the page has, by the script that drew them."""
    parts = PAGE.read_text(encoding="utf-8").split("\n### ")[1:] if PAGE.exists() else []
    texts = [f"### {part.split(chr(10) + '## ')[0].strip()}" for part in parts]
    return {text.rsplit("`python examples/paper/", 1)[1].split(".py`")[0]: text for text in texts}


if __name__ == "__main__":
    sys.modules["plates"] = sys.modules["__main__"]  # one Choice, whoever imports it
    write_page(*sys.argv[1:])
