"""The documentation, run: its Python blocks, its command lines, its links, its examples, its tables and pictures."""

import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest
import typer

import proxflow
from proxflow.cli import app
from proxflow.entropies import NAMES, entropy
from proxflow.estimate import GAMMAS
from proxflow.flows.particles import METHODS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
COMMANDS = typer.main.get_command(app).commands
# What an example is to write when told to.
FILES = {"watch_the_particles": "particles.gif", "new_samples_from_a_table": "new.csv"}


def name_of(path):
    return str(path.relative_to(ROOT))


def blocks(text, *languages):
    """Yield (line number, code) of the fenced blocks in one of these languages."""
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        if match[1] in languages:
            yield text.count("\n", 0, match.start(2)) + 1, match[2]


def shell_lines(text):
    for _, code in blocks(text, "bash", "console"):
        for line in code.replace("\\\n", " ").splitlines():
            yield line.removeprefix("$ ").strip()


def parse(line):
    """Parse a proxflow command line as the program would, up to but without running it."""
    _, command, *arguments = shlex.split(line, comments=True)
    context = COMMANDS[command].make_context(command, arguments)
    given = context.params
    assert (given.get("gamma") or "auto") in GAMMAS
    assert (given.get("integrator") or "euler") in METHODS
    entropy(given.get("f", "kl"), given.get("alpha"))
    return given


