"""Gaussians that continue the long range: their sum is the short range, to what the cutoff leaves out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sci.potentials import Coulomb, GaussianSum, Yukawa, split_kernel
from sci.potentials.ewald import ewald_split
from sci.potentials.radial.continuation import NEAR, SHARE, continued
from sci.potentials.radial.split import continuous

SPLITS = {
    "coulomb": lambda tol: split_kernel(Coulomb(), tol, 90.0, 0.4),
    "wide": lambda tol: split_kernel(Coulomb(), tol, 90.0, 0.1),
    "screened": lambda tol: split_kernel(Yukawa(0.2), tol, 90.0, 0.4),
    "all short": lambda tol: split_kernel(Yukawa(0.8), tol, 90.0, 0.0),
    "ewald": lambda tol: ewald_split(0.4, tol),
}


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-5, 1e-7, 1e-9, 1e-11])
def test_the_sum_is_the_short_range_and_each_ends_where_it_is_negligible(name, tol):
    split = SPLITS[name](tol)
    found = continued(split)
    assert found.near == pytest.approx(NEAR * split.cutoff)
    r = np.geomspace(found.near, split.cutoff, 3001)
    short = split.kernel(r) - split.gaussians.of_square(r**2)
    rounding = 4e-16 * (split.gaussians.at_zero * split.cutoff + 1)
    assert np.abs((short - found.gaussians.of_square(r**2)) * r).max() < 0.4 * found.tol + rounding
    assert found.tol < 1.2 * tol
    t, w = found.gaussians.exponents, found.gaussians.weights
    assert (np.diff(found.radii) <= 0).all()
    assert found.near < found.radii[-1]
    assert found.radii[0] <= split.cutoff
    inner = found.radii < split.cutoff
    ends = w * np.exp(-((t * found.radii) ** 2)) * split.cutoff
    np.testing.assert_allclose(ends[inner], SHARE * found.tol, rtol=1e-9)
    assert (ends < 1.1 * found.tol).all()
    np.testing.assert_array_equal(found.table, np.stack([t**2, w, found.radii**2], axis=1))
    assert f"{len(t)} Gaussians" in repr(found)


def test_splits_that_gaussians_do_not_continue():
    split = split_kernel(Coulomb(), 1e-6, 90.0, 0.4)
    assert continued(continuous(split)) is None
    moved = GaussianSum(split.gaussians.exponents * 1.001, split.gaussians.weights)
    assert continued(replace(split, gaussians=moved)) is None
    assert continued(replace(split, b=split.b * 1.001)) is None
    two = GaussianSum(split.gaussians.exponents[[0, -1]], split.gaussians.weights[[0, -1]])
    assert continued(replace(split, gaussians=two)) is None
    assert continued(replace(split_kernel(Coulomb(), 1e-6, 90.0, 0.4), kernel=Yukawa(2.0))) is None
