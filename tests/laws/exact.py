"""The divergence of small samples by other means: NumPy and SciPy in float64, no network, no JAX.

    D = max over g in R^N of  mean_i min_j (g_j + L|y_i - x_j|) - Λ_f(g)

climbed by L-BFGS on a softened minimum. Any g gives a lower bound, any coupling pi of the particles with the target
an upper one, <L|y - x|, pi> + D_f(pi^T 1 || Q); the plan of the soft minimum gives the coupling.
"""

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax, xlogy

# name in `tables` -> f(t), f*(s), f*'(s), sup of the domain of f*: typed anew from the table of the mathematics
FORMULAS = {
    "KL": (lambda t: xlogy(t, t) - t + 1, np.expm1, np.exp, np.inf),
    "alpha 2": (
        lambda t: (t - 1) ** 2 / 2,
        lambda s: (np.maximum(0, 1 + s) ** 2 - 1) / 2,
        lambda s: np.maximum(0, 1 + s),
        np.inf,
    ),
    "reverse KL": (lambda t: -np.log(t) + t - 1, lambda s: -np.log(1 - s), lambda s: 1 / (1 - s), 1.0),
    "Jensen-Shannon": (
        lambda t: xlogy(t, t) - (t + 1) * np.log((t + 1) / 2),
        lambda s: -np.log(2 - np.exp(s)),
        lambda s: np.exp(s) / (2 - np.exp(s)),
        np.log(2.0),
    ),
    "squared Hellinger": (lambda t: (np.sqrt(t) - 1) ** 2, lambda s: s / (1 - s), lambda s: 1 / (1 - s) ** 2, 1.0),
    "chi-squared": (
        lambda t: (t - 1) ** 2,
        lambda s: np.where(s < -2, -1.0, s + s**2 / 4),
        lambda s: np.maximum(0, 1 + s / 2),
        np.inf,
    ),
}


def cumulant(name, values):
    """Λ_f(v) and its gradient, ν found by bisection."""
    _, conjugate, density, upper = FORMULAS[name]
    top, low = values.max(), max(values.min(), values.max() - upper)
    excess = lambda nu: np.mean(density(np.minimum(values - nu, upper - 1e-15))) - 1  # noqa: E731
    nu = top if np.ptp(values) < 1e-14 else brentq(excess, low + 1e-14 * (top - low), top, xtol=1e-14, rtol=1e-14)
    return nu + np.mean(conjugate(values - nu)), density(values - nu) / len(values)


def bracket(name, particles, target, L=1.0):
    """(lower, upper) around D_f^{Γ_L}(particles‖target)."""
    cost = L * cdist(particles, target)
    if name == "IPM":
        import ot

        total = ot.emd2(np.full(len(cost), 1 / len(cost)), np.full(len(cost.T), 1 / len(cost.T)), cost)
        return float(total), float(total)
    count = len(cost)

    def descent(heights, softness):
        tilted = -(heights + cost) / softness
        level, gradient = cumulant(name, heights)
        value = np.mean(-softness * logsumexp(tilted, axis=1)) - level
        return -value, gradient - softmax(tilted, axis=1).sum(axis=0) / count

    heights, lower, upper = np.zeros(cost.shape[1]), -np.inf, np.inf
    for softness in cost.max() * 0.3 ** np.asarray([2.0, 4.0, 6.0, 7.0]):
        heights = minimize(descent, heights, (softness,), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
        lower = max(lower, np.mean(np.min(heights + cost, axis=1)) - cumulant(name, heights)[0])
        plan = softmax(-(heights + cost) / softness, axis=1) / count
        weights = FORMULAS[name][0](plan.sum(axis=0) * cost.shape[1])
        upper = min(upper, float(np.sum(cost * plan) + np.mean(weights)))
    return float(lower), float(upper)
