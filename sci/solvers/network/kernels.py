"""Launches of the kernels of networks, or their references."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array
from sci.kernels import Kernel, bind, block_size, get_kernel, launch, use_compiled
from sci.linalg.sparse.rows import SparseRows, row_kernel
from sci.solvers.network.reference import REFERENCES

__all__ = ["Call", "bound", "by_rows", "product", "run"]

SETUP, LINKS = "grid/network.cu", "grid/links.cu"
Call: TypeAlias = Callable[[], object]


def run(name: str, *arguments: Any, variable: bool | None = None) -> None:
    """Run a kernel of the setup in float64, on one thread of the host."""
    kernel = get_kernel(SETUP, name, np.float64, *(() if variable is None else (variable,)))
    if use_compiled(kernel, arguments[0]):
        launch(kernel, 1, *arguments)
    else:
        REFERENCES[name](*arguments)


def bound(name: str, *arguments: Any) -> Call:
    """Return a call of a kernel in float64 that one thread of the host runs."""
    return _call(get_kernel(SETUP, name, np.float64), 1, *arguments)


def by_rows(name: str, n: int, *arguments: Any) -> Call:
    """Return a call of a kernel over n rows; the third argument has the dtype."""
    return _call(get_kernel(LINKS, name, arguments[2].dtype), -(-n // block_size(arguments[2])), *arguments)


def product(matrix: SparseRows, x: Array, out: Array, keep: float) -> Call:
    """Return a call that sets out = keep out + A x."""
    n = len(matrix.starts) - 1
    if not use_compiled(row_kernel("combine", matrix.dtype), x):
        return partial(matrix.combine, x, out, out, keep, 1.0)
    arrays = (matrix.starts, matrix.columns, matrix.values, x, out, out)
    return bind(row_kernel("combine", matrix.dtype), -(-n // block_size(x)), *arrays, n, matrix.width, keep, 1.0)


def _call(kernel: Kernel, blocks: int, *arguments: Any) -> Call:
    if use_compiled(kernel, arguments[0]):
        return bind(kernel, blocks, *arguments)
    return partial(REFERENCES[kernel.template], *arguments)
