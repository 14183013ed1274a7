"""Run every benchmark and write benchmarks/RESULTS.md: `make bench`, or `python -m benchmarks.run`."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks import exactness, inference, population, quality, speed, startup

SECTIONS = [
    ("Speed", speed, speed.main),
    ("Exactness of `divergence`", exactness, exactness.main),
    ("The exact solver", exactness, exactness.solver),
    ("Tightness of each space", exactness, exactness.tightness),
    ("Tightness where samples are mostly noise", exactness, exactness.noise),
    ("Known W1 between laws", population, population.main),
    ("Coverage of the lower bound", inference, inference.coverage),
    ("Level of the test", inference, inference.level),
    ("Power of the test", inference, inference.power),
    ("Quality in the plane", quality, quality.plane),
    ("Quality in 64 dimensions", quality, quality.digits),
    ("Smoothing: closeness, novelty and spread", quality, quality.smoothing),
    ("Real tables", quality, quality.tables),
    ("Why the defaults are what they are", quality, quality.choices),
    ("Startup", startup, startup.main),
]


def main() -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("proxflow", "jax", "numpy", "POT"))
    parts = [
        "# Results\n",
        "Written by `make bench`; each section also by `python -m benchmarks.<name>`. Medians of 3 unless said "
        "otherwise. Timings on shared cores are noisy: compare ratios within one run.\n",
        f"{date.today()}, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"{versions}.\n",
    ]
    for title, module, section in SECTIONS:
        print(title, flush=True)
        body = section()
        print(body, flush=True)
        module_name = module.__name__.rsplit(".", 1)[-1]
        parts.append(
            f"## {title}\n\n`python -m benchmarks.{module_name}`. {_text(section.__doc__ or module.__doc__)}\n\n{body}"
        )
    (Path(__file__).parent / "RESULTS.md").write_text("\n".join(parts))


def _text(docstring: str | None) -> str:
    return " ".join((docstring or "").split())


if __name__ == "__main__":
    main()
