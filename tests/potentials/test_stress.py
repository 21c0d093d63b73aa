"""The stress of periodic cells is the finite difference of the energy by strain."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError
from sci.potentials import Particles, PeriodicPotential, periodic_stress

CELLS = {
    "cubic": np.diag([4.0, 4.0, 4.0]),
    "triclinic": np.array([[4.0, 0.3, -0.2], [1.1, 3.5, 0.4], [-0.6, 0.8, 5.0]]),
    "flat": np.diag([2.0, 9.0, 5.0]),
}
RNG = np.random.default_rng(7)
FRACTIONS = RNG.random((6, 3))
CHARGES = np.array([1.0, -1.0, 0.5, -0.7, 0.4, -0.2])


def _energy(cell: np.ndarray, charges: np.ndarray, alpha: float | None = None) -> float:
    return PeriodicPotential(Particles(FRACTIONS @ cell, charges, cell=cell), 1e-11, alpha=alpha).energy()


@pytest.mark.parametrize("net", [0.0, 0.8], ids=["neutral", "charged"])
@pytest.mark.parametrize("name", CELLS)
def test_the_stress_is_the_derivative_of_the_energy(name: str, net: float) -> None:
    cell = CELLS[name]
    charges = CHARGES + net / len(CHARGES)
    phi = PeriodicPotential(Particles(FRACTIONS @ cell, charges, cell=cell), 1e-11)
    found = periodic_stress(phi)
    step, expected = 1e-4, np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            strain = np.zeros((3, 3))
            strain[a, b] = step
            strain = 0.5 * (strain + strain.T)
            ahead, back = (_energy(cell @ (np.eye(3) + sign * strain), charges) for sign in (1, -1))
            expected[a, b] = (ahead - back) / (2 * step * phi.volume)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-8 * np.abs(expected).max())
    np.testing.assert_allclose(found, found.T, atol=1e-14)


@pytest.mark.parametrize("alpha", [0.3, 0.9])
def test_the_stress_does_not_depend_on_the_split(alpha: float) -> None:
    cell = CELLS["triclinic"]
    particles = Particles(FRACTIONS @ cell, CHARGES, cell=cell)
    one, other = (periodic_stress(PeriodicPotential(particles, 1e-11, alpha=a)) for a in (alpha, 0.6))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-9 * np.abs(one).max())


def test_the_trace_is_the_energy_by_the_theorem_of_the_virial() -> None:
    """The energy of neutral charges is homogeneous of degree -1 in lengths."""
    cell = CELLS["triclinic"]
    phi = PeriodicPotential(Particles(FRACTIONS @ cell, CHARGES, cell=cell), 1e-11)
    assert np.trace(periodic_stress(phi)) == pytest.approx(-phi.energy() / phi.volume, rel=1e-9)


def test_particles_outside_of_the_cell_make_no_difference() -> None:
    cell = CELLS["cubic"]
    inside = periodic_stress(PeriodicPotential(Particles(FRACTIONS @ cell, CHARGES, cell=cell), 1e-9))
    shifted = Particles((FRACTIONS + RNG.integers(-2, 3, (6, 3))) @ cell, CHARGES, cell=cell)
    np.testing.assert_allclose(periodic_stress(PeriodicPotential(shifted, 1e-9)), inside, rtol=1e-8, atol=1e-10)


def test_other_potentials_have_no_stress() -> None:
    with pytest.raises(DTypeError):
        periodic_stress(Particles([[0.0, 0.0, 0.0]], [1.0]))  # type: ignore[arg-type]


def test_a_stress_that_overflows_is_an_error() -> None:
    cell = Particles([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]], [1e160, -1e160], cell=np.eye(3) * 4)
    with np.errstate(all="ignore"):
        phi = PeriodicPotential(cell, tol=1e-4)
        with pytest.raises(InvalidValueError, match="overflow"):
            periodic_stress(phi)
