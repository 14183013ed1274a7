"""The gallery: every figure and table of the seeds has a script, every script runs and is on the page."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxflow import plots

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "paper"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "plates")
PAGE = ROOT / "docs" / "gallery.md"

# What the seeds show, by where it stands.
SHOWN = {
    "paper": {*(f"figure {n}" for n in range(1, 18)), *(f"table {n}" for n in range(1, 5)), "smooth ReLU"},
    "poster": {
        "An iteration of GPA", "Learning low-dimensional data manifold", "GPA for image generation", "WGAN on MNIST",
        "Learning a heavy-tailed distribution", "Gene expression",
    },
    "talk": {
        "CIFAR-10", "Sierpinski carpet", "MNIST with scarce data", "Heavy-tailed distributions", "keystrokes",
        "low-d structure", "table 1",
    },
    "README": {
        "the first picture", "2 to 0", "Swiss roll", "f_Lip_divergence", "dissipates", "computational schemes",
        "heavy tails", "scarce data", "data augmentation", "sample diversity", "gene expression",
    },
}  # fmt: skip


@pytest.fixture
def plates(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("plates")


@pytest.mark.parametrize("name", NAMES)
def test_every_script_draws_its_plate_quickly(name, plates, tmp_path):
    script = importlib.import_module(name)
    plate = script.draw(plates.Choice(quick=True, data=tmp_path))  # an empty folder: nothing real is at hand
    assert plate.rows
    assert all(what and here for what, _, here in plate.rows)
    if plate.figure:
        assert plots.save_figure(plate.figure, tmp_path / "plate.png").stat().st_size > 2000
    section = plates.section(name, script.__doc__, plate, 1.0)
    assert section.startswith("### ")
    assert "**Seeds:**" in section
    assert "**Setting:**" in section
    assert "**What differs:**" in section


def test_a_script_is_a_command(tmp_path, users_environment):
    script = [sys.executable, FOLDER / "one_number.py"]
    made = subprocess.run(
        [*script, "--quick", "--out", tmp_path / "one.png"],
        capture_output=True, text=True, env=users_environment, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "| published | here |" in made.stdout


def test_everything_the_seeds_show_is_in_the_gallery(plates):
    assert sorted(name for chapter in plates.CHAPTERS.values() for name in chapter) == NAMES
    named = {source: set() for source in SHOWN}
    for name in NAMES:
        doc = importlib.import_module(name).__doc__
        seeds = " ".join(re.search(r"\*\*Seeds:\*\*(.*?)\n\n", doc, flags=re.DOTALL)[1].split()).rstrip(".")
        for part in seeds.split(";"):
            source, _, places = part.strip().partition(", ")
            named[source] |= {
                place.strip().strip('"') for place in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", places)
            }
    assert named == SHOWN


def test_the_page_shows_every_script_as_it_is(plates):
    written = plates._written()
    assert list(written) == [name for chapter in plates.CHAPTERS.values() for name in chapter]
    for name, text in written.items():
        doc = importlib.import_module(name).__doc__.strip()
        assert text.startswith(f"### {doc.splitlines()[0].rstrip('.')}\n\n{doc.split(chr(10), 1)[1].strip()}\n\n"), name
        for picture in re.findall(r"\(images/(paper/\w+\.png)\)", text):
            assert (ROOT / "docs" / "images" / picture).stat().st_size < 200_000, picture


def test_scripts_are_short():
    assert [name for name in NAMES if len((FOLDER / f"{name}.py").read_text().splitlines()) >= 90] == []
