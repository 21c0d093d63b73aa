"""Views, joins, margins and look-ups of arrays as ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError
from sci.nn.core.op import op
from sci.nn.core.tape import variable_method

__all__ = [
    "concatenate",
    "crop",
    "embedding",
    "pad",
    "reshape",
    "select",
    "transpose",
]

Widths = tuple[tuple[int, int], ...]


def _reshape_vjp(dout: Array, shape: Any) -> tuple[Array]:
    """Return the gradient of `reshape`."""
    return (dout.reshape(shape),)


@variable_method("reshape")
@op(vjp=_reshape_vjp)
def reshape(x: Array, *, shape: tuple[int, ...]) -> tuple[Array, Any]:
    """Return `x` in another shape."""
    return x.reshape(shape), x.shape


def _transpose_vjp(dout: Array, axes: Any) -> tuple[Array]:
    """Return the gradient of `transpose`."""
    return (dout.transpose([axes.index(k) for k in range(len(axes))]),)


@variable_method("transpose")
@op(vjp=_transpose_vjp)
def transpose(x: Array, *, axes: tuple[int, ...]) -> tuple[Array, Any]:
    """Return `x` with its axes in another order, as a view."""
    return x.transpose(axes), axes


def _concatenate_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `concatenate`, as views of `dout`."""
    axis, lengths = residuals
    stops = np.cumsum(lengths).tolist()
    before = (slice(None),) * (axis % dout.ndim)
    return tuple(dout[(*before, slice(stop - length, stop))] for stop, length in zip(stops, lengths))


@op(vjp=_concatenate_vjp)
def concatenate(*arrays: Array, axis: int) -> tuple[Array, Any]:
    """Return `arrays` joined along `axis`; they have one dtype."""
    if len({a.dtype for a in arrays}) > 1:
        raise InvalidValueError(f"concatenate of dtypes {[str(a.dtype) for a in arrays]}; expected one dtype")
    return namespace(*arrays).concatenate(arrays, axis=axis), (axis, [a.shape[axis] for a in arrays])


def _inner(shape: tuple[int, ...], widths: Widths) -> tuple[slice, ...]:
    return tuple(slice(a, n - b) for n, (a, b) in zip(shape, widths, strict=True))


def _pad_vjp(dout: Array, widths: Any) -> tuple[Array, None]:
    """Return the gradient of `pad`: `dout` cropped."""
    return dout[_inner(dout.shape, widths)], None


@op(vjp=_pad_vjp)
def pad(x: Array, pad_width: Widths) -> tuple[Array, Any]:
    """Return `x` with (before, after) zeros added along each axis; an array that was cropped so fits again."""
    xp = namespace(x)
    out = xp.zeros(tuple(n + a + b for n, (a, b) in zip(x.shape, pad_width, strict=True)), x.dtype)
    out[_inner(out.shape, pad_width)] = x
    return out, pad_width


def _crop_vjp(dout: Array, widths: Any) -> tuple[Array, None]:
    """Return the gradient of `crop`: `dout` padded with zeros."""
    return pad(dout, widths), None


@op(vjp=_crop_vjp)
def crop(x: Array, crop_width: Widths) -> tuple[Array, Any]:
    """Return `x` without (before, after) entries along each axis, as a view: the inverse of `pad`."""
    return x[_inner(x.shape, crop_width)], crop_width


def _is_view(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, (int, slice)) for part in parts)


def _select_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return zeros with `dout` in its place; entries that were selected several times add up."""
    shape, index = residuals
    xp = namespace(dout)
    gradient = xp.zeros(shape, dout.dtype)
    if _is_view(index):
        gradient[index] = dout
    else:
        xp.add.at(gradient, index, dout)
    return (gradient,)


@variable_method("select")
@op(vjp=_select_vjp)
def select(x: Array, *, index: Any) -> tuple[Array, Any]:
    """Return x[index]: a view for slices and integers, a copy for arrays of integers or booleans."""
    return x[index], (x.shape, index)


def _embedding_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    """Return the gradient of `embedding` for the table: every row's share added up.

    Notes
    -----
    On the host in a fixed order; on a GPU by atomic additions, whose order, and so the last bits, may differ.
    """
    shape, indices = residuals
    xp = namespace(dout)
    gradient = xp.zeros(shape, dout.dtype)
    flat, rows = indices.reshape(-1), dout.reshape(-1, shape[1])
    if xp is not np:
        xp.add.at(gradient, flat, rows)
    elif flat.size:
        order = np.argsort(flat, kind="stable")
        ordered = flat[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        gradient[ordered[starts]] = np.add.reduceat(rows[order], starts, axis=0)
    return gradient, None


@op(vjp=_embedding_vjp)
def embedding(table: Array, indices: Array) -> tuple[Array, Any]:
    """Return the rows table[indices]: `table` (n, width), `indices` (...) integers, out (..., width).

    Raises
    ------
    InvalidValueError
        If an index is outside of the table: CuPy would wrap it around.
    """
    if indices.size and not (int(indices.min()) >= 0 and int(indices.max()) < len(table)):
        raise InvalidValueError(
            f"embedding: indices from {int(indices.min())} to {int(indices.max())} in a table of {len(table)} rows"
        )
    return table[indices], (table.shape, indices)
