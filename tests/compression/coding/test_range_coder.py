"""The range coder: what is encoded comes back, in as many bytes as the entropy says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import sci
from sci.compression.coding.range_coder import (
    coder_kernels,
    decode_streams,
    decode_streams_reference,
    encode_streams,
    encode_streams_reference,
    learning_steps,
)

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@given(hnp.arrays(np.int64, SHAPES, elements=st.integers(1 - 2**62, 2**62 - 1) | st.integers(-9, 9)), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_any_integers_come_back(kernels, q, share):
    with sci.options(kernels=kernels):
        found = np.empty_like(q)
        assert decode_streams(encode_streams(q, share), found, share)
    np.testing.assert_array_equal(found, q)


def test_the_bytes_are_those_of_every_machine():
    """They are held here: files that exist are read by what they were written by."""
    q = (np.arange(210).reshape(5, 6, 7) * 7919 % 101 - 50) // 17
    streams = encode_streams(q.astype(np.int32), 3)
    assert [s.tobytes().hex()[:24] for s in streams] == ["8da22b5627e821420fe58665", "8e599b18ffddb113c5b9c6e6"]
    assert [s.tobytes() for s in encode_streams_reference(q.astype(np.int32), 3)] == [s.tobytes() for s in streams]
    found = np.empty(q.shape, np.int32)
    assert decode_streams_reference(streams, found, 3)
    np.testing.assert_array_equal(found, q)


@pytest.mark.parametrize("scale", [0.3, 1.0, 6.0, 300.0])
def test_laplace_integers_take_their_entropy(scale):
    q = np.rint(np.random.default_rng(1).laplace(size=(40, 50, 50)) * scale).astype(np.int32)
    k = np.arange(-40 * int(scale + 1), 40 * int(scale + 1) + 1)
    edges = np.abs(k) - 0.5
    mass = np.where(k == 0, 1 - np.exp(-0.5 / scale), 0.5 * (np.exp(-edges / scale) - np.exp(-(edges + 1) / scale)))
    mass = mass[mass > 0]
    entropy = -float((mass * np.log2(mass)).sum()) * q.size / 8
    size = sum(len(s) for s in encode_streams(q, 40))
    assert 0.97 * entropy < size < 1.05 * entropy


def test_zeros_take_next_to_nothing():
    assert sum(len(s) for s in encode_streams(np.zeros((64, 64, 64), np.int32), 64)) < 40


def test_prefixes_that_no_coder_writes_are_seen():
    """A zero for the flag of the row, which takes half of the interval, and then ones without end."""
    half = (((1 << 64) - 1 >> 16) << 15).to_bytes(8, "big")
    for decode in (decode_streams, decode_streams_reference):
        for dtype in (np.int32, np.int64):
            assert not decode([np.frombuffer(half, np.uint8)], np.empty((1, 1, 4), dtype), 1)


def test_rows_of_zeros_among_zeros_are_a_flag():
    q = np.zeros((5, 6, 7), np.int32)
    q[2, 3, 4] = -2
    for encode, decode in ((encode_streams, decode_streams), (encode_streams_reference, decode_streams_reference)):
        found = np.full_like(q, 9)
        assert decode(encode(q, 5), found, 5)
        np.testing.assert_array_equal(found, q)


def test_steps_are_those_of_the_rule():
    n = np.arange(400)
    np.testing.assert_array_equal(learning_steps(), np.floor(2**16 / (n + 1.5)).astype(int))
    assert [k.template for k in coder_kernels(np.int32)] == ["encode_integers", "decode_integers"]
