"""Velocity fields: the laws of their forms and networks, the flow between Gaussians, equations, paths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from proxflow.velocities.base import Frame, FreeVelocity, PotentialVelocity
from proxflow.velocities.convolutional import convolutional_field
from proxflow.velocities.dense import dense_field, gaussian_flow
from proxflow.velocities.equations import acceleration, hamilton_jacobi, laplacian
from proxflow.velocities.paths import along, carried

RNG = np.random.default_rng(0)
KEY = jax.random.key(1)
D = 16  # columns: also an image of 4 x 4
POINTS = jnp.asarray(RNG.normal(size=(20, D)), jnp.float32)


def frame(duration=2.0, d=D):
    return Frame(jnp.full(d, 0.5), jnp.float32(3.0), jnp.float32(duration))


def at_rest(d):
    """The flow of a Gaussian onto itself."""
    cloud = RNG.normal(size=(50, d))
    return gaussian_flow(cloud, cloud)


def alive(network):
    """The same network with weights large enough to bend lines."""
    return jax.tree.map(lambda w: w + 0.3 * jax.random.normal(KEY, w.shape), network)


def fields(scalar):
    flow = gaussian_flow(RNG.normal(size=(50, D)), 1 + 0.5 * RNG.normal(size=(50, D)))
    dense = dense_field(KEY, flow, 8, 2, scalar=scalar)
    return {
        "dense": dense,
        "convolutional": convolutional_field(KEY, D, 8, 2, scalar=scalar),
    }


SCALAR, VECTOR = fields(True), fields(False)
VELOCITIES = {
    **{f"potential {name}": PotentialVelocity(field, frame()) for name, field in SCALAR.items()},
    **{f"free {name}": FreeVelocity(field, frame()) for name, field in VECTOR.items()},
    "potential p = 1.5": PotentialVelocity(SCALAR["dense"], frame(), 1.5),
    "potential p = 4": PotentialVelocity(SCALAR["dense"], frame(), 4.0),
}
# Weights bent, but G left as it is.
BENT = type(SCALAR["dense"])(alive(SCALAR["dense"].network), SCALAR["dense"].gaussian, True)
every_velocity = pytest.mark.parametrize("name", VELOCITIES)


@every_velocity
def test_a_cloud_to_a_cloud_each_point_alone(name):
    velocity = VELOCITIES[name]
    found = velocity(POINTS, jnp.float32(0.7))
    assert found.shape == POINTS.shape
    assert bool(jnp.isfinite(found).all())
    np.testing.assert_allclose(velocity(POINTS[3:5], jnp.float32(0.7)), found[3:5], rtol=1e-4, atol=1e-5)


@every_velocity
def test_units_of_the_data_and_of_time_move_with_it(name):
    velocity = VELOCITIES[name]
    wide = Frame(10 * velocity.frame.centre, 10 * velocity.frame.scale, velocity.frame.duration)
    slow = Frame(velocity.frame.centre, velocity.frame.scale, 4 * velocity.frame.duration)
    here = velocity(POINTS, jnp.float32(0.7))
    kind = type(velocity)
    rest = (velocity.power,) if kind is PotentialVelocity else ()
    np.testing.assert_allclose(kind(velocity.network, wide, *rest)(10 * POINTS, 0.7), 10 * here, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(kind(velocity.network, slow, *rest)(POINTS, 2.8), here / 4, rtol=1e-3, atol=1e-4)


def test_a_potential_velocity_goes_down_its_potential():
    velocity = VELOCITIES["potential dense"]
    slopes = jax.grad(lambda x: jnp.sum(velocity.potential(x, jnp.float32(0.3))))(POINTS)
    np.testing.assert_allclose(velocity(POINTS, 0.3), -slopes, rtol=1e-5)
    bent = VELOCITIES["potential p = 4"](POINTS, jnp.float32(0.3))
    cosine = jnp.sum(-bent * slopes, axis=1) / jnp.linalg.norm(bent, axis=1) / jnp.linalg.norm(slopes, axis=1)
    np.testing.assert_allclose(cosine, 1.0, atol=1e-4)


class TestGaussianFlow:
    """The closed form between Gaussians: exact at any number of steps, and optimal."""

    FIRST = RNG.normal(size=(4000, 3)) @ np.diag([1.0, 2.0, 0.5])
    SECOND = RNG.normal(size=(4000, 3)) @ np.array([[0.5, 0.3, 0], [0, 1, 0], [0, 0, 0]]) + [3.0, 0.0, 1.0]

    def velocity(self, scalar=True):
        one = Frame(jnp.zeros(3), jnp.float32(1), jnp.float32(1))
        field = dense_field(KEY, gaussian_flow(self.FIRST, self.SECOND), 8, 1, scalar=scalar)
        still = jax.tree.map(jnp.zeros_like, field.network)
        field = type(field)(still, field.gaussian, scalar)
        return PotentialVelocity(field, one) if scalar else FreeVelocity(field, one)

    @pytest.mark.parametrize("steps", [1, 2, 7])
    def test_moments_arrive_at_any_number_of_steps(self, steps):
        ends = carried([self.velocity()], jnp.asarray(self.FIRST, jnp.float32), steps)
        assert ends.mean(axis=0) == pytest.approx(self.SECOND.mean(axis=0), abs=1e-3)
        assert np.cov(ends.T) == pytest.approx(np.cov(self.SECOND.T), abs=2e-3)

    def test_it_is_the_optimal_map(self):
        from scipy.linalg import sqrtm

        ends = carried([self.velocity()], jnp.asarray(self.FIRST, jnp.float32), 4)
        a, b = np.cov(self.FIRST.T, bias=True), np.cov(self.SECOND.T, bias=True)
        shift = self.FIRST.mean(0) - self.SECOND.mean(0)
        bures = shift @ shift + np.trace(a + b - 2 * np.real(sqrtm(sqrtm(a) @ b @ sqrtm(a))))
        assert np.mean(np.sum((ends - self.FIRST) ** 2, axis=1)) == pytest.approx(bures, rel=1e-2)

    def test_both_forms_agree(self):
        x = jnp.asarray(self.FIRST[:10], jnp.float32)
        np.testing.assert_allclose(self.velocity()(x, 0.4), self.velocity(False)(x, 0.4), rtol=1e-4, atol=1e-5)

    def test_it_obeys_both_equations(self):
        velocity, x = self.velocity(), jnp.asarray(self.FIRST[:50], jnp.float32)
        moving = x + 0.4 * velocity(x, 0.0)
        speed = float(jnp.mean(jnp.sum(velocity(moving, 0.4) ** 2, axis=1)))
        assert float(jnp.abs(acceleration(velocity, moving, jnp.float32(0.4))).max()) < 1e-3 * speed
        assert float(jnp.abs(hamilton_jacobi(velocity, moving, jnp.float32(0.4), 0.0, KEY)).max()) < 1e-3 * speed

    def test_a_source_without_extent_and_equal_clouds(self):
        flat = gaussian_flow(np.zeros((5, 2)), RNG.normal(size=(5, 2)))
        assert np.isfinite(np.asarray(flat.slope(jnp.zeros((3, 2)), jnp.float32(0.5)))).all()
        still = gaussian_flow(self.FIRST, self.FIRST)
        assert np.abs(np.asarray(still.slope(jnp.asarray(self.FIRST[:9], jnp.float32), jnp.float32(0.5)))).max() < 1e-3


def test_the_network_sees_nothing_across_a_plane():
    target = np.hstack([RNG.normal(size=(100, 2)), np.zeros((100, 2))])
    field = dense_field(KEY, at_rest(4), 8, 2, scalar=True)
    field = type(field)(alive(field.network), gaussian_flow(RNG.normal(size=(100, 4)), target), True)
    velocity = PotentialVelocity(field, Frame(jnp.zeros(4), jnp.float32(1), jnp.float32(1)))
    ends = carried([velocity], jnp.asarray(RNG.normal(size=(50, 4)), jnp.float32), 8)
    assert np.abs(ends[:, 2:]).max() < 0.02
    assert np.abs(ends[:, :2]).max() > 0.5


class TestPaths:
    VELOCITY = PotentialVelocity(BENT, frame())

    def test_solvers_agree_and_so_do_steps(self):
        exact = carried([self.VELOCITY], POINTS, None, solver="dopri8")
        assert np.abs(exact - np.asarray(POINTS)).max() > 0.3
        for solver, steps, error in (("tsit5", None, 1e-2), ("heun", 200, 2e-2), ("euler", 2000, 5e-2)):
            assert carried([self.VELOCITY], POINTS, steps, solver=solver) == pytest.approx(exact, abs=error)

    def test_backwards_undoes_forwards_also_in_a_chain(self):
        chain = [self.VELOCITY, VELOCITIES["free dense"]]
        there = carried(chain, POINTS, None, solver="tsit5")
        back = carried(chain, jnp.asarray(there), None, solver="tsit5", backwards=True)
        assert back == pytest.approx(np.asarray(POINTS), abs=2e-2)

    def test_looks_on_the_way(self):
        found = along([self.VELOCITY] * 2, POINTS, 6, 3)
        assert found.shape == (7, 20, D)
        assert np.array_equal(found[0], np.asarray(POINTS))
        assert found[-1] == pytest.approx(carried([self.VELOCITY] * 2, POINTS, 6), abs=1e-4)

    def test_noise_spreads_by_sigma_squared_t(self):
        one = Frame(jnp.zeros(2), jnp.float32(1), jnp.float32(2.0))
        still = dense_field(KEY, at_rest(2), 4, 1, scalar=False)
        still = type(still)(jax.tree.map(jnp.zeros_like, still.network), still.gaussian, False)
        ends = carried([FreeVelocity(still, one)], jnp.zeros((4000, 2)), 8, noise=0.5, key=KEY)
        assert ends.var(axis=0) == pytest.approx([0.5, 0.5], rel=0.1)  # σ² T
        with pytest.raises(ValueError, match="runs forwards"):
            carried([self.VELOCITY], POINTS, 8, noise=0.5, backwards=True)

    def test_many_points_come_in_blocks(self):
        many = jnp.asarray(RNG.normal(size=(8192 + 3, D)), jnp.float32)
        found = carried([self.VELOCITY], many, 2)
        np.testing.assert_allclose(found[-3:], carried([self.VELOCITY], many[-3:], 2), atol=1e-4)


def test_the_laplacian_is_the_trace_of_the_hessian():
    velocity = VELOCITIES["potential dense"]
    hessians = jax.vmap(jax.hessian(lambda x: velocity.potential(x[None], jnp.float32(0.3))[0]))(POINTS[:4])
    exact = jnp.trace(hessians, axis1=1, axis2=2)
    np.testing.assert_allclose(laplacian(velocity, POINTS[:4], jnp.float32(0.3), KEY), exact, rtol=1e-3, atol=1e-5)


def test_acceleration_is_the_change_of_speed_along_a_path():
    velocity = PotentialVelocity(BENT, frame())
    t, h = jnp.float32(0.5), 1e-2
    v = velocity(POINTS, t)
    ahead, behind = velocity(POINTS + h * v, t + h), velocity(POINTS - h * v, t - h)
    np.testing.assert_allclose(acceleration(velocity, POINTS, t), (ahead - behind) / (2 * h), rtol=0.05, atol=0.02)


def test_images_of_odd_sizes_and_no_images():
    assert convolutional_field(KEY, 49, 8, 1, scalar=False)(jnp.ones((2, 49)), jnp.float32(0)).shape == (2, 49)
    with pytest.raises(ValueError, match="square grey images, but there are 12"):
        convolutional_field(KEY, 12, 8, 1, scalar=True)
