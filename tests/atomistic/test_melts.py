"""Molten salt: exact derivatives, and a lattice energy that is known."""

from __future__ import annotations

import numpy as np
import pytest
from atom_cases import slope

from sci.atomistic import Configuration, ionic_melt, salt_energy
from sci.errors import InvalidValueError

MELT = ionic_melt(4, 3, between=3, start=5, seed=2)


def test_forces_and_stress_are_derivatives():
    one = MELT[1]
    direction = np.random.default_rng(0).normal(size=one.positions.shape)

    def moved(t):
        places = one.positions + t * direction
        return salt_energy(Configuration(one.species, places, one.cell), tol=1e-11).energy

    exact = salt_energy(one, tol=1e-11)
    assert -(exact.forces * direction).sum() == pytest.approx(slope(moved), rel=1e-7)
    np.testing.assert_allclose(one.forces, exact.forces, atol=1e-6)
    strain = np.array([[1.0, 0.3, 0], [0.3, -0.5, 0.2], [0, 0.2, 0.1]])
    expected = slope(lambda t: salt_energy(one.strained(t * strain), tol=1e-11).energy) / one.volume
    assert (exact.stress * strain).sum() == pytest.approx(expected, rel=1e-7)


def test_configurations_depend_on_the_seed_and_have_the_density():
    again = ionic_melt(4, 3, between=3, start=5, seed=2)
    np.testing.assert_array_equal(again[2].positions, MELT[2].positions)
    assert (ionic_melt(4, 1, start=1, seed=3)[0].positions != MELT[0].positions).any()
    assert 4 * 58.443 / 0.602214076 / MELT[0].volume == pytest.approx(1.5)
    assert MELT[0].charges.sum() == 0
    assert len(ionic_melt(2, 2, between=1, start=0)) == 2


def test_refusals():
    for options, words in (({"pairs": 0}, "pairs is 0"), ({"density": -1.0}, "density"), ({"start": -1}, "start")):
        with pytest.raises(InvalidValueError, match=words):
            ionic_melt(**{"pairs": 2, "configurations": 1, **options})
    with pytest.raises(InvalidValueError, match="species K"):
        salt_energy(Configuration(["K"], [[0.0, 0, 0]], np.eye(3)))
    with pytest.raises(InvalidValueError, match=r"ions 0 and 1 .* 0\.5 angstrom apart"):
        salt_energy(Configuration(["Na", "Cl"], [[0.0, 0, 0], [0.5, 0, 0]], 9 * np.eye(3)))
    with pytest.raises(InvalidValueError, match="has no volume"):
        salt_energy(Configuration(["Na", "Cl"], [[0.0, 0, 0], [2.5, 0, 0]]))
