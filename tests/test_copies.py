"""The gate against copies: what it counts, when it stops, and what it keeps."""

from __future__ import annotations

import numpy as np
import pytest

from proxflow import ParticleTransport, nearest_distance
from proxflow.copies import share_of_copies
from proxflow.data.toy import moons

RNG = np.random.default_rng(1)
TRAIN = RNG.normal(size=(200, 8))
SETTINGS = {"steps": 200, "width": 32, "smoothing": 0.0, "n_particles": 200, "random_state": 0}


def test_fresh_samples_are_seldom_near_copies_and_copies_always():
    real = nearest_distance(RNG.normal(size=(500, 8)), TRAIN)
    assert abs(share_of_copies(RNG.normal(size=(2000, 8)), TRAIN, real) - 0.05) < 0.03
    assert share_of_copies(TRAIN, TRAIN, real) == 1


def test_the_gate_stops_before_the_copies():
    free = ParticleTransport(**SETTINGS).fit(TRAIN)
    gated = ParticleTransport(**SETTINGS, max_copies=0.1).fit(TRAIN)
    real = nearest_distance(TRAIN, TRAIN, skip_self=True)
    assert share_of_copies(free.particles_, TRAIN, real) > 0.5
    assert share_of_copies(gated.particles_, TRAIN, real) <= 0.1 + 2 * np.sqrt(0.09 / 200)
    assert "near copies passed 0.1" in gated.stopped_
    assert gated.n_steps_ < free.n_steps_
    assert len(gated.history_["value"]) == gated.n_steps_
    assert gated.n_steps_ > 0
    steps, shares = zip(*gated.copies_, strict=True)
    assert steps[0] == 0
    assert shares[-1] > 0.1  # the look that stopped it
    np.testing.assert_allclose(gated.transform(gated.trajectory_[0][1]), gated.particles_, atol=1e-3)


def test_a_limit_of_one_never_stops():
    gated = ParticleTransport(**SETTINGS | {"steps": 30}, max_copies=1.0).fit(TRAIN)
    assert gated.n_steps_ == 30


def test_rows_that_come_twice_do_not_blind_the_gate():
    twice = np.repeat(TRAIN[:60], 3, axis=0)
    assert "near copies passed" in ParticleTransport(**SETTINGS, max_copies=0.1).fit(twice).stopped_


@pytest.mark.parametrize("limit", [0.0, 0.01, 1.5, "0.1", -1])
def test_a_limit_out_of_range_is_named(limit):
    with pytest.raises(ValueError, match="max_copies"):
        ParticleTransport(max_copies=limit).fit(moons(20, 0))
