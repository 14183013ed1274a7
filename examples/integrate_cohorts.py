"""Two cohorts of one disease, measured on two machines, become one: before, after, and how good that is.

    python examples/integrate_cohorts.py [--quick] [--out cohorts.png]

Simulated, so that the truth is known: cohort B has its own shift and scale per gene, more of one subtype, and a part of
its distortion bends. Half of B is held out of the fit. Bad at: saying what your own data will do.
"""

import argparse
from pathlib import Path

import numpy as np

from proxflow import BatchTransport, plots
from proxflow.plots.integration import before_and_after

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="fewer genes and a shorter way: to see that it runs")
parser.add_argument("--out", type=Path, help="a .png file: samples before and after")
choice = parser.parse_args()

genes = 60 if choice.quick else 1000
rng = np.random.default_rng(0)
subtype_effect = rng.normal(0, 1.0, genes) * (rng.random(genes) < 0.2)
pathways = rng.normal(0, 0.5, (4, genes)) * (rng.random((4, genes)) < 0.3)


def people(count: int, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log2 expression of so many people, their subtype, and how active their pathways are."""
    subtype = (rng.random(count) < share).astype(int)
    activity = rng.normal(size=(count, 4))
    noise = rng.normal(0, 0.5, (count, genes))
    return 7 + np.outer(subtype, subtype_effect) + activity @ pathways + noise, subtype, activity


reference, their_subtype, _ = people(240, 0.25)
truth, subtype, activity = people(240, 0.6)
bend = (activity[:, :2] ** 2 - 1) @ rng.normal(0, 0.2, (2, genes))
batch = 7 + (truth - 7) * np.exp(rng.normal(0, 0.2, genes)) + rng.normal(0, 0.8, genes) + bend

fitted, heldout = np.arange(240) < 120, np.arange(240) >= 120
model = BatchTransport(max_path=0.1 if choice.quick else 1.0, random_state=0)
model.fit(batch[fitted], subtype[fitted], reference, their_subtype)
moved = model.transform(batch[heldout], subtype[heldout])

for note in model.notes_:
    print(note)


def error(points: np.ndarray) -> float:
    """Root mean square distance to the truth, per gene."""
    return float(np.sqrt(np.mean((points - truth[heldout]) ** 2)))


shift = batch[heldout].copy()
for c in (0, 1):
    difference = reference[their_subtype == c].mean(axis=0) - batch[fitted][subtype[fitted] == c].mean(axis=0)
    shift[subtype[heldout] == c] += difference
print("held out, error per gene:", end=" ")
print(f"unmoved {error(batch[heldout]):.3f}, shifted {error(shift):.3f}, ours {error(moved):.3f}")

if choice.out:
    before, after = (np.concatenate([reference, cloud]) for cloud in (batch[heldout], moved))
    cohort = np.repeat(["A", "B, held out"], [240, 120])
    kinds = np.where(np.concatenate([their_subtype, subtype[heldout]]) == 1, "subtype 1", "subtype 2")
    figure = before_and_after(before, after, cohort, kinds, reference="A")
    plots.save_figure(figure, choice.out)
    print(f"{choice.out}: {choice.out.stat().st_size / 1000:.0f} kB")
