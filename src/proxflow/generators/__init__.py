"""Generators that are trained: networks from noise to data, and groups; `base` says what all of them promise."""

from proxflow.generators.base import FramedGenerator, Generator, Network

__all__ = ["FramedGenerator", "Generator", "Network"]
