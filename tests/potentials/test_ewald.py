"""Ewald's sum: published constants, the sum over many cells, and another one written for the tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from crystals import MADELUNG
from periodic_cells import ORTHOGONAL, TRICLINIC, ewald, filled
from plane_sums import screened_images
from systems import relative

from sci.errors import InvalidValueError
from sci.potentials import Coulomb, Particles, PeriodicPotential, Yukawa, ewald_sum
from sci.potentials.ewald import (
    ewald_split,
    mode_counts,
    mode_influence,
    mode_orders,
    neutralizing_constant,
    structure_factors,
    triangular_basis,
)


@pytest.mark.parametrize("name", MADELUNG)
def test_madelung_constants(name):
    cell, distance, accepted = MADELUNG[name]
    np.testing.assert_allclose(-ewald_sum(cell, cell.positions) * cell.charges * distance, accepted, atol=1e-11)


@pytest.mark.parametrize("cell", [ORTHOGONAL, TRICLINIC], ids=["orthogonal", "triclinic"])
@pytest.mark.parametrize("neutral", [True, False], ids=["neutral", "charged"])
@pytest.mark.parametrize("tol", [1e-5, 1e-12])
def test_against_another_sum_with_another_split(cell, neutral, tol):
    particles = filled(cell, 60, neutral=neutral)
    points = np.concatenate([particles.positions[:20], np.random.default_rng(1).normal(size=(30, 3)) * 20])
    potential, field = ewald(particles, points, 0.55)
    value, slope = ewald_sum(particles, points, tol=tol, gradient=True)
    assert relative(value, potential) < tol
    assert relative(slope, -field) < 2 * tol
    assert ewald_sum(particles, points[:0]).shape == (0,)


def test_parts():
    counts = mode_counts(ORTHOGONAL, 2.0)
    assert counts == (2, 3, 2)
    assert [len(n) for n in mode_orders(counts)] == [5, 7, 3]
    influence, k = mode_influence(np.linalg.inv(ORTHOGONAL), counts, ewald_split(0.4, 1e-9, Coulomb()), 2.0)
    assert influence.shape == (5, 7, 3)
    assert influence[2, 3, 0] == 0.0
    np.testing.assert_allclose(k[3, 3, 0], [2 * np.pi / 9.0, 0.0, 0.0], atol=1e-15)
    endless = replace(ewald_split(0.4, 1e-9, Coulomb()), cutoff=1e3)
    assert neutralizing_constant(endless, 2.0, 700.0) == pytest.approx(-np.pi * 2.0 / (0.4**2 * 700.0))


def test_bad_arguments():
    with pytest.raises(InvalidValueError, match="have no cell"):
        ewald_sum(Particles([[0.0, 0.0, 0.0]], [1.0]), [[1.0, 0.0, 0.0]])
    with pytest.raises(InvalidValueError, match=r"tol is 1\.0; expected"):
        ewald_sum(filled(ORTHOGONAL, 4), [[1.0, 0.0, 0.0]], tol=1.0)


def test_periods_along_the_axes():
    fcc = np.array([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0], [2.0, 2.0, 0.0]])
    found = triangular_basis(fcc)
    assert np.triu(found, 1).any() == 0
    np.testing.assert_allclose(np.diag(found), [4.0, 2.0, 2.0])
    steps = found @ np.linalg.inv(fcc)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-12)
    bcc = np.array([[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])
    assert np.prod(np.diag(triangular_basis(bcc))) == pytest.approx(4.0)
    np.testing.assert_array_equal(triangular_basis(ORTHOGONAL[[2, 0, 1]]), ORTHOGONAL)
    assert triangular_basis(TRICLINIC) is None


def test_structure_factors():
    rng = np.random.default_rng(0)
    fractions, charges = rng.random((5, 3)), rng.normal(size=5)
    found = structure_factors(fractions, charges, (1, 2, 2))
    n = np.array([-1, 2, 1])
    assert found[0, 4, 1] == pytest.approx((charges * np.exp(-2j * np.pi * fractions @ n)).sum())


@pytest.mark.parametrize("kappa", [0.4, 1.5])
def test_screened_sums_are_those_over_all_images(kappa: float) -> None:
    """Screened charges need no background: the images are summed one by one."""
    particles = filled(0.6 * TRICLINIC, 8, neutral=False)
    points = np.concatenate([particles.positions, [[0.3, 0.2, 0.1], [7.0, -3.0, 2.0]]])
    sources = particles.positions, particles.charges
    potential, gradient = screened_images(particles.cell, *sources, points, kappa)
    found = ewald_sum(particles, points, tol=1e-12, kernel=Yukawa(kappa), gradient=True)
    np.testing.assert_allclose(found[0], potential, atol=1e-11)
    np.testing.assert_allclose(found[1], gradient, atol=1e-11)
    for alpha in (None, 0.8):
        phi = PeriodicPotential(particles, 1e-9, kernel=Yukawa(kappa), alpha=alpha)
        values = phi.evaluate(points, True)
        np.testing.assert_allclose(values[:, 0], potential, atol=1e-9 * np.abs(potential).max())
        np.testing.assert_allclose(values[:, 1:], gradient, atol=1e-9 * np.abs(gradient).max())
        grid = phi.on_grid(*[np.array([0.1, 1.3, 2.0])] * 3)
        places = np.stack(np.meshgrid(*[np.array([0.1, 1.3, 2.0])] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        np.testing.assert_allclose(grid.ravel(), phi(places), atol=1e-9)
        assert phi.measured_error("forces").relative < 1e-9


def test_strong_screening_leaves_the_neighbors_alone() -> None:
    particles = filled(0.6 * TRICLINIC, 8)
    found = PeriodicPotential(particles, 1e-8, kernel=Yukawa(5.0)).energy_and_forces()
    potential, gradient = screened_images(
        particles.cell, particles.positions, particles.charges, particles.positions, 5.0
    )
    assert found[0] == pytest.approx(0.5 * particles.charges @ potential, rel=1e-8)
    expected = -particles.charges[:, None] * gradient
    assert np.linalg.norm(found[1] - expected) < 1e-8 * np.linalg.norm(expected)
