"""The functions of NumPy on arrays without numbers, and the namespace that the library's code gets for them.

Creation gives a `ShapeArray`, but where the numbers serve as indices or small constants (`arange`, `eye`, `linspace`).
Products, contractions, transforms and factorizations count their multiply-adds, complex ones four.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sci.backend.shapes import HANDLERS, ShapeArray, count_work, like_numpy, shape_array

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    """Return NumPy's own function or dtype: called on a `ShapeArray`, it comes back to the functions here."""
    return getattr(np, name)


def _handles(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        HANDLERS.update(dict.fromkeys(names, function))
        return function

    return register


def _weight(*arrays: Any) -> int:
    """Return the real multiply-adds of one product: 1, 2 with one complex factor, 4 with two."""
    return int(np.prod([2 if getattr(a, "dtype", np.dtype(float)).kind == "c" else 1 for a in arrays], dtype=int))


def _kind(*arrays: Any) -> np.dtype[Any]:
    return np.result_type(*(a.dtype if hasattr(a, "dtype") else a for a in arrays))


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


# creation


def empty(shape: Any, dtype: Any = float, **_: Any) -> Any:
    """Return an array of a shape."""
    return shape_array(shape, dtype)


zeros = ones = empty


def full(shape: Any, value: Any, dtype: Any = None, **_: Any) -> Any:
    """Return an array of one value."""
    return shape_array(shape, _kind(value) if dtype is None else dtype)


def asarray(x: Any, dtype: Any = None, **_: Any) -> Any:
    """Return an array without numbers in place of one with them, at no cost; copy for another dtype."""
    if not isinstance(x, ShapeArray):
        x = np.asarray(x)
        x = ShapeArray(np.lib.stride_tricks.as_strided(x, x.shape, x.strides), None)
    return x if dtype is None else x.astype(dtype, copy=False)


def array(x: Any, dtype: Any = None, **_: Any) -> Any:
    """Return a copy."""
    return asarray(x).astype(asarray(x).dtype if dtype is None else dtype)


@_handles("ascontiguousarray")
def ascontiguousarray(x: Any, dtype: Any = None) -> Any:
    """Return an array in C order: itself if it is that already."""
    x = asarray(x, dtype)
    return x if x.flags.c_contiguous else x.copy()


@_handles("empty_like", "zeros_like", "ones_like")
def empty_like(x: Any, dtype: Any = None, shape: Any = None, **_: Any) -> Any:
    """Return an array of the shape and dtype of another."""
    return shape_array(_shape(x) if shape is None else shape, x.dtype if dtype is None else dtype)


zeros_like = ones_like = empty_like


@_handles("full_like")
def full_like(x: Any, value: Any, dtype: Any = None, **_: Any) -> Any:
    """Return an array of the shape and dtype of another."""
    return empty_like(x, dtype)


@_handles("tile")
def tile(x: Any, reps: Any) -> Any:
    """Return copies side by side."""
    reps = tuple(reps) if isinstance(reps, Sequence) else (reps,)
    n = max(len(reps), x.ndim)
    sizes = ((1,) * (n - x.ndim) + x.shape, (1,) * (n - len(reps)) + reps)
    return shape_array([a * b for a, b in zip(*sizes)], x.dtype)


@_handles("copy")
def _copy(x: Any, **_: Any) -> Any:
    return shape_array(_shape(x), x.dtype)


# elementwise functions, reductions and products


@_handles("__ufunc__")
def _ufunc(ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
    if method == "at":
        return None
    if method == "reduce":
        return _reduce(*inputs, out=out, **options)
    if method == "accumulate":
        return _copy(inputs[0])
    if method == "outer":
        shape, dtypes = sum(map(_shape, inputs), ()), [_kind(*inputs)]
    elif ufunc is np.matmul:
        shape, dtypes = _product_shape(*inputs), [_kind(*inputs)]
        count_work(math.prod(shape) * inputs[0].shape[-1] * _weight(*inputs))
    else:
        shape = np.broadcast_shapes(*map(_shape, inputs))
        with np.errstate(all="ignore"):
            made = ufunc(*map(like_numpy, inputs), **{k: v for k, v in options.items() if k == "dtype"})
        dtypes = [m.dtype for m in (made if isinstance(made, tuple) else (made,))]
        count_work(entrywise=math.prod(shape))
    if out is not None:
        if np.broadcast_shapes(shape, out[0].shape) != tuple(out[0].shape):
            raise ValueError(f"a result of shape {shape} does not fit into {out[0].shape}")
        return out[0] if len(dtypes) == 1 else out
    made = tuple(shape_array(shape, dtype) for dtype in dtypes)
    return made if len(made) > 1 else made[0]


def _product_shape(a: Any, b: Any) -> tuple[int, ...]:
    """Return the shape of a matrix product; raise ValueError for factors that do not fit."""
    if a.ndim < 1 or b.ndim < 1 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul of shapes {a.shape} and {b.shape}")
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return (*lead, *(a.shape[-2:-1] if a.ndim > 1 else ()), *(b.shape[-1:] if b.ndim > 1 else ()))


@_handles("sum", "prod", "mean", "max", "min", "amax", "amin", "std", "var", "argmax", "argmin", "nansum")
def _reduce(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **_: Any) -> Any:
    if not isinstance(dtype, (type(None), type, np.dtype, str)):
        dtype = None
    axes = range(x.ndim) if axis is None else [k % x.ndim for k in (axis if isinstance(axis, tuple) else (axis,))]
    lengths = [1 if k in axes else n for k, n in enumerate(x.shape) if keepdims or k not in axes]
    return out if out is not None else shape_array(lengths, x.dtype if dtype is None else dtype)


@_handles("argmax", "argmin", "count_nonzero")
def _place(x: Any, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
    return _reduce(x, axis, np.int64, keepdims=keepdims)


@_handles("all")
def _all(x: Any, axis: Any = None, **options: Any) -> Any:
    return np.True_ if axis is None else _reduce(x, axis, bool, **options)


@_handles("any")
def _any(x: Any, axis: Any = None, **options: Any) -> Any:
    return np.False_ if axis is None else _reduce(x, axis, bool, **options)


@_handles("cumsum", "cumprod", "sort", "argsort", "flip", "roll", "conj", "conjugate", "round", "real_if_close")
def _same(x: Any, *_: Any, **__: Any) -> Any:
    return shape_array(_shape(x), x.dtype)


@_handles("clip", "nan_to_num")
def _clip(x: Any, *bounds: Any, **_: Any) -> Any:
    return shape_array(np.broadcast_shapes(_shape(x), *(_shape(b) for b in bounds if b is not None)), x.dtype)


@_handles("where")
def where(condition: Any, x: Any, y: Any) -> Any:
    """Return entries of either array."""
    made = np.where(np.ones(1, bool), like_numpy(x), like_numpy(y))
    return shape_array(np.broadcast_shapes(*map(_shape, (condition, x, y))), made.dtype)


@_handles("einsum")
def _einsum(subscripts: str, *operands: Any, **_: Any) -> Any:
    left, _arrow, right = subscripts.replace(" ", "").partition("->")
    terms, arrays = left.split(","), list(operands)
    sizes = {i: n for term, a in zip(terms, arrays) for i, n in zip(term, a.shape)}
    if any(len(t) != a.ndim or any(sizes[i] != n for i, n in zip(t, a.shape)) for t, a in zip(terms, arrays)):
        raise ValueError(f"einsum by {subscripts!r} of shapes {[a.shape for a in arrays]}")
    path = [tuple(range(len(arrays)))]
    if len(arrays) > 2:
        blanks = [np.broadcast_to(np.zeros((), a.dtype), a.shape) for a in arrays]
        path = np.einsum_path(subscripts, *blanks, optimize="greedy")[0][1:]
    for step in path:
        chosen = [(terms[k], arrays[k]) for k in step]
        for k in sorted(step, reverse=True):
            del terms[k], arrays[k]
        used = set("".join(t for t, _ in chosen))
        kept = right if not terms else "".join(sorted(used & set(right + "".join(terms))))
        if len(chosen) > 1:
            count_work(math.prod(sizes[i] for i in used) * _weight(*(a for _, a in chosen)))
        terms.append(kept)
        arrays.append(shape_array([sizes[i] for i in kept], _kind(*(a for _, a in chosen))))
    return arrays[0]


@_handles("vdot")
def _vdot(a: Any, b: Any) -> Any:
    count_work(a.size * _weight(a, b))
    return shape_array((), _kind(a, b))


@_handles("trace")
def _trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, **_: Any) -> Any:
    return _reduce(_diagonal(x, offset, axis1, axis2), -1)


@_handles("dot")
def _dot(a: Any, b: Any) -> Any:
    if a.ndim > 1 and b.ndim > 1:
        return np.matmul(a, b)
    count_work(max(a.size, b.size) * _weight(a, b))
    return shape_array(_product_shape(a, b), _kind(a, b))


@_handles("tensordot")
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    left, right = (range(-axes, 0), range(axes)) if isinstance(axes, int) else axes
    left, right = ([k % x.ndim for k in np.atleast_1d(ks)] for ks, x in ((left, a), (right, b)))
    shape = [n for k, n in enumerate(a.shape) if k not in left] + [n for k, n in enumerate(b.shape) if k not in right]
    count_work(math.prod(shape) * math.prod(a.shape[k] for k in left) * _weight(a, b))
    return shape_array(shape, _kind(a, b))


# shapes


@_handles("moveaxis")
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Return a view with axes moved."""
    return x.seen(np.moveaxis(x.outline, source, destination))


@_handles("transpose")
def transpose(x: Any, axes: Any = None) -> Any:
    """Return a view with permuted axes."""
    return x.transpose() if axes is None else x.transpose(axes)


@_handles("swapaxes")
def _swapaxes(x: Any, a: int, b: int) -> Any:
    return x.swapaxes(a, b)


@_handles("reshape")
def _reshape(x: Any, shape: Any, **_: Any) -> Any:
    return x.reshape(shape)


@_handles("broadcast_to")
def broadcast_to(x: Any, shape: Any) -> Any:
    """Return a view of repeated entries."""
    x = asarray(x)
    return x.seen(np.broadcast_to(x.outline, shape))


@_handles("expand_dims")
def _expand_dims(x: Any, axis: Any) -> Any:
    return x.seen(np.expand_dims(x.outline, axis))


@_handles("diagonal")
def _diagonal(x: Any, *args: Any, **options: Any) -> Any:
    return x.seen(x.outline.diagonal(*args, **options))


@_handles("concatenate", "hstack")
def concatenate(arrays: Sequence[Any], axis: int = 0, **_: Any) -> Any:
    """Return arrays one after the other."""
    lengths = [list(_shape(a)) for a in arrays]
    total = sum(n.pop(axis) for n in lengths)
    if any(n != lengths[0] for n in lengths):
        raise ValueError(f"concatenate of shapes {[_shape(a) for a in arrays]} along axis {axis}")
    lengths[0].insert(axis % len(_shape(arrays[0])), total)
    return shape_array(lengths[0], _kind(*arrays))


@_handles("stack")
def stack(arrays: Sequence[Any], axis: int = 0, **_: Any) -> Any:
    """Return arrays along a new axis."""
    shape = list(_shape(arrays[0]))
    if any(list(_shape(a)) != shape for a in arrays):
        raise ValueError(f"stack of shapes {[_shape(a) for a in arrays]}")
    shape.insert(axis % (len(shape) + 1), len(arrays))
    return shape_array(shape, _kind(*arrays))


@_handles("pad")
def _pad(x: Any, pad_width: Any, *_: Any, **__: Any) -> Any:
    widths = np.broadcast_to(pad_width, (x.ndim, 2))
    return shape_array([n + int(w.sum()) for n, w in zip(x.shape, widths)], x.dtype)


@_handles("repeat")
def _repeat(x: Any, repeats: int, axis: int | None = None) -> Any:
    shape = [x.size] if axis is None else list(x.shape)
    shape[axis or 0] *= repeats
    return shape_array(shape, x.dtype)


@_handles("take")
def _take(x: Any, indices: Any, axis: int | None = None, **_: Any) -> Any:
    shape = (x.size,) if axis is None else x.shape
    at = (axis or 0) % len(shape)
    return shape_array((*shape[:at], *_shape(indices), *shape[at + 1 :]), x.dtype)


@_handles("take_along_axis")
def _take_along_axis(x: Any, indices: Any, axis: int = -1) -> Any:
    return shape_array(_shape(indices), x.dtype)


@_handles("tril", "triu")
def _triangle(x: Any, *_: Any, **__: Any) -> Any:
    return shape_array(x.shape, x.dtype)


@_handles("copyto", "put_along_axis", "fill_diagonal")
def _write(x: Any, *_: Any, **__: Any) -> None:
    return None


@_handles("shape")
def _shape_of(x: Any) -> tuple[int, ...]:
    return tuple(x.shape)


@_handles("size")
def _size_of(x: Any) -> int:
    return int(x.size)


@_handles("ndim")
def _ndim_of(x: Any) -> int:
    return int(x.ndim)


@_handles("result_type")
def _result_type(*arrays: Any) -> np.dtype[Any]:
    return _kind(*arrays)


@_handles("iscomplexobj")
def _is_complex(x: Any) -> bool:
    return bool(x.dtype.kind == "c")


# transforms and factorizations


def _transformed(x: Any, axis: int, length: int, points: int, dtype: Any, complex_input: bool) -> Any:
    shape = list(x.shape)
    shape[axis] = length
    rows = x.size // max(1, x.shape[axis])
    # 5 n log2 n operations of a complex transform of n points are half as many multiply-adds; a real one takes half.
    count_work(rows * (2.5 if complex_input else 1.25) * points * math.log2(max(points, 2)))
    return shape_array(shape, dtype)


def _complex_of(x: Any) -> Any:
    return np.result_type(x.dtype, np.complex64)


@_handles("fft", "ifft")
def _fft(x: Any, n: int | None = None, axis: int = -1, **_: Any) -> Any:
    n = x.shape[axis] if n is None else n
    return _transformed(x, axis, n, n, _complex_of(x), True)


@_handles("rfft")
def _rfft(x: Any, n: int | None = None, axis: int = -1, **_: Any) -> Any:
    n = x.shape[axis] if n is None else n
    return _transformed(x, axis, n // 2 + 1, n, _complex_of(x), False)


@_handles("irfft")
def _irfft(x: Any, n: int | None = None, axis: int = -1, **_: Any) -> Any:
    n = 2 * (x.shape[axis] - 1) if n is None else n
    return _transformed(x, axis, n, n, x.real.dtype, False)


@_handles("inv", "pinv")
def _inv(x: Any) -> Any:
    return _factorized(x, 1.0)


@_handles("cholesky")
def _cholesky(x: Any, **_: Any) -> Any:
    return _factorized(x, 1 / 6)


def _factorized(x: Any, cost: float) -> Any:
    """Return an array like a batch of matrices of n rows, whose factorization takes cost n^3 multiply-adds."""
    count_work(cost * x.size * x.shape[-1] * _weight(x, x))
    return shape_array(x.shape, x.dtype)


@_handles("solve")
def _solve(a: Any, b: Any) -> Any:
    n = a.shape[-1]
    count_work((a.size * n / 3 + b.size * n) * _weight(a, b))
    return shape_array((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), _kind(a, b))


@_handles("eigh")
def _eigh(x: Any, *_: Any) -> Any:
    # About 9 n^3 operations with vectors (Golub and Van Loan, 4th edition, section 8.3.3).
    return shape_array(x.shape[:-1], x.real.dtype), _factorized(x, 4.5)


@_handles("eigvalsh")
def _eigvalsh(x: Any, *_: Any) -> Any:
    _factorized(x, 2 / 3)
    return shape_array(x.shape[:-1], x.real.dtype)


@_handles("norm")
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    return _reduce(x, axis, x.real.dtype, keepdims=keepdims)
