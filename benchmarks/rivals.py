"""What people use to put one batch onto another, each as one function of arrays: the rivals of `integration`.

    map        fit(xs, ys, xt, yt, seed) -> apply(x, y) -> x'          for samples of the fit and for others
    together   all samples at once, those to be judged among them: the tool has no way for new ones

Some work on genes, some on principal components; what these find is added to the genes along the components. Packages
that are not installed are left out and named. harmonypy and inmoose are GPL-3: benchmarks call them, proxflow never.

Bad at: tuning. Each is called with its defaults, but where these do nothing or break down, which is said in its place.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.bio import Cohorts
from proxflow import BatchTransport
from proxflow.agreement import predicted_labels

Apply = Callable[[np.ndarray, np.ndarray], np.ndarray]
SIDES = ("source", "source", "reference", "reference")  # fitted, held out, fitted, held out


@dataclass(frozen=True)
class Rival:
    """One method. where: "genes" or "components". fit: a map; together: all samples of four parts at once, to four."""

    name: str
    where: str
    fit: Callable[..., Apply] | None = None
    together: Callable[[list[np.ndarray], list[np.ndarray]], list[np.ndarray]] | None = None
    package: str | None = None

    @property
    def installed(self) -> bool:
        return self.package is None or find_spec(self.package) is not None

    def move(self, fitted: Cohorts, heldout: Cohorts, seed: int) -> list[np.ndarray]:
        """Return moved source and reference, of both halves, [fitted, held out, fitted, held out], and a fifth.

        The fourth has the reference's held-out samples without a class at its end. The fifth, of maps only, is the
        held-out source again, moved as of the classes that its nearest neighbours in the fitted source have.
        """
        others = heldout.reference[:0] if heldout.unlabelled is None else heldout.unlabelled
        parts = [fitted.source, heldout.source, fitted.reference, np.concatenate([heldout.reference, others])]
        labels = [fitted.ys, heldout.ys, fitted.yt, np.concatenate([heldout.yt.astype(str), ["?"] * len(others)])]
        with _quiet():
            if self.together is not None:
                return self.together(parts, labels)
            apply = self.fit(fitted.source, fitted.ys, fitted.reference, fitted.yt, seed)
            guess = predicted_labels(parts[1], parts[0], labels[0])
            return [apply(parts[0], labels[0]), apply(parts[1], labels[1]), *parts[2:], apply(parts[1], guess)]


# ---------------------------------------------------------------------- by hand


def _nothing(xs: Any, ys: Any, xt: Any, yt: Any, seed: int) -> Apply:
    return lambda x, y: x


def _each_class(fit: Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]) -> Callable[..., Apply]:
    """One map per class that both sides have; others stay where they are."""

    def fitted(xs: np.ndarray, ys: np.ndarray, xt: np.ndarray, yt: np.ndarray, seed: int) -> Apply:
        maps = {c: fit(xs[ys == c], xt[yt == c]) for c in np.intersect1d(ys, yt).tolist()}

        def apply(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            moved = x.copy()
            for c, each in maps.items():
                if (y == c).any():
                    moved[y == c] = each(x[y == c])
            return moved

        return apply

    return fitted


def _shift(s: np.ndarray, t: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: x + t.mean(axis=0) - s.mean(axis=0)


def _zscore(s: np.ndarray, t: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    ratio = np.where(s.std(axis=0) > 0, t.std(axis=0) / np.where(s.std(axis=0) > 0, s.std(axis=0), 1.0), 1.0)
    return lambda x: (x - s.mean(axis=0)) * ratio + t.mean(axis=0)


# ---------------------------------------------------------------------- POT


def _emd(s: np.ndarray, t: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    from ot.da import EMDTransport

    return EMDTransport().fit(Xs=s, Xt=t).transform


def _sinkhorn(xs: np.ndarray, ys: np.ndarray, xt: np.ndarray, yt: np.ndarray, seed: int) -> Apply:
    """Defaults but the cost, over its median: reg_e = 1 underflows where squared distances are in the hundreds.

    Labels of both sides, as numbers. One transport of all: shares of classes that differ make some change class.
    """
    from ot.da import SinkhornLpl1Transport

    names = np.unique(np.concatenate([ys, yt]))
    found = SinkhornLpl1Transport(reg_e=SINKHORN, norm="median")
    found.fit(Xs=xs, ys=np.searchsorted(names, ys), Xt=xt, yt=np.searchsorted(names, yt))
    return lambda x, y: found.transform(x)


def _sinkhorn_class(s: np.ndarray, t: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    from ot.da import SinkhornLpl1Transport

    found = SinkhornLpl1Transport(reg_e=SINKHORN, norm="median")
    return found.fit(Xs=s, ys=np.zeros(len(s), int), Xt=t).transform


SINKHORN = 0.1


# ---------------------------------------------------------------------- ComBat, Harmony, Scanorama


def _combat_inmoose(parts: list[np.ndarray], labels: list[np.ndarray]) -> list[np.ndarray]:
    import pandas as pd
    from inmoose.pycombat import pycombat_norm

    batch = [side for side, part in zip(SIDES, parts, strict=True) for _ in part]
    classes = pd.DataFrame({"label": np.concatenate([y.astype(str) for y in labels])})
    covariates = classes if classes["label"].nunique() > 1 else None
    moved = pycombat_norm(np.concatenate(parts).T, batch, covar_mod=covariates, ref_batch="reference")
    return _apart(np.asarray(moved).T, parts)


def _combat_learn(xs: np.ndarray, ys: np.ndarray, xt: np.ndarray, yt: np.ndarray, seed: int) -> Apply:
    """Its constructor wants batch and covariates of all samples it will ever see: a new one for each call."""
    import pandas as pd
    from combatlearn import ComBat

    first, known = np.concatenate([xs, xt]), np.concatenate([ys, yt])

    def apply(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        every = pd.DataFrame(np.concatenate([first, x]))
        batch = pd.Series(["source"] * len(xs) + ["reference"] * len(xt) + ["source"] * len(x))
        classes = pd.DataFrame({"label": np.concatenate([known, y]).astype(str)})
        model = ComBat(batch=batch, discrete_covariates=classes, method="fortin", reference_batch="reference")
        return model.fit(every.iloc[: len(first)]).transform(every.iloc[len(first) :]).to_numpy()

    return apply


def _harmony(parts: list[np.ndarray], labels: list[np.ndarray]) -> list[np.ndarray]:
    """With the default sigma, 0.1, each cluster is of one batch and nothing moves; of others tried, these do best."""
    import harmonypy
    import pandas as pd

    points = np.concatenate(parts)
    batch = pd.DataFrame({"batch": [side for side, part in zip(SIDES, parts, strict=True) for _ in part]})
    found = harmonypy.run_harmony(points, batch, "batch", sigma=0.3, theta=4, random_state=0, verbose=False)
    moved = np.asarray(found.Z_corr)
    return _apart(moved if len(moved) == len(points) else moved.T, parts)


def _scanorama(parts: list[np.ndarray], labels: list[np.ndarray]) -> list[np.ndarray]:
    import scanorama

    reference, source = np.concatenate(parts[2:]), np.concatenate(parts[:2])
    moved = scanorama.assemble([reference, source], knn=20, sigma=15, approx=False, verbose=0)
    return _apart(np.concatenate([moved[1], moved[0]]), parts)


def _apart(points: np.ndarray, parts: list[np.ndarray]) -> list[np.ndarray]:
    return np.split(points, np.cumsum([len(part) for part in parts])[:-1])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No words from the tools: they print, log and warn."""
    import warnings

    logging.disable(logging.INFO)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


