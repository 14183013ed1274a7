"""How far off are samples that were made in a latent space? A bound from what is known once they are made.

P' on R^k and Q on R^d known by samples z_i and x_j, D a-Lipschitz, w_j = dR/dQ the reweighting of any plan π between P'
and E#Q (its second marginal), r_i whatever is added to D(z_i):

    D_f^{Γ_L}(D#P' + r ‖ Q)  <=  U  +  L mean_j w_j |x_j - D(E(x_j))|  +  L mean_i |r_i|
    U = a L <|z - E(x)|, π> + D_f(R‖Q)  =  D_f^{Γ_aL}(P'‖E#Q) for the best plan

Proof. Lift the plan: R = mean_j w_j δ(x_j). |D(z_i) + r_i - x_j| <= |r_i| + a |z_i - E(x_j)| + |D(E(x_j)) - x_j|, so
L W1(D#P' + r, R) is at most the sum of the three costs; D_f(R‖Q) is the same number as in the latent space, or less
where samples coincide; and D_f^{Γ_L}(P‖Q) is the least of D_f(R‖Q) + L W1(P, R). ∎  It holds for every f, for the two
samples at hand, with the w of the very plan: where w = 1 (IPM) the second term is L times the mean error, and it is
never more than L times the largest. The plain mean would not do for KL: R may prefer badly reconstructed samples.

The other way round, D_f^{Γ_L}(Q‖D#P' + r), the roles change: Q is what moves, so its error counts by the plain mean,
and the r_i by their weights.

If D(E(x)) = x on Q and r = 0 only U is left: D_f^{Γ_L}(D#P'‖Q) <= D_f^{Γ_aL}(P'‖E#Q). Without that condition the
latent divergence alone bounds D_f^{Γ_L}(D#P' ‖ D#E#Q), no more: φ∘D is aL-Lipschitz if φ is L-Lipschitz.

Sources: data processing for (f, Γ)-divergences, Birrell et al. (JMLR 2022); in latent spaces, Gu et al. (2024).
Bad at: more than 25 million pairs, where no plan is computed; the populations, about which samples prove nothing;
being close where reconstructions are bad: three triangle inequalities add up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxflow.entropies import Entropy, entropy
from proxflow.estimate import EXACT_PAIRS, divergence
from proxflow.latent.base import Encoding, ReconstructionError, check_coordinates, check_points, lost_lengths
from proxflow.validation import check_slope

__all__ = ["Image", "LatentBound", "bound_of", "latent_bound"]


@dataclass(frozen=True)
class LatentBound:
    """A bound on the divergence in the data's space, and its three parts; all are computed in float64.

    latent: D_f^{Γ_aL} between the moved coordinates and the encoded target, a bracket. decoder: a. missing: the mean
    |x - D(E(x))| of the target, weighted as the formula says. kept: likewise what was added to decoded samples.
    reconstruction: of the target, unweighted.
    """

    L: float
    f: Entropy
    reverse: bool
    decoder: float
    lower: float
    upper: float
    missing: float
    kept: float
    reconstruction: ReconstructionError
    n_samples: int
    n_target: int

    @property
    def value(self) -> float:
        """The bound: upper + L missing + L kept."""
        return self.upper + self.L * (self.missing + self.kept)

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain values."""
        return {
            "value": self.value, "latent_lower": self.lower, "latent_upper": self.upper, "decoder": self.decoder,
            "missing": self.missing, "kept": self.kept, "L": self.L, "f": repr(self.f),
            "direction": "Q||P" if self.reverse else "P||Q", "reconstruction_rms": self.reconstruction.rms,
            "reconstruction_relative": self.reconstruction.relative, "n_samples": self.n_samples,
            "n_target": self.n_target,
        }  # fmt: skip

    def __repr__(self) -> str:
        sides = "Q‖P" if self.reverse else "P‖Q"
        added = f" + {self.L * self.kept:.6g} (residuals kept)" if self.kept else ""
        return (
            f"{type(self.f).__name__} divergence D({sides}) of the samples, L = {self.L:g}: at most {self.value:.6g}\n"
            f"  = {self.upper:.6g} (in the latent space, slope {self.decoder * self.L:.6g})"
            f" + {self.L * self.missing:.6g} (reconstruction){added}\n"
            f"  decoder: slope certified at most {self.decoder:.6g}; it misses {self.reconstruction.rms:.6g} of the"
            f" target (rms), {self.reconstruction.relative:.1%} of its spread\n"
            f"  P: {self.n_samples} samples, Q: {self.n_target}"
        )


