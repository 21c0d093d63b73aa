"""Random vectors of a Poisson operator: their covariance, the same on ranks, and traces against the matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.solvers import PoissonOperator
from sci.solvers.poisson.probes import cell_signs, face_divergence, traces

RNG = np.random.default_rng(3)
BODIES = RNG.random((6, 8, 4)) > 0.2
OPERATORS: dict[str, Any] = {
    "box": lambda comm: PoissonOperator(np.ones((5, 6), bool), comm=comm),
    "bodies": lambda comm: PoissonOperator(
        BODIES,
        (1.0, 0.5, 2.0),
        [("dirichlet", "neumann"), "periodic", "dirichlet"],
        coefficient=1 + np.arange(192.0).reshape(6, 8, 4),
        comm=comm,
    ),
    "torus": lambda comm: PoissonOperator(
        np.ones((2, 6, 4), bool), 1.0, ["periodic", "neumann", "periodic"], comm=comm
    ),
    "closed": lambda comm: PoissonOperator(BODIES, 1.0, "neumann", neumann_body=True, comm=comm),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_traces_are_those_of_the_matrix(name: str) -> None:
    A = OPERATORS[name](None)
    matrix = A.to_scipy().toarray()
    np.testing.assert_allclose(traces(A), (np.trace(matrix), (matrix**2).sum()), rtol=1e-13)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_divergence_has_the_covariance_of_the_operator(name: str) -> None:
    """Its square in any direction is right on average, and no vector has a part in the null space."""
    A, n = OPERATORS[name](None), 1500
    vectors = np.stack([face_divergence(A, 1, k) for k in range(n)])
    matrix = A.to_scipy().toarray()
    scale = np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
    np.testing.assert_array_less(np.abs(vectors.T @ vectors / n - matrix), 6 / np.sqrt(n) * scale + 1e-12)
    np.testing.assert_allclose(A.project(vectors[0]), vectors[0], atol=1e-12 * np.abs(vectors[0]).max())


def test_one_dimension_by_hand() -> None:
    """Three cells in a row between walls: four faces, each vector a difference of their signs."""
    A = PoissonOperator(np.ones((3, 1), bool), 1.0, ["dirichlet", "neumann"])
    for k in range(8):
        r = face_divergence(A, 0, k)
        inner = [abs(r.sum()) in (0, 2), set(np.abs(r)) <= {0.0, 2.0}]
        assert all(inner)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("name", OPERATORS)
def test_ranks_draw_the_vectors_of_one_process(name: str, size: int) -> None:
    serial = OPERATORS[name](None)
    expected = [serial.expand(make(serial, 5, 2)) for make in (cell_signs, face_divergence)]

    def body(comm: ThreadComm) -> Any:
        A = OPERATORS[name](comm)
        own = [A.expand(make(A, 5, 2)) for make in (cell_signs, face_divergence)]
        return A.slices, own, traces(A)

    for slices, own, found in on_ranks(size, body):
        for one, whole in zip(own, expected, strict=True):
            np.testing.assert_allclose(one, whole[slices], rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(found, traces(serial), rtol=1e-13)
