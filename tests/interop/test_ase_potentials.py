"""The calculator of trained potentials against ASE itself, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces

from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration
from sci.errors import DTypeError, InvalidValueError
from sci.interop.ase import LearnedPotential
from sci.units import COULOMB

POTENTIAL = AtomisticPotential(
    AtomisticConfig(["Na", "Cl"], 4.0, channels=3, n_radial=4, charges={"Na": 1.0, "Cl": -1.0}, tol=1e-9), seed=1
)


def test_a_trained_potential_has_forces_and_a_stress() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.positions += 0.1 * np.random.default_rng(0).normal(size=atoms.positions.shape)
    shear = np.eye(3) + 0.1 * np.array([[1.0, 0.5, 0.2], [0.0, -0.3, 0.4], [0.0, 0.0, 0.6]])
    atoms.set_cell(np.array(atoms.cell) @ shear, scale_atoms=True)
    atoms.calc = LearnedPotential(POTENTIAL)
    exact = POTENTIAL(Configuration(atoms.get_chemical_symbols(), atoms.positions, np.array(atoms.cell)))
    assert atoms.get_potential_energy() == pytest.approx(exact.energy, rel=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), exact.forces, atol=1e-10)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), exact.stress, atol=1e-12)
    forces = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[3])
    np.testing.assert_allclose(atoms.get_forces()[3], forces[0], atol=1e-5)
    assert repr(atoms.calc).startswith("LearnedPotential(AtomisticPotential(Na, Cl; 2 layers")


def test_a_potential_takes_the_charges_of_the_atoms_and_refuses_what_it_does_not_know() -> None:
    given = AtomisticPotential(AtomisticConfig(["Na", "Cl"], 4.0, channels=3, n_radial=4, charges="given"), seed=1)
    atoms = Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.4]], calculator=LearnedPotential(given))
    atoms.set_initial_charges([1.0, -1.0])
    none = atoms.copy()
    none.set_initial_charges([0.0, 0.0])
    none.calc = LearnedPotential(given)
    assert atoms.get_potential_energy() - none.get_potential_energy() == pytest.approx(-COULOMB / 2.4, rel=1e-6)
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()
    learned = AtomisticPotential(AtomisticConfig(["Na", "Cl"], 4.0, channels=3, n_radial=4, charges="learned"), seed=1)
    for q in (None, 0.5):
        ions = Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.4]], calculator=LearnedPotential(learned))
        if q is not None:
            ions.set_initial_charges([q, 0.0])
        charges = None if q is None else [q, 0.0]
        expected = learned(Configuration(["Na", "Cl"], ions.positions, charges=charges)).energy
        assert ions.get_potential_energy() == expected
    bare = Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.4]], calculator=LearnedPotential(given))
    with pytest.raises(InvalidValueError, match=r"no charges; .*set_initial_charges"):
        bare.get_potential_energy()
    odd = Atoms("NaK", positions=[[0, 0, 0], [0, 0, 2.4]], calculator=LearnedPotential(given))
    odd.set_initial_charges([1.0, -1.0])
    with pytest.raises(InvalidValueError, match=r"atom 1 .* is 'K'"):
        odd.get_potential_energy()
    with pytest.raises(DTypeError, match="expected an AtomisticPotential"):
        LearnedPotential(None)
