"""One launch for each call, on the host and on a stand-in for a device; bad matrices anywhere in a block are found."""

from __future__ import annotations

import sys

import fake_cupy
import numpy as np
import pytest
from symmetric_cases import symmetric, with_spectrum

import sci
from sci.errors import InvalidValueError
from sci.kernels import Kernel, launch
from sci.linalg import symmetric_eigen, symmetric_function
from sci.linalg.symmetric import kernel as module
from sci.linalg.symmetric.eigen import symmetric_function_vjp


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Names of the kernels that are launched, and their blocks."""
    found: list[tuple[str, int]] = []

    def counted(kernel: Kernel, grid: int, *arguments: object) -> None:
        found.append((kernel.name, grid))
        launch(kernel, grid, *arguments)

    monkeypatch.setattr(module, "launch", counted)
    return found


@pytest.mark.parametrize("device", [False, True])
def test_a_call_is_one_launch(device: bool, launched: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with sci.options(kernels="compiled", threads=2):
        for n in (3, 5):
            a = symmetric((100, n, n), 0) + 9 * np.eye(n)
            a = cupy.asarray(a) if device else a
            eigen = symmetric_eigen(a)
            eigen.function("log")
            eigen.function_vjp(a, "sqrt")
            symmetric_function(a, "log")
            symmetric_function_vjp(a, a, "sqrt")
    kernels = ["eigen", "matrix_function", "matrix_function_vjp", "matrix_function", "matrix_function_vjp"]
    # 100 matrices are 2 blocks of 64 on a device and 7 of 16 on a host, whose scratch is one for each thread.
    assert launched == [
        (f"{name}<double, {own}>", grid) for own, grid in ((3, 2 if device else 7), (0, 2)) for name in kernels
    ]


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("fault", ["nan", "infinite", "asymmetric", "indefinite"])
@pytest.mark.parametrize("where", [0, 15, 16, 36])
def test_one_bad_matrix_of_a_batch_is_found(n: int, fault: str, where: int) -> None:
    a = np.array([with_spectrum(np.arange(1.0, n + 1), seed) for seed in range(37)])
    g = symmetric(a.shape, 0)
    bad = a.copy()
    if fault == "asymmetric":
        bad[where, 0, 1] += 1e-9
    elif fault == "indefinite":
        bad[where] -= 1.5 * np.eye(n)
    else:
        bad[where, 1, 1] = np.nan if fault == "nan" else np.inf
    index = rf"first at index \({where}, 1, 1\)" if fault in ("nan", "infinite") else f"matrix {where} is not"
    with sci.options(kernels="compiled"):
        for call in (
            lambda: symmetric_function(bad, "log"),
            lambda: symmetric_function_vjp(bad, g, "log"),
            lambda: symmetric_eigen(bad).function("sqrt"),
        ):
            with pytest.raises(InvalidValueError, match=index):
                call()
        if fault in ("nan", "infinite"):
            for call in (
                lambda: symmetric_function_vjp(a, bad, "rectify", threshold=9.0),
                lambda: symmetric_eigen(a).function_vjp(bad, "log"),
            ):
                with pytest.raises(InvalidValueError, match=f"dvalue holds .* {index}"):
                    call()


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_bits_of_a_result_do_not_depend_on_the_other_matrices(n: int, dtype: type) -> None:
    a = np.array([with_spectrum(1 + 10.0 ** -np.arange(n) * (seed % 7), seed) for seed in range(150)]).astype(dtype)
    g = symmetric(a.shape, 0, dtype)

    def results(rows: slice) -> tuple[np.ndarray, ...]:
        eigen = symmetric_eigen(a[rows])
        of_eigen = (eigen.values, eigen.vectors, eigen.function("log"), eigen.lyapunov(g[rows]))
        return *of_eigen, symmetric_function(a[rows], "sqrt"), symmetric_function_vjp(a[rows], g[rows], "log")

    expected = results(slice(None))
    for rows in (slice(1), slice(5), slice(3, 70), slice(None, None, -1), slice(7, None, 3)):
        for found, whole in zip(results(rows), expected, strict=True):
            np.testing.assert_array_equal(found, whole[rows])


def test_scratch_starts_at_a_line_of_the_cache() -> None:
    for dtype in (np.float32, np.float64):
        scratch = module._scratch(np.empty((1, 5, 5), dtype), 3, 55, 16)
        assert scratch.ctypes.data % 64 == 0
        assert scratch.flags.c_contiguous
        assert scratch.shape[1:] == (55, 16)
        scratch[...] = 1
