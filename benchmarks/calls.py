"""Each method once, in a process of its own: what a user waits and pays for a first call."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from benchmarks.measure import in_fresh_process, table


def _pair(features: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = 3.0 * rng.normal(size=(4, features))
    first = centres[rng.integers(4, size=200)] + rng.normal(size=(200, features))
    return first, 1.5 * centres[rng.integers(4, size=200)] + rng.normal(size=(200, features)) + 1.0


def _divergence(x: np.ndarray, y: np.ndarray) -> None:
    from proxflow import divergence

    divergence(x, y)


def _compare(x: np.ndarray, y: np.ndarray) -> None:
    from proxflow import compare

    compare(x, y)


def _particles(x: np.ndarray, y: np.ndarray) -> None:
    from proxflow import ParticleTransport

    ParticleTransport(n_particles=600, random_state=0).fit(x)


def _transport(x: np.ndarray, y: np.ndarray) -> None:
    from proxflow import ParticleTransport

    ParticleTransport(random_state=0).fit(y, x).transform(x)


def _labelled(x: np.ndarray, y: np.ndarray) -> None:
    from proxflow import LabelledTransport

    LabelledTransport(random_state=0).fit(x, np.arange(len(x)) % 2)


def _latent(x: np.ndarray, y: np.ndarray) -> None:
    from proxflow import LatentTransport

    LatentTransport(random_state=0).fit(x)


def _batches(x: np.ndarray, y: np.ndarray) -> None:
    from proxflow import BatchTransport

    BatchTransport(random_state=0).fit(x, np.arange(len(x)) % 2, y, np.arange(len(y)) % 2)


def _augment(x: np.ndarray, y: np.ndarray) -> None:
    import pandas as pd

    from proxflow import augment

    augment(pd.DataFrame(x, columns=[f"column {i}" for i in range(x.shape[1])]), 600)


def _proximal(x: np.ndarray, y: np.ndarray) -> None:
    from proxflow import ProximalFlow

    ProximalFlow(random_state=0).fit(x).sample(600, random_state=0)


def _gan(x: np.ndarray, y: np.ndarray) -> None:
    from proxflow import GammaGAN

    GammaGAN(random_state=0).fit(x).sample(600, random_state=0)


def _seeds(x: np.ndarray, y: np.ndarray) -> None:
    from proxflow import Ensemble, ParticleTransport

    Ensemble(ParticleTransport(n_particles=600), seeds=4).fit(x)


def _wasserstein(x: np.ndarray, y: np.ndarray) -> None:
    from proxflow import wasserstein

    wasserstein(x, y)


CALLS: dict[str, Callable[[np.ndarray, np.ndarray], None]] = {
    "`wasserstein` (exact)": _wasserstein,
    "`divergence` (exact, both bounds)": _divergence,
    "`compare`, with its tests": _compare,
    "`ParticleTransport`, 200 to 600": _particles,
    "`ParticleTransport`, 200 onto 200, and `transform`": _transport,
    "`LabelledTransport`, 2 labels": _labelled,
    "`LatentTransport`": _latent,
    "`BatchTransport`, 200 onto 200, 2 labels": _batches,
    "`Ensemble` of 4 seeds, 200 to 600": _seeds,
    "`augment`, 200 rows to 600": _augment,
    "`ProximalFlow`, and 600 samples": _proximal,
    "`GammaGAN`, and 600 samples": _gan,
}


def main() -> str:
    """One call in a fresh process on 200 points in 2 and in 50 features, every default.

    Seconds with the import and all compilation, then the peak of the process's memory. One run each.
    """
    rows = []
    for name in CALLS:
        found = [in_fresh_process("benchmarks.calls", name, str(features)) for features in (2, 50)]
        rows.append([name, *(f"{f['process_seconds']:.1f} s, {f['megabytes']:.0f} MB" for f in found)])
        print(rows[-1], flush=True)
    return table(["call", "2 features", "50 features"], rows)


def _once(name: str, features: int) -> dict[str, float]:
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        CALLS[name](*_pair(features))
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": time.perf_counter() - begin, "megabytes": kilobytes / 1024}


if __name__ == "__main__":
    print(json.dumps(_once(sys.argv[1], int(sys.argv[2]))) if len(sys.argv) == 3 else main())
