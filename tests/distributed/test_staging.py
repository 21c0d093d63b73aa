"""Buffers for MPI: host arrays as they are, device arrays through pinned memory after the stream is idle."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import stub_device

import sci
from sci.distributed import staging
from sci.errors import DTypeError, InvalidValueError


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch):
    """The stand-in for a device in place of CuPy, with its calls counted."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "cupy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cupy", None)
    stub_device.install()
    stub_device.calls.clear()
    return sys.modules["cupy"]


def test_a_host_array_is_its_own_buffer() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert np.shares_memory(staging.to_buffer(x), x)
    assert staging.to_buffer(x.T).flags.c_contiguous
    assert staging.from_buffer(x, np) is x
    assert staging.empty_buffer(np, (2, 3), ">f4").dtype == np.dtype("f4")


def test_half_precision_travels_as_integers() -> None:
    x = np.arange(4, dtype="f2")
    assert staging.wire(x).dtype == np.int16
    assert np.shares_memory(staging.wire(x), x)
    assert staging.wire(np.zeros(3, "f4")).dtype == np.float32


@pytest.mark.parametrize("dtype", ["U3", "O", "M8[s]"])
def test_what_is_no_number_is_refused(dtype: str) -> None:
    with pytest.raises(DTypeError, match="cannot be sent"):
        staging.element_dtype(dtype)


def test_a_device_array_is_copied_to_pinned_memory(device) -> None:
    with sci.options(cuda_aware_mpi="off"):
        x = device.asarray(np.arange(4.0))
        stub_device.calls.clear()
        buffer = staging.to_buffer(x)
        assert isinstance(buffer, np.ndarray)
        assert buffer.tolist() == [0, 1, 2, 3]
        assert stub_device.calls == ["alloc_pinned_memory", "get"]
        assert staging.from_buffer(buffer, device).get().tolist() == [0, 1, 2, 3]
        assert isinstance(staging.empty_buffer(device, (2,), "f8"), np.ndarray)


def test_a_library_that_takes_device_memory_gets_it_once_the_stream_is_idle(device) -> None:
    with sci.options(cuda_aware_mpi="on"):
        x = device.asarray(np.arange(4.0))
        stub_device.calls.clear()
        assert staging.to_buffer(x).get().tolist() == [0, 1, 2, 3]
        assert stub_device.calls[0] == "synchronize"
        stub_device.calls.clear()
        staging.empty_buffer(device, (2,), "f8")
        assert "synchronize" in stub_device.calls


def test_arrays_of_other_libraries_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="expected numpy or cupy"):
        staging.empty_buffer(sys.modules["math"], (2,), "f8")
