"""Generators trained against (f, Γ)-potentials: how much the learning rate matters, and tails."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np

from benchmarks.measure import table
from proxflow import GammaGAN, oracle_ratio
from proxflow.data.tails import student_t
from proxflow.data.toy import moons
from proxflow.tails import compare_tails

STEPS, POINTS, JUDGED = 2000, 2000, 1000
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
NU = 1.5


def _fit(target: np.ndarray, **settings: Any) -> tuple[GammaGAN, str]:
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what they say is in the table
        gan = GammaGAN(**{"steps": STEPS, "random_state": 0} | settings).fit(target)
    return gan, f"{time.perf_counter() - start:.0f} s"


def rates() -> str:
    """Moons in the plane, 2000 points, 2000 steps, by the generator's learning rate: KL-Lipschitz beside WGAN.

    Everything else at its default: L, the potential's rate, batches, networks. W2 ratio: of 1000 new samples to 1000
    held out, over that of fresh real ones. covered, spread: of `health_`, 1 where nothing is missing. "worst / best" is
    the largest ratio over the smallest: how much a wrong rate costs. "the matched Gaussian" is where training begins.
    """
    target, fresh, test = moons(POINTS, 0), moons(JUDGED, 1), moons(JUDGED, 2)
    rows: list[list[Any]] = []
    begun = np.random.default_rng(0).multivariate_normal(target.mean(axis=0), np.cov(target.T), JUDGED)
    rows.append(["the matched Gaussian", "", f"{oracle_ratio(begun, fresh, test):.2f}", "", "", ""])
    for name, f in {"KL-Lipschitz": "kl", "WGAN": "ipm"}.items():
        found = []
        for rate in RATES:
            gan, seconds = _fit(target, f=f, learning_rate=rate)
            found.append(oracle_ratio(gan.sample(JUDGED), fresh, test))
            health = gan.health_
            rows.append([name, rate, f"{found[-1]:.2f}", f"{health.covered:.2f}", f"{health.spread:.2f}", seconds])
            print(rows[-1], flush=True)
        rows.append([f"{name}: worst / best", "", f"{max(found) / min(found):.2f}", "", "", ""])
    return table(["", "learning rate", "W2 ratio", "covered", "spread", "seconds"], rows)


def tails() -> str:
    """Student's law with 1.5 degrees of freedom in the plane, 2000 points, 2000 steps: KL beside alpha = 2.

    Of the radius of 2000 new samples beside a fresh sample: area between the log-log survival curves (0 if they
    coincide), Hill's index, quantile ratios at 99 and 99.9 %, W1. "own units": `scaling="none"`; otherwise the default,
    which takes such columns through a signed logarithm. Dense networks of tanh are affine far out, so in own units a
    Gaussian's generator has Gaussian tails whatever f.
    """
    target, fresh = (student_t(POINTS, seed, nu=NU) for seed in (0, 1))
    cases: dict[str, dict[str, Any]] = {
        "KL, own units": {"f": "kl", "scaling": "none"},
        "alpha = 2, own units": {"f": "alpha", "alpha": 2.0, "scaling": "none"},
        "KL": {"f": "kl"},
        "alpha = 2": {"f": "alpha", "alpha": 2.0},
    }
    rows = [["real: another sample", *_tail(student_t(POINTS, 2, nu=NU), fresh), "", ""]]
    for name, settings in cases.items():
        gan, seconds = _fit(target, **settings)
        rows.append([name, *_tail(gan.sample(POINTS), fresh), gan.stopped_.split(":")[0], seconds])
        print(rows[-1], flush=True)
    return table(["", "area", "Hill", "99 %", "99.9 %", "W1 of the radius", "ended", "seconds"], rows)


def _tail(new: np.ndarray, fresh: np.ndarray) -> list[str]:
    found = compare_tails(new, fresh)
    return [
        f"{value:.2f}" for value in (found.area, found.index_new, found.ratios[0.99], found.ratios[0.999], found.w1)
    ]


if __name__ == "__main__":
    print(rates())
    print(tails())
