"""Look-ups, indices, margins and joins."""

from __future__ import annotations

import numpy as np
from op_cases import RNG, real

import sci.nn as P


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


def test_axes_count_from_the_end_as_well():
    x = real(2, 3, 4)
    out, residuals = P.transpose.forward(x, axes=(-1, 0, 1))
    np.testing.assert_array_equal(out, x.transpose(2, 0, 1))
    np.testing.assert_array_equal(P.transpose.vjp(out, residuals)[0], x)
    joined, residuals = P.concatenate.forward(x, x, axis=np.int64(-2))
    assert joined.shape == (2, 6, 4)
    assert [g.shape for g in P.concatenate.vjp(joined, residuals)] == [x.shape, x.shape]


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


def test_pad_and_crop_undo_each_other():
    x, width = real(2, 3), ((1, 2), (0, 3))
    np.testing.assert_array_equal(P.crop(P.pad(x, width), width), x)
    np.testing.assert_array_equal(P.pad(x, pad_width=width), np.pad(x, width))
