"""Function spaces Γ, one file each; `base` says what all of them promise."""

from proxflow.gamma.base import Gamma, Potential, gradients
from proxflow.gamma.blurred import Blurred
from proxflow.gamma.cones import Cones
from proxflow.gamma.convolutional import Convolutional
from proxflow.gamma.discrete import Discrete
from proxflow.gamma.groupsort import GroupSort
from proxflow.gamma.penalty import GradientPenalty
from proxflow.gamma.rkhs import KernelBall
from proxflow.gamma.spectral import SpectralNormalised
from proxflow.gamma.symmetric import Symmetric
from proxflow.gamma.unregularised import Unregularised

__all__ = [
    "Blurred",
    "Cones",
    "Convolutional",
    "Discrete",
    "Gamma",
    "GradientPenalty",
    "GroupSort",
    "KernelBall",
    "Potential",
    "SpectralNormalised",
    "Symmetric",
    "Unregularised",
    "gradients",
]
