"""Extrapolation to spacing zero: exact for errors of second order, and the errors that it states."""

from __future__ import annotations

import numpy as np
import pytest

from sci.applications.solvation.cavity import cavity_on_grid, charge_depths, surrounding_box
from sci.applications.solvation.refinement import COARSER, default_spacing, extrapolated, own_error
from sci.potentials import Particles

PAIR = Particles([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [1.0, -0.5], [3.0, 2.5])


def _cavity(spacing):
    return cavity_on_grid(PAIR, PAIR.radii, surrounding_box(PAIR, PAIR.radii, 3.0), spacing, (0.0,) * 3, 2.0, 80.0)


def test_errors_of_second_order_vanish():
    truth, rate, h = np.array([-1.0, 0.3]), np.array([0.2, -0.1]), 0.5
    found = extrapolated(_cavity(h), truth + rate * h**2, np.tile(truth + rate * (COARSER * h) ** 2, (4, 1)))
    np.testing.assert_allclose(found.at_charges, truth, rtol=1e-12)
    assert found.energy == pytest.approx(0.5 * PAIR.charges @ truth)
    assert (abs(rate) * h**2 <= found.at_charges_error).all()


def test_a_charge_that_coarse_cells_do_not_resolve_is_left_as_it_is():
    fine, coarse = np.array([-1.0, 0.3]), np.tile([-1.2, 0.4], (4, 1))
    np.testing.assert_allclose(extrapolated(_cavity(2.0), fine, coarse).at_charges, fine)


def test_the_error_that_spacings_do_not_show_falls_with_the_fourth_power():
    small, large = own_error(PAIR, PAIR.radii, 0.2), own_error(PAIR, PAIR.radii, 0.4)
    np.testing.assert_allclose(large, 16 * small)


def test_the_default_spacing_resolves_the_shallowest_charge():
    depths = charge_depths(PAIR, np.array([0.9, 0.6]))
    assert default_spacing(PAIR, np.array([0.9, 0.6]), depths, 3.0) == pytest.approx(0.2)
    assert default_spacing(PAIR, PAIR.radii, charge_depths(PAIR, PAIR.radii), 3.0) == 0.5
