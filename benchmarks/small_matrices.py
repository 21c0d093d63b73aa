"""Functions of batches of small symmetric matrices beside NumPy's batched eigh and a loop over SciPy.

    OMP_NUM_THREADS=1 python benchmarks/small_matrices.py

CPU seconds of this process on one thread for each matrix, the least of five runs with 1,000 to 60,000 matrices. A
ratio is ours over the peer's: below 1, ours is faster. The NumPy column does what we do in array calls: eigh, f of
the eigenvalues, the product; for the gradient the formula of Daleckii and Krein. Errors are the largest difference of
f(A) over the largest entry, against the same formula in float64.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from sci.linalg import lyapunov, polar, symmetric_eigen, symmetric_function
from sci.linalg.symmetric.eigen import symmetric_function_vjp

ORDERS = {3: 60_000, 8: 15_000, 16: 4_000, 32: 1_000}


def seconds(run: Callable[[], Any]) -> float:
    """Return the least CPU seconds of five runs, after one that compiles."""
    run()
    times = []
    for _ in range(5):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def numpy_sqrt(a: np.ndarray) -> np.ndarray:
    """Return the square root by array calls."""
    x, u = np.linalg.eigh(a)
    return (u * np.sqrt(x)[..., None, :]) @ u.swapaxes(-1, -2)


def numpy_sqrt_vjp(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return the gradient of the square root by array calls."""
    x, u = np.linalg.eigh(a)
    root, turned = np.sqrt(x), u.swapaxes(-1, -2)
    return u @ (turned @ g @ u / (root[..., :, None] + root[..., None, :])) @ turned


def numpy_lyapunov(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the solution of A X + X A = B by array calls."""
    x, u = np.linalg.eigh(a)
    turned = u.swapaxes(-1, -2)
    return u @ (turned @ b @ u / (x[..., :, None] + x[..., None, :])) @ turned


def small_matrices() -> None:
    """Print one line for each order, precision and work."""
    print(f"{'work':<40}{'ours, us':>10}  peers, us (ratio)")
    for dtype in (np.float64, np.float32):
        for n, count in ORDERS.items():
            _rows(n, count, dtype)


def _rows(n: int, count: int, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, n, n + 3)) / n**0.5
    a, g = (x @ x.swapaxes(1, 2)).astype(dtype), rng.normal(size=(count, n, n)).astype(dtype)
    g = g + g.swapaxes(1, 2)
    few = min(count, 300)
    _row(n, dtype, "eigen", count, lambda: symmetric_eigen(a), {"numpy": lambda: np.linalg.eigh(a)})
    exact = numpy_sqrt(a.astype(np.float64))
    error = abs(symmetric_function(a, "sqrt") - exact).max() / abs(exact).max()
    loops = {"scipy sqrtm": lambda: [scipy.linalg.sqrtm(m) for m in a[:few]]}
    peers = {"numpy": lambda: numpy_sqrt(a), **loops}
    _row(n, dtype, "sqrt", count, lambda: symmetric_function(a, "sqrt"), peers, few, f"error {error:.1e}")
    gradient = {"numpy": lambda: numpy_sqrt_vjp(a, g)}
    _row(n, dtype, "gradient of sqrt", count, lambda: symmetric_function_vjp(a, g, "sqrt"), gradient)
    loops = {"scipy": lambda: [scipy.linalg.solve_continuous_lyapunov(m, b) for m, b in zip(a[:few], g[:few])]}
    peers = {"numpy": lambda: numpy_lyapunov(a, g), **loops}
    _row(n, dtype, "lyapunov", count, lambda: lyapunov(a, g), peers, few)
    square = (x[:few, :, :n] + 3 * np.eye(n)).astype(dtype)
    loops = {"scipy": lambda: [scipy.linalg.polar(m) for m in square]}
    _row(n, dtype, "polar", few, lambda: polar(square), loops, few)


def _row(
    n: int,
    dtype: Any,
    work: str,
    count: int,
    ours: Callable[[], Any],
    peers: dict[str, Callable[[], Any]],
    few: int = 0,
    note: str = "",
) -> None:
    mine = seconds(ours) / count
    times = {name: seconds(run) / (few if "scipy" in name else count) for name, run in peers.items()}
    said = ", ".join(f"{name} {1e6 * t:.3g} ({mine / t:.3f})" for name, t in times.items())
    print(
        f"{f'{work} of order {n}, {np.dtype(dtype)}':<40}{1e6 * mine:>10.3g}  {said}{'; ' + note if note else ''}",
        flush=True,
    )


if __name__ == "__main__":
    small_matrices()
