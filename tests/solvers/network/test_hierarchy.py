"""All levels: their sizes, the damping of their steps and the inverse of the last one."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS

from sci.problems.media import balls, labyrinth, layers
from sci.solvers import PoissonOperator
from sci.solvers.network.graph import network_of
from sci.solvers.network.hierarchy import Chains, Factored, NetworkHierarchy, chebyshev, direct_inverse, matrix_of


def test_the_steps_contract_every_error_in_their_interval():
    for steps, low in ((2, 0.5), (4, 0.2), (1, 1.0)):
        t = np.linspace(1e-3, 2.0, 1000)
        error = np.prod([1 - w * t for w in chebyshev(steps, low)], axis=0)
        assert abs(error).max() < 1
        inside = abs(error[t >= low]).max()
        x = (2 + low) / (2 - low)
        assert inside == pytest.approx(1 / np.cosh(steps * np.arccosh(x)), rel=1e-3)


@pytest.mark.parametrize("A", OPERATORS[::2])
def test_the_last_inverse_solves_whatever_its_components(A):
    net = network_of(A)
    matrix, inverse = matrix_of(net).toarray(), direct_inverse(net)
    f = A.project(np.random.default_rng(5).normal(size=A.size))
    np.testing.assert_allclose(matrix @ (inverse @ f), f, atol=1e-10)
    np.testing.assert_allclose(matrix @ Factored.of(net).solve(f), f, atol=1e-10)
    np.testing.assert_allclose(inverse, inverse.T, atol=1e-10 * abs(inverse).max())


def test_contrasts_of_a_million_million_do_not_hide_the_small_ones():
    c = np.where(np.arange(40) < 20, 1e-6, 1e6)[:, None] * np.ones((40, 5))
    net = network_of(PoissonOperator(np.ones((40, 5), bool), coefficient=c))
    f = np.ones(net.size)
    u = direct_inverse(net) @ f
    rest = f - matrix_of(net) @ u
    assert abs(rest).max() <= 1e-9


def test_splits_and_semi_coarsening_cost_few_unknowns():
    ball = NetworkHierarchy(PoissonOperator(np.ones((32,) * 3, bool), coefficient=balls(32, 1, 1e6)))
    assert sum(level.size for level in ball.levels) <= 0.2 * 32**3
    assert ball.dtype == np.float64
    layered = NetworkHierarchy(PoissonOperator(np.ones((32,) * 3, bool), coefficient=layers(32, 1e4)))
    assert sum(level.size for level in layered.levels) <= 0.35 * 32**3
    assert layered.dtype == np.float32
    assert layered.nbytes < 300 * 32**3


def test_long_mazes_are_gone_through_in_double_precision():
    A = PoissonOperator(labyrinth(8, 2), boundary="neumann", neumann_body=True)
    hierarchy = NetworkHierarchy(A)
    assert any(isinstance(level, Chains) for level in hierarchy.levels)
    assert hierarchy.dtype == np.float64
