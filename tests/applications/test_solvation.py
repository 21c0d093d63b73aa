"""The reaction field against Born's ion, Kirkwood's sphere with a charge off its center, and a uniform medium."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from sci.applications.solvation import cavity_fraction, reaction_field
from sci.errors import InvalidValueError, ShapeError
from sci.potentials import Particles
from sci.solvers import PoissonOperator, cg


def test_born_ion_to_second_order():
    exact, errors = 0.5 * 2.0**2 * (1 / 80 - 1 / 2) / 1.7, []
    for spacing in (0.68, 0.34):
        found = reaction_field(Particles([[0.3, -1.0, 5.0]], [2.0]), [1.7], spacing=spacing, padding=4.0)
        assert found.result.converged
        errors.append(abs(found.energy / exact - 1))
    assert errors[1] < 0.025
    assert errors[0] / errors[1] > 2.5


def test_the_potential_of_the_born_ion():
    """Inside constant; outside q / (outside r) less the Coulomb potential over the inner permittivity."""
    radius, found = 2.0, reaction_field(Particles([[0.0, 0.0, 0.0]], [1.0]), [2.0], spacing=0.4, padding=6.0)
    axes = [found.origin[a] + found.spacing * np.arange(n) for a, n in enumerate(found.values.shape)]
    r = np.sqrt(sum(np.square(np.meshgrid(*axes, indexing="ij"))))
    expected = (1 / 80 - 1 / 2) / np.maximum(r, radius)
    assert abs(found.values - expected).max() < 0.05 * abs(expected).max()
    far = r > 3 * radius
    assert abs(found.values - expected)[far].max() < 0.005 * abs(expected).max()


def test_a_charge_off_the_center_of_a_sphere():
    radius, off = 3.0, 1.2
    series = sum(
        (k + 1) * (2 - 80) / (2 * ((k + 1) * 80 + k * 2)) * off ** (2 * k) / radius ** (2 * k + 1) for k in range(60)
    )
    pair = Particles([[0.0, 0.0, 0.0], [off, 0.0, 0.0]], [0.0, 1.0])
    found = reaction_field(pair, [radius, 0.0], spacing=0.5, padding=5.0)
    assert found.energy == pytest.approx(0.5 * series, rel=0.03)


def test_one_permittivity_has_no_reaction():
    found = reaction_field(Particles([[0.0, 0.0, 0.0]], [1.0]), [2.0], inside=4.0, outside=4.0, spacing=1.0)
    assert abs(found.values).max() < 1e-12


def test_many_charges_take_the_range_separated_potential(monkeypatch):
    rng = np.random.default_rng(0)
    cloud = Particles(4 * rng.random((20, 3)), rng.normal(size=20), np.full(20, 1.5))
    direct = reaction_field(cloud, spacing=0.8, padding=4.0)
    monkeypatch.setattr(importlib.import_module("sci.applications.solvation"), "DIRECT", 5)
    fast = reaction_field(cloud, spacing=0.8, padding=4.0)
    assert fast.energy == pytest.approx(direct.energy, rel=1e-4)
    assert direct.energy < 0


def test_preconditioners_agree():
    ion = Particles([[0.0, 0.0, 0.0]], [1.0])
    plain = reaction_field(ion, [2.0], spacing=0.8, preconditioner=lambda A: None)
    cycle = reaction_field(ion, [2.0], spacing=0.8)
    assert plain.energy == pytest.approx(cycle.energy, rel=1e-6)
    assert cycle.result.iterations < plain.result.iterations / 2


def test_the_fraction_of_a_cell():
    filled = cavity_fraction(np.zeros((1, 3)), np.array([2.0]), np.full(3, -2.85), 0.3, (20, 20, 20))
    assert filled.sum() * 0.3**3 == pytest.approx(4 / 3 * np.pi * 8, rel=0.01)
    assert filled.min() == 0
    assert filled.max() == 1


def test_a_jump_in_the_operator_keeps_multigrid_fast():
    coefficient = np.where(np.random.default_rng(1).random((24, 24, 24)) < 0.3, 2.0, 80.0)
    A = PoissonOperator(np.ones((24, 24, 24), bool), coefficient=coefficient)
    from sci.solvers import Multigrid

    assert cg(A, np.ones((24, 24, 24)), M=Multigrid(A), rtol=1e-8).iterations <= 30


def test_bad_arguments():
    ion = Particles([[0.0, 0.0, 0.0]], [1.0])
    with pytest.raises(InvalidValueError, match="no radii"):
        reaction_field(ion)
    for radii, more in (([-1.0], {}), ([0.0], {}), ([1.0], {"spacing": 0.0}), ([1.0], {"inside": -2.0})):
        with pytest.raises(InvalidValueError, match="expected positive"):
            reaction_field(ion, radii, **more)
    with pytest.raises(ShapeError, match="radii"):
        reaction_field(ion, [1.0, 2.0])
