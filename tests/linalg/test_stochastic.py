"""Stochastic Lanczos quadrature against exact spectra, its stated errors, and the same answer over ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import ConvergenceError, DTypeError, InvalidValueError
from sci.linalg import lanczos_quadrature, log_determinant, random_signs, spectral_density, trace_of_function
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


@pytest.mark.parametrize("count", [1, 2, 3])
def test_known_traces_take_the_error_of_probes_away(count: int) -> None:
    exact, moments = np.log(SPECTRUM).sum(), [(SPECTRUM**k).sum() for k in range(1, count + 1)]
    plain = [log_determinant(BOX.matvec, BOX.size, seed=seed) for seed in range(6)]
    helped = [log_determinant(BOX.matvec, BOX.size, seed=seed, moments=moments) for seed in range(6)]
    for found in helped:
        assert abs(found.value - exact) < 5 * found.standard_error + found.truncation
    errors = [np.sqrt(np.mean([(f.value - exact) ** 2 for f in found])) for found in (plain, helped)]
    assert errors[1] < errors[0] / 1.5
    assert np.mean([f.standard_error for f in helped]) < np.mean([f.standard_error for f in plain]) / 2.5


def test_more_traces_than_steps_resolve_are_left_out() -> None:
    exact = 3 * SPECTRUM.sum()
    found = trace_of_function(BOX.matvec, BOX.size, lambda x: 3 * x, probes=2, steps=1)
    helped = lanczos_quadrature(
        BOX.matvec, BOX.size, probes=2, steps=1, moments=[SPECTRUM.sum(), (SPECTRUM**2).sum()]
    ).trace(lambda x: 3 * x)
    np.testing.assert_allclose(helped.value, exact, rtol=1e-12)
    assert abs(found.value - exact) > 1e-6 * exact


def _pencil(n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return R, M and the eigenvalues of M A, A = R'R."""
    rng = np.random.default_rng(7)
    R = rng.normal(size=(2 * n, n)) * np.linspace(0.3, 2, n)
    A = R.T @ R / n
    M = np.diag(1 / np.diag(A)) * rng.uniform(0.5, 1.5)
    return R / np.sqrt(n), M, np.sort(np.linalg.eigvals(M @ A).real)


def test_a_preconditioned_matrix_from_probes_of_its_covariance() -> None:
    R, M, values = _pencil()
    rows, columns = R.shape
    found = lanczos_quadrature(
        *(lambda v: R.T @ (R @ v), columns),
        probe=lambda k: R.T @ random_signs(np.arange(rows), 5, k),
        preconditioner=lambda v: M @ v,
        probes=20,
        steps=40,
    )
    estimate = found.log_determinant()
    assert abs(estimate.value - np.log(values).sum()) < 4 * estimate.standard_error + estimate.truncation
    assert estimate.standard_error < 0.02 * columns
    trace = found.trace(lambda x: x)
    assert abs(trace.value - values.sum()) < 4 * trace.standard_error
    x = np.linspace(0, values[-1], 50)
    assert np.abs(found.density().below(x) - np.searchsorted(values, x) / columns).max() < 0.08
    ends = found.extremes()
    assert abs(ends.largest - values[-1]) <= ends.largest_error + 1e-9 * values[-1]
    assert abs(ends.smallest - values[0]) <= ends.smallest_error + 1e-9 * values[-1]


def test_probes_in_the_complement_of_a_null_space() -> None:
    """A path graph: the constants are its null space, and the pseudo-determinant is n (matrix-tree theorem)."""
    n = 40

    def laplacian(v: Any) -> Any:
        out = 2 * v - np.roll(v, 1) - np.roll(v, -1)
        out[0], out[-1] = v[0] - v[1], v[-1] - v[-2]
        return out

    found = lanczos_quadrature(laplacian, n, project=lambda v: v - v.mean(), size=n - 1, probes=400, steps=60)
    assert found.extremes().smallest == pytest.approx(4 * np.sin(np.pi / (2 * n)) ** 2, rel=1e-9)
    estimate = found.log_determinant()
    assert abs(estimate.value - np.log(n)) < 4 * estimate.standard_error
    assert estimate.standard_error < 0.8


DECAYING = [np.geomspace(1e-5, 1, 30), 1 / np.arange(1, 101.0) ** 2]


