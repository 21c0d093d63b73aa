"""What is refused before any work, and the words in which matrices are named."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import sci
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.linalg import symmetric_eigen, symmetric_function
from sci.linalg.symmetric.eigen import symmetric_function_vjp
from sci.linalg.symmetric.matrices import as_symmetric, units_of


@pytest.fixture(params=["compiled", "reference"], autouse=True)
def _either_path(request: pytest.FixtureRequest) -> Iterator[None]:
    with sci.options(kernels=request.param):
        yield


def test_other_shapes_and_numbers_are_refused() -> None:
    for shape in ((3,), (2, 3), (4, 2, 3), (5, 0, 0)):
        with pytest.raises(ShapeError, match=r"expected square matrices \(\.\.\., n, n\)"):
            symmetric_eigen(np.ones(shape))
    with pytest.raises(DTypeError, match="complex"):
        symmetric_eigen(np.eye(2) * 1j)
    with pytest.raises(InvalidValueError, match=r"first at index \(1, 0, 1\)"):
        symmetric_eigen(np.array([np.eye(2), [[1.0, np.nan], [np.nan, 1.0]]]))


def test_rounding_is_forgiven_and_more_is_not() -> None:
    x = np.random.default_rng(0).normal(size=(4, 6, 6))
    product = x @ x.swapaxes(-1, -2) @ x @ x.swapaxes(-1, -2)
    product = product * (1 + 1e-15 * np.random.default_rng(1).normal(size=product.shape))
    assert not (product == product.swapaxes(-1, -2)).all()
    cleaned = as_symmetric(product, "a")
    np.testing.assert_array_equal(cleaned, cleaned.swapaxes(-1, -2))
    np.testing.assert_allclose(cleaned, product, rtol=0, atol=1e-13 * abs(product).max())
    bad = np.broadcast_to(np.eye(3), (2, 5, 3, 3)) * 1e-200
    bad = np.array(bad)
    bad[1, 2, 0, 2] = 1e-208
    with pytest.raises(InvalidValueError, match=r"matrix \(1, 2\) is not symmetric: .* by 1e-208, and .* 1e-200"):
        symmetric_eigen(bad)


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("log", {}, "positive definite"),
        ("inverse_sqrt", {}, "positive definite"),
        ("power", {"exponent": -0.3}, "positive definite"),
        ("power", {"exponent": 0.3}, "positive semidefinite"),
        ("sqrt", {}, "positive semidefinite"),
    ],
)
def test_a_matrix_outside_of_the_domain_is_named(name: str, options: dict[str, float], kind: str) -> None:
    matrices = np.array([np.eye(2), np.diag([2.0, -0.25]), -np.eye(2)])
    with pytest.raises(InvalidValueError, match=rf"{name}: matrix 1 is not {kind} .* eigenvalue is -0\.25"):
        symmetric_function(matrices, name, **options)
    with pytest.raises(InvalidValueError, match=rf"gradient of {name}: the matrix is not .* eigenvalue is -0\.25"):
        symmetric_function_vjp(matrices[1], np.eye(2), name, **options)


def test_singular_matrices() -> None:
    flat = np.array([[1.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(symmetric_function(flat, "sqrt"), flat / np.sqrt(2), rtol=1e-15)
    np.testing.assert_array_equal(symmetric_function(0 * flat, "power", exponent=2.0), 0 * flat)
    for name in ("log", "inverse_sqrt"):
        with pytest.raises(InvalidValueError, match="not positive definite beyond rounding"):
            symmetric_function(flat, name)
    with pytest.raises(InvalidValueError, match="singular to rounding"):
        symmetric_function(flat, "inverse")
    with pytest.raises(InvalidValueError, match="gradient of sqrt"):
        symmetric_function_vjp(flat, flat, "sqrt")


def test_what_the_dtype_cannot_hold_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"exp of a matrix overflows float64 for matrix 1, .* to 710"):
        symmetric_function(np.array([np.eye(2), 710 * np.eye(2)]), "exp")
    with pytest.raises(InvalidValueError, match=r"overflows float32"):
        symmetric_function(np.eye(2, dtype=np.float32) * 1e30, "power", exponent=2)
    with pytest.raises(InvalidValueError, match=r"the gradient of inverse overflows"):
        symmetric_function_vjp(np.eye(2) * 1e-200, np.eye(2), "inverse")


def test_gradients_of_another_dtype_or_shape_are_refused() -> None:
    eye = np.eye(2, dtype=np.float32)
    with pytest.raises(DTypeError, match="dvalue is float64 and the matrices are float32"):
        symmetric_function_vjp(eye, np.eye(2), "sqrt")
    with pytest.raises(ShapeError, match="dvalue"):
        symmetric_function_vjp(eye, eye[None], "sqrt")


def test_units_are_powers_of_two_of_each_matrix() -> None:
    numbers = np.array([[0.0, 0.0], [3.0, -5.0], [1e-300, 0.0], [1e300, 1.0]])
    units = units_of(numbers, 1)
    assert units.shape == (4, 1)
    np.testing.assert_array_equal(np.log2(units) % 1, 0)
    np.testing.assert_array_equal(units[:2, 0], [1, 8])
    size = abs(numbers).max(axis=-1) / units[:, 0]
    assert ((size[1:] >= 0.5) & (size[1:] < 1)).all()
