"""From an estimator's parameters and the data to the pieces of a run, with every None resolved.

The pieces: coordinates (span), flow, divergence, target. `defaults` has the rules; this file applies them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from proxflow.compression import compression, heavy_columns
from proxflow.defaults import (
    LARGE_BATCH,
    Smoothing,
    default_batch,
    default_learning_rate,
    default_lipschitz,
    default_width,
    image_shape,
    radius,
    smoothed,
)
from proxflow.divergences import Divergence
from proxflow.entropies import entropy
from proxflow.estimate import named_gamma
from proxflow.flows import ConstantStep, DivergenceStep, Particles
from proxflow.flows.particles import METHODS
from proxflow.gamma import Blurred, Gamma, GroupSort
from proxflow.sources import SOURCES
from proxflow.spans import LabelledSpan, Span, affine_span, column_scales
from proxflow.streams import LargeSamples, Streamed
from proxflow.targets import Target
from proxflow.validation import check_choice, check_inside, check_positive, check_slope

__all__ = ["SCALINGS", "Plan", "check_coordinates", "check_settings", "coordinates", "make_plan"]

SCALINGS = ("auto", "columns", "signed_log", "none")

_SMALLEST = 1e-14  # L is its inverse, and L² must not overflow float32

USUAL_COPIES = 0.05  # share of real samples that are near copies, by definition

Parameters = Mapping[str, Any]
Coordinates = Span | LabelledSpan


@dataclass(frozen=True)
class Plan:
    """The pieces of a run, and the settings that they stand for."""

    span: Coordinates
    flow: Particles
    divergence: Divergence
    target: Target
    batch: int | None
    settings: dict[str, Any]


def check_settings(p: Parameters) -> None:
    """Raise ValueError, naming it, for a parameter out of range."""
    entropy(p["f"], p["alpha"])
    check_choice(p["method"], "method", tuple(METHODS))
    check_choice(p["source"], "source", SOURCES)
    check_coordinates(p)
    if p["devices"] not in (None, "all"):
        raise ValueError(f'devices must be "all" or None, got {p["devices"]!r}.')
    for name in ("steps", "depth", "updates"):
        check_positive(p[name], name, integer=True)
    for name in ("n_particles", "width", "batch_size"):
        if p[name] is not None:
            check_positive(p[name], name, integer=True)
    if p["fixed_columns"] != 0:
        check_positive(p["fixed_columns"], "fixed_columns", integer=True)
    for name in ("step_size", "learning_rate"):
        if p[name] is not None:
            check_positive(p[name], name)
    if p["L"] is not None:
        check_slope(p["L"])
    check_positive(p["step_share"], "step_share")
    named_gamma(p["gamma"], p["L"] or 1.0, 1, width=p["width"])
    if p["smoothing"] is not None and not (isinstance(p["smoothing"], (int, float)) and 0 <= p["smoothing"] <= 1):
        raise ValueError(f"smoothing must be between 0 and 1, got {p['smoothing']!r}.")
    if not (isinstance(p["stop_stalled"], (int, np.integer)) and p["stop_stalled"] >= 0):
        raise ValueError(f"stop_stalled must be a whole number, 0 to switch it off, got {p['stop_stalled']!r}.")
    for name in ("stop_fisher", "memory_budget"):
        if not (isinstance(p[name], (int, float, np.number)) and p[name] >= 0):
            raise ValueError(f"{name} must be a number of at least 0, got {p[name]!r}.")
    limit = p["max_copies"]
    if limit is not None and not (isinstance(limit, (int, float, np.number)) and USUAL_COPIES <= limit <= 1):
        raise ValueError(f"max_copies must be between {USUAL_COPIES} (the share of real samples) and 1, got {limit!r}.")
    if not (isinstance(p["callbacks"], (tuple, list)) and all(callable(call) for call in p["callbacks"])):
        raise ValueError(f"callbacks must be a tuple of functions, got {p['callbacks']!r}.")


def check_coordinates(p: Parameters) -> None:
    """Raise ValueError for a scaling or bounds out of range, or bounds that the scaling would bend."""
    check_choice(p["scaling"], "scaling", SCALINGS)
    bounds = p["bounds"]
    if bounds is not None and not _is_interval(bounds):
        raise ValueError(f"bounds must be (low, high), two numbers with low < high, got {bounds!r}.")
    if bounds is not None and p["scaling"] in ("columns", "signed_log"):
        raise ValueError("bounds are in the data's own units: use scaling='none' with them.")


def _is_interval(bounds: Any) -> bool:
    pair = isinstance(bounds, (tuple, list, np.ndarray)) and len(bounds) == 2
    return pair and all(isinstance(b, (int, float, np.number)) for b in bounds) and bool(bounds[0] < bounds[1])


def make_plan(
    p: Parameters, samples: np.ndarray, start: np.ndarray, *, drawn: bool, count: int,
    large: LargeSamples | None = None, span: Coordinates | None = None,
) -> Plan:  # fmt: skip
    """Resolve the parameters for these target samples, shape (n, d), and first positions, shape (m, d).

    drawn: the first positions were drawn to make new samples; otherwise they are data to be mapped. count: of the
    particles. large: the file that these are only some samples of. span: coordinates that are known already.
    """
    fixed = p["fixed_columns"]
    if span is None and large is None:
        span = coordinates(p, samples[:, : -fixed or None], start[:, : -fixed or None], drawn)
    elif span is None:
        span = _coordinates_of_file(p, samples[:, : -fixed or None])
    span = LabelledSpan(span, fixed) if fixed and isinstance(span, Span) else span
    goal = span.encode(samples)
    slope = default_lipschitz(goal) if p["L"] is None else float(p["L"])
    width = p["width"] or default_width(goal.shape[1])
    gamma = named_gamma(
        p["gamma"], slope, goal.shape[1],
        width=width, depth=p["depth"], updates=p["updates"],
        learning_rate=p["learning_rate"] or default_learning_rate(width),
    )  # fmt: skip
    looks = p["bounds"] is not None and p["gamma"] == "auto"
    image = image_shape(samples[:, : -fixed or None]) if looks else None
    if image is not None and isinstance(gamma, GroupSort):
        gamma = Blurred(gamma, (*image, 1), labels=fixed)
    # For a map between two data sets the samples themselves are the goal; for new samples, what lies between.
    if p["devices"] is not None and gamma.on_host:
        raise ValueError(f"gamma = {type(gamma).__name__} is computed on one machine: leave devices=None with it.")
    batch = p["batch_size"] or default_batch(count, len(samples if large is None else large), span.bend is not None)
    if large is not None and batch is None:
        batch = LARGE_BATCH
    if large is None:
        # Nor are heavy tails blurred: an average of neighbours is too near the middle.
        blurred = drawn and span.bend is None
        smooth = smoothed(goal, p["smoothing"] if p["smoothing"] is not None or blurred else 0.0, batch)
    else:
        smooth = Smoothing(Streamed.begin(large, span, batch or LARGE_BATCH), 0.0)
    size = radius(goal)
    if size < _SMALLEST:
        raise ValueError(f"the target's spread is {size:.1e}: too small for float32. Use another unit.")
    rule = DivergenceStep(p["step_share"], size) if p["step_size"] is None else ConstantStep(p["step_size"])
    low, high = (-math.inf, math.inf) if p["bounds"] is None else (float(b) for b in p["bounds"])
    check_inside(samples[:, : -fixed or None], p["bounds"])
    f = entropy(p["f"], p["alpha"])
    network = getattr(gamma, "gamma", gamma)
    settings = {
        "f": repr(f), "L": getattr(gamma, "L", slope), "gamma": _name(gamma),
        **{name: getattr(network, name, None) for name in ("width", "depth", "updates", "learning_rate")},
        **{name: p[name] for name in ("steps", "method", "step_size", "step_share", "reverse", "bounds")},
        "smoothing": smooth.weight, "batch_size": batch, "scaling": _scaling(span), "data_radius": size,
    }  # fmt: skip
    flow = Particles(rule, p["method"], low, high, fixed)
    return Plan(span, flow, Divergence(gamma, f, p["reverse"]), smooth.target, batch, settings)


def _name(gamma: Gamma) -> str:
    inner = getattr(gamma, "gamma", None)
    return type(gamma).__name__ + ("" if inner is None else f"({_name(inner)})")


def _scaling(span: Coordinates) -> str:
    if span.bend is not None:
        return "signed_log"
    return "none" if span.scale is None else "columns"


def _own_coordinates(gamma: Any) -> bool:
    return (isinstance(gamma, str) and gamma == "convolutional") or bool(getattr(gamma, "own_coordinates", False))


def coordinates(p: Parameters, samples: np.ndarray, start: np.ndarray, drawn: bool) -> Span:
    """Return the span for samples (n, d) and first positions (m, d): see `spans`, `compression`."""
    # A box, pixels, columns that may swap: all are stated in the data's own coordinates, without shift or rotation.
    if p["bounds"] is not None or _own_coordinates(p["gamma"]):
        if p["scaling"] in ("columns", "signed_log"):
            raise ValueError(f"{type(p['gamma']).__name__} needs the columns as they are: use scaling='none'.")
        return Span(np.zeros(samples.shape[1]))
    scale = None
    if p["scaling"] == "columns":
        deviations = samples.std(axis=0)
        scale = np.where(deviations > 0, deviations, 1.0)
    elif p["scaling"] == "signed_log":
        return _bent(samples, start, np.ones(samples.shape[1], bool))
    elif p["scaling"] == "auto":
        # Deviations mean nothing where there is no variance. A drawn source has no tails but the target's.
        heavy = heavy_columns(samples) if drawn else heavy_columns(samples, start)
        if heavy.any():
            return _bent(samples, start, heavy)
        scale = column_scales(samples)
    return affine_span(samples, start, scale=scale)


def _coordinates_of_file(p: Parameters, samples: np.ndarray) -> Span:
    # Rows not seen yet may leave the span of those that were: all of space, then.
    if p["bounds"] is not None or _own_coordinates(p["gamma"]):
        return Span(np.zeros(samples.shape[1]))
    everywhere = np.full(samples.shape[1], p["scaling"] == "signed_log")
    heavy = heavy_columns(samples) if p["scaling"] == "auto" else everywhere
    if heavy.any():
        bend = compression(samples, heavy)
        return Span(bend.compress(samples).mean(axis=0), None, None, bend)
    scale = column_scales(samples) if p["scaling"] == "auto" else None
    if p["scaling"] == "columns":
        scale = np.where(samples.std(axis=0) > 0, samples.std(axis=0), 1.0)
    return Span(samples.mean(axis=0), None, scale)


def _bent(samples: np.ndarray, start: np.ndarray, heavy: np.ndarray) -> Span:
    return affine_span(samples, start, bend=compression(samples, heavy))
