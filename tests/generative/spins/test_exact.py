"""Transfer matrices, enumeration, Kaufman and Onsager agree to rounding."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.generative import (
    IsingModel,
    PottsModel,
    enumerate_states,
    kaufman_log_z,
    onsager,
    sample_spins,
    transfer_matrix,
)


@pytest.mark.parametrize(
    "model",
    [
        *(IsingModel(shape, 0.3, 0.1) for shape in ((2,), (7,), (2, 2), (3, 3), (2, 5), (4, 4), (2, 2, 3))),
        *(IsingModel((3, 4), -0.4, 0.2), PottsModel((3, 3), 3, 0.5, 0.1), PottsModel((2, 2, 2), 3, 0.5, -0.1)),
    ],
    ids=repr,
)
def test_transfer_matrices_are_sums_over_all_states(model: IsingModel | PottsModel) -> None:
    found, expected = transfer_matrix(model, beta=0.9), enumerate_states(model, beta=0.9)
    for name in ("log_z", "energy", "magnetization", "free_energy"):
        assert abs(getattr(found, name) - getattr(expected, name)) < 1e-12 * max(1, abs(getattr(expected, name)))


def test_means_are_derivatives_of_log_z() -> None:
    step = 1e-5

    def log_z(beta: float = 0.8, field: float = 0.1) -> float:
        return transfer_matrix(IsingModel((3, 6), 0.4, field), beta=beta).log_z

    found = transfer_matrix(IsingModel((3, 6), 0.4, 0.1), beta=0.8)
    assert found.energy == pytest.approx(-(log_z(0.8 + step) - log_z(0.8 - step)) / (2 * step), rel=1e-8)
    slope = (log_z(field=0.1 + step) - log_z(field=0.1 - step)) / (2 * step)
    assert found.magnetization == pytest.approx(slope / (0.8 * 18), rel=1e-8)


def test_the_torus_of_the_authors_of_marginalization_models() -> None:
    """Every bond once; half the coupling, which counts each bond of their matrix once too few, is another number."""
    assert transfer_matrix(IsingModel((10, 10), 0.2, 0.2)).log_z == pytest.approx(78.6881, abs=5e-5)
    assert transfer_matrix(IsingModel((10, 10), 0.1, 0.2)).log_z == pytest.approx(73.3881, abs=5e-5)


@pytest.mark.parametrize(
    ("a", "b", "coupling"), [(2, 2, 0.3), (5, 7, 0.2), (7, 5, 0.2), (6, 9, 0.6), (8, 8, 0.4406868)]
)
def test_the_solution_of_kaufman_is_the_transfer_matrix(a: int, b: int, coupling: float) -> None:
    expected = transfer_matrix(IsingModel((a, b), coupling)).log_z
    assert kaufman_log_z(a, b, coupling) == pytest.approx(expected, rel=1e-12 if coupling != 0.4406868 else 1e-9)


@pytest.mark.parametrize("coupling", [0.3, 0.42, 0.6])
def test_the_solution_of_onsager_is_the_limit_of_large_tori(coupling: float) -> None:
    """Below the critical temperature a torus has two signs: log 2 in all."""
    found, step = onsager(coupling), 1e-4
    extra = np.log(2) if coupling > 0.4407 else 0.0
    assert (kaufman_log_z(256, 256, coupling) - extra) / 256**2 == pytest.approx(found.log_z, abs=2e-9)
    slope = (onsager(coupling + step).log_z - onsager(coupling - step).log_z) / (2 * step)
    assert found.energy == pytest.approx(-coupling * slope, rel=1e-6)


def test_the_spontaneous_magnetization_begins_at_the_critical_coupling() -> None:
    critical = 0.5 * np.log(1 + np.sqrt(2))
    assert onsager(critical - 1e-9).magnetization == 0
    assert onsager(critical + 1e-3).magnetization == pytest.approx(0.59, abs=0.02)
    assert onsager(critical).energy == pytest.approx(-np.sqrt(2) * critical, rel=1e-6)


def test_what_is_too_large_or_no_number_is_refused() -> None:
    for call, text in (
        (lambda: enumerate_states(IsingModel((5, 5))), r"2\^25 states to enumerate"),
        (lambda: transfer_matrix(IsingModel((13, 13))), r"2\^13 states in a cross-section"),
        (lambda: transfer_matrix(IsingModel((3, 3)), beta=-1.0), "beta is -1.0"),
        (lambda: kaufman_log_z(3, 3, 0.0), "J > 0"),
        (lambda: onsager(-0.1), "expected a positive number"),
    ):
        with pytest.raises(InvalidValueError, match=text):
            call()


def test_cold_strips_do_not_overflow() -> None:
    found = transfer_matrix(IsingModel((4, 300), 50.0, 1.0))
    assert found.log_z == pytest.approx(1200 * 101.0, rel=1e-14)
    assert found.magnetization == pytest.approx(1.0)


def test_frustrated_lattices_that_are_too_cold_are_refused() -> None:
    """An odd ring of an antiferromagnet has a bond that is not satisfied, of a weight that underflows."""
    ring = IsingModel((5,), -1.0, 0.2)
    assert transfer_matrix(ring, beta=200.0).energy == pytest.approx(enumerate_states(ring, beta=200.0).energy)
    assert transfer_matrix(ring, beta=200.0).log_z == pytest.approx(enumerate_states(ring, beta=200.0).log_z)
    with pytest.raises(InvalidValueError, match="not representable"):
        transfer_matrix(ring, beta=500.0)


def test_energies_that_overflow_are_refused() -> None:
    for exact in (transfer_matrix, enumerate_states, sample_spins):
        with pytest.raises(InvalidValueError, match=r"beta is 1e\+308"):
            exact(IsingModel((2, 2), 1.0, 0.1), beta=1e308)
    with pytest.raises(InvalidValueError, match=r"at most 1e\+100"):
        IsingModel((2, 2), 1e308)
    for formula in (lambda: onsager(400.0), lambda: kaufman_log_z(4, 4, 400.0)):
        with pytest.raises(InvalidValueError, match="at most 350"):
            formula()
