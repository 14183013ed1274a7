"""The judgement: what a copier, a blur, noise and real data get."""

from __future__ import annotations

import numpy as np
import pytest

from proxflow.trust import judge, judge_by_halves, judge_by_trial

RNG = np.random.default_rng(0)
TRAIN, FRESH, TEST = (RNG.normal(size=(150, 6)) for _ in range(3))


def test_real_data_are_close_novel_and_as_wide():
    found = judge(RNG.normal(size=(150, 6)), TRAIN, FRESH, TEST, basis="x")
    assert abs(found.closeness - 1) < 0.1
    assert abs(found.near_copies - 0.05) < 0.08
    assert abs(found.spread - 1) < 0.15
    text = " ".join(found.sentences())
    assert "As close" in text
    assert "about as far" in text
    assert "variance" not in text


def test_a_copier_is_found_out():
    found = judge(TRAIN, TRAIN, FRESH, TEST, basis="x")
    assert found.near_copies == 1
    assert found.nearest_new == 0
    assert "nearly copy" in " ".join(found.sentences())


def test_many_near_copies_are_called_so():
    near = TRAIN + 0.2 * RNG.normal(size=TRAIN.shape)
    found = judge(near, TRAIN, FRESH, TEST, basis="x")
    assert found.nearest_new > 0.25 * found.nearest_real
    assert found.near_copies > 0.5
    assert "nearly copy" in " ".join(found.sentences())


def test_a_copier_of_tied_data_is_not_praised():
    tied = np.rint(TRAIN[:, :1])
    found = judge(tied, tied, np.rint(FRESH[:, :1]), np.rint(TEST[:, :1]), basis="x")
    assert found.near_copies == 1
    assert "cannot be measured" in " ".join(found.sentences())


def test_a_blur_is_found_out_though_w2_likes_it():
    found = judge(0.7 * RNG.normal(size=(150, 6)), TRAIN, FRESH, TEST, basis="x")
    assert found.closeness < 1.05
    assert "Narrower than the training data" in " ".join(found.sentences())


def test_what_is_left_out_is_found_out():
    far = np.eye(6)[0] * 20
    both, fresh, test = (np.r_[part, RNG.normal(size=(150, 6)) + far] for part in (TRAIN, FRESH, TEST))
    found = judge(RNG.normal(size=(300, 6)), both, fresh, test, basis="x")
    assert found.coverage < 0.6 < 0.9 < found.coverage_real
    assert "Something is left out" in " ".join(found.sentences())
    assert "Nothing seems left out" in " ".join(judge(fresh, both, fresh, test, basis="x").sentences())


def test_noise_is_not_close():
    found = judge(3 * RNG.normal(size=(150, 6)), TRAIN, FRESH, TEST, basis="x")
    text = " ".join(found.sentences())
    assert "Not there yet" in text
    assert "Wider" in text


def test_halves_average_several_splits_and_repeat_themselves():
    new = RNG.normal(size=(100, 6))
    first, again = (judge_by_halves(new, TRAIN, TEST, seed=3) for _ in range(2))
    assert first == again
    assert first.n_test == 75
    assert abs(first.closeness - 1) < 0.1


def test_a_trial_holds_out_a_quarter_and_says_when_it_is_rough():
    seen = []

    def generate(part, count):
        seen.append((len(part), count))
        return RNG.normal(size=(count, 6))

    found = judge_by_trial(TRAIN, generate, seed=0)
    assert seen == [(113, 113)]
    assert found.n_test == 37
    assert "rough" in found.sentences()[0]
    assert judge_by_trial(TRAIN[:20], generate) is None


def test_identical_fresh_and_test_samples_give_no_nan():
    found = judge(TRAIN, TRAIN, np.ones((10, 6)), np.ones((10, 6)), basis="x")
    assert found.closeness == np.inf
    assert not any(isinstance(v, float) and np.isnan(v) for v in found.to_dict().values())


@pytest.mark.parametrize("size", [1, 3])
def test_few_new_samples_can_be_judged(size):
    assert np.isfinite(judge(TRAIN[:size], TRAIN, FRESH, TEST, basis="x").closeness)
