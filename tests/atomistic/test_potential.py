"""Potentials of atoms: symmetries, exact derivatives, cells, states, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from atom_cases import CELL, SALT, crystal, molecule, potential, slope

from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration
from sci.atomistic.long_range import coulomb_energy
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import ModelState

RNG = np.random.default_rng(4)
KINDS = {
    "one layer": {"layers": 1},
    "two layers": {},
    "three layers": {"layers": 3, "message_degree": 2},
    "four factors": {"correlation": 4, "degree": 3},
    "distances alone": {"degree": 0, "message_degree": 0, "correlation": 1},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("atoms", [crystal(), molecule()], ids=["crystal", "molecule"])
def test_forces_and_stress_are_derivatives_of_the_energy(kind, atoms):
    made = potential(**KINDS[kind])
    found = made(atoms)
    direction = RNG.normal(size=atoms.positions.shape)

    def moved(t):
        return made(Configuration(atoms.species, atoms.positions + t * direction, atoms.cell)).energy

    assert -(found.forces * direction).sum() == pytest.approx(slope(moved), rel=1e-8, abs=1e-9)
    np.testing.assert_allclose(found.forces.sum(axis=0), 0, atol=1e-12)
    if atoms.cell is None:
        assert found.stress is None
        return
    strain = RNG.normal(size=(3, 3))
    strain = strain + strain.T
    expected = slope(lambda t: made(atoms.strained(t * strain)).energy) / atoms.volume
    assert (found.stress * strain).sum() == pytest.approx(expected, rel=1e-8, abs=1e-9)
    np.testing.assert_allclose(found.stress, found.stress.T, atol=1e-13)


@pytest.mark.parametrize(
    ("kind", "charges"), [(kind, None) for kind in KINDS] + [("one layer", {"Na": 1.0, "Cl": -1.0})]
)
def test_rotations_reflections_permutations_translations(kind, charges):
    made, atoms = potential(**KINDS[kind], charges=charges, tol=1e-11), crystal()
    found = made(atoms)
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    for q in (turn, turn * np.sign(np.linalg.det(turn)), -np.eye(3)):
        other = made(Configuration(SALT, atoms.positions @ q + [0.3, -7.0, 2.0], CELL @ q))
        assert other.energy == pytest.approx(found.energy, rel=0, abs=1e-10)
        np.testing.assert_allclose(other.forces, found.forces @ q, atol=1e-10)
        np.testing.assert_allclose(other.stress, q.T @ found.stress @ q, atol=1e-10)
    order = RNG.permutation(12)
    shifts = RNG.integers(-2, 3, size=(12, 3)) @ CELL
    moved = Configuration([SALT[k] for k in order], (atoms.positions + shifts)[order], CELL)
    other = made(moved)
    assert other.energy == pytest.approx(found.energy, rel=0, abs=1e-10)
    np.testing.assert_allclose(other.forces, found.forces[order], atol=1e-10)


def test_energies_of_copies_and_of_far_parts_add_up():
    made, atoms = potential(), crystal()
    found = made(atoms)
    cells = [np.array(s) @ CELL for s in np.ndindex(2, 1, 2)]
    large = Configuration(SALT * 4, np.concatenate([atoms.positions + s for s in cells]), CELL * [[2], [1], [2]])
    other = made(large)
    assert other.energy == pytest.approx(4 * found.energy, abs=1e-10)
    np.testing.assert_allclose(other.forces, np.tile(found.forces, (4, 1)), atol=1e-10)
    np.testing.assert_allclose(other.stress, found.stress, atol=1e-12)
    one, two = molecule(0), molecule(1)
    both = Configuration(one.species + two.species, np.concatenate([one.positions, two.positions + 50.0]))
    assert made(both).energy == pytest.approx(made(one).energy + made(two).energy, abs=1e-12)


def test_the_same_crystal_in_another_cell_has_the_same_energy():
    """A cell below the cutoff in every direction, where an atom is its own neighbor many times."""
    small = np.array([[2.9, 0.1, 0.0], [0.0, 3.1, 0.2], [0.3, 0.0, 2.8]])
    made, plain = potential(), Configuration(("Na",), [[0.1, 0.2, 0.3]], small)
    other = Configuration(("Na",), [[0.1, 0.2, 0.3]], np.array([small[0], small[1] + small[0], small[2] - small[1]]))
    wide = Configuration(("Na",) * 27, [[0.1, 0.2, 0.3] + np.array(s) @ small for s in np.ndindex(3, 3, 3)], 3 * small)
    assert made(other).energy == pytest.approx(made(plain).energy, abs=1e-11)
    assert made(wide).energy == pytest.approx(27 * made(plain).energy, abs=1e-9)
    np.testing.assert_allclose(made(wide).stress, made(plain).stress, atol=1e-12)


def test_the_energy_is_smooth_where_a_neighbor_crosses_the_cutoff():
    """Energy and force of a pair go to those of free atoms as the fourth and the third power of what is left."""
    made = potential(layers=1)

    def pair(r):
        return made(Configuration(("Na", "Cl"), [[0, 0, 0], [r, 0, 0]]))

    free = pair(5.0)
    assert free.energy == made(Configuration(("Na", "Cl"), [[0, 0, 0], [50.0, 0, 0]])).energy
    assert not free.forces.any()
    energies = [pair(4.0 - h).energy - free.energy for h in (0.08, 0.04)]
    forces = [pair(4.0 - h).forces[0, 0] for h in (0.08, 0.04)]
    assert energies[0] / energies[1] == pytest.approx(16, rel=0.15)
    assert forces[0] / forces[1] == pytest.approx(8, rel=0.15)


def test_slabs_and_wires_repeat_along_their_axes_alone():
    made, rod = potential(), molecule()
    cell = np.diag([6.0, 0.0, 0.0])
    wire = Configuration(rod.species, rod.positions, cell, (True, False, False))
    twice = np.concatenate([rod.positions, rod.positions + np.array([6.0, 0, 0])])
    long = Configuration(rod.species * 2, twice, 2 * cell, (True, False, False))
    assert made(long).energy == pytest.approx(2 * made(wire).energy, abs=1e-11)
    assert made(wire).stress is None
    box = Configuration(rod.species, rod.positions, np.diag([6.0, 60.0, 70.0]))
    assert made(box).energy == pytest.approx(made(wire).energy, abs=1e-11)


def test_charges_add_their_coulomb_energy():
    plain, atoms = potential(), molecule()
    made = potential(charges={"Na": 0.8, "Cl": -0.5}, tol=1e-10)
    q = np.array([0.8 if s == "Na" else -0.5 for s in atoms.species])
    r = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=-1) + np.diag([np.inf] * 5)
    assert made(atoms).energy - plain(atoms).energy == pytest.approx(14.3996454784 * 0.5 * q @ (1 / r) @ q, rel=1e-8)
    given = potential(charges="given", tol=1e-10)
    with_charges = Configuration(atoms.species, atoms.positions, charges=q)
    assert given(with_charges).energy == pytest.approx(made(atoms).energy, rel=1e-12)
    with pytest.raises(InvalidValueError, match="has no charges"):
        given(atoms)
    with pytest.raises(InvalidValueError, match="repeat along one axis alone"):
        made(Configuration(SALT, crystal().positions, CELL, (False, True, False)))


def test_single_precision_is_near_double():
    double, single = potential(), AtomisticPotential(potential().config, dtype=np.float32)
    single = single.with_parameters(
        {name: p.astype(np.float32) for name, p in double.parameters.items()}, double.statistics
    )
    found, exact = single(crystal()), double(crystal())
    assert found.energy == pytest.approx(exact.energy, abs=1e-4)
    np.testing.assert_allclose(found.forces, exact.forces, atol=1e-4)
    assert found.forces.dtype == np.float64


SLAB = Configuration(SALT, crystal().positions, CELL, (True, True, False))
LEARNED = {"charges": "learned", "charge_start": {"Na": 0.9, "Cl": -0.7}, "tol": 1e-11}


@pytest.mark.parametrize("kind", ["one layer", "two layers"])
@pytest.mark.parametrize("total", [None, 0.4])
@pytest.mark.parametrize("atoms", [crystal(), molecule(), SLAB], ids=["crystal", "molecule", "slab"])
def test_derivatives_with_learned_charges_hold_their_response(atoms, total, kind):
    given = None if total is None else np.full(atoms.n, total / atoms.n)
    made, atoms = potential(**KINDS[kind], **LEARNED), replace(atoms, charges=given)
    found, charges = made(atoms), made.charges(atoms)
    assert charges.sum() == pytest.approx(total or 0.0, abs=1e-13)
    assert np.ptp(charges[[s == "Na" for s in atoms.species]]) > 1e-4  # they depend on the surroundings
    direction = RNG.normal(size=atoms.positions.shape)

    def moved(t):
        return made(replace(atoms, positions=atoms.positions + t * direction)).energy

    assert -(found.forces * direction).sum() == pytest.approx(slope(moved), rel=1e-7)
    np.testing.assert_allclose(found.forces.sum(axis=0), 0, atol=1e-9)
    frozen = (
        coulomb_energy(atoms, made.config, charges=charges).forces
        + made.forward(made.parameters, made.neighborhood(atoms))[1]
    )
    assert np.abs(frozen - found.forces).max() > 1e-2  # the response counts
    if found.stress is None:
        return
    strain = RNG.normal(size=(3, 3))
    strain = strain + strain.T
    expected = slope(lambda t: made(atoms.strained(t * strain)).energy) / atoms.volume
    assert (found.stress * strain).sum() == pytest.approx(expected, rel=1e-7)


def test_learned_charges_turn_with_the_atoms():
    made, atoms = potential(**LEARNED), crystal()
    found, charges = made(atoms), made.charges(atoms)
    turn, order = np.linalg.qr(RNG.normal(size=(3, 3)))[0], RNG.permutation(12)
    other = Configuration([SALT[k] for k in order], (atoms.positions @ turn + [0.3, -7.0, 2.0])[order], CELL @ turn)
    np.testing.assert_allclose(made.charges(other), charges[order], atol=1e-12)
    again = made(other)
    assert again.energy == pytest.approx(found.energy, rel=0, abs=1e-8)
    np.testing.assert_allclose(again.forces, (found.forces @ turn)[order], atol=1e-8)
    np.testing.assert_allclose(again.stress, turn.T @ found.stress @ turn, atol=1e-9)


def test_learned_charges_start_from_those_of_species_and_have_states():
    made = potential(**LEARNED)
    far = Configuration(("Na", "Cl"), [[0.0, 0, 0], [50.0, 0, 0]])
    np.testing.assert_allclose(made.charges(far), [0.8, -0.8], atol=1e-14)  # shifted by -0.1 to sum to 0
    again = AtomisticPotential.from_state(made.to_state())
    assert again.config == made.config
    assert "charges learned" in repr(again)
    assert again(crystal()).energy == made(crystal()).energy
    fixed = potential(charges={"Na": 1.0, "Cl": -1.0})
    np.testing.assert_array_equal(fixed.charges(far), [1.0, -1.0])
    with pytest.raises(InvalidValueError, match="has no charges"):
        potential().charges(far)
    with pytest.raises(InvalidValueError, match="learns no charges"):
        fixed.network_charges(fixed.parameters, fixed.neighborhood(far))
    single = AtomisticPotential(made.config, dtype=np.float32)
    single = single.with_parameters({k: p.astype(np.float32) for k, p in made.parameters.items()}, made.statistics)
    np.testing.assert_allclose(single(crystal()).forces, made(crystal()).forces, atol=2e-4)


def test_states_come_back_and_others_are_refused():
    made = potential(charges={"Na": 1.0, "Cl": -1.0})
    again = AtomisticPotential.from_state(made.to_state())
    assert (repr(again), again.config) == (repr(made), made.config)
    assert again(crystal()).energy == made(crystal()).energy
    with pytest.raises(InvalidValueError, match="expected an AtomisticPotential"):
        AtomisticPotential.from_state(ModelState("UNet", {}, made.parameters))
    with pytest.raises(ShapeError, match=r"the parameter '0\.linear'"):
        made.with_parameters({name: p for name, p in made.parameters.items() if name != "0.linear"})
    with pytest.raises(InvalidValueError, match="out"):
        made.with_parameters({**made.parameters, "out": made.parameters["out"] * np.nan})
    with pytest.raises(DTypeError, match="float32 or float64"):
        AtomisticPotential(made.config, dtype=np.int64)


def test_a_species_that_was_not_trained_is_refused_with_its_atom():
    odd = Configuration(("Na", "Cl", "K"), np.arange(9.0).reshape(3, 3))
    with pytest.raises(InvalidValueError, match=r"atom 2 \(counted from 0\) is 'K'; the potential knows Na, Cl"):
        potential()(odd)
    with pytest.raises(InvalidValueError, match=r"atom 2 of configuration 7"):
        potential().numbers(odd, 7)
    with pytest.raises(InvalidValueError, match=r"atoms 0 and 1 .*, or images of them, are both at"):
        potential()(Configuration(("Na", "Cl"), [[0.0, 0, 0], [3.0, 0, 0]], 3 * np.eye(3)))


def test_equal_parameters_come_from_equal_seeds():
    config = AtomisticConfig(["H"], channels=3)
    one, two = (AtomisticPotential(config, seed=5).parameters for _ in range(2))
    assert all((one[name] == two[name]).all() for name in one)
    assert any((AtomisticPotential(config, seed=6).parameters[name] != one[name]).any() for name in one)
