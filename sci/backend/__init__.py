"""The only door to CuPy: the array namespace, host and device moves, dtype rules."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np

from sci.backend import shape_functions
from sci.backend.shapes import ShapeArray, Tally, shape_array, tallying
from sci.errors import (
    DeviceMismatchError,
    DeviceUnavailableError,
    DTypeError,
    InvalidValueError,
    ShapeError,
)

Array: TypeAlias = Annotated[Any, "array"]
"""A `numpy.ndarray` or a `cupy.ndarray`; the two share the interface that the library uses."""

ArrayLike: TypeAlias = Annotated[Any, "array_like"]
"""An array, or numbers in sequences, of which `as_finite` makes one; it refuses everything else by name."""

Device: TypeAlias = Literal["cpu", "cuda"]
"""Where arrays are made."""

__all__ = [
    "Array",
    "ArrayLike",
    "Device",
    "ShapeArray",
    "Tally",
    "as_finite",
    "as_points",
    "device_number",
    "is_device_array",
    "namespace",
    "namespace_of",
    "nccl",
    "require_finite",
    "shape_array",
    "tallying",
    "to_device",
    "to_host",
]


def is_device_array(array: object) -> bool:
    """Return True if `array` is a CuPy array (without importing CuPy).

    Parameters
    ----------
    array : object
        Anything.

    Returns
    -------
    bool
        True for an array of CuPy.
    """
    return type(array).__module__.partition(".")[0] == "cupy"


def device_number(array: Array) -> int:
    """Return the number of the present device for a device array, 0 for any other: a key of what is made once for each.

    Parameters
    ----------
    array : array
        On the host or on a device, or without numbers.

    Returns
    -------
    int
    """
    return int(importlib.import_module("cupy").cuda.Device().id) if is_device_array(array) else 0


def namespace(*arrays: Array) -> ModuleType:
    """Return `numpy` or `cupy`, whichever made all of `arrays`; scalars, lists and None are neutral.

    With arrays without numbers among them (`ShapeArray`) it is the namespace of these.

    Parameters
    ----------
    *arrays : arrays, numbers, lists or None
        At least one array decides.

    Returns
    -------
    module

    Raises
    ------
    DeviceMismatchError
        If host and device arrays are mixed.
    """
    on_device = [is_device_array(a) for a in arrays if hasattr(a, "dtype") and getattr(a, "ndim", 0) > 0]
    if not any(on_device):
        return shape_functions if ShapeArray in map(type, arrays) else np
    if not all(on_device):
        raise DeviceMismatchError(
            "NumPy and CuPy arrays were mixed in one call; move all of them to one side "
            "(cupy.asarray(x) or cupy.asnumpy(x)) first"
        )
    return importlib.import_module("cupy")


def namespace_of(device: Device) -> ModuleType:
    """Return the array namespace of a device name.

    Parameters
    ----------
    device : "cpu" or "cuda"
        The name of a device.

    Returns
    -------
    module

    Raises
    ------
    InvalidValueError
        If `device` is neither "cpu" nor "cuda".
    DeviceUnavailableError
        If "cuda" is asked for and CuPy or a GPU is missing.
    """
    if device == "cpu":
        return np
    if device != "cuda":
        raise InvalidValueError(f"device is {device!r}; expected 'cpu' or 'cuda'")
    try:
        cupy = importlib.import_module("cupy")
        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        raise DeviceUnavailableError(
            f"device='cuda' needs CuPy and a GPU with its driver ({error}); "
            "install one of the extras cuda12 or cuda13, or use device='cpu'"
        ) from error
    return cupy


def nccl() -> ModuleType:
    """Return CuPy's interface to NCCL.

    Returns
    -------
    module

    Raises
    ------
    DeviceUnavailableError
        If CuPy or NCCL is missing, or does not load.
    """
    try:
        found = importlib.import_module("cupy.cuda.nccl")
        available = bool(found.available)
    except Exception as error:
        raise DeviceUnavailableError(f"NCCL does not load ({error})") from error
    if not available:
        raise DeviceUnavailableError("CuPy finds no NCCL; install that of its CUDA")
    return found


def to_host(array: Array) -> np.ndarray:
    """Copy a device array to the host; return a host array as it is.

    Parameters
    ----------
    array : array
        On the host or on a device.

    Returns
    -------
    NumPy array
        With the shape and dtype of `array`.
    """
    if is_device_array(array):
        host: np.ndarray = importlib.import_module("cupy").asnumpy(array)
        return host
    return np.asarray(array)


def to_device(array: Array, xp: ModuleType) -> Array:
    """Return `array` as an array of the namespace `xp`, copying only where it lies elsewhere.

    Parameters
    ----------
    array : array
        On the host or on a device.
    xp : module
        `numpy` or `cupy`.

    Returns
    -------
    array of `xp`
        With the shape and dtype of `array`, on the present device for CuPy.
    """
    if xp is np:
        return to_host(array)
    return xp.asarray(array)


def require_finite(array: Array, name: str) -> None:
    """Raise `InvalidValueError`, naming the first bad entry, if `array` holds NaN or Inf.

    Parameters
    ----------
    array : array
        On the host or on a device.
    name : str
        How an error names it.

    Raises
    ------
    InvalidValueError
    """
    xp = namespace(array)
    finite = xp.isfinite(array)
    if bool(finite.all()):
        return
    first = tuple(int(i) for i in np.argwhere(~to_host(finite))[0])
    count = int((~finite).sum())
    raise InvalidValueError(
        f"{name} holds {count} values that are NaN or infinite, the first at index {first}; expected finite numbers"
    )


def as_finite(
    array: Array,
    name: str,
    *,
    shape: Sequence[int | None] | None = None,
    dtype: Any = np.float64,
    xp: ModuleType | None = None,
) -> Array:
    """Return `array` as a C-contiguous finite array of `dtype`, checked against `shape`.

    Parameters
    ----------
    array : array_like
        Real numbers; integers and lower precision are converted to `dtype`.
    name : str
        The argument's name, for messages.
    shape : sequence of int or None, optional
        Expected shape; None leaves an axis free.
    dtype : dtype
        Result dtype, float64 unless given.
    xp : module, optional
        Namespace that a list is turned into; an array keeps its own.

    Returns
    -------
    array of `dtype`
        In C order; the argument itself if it is that already.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    """
    module = namespace(array) if hasattr(array, "dtype") else (xp or np)
    try:
        raw = module.asarray(array)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"{name} cannot be read as an array of numbers: {error}") from error
    target = np.dtype(dtype)
    if raw.dtype.kind not in "biuf" and not (raw.dtype.kind == "c" and target.kind == "c"):
        raise DTypeError(f"{name} has dtype {raw.dtype}; expected real numbers ({target})")
    if shape is not None and (
        raw.ndim != len(shape) or any(want is not None and want != got for want, got in zip(shape, raw.shape))
    ):
        expected = "(" + ", ".join("n" if s is None else str(s) for s in shape) + ("," if len(shape) == 1 else "") + ")"
        raise ShapeError(f"{name} has shape {tuple(raw.shape)}; expected {expected}")
    result = module.ascontiguousarray(raw.astype(target, copy=False))
    if raw.ndim == 0:
        result = result.reshape(())
    require_finite(result, name)
    return result


def as_points(points: Array, name: str = "points", *, xp: ModuleType | None = None) -> Array:
    """Return `points` as a finite float64 array of shape (n, 3).

    Parameters
    ----------
    points : (n, 3) array
        Anything that NumPy reads as one.
    name : str
        How an error names it.
    xp : module, optional
        The namespace that must have made it; that of the array unless given.

    Returns
    -------
    (n, 3) float64 array
        In C order; the argument itself if it is that already.
    """
    return as_finite(points, name, shape=(None, 3), xp=xp)
