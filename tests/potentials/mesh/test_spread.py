"""Spreading and gathering are adjoint, keep the charge, and differentiate what they interpolate."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_cases import CELL

from sci.potentials.mesh.spread import gather_fields, spread_charges
from sci.potentials.mesh.window import ORDERS

INVERSE = np.linalg.inv(CELL)


@pytest.mark.parametrize("order", ORDERS)
def test_gathering_is_the_adjoint_of_spreading(order):
    rng = np.random.default_rng(1)
    positions, charges, values = rng.normal(size=(50, 3)) * 9, rng.normal(size=50), rng.normal(size=(8, 11, 9))
    grid = spread_charges(positions, charges, INVERSE, values.shape, order, np.float64)
    assert grid.sum() == pytest.approx(charges.sum())
    found = gather_fields(positions, INVERSE, values, order)
    assert (grid * values).sum() == pytest.approx(charges @ found[:, 0])
    step = 1e-5
    for axis in range(3):
        moved = [gather_fields(positions + s * step * np.eye(3)[axis], INVERSE, values, order)[:, 0] for s in (1, -1)]
        np.testing.assert_allclose(found[:, 1 + axis], (moved[0] - moved[1]) / (2 * step), atol=1e-7)


def test_sums_over_several_grids_do_not_depend_on_threads():
    import sci

    rng = np.random.default_rng(2)
    positions, charges = rng.random((40_000, 3)) @ CELL, rng.normal(size=40_000)
    found = []
    for threads in (1, 2):
        with sci.options(threads=threads):
            found.append(spread_charges(positions, charges, INVERSE, (16, 16, 16), 5, np.float32))
    np.testing.assert_array_equal(*found)
    assert found[0].sum(dtype=float) == pytest.approx(charges.sum(), abs=1e-3)
