"""The setup of the learned cycle: coarse equations and levels against the same on arrays."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.solvers import PoissonOperator
from sci.solvers.learned.levels import diagonal_of, first_level, hierarchy
from sci.solvers.learned.parameters import initial_parameters
from sci.solvers.learned.setup import coarser_equation, finest_equation, make_level, smooths_twice

RNG = np.random.default_rng(8)
MASK = RNG.random((13, 18, 16)) > 0.2


def _finest(A, unit):
    if A.constant:
        return finest_equation(A.grid, A.stencil, unit, None, None)
    fluid, dirichlet = A.layout.spread(A.mask), A.layout.spread(A.dirichlet)
    return finest_equation(A.grid, A.stencil, unit, fluid, dirichlet)


@pytest.mark.parametrize("kernels", ["auto", "reference"])
@pytest.mark.parametrize("varying", [False, True])
def test_coarse_equations_are_those_of_arrays(kernels, varying):
    """Also of the same operator in the form with links."""
    A = PoissonOperator(MASK, 0.5, coefficient=np.ones(MASK.shape) if varying else None)
    levels = hierarchy(first_level(MASK, np.zeros_like(MASK), [(True, True)] * 3, np.float32))
    with sci.options(kernels=kernels):
        equation = _finest(A, 4.0)
        for expected in levels[1:3]:
            equation = coarser_equation(equation, equation.grid.coarser)
            cells = equation.layout.box_key
            assert equation.layout.lengths == expected.shape
            np.testing.assert_allclose(equation.fraction[cells], expected.fraction, rtol=1e-6)
            np.testing.assert_allclose(equation.dirichlet[cells], expected.dirichlet, rtol=1e-5, atol=1e-6)
            whole = diagonal_of(expected.offdiag, expected.dirichlet)
            np.testing.assert_allclose(equation.d[cells], whole, rtol=1e-5, atol=1e-6)
            for offdiag, exact in zip(equation.offdiag, expected.offdiag):
                near = offdiag[cells][tuple(slice(n - m, None) for n, m in zip(expected.shape, exact.shape))]
                np.testing.assert_allclose(near, exact, rtol=1e-5, atol=1e-6)


def test_the_unit_brings_every_operator_near_one():
    plain = make_level(_finest(PoissonOperator(MASK), 1.0), initial_parameters())
    small = make_level(_finest(PoissonOperator(MASK, 1e-20), 1e40), initial_parameters())
    np.testing.assert_array_equal(plain.jacobi, small.jacobi)
    varying = PoissonOperator(MASK, 1e-20, coefficient=np.full(MASK.shape, 1e-25))
    level = make_level(_finest(varying, 1e-25 * 1e40), initial_parameters())
    cells = level.layout.box_key
    np.testing.assert_allclose(level.d[cells][MASK], plain.d[cells][MASK], rtol=1e-6)


def test_an_untrained_level_has_the_weights_of_its_kind():
    level = make_level(_finest(PoissonOperator(MASK), 1.0), initial_parameters())
    assert len(level.damping) == 2
    np.testing.assert_allclose(level.interpolation, [[0.25, 0.75, 0.75, 0.25]] * 3)
    assert level.strides.tolist() == [2, 2, 2]
    assert level.correction_scale == pytest.approx(0.5)
    assert not level.jacobi[level.layout.box_key][~MASK].any()
    assert level.jacobi[level.layout.box_key][MASK].all()


def test_porous_matter_and_neumann_bodies_are_smoothed_twice():
    lengths = (16, 16, 16)
    assert smooths_twice(0.0, lengths, 100, neumann_bodies=True)
    assert not smooths_twice(0.0, lengths, 100, neumann_bodies=False)
    # Of the second level, a quarter of each face with a weight of 4 / 3.
    for faces, twice in ((90, False), (110, True)):
        assert smooths_twice(faces / 4 * 4 / 3, lengths, 100, neumann_bodies=False) == twice
