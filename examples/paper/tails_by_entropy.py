"""A very heavy tail by KL and by alpha.

**Seeds:** paper, figure 4, figure 12; README, "heavy tails".

**Setting:** Student's law with ν = 1/2 in the plane from N(0, I), 500 to 500 points; KL, alpha = 2 and alpha = 10. "By
hand", as far as the paper says: L = 1, a spectral ReLU network, columns as they are, 1000 constant steps of 0.5. Then
by every default of ours.

**What differs:** in print KL is unstable and collapses, and alpha is stable. Here KL does not collapse: ν is solved
for at every step, and e^φ is averaged by log-mean-exp, which no φ overflows. All three lack the far tail alike: a speed
of at most L gets no particle farther than the run is long, as the README says, too. The larger alpha, the slower. The
defaults choose coordinates in which a tail is near (asinh), and there every divergence arrives. Area: between the
log-log survival curves of the radius, in square decades. Clouds: axes linear up to 2, then logarithmic.
"""

import warnings

import numpy as np
from plates import Choice, Plate, main

from benchmarks.tails import WAYS
from proxflow import ParticleTransport, compare_tails
from proxflow.data.tails import student_t
from proxflow.plots.style import ACCENT, PARTICLES, TARGET, bare_axes, headline, legend, new_figure

ENTROPIES = {"KL": ("kl", None), "alpha = 2": ("alpha", 2.0), "alpha = 10": ("alpha", 10.0)}
PUBLISHED = {"KL": "unstable, collapses", "alpha = 2": "stable", "alpha = 10": ""}
COLOURS = {"KL": PARTICLES, "alpha = 2": ACCENT, "alpha = 10": "#5f8f3e"}
TICKS = [-1e4, -100, 0, 100, 1e4]


def draw(choice: Choice) -> Plate:
    """Run each divergence by hand and by default; draw the values along the way and where particles end."""
    count, steps = (40, 5) if choice.quick else (500, 1000)
    target, fresh, other = (student_t(count, 10 * choice.seed + i, nu=0.5) for i in (1, 2, 3))
    source = np.random.default_rng(choice.seed).normal(size=(count, 2))
    real = compare_tails(other, fresh)
    radii = np.linalg.norm(fresh, axis=1)
    figure = new_figure(8.0, 5.0)
    panels = figure.subplot_mosaic([["value", "by hand", "defaults"], list(ENTROPIES)])
    rows, far = [], f"{np.mean(radii > 1000):.1%}"
    for how, settings in {"by hand": WAYS["paper"] | {"step_size": 0.5, "steps": steps}, "defaults": {}}.items():
        for name, (f, alpha) in list(ENTROPIES.items())[: 1 if choice.quick else 3]:
            run = ParticleTransport(f, alpha=alpha, random_state=choice.seed, **settings or {"steps": min(steps, 500)})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # an early end is in the table
                run.fit(target, source)
            new, values = run.particles_, run.history_["value"]
            found = compare_tails(new, fresh)
            rise = np.diff(values).max() / values[0]
            ended = run.stopped_ if "non-finite" in run.stopped_ else "stable"
            sizes = np.linalg.norm(new, axis=1)
            rows.append(
                (
                    f"{name}, {how}", PUBLISHED[name] if how == "by hand" else "",
                    f"{ended}: the divergence rose in no step by more than {rise:.1%} of its start; farthest particle"
                    f" {sizes.max():.2g}; area {found.area:.2f}",
                )
            )  # fmt: skip
            if how == "by hand":
                panels["value"].plot(values, color=COLOURS[name], linewidth=1.2)
                axes = panels[name]
                bare_axes(axes, title=f"{name}, by hand")
                axes.scatter(*target.T, s=3, color=TARGET, linewidths=0)
                axes.scatter(*new.T, s=3, color=COLOURS[name], linewidths=0)
                wide = (-2 * np.abs(target).max(), 2 * np.abs(target).max())
                axes.set(xscale="symlog", yscale="symlog", xticks=TICKS, yticks=TICKS, xlim=wide, ylim=wide)
            panels[how].step(np.sort(sizes), 1 - np.arange(count) / count, color=COLOURS[name], linewidth=1.3)
    rows.append(("a real sample", "", f"farthest {radii.max():.2g}, beyond 1000: {far}; area {real.area:.2f}"))
    bare_axes(panels["value"], labels=("step",), title="divergence, by hand")
    for how in ("by hand", "defaults"):
        bare_axes(panels[how], labels=("radius", "share above"), title=f"tail, {how}")
        panels[how].step(np.sort(radii), 1 - np.arange(count) / count, color=TARGET, linewidth=3.2, zorder=0)
        panels[how].set(xscale="log", yscale="log", xlim=(0.3, None))
    panels["value"].set(yscale="log", yticks=[0.05, 0.1, 0.2, 0.5], yticklabels=["0.05", "0.1", "0.2", "0.5"])
    panels["value"].minorticks_off()
    headline(figure, "From a Gaussian to Student's law with ν = 1/2", "log-log: a straight line is a power law")
    legend(figure, [("real", TARGET), *COLOURS.items()])
    return Plate(figure, rows)


if __name__ == "__main__":
    main(draw, __doc__)
