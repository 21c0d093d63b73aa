"""Spherical transforms: SciPy's harmonics, exact round trips, Parseval, rotations, derivatives, torch-harmonics."""

from __future__ import annotations

import numpy as np
import pytest
from harmonics import sph_harm_y

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.spherical import SphereGrid, spherical_synthesis, spherical_transform
from sci.spherical.transform import analysis, analysis_vjp, synthesis, synthesis_vjp

GRIDS = [
    *(SphereGrid(n, m) for n, m in ((1, 1), (2, 5), (12, 24), (13, 25))),
    *(SphereGrid(n, m, "equiangular") for n, m in ((2, 1), (3, 4), (23, 24), (24, 25))),
]


def coefficients(degrees, orders, seed=0, lead=()):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(*lead, degrees, orders)) + 1j * rng.normal(size=(*lead, degrees, orders))
    a *= np.arange(orders) <= np.arange(degrees)[:, None]
    a[..., 0] = a[..., 0].real
    return a


def counts(grid):
    return grid.exact_degrees, min(grid.exact_degrees, grid.exact_orders)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_synthesis_is_the_sum_of_scipys_harmonics(grid):
    degrees, orders = counts(grid)
    a = coefficients(degrees, orders)
    theta, phi = np.meshgrid(grid.colatitudes, grid.longitudes, indexing="ij")
    expected = np.zeros(grid.shape)
    for degree in range(degrees):
        for m in range(-min(degree, orders - 1), min(degree, orders - 1) + 1):
            own = a[degree, m] if m >= 0 else (-1) ** m * a[degree, -m].conj()
            expected += (own * sph_harm_y(degree, m, theta, phi)).real
    np.testing.assert_allclose(spherical_synthesis(a, grid), expected, rtol=0, atol=1e-13 * max(1, abs(expected).max()))


@pytest.mark.parametrize("grid", [*GRIDS, SphereGrid(512, 1024), SphereGrid(1023, 1023, "equiangular")], ids=str)
def test_round_trips_and_parseval(grid):
    degrees, orders = counts(grid)
    a = coefficients(degrees, orders)
    field = spherical_synthesis(a, grid)
    back = spherical_transform(field, grid)
    assert back.shape == a.shape
    np.testing.assert_allclose(back, a, rtol=0, atol=1e-13 * abs(a).max())
    power = (np.abs(a) ** 2 * np.where(np.arange(orders) == 0, 1, 2)).sum()
    assert abs((field**2 * grid.weights[:, None]).sum() / power - 1) < 1e-13


def test_a_rotation_about_the_axis_is_a_phase_of_each_order():
    grid, shift = SphereGrid(16, 32), 5
    a = coefficients(16, 16)
    turned = a * np.exp(-2j * np.pi * shift / grid.n_lon * np.arange(16))
    np.testing.assert_allclose(
        spherical_synthesis(turned, grid), np.roll(spherical_synthesis(a, grid), shift, axis=1), rtol=0, atol=1e-12
    )


def test_both_grids_and_precisions_agree():
    a = coefficients(12, 12, lead=(2, 3))
    fine, other = SphereGrid(12, 24), SphereGrid(23, 24, "equiangular")
    field = spherical_synthesis(a, other)
    assert field.shape == (2, 3, 23, 24)
    np.testing.assert_allclose(spherical_transform(spherical_synthesis(a, fine), fine), a, rtol=0, atol=1e-13)
    single = spherical_transform(field.astype(np.float32), other)
    assert single.dtype == np.complex64
    np.testing.assert_allclose(single, a, rtol=0, atol=3e-6 * np.abs(a).max())
    assert spherical_synthesis(single, other).dtype == np.float32


@pytest.mark.parametrize(
    ("grid", "degrees", "orders"),
    [
        (SphereGrid(8, 9), 8, 5),
        (SphereGrid(7, 8), 6, 5),
        (SphereGrid(8, 8, "equiangular"), 8, 5),
        (SphereGrid(9, 6, "equiangular"), 5, 3),
    ],
    ids=str,
)
def test_derivatives_are_the_transposes(grid, degrees, orders):
    """<transform x, a> = <x, vjp a> as real products, half of the points' order among them."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, *grid.shape))
    a, b = (rng.normal(size=(degrees, orders, 2, 2)).view(complex)[..., 0] for _ in range(2))

    def dot(u, v):
        return float((u.conj() * v).real.sum())

    assert abs(dot(analysis(x, grid, degrees, orders), a) - dot(x, analysis_vjp(a, grid))) < 1e-12
    assert abs(dot(synthesis(b, grid), x) - dot(b, synthesis_vjp(x, grid, degrees, orders))) < 1e-12


def test_more_than_is_exact_is_refused_unless_asked_for():
    grid = SphereGrid(9, 16, "equiangular")
    field = spherical_synthesis(coefficients(9, 5), grid)
    with pytest.raises(InvalidValueError, match=r"5 and 8.*exact=False"):
        spherical_transform(field, grid, degrees=9)
    assert spherical_transform(field, grid, degrees=9, orders=5, exact=False).shape == (9, 5)
    with pytest.raises(InvalidValueError, match="holds 9 and 9"):
        spherical_transform(field, grid, degrees=10, exact=False)
    with pytest.raises(InvalidValueError, match=r"9 orders.*at most 8"):
        spherical_synthesis(coefficients(9, 9), grid)


def test_what_is_refused():
    grid = SphereGrid(4, 8)
    with pytest.raises(ShapeError, match=r"\(\.\.\., 4, 8\)"):
        spherical_transform(np.zeros((8, 4)), grid)
    with pytest.raises(DTypeError, match="float16"):
        spherical_transform(np.zeros((4, 8), np.float16), grid)
    with pytest.raises(DTypeError, match="float64"):
        spherical_synthesis(np.zeros((4, 4)), grid)
    with pytest.raises(InvalidValueError, match="NaN"):
        spherical_transform(np.full((4, 8), np.nan), grid)


@pytest.mark.peers
@pytest.mark.parametrize(("kind", "theirs"), [("gauss-legendre", "legendre-gauss"), ("equiangular", "equiangular")])
def test_torch_harmonics(kind, theirs):
    torch = pytest.importorskip("torch")
    harmonics = pytest.importorskip("torch_harmonics")
    grid = SphereGrid(20, 40, kind)
    x = np.random.default_rng(0).normal(size=(2, 20, 40))
    forward = harmonics.RealSHT(20, 40, lmax=20, mmax=12, grid=theirs, norm="ortho").double()
    back = harmonics.InverseRealSHT(20, 40, lmax=20, mmax=12, grid=theirs, norm="ortho").double()
    expected = forward(torch.from_numpy(x))
    found = spherical_transform(x, grid, degrees=20, orders=12, exact=False)
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-13 * np.abs(found).max())
    np.testing.assert_allclose(
        spherical_synthesis(found, grid), back(expected).numpy(), rtol=0, atol=1e-12 * np.abs(x).max()
    )
