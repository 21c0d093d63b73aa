"""Matrices with chosen eigenvalues, and derivatives of functions of matrices in many digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import mpmath as mp
import numpy as np

import sci
from sci.backend import to_device, to_host
from sci.kernels import block_size
from sci.linalg import lyapunov, polar, symmetric_eigen, symmetric_function
from sci.linalg.symmetric.eigen import symmetric_function_vjp
from sci.linalg.symmetric.lyapunov import lyapunov_vjp
from sci.linalg.symmetric.polar import polar_vjp

FUNCTIONS: tuple[tuple[str, dict[str, float]], ...] = (
    ("sqrt", {}),
    ("inverse_sqrt", {}),
    ("log", {}),
    ("exp", {}),
    ("inverse", {}),
    ("power", {"exponent": 0.3}),
    ("power", {"exponent": -1.7}),
    ("power", {"exponent": 3.0}),
    ("rectify", {"threshold": 1.9}),
)
"""Every function, with the parameters that tests use."""

SPECTRA = {
    "apart": (0.5, 1.1, 2.0, 3.7),
    "pair": (0.5, 2.0, 2.0, 3.7),
    "triple": (2.0, 2.0, 2.0, 0.7),
    "identity": (1.5, 1.5, 1.5, 1.5),
    "near 1e-3": (1.5, 1.5015, 0.4, 3.0),
    "near 1e-6": (1.5, 1.5 + 1.5e-6, 0.4, 3.0),
    "near 1e-9": (1.5, 1.5 + 1.5e-9, 0.4, 3.0),
    "near 1e-12": (1.5, 1.5 + 1.5e-12, 0.4, 3.0),
    "near 1e-15": (1.5, 1.5 + 1.5e-15, 0.4, 3.0),
    "wide": (1e-3, 1.0, 1.0 + 1e-7, 1e3),
}


def rotation(n: int, seed: int = 0) -> np.ndarray:
    """Return an orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


def with_spectrum(values: Any, seed: int = 0) -> np.ndarray:
    """Return a symmetric matrix with chosen eigenvalues, to rounding."""
    u = rotation(len(values), seed)
    matrix = (u * np.asarray(values)) @ u.T
    return (matrix + matrix.T) / 2


def symmetric(shape: tuple[int, ...], seed: int, dtype: Any = np.float64) -> np.ndarray:
    """Return random symmetric matrices."""
    x = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    return (x + x.swapaxes(-1, -2)) / 2


def _exact_pair(name: str, p: float) -> tuple[Any, Any]:
    """Return a function of a number and its derivative."""
    if name == "exp":
        return mp.exp, mp.exp
    if name == "log":
        return mp.log, lambda x: 1 / x
    p = mp.mpf({"sqrt": 0.5, "inverse_sqrt": -0.5, "inverse": -1}.get(name, p))
    return lambda x: x**p, lambda x: p * x ** (p - 1)


