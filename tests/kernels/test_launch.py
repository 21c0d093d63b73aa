"""Launching kernels: the answer, the checks of arguments, and the threads."""

from __future__ import annotations

import numpy as np
import pytest
from scale_kernel import scale_kernel, scaled
from systems import cloud, targets_in

import sci
from sci import kernels
from sci.errors import DeviceMismatchError, DTypeError, InvalidValueError, ShapeError
from sci.kernels import bind, get_kernel, launch
from sci.options import MOST_THREADS
from sci.potentials import direct_sum

DIRECT_SUM = get_kernel("particles/direct_sum.cu", "direct_sum", np.float64, False, False)


def test_a_kernel_of_another_folder_runs(folder):
    np.testing.assert_array_equal(scaled(), 3.0 * np.arange(40))
    np.testing.assert_array_equal(scaled(0), np.zeros(0))


def test_a_bound_call_reads_its_arrays_anew_and_holds_them(folder):
    x, out = np.arange(5.0), np.zeros(5)
    call = bind(scale_kernel(), 1, x, out, 5, 2.0)
    call()
    x += 1
    call()
    np.testing.assert_array_equal(out, 2 * np.arange(1.0, 6.0))
    held = bind(scale_kernel(), 1, np.arange(5.0), out, 5, -1.0)
    held()
    np.testing.assert_array_equal(out, -np.arange(5.0))


def test_a_result_that_cannot_be_written_is_refused(folder):
    x, out = np.arange(5.0), np.zeros(5)
    x.flags.writeable = False
    launch(scale_kernel(), 1, x, out, 5, 2.0)
    out.flags.writeable = False
    with pytest.raises(InvalidValueError, match=r"argument out .*read-only"):
        launch(scale_kernel(), 1, x, out, 5, 3.0)
    np.testing.assert_array_equal(out, 2 * np.arange(5.0))


GOOD = {"targets": np.zeros((5, 3)), "sources": np.ones((4, 4)), "out": np.zeros((5, 1)), "m": 5, "n": 4}


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("targets", np.zeros((5, 3), np.float32), DTypeError, "targets.*float32"),
        ("targets", [[0.0, 0.0, 0.0]] * 5, DTypeError, "targets.*list"),
        ("targets", np.zeros((3, 5)).T, ShapeError, "targets.*not C-contiguous"),
        ("targets", np.zeros((5, 6))[:, ::2], ShapeError, "targets.*not C-contiguous"),
        ("targets", np.zeros((5, 2)), ShapeError, r"targets.*\(5, 2\)"),
        ("targets", np.zeros(15), ShapeError, r"targets.*\(15,\)"),
        ("out", np.zeros((6, 1)), ShapeError, r"out.*\(6, 1\)"),
        ("out", np.zeros((5, 4)), ShapeError, r"out.*\(5, 4\)"),
        ("m", 6, ShapeError, "argument m .* is 6.*5"),
        ("n", 3, ShapeError, "argument n .* is 3.*4"),
    ],
)
def test_the_launcher_refuses(name, value, error, message):
    arguments = {**GOOD, name: value}
    with pytest.raises(error, match=message):
        launch(DIRECT_SUM, 1, *arguments.values(), 0.0, 0.0)


def test_the_launcher_counts_arguments():
    with pytest.raises(ShapeError, match="takes 7 arguments, got 2"):
        launch(DIRECT_SUM, 1, GOOD["targets"], GOOD["sources"])


def test_the_launcher_refuses_mixed_devices():
    class Foreign:
        dtype, ndim, shape, flags = np.dtype(float), 2, (4, 4), np.ones((4, 4)).flags

    Foreign.__module__ = "cupy"
    arguments = {**GOOD, "sources": Foreign()}
    with pytest.raises(DeviceMismatchError):
        launch(DIRECT_SUM, 1, *arguments.values(), 0.0, 0.0)


def test_the_answer_does_not_depend_on_the_threads():
    particles = cloud(300)
    points = targets_in(particles, 500)
    with sci.options(threads=1):
        one = direct_sum(particles, points)
    with sci.options(threads=3):
        np.testing.assert_array_equal(direct_sum(particles, points), one)


def test_threads_follow_the_option_then_the_variable(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert kernels.host_threads() == 5
    with sci.options(threads=2):
        assert kernels.host_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "1" + "0" * 30)
    assert kernels.host_threads() == MOST_THREADS
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert kernels.host_threads() >= 1
