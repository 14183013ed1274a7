"""The package as a whole: what importing costs, what is public, and which way imports run."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import proxflow

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "proxflow"
MODULES = sorted(m.name for m in pkgutil.walk_packages(proxflow.__path__, "proxflow.") if "__main__" not in m.name)


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, proxflow, proxflow.cli\n"
        "heavy = {'jax', 'numpy', 'scipy', 'sklearn', 'matplotlib', 'pandas', 'ot', 'equinox', 'optax'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_public_names_are_complete_and_documented():
    assert sorted(proxflow.__all__) == sorted(proxflow._HOMES)
    for name in proxflow.__all__:
        assert getattr(proxflow, name).__doc__, name
    assert set(proxflow.__all__) <= set(dir(proxflow))
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = proxflow.nothing_here


def test_a_module_never_hides_a_public_name():
    for name in MODULES:
        importlib.import_module(name)
    assert callable(proxflow.divergence)
    assert callable(proxflow.evolve)


def test_version_is_the_package_s():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == proxflow.__version__


# From the ground up; a module imports only from lower floors. Local imports inside functions count too.
FLOORS = [
    {"sharded"},
    {"validation", "progress", "distributed", "targets", "atomic", "numerics", "thinning", "neighbours"},
    {"tail_index", "proportions"},
    {"compression", "tails"},
    {"spans"},
    {"renyi", "store", "arrays", "streams", "sources", "defaults", "metrics", "sinkhorn", "notes"},
    {"entropies", "advice", "mixing", "agreement", "noise", "sinkhorn"},
    {"gamma", "permutation"},
    {"velocities", "generators"},
    {"divergences", "flows", "data", "plots", "trust", "discrepancies", "optimality"},
    {"browser"},
    {"report"},
    {"evolution", "fitting", "recordings"},
    {"descent", "estimate", "checkpoints", "copies", "flow_files", "health"},
    {"distillation", "latent"},
    {"plan", "attribution", "heldout", "samples"},
    {"estimators", "comparison", "training", "trajectories"},
    {"labels", "latent_transport", "trained_files"},
    {"proximal_flow", "gamma_gan"},
    {"runs", "contest", "ensembles"},
    {"augmenting", "integration"},
    {"run_pages"},
    {"gallery", "comparison_page", "contest_page", "ensemble_page", "serving"},
    {"cli"},
    {"__main__"},
]
HEIGHT = {name: height for height, names in enumerate(FLOORS) for name in names}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("proxflow."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "proxflow":
            found |= {alias.name for alias in node.names if alias.name in HEIGHT}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if part == "__init__":
        return
    for name in _imports(path):
        assert name == part or HEIGHT[name] < HEIGHT[part], f"{part} imports {name}"


def test_flows_know_no_divergence():
    for path in (PACKAGE / "flows").glob("*.py"):
        assert not _imports(path) & {"divergences", "entropies"}, path


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0
