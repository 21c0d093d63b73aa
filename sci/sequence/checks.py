"""Checks of arguments that all kinds of attention and all losses of this room share."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sci.backend import Array, namespace, require_finite, to_host
from sci.distributed import Comm, agreed, size
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = [
    "agree_cotangents",
    "check_choice",
    "check_dtypes",
    "check_finite",
    "fingerprint",
    "kept_labels",
    "narrowed",
    "require_sharded",
    "scale_or",
    "working_dtype",
]

_WORKING = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float64"}
_LARGEST_BFLOAT16 = 3.3895313892515355e38


def check_dtypes(arrays: Mapping[str, Array]) -> None:
    """Raise unless the arrays, by name, are of one real float dtype and on one device.

    Raises
    ------
    DTypeError, DeviceMismatchError
    """
    first = next(iter(arrays))
    for name, array in arrays.items():
        if not hasattr(array, "dtype") or str(array.dtype) not in _WORKING:
            found = getattr(array, "dtype", type(array))
            raise DTypeError(f"{name} has dtype {found}; expected float16, bfloat16, float32 or float64")
        if array.dtype != arrays[first].dtype:
            raise DTypeError(f"{name} has dtype {array.dtype}, {first} {arrays[first].dtype}; expected one dtype")
    namespace(*arrays.values())


def check_finite(arrays: Mapping[str, Array]) -> None:
    """Raise InvalidValueError if one of the arrays, by name, holds NaN or Inf."""
    for name, array in arrays.items():
        require_finite(array, name)


def check_choice(value: Any, choices: Sequence[str], name: str) -> None:
    """Raise InvalidValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise InvalidValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}")


def scale_or(scale: float | None, default: float) -> float:
    """Return `scale` as a finite number, or `default` for None."""
    value = default if scale is None else float(scale)
    if not math.isfinite(value):
        raise InvalidValueError(f"scale is {scale}; expected a finite number")
    return value


def working_dtype(dtype: Any, precision: str | None = None) -> np.dtype[Any]:
    """Return the dtype of sums for input of `dtype`: float32 for float16 and bfloat16, and at least `precision`."""
    least = np.dtype(_WORKING[str(dtype)])
    if precision is None:
        return least
    check_choice(precision, ("float32", "float64"), "precision")
    return np.promote_types(least, precision)


def narrowed(array: Array, dtype: Any, name: str) -> Array:
    """Return `array` in `dtype`, which may be narrower.

    Raises
    ------
    InvalidValueError
        If it is not finite there.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        finite = math.isfinite(float(array.sum()))
    if not finite:  # one pass without scratch tells that all is well; a sum that overflows is looked at again
        require_finite(array, name)
    largest = _LARGEST_BFLOAT16 if str(dtype) == "bfloat16" else float(np.finfo(dtype).max)
    if array.dtype != dtype and array.size and float(namespace(array).abs(array).max()) > largest:
        raise InvalidValueError(f"{name} exceeds the range of {dtype}; scale the input down, or pass a wider dtype")
    return array.astype(dtype, copy=False)


def fingerprint(k: Array, v: Array, comm: Comm) -> int:
    """Return a checksum of some keys and values; 0 where they say nothing: too few, all alike, or on one rank."""
    heads = math.prod(k.shape[:-2])
    if heads == 0 or k.shape[-2] < 2 or size(comm) == 1:
        return 0
    chosen = np.linspace(0, k.shape[-2] - 1, 8).astype(int).tolist()
    xp = namespace(k, v)
    rows = to_host(xp.concatenate([a.reshape(heads, *a.shape[-2:])[0][chosen] for a in (k, v)], axis=1))
    return 0 if (rows == rows[0]).all() else 1 + zlib.crc32(rows.tobytes())


def require_sharded(lengths: Sequence[int], whole: int | None, prints: np.ndarray, fix: str) -> None:
    """Raise on all ranks alike if what they hold is not one sequence cut into parts.

    Parameters
    ----------
    lengths : (n_ranks,) ints
        The tokens of each rank.
    whole : int, optional
        The length of the whole sequence, if it is known.
    prints : (n_ranks,) int array
        The `fingerprint` of each rank's keys and values: equal ones mean copies, where `whole` is not known.
    fix : str
        What to pass instead.
    """
    if whole is not None and sum(lengths) != whole:
        raise ShapeError(
            f"the ranks hold {sum(lengths)} tokens in all, and length is {whole}; pass this rank's part, {fix}"
        )
    if len(lengths) > 1 and whole is None and prints[0] != 0 and (prints == prints[0]).all():
        raise ShapeError(
            f"every rank passes the same keys and values, as if the sequence were not sharded; pass {fix}, or the "
            "length of the whole sequence, if it does repeat itself"
        )


def agree_cotangents(
    comm: Comm,
    operation: str,
    like: Array,
    given: Mapping[str, tuple[Array | None, tuple[int, ...]]],
    same: Sequence[str] = (),
) -> None:
    """Check gradients of outputs on all ranks before messages start (collective).

    Parameters
    ----------
    comm : mpi4py communicator or None
    operation : str
    like : array
        Of the device on which the gradients must lie.
    given : dict
        Gradient, or None, and expected shape, by name. All ranks pass None for the same ones.
    same : sequence of str
        Names of those that are the same on all ranks.

    Raises
    ------
    ShapeError, DTypeError, DeviceMismatchError, InvalidValueError
        On every rank.
    """
    with agreed(comm, f"the gradient of {operation}") as agreement:
        for name, (array, shape) in given.items():
            if array is not None and tuple(getattr(array, "shape", ())) != shape:
                raise ShapeError(f"{name} has shape {tuple(getattr(array, 'shape', ()))}; expected {shape}")
        namespace(like, *(array for array, _ in given.values()))
        for name, (array, _) in given.items():
            agreement.same(**{name: array if name in same or array is None else "an array"})


def kept_labels(labels: Array, classes: int, ignore_index: int | None) -> tuple[Array, Array | None]:
    """Return the labels as a flat array in which ignored ones are 0, and which are kept; None for all of them.

    Raises
    ------
    DTypeError, InvalidValueError
        For labels that are not integers from 0 to `classes` - 1, or `ignore_index`.
    """
    xp, flat = namespace(labels), labels.reshape(-1)
    if flat.dtype.kind not in "iu":
        raise DTypeError(f"labels have dtype {flat.dtype}; expected integers")
    kept = None if ignore_index is None else flat != ignore_index
    if kept is not None:
        flat = xp.where(kept, flat, 0)
    if flat.size and not (int(flat.min()) >= 0 and int(flat.max()) < classes):
        wrong = flat[(flat < 0) | (flat >= classes)]
        raise InvalidValueError(
            f"{wrong.size} labels are outside of the vocabulary of {classes}, the first of them {int(wrong[0])}; "
            "expected 0 or more and less than that, or mark padding and pass its label as ignore_index"
        )
    return flat, None if kept is None or bool(kept.all()) else kept
