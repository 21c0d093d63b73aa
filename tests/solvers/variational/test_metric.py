"""The metric of a descent: the frozen coefficients, and the screened operator of a local density."""

from __future__ import annotations

import numpy as np

from sci.solvers import DoubleWell, Energy, IonGas, MinimalSurface, PLaplacian, PoissonOperator
from sci.solvers.variational.metric import frozen, lowest, screened

A = PoissonOperator(np.ones((6, 7), bool), 0.5, coefficient=np.linspace(1, 3, 42).reshape(6, 7))


def test_a_plane_has_the_coefficient_of_its_slope():
    axis = 0.5 * np.arange(-1, 7)
    values = np.broadcast_to(2 * axis[:, None], (8, 9)).copy()
    B = PoissonOperator(np.ones((6, 7), bool), 0.5)
    for density, expected in ((PLaplacian(4.0, regularization=1e-9), 4.0), (MinimalSurface(), 1 / np.sqrt(5))):
        energy = Energy(B, density, values=values)
        np.testing.assert_allclose(frozen(energy, values[B.interior]).A.coefficient, expected, rtol=1e-12)


def test_without_a_gradient_coefficients_stay_positive():
    energy = Energy(PoissonOperator(np.ones((6, 7), bool)), PLaplacian(6.0))
    found = frozen(energy, np.zeros((6, 7))).A.coefficient
    assert (found > 0).all()
    assert np.isfinite(found).all()


def test_a_local_density_screens_the_operator():
    u = np.random.default_rng(1).normal(size=(6, 7))
    energy = Energy(A, IonGas(np.full((6, 7), 3.0)), diffusion=2.0)
    M = frozen(energy, u)
    np.testing.assert_allclose(M.A.reaction, 1.5 * np.cosh(u))
    again = screened(energy, 2 * u, M)
    np.testing.assert_allclose(again.A.reaction, 1.5 * np.cosh(2 * u))
    np.testing.assert_allclose(2 * (again.A @ u), energy.hessian(2 * u)(u), rtol=1e-12)
    assert again.A.stencil.offdiag is M.A.stencil.offdiag


def test_of_a_split_density_the_convex_part_counts():
    u = np.zeros((6, 7))
    energy = Energy(A, DoubleWell(2.0), diffusion=1.0)
    assert lowest(energy, u, False) == -2.0
    assert lowest(energy, u, True) == 0.0
    np.testing.assert_allclose(frozen(energy, u + 1).A.reaction, 6.0)
