"""Fields in the Tucker format, with quantized bases and core."""

from __future__ import annotations

import functools

import numpy as np

from sci.compression.coding.bytes import ByteReader
from sci.compression.fields.codecs.bases import Dominant, QuantizedBasis, contract, dominant_bases, expand
from sci.compression.fields.codecs.quantized import QuantizedArray
from sci.compression.fields.codecs.steps import step_for
from sci.compression.fields.header import Header

__all__ = ["TuckerEncoder", "decode_tucker"]

_BASIS_STEP_L2, _BASIS_STEP_MAXIMUM = 2.0, 1.4
"""Steps of bases over those of the core."""

_ROUNDS = 5
_RESOLVED = 2.0**-20
"""An error below this part of the norm is lost in the rounding of squared norms: it is taken from the field itself."""


class TuckerEncoder:
    """The dominant directions of a field, to be quantized by any step.

    Parameters
    ----------
    field : array of float32 or float64
    periodic : tuple of int
    least : float
        The least step that will be asked for: directions of a smaller norm are left out at once.
    energies : bool
        Whether `within` will be asked for, which needs squared norms: products then run in float64.
    """

    def __init__(self, field: np.ndarray, periodic: tuple[int, ...], least: float, energies: bool = True) -> None:
        self.field, self.periodic, self.least = field, periodic, least
        self._dtype = np.dtype(np.float64) if energies else field.dtype

    def __repr__(self) -> str:
        return f"TuckerEncoder(shape={self.field.shape}, periodic={self.periodic})"

    @functools.cached_property
    def dominant(self) -> Dominant:
        """Directions of each axis, and the field in them."""
        return dominant_bases(self.field.astype(self._dtype, copy=False), self.least)

    @property
    def coefficients(self) -> np.ndarray:
        """Those of the core, before bases are quantized."""
        return self.dominant.core

    @functools.cached_property
    def energy(self) -> float:
        """The square of the L2 norm of the field."""
        flat = self.field.ravel().astype(np.float64, copy=False)
        return float(np.dot(flat, flat))

    def within(self, error: float) -> _Quantized:
        """Return the field quantized so that it misses by about `error` in the L2 norm.

        The core is of the field along the decoded bases, so that its rounding and what the bases leave out are
        orthogonal: error^2 = |field|^2 - |core|^2 + |core - decoded core|^2. The step of the bases follows that of the
        core. Where the error is so small that the difference of the first two would be rounding, it is the squared norm
        of what the bases leave of the field.
        """
        step = step_for(self.dominant.core, 0.95 * error)
        tried = None
        for _ in range(_ROUNDS):
            bases, core = self._projected(_BASIS_STEP_L2 * step)
            rest = error**2 - self._left_out(bases, core, error)
            if rest <= 0:  # the bases alone miss by more
                step *= 0.6
                continue
            found = step_for(core, float(np.sqrt(rest)))
            tried = self._quantized(bases, core, found)
            if abs(found / step - 1) < 0.25:
                break
            step = found
        return self.at(step) if tried is None else tried

    def at(self, step: float) -> _Quantized:
        """Return the field as a step quantizes it."""
        return self._quantized(*self._projected(_BASIS_STEP_MAXIMUM * step), step)

    def _left_out(self, bases: list[QuantizedBasis], core: np.ndarray, error: float) -> float:
        """Return the squared norm of what bases leave of the field, to a small part of the squared error."""
        if error**2 > _RESOLVED**2 * self.energy:
            return self.energy - float(np.vdot(core, core))
        left = (self.field - expand(core, [basis.q for basis in bases], np.dtype(np.float64))).ravel()
        return float(np.dot(left, left))

    def _projected(self, step: float) -> tuple[list[QuantizedBasis], np.ndarray]:
        """Return quantized bases, and the field along them."""
        core, bases = self.dominant.core, []
        for axis, (vectors, sigma) in enumerate(zip(self.dominant.vectors, self.dominant.sigma)):
            bases.append(QuantizedBasis.of(vectors, sigma, step, axis in self.periodic))
            core = contract(core, (bases[-1].q.T @ vectors).astype(self._dtype, copy=False), axis)
        return bases, core

    def _quantized(self, bases: list[QuantizedBasis], core: np.ndarray, step: float) -> _Quantized:
        return _Quantized(bases, QuantizedArray.of(core, step), core, self.field.dtype)


class _Quantized:
    def __init__(
        self, bases: list[QuantizedBasis], core: QuantizedArray, coefficients: np.ndarray, dtype: np.dtype
    ) -> None:
        self.bases, self.core, self.coefficients, self.dtype = bases, core, coefficients, dtype

    def __repr__(self) -> str:
        return f"<{self.core!r} in the Tucker format>"

    @property
    def step(self) -> float:
        """That of the core."""
        return self.core.step

    @functools.cached_property
    def packed_bases(self) -> bytes:
        """Their bytes."""
        return b"".join(basis.pack() for basis in self.bases)

    @functools.cached_property
    def payload(self) -> bytes:
        """The bytes for a decoder."""
        return self.packed_bases + (self.core.pack() if self.core.q.size else b"")

    @functools.cached_property
    def approximation(self) -> np.ndarray:
        """The field of a decoder."""
        return _field(self.bases, self.core, self.dtype)


def decode_tucker(reader: ByteReader, header: Header) -> np.ndarray:
    """Return the field that a payload stands for."""
    bases = [QuantizedBasis.read(reader, n, axis in header.periodic) for axis, n in enumerate(header.shape)]
    shape = tuple(basis.q.shape[1] for basis in bases)
    empty = QuantizedArray(np.zeros(shape, np.int32), 1.0, (1.0, 0.0))
    core = QuantizedArray.read(reader, shape) if 0 not in shape else empty
    return _field(bases, core, header.work_dtype)


def _field(bases: list[QuantizedBasis], core: QuantizedArray, dtype: np.dtype) -> np.ndarray:
    return expand(core.values(np.dtype(np.float64)), [basis.q for basis in bases], dtype)
