"""The loop: chunks, resuming, stopping, and what survives an interruption."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from proxflow import Divergence, GroupSort, Particles, Stopping, evolution, evolve
from proxflow.flows import ConstantStep
from proxflow.flows.steps import FisherStep
from proxflow.targets import LocalMixture, Padded, even_rows, nearest_neighbours
from proxflow.thinning import kept_steps

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def clouds():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 2)) + 3, rng.normal(size=(20, 2))


FLOW = Particles()
PAIR = Divergence(GroupSort(L=1.0, width=8, depth=1, updates=2))


def points(run):
    return np.asarray(run.state.points)


def same(first, second):
    assert (points(first) == points(second)).all()
    for name, series in first.history.items():
        np.testing.assert_array_equal(series, second.history[name])


def test_the_length_of_chunks_changes_nothing(clouds):
    runs = [evolve(FLOW, PAIR, *clouds, steps=23, key=KEY, chunk=chunk) for chunk in (1, 7, 50)]
    same(runs[0], runs[1])
    same(runs[0], runs[2])
    assert all(len(series) == 23 for series in runs[0].history.values())


def test_a_resumed_run_is_an_unbroken_one(clouds):
    source, samples = clouds
    samples = np.asarray(samples, np.float32)
    target = LocalMixture(jax.device_put(samples), jax.device_put(samples[nearest_neighbours(samples)[1]]), 0.5)
    whole = evolve(FLOW, PAIR, source, target, steps=20, key=KEY)
    half = evolve(FLOW, PAIR, source, target, steps=9, key=KEY)
    assert half.step == 9
    resumed = evolve(FLOW, PAIR, source, target, steps=20, resume=half)
    same(whole, resumed)
    assert resumed.step == 20


def test_chunks_of_any_length_share_one_compilation(clouds):
    evolution._chunk.clear_cache()
    evolve(FLOW, PAIR, *clouds, steps=60, key=KEY, chunk=10)  # chunks of 1, 1, ..., 10, and a shorter last one
    evolve(FLOW, PAIR, *clouds, steps=37, key=KEY, chunk=10)
    assert evolution._chunk._cache_size() == 1


def test_another_L_or_learning_rate_compiles_nothing_new(clouds):
    evolution._chunk.clear_cache()
    for slope in (1.0, 2.0):
        pair = Divergence(GroupSort(L=slope, width=8, depth=1, updates=2, learning_rate=slope / 100))
        evolve(FLOW, pair, *clouds, steps=3, key=KEY)
    assert evolution._chunk._cache_size() == 1


def test_callbacks_see_the_start_and_can_stop(clouds):
    seen = []

    def watch(run):
        seen.append(run.step)
        return run.step >= 3

    run = evolve(FLOW, PAIR, *clouds, steps=50, key=KEY, callbacks=[watch])
    assert seen == [0, 1, 2, 3]
    assert run.step == 3
    assert run.stopped == "a callback asked to stop"


def test_a_callback_can_stop_before_the_first_step(clouds):
    run = evolve(FLOW, PAIR, *clouds, steps=50, key=KEY, callbacks=[lambda run: True])
    assert run.step == 0
    assert run.stopped == "a callback asked to stop"


def test_interrupt_keeps_the_last_whole_chunk(clouds):
    def interrupt(run):
        if run.step == 2:
            raise KeyboardInterrupt

    run = evolve(FLOW, PAIR, *clouds, steps=50, key=KEY, callbacks=[interrupt])
    assert run.stopped == "interrupted"
    assert run.step == 2
    same(run, evolve(FLOW, PAIR, *clouds, steps=2, key=KEY))


def test_non_finite_numbers_name_the_step_and_keep_the_state_before(clouds):
    wild = Particles(ConstantStep(3e38))
    pair = Divergence(GroupSort(L=100.0, width=8, depth=1, updates=2))
    run = evolve(wild, pair, *clouds, steps=50, key=KEY)
    assert run.stopped == "non-finite numbers at step 1 (particles); kept the state after step 0"
    assert (points(run) == np.asarray(clouds[0], np.float32)).all()


class _Explodes(ConstantStep):
    """A step that is far too long from the 30th on: in the middle of a chunk."""

    def __call__(self, value, fisher, slope, index):
        return jax.numpy.where(index < 29, self.size, 3e38)


def test_a_run_that_breaks_in_the_middle_of_a_chunk_keeps_every_sound_step(clouds):
    pair = Divergence(GroupSort(L=100.0, width=8, depth=1, updates=2))
    run = evolve(Particles(_Explodes(1e-4)), pair, *clouds, steps=50, key=KEY)
    assert run.stopped == "non-finite numbers at step 30 (particles); kept the state after step 29"
    same(run, evolve(Particles(_Explodes(1e-4)), pair, *clouds, steps=29, key=KEY))


def test_stopping_rules():
    flat = {"value": np.full(40, 1.0), "fisher": np.full(40, 1.0)}
    falling = {"value": np.geomspace(1, 1e-3, 40), "fisher": np.full(40, 1.0)}
    spent = {"value": falling["value"], "fisher": np.geomspace(1, 1e-6, 40)}
    rule = Stopping(fisher=1e-4, stalled=20)
    assert "stalled" in rule.verdict(flat)
    assert rule.verdict(falling) is None
    assert "Fisher" in rule.verdict(spent)
    assert Stopping(fisher=0, stalled=0).verdict(flat) is None
    assert rule.verdict({k: v[:30] for k, v in flat.items()}) is None  # too early to tell


def test_a_run_stops_when_it_stalls(clouds):
    still = Particles(ConstantStep(0.0))
    run = evolve(still, PAIR, *clouds, steps=2000, key=KEY, stopping=Stopping(stalled=30))
    assert "stalled" in run.stopped
    assert run.step < 2000


def test_recorded_potentials_are_one_per_step(clouds):
    for method, stages in (("euler", 1), ("heun", 2)):
        run = evolve(Particles(method=method), PAIR, *clouds, steps=11, key=KEY, record=True)
        counts = [len(jax.tree.leaves(stack)[0]) for stack in run.potentials]
        assert sum(counts) == 11
        assert all(len(stack) == stages for stack in run.potentials)


def test_thinned_potentials_are_those_of_the_steps_that_are_kept(clouds):
    all_of_them = evolve(FLOW, PAIR, *clouds, steps=11, key=KEY, record=1).potentials
    thinned = evolve(FLOW, PAIR, *clouds, steps=11, key=KEY, record=400).potentials
    every, some = (np.concatenate([jax.tree.leaves(stack)[0] for stack in stacks]) for stacks in (all_of_them, thinned))
    assert 1 < len(some) < 11
    np.testing.assert_array_equal(some, every[kept_steps(400, 11)])


def test_all_steps_taken_says_so(clouds):
    assert evolve(FLOW, PAIR, *clouds, steps=2, key=KEY).stopped == "all 2 steps taken"


def test_an_interrupt_before_the_first_step_keeps_the_source(clouds):
    def interrupt(run):
        raise KeyboardInterrupt

    run = evolve(FLOW, PAIR, *clouds, steps=50, key=KEY, callbacks=[interrupt])
    assert run.stopped == "interrupted"
    assert run.step == 0
    assert (points(run) == np.asarray(clouds[0], np.float32)).all()


# ---------------------------------------------------------------------- drivers, riders and padding


@pytest.mark.parametrize(("count", "size"), [(1, 7), (5, 5), (7, 20), (64, 64), (100, 30), (130, 256)])
def test_even_rows_take_each_row_as_often_as_the_others_or_once_more(count, size):
    for seed in range(5):
        rows = np.asarray(even_rows(jax.random.key(seed), count, size))
        times = np.bincount(rows, minlength=count)
        assert len(rows) == size
        assert len(times) == count
        assert set(times) <= {size // count, size // count + (size % count > 0)}


def test_even_rows_are_fair_on_average():
    keys = jax.random.split(jax.random.key(0), 2000)
    rows = np.asarray(jax.vmap(lambda key: even_rows(key, 7, 10))(keys))
    np.testing.assert_allclose(np.bincount(rows.ravel(), minlength=7) / rows.size, 1 / 7, rtol=0.05)


def test_a_padded_target_draws_its_first_points_only(clouds):
    samples = np.asarray(clouds[1], np.float32)
    target = Padded(jax.device_put(np.concatenate([samples, np.full((12, 2), 99.0, np.float32)])), np.int32(20), 50)
    drawn = np.asarray(target.draw(KEY))
    assert drawn.shape == (50, 2)
    times = (drawn[:, None] == samples).all(axis=2).sum(axis=0)
    assert times.sum() == 50
    assert set(times) == {2, 3}
    assert (np.asarray(target.draw(jax.random.key(1))) != drawn).any()


def test_a_padded_run_equals_an_unpadded_one_in_law(clouds):
    source, samples = (np.asarray(cloud, np.float32) for cloud in clouds)
    pair = Divergence(GroupSort(L=1.0, width=8, depth=1, updates=2))
    flow = Particles(FisherStep(1.0, 0.1), driving=np.int32(30))
    again = np.concatenate([source, source[:2]])
    target = Padded(jax.device_put(np.concatenate([samples, samples[:12]])), np.int32(20), 32)
    plain, means = evolve(Particles(flow.rule), pair, source, samples, steps=20, key=KEY), []
    for seed in range(4):
        run = evolve(flow, pair, again, target, steps=20, key=jax.random.key(seed), driving=30, batch=32)
        np.testing.assert_allclose(points(run)[30:], points(run)[:2], atol=1e-5)  # copies go where their originals go
        means.append(points(run)[:30].mean(axis=0))
    way = points(plain).mean(axis=0) - source.mean(axis=0)
    assert np.linalg.norm(way) > 1.5
    assert np.linalg.norm(np.mean(means, axis=0) - points(plain).mean(axis=0)) < 0.1 * np.linalg.norm(way)


def test_riders_are_unseen(clouds):
    source, samples = clouds
    flow = Particles(FisherStep(1.0, 0.1), driving=np.int32(20))
    far = np.concatenate([source[:20], 100 + source[20:]])
    runs = [evolve(flow, PAIR, cloud, samples, steps=9, key=KEY, driving=20) for cloud in (source, far)]
    assert (points(runs[0])[:20] == points(runs[1])[:20]).all()
    np.testing.assert_array_equal(runs[0].history["fisher"], runs[1].history["fisher"])
    np.testing.assert_array_equal(runs[0].history["slope"], runs[1].history["slope"])
    assert (points(runs[0])[20:] != source[20:].astype(np.float32)).all()
    seen = evolve(flow, PAIR, source, samples, steps=9, key=KEY)
    assert (points(seen)[:20] != points(runs[0])[:20]).any()


def test_another_number_of_drivers_compiles_nothing_new(clouds):
    evolution._chunk.clear_cache()
    for count in (10, 20):
        evolve(FLOW, PAIR, *clouds, steps=3, key=KEY, driving=count, batch=16)
    assert evolution._chunk._cache_size() == 1
