"""Coulomb's part: isolated and periodic, with its stress."""

from __future__ import annotations

import numpy as np
import pytest
from atom_cases import crystal, potential, slope

from sci.atomistic import Configuration
from sci.atomistic.long_range import charges_of, coulomb_energy

IONS = {"Na": 1.0, "Cl": -1.0}


def test_stress_is_the_derivative_by_strain():
    config, one = potential(charges=IONS, tol=1e-11).config, crystal()
    strain = np.diag([1.0, -0.3, 0.2])
    found = coulomb_energy(one, config)
    expected = slope(lambda t: coulomb_energy(one.strained(t * strain), config).energy) / one.volume
    assert (found.stress * strain).sum() == pytest.approx(expected, rel=1e-7)
    assert repr(found).endswith("12 charges)")


def test_no_charges_cost_nothing():
    config = potential(charges={"Na": 0.0, "Cl": 0.0}).config
    found = coulomb_energy(crystal(), config)
    assert found.energy == 0
    assert not found.forces.any()
    assert not found.stress.any()
    assert coulomb_energy(Configuration(("Na",), [[0.0, 0, 0]]), config).stress is None
    np.testing.assert_array_equal(charges_of(crystal(), potential(charges=IONS).config), [1, -1] * 6)
