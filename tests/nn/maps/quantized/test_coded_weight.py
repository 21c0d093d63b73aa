"""Weights of codes: decoding, products, ops that take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import sci
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import CodebookWeight, CodedWeight, linear, pack_codes, pointwise_conv, value_and_gradients
from sci.nn.maps.quantized.coded_weight import decode_product_reference, weight_from_rows, weight_rows

RNG = np.random.default_rng(5)


def drawn(shape: tuple[int, ...], bits: int, n_groups: int = 3, dtype: Any = "f4", row_axes: Any = (0,)) -> CodedWeight:
    """Return a random weight of codes."""
    like = np.zeros(shape, dtype)
    rows = weight_rows(like, row_axes)
    books = RNG.normal(size=(n_groups, 1 << bits)).astype(rows.dtype)
    groups = RNG.integers(0, n_groups, len(rows))
    packed = pack_codes(RNG.integers(0, 1 << bits, rows.shape), bits)
    return CodedWeight(shape, packed, books, groups, bits, row_axes=row_axes, dtype=dtype)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("row_axes", [(0,), (1,), (2, 0), (0, 1, 2)])
def test_rows_there_and_back(dtype: str, row_axes: tuple[int, ...]) -> None:
    weight = (RNG.normal(size=(3, 4, 5)) + (1j if dtype[0] == "c" else 0) * RNG.normal(size=(3, 4, 5))).astype(dtype)
    rows = weight_rows(weight, row_axes)
    assert rows.dtype.kind == "f"
    np.testing.assert_array_equal(weight_from_rows(rows, weight.shape, row_axes, weight.dtype), weight)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_decoding_is_a_lookup(bits: int) -> None:
    weight = drawn((7, 11), bits)
    expected = weight.codebooks[weight.groups[:, None], weight.codes]
    np.testing.assert_array_equal(weight.decode(), expected)
    np.testing.assert_array_equal(np.asarray(weight), expected)
    np.testing.assert_array_equal(weight[2:4, 1], expected[2:4, 1])
    assert (weight.size, len(weight)) == (77, 7)
    assert weight.nbytes == -(-77 * bits // 64) * 8 + 4 * 3 * 2**bits + 2


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8"])
@pytest.mark.parametrize("kernels", ["compiled", "reference"])
def test_products(bits: int, dtype: str, kernels: str) -> None:
    weight = drawn((45, 70), bits, dtype=dtype)
    x = RNG.normal(size=(2, 3, 70)).astype(dtype)
    if dtype == "c8":
        x = x + 1j * RNG.normal(size=x.shape).astype("f4")
    with sci.options(kernels=kernels):
        found = weight.product(x)
    assert found.dtype == x.dtype
    np.testing.assert_allclose(found, x @ weight.decode().T, rtol=0, atol=3e-5 if dtype != "f8" else 1e-12)


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
def test_products_of_several_matrices(kernels: str) -> None:
    """Spectral weights (modes, in, out), a matrix for each mode."""
    weight = drawn((4, 3, 10, 6), 3, dtype="c8", row_axes=(0, 1, 3))
    x = (RNG.normal(size=(12, 5, 10)) + 1j * RNG.normal(size=(12, 5, 10))).astype("c8")
    with sci.options(kernels=kernels):
        found = weight.product(x, 12)
    expected = np.einsum("kbi,kio->kbo", x, weight.decode().reshape(12, 10, 6))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    real = drawn((12, 33), 4)
    rows = RNG.normal(size=(3, 4, 33)).astype("f4")
    wanted = decode_product_reference(rows, real.decode())
    with sci.options(kernels=kernels):
        np.testing.assert_allclose(real.product(rows, 3), wanted, rtol=0, atol=2e-5)
    np.testing.assert_allclose(wanted[1], rows[1] @ real.decode()[4:8].T, rtol=0, atol=2e-5)


def test_ops_multiply_by_codes_and_give_gradients_of_inputs() -> None:
    weight, bias = drawn((6, 8), 4), RNG.normal(size=6).astype("f4")
    x, field = RNG.normal(size=(5, 8)).astype("f4"), RNG.normal(size=(2, 8, 3, 4)).astype("f4")
    dense = weight.decode()
    np.testing.assert_allclose(linear(x, weight, bias), linear(x, dense, bias), atol=1e-5)
    np.testing.assert_allclose(pointwise_conv(field, weight, bias), pointwise_conv(field, dense, bias), atol=1e-5)
    assert pointwise_conv(field, weight).flags.c_contiguous
    for a, b in zip(
        value_and_gradients(lambda v: linear(v, weight, bias).sum(), x),
        value_and_gradients(lambda v: linear(v, dense, bias).sum(), x),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    other = drawn((8, 6), 4, row_axes=(1,))
    np.testing.assert_allclose(linear(x[:, :6], other), linear(x[:, :6], other.decode()), atol=1e-5)


def test_precisions() -> None:
    weight = drawn((6, 8), 4)
    assert weight.astype("f4", copy=False) is weight
    np.testing.assert_array_equal(weight.astype(np.float64).decode(), weight.decode().astype(np.float64))
    with pytest.raises(DTypeError, match="expected the same kind"):
        weight.astype(np.complex64)


def test_refusals() -> None:
    weight = drawn((6, 8), 4)
    books = weight.codebooks
    with pytest.raises(ShapeError, match=r"expected \(groups, 8\)"):
        CodedWeight((6, 8), weight.packed, books, weight.groups, 3)
    with pytest.raises(ShapeError, match="words for 54 codes"):
        CodedWeight((6, 9), weight.packed, books, weight.groups, 4)
    with pytest.raises(InvalidValueError, match="6 numbers from 0 to 0"):
        CodedWeight((6, 8), weight.packed, books[:1], weight.groups + 1, 4)
    with pytest.raises(InvalidValueError, match="NaN"):
        CodedWeight((6, 8), weight.packed, np.full_like(books, np.nan), weight.groups, 4)
    with pytest.raises(DTypeError, match="one precision"):
        CodedWeight((6, 8), weight.packed, books, weight.groups, 4, dtype=np.float64)
    with pytest.raises(InvalidValueError, match="some of its axes"):
        weight_rows(np.ones((2, 3)), (2,))
    with pytest.raises(ShapeError, match=r"expected \(\.\.\., 8\)"):
        weight.product(np.ones((3, 7), "f4"))
    with pytest.raises(ShapeError, match="linear of x"):
        linear(np.ones((3, 7), "f4"), weight)


def test_the_layout_of_a_product_is_made_once() -> None:
    weight = CodebookWeight(RNG.normal(size=(32, 16)).astype("f4"), 2)
    coded = weight.coded(weight.start())
    x = RNG.normal(size=(2, 16)).astype("f4")
    with sci.options(kernels="compiled"):
        coded.product(x)
        made = coded._tiles(1, 16, False)
        coded.product(x)
    assert coded._tiles(1, 16, False)[0] is made[0]
    assert made[0].nbytes == 32 * 32 // 4, "two bits for each of 32 columns, of which 16 are there"


@pytest.mark.parametrize("shape", [(16, 24), (96, 64)])
def test_many_rows_are_the_same_product(shape: tuple[int, int]) -> None:
    """A small weight is decoded, a large one meets some rows at a time."""
    rng = np.random.default_rng(8)
    codes = pack_codes(rng.integers(0, 4, shape), 2)
    weight = CodedWeight(shape, codes, rng.normal(size=(1, 4)).astype("f4"), np.zeros(shape[0], np.int64), 2)
    x = rng.normal(size=(5000, shape[1])).astype("f4")
    np.testing.assert_allclose(weight.product(x), x @ weight.decode().T, atol=1e-4)
    parts = [weight.product(x[:2500]), weight.product(x[2500:])]
    np.testing.assert_allclose(weight.product(x), np.concatenate(parts), atol=1e-4)
