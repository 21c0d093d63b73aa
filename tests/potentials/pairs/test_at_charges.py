"""Energies and forces at charges: each pair once, equal to charges times the potential at their places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sci.errors import ToleranceWarning
from sci.potentials import Particles, PeriodicPotential, RangeSeparatedPotential, Yukawa
from sci.potentials.pairs.pair_sum import sums_within

RNG = np.random.default_rng(12)
POSITIONS = 14.0 * RNG.random((220, 3))
CHARGES = RNG.normal(size=220)
CHARGES[7] = 0.0
CELL = np.array([[14.0, 0.0, 0.0], [3.0, 13.0, 0.0], [-2.0, 5.0, 12.0]])

BUILT = {
    "isolated": lambda tol: RangeSeparatedPotential(Particles(POSITIONS, CHARGES), tol, accuracy="forces"),
    "screened": lambda tol: RangeSeparatedPotential(Particles(POSITIONS, CHARGES), tol, kernel=Yukawa(0.3)),
    "periodic": lambda tol: PeriodicPotential(Particles(POSITIONS, CHARGES, cell=CELL), tol),
}


@pytest.mark.parametrize("tol", [1e-3, 1e-8])
@pytest.mark.parametrize("name", BUILT)
def test_energy_and_forces_are_charges_times_the_potential_at_their_places(name, tol):
    phi = BUILT[name](tol)
    values = phi.evaluate(POSITIONS, gradient=True)
    energy, forces = phi.energy_and_forces()
    expected = -CHARGES[:, None] * values[:, 1:]
    assert np.linalg.norm(forces - expected) <= 0.1 * tol * np.linalg.norm(expected)
    assert energy == pytest.approx(0.5 * CHARGES @ values[:, 0], abs=0.1 * tol * np.abs(CHARGES * values[:, 0]).sum())
    assert phi.energy() == pytest.approx(energy, abs=0.1 * tol * np.abs(CHARGES * values[:, 0]).sum())
    np.testing.assert_array_equal(phi.forces(), forces)
    assert not forces[7].any()


@pytest.mark.parametrize("name", ["isolated", "periodic"])
def test_measured_errors_of_forces_are_those_of_the_pairs_that_forces_sum(name, monkeypatch):
    assert BUILT[name](1e-4).measured_error("forces").relative <= 1e-4

    def worse(*arguments, **options):
        found = sums_within(*arguments, **options)
        return found if found.fields is None else replace(found, fields=1.01 * found.fields)

    phi = BUILT[name](1e-4)
    monkeypatch.setattr("sci.potentials.pairs.at_charges.sums_within", worse)
    with pytest.warns(ToleranceWarning):
        assert phi.measured_error("forces").relative == pytest.approx(0.01, rel=0.3)


def test_sums_at_charges_are_in_the_order_of_the_rows_and_right_at_charges_of_zero():
    phi = BUILT["periodic"](1e-8)
    rows = np.array([5, 200, 7, 0])
    found = phi.sums_at(rows, gradient=True)
    expected = phi.evaluate(POSITIONS[rows], gradient=True)
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_allclose(phi.sums_at(rows, gradient=False), found[:, :1], rtol=1e-12)
