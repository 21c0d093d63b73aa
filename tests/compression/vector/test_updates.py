"""Least squares against a dense solve, and the codes that dead ones become."""

from __future__ import annotations

import numpy as np
import pytest

from sci.compression import MultiScaleVQ
from sci.compression.vector.updates import least_squares, revived


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("scales", [[(1, 2), (3, 3), (4, 5)], [(6,), (6,)], [(1, 1, 1), (2, 3, 2)]])
def test_the_codes_are_the_least_squares_of_the_sum_over_scales(own, scales):
    r = np.random.default_rng(0)
    v, c, n = 6, 3, 30
    codebook = r.normal(size=(len(scales), v, c) if own else (v, c))
    latent = 10 * r.normal(size=(n, c, *scales[-1]))
    codes = [r.integers(0, v - 1, size=(n, *size)) for size in scales]  # the last code is never used
    found = least_squares(latent, codes, codebook, scales, n, None)

    def misfit(book):
        quantizer = MultiScaleVQ(book, scales)
        return np.square(latent - quantizer.fields(quantizer.reconstructions(codes)[-1])).sum()

    # the design matrix from one unit code at a time
    columns = []
    for index in np.ndindex(codebook.shape[:-1]):
        unit = np.zeros((*codebook.shape[:-1], 1))
        unit[index] = 1
        columns.append(MultiScaleVQ(np.concatenate([unit], axis=-1), scales).reconstructions(codes)[-1].ravel())
    a, b = np.stack(columns, axis=1), np.moveaxis(latent, 1, -1).reshape(-1, c)
    ridge = 1e-2 * np.trace(a.T @ a) / a.shape[1]
    old = codebook.reshape(-1, c)
    expected = np.linalg.solve(a.T @ a + ridge * np.eye(len(old)), a.T @ b + ridge * old)
    np.testing.assert_allclose(found.reshape(-1, c), expected, atol=2e-5 * np.abs(latent).max())
    np.testing.assert_allclose(found[..., -1, :], codebook[..., -1, :], atol=1e-9)
    assert misfit(found) < misfit(codebook)
    many = least_squares(latent, codes, codebook, scales, 2**28, None)  # as if there were so many fields: fewer digits
    np.testing.assert_allclose(many.reshape(-1, c), expected, atol=0.02 * np.abs(latent).max())
    assert not np.array_equal(many, found)


def test_dead_codes_become_the_vectors_that_are_least_well_met():
    codebook = np.arange(8.0).reshape(4, 2)
    vectors, rest = np.array([[1.0, 1], [2, 2], [3, 3]]), np.array([[0.0, 1], [5, 0], [3, 0]])
    found = revived(codebook, np.array([1, 0, 2, 0]), vectors, rest, None)
    np.testing.assert_array_equal(found, [[0, 1], [2, 2], [4, 5], [3, 3]])
    assert revived(codebook, np.ones(4), vectors, rest, None) is codebook
    few = revived(codebook, np.zeros(4), vectors, rest, None)
    np.testing.assert_array_equal(few, [[2, 2], [3, 3], [1, 1], [6, 7]])
