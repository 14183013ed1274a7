"""Positive definite kernels on R^d, in units of a bandwidth σ around a centre c: u = (x - c) / σ.

    gaussian   exp(-|u - v|² / 2)
    laplace    exp(-|u - v|)
    energy     |u| + |v| - |u - v|       times σ in the data's units: it has no bandwidth of its own

Source: Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A kernel two-sample test", JMLR 13 (2012), with the median
distance as bandwidth; Székely and Rizzo (2013) and Sejdinovic, Sriperumbudur, Gretton, Fukumizu, "Equivalence of
distance-based and RKHS-based statistics in hypothesis testing", Annals of Statistics 41 (2013) for the energy kernel.

Bad at: high dimension, where all distances look alike, and many points, for Gram matrices grow with their square.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from proxflow.validation import check_choice, check_positive

__all__ = ["KERNELS", "Kernel", "exact_gram", "gram", "named_kernel", "placed"]

_DIRECT = 8  # features up to which differences are squared one by one: slower than a product, but exact when small
_SAMPLE = 500  # points of each cloud whose distances give the bandwidth


def _root(squares: Any, xp: Any) -> Any:
    """√, with slope 0 at 0: of all subgradients of |u - v| at u = v the one that moves nothing, and no NaN."""
    positive = squares > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, squares, 1.0)), 0.0)


@dataclass(frozen=True)
class Kernel:
    """k(u, v) = ρ(|u - v|²), and if anchored less ρ(|u|²) + ρ(|v|²), which makes -|u - v| positive definite.

    profile: ρ, given NumPy or jax.numpy as well. smooth: whether |k_u - k_v| <= |u - v| in the RKHS, so that its
    functions are Lipschitz; otherwise they are only Hölder continuous, of order 1/2.
    """

    name: str
    profile: Callable[[Any, Any], Any]
    anchored: bool = False
    smooth: bool = False


KERNELS = {
    kernel.name: kernel
    for kernel in (
        # ‖k_u - k_v‖² = 2 - 2 exp(-|u - v|² / 2) <= |u - v|²
        Kernel("gaussian", lambda squares, xp: xp.exp(-0.5 * squares), smooth=True),
        Kernel("laplace", lambda squares, xp: xp.exp(-_root(squares, xp))),
        Kernel("energy", lambda squares, xp: -_root(squares, xp), anchored=True),
    )
}


def named_kernel(name: str, bandwidth: float | None) -> Kernel:
    """Return the kernel of that name; ValueError for an unknown name or a bandwidth that cannot be used."""
    check_choice(name, "kernel", tuple(KERNELS))
    kernel = KERNELS[name]
    if bandwidth is not None:
        if kernel.anchored:
            raise ValueError(f"the {name} kernel has no bandwidth: leave out bandwidth = {bandwidth!r}.")
        check_positive(bandwidth, "bandwidth")
    return kernel


def placed(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the centre (d,) of two clouds, each counting half, and the median distance between their points.

    Coinciding pairs do not count, and of large clouds a sample does. If all points coincide it is 1.
    """
    from scipy.spatial.distance import pdist

    rng = np.random.default_rng(0)
    few = [c if len(c) <= _SAMPLE else c[rng.choice(len(c), _SAMPLE, replace=False)] for c in (x, y)]
    distances = pdist(np.concatenate(few).astype(np.float64))
    distances = distances[distances > 0]
    centre = 0.5 * (x.mean(axis=0, dtype=np.float64) + y.mean(axis=0, dtype=np.float64))
    return centre, float(np.median(distances)) if distances.size else 1.0


def gram(kernel: Kernel, u: Array, v: Array) -> Array:
    """k(u_i, v_j), shapes (n, d) and (m, d) to (n, m), differentiable in both without NaN."""
    lengths_u, lengths_v = jnp.sum(u**2, axis=1), jnp.sum(v**2, axis=1)
    epsilon = 4 * jnp.finfo(u.dtype).eps
    if u.shape[1] <= _DIRECT:
        # Feature by feature: sums over a short last axis would not be vectorised.
        squares = sum(((a[:, None] - b) ** 2 for a, b in zip(u.T, v.T, strict=True)), jnp.zeros(()))
        noise = epsilon**2
    else:
        squares, noise = lengths_u[:, None] + lengths_v - 2 * (u @ v.T), epsilon
    # The same point computed twice may differ in its last digit: at a kink, that would be a slope out of nothing.
    squares = jnp.where(squares > noise * (lengths_u[:, None] + lengths_v), squares, 0.0)
    values = kernel.profile(squares, jnp)
    if kernel.anchored:
        values = values - kernel.profile(lengths_u, jnp)[:, None] - kernel.profile(lengths_v, jnp)
    return values


def exact_gram(kernel: Kernel, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The same by SciPy in float64."""
    from scipy.spatial.distance import cdist

    values = kernel.profile(cdist(u, v, "sqeuclidean"), np)
    if kernel.anchored:
        values = values - kernel.profile(np.sum(u**2, axis=1), np)[:, None] - kernel.profile(np.sum(v**2, axis=1), np)
    return np.asarray(values)
