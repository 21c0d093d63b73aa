"""Quantized coefficients with what they stand for, as bytes and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.compression.coding.bytes import ByteReader, damaged, floats
from sci.compression.coding.integers import pack_integers, unpack_integers
from sci.compression.quantize import dequantize, quantize

__all__ = ["QuantizedArray", "single"]


def single(number: float) -> float:
    """Return a number as float32 holds it: what the encoder computes with must be what the decoder reads."""
    return float(np.float32(number))


@dataclass(frozen=True)
class QuantizedArray:
    """Integers, their step and centroids.

    Parameters
    ----------
    q : array of int32 or int64
    step : float
    centroids : (float, float)
    """

    q: np.ndarray
    step: float
    centroids: tuple[float, float]

    def __repr__(self) -> str:
        return f"QuantizedArray(shape={self.q.shape}, step={self.step:.4g})"

    @classmethod
    def of(cls, values: np.ndarray, step: float, rounding: float = 0.4) -> QuantizedArray:
        """Quantize values, by a step of at least 2^-60 of the largest: a finer one would tell nothing of float64."""
        largest = max(float(values.max()), -float(values.min())) if values.size else 0.0
        step = single(max(step, 2.0**-60 * largest))
        q, centroids = quantize(values, step, rounding=rounding)
        return cls(q, step, centroids)

    def pack(self) -> bytes:
        """Return the bytes, without the shape."""
        return floats(self.step, *self.centroids) + pack_integers(self.q)

    @classmethod
    def read(cls, reader: ByteReader, shape: tuple[int, ...]) -> QuantizedArray:
        """Read what `pack` wrote."""
        step, first, shift = reader.floats(3)
        if step <= 0:
            raise damaged(f"the step of a quantizer is {step}")
        return cls(unpack_integers(reader, shape), step, (first, shift))

    def values(self, dtype: np.dtype) -> np.ndarray:
        """Return the values that the integers stand for."""
        return np.asarray(dequantize(self.q, self.step, self.centroids, dtype=dtype.name))
