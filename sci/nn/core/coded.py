"""Parameters that are held as codes: what an op takes in the place of an array."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from sci.backend import Array

__all__ = ["CodedArray", "decoded"]


class CodedArray(NDArrayOperatorsMixin):
    """An array that is held in another form, and made when it is needed.

    Ops take it in the place of a parameter: one with a rule `coded` computes with the codes, every other op gets the
    array that `decode` makes. NumPy, operators and methods of arrays see that array too. It has no `ndim`, by which
    `sci.backend.namespace` would take it for an array of the host.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    nbytes : int
        Bytes that it is held in.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    nbytes: int

    @property
    def size(self) -> int:
        """How many numbers the array has."""
        return math.prod(self.shape)

    def decode(self) -> Array:
        """Return the array."""
        raise NotImplementedError

    def product(self, x: Array, matrices: int = 1) -> Array:
        """Return x W^T for the rows of each of `matrices`."""
        raise NotImplementedError

    def has_rows(self, axes: tuple[int, ...]) -> bool:
        """Whether `product` takes these axes of the array for its rows, in this order."""
        return False

    def astype(self, dtype: Any, copy: bool = True) -> Self:
        """Return it in another precision of its kind, real or complex."""
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = np.asarray(self.decode())
        return found if dtype is None else found.astype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*map(decoded, inputs), **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("ndim", *CodedArray.__annotations__):
            raise AttributeError(f"{type(self).__name__} has no attribute {name}")
        return getattr(self.decode(), name)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Array:
        return self.decode()[index]


def decoded(array: Any) -> Any:
    """Return the array of a `CodedArray`, and anything else as it is."""
    return array.decode() if isinstance(array, CodedArray) else array
