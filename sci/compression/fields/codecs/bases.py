"""Orthonormal bases of the axes of a field: the dominant ones, and what is left of them after quantization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sci.compression.coding.bytes import ByteReader, damaged, varint
from sci.compression.fields.codecs.quantized import QuantizedArray
from sci.compression.transforms.separable import forward, inverse

__all__ = ["Dominant", "QuantizedBasis", "contract", "dominant_bases", "expand"]

_LEAST_ANGLE = 1e-2
"""The least part of a column that the columns before it do not span: below it, its direction would be rounding."""
_SQUARED = 2.0**-23
"""The least singular value, in parts of the norm, whose square is told from rounding."""


@dataclass(frozen=True)
class Dominant:
    """The dominant directions of each axis of a field, and the field in them.

    Parameters
    ----------
    core : array of the dtype of the field
    vectors : list of (n, r) arrays
        Orthonormal columns.
    sigma : list of (r,) arrays
        The L2 norm of the field along each column, largest first.
    """

    core: np.ndarray
    vectors: list[np.ndarray]
    sigma: list[np.ndarray]

    def __repr__(self) -> str:
        return f"Dominant(core={self.core.shape})"


def dominant_bases(field: np.ndarray, least: float) -> Dominant:
    """Return directions along which the field has a norm over `least`, axis after axis of what the last ones left."""
    core = field
    vectors, sigma = [], []
    for axis in range(field.ndim):
        unfolded = np.moveaxis(core, axis, 0).reshape(core.shape[axis], -1)
        u, s = _directions(unfolded.astype(np.float64, copy=False), least)
        kept = max(1, int((s > least).sum()))
        vectors.append(np.ascontiguousarray(u[:, :kept]))
        sigma.append(s[:kept])
        core = contract(core, vectors[-1].T.astype(core.dtype, copy=False), axis)
    return Dominant(core, vectors, sigma)


def _directions(unfolded: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return left singular vectors and singular values, largest first, of which those over `least` matter.

    The Gram matrix is the fastest way to few rows, and holds the squares of singular values: small ones drown in its
    rounding, and then a triangular factor takes its place.
    """
    n, m = unfolded.shape
    if m <= n:
        u, s, _ = np.linalg.svd(unfolded, full_matrices=False)
        return u, s
    unfolded = np.ascontiguousarray(unfolded)
    if least < _SQUARED * float(np.linalg.norm(unfolded)):
        u, s, _ = np.linalg.svd(np.asarray(np.linalg.qr(unfolded.T, mode="r")).T)
        return u, s
    values, u = np.linalg.eigh(unfolded @ unfolded.T)
    return u[:, ::-1], np.sqrt(np.maximum(values[::-1], 0.0))


def contract(x: np.ndarray, matrix: np.ndarray, axis: int) -> np.ndarray:
    """Return sum_j matrix[i, j] x[..., j, ...]."""
    shape = (*x.shape[:axis], matrix.shape[0], *x.shape[axis + 1 :])
    before = int(np.prod(x.shape[:axis], dtype=np.int64))
    after = int(np.prod(x.shape[axis + 1 :], dtype=np.int64))
    if after == 1:
        return np.asarray(x.reshape(before, x.shape[axis]) @ matrix.T).reshape(shape)
    return np.asarray(np.matmul(matrix, x.reshape(before, x.shape[axis], after))).reshape(shape)


@dataclass(frozen=True)
class QuantizedBasis:
    """Columns times their norms, transformed and quantized, of which a QR factorization makes a basis.

    Parameters
    ----------
    found : QuantizedArray
        (n, r) coefficients, low frequencies first.
    periodic : bool
    q : (n, r) array of float64
        The basis.
    """

    found: QuantizedArray
    periodic: bool
    q: np.ndarray

    def __repr__(self) -> str:
        return f"QuantizedBasis(shape={self.q.shape})"

    @classmethod
    def of(cls, vectors: np.ndarray, sigma: np.ndarray, step: float, periodic: bool) -> QuantizedBasis:
        """Quantize columns whose norm is over `step`, and drop those of which nothing, or only rounding, is left."""
        kept = max(1, int((sigma > step).sum()))
        axes = (0,) if periodic else ()
        found = QuantizedArray.of(forward(vectors[:, :kept] * sigma[:kept], (0,), axes), step)
        while True:
            columns = np.flatnonzero(found.q.any(axis=0))
            found = QuantizedArray(np.ascontiguousarray(found.q[:, columns]), found.step, found.centroids)
            q, angles = _orthonormal(found, periodic)
            if not angles.size or angles.min() > _LEAST_ANGLE:
                return cls(found, periodic, q)
            found = QuantizedArray(found.q[:, angles > _LEAST_ANGLE], found.step, found.centroids)

    def pack(self) -> bytes:
        """Return the bytes, without the length of the axis."""
        return varint(self.q.shape[1]) + (self.found.pack() if self.q.size else b"")

    @classmethod
    def read(cls, reader: ByteReader, n: int, periodic: bool) -> QuantizedBasis:
        """Read what `pack` wrote."""
        columns = reader.number()
        if columns > n:
            raise damaged(f"{columns} directions along an axis of {n}")
        empty = QuantizedArray(np.zeros((n, 0), np.int32), 1.0, (1.0, 0.0))
        found = QuantizedArray.read(reader, (n, columns)) if columns else empty
        return cls(found, periodic, _orthonormal(found, periodic)[0])


def _orthonormal(found: QuantizedArray, periodic: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the basis, of fixed signs, and the part of each column that those before it do not span."""
    if found.q.shape[1] == 0:
        return np.zeros(found.q.shape), np.zeros(0)
    columns = inverse(found.values(np.dtype(np.float64)), (0,), (0,) if periodic else ())
    norms = np.linalg.norm(columns, axis=0)
    q, r = np.linalg.qr(columns / np.where(norms > 0, norms, 1.0))
    diagonal = np.diag(r)
    return np.where(diagonal < 0, -1.0, 1.0) * q, np.abs(diagonal)


def expand(core: np.ndarray, bases: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """Return the field of a core: the last axis first, so that the largest product is one of matrices."""
    found = core.astype(dtype, copy=False)
    for axis in range(core.ndim - 1, -1, -1):
        found = contract(found, np.ascontiguousarray(bases[axis], dtype), axis)
    return found
