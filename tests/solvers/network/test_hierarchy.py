"""All levels: their sizes, the damping of their steps and the inverse of the last one."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS

from sci.linalg.sparse.rows import chebyshev_weights
from sci.problems.media import balls, labyrinth, layers
from sci.solvers import Multigrid, PoissonOperator
from sci.solvers.network.coarsening import coarsen
from sci.solvers.network.graph import Network, network_of
from sci.solvers.network.hierarchy import Chains, Factored, NetworkHierarchy, direct_inverse, matrix_of


def test_the_steps_contract_every_error_in_their_interval():
    for steps, low in ((2, 0.5), (4, 0.2), (1, 1.0)):
        t = np.linspace(1e-3, 2.0, 1000)
        error = np.prod([1 - w * t for w in chebyshev_weights(low, 2.0, steps)], axis=0)
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


@pytest.mark.parametrize("halved", [False, True])
def test_the_last_inverse_is_exact_for_conductances_of_any_ratio(halved):
    c = np.where(np.indices((12, 12)).sum(0) % 2, 1e-12, 1e12)
    c[:, 3:5] = 10.0 ** np.random.default_rng(2).uniform(-12, 12, (12, 2))
    net = network_of(PoissonOperator(np.ones(c.shape, bool), boundary="neumann", coefficient=c, reaction=1e-12))
    net = coarsen(net).network if halved else net
    # A 1 = e + s holds without rounding, as no diagonal is a difference.
    inverse = direct_inverse(net)
    np.testing.assert_allclose(inverse @ net.rest, 1.0, rtol=1e-12)
    np.testing.assert_allclose(inverse, inverse.T, rtol=1e-12)


def test_two_links_between_unknowns_add_up_in_the_last_inverse():
    ends, both = np.array([0, 2, 4]), np.array([1, 1, 0, 0], np.int32)
    link, axis = np.array([1.0, 2.0, 1.0, 2.0]), np.array([0, 1, 0, 1], np.int8)
    net = Network(ends, both, link, axis, np.zeros((3, 2)), np.array([1.0, 0.0]), np.zeros((3, 2), np.int32))
    np.testing.assert_allclose(direct_inverse(net), [[1.0, 1.0], [1.0, 4 / 3]], rtol=1e-14)


def test_entries_of_the_diagonal_far_apart_ask_for_double_precision():
    reaction = np.where(np.arange(64) % 4 == 0, 1e60, 1.0).reshape(8, 8)
    mask = np.indices((8, 8)).sum(0) % 2 == 0
    A = PoissonOperator(mask, boundary="neumann", neumann_body=True, reaction=reaction)
    assert NetworkHierarchy(A).dtype == np.float64


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


def test_boxes_of_one_process_that_extend_the_grid_hold_the_same_network():
    mask = np.random.default_rng(2).random((40, 37)) > 0.1
    whole, boxed = (PoissonOperator(mask, neumann_body=True, distributed_levels=k) for k in (None, 1))
    r = np.random.default_rng(3).normal(size=whole.size)
    M, N = (Multigrid(A, coarse="network", dtype=np.float64) for A in (whole, boxed))
    np.testing.assert_allclose(N @ r, M @ r, rtol=1e-10)
