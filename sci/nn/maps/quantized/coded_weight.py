"""A weight held as codes into codebooks, and its product with inputs, which never forms it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, is_device_array, namespace, to_device, to_host
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.nn.core.coded import CodedArray
from sci.nn.maps.quantized.codes import group_bytes, packed_bytes, require_bits, unpack_codes

__all__ = ["CodedWeight", "decode_product_reference", "weight_from_rows", "weight_rows"]

_FILE, _KERNEL_BITS = "nn/dequant.cu", (2, 3, 4)
_UNIT, _MOST_ENTRIES = 32, 1024
"""Columns of a unit of packed codes, and entries of the codebooks of a kernel, as in kernels/nn/dequant.cu."""
_ROWS, _SMALL = 2048, 64 * 64
"""Rows of x that the kernel takes at a time on the host, and the entries of a weight that is decoded for more: measured
as the fastest of the two in CPU time."""


def weight_rows(weight: Array, row_axes: Sequence[int]) -> Array:
    """Return a weight as a real matrix: one row for each index of `row_axes`, complex numbers as pairs.

    Raises
    ------
    InvalidValueError
    """
    axes = tuple(row_axes)
    if not axes or len(set(axes)) != len(axes) or min(axes) < 0 or max(axes) >= weight.ndim:
        raise InvalidValueError(
            f"row_axes is {axes} of a weight of shape {tuple(weight.shape)}; expected some of its axes"
        )
    xp = namespace(weight)
    moved = xp.ascontiguousarray(xp.moveaxis(weight, axes, range(len(axes))))
    rows = moved.reshape(math.prod(moved.shape[: len(axes)]), math.prod(moved.shape[len(axes) :]))
    return rows.view(rows.real.dtype) if rows.dtype.kind == "c" else rows


def weight_from_rows(rows: Array, shape: Sequence[int], row_axes: Sequence[int], dtype: Any) -> Array:
    """Return the weight of a shape whose `weight_rows` are given."""
    xp, axes = namespace(rows), tuple(row_axes)
    lead = [shape[a] for a in axes]
    rest = [n for a, n in enumerate(shape) if a not in axes]
    flat = xp.ascontiguousarray(rows)
    if np.dtype(dtype).kind == "c":
        flat = flat.view(np.result_type(flat.dtype, np.complex64))
    return xp.ascontiguousarray(xp.moveaxis(flat.reshape(*lead, *rest), range(len(axes)), axes)).astype(
        dtype, copy=False
    )


@entry
class CodedWeight(CodedArray):
    """A weight held as packed codes: entry (r, c) of its matrix of rows is codebooks[groups[r], codes[r, c]].

    Ops take it in the place of an array: `linear`, `pointwise_conv` and dense spectral convolutions compute with the
    codes, others decode it for the time of the call.

    Parameters
    ----------
    shape : sequence of int
        Of the weight.
    packed : (words,) int64
        The codes, see `pack_codes`.
    codebooks : (groups, 2^bits) float32 or float64
    groups : (rows,) int64
        Codebook of each row.
    bits : 1, 2, 3, 4 or 8
    row_axes : sequence of int
        Axes of the weight that number the rows (output neurons); the others, with real and imaginary parts of complex
        numbers last, number the columns.
    dtype : dtype
        Of the weight: real or complex, in the precision of the codebooks.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import CodedWeight, linear, pack_codes
    >>> codes, books = np.array([[0, 1, 1], [3, 2, 0]]), np.array([[-1.0, -0.5, 0.5, 1.0]], np.float32)
    >>> weight = CodedWeight((2, 3), pack_codes(codes, 2), books, np.zeros(2, np.int64), 2)
    >>> weight
    CodedWeight((2, 3), float32, 2 bits, 1 codebook, 24 bytes)
    >>> linear(np.ones((1, 3), np.float32), weight)
    array([[-2. ,  0.5]], dtype=float32)
    """

    def __init__(
        self,
        shape: Sequence[int],
        packed: Array,
        codebooks: Array,
        groups: Array,
        bits: int,
        *,
        row_axes: Sequence[int] = (0,),
        dtype: Any = None,
    ) -> None:
        self.shape, self.row_axes = tuple(map(int, shape)), tuple(map(int, row_axes))
        self.bits = require_bits(bits, "CodedWeight")
        self.dtype = np.dtype(codebooks.dtype if dtype is None else dtype)
        if np.zeros((), self.dtype).real.dtype != codebooks.dtype or codebooks.dtype.name not in ("float32", "float64"):
            raise DTypeError(
                f"CodedWeight: codebooks of {codebooks.dtype}, a weight of {self.dtype}; expected one precision"
            )
        self.codebooks, self.packed = codebooks, to_host(packed)
        self.groups = to_host(groups).astype(np.int64)
        n_groups = len(codebooks)
        if codebooks.ndim != 2 or codebooks.shape[1] != 1 << bits or not n_groups:
            raise ShapeError(f"CodedWeight: codebooks of shape {codebooks.shape}; expected (groups, {1 << bits})")
        if self.groups.shape != (self.rows,) or (
            self.rows and not 0 <= self.groups.min() <= self.groups.max() < n_groups
        ):
            shown = f"groups of shape {self.groups.shape}"
            raise InvalidValueError(f"CodedWeight: {shown}; expected {self.rows} numbers from 0 to {n_groups - 1}")
        self.codes  # noqa: B018 - packed codes of another weight are refused here
        if not bool(namespace(codebooks).isfinite(codebooks).all()):
            raise InvalidValueError("CodedWeight: codebooks hold NaN or Inf; expected finite numbers")

    def __repr__(self) -> str:
        n = len(self.codebooks)
        return (
            f"CodedWeight({self.shape}, {self.dtype}, {self.bits} bit{'s' * (self.bits > 1)}, {n} "
            f"codebook{'s' * (n > 1)}, {self.nbytes} bytes)"
        )

    @property
    def rows(self) -> int:
        """Rows of the matrix."""
        return math.prod(self.shape[a] for a in self.row_axes)

    @property
    def columns(self) -> int:
        """Columns of the matrix; a complex number has two."""
        rest = math.prod(n for a, n in enumerate(self.shape) if a not in self.row_axes)
        return rest * (2 if self.dtype.kind == "c" else 1)

    @property
    def nbytes(self) -> int:  # type: ignore[override]
        """Bytes of packed codes, codebooks and groups."""
        books = int(self.codebooks.size) * int(self.codebooks.dtype.itemsize)
        return packed_bytes(self.rows * self.columns, self.bits) + books + group_bytes(self.groups, len(self.codebooks))

    @property
    def codes(self) -> np.ndarray:
        """Codes (rows, columns) as uint8, unpacked."""
        return unpack_codes(self.packed, self.bits, self.rows * self.columns).reshape(self.rows, self.columns)

    def decode(self) -> Array:
        """Return the weight."""
        return weight_from_rows(self._matrix(), self.shape, self.row_axes, self.dtype)

    def _matrix(self) -> Array:
        xp = namespace(self.codebooks)
        flat = (self.groups[:, None] << self.bits) + self.codes
        return self.codebooks.reshape(-1)[to_device(flat, xp)]

    def astype(self, dtype: Any, copy: bool = True) -> CodedWeight:
        """Return the weight in another precision; itself if it has that and `copy` is false."""
        if np.dtype(dtype) == self.dtype and not copy:
            return self
        if np.dtype(dtype).kind != self.dtype.kind:
            raise DTypeError(f"CodedWeight: a weight of {self.dtype} as {np.dtype(dtype)}; expected the same kind")
        books = self.codebooks.astype(np.zeros((), dtype).real.dtype)
        options: dict[str, Any] = {"row_axes": self.row_axes, "dtype": dtype}
        return CodedWeight(self.shape, self.packed, books, self.groups, self.bits, **options)

    def has_rows(self, axes: tuple[int, ...]) -> bool:
        """Whether these axes, in this order, number the rows."""
        return tuple(axes) == self.row_axes

    def product(self, x: Array, matrices: int = 1) -> Array:
        """Return x W^T for each of `matrices` that follow each other in the rows.

        Parameters
        ----------
        x : (..., columns) array, or (matrices, n, columns) for several
            Real, or complex with as many columns as complex numbers in a row.
        matrices : int
            Matrices of rows / matrices rows each.

        Returns
        -------
        (..., rows) or (matrices, n, rows / matrices) array
            Of the dtype of `x` and the weight together.

        Raises
        ------
        ShapeError

        Notes
        -----
        For float32 and codes of 2 to 4 bits the kernel `decode_product` reads bits / 32 of the bytes of the weight;
        otherwise the weight is decoded and multiplied. On the host that is also done for many rows of x and a small
        weight, where it takes less time; a large weight meets many rows some at a time, which stay in cache. A
        complex product is a real one of twice the rows: Re and Im of sum x w are conj(x) and i conj(x), read as pairs
        of numbers, times w read so.
        """
        if self.dtype.kind == "c":
            return self._complex_product(x, matrices)
        if (
            x.shape[-1] != self.columns
            or self.rows % matrices
            or (matrices > 1 and (x.ndim != 3 or len(x) != matrices))
        ):
            raise ShapeError(f"{self!r} times x {tuple(x.shape)}; expected (..., {self.columns}), {matrices} matrices")
        own = x.reshape(matrices, math.prod(x.shape[:-1]) // matrices, self.columns)
        out = self._real_product(own)
        return out if matrices > 1 else out.reshape(*x.shape[:-1], self.rows)

    def _complex_product(self, x: Array, matrices: int) -> Array:
        xp = namespace(x)
        z = xp.ascontiguousarray(x.astype(np.result_type(x.dtype, self.dtype), copy=False)).conj()
        if z.shape[-1] * 2 != self.columns:
            raise ShapeError(f"{self!r} times x {tuple(x.shape)}; expected (..., {self.columns // 2})")
        own = z.reshape(matrices, math.prod(z.shape[:-1]) // matrices, z.shape[-1])
        pairs = xp.concatenate([own, 1j * own], axis=1).astype(z.dtype, copy=False).view(z.real.dtype)
        found, n = self._real_product(pairs), own.shape[1]
        out = xp.empty((*found[:, :n].shape,), z.dtype)
        out.real, out.imag = found[:, :n], found[:, n:]
        return out if matrices > 1 else out.reshape(*x.shape[:-1], self.rows)

    def _real_product(self, x: Array) -> Array:
        """Return the product for x (matrices, n, columns)."""
        matrices, n, rows = len(x), x.shape[1], self.rows // len(x)
        single = x.dtype == np.float32 and self.codebooks.dtype == np.float32
        if not single or self.bits not in _KERNEL_BITS or self.codebooks.size > _MOST_ENTRIES:
            return decode_product_reference(x, self._matrix())
        kernel = get_kernel(_FILE, "decode_product", np.float32, self.bits)
        on_host = not is_device_array(x)
        if not use_compiled(kernel, x) or (on_host and n > 2 * _ROWS and self.rows * self.columns < _SMALL):
            return decode_product_reference(x, self._matrix())
        if on_host and n > 2 * _ROWS:
            parts = [self._real_product(x[:, k : k + _ROWS]) for k in range(0, n, _ROWS)]
            return np.concatenate(parts, axis=1)
        xp, block = namespace(x), block_size(x)
        codes, books, places = self._tiles(matrices, block, is_device_array(x))
        out, tiles = xp.empty((matrices, n, rows), np.float32), codes.shape[1]
        tasks = matrices * tiles * (-(-n // 8) if is_device_array(x) else 1)
        launch(
            *(kernel, tasks, xp.ascontiguousarray(x), codes, books, places, self.codebooks.reshape(-1), out),
            *(matrices, n, self.columns, rows, tiles, codes.shape[2], int(self.codebooks.size)),
        )
        return out

    @cached_property
    def _laid_out(self) -> dict[tuple[int, int, bool], tuple[Array, Array, Array]]:
        return {}

    def _tiles(self, matrices: int, block: int, on_device: bool) -> tuple[Array, Array, Array]:
        """Return codes (matrices, tiles, units, bits, block) in words, the codebook of each tile, and places of rows.

        Each tile holds rows of one group; places of lanes without a row are -1.
        """
        key = matrices, block, on_device
        if key not in self._laid_out:
            xp = namespace(self.codebooks)
            books, places = _tiles_of_groups(self.groups.reshape(matrices, -1), block)
            units = -(-self.columns // _UNIT)
            codes = np.zeros((*places.shape, units * _UNIT), np.uint8)
            own = self.codes.reshape(matrices, -1, self.columns)
            codes[..., : self.columns] = np.take_along_axis(
                own, places.reshape(matrices, -1, 1).clip(0), axis=1
            ).reshape(*places.shape, self.columns)
            stream = (codes[..., None] >> np.arange(self.bits, dtype=np.uint8)) & 1
            packed = np.packbits(stream.reshape(*places.shape, -1), axis=-1, bitorder="little")
            words = packed.view("<i4").astype(np.int32).reshape(*places.shape, units, self.bits)
            made = np.ascontiguousarray(words.transpose(0, 1, 3, 4, 2)), books, places
            codes_, books_, places_ = (to_device(a, xp) for a in made)
            self._laid_out[key] = codes_, books_, places_
        return self._laid_out[key]


def _tiles_of_groups(groups: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the group (matrices, tiles) of tiles of `block` rows, and the rows (matrices, tiles, block) in them."""
    found: list[list[tuple[int, np.ndarray]]] = []
    for own in groups:
        order = np.argsort(own, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(own[order])) + 1)
        found.append([(int(own[p[0]]), p[k : k + block]) for p in parts if p.size for k in range(0, p.size, block)])
    tiles = max(map(len, found), default=0)
    books, places = np.zeros((len(groups), tiles), np.int32), np.full((len(groups), tiles, block), -1, np.int32)
    for m, row in enumerate(found):
        for k, (group, rows) in enumerate(row):
            books[m, k] = group
            places[m, k, : rows.size] = rows
    return books, places


def decode_product_reference(x: Array, matrix: Array) -> Array:
    """Reference of the kernel `decode_product`: x (matrices, n, columns) times the decoded rows, matrix by matrix."""
    weights = matrix.reshape(len(x), -1, x.shape[2])
    return namespace(x).matmul(x, weights.swapaxes(1, 2))
