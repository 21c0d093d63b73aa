"""Views, joins and margins of arrays as ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn.core.op import op
from sci.nn.core.operand import variable_method
from sci.nn.ops.checks import normalized_axes, normalized_axis

__all__ = [
    "concatenate",
    "crop",
    "pad",
    "reshape",
    "transpose",
]

Widths = Sequence[tuple[int, int]]


def _reshape_vjp(dout: Array, shape: Any) -> tuple[Array]:
    return (dout.reshape(shape),)


@variable_method("reshape")
@op(vjp=_reshape_vjp, jvp="linear")
def reshape(x: Array, *, shape: int | Sequence[int]) -> tuple[Array, Any]:
    """Return `x` in another shape; one length may be -1 and is inferred.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    shape : int or sequence of int
        At most one of them -1.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError
        If the shape has another number of entries.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import reshape
    >>> reshape(np.arange(6.0), shape=(2, -1)).shape
    (2, 3)
    """
    try:
        return x.reshape(shape), x.shape
    except (TypeError, ValueError) as error:
        raise ShapeError(
            f"reshape of {tuple(x.shape)} to {shape!r}; expected integers of product {x.size}, one of which may be -1"
        ) from error


def _transpose_vjp(dout: Array, axes: Any) -> tuple[Array]:
    return (dout.transpose([axes.index(k) for k in range(len(axes))]),)


@variable_method("transpose")
@op(vjp=_transpose_vjp, jvp="linear")
def transpose(x: Array, *, axes: Sequence[int]) -> tuple[Array, Any]:
    """Return `x` with its axes in another order, as a view.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    axes : sequence of int
        The old axis at each new place.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError
        If `axes` are not all axes of `x`, in some order.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import transpose
    >>> transpose(np.ones((2, 3, 4)), axes=(0, -1, 1)).shape
    (2, 4, 3)
    """
    order = normalized_axes(tuple(axes), x.ndim, "transpose")
    if len(order) != x.ndim:
        raise InvalidValueError(f"transpose by axes {tuple(axes)} of an array of {x.ndim} axes; expected each once")
    return x.transpose(order), order


def _concatenate_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients as views of `dout`."""
    axis, lengths = residuals
    stops = np.cumsum(lengths).tolist()
    before = (slice(None),) * axis
    return tuple(dout[(*before, slice(stop - length, stop))] for stop, length in zip(stops, lengths))


@op(vjp=_concatenate_vjp, jvp="linear")
def concatenate(*arrays: Array, axis: int) -> tuple[Array, Any]:
    """Return `arrays` joined along `axis`; they have one dtype.

    Parameters
    ----------
    *arrays : arrays
        Of one dtype, and of one shape apart from `axis`.
    axis : int
        The axis along which they are joined.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError, ShapeError
        For no arrays, arrays of several dtypes, or lengths that differ along another axis.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import concatenate
    >>> concatenate(np.zeros(2), np.ones(1), axis=0)
    array([0., 0., 1.])
    """
    if not arrays or len({a.dtype for a in arrays}) > 1:
        raise InvalidValueError(f"concatenate of dtypes {[str(a.dtype) for a in arrays]}; expected one dtype")
    k = normalized_axis(axis, arrays[0].ndim, "concatenate")
    if len({(*a.shape[:k], *a.shape[k + 1 :], a.ndim) for a in arrays}) > 1:
        raise ShapeError(
            f"concatenate along axis {k} of shapes {', '.join(str(tuple(a.shape)) for a in arrays)}; expected equal "
            "lengths along the other axes"
        )
    return namespace(*arrays).concatenate(arrays, axis=k), (k, [a.shape[k] for a in arrays])


def _checked_widths(x: Array, widths: Widths, name: str, removed: bool) -> None:
    """Raise InvalidValueError unless there are two widths of 0 or more for each axis, and no more than it can lose."""
    fits = len(widths) == x.ndim and all(
        len(pair) == 2 and min(pair) >= 0 and (not removed or sum(pair) <= n) for pair, n in zip(widths, x.shape)
    )
    if not fits:
        raise InvalidValueError(
            f"{name} of shape {tuple(x.shape)} by {widths!r}; expected (before, after) of 0 or more for each axis"
            + (", together at most its length" if removed else "")
        )


def _inner(shape: tuple[int, ...], widths: Widths) -> tuple[slice, ...]:
    return tuple(slice(a, n - b) for n, (a, b) in zip(shape, widths, strict=True))


def _pad_vjp(dout: Array, widths: Any) -> tuple[Array, None]:
    return dout[_inner(dout.shape, widths)], None


@op(vjp=_pad_vjp, jvp="linear")
def pad(x: Array, pad_width: Widths) -> tuple[Array, Any]:
    """Return `x` with (before, after) zeros added along each axis; the inverse of `crop` on what was kept.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    pad_width : sequence of (int, int)
        Zeros before and after, for each axis.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError
        Unless `pad_width` has two numbers of 0 or more for each axis.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import pad
    >>> pad(np.ones(2), ((1, 2),))
    array([0., 1., 1., 0., 0.])
    """
    _checked_widths(x, pad_width, "pad", False)
    xp = namespace(x)
    out = xp.zeros(tuple(n + a + b for n, (a, b) in zip(x.shape, pad_width, strict=True)), x.dtype)
    out[_inner(out.shape, pad_width)] = x
    return out, pad_width


def _crop_vjp(dout: Array, widths: Any) -> tuple[Array, None]:
    return pad(dout, widths), None


@op(vjp=_crop_vjp, jvp="linear")
def crop(x: Array, crop_width: Widths) -> tuple[Array, Any]:
    """Return `x` without (before, after) entries along each axis, as a view: the inverse of `pad`.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    crop_width : sequence of (int, int)
        Entries to drop before and after, for each axis.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError
        Unless `crop_width` has two numbers of 0 or more for each axis, together at most its length.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import crop
    >>> crop(np.arange(5.0), ((1, 2),))
    array([1., 2.])
    """
    _checked_widths(x, crop_width, "crop", True)
    return x[_inner(x.shape, crop_width)], crop_width
