"""The vector space of padded arrays: products over ranks, and the null space."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS
from thread_ranks import on_ranks

from sci.solvers import PoissonOperator


@pytest.mark.parametrize("A", OPERATORS[::2])
def test_quadratic_form_and_product(A):
    x = np.random.default_rng(0).normal(size=A.size)
    u = A.layout.spread(A.expand(x))
    expected = A.to_scipy() @ x
    assert A.space.local_quadratic_form(u) == pytest.approx(x @ expected)
    out = A.layout.zeros(np, float)
    A.space.apply(u, out)
    np.testing.assert_allclose(A.compress(A.layout.cells(out)), expected, atol=1e-12 * abs(expected).max())


@pytest.mark.parametrize("A", [A for A in OPERATORS if A.singular])
def test_projection_in_place_is_that_of_the_operator(A):
    x = np.random.default_rng(0).normal(size=A.local_shape) * A.mask
    padded = A.layout.spread(x)
    A.space.project(padded)
    np.testing.assert_allclose(A.layout.cells(padded), A.project(x), atol=1e-14)
    assert A.space.singular


def test_parts_of_ranks_add_up():
    mask = np.random.default_rng(1).random((13, 14, 15)) > 0.1
    x = np.random.default_rng(2).normal(size=mask.shape) * mask
    serial = PoissonOperator(mask, 0.5, "neumann", neumann_body=True)
    expected = float((x * serial.apply(x)).sum())

    def body(comm):
        A = PoissonOperator(mask, 0.5, "neumann", neumann_body=True, comm=comm)
        total = A.grid.total(A.space.local_quadratic_form(A.layout.spread(x[A.slices])))
        assert total == pytest.approx(expected)
        np.testing.assert_allclose(A.apply(x[A.slices]), serial.apply(x)[A.slices], atol=1e-13)
        assert A.space.size == serial.size

    for size in (2, 4):
        on_ranks(size, body)
