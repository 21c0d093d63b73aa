"""The discrete energy: derivatives against differences, exact changes, the library's operator, ranks, wrong input."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks
from variational_cases import Anisotropic, distributed_twin, energies

from sci.errors import ConvergenceError, DTypeError, InvalidValueError, ShapeError
from sci.solvers import DoubleWell, Energy, IonGas, PLaplacian, PoissonOperator
from sci.solvers.variational.densities import has_hessian

CASES = list(energies())


class Quadratic:
    """|p|^2 / 2, which the library has as an operator."""

    def density(self, x, u, p):
        return 0.5 * (p * p).sum(axis=0)

    def derivative(self, x, u, p):
        return 0.0, p


def _function(energy, seed, size=1.0):
    return size * np.random.default_rng(seed).normal(size=energy.A.local_shape) * energy.A.mask


@pytest.mark.parametrize("energy", CASES, ids=repr)
def test_derivatives_are_those_of_the_value(energy):
    u, d, h = _function(energy, 1), _function(energy, 2), 1e-5
    gradient = energy.gradient(u)
    difference = (energy(u + h * d) - energy(u - h * d)) / (2 * h)
    assert energy.total(gradient, d) == pytest.approx(difference, rel=1e-7, abs=1e-8)
    assert not gradient[~energy.A.mask].any()
    if has_hessian(energy.density):
        product = energy.hessian(u)
        slope = (energy.gradient(u + h * d) - energy.gradient(u - h * d)) / (2 * h)
        np.testing.assert_allclose(product(d), slope, atol=1e-7 * abs(slope).max())
        other = _function(energy, 3)
        assert energy.total(other, product(d)) == pytest.approx(energy.total(d, product(other)), rel=1e-10)


@pytest.mark.parametrize("energy", CASES, ids=repr)
def test_changes_are_exact_for_large_steps_and_small_ones(energy):
    u, d = _function(energy, 1), _function(energy, 2, 0.3)
    slope, remainder = energy.total(energy.gradient(u), d), energy.change(u, d)
    size = abs(energy(u)) + abs(slope)
    for t in (1.0, 0.1):
        assert t * slope + remainder(t) == pytest.approx(energy(u + t * d) - energy(u), abs=1e-12 * size)
    # Differences of the values lose everything at 1e-9; the remainder stays half the second derivative times t^2.
    h = 1e-4
    curvature = energy.total((energy.gradient(u + h * d) - energy.gradient(u - h * d)) / (2 * h), d)
    for t in (1e-6, 1e-9):
        assert remainder(t) == pytest.approx(0.5 * curvature * t * t, rel=1e-4)


@pytest.mark.parametrize(
    "walls", ["dirichlet", "neumann", "periodic", [("neumann", "dirichlet"), "periodic", "neumann"]]
)
def test_the_quadratic_density_is_the_operator_of_the_library(walls):
    rng = np.random.default_rng(3)
    for shape in ((9, 8), (5, 8, 6)):
        boundary = walls if isinstance(walls, str) else walls[: len(shape)]
        A = PoissonOperator(rng.random(shape) > 0.2, 0.5, boundary, neumann_body=rng.random(shape) > 0.5)
        values, u = rng.normal(size=tuple(n + 2 for n in shape)), rng.normal(size=shape) * A.mask
        found = Energy(A, Quadratic(), values=values)
        np.testing.assert_allclose(found.gradient(u), A @ u - A.boundary_source(found.values), atol=1e-12)
        assert Energy(A, Quadratic())(u) == pytest.approx(0.5 * found.total(u, A @ u), rel=1e-12)
        np.testing.assert_allclose(found.coefficient(u), 1.0, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_ranks_give_what_one_gives(size):
    serial = [energy for energy in CASES if energy.A.ndim == 3]

    def compare(comm):
        for energy in serial:
            twin, own = distributed_twin(energy, comm, 1)
            u, d = _function(energy, 1), _function(energy, 2)
            assert twin(u[own]) == pytest.approx(energy(u), rel=1e-12)
            expected = energy.gradient(u)
            np.testing.assert_allclose(twin.gradient(u[own]), expected[own], atol=1e-11 * abs(expected).max())
            assert twin.change(u[own], d[own])(0.5) == pytest.approx(energy.change(u, d)(0.5), rel=1e-11)
            np.testing.assert_allclose(twin.coefficient(u[own]), energy.coefficient(u)[own], rtol=1e-10)
            if has_hessian(energy.density):
                product = energy.hessian(u)(d)
                np.testing.assert_allclose(twin.hessian(u[own])(d[own]), product[own], atol=1e-11 * abs(product).max())

    on_ranks(size, compare)


def test_points_are_the_centers_of_the_cells():
    seen = []

    class Seen(Quadratic):
        def density(self, x, u, p):
            seen.append(np.broadcast_arrays(*x))
            return super().density(x, u, p)

    A = PoissonOperator(np.ones((4, 3), bool), (0.5, 2.0))
    Energy(A, Seen(), origin=(10.0, 20.0))(np.zeros((4, 3)))
    assert seen[0][0][1:-1, 1].tolist() == [10.0, 10.5, 11.0, 11.5]
    assert Energy(A, DoubleWell(1.0), diffusion=1.0).points[1].ravel().tolist() == [1.0, 3.0, 5.0]


def test_nan_and_wrong_shapes_are_errors_by_name():
    A = PoissonOperator(np.ones((5, 6), bool))

    class Spoiled(Quadratic):
        def density(self, x, u, p):
            return np.where(u > 0.5, np.nan, 1.0)

        def derivative(self, x, u, p):
            return np.where(u > 0.5, np.nan, 0.0), p

    u = np.zeros((5, 6))
    u[2, 3] = 1.0
    for call in (Energy(A, Spoiled()), Energy(A, Spoiled()).gradient):
        with pytest.raises(ConvergenceError, match=r"of Spoiled is NaN in cell \("):
            call(u)

    class Short(Quadratic):
        def density(self, x, u, p):
            return u[1:]

        def derivative(self, x, u, p):
            return u, p[0]

    with pytest.raises(ShapeError, match="density returned shape"):
        Energy(A, Short())(u)
    with pytest.raises(ShapeError, match="derivative returned shape"):
        Energy(A, Short()).gradient(u)
    with pytest.raises(ShapeError, match="u has shape"):
        Energy(A, PLaplacian(3.0))(u[1:])
    with pytest.raises(ShapeError, match="strength"):
        Energy(A, IonGas(np.ones((4, 4))), diffusion=1.0)(u)


@pytest.mark.parametrize(
    ("density", "options", "error", "match"),
    [
        (DoubleWell, {}, DTypeError, "is the class DoubleWell"),
        (object(), {}, DTypeError, "expected an EnergyDensity"),
        (DoubleWell(1.0), {}, InvalidValueError, "diffusion is 0"),
        (PLaplacian(2.0), {"diffusion": -1.0}, InvalidValueError, "diffusion is -1"),
        (PLaplacian(2.0), {"f": np.ones((2, 2))}, ShapeError, "f has shape"),
        (PLaplacian(2.0), {"f": np.full((5, 6), np.inf)}, InvalidValueError, "f"),
        (PLaplacian(2.0), {"values": np.ones((5, 6))}, ShapeError, "values has shape"),
        (PLaplacian(2.0), {"origin": (1.0,)}, InvalidValueError, "origin"),
    ],
)
def test_wrong_arguments_are_refused(density, options, error, match):
    with pytest.raises(error, match=match):
        Energy(PoissonOperator(np.ones((5, 6), bool)), density, **options)


def test_repr_and_the_case_without_a_symmetry():
    energy = next(e for e in CASES if isinstance(e.density, Anisotropic))
    assert "cells" in repr(energy)
