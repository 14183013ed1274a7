"""As many particles as digits, or three times as many.

**Seeds:** paper, figure 13.

**Setting:** 200 MNIST digits and 200 or 600 particles from the uniform law on [0, 1]⁷⁸⁴, KL, a convolutional potential,
no smoothing, as published. Along the steps: the divergence and the kinetic energy (the algorithm's two estimators), and
the share of particles that are as near to a training digit as only 5 % of real ones are.

**What differs:** L and the step sizes follow from the data; the step grows with D over the kinetic energy, so that the
estimators are not those of a constant one. In print, 600 particles keep apart from the digits where 200 fall onto them;
here they fall onto them, too, only later, and it is the smoothing that keeps them apart (dotted: targets mixed with
their neighbours, which is the default). Near copies are counted, where the paper shows digits. Kinetic energy and
divergence are medians over 25 steps.
"""

import numpy as np
from plates import Choice, Plate, main

from benchmarks.digit_sheets import DPI, MNIST, DigitJudge, contact_sheet, over_nearest, split_digits
from proxflow import Convolutional, ParticleTransport, nearest_distance
from proxflow.defaults import default_lipschitz
from proxflow.evolution import Run
from proxflow.plots.style import ACCENT, PARTICLES, bare_axes, legend

ROOM = 430  # pixels for the curves


def draw(choice: Choice) -> Plate:
    """Three runs, watched."""
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
            n_particles=count, source="uniform", gamma=gamma, smoothing=smoothing, steps=5 if choice.quick else 400,
            bounds=(0.0, 1.0), memory_budget=0.0, callbacks=(watch,), random_state=choice.seed,
        )  # fmt: skip
        return flow.fit(split.train), copies

    rows, panels, lines = [], {}, []
    cases = [(few, 0.0, ACCENT, "-"), (many, 0.0, PARTICLES, "-"), (many, None, PARTICLES, ":")]
    for count, smoothing, colour, line in cases[: 2 if choice.quick else 3]:
        flow, copies = fitted(count, smoothing)
        value, fisher = (_median(flow.history_[name]) for name in ("value", "fisher"))
        lines.append((((value,), (fisher,), list(zip(*copies, strict=True))), line, colour))
        said = f"{count} particles, {'no smoothing' if smoothing == 0 else 'smoothing as by default'}"
        ends = f"D {value[-1]:.2g}, kinetic energy {fisher[-1]:.2g}"
        rows.append((said, "", f"{ends}, {told(flow.particles_).said()}"))
        if smoothing == 0:
            panels[f"{count} particles, each above its nearest digit"] = over_nearest(
                flow.particles_, split.train, 17, 2
            )
    title = f"{few} digits, {few} or {many} particles"
    figure = contact_sheet([panels], split.shape, title, "dotted: targets mixed with neighbours", ROOM)
    width, height = (side * DPI for side in figure.get_size_inches())
    for column, title in enumerate(("divergence", "kinetic energy", "near copies")):
        place = (90 + column * (width - 40) / 3, height - 90 - ROOM + 85, (width - 40) / 3 - 90, ROOM - 125)
        axes = figure.add_axes((place[0] / width, place[1] / height, place[2] / width, place[3] / height))
        for curves, line, colour in lines:
            axes.plot(*curves[column], line, color=colour, linewidth=1.4)
        axes.set_yscale("linear" if title == "near copies" else "log")
        bare_axes(axes, labels=["step"], title=title)
    legend(figure, [(f"{few} particles", ACCENT), (f"{many} particles", PARTICLES)])
    return Plate(figure, rows, stand_in)


def _median(series: np.ndarray, window: int = 25) -> np.ndarray:
    window = min(window, len(series))
    return np.median(np.lib.stride_tricks.sliding_window_view(series, window), axis=1)


if __name__ == "__main__":
    main(draw, __doc__)
