"""Make the rows of one data set look as if they came from another: a batch effect, made and removed.

    python examples/move_one_data_set_onto_another.py [--quick]

Two halves of a data set with three clusters; the second was measured by an instrument that rotates, stretches and
shifts. Both halves hold the clusters in like proportions: the method would turn one cluster into another otherwise.
"""

import argparse

import numpy as np

from proxflow import ParticleTransport, wasserstein

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few steps: to see that it runs")
steps = 60 if parser.parse_args().quick else 500


def cohort(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of three clusters, shape (count, 4), and which cluster each belongs to."""
    rng = np.random.default_rng(seed)
    centres = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]])
    cluster = rng.integers(3, size=count)
    return centres[cluster] + 0.5 * rng.normal(size=(count, 4)), cluster


def instrument(points: np.ndarray) -> np.ndarray:
    """A batch effect: rotate the first two features by 20 degrees, stretch, shift."""
    turn = np.eye(4)
    turn[:2, :2] = [[0.94, -0.34], [0.34, 0.94]]
    return 1.2 * points @ turn.T + [1.5, -1.0, 0.5, 2.0]


target, target_cluster = cohort(200, seed=0)
source, source_cluster = cohort(150, seed=1)
source = instrument(source)

transport = ParticleTransport(steps=steps, random_state=0).fit(target, source)
moved = transport.particles_  # row i is where row i of the source went

fresh, _ = cohort(150, seed=2)
print(f"W2 to the target: {wasserstein(source, target):.2f} before, {wasserstein(moved, target):.2f} after,")
print(f"                  {wasserstein(fresh, target):.2f} for a fresh sample without the batch effect")

centres = np.array([target[target_cluster == k].mean(axis=0) for k in range(3)])
landed = np.argmin(np.linalg.norm(moved[:, None] - centres, axis=2), axis=1)
print(f"{np.mean(landed == source_cluster):.0%} of the rows end in their own cluster; the flow was not told which")

late, late_cluster = cohort(50, seed=3)
carried = transport.transform(instrument(late))  # new rows ride along, each for itself
landed = np.argmin(np.linalg.norm(carried[:, None] - centres, axis=2), axis=1)
print(f"{np.mean(landed == late_cluster):.0%} of 50 late rows do so, too")
