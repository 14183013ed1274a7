"""Function spaces Γ, one file each; `base` says what all of them promise."""

from proxflow.gamma.base import Gamma, Potential, gradients
from proxflow.gamma.groupsort import GroupSort
from proxflow.gamma.spectral import SpectralNormalised
from proxflow.gamma.unregularised import Unregularised

__all__ = ["Gamma", "GroupSort", "Potential", "SpectralNormalised", "Unregularised", "gradients"]
