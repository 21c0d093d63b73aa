"""The calculator against ASE itself: finite differences, units, molecular dynamics, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.md.verlet import VelocityVerlet

from sci.errors import InvalidValueError, ShapeError
from sci.interop.ase import Electrostatics
from sci.potentials import Exclusions, Particles, PeriodicPotential, direct_sum
from sci.units import COULOMB

RNG = np.random.default_rng(5)


def _molecule() -> Atoms:
    atoms = Atoms("H6", positions=RNG.random((6, 3)) * 5)
    atoms.set_initial_charges([0.5, -0.5, 1.0, -0.7, 0.2, -0.4])
    return atoms


def _crystal(strain: float = 0.0) -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.set_initial_charges([1.0 if s == "Na" else -1.0 for s in atoms.get_chemical_symbols()])
    atoms.positions += 0.1 * RNG.standard_normal(atoms.positions.shape)
    shear = np.eye(3) + strain * np.array([[1.0, 0.5, 0.2], [0.0, -0.3, 0.4], [0.0, 0.0, 0.6]])
    atoms.set_cell(np.array(atoms.cell) @ shear, scale_atoms=True)
    return atoms


def test_the_energy_is_the_sum_over_pairs_in_electronvolt() -> None:
    atoms = _molecule()
    atoms.calc = Electrostatics()
    charges = atoms.get_initial_charges()
    particles = Particles(atoms.positions, charges)
    expected = 0.5 * (charges * direct_sum(particles, atoms.positions)).sum() * COULOMB
    assert atoms.get_potential_energy() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(atoms.get_charges(), charges)
    pair = Atoms("H2", positions=[[0, 0, 0], [0, 0, 1.0]], calculator=Electrostatics(charges=[1, 1]))
    assert pair.get_potential_energy() == pytest.approx(units.Hartree * units.Bohr, rel=1e-8)


@pytest.mark.parametrize("kappa", [0.0, 0.3])
def test_the_forces_of_a_molecule(kappa: float) -> None:
    atoms = _molecule()
    atoms.calc = Electrostatics(kappa=kappa)
    expected = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(atoms.get_forces(), expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("strain", [0.0, 0.2], ids=["cubic", "triclinic"])
def test_the_forces_and_the_stress_of_a_crystal(strain: float) -> None:
    atoms = _crystal(strain)
    atoms.calc = Electrostatics(tol=1e-11)
    forces = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[0, 5])
    np.testing.assert_allclose(atoms.get_forces()[[0, 5]], forces, atol=1e-6 * np.abs(forces).max())
    stress = calculate_numerical_stress(atoms, eps=1e-4)
    np.testing.assert_allclose(atoms.get_stress(), stress, atol=1e-6 * np.abs(stress).max())


def test_the_energy_of_rock_salt_is_that_of_madelung() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.calc = Electrostatics([1.0 if s == "Na" else -1.0 for s in atoms.get_chemical_symbols()], tol=1e-10)
    assert atoms.get_potential_energy() / 4 == pytest.approx(-1.747564594633 * COULOMB / 2.82, rel=1e-9)


def test_dynamics_conserve_the_energy_and_the_plan_is_kept() -> None:
    atoms = _molecule()
    atoms.set_initial_charges(0.05 * np.ones(6))
    calculator = Electrostatics()
    atoms.calc = calculator
    before = atoms.get_total_energy()
    plan = calculator._plan
    with VelocityVerlet(atoms, timestep=0.5 * units.fs) as dynamics:
        dynamics.run(20)
    assert atoms.get_total_energy() == pytest.approx(before, rel=1e-3)
    assert calculator._plan is plan
    atoms.set_initial_charges(0.06 * np.ones(6))
    atoms.get_potential_energy()
    assert calculator._plan is not plan


def test_a_result_is_kept_until_the_atoms_or_the_settings_change(monkeypatch: pytest.MonkeyPatch) -> None:
    atoms, calls = _molecule(), []
    calculator = Electrostatics()
    atoms.calc = calculator
    compute = Electrostatics.calculate
    monkeypatch.setattr(Electrostatics, "calculate", lambda *a: (calls.append(1), compute(*a))[1])
    unscreened = atoms.get_potential_energy()
    atoms.get_forces()
    assert len(calls) == 1
    calculator.set(kappa=0.5)
    assert atoms.get_potential_energy() != pytest.approx(unscreened)
    assert len(calls) == 2


def test_what_it_cannot_do_is_refused() -> None:
    slab = _crystal()
    slab.pbc = (True, True, False)
    slab.calc = Electrostatics()
    slab.pbc = (False, True, False)
    with pytest.raises(InvalidValueError, match="periodic along the axis 1 alone"):
        slab.get_potential_energy()
    bare = Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]], calculator=Electrostatics())
    with pytest.raises(InvalidValueError, match="all charges are zero"):
        bare.get_potential_energy()
    bare.calc = Electrostatics(charges=[1.0])
    with pytest.raises(ShapeError, match="1 charges and 2 atoms"):
        bare.get_potential_energy()
    molecule = _molecule()
    molecule.calc = Electrostatics()
    with pytest.raises(PropertyNotImplementedError, match="no stress"):
        molecule.get_stress()
    with pytest.raises(InvalidValueError, match="kappa is -1"):
        Electrostatics(kappa=-1.0)
    with pytest.raises(InvalidValueError, match="tol is 1"):
        Electrostatics(tol=1.0)


def test_it_prints_its_settings() -> None:
    assert repr(Electrostatics(kappa=0.5)) == "Electrostatics(the atoms' initial charges, tol=1e-06, kappa=0.5)"


def test_a_screened_crystal_has_energy_and_stress() -> None:
    crystal = _crystal()
    crystal.calc = Electrostatics(kappa=0.5, tol=1e-9)
    found = crystal.get_stress()
    strained = crystal.copy()
    strained.calc = crystal.calc
    energies = []
    for sign in (1, -1):
        strained.set_cell(crystal.cell[:] * (1 + sign * 1e-4), scale_atoms=True)
        energies.append(strained.get_potential_energy())
    assert found[:3].sum() == pytest.approx((energies[0] - energies[1]) / 2e-4 / crystal.get_volume(), rel=1e-5)


def test_atoms_with_two_periods_are_a_slab_and_pairs_can_be_left_out() -> None:
    atoms = _crystal()
    atoms.pbc = (True, False, True)
    atoms.calc = Electrostatics(tol=1e-8, exclusions=Exclusions([[0, 1], [2, 3]], len(atoms), [0.0, 0.5]))
    cell = np.array(atoms.cell)[[0, 2, 1]]
    charges = atoms.get_initial_charges()
    particles = Particles(atoms.positions, charges, cell=cell, exclusions=atoms.calc.exclusions)
    energy, forces = PeriodicPotential(particles, 1e-8, slab=True).energy_and_forces()
    assert atoms.get_potential_energy() == pytest.approx(COULOMB * energy, rel=1e-9)
    np.testing.assert_allclose(atoms.get_forces(), COULOMB * forces, atol=1e-6)
    with pytest.raises(PropertyNotImplementedError, match="slab has no stress"):
        atoms.get_stress()
    plain = atoms.copy()
    plain.calc = Electrostatics(tol=1e-8)
    d = np.linalg.norm(atoms.get_distance(0, 1, mic=True)), np.linalg.norm(atoms.get_distance(2, 3, mic=True))
    lost = COULOMB * (charges[0] * charges[1] / d[0] + 0.5 * charges[2] * charges[3] / d[1])
    assert plain.get_potential_energy() - lost == pytest.approx(atoms.get_potential_energy(), rel=1e-7)
