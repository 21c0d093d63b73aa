"""Bases of axes: dominant directions, and the same basis from quantized columns wherever it is built."""

from __future__ import annotations

import numpy as np
import pytest
from smooth_fields import smooth_field

from sci.compression.coding.bytes import ByteReader, varint
from sci.compression.fields.codecs.bases import QuantizedBasis, contract, dominant_bases, expand
from sci.errors import FileFormatError

FIELD = smooth_field((14, 11, 30), dtype=np.float64)


def test_directions_are_singular_vectors():
    found = dominant_bases(FIELD, 0.0)
    assert repr(found) == "Dominant(core=(14, 11, 30))"
    for axis, sigma in enumerate(found.sigma):
        unfolded = np.moveaxis(FIELD, axis, 0).reshape(FIELD.shape[axis], -1)
        np.testing.assert_allclose(sigma, np.linalg.svd(unfolded, compute_uv=False), atol=1e-6)
    np.testing.assert_allclose(expand(found.core, found.vectors, np.dtype(float)), FIELD, atol=1e-12)


def test_weak_directions_are_left_out():
    least = 3.0
    found = dominant_bases(FIELD, least)
    assert all(n < m for n, m in zip(found.core.shape, FIELD.shape))
    missed = np.linalg.norm(expand(found.core, found.vectors, np.dtype(float)) - FIELD)
    assert 0 < missed <= least * np.sqrt(sum(FIELD.shape))


def test_long_axes_take_the_other_side():
    field = smooth_field((300, 4), dtype=np.float64)
    found = dominant_bases(field, 0.0)
    assert [v.shape for v in found.vectors] == [(300, 4), (4, 4)]
    np.testing.assert_allclose(expand(found.core, found.vectors, np.dtype(float)), field, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_contraction_is_einsum(axis):
    matrix = np.random.default_rng(1).normal(size=(5, FIELD.shape[axis]))
    letters = ["ajk", "iak", "ija"][axis]
    expected = np.einsum(f"a{'ijk'[axis]},ijk->{letters}", matrix, FIELD)
    np.testing.assert_allclose(contract(FIELD, matrix, axis), expected, atol=1e-12)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("step", [1e-3, 0.3, 3.0])
def test_a_decoder_builds_the_same_basis(step, periodic):
    found = dominant_bases(FIELD, 0.0)
    made = QuantizedBasis.of(found.vectors[2], found.sigma[2], step, periodic)
    reader = ByteReader(made.pack())
    read = QuantizedBasis.read(reader, 30, periodic)
    assert reader.left == 0
    np.testing.assert_array_equal(read.q, made.q)
    np.testing.assert_allclose(made.q.T @ made.q, np.eye(made.q.shape[1]), atol=1e-12)
    inside = np.linalg.norm(made.q.T @ found.vectors[2][:, 0])
    assert inside > 1 - step / 10


def test_columns_that_depend_on_others_are_dropped():
    """Two columns that round to the same one span a direction, not rounding errors."""
    columns = np.zeros((16, 3))
    columns[0], columns[1, 1], columns[2, 2] = 1.0, 0.2, 1.0
    vectors = columns / np.linalg.norm(columns, axis=0)
    made = QuantizedBasis.of(vectors, np.linalg.norm(columns, axis=0), 0.9, False)
    other = QuantizedBasis.of(vectors + 1e-9, np.linalg.norm(columns, axis=0), 0.9, False)
    assert made.q.shape == other.q.shape
    assert made.q.shape[1] < 3
    np.testing.assert_allclose(made.q, other.q, atol=1e-12)
    np.testing.assert_allclose(made.q.T @ made.q, np.eye(made.q.shape[1]), atol=1e-12)


def test_a_step_beyond_all_columns_leaves_no_basis():
    made = QuantizedBasis.of(np.eye(5)[:, :2], np.array([1.0, 0.5]), 50.0, False)
    assert made.q.shape == (5, 0)
    assert QuantizedBasis.read(ByteReader(made.pack()), 5, False).q.shape == (5, 0)
    with pytest.raises(FileFormatError, match="7 directions along an axis of 5"):
        QuantizedBasis.read(ByteReader(varint(7)), 5, False)
