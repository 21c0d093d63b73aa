"""Look-ups and indices."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import RNG, real

import sci.nn as P
from sci.errors import DTypeError, InvalidValueError, ShapeError


def test_embedding_adds_up_repeated_rows():
    table, indices = real(9, 4).astype("f4"), RNG.integers(0, 9, (50, 3))
    dout = real(50, 3, 4).astype("f4")
    expected = np.zeros((9, 4))
    np.add.at(expected, indices, dout)
    out, residuals = P.embedding.forward(table, indices)
    np.testing.assert_array_equal(out, table[indices])
    np.testing.assert_allclose(P.embedding.vjp(dout, residuals)[0], expected, rtol=1e-5, atol=1e-5)
    empty = P.embedding.forward(table, np.empty((0,), int))
    assert P.embedding.vjp(empty[0], empty[1])[0].shape == (9, 4)


def test_repeated_entries_of_an_index_add_up():
    x, index = real(4, 3), np.array([1, 1, 3])
    out, residuals = P.select.forward(x, index=index)
    np.testing.assert_array_equal(out, x[index])
    gradient = P.select.vjp(np.ones((3, 3)), residuals)[0]
    np.testing.assert_array_equal(gradient, np.array([0, 2, 0, 1.0])[:, None] * np.ones(3))
    mask = np.array([True, False, True, False])
    np.testing.assert_array_equal(
        P.select.vjp(np.ones((2, 3)), P.select.forward(x, index=mask)[1])[0].sum(axis=1), 3 * mask
    )


def test_take_is_numpys_with_several_axes_of_indices():
    x, indices = real(3, 5, 2), np.array([[0, -1], [4, 4]])
    found, residuals = P.take.forward(x, indices, axis=-2)
    np.testing.assert_array_equal(found, np.take(x, indices, axis=1))
    gradient = P.take.vjp(np.ones_like(found), residuals)[0]
    np.testing.assert_array_equal(gradient.sum(axis=(0, 2)), 6 * np.array([1, 0, 0, 0, 3]))


def test_take_along_axis_gathers():
    x = real(3, 5)
    order = np.argsort(x, axis=1)
    np.testing.assert_array_equal(P.take_along_axis(x, order, axis=1), np.sort(x, axis=1))
    empty = P.take_along_axis.forward(x, np.empty((3, 0), int), axis=1)
    assert P.take_along_axis.vjp(*empty)[0].shape == (3, 5)


@pytest.mark.parametrize("name", ["take", "take_along_axis"])
def test_indices_out_of_range_or_of_another_kind(name):
    op, x = getattr(P, name), real(3, 5)
    for bad in (5, -6):
        with pytest.raises(InvalidValueError, match=f"{name}: indices from .* along an axis of 5 entries; expected -5"):
            op(x, np.full((3, 2), bad), axis=1)
    with pytest.raises(DTypeError, match="expected integers"):
        op(x, np.zeros((3, 2)), axis=1)
    with pytest.raises(InvalidValueError, match="axis 2"):
        op(x, np.zeros((3, 2), int), axis=2)


def test_take_along_axis_of_other_shapes():
    with pytest.raises(ShapeError, match="one shape but for that axis"):
        P.take_along_axis(real(3, 5), np.zeros((2, 2), int), axis=1)
