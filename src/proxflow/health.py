"""Does an adversarial training go wrong? Watched while it runs, and judged on samples when it ends.

    diverged    the mover's batch is far out: its distance from the target's centre is over ten times what source and
                target have, or the divergence of the last hundred steps is over three times the largest of the first
    collapsed   new samples lie closer together than the target's do, or come near too few of them
    too wide    they have over twice the target's variance

Two-player training has no value that falls and proves success, so nobody should have to read a loss: a run that breaks
is stopped and says so, one that ends without its modes is told in words. Bad at: a mode of less than a few samples.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from proxflow.evolution import Run
from proxflow.metrics import coverage

__all__ = ["Health", "Watch", "health_of", "warn_of"]

_FAR = 10.0
_RECENT, _RISE = 100, 3.0
_COVERED, _UNLIKE = 0.9, 0.25  # sound: of the coverage, and at most so far from the variance, as a logarithm
_MISSING, _NARROW, _WIDE = 0.6, 0.5, 2.0  # of the coverage and of the variance that real samples have
_MOST = 2000


class Watch:
    """A callback that stops a training whose batch runs away or whose divergence climbs.

    cloud: from a run to the mover's last batch, shape (m, k). extent: the largest typical distance of source and target
    from the target's centre (k,).
    """

    def __init__(self, cloud: Any, centre: np.ndarray, extent: float) -> None:
        self._cloud, self._centre, self._extent = cloud, centre, extent

    def __call__(self, run: Run) -> str | None:
        """Why the run should stop, or None."""
        if not run.step:
            return None
        far = float(np.median(np.linalg.norm(np.asarray(self._cloud(run)) - self._centre, axis=1)))
        if far > _FAR * self._extent:
            return f"diverged by step {run.step}: the batch lies {far / self._extent:.3g} times as far out as the data"
        value = run.history["value"]
        if len(value) >= 4 * _RECENT:
            recent, first = float(np.median(value[-_RECENT:])), float(np.max(value[:_RECENT]))
            if recent > _RISE * max(first, 1e-3):
                return f"diverged by step {run.step}: the divergence rose from {first:.3g} to {recent:.3g}"
        return None


@dataclass(frozen=True)
class Health:
    """How a training ended: shares of what real samples have, 1 where nothing is missing.

    covered: of the target's samples that new ones come near, over the share that held-out real ones do. spread: total
    variance over the target's. stopped: why the run ended early, "" if it did not.
    """

    covered: float
    spread: float
    stopped: str

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong that is looked for."""
        return not self.stopped and self.covered >= _MISSING and _NARROW <= self.spread <= _WIDE

    def to_dict(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return asdict(self)

    def way_out(self) -> str:
        """What to try after a training that broke; "" for one that was interrupted."""
        broken = "diverged" in self.stopped or "non-finite" in self.stopped
        return "Try a smaller learning_rate, a finite L, or more updates per step." if broken else ""

    def sentence(self) -> str:
        """What went wrong, with a way out, or that nothing did."""
        if self.stopped:
            return f"Training {self.stopped}. {self.way_out()}".strip()
        if self.spread > _WIDE:
            return (
                f"New samples are spread too wide: {self.spread:.3g} times the target's variance. Train longer, or"
                " with a smaller learning_rate."
            )
        if self.covered < _MISSING or self.spread < _NARROW:
            return (
                f"Modes are missing: new samples come near {self.covered:.0%} of what real ones come near, with"
                f" {self.spread:.2f} of the variance. Train longer, with more updates per step, or a larger batch."
            )
        found = f"new samples come near {min(self.covered, 1.0):.0%} of what real ones come near, with"
        found += f" {self.spread:.2f} of the variance."
        if self.covered < _COVERED or abs(np.log(max(self.spread, 1e-9))) > _UNLIKE:
            return f"Not finished, or too few samples to learn from: {found} More steps may help."
        return f"Trained soundly: {found}"


def warn_of(health: Health, stopped: str, steps: int) -> None:
    """Warn, in the name of the caller's caller's caller, of a training that ended early or with something missing."""
    if health.stopped:
        told = f"the training ended early ({stopped}); what is kept is that of step {steps}. {health.way_out()}".strip()
        warnings.warn(told, RuntimeWarning, stacklevel=4)
    elif not health.ok:
        warnings.warn(health.sentence(), RuntimeWarning, stacklevel=4)


def health_of(new: np.ndarray, samples: np.ndarray, stopped: str, seed: int) -> Health:
    """Judge new samples (m, k): half of the target's (n, k) is judged by them and by the other half."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(samples))[: 2 * _MOST]
    half = len(order) // 2
    early = stopped if any(word in stopped for word in ("diverged", "non-finite", "interrupted")) else ""
    if not np.isfinite(new).all():
        return Health(0.0, 0.0, early or "non-finite samples")
    variance = float(samples.var(axis=0).sum())
    spread = float(new.var(axis=0).sum()) / variance if variance > 0 else 1.0
    if half < 5:
        return Health(1.0, spread, early)
    like, real, judged = new[rng.permutation(len(new))[:half]], samples[order[:half]], samples[order[half : 2 * half]]
    usual = coverage(real, judged)
    return Health(coverage(like, judged) / usual if usual > 0 else 1.0, spread, early)
