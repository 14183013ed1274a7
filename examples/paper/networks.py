"""Networks with a bounded slope.

**Seeds:** paper, table 3, "smooth ReLU".

**Setting:** two mixtures of eight Gaussians in R², and again in R¹⁶; 512 points each; KL, L = 1, 3000 updates of each
network, three hidden layers of 64 as in the paper's table 3. Left: the activations. Right: the share of the exact value
that each space reaches; every number is certified from below by exact singular values of the final weights.

**What differs:** the default here is orthonormal layers with GroupSort; ReLU networks under spectral normalisation
lose slope in every layer. The paper's convolutions for images are `Convolutional`; its dropout is left out, for a
potential is refitted and must be the same function twice.
"""

import jax.numpy as jnp
import numpy as np
from plates import Choice, Plate, main

from proxflow import Cones, GroupSort, SpectralNormalised, divergence
from proxflow.gamma.network import smooth_relu
from proxflow.plots.style import ACCENT, PARTICLES, QUIET, bare_axes, headline, new_figure

SPACES = {
    "spectral ReLU (published)": SpectralNormalised(L=1.0),
    "spectral smooth ReLU (published)": SpectralNormalised(L=1.0, activation="smooth_relu"),
    "GroupSort (default)": GroupSort(L=1.0),
    "cones": Cones(L=1.0),
}


def mixtures(features: int, size: int, seed: int) -> list[np.ndarray]:
    """Two samples of mixtures of eight Gaussians."""
    rng = np.random.default_rng(seed)
    means = 3 * rng.normal(size=(2, 8, features))
    return [m[rng.integers(8, size=size)] + rng.normal(size=(size, features)) for m in means]


def draw(choice: Choice) -> Plate:
    """Fit every space to both pairs, and compare with the exact value."""
    figure = new_figure(9.0, 2.9)
    curves, shares = figure.subplots(1, 2, width_ratios=(1.0, 1.6))
    x = jnp.linspace(-0.3, 0.6, 200)
    curves.plot(x, jnp.maximum(x, 0), color=QUIET, linewidth=3.0, label="ReLU")
    curves.plot(x, smooth_relu(x, 0.1), color=ACCENT, linewidth=1.2, label="smooth ReLU, ε = 0.1")
    curves.plot(x, jnp.abs(x), color=PARTICLES, linewidth=1.2, label="GroupSort: half pass as |x|")
    curves.legend(frameon=False, fontsize=7.5)
    bare_axes(curves, title="activations")
    rows, steps = [], 20 if choice.quick else 3000
    spaces = dict(list(SPACES.items())[:1]) if choice.quick else SPACES
    for dimension, colour in ((2, QUIET), (16, PARTICLES))[: 1 if choice.quick else 2]:
        p, q = mixtures(dimension, 40 if choice.quick else 512, choice.seed)
        exact = divergence(p, q).lower
        for place, (name, space) in enumerate(spaces.items()):
            found = divergence(p, q, gamma=space, steps=steps, random_state=choice.seed)
            share = found.lower / exact
            shares.barh(place + (0.2 if dimension == 2 else -0.2), share, 0.36, color=colour)
            shares.text(share, place + (0.2 if dimension == 2 else -0.2), f" {share:.2f}", va="center", fontsize=7.5)
            rows.append((f"{name}, R^{dimension}: share of the exact value", "", f"{share:.3f}"))
    shares.set_yticks(range(len(spaces)), list(spaces))
    shares.set_xlim(0, 1.1)
    bare_axes(shares, title="share of the exact divergence (grey: R², blue: R¹⁶)")
    headline(figure, "What a network of slope 1 can see")
    return Plate(figure, rows)


if __name__ == "__main__":
    main(draw, __doc__)
