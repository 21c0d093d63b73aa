"""Parameters in two bytes: rounded to float16 or bfloat16 while float32 ones add up the steps."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError
from sci.nn.core.packing import real_view
from sci.nn.core.trees import Tree, named_arrays, unflatten_tree

__all__ = ["Storage", "decoded", "encoded", "require_storage", "rounded"]

Storage: TypeAlias = Literal["float16", "bfloat16"]
"""A precision of two bytes for the parameters of a model."""


def require_storage(storage: Any) -> None:
    """Raise InvalidValueError for another precision than float16 and bfloat16."""
    if storage not in ("float16", "bfloat16"):
        raise InvalidValueError(f"storage is {storage!r}; expected 'float16' or 'bfloat16'")


@entry
def rounded(parameters: Tree, storage: Storage) -> Any:
    """Return float32 parameters with the nearest values that two bytes hold, ties to even; the arrays stay float32.

    Parameters
    ----------
    parameters : dict of arrays, or of dicts and lists of them
        float32 or complex64.
    storage : "float16" or "bfloat16"
        5 bits of exponent and 10 of fraction: up to 65504, to 5e-4. 8 and 7: as far as float32, to 4e-3.

    Returns
    -------
    arrays in the form of `parameters`

    Raises
    ------
    DTypeError
        For another precision.
    InvalidValueError
        For a value that is too large, by the name of its array.

    Notes
    -----
    The ops compute in float32, so that a two-byte dtype in memory would be converted in each: bfloat16 needs no dtype
    of its own here, nor the package that would bring one. Files hold its upper two bytes, see `ModelState`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import rounded
    >>> rounded({"w": np.array([1.001, 3.14159], "f4")}, "bfloat16")
    {'w': array([1.      , 3.140625], dtype=float32)}
    """
    require_storage(storage)
    leaves = named_arrays(parameters, "parameters")
    found = {
        name: decoded(encoded(array, storage, name), storage, array.dtype).reshape(array.shape)
        for name, array in leaves.items()
    }
    return unflatten_tree(found, parameters)


def encoded(array: Array, storage: Storage, name: str) -> Array:
    """Return the numbers of float32 or complex64 in two bytes: float16, or the upper halves of float32 as uint16."""
    if array.dtype not in ("f4", "c8"):
        raise DTypeError(f"the parameter {name!r} has dtype {array.dtype}; expected float32 or complex64 for {storage}")
    xp = namespace(array)
    flat = real_view(xp.ascontiguousarray(array))
    with np.errstate(over="ignore"):
        if storage == "float16":
            found = flat.astype(np.float16)
            too_large = xp.isinf(found) & xp.isfinite(flat)
        else:
            found = _upper_halves(flat)
            too_large = xp.isinf(_widened(found)) & xp.isfinite(flat)
    if bool(too_large.any()):
        raise InvalidValueError(
            f"the parameter {name!r} has entries up to {float(xp.abs(flat).max()):.3g}, too large for {storage}; "
            f"expected {'bfloat16, which reaches as far as float32' if storage == 'float16' else 'float32'}"
        )
    return found


def _upper_halves(flat: Array) -> Array:
    """Return float32 rounded to their upper two bytes, as uint16; NaN stays NaN."""
    xp = namespace(flat)
    bits = flat.view(np.uint32)
    nearest = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return xp.where(xp.isnan(flat), np.uint32(0x7FC0), nearest).astype(np.uint16)


def _widened(halves: Array) -> Array:
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)


def decoded(flat: Array, storage: Storage, dtype: Any) -> Array:
    """Return the flat float32 or complex64 array of two-byte numbers."""
    wide = flat.astype(np.float32) if storage == "float16" else _widened(flat)
    return wide.view(dtype)
