"""The learned V-cycle on arrays: symmetric and positive definite whatever it has learned, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigh

from sci.errors import InvalidValueError, ShapeError
from sci.problems.masks import insulating_part, random_bodies, random_mask, stress_masks
from sci.problems.random_fields import multiscale_random_fields
from sci.solvers import PoissonOperator
from sci.solvers.learned import levels as cycle_levels
from sci.solvers.learned.levels import (
    Level,
    apply_links,
    diagonal_of,
    first_level,
    hierarchy,
    restrict,
    upsample,
)
from sci.solvers.learned.parameters import (
    KINDS,
    LARGEST,
    check_parameters,
    consistent_gain,
    gain_vjp,
    initial_parameters,
    modulations,
    weights,
    weights_vjp,
)
from sci.solvers.learned.reference import cycle_of, vcycle, vcycle_vjp
from sci.solvers.learned.training import condition_gradients, krylov, train_cycle

WALLS = [(True, True), (True, False), (False, True)]


@pytest.fixture(autouse=True)
def _three_levels(monkeypatch):
    monkeypatch.setattr(cycle_levels, "COARSEST", 12)


def _problem(shape, seed=0, batch=(), insulating=0.5, walls=WALLS) -> list[Level]:
    rng = np.random.default_rng(seed)
    fluid = rng.random((*batch, *shape)) > 0.25
    return hierarchy(first_level(fluid, ~fluid & (rng.random(fluid.shape) < insulating), walls, np.float64))


def _parameters(seed: int, scale: float):
    rng = np.random.default_rng(seed)
    return {name: np.array(v + scale * rng.normal(size=v.shape)) for name, v in initial_parameters().items()}


def _matrices(levels, parameters):
    """M and A over the unknowns, dense."""
    cycle, inside = cycle_of(levels, parameters), levels[0].fraction.reshape(-1) > 0
    units = np.eye(inside.size)[inside].reshape(-1, *levels[0].shape)
    both = (vcycle(cycle, units)[0], cycle.stages[0].apply(units))
    m, a = (columns.reshape(len(units), -1)[:, inside] for columns in both)
    return m, a


def test_the_first_level_is_the_operator():
    rng = np.random.default_rng(1)
    fluid = rng.random((5, 6, 4)) > 0.3
    insulating = ~fluid & (rng.random(fluid.shape) > 0.5)
    boundary = ["dirichlet", ("dirichlet", "neumann"), ("neumann", "dirichlet")]
    A = PoissonOperator(fluid, boundary=boundary, body=insulating)
    level = first_level(fluid, insulating, WALLS, np.float64)
    x = rng.normal(size=fluid.shape) * fluid
    np.testing.assert_allclose(
        apply_links(level.links, diagonal_of(level.links, level.dirichlet), x), A @ x, atol=1e-14
    )


def test_coarse_links_carry_the_flux_of_a_linear_field():
    """In an empty box every link is 1 on every level, and a Dirichlet wall half a fine cell away."""
    levels = hierarchy(first_level(np.ones((16, 16, 16), bool), np.zeros((16,) * 3, bool), [(True, True)] * 3, float))
    assert [level.shape for level in levels] == [(16,) * 3, (8,) * 3, (4,) * 3, (2,) * 3]
    for level in levels:
        assert all((link == 1).all() for link in level.links)
        corner = level.dirichlet[0, 0, 0]
        assert corner == pytest.approx(3 * 2 / (1 + 0.5**level.depth))
        assert (level.fraction == 1).all()


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_restriction_is_the_transpose_of_interpolation(n):
    rng = np.random.default_rng(n)
    for axis in (-3, -2, -1):
        shape = [3, 4, 2]
        shape[axis] = (n + 1) // 2
        coarse = rng.normal(size=(2, *shape))
        shape[axis] = n
        fine = rng.normal(size=(2, *shape))
        left, right = np.vdot(upsample(coarse, axis, n, 0.2), fine), np.vdot(coarse, restrict(fine, axis, 0.2))
        assert left == pytest.approx(right, rel=1e-13)


@pytest.mark.parametrize("scale", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("shape", [(8, 8, 8), (5, 7, 6), (1, 9, 10)])
def test_the_cycle_is_symmetric_and_positive_whatever_it_has_learned(scale, shape):
    levels = _problem(shape, walls=[(False, False) if n == 1 else (True, True) for n in shape])
    m, a = _matrices(levels, _parameters(3, scale))
    assert np.abs(m - m.T).max() <= 1e-12 * np.abs(m).max()
    covered = np.diag(a) > 0  # not a cell that is closed on all sides
    m = m[np.ix_(covered, covered)]
    assert np.linalg.eigvalsh(m).min() > 0


def test_a_surface_that_cuts_coarse_cells_keeps_its_place():
    """In the plane between two Dirichlet planes the coarse diagonal is two fluxes over the distances to them."""
    fluid = np.zeros((16, 8, 8), bool)
    fluid[:11] = True  # the last coarse cells are half full
    level = hierarchy(first_level(fluid, np.zeros_like(fluid), [(True, True)] + [(False, False)] * 2, np.float64))[1]
    stage = cycle_of([level], initial_parameters()).stages[0]
    assert stage.diagonal[5, 1, 1] == pytest.approx(1 + 4 * 0.5 + 1 / 0.25)
    assert stage.diagonal[0, 1, 1] == pytest.approx(1 + 4 + 1 / 0.75)


@pytest.mark.parametrize("n", [9, 16])
def test_interpolation_keeps_constants_beside_neumann_surfaces(n):
    """With the linear tap everywhere but beside Dirichlet walls."""
    fluid, insulating = np.ones((n, 12, 12), bool), np.zeros((n, 12, 12), bool)
    fluid[4:8, :6, :4] = False
    insulating[4:8, :6, :4] = True
    levels = hierarchy(first_level(fluid, insulating, [(False, True), (False, False), (False, False)], np.float64))
    stage = cycle_of(levels, initial_parameters()).stages[0]
    ones = stage.transfer * stage.interpolate((levels[1].fraction > 0).astype(float))
    inner = np.s_[:-2]
    np.testing.assert_allclose(ones[inner], fluid[inner], atol=1e-14)


def test_the_untrained_cycle_is_close_to_the_inverse():
    levels = _problem((8, 8, 8), insulating=0.0, walls=[(True, True)] * 3)
    m, a = _matrices(levels, initial_parameters())
    spectrum = eigh(a, np.linalg.inv(m), eigvals_only=True)
    assert spectrum.max() / spectrum.min() < 1.6


def test_a_closed_box_leaves_the_constants_alone():
    levels = _problem((6, 6, 6), seed=2, insulating=1.0, walls=[(False, False)] * 3)
    m, _ = _matrices(levels, _parameters(4, 0.3))
    assert np.abs(m - m.T).max() <= 1e-12 * np.abs(m).max()
    assert np.linalg.eigvalsh(m).min() > -1e-12


def test_steps_contract_for_any_parameters():
    t = np.linspace(1e-3, LARGEST, 400)
    for seed in range(20):
        parameters = _parameters(seed, 4.0)
        for kind in range(KINDS):
            polynomial = np.prod([1 - w * t for w in weights(parameters, kind)], axis=0)
            assert np.abs(polynomial).max() < 1


def test_gradients_of_the_weights():
    parameters = _parameters(1, 0.5)
    dweights = np.array([0.3, -1.1, 0.7, 0.2])
    found = weights_vjp(dweights, parameters, 1)
    for name, gradient in zip(("center", "spread"), found):
        for k in range(2):
            values = []
            for h in (1e-6, -1e-6):
                moved = {**parameters, f"level1.{name}": parameters[f"level1.{name}"] + h * np.eye(2)[k]}
                values.append(dweights @ np.array(weights(moved, 1)))
            assert gradient[k] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6)


def test_gradients_of_the_cycle_agree_with_central_differences():
    levels, parameters = _problem((9, 6, 7), batch=(2,)), _parameters(5, 0.3)
    rng = np.random.default_rng(6)
    r, dz = (rng.normal(size=levels[0].fraction.shape) * levels[0].fraction for _ in range(2))
    z, kept = vcycle(cycle_of(levels, parameters), r)
    dr, gradients = vcycle_vjp(cycle_of(levels, parameters), dz, kept, parameters)
    np.testing.assert_allclose(dr, vcycle(cycle_of(levels, parameters), dz)[0], atol=1e-12 * np.abs(dr).max())
    assert np.vdot(dz, z) == pytest.approx(np.vdot(dr, r), rel=1e-12)
    for name, gradient in gradients.items():
        direction = rng.normal(size=gradient.shape)
        values = []
        for h in (1e-5, -1e-5):
            moved = {**parameters, name: np.array(parameters[name] + h * direction)}
            values.append(np.vdot(dz, vcycle(cycle_of(levels, moved), r)[0]))
        expected = (values[0] - values[1]) / 2e-5
        assert np.vdot(gradient, direction) == pytest.approx(expected, rel=1e-6, abs=1e-8 * np.abs(z).max()), name


def test_the_loss_is_the_condition_number_and_its_gradients_those_of_it():
    """Against the spectrum of dense matrices; the vectors count as given, so the partial derivative is whole."""
    levels, parameters = _problem((6, 6, 7), seed=9, walls=[(True, True)] * 3), _parameters(5, 0.3)

    def condition(at):
        m, a = _matrices(levels, at)
        spectrum = eigh(a, np.linalg.inv(m), eigvals_only=True)
        return np.log(spectrum.max() / spectrum.min())

    e = np.random.default_rng(7).normal(size=(1, 6, 6, 7)) * levels[0].fraction
    directions, projected = krylov(cycle_of(levels, parameters), e, 4)
    Az = [cycle_of(levels, parameters).stages[0].apply(z) for z in directions]
    np.testing.assert_allclose(projected[0], [[np.vdot(y, z) for z in directions] for y in Az], atol=1e-12)
    loss, gradients = condition_gradients(cycle_of(levels, parameters), e, parameters, steps=40)
    assert loss == pytest.approx(condition(parameters), rel=1e-8)
    for name in ("level0.w2", "level0.spread", "level1.b1", "level0.gain"):
        direction = np.random.default_rng(8).normal(size=gradients[name].shape)
        ahead, behind = (condition({**parameters, name: parameters[name] + h * direction}) for h in (1e-5, -1e-5))
        assert np.vdot(gradients[name], direction) == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-8), name


def test_the_consistent_gain():
    """A smooth field keeps its size in the open; the gradients are those of the network through the gain."""
    parameters = _parameters(4, 0.5)
    parameters["level2.gain"] = consistent_gain(parameters, 2)
    share = modulations(parameters, 2, np.array([[1.0, 0, 1, 1, 0, 1]]))[0][0, 1]
    assert np.exp(parameters["level2.gain"]) * share**2 == pytest.approx(1, rel=1e-14)
    gradients = {name: np.zeros_like(value) for name, value in parameters.items()}
    gradients["level2.gain"] = np.array(1.0)
    gain_vjp(gradients, parameters, 2)
    assert gradients["level2.gain"] == 0
    for name in ("level2.w1", "level2.b2"):
        direction = np.random.default_rng(3).normal(size=parameters[name].shape)
        moved = ({**parameters, name: parameters[name] + h * direction} for h in (1e-6, -1e-6))
        ahead, behind = (consistent_gain(at, 2) for at in moved)
        assert np.vdot(gradients[name], direction) == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


def test_training_repeats_and_learns():
    losses: list[float] = []
    first = train_cycle((8, 12), steps=12, seed=3, callback=lambda step, loss: losses.append(loss))
    again = train_cycle((8, 12), steps=12, seed=3)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert np.mean(losses[6:]) < np.mean(losses[:6])
    with pytest.raises(InvalidValueError, match="sizes"):
        train_cycle((4,))


def test_parameters_are_checked():
    good = initial_parameters()
    assert set(check_parameters(good)) == set(good)
    with pytest.raises(InvalidValueError, match="missing or unknown"):
        check_parameters({name: v for name, v in good.items() if name != "level0.tap"})
    with pytest.raises(ShapeError, match=r"level0\.b1"):
        check_parameters({**good, "level0.b1": np.zeros(3)})
    with pytest.raises(InvalidValueError, match="NaN"):
        check_parameters({**good, "level0.tap": np.array(np.nan)})


def test_masks_and_errors():
    rng = np.random.default_rng(0)
    for _ in range(16):
        for make in (random_bodies, random_mask):
            fluid = make(16, rng)
            assert fluid.shape == (16,) * 3
            assert fluid.dtype == bool
            assert fluid.any()
            assert not (insulating_part(fluid, rng) & fluid).any()
    masks = stress_masks(16)
    assert len(masks) == 6
    assert 0.55 < masks["40 % random cells"].mean() < 0.65
    e = multiscale_random_fields(12, 3, rng)
    assert e.shape == (3, 12, 12, 12)
    assert e.dtype == np.float32
    assert np.isfinite(e).all()
