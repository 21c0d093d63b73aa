"""The door to CuPy: which namespace, what is refused, and what the checks of arguments say."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from sci import backend
from sci.errors import DeviceMismatchError, DeviceUnavailableError, DTypeError, InvalidValueError, ShapeError


class _DeviceArray:
    """An array that claims to be CuPy's and cannot be turned into a NumPy array by accident."""

    __module__ = "cupy"

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.dtype, self.ndim, self.shape = values, values.dtype, values.ndim, values.shape

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise TypeError("implicit conversion to a host array")


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("cupy")
    module.asnumpy = lambda array: array.values.copy()
    module.asarray = lambda array: array if isinstance(array, _DeviceArray) else _DeviceArray(np.asarray(array))
    module.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: 1))
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def test_host_arrays_scalars_and_lists_are_numpys() -> None:
    assert backend.namespace() is np
    assert backend.namespace(np.ones(3), [1.0], 2.0, None, np.float64(1)) is np


def test_device_arrays_are_cupys_and_scalars_are_neutral(cupy: ModuleType) -> None:
    array = _DeviceArray(np.ones(3))
    assert backend.is_device_array(array)
    assert not backend.is_device_array(np.ones(3))
    assert backend.namespace(array, 2.0, np.float64(1), None, [1, 2]) is cupy


def test_mixed_arrays_are_refused_with_the_mend(cupy: ModuleType) -> None:
    with pytest.raises(DeviceMismatchError, match=r"cupy\.asarray"):
        backend.namespace(_DeviceArray(np.ones(3)), np.ones(3))


def test_moves_between_host_and_device(cupy: ModuleType) -> None:
    host = np.arange(3.0)
    assert backend.to_host(host) is host
    device = backend.to_device(host, cupy)
    assert backend.is_device_array(device)
    assert backend.to_device(device, cupy) is device
    np.testing.assert_array_equal(backend.to_host(device), host)
    np.testing.assert_array_equal(backend.to_device(device, np), host)


def test_device_names(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend.namespace_of("cpu") is np
    assert backend.namespace_of("cuda") is cupy
    with pytest.raises(InvalidValueError, match="device is 'gpu'; expected 'cpu' or 'cuda'"):
        backend.namespace_of("gpu")  # type: ignore[arg-type]

    def no_driver() -> int:
        raise RuntimeError("cudaErrorInsufficientDriver")

    cupy.cuda.runtime.getDeviceCount = no_driver
    with pytest.raises(DeviceUnavailableError, match=r"cudaErrorInsufficientDriver.*extras cuda12 or cuda13"):
        backend.namespace_of("cuda")
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceUnavailableError, match="needs CuPy and a GPU"):
        backend.namespace_of("cuda")


def test_as_finite_converts_and_keeps() -> None:
    kept = np.arange(6.0).reshape(2, 3)
    assert backend.as_finite(kept, "x") is kept
    assert backend.as_finite([1, 2], "x").dtype == np.float64
    assert backend.as_finite(np.ones(2, np.float32), "x", dtype=np.float32).dtype == np.float32
    assert backend.as_finite(kept.T, "x").flags.c_contiguous
    assert backend.as_finite(2, "x", shape=()).shape == ()
    assert backend.as_finite(np.array([1j]), "x", dtype=np.complex128)[0] == 1j


@pytest.mark.parametrize(
    ("value", "shape", "error", "message"),
    [
        (np.ones((2, 2)), (None, 3), ShapeError, r"x has shape \(2, 2\); expected \(n, 3\)"),
        (np.ones(2), (3,), ShapeError, r"expected \(3,\)"),
        (np.ones(2), (None, 3), ShapeError, "expected"),
        (["a", "b"], None, DTypeError, "x has dtype <U1; expected real numbers"),
        ([[1.0], [1.0, 2.0]], None, DTypeError, "x cannot be read as an array of numbers"),
        (np.array([1 + 1j]), None, DTypeError, "complex128; expected real numbers"),
        ([1.0, np.nan], None, InvalidValueError, r"x holds 1 values that are NaN or infinite, the first at index \(1,"),
        ([[0.0, 1.0], [np.inf, np.nan]], None, InvalidValueError, r"x holds 2 values .* index \(1, 0\)"),
        (np.array([1e300]), None, None, ""),
    ],
)
def test_as_finite_says_what_is_wrong(
    value: object, shape: tuple[int | None, ...] | None, error: type[Exception] | None, message: str
) -> None:
    if error is None:
        backend.as_finite(value, "x", shape=shape)
        return
    with pytest.raises(error, match=message):
        backend.as_finite(value, "x", shape=shape)


def test_an_overflow_of_the_conversion_is_caught() -> None:
    with np.errstate(over="ignore"), pytest.raises(InvalidValueError, match="infinite"):
        backend.as_finite(np.array([1e300]), "x", dtype=np.float32)


def test_points_have_three_columns() -> None:
    assert backend.as_points([[0, 1, 2]]).shape == (1, 3)
    assert backend.as_points(np.empty((0, 3))).shape == (0, 3)
    with pytest.raises(ShapeError, match=r"targets has shape \(3,\); expected \(n, 3\)"):
        backend.as_points([0.0, 1.0, 2.0], "targets")
