"""Fields by the wavelet 9/7."""

from __future__ import annotations

import functools

import numpy as np

from sci.compression.coding.bytes import ByteReader
from sci.compression.fields.codecs.quantized import QuantizedArray
from sci.compression.fields.codecs.steps import step_for
from sci.compression.fields.header import Header
from sci.compression.transforms.wavelet import forward, inverse

__all__ = ["WaveletEncoder", "decode_wavelet"]

_ROUNDING = 0.35


class WaveletEncoder:
    """The wavelet coefficients of a field, to be quantized by any step.

    Parameters
    ----------
    field : array of float32 or float64
    """

    def __init__(self, field: np.ndarray) -> None:
        self.field = field

    def __repr__(self) -> str:
        return f"WaveletEncoder(shape={self.field.shape})"

    @functools.cached_property
    def coefficients(self) -> np.ndarray:
        """Near to orthonormal ones."""
        return np.asarray(forward(self.field))

    def within(self, error: float) -> _Quantized:
        """Return the field quantized so that it misses by about `error` in the L2 norm, measured in space."""
        tried = self.at(step_for(self.coefficients, error, _ROUNDING))
        missed = float(np.linalg.norm((tried.approximation - self.field).ravel().astype(np.float64)))
        rounded = float(np.linalg.norm((tried.values - self.coefficients).ravel().astype(np.float64)))
        if missed == 0 or rounded == 0:
            return tried
        return self.at(step_for(self.coefficients, error * rounded / missed, _ROUNDING))

    def at(self, step: float) -> _Quantized:
        """Return the field as a step quantizes it."""
        return _Quantized(QuantizedArray.of(self.coefficients, step, _ROUNDING), self.coefficients, self.field.dtype)


class _Quantized:
    def __init__(self, found: QuantizedArray, coefficients: np.ndarray, dtype: np.dtype) -> None:
        self.found, self.coefficients, self.dtype = found, coefficients, dtype

    def __repr__(self) -> str:
        return f"<{self.found!r} of wavelets>"

    @property
    def step(self) -> float:
        """That of the coefficients."""
        return self.found.step

    @functools.cached_property
    def payload(self) -> bytes:
        """The bytes for a decoder."""
        return self.found.pack()

    @functools.cached_property
    def values(self) -> np.ndarray:
        """The coefficients of a decoder."""
        return self.found.values(self.dtype)

    @functools.cached_property
    def approximation(self) -> np.ndarray:
        """The field of a decoder."""
        return np.asarray(inverse(self.values))


def decode_wavelet(reader: ByteReader, header: Header) -> np.ndarray:
    """Return the field that a payload stands for."""
    return np.asarray(inverse(QuantizedArray.read(reader, header.shape).values(header.work_dtype)))
