"""Fields in the Tucker format: the error by norms is that in space, and low ranks take few bytes."""

from __future__ import annotations

import numpy as np
import pytest
from smooth_fields import smooth_field

from sci.compression.coding.bytes import ByteReader
from sci.compression.fields.codecs.tucker import TuckerEncoder, decode_tucker
from sci.compression.fields.header import Header


@pytest.mark.parametrize("periodic", [(), (0, 2)])
@pytest.mark.parametrize("error", [9.0, 1.0, 0.03])
def test_the_error_by_norms_is_that_in_space(error, periodic):
    field = smooth_field((16, 20, 14), dtype=np.float64)
    encoder = TuckerEncoder(field, periodic, 0.0)
    tried = encoder.within(error)
    assert 0.8 * error < np.linalg.norm(tried.approximation - field) <= 1.0001 * error
    core = np.einsum("ijk,ia,jb,kc->abc", field, *(basis.q for basis in tried.bases))
    missed = encoder.energy - np.sum(core**2) + np.sum((core - tried.core.values(core.dtype)) ** 2)
    np.testing.assert_allclose(np.sqrt(missed), np.linalg.norm(tried.approximation - field), rtol=1e-6)
    reader = ByteReader(tried.payload)
    header = Header(field.shape, "float64", "tucker", True, False, periodic)
    np.testing.assert_array_equal(decode_tucker(reader, header), tried.approximation)
    assert reader.left == 0


def test_a_field_of_low_rank_takes_few_bytes():
    x = np.random.default_rng(1).normal(size=(3, 40, 2))
    field = np.einsum("ir,jr,kr->ijk", *x)
    tried = TuckerEncoder(field, (), 0.0).at(1e-3)
    assert tried.core.q.shape == (2, 2, 2)
    assert np.abs(tried.approximation - field).max() < 0.02
    assert len(tried.payload) < field.nbytes / 150


def test_errors_beyond_the_field_are_zeros():
    field = smooth_field((5, 6), dtype=np.float64)
    tried = TuckerEncoder(field, (), 0.0).within(1e6)
    np.testing.assert_array_equal(tried.approximation, np.zeros((5, 6)))
    header = Header(field.shape, "float64", "tucker", True)
    np.testing.assert_array_equal(decode_tucker(ByteReader(tried.payload), header), np.zeros((5, 6)))
