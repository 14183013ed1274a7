"""Times between keystrokes by Wasserstein-1 and Wasserstein-2 proximals.

**Seeds:** talk, "keystrokes".

**Setting:** milliseconds between two keys, of both signs (a key may be pressed before the last one is released), half
to learn from, half to judge by. With the W1-proximal: GPA, a GAN, a flow with both; with the W2-proximal alone: a flow.
Each in milliseconds and by the defaults, which compress such a column by asinh around its median. KL throughout.

**What differs:** the talk prints no numbers; it says that W1-proximals capture the tails better. So they do here: GPA
is as near as a real sample in either coordinates, and of the two flows the one with W1 is nearer. But what helps a flow
most is not the proximal but coordinates in which a tail is near; and the GAN, a W1-proximal too, is the worst of all in
milliseconds. The settings of the talk are not known; flows took 3000 training steps, the GAN 2000. Area: between the
log-log survival curves of the distance to the median, in square decades; Hill: the tail's index.
"""

import math
import warnings

import numpy as np
from plates import Choice, Plate, main

from proxflow import GammaGAN, ParticleTransport, ProximalFlow, compare_tails, plots
from proxflow.data.tails import cauchy_powers

STEPS = {ParticleTransport: 500, GammaGAN: 2000, ProximalFlow: 3000}
WAYS = {
    "GPA (W1)": (ParticleTransport, {}),
    "GAN (W1)": (GammaGAN, {}),
    "flow (W1 + W2)": (ProximalFlow, {}),
    "flow (W2)": (ProximalFlow, {"L": math.inf}),
}


def halves(choice: Choice) -> tuple[np.ndarray, np.ndarray, str]:
    """Values to learn from and to judge by, shape (n, 1), and what they are if not keystrokes."""
    file = choice.files[0] if choice.files else choice.real("keystrokes/inter_stroke_time.txt")
    if file:
        values, said = np.loadtxt(file).ravel(), ""
    else:
        values = 100 * cauchy_powers(7160, choice.seed, powers=[0.65], zeros=0)[:, 0]
        said = "The keystrokes were not at hand: draws of 100 sign(c)|c|^0.65, c Cauchy, of tail index 1.54."
    values = np.random.default_rng(choice.seed).permutation(values)[: 200 if choice.quick else None, None]
    return *np.array_split(values, 2), said


def draw(choice: Choice) -> Plate:
    """Fit every way in both kinds of coordinates; compare the tails."""
    train, judge, stand_in = halves(choice)
    tail = lambda cloud: np.abs(cloud[:, 0] - np.median(judge))  # noqa: E731
    panels, rows = {}, []
    for name, (method, settings) in list(WAYS.items())[: 1 if choice.quick else None]:
        panels[name] = {"real, held out": tail(judge)}
        for units, scaling in {"milliseconds": "none", "defaults": "auto"}.items():
            steps = 5 if choice.quick else STEPS[method]
            fitted = method(steps=steps, scaling=scaling, random_state=choice.seed, **settings)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # how far it came is in the table
                new = np.asarray(fitted.fit(train).particles_, np.float64)
            panels[name][units] = tail(new)
            rows.append((f"{name}, {units}", "", said(new, judge)))
    rows.append(("a real sample (that of training)", "", said(train, judge)))
    figure = plots.survival_curves(panels, label="distance to the median, ms", low=10, title="Keystrokes by proximal")
    figure.set_size_inches(8.4, 5.6)
    return Plate(figure, rows, stand_in)


def said(new: np.ndarray, real: np.ndarray) -> str:
    found = compare_tails(new, real)
    return f"area {found.area:.3f}, 99 % quantile {found.ratios[0.99]:.2g} of the real one, Hill {found.index_new:.2f}"


if __name__ == "__main__":
    main(draw, __doc__, files="a text file of the times, one a line")
