"""Fields by separable transforms: the error in coefficients is that in space."""

from __future__ import annotations

import numpy as np
import pytest
from smooth_fields import smooth_field

from sci.compression.coding.bytes import ByteReader
from sci.compression.fields.codecs.transform import TransformEncoder, decode_transform
from sci.compression.fields.header import Header


@pytest.mark.parametrize("periodic", [(), (1,), (0, 1, 2)])
def test_the_error_in_coefficients_is_that_in_space(periodic):
    field = smooth_field((12, 14, 9), dtype=np.float64)
    encoder = TransformEncoder(field, periodic)
    tried = encoder.within(0.5)
    assert 0.45 < np.linalg.norm(tried.approximation - field) <= 0.5
    reader = ByteReader(tried.payload)
    header = Header(field.shape, "float64", "transform", True, False, periodic)
    np.testing.assert_array_equal(decode_transform(reader, header), tried.approximation)
    assert reader.left == 0


def test_a_periodic_field_is_smaller_by_hartley():
    x = np.arange(64) * 2 * np.pi / 64
    field = np.sin(x[:, None] + 0.3) * np.cos(3 * x) + 0.4 * np.sin(5 * x)
    sizes = [len(TransformEncoder(field, periodic).at(0.01).payload) for periodic in ((0, 1), ())]
    assert sizes[0] < 0.5 * sizes[1]
