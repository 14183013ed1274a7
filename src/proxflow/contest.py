"""Several methods on the same data: their numbers side by side, and who wins which.

    winner of a column    whose number is best, with all whose numbers are as good within its noise

Every method is an ordinary run in a folder of its own; what is compared are the numbers that these runs wrote, so
nothing is measured twice. All were judged on the same samples. Closeness alone crowns copiers, so it stands beside near
copies, coverage and spread.

Bad at: telling luck from merit by one seed. With several, what lies within Student's 95 % counts as no difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from proxflow.store import read_json

__all__ = ["CRITERIA", "Contest", "Criterion", "Entry", "samples_in"]


@dataclass(frozen=True)
class Criterion:
    """One column: its key and its name, how a run's numbers give it, how far from best a value is, and what it means.

    loss: 0 or less for the best there can be. noise: losses no farther apart are as good as each other; a share of the
    smaller one if relative.
    """

    key: str
    name: str
    number: Callable[[Mapping[str, Any]], float | None]
    meaning: str
    loss: Callable[[float], float] | None
    noise: float = 0.02
    relative: bool = False
    share: bool = False

    def values(self, result: Mapping[str, Any]) -> list[float]:
        """Its finite values in what a run wrote: one, or one for each seed."""
        found = [self.number(member) for member in result.get("members", [result])]
        return [value for value in found if value is not None and math.isfinite(value)]

    def winners(self, values: Mapping[str, float], errors: Mapping[str, float] | None = None) -> list[str]:
        """The methods whose values are the best, in the order given; none if there is nothing to win.

        errors: of the values, where there were several seeds; two of a difference are no difference.
        """
        if self.loss is None or not values:
            return []
        losses = {method: self.loss(value) for method, value in values.items()}
        best = min(losses, key=losses.__getitem__)
        least = losses[best]
        noise = self.noise * abs(least) if self.relative else self.noise
        error = errors or {}
        reach = {m: max(noise, 2 * math.hypot(error.get(best, 0.0), error.get(m, 0.0))) for m in losses}
        return [
            method for method, lost in losses.items() if lost <= least + (noise if method == best else reach[method])
        ]

    def shown(self, value: float | None, deviation: float | None = None) -> str:
        """The value in a few digits, and its deviation from seed to seed."""
        if value is None:
            return "-"
        if deviation is not None:
            return f"{value:.0%} ± {deviation:.0%}" if self.share else f"{value:.3g} ± {deviation:.2g}"
        return f"{value:.0%}" if self.share else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _judged(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    def number(result: Mapping[str, Any]) -> float | None:
        judgement = result.get("judgement")
        value = None if judgement is None else judgement.get(name)
        return None if value is None else float(value)

    return number


def _covered(result: Mapping[str, Any]) -> float | None:
    new, real = _judged("coverage")(result), _judged("coverage_real")(result)
    return None if new is None or not real else new / real


def _told(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    def number(result: Mapping[str, Any]) -> float | None:
        value = result.get(name)
        return None if value is None else float(value)

    return number


_USUAL_COPIES = 0.05  # share of real samples that are near copies, by definition

CRITERIA = (
    Criterion(
        "closeness",
        "W2 ratio",
        _judged("closeness"),
        "distance to held-out samples over that of real ones; 1 is ideal",
        lambda ratio: max(ratio, 1.0),
    ),
    Criterion(
        "near_copies",
        "near copies",
        _judged("near_copies"),
        "share closer to a training sample than 95 % of real ones; 5 % is usual",
        lambda copies: max(copies, _USUAL_COPIES),
        share=True,
    ),
    Criterion(
        "coverage",
        "coverage",
        _covered,
        "of held-out samples, the share that new ones come near, over that of real ones",
        lambda covered: -min(covered, 1.0),
        share=True,
    ),
    Criterion(
        "spread",
        "spread",
        _judged("spread"),
        "total variance over the training data's; 1 is ideal",
        lambda spread: abs(math.log(spread)) if spread > 0 else math.inf,
    ),
    Criterion(
        "energy",
        "energy",
        _judged("energy"),
        "energy distance to held-out samples; 0 for one law",
        lambda far: far,
        0.1,
        True,
    ),
    Criterion(
        "seconds_to_train",
        "train, s",
        _told("seconds"),
        "seconds until the samples were there, compilation included",
        lambda s: s,
        0.1,
        True,
    ),
    Criterion(
        "seconds_to_sample",
        "sample, s",
        _told("fresh_seconds"),
        "seconds for 1000 fresh samples, compilation included; particles are moved again for them",
        lambda s: s,
        0.25,
        True,
    ),
    Criterion("steps", "steps", _told("steps"), "of a method's own kind: not to be compared with each other", None),
)


@dataclass(frozen=True)
class Entry:
    """One method: what its run's result.json says, and its samples (m, d)."""

    method: str
    result: Mapping[str, Any]
    samples: np.ndarray

    def value(self, criterion: Criterion) -> float | None:
        """Its number in a column, the mean over its seeds; None if there is none or it is not finite."""
        found = criterion.values(self.result)
        return float(np.mean(found)) if found else None

    def deviation(self, criterion: Criterion) -> float | None:
        """From seed to seed; None of one."""
        found = criterion.values(self.result)
        return float(np.std(found, ddof=1)) if len(found) > 1 else None


