"""Grids of the sphere: exact sums, the nodes' accuracy near the poles, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.spherical import SphereGrid
from sci.spherical.grids import KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [2, 3, 4, 7, 16, 33])
def test_weights_integrate_polynomials_exactly(kind, n):
    grid = SphereGrid(n, 4, kind)
    exact = 2 * n if kind == "gauss-legendre" else n
    x = np.cos(grid.colatitudes)
    for degree in range(exact):
        expected = 4 * np.pi / (degree + 1) if degree % 2 == 0 else 0
        assert abs(grid.n_lon * grid.weights @ x**degree - expected) < 1e-13 * 4 * np.pi
    even = exact + exact % 2  # odd ones vanish on every symmetric grid
    assert abs(grid.n_lon * grid.weights @ x**even - 4 * np.pi / (even + 1)) > 1e-12 / 4**n


def test_one_circle():
    grid = SphereGrid(1, 4)
    np.testing.assert_allclose(grid.colatitudes, [np.pi / 2], rtol=0, atol=1e-16)
    np.testing.assert_allclose(grid.weights, [np.pi])


def test_nodes_near_the_pole():
    """j_0k / (n + 1/2): the first zeros of Bessel's function, to the order that is known."""
    n = 1024
    theta = SphereGrid(n, 1).colatitudes
    zeros = np.array([2.404825557695773, 5.520078110286311, 8.653727912911013])
    psi = zeros / (n + 0.5)
    expected = psi + (psi / np.tan(psi) - 1) / (8 * psi * (n + 0.5) ** 2)
    np.testing.assert_allclose(theta[:3], expected, rtol=3e-13)
    np.testing.assert_array_equal(theta[:512], np.sort(theta[:512]))
    np.testing.assert_allclose(theta + theta[::-1], np.pi, rtol=1e-15)


def test_exact_counts_and_shapes():
    grid = SphereGrid(9, 12, "equiangular")
    assert (grid.exact_degrees, grid.exact_orders, grid.shape) == (5, 6, (9, 12))
    np.testing.assert_allclose(grid.longitudes, np.arange(12) * np.pi / 6)
    assert SphereGrid(9, 13).exact_degrees == 9
    assert SphereGrid(9, 13).exact_orders == 7


def test_what_is_refused():
    for arguments, name in (((0, 4), "n_lat"), ((1, 4, "equiangular"), "n_lat"), ((4, 0), "n_lon")):
        with pytest.raises(InvalidValueError, match=name):
            SphereGrid(*arguments)
    with pytest.raises(InvalidValueError, match="kind"):
        SphereGrid(4, 4, "healpix")
