"""Canonical bytes of settings and arrays, by which ranks compare their arguments, and a short text of each."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import math
import numbers
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, to_host
from sci.distributed.staging import element_dtype
from sci.errors import DTypeError

__all__ = ["Form", "Sample", "canonical", "form", "sample", "short_text"]

_SAMPLED = 256
"""Entries of an array in its `sample`."""
_TEXT = 120
"""Characters of a value in a message."""


@dataclass(frozen=True)
class Form:
    """Dtype and shape of an array; None stands for a length that may differ between ranks.

    Parameters
    ----------
    dtype : str
        Its name.
    shape : tuple of int or None
        None for a length that may differ.

    Examples
    --------
    >>> from sci.distributed import Form
    >>> Form("float64", (None, 3))
    Form(dtype='float64', shape=(None, 3))
    """

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        shape = ", ".join("*" if n is None else str(n) for n in self.shape)
        return f"shape ({shape}{',' if len(self.shape) == 1 else ''}) of {self.dtype}"


def form(array: Array, free: Iterable[int] = ()) -> Form:
    """Return dtype and shape of `array`, to be compared over ranks in place of its values.

    Parameters
    ----------
    array : array
        Numbers or booleans.
    free : iterable of int
        Axes whose length may differ between ranks.

    Returns
    -------
    Form

    Raises
    ------
    DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.distributed import form
    >>> print(form(np.zeros((2, 3)), free=[0]))
    shape (*, 3) of float64
    """
    open_axes = {axis % array.ndim for axis in free}
    shape = tuple(None if axis in open_axes else int(n) for axis, n in enumerate(array.shape))
    return Form(element_dtype(array.dtype).name, shape)


@dataclass(frozen=True)
class Sample:
    """Dtype and shape of an array, and a checksum of some of its entries.

    Parameters
    ----------
    dtype : str
        Its name.
    shape : tuple of int
        Of the array.
    checksum : str
        Of some of its entries.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.distributed import sample
    >>> sample(np.zeros((4, 3))).shape
    (4, 3)
    """

    dtype: str
    shape: tuple[int, ...]
    checksum: str

    def __repr__(self) -> str:
        return f"an array of shape {self.shape} and dtype {self.dtype}, checksum of some entries {self.checksum}"


def sample(array: Array) -> Sample:
    """Return dtype, shape and 256 entries of `array`, to be compared over ranks where all entries would take too long.

    Parameters
    ----------
    array : array
        Parameters or activations that are replicated: where ranks differ, they differ in most entries.

    Returns
    -------
    Sample

    Raises
    ------
    DTypeError

    Notes
    -----
    A few microseconds; of a device array the entries alone come to the host.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.distributed import sample
    >>> sample(np.zeros((2, 3))) == sample(np.ones((2, 3)))
    False
    """
    size = int(array.size)
    places = np.unique(np.linspace(0, max(size - 1, 0), min(size, _SAMPLED)).astype(np.int64))
    entries = to_host(array.reshape(-1)[places.tolist() if is_device_array(array) else places])
    digest = hashlib.blake2b(canonical(entries), digest_size=4).hexdigest()
    return Sample(element_dtype(array.dtype).name, tuple(map(int, array.shape)), digest)


def canonical(value: Any) -> bytes:
    """Return bytes that are equal for equal values: numbers by value, arrays by dtype, shape and content.

    Parameters
    ----------
    value : object
        None, numbers, strings, arrays, dtypes, functions, classes, enumerations, paths, slices, generators of random
        numbers, `Form`; dataclasses (by the fields that take part in comparison), sequences, sets and mappings of
        these.

    Raises
    ------
    DTypeError
        For a value of another class.

    Notes
    -----
    4 and 4.0 are equal, as are lists and tuples. NaN equals NaN. Device arrays are copied to the host.
    """
    if value is None:
        return b"0"
    if isinstance(value, numbers.Number | np.generic) and not isinstance(value, np.void):
        return _number(value)
    if isinstance(value, str | bytes | os.PathLike):
        data = os.fsencode(value)
        return b"s%d:%s" % (len(data), data)
    if isinstance(value, np.ndarray) or is_device_array(value):
        return _array(to_host(value))
    if isinstance(value, list | tuple):
        return _joined(b"l", map(canonical, value))
    if isinstance(value, set | frozenset):
        return _joined(b"u", sorted(map(canonical, value)))
    if isinstance(value, Mapping):
        return _joined(b"m", sorted(canonical(k) + canonical(v) for k, v in value.items()))
    return _object(value)


def _number(value: Any) -> bytes:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, complex):
        return _joined(b"c", (_number(value.real), _number(value.imag)))
    if isinstance(value, float) and (not math.isfinite(value) or not value.is_integer()):
        return b"f" + value.hex().encode()
    if isinstance(value, str | bytes):
        return canonical(value)
    return b"i%d" % int(value)


def _array(array: np.ndarray) -> bytes:
    native: np.ndarray = np.ascontiguousarray(array, dtype=element_dtype(array.dtype))
    content = hashlib.blake2b(native.reshape(-1).view(np.uint8).data, digest_size=16).digest()
    return _joined(b"a", (native.dtype.str.encode(), repr(array.shape).encode(), content))


def _object(value: Any) -> bytes:
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return b"q" + f"{value.__module__}.{value.__qualname__}".encode()
    name = type(value).__qualname__.encode()
    if isinstance(value, np.dtype):
        return b"t" + value.str.encode()
    if isinstance(value, enum.Enum):
        return _joined(b"e" + name, (value.name.encode(),))
    if isinstance(value, functools.partial):
        return _joined(b"p", (canonical(value.func), canonical(value.args), canonical(value.keywords)))
    if isinstance(value, slice | range):
        return _joined(name, map(canonical, (value.start, value.stop, value.step)))
    if isinstance(value, np.random.Generator):
        return _joined(b"g", (canonical(value.bit_generator.state),))
    if dataclasses.is_dataclass(value):
        compared = (f.name for f in dataclasses.fields(value) if f.compare)
        return _joined(b"d" + name, (canonical(f) + canonical(getattr(value, f)) for f in compared))
    raise DTypeError(
        f"a value of class {type(value).__name__} cannot be compared over ranks; expected numbers, strings, arrays, "
        "dataclasses, or containers of these"
    )


def _joined(tag: bytes, parts: Iterable[bytes]) -> bytes:
    return tag + b"(" + b",".join(b"%d:%s" % (len(part), part) for part in parts) + b")"


def short_text(value: Any) -> str:
    """Return a few words that show `value` in a message."""
    if isinstance(value, np.ndarray) or is_device_array(value):
        if value.size > 4:
            checksum = hashlib.blake2b(canonical(value), digest_size=4).hexdigest()
            return f"an array of {form(value)}, checksum {checksum}"
        value = to_host(value).tolist()
    text = str(value) if isinstance(value, Form) else repr(value)
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 3]}..."
