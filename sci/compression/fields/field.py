"""A field in few bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sci.arguments import entry
from sci.compression.fields.decode import decode_field
from sci.compression.fields.header import DTYPES, STORED, Header
from sci.errors import FileFormatError, InvalidValueError, ShapeError

__all__ = ["BoundKind", "CompressedField"]

BoundKind: TypeAlias = Literal["l2", "maximum"]
"""The norm of an error that is bounded."""


@entry
@dataclass(frozen=True, eq=False, repr=False)
class CompressedField:
    """A field as `compress` stores it, and its error.

    Parameters
    ----------
    shape : tuple of int
        Of the field.
    dtype : {"float32", "float64"}
        Of the field.
    method : {"tucker", "transform", "wavelet", "interpolation", "constant", "lossless"}
        What the field is stored by.
    data : uint8 array
        All that decoding needs.
    tol : float
        The bound that was asked for.
    bound : {"l2", "maximum"}
        Whether it is of the L2 norm of the error, or of its largest magnitude.
    relative : bool
        Whether `tol` is in parts of the L2 norm, or of the range of the field.
    l2_error, maximum_error : float
        The root of the sum of squares of the error, and its largest magnitude, in the units of the field, as measured
        at every point of what a decoder computes.
    l2_norm, value_range : float
        The L2 norm of the field, and its largest value less its smallest.

    Raises
    ------
    FileFormatError
        If `data` is damaged, cut off, or of another field.
    InvalidValueError, ShapeError
        If a number is not what it should be.

    Notes
    -----
    Integers are coded by integers, so that they are the same on every machine. By interpolation, so is the field, to
    the bit. What the integers of the other methods stand for is computed in floating point, and may differ in the last
    digits between machines; `compress` keeps back from the bound what such differences were seen to be, four times.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import compress
    >>> x = np.linspace(0.0, 3.0, 64)
    >>> small = compress(np.sin(x[:, None] + x), 1e-3)
    >>> small.relative_l2_error <= 1e-3
    True
    >>> small.decompress().shape
    (64, 64)
    """

    shape: tuple[int, ...]
    dtype: str
    method: str
    data: np.ndarray
    tol: float
    bound: BoundKind
    relative: bool
    l2_error: float
    maximum_error: float
    l2_norm: float
    value_range: float

    def __post_init__(self) -> None:
        if self.data.dtype != np.uint8 or self.data.ndim != 1:
            raise ShapeError(f"data is of shape {self.data.shape} and {self.data.dtype}; expected bytes, (n,) of uint8")
        if self.dtype not in DTYPES or self.method not in STORED:
            raise InvalidValueError(
                f"dtype is {self.dtype!r} and method {self.method!r}; expected one of {DTYPES} and one of {STORED}"
            )
        for name in ("l2_error", "maximum_error", "l2_norm", "value_range"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InvalidValueError(f"{name} is {getattr(self, name)}; expected a number of at least 0")
        check_tolerance(self.tol)
        header = Header.read(self.data)[0]
        if (header.shape, header.dtype, header.method) != (tuple(self.shape), self.dtype, self.method):
            raise FileFormatError(
                f"the data is of a field of shape {header.shape} and {header.dtype} by {header.method}; "
                f"expected {tuple(self.shape)}, {self.dtype} and {self.method}"
            )

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        kept = f"relative L2 error {self.relative_l2_error:.3g}, maximum {self.relative_maximum_error:.3g} of the range"
        return (
            f"CompressedField({shape} {self.dtype}, {self.method}, {self.nbytes} bytes, {self.ratio:.4g} to 1, {kept})"
        )

    @property
    def nbytes(self) -> int:
        """Bytes of `data`."""
        return int(self.data.size)

    @property
    def ratio(self) -> float:
        """Bytes of the field over those of `data`."""
        return float(np.prod(self.shape, dtype=float) * np.dtype(self.dtype).itemsize / self.nbytes)

    @property
    def relative_l2_error(self) -> float:
        """The error over the field in the L2 norm; 0 for a field of zeros."""
        return self.l2_error / self.l2_norm if self.l2_norm > 0 else 0.0

    @property
    def relative_maximum_error(self) -> float:
        """The largest error over the range; 0 for a constant field."""
        return self.maximum_error / self.value_range if self.value_range > 0 else 0.0

    def decompress(self) -> np.ndarray:
        """Return the field within its bound.

        Returns
        -------
        array of `dtype`
            In the shape of the field, on the host.

        Raises
        ------
        FileFormatError
            If the bytes are damaged.
        """
        return decode_field(self.data)


def check_tolerance(tol: float) -> None:
    """Refuse a tolerance that is not over 0."""
    if not 0 < tol < np.inf:
        raise InvalidValueError(
            f"tol is {tol}; expected a number over 0: 1e-3 keeps three digits, and lossless storage is what HDF5 has"
        )
