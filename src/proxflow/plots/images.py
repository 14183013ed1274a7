"""Contact sheets: many small images on one page, and new ones above their nearest real ones.

All tiles of a sheet share one grey scale; a scale per tile would hide that some are too faint or too harsh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from proxflow.plots.style import INK, PARTICLES, QUIET, footnote, headline, new_figure, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["image_comparison", "image_grid", "image_pairs"]

_PAGE = 9.0  # inches across


def image_grid(
    images: npt.ArrayLike,
    shape: Sequence[int],
    *,
    columns: int = 20,
    rows: int | None = None,
    title: str | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Figure:
    """Draw images as tiles of one sheet, row by row.

    Parameters
    ----------
    images
        Shape (n, h*w) for grey or (n, h*w*3) for colour, channels last.
    shape
        (h, w) or (h, w, 3) of one image.
    columns
        Tiles in a row.
    rows
        At most so many rows; the title says when images are left out. All of them if None.
    title
        Written above the sheet.
    low, high
        The values drawn black and white; by default the extremes of all images given.

    Raises
    ------
    ValueError
        No images, or a shape that does not fit them.

    Examples
    --------
    >>> import numpy as np
    >>> figure = image_grid(np.zeros((6, 64)), (8, 8), columns=3, title="six blank tiles")
    >>> figure.axes[0].images[0].get_array().shape  # 2 x 3 tiles of 8 x 8 with a gap of 1 around each
    (19, 28, 3)
    """
    tiles = _tiles(images, shape, "images")
    _check_count(columns, "columns")
    if rows is not None:
        _check_count(rows, "rows")
    columns = min(columns, len(tiles))
    shown = len(tiles) if rows is None else min(len(tiles), rows * columns)
    pixels = _grey_scale(tiles[:shown], *_range(tiles, low, high))
    sheet = _sheet(pixels, columns)
    figure, axes = _page(sheet, above=0.4 if title is not None or shown < len(tiles) else 0.0)
    _show(axes, sheet)
    parts = [title] * (title is not None) + [f"first {shown:,} of {len(tiles):,}"] * (shown < len(tiles))
    if parts:
        headline(figure, ", ".join(str(part) for part in parts))
    return figure


def image_comparison(
    real: npt.ArrayLike,
    new: npt.ArrayLike,
    nearest: npt.ArrayLike,
    shape: Sequence[int],
    *,
    columns: int = 12,
    rows: int = 4,
    title: str = "New images, and below each the real image nearest to it",
) -> Figure:
    """Draw each new image above its nearest real one, so that a reader can judge copying.

    Parameters
    ----------
    real
        The training images, shape (N, h*w) or (N, h*w*3).
    new
        The new images, shape (n, h*w) or (n, h*w*3); the first columns x rows of them are drawn.
    nearest
        For each new image the row of `real` nearest to it: whole numbers, shape (n,).
    shape
        (h, w) or (h, w, 3) of one image.
    columns, rows
        Pairs in a row, and rows of pairs.
    title
        Written above the sheet.

    Raises
    ------
    ValueError
        Shapes that do not fit, or `nearest` that are not rows of `real`.

    Examples
    --------
    >>> import numpy as np
    >>> real = np.random.default_rng(0).normal(size=(10, 64))
    >>> figure = image_comparison(real, real[:3] + 0.1, [0, 1, 2], (8, 8))
    >>> len(figure.axes)
    1
    """
    known, made = _tiles(real, shape, "real images"), _tiles(new, shape, "new images")
    indices = np.asarray(nearest)
    if indices.dtype.kind not in "iu" or indices.shape != (len(made),):
        raise ValueError(f"nearest: expected {len(made)} row numbers, got shape {indices.shape} of {indices.dtype}.")
    if indices.min() < 0 or indices.max() >= len(known):
        raise ValueError(f"nearest: row numbers must lie in 0 to {len(known) - 1}.")
    # The real images set the scale: what is new is judged by it.
    scale = _range(known, None, None)
    return _pairs(made, known[indices], scale, ("new", "nearest real"), columns, rows, title)


def image_pairs(
    above: npt.ArrayLike,
    below: npt.ArrayLike,
    shape: Sequence[int],
    *,
    labels: tuple[str, str] = ("before", "after"),
    columns: int = 12,
    rows: int = 4,
    title: str = "Images before and after",
) -> Figure:
    """Draw each image above its partner, such as a source's image above where it was carried.

    Parameters
    ----------
    above, below
        Images and their partners, in the same order, shape (n, h*w) or (n, h*w*3); the first columns x rows are drawn.
    shape
        (h, w) or (h, w, 3) of one image.
    labels
        What the two rows of a pair are called.
    columns, rows
        Pairs in a row, and rows of pairs.
    title
        Written above the sheet.

    Raises
    ------
    ValueError
        Shapes that do not fit, or another number of partners than images.

    Examples
    --------
    >>> import numpy as np
    >>> figure = image_pairs(np.zeros((3, 64)), np.ones((3, 64)), (8, 8), labels=("2", "0"))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['2', '0']
    """
    first, second = _tiles(above, shape, "images above"), _tiles(below, shape, "images below")
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} images above and {len(second)} below: they must come in pairs.")
    scale = _range(np.concatenate([first, second]), None, None)
    return _pairs(first, second, scale, labels, columns, rows, title)


def _pairs(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], scale: tuple[float, float],
    labels: tuple[str, str], columns: int, rows: int, title: str,
) -> Figure:  # fmt: skip
    """Draw rows of tiles, each above the row of its partners."""
    _check_count(columns, "columns")
    _check_count(rows, "rows")
    columns = min(columns, len(first))
    shown = min(len(first), columns * rows)
    above = _grey_scale(first[:shown], *scale)
    below = _grey_scale(second[:shown], *scale)
    gap = max(1, round(0.35 * above.shape[1]))
    strips: list[npt.NDArray[np.float64]] = []
    centres: list[tuple[float, float]] = []
    height = 0
    for start in range(0, shown, columns):
        pair = [_sheet(part[start : start + columns], columns) for part in (above, below)]
        if strips:
            strips.append(np.ones((gap, *strips[0].shape[1:])))
            height += gap
        each = pair[0].shape[0]
        centres.append((height + each / 2, height + 1.5 * each))
        strips.extend(pair)
        height += 2 * each
    sheet = np.concatenate(strips)
    figure, axes = _page(sheet, left=0.85, above=0.4, below=0.3 if shown < len(first) else 0.0)
    _show(axes, sheet)
    axes.set_yticks([place for pair in centres for place in pair], list(labels) * len(centres))
    axes.tick_params(axis="y", length=0, labelsize=8)
    for label, colour in zip(axes.get_yticklabels(), [PARTICLES, QUIET] * len(centres), strict=True):
        label.set_color(colour)
    headline(figure, title)
    if shown < len(first):
        footnote(figure, [f"the first {shown:,} of {plural(len(first), 'pair')}"])
    return figure


def _check_count(value: int, name: str) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}.")


def _tiles(images: Any, shape: Sequence[int], name: str) -> npt.NDArray[np.float64]:
    """Return the images as (n, h, w) or (n, h, w, 3), or say what does not fit."""
    array = np.asarray(images, dtype=np.float64)
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"{name}: expected shape (n, {'*'.join(map(str, shape))}), got {array.shape}.")
    sides = tuple(int(side) for side in shape)
    if len(sides) == 3 and sides[2] == 1:
        sides = sides[:2]
    if len(sides) not in (2, 3) or (len(sides) == 3 and sides[2] != 3):
        raise ValueError(f"shape must be (height, width) or (height, width, 3), got {tuple(shape)}.")
    if array[0].size != np.prod(sides):
        raise ValueError(f"{name}: {array[0].size} values each do not make images of {' x '.join(map(str, sides))}.")
    return array.reshape(len(array), *sides)


def _range(tiles: npt.NDArray[np.float64], low: float | None, high: float | None) -> tuple[float, float]:
    finite = tiles[np.isfinite(tiles)]
    least, most = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    least, most = least if low is None else low, most if high is None else high
    return (least, most) if most > least else (least, least + 1.0)


def _grey_scale(tiles: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    """Return RGB in [0, 1]; what is not finite is drawn black."""
    scaled = np.clip((np.nan_to_num(tiles, nan=low, posinf=high, neginf=low) - low) / (high - low), 0.0, 1.0)
    return scaled if scaled.ndim == 4 else np.repeat(scaled[..., None], 3, axis=-1)


def _sheet(tiles: npt.NDArray[np.float64], columns: int) -> npt.NDArray[np.float64]:
    """Lay (n, h, w, 3) tiles out on white paper with a gap around each."""
    count, height, width, _ = tiles.shape
    gap = max(1, round(0.04 * max(height, width)))
    rows = -(-count // columns)
    sheet = np.ones((rows * (height + gap) + gap, columns * (width + gap) + gap, 3))
    for index, tile in enumerate(tiles):
        top = gap + (index // columns) * (height + gap)
        left = gap + (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _page(
    sheet: npt.NDArray[np.float64], *, left: float = 0.0, above: float = 0.0, below: float = 0.0
) -> tuple[Figure, Any]:
    """Return a page that the sheet fills, but for so many inches of words around it."""
    tall, wide = sheet.shape[:2]
    width = min(_PAGE - left, max(4.0, wide / 15))
    figure = new_figure(width + left + 0.12, width * tall / wide + above + below + 0.12)
    return figure, figure.add_subplot()


def _show(axes: Any, sheet: npt.NDArray[np.float64]) -> None:
    axes.imshow(sheet, interpolation="nearest", extent=(0, sheet.shape[1], sheet.shape[0], 0))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.tick_params(labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
