"""Function spaces with laws of their own: the soft bound, convolutions on images, symmetries."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from laws.fits import begin, climb, double, single
from proxflow.divergences import Divergence
from proxflow.entropies import IPM
from proxflow.gamma import GroupSort, SpectralNormalised, gradients
from proxflow.gamma.convolutional import Convolutional
from proxflow.gamma.convolve import convolution_bound, convolve, convolve_back
from proxflow.gamma.penalty import GradientPenalty, between
from proxflow.gamma.symmetric import (
    Group,
    Symmetric,
    column_permutations,
    cyclic_shifts,
    flips,
    generated,
    rotations,
    sign_flip,
)

TINY = {"width": 8, "depth": 2, "updates": 10, "learning_rate": 0.02}
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 4)), 1.5 * RNG.normal(size=(20, 4)) + 1.0  # also images of 2 x 2 pixels


@jax.jit
def heights_and_slopes(potential, points):
    return potential(points), gradients(potential, points)


def steepest(potential, points):
    """The largest gradient seen, in float64."""
    with jax.enable_x64(True):
        _, slopes = heights_and_slopes(double(potential), jnp.asarray(points, jnp.float64))
    return np.linalg.norm(np.asarray(slopes), axis=1).max()


def fitted(gamma, ascents, x=X, y=Y):
    pair = Divergence(gamma, IPM())
    memory = climb(pair, single(x), single(y), begin(pair, x, y), ascents)
    return memory, gamma.potential(memory)


def gap(potential, x, y):
    """The objective of f = "ipm"."""
    return float(jnp.mean(potential(single(x))) - jnp.mean(potential(single(y))))


class TestGradientPenalty:
    LINE = RNG.normal(size=(24, 1)), RNG.normal(size=(24, 1)) + 2.0
    W1 = float(np.abs(np.sort(LINE[0], axis=0) - np.sort(LINE[1], axis=0)).mean())

    def fit(self, weight):
        return fitted(GradientPenalty(L=2.0, weight=weight, horizon=1000.0, **TINY), 100, *self.LINE)[1]

    def test_its_value_is_no_bound_and_its_slope_is_only_near_L(self):
        spread = np.sqrt(np.mean([(cloud - np.mean(self.LINE)) ** 2 for cloud in self.LINE]))
        for weight in (0.1, 0.3, 10.0):
            expected = max(1.0, self.W1 / (2 * spread * weight))  # where the fine outgrows what a slope earns
            phi = self.fit(weight)
            assert gap(phi, *self.LINE) / (2.0 * self.W1) == pytest.approx(expected, rel=0.1)
            assert steepest(phi, np.linspace(0, 2, 200)[:, None]) / 2.0 == pytest.approx(expected, rel=0.2)

    def test_the_proven_slope_is_true_and_gives_a_lower_bound_after_all(self):
        phi = self.fit(10.0)
        proven = GradientPenalty().lipschitz_bound(phi)
        assert proven > 2.0 * 1.5
        assert steepest(phi, np.linspace(-9, 9, 500)[:, None]) <= proven
        assert 0 < gap(phi, *self.LINE) * 2.0 / proven < 2.0 * self.W1

    @pytest.mark.parametrize("factor", [2.0**-20, 2.0**20])
    def test_units_that_are_powers_of_two_change_no_bit(self, factor):
        found = []
        for unit in (1.0, factor):
            _, phi = fitted(GradientPenalty(L=2.0 / unit, **TINY), 3, unit * X, unit * Y)
            found.append(np.asarray(phi(unit * single(X))))
        assert np.array_equal(*found)

    def test_units_and_origin_do_not_matter_in_float64(self):
        found = []
        with jax.enable_x64(True):
            for factor, shift in [(1.0, 0.0), (1e-6, 0.0), (1e6, 1e6)]:
                x, y = (jnp.asarray(factor * cloud + shift) for cloud in (X, Y))
                pair = Divergence(GradientPenalty(L=2.0 / factor, **TINY), IPM())
                memory = climb(pair, x, y, pair.init(jax.random.key(0), x, y), 2)
                found.append(np.asarray(pair.gamma.potential(memory)(x)))
        assert found[0].dtype == np.float64
        for other in found[1:]:
            assert other == pytest.approx(found[0], rel=1e-5, abs=1e-6)

    def test_the_points_lie_between_and_are_fresh_at_every_update(self):
        memory, _ = fitted(GradientPenalty(**TINY), 0)
        later, _ = fitted(GradientPenalty(**TINY), 1)
        again, _ = fitted(GradientPenalty(**TINY), 1)
        assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (later, again)), strict=True))
        first, second = (between(m.auxiliary, jnp.zeros((5, 3)), jnp.ones((7, 3))) for m in (memory, later))
        assert first.shape == (7, 3)
        assert np.ptp(first, axis=1).max() == 0  # on the line from one point to another
        assert 0 <= first.min() < 0.5 < first.max() <= 1
        assert not np.array_equal(first, second)


def operator(kernel, shape, stride):
    """A convolution as a matrix, one column per image with a single 1."""
    count = shape[0] * shape[1] * kernel.shape[2]
    ones = jnp.eye(count).reshape(count, *shape, kernel.shape[2])
    return np.asarray(convolve(jnp.asarray(kernel), ones, stride)).reshape(count, -1).T


# size of the kernel, stride, shape of the image, channels before and after
CONVOLUTIONS = [
    (5, 2, (8, 8), 1, 4), (5, 2, (7, 6), 3, 2), (3, 1, (5, 4), 2, 2), (4, 2, (9, 3), 1, 2), (2, 3, (7, 7), 1, 4),
    (5, 2, (1, 2), 1, 4), (1, 1, (2, 2), 3, 2),
]  # fmt: skip


class TestConvolution:
    @pytest.mark.parametrize(("size", "stride", "shape", "before", "after"), CONVOLUTIONS)
    def test_its_norm_and_derivatives_are_those_of_its_matrix(self, size, stride, shape, before, after):
        rng = np.random.default_rng(size)
        with jax.enable_x64(True):
            kernel, other = rng.normal(size=(2, size, size, before, after))
            matrix = operator(kernel, shape, stride)
            norm = np.linalg.norm(matrix, 2)
            assert convolution_bound(kernel, shape, stride) == pytest.approx(norm, rel=1e-9)
            assert norm <= convolution_bound(kernel, shape, stride, largest=0)
            assert np.linalg.norm(operator(other, shape, stride), 2) <= convolution_bound(
                other, shape, stride, largest=0
            )

            image = jnp.asarray(rng.normal(size=(3, *shape, before)))
            places = convolve(kernel, image, stride)
            assert places.shape[1:] == (-(-shape[0] // stride), -(-shape[1] // stride), after)
            slopes = rng.normal(size=places.shape)
            value, pull = jax.vjp(lambda k, v: convolve(k, v, stride), jnp.asarray(kernel), image)
            to_kernel, to_image = pull(jnp.asarray(slopes))
            assert np.asarray(value).reshape(3, -1) == pytest.approx(np.asarray(image).reshape(3, -1) @ matrix.T)
            assert np.asarray(to_image).reshape(3, -1) == pytest.approx(slopes.reshape(3, -1) @ matrix)
            assert np.array_equal(to_image, convolve_back(jnp.asarray(kernel), jnp.asarray(slopes), shape, stride))
            moved = np.asarray(convolve(jnp.asarray(other), image, stride))  # linear in the kernel as well
            assert np.sum(to_kernel * other) == pytest.approx(np.sum(moved * slopes))

    def test_without_a_matrix_it_is_a_bound_a_few_per_cent_above(self):
        kernel = RNG.normal(size=(5, 5, 1, 2))
        exact = convolution_bound(kernel, (24, 24), 2)
        assert exact < convolution_bound(kernel, (24, 24), 2, largest=0) < 1.05 * exact

    def test_the_reshaped_kernels_norm_is_another(self):
        kernel = np.ones((5, 5, 1, 1))
        reshaped = np.linalg.norm(kernel.reshape(-1, 1), 2)
        true = np.linalg.norm(operator(kernel, (16, 16), 2), 2)
        assert reshaped == pytest.approx(5)
        assert true > 2.3 * reshaped  # dividing by 5 would leave a slope of 2.3 in every layer
        assert convolution_bound(kernel, (16, 16), 2) == pytest.approx(true)


IMAGES = RNG.normal(size=(20, 54)), RNG.normal(size=(16, 54)) + 0.5
CONVOLUTIONAL = {"shape": (6, 3, 3), "channels": (4, 4), "hidden": (6,), "updates": 10}


class TestConvolutional:
    @pytest.mark.parametrize("rate", [0.005, 0.02, 1.0, 1e6])
    def test_no_slope_exceeds_the_bound_nor_the_bound_L(self, rate):
        gamma = Convolutional(L=2.0, learning_rate=rate, **CONVOLUTIONAL)
        points = np.concatenate([*IMAGES, 10 * IMAGES[0]])
        for ascents in (0, 1, 3, 30):
            _, phi = fitted(gamma, ascents, *IMAGES)
            bound = gamma.lipschitz_bound(phi)
            assert steepest(phi, points) <= bound * (1 + 1e-9)
            assert bound <= 2.0 * (1.06 if rate <= 0.02 else 1.25), ascents

    def test_the_bound_is_the_product_of_the_layers_norms(self):
        memory, phi = fitted(Convolutional(L=2.0, learning_rate=0.02, **CONVOLUTIONAL), 3, *IMAGES)
        with jax.enable_x64(True):
            first, second, *dense = (np.asarray(weight, np.float64) for weight in memory.network.weights)
            norms = [operator(first, (6, 3), 2), operator(second, (3, 2), 2), *dense]
        expected = 2.0 * np.prod([np.linalg.norm(norm, 2) for norm in norms])
        assert Convolutional(**CONVOLUTIONAL).lipschitz_bound(phi) == pytest.approx(expected)

    def test_it_climbs(self):
        gamma = Convolutional(**CONVOLUTIONAL | {"hidden": ()})
        found = [gap(fitted(gamma, n, *IMAGES)[1], *IMAGES) for n in (0, 1, 3, 10, 30)]
        assert np.all(np.diff(found) > 0)
        means = np.linalg.norm(IMAGES[0].mean(axis=0) - IMAGES[1].mean(axis=0))
        assert found[-1] > 0.3 * means

    def test_its_first_kernels_lose_no_slope(self):
        # 4 x 4 pixels, 4 channels, then 16: each block of pixels has a channel of its own
        images = single(RNG.normal(size=(9, 16)))
        gamma = Convolutional((4, 4), channels=(4, 16), hidden=())
        phi = gamma.potential(gamma.init(jax.random.key(0), images, images))
        slopes = np.linalg.norm(heights_and_slopes(phi, images)[1], axis=1)
        assert slopes == pytest.approx(1, abs=1e-5)

    def test_it_moves_with_the_data_and_keeps_types(self):
        found = []
        with jax.enable_x64(True):
            for factor, shift in [(1.0, 0.0), (1e-3, 0.0), (1e3, 1e3)]:
                x, y = (jnp.asarray(factor * cloud + shift) for cloud in IMAGES)
                pair = Divergence(Convolutional(L=2.0 / factor, **CONVOLUTIONAL), IPM())
                before = pair.init(jax.random.key(0), x, y)
                memory = climb(pair, x, y, before, 2)
                kinds = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(m)] for m in (before, memory)]
                assert kinds[0] == kinds[1]
                found.append(np.asarray(pair.gamma.potential(memory)(x)))
        assert found[0].dtype == np.float64
        for other in found[1:]:
            assert other == pytest.approx(found[0], rel=1e-5, abs=1e-6)

    def test_errors_name_the_numbers(self):
        with pytest.raises(ValueError, match=r"shape must be \(height, width\)"):
            Convolutional((8,))
        with pytest.raises(ValueError, match="shape must be"):
            Convolutional((8, 0))
        with pytest.raises(ValueError, match="channels must be even"):
            Convolutional((8, 8), channels=(4, 3))
        with pytest.raises(ValueError, match=r"hidden must be even.*got \(5,\)"):
            Convolutional((8, 8), hidden=(5,))
        with pytest.raises(ValueError, match="stride must be at least 1, got 0"):
            Convolutional((8, 8), stride=0)
        with pytest.raises(ValueError, match="have 64 numbers, but the data have 4 columns"):
            Convolutional((8, 8)).init(jax.random.key(0), single(X), single(Y))


GROUPS = {
    "column permutations": column_permutations(3),
    "cyclic shifts": cyclic_shifts(4),
    "flips": flips(2, 2),
    "rotations": rotations(2),
    "sign flip": sign_flip(4),
    "a square's, and signs": generated(rotations(2), flips(2, 2), sign_flip(4)),
}
SIZES = [6, 4, 2, 4, 2, 16]
INNER = {
    "GroupSort": GroupSort(L=2.0, **TINY),
    "spectral": SpectralNormalised(L=2.0, **TINY),
    "penalty": GradientPenalty(L=2.0, **TINY),
    "convolutional": Convolutional((2, 2), L=2.0, channels=(4,), updates=10, learning_rate=0.02),
}
CASES = [("GroupSort", group) for group in GROUPS] + [(inner, "rotations") for inner in INNER if inner != "GroupSort"]


def moved(group, points):
    """All images of the points, one element at a time."""
    for permutation, signs in group.elements():
        yield np.asarray(signs) * points[:, list(permutation)]


class TestSymmetric:
    @pytest.mark.parametrize(("inner", "group"), CASES)
    def test_potentials_are_averages_and_invariant_and_no_steeper(self, inner, group):
        group = GROUPS[group]
        gamma = Symmetric(INNER[inner], group)
        x, y = X[:, : group.columns], Y[:, : group.columns]
        _, phi = fitted(gamma, 3, x, y)
        expected = np.mean([phi.potential(single(cloud)) for cloud in moved(group, x)], axis=0)
        values, slopes = heights_and_slopes(phi, single(x))
        assert np.asarray(values) == pytest.approx(expected, abs=1e-5)
        assert np.ptp(values) > 0.1  # it is no constant
        for cloud, turned in zip(moved(group, x), moved(group, np.asarray(slopes)), strict=True):
            there, slopes_there = heights_and_slopes(phi, single(cloud))
            assert np.asarray(there) == pytest.approx(np.asarray(values), abs=2e-5)
            assert np.asarray(slopes_there) == pytest.approx(turned, abs=2e-5)
        bound = gamma.lipschitz_bound(phi)
        assert bound == INNER[inner].lipschitz_bound(phi.potential)
        assert steepest(phi, np.concatenate([x, y, 10 * x])) <= bound * (1 + 1e-9)

    def test_the_averaged_objective_climbs(self):
        gamma = Symmetric(GroupSort(L=2.0, **TINY | {"learning_rate": 0.003}), GROUPS["rotations"])
        found = [gap(fitted(gamma, ascents)[1], X, Y) for ascents in (0, 1, 3, 10, 30)]
        assert np.all(np.diff(found) > 0)

    def test_it_climbs_the_average_and_not_the_one_potential(self):
        # Odd clouds: their averages over x -> -x are equal, so nothing is to be gained, and nothing moves.
        gamma = Symmetric(GroupSort(L=2.0, **TINY), sign_flip(4))
        _, phi = fitted(gamma, 10, X, -X)
        assert gap(phi, X, -X) == pytest.approx(0, abs=1e-5)
        assert abs(gap(fitted(gamma.gamma, 10, X, -X)[1], X, -X)) > 0.1

    def test_the_trivial_group_changes_no_bit(self):
        alone, _ = fitted(INNER["GroupSort"], 3)
        memory, _ = fitted(Symmetric(INNER["GroupSort"], ((0, 1, 2, 3),)), 3)
        assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (alone, memory)), strict=True))

    def test_settings_of_the_inner_space_show_and_can_be_replaced(self):
        gamma = Symmetric(INNER["GroupSort"], ((0, 1), (1, 0)))
        assert (gamma.L, gamma.updates, gamma.on_host, gamma.own_coordinates) == (2.0, 10, False, True)
        assert eqx.tree_at(lambda g: g.L, gamma, 3.0).gamma.L == 3.0
        assert hash(gamma.group) == hash(column_permutations(2))


class TestGroups:
    @pytest.mark.parametrize(("name", "size"), list(zip(GROUPS, SIZES, strict=True)))
    def test_they_are_closed(self, name, size):
        group = GROUPS[name]
        assert len(group) == size
        point = np.arange(1.0, group.columns + 1)[None]
        reached = {tuple(cloud[0]) for cloud in moved(group, point)}
        assert len(reached) == size
        twice = {tuple(there[0]) for cloud in moved(group, point) for there in moved(group, cloud)}
        assert twice == reached

    def test_images_turn_as_numpy_turns_them(self):
        image = RNG.normal(size=(1, 3, 3, 2))
        turns = [turned.reshape(3, 3, 2) for turned in moved(rotations(3, 2), image.reshape(1, -1))]
        assert all(np.array_equal(turn, np.rot90(image[0], k)) for k, turn in enumerate(turns))
        _, flipped = moved(flips(3, 3, 2), image.reshape(1, -1))
        assert np.array_equal(flipped.reshape(3, 3, 2), image[0, :, ::-1])

    def test_the_orbits_come_element_by_element(self):
        group = GROUPS["a square's, and signs"]
        assert np.array_equal(group.orbits(single(X)), single(np.concatenate(list(moved(group, X)))))

    def test_what_is_no_group_is_refused(self):
        cases = {
            "the identity is missing": lambda: Group(((1, 0),)),
            r"make \(2, 0, 1\), which is missing. generated": lambda: Group(((0, 1, 2), (1, 2, 0))),
            r"\(0, 0\) is no permutation of 0, ..., 1": lambda: Group(((0, 1), (0, 0))),
            r"\(0, 1, 2\) is no permutation": lambda: Group(((0, 1), (0, 1, 2))),
            "an element comes twice": lambda: Group(((0, 1), (0, 1))),
            "at least one element": lambda: Group(()),
            "2 permutations but 1 rows of signs": lambda: Group(((0, 1), (1, 0)), ((1, 1),)),
            "each 1 or -1": lambda: Group(((0, 1),), ((1, 2),)),
            "with signs": lambda: Group(((0, 1), (1, 0)), ((1, 1), (1, -1))),
            "use a subgroup such as cyclic_shifts": lambda: column_permutations(7),
            "more than 1000 elements": lambda: generated((1, 0, *range(2, 8)), cyclic_shifts(8)),
            "one number of columns": lambda: generated(flips(2, 2), flips(2, 3)),
            "side must be a positive whole number, got 0": lambda: rotations(0),
            "the group moves 3 columns, but the data have 4": lambda: fitted(
                Symmetric(INNER["GroupSort"], column_permutations(3)), 0
            ),
        }
        for message, make in cases.items():
            with pytest.raises(ValueError, match=message):
                make()

    def test_generated_completes(self):
        assert set(generated((1, 0, 2, 3), (1, 2, 3, 0)).permutations) == set(itertools.permutations(range(4)))
        assert flips(2, 1) == Group(((0, 1),))
