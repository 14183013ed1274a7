"""Solvers of higher order off the manifold.

**Seeds:** paper, figure 11.

**Setting:** four Gaussians on a plane in R¹², 600 points; 600 particles from N(0, 9 I) in all of R¹²; KL, L = 1, the
published networks (spectral ReLU), steps of constant size 0.5. One coordinate off the plane, of twelve particles; in
orange, the distance of all of them to the plane.

**What differs:** the published picture shows Euler swinging across the plane and Heun at rest on it. The swing goes
here too, but Heun's particles do not lie on the plane either; orthonormal networks and a step that shrinks as particles
arrive (the defaults here) do more than the method: [Solvers and steps](solvers.md).
"""

import jax
import numpy as np
from plates import Choice, Plate, main

from proxflow import Divergence, evolve
from proxflow.flows import METHODS, ConstantStep, DivergenceStep, Particles
from proxflow.gamma import GroupSort, SpectralNormalised
from proxflow.plots.style import ACCENT, PARTICLES, QUIET, TARGET, bare_axes, headline, new_figure

PUBLISHED = SpectralNormalised(L=1.0, width=32, learning_rate=4e-3), ConstantStep(0.5)
OURS = GroupSort(L=1.0), DivergenceStep()
CASES = {
    "Euler": ("euler", *PUBLISHED),
    "Heun": ("heun", *PUBLISHED),
    "RK4": ("rk4", *PUBLISHED),
    "Euler, our defaults": ("euler", *OURS),
}


def draw(choice: Choice) -> Plate:
    """Follow the ten coordinates that should vanish, under each solver."""
    count, steps = (60, 12) if choice.quick else (600, 400)
    rng = np.random.default_rng(choice.seed)
    centres = 5.0 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    target = np.zeros((count, 12))
    target[:, :2] = centres[rng.integers(0, 4, count)] + 0.5 * rng.normal(size=(count, 2))
    source = 3.0 * rng.normal(size=(count, 12))

    cases = dict(list(CASES.items())[:1]) if choice.quick else CASES
    figure = new_figure(9.0, 2.8)
    panels = figure.subplots(1, len(cases), sharey=True, squeeze=False)[0]
    rows = []
    for (name, (method, space, rule)), axes in zip(cases.items(), panels, strict=True):
        paths, times = [], []

        def watch(run, paths=paths, times=times):
            paths.append(np.asarray(run.state.points)[:, 2:])  # the ten coordinates that should vanish
            times.append(run.history["step_size"].sum())

        pair, key = Divergence(space), jax.random.key(choice.seed)
        evolve(Particles(rule, method), pair, source, target, steps=steps, chunk=2, callbacks=[watch], key=key)
        off = np.sqrt((np.asarray(paths) ** 2).sum(axis=2).mean(axis=1))
        tail = off[3 * len(off) // 4 :]
        axes.plot(times, np.asarray(paths)[:, :12, 0], color=TARGET, linewidth=0.5)
        axes.plot(times, np.asarray(paths)[:, 0, 0], color=PARTICLES, linewidth=0.9)
        axes.plot(times, off, color=ACCENT, linewidth=1.2)
        axes.set_ylim(-4, 4)
        axes.axhline(0, color=QUIET, linewidth=0.4)
        bare_axes(axes, labels=["time"], title=name)
        fits = METHODS[method].stages
        what = f"{name}, {fits} fit{'s' * (fits > 1)} a step: distance to the plane over the last quarter, and at most"
        rows.append((what, "", f"{tail.mean():.2f}, {tail.max():.2f}"))
    headline(figure, "One coordinate off the plane", "orange: distance to the plane")
    return Plate(figure, rows)


if __name__ == "__main__":
    main(draw, __doc__)
