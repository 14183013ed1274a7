"""One batch carried onto a reference, class by class, for these samples and for later ones.

    x -> start (shift or scale of its class)  -> encode -> flow along -grad φ, as far as held-out samples approve
      -> decode: x' = start(x) + D(moved) - D(encoded), so that what the latent space does not see stays

Start and path are chosen by cross-validation (`selection`); a class with few samples is only shifted, by what it
shares with the others. Argument order as in POT's `ot.da`.

Bad at: batches whose labels mean different things; a label that is the outcome of a later test, which any label-aware
correction leaks (Nygaard, Rødland, Hovig, Biostatistics 2016): see `integration_report` and its control.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from proxflow.entropies import Entropy, entropy
from proxflow.integration.guesses import Labelled
from proxflow.integration.labelling import Labels, check_spelling, codes_or_one, read_labels
from proxflow.integration.maps import BatchMap, LatentClass
from proxflow.integration.paths import STEP, Flowing, chosen_steps, looks
from proxflow.integration.selection import Cohort, heldout_curves, heldout_starts
from proxflow.integration.starts import STARTS, Start, estimate_start, moments_by_class
from proxflow.latent import Encoding, Identity, Latent, PrincipalComponents, named_latent
from proxflow.latent.principal import plane_of
from proxflow.recordings import Recording
from proxflow.spans import column_scales
from proxflow.validation import (
    check_choice,
    check_cloud,
    check_positive,
    check_same_width,
    check_slope,
    column_names,
    in_order_of,
    seed_from,
)

__all__ = ["MISSING_CLASS", "BatchTransport"]

# Half as many components as samples: with a fifth, flows missed what bends; held-out paths keep more from memorising.
_SAMPLES_PER_COMPONENT, _FEWEST_COMPONENTS, _MOST_COMPONENTS = 2, 2, 50

_FAR = 50  # times the median distance
_HELDOUT = {"none": "unmoved"}

MISSING_CLASS = ("leave", "shift", "error")


class BatchTransport(TransformerMixin, BaseEstimator):
    """Carry samples of one batch onto a reference batch, keeping their classes.

    Parameters
    ----------
    f, alpha
        The divergence that drives the flow: "kl", "alpha", ... as in `ParticleTransport`.
    L
        Lipschitz constant, in units of the reference's spread within a class.
    start
        "none", "shift" (class means), "scale" (and ratios of deviations per column), or "auto": whichever samples held
        out prefer.
    latent, n_components
        Where the flow happens: "pca", "autoencoder", "identity" or a `Latent`, and with how many components. None: half
        the samples of the smallest class that flows, from 2 to 50.
    max_path
        The longest way of a flow, in units of the reference's spread within a class; 0 for the start alone.
    folds
        Of the cross-validation that chooses start and path.
    min_samples
        A class with fewer on either side is only shifted.
    missing_class
        Samples of a class that the reference lacks: "leave" them where they are, "shift" them by what the other
        classes share, or "error".
    width, updates, learning_rate
        Of the network: units per layer (even), Adam steps per fit, learning rate.
    progress
        Show a progress bar on a terminal.
    random_state
        Seed: the same seed gives the same bits on the same machine.

    Attributes
    ----------
    classes_ : list
        On both sides.
    start_ : str
    paths_ : dict
        Class -> length of its way, in units of the reference's spread; 0 where the start is all.
    heldout_ : dict of float
        Energy distance of held-out samples to held-out samples of the reference, class by class and averaged, 0 on
        average for samples of one law: "unmoved" and after each start, in all columns; "before the flow" and "after the
        flow" (a cautious guess), in latent space.
    curves_ : dict
        Class -> that distance in latent space along the path `path_grid_`.
    notes_ : list of str
        What was decided, in words.
    n_components_, encoding_, seed_, n_features_in_

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> reference, batch = rng.normal(size=(80, 5)), rng.normal(size=(60, 5)) * 1.5 + 3
    >>> model = BatchTransport(random_state=0).fit(batch[:50], None, reference)
    >>> moved = model.transform(batch[50:])
    >>> moved.shape, bool(abs(moved.mean() - reference.mean()) < 0.5)
    ((10, 5), True)
    """

    def __init__(
        self,
        f: str | Entropy = "kl",
        *,
        alpha: float | None = None,
        L: float = 0.2,
        start: str = "auto",
        latent: str | Latent = "pca",
        n_components: int | None = None,
        max_path: float = 1.0,
        folds: int = 5,
        min_samples: int = 20,
        missing_class: str = "leave",
        width: int = 64,
        updates: int = 5,
        learning_rate: float = 5e-3,
        progress: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.f = f
        self.alpha = alpha
        self.L = L
        self.start = start
        self.latent = latent
        self.n_components = n_components
        self.max_path = max_path
        self.folds = folds
        self.min_samples = min_samples
        self.missing_class = missing_class
        self.width = width
        self.updates = updates
        self.learning_rate = learning_rate
        self.progress = progress
        self.random_state = random_state

    # ------------------------------------------------------------------ scikit-learn's verbs

    def fit(self, Xs: Any, ys: Any = None, Xt: Any = None, yt: Any = None) -> BatchTransport:
        """Learn the way from one batch to the reference.

        Parameters
        ----------
        Xs, ys
            Samples to move, shape (n, d), and their classes, shape (n,): numbers or text; None for one class of all.
        Xt, yt
            Samples of the reference, shape (m, d), and their classes. Of two frames the columns are matched by name.

        Raises
        ------
        ValueError
            Bad samples (the place is named), columns or labels that do not match, a setting out of range.
        """
        flowing = self._settings()
        self.__dict__.pop("_map", None)  # a fit that is broken off leaves nothing that passes for one
        if Xt is None:
            raise ValueError("Xt, the reference, is missing: fit(Xs, ys, Xt, yt).")
        self.seed_ = seed_from(self.random_state)
        names = column_names(Xt)
        xt = check_cloud(Xt, "Xt", columns=names)
        xs = check_cloud(in_order_of(Xt, Xs), "Xs", columns=names)
        check_same_width(xs, xt, "Xs", "Xt")
        self.n_features_in_ = xt.shape[1]
        if names is not None:
            self.feature_names_in_ = np.array(names, object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        labels = read_labels(ys, yt, xs, xt)
        self.notes_: list[str] = []
        self._far_samples((xs, labels.source, "Xs"), (xt, labels.reference, "Xt"))
        self._labelled, self.classes_ = labels.given, labels.shared
        if not labels.given:
            self.notes_.append(
                "no labels: one class of all, right only if both sides hold the classes in equal shares."
            )
        self._missing(labels)
        self._constant = self._constant_columns(xs, xt)
        scales = column_scales(xt)
        self._column_units = np.ones(xt.shape[1]) if scales is None else scales
        if scales is not None:
            self.notes_.append("columns in mixed units: each was divided by its deviation inside.")
        self._fit(xs / self._column_units, xt / self._column_units, labels, flowing)
        return self

    def transform(self, Xs: Any, ys: Any = None) -> np.ndarray:
        """Carry samples of the same batch, seen or not, shape (n, d) to (n, d).

        ys: their classes, if the fit had labels; `predict_labels` guesses them. A sample's image does not depend on
        the others.
        """
        check_is_fitted(self, "_map")
        points, codes = self._read(Xs, ys)
        known = np.isin(codes, self.classes_)
        if not known.all() and self.missing_class == "error":
            raise ValueError(f"class {codes[~known][0].item()!r} is not in the reference, which has {self.classes_}.")
        moved = self._map.carry(points / self._column_units, codes) * self._column_units
        moved[:, self._constant] = points[:, self._constant]
        if self.missing_class == "leave":
            moved[~known] = points[~known]
        kept = getattr(Xs, "dtype", None)
        return moved.astype(kept) if kept in (np.float32, np.float64) else moved

    def fit_transform(self, Xs: Any, ys: Any = None, Xt: Any = None, yt: Any = None) -> np.ndarray:  # type: ignore[override]
        """Return `fit(Xs, ys, Xt, yt).transform(Xs, ys)`."""
        return self.fit(Xs, ys, Xt, yt).transform(Xs, ys)

    def shift(self, Xs: Any) -> np.ndarray:
        """Move samples of unknown class, shape (n, d), by what all classes share, and no farther."""
        check_is_fitted(self, "_map")
        points = self._points(Xs)
        moved = points * self._map.start.scale + self._map.start.offset * self._column_units
        moved[:, self._constant] = points[:, self._constant]
        return moved

    def predict_labels(self, Xs: Any, neighbours: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Guess the classes of samples of the same batch, shape (n, d), by the nearest of the fit's own (15 if None).

        Returns
        -------
        ndarray (n,), ndarray (n,)
            The likeliest class, and its share among the neighbours, nearer ones counting more.
        """
        check_is_fitted(self, "_map")
        if self._known is None:
            raise ValueError("the fit had no labels, so there are none to guess.")
        return self._known.guess(self._points(Xs) / self._column_units, neighbours)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted transport to one file, whole or not at all; `load` reads it.

        Raises
        ------
        ValueError
            A setting or a latent space that is an object of your own, or a refusal of the system.
        """
        from proxflow.integration.transport_files import write_transport

        check_is_fitted(self, "_map")
        write_transport(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BatchTransport:
        """Read a fitted transport that `save` wrote. Nothing in the file is run.

        Raises
        ------
        ValueError
            No such file, a damaged one, or one of another kind or version.
        """
        from proxflow.integration.transport_files import read_transport

        return read_transport(path, cls())

    # ------------------------------------------------------------------ the fit

    def _settings(self) -> Flowing:
        """Check every setting; the flow that they describe."""
        check_choice(self.start, "start", (*STARTS, "auto"))
        check_choice(self.missing_class, "missing_class", MISSING_CLASS)
        for name in ("folds", "min_samples", "width", "updates"):
            check_positive(getattr(self, name), name, integer=True)
        if self.folds < 2 or self.min_samples < 2 * self.folds:
            raise ValueError(
                f"folds = {self.folds} and min_samples = {self.min_samples}: at least 2 folds are needed, and two"
                " samples of a class in each."
            )
        if self.max_path != 0:
            check_positive(self.max_path, "max_path")
        if self.width % 2:
            raise ValueError(f"width must be even (GroupSort pairs units), got {self.width}.")
        check_positive(self.learning_rate, "learning_rate")
        check_slope(self.L)
        named_latent(self.latent, self.n_components)
        return Flowing(
            entropy(self.f, self.alpha), float(self.L), width=self.width, updates=self.updates,
            learning_rate=self.learning_rate,
        )  # fmt: skip

    def _fit(self, xs: np.ndarray, xt: np.ndarray, labels: Labels, flowing: Flowing) -> None:
        source, reference = (xs, labels.source), (xt, labels.reference)
        moments = moments_by_class(*source), moments_by_class(*reference)
        counts = {c: min(side[c].count for side in moments) for c in labels.shared}
        large = [c for c in labels.shared if counts[c] >= self.min_samples]
        self.start_, self.heldout_ = "shift" if self.start == "auto" else self.start, {}
        if large:
            judged = heldout_starts(STARTS, source, reference, large, self.folds, self.seed_)
            if self.start == "auto" and np.isfinite(list(judged.values())).all():
                self.start_ = min(STARTS, key=judged.__getitem__)
            self.heldout_ = {_HELDOUT.get(name, name): value for name, value in judged.items()}
        self.encoding_ = self._encoding(source, reference, estimate_start("shift", *moments), large or labels.shared)
        self.n_components_ = self.encoding_.n_components
        goals = {c: self.encoding_.encode(xt[labels.reference == c]) for c in large}
        places = {c: LatentClass.of(goals[c]) for c in large}
        steps = self._steps(source, reference, places, flowing, {c: moments[0][c].count for c in large})
        self.paths_ = {c: STEP * steps.get(c, 0) for c in labels.shared}
        start = estimate_start(self.start_, *moments)
        flows: dict[Any, Recording] = {}
        for c, count in steps.items():
            rows = labels.source == c
            z = places[c].units(self.encoding_.encode(start.apply(xs[rows], labels.source[rows])))
            found = flowing.run(z, z[:0], places[c].units(goals[c]), count, self.seed_)
            flows |= {} if found is None else {c: found}
        self._known = Labelled.of(xs, labels.source, self.seed_) if labels.given else None
        self._map = BatchMap(start, self.encoding_, places, flows)
        self._note(counts)

    def _steps(
        self, source: Cohort, reference: Cohort, places: dict[Any, LatentClass], flowing: Flowing,
        counts: dict[Any, int],
    ) -> dict[Any, int]:  # fmt: skip
        """How many steps every class flows, by its held-out curve."""
        most = round(self.max_path / STEP)
        self.curves_, self.path_grid_ = {}, STEP * np.array(looks(most))
        if not places or most == 0:
            return {}
        curves = heldout_curves(
            self.start_, source, reference, self.encoding_, places, flowing,
            folds=self.folds, steps=most, seed=self.seed_, progress=self.progress,
        )  # fmt: skip
        self.curves_ = {c: rows.mean(axis=0) for c, rows in curves.items()}
        steps, left = chosen_steps(curves, counts, looks(most))
        before = sum(counts[c] * float(curve[0]) for c, curve in self.curves_.items()) / sum(counts.values())
        self.heldout_ |= {"before the flow": before, "after the flow": left}
        return steps

    def _encoding(self, source: Cohort, reference: Cohort, shift: Start, flowing: list) -> Encoding:
        """Fit the latent space to both sides, once they lie on each other: not to what tells them apart."""
        both = np.concatenate([source[1], reference[1]])
        sides = np.array([f"s{c}" for c in source[1].tolist()] + [f"t{c}" for c in reference[1].tolist()], object)
        sides[~np.isin(both, flowing)] = None  # classes that do not flow need no components
        smallest = min(int((codes == c).sum()) for _, codes in (source, reference) for c in flowing)
        carried = int(np.clip(smallest // _SAMPLES_PER_COMPONENT, _FEWEST_COMPONENTS, _MOST_COMPONENTS))
        ours = self.latent == "autoencoder" and self.n_components is None
        latent = named_latent(
            self.latent, min(carried, len(both) - 1, self.n_features_in_) if ours else self.n_components
        )
        points = np.concatenate([shift.apply(*source), reference[0]])
        if isinstance(latent, PrincipalComponents):  # classes flow by themselves: what tells them apart is not needed
            for c in np.unique(both):
                points[both == c] -= points[both == c].mean(axis=0)
            if not np.ptp(points, axis=0).any():
                latent = Identity()  # every class is one point
            elif latent == PrincipalComponents():
                return plane_of(points, min(carried, len(points) - 1, points.shape[1]), self.seed_)
        return latent.fit(points, labels=sides, seed=self.seed_)

    def _missing(self, labels: Labels) -> None:
        if not labels.source_only:
            return
        names, count = labels.source_only, int(np.isin(labels.source, labels.source_only).sum())
        if self.missing_class == "error":
            raise ValueError(f"class {names[0]!r} is not in the reference, which has {labels.shared}.")
        what = "stay where they are" if self.missing_class == "leave" else "move by what the other classes share"
        note = f"not in the reference: {', '.join(map(repr, names))}. These {count} samples {what}"
        self.notes_.append(f"{note}.")
        if self.missing_class == "leave":
            warnings.warn(f"{note}; missing_class='shift' moves them along.", UserWarning, stacklevel=3)

    def _far_samples(self, *cohorts: tuple[np.ndarray, np.ndarray, str]) -> None:
        """Say which samples are so far from their class that they decide its mean."""
        for points, codes, side in cohorts:
            for c in np.unique(codes):
                rows = np.flatnonzero(codes == c)
                distances = np.linalg.norm(points[rows] - np.median(points[rows], axis=0), axis=1)
                far = rows[distances > _FAR * np.median(distances)] if np.median(distances) > 0 else rows[:0]
                if len(far):
                    note = f"row {far[0]} of {side} is {_FAR} times as far from its class as most ({len(far)} such)"
                    self.notes_.append(f"{note}.")
                    warnings.warn(f"{note}: it decides means and deviations. Drop it.", UserWarning, stacklevel=4)

    def _constant_columns(self, xs: np.ndarray, xt: np.ndarray) -> np.ndarray:
        constant = (np.ptp(xs, axis=0) == 0) & (np.ptp(xt, axis=0) == 0) & (xs[0] == xt[0])
        if constant.any():
            names = getattr(self, "feature_names_in_", np.arange(len(constant)))[constant]
            note = f"{len(names)} constant columns, such as {str(names[0])!r}, pass unchanged"
            self.notes_.append(f"{note}.")
            warnings.warn(f"{note}.", UserWarning, stacklevel=3)
        return constant

    def _note(self, counts: dict[Any, int]) -> None:
        few = [c for c in self.classes_ if counts[c] < self.min_samples]
        if few and self._labelled:
            self.notes_.append(
                f"only shifted, for fewer than {self.min_samples} samples on a side: {', '.join(map(repr, few))}."
            )
        what = {
            "none": "samples stay where they are, for held-out samples fit best there",
            "shift": "each class shifted",
            "scale": "each class shifted, columns rescaled",
        }[self.start_]
        ways = ", ".join(f"{c!r} {path:.2f}" for c, path in self.paths_.items() if path) or "none"
        self.notes_.append(
            f"start: {what}. Then a flow in {self.n_components_} components, by class and spread: {ways}."
        )

    # ------------------------------------------------------------------ points in

    def _points(self, Xs: Any) -> np.ndarray:
        names = getattr(self, "feature_names_in_", None)
        frame = column_names(Xs)
        if names is not None and frame is not None and frame != list(names):
            missing = sorted(set(names) - set(frame))
            if missing:
                raise ValueError(f"Xs: column {missing[0]!r} of the fit is missing ({len(missing)} such).")
            Xs = Xs[list(names)]
        points = check_cloud(Xs, "Xs", columns=None if names is None else list(names), minimum=1)
        if points.shape[1] != self.n_features_in_:
            raise ValueError(f"Xs has {points.shape[1]} features, but the fit had {self.n_features_in_}.")
        return points

    def _read(self, Xs: Any, ys: Any) -> tuple[np.ndarray, np.ndarray]:
        points = self._points(Xs)
        if self._labelled and ys is None:
            raise ValueError(
                "the fit had labels, so transform needs them: transform(Xs, ys). Unknown ones can be guessed,"
                " ys, share = predict_labels(Xs); or fit without labels."
            )
        if ys is not None and not self._labelled:
            raise ValueError("the fit had no labels: transform(Xs) without them, or fit with labels.")
        codes = codes_or_one(ys, points, "ys")
        check_spelling(np.unique(codes).tolist(), self.classes_, "ys", "the fit")
        return points, codes
