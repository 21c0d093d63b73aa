"""Coulomb's part: isolated and periodic, with its stress."""

from __future__ import annotations

import numpy as np
import pytest
from atom_cases import crystal, potential, slope

from sci.atomistic import Configuration
from sci.atomistic.long_range import charges_of, coulomb_energy
from sci.errors import InvalidValueError
from sci.units import COULOMB

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


def test_a_slab_is_a_cell_with_much_room():
    """Two periods; three with 60 times the height, after the field of the dipole along the normal."""
    config, thick = potential(charges=IONS, tol=1e-9).config, crystal()
    slab = Configuration(thick.species, thick.positions, thick.cell, (True, False, True))
    found = coulomb_energy(slab, config)
    direction = np.random.default_rng(0).normal(size=(12, 3))

    def moved(t):
        places = slab.positions + t * direction
        return coulomb_energy(Configuration(slab.species, places, slab.cell, slab.periodic), config).energy

    assert -(found.forces * direction).sum() == pytest.approx(slope(moved), rel=1e-6)
    assert found.stress is None
    normal = np.cross(slab.cell[0], slab.cell[2])
    area, normal = np.linalg.norm(normal), normal / np.linalg.norm(normal)
    wide = Configuration(slab.species, slab.positions, np.array([slab.cell[0], 300.0 * normal, slab.cell[2]]))
    dipole = charges_of(slab, config) @ (slab.positions @ normal)
    corrected = coulomb_energy(wide, config).energy + COULOMB * 2 * np.pi * dipole**2 / (area * 300.0)
    assert found.energy == pytest.approx(corrected, rel=1e-6)
    with pytest.raises(InvalidValueError, match="one axis alone"):
        coulomb_energy(Configuration(thick.species, thick.positions, thick.cell, (True, False, False)), config)
