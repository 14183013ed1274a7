"""As many particles as digits, or three times as many.

**Seeds:** paper, figure 13.

**Setting:** 200 MNIST digits and 200 or 600 particles from the uniform law on [0, 1]⁷⁸⁴, KL, a convolutional potential,
no smoothing, as published. Along the steps: the divergence and the kinetic energy (the algorithm's two estimators), and
the share of particles that are as near to a training digit as only 5 % of real ones are.

**What differs:** L and the step sizes follow from the data; the step grows with D over the kinetic energy, so that the
estimators do not level off as they do with a constant one. Near copies are counted, where the paper shows digits. The
dotted lines, and the last two rows, are with what the package does unless told otherwise: target digits are mixed with
their neighbours. Kinetic energy and divergence are medians over 25 steps.
"""

import numpy as np
from plates import Choice, Plate, main

# isort: split
from benchmarks.digit_sheets import MNIST, DigitJudge, draw_tiles, over_nearest, split_digits

from proxflow import Convolutional, ParticleTransport, nearest_distance
from proxflow.defaults import default_lipschitz
from proxflow.evolution import Run
from proxflow.plots.style import ACCENT, PARTICLES, bare_axes, headline, legend, new_figure


def draw(choice: Choice) -> Plate:
    """Four runs, watched."""
    split, stand_in = split_digits(choice.real(MNIST), 200, 600, choice.seed, quick=choice.quick)
    told, few = DigitJudge(split), len(split.train)
    many = few if choice.quick else 3 * few  # alike compiles once
    gamma = "auto" if choice.quick else Convolutional(split.shape, default_lipschitz(split.train))
    edge = np.quantile(nearest_distance(split.test, split.train), 0.05)

    def fitted(count: int, smoothing: float | None) -> tuple[ParticleTransport, list[tuple[int, float]]]:
        copies: list[tuple[int, float]] = []

        def watch(run: Run) -> None:
            far = nearest_distance(flow.decode_state(run.state), split.train)
            copies.append((run.step, float(np.mean(far <= edge))))

        flow = ParticleTransport(
            n_particles=count, source="uniform", gamma=gamma, smoothing=smoothing, steps=5 if choice.quick else 300,
            bounds=(0.0, 1.0), memory_budget=0.0, callbacks=(watch,), random_state=choice.seed,
        )  # fmt: skip
        return flow.fit(split.train), copies

    figure, rows = new_figure(9.0, 5.0), []
    grid = figure.add_gridspec(2, 6, height_ratios=(1.5, 1.0))
    curves = [figure.add_subplot(grid[0, 2 * i : 2 * i + 2]) for i in range(3)]
    for smoothing, line, how in ((0.0, "-", "no smoothing"), (None, ":", "smoothing as by default")):
        for count, colour, places in ((few, ACCENT, slice(3)), (many, PARTICLES, slice(3, 6))):
            if choice.quick and smoothing is None:
                continue
            flow, copies = fitted(count, smoothing)
            value, fisher = (_median(flow.history_[name]) for name in ("value", "fisher"))
            for axes, xy in zip(curves, ((value,), (fisher,), zip(*copies, strict=True)), strict=True):
                axes.plot(*xy, line, color=colour, linewidth=1.4)
            ends = f"D {value[-1]:.2g}, kinetic energy {fisher[-1]:.2g}"
            rows.append((f"{count} particles, {how}", "", f"{ends}, {told(flow.particles_).said()}"))
            if smoothing == 0:
                strips, title = (
                    over_nearest(flow.particles_, split.train, 15, 2),
                    f"{count} particles and the nearest digits",
                )
                draw_tiles(figure.add_subplot(grid[1, places]), strips, split.shape, title)
    for axes, title in zip(curves, ("divergence", "kinetic energy", "near copies"), strict=True):
        bare_axes(axes, labels=["step"], title=title)
        axes.set_yscale("linear" if title == "near copies" else "log")
    headline(figure, f"{few} digits: {few} particles become copies", "dotted: targets mixed with their neighbours")
    legend(figure, [(f"{few} particles", ACCENT), (f"{many} particles", PARTICLES)])
    return Plate(figure, rows, stand_in)


def _median(series: np.ndarray, window: int = 25) -> np.ndarray:
    window = min(window, len(series))
    return np.median(np.lib.stride_tricks.sliding_window_view(series, window), axis=1)


if __name__ == "__main__":
    main(draw, __doc__)
