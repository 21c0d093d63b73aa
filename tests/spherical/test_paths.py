"""Products over paths: their coefficients, weights, equivariance with parity, chirality, gradients, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from spherical_cases import racah_clebsch_gordan, rotations

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.spherical import (
    clebsch_gordan,
    clebsch_gordan_product,
    coupling_paths,
    gaunt_coefficients,
    gaunt_product,
    rotate_coefficients,
)
from sci.spherical.paths import product_vjp, weights_of

RNG = np.random.default_rng(4)


@pytest.mark.parametrize("parity", ["even", "odd"])
@pytest.mark.parametrize("degrees", [(0, 2, 2), (2, 3, 4), (4, 4, 4)])
def test_it_is_the_sum_over_paths(degrees, parity):
    x, y = (RNG.normal(size=(2, (d + 1) ** 2, 5)) for d in degrees[:2])
    paths = coupling_paths(*degrees, parity)
    for weights in (None, RNG.normal(size=len(paths)), RNG.normal(size=(len(paths), 5))):
        expected = np.zeros((2, (degrees[2] + 1) ** 2, 5))
        for k, path in enumerate(paths):
            of_x, of_y, of_z = (slice(ell * ell, (ell + 1) ** 2) for ell in path)
            term = np.einsum("abc,man,mbn->mcn", np.abs(racah_clebsch_gordan(*path)) * np.sign(clebsch_gordan(*path)),
                             x[:, of_x], y[:, of_y])  # fmt: skip
            expected[:, of_z] += term if weights is None else term * weights[k]
        found = clebsch_gordan_product(x, y, degrees[2], parity=parity, weights=weights)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("parity", ["even", "odd"])
@pytest.mark.parametrize("of_x", [False, True])
@pytest.mark.parametrize("of_y", [False, True])
def test_equivariance_under_rotations_and_reflections(parity, of_x, of_y):
    """An odd path, and each pseudotensor among the factors, makes one sign more."""
    x, y = RNG.normal(size=(2, 5, 16, 3))
    r = rotations(RNG, 5)
    r[0] = np.diag([1.0, 1, -1])
    w = RNG.normal(size=(len(coupling_paths(3, 3, 3, parity)), 3))
    turned = clebsch_gordan_product(
        rotate_coefficients(x, r, pseudo=of_x), rotate_coefficients(y, r, pseudo=of_y), 3, parity=parity, weights=w
    )
    found = clebsch_gordan_product(x, y, 3, parity=parity, weights=w)
    makes_pseudo = (parity == "odd") ^ of_x ^ of_y
    np.testing.assert_allclose(turned, rotate_coefficients(found, r, pseudo=makes_pseudo), rtol=0, atol=1e-12)
    wrong = rotate_coefficients(found, r, pseudo=not makes_pseudo)
    assert np.abs(turned - wrong).max() > 0.1


def test_a_gaunt_product_is_one_with_chosen_weights():
    x, y = RNG.normal(size=(2, 16, 3))
    ratio = []
    for path in coupling_paths(3, 3, 3):
        gaunt, cg = gaunt_coefficients(*path), clebsch_gordan(*path)
        place = np.unravel_index(np.abs(cg).argmax(), cg.shape)
        ratio.append(gaunt[place] / cg[place])
    found = clebsch_gordan_product(x, y, 3, weights=np.array(ratio))
    np.testing.assert_allclose(found, gaunt_product(x, y, 3), rtol=0, atol=1e-13)
    assert min(ratio) > 0


def test_odd_paths_tell_a_shape_from_its_mirror_image():
    a, b, c = RNG.normal(size=(3, 9, 1))
    mirror = np.diag([1.0, 1, -1])

    def handedness(*parts):
        inner = clebsch_gordan_product(parts[0], parts[1], 2, parity="odd")
        return float(gaunt_product(inner, parts[2], 0)[0, 0])

    one = handedness(a, b, c)
    other = handedness(*(rotate_coefficients(f, mirror) for f in (a, b, c)))
    assert one == pytest.approx(-other, rel=1e-12)
    assert abs(one) > 1e-3


@pytest.mark.parametrize("parity", ["even", "odd"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_gradients_of_a_bilinear_form(parity, per_channel):
    """The product is linear in each of its factors: a gradient is the value at unit vectors."""
    degrees = (2, 1, 3)
    x, y, dz = (RNG.normal(size=(2, (d + 1) ** 2, 3)) for d in degrees)
    paths = len(coupling_paths(*degrees, parity))
    w = RNG.normal(size=(paths, 3 if per_channel else 1))

    def value(x, y, w):
        given = w if per_channel else w[:, 0]
        return float((dz * clebsch_gordan_product(x, y, 3, parity=parity, weights=given)).sum())

    found = product_vjp(dz, x, y, w, degrees, parity)
    for k, array in enumerate((x, y, w)):
        assert found[k].shape == array.shape
        for place in np.ndindex(array.shape):
            unit = np.zeros(array.shape)
            unit[place] = 1
            given = [x, y, w]
            given[k] = unit
            assert found[k][place] == pytest.approx(value(*given), rel=1e-11, abs=1e-12)
    assert product_vjp(dz, x, y, None, degrees, parity)[2] is None


def test_shapes_and_precision():
    x = RNG.normal(size=(0, 9, 2))
    assert clebsch_gordan_product(x, x, 4).shape == (0, 25, 2)
    y = RNG.normal(size=(3, 9, 2)).astype("f4")
    assert clebsch_gordan_product(y, y, 2).dtype == np.float32
    assert not clebsch_gordan_product(y[:, :1], y[:, :1], 2, parity="odd").any()
    assert weights_of(np.ones(4), y.astype(float), (2, 2, 2), "odd").shape == (4, 1)


def test_refusals():
    x = np.ones((3, 4, 2))
    for call, error, text in (
        (lambda: clebsch_gordan_product(x[:, :2], x, 2), ShapeError, "1, 4, 9, 16"),
        (lambda: clebsch_gordan_product(x, x, -1), InvalidValueError, "degree is -1"),
        (lambda: clebsch_gordan_product(x, x, 1, parity="both"), InvalidValueError, "one of 'even', 'odd'"),
        (lambda: clebsch_gordan_product(x, x, 1, weights=np.ones(3)), ShapeError, r"one for each of the 4 paths"),
        (lambda: clebsch_gordan_product(x, x, 1, weights=np.ones(4, "f4")), DTypeError, "expected one dtype"),
        (lambda: clebsch_gordan_product(x, x, 1, weights=np.full(4, np.nan)), InvalidValueError, "weights holds 4"),
    ):
        with pytest.raises(error, match=text):
            call()
