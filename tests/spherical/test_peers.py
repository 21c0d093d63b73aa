"""Harmonics beside sphericart, coefficients beside SymPy and e3nn-jax."""

from __future__ import annotations

import numpy as np
import pytest
from spherical_cases import rotations, vectors

from sci.spherical import (
    clebsch_gordan,
    clebsch_gordan_product,
    coupling_paths,
    gaunt_coefficients,
    spherical_harmonics,
    spherical_harmonics_gradient,
    wigner_matrices,
)

pytestmark = pytest.mark.peers
RNG = np.random.default_rng(9)


@pytest.mark.parametrize("degree", [0, 1, 4, 8, 20])
@pytest.mark.parametrize("solid", [False, True])
def test_sphericart(degree: int, solid: bool) -> None:
    cart = pytest.importorskip("sphericart")
    v = vectors(RNG, 40)
    v /= np.linalg.norm(v, axis=1, keepdims=True) * 1.5
    theirs = (cart.SolidHarmonics if solid else cart.SphericalHarmonics)(degree)
    values, gradients = theirs.compute_with_gradients(v)
    ours = spherical_harmonics_gradient(v, degree, solid=solid)
    np.testing.assert_allclose(ours[0], values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours[1], gradients, rtol=0, atol=1e-11)


@pytest.mark.parametrize("path", coupling_paths(2, 2, 4), ids=str)
def test_sympy(path: tuple[int, ...]) -> None:
    wigner = pytest.importorskip("sympy.physics.wigner")
    found = gaunt_coefficients(*path)
    for place in np.ndindex(found.shape):
        orders = [int(k) - ell for k, ell in zip(place, path)]
        assert found[place] == pytest.approx(float(wigner.real_gaunt(*path, *orders)), abs=1e-14)


def _e3nn():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return pytest.importorskip("e3nn_jax")


def test_coefficients_of_e3nn() -> None:
    e3nn = _e3nn()
    for path in (*coupling_paths(4, 4, 8), *coupling_paths(4, 4, 8, "odd")):
        theirs = np.asarray(e3nn.clebsch_gordan(*path)) * np.sqrt(2 * path[2] + 1)
        np.testing.assert_allclose(clebsch_gordan(*path), theirs, rtol=0, atol=1e-12)


def test_harmonics_and_rotations_of_e3nn() -> None:
    e3nn = _e3nn()
    v, turns, order = vectors(RNG, 20), rotations(RNG, 4, True), [1, 2, 0]
    given = e3nn.IrrepsArray("1o", v[:, order])
    theirs = e3nn.spherical_harmonics([0, 1, 2, 3, 4], given, True, normalization="integral").array
    np.testing.assert_allclose(spherical_harmonics(v, 4), theirs, rtol=0, atol=1e-12)
    for ell, ours in enumerate(wigner_matrices(turns, 4)):
        matrices = e3nn.Irrep(ell, (-1) ** ell).D_from_matrix(turns[:, order][:, :, order])
        np.testing.assert_allclose(ours, matrices, rtol=0, atol=1e-10)


@pytest.mark.parametrize("parity", ["even", "odd"])
def test_products_of_e3nn(parity: str) -> None:
    """Its paths of one result stand one after the other; ours adds them up."""
    e3nn = _e3nn()
    x, y = RNG.normal(size=(2, 6, 16))
    kind = e3nn.Irreps([(1, (ell, (-1) ** ell)) for ell in range(4)])
    sign = 1 if parity == "even" else -1
    for ell in range(4):
        left, right = e3nn.IrrepsArray(kind, x), e3nn.IrrepsArray(kind, y)
        theirs = e3nn.tensor_product(left, right, filter_ir_out=[e3nn.Irrep(ell, sign * (-1) ** ell)])
        if theirs.array.shape[-1] == 0:
            continue
        summed = np.asarray(theirs.array).reshape(6, -1, 2 * ell + 1).sum(axis=1)
        ours = clebsch_gordan_product(x[..., None], y[..., None], 3, parity=parity)[:, ell * ell : (ell + 1) ** 2, 0]
        np.testing.assert_allclose(ours, summed, rtol=0, atol=1e-12)
