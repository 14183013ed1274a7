"""GammaGAN: every f both ways, seeds, files, checkpoints, groups, pictures, and trainings that go wrong."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from proxflow import GroupSort, ParticleTransport, energy_distance, oracle_ratio
from proxflow.gamma.symmetric import Group, column_permutations, rotations, sign_flip
from proxflow.gamma_gan import GammaGAN
from proxflow.generators.base import matched_gaussian
from proxflow.generators.latents import between

# One size everywhere: what is compiled once is used by most tests.
SPACE = GroupSort(L=2.0, width=16, updates=1)
TINY = GammaGAN(steps=30, width=16, depth=2, batch_size=64, updates=2, gamma=SPACE, random_state=0)
RNG = np.random.default_rng(0)
CORNERS = np.array([[2.0, 2.0], [-2.0, -2.0], [2.0, -2.0], [-2.0, 2.0]])


def corners(n, seed=0, noise=0.2):
    rng = np.random.default_rng(seed)
    return CORNERS[rng.integers(4, size=n)] + noise * rng.normal(size=(n, 2))


DATA = corners(200)


@pytest.fixture(scope="module")
def fitted():
    return quiet(clone(TINY), DATA)


def quiet(gan, data, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a short training may miss modes
        return gan.fit(data, **how)


# ---------------------------------------------------------------------- laws of the training


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("f", ["kl", "alpha", "reverse_kl", "js", "hellinger", "chi2", "ipm", "renyi"])
def test_every_divergence_trains_in_both_directions(f, reverse):
    gan = quiet(clone(TINY).set_params(f=f, reverse=reverse, steps=20), DATA)
    assert gan.n_steps_ == 20
    assert all(np.isfinite(series).all() and len(series) == 20 for series in gan.history_.values())
    assert gan.sample(7).shape == (7, 2)
    assert np.isfinite(gan.particles_).all()
    if not reverse:
        assert gan.history_["slope"].max() < 1.001 * 2.0
    assert gan.settings_["L"] == 2.0


@pytest.mark.parametrize("changes", [{"gamma": "penalty"}, {"L": float("inf")}, {"gamma": "spectral"}], ids=str)
def test_other_spaces_train_too(changes):
    gan = quiet(clone(TINY).set_params(steps=3, **({"gamma": "auto"} | changes)), DATA)
    assert np.isfinite(gan.particles_).all()


def test_training_begins_at_the_matched_gaussian():
    data = DATA @ np.array([[2.0, 1.0], [0.0, 0.5]]) + [30.0, -7.0]
    for noise in ("gaussian", "uniform", "logistic"):
        gan = quiet(clone(TINY).set_params(steps=1, learning_rate=1e-9, noise=noise, n_particles=4000), data)
        assert abs(gan.particles_.mean(axis=0) - data.mean(axis=0)).max() < 0.2
        np.testing.assert_allclose(np.cov(gan.particles_.T), np.cov(data.T), rtol=0.15)


def test_the_affine_part_has_the_moments_and_no_more_directions_than_there_are():
    points = RNG.normal(size=(50, 6)) * [3, 2, 1, 0.1, 0, 0] + 5
    for latents in (2, 6, 9):
        part = matched_gaussian(points, latents, 1.0)
        assert part.matrix.shape == (latents, 6)
        missing = np.trace(np.cov(points.T, bias=True)) - np.sum(np.asarray(part.matrix) ** 2)
        assert abs(missing) < 0.1 if latents >= 4 else 0.1 < missing < 2


def test_a_mixture_is_learned_better_than_its_matched_gaussian():
    space = GroupSort(L=8.0, width=32, updates=1)
    gan = GammaGAN(steps=500, width=32, depth=2, batch_size=128, gamma=space, learning_rate=5e-3, random_state=0)
    gan.fit(corners(1000))
    fresh, test = corners(500, 1), corners(500, 2)
    first = dict(gan.trajectory_)[0][:500]
    assert oracle_ratio(gan.sample(500), fresh, test) < 0.8 * oracle_ratio(first, fresh, test)
    assert gan.health_.ok
    assert gan.stopped_ == "all 500 steps taken"
    assert gan.history_["step_size"][-1] < 0.01 * gan.history_["step_size"][0]


def test_a_wgan_moves_a_far_cloud_back():
    from proxflow.flows.generator import Generated
    from proxflow.training import jax_key, train

    gan = quiet(clone(TINY).set_params(f="ipm", steps=200, learning_rate=0.05), DATA)
    stage = gan._stage
    begun = gan._first()
    far = begun.__class__(begun.network, begun.frame.__class__(begun.frame.centre + 20.0, begun.frame.scale))
    flow = Generated(far, stage.source, 0.05, 200.0)
    start = np.asarray(far(stage.source.points))
    run = train(flow, stage, start, jax_key(0), steps=200, callbacks=(), progress=False)
    assert np.linalg.norm(np.asarray(run.state.ends).mean(axis=0)) < 0.3 * np.linalg.norm(start.mean(axis=0))


# ---------------------------------------------------------------------- seeds, files, checkpoints


def test_the_seed_decides(fitted):
    again = quiet(clone(TINY), DATA)
    assert np.array_equal(again.particles_, fitted.particles_)
    assert np.array_equal(again.sample(5, random_state=3), fitted.sample(5, random_state=3))
    assert np.array_equal(fitted.sample(5), fitted.sample(5))
    assert not np.array_equal(fitted.sample(5, random_state=3), fitted.sample(5, random_state=4))
    other = quiet(clone(TINY).set_params(random_state=1), DATA)
    assert not np.array_equal(other.particles_, fitted.particles_)


KEPT = {
    "plain": {},
    "reverse": {"reverse": True},
    "group": {"group": sign_flip(2)},
    "no L": {"L": float("inf"), "gamma": "auto"},
    "alpha": {"noise": "uniform", "alpha": 3.0, "f": "alpha"},
}


@pytest.mark.parametrize("changes", KEPT.values(), ids=KEPT)
def test_one_file_brings_it_back(changes, tmp_path):
    gan = quiet(clone(TINY).set_params(steps=3, **changes), pd.DataFrame(DATA.astype(np.float32), columns=["a", "b"]))
    gan.save(tmp_path / "gan.npz")
    back = GammaGAN.load(tmp_path / "gan.npz")
    assert np.array_equal(back.sample(9), gan.sample(9))
    assert np.array_equal(back.particles_, gan.particles_)
    assert back.particles_.dtype == gan.particles_.dtype
    assert (back.settings_, back.health_, back.stopped_) == (gan.settings_, gan.health_, gan.stopped_)
    assert list(back.feature_names_in_) == ["a", "b"]
    np.testing.assert_allclose(back.potential_(back._stage.start[:5]), gan.potential_(gan._stage.start[:5]), rtol=1e-5)


def test_files_of_others_are_refused(fitted, tmp_path):
    ParticleTransport(steps=1, width=8).fit(DATA).save(tmp_path / "particles.npz")
    with pytest.raises(ValueError, match="not a GammaGAN"):
        GammaGAN.load(tmp_path / "particles.npz")
    fitted.save(tmp_path / "gan.npz")
    (tmp_path / "half.npz").write_bytes((tmp_path / "gan.npz").read_bytes()[:-900])
    with pytest.raises(ValueError, match="damaged"):
        GammaGAN.load(tmp_path / "half.npz")


def test_a_resumed_run_has_the_bits_of_an_unbroken_one(fitted, tmp_path):
    file = tmp_path / "run.npz"
    broken = quiet(clone(TINY).set_params(callbacks=(lambda run: run.step >= 8,)), DATA, checkpoint=file)
    assert 8 <= broken.n_steps_ < 30
    assert "callback" in broken.stopped_
    whole = quiet(clone(TINY), DATA, checkpoint=file)
    assert whole.n_steps_ == 30
    assert np.array_equal(whole.particles_, fitted.particles_)
    assert np.array_equal(whole.history_["value"], fitted.history_["value"])
    with pytest.raises(ValueError, match="another"):
        quiet(clone(TINY).set_params(learning_rate=0.5), DATA, checkpoint=file)


def test_ctrl_c_leaves_a_generator(fitted):
    def interrupt(run):
        if run.step >= 5:
            raise KeyboardInterrupt

    gan = quiet(clone(TINY).set_params(callbacks=(interrupt,)), DATA)
    assert gan.stopped_ == "interrupted" == gan.health_.stopped
    assert gan.sample(3).shape == (3, 2)


# ---------------------------------------------------------------------- latents


def test_latents_decode_row_by_row(fitted):
    z = fitted.latents(100, random_state=5)
    points = fitted.decode(z)
    assert z.shape == (100, 2)
    assert points.shape == (100, 2)
    np.testing.assert_allclose(fitted.decode(z[:3]), points[:3], atol=1e-5)
    assert np.array_equal(fitted.sample(100, random_state=5), points)
    path = fitted.interpolate(z[0], z[1], 9)
    np.testing.assert_allclose(path[[0, -1]], points[:2], atol=1e-4)


def test_gaussian_latents_turn_and_keep_their_length():
    a, b = np.array([2.0, 0.0, 0.0]), np.array([0.0, 2.0, 0.0])
    np.testing.assert_allclose(np.linalg.norm(between(a, b, 7, turning=True), axis=1), 2.0)
    np.testing.assert_allclose(between(a, b, 3, turning=False)[1], [1, 1, 0])
    np.testing.assert_allclose(between(a, 2 * a, 3, turning=True)[1], 1.5 * a)
    np.testing.assert_allclose(between(a, 0 * a, 3, turning=True)[1], 0.5 * a)


def test_snapshots_show_the_way(fitted):
    steps = [step for step, _ in fitted.trajectory_]
    assert steps[0] == 0
    assert steps[-1] == 30
    assert steps == sorted(set(steps))
    assert all(points.shape == (2000, 2) for _, points in fitted.trajectory_)
    assert np.array_equal(fitted.in_units(DATA), DATA)


# ---------------------------------------------------------------------- groups and pictures


def _moved(group, points, h):
    return np.asarray(group.orbits(np.asarray(points, np.float32))).reshape(len(group), *points.shape)[h]


@pytest.mark.parametrize("group", [sign_flip(2), column_permutations(2)], ids=["flip", "swap"])
def test_a_symmetric_generator_is_exactly_equivariant(group):
    gan = quiet(clone(TINY).set_params(group=group, steps=5), DATA)
    z = gan.latents(50, random_state=0)
    assert z.shape == (50, 3)
    assert set(z[:, -1]) == set(range(len(group)))
    elements = group.elements()
    for h, (p, s) in enumerate(elements):
        # h after u: x -> h (u x)
        after = [(tuple(q[i] for i in p), tuple(a * t[i] for a, i in zip(s, p, strict=True))) for q, t in elements]
        left = z.copy()
        left[:, -1] = [elements.index(after[int(u)]) for u in z[:, -1]]
        assert np.array_equal(gan.decode(left), _moved(group, gan.decode(z), h))
    phi = gan.potential_
    np.testing.assert_allclose(phi(_moved(group, DATA, 1)), phi(DATA.astype(np.float32)), rtol=1e-4, atol=1e-5)
    assert gan.settings_["gamma"] == "Symmetric"


def test_the_generated_law_is_invariant():
    """All elements of the same latents are a whole orbit, so that every mean over the law is one over the group."""
    group = rotations(3)
    data = np.asarray(group.orbits(RNG.normal(size=(25, 9)).astype(np.float32)) + np.float32(1.0))
    gan = quiet(clone(TINY).set_params(group=group, steps=3), data)
    z = np.repeat(gan.latents(20, random_state=1)[:, :-1], 4, axis=0)
    cloud = gan.decode(np.column_stack([z, np.tile(np.arange(4), 20)])).astype(np.float32)
    for h in range(4):
        turned = _moved(group, cloud, h)
        assert np.array_equal(turned[np.lexsort(turned.T)], cloud[np.lexsort(cloud.T)])
    many = gan.sample(4000)
    assert energy_distance(many[:2000], _moved(group, many[2000:], 1)) < 0.02
    with pytest.raises(ValueError, match="no path joins"):
        gan.interpolate(np.zeros(10), np.ones(10))
    with pytest.raises(ValueError, match="the number of a group element, 0 to 3"):
        gan.decode(np.full((2, 10), 0.5))


@pytest.mark.parametrize("image", [None, (8, 8), (4, 8, 2)])
def test_pictures(image):
    pictures = np.clip(RNG.normal(0.5, 0.2, size=(70, 64)), 0, 1)
    gan = clone(TINY).set_params(generator="convolutional", image=image, width=8, bounds=(0, 1), steps=2)
    gan = quiet(gan, pictures)
    assert gan.particles_.shape == (70, 64)
    assert gan.particles_.min() >= 0
    assert gan.particles_.max() <= 1
    assert gan.settings_["latent_dimensions"] == 64
    assert {leaf.shape[:2] for leaf in gan.generator_.network.kernels} == {(3, 3)}


def test_sides_that_do_not_double_evenly_are_cut():
    from proxflow.generators.convolutional import convolutional_network

    affine = matched_gaussian(RNG.normal(size=(20, 15 * 9)), 3, 1.0)
    network = convolutional_network(RNG, affine, 8, (15, 9, 1))
    assert network.sides == ((4, 3), (8, 5), (15, 9))
    assert network(RNG.normal(size=(2, 3)).astype(np.float32)).shape == (2, 135)


# ---------------------------------------------------------------------- what goes wrong


def test_a_training_that_diverges_is_stopped_and_says_so():
    flat = np.column_stack([DATA, 1e-3 * RNG.normal(size=(200, 5))])
    gan = clone(TINY).set_params(L=float("inf"), gamma="auto", updates=1, learning_rate=30.0, steps=500)
    with pytest.warns(RuntimeWarning, match=r"diverged|non-finite|Modes are missing"):
        gan.fit(flat)
    assert not gan.health_.ok
    assert "diverged" in gan.stopped_ or "non-finite" in gan.stopped_
    assert gan.n_steps_ < 500


def test_missing_modes_are_said():
    gan = clone(TINY).set_params(learning_rate=1e-9, steps=5)
    far = np.concatenate([DATA + 1000, DATA - 1000])  # a Gaussian comes near neither
    with pytest.warns(RuntimeWarning, match="Modes are missing"):
        gan.fit(far)
    assert gan.health_.covered < 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"f": "nothing"}, "unknown f"),
        ({"generator": "deep"}, "generator"),
        ({"noise": "pink"}, "noise"),
        ({"group": ((0, 1), (1, 0))}, r"group must be a proxflow.gamma.symmetric.Group"),
        ({"group": sign_flip(3)}, "the group moves 3 columns, but the data have 2"),
        ({"group": sign_flip(2), "scaling": "columns"}, "must stay as they are"),
        ({"generator": "convolutional"}, "no picture"),
        ({"generator": "convolutional", "image": (3, 3)}, r"no picture of shape \(3, 3\)"),
        ({"image": (1, 2)}, "generator='convolutional'"),
        ({"generator": "convolutional", "image": (1, 2, 3, 4)}, r"\(height, width\)"),
        ({"latent_dimensions": 0}, "latent_dimensions"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"potential_learning_rate": -1.0}, "potential_learning_rate"),
        ({"steps": 1.5}, "steps"),
        ({"L": -1}, "L must"),
        ({"gamma": "exact"}, "solves for its potential anew"),
        ({"scaling": "some"}, "scaling"),
        ({"bounds": (1, 0)}, "bounds"),
        ({"bounds": (0, 1)}, "outside"),
        ({"n_particles": -2}, "n_particles"),
        ({"callbacks": (3,)}, "callbacks"),
    ],
    ids=lambda part: str(part)[:50],
)
def test_bad_settings_say_what_is_wrong(changes, message):
    with pytest.raises(ValueError, match=message):
        clone(TINY).set_params(**changes).fit(DATA)


def test_bad_input_says_where(fitted):
    with pytest.raises(ValueError, match="row 3"):
        clone(TINY).fit(np.where(np.arange(400).reshape(200, 2) == 6, np.nan, DATA))
    with pytest.raises(ValueError, match="2"):
        fitted.decode(np.zeros((3, 5)))
    with pytest.raises(ValueError, match="latents"):
        fitted.decode(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="two latents"):
        fitted.interpolate(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="n must"):
        fitted.sample(0)


def test_a_group_can_be_kept_in_a_file_of_particles(tmp_path):
    from proxflow import Symmetric

    flow = ParticleTransport(
        gamma=Symmetric(GroupSort(L=1.0, width=8), Group(((0, 1), (1, 0)))), steps=2, random_state=0
    )
    flow.fit(DATA).save(tmp_path / "flow.npz")
    assert np.array_equal(ParticleTransport.load(tmp_path / "flow.npz").sample(3), flow.sample(3))
