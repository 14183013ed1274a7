"""Draw the pictures of the README and the documentation again: python docs/make_images.py [FOLDER].

Fixed seeds: on one machine the same pictures come out. Takes about a quarter of an hour on two cores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from proxflow import ParticleTransport, augment, divergence, nearest_distance, plots
from proxflow.browser import Backdrop, Exhibit, Moving
from proxflow.browser.curves import curves
from proxflow.data.digits import load_digits_split
from proxflow.data.toy import pinwheel
from proxflow.plots.style import INK, PARTICLES, TARGET, bare_axes, headline, legend, new_figure
from proxflow.plots.tables import column_shares
from proxflow.report import write_report

IMAGES = Path(__file__).parent / "images"


def potential(folder: Path) -> None:
    """Draw two samples, the potential between them, and where it sends the particles."""
    rng = np.random.default_rng(0)
    particles = rng.normal((0.0, 0.0), (0.7, 0.5), size=(80, 2))
    target = np.concatenate([rng.normal((-2.2, 0.6), 0.3, size=(40, 2)), rng.normal((2.1, -0.6), 0.3, size=(80, 2))])
    phi = divergence(particles, target, L=1.0, gamma="groupsort", steps=1500).potential
    x, y = np.meshgrid(np.linspace(-3.3, 3.3, 160), np.linspace(-1.7, 1.7, 90))
    heights = phi(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    arrows = -0.5 * phi.gradient(particles)

    figure = new_figure(6.6, 4.0)
    axes = figure.add_subplot()
    bare_axes(axes)
    axes.contour(x, y, heights - heights.min(), levels=12, colors=INK, linewidths=0.5, alpha=0.45)
    axes.scatter(*target.T, s=14, color=TARGET, linewidths=0, zorder=2)
    axes.scatter(*particles.T, s=14, color=PARTICLES, linewidths=0, zorder=3)
    axes.quiver(*particles.T, *arrows.T, angles="xy", scale_units="xy", scale=1, width=0.003, color=PARTICLES, zorder=3)
    axes.set_aspect("equal")
    headline(figure, "Level lines of φ, and one step along −∇φ")
    legend(figure, [("target Q", TARGET), ("particles P", PARTICLES)])
    plots.save_figure(figure, folder / "potential.png")


def particles(folder: Path) -> None:
    """Draw particles on their way from a Gaussian to a pinwheel, and the run's curves."""
    target = pinwheel(300, 0)
    transport = ParticleTransport(n_particles=600, random_state=0).fit(target)
    plots.save_figure(plots.particles_over_time(transport.trajectory_, target, panels=3), folder / "particles.png")
    figure = plots.convergence(transport.history_, lipschitz=transport.settings_["L"])
    plots.save_figure(figure, folder / "convergence.png")


def digits(folder: Path) -> None:
    """Draw training digits above new ones, and how far new ones lie from the training set."""
    split = load_digits_split()
    settings = {"n_particles": 600, "bounds": (split.low, split.high), "random_state": 0}
    new = ParticleTransport(**settings).fit(split.train).particles_
    sheets = {
        "training": plots.image_grid(split.train, split.shape, columns=25, rows=2, title="Training digits"),
        "new": plots.image_grid(new, split.shape, columns=25, rows=6, title="New digits"),
    }
    with tempfile.TemporaryDirectory() as scratch:
        _stack([plots.save_figure(f, Path(scratch) / f"{name}.png") for name, f in sheets.items()], folder)
    for smoothing, name in ((None, "novelty.png"), (0.0, "copies.png")):
        made = new if smoothing is None else ParticleTransport(smoothing=0.0, **settings).fit(split.train).particles_
        figure = plots.nearest_distances(nearest_distance(made, split.train), nearest_distance(split.test, split.train))
        plots.save_figure(figure, folder / name)


def cohorts(folder: Path) -> None:
    """Draw two cohorts before and after: examples/integrate_cohorts.py."""
    example = Path(__file__).parents[1] / "examples" / "integrate_cohorts.py"
    subprocess.run([sys.executable, str(example), "--out", str(folder / "integrate.png")], check=True)


def large(folder: Path) -> None:
    """Draw the bias of minibatches, and a run that was killed twice."""
    example = Path(__file__).parents[1] / "examples" / "large_and_long.py"
    subprocess.run([sys.executable, str(example), "--out", str(folder / "large.png")], check=True)


def kept(folder: Path) -> None:
    """Draw points of a kept flow, digits by their labels, copies, and a flow at several step counts."""
    examples = Path(__file__).parents[1] / "examples"
    for name, picture in (
        ("keep_a_flow", "kept.png"),
        ("labelled_samples", "labels.png"),
        ("memorisation", "memorisation.png"),
        ("flow_to_sample_from", "proximal.png"),
    ):
        subprocess.run([sys.executable, str(examples / f"{name}.py"), "--out", str(folder / picture)], check=True)


