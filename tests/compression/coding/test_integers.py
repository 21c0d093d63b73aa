"""Integers as bytes: of any shape, by either coder, and errors for damaged bytes."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import sci
from sci.compression.coding import integers
from sci.compression.coding.bytes import ByteReader
from sci.compression.coding.integers import pack_integers, unpack_integers
from sci.errors import FileFormatError

ARRAYS = hnp.arrays(
    st.sampled_from([np.int32, np.int64]),
    hnp.array_shapes(max_dims=4, max_side=6),
    elements=st.integers(-20, 20) | st.integers(1 - 2**30, 2**30 - 1),
    fill=st.just(0),
)


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@given(ARRAYS)
@settings(max_examples=60, deadline=None)
def test_integers_come_back(kernels, q):
    with sci.options(kernels=kernels):
        reader = ByteReader(pack_integers(q))
    found = unpack_integers(reader, q.shape)
    assert reader.left == 0
    np.testing.assert_array_equal(found, q)


def test_large_integers_come_back():
    q = np.array([[2**62 - 1, 0, 1 - 2**62], [5, -1, 2**30]])
    for kernels in ("compiled", "reference"):
        with sci.options(kernels=kernels):
            np.testing.assert_array_equal(unpack_integers(ByteReader(pack_integers(q)), q.shape), q)


def test_bytes_of_the_range_coder_are_read_without_a_compiler_and_those_of_lzma_with_one():
    q = np.arange(-30, 30).reshape(3, 4, 5)
    packed = {}
    for kernels in ("compiled", "reference"):
        with sci.options(kernels=kernels):
            packed[kernels] = pack_integers(q)
    assert packed["compiled"] != packed["reference"]
    for kernels, other in (("compiled", "reference"), ("reference", "compiled")):
        with sci.options(kernels=kernels):
            np.testing.assert_array_equal(unpack_integers(ByteReader(packed[other]), q.shape), q)


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
def test_another_version_of_the_format_is_refused_by_its_number(kernels):
    with sci.options(kernels=kernels):
        packed = bytearray(pack_integers(np.arange(6)))
    packed[0] += 3 << 3
    with pytest.raises(FileFormatError, match="integers in version 3 of the format, of which this library reads 0"):
        unpack_integers(ByteReader(bytes(packed)), (6,))


def test_streams_share_the_planes(monkeypatch):
    monkeypatch.setattr(integers, "STREAM", 40)
    for shape in ((7, 3, 5), (90, 4), (2, 5, 3, 5)):
        q = np.random.default_rng(1).integers(-3, 4, shape)
        np.testing.assert_array_equal(unpack_integers(ByteReader(pack_integers(q)), shape), q)


def test_zeros_behind_the_last_integer_take_no_bytes():
    q = np.zeros((40, 50, 60), np.int32)
    assert len(pack_integers(q)) == 1
    q[2, 1, 3] = 5
    assert len(pack_integers(q)) < 12


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_are_an_error_or_other_integers(kernels, data):
    q = np.random.default_rng(1).integers(-3, 4, (3, 4, 5))
    with sci.options(kernels=kernels):
        raw = bytearray(pack_integers(q))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    with contextlib.suppress(FileFormatError):
        assert unpack_integers(ByteReader(bytes(raw)), q.shape).shape == q.shape


def test_few_bytes_make_no_huge_array():
    head = bytes([1, *3 * (0xFF, 0xFF, 0xFF, 0x7F)])
    for packed in (head, head + bytes(300), bytes([1, 1, 0xFF, 0xFF, 0xFF, 0x7F, 1, 1, 0])):
        with pytest.raises(FileFormatError, match="bytes"):
            unpack_integers(ByteReader(packed), (2**28 - 1,) * 3)
