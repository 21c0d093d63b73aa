"""Operations along one axis against einsum and Kronecker products."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sci.tensor import CP
from sci.tensor.formats import cp as cp
from sci.tensor.formats.modes import cheapest_order, khatri_rao, mode_product, normalize_signs


def random_cp(shape: tuple[int, ...], terms: int, seed: int = 0) -> CP:
    rng = np.random.default_rng(seed)
    return CP(rng.normal(size=terms), tuple(rng.normal(size=(n, terms)) for n in shape))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_mode_product_is_the_contraction_of_one_axis(axis: int) -> None:
    rng = np.random.default_rng(0)
    tensor, matrix = rng.normal(size=(3, 4, 5, 2)), rng.normal(size=(6, (3, 4, 5, 2)[axis]))
    expected = np.moveaxis(np.tensordot(matrix, tensor, axes=(1, axis)), 0, axis)
    result = mode_product(tensor, matrix, axis)
    assert_allclose(result, expected, atol=1e-14)
    assert result.flags.c_contiguous
    out = np.empty_like(result)
    assert mode_product(tensor, matrix, axis, out) is out
    assert_allclose(out, expected, atol=1e-14)


def test_cheapest_order_shrinks_first_and_grows_last() -> None:
    assert cheapest_order((100, 10, 10), (2, 10, 10))[0] == 0
    assert cheapest_order((5, 5, 5), (5, 100, 20))[-1] == 1
    assert sorted(cheapest_order((4,) * 8, (2,) * 8)) == list(range(8))


def test_khatri_rao_columns_are_kronecker_products() -> None:
    factors = random_cp((2, 3, 4), 5).factors
    product = khatri_rao(factors)
    for k in range(5):
        expected = np.kron(np.kron(factors[0][:, k], factors[1][:, k]), factors[2][:, k])
        assert_allclose(product[:, k], expected, atol=1e-15)


def test_signs_do_not_depend_on_the_sign_given() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(9, 6)) + 1j * rng.normal(size=(9, 6))
    phases = np.exp(1j * rng.uniform(0, 6, 6))
    assert_allclose(normalize_signs(vectors * phases), normalize_signs(vectors), atol=1e-14)
    odd = np.array([[-1.0], [0.2], [-0.2], [1.0 + 1e-16]])
    assert_allclose(normalize_signs(odd), normalize_signs(-odd))
    assert_allclose(normalize_signs(np.zeros((3, 1))), 0.0)