@dataclass(frozen=True)
class Contest:
    """The methods that ended well, and what stopped the others."""

    entries: tuple[Entry, ...]
    failed: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path, methods: Sequence[str], failed: Mapping[str, str]) -> Contest:
        """Read what the runs in folder/METHOD wrote; ValueError where a file is missing."""
        entries = []
        for method in methods:
            own = folder / method
            result = read_json(own / "result.json")
            # Of several seeds the first is shown: which, was settled before any was judged.
            entries.append(
                Entry(method, result, samples_in(own / f"seed-{result['seeds'][0]}" if "seeds" in result else own))
            )
        return cls(tuple(entries), dict(failed))

    def values(self, criterion: Criterion) -> dict[str, float]:
        """The numbers of a column by method, of those that have one."""
        found = {entry.method: entry.value(criterion) for entry in self.entries}
        return {method: value for method, value in found.items() if value is not None}

    def errors(self, criterion: Criterion) -> dict[str, float]:
        """The standard errors of these numbers, of those methods that ran with several seeds.

        Widened for few seeds, so that two of them are Student's 95 %: of two seeds a deviation is hardly known.
        """
        from scipy.stats import t as student

        found = {
            entry.method: (entry.deviation(criterion), len(criterion.values(entry.result))) for entry in self.entries
        }
        return {
            method: deviation / math.sqrt(count) * float(student.ppf(0.975, 2 * (count - 1))) / 2
            for method, (deviation, count) in found.items()
            if deviation is not None
        }

    def verdicts(self) -> list[tuple[Criterion, list[str], str]]:
        """Each column that can be won, who wins it, and a sentence that says so."""
        found = []
        for criterion in CRITERIA:
            values = self.values(criterion)
            winners = criterion.winners(values, self.errors(criterion))
            if not winners or len(values) < 2:
                continue
            best = " and ".join(f"{method} ({criterion.shown(values[method])})" for method in winners)
            others = [f"{m} {criterion.shown(value)}" for m, value in values.items() if m not in winners]
            rest = f", before {', '.join(others)}" if others else ": nothing between them"
            found.append((criterion, winners, f"{best}{rest}."))
        return found

    def sentences(self) -> list[str]:
        """What the comparison says, the verdict first."""
        said = []
        if not self.entries:
            said.append("No method ended well.")
        elif not self.values(CRITERIA[0]):
            said.append("Not judged: give --test, or leave --no-trial out, to say which is best.")
        else:
            closest = CRITERIA[0].winners(self.values(CRITERIA[0]), self.errors(CRITERIA[0]))
            values = self.values(CRITERIA[0])
            named = " and ".join(f"{method} (W2 ratio {values[method]:.3g})" for method in closest)
            said.append(f"Closest to held-out samples: {named}.")
            said += self._warnings()
        said += [f"{method} did not end well: {problem}" for method, problem in self.failed.items()]
        return said

    def _warnings(self) -> list[str]:
        """Where closeness alone misleads."""
        copies, covered = self.values(CRITERIA[1]), self.values(CRITERIA[2])
        said = [
            f"{method} nearly copies: {value:.0%} of its samples are near a training sample, of real ones 5 %."
            for method, value in copies.items()
            if value > 4 * _USUAL_COPIES
        ]
        return said + [
            f"{method} leaves something out: it comes near {value:.0%} of what real samples come near."
            for method, value in covered.items()
            if value < 0.8
        ]

    def table(self) -> list[list[str]]:
        """A heading and a row for each method, in words."""
        head = ["method", *(criterion.name for criterion in CRITERIA)]
        rows = [[e.method, *(c.shown(e.value(c), e.deviation(c)) for c in CRITERIA)] for e in self.entries]
        return [head, *rows]

    def lines(self) -> list[str]:
        """The comparison for a terminal."""
        table = self.table()
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        aligned = [
            "  " + "  ".join(cell.ljust(width) if index == 0 else cell.rjust(width)
                             for index, (cell, width) in enumerate(zip(row, widths, strict=True)))
            for row in table
        ]  # fmt: skip
        names = ", ".join(entry.method for entry in self.entries)
        return [f"Compared: {names}", *aligned, *(f"  {sentence}" for sentence in self.sentences())]

    def to_dict(self) -> dict[str, Any]:
        """All numbers, winners and sentences as plain values."""
        return {
            "methods": {
                entry.method: {c.key: entry.value(c) for c in CRITERIA}
                | {"stopped": entry.result.get("stopped")}
                | ({"deviations": {c.key: entry.deviation(c) for c in CRITERIA}} if "members" in entry.result else {})
                for entry in self.entries
            },
            "winners": {criterion.key: winners for criterion, winners, _ in self.verdicts()},
            "failed": dict(self.failed),
            "sentences": self.sentences(),
        }


def samples_in(folder: Path) -> np.ndarray:
    """The samples of a run, (m, d); ValueError where there are none."""
    from proxflow.data.tables import read_table

    for name in ("samples.npy", "samples.csv"):
        if (folder / name).exists():
            return np.asarray(read_table(folder / name, minimum=1).values)
    raise ValueError(f"{folder}: no samples of a run; remove it, and resume again.")
