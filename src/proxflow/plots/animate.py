"""The particles in motion: one animated GIF, drawn on an Agg canvas and written by Pillow.

The background (axes and target) is drawn once; each frame restores it and draws only the particles. All
frames share one small palette, so Pillow stores only what changed from frame to frame.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.plots.particles import tallest_bar
from proxflow.plots.style import INK, PARTICLES, QUIET, TARGET, WALL, footnote, legend, new_figure
from proxflow.plots.view import Clouds, draw_cloud, gather, open_axes

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["animation"]

# How long the start and the end stand still, in milliseconds.
_FIRST, _LAST = 500, 1800


def animation(
    path: str | os.PathLike[str],
    snapshots: Sequence[tuple[int, npt.ArrayLike]],
    target: npt.ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    frames: int = 40,
    seconds: float = 5.0,
    moment: str = "step {:,}",
) -> Path:
    """Write an animated GIF of the particles moving onto the target, and return its path.

    Frames are spread evenly over the motion, as in `particles_over_time`, and the last one is held. 600
    particles in 40 frames take about two seconds and half a megabyte.

    Parameters
    ----------
    path
        Where to write; the file appears whole or not at all.
    snapshots
        Pairs (step, particles of shape (M, d)) in the order of time.
    target
        The target data, shape (N, d).
    columns
        Names of the d features.
    frames
        At most so many snapshots are shown; fewer snapshots are each shown longer.
    seconds
        Length of the motion; the holds at both ends come on top.
    moment
        What a frame is called; {} stands for the snapshot's number.

    Raises
    ------
    ValueError
        As `particles_over_time`, or a length that is not positive.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> start = np.random.default_rng(0).normal(size=(50, 2))
    >>> clouds = [(step, start + step) for step in range(4)]
    >>> animation(tempfile.mkdtemp() + "/run.gif", clouds, start + 3).name
    'run.gif'
    """
    from proxflow.store import atomic_path

    if not seconds > 0:
        raise ValueError(f"seconds must be positive, got {seconds}.")
    clouds = gather(snapshots, target, columns, frames)
    palette = _palette()
    pictures = [image.quantize(palette=palette, dither=0) for image in _frames(clouds, moment)]
    each = max(round(1000 * seconds / len(pictures)), 20)  # browsers slow down what is faster
    durations = [each] * len(pictures)
    durations[0] += _FIRST * (len(pictures) > 1)
    durations[-1] += _LAST
    with atomic_path(Path(path)) as temporary:
        pictures[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=durations,
            loop=0,
            optimize=False,
        )
    return Path(path)


def _frames(clouds: Clouds, moment: str) -> Iterator[Image]:
    """Draw the background once and yield one RGB image per moment."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    view = clouds.view
    dimension = len(view.labels)
    figure = new_figure(5.2, 4.6 if dimension > 1 else 3.4)
    axes = figure.add_subplot(projection="3d" if dimension == 3 else None)
    open_axes(axes, view, title="step")
    draw_cloud(axes, view, clouds.target, target=True)
    if dimension == 1:
        axes.set_ylim(0, tallest_bar(clouds))
    legend(figure, [("target", TARGET), ("particles", PARTICLES)])
    footnote(figure, [view.explanation] * bool(view.explanation) + list(clouds.notes))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # the layout is found once: else the axes would tremble
    axes.set_title("", loc="left")
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    for step, particles in zip(clouds.steps, clouds.particles, strict=True):
        canvas.restore_region(background)
        drawn: list[Any] = [axes.set_title(moment.format(step), loc="left", fontsize=10, color=INK)]
        if len(particles):
            drawn.append(draw_cloud(axes, view, particles, target=False))
        for artist in drawn:
            if hasattr(artist, "do_3d_projection"):  # otherwise left to the drawing of the whole axes
                artist.do_3d_projection()
            axes.draw_artist(artist)
        yield Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())
        for artist in drawn[1:]:
            artist.remove()


def _palette() -> Image:
    """Return every colour of the film: each pair of inks that can meet, blended in steps.

    Made rather than counted from the frames: anti-aliasing fills a counted palette with near whites, and the
    paper takes the tint of one of them.
    """
    from matplotlib.colors import to_rgb
    from PIL import Image

    pairs = [("white", INK), ("white", QUIET), ("white", TARGET), ("white", PARTICLES), (TARGET, PARTICLES)]
    blends = [np.linspace(to_rgb(one), to_rgb(other), 12) for one, other in pairs]
    colours = np.concatenate([*blends, [to_rgb(WALL)]])
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(255 * colours).astype(int).ravel().tolist())
    return palette
