"""Fields by the wavelet 9/7: the error is measured in space, where it is not that of coefficients."""

from __future__ import annotations

import numpy as np
import pytest
from smooth_fields import smooth_field

from sci.compression.coding.bytes import ByteReader
from sci.compression.fields.codecs.wavelet import WaveletEncoder, decode_wavelet
from sci.compression.fields.header import Header


@pytest.mark.parametrize("error", [30.0, 1.0, 0.01])
def test_the_error_is_that_in_space(error):
    field = smooth_field((24, 21, 30), 2.5, dtype=np.float64)
    tried = WaveletEncoder(field).within(error)
    missed = np.linalg.norm(tried.approximation - field)
    assert 0.97 * error < missed < 1.03 * error
    assert abs(np.linalg.norm(tried.values - WaveletEncoder(field).coefficients) / missed - 1) > 1e-3
    header = Header(field.shape, "float64", "wavelet", True)
    np.testing.assert_array_equal(decode_wavelet(ByteReader(tried.payload), header), tried.approximation)


def test_a_spike_takes_few_bytes():
    field = np.zeros((32, 32, 32), np.float32)
    field[7, 20, 11] = 1.0
    assert len(WaveletEncoder(field).within(0.05).payload) < 400
