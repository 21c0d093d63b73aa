"""Directions of descent: Newton's equation, the secant equation, the metric's gradient."""

from __future__ import annotations

import numpy as np
import pytest
from variational_cases import energies

from sci.errors import ConvergenceError
from sci.solvers import DoubleWell, Energy, IonGas, PLaplacian, PoissonOperator
from sci.solvers.variational.densities import has_hessian, is_split
from sci.solvers.variational.directions import LOOSEST, LOOSEST_LOCAL, LimitedMemory, Newton, SobolevDescent
from sci.solvers.variational.metric import frozen

CASES = [energy for energy in energies(3) if not energy.A.singular]


@pytest.mark.parametrize("energy", CASES, ids=repr)
def test_every_direction_goes_down(energy):
    u = np.random.default_rng(1).normal(size=energy.A.local_shape) * energy.A.mask
    gradient, metric = energy.gradient(u), frozen(energy, u)
    size = np.sqrt(energy.total(gradient, metric @ gradient))
    made = [SobolevDescent(energy, metric), LimitedMemory(energy, metric, 3)]
    if has_hessian(energy.density):
        made.append(Newton(energy, metric, is_split(energy.density)))
    for direction in made:
        d = direction(u, gradient, size, 0.0)
        assert energy.total(gradient, d) < 0
        assert not d[~energy.A.mask].any()


@pytest.mark.parametrize("energy", [e for e in CASES if has_hessian(e.density) and not is_split(e.density)], ids=repr)
def test_newton_solves_its_equation_to_what_is_asked(energy):
    u = np.random.default_rng(2).normal(size=energy.A.local_shape) * energy.A.mask
    gradient = energy.gradient(u)
    d = Newton(energy, frozen(energy, u), False)(u, gradient, 1.0, 0.0)
    asked = LOOSEST_LOCAL if energy.local else LOOSEST
    assert np.linalg.norm(energy.hessian(u)(d) + gradient) <= 1.01 * asked * np.linalg.norm(gradient)


def test_limited_memory_takes_the_last_step_to_the_last_change():
    energy = Energy(PoissonOperator(np.ones((8, 9), bool)), PLaplacian(3.0), f=np.ones((8, 9)))
    rng = np.random.default_rng(4)
    u = rng.normal(size=(8, 9))
    direction = LimitedMemory(energy, frozen(energy, u), 3)
    for _ in range(5):
        step = rng.normal(size=(8, 9))
        change = energy.gradient(u + step) - energy.gradient(u)
        direction.moved(step, change)
        np.testing.assert_allclose(direction(u, change, 1.0, 0.0), -step, atol=1e-10)
        direction._steps = 0  # the test asks more often than the memory is renewed


class _Bad:
    """A metric that is not definite: minus one."""

    def __init__(self, A):
        self.A, self.shape, self.dtype = A, A.shape, A.dtype

    def matvec(self, r):
        return -r

    __matmul__ = __call__ = matvec


@pytest.mark.parametrize("density", [PLaplacian(3.0), IonGas(np.ones((8, 9)))], ids=repr)
def test_where_the_metric_is_not_definite_the_diagonal_takes_its_place(density):
    energy = Energy(PoissonOperator(np.ones((8, 9), bool)), density, f=np.ones((8, 9)), diffusion=1.0)
    u = np.random.default_rng(5).normal(size=(8, 9))
    gradient, metric = energy.gradient(u), frozen(energy, u)
    bad = _Bad(metric.A)
    newton = Newton(energy, bad, False)
    d = newton(u, gradient, 1.0, 0.0)
    asked = LOOSEST_LOCAL if energy.local else LOOSEST
    assert np.linalg.norm(energy.hessian(u)(d) + gradient) <= 1.01 * asked * np.linalg.norm(gradient)
    for direction in (SobolevDescent(energy, bad), LimitedMemory(energy, bad, 3)):
        np.testing.assert_allclose(direction(u, gradient, 1.0, 0.0), -gradient / metric.A.diagonal)


def test_nan_in_the_hessian_is_no_sign_of_an_energy_that_is_not_convex():
    energy = Energy(PoissonOperator(np.ones((8, 9), bool)), PLaplacian(3.0), f=np.ones((8, 9)))
    u = np.random.default_rng(5).normal(size=(8, 9))
    newton = Newton(energy, frozen(energy, u), False)
    energy.density.hessian = lambda x, u, p, v, q: (0 * u, np.nan * q)
    with pytest.raises(ConvergenceError, match="tells nothing of the energy"):
        newton(u, energy.gradient(u), 1.0, 0.0)


def test_newton_without_a_splitting_names_the_energy():
    energy = Energy(PoissonOperator(np.ones((8, 9), bool), 1.0, "neumann"), DoubleWell(5.0), diffusion=1.0)
    u = np.full((8, 9), 0.1)
    with pytest.raises(ConvergenceError, match="the energy is not convex"):
        Newton(energy, frozen(energy, u), False)(u, energy.gradient(u), 1.0, 0.0)
    split = Newton(energy, frozen(energy, u), True)
    assert energy.total(energy.gradient(u), split(u, energy.gradient(u), 1.0, 0.0)) < 0
    assert split.split_steps == 1
