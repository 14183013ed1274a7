"""MNIST, 200 digits become 600: in principal components, behind an autoencoder.

Columns, judges and flows in pixels as in the sections on pictures. missed: root mean square of what the latent space
loses of test digits, over their spread. a: the decoder's certified slope. bound: on the divergence of the new digits
from the 200, and how much of it is reconstruction.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.images import ABSENT, HEADER, _row, _split
from benchmarks.measure import table
from proxflow import Autoencoder, LatentTransport, ParticleTransport, PrincipalComponents
from proxflow.latent import Latent

CASES: dict[str, Latent] = {
    "16 principal components": PrincipalComponents(16),
    "64 principal components": PrincipalComponents(64),
    "autoencoder, k = 16": Autoencoder(16),
    "autoencoder, k = 32": Autoencoder(32),
}


def main() -> str:
    split = _split()
    if split is None:
        return ABSENT
    rows = [[*_row("real: fresh digits", split.fresh), "", "", ""]]
    for name, latent in CASES.items():
        start = time.perf_counter()
        flow = LatentTransport(_transport(), latent, random_state=0).fit(split.train)
        seconds = time.perf_counter() - start
        bound, missed = flow.bound_, flow.encoding_.reconstruction_error(split.test).relative
        share = bound.L * bound.missing / bound.value
        found = [f"{missed:.3f}", f"{bound.decoder:.2f}", f"{bound.value:.3f} ({share:.0%})"]
        rows.append([*_row(name, np.clip(flow.particles_, 0, 1), seconds), *found])
    return table([*HEADER, "missed", "a", "bound"], rows)


def _transport(**changes: Any) -> ParticleTransport:
    return ParticleTransport(n_particles=600, memory_budget=0.0, **changes)


def reconstruction() -> str:
    """What a latent space misses of MNIST's 600 test digits, by how many others it was fitted to.

    Root mean square over the digits' spread, and the decoder's certified slope a.
    """
    split = _split()
    if split is None:
        return ABSENT
    rows = []
    for name, train in {"200": split.train, "3600": split.rest}.items():
        for k in (16, 32):
            start = time.perf_counter()
            bent = Autoencoder(k).fit(train)
            seconds = time.perf_counter() - start
            missed = [e.reconstruction_error(split.test).relative for e in (PrincipalComponents(k).fit(train), bent)]
            rows.append([name, k, *(f"{m:.3f}" for m in missed), f"{bent.lipschitz:.2f}", f"{seconds:.0f} s"])
    return table(["fitted to", "k", "principal components", "autoencoder", "a", "its fit"], rows)
