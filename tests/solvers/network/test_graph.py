"""The network of an operator is its matrix."""

from __future__ import annotations

import numpy as np
from poisson_operators import OPERATORS

from sci.solvers import PoissonOperator
from sci.solvers.network.graph import Network, network_of, whole_operator
from sci.solvers.network.hierarchy import matrix_of


def test_the_network_is_the_matrix_of_its_operator():
    rng = np.random.default_rng(1)
    mask = rng.random((5, 7, 3)) > 0.3
    cut = [rng.integers(0, 3, tuple(n + (a == axis) for a, n in enumerate(mask.shape))) / 2 for axis in range(3)]
    more = PoissonOperator(mask, (1, 2, 5), ["dirichlet", "periodic", "neumann"], coefficient=2.0, reaction=0.3)
    for A in (*OPERATORS, more, PoissonOperator(mask, boundary="neumann", face_factors=cut)):
        matrix = A.to_scipy() / A.unit
        found = matrix_of(network_of(A))
        assert abs(found - matrix).max() <= 1e-14 * abs(matrix).max()


def test_the_places_are_those_of_the_cells():
    A = OPERATORS[0]
    net = network_of(A)
    assert isinstance(net, Network)
    np.testing.assert_array_equal(net.place[1:], np.nonzero(A.mask))
    np.testing.assert_array_equal(net.place[0], 0)


def test_one_process_has_the_whole_operator():
    A = OPERATORS[-1]
    assert abs(whole_operator(A).to_scipy() - A.to_scipy()).max() == 0