def exact(matrix: np.ndarray, change: np.ndarray, name: str, exponent: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return f(A) and its derivative at A in the direction E, by plain quotients of differences in 80 digits."""
    with mp.workdps(80):
        f, slope = _exact_pair(name, exponent)
        x, u = mp.eigsy(mp.matrix(matrix.tolist()))
        n, inner = len(matrix), u.T * mp.matrix(change.tolist()) * u
        for i in range(n):
            for j in range(n):
                gap = x[i] - x[j]
                inner[i, j] *= (f(x[i]) - f(x[j])) / gap if abs(gap) > mp.mpf(10) ** -40 * abs(x[i]) else slope(x[i])
        values = u * mp.diag([f(v) for v in x]) * u.T
        both = (values, u * inner * u.T)
        return tuple(np.array([[float(v) for v in row] for row in m.tolist()]) for m in both)  # type: ignore[return-value]


def _pairs(run: Callable[[], Any]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        expected = run()
    for one, other in zip(found, expected, strict=True):
        # Sums of n terms and of squares: the bound of float32 is that of a single operation.
        unit = 16 * max(1, abs(other).max()) if one.dtype == np.float32 else 1
        yield one / unit, other / unit


def _batches(dtype: str, own: int) -> Iterator[np.ndarray]:
    """Whole and partial blocks of matrices of moderate condition, some with repeated eigenvalues."""
    block = block_size(np.empty(0))
    orders = ((own, 1), (own, 3 * block + 5)) if own else ((1, 3), (4, 2 * block), (7, block + 1), (8, 2), (32, 3))
    for n, count in orders:
        x = symmetric((count, n, n), n, dtype)
        x *= 0.25 / np.linalg.norm(x, 2, axis=(1, 2))[:, None, None]
        x[::3] = np.eye(n) / 4
        yield x + np.eye(n, dtype=dtype) / 2  # eigenvalues from 1/4 to 3/4


def _eigen(rng: np.random.Generator, dtype: str, own: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for a in _batches(dtype, own):

        def run(a: np.ndarray = a) -> tuple[np.ndarray, ...]:
            eigen = symmetric_eigen(a)
            u = eigen.vectors
            return eigen.values, (u * eigen.values[..., None, :]) @ u.swapaxes(1, 2), u.swapaxes(1, 2) @ u

        yield from _pairs(run)


def _function(rng: np.random.Generator, dtype: str, own: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for a in _batches(dtype, own):
        eigen = symmetric_eigen(a)
        for name, options in FUNCTIONS:
            options = {"threshold": 0.42} if name == "rectify" else options
            yield from _pairs(
                lambda a=a, name=name, o=options, e=eigen: (symmetric_function(a, name, **o), e.function(name, **o))
            )


def _function_vjp(rng: np.random.Generator, dtype: str, own: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for a in _batches(dtype, own):
        eigen, g = symmetric_eigen(a), (rng.normal(size=a.shape) / 10).astype(dtype)
        yield from _pairs(lambda a=a, g=g, e=eigen: (lyapunov(a, g), e.lyapunov(g)))
        for name, options in FUNCTIONS:
            options = {"threshold": 0.42} if name == "rectify" else options
            yield from _pairs(
                lambda a=a, g=g, name=name, o=options, e=eigen: (
                    symmetric_function_vjp(a, g, name, **o),
                    e.function_vjp(g, name, **o),
                )
            )


def _square(rng: np.random.Generator, dtype: str) -> Iterator[np.ndarray]:
    """Whole and partial blocks of well conditioned matrices of order 3 with either sign of the determinant."""
    block = block_size(np.empty(0))
    for count in (1, 2 * block, 3 * block + 5):
        a = rng.normal(size=(count, 3, 3))
        left, values, right = np.linalg.svd(a)
        values[::3] = 0.5
        yield ((left * (values / 4 + [0.3, 0.2, 0.1])[:, None, :]) @ right).astype(dtype)


def _polar(rng: np.random.Generator, dtype: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for a in _square(rng, dtype):
        yield from _pairs(lambda a=a: (*polar(a), *polar(a, proper=True)))


def _polar_vjp(rng: np.random.Generator, dtype: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for a in _square(rng, dtype):
        g, h = (rng.normal(size=(2, *a.shape)) / 10).astype(dtype)
        yield from _pairs(
            lambda a=a, g=g, h=h: (
                polar_vjp(a, g, h),
                polar_vjp(a, g, None),
                polar_vjp(a, None, h, proper=True),
            )
        )


BY_DTYPE: dict[str, Callable[..., Iterator[tuple[np.ndarray, np.ndarray]]]] = {
    "eigen": _eigen,
    "matrix_function": _function,
    "matrix_function_vjp": _function_vjp,
    "polar": _polar,
    "polar_vjp": _polar_vjp,
}


def on_device(xp: ModuleType) -> list[np.ndarray]:
    """Every function of matrices on arrays of a namespace, of orders with and without an instance, and beyond 32."""
    found: list[Any] = []
    for n in (2, 3, 6, 34):
        host = symmetric((2, 35, n, n), n) / n
        a, g = to_device(host + 2 * np.eye(n), xp), to_device(symmetric(host.shape, 1), xp)
        eigen = symmetric_eigen(a)
        found += [eigen.values, lyapunov(a, g), *lyapunov_vjp(eigen, g, a), *polar(g + a), polar_vjp(g + a, g, a)]
        found += [*polar(g, proper=True)] if n < 4 else []
        for name, options in FUNCTIONS:
            found += [symmetric_function(a, name, **options), eigen.function(name, **options)]
            found += [symmetric_function_vjp(a, g, name, **options), eigen.function_vjp(g, name, **options)]
    return [to_host(array) for array in found]