def tails(folder: Path) -> None:
    """Draw survival curves of new samples of heavy tails: of Student's law, and of real times if they are at hand."""
    example = Path(__file__).parents[1] / "examples" / "heavy_tails.py"
    subprocess.run([sys.executable, str(example), "--out", str(folder / "heavy_tails.png")], check=True)
    data = Path(os.environ.get("PROXFLOW_DATA", "../shared/data")) / "keystrokes" / "inter_stroke_time.txt"
    if data.exists():
        more = [str(data), "--unit", "ms", "--out", str(folder / "keystrokes.png")]
        subprocess.run([sys.executable, str(example), *more], check=True)


def pictures(folder: Path) -> None:
    """Draw MNIST digits above new ones, and 2s above the 0s they became, if MNIST is at hand."""
    example = Path(__file__).parents[1] / "examples" / "handwritten_digits.py"
    data = Path(os.environ.get("PROXFLOW_DATA", "../shared/data")) / "mnist_5k" / "mnist_5k.npz"
    if data.exists():
        drawn = ["--out", str(folder / "mnist.png"), "--pairs", str(folder / "two_to_zero.png")]
        subprocess.run([sys.executable, str(example), "--mnist", str(data), *drawn], check=True)


def sets(folder: Path) -> None:
    """Draw a fractal, a rolled sheet and an attractor above new samples of them."""
    example = Path(__file__).parents[1] / "examples" / "low_dimensional_sets.py"
    subprocess.run([sys.executable, str(example), "--out", str(folder / "low_dimensional.png")], check=True)


def pixels(folder: Path) -> None:
    """Draw digits from proximal flows in pixels at three step counts, if MNIST is at hand; takes some ten minutes."""
    data = Path(os.environ.get("PROXFLOW_DATA", "../shared/data")) / "mnist_5k" / "mnist_5k.npz"
    if data.exists():
        out = str(folder / "flow_digits.png")
        subprocess.run([sys.executable, "-m", "benchmarks.pixels", out], check=True, cwd=Path(__file__).parents[1])


def augmentation(folder: Path) -> None:
    """Draw the columns of a mixed table with a known law beside those of its new rows."""
    import pandas as pd

    rng = np.random.default_rng(0)
    late = rng.uniform(size=120) < 0.3
    loans = pd.DataFrame({
        "age": rng.integers(18, 70, 120),
        "income": np.round(np.exp(rng.normal(8 - 0.6 * late, 0.6)), 2),
        "debt": np.where(rng.uniform(size=120) < np.where(late, 0.2, 0.6), 0, rng.exponential(900, 120).round()),
        "city": np.where(rng.uniform(size=120) < np.where(late, 0.7, 0.3), "Oslo", "Bern"),
        "owner": rng.uniform(size=120) < np.where(late, 0.2, 0.6),
        "late": np.where(late, "yes", "no"),
    })  # fmt: skip
    figure = column_shares(loans, augment(loans, 600, "late", trial=False).table)
    plots.save_figure(figure, folder / "augment.png")


def report(folder: Path) -> None:
    """Photograph the report of a run, half-way, with a particle pointed at, if there is a Chromium."""
    program = shutil.which("chromium")
    if program is None:
        return
    transport = ParticleTransport(n_particles=600, random_state=0).fit(pinwheel(300))
    times, clouds = zip(*transport.trajectory_, strict=True)
    backdrop = Backdrop.of(pinwheel(300), clouds[0], ["length", "width"], called="row")
    scene = backdrop.scene(times, [backdrop.places(cloud) for cloud in clouds], transport.n_steps_)
    exhibit = Exhibit("gpa", scene, curves(transport.history_, lipschitz=transport.settings_["L"]))
    with tempfile.TemporaryDirectory() as scratch:
        words = ["600 new samples from 300."]
        page = write_report(f"{scratch}/report.html", title="A pinwheel", summary=words, moving=Moving([exhibit]))
        text = page.read_text(encoding="utf-8")
        text = text.replace('<meta http-equiv="Content-Security-Policy"', "<meta")  # for one more program
        pose = "proxflow.player.seek(9); proxflow.player.pointAt({index: 17, goal: false})"
        page.write_text(text.replace("</body>", f"<script>{pose}</script></body>"), encoding="utf-8")
        subprocess.run(
            [program, "--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={scratch}/profile",
             "--window-size=1000,950", "--virtual-time-budget=2000", "--screenshot=" + str(folder / "report.png"),
             f"file://{page}"],
            check=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def _shrink(file: Path) -> None:
    """Keep 64 colours: a third of the bytes, and no eye sees it."""
    from PIL import Image

    Image.open(file).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(file, optimize=True)


def _stack(files: list[Path], folder: Path) -> None:
    from PIL import Image

    sheets = [Image.open(file).convert("L") for file in files]
    width = max(sheet.width for sheet in sheets)
    page = Image.new("L", (width, sum(sheet.height for sheet in sheets)), 255)
    top = 0
    for sheet in sheets:
        page.paste(sheet, (0, top))
        top += sheet.height
    page.save(folder / "digits.png", optimize=True)


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    chosen.mkdir(parents=True, exist_ok=True)
    for draw in (
        potential,
        particles,
        digits,
        augmentation,
        large,
        kept,
        tails,
        sets,
        pictures,
        pixels,
        cohorts,
        report,
    ):
        draw(chosen)
    for file in chosen.glob("*.png"):
        _shrink(file)
