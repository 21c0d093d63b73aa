"""Entries of arrays by their place, as ops: indices, rows of a table, indices along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.core.op import op
from sci.nn.core.operand import variable_method
from sci.nn.ops.checks import normalized_axis

__all__ = ["embedding", "select", "take", "take_along_axis"]


def _is_view(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, (int, np.integer, slice)) for part in parts)


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
@op(vjp=_select_vjp, jvp="linear")
def select(x: Array, *, index: Any) -> tuple[Array, Any]:
    """Return x[index]: a view for slices and integers, a copy for arrays of integers or booleans.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    index : index
        What stands between brackets: slices, integers, or arrays of integers or booleans.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError
        For an index that does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import select
    >>> select(np.arange(4.0), index=np.array([3, 3, 0]))
    array([3., 3., 0.])
    """
    try:
        return x[index], (x.shape, index)
    except IndexError as error:
        raise InvalidValueError(f"an index into an array of shape {tuple(x.shape)} does not fit: {error}") from error


def _embedding_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    shape, indices = residuals
    return added_rows(indices.reshape(-1), dout.reshape(indices.size, shape[1]), shape), None


def added_rows(flat: Array, rows: Array, shape: tuple[int, ...]) -> Array:
    """Return zeros (n, width) with each of `rows` added at its index.

    Notes
    -----
    On the host in a fixed order; on a GPU by atomic additions, whose order, and so the last bits, may differ.
    """
    xp = namespace(rows)
    gradient = xp.zeros(shape, rows.dtype)
    if xp is not np:
        xp.add.at(gradient, flat, rows)
    elif flat.size:
        order = np.argsort(flat, kind="stable")
        ordered = flat[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        gradient[ordered[starts]] = np.add.reduceat(rows[order], starts, axis=0)
    return gradient


@op(vjp=_embedding_vjp, jvp="linear")
def embedding(table: Array, indices: Array) -> tuple[Array, Any]:
    """Return the rows table[indices]: `table` (n, width), `indices` (...) integers, out (..., width).

    Parameters
    ----------
    table : (n, width) array
        The rows.
    indices : array of int
        Which rows, in 0 ... n - 1.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError
        If an index is outside of the table: CuPy would wrap it around.
    DTypeError, ShapeError
        If `indices` are no integers, or the table does not have two axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import embedding
    >>> embedding(np.array([[0.0], [10.0]]), np.array([1, 0, 1])).ravel()
    array([10.,  0., 10.])
    """
    if indices.dtype.kind not in "iu":
        raise DTypeError(f"embedding: indices of dtype {indices.dtype}; expected integers")
    if table.ndim != 2:
        raise ShapeError(f"embedding: a table of shape {tuple(table.shape)}; expected (n, width)")
    if indices.size and not (int(indices.min()) >= 0 and int(indices.max()) < len(table)):
        raise InvalidValueError(
            f"embedding: indices from {int(indices.min())} to {int(indices.max())} in a table of {len(table)} rows"
        )
    return table[indices], (table.shape, indices)


def _require_indices(name: str, indices: Array, length: int) -> None:
    """Refuse indices that are no integers, or outside of -length ... length - 1: CuPy would wrap these around."""
    if indices.dtype.kind not in "iu":
        raise DTypeError(f"{name}: indices of dtype {indices.dtype}; expected integers")
    if indices.size and not (int(indices.min()) >= -length and int(indices.max()) < length):
        raise InvalidValueError(
            f"{name}: indices from {int(indices.min())} to {int(indices.max())} along an axis of {length} entries; "
            f"expected {-length} to {length - 1}"
        )


def _take_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    shape, indices, axis = residuals
    xp = namespace(dout)
    ndim = indices.ndim
    first = xp.moveaxis(dout, tuple(range(axis, axis + ndim)), tuple(range(ndim)))
    others = shape[:axis] + shape[axis + 1 :]
    width = int(np.prod(others, dtype=np.int64))
    rows = xp.ascontiguousarray(first).reshape(indices.size, width)
    flat = indices.reshape(-1).astype(np.int64) % max(1, shape[axis])
    gradient = added_rows(flat, rows, (shape[axis], width))
    return xp.moveaxis(gradient.reshape(shape[axis], *others), 0, axis), None


@op(vjp=_take_vjp, jvp="linear")
def take(x: Array, indices: Array, *, axis: int) -> tuple[Array, Any]:
    """Return the entries of `x` with the given indices along `axis`; the axes of `indices` take its place.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    indices : array of int
        In -n ... n - 1 of an axis of length n; any shape. Entries taken several times add up in the gradient.
    axis : int

    Returns
    -------
    array or variable

    Raises
    ------
    DTypeError, InvalidValueError
        For indices that are no integers or out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import take
    >>> take(np.array([[1.0, 2.0, 3.0]]), np.array([2, 0]), axis=1)
    array([[3., 1.]])
    """
    axis = normalized_axis(axis, x.ndim, "take")
    _require_indices("take", indices, x.shape[axis])
    return namespace(x, indices).take(x, indices, axis=axis), (x.shape, indices, axis)


def _take_along_axis_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    shape, indices, axis = residuals
    xp = namespace(dout)
    gradient = xp.zeros(shape, dout.dtype)
    place = [xp.arange(n).reshape([-1 if k == j else 1 for j in range(dout.ndim)]) for k, n in enumerate(dout.shape)]
    place[axis] = indices
    xp.add.at(gradient, tuple(place), dout)
    return gradient, None


@op(vjp=_take_along_axis_vjp, jvp="linear")
def take_along_axis(x: Array, indices: Array, *, axis: int) -> tuple[Array, Any]:
    """Return the entries x[..., indices, ...] along `axis`, one index for each place (gather).

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    indices : array of int
        Of the shape of `x` but for `axis`, in -n ... n - 1 of an axis of length n.
    axis : int

    Returns
    -------
    array or variable
        Of the shape of `indices`.

    Raises
    ------
    DTypeError, InvalidValueError, ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import take_along_axis
    >>> take_along_axis(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0]]), axis=1)
    array([[2.],
           [3.]])
    """
    axis = normalized_axis(axis, x.ndim, "take_along_axis")
    expected = (*x.shape[:axis], *x.shape[axis + 1 :])
    if indices.ndim != x.ndim or (*indices.shape[:axis], *indices.shape[axis + 1 :]) != expected:
        raise ShapeError(
            f"take_along_axis of shape {tuple(x.shape)} by indices {tuple(indices.shape)} along axis {axis}; expected "
            "one shape but for that axis"
        )
    _require_indices("take_along_axis", indices, x.shape[axis])
    return namespace(x, indices).take_along_axis(x, indices, axis), (x.shape, indices, axis)
