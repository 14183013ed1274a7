"""Proximal flows of MNIST in pixels, no autoencoder: one class, and all digits, at three step counts.

Half of the 5000 digits (of the class) trains; the rest is split in two, the yardstick and what both are judged by.
`python -m benchmarks.pixels PICTURE.png` draws the first samples, too.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.images import ABSENT, DATA
from benchmarks.measure import table
from proxflow import ProximalFlow, oracle_ratio
from proxflow.trust import judge

COUNTS = (2, 8, 32)
# A dense velocity without the bound to be a gradient: the fastest of those tried that draws legible digits.
SETTINGS: dict[str, Any] = {
    "form": "free", "width": 256, "batch_size": 128, "bounds": (0.0, 1.0), "random_state": 0, "learning_rate": 3e-3,
}  # fmt: skip
CASES = {"threes": (3, 3000), "all digits": (None, 4000)}


def _digits(label: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with np.load(DATA / "mnist_5k" / "mnist_5k.npz") as file:
        images, labels = file["X"].reshape(len(file["X"]), -1) / 255.0, file["y"]
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], labels[order]
    images = images if label is None else images[labels == label]
    n = len(images)
    return images[: n // 2], images[n // 2 : 3 * n // 4], images[3 * n // 4 :]


def main(picture: str | None = None) -> str:
    if not (DATA / "mnist_5k" / "mnist_5k.npz").exists():
        return ABSENT
    rows, drawn = [], {}
    for name, (label, steps) in CASES.items():
        train, fresh, test = _digits(label)
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            flow = ProximalFlow(steps=steps, **SETTINGS).fit(train)
        seconds = time.perf_counter() - started
        made = {n: flow.sample(len(fresh), steps=n) for n in COUNTS}
        told = judge(made[8], train, fresh, test, basis="")
        started = time.perf_counter()
        flow.sample(1000, steps=8)
        rows.append(
            [f"{name}, {len(train)} to learn from"]
            + [f"{oracle_ratio(made[n], fresh, test):.3f}" for n in COUNTS]
            + [f"{told.near_copies:.2f}", f"{told.nearest_new / told.nearest_real:.2f}", f"{told.spread:.2f}"]
            + [f"{seconds:.0f}", f"{time.perf_counter() - started:.1f}"]
        )
        drawn[name] = {"training": train, **{f"{n} steps": made[n] for n in COUNTS}}
    if picture is not None:
        _draw(drawn, Path(picture))
    heads = ["", *(f"oracle ratio, {n} steps" for n in COUNTS), "near copies", "distance", "spread"]
    return table([*heads, "train, s", "1000 samples, s"], rows)


def _draw(drawn: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(drawn), len(COUNTS) + 1, figsize=(10, 5.4))
    for row, (name, columns) in zip(axes, drawn.items(), strict=True):
        for axis, (title, images) in zip(row, columns.items(), strict=True):
            grid = images[:49].reshape(7, 7, 28, 28).transpose(0, 2, 1, 3).reshape(196, 196)
            axis.imshow(1 - grid, cmap="gray", vmin=0, vmax=1)
            axis.set_title(f"{name}: {title}" if title == "training" else title, fontsize=9)
            axis.axis("off")
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
