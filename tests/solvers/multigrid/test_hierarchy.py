"""All levels of an operator, on one process and on ranks, and the dense inverse of the last one."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from poisson_operators import OPERATORS
from thread_ranks import on_ranks

from sci.errors import InvalidValueError
from sci.solvers import PoissonOperator
from sci.solvers.multigrid.hierarchy import COARSEST, Hierarchy, inverse_of_level
from sci.solvers.multigrid.level import Level


@pytest.mark.parametrize("A", OPERATORS[::3])
def test_the_dense_inverse_is_that_of_the_matrix(A):
    if A.constant:
        level, unit = Level(A.grid, A.stencil.d, None, np.float64), A.weight
    else:
        level, unit = Level(A.grid, A.stencil.d, A.stencil.offdiag, np.float64), 1.0
    matrix = A.to_scipy().toarray() / unit
    has_faces = np.diag(matrix) > 0
    expected = np.linalg.pinv(matrix[np.ix_(has_faces, has_faces)], rcond=1e-10)
    np.testing.assert_allclose(inverse_of_level(level), expected, atol=1e-8 * abs(expected).max())


def test_levels_halve_down_to_a_small_one():
    h = Hierarchy(PoissonOperator(np.ones((33, 20, 48), bool)), True, True, np.float32)
    assert [level.layout.grid_shape for level in h.levels] == [(33, 20, 48), (17, 10, 24), (9, 5, 12), (5, 3, 6)]
    assert prod(h.levels[-1].layout.lengths) <= COARSEST
    assert h.inverse.shape == (90, 90)
    assert all(level.kind is None and level.dirichlet is None for level in h.levels)
    assert h.nbytes > sum(level.d.nbytes for level in h.levels)


def test_a_periodic_axis_of_odd_length_ends_the_levels():
    h = Hierarchy(PoissonOperator(np.ones((12, 16, 8), bool), 1.0, "periodic"), True, True, np.float32)
    assert h.levels[-1].layout.grid_shape == (3, 4, 2)
    with pytest.raises(InvalidValueError, match="odd"):
        Hierarchy(PoissonOperator(np.ones((34, 34, 34), bool), 1.0, "periodic"), True, True, np.float32)


@pytest.mark.parametrize("varying", [False, True])
def test_levels_on_ranks_are_those_of_one_process(varying):
    rng = np.random.default_rng(0)
    mask = rng.random((26, 21, 23)) > 0.1
    coefficient = np.exp(rng.normal(size=mask.shape)) if varying else None
    options = {"boundary": ["neumann", ("dirichlet", "neumann"), "dirichlet"], "coefficient": coefficient}
    serial = Hierarchy(PoissonOperator(mask, neumann_body=True, **options), True, True, np.float64)

    def body(comm):
        A = PoissonOperator(mask, neumann_body=True, comm=comm, distributed_levels=1, **options)
        h = Hierarchy(A, True, True, np.float64)
        assert len(h.levels) == 2
        assert len(h.levels) - 1 + len(h.gathered) == len(serial.levels)
        for level, expected in zip(h.gathered, serial.levels[1:]):
            np.testing.assert_allclose(level.d, expected.d, rtol=1e-13)
            np.testing.assert_allclose(level.offdiag, expected.offdiag, rtol=1e-13)
        np.testing.assert_allclose(h.inverse, serial.inverse, rtol=1e-9, atol=1e-12)

    for size in (2, 3, 4):
        on_ranks(size, body)
