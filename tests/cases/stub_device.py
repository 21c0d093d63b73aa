"""A device for tests without one: arrays that refuse to mix with NumPy, in a module that passes for CuPy.

`install()` puts it into `sys.modules`. The arrays export no buffer, so MPI cannot read them by mistake.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

calls: list[str] = []
"""What was asked of the device, in order: "synchronize", "get", "asarray", "alloc_pinned_memory"."""


class ndarray:
    """A device array; its numbers live in a hidden host array."""

    __array_ufunc__ = None

    def __init__(self, hidden: Any) -> None:
        self._hidden = np.asarray(hidden)

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise TypeError("implicit copy of a device array to the host")

    @property
    def data(self) -> SimpleNamespace:
        return SimpleNamespace(ptr=self._hidden.ctypes.data)

    def get(self, out: np.ndarray | None = None) -> np.ndarray:
        calls.append("get")
        if out is None:
            return self._hidden.copy()
        assert out.flags.c_contiguous
        assert (out.shape, out.dtype) == (self._hidden.shape, self._hidden.dtype)
        out[...] = self._hidden
        return out

    def __getitem__(self, key: Any) -> ndarray:
        return ndarray(self._hidden[_inside(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._hidden[_inside(key)] = _inside(value)

    def __getattr__(self, name: str) -> Any:
        return _lift(getattr(self._hidden, name))


def _inside(value: Any) -> Any:
    if isinstance(value, ndarray):
        return value._hidden
    if isinstance(value, np.ndarray) and value.ndim > 0:
        raise TypeError("a host array was used where a device array is expected")
    if isinstance(value, (tuple, list)):
        return type(value)(_inside(v) for v in value)
    return value


def _lift(value: Any) -> Any:
    """Return a host array as a device array, and a function of arrays as one of device arrays."""
    if isinstance(value, np.ndarray):
        return ndarray(value)
    if not callable(value) or isinstance(value, type):
        return value

    def call(*args: Any, **kwargs: Any) -> Any:
        return _lift(value(*_inside(args), **{k: _inside(v) for k, v in kwargs.items()}))

    return call


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _lift(getattr(np, name))


def _to_device(value: Any, *args: Any) -> ndarray:
    calls.append("asarray")
    return value if isinstance(value, ndarray) else ndarray(np.array(value, *args))


def _pinned(n_bytes: int) -> bytearray:
    calls.append("alloc_pinned_memory")
    return bytearray(n_bytes + 64)


def install() -> ModuleType:
    """Put the stand-in into `sys.modules` and return it."""
    ndarray.__module__ = "cupy"
    stream = SimpleNamespace(synchronize=lambda: calls.append("synchronize"), ptr=0)
    cupy = _Module("cupy")
    cupy.__dict__.update(
        ndarray=ndarray,
        asarray=_to_device,
        asnumpy=lambda a: a.get(),
        fft=SimpleNamespace(**{name: _lift(getattr(np.fft, name)) for name in ("fftn", "ifftn", "rfftn", "irfftn")}),
        cuda=SimpleNamespace(
            alloc_pinned_memory=_pinned,
            get_current_stream=lambda: stream,
            runtime=SimpleNamespace(getDeviceCount=lambda: 1),
        ),
    )
    sys.modules["cupy"] = cupy
    return cupy
