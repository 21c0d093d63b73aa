"""Stochastic Lanczos quadrature against exact spectra, its stated errors, and the same answer over ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import ConvergenceError, InvalidValueError
from sci.linalg import log_determinant, spectral_density, trace_of_function
from sci.solvers import PoissonOperator

N = 24
BOX = PoissonOperator(np.ones((N, N, N), bool))
# A face between a cell and a wall counts as one between cells: the second differences of Dirichlet's problem.
AXIS = 4 * np.sin(np.pi * np.arange(1, N + 1) / (2 * (N + 1))) ** 2
SPECTRUM = (AXIS[:, None, None] + AXIS[:, None] + AXIS).ravel()


def test_the_spectrum_of_the_box_is_known() -> None:
    """Guards the oracle: the trace and the squares of the operator's entries."""
    np.testing.assert_allclose(SPECTRUM.sum(), 6 * N**3, rtol=1e-12)
    v = np.random.default_rng(0).normal(size=N**3)
    mode = np.sin(np.pi * np.arange(1, N + 1) / (N + 1))
    wave = (mode[:, None, None] * mode[:, None] * mode).ravel()
    np.testing.assert_allclose(BOX @ wave, SPECTRUM.min() * wave, atol=1e-12)
    assert v @ (BOX @ v) < SPECTRUM.max() * (v @ v)


def test_the_log_determinant_of_a_box() -> None:
    exact = np.log(SPECTRUM).sum()
    found = log_determinant(BOX.matvec, BOX.size)
    assert abs(found.value - exact) < 4 * found.standard_error + found.truncation
    assert abs(found.value - exact) < 1e-3 * exact
    assert "10 probes" in repr(found)


def test_the_standard_error_is_the_scatter_of_seeds() -> None:
    found = [trace_of_function(BOX.matvec, BOX.size, np.sqrt, probes=5, steps=12, seed=seed) for seed in range(12)]
    scatter = np.std([f.value for f in found], ddof=1)
    assert 0.4 < np.mean([f.standard_error for f in found]) / scatter < 2.5


def test_few_steps_show_in_the_truncation() -> None:
    exact = (1 / SPECTRUM).sum()
    short, long = (trace_of_function(BOX.matvec, BOX.size, lambda x: 1 / x, steps=s) for s in (8, 60))
    assert short.truncation > 10 * long.truncation
    assert abs(short.value - exact) < 5 * (short.truncation + short.standard_error)
    assert abs(long.value - exact) < 5 * (long.truncation + long.standard_error)


def test_the_density_is_the_distribution_of_the_eigenvalues() -> None:
    found = spectral_density(BOX.matvec, BOX.size)
    x = np.linspace(0, 12, 400)
    exact = np.searchsorted(np.sort(SPECTRUM), x) / N**3
    assert np.abs(found.below(x) - exact).max() < 0.04
    np.testing.assert_allclose(found.weights.sum(), 1, rtol=1e-12)
    y = np.linspace(-3, 15, 2000)
    np.testing.assert_allclose(found.smoothed(y, 0.3).sum() * (y[1] - y[0]), 1, rtol=1e-3)
    np.testing.assert_allclose((found.smoothed(y, 0.3) * y).sum() * (y[1] - y[0]), SPECTRUM.mean(), rtol=1e-2)


@pytest.mark.parametrize("size", [2, 4])
def test_ranks_draw_the_same_probes(size: int) -> None:
    values = np.linspace(1, 5, 101)
    serial = log_determinant(lambda v: values * v, 101, probes=3, steps=20)

    def body(comm: ThreadComm) -> Any:
        own = slice(comm.rank * 101 // size, (comm.rank + 1) * 101 // size)
        return log_determinant(lambda v: values[own] * v, own.stop - own.start, probes=3, steps=20, comm=comm)

    for found in on_ranks(size, body):
        np.testing.assert_allclose(found.value, serial.value, rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-300, 1e-170, 1e160, 1e300])
def test_the_unit_of_the_matrix_does_not_matter(unit: float) -> None:
    rng = np.random.default_rng(0)
    g = rng.normal(size=(60, 60))
    matrix = g @ g.T / 60 + np.eye(60)
    plain = log_determinant(lambda v: matrix @ v, 60)
    found = log_determinant(lambda v: (matrix * unit) @ v, 60)
    np.testing.assert_allclose(found.value - 60 * np.log(unit), plain.value, rtol=1e-9)


def test_a_product_that_fails_on_one_rank_fails_on_all() -> None:
    def body(comm: ThreadComm) -> str:
        def apply(v: Any) -> Any:
            if comm.rank:
                raise InvalidValueError("a broken matrix")
            return v

        with pytest.raises(InvalidValueError, match="a broken matrix") as caught:
            log_determinant(apply, 20, comm=comm)
        return str(caught.value)

    assert on_ranks(2, body)


def test_an_exhausted_space_gives_the_exact_value() -> None:
    diagonal = np.repeat([2.0, 3.0], 5)
    found = log_determinant(lambda v: diagonal * v, 10, steps=10)
    np.testing.assert_allclose(found.value, np.log(diagonal).sum(), rtol=1e-12)
    assert found.steps == 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: log_determinant(lambda v: -v, 5), ConvergenceError, "positive definite beyond rounding"),
        (
            lambda: log_determinant(lambda v: np.append(v[:-1], 0.0), 300),
            ConvergenceError,
            "positive definite beyond rounding",
        ),
        (lambda: trace_of_function(lambda v: 0 * v, 5, lambda x: 1 / x), InvalidValueError, "function gives"),
        (lambda: spectral_density(lambda v: v, 5, probes=0), InvalidValueError, "0 probes"),
        (lambda: spectral_density(lambda v: v, 5).smoothed(np.zeros(1), 0.0), InvalidValueError, "width is 0.0"),
    ],
)
def test_bad_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message), np.errstate(divide="ignore"):
        call()
