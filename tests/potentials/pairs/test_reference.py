"""The reference of the sums over pairs: which images it counts, and the value of a pair."""

from __future__ import annotations

import numpy as np
import pytest

from sci.potentials.ewald import ewald_split
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.reference import lattice_shifts, pair_values


def test_shifts_hold_every_image_within_reach():
    lattice = np.array([[4.0, 0.0, 0.0], [3.0, 2.0, 0.0], [1.0, -1.0, 3.0]])
    shifts = lattice_shifts(np.zeros(3), np.ones(3), 5.0, lattice)
    orders = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    wanted = [tuple(s) for s in np.round(orders @ lattice, 6) if (np.abs(s) <= 6.0).all()]
    assert sorted(tuple(s) for s in np.round(shifts, 6)) == sorted(wanted)
    assert not shifts[0].any()


def test_a_pair_is_zero_beyond_the_cutoff_and_where_it_is_masked():
    kernel = PairKernel.of(ewald_split(0.5, 1e-6))
    r2 = np.array([0.0, 1.0, 1.0, kernel.cutoff**2 * 1.01])
    value, factor = pair_values(kernel, r2, np.array([True, True, False, True]), 1e-16)
    assert value[0] == pytest.approx(-kernel.at_zero, rel=1e-13)
    assert value[1] > 0 < factor[1]
    assert not value[2:].any()
    assert not factor[[2, 3]].any()
    assert factor[0] == pytest.approx(-np.polyval(kernel.g[::-1], -1.0), rel=1e-13)
