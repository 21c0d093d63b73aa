"""Fields by a separable transform: cosines along axes with ends, Hartley's along periodic ones."""

from __future__ import annotations

import functools

import numpy as np

from sci.compression.coding.bytes import ByteReader
from sci.compression.fields.codecs.bases import expand
from sci.compression.fields.codecs.quantized import QuantizedArray
from sci.compression.fields.codecs.steps import step_for
from sci.compression.fields.codecs.tucker import TuckerEncoder
from sci.compression.fields.header import Header
from sci.compression.transforms.separable import forward, inverse

__all__ = ["TransformEncoder", "decode_transform"]


class TransformEncoder:
    """The coefficients of a field, to be quantized by any step.

    Parameters
    ----------
    field : array of float32 or float64
    periodic : tuple of int
    tucker : TuckerEncoder, optional
        Of the same field: where it has few directions, their transforms give those of the field.
    """

    def __init__(self, field: np.ndarray, periodic: tuple[int, ...], tucker: TuckerEncoder | None = None) -> None:
        self.field, self.periodic, self.tucker = field, periodic, tucker

    def __repr__(self) -> str:
        return f"TransformEncoder(shape={self.field.shape}, periodic={self.periodic})"

    @functools.cached_property
    def coefficients(self) -> np.ndarray:
        """Orthonormal ones."""
        if self.tucker is not None and self.tucker.dominant.core.size < self.field.size / 8:
            found = self.tucker.dominant
            bases = [forward(v, (0,), (0,) if k in self.periodic else ()) for k, v in enumerate(found.vectors)]
            return expand(found.core, bases, self.field.dtype)
        return forward(self.field, range(self.field.ndim), self.periodic)

    def within(self, error: float) -> _Quantized:
        """Return the field quantized so that it misses by `error` in the L2 norm."""
        return self.at(step_for(self.coefficients, error))

    def at(self, step: float) -> _Quantized:
        """Return the field as a step quantizes it."""
        return _Quantized(
            QuantizedArray.of(self.coefficients, step), self.coefficients, self.periodic, self.field.dtype
        )


class _Quantized:
    def __init__(
        self, found: QuantizedArray, coefficients: np.ndarray, periodic: tuple[int, ...], dtype: np.dtype
    ) -> None:
        self.found, self.coefficients, self.periodic, self.dtype = found, coefficients, periodic, dtype

    def __repr__(self) -> str:
        return f"<{self.found!r} of a transform>"

    @property
    def step(self) -> float:
        """That of the coefficients."""
        return self.found.step

    @functools.cached_property
    def payload(self) -> bytes:
        """What a decoder reads."""
        return self.found.pack()

    @functools.cached_property
    def approximation(self) -> np.ndarray:
        """What a decoder computes."""
        return _field(self.found, self.periodic, self.dtype)


def decode_transform(reader: ByteReader, header: Header) -> np.ndarray:
    """Return the field that a payload stands for."""
    return _field(QuantizedArray.read(reader, header.shape), header.periodic, header.work_dtype)


def _field(found: QuantizedArray, periodic: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return inverse(found.values(dtype), range(found.q.ndim), periodic)
