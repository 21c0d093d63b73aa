"""Launches of the Jacobi kernels for orders up to 32; what they do not answer is left to the reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.kernels import block_size, get_kernel, host_threads, launch, use_compiled
from sci.linalg.symmetric.functions import FUNCTIONS, SpectralFunction

__all__ = [
    "compiled_eigen",
    "compiled_function",
    "compiled_function_vjp",
    "compiled_lyapunov",
    "compiled_polar",
    "compiled_polar_vjp",
]

FILE, POLAR = "linalg/small_eigen.cu", "linalg/polar.cu"
"""Sources of the kernels."""
LARGEST = 32
"""Largest order that the kernels take."""
_NUMBERS = {name: k for k, name in enumerate(FUNCTIONS)}
_LYAPUNOV = len(_NUMBERS)
_OWN = 3
"""The order with instances of its own, which need no scratch."""
_DEVICE_SCRATCH = 1 << 28
_CACHE_LINE = 64


def compiled_eigen(matrices: Array) -> tuple[Array, Array] | None:
    """Return eigenvalues and eigenvectors of (count, n, n), or None if the reference has to."""
    xp = namespace(matrices)
    values, vectors = xp.empty(matrices.shape[:2], matrices.dtype), xp.empty_like(matrices)
    done = _margin("eigen", matrices, 2, (matrices, values, vectors), (), ())
    return (values, vectors) if done is not None and done > 0 else None


def compiled_function(matrices: Array, f: SpectralFunction, eigenvalues: Array | None = None) -> Array | None:
    """Return f of (count, n, n), or None if the reference has to: where it fails, too, it names the matrix.

    Of matrices with known eigenvalues (count, n), `matrices` are the eigenvectors.
    """
    known = _known(matrices, eigenvalues)
    out = namespace(matrices).empty_like(matrices)
    numbers = (_NUMBERS[f.name], f.parameter)
    done = _margin("matrix_function", matrices, 2, (matrices, known, out), (len(known),), numbers)
    return out if done is not None and done > f.least_margin(matrices, gradient=False) else None


def compiled_function_vjp(
    matrices: Array, dvalue: Array, f: SpectralFunction, eigenvalues: Array | None = None
) -> Array | None:
    """Return the gradient with respect to the matrices, or None, as `compiled_function`."""
    known = _known(matrices, eigenvalues)
    out = namespace(matrices).empty_like(matrices)
    numbers = (_NUMBERS[f.name], f.parameter)
    done = _margin("matrix_function_vjp", matrices, 3, (matrices, known, dvalue, out), (len(known),), numbers)
    return out if done is not None and done > f.least_margin(matrices, gradient=True) else None


def compiled_lyapunov(matrices: Array, b: Array, eigenvalues: Array | None = None) -> Array | None:
    """Return the X of A X + X A = B, or None, as `compiled_function`."""
    known, n = _known(matrices, eigenvalues), matrices.shape[1]
    out = namespace(matrices).empty_like(matrices)
    arrays = (matrices, known, b, out)
    done = _margin("matrix_function_vjp", matrices, 3, arrays, (len(known),), (_LYAPUNOV, 0.0))
    return out if done is not None and done > n * float(np.finfo(out.dtype).eps) else None


def compiled_polar(matrices: Array, proper: bool) -> tuple[Array, Array] | None:
    """Return R and P of (count, n, n), or None if the reference has to."""
    if matrices.shape[1] != _OWN:
        return None
    xp = namespace(matrices)
    rotation, stretch = xp.empty_like(matrices), xp.empty_like(matrices)
    return (rotation, stretch) if _is_unique("polar", matrices, (matrices, rotation, stretch), (), proper) else None


def compiled_polar_vjp(matrices: Array, drotation: Array | None, dstretch: Array | None, proper: bool) -> Array | None:
    """Return the gradient with respect to the matrices, or None, as `compiled_polar`."""
    if matrices.shape[1] != _OWN:
        return None
    xp = namespace(matrices)
    given = [xp.empty((0, _OWN, _OWN), matrices.dtype) if d is None else d for d in (drotation, dstretch)]
    out = xp.empty_like(matrices)
    counts = (len(given[0]), len(given[1]))
    return out if _is_unique("polar_vjp", matrices, (matrices, *given, out), counts, proper) else None


def _is_unique(
    template: str, matrices: Array, arrays: tuple[Array, ...], counts: tuple[int, ...], proper: bool
) -> bool:
    """Launch a kernel of the polar decomposition; whether it ran, and every rotation is unique."""
    kernel = get_kernel(POLAR, template, matrices.dtype)
    if not use_compiled(kernel, matrices):
        return False
    count = len(matrices)
    margins = namespace(matrices).empty(count, matrices.dtype)
    launch(kernel, -(-count // block_size(matrices)), *arrays, margins, count, *counts, int(proper))
    return float(margins.min()) > _OWN * float(np.finfo(matrices.dtype).eps)


def _known(matrices: Array, eigenvalues: Array | None) -> Array:
    return namespace(matrices).empty((0, matrices.shape[1]), matrices.dtype) if eigenvalues is None else eigenvalues


def _margin(
    template: str, matrices: Array, parts: int, arrays: tuple[Array, ...], known: tuple[int, ...], numbers: Any
) -> float | None:
    """Launch a kernel that works in `parts` matrices and as many rows; return the least of its margins.

    None where the kernel does not run; NaN if one of the matrices needs the reference.
    """
    count, n, _ = matrices.shape
    kernel = get_kernel(FILE, template, matrices.dtype, n if n == _OWN else 0)
    if n > LARGEST or not use_compiled(kernel, matrices):
        return None
    block = block_size(matrices)
    tiles = -(-count // block)
    room = 0 if n == _OWN else parts * (n * (n | 1) + n)
    scratch = _scratch(matrices, tiles if room else 0, room, block)
    margins = namespace(matrices).empty(count, matrices.dtype)
    launch(kernel, len(scratch) if room else tiles, *arrays, margins, scratch, count, *known, n, room, *numbers)
    return float(margins.min())


def _scratch(matrices: Array, tiles: int, room: int, block: int) -> Array:
    """Return memory for the blocks of a launch: as many as a host has threads, or as a device has memory to spare."""
    itemsize = matrices.dtype.itemsize
    most = _DEVICE_SCRATCH // max(1, room * block * itemsize) if is_device_array(matrices) else host_threads()
    shape = (min(tiles, max(1, most)), room, block)
    if is_device_array(matrices):
        return namespace(matrices).empty(shape, matrices.dtype)
    # A vector that crosses lines of the cache takes twice as long to load.
    memory = np.empty(shape[0] * room * block * itemsize + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return memory[start : len(memory) - _CACHE_LINE + start].view(matrices.dtype).reshape(shape)
