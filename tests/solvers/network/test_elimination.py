"""Elimination of chains against a direct solve."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS

from sci.problems.media import labyrinth
from sci.solvers import PoissonOperator
from sci.solvers.network.elimination import chains, eliminate
from sci.solvers.network.graph import network_of
from sci.solvers.network.hierarchy import matrix_of
from sci.solvers.network.kernels import bound


def _solve(net, f):
    rest = eliminate(net)
    f, u = f.copy(), np.zeros_like(f)
    bound("eliminate_source", rest.order, rest.near, rest.share, f, rest.order.size)()
    if rest.kept.size:
        u[rest.kept] = np.linalg.lstsq(matrix_of(rest.network).toarray(), f[rest.kept], rcond=None)[0]
    bound("eliminated_values", rest.order, rest.near, rest.share, f, u, rest.order.size)()
    return u


@pytest.mark.parametrize("A", [*OPERATORS[::3], PoissonOperator(np.ones((1, 1, 30), bool), reaction=0.1)])
def test_the_solution_is_that_of_the_whole_network(A):
    net = network_of(A)
    f = A.project(np.random.default_rng(3).normal(size=A.size))
    u = _solve(net, f)
    np.testing.assert_allclose(matrix_of(net) @ u, f, atol=1e-10 * abs(f).max() * max(1, abs(u).max()))


def test_a_tree_is_eliminated_whole():
    A = PoissonOperator(labyrinth(5), boundary="neumann", neumann_body=True)
    net = network_of(A)
    assert chains(net) > 0.9
    assert eliminate(net).network.size == 0
    f = A.project(np.random.default_rng(4).normal(size=A.size))
    np.testing.assert_allclose(matrix_of(net) @ _solve(net, f), f, atol=1e-9)


def test_nothing_is_eliminated_where_all_have_more_links():
    net = network_of(PoissonOperator(np.ones((4, 4), bool), boundary="periodic"))
    assert chains(net) == 0
    rest = eliminate(net)
    assert rest.network.size == 16
    assert rest.order.size == 0
