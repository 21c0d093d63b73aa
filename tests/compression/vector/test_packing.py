"""Codes as bits: what comes back, and that no other bytes are read."""

from __future__ import annotations

import numpy as np
import pytest

from sci.compression.vector.packing import pack, row_bytes, unpack


class Spy:
    """An array that notes what is read of it."""

    def __init__(self, array):
        self.array, self.ndim, self.read = array, array.ndim, []

    def __getitem__(self, key):
        self.read.append(key)
        return self.array[key]


@pytest.mark.parametrize("bits", [1, 3, 6, 8, 11, 16, 20])
def test_codes_come_back(bits):
    codes = np.random.default_rng(bits).integers(0, 2**bits, size=(3, 4, 7))
    codes[0, 0, :2] = 0, 2**bits - 1
    packed = pack(codes, bits)
    assert packed.shape == (3, 4, row_bytes(7, bits))
    np.testing.assert_array_equal(unpack(packed, slice(0, 7), bits), codes)
    for part in (slice(0, 1), slice(3, 5), slice(6, 7)):
        np.testing.assert_array_equal(unpack(packed, part, bits, (slice(1, 2), slice(2, 4))), codes[1:2, 2:4, part])


def test_the_bits_are_those_of_the_description():
    assert pack(np.array([[5, 0, 7]]), 3).tolist() == [[0b10100011, 0b10000000]]


def test_only_the_bytes_of_the_part_are_read():
    codes = np.arange(64).reshape(1, 64)
    spy = Spy(pack(codes, 6))
    np.testing.assert_array_equal(unpack(spy, slice(9, 11), 6), codes[:, 9:11])
    assert spy.read == [(slice(None), slice(6, 9))]  # bits 54 to 66
