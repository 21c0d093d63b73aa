"""Sparse rows against SciPy; Gauss-Seidel against the splitting that it is; float32 and both sides."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sparse_cases import network

import sci
from sci.errors import ShapeError
from sci.linalg.sparse.rows import SparseRows

MATRIX = network(60, 0.1, 3)
A = SparseRows.of(MATRIX)
RNG = np.random.default_rng(1)
B, X = RNG.normal(size=60), RNG.normal(size=60)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr"])
def test_every_form_of_scipy_is_taken(kind):
    given = MATRIX.asformat(kind)
    if kind == "coo":
        given = sparse.coo_array((np.tile(given.data / 2, 2), tuple(np.tile(c, 2) for c in given.coords)), given.shape)
    rows = SparseRows.of(given)
    np.testing.assert_allclose(rows.multiply(X), MATRIX @ X, atol=1e-13)
    assert (np.diff(rows.columns)[np.diff(np.repeat(np.arange(60), np.diff(rows.starts))) == 0] > 0).all()
    assert rows.shape == (60, 60)
    assert rows.nbytes == 8 * 61 + 12 * len(rows.columns)
    assert repr(rows) == f"SparseRows(60 x 60, {MATRIX.nnz} entries, float64)"


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize(("dtype", "atol"), [("f8", 1e-13), ("f4", 3e-6)])
def test_sweeps_are_the_splitting(kernels, dtype, atol):
    dense, rows = MATRIX.toarray(), SparseRows.of(MATRIX, dtype)
    inverse, b, x = (v.astype(dtype) for v in (1 / MATRIX.diagonal(), B, X))
    lower, upper, diagonal = np.tril(dense), np.triu(dense), np.diag(np.diag(dense))
    M = np.linalg.inv(upper) @ diagonal @ np.linalg.inv(lower)
    found, room, rest = (np.empty(60, dtype) for _ in range(3))
    with sci.options(kernels=kernels):
        rows.sweep_from_zero(inverse, b, found, room, rest)
        np.testing.assert_allclose(found, M @ B, atol=atol)
        np.testing.assert_allclose(rest, B - dense @ (M @ B), atol=10 * atol)
        found[...] = x
        rows.sweep(inverse, b, found, room)
        np.testing.assert_allclose(found, X + M @ (B - dense @ X), atol=10 * atol)
        rows.relax(inverse, b, x, found, 0.6)
        np.testing.assert_allclose(found, X + 0.6 * (B - dense @ X) / np.diag(dense), atol=10 * atol)


def test_nothing_is_read_that_is_not_kept():
    out = np.full(60, np.nan)
    A.combine(X, out, out, 0.0, -2.0)
    np.testing.assert_allclose(out, -2 * (MATRIX @ X), atol=1e-13)


def test_vectors_of_another_length_are_refused():
    with pytest.raises(ShapeError):
        A.multiply(np.ones(59))
