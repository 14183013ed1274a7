"""All instances of every kind, by name: a new variant is one row here, and every law is checked for it."""

import tempfile
from pathlib import Path

import jax
import numpy as np

from proxflow.entropies import IPM, KL, Alpha, ChiSquared, JensenShannon, ReverseKL, SquaredHellinger
from proxflow.flows import ConstantStep, CosineStep, DecayingStep, DivergenceStep, FisherStep, LipschitzStep
from proxflow.gamma import (
    Blurred,
    Cones,
    Convolutional,
    Discrete,
    GradientPenalty,
    GroupSort,
    KernelBall,
    SpectralNormalised,
    Symmetric,
    Unregularised,
)
from proxflow.gamma.symmetric import column_permutations
from proxflow.latent import Autoencoder, Identity, PrincipalComponents
from proxflow.spans import Span
from proxflow.streams import Streamed, open_samples
from proxflow.targets import Batches, LocalMixture, Padded, Samples, nearest_neighbours

# f
ENTROPIES = {
    "KL": KL,
    "alpha 1.5": lambda: Alpha(1.5),
    "alpha 2": lambda: Alpha(2.0),
    "alpha 10": lambda: Alpha(10.0),  # f* has a kink, and powers overflow early
    "alpha 0.5": lambda: Alpha(0.5),
    "reverse KL": ReverseKL,
    "Jensen-Shannon": JensenShannon,
    "squared Hellinger": SquaredHellinger,
    "chi-squared": ChiSquared,
    "IPM": IPM,
}


def _convolutional(L, width, depth, **settings):
    return Convolutional((1, 2), L, channels=(width,) * depth, hidden=(), **settings)


def _cones(L, width, depth, **settings):
    return Cones(L=L, count=width, **settings)


# Γ: (L, **settings) -> space, as small as it can be and still climb
_TINY = {"width": 8, "depth": 2, "updates": 10, "learning_rate": 0.02}
GAMMAS = {
    "GroupSort": lambda L=1.0, **s: GroupSort(L=L, **(_TINY | s)),
    "spectral relu": lambda L=1.0, **s: SpectralNormalised(L=L, activation="relu", **(_TINY | s)),
    "spectral smooth_relu": lambda L=1.0, **s: SpectralNormalised(L=L, activation="smooth_relu", **(_TINY | s)),
    "spectral leaky_relu": lambda L=1.0, **s: SpectralNormalised(L=L, activation="leaky_relu", **(_TINY | s)),
    "unregularised": lambda L=1.0, **s: Unregularised(**(_TINY | s)),
    "gradient penalty": lambda L=1.0, **s: GradientPenalty(L=L, **(_TINY | s)),
    "convolutional": lambda L=1.0, **s: _convolutional(L, **(_TINY | s)),
    "blurred": lambda L=1.0, **s: Blurred(GroupSort(L=L, **(_TINY | s)), (1, 2)),
    "symmetric": lambda L=1.0, **s: Symmetric(GroupSort(L=L, **(_TINY | s)), column_permutations(2)),
    "cones": lambda L=1.0, **s: _cones(L, **(_TINY | s)),
    "cones, maximum": lambda L=1.0, **s: _cones(L, maximum=True, **(_TINY | s)),
    "RKHS ball": lambda L=1.0, **s: KernelBall(radius=L, **{"updates": s["updates"]} if "updates" in s else {}),
    "exact": lambda L=1.0, **s: Discrete(L=L),
}
# Γ whose potentials are certainly no steeper than L; the rest has no L, or one that may be passed at a price
CERTIFIED = [name for name in GAMMAS if name not in ("unregularised", "gradient penalty", "RKHS ball")]
# Γ with a memory of many small updates; the rest is at its optimum after one ascent, and has no rate nor horizon
GRADUAL = [name for name in GAMMAS if name not in ("RKHS ball", "exact")]
# Γ that know how many columns there are: here, two
PLANAR = ["convolutional", "blurred", "symmetric"]

# flows: the method of `Particles`, and the order of its error in dt
METHODS = {
    "euler": 1,
    "heun": 2,
    "rk4": 4,
    **{f"ab{order}": order for order in (2, 3, 4, 5)},
    **{f"abm{order}": order for order in (2, 3, 4, 5)},
    "heun_euler": 2,
    "bs23": 3,
}
# those that choose dt by their own error, whatever the step rule
PAIRS = ["heun_euler", "bs23"]

# how long a step is: (a length) -> rule
STEP_RULES = {
    "constant": ConstantStep,
    "decaying": lambda size: DecayingStep(size, ratio=0.1, steps=50),
    "cosine": lambda size: CosineStep(size, steps=50),
    "Lipschitz": lambda size: LipschitzStep(L=0.5, reach=size),
    "Fisher": FisherStep,
    "divergence": lambda size: DivergenceStep(share=0.2, reach=size),
}


def _local_mixture(points, weight=0.5):
    return LocalMixture(points, points[nearest_neighbours(points)[1]], weight)


def _on_disk(points):
    file = Path(tempfile.mkdtemp()) / "points.npy"
    np.save(file, points)
    return Streamed.begin(open_samples(file), Span(np.zeros(points.shape[1])), len(points))


# targets: (points) -> target that draws as many
TARGETS = {
    "samples": Samples,
    "local mixture": _local_mixture,
    "batches": lambda points: Batches(points, len(points)),
    "on disk": _on_disk,
    "padded": lambda points: Padded(jax.numpy.asarray(points), np.int32(len(points)), len(points)),
}

# sources: the kinds `draw_source` knows
SOURCES = ["gaussian", "uniform", "logistic", "standard"]

# Latent spaces
LATENTS = {
    "identity": Identity,
    "principal components": lambda: PrincipalComponents(3),
    "whitened": lambda: PrincipalComponents(3, whiten=True),
    "autoencoder": lambda: Autoencoder(3, width=8, depth=2, steps=100),
    "bounded autoencoder": lambda: Autoencoder(3, width=8, depth=2, steps=100, lipschitz=1.5),
}
