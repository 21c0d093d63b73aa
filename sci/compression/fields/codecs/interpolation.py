"""Fields by interpolation from coarser grids: integers throughout, so that every machine decodes the same field."""

from __future__ import annotations

import functools

import numpy as np

from sci.compression.coding.bytes import ByteReader, damaged, floats, varint
from sci.compression.coding.integers import pack_integers, unpack_integers
from sci.compression.fields.codecs.quantized import single
from sci.compression.fields.header import Header
from sci.compression.transforms.interpolation import decode_levels, encode_levels, levels_of

__all__ = ["InterpolationEncoder", "decode_interpolation"]

_UNITS = 64
"""Units of the step of the finest grid: what integers tell values by."""

_L2, _MAXIMUM = (1.5, 3.0), (1.25, 2.0)
"""How much finer the step of each coarser grid is than that of the one before, and at most: all finer grids build on
coarse ones."""

_ROUNDS, _CLOSE = 6, 0.99
_LEAST, _LARGEST = 2.0**-48, 4.0
"""Steps of a field of magnitudes up to 1: int64 and float64 tell the least, and all is zero by the largest."""


class InterpolationEncoder:
    """A field to be predicted from its coarser grids, and quantized as that goes on.

    Parameters
    ----------
    field : array of float32 or float64
        Of magnitudes up to 1.
    """

    def __init__(self, field: np.ndarray) -> None:
        self.field = field

    def __repr__(self) -> str:
        return f"InterpolationEncoder(shape={self.field.shape})"

    def within(self, error: float) -> Interpolated:
        """Return the field quantized so that it misses by `error` in the L2 norm, or a little less.

        The logarithm of the error is nearly linear in that of the step: secants, each of which quantizes the field.
        """
        tried = self._quantized(5.0 * min(error / np.sqrt(self.field.size), 1.0), _L2)
        known, best = [(tried.step, tried.l2)], 0.0
        for _ in range(_ROUNDS):
            best = max(best, tried.step if tried.l2 <= error else 0.0)
            if tried.l2 <= error and (tried.l2 >= _CLOSE * error or tried.step > 0.5 * _LARGEST):
                return tried
            tried = self._quantized(_secant(known, error * (1 + _CLOSE) / 2), _L2, (tried.q, tried.x))
            known.append((tried.step, tried.l2))
        return tried if tried.l2 <= error else self._quantized(best or tried.step / 4, _L2)

    def every_point(self, error: float) -> Interpolated:
        """Return the field quantized so that no point misses by more than `error`."""
        return self.at(2 * error, "maximum")

    def at(self, step: float, bound: str) -> Interpolated:
        """Return the field quantized by a step, for a bound of a norm."""
        return self._quantized(step, _L2 if bound == "l2" else _MAXIMUM)

    def _quantized(
        self, step: float, finer: tuple[float, float], out: tuple[np.ndarray, np.ndarray] | None = None
    ) -> Interpolated:
        unit = single(min(max(step, _LEAST), _LARGEST) * (1 - 2.0**-23) / _UNITS)
        growth = np.minimum(finer[0] ** np.arange(levels_of(self.field.shape)), finer[1])
        steps = np.floor(_UNITS / growth).astype(np.int64)
        q, x, top, square = encode_levels(self.field, 1.0 / unit, steps, 0.5, out)
        return Interpolated(q, x, unit, steps, float(np.sqrt(square) * unit), top * unit)


def _secant(known: list[tuple[float, float]], aim: float) -> float:
    """Return the next step from the last two, and their errors, in logarithms; the slope is 1 until there are two."""
    (step, error), slope = known[-1], 1.0
    if error == 0:
        return 8 * step
    if len(known) > 1 and known[-2][0] != step and known[-2][1] > 0:
        slope = np.log(error / known[-2][1]) / np.log(step / known[-2][0])
    return float(step * min(max(aim / error, 0.05), 20.0) ** (1 / min(max(slope, 0.3), 1.5)))


class Interpolated:
    """Quantized misses of predictions.

    Parameters
    ----------
    q, x : arrays of integers
        In the order of grids, and the field in units.
    unit : float
        A number of float32.
    steps : array of int64
        Of each stride, in units.
    l2, maximum : float
        The L2 norm and the largest magnitude of the error.
    """

    def __init__(
        self, q: np.ndarray, x: np.ndarray, unit: float, steps: np.ndarray, l2: float = 0.0, maximum: float = 0.0
    ) -> None:
        self.q, self.x, self.unit, self.steps = q, x, unit, steps
        self.l2, self.maximum = l2, maximum

    def __repr__(self) -> str:
        return f"<interpolation of {self.q.shape}>"

    @property
    def step(self) -> float:
        """The step of the finest grid."""
        return self.unit * _UNITS

    @functools.cached_property
    def payload(self) -> bytes:
        """What a decoder reads."""
        wide = bytes([self.x.dtype == np.int64])
        return floats(self.unit) + wide + b"".join(map(varint, self.steps.tolist())) + pack_integers(self.q)

    @property
    def approximation(self) -> np.ndarray:
        """What a decoder computes: one product and its rounding a point, the same by every processor."""
        return np.asarray(np.multiply(self.x, self.unit, dtype=np.float64))


def decode_interpolation(reader: ByteReader, header: Header) -> np.ndarray:
    """Return the field that a payload stands for."""
    unit, wide = reader.floats(1)[0], reader.byte()
    steps = np.array([reader.number() for _ in range(levels_of(header.shape))], np.int64)
    if unit <= 0 or not 0 < steps.min() <= steps.max() <= _UNITS or wide > 1:
        raise damaged(f"units of {unit} and steps of {steps.tolist()} units")
    q = unpack_integers(reader, header.shape).astype(np.int64 if wide else np.int32, copy=False)
    return Interpolated(q, decode_levels(q, steps), unit, steps).approximation