def latent_bound(
    encoding: Encoding,
    moved: Any,
    target: Any,
    f: str | Entropy = "kl",
    L: float = 1.0,
    *,
    alpha: float | None = None,
    reverse: bool = False,
    kept: Any = None,
    gap: float = 1e-4,
) -> LatentBound:
    """Bound the divergence between decoded samples and a target by what happens in the latent space.

    Parameters
    ----------
    encoding
        The fitted encoder and decoder.
    moved
        Coordinates z of the samples, shape (n, k).
    target
        Samples of Q in the data's space, shape (m, d), dense or sparse.
    f, alpha, L, reverse, gap
        As in `divergence`; L in the data's units.
    kept
        Lengths |r_i| of what is added to D(z_i), shape (n,), such as the residuals of `decode_displacement`.

    Returns
    -------
    LatentBound
        Infinite beyond 25 million pairs, or if the decoder has no bound.

    Raises
    ------
    ValueError
        Bad points or coordinates, unknown f, L not positive and finite.

    Examples
    --------
    >>> import numpy as np
    >>> from proxflow.latent import PrincipalComponents, latent_bound
    >>> x = np.random.default_rng(0).normal(size=(60, 4)) * [3, 2, 0.1, 0.1]
    >>> encoding = PrincipalComponents(2).fit(x)
    >>> found = latent_bound(encoding, encoding.encode(x)[:30], x)
    >>> found.upper < found.value < found.upper + 0.2
    True
    """
    x = check_points(target, "the target", width=encoding.n_features, minimum=1)
    image = Image(encoding.encode(x), lost_lengths(encoding, x), encoding.reconstruction_error(x), encoding.lipschitz)
    return bound_of(image, moved, entropy(f, alpha), L, reverse=reverse, kept=kept, gap=gap)


@dataclass(frozen=True, eq=False)
class Image:
    """All that a bound needs to know of a target and its encoding, however many features there are.

    encoded: E(x), (m, k). lost: |x - D(E(x))|, (m,). error: their summary. decoder: a.
    """

    encoded: np.ndarray
    lost: np.ndarray
    error: ReconstructionError
    decoder: float


def bound_of(
    image: Image, moved: Any, f: Entropy, L: float, *, reverse: bool = False, kept: Any = None, gap: float = 1e-4
) -> LatentBound:
    """As `latent_bound`, for a target that is known by its image only."""
    check_slope(L)
    if math.isinf(L):
        raise ValueError("L=inf: a bound needs a finite slope.")
    z = check_coordinates(moved, image.encoded.shape[1])
    added = np.zeros(len(z)) if kept is None else np.asarray(kept, np.float64)
    if added.shape != (len(z),) or not np.all(added >= 0):
        raise ValueError(f"kept: one length per sample is needed, shape ({len(z)},), got {added.shape}.")
    found = None
    if math.isfinite(image.decoder) and len(z) * len(image.encoded) <= EXACT_PAIRS:
        found = divergence(z, image.encoded, f, image.decoder * L, "exact", reverse=reverse, gap=gap)
    density = None if found is None or found.solution is None else found.solution.density
    # Of the side that is reweighted: the errors of Q's samples, or, reversed, what was added to P's.
    missing, extra = float(np.mean(image.lost)), float(np.mean(added))
    if density is not None and reverse:
        extra = float(np.mean(density * added))
    elif density is not None:
        missing = float(np.mean(density * image.lost))
    return LatentBound(
        L=float(L), f=f, reverse=reverse, decoder=image.decoder, lower=0.0 if found is None else found.lower,
        upper=math.inf if density is None or found is None else found.upper, missing=missing, kept=extra,
        reconstruction=image.error, n_samples=len(z), n_target=len(image.encoded),
    )  # fmt: skip