# ---------------------------------------------------------------------- ours


def _ours(**settings: Any) -> Callable[..., Apply]:
    def fitted(xs: np.ndarray, ys: np.ndarray, xt: np.ndarray, yt: np.ndarray, seed: int) -> Apply:
        return BatchTransport(random_state=seed, **settings).fit(xs, ys, xt, yt).transform

    return fitted


def _of_all(fit: Callable[..., Apply]) -> Callable[[list[np.ndarray], list[np.ndarray]], list[np.ndarray]]:
    """A map fitted to all samples, as rivals that take no new ones are."""

    def together(parts: list[np.ndarray], labels: list[np.ndarray]) -> list[np.ndarray]:
        names = [y.astype(str) for y in labels]
        known = names[3] != "?"
        apply = fit(
            np.concatenate(parts[:2]), np.concatenate(names[:2]),
            np.concatenate([parts[2], parts[3][known]]), np.concatenate([names[2], names[3][known]]), 0,
        )  # fmt: skip
        return [apply(parts[0], names[0]), apply(parts[1], names[1]), *parts[2:]]

    return together


OURS, SHIFT_ALONE, START_ALONE = "BatchTransport", "its shift alone", "its start alone"
ZSCORE, NONE = "class z-score", "none"
RIVALS = [
    Rival(NONE, "genes", _nothing),
    Rival("class shift", "genes", _each_class(_shift)),
    Rival(ZSCORE, "genes", _each_class(_zscore)),
    Rival("ComBat (inmoose)", "genes", together=_combat_inmoose, package="inmoose"),
    Rival(f"{ZSCORE} of all", "genes", together=_of_all(_each_class(_zscore))),
    Rival("ComBat (combatlearn)", "genes", _combat_learn, package="combatlearn"),
    Rival("Harmony", "components", together=_harmony, package="harmonypy"),
    Rival("Scanorama", "components", together=_scanorama, package="scanorama"),
    Rival("Sinkhorn Lpl1 (POT)", "components", _sinkhorn, package="ot"),
    Rival("Sinkhorn by class (POT)", "components", _each_class(_sinkhorn_class), package="ot"),
    Rival("EMD by class (POT)", "components", _each_class(_emd), package="ot"),
    Rival(OURS, "genes", _ours()),
    Rival(f"{OURS} on components", "components", _ours()),
    Rival(f"{OURS} of all", "genes", together=_of_all(_ours())),
    Rival(START_ALONE, "genes", _ours(max_path=0)),
    Rival(SHIFT_ALONE, "genes", _ours(start="shift", max_path=0)),
]
