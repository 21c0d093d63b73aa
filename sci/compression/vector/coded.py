"""Fields at a fixed rate: packed codes, of which any block is decoded without the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, as_finite, namespace, to_device, to_host
from sci.compression.vector.layout import check_sizes, latent_sizes, smoothing_of
from sci.compression.vector.packing import pack, row_bytes, unpack
from sci.compression.vector.patches import from_patches
from sci.compression.vector.quantizer import MultiScaleVQ
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import convolve
from sci.nn.grids.resampling import cells_read, resample_part

__all__ = ["CodedFields", "encode_fields", "unit_rms"]

_BATCH = 2**22
"""Numbers of the fields that are encoded at once."""


@entry
def unit_rms(fields: Array) -> tuple[Array, Array]:
    """Divide each channel of each field by its root mean square.

    Parameters
    ----------
    fields : (n, channels, *grid) array
        Finite.

    Returns
    -------
    scaled : (n, channels, *grid) array
    rms : (n, channels) float64 array
        0 for a channel of zeros, which stay zeros.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import unit_rms
    >>> unit_rms(np.array([[[3.0, -3.0]]]))
    (array([[[ 1., -1.]]]), array([[3.]]))
    """
    dtype = np.float32 if getattr(fields, "dtype", None) == np.float32 else np.float64
    x = as_finite(fields, "fields", dtype=dtype)
    if x.ndim < 3 or 0 in x.shape[1:]:
        raise ShapeError(f"fields of shape {tuple(x.shape)}; expected (n, channels, *grid)")
    xp, axes = namespace(x), tuple(range(2, x.ndim))
    largest = abs(x).max(axis=axes, keepdims=True).astype(np.float64)
    safe = xp.where(largest > 0, largest, 1.0)
    rms = safe * xp.sqrt(((x / safe) ** 2).mean(axis=axes, keepdims=True))
    scaled = x / xp.where(rms > 0, rms, 1.0)
    return scaled.astype(dtype), rms.reshape(x.shape[:2])


@entry
@dataclass(frozen=True, eq=False, repr=False)
class CodedFields:
    """Fields (n, channels, *grid) as codes of a fixed number of bits, bound to the codebook that they belong to.

    Parameters
    ----------
    codebook : str
        The `MultiScaleVQ.fingerprint`.
    vocabulary : int
        Codes of the codebook, at least 2.
    scales : sequence of K sizes
    patch : sequence of int
    packed : sequence of K uint8 arrays (n, *p_k but the last, row bytes), or datasets of an open file
        The codes of each scale: of a row of the last axis one after the other, the highest bit first.
    rms : (n, channels) float64 array
        Root mean square of each channel, by which the decoded field is multiplied.
    relative_errors, maximum_errors : (n,) float64 arrays
        |decoded - field| / |field| in L2, and the largest difference, of each field.
    shape : sequence of int, optional
        In which the fields were given, with the same numbers in the same order; (n, channels, *grid) unless given.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import MultiScaleVQ, encode_fields
    >>> quantizer = MultiScaleVQ(np.array([[0.0], [1.0], [-1.0]]), [(2,)])
    >>> coded = encode_fields(quantizer, np.array([[[3.0, -3.0, -3.0, 3.0]]]))
    >>> coded
    CodedFields(1 field of 1 x 4, 9 bytes, relative error 0, codebook 1bf13cd9)
    >>> coded.decode(quantizer)
    array([[[ 3., -3., -3.,  3.]]])
    >>> coded.block(quantizer, 0, [slice(1, 2)])
    array([[-3.]])
    """

    codebook: str
    vocabulary: int
    scales: Sequence[Sequence[int]]
    patch: Sequence[int]
    packed: Sequence[Any]
    rms: np.ndarray
    relative_errors: np.ndarray
    maximum_errors: np.ndarray
    shape: Sequence[int] = ()

    def __post_init__(self) -> None:
        sizes = tuple(tuple(int(n) for n in size) for size in self.scales)
        object.__setattr__(self, "scales", sizes)
        object.__setattr__(self, "patch", tuple(int(n) for n in self.patch))
        if len(self.codebook) != 64 or not set(self.codebook) <= set("0123456789abcdef"):
            raise InvalidValueError(f"the codebook of codes is {self.codebook[:80]!r}; expected its fingerprint")
        if not 2 <= self.vocabulary <= 2**32:
            raise InvalidValueError(f"a codebook of {self.vocabulary} codes; expected 2 to 2^32")
        rms = as_finite(self.rms, "rms", shape=(None, None))
        check_sizes(sizes, self.patch, (self.vocabulary, rms.shape[1] * math.prod(self.patch)))
        if len(self.packed) != len(sizes):
            raise ShapeError(f"packed codes of {len(self.packed)} scales; expected {len(sizes)}")
        for k, (size, packed) in enumerate(zip(sizes, self.packed)):
            shape = (len(rms), *size[:-1], row_bytes(size[-1], self.bits))
            if tuple(packed.shape) != shape or packed.dtype != np.uint8:
                raise ShapeError(
                    f"packed codes of scale {k} of shape {tuple(packed.shape)} and dtype {packed.dtype}; expected "
                    f"{shape} and uint8"
                )
        if (rms < 0).any():
            raise InvalidValueError("rms holds negative numbers; expected those of unit_rms")
        for name in ("relative_errors", "maximum_errors"):
            as_finite(getattr(self, name), name, shape=(len(rms),))
        whole = (*rms.shape, *self.grid)
        shape = tuple(int(n) for n in self.shape) or whole
        if math.prod(shape) != math.prod(whole) or min(shape) < 0:
            raise ShapeError(f"a shape of {shape} for fields of {whole}; expected one of as many numbers")
        object.__setattr__(self, "shape", shape)

    def __repr__(self) -> str:
        n, channels = self.rms.shape
        grid = " x ".join(map(str, (channels, *self.grid)))
        worst = max(self.relative_errors.tolist(), default=0.0)
        return (
            f"CodedFields({n} field{'s' * (n != 1)} of {grid}, {self.nbytes:,} bytes, relative error {worst:.3g}, "
            f"codebook {self.codebook[:8]})"
        )

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return (self.vocabulary - 1).bit_length()

    @property
    def grid(self) -> tuple[int, ...]:
        """Cells of a field along each axis."""
        return tuple(n * p for n, p in zip(self.scales[-1], self.patch))

    @property
    def nbytes(self) -> int:
        """Bytes of codes and amplitudes, without the codebook."""
        return sum(int(p.nbytes) for p in self.packed) + int(self.rms.nbytes)

    def decode(self, quantizer: MultiScaleVQ) -> np.ndarray:
        """Return all fields (n, channels, *grid).

        Parameters
        ----------
        quantizer : MultiScaleVQ
            That encoded them, or one of the same codebook for another grid.

        Returns
        -------
        (n, channels, *grid) NumPy array of the dtype of the codebook

        Raises
        ------
        InvalidValueError
            For another codebook.
        """
        own = quantizer_of(self, quantizer)
        out = np.empty((len(self.rms), own.channels, *self.grid), own.codebook.dtype)
        for part in _batches(len(out), own):
            codes = [
                unpack(packed[part], slice(0, size[-1]), self.bits) for packed, size in zip(self.packed, self.scales)
            ]
            found = _decoded(own, codes)
            out[part] = found * self.rms[part].reshape(*self.rms[part].shape, *(1,) * len(self.grid))
        return out

    def block(self, quantizer: MultiScaleVQ, field: int, box: Sequence[slice]) -> np.ndarray:
        """Return a block of one field from its own codes, and those of coarser scales that it reads.

        Parameters
        ----------
        quantizer : MultiScaleVQ
            As in `decode`.
        field : int
        box : sequence of slice
            Cells along each axis, without a step.

        Returns
        -------
        (channels, *box) NumPy array
            Equal to the cells of `decode`; to rounding with a smoothing.

        Raises
        ------
        InvalidValueError, ShapeError
            For another codebook, and for a box that is not inside the grid.
        """
        return decode_block(self, quantizer, self.packed, field, box)


def quantizer_of(coded: CodedFields, quantizer: MultiScaleVQ) -> MultiScaleVQ:
    """Return the quantizer of the grid of coded fields.

    Raises
    ------
    InvalidValueError
        If it has another codebook, or other proportions of scales.
    """
    if quantizer.fingerprint != coded.codebook:
        raise InvalidValueError(
            f"the codes belong to the codebook with the fingerprint {coded.codebook[:8]}, and this one has "
            f"{quantizer.fingerprint[:8]}; expected the codebook that they were made with, unchanged"
        )
    own = quantizer.with_grid(coded.grid)
    if (own.scales, own.patch) != (coded.scales, coded.patch):
        raise InvalidValueError(
            f"the codes have the scales {coded.scales}, and the quantizer makes {own.scales} of that grid; expected "
            "the quantizer that they were made with"
        )
    return own


def _batches(n: int, quantizer: MultiScaleVQ) -> list[slice]:
    step = max(1, _BATCH // max(1, quantizer.channels * math.prod(quantizer.grid)))
    return [slice(start, min(n, start + step)) for start in range(0, n, step)]


def _decoded(quantizer: MultiScaleVQ, codes: Sequence[np.ndarray]) -> np.ndarray:
    xp = namespace(quantizer.codebook)
    return to_host(quantizer.decode([to_device(c, xp) for c in codes]))


@entry
def encode_fields(quantizer: MultiScaleVQ, fields: Array) -> CodedFields:
    """Encode fields, each channel divided by its root mean square, and measure the error of each.

    Parameters
    ----------
    quantizer : MultiScaleVQ
        Trained on fields of `unit_rms`; its scales follow the grid of the fields, see `with_grid`.
    fields : (n, channels, *grid) array
        Finite; multiples of the patch along each axis.

    Returns
    -------
    CodedFields
        In host memory.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    Every field is decoded once for its errors.
    """
    axes = len(quantizer.patch)
    if fields.ndim != axes + 2 or fields.shape[1] != quantizer.channels:
        raise ShapeError(
            f"fields of shape {tuple(fields.shape)}; expected (n, {quantizer.channels}, *grid) with {axes} axes of grid"
        )
    latent_sizes(tuple(fields.shape[2:]), quantizer.patch)
    own = quantizer.with_grid(tuple(fields.shape[2:]))
    bits = own.bits
    if not bits:
        raise InvalidValueError("a codebook of one code holds nothing; expected two codes or more")
    packed = [np.zeros((len(fields), *s[:-1], row_bytes(s[-1], bits)), np.uint8) for s in map(tuple, own.scales)]
    rms, errors = np.zeros((len(fields), own.channels)), np.zeros((2, len(fields)))
    for part in _batches(len(fields), own):
        scaled, found = unit_rms(fields[part])
        codes = own.encode(scaled)
        rms[part] = to_host(found)
        decoded = to_host(own.decode(codes)) * rms[part].reshape(*rms[part].shape, *(1,) * axes)
        if float(np.abs(decoded).max(initial=0.0)) > float(np.finfo(own.codebook.dtype).max):
            raise InvalidValueError(
                f"fields reach {float(np.abs(decoded).max()):.3g}, beyond the {own.codebook.dtype} of the codebook, in "
                "which they are decoded; scale them down"
            )
        errors[:, part] = _errors(to_host(fields[part]), decoded.astype(own.codebook.dtype))
        for into, c in zip(packed, codes):
            into[part] = pack(to_host(c), bits)
    return CodedFields(own.fingerprint, own.vocabulary, own.scales, own.patch, packed, rms, errors[0], errors[1])


def _errors(fields: np.ndarray, decoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the relative error in L2 and the largest difference of each field."""
    f = fields.reshape(len(fields), -1).astype(np.float64)
    gap = np.abs(f - decoded.reshape(f.shape))
    largest = np.maximum(np.abs(f).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    norm, error = np.linalg.norm(f / largest, axis=1), np.linalg.norm(gap / largest, axis=1)
    return error / np.where(norm > 0, norm, 1.0), gap.max(axis=1)


def decode_block(
    coded: CodedFields, quantizer: MultiScaleVQ, packed: Sequence[Any], field: int, box: Sequence[slice]
) -> np.ndarray:
    """Decode a block of a field; of `packed`, arrays or datasets of a file, no other bytes are read."""
    own = quantizer_of(coded, quantizer)
    if not 0 <= field < len(coded.rms):
        raise InvalidValueError(f"field {field} of {len(coded.rms)}; expected 0 to {len(coded.rms) - 1}")
    bounds = _bounds(box, coded.grid)
    cells = [slice(b.start // p, -(-b.stop // p)) for b, p in zip(bounds, own.patch)]
    total: Any = 0
    for level, size in enumerate(own.scales):
        total = total + _lifted(own, packed[level], field, level, tuple(size), cells)
    patches = to_host(from_patches(total, own.patch))[0]
    inner = [slice(b.start - c.start * p, b.stop - c.start * p) for b, c, p in zip(bounds, cells, own.patch)]
    rms = coded.rms[field].reshape(-1, *(1,) * len(box))
    found: np.ndarray = (patches[(slice(None), *inner)] * rms).astype(own.codebook.dtype)
    return found


def _bounds(box: Sequence[slice], grid: tuple[int, ...]) -> list[slice]:
    if len(box) != len(grid) or not all(isinstance(s, slice) and s.step in (None, 1) for s in box):
        raise ShapeError(f"box is {box!r}; expected a slice without a step for each of {len(grid)} axes")
    found = [slice(0 if s.start is None else s.start, n if s.stop is None else s.stop) for s, n in zip(box, grid)]
    if not all(isinstance(e, int | np.integer) for s in found for e in (s.start, s.stop)):
        raise DTypeError(f"box is {box!r}; expected slices of integers")
    if any(not 0 <= s.start < s.stop <= n for s, n in zip(found, grid)):
        raise InvalidValueError(
            f"box is {box!r}; expected cells inside the grid of {grid}, one or more along each axis"
        )
    return [slice(int(s.start), int(s.stop)) for s in found]


def _lifted(
    own: MultiScaleVQ, packed: Any, field: int, level: int, size: tuple[int, ...], cells: Sequence[slice]
) -> Array:
    """Return `own.lift` at some cells of the latent, from the codes that they read."""
    latent, margin = tuple(own.scales[-1]), int(own.smoothing is not None)
    wide = [slice(max(0, c.start - margin), min(n, c.stop + margin)) for c, n in zip(cells, latent)]
    read = [cells_read(p, n, c, "cubic") for p, n, c in zip(size, latent, wide)]
    codes = unpack(packed, read[-1], own.bits, (slice(field, field + 1), *read[:-1]))
    if codes.size and int(codes.max()) >= own.vocabulary:
        raise InvalidValueError(f"a code {int(codes.max())} of scale {level}; expected at most {own.vocabulary - 1}")
    book = own.codebook if own.codebook.ndim == 2 else own.codebook[level]
    xp = namespace(book)
    u = xp.ascontiguousarray(xp.moveaxis(book[to_device(codes, xp)], -1, 1))
    u = resample_part(u, size, latent, wide, "cubic")
    if own.smoothing is not None:
        weights, biases = own.smoothing
        k = smoothing_of(level, len(own.scales), len(weights))
        u = (u + convolve(u, weights[k], biases[k])) / 2
        u = u[(..., *(slice(c.start - w.start, c.stop - w.start) for c, w in zip(cells, wide)))]
    return u
