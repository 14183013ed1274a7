"""Velocity fields that are trained: forms, networks, equations, paths; `base` says what all of them promise."""

from proxflow.velocities.base import Field, Frame, FreeVelocity, PotentialVelocity, Velocity

__all__ = ["Field", "Frame", "FreeVelocity", "PotentialVelocity", "Velocity"]
