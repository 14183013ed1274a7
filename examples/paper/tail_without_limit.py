"""A heavy tail with and without a speed limit.

**Seeds:** poster, "Learning a heavy-tailed distribution".

**Setting:** the density |x|^−3 far out, in the plane: Student's law with ν = 1. 500 particles from N(0, I), 500 steps
of 0.2, alpha = 2 and KL; on the left L = 1 (spectral ReLU network), on the right a ReLU network without any bound.

**What differs:** what fails without L is not the tail alone but a potential that is fitted well: the unregularised
divergence of two samples is infinite, so the slope grows with every update of the network. With few updates per step
(5) nobody sees it; with 40 the particles of alpha = 2 are thrown out, while those of KL, steeper too, still arrive.
With L the number of updates hardly matters, for there is a best potential; the tail comes at the speed limit. The
poster does not say its divergence, steps or updates. Area: between the log-log survival curves of the radius, in square
decades. Axes are linear up to 2, then logarithmic.
"""

import warnings

import numpy as np
from matplotlib.ticker import NullLocator
from plates import Choice, Plate, main

from benchmarks.tails import WAYS
from proxflow import ParticleTransport, compare_tails
from proxflow.data.tails import student_t
from proxflow.plots.style import ACCENT, INK, PARTICLES, TARGET, bare_axes, headline, legend, new_figure

SPACES = {"L = 1": WAYS["paper"], "no bound": WAYS["no bound"]}


def draw(choice: Choice) -> Plate:
    """Run with and without L, with few and with many updates; measure slopes and tails."""
    count, steps, many = (40, 5, 5) if choice.quick else (500, 500, 40)
    target, fresh, other = (student_t(count, 10 * choice.seed + i, nu=1.0) for i in (1, 2, 3))
    source = np.random.default_rng(choice.seed).normal(size=(count, 2))
    runs, rows = {}, []
    for f, alpha in (("alpha", 2.0),) if choice.quick else (("alpha", 2.0), ("kl", None)):
        for space, settings in SPACES.items():
            for updates in sorted({5, many}):
                run = ParticleTransport(
                    f, alpha=alpha, random_state=choice.seed, **settings | {"updates": updates, "steps": steps}
                )
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)  # an early end is in the table
                    run.fit(target, source)
                runs[f, space, updates] = run
                radius = np.median(np.linalg.norm(run.particles_, axis=1))
                rows.append(
                    (
                        f"{'KL' if alpha is None else 'alpha = 2'}, {space}, {updates} updates a step", "",
                        f"largest slope {run.history_['slope'].max():.2g}, median radius {radius:.2g}, area"
                        f" {compare_tails(run.particles_, fresh).area:.2f}",
                    )
                )  # fmt: skip
    radius = np.median(np.linalg.norm(fresh, axis=1))
    rows.append(("a real sample", "", f"median radius {radius:.2g}, area {compare_tails(other, fresh).area:.2f}"))

    figure = new_figure(9.0, 3.4)
    left, right, slopes = figure.subplots(1, 3)
    for axes, space in ((left, "L = 1"), (right, "no bound")):
        bare_axes(axes, title=f"{space}, {many} updates a step")
        axes.scatter(*target.T, s=5, color=TARGET, linewidths=0)
        axes.scatter(*runs["alpha", space, many].particles_.T, s=5, color=PARTICLES, linewidths=0)
        reach = np.floor(np.log10(np.abs(axes.dataLim).max()))
        limit = 10 ** (reach + 1)
        ticks = [-(10**reach), -(10 ** (reach // 2)), 0, 10 ** (reach // 2), 10**reach]
        for axis in "xy":
            axes.set(**{f"{axis}scale": "symlog", f"{axis}ticks": ticks, f"{axis}lim": (-limit, limit)})
            getattr(axes, f"{axis}axis").set_minor_locator(NullLocator())
    bare_axes(slopes, labels=("step", "largest |∇φ|"), title="how fast particles move")
    for (f, space, updates), run in runs.items():
        if f == "alpha":
            colour, dashes = PARTICLES if space == "L = 1" else ACCENT, "-" if updates == many else ":"
            slopes.plot(run.history_["slope"], dashes, color=colour, linewidth=1.2)
    slopes.set_yscale("log")
    slopes.axhline(1.0, color=INK, linewidth=0.8, linestyle=(0, (5, 3)))
    headline(figure, "alpha = 2, with and without a bound on the slope", f"dotted: 5 updates a step; solid: {many}")
    legend(figure, [("target", TARGET), ("particles; L = 1", PARTICLES), ("no bound", ACCENT)])
    return Plate(figure, rows)


if __name__ == "__main__":
    main(draw, __doc__)
