"""Fields by interpolation: bounds are met, steps for an L2 error are found, decoders cannot differ."""

from __future__ import annotations

import numpy as np
import pytest
from smooth_fields import smooth_field

import sci
from sci.compression import compress
from sci.compression.coding.bytes import ByteReader
from sci.compression.fields import decode
from sci.compression.fields.codecs.interpolation import InterpolationEncoder, decode_interpolation
from sci.compression.fields.header import Header
from sci.errors import FileFormatError


def _spiky(n: int) -> np.ndarray:
    x = np.linspace(-1.0, 1.0, n)
    r2 = np.add.outer(np.add.outer((x - 0.11) ** 2, (x + 0.23) ** 2), (x - 0.31) ** 2)
    return (1.0 / np.sqrt(r2 + 1e-3)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_for_an_error_are_found(dtype):
    field = smooth_field((20, 24, 18), dtype=dtype)
    field = field / (2 * np.abs(field).max())
    encoder, norm = InterpolationEncoder(field), float(np.linalg.norm(field))
    for part in (0.3, 1e-2, 1e-4, 1e-6):
        found = encoder.within(part * norm)
        missed = np.linalg.norm(found.approximation - field)
        np.testing.assert_allclose(found.l2, missed, rtol=1e-6)
        assert 0.9 * part * norm < missed <= part * norm
        point = encoder.every_point(part)
        assert np.abs(point.approximation - field).max() <= part
        assert point.maximum <= part
        back = decode_interpolation(ByteReader(point.payload), Header(field.shape, field.dtype.name, "interpolation"))
        np.testing.assert_array_equal(back, point.approximation)
    assert encoder.within(3 * norm).l2 <= 3 * norm


def test_every_machine_decodes_the_same_field(monkeypatch):
    """Neither another work dtype nor kernels or threads of another machine change a bit."""
    small = compress(_spiky(24), 1e-3, bound="maximum", methods=["interpolation"])
    here = small.decompress()
    monkeypatch.setattr(decode.Header, "work_dtype", np.dtype(np.float64))
    with sci.options(kernels="reference"):
        np.testing.assert_array_equal(small.decompress(), here)
    with sci.options(threads=2):
        np.testing.assert_array_equal(small.decompress(), here)


def test_spikes_take_fewer_bytes_than_by_wavelets():
    field = _spiky(48)
    for bound in ("l2", "maximum"):
        sizes = {m: compress(field, 1e-3, bound=bound, methods=[m]).nbytes for m in ("wavelet", "interpolation")}
        assert sizes["interpolation"] < 0.9 * sizes["wavelet"]


def test_units_and_steps_that_no_encoder_writes_are_damage():
    field = smooth_field((8, 8), dtype=np.float32)
    payload = bytearray(InterpolationEncoder(field).every_point(0.1).payload)
    payload[5] = 0  # the step of the finest grid
    with pytest.raises(FileFormatError, match="steps of"):
        decode_interpolation(ByteReader(bytes(payload)), Header(field.shape, "float32", "interpolation"))
