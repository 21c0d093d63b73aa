"""Spectra of Poisson operators, plain and preconditioned, against dense ones; null spaces, ranks, and bad input."""

from __future__ import annotations

import sys
from typing import Any

import fake_cupy
import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import ConvergenceError, InvalidValueError, SciError
from sci.solvers import (
    FastPoisson,
    IncompleteCholesky,
    Jacobi,
    LearnedMultigrid,
    Multigrid,
    PoissonOperator,
    spectrum,
)

RNG = np.random.default_rng(6)
MASK = RNG.random((8, 7, 6)) > 0.15
OPERATORS = {
    "bodies": PoissonOperator(MASK),
    "varying": PoissonOperator(
        MASK,
        (1.0, 0.5, 2.0),
        [("dirichlet", "neumann"), "neumann", "dirichlet"],
        coefficient=1 + RNG.random(MASK.shape),
    ),
    "closed": PoissonOperator(MASK, 1.0, "neumann", neumann_body=True),
    "torus": PoissonOperator(np.ones((8, 6, 6), bool), 1.0, "periodic"),
}
PRECONDITIONERS: dict[str, Any] = {
    "none": lambda A: None,
    "jacobi": Jacobi,
    "multigrid": Multigrid,
    "ic": IncompleteCholesky,
    "mic": lambda A: IncompleteCholesky(A, modified=0.97),
    "fast": FastPoisson,
    "learned": LearnedMultigrid,
}


def _exact(A: PoissonOperator, M: Any) -> np.ndarray:
    """Return the eigenvalues of M A but those of the null space, by a dense matrix."""
    matrix = A.to_scipy().toarray()
    null = A.component_sizes.size
    if M is None:
        return np.sort(np.linalg.eigvalsh(matrix))[null:]
    product = np.stack([M.matvec(column) for column in matrix.T], axis=1)
    return np.sort(np.linalg.eigvals(product).real)[null:]


@pytest.mark.parametrize("made", PRECONDITIONERS)
@pytest.mark.parametrize("name", OPERATORS)
def test_density_ends_and_determinant_are_those_of_the_dense_matrix(name: str, made: str) -> None:
    A = OPERATORS[name]
    if made == "learned" and any(A.periodic):
        pytest.skip("needs walls")
    M = PRECONDITIONERS[made](A)
    values = _exact(A, M)
    found = spectrum(A, M, probes=10, steps=50)
    assert found.density.size == len(values)
    assert found.null_size == A.component_sizes.size
    for (value, error), exact in zip(found.extremes.pairs, (values[0], values[-1]), strict=True):
        assert abs(value - exact) <= error + 1e-3 * exact
    assert found.condition == pytest.approx(values[-1] / values[0], rel=1e-2)
    estimate = found.log_determinant
    assert abs(estimate.value - np.log(values).sum()) < 5 * estimate.standard_error + estimate.truncation + 1e-5
    width = 1e-4 * values[-1]  # of what rounding of a cycle moves
    x = np.linspace(values[0] - 1e-6, values[-1], 40)
    low, high = (np.searchsorted(values, x + shift) / len(values) for shift in (-width, width))
    below = found.density.below(x)
    assert (below > low - 0.08).all()
    assert (below < high + 0.08).all()


def test_a_large_box_by_its_known_eigenvalues() -> None:
    n = 32
    A = PoissonOperator(np.ones((n, n, n), bool))
    axis = 4 * np.sin(np.pi * np.arange(1, n + 1) / (2 * (n + 1))) ** 2
    values = np.sort((axis[:, None, None] + axis[:, None] + axis).ravel())
    found = spectrum(A)
    assert found.condition == pytest.approx(values[-1] / values[0], rel=1e-4)
    exact = np.log(values).sum()
    assert abs(found.log_determinant.value - exact) < 5e-4 * exact
    assert 0 < found.log_determinant.standard_error < 2.5e-4 * exact
    assert spectrum(A, seed=1).log_determinant.value != found.log_determinant.value


@pytest.mark.parametrize("made", ["none", "multigrid"])
@pytest.mark.parametrize("name", ["bodies", "torus"])
def test_ranks_find_what_one_process_does(name: str, made: str) -> None:
    serial = OPERATORS[name]
    expected = spectrum(serial, PRECONDITIONERS[made](serial), probes=3, steps=8)

    def body(comm: ThreadComm) -> Any:
        A = PoissonOperator(serial.mask, serial.spacing, serial.boundary, comm=comm)
        return spectrum(A, PRECONDITIONERS[made](A), probes=3, steps=8)

    tolerance = 1e-9 if made == "none" else 1e-4  # a cycle in single precision rounds otherwise on ranks
    for found in on_ranks(2, body):
        np.testing.assert_allclose(found.density.nodes, expected.density.nodes, rtol=tolerance)
        assert found.condition == pytest.approx(expected.condition, rel=tolerance)
        assert found.log_determinant.value == pytest.approx(expected.log_determinant.value, rel=tolerance, abs=1e-4)


@pytest.mark.parametrize("made", ["none", "jacobi", "multigrid", "ic"])
def test_a_device_finds_what_the_host_does(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    for settings in ({}, {"boundary": "neumann", "neumann_body": True}):
        host, device = (PoissonOperator(mask, **settings) for mask in (MASK, cupy.asarray(MASK)))
        expected, found = (spectrum(A, PRECONDITIONERS[made](A), probes=2, steps=8) for A in (host, device))
        assert found.condition == pytest.approx(expected.condition, rel=1e-4)
        assert found.log_determinant.value == pytest.approx(expected.log_determinant.value, rel=1e-4)


def test_ranks_that_disagree_are_told() -> None:
    def body(comm: ThreadComm) -> None:
        A = PoissonOperator(np.ones((8, 8), bool), comm=comm)
        with pytest.raises(SciError, match="steps differs between ranks"):
            spectrum(A, steps=5 + comm.rank)

    on_ranks(2, body)


def test_it_can_be_read() -> None:
    A = OPERATORS["closed"]
    text = repr(spectrum(A, Multigrid(A), probes=2, steps=20, name="multigrid"))
    assert "eigenvalues of multigrid A from" in text
    assert "zeros left out, condition" in text


def test_bad_input_is_named() -> None:
    A = OPERATORS["bodies"]
    with pytest.raises(InvalidValueError, match="0 probes"):
        spectrum(A, probes=0)
    with pytest.raises(InvalidValueError, match="all 1 eigenvalues are zero"):
        spectrum(PoissonOperator(np.ones((1, 1), bool), 1.0, "neumann"))
    with pytest.raises(ConvergenceError, match="positive definite M"):
        spectrum(A, lambda v: -v)
