"""Run every benchmark and write benchmarks/RESULTS.md: `make bench`, or `python -m benchmarks.run`."""

from __future__ import annotations

import os
import platform
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks import (
    augmentation,
    calls,
    cohorts,
    distributed,
    exactness,
    gan,
    generative,
    geo,
    images,
    inference,
    integration,
    kept,
    latent,
    pixels,
    planes,
    population,
    quality,
    safety,
    scale,
    scib_check,
    seeds,
    sets,
    solvers,
    speed,
    startup,
    tails,
    wgan,
    whole,
)

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
    ("Pictures: 200 MNIST digits become 600", images, images.main),
    ("Pictures: convolutions and a uniform source", images, images.convolutions),
    ("Pictures: one flow per class", images, images.classes),
    ("Pictures: from 2 to 0", images, images.pairs),
    ("Latent spaces: 200 MNIST digits become 600", latent, latent.main),
    ("Latent spaces: what they miss", latent, latent.reconstruction),
    ("Kept flows", kept, kept.kept),
    ("Labels", kept, kept.labels),
    ("Memorisation", kept, kept.memorisation),
    ("Why the defaults are what they are", quality, quality.choices),
    ("Solvers: oscillation off a plane", solvers, solvers.main),
    ("Solvers: closeness and cost", solvers, solvers.quality),
    ("Augmented tables: what models learn", augmentation, augmentation.main),
    ("Augmented tables: single columns", augmentation, augmentation.columns),
    ("A WGAN on few digits made many", wgan, wgan.main),
    ("Heavy tails: eight cases", tails, tails.main),
    ("Heavy tails: a law on a subspace of R^110", tails, tails.subspace),
    ("Heavy tails: keystrokes", tails, tails.keystrokes),
    ("Sets of low dimension", sets, sets.main),
    ("Proximal flows: sets on a plane", planes, planes.main),
    ("Proximal flows: off the plane", planes, planes.off_plane),
    ("Proximal flows: both proximals, one, none", planes, planes.switches),
    ("Proximal flows: time per training step", planes, planes.iteration),
    ("Proximal flows: MNIST in pixels", pixels, pixels.main),
    ("Which method when: a pinwheel", generative, generative.movers),
    ("Which method when: samples needed", generative, generative.needed),
    ("Which method when: moons on planes", generative, generative.moons),
    ("Which method when: pinwheels on planes", generative, generative.arms),
    ("Which method when: few samples", generative, generative.scarce),
    ("Which method when: heavy tails", generative, generative.tails),
    ("Which method when: a known density", generative, generative.density),
    ("Which method when: pictures", generative, generative.pictures),
    ("Seeds: threads or one program", seeds, seeds.main),
    ("Generators: the learning rate", gan, gan.rates),
    ("Generators: heavy tails", gan, gan.tails),
    ("Scale: the cost of a step", scale, scale.growth),
    ("Scale: a million particles, and a target on disk", scale, scale.largest),
    ("More devices: two cores of one machine", distributed, distributed.scaling),
    ("More devices: a billion particles on paper", distributed, distributed.paper),
    ("Killed and resumed", safety, safety.main),
    ("Integration: a known distortion", integration, integration.affine),
    ("Integration: a distortion that bends", integration, integration.curved),
    ("Integration: the study that set the goals", integration, integration.field),
    ("Integration: labels permuted", integration, integration.permuted),
    ("Integration: no batch effect", integration, integration.null),
    ("Integration: breast tumours", integration, integration.tumours),
    ("Integration: single cells", integration, integration.cells),
    ("Integration: the goals", integration, integration.goals),
    ("Integration: VDX onto EXPO, whole cohorts", whole, whole.main),
    ("Integration: time and memory", cohorts, cohorts.main),
    ("Files of GEO", geo, geo.main),
    ("LISI and kBET beside scib-metrics", scib_check, scib_check.main),
    ("Startup", startup, startup.main),
    ("Each method once: time and memory", calls, calls.main),
]


RESULTS = Path(__file__).parent / "RESULTS.md"


def main(*only: str) -> None:
    """Measure all sections, or those of the modules named, and write them in their places."""
    for title, module, section in SECTIONS:
        name = module.__name__.rsplit(".", 1)[-1]
        if only and name not in only:
            continue
        print(title, flush=True)
        body = section()
        print(body, flush=True)
        stamp = f"{date.today()}, {_machine()}."
        about = _text(section.__doc__ or module.__doc__)
        texts = _written()  # now: another run may have written since this one began
        texts[title] = f"## {title}\n\n`python -m benchmarks.{name}`. {about}\n\n{body}\n{stamp}\n"
        RESULTS.write_text("\n".join([_HEAD, *(texts[t] for t, *_ in SECTIONS if t in texts)]))


_HEAD = """# Results

Written by `make bench`; the sections of one module by `python -m benchmarks.run NAME`. Medians of 3 unless said
otherwise. Timings on shared cores are noisy: compare ratios within one run.
"""


def _written() -> dict[str, str]:
    """The sections that RESULTS.md has, by title."""
    parts = ("\n" + RESULTS.read_text()).split("\n## ")[1:] if RESULTS.exists() else []
    return {part.splitlines()[0]: f"## {part.rstrip()}\n" for part in parts}


def _machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("proxflow", "jax", "numpy", "POT"))
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {versions}"


def _text(docstring: str | None) -> str:
    return " ".join((docstring or "").split())


if __name__ == "__main__":
    main(*sys.argv[1:])
