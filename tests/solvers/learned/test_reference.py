"""The learned V-cycle on arrays: symmetric and positive definite whatever it has learned, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
from learned_problems import matrices, problem, random_parameters
from scipy.linalg import eigh

from sci.solvers.learned import levels as cycle_levels
from sci.solvers.learned.levels import (
    first_level,
    hierarchy,
)
from sci.solvers.learned.parameters import (
    initial_parameters,
)
from sci.solvers.learned.reference import cycle_of, vcycle, vcycle_vjp


@pytest.fixture(autouse=True)
def _three_levels(monkeypatch):
    monkeypatch.setattr(cycle_levels, "COARSEST", 12)


@pytest.mark.parametrize("scale", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("shape", [(8, 8, 8), (5, 7, 6), (1, 9, 10)])
def test_the_cycle_is_symmetric_and_positive_whatever_it_has_learned(scale, shape):
    levels = problem(shape, walls=[(False, False) if n == 1 else (True, True) for n in shape])
    m, a = matrices(levels, random_parameters(3, scale))
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


def test_the_untrained_cycle_is_close_to_the_inverse():
    levels = problem((8, 8, 8), neumann_body=0.0, walls=[(True, True)] * 3)
    m, a = matrices(levels, initial_parameters())
    spectrum = eigh(a, np.linalg.inv(m), eigvals_only=True)
    assert spectrum.max() / spectrum.min() < 1.6


def test_a_closed_box_leaves_the_constants_alone():
    levels = problem((6, 6, 6), seed=2, neumann_body=1.0, walls=[(False, False)] * 3)
    m, _ = matrices(levels, random_parameters(4, 0.3))
    assert np.abs(m - m.T).max() <= 1e-12 * np.abs(m).max()
    assert np.linalg.eigvalsh(m).min() > -1e-12


def test_gradients_of_the_cycle_agree_with_central_differences():
    levels, parameters = problem((9, 6, 7), batch=(2,)), random_parameters(5, 0.3)
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
