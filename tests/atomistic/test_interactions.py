"""Coulomb's energy as a quadratic form: the engine's sums, derivatives, refusals, and gradients by the charges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from atom_cases import CELL, SALT, crystal, molecule, slope

from sci.atomistic import Configuration
from sci.atomistic.interactions import coulomb_terms, interactions_of
from sci.errors import InvalidValueError
from sci.nn import value_and_gradients
from sci.potentials import Particles, PeriodicPotential, direct_sum, periodic_stress
from sci.units import COULOMB

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("net", [0.0, 0.3])
def test_the_forms_are_the_sums_of_the_engine(net):
    """Also with a net charge, whose background counts."""
    atoms = crystal()
    q = RNG.normal(size=12)
    q += net - q.mean()
    phi = PeriodicPotential(Particles(atoms.positions, q, cell=CELL), 1e-11)
    energy, forces = phi.energy_and_forces()
    potentials, pulls, virials = coulomb_terms(q[:, None], parts=[interactions_of(atoms)])
    assert 0.5 * (q * potentials[:, 0]).sum() == pytest.approx(COULOMB * energy, rel=1e-9)
    np.testing.assert_allclose(potentials[:, 0], COULOMB * phi.charge_gradient(), atol=1e-8)
    np.testing.assert_allclose(pulls, COULOMB * forces, atol=1e-8)
    np.testing.assert_allclose(virials[0] / atoms.volume, COULOMB * periodic_stress(phi), atol=1e-9)


def test_isolated_atoms():
    atoms, q = molecule(), RNG.normal(size=5)
    value, gradient = direct_sum(Particles(atoms.positions, q), atoms.positions, gradient=True)
    potentials, pulls, virials = coulomb_terms(q[:, None], parts=[interactions_of(atoms)])
    np.testing.assert_allclose(potentials[:, 0], COULOMB * value, rtol=1e-12)
    np.testing.assert_allclose(pulls, -COULOMB * q[:, None] * gradient, rtol=1e-11, atol=1e-12)
    assert not virials.any()


def test_gradients_by_the_charges_of_several_configurations():
    parts = [interactions_of(crystal()), interactions_of(molecule()), interactions_of(crystal(1), strain=False)]
    q, direction = RNG.normal(size=(29, 1)), RNG.normal(size=(29, 1))
    weights = RNG.normal(size=(29, 1)), RNG.normal(size=(29, 3)), RNG.normal(size=(3, 3, 3))

    def loss(v):
        return sum((found * w).sum() for found, w in zip(coulomb_terms(v["q"], parts=parts), weights))

    _, gradients = value_and_gradients(loss, {"q": q})
    expected = slope(lambda t: float(loss({"q": q + t * direction})))
    assert (gradients["q"] * direction).sum() == pytest.approx(expected, rel=1e-9)
    single = coulomb_terms(q.astype(np.float32), parts=parts)
    assert all(a.dtype == np.float32 for a in single)
    assert repr(parts[0]) == "Interactions(12 charges, with strains)"
    assert repr(parts[2]) == "Interactions(12 charges)"


@pytest.mark.parametrize("axes", [1, 2])
def test_slabs_and_wires_are_refused(axes):
    atoms = Configuration(SALT, crystal().positions, CELL, tuple(k < axes for k in range(3)))
    with pytest.raises(InvalidValueError, match=f"repeat along {axes} of three axes"):
        interactions_of(atoms)
    assert interactions_of(replace(atoms, periodic=(True,) * 3)).strains is not None