@pytest.mark.parametrize("d", DECAYING)
@pytest.mark.parametrize("ranks", [1, 2])
def test_as_many_steps_as_eigenvalues_find_all_of_them(d: np.ndarray, ranks: int) -> None:
    """The three-term recurrence loses orthogonality long before, and its ends were off by more than their error."""
    n = len(d)

    def body(comm: ThreadComm | None) -> Any:
        own = slice(None) if comm is None else slice(comm.rank * n // 2, (comm.rank + 1) * n // 2)
        found = lanczos_quadrature(lambda v: d[own] * v, len(d[own]), steps=n, comm=comm)
        return found.extremes(), found.log_determinant(), found.trace(lambda x: 1 / x)

    for ends, determinant, inverse in [body(None)] if ranks == 1 else on_ranks(2, body):
        assert ends.condition == pytest.approx(d.max() / d.min(), rel=1e-10)
        assert abs(ends.smallest - d.min()) <= ends.smallest_error
        assert determinant.value == pytest.approx(np.log(d).sum(), rel=1e-11)
        assert inverse.value == pytest.approx((1 / d).sum(), rel=1e-10)


@pytest.mark.parametrize("d", DECAYING)
def test_the_three_term_recurrence_does_not_claim_an_end(d: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sci.linalg.stochastic._LARGEST_BASIS", 0)
    found = lanczos_quadrature(lambda v: d * v, len(d), steps=len(d))
    assert all(len(beta) == len(alpha) - 1 for alpha, beta in found.coefficients)
    ends = found.extremes()
    assert abs(ends.smallest - d.min()) <= ends.smallest_error
    assert abs(ends.condition - d.max() / d.min()) > 1e-3  # what makes the error worth telling
    assert found.log_determinant().truncation > 0


def test_a_space_that_ends_early_is_known_to_its_rounding() -> None:
    """Two eigenvalues below the limit at which a space counts as ended are not told apart."""
    d = np.array([1e-13, 2e-13, 1.0])
    ends = lanczos_quadrature(lambda v: d * v, 3, probes=2).extremes()
    assert abs(ends.smallest - 1e-13) <= ends.smallest_error


def test_signs_depend_on_the_number_alone() -> None:
    signs = random_signs(np.arange(100_000), 3, 1)
    assert set(signs) == {-1.0, 1.0}
    assert abs(signs.mean()) < 4 / np.sqrt(len(signs))
    np.testing.assert_array_equal(random_signs(np.array([[7], [99]]), 3, 1), signs[[[7], [99]]])
    assert abs((signs * random_signs(np.arange(100_000), 3, 2)).mean()) < 4 / np.sqrt(len(signs))
    assert abs((signs[1:] * signs[:-1]).mean()) < 4 / np.sqrt(len(signs))


def test_a_function_that_differs_between_ranks_is_told() -> None:
    values = np.linspace(1, 5, 40)

    def body(comm: ThreadComm) -> None:
        own = slice(20 * comm.rank, 20 * comm.rank + 20)
        with pytest.raises(InvalidValueError, match="function differs between ranks: from"):
            trace_of_function(lambda v: values[own] * v, 20, (np.log, np.sqrt)[comm.rank], steps=10, comm=comm)

        def fails(x: Any) -> Any:
            if comm.rank:
                raise InvalidValueError("no such function")
            return x

        with pytest.raises(InvalidValueError, match="no such function"):
            trace_of_function(lambda v: values[own] * v, 20, fails, steps=10, comm=comm)

    on_ranks(2, body)


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
        (lambda: spectral_density(lambda v: v, 5, seed=-1), InvalidValueError, "seed is -1"),
        (lambda: lanczos_quadrature(lambda v: v, 5, preconditioner=lambda v: v), InvalidValueError, "give probe="),
        (lambda: lanczos_quadrature(lambda v: v, 5, project=lambda v: v), InvalidValueError, "give size="),
        (lambda: lanczos_quadrature(lambda v: v, 5, size=6), InvalidValueError, "6 eigenvalues of 5 unknowns"),
        (lambda: spectral_density(lambda v: v, 5).smoothed(np.zeros(1), 0.0), InvalidValueError, "width is 0.0"),
    ],
)
def test_bad_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message), np.errstate(divide="ignore"):
        call()


@pytest.mark.parametrize("numbers", [np.array([0.5]), np.array([True]), np.array([1j])])
def test_signs_are_of_integers(numbers: np.ndarray) -> None:
    with pytest.raises(DTypeError, match="expected integers from 0 on"):
        random_signs(numbers)
    with pytest.raises(InvalidValueError, match="numbers holds -1; expected integers from 0 on"):
        random_signs(np.array([3, -1]))
