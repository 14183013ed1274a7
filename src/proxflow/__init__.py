"""proxflow: compare and transport probability measures known only through samples.

    D_f^{Γ_L}(P‖Q) = inf over R of  D_f(R‖Q) + L·W1(P, R)

is finite even for samples that never overlap, and its first variation is a potential φ with slope at most L.
Everything here is one loop: where is the mass, which potential does (f, Γ) see there, move along -grad φ.

Read in this order: `entropies` (f), `gamma` (function spaces), `divergences` (the pair), `flows` (movers),
`evolution` (the loop), then `estimate`, `comparison` and `estimators`, which
most people import from here.

Names are loaded when first used, so that `import proxflow` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxflow.advice import Recommendation, recommend
    from proxflow.augmenting.augmentation import Augmentation, augment
    from proxflow.comparison import Comparison, compare
    from proxflow.data.cohorts import concat_cohorts
    from proxflow.data.platforms import read_platform
    from proxflow.data.probes import collapse_probes
    from proxflow.data.series_matrix import read_series_matrix
    from proxflow.discrepancies import kale, mmd
    from proxflow.distillation import DistilledMap
    from proxflow.divergences import Divergence
    from proxflow.ensembles import Ensemble, Spread
    from proxflow.entropies import (
        IPM,
        KL,
        Alpha,
        ChiSquared,
        Entropy,
        JensenShannon,
        ReverseKL,
        SquaredHellinger,
        cumulant,
    )
    from proxflow.estimate import DivergenceEstimate, divergence
    from proxflow.estimators import ParticleTransport
    from proxflow.evolution import Run, Stopping, evolve
    from proxflow.flows import ConstantStep, DecayingStep, DivergenceStep, Particles
    from proxflow.gamma import (
        Blurred,
        Cones,
        Convolutional,
        Discrete,
        Gamma,
        GradientPenalty,
        GroupSort,
        KernelBall,
        Potential,
        SpectralNormalised,
        Symmetric,
        Unregularised,
    )
    from proxflow.gamma_gan import GammaGAN
    from proxflow.integration.annotated import integrate
    from proxflow.integration.fitted import Integration
    from proxflow.integration.report import integration_report
    from proxflow.integration.transport import BatchTransport
    from proxflow.labels import LabelledTransport
    from proxflow.latent.autoencoder import Autoencoder
    from proxflow.latent.principal import PrincipalComponents
    from proxflow.latent_transport import LatentTransport
    from proxflow.metrics import coverage, energy_distance, nearest_distance, oracle_ratio, wasserstein
    from proxflow.mixing import kbet, lisi
    from proxflow.proximal_flow import ProximalFlow
    from proxflow.renyi import Renyi
    from proxflow.sinkhorn import sinkhorn_divergence
    from proxflow.streams import open_samples
    from proxflow.tail_index import hill_index
    from proxflow.tails import TailComparison, compare_tails, survival_area

__version__ = "0.1.0"

# The public names, by hand: name -> where it lives.
_HOMES = {
    "compare": "comparison",
    "Comparison": "comparison",
    "recommend": "advice",
    "Recommendation": "advice",
    "divergence": "estimate",
    "DivergenceEstimate": "estimate",
    "ParticleTransport": "estimators",
    "LabelledTransport": "labels",
    "integrate": "integration.annotated",
    "Integration": "integration.fitted",
    "BatchTransport": "integration.transport",
    "LatentTransport": "latent_transport",
    "ProximalFlow": "proximal_flow",
    "GammaGAN": "gamma_gan",
    "Ensemble": "ensembles",
    "Spread": "ensembles",
    "DistilledMap": "distillation",
    "PrincipalComponents": "latent.principal",
    "Autoencoder": "latent.autoencoder",
    "open_samples": "streams",
    "augment": "augmenting.augmentation",
    "Augmentation": "augmenting.augmentation",
    # gene expression from GEO
    "read_series_matrix": "data.series_matrix",
    "read_platform": "data.platforms",
    "collapse_probes": "data.probes",
    "concat_cohorts": "data.cohorts",
    # the pieces
    "Divergence": "divergences",
    "evolve": "evolution",
    "Run": "evolution",
    "Stopping": "evolution",
    "Particles": "flows",
    "ConstantStep": "flows",
    "DecayingStep": "flows",
    "DivergenceStep": "flows",
    "Gamma": "gamma",
    "Potential": "gamma",
    "Discrete": "gamma",
    "Cones": "gamma",
    "GroupSort": "gamma",
    "SpectralNormalised": "gamma",
    "Convolutional": "gamma",
    "Blurred": "gamma",
    "Symmetric": "gamma",
    "KernelBall": "gamma",
    "GradientPenalty": "gamma",
    "Unregularised": "gamma",
    "Entropy": "entropies",
    "KL": "entropies",
    "Alpha": "entropies",
    "ReverseKL": "entropies",
    "JensenShannon": "entropies",
    "SquaredHellinger": "entropies",
    "ChiSquared": "entropies",
    "IPM": "entropies",
    "Renyi": "renyi",
    "cumulant": "entropies",
    # the referee
    "hill_index": "tail_index",
    "compare_tails": "tails",
    "TailComparison": "tails",
    "survival_area": "tails",
    "mmd": "discrepancies",
    "kale": "discrepancies",
    "wasserstein": "metrics",
    "sinkhorn_divergence": "sinkhorn",
    "energy_distance": "metrics",
    "oracle_ratio": "metrics",
    "nearest_distance": "metrics",
    "coverage": "metrics",
    "lisi": "mixing",
    "kbet": "mixing",
    "integration_report": "integration.report",
}

__all__ = [  # noqa: RUF022 - in the order above: what most people want first
    "compare", "Comparison", "recommend", "Recommendation", "divergence", "DivergenceEstimate", "ParticleTransport",
    "LabelledTransport", "LatentTransport", "ProximalFlow", "GammaGAN", "Ensemble", "Spread", "DistilledMap",
    "PrincipalComponents", "Autoencoder",
    "open_samples", "augment", "Augmentation",
    "integrate", "integration_report", "Integration", "BatchTransport",
    "read_series_matrix", "read_platform", "collapse_probes", "concat_cohorts",
    "Divergence", "evolve", "Run", "Stopping", "Particles", "ConstantStep", "DecayingStep", "DivergenceStep",
    "Gamma", "Potential", "Discrete", "Cones", "GroupSort", "SpectralNormalised", "Convolutional", "Blurred",
    "Symmetric", "KernelBall", "GradientPenalty", "Unregularised",
    "Entropy", "KL", "Alpha", "ReverseKL", "JensenShannon", "SquaredHellinger", "ChiSquared", "IPM", "Renyi",
    "cumulant",
    "compare_tails", "TailComparison", "survival_area", "hill_index",
    "mmd", "kale", "wasserstein", "sinkhorn_divergence", "energy_distance", "oracle_ratio", "nearest_distance",
    "coverage", "lisi", "kbet",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'proxflow' has no attribute {name!r}")
    return getattr(import_module(f"proxflow.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
