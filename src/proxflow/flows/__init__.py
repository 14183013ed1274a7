"""Movers of mass, one file each; `base` says what all of them promise."""

from proxflow.flows.base import Drive, Flow, Report
from proxflow.flows.particles import Particles
from proxflow.flows.steps import ConstantStep, DecayingStep, DivergenceStep, StepRule

__all__ = [
    "ConstantStep",
    "DecayingStep",
    "DivergenceStep",
    "Drive",
    "Flow",
    "Particles",
    "Report",
    "StepRule",
]
