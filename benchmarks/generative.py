"""Which method when: what makes new samples from old ones, on planes, on few samples, on heavy tails.

Rivals with the settings that `generative_rivals` found on the two moons; ours with every default. One core was theirs.
"train" is from the first call with compilation, "sample" one thousand new points by a sampler that has run before. "the
law itself" is what independent draws of the same law score: no sampler can be expected below it, whatever it learned.

Bad at: saying more than one seed can. Differences as large as those between seeds are none.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import proxflow
from benchmarks.generative_rivals import RIVALS
from benchmarks.images import ABSENT, HEADER, _row, _split
from benchmarks.measure import table
from benchmarks.rival_others import svgd
from benchmarks.rival_training import Fit, Sampler, behind_logarithm
from proxflow import ParticleTransport, nearest_distance, wasserstein
from proxflow.data.planes import moons_on_plane, pinwheel_on_plane
from proxflow.data.sets import sierpinski_carpet
from proxflow.data.tails import student_t
from proxflow.data.toy import pinwheel
from proxflow.sinkhorn import sinkhorn_divergence
from proxflow.tails import compare_tails
from proxflow.trust import judge

SEED = 0
THOUSAND = 1000
SLOW = 20.0  # seconds, of which compilation is a small part
LAW = "the law itself"


def _gpa(method: str) -> Fit:
    def fit(train: np.ndarray, seed: int, source: np.ndarray | None = None) -> Sampler:
        budget = 0.0 if method == "flow" else 1000.0
        fitted = ParticleTransport(random_state=seed, memory_budget=budget).fit(train, source)
        return lambda count, seed: fitted.sample(count, random_state=seed, method=method)

    return fit


def _estimator(name: str) -> Fit:
    def fit(train: np.ndarray, seed: int, source: np.ndarray | None = None) -> Sampler:
        fitted = getattr(proxflow, name)(random_state=seed).fit(*((train,) if source is None else (train, source)))
        return lambda count, seed: fitted.sample(count, random_state=seed)

    return fit


def methods() -> dict[str, Fit]:
    """Ours, as far as this version has them, and the rivals."""
    ours = {"GPA": _gpa("flow"), "GPA, replayed": _gpa("replay")}
    for said, name in (("W1+W2 proximal flow", "ProximalFlow"), ("(f, Γ)-GAN", "GammaGAN")):
        if name in proxflow.__all__:
            ours[said] = _estimator(name)
    return ours | RIVALS


@dataclass(frozen=True)
class Made:
    """New samples, and the seconds to train and for one thousand."""

    new: np.ndarray
    train: float
    sample: float

    @property
    def broken(self) -> str:
        """What is wrong with the numbers themselves, or nothing."""
        sound = np.isfinite(self.new).all(axis=1)
        if sound.all():
            far = float(np.abs(self.new).max())
            return f"overflows: {far:.0e}" if far > OVERFLOW else ""
        return "all NaN" if not sound.any() else f"{1 - sound.mean():.0%} NaN"

    @property
    def times(self) -> list[str]:
        return [f"{self.train:.0f}", f"{self.sample:.2f}"]


OVERFLOW = 1e15  # squares of larger numbers leave float32


def made(fit: Fit, train: np.ndarray, count: int, **settings: Any) -> Made:
    start = time.perf_counter()
    sampler = fit(train, SEED, **settings)
    trained = time.perf_counter() - start
    new = sampler(count, SEED + 1)
    if time.perf_counter() - start - trained < SLOW:
        sampler(THOUSAND, SEED + 2)  # compiles for this number
    again = time.perf_counter()
    sampler(THOUSAND, SEED + 3)
    return Made(np.asarray(new, np.float64), trained, time.perf_counter() - again)


def _chosen(names: tuple[str, ...], available: dict[str, Fit]) -> dict[str, Fit]:
    return {name: fit for name, fit in available.items() if not names or name in names}


def _cost(new: np.ndarray, heldout: np.ndarray) -> str:
    """The debiased Sinkhorn divergence with |x - y|²/2 and blur 0.05; W2²/2 of 2000 where that is far below digits."""
    if np.ptp(new, axis=0).max() < FAR:
        with contextlib.suppress(RuntimeError):  # so far off that it does not converge
            return f"{sinkhorn_divergence(new, heldout, p=2, blur=0.05):.4f}"
    return f"{wasserstein(new[:2000], heldout[:2000]) ** 2 / 2:.1g}"


FAR = 1e4


# ---------------------------------------------------------------------- planes

SIZE, LUCK = 5000, 3
PLANES: dict[str, Callable[[int, int, int], np.ndarray]] = {"moons": moons_on_plane, "pinwheel": pinwheel_on_plane}
PUBLISHED = {
    ("moons", 2): "0.086", ("moons", 7): "0.025", ("moons", 12): "0.045",
    ("pinwheel", 2): "0.0079", ("pinwheel", 7): "0.0099", ("pinwheel", 12): "0.0193",
}  # fmt: skip


def moons(*names: str) -> str:
    """Moons on a plane in R^d, 5000 samples to 5000 new ones, judged by 5000 held-out ones.

    "Sinkhorn": the debiased divergence to held-out samples, p = 2, blur 0.05, in the plane's two coordinates; "off" the
    root mean square of the others. "published": the W1+W2 flow's own figures. Near copies: 0.05 for real data.
    scikit-learn's moons have equal halves, evenly spread: a "fresh sample" made so scores far below independent draws,
    of which there are three, to show how much is luck.
    """
    return _planes("moons", names)


def arms(*names: str) -> str:
    """The same for the pinwheel."""
    return _planes("pinwheel", names)


def _planes(name: str, methods_asked: tuple[str, ...]) -> str:
    rows: list[list[object]] = []
    draw = PLANES[name]
    for d in (2, 7, 12):
        train, heldout, fresh, pool = (draw(n, d, SEED + i) for i, n in enumerate((SIZE, SIZE, SIZE, 40 * SIZE)))
        if d == 2:  # in more dimensions the plane is the same
            law = [_cost(_copies(pool, SEED)(SIZE, SEED + i), heldout) for i in range(LUCK)]
            rows.append([name, "any", "a fresh sample", *_on_plane(fresh, train, heldout), "", ""])
            rows.append([name, "any", LAW, ", ".join(law), "0", "0.05", "", ""])
        rows.append([name, d, "W1+W2 as published", PUBLISHED[name, d], *[""] * 4])
        for method, fit in _chosen(methods_asked, methods()).items():
            result = made(fit, train, SIZE)
            numbers = _on_plane(result.new, train, heldout) if not result.broken else [result.broken, "", ""]
            rows.append([name, d, method, *numbers, *result.times])
            print(rows[-1], flush=True)
    header = ["set", "d", "method", "Sinkhorn", "off", "near copies", "train, s", "sample, s"]
    return table(header, rows)


def _on_plane(new: np.ndarray, train: np.ndarray, heldout: np.ndarray) -> list[str]:
    off = np.sqrt(np.mean(new[:, 2:] ** 2)) if new.shape[1] > 2 else 0.0
    copies = judge(new, train, train, heldout, basis="").near_copies
    return [_cost(new[:, :2], heldout[:, :2]), f"{off:.2g}", f"{copies:.2f}"]


NEEDED = (50, 200, 1000, 5000)


def needed(*names: str) -> str:
    """The two moons in the plane from n samples: W2²/2 of 2000 new points to 2000 held-out ones, and near copies.

    Means of four draws from one fit. "copies" are the n samples themselves, drawn again and again; "the law itself" is
    as many independent draws.
    """
    heldout, pool = moons_on_plane(2000, 2, SEED + 1), moons_on_plane(200_000, 2, SEED + 2)
    trains = {n: moons_on_plane(n, 2, SEED) for n in NEEDED}
    law: Fit = lambda train, seed: _copies(pool, seed)  # noqa: E731
    rows: list[list[object]] = []
    for method, fit in {LAW: law, "copies": _copies, **_chosen(names, methods())}.items():
        cells = []
        for train in trains.values():
            sampler = fit(train, SEED)
            draws = [Made(np.asarray(sampler(len(heldout), SEED + i), np.float64), 0, 0) for i in range(DRAWS)]
            if any(draw.broken for draw in draws):
                cells.append(next(draw.broken for draw in draws if draw.broken))
                continue
            cost = np.mean([wasserstein(draw.new, heldout) ** 2 / 2 for draw in draws])
            edge = np.quantile(nearest_distance(heldout, train), 0.05)
            copies = np.mean([nearest_distance(draw.new, train) <= edge for draw in draws])
            cells.append(f"{cost:.3f} ({copies:.2f})")
        rows.append([method, *cells])
        print(rows[-1], flush=True)
    return table(["method", *(f"n = {n}" for n in NEEDED)], rows)


DRAWS = 4


def _copies(train: np.ndarray, seed: int) -> Sampler:
    return lambda count, seed: train[np.random.default_rng(seed).integers(len(train), size=count)]


# ---------------------------------------------------------------------- few samples, a known density, heavy tails


def _judged(result: Made, train: np.ndarray, fresh: np.ndarray, test: np.ndarray) -> list[str]:
    if result.broken:
        return [result.broken, "", "", "", *result.times]
    found = judge(result.new, train, fresh, test, basis="")
    distance = found.nearest_new / found.nearest_real
    shown = f"{found.closeness:.3f}", f"{distance:.2f}", f"{found.near_copies:.2f}", f"{found.coverage:.2f}"
    return [*shown, *result.times]


_JUDGED = ["W2 ratio", "distance", "near copies", "coverage", "train, s", "sample, s"]


def scarce(*names: str) -> str:
    """400 samples of Sierpinski's carpet, level 4, to 2000 new ones, judged by 2000 fresh and 2000 test samples.

    W2 ratio to the test samples over that of the fresh ones; distance to the nearest training sample over that of test
    samples; near copies (0.05 for real data); coverage of the test samples. "copies": the training samples.
    """
    train, fresh, test = (
        sierpinski_carpet(400, SEED),
        sierpinski_carpet(2000, SEED + 1),
        sierpinski_carpet(2000, SEED + 2),
    )
    again = Made(_copies(train, SEED)(len(test), SEED), 0, 0)
    rows: list[list[object]] = [["copies", *_judged(again, train, fresh, test)[:4], "", ""]]
    for method, fit in _chosen(names, methods()).items():
        rows.append([method, *_judged(made(fit, train, len(test)), train, fresh, test)])
        print(rows[-1], flush=True)
    return table(["method", *_JUDGED], rows)


def movers(*names: str) -> str:
    """1000 samples of a pinwheel in the plane, with random arms, to 1000 new ones; columns as for few samples."""
    train, fresh, test = (pinwheel(1000, SEED + i) for i in range(3))
    rows: list[list[object]] = []
    chosen = names or ("GPA", "W1+W2 proximal flow", "(f, Γ)-GAN", "flow matching, OT", "score model")
    for method, fit in _chosen(chosen, methods()).items():
        rows.append([method, *_judged(made(fit, train, len(test)), train, fresh, test)])
        print(rows[-1], flush=True)
    return table(["method", *_JUDGED], rows)


_ANGLES = np.pi / 4 * np.arange(8)
MEANS, DEVIATION = 4 * np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)]), 0.3


def mixture(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return MEANS[rng.integers(8, size=n)] + DEVIATION * rng.normal(size=(n, 2))


def log_density(x: Array) -> Array:
    """Of the mixture at one point, but for a constant."""
    return jax.nn.logsumexp(-jnp.sum((x - MEANS) ** 2, axis=1) / (2 * DEVIATION**2))


def density(*names: str) -> str:
    """Eight Gaussians on a circle, 1000 samples to 2000 new ones: SVGD is given the density, the others the samples."""
    train, fresh, test = (mixture(n, SEED + i) for i, n in enumerate((1000, 2000, 2000)))
    rows: list[list[object]] = []
    for method, fit in _chosen(names, {**methods(), "SVGD (given the density)": svgd(log_density)}).items():
        result = made(fit, train, len(test))
        rows.append([method, *_judged(result, train, fresh, test)])
        print(rows[-1], flush=True)
    return table(["method", *_JUDGED], rows)


def tails(*names: str) -> str:
    """Student's t with ν = 1.5 in the plane, 500 samples to 500 new ones, against 500 fresh ones.

    "area" between log-log survival curves of the radius down to ten samples, Hill's index, quantile ratios at 99 and
    99.8 %, W1 on the radius. Each rival as it is, and "log": on columns that asinh compresses around their medians, as
    `ParticleTransport` does by default here.
    """
    train, fresh, other = (student_t(500, SEED + i, nu=1.5) for i in range(3))
    ways = {method: fit for method, fit in methods().items() if method not in RIVALS}
    for method, fit in RIVALS.items():
        ways |= {method: fit, f"{method}, log": behind_logarithm(fit)}
    rows: list[list[object]] = [["a fresh sample", *_tail(other, fresh), "", ""]]
    for method, fit in _chosen(names, ways).items():
        result = made(fit, train, len(fresh))
        rows.append([method, *([result.broken, *[""] * 4] if result.broken else _tail(result.new, fresh))])
        rows[-1] += result.times
        print(rows[-1], flush=True)
    return table(["method", "area", "Hill", "99 %", "99.8 %", "W1", "train, s", "sample, s"], rows)


def _tail(new: np.ndarray, fresh: np.ndarray) -> list[str]:
    found = compare_tails(new, fresh)
    radii = [np.linalg.norm(cloud - np.median(fresh, axis=0), axis=1) for cloud in (new, fresh)]
    late = np.quantile(radii[0], 0.998) / np.quantile(radii[1], 0.998)
    return [
        f"{found.area:.2f}", f"{found.index_new:.2f}", f"{found.ratios[0.99]:.2g}", f"{late:.2g}", f"{found.w1:.3g}",
    ]  # fmt: skip


# ---------------------------------------------------------------------- pictures

# Dense networks that fill the same time on 784 pixels as the tuned ones do in the plane.
_PIXELS: dict[str, dict[str, Any]] = {
    "flow matching": {"width": 512, "steps": 1200, "rate": 1e-3},
    "flow matching, OT": {"width": 512, "steps": 1200, "rate": 1e-3},
    "score model": {"width": 512, "steps": 1200, "rate": 1e-3},
    "WGAN-GP": {"width": 256, "steps": 800, "rate": 5e-4, "weight": 10.0},
    "MMD flow": {},
}


def pictures(*names: str) -> str:
    """200 MNIST digits become 600, in pixels: the judges of "Pictures". Rivals have dense networks of the usual size.

    OT-Flow is left out: its trace costs 784 products of matrices a point, and its own paper takes an autoencoder.
    """
    split = _split()
    if split is None:
        return ABSENT
    rows: list[list[object]] = [[*_row("real: fresh digits", split.fresh), ""]]
    for method, fit in _chosen(names, methods()).items():
        if method in RIVALS and method not in _PIXELS:
            continue
        result = made(fit, split.train, 600, **_PIXELS.get(method, {}))
        if result.broken:
            rows.append([method, result.broken, *[""] * (len(HEADER) - 2), ""])
        else:
            new = np.clip(result.new, 0.0, 1.0)
            rows.append([*_row(method, new, result.train, split.train), f"{result.sample:.2f}"])
        print(rows[-1], flush=True)
    return table([*HEADER, "sample, s"], rows)


SECTIONS = {part.__name__: part for part in (moons, arms, movers, needed, scarce, density, tails, pictures)}

if __name__ == "__main__":
    asked, *only = sys.argv[1:] or [""]
    for part in [SECTIONS[asked]] if asked else SECTIONS.values():
        print(part(*only))
