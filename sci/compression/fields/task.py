"""A field to compress, in units of its largest magnitude."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from sci.compression.coding.bytes import varint
from sci.compression.fields.bounds import Bound, Measured, l2_norm
from sci.compression.fields.decode import EXPONENT_SHIFT, rescaled, times_power
from sci.compression.fields.field import BoundKind, CompressedField
from sci.compression.fields.header import Header
from sci.errors import InvalidValueError

__all__ = ["Task"]


@dataclass(frozen=True)
class Task:
    """A field, its scaled copy with a largest magnitude between 1/2 and 1, and the bound on the error.

    Parameters
    ----------
    field, scaled : arrays
        scaled = field / 2^exponent.
    exponent : int
    bound : Bound
        Of the error of `scaled`.
    request : (float, str, bool)
        Tolerance, norm, and whether they are relative, as they were asked for.
    l2_norm, value_range : float
        Of `field`.
    periodic : tuple of int
    """

    field: np.ndarray
    scaled: np.ndarray
    exponent: int
    bound: Bound
    request: tuple[float, BoundKind, bool]
    l2_norm: float
    value_range: float
    periodic: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<compression of {self.field.shape} within {self.bound}>"

    @classmethod
    def of(cls, field: np.ndarray, tol: float, bound: BoundKind, relative: bool, periodic: tuple[int, ...]) -> Task:
        """Scale a field, and its bound with it."""
        field = np.ascontiguousarray(field)
        low, high = float(field.min()), float(field.max())
        exponent = int(np.frexp(max(high, -low))[1])
        scaled = times_power(field, -exponent)
        norm = l2_norm(scaled)
        extent = float(np.ldexp(high, -exponent)) - float(np.ldexp(low, -exponent))
        unit, scaled_norm = norm if bound == "l2" else extent, norm
        with np.errstate(over="ignore"):
            limit = tol * unit if relative else float(np.ldexp(tol, -exponent))
            norm, extent = float(np.ldexp(norm, exponent)), float(np.ldexp(extent, exponent))
        if not (np.isfinite(norm) and np.isfinite(extent)):
            raise InvalidValueError(
                f"field has values of {max(high, -low):.3g}, so that its L2 norm exceeds float64; scale it down"
            )
        goal = Bound(bound, min(limit, 2.0**100), scaled_norm, field.dtype)
        return cls(field, scaled, exponent, goal, (float(tol), bound, bool(relative)), norm, extent, periodic)

    @functools.cached_property
    def work(self) -> np.ndarray:
        """The scaled field in the dtype of the work."""
        return self.scaled.astype(np.float64 if self.bound.accurate else np.float32, copy=False)

    def plain_header(self, method: str) -> Header:
        """Return the header of a field that is stored without loss."""
        return Header(self.field.shape, self.field.dtype.name, method)

    def pack(self, method: str, payload: bytes, rest: bool) -> np.ndarray:
        """Return header and payload."""
        header = Header(self.field.shape, self.field.dtype.name, method, self.bound.accurate, rest, self.periodic)
        return header.pack(varint(self.exponent + EXPONENT_SHIFT) + payload)

    def decoded(self, approximation: np.ndarray) -> np.ndarray:
        """Return the field, scaled, that a decoder makes of what a method approximates: rounded to its dtype."""
        with np.errstate(all="ignore"):
            if abs(self.exponent) < 64:  # far from the ends of the range, where a power of two changes no digit
                return approximation.astype(self.field.dtype, copy=False)
            return times_power(rescaled(approximation, self.exponent, self.field.dtype), -self.exponent)

    def result(self, data: np.ndarray, errors: Measured) -> CompressedField:
        """Return the compressed field with its errors in the units of the field."""
        header = Header.read(data)[0]
        l2, top = (float(np.ldexp(e, self.exponent)) for e in (errors.l2, errors.maximum))
        numbers = (*self.request, l2, top, self.l2_norm, self.value_range)
        return CompressedField(header.shape, header.dtype, header.method, data, *numbers)
