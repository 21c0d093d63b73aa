"""The reaction field against Born's ion, Kirkwood's sphere with a charge off its center, and a uniform medium."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from sci.applications import reaction_field
from sci.applications.solvation.cavity import cavity_fraction
from sci.errors import InvalidValueError, ShapeError
from sci.potentials import Particles
from sci.solvers import PoissonOperator, cg


def _born(radius, charge=1.0, inside=2.0, outside=80.0):
    return 0.5 * charge**2 * (1 / outside - 1 / inside) / radius


def _kirkwood(depth, radius, inside=2.0, outside=80.0):
    """Energy of a unit charge `depth` below the surface of a sphere."""
    k, ratio = np.arange(4000), (radius - depth) / radius
    terms = (k + 1) * (inside - outside) / (inside * ((k + 1) * outside + k * inside)) * ratio ** (2 * k) / radius
    return 0.5 * terms.sum()


def _in_a_sphere(depth, radius, seed, **settings):
    """The same from two grids, with a random direction and a random place on the grid."""
    rng = np.random.default_rng(seed)
    center, along = rng.random(3), rng.normal(size=3)
    charge = center + (radius - depth) * along / np.linalg.norm(along)
    return reaction_field(Particles([center, charge], [0.0, 1.0]), [radius, 0.0], **settings)


def test_kirkwood_is_born_at_the_center():
    assert _kirkwood(3.0, 3.0) == pytest.approx(_born(3.0), rel=1e-12)


def test_born_ion_to_second_order():
    exact, errors = _born(1.7, 2.0), []
    for spacing in (0.68, 0.34):
        found = reaction_field(Particles([[0.3, -1.0, 5.0]], [2.0]), [1.7], spacing=spacing, padding=4.0)
        assert found.result.converged
        assert abs(found.energy - exact) <= found.energy_error
        # What the fine grid itself gives: half the charge times the potential there.
        k = np.round((np.array([0.3, -1.0, 5.0]) - found.origin) / spacing).astype(int)
        errors.append(abs(found.values[tuple(k)] / exact - 1))
    assert found.energy_error < 0.03 * abs(exact)
    assert errors[0] < 0.1 * (0.68 / 1.7) ** 2
    assert errors[1] < 0.1 * (0.34 / 1.7) ** 2


@pytest.mark.parametrize(
    ("radius", "depth", "padding"),
    [
        (1.2, 1.2 - 1e-3, 4.0),
        (3.0, 3.0 - 1e-3, 8.0),
        (3.0, 1.8, 8.0),
        (3.0, 1.0, 5.0),
        (3.0, 0.7, 4.0),
        (1.2, 0.2, 2.0),
    ],
)
def test_the_stated_error_holds_for_a_charge_in_a_sphere(radius, depth, padding):
    """At the default spacing, also 0.2 angstrom below the surface."""
    exact = _kirkwood(depth, radius)
    for seed in range(2 if depth < 0.5 else 4):
        found = _in_a_sphere(depth, radius, seed, padding=padding)
        assert abs(found.energy - exact) <= found.energy_error
        assert found.energy_error < 0.06 * abs(exact)
        np.testing.assert_allclose(2 * found.energy_error, found.at_charges_error[1], rtol=1e-12)


@pytest.mark.parametrize("ratio", [0.25, 1 / 3, 0.5, 0.7, 1.0, 2.0])
def test_the_stated_error_holds_at_twenty_places(ratio):
    """Random places in spheres and on the grid; cells from a quarter to twice the depth of the charge."""
    rng = np.random.default_rng(17)
    for seed in range(20):
        radius = rng.uniform(1.2, 3.0)
        depth = radius * rng.uniform(min(0.7, max(0.12, 0.1 / ratio)), 0.9)
        settings = {"spacing": ratio * depth, "padding": max(4 * ratio * depth, 2.0)}
        found, exact = _in_a_sphere(depth, radius, seed, **settings), _kirkwood(depth, radius)
        assert abs(found.energy - exact) <= found.energy_error
        if ratio < 0.4:
            assert found.energy_error < 0.04 * abs(exact)
            assert abs(found.energy - exact) < 0.015 * abs(exact)


def test_born_ions_at_twenty_places():
    rng = np.random.default_rng(18)
    for ratio in np.linspace(0.2, 1.2, 20):
        radius = rng.uniform(1.0, 3.0)
        ion = Particles([rng.random(3)], [1.0])
        found = reaction_field(ion, [radius], spacing=ratio * radius, padding=max(4 * ratio * radius, 3.0))
        assert abs(found.energy - _born(radius)) <= found.energy_error


def test_a_center_of_a_cell_beside_a_shallow_charge_does_no_harm():
    """With the potential of a point the energy came out 1.4 to 787 times too large."""
    spacing, radius = 0.5, 1.5
    for near in (1e-9, 1e-4, 0.05, 0.1):
        pair = Particles([[-1.0, 0.0, 0.0], [near, 0.0, 0.0]], [0.0, 1.0])
        found = reaction_field(pair, [radius, 0.0], spacing=spacing, padding=3.25)
        place = (pair.positions[1] - found.origin) / spacing
        assert abs(place - np.round(place)).max() * spacing == pytest.approx(near, abs=1e-12)
        exact = _kirkwood(radius - 1.0 - near, radius)
        assert abs(found.energy / exact - 1) < 0.15
        assert abs(found.energy - exact) <= found.energy_error


@pytest.mark.parametrize("spacing", [0.5, 0.25, 0.15])
def test_a_spacing_too_wide_for_a_shallow_charge_states_so(spacing):
    """0.2 angstrom below the surface, where cells of 0.5 angstrom were off by 36 % without a word."""
    exact = _kirkwood(0.2, 3.0)
    for seed in range(4 if spacing > 0.2 else 1):
        found = _in_a_sphere(0.2, 3.0, seed, spacing=spacing, padding=3.0)
        assert abs(found.energy - exact) <= found.energy_error
        assert found.energy_error > 0.08 * abs(exact)


def test_two_charges_of_a_molecule_of_two_spheres():
    """Against the same on finer cells."""
    pair = Particles([[0.0, 0.0, 0.0], [1.4, 0.2, 0.1]], [0.5, -0.5], [1.7, 1.2])
    fine = reaction_field(pair, spacing=0.2, padding=4.0)
    found = reaction_field(pair, padding=4.0)
    assert abs(found.energy - fine.energy) <= found.energy_error
    assert fine.energy_error < found.energy_error < 0.2 * abs(fine.energy)
    assert "+-" in repr(found)


def test_the_potential_of_the_born_ion():
    """Inside constant; outside q / (outside r) less the Coulomb potential over the inner permittivity."""
    radius, found = 2.0, reaction_field(Particles([[0.0, 0.0, 0.0]], [1.0]), [2.0], spacing=0.4, padding=6.0)
    axes = [found.origin[a] + found.spacing * np.arange(n) for a, n in enumerate(found.values.shape)]
    r = np.sqrt(sum(np.square(np.meshgrid(*axes, indexing="ij"))))
    expected = (1 / 80 - 1 / 2) / np.maximum(r, radius)
    assert abs(found.values - expected).max() < 0.05 * abs(expected).max()
    far = r > 3 * radius
    assert abs(found.values - expected)[far].max() < 0.005 * abs(expected).max()


def test_one_permittivity_has_no_reaction():
    found = reaction_field(Particles([[0.0, 0.0, 0.0]], [1.0]), [2.0], inside=4.0, outside=4.0, spacing=1.0)
    assert abs(found.values).max() < 1e-12


def test_many_charges_take_the_range_separated_potential(monkeypatch):
    rng = np.random.default_rng(0)
    cloud = Particles(4 * rng.random((20, 3)), rng.normal(size=20), np.full(20, 1.5))
    direct = reaction_field(cloud, spacing=0.8, padding=4.0)
    monkeypatch.setattr(importlib.import_module("sci.applications.solvation.cavity"), "DIRECT", 5)
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
    outside = Particles([[0.0, 0.0, 0.0], [2.5, 0.0, 0.0]], [1.0, 0.3])
    with pytest.raises(InvalidValueError, match=r"charge 1 .* 0\.5 angstrom outside"):
        reaction_field(outside, [2.0, 0.0], spacing=0.5)


def test_the_default_spacing_is_limited_by_the_size_of_the_grid(monkeypatch):
    monkeypatch.setattr(importlib.import_module("sci.applications.solvation.refinement"), "MOST_CELLS", 20_000)
    found = _in_a_sphere(0.1, 2.0, 0, padding=3.0)
    assert found.values.size == pytest.approx(20_000, rel=0.2)
    assert found.energy_error > abs(found.energy)
