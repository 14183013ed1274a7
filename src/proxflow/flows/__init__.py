"""Movers of mass, one file each; `base` says what all of them promise."""

from proxflow.flows.base import Drive, Flow, Method, Report
from proxflow.flows.methods import METHODS
from proxflow.flows.particles import Particles
from proxflow.flows.steps import (
    ConstantStep,
    CosineStep,
    DecayingStep,
    DivergenceStep,
    FisherStep,
    LipschitzStep,
    StepRule,
)

__all__ = [
    "METHODS",
    "ConstantStep",
    "CosineStep",
    "DecayingStep",
    "DivergenceStep",
    "Drive",
    "FisherStep",
    "Flow",
    "LipschitzStep",
    "Method",
    "Particles",
    "Report",
    "StepRule",
]
