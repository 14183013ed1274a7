"""Pictures of a run: plain functions of arrays that return a matplotlib ``Figure``.

Plots take arrays, never runs or configurations, so each can be called on data from anywhere. None of them
touches pyplot or any other global state: they work without a display and from several threads.

| question | function |
| --- | --- |
| where did the particles go? | `particles_over_time`, `animation` |
| has it converged? | `convergence` |
| how did a training go? | `training_curves` |
| are the paths straight? | `paths` |
| which method's samples are better? | `clouds_beside` |
| what of it is luck? | `seed_curves`, `seed_dots` |
| what do the new images look like? | `image_grid` |
| what became of each image? | `image_pairs` |
| are they copies? | `image_comparison`, `nearest_distances` |
| which features still differ? | `marginals` |
| is the tail right? | `survival_curves` |

Bad at: more than three features, where a cloud is seen through its target's first two principal components
and may differ in all the others; `marginals` and the numbers of a report are there for that.
"""

from proxflow.plots.animate import animation
from proxflow.plots.curves import convergence
from proxflow.plots.images import image_comparison, image_grid, image_pairs
from proxflow.plots.particles import particles_over_time
from proxflow.plots.samples import marginals, nearest_distances
from proxflow.plots.seeds import seed_curves, seed_dots
from proxflow.plots.side_by_side import clouds_beside
from proxflow.plots.style import save_figure
from proxflow.plots.tails import survival_curves
from proxflow.plots.training import paths, training_curves

__all__ = [
    "animation",
    "clouds_beside",
    "convergence",
    "image_comparison",
    "image_grid",
    "image_pairs",
    "marginals",
    "nearest_distances",
    "particles_over_time",
    "paths",
    "save_figure",
    "seed_curves",
    "seed_dots",
    "survival_curves",
    "training_curves",
]