def broken_links(page):
    """Return the page's links to files or headings that do not exist; addresses on the web are not followed."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


# ---------------------------------------------------------------------- Python blocks

RUNNABLE = [page for page in PAGES if any(blocks(page.read_text(encoding="utf-8"), "python"))]


def test_there_is_something_to_run():
    assert {name_of(page) for page in RUNNABLE} >= {"README.md", "docs/getting-started.md", "docs/extending.md"}


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_python_blocks_run_in_order(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    text = page.read_text(encoding="utf-8")
    for line, code in blocks(text, "python"):
        # Empty lines in front, so that a traceback points into the page.
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), module.__dict__)
    printed = capsys.readouterr().out
    assert [line for line in stated_lines(text) if not any(says_the_same(line, p) for p in printed.splitlines())] == []


def stated_lines(text):
    """Yield the lines of printed comparisons that other machines print too: no p-values, like features, seconds."""
    for _, code in blocks(text, "text"):
        if code.startswith("D("):
            yield from (line for line in code.splitlines() if not re.match(r"  (one law|what moved|seed)", line))


def says_the_same(stated, printed):
    """Whether two lines have the same words, and numbers within a tenth of one another or both next to nothing."""
    number = r"-?\d+\.?\d*(?:e-?\d+)?"
    pairs = zip(re.findall(number, stated), re.findall(number, printed), strict=False)
    same_words = re.sub(number, "#", stated).split() == re.sub(number, "#", printed).split()
    return same_words and all(float(a) == pytest.approx(float(b), rel=0.1, abs=0.05) for a, b in pairs)


def test_a_wrong_number_on_a_page_is_noticed():
    _, line = stated_lines("```text\nD(P‖Q), IPM\n  these 4.57   (gap 6.1e-14)\n  seed 0, 1 s\n```\n")
    assert says_the_same(line, "  these 4.58   (gap 2e-15)")
    assert not says_the_same(line, "  these 5.57   (gap 2e-15)")
    assert not says_the_same(line, "  their 4.57   (gap 2e-15)")


# ---------------------------------------------------------------------- command lines


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_command_lines_are_ones_the_programs_accept(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for line in shell_lines(page.read_text(encoding="utf-8")):
        program, *words = shlex.split(line, comments=True)
        if program == "proxflow":
            parse(line)
        elif program == "make":
            assert set(words) <= targets, line
        elif program == "python":
            assert (ROOT / words[0]).is_file(), line
        else:
            assert program == "pip", f"{line}: nobody checks this program"


def test_the_parser_refuses_what_does_not_exist():
    for line in (
        "proxflow generate samples.csv --no-such-option",
        "proxflow transport --source a.csv",
        "proxflow compare a.csv b.csv --L much",
        "proxflow generate samples.csv --f reverseKL",
        "proxflow simulate",
    ):
        with pytest.raises(
            Exception, match=r"No such option|Missing parameter: target|valid number|unknown f|simulate"
        ):
            parse(line)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_help_of_every_command_has_an_example_that_parses(command):
    example = COMMANDS[command].epilog
    assert example.startswith(f"Example: proxflow {command}")
    parse(example.removeprefix("Example: "))


def test_the_command_line_page_has_every_command_and_every_option():
    text = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")
    assert {f"## {command}" for command in COMMANDS} <= set(text.splitlines())
    options = {option for command in COMMANDS.values() for p in command.params for option in p.opts if option[0] == "-"}
    assert [option for option in sorted(options - {"--help"}) if not re.search(rf"{option}\b", text)] == []


def test_the_command_line_page_has_every_figure():
    drawn = set(re.findall(r'"(\w+\.(?:png|gif))"', (ROOT / "src/proxflow/gallery.py").read_text(encoding="utf-8")))
    described = set(re.findall(r"`figures/(\w+\.\w+)`", (ROOT / "docs/command-line.md").read_text(encoding="utf-8")))
    assert drawn == described


# ---------------------------------------------------------------------- links and tables


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_internal_links_resolve(page):
    assert broken_links(page) == []


def test_broken_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One heading\n[a](#one-heading) [b](#other) [c](no.md) `[d](code.md)` [e](https://example.org)\n")
    assert broken_links(page) == ["#other", "no.md"]


def test_spaces_lists_every_function_space():
    from proxflow import gamma

    rows = (ROOT / "docs/spaces.md").read_text(encoding="utf-8").split("## How to choose")[0]
    classes = set(gamma.__all__) - {"Gamma", "Potential", "gradients"}
    assert [name for name in sorted(classes) if f"| `{name}` |" not in rows] == []
    assert [name for name in GAMMAS if name != "auto" and f'`"{name}"`' not in rows] == []


def test_choosing_lists_every_variant():
    text = (ROOT / "docs/choosing.md").read_text(encoding="utf-8")
    rules = {"ConstantStep", "CosineStep", "DecayingStep", "DivergenceStep", "FisherStep", "LipschitzStep"}
    variants = {*NAMES, *GAMMAS, *METHODS, *rules, "gaussian", "uniform"}
    assert [name for name in sorted(variants) if f'"{name}"' not in text and f"`{name}" not in text] == []


def test_choosing_explains_every_setting_of_the_estimator():
    from proxflow import ParticleTransport

    text = (ROOT / "docs/choosing.md").read_text(encoding="utf-8")
    assert [name for name in ParticleTransport().get_params() if f"`{name}" not in text] == []


def test_choosing_explains_every_setting_of_a_proximal_flow():
    from proxflow import ProximalFlow

    text = (ROOT / "docs/choosing.md").read_text(encoding="utf-8").split("## Proximal flows")[1].split("\n## ")[0]
    assert [name for name in ProximalFlow().get_params() if f"`{name}" not in text] == []


def test_choosing_explains_every_setting_of_a_generator():
    from proxflow import GammaGAN

    text = (ROOT / "docs/choosing.md").read_text(encoding="utf-8").split("## Generators")[1].split("\n## ")[0]
    assert [name for name in GammaGAN().get_params() if f"`{name}" not in text] == []


def test_the_api_overview_lists_every_public_name():
    text = (ROOT / "docs/api/index.md").read_text(encoding="utf-8")
    assert [name for name in proxflow.__all__ if f"`{name}`" not in text] == []


# ---------------------------------------------------------------------- examples, pictures, citation


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(example, tmp_path):
    arguments = ["--quick"]
    if example.stem in FILES:
        arguments += ["--out", FILES[example.stem]]
    # As in conftest.py: two processes may meet at one entry of the cache of compiled functions.
    warnings = ["error", *(f"ignore:Error {verb} persistent compilation cache" for verb in ("reading", "writing"))]
    done = subprocess.run(
        [sys.executable, *(f"-W{rule}" for rule in warnings), str(example), *arguments],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    written = [file.name for file in tmp_path.iterdir()]
    assert written == ([FILES[example.stem]] if example.stem in FILES else [])


def test_examples_are_short():
    assert len(EXAMPLES) >= 4
    assert {e.stem: n for e in EXAMPLES if (n := len(e.read_text(encoding="utf-8").splitlines())) >= 90} == {}


def test_pictures_are_small_used_and_drawn_by_the_script():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    script = (ROOT / "docs/make_images.py").read_text(encoding="utf-8")
    pictures = [file for file in (ROOT / "docs/images").iterdir() if file.is_file()]  # those of paper/: test_gallery.py
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < 200_000, picture
        assert f"images/{picture.name}" in text, f"{picture.name} is on no page"
        assert f'"{picture.name}"' in script, f"nothing draws {picture.name}"


def test_citation_and_changelog_know_this_version():
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == proxflow.__version__
    assert citation["license"] == "Apache-2.0"
    papers = [citation["preferred-citation"], *citation["references"]]
    assert all(paper["authors"] and paper["title"] and paper["year"] for paper in papers)
    assert proxflow.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 160
