"""Softmax and cross-entropy as ops."""

from __future__ import annotations

from typing import Any

from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.core.op import op
from sci.nn.ops.checks import normalized_axis, require_single_or_double
from sci.nn.ops.pointwise.activations import exp_nonpositive
from sci.nn.ops.reductions import sum

__all__ = ["cross_entropy", "log_softmax", "softmax"]


def _checked_axis(x: Array, axis: int, name: str) -> int:
    require_single_or_double(x, name)
    axis = normalized_axis(axis, x.ndim, name)
    if x.shape[axis] == 0:
        raise ShapeError(f"{name} along axis {axis} of shape {tuple(x.shape)}; expected one class or more")
    return axis


def _softmax_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `softmax`: p (dout - sum(p dout))."""
    out, axis = residuals
    gradient = out * dout
    gradient -= out * gradient.sum(axis=axis, keepdims=True)
    return (gradient,)


def _softmax_jvp(out: Any, args: Any, tangents: Any, *, axis: int = -1) -> Any:
    """Return p (dx - sum(p dx))."""
    weighted = out * tangents[0]
    return weighted - out * sum(weighted, axis=axis, keepdims=True)


@op(vjp=_softmax_vjp, jvp=_softmax_jvp)
def softmax(x: Array, *, axis: int = -1) -> tuple[Array, Any]:
    """Return exp(x) / sum(exp(x)) along `axis`, safe from overflow.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    axis : int
        The axis along which it is done.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        For an axis that `x` does not have, an empty array, or another dtype than float32 and float64.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import softmax
    >>> softmax(np.array([0.0, np.log(3.0)]))
    array([0.25, 0.75])
    """
    axis = _checked_axis(x, axis, "softmax")
    out = exp_nonpositive(x - x.max(axis=axis, keepdims=True))
    out *= 1 / out.sum(axis=axis, keepdims=True)
    return out, (out, axis)


def _log_softmax_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `log_softmax`: dout - p sum(dout)."""
    out, axis = residuals
    return (dout - exp_nonpositive(out) * dout.sum(axis=axis, keepdims=True),)


def _log_softmax_jvp(out: Any, args: Any, tangents: Any, *, axis: int = -1) -> Any:
    """Return dx - sum(p dx)."""
    return tangents[0] - sum(softmax(args[0], axis=axis) * tangents[0], axis=axis, keepdims=True)


@op(vjp=_log_softmax_vjp, jvp=_log_softmax_jvp)
def log_softmax(x: Array, *, axis: int = -1) -> tuple[Array, Any]:
    """Return x - log(sum(exp(x))) along `axis`, safe from overflow.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    axis : int
        The axis along which it is done.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        As `softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import log_softmax
    >>> np.exp(log_softmax(np.array([0.0, np.log(3.0)])))
    array([0.25, 0.75])
    """
    axis = _checked_axis(x, axis, "log_softmax")
    xp = namespace(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    out = shifted - xp.log(exp_nonpositive(shifted).sum(axis=axis, keepdims=True))
    return out, (out, axis)


def _cross_entropy_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    """Return the gradient for the logits: (p - one-hot) times the weight."""
    rows, flat, place, share, shape = residuals
    gradient = exp_nonpositive(rows)
    gradient[place, flat] -= 1
    gradient *= (share * dout)[:, None]
    return gradient.reshape(shape), None


@op(vjp=_cross_entropy_vjp)
def cross_entropy(
    logits: Array, labels: Array, *, weights: Array | None = None, ignore_index: int | None = None
) -> tuple[Array, Any]:
    """Return the mean of -log softmax(logits)[label].

    Parameters
    ----------
    logits : (..., classes) float array
    labels : (...) integer array
    weights : (...) array, optional
        Weights of the mean, 0 or more; 0 leaves an entry out.
    ignore_index : int, optional
        The label of entries to leave out, such as padding (often -100). Without it such a label is an error, as every
        label outside of the classes is.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, DTypeError
        If `labels` are no integers, or do not fit the logits.
    InvalidValueError
        For a label outside of the classes, a negative weight, or if every entry is left out.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import cross_entropy
    >>> logits = np.zeros((3, 2))
    >>> float(cross_entropy(logits, np.array([0, 1, -100]), ignore_index=-100).round(4))
    0.6931
    """
    xp = namespace(logits, labels)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy: labels of dtype {labels.dtype}; expected integers")
    if labels.shape != logits.shape[:-1] or labels.size == 0:
        raise ShapeError(
            f"cross_entropy: labels {tuple(labels.shape)} for logits {tuple(logits.shape)}; expected "
            f"{tuple(logits.shape[:-1])}, and one label or more"
        )
    flat, counted = labels.reshape(-1), None
    if ignore_index is not None:
        counted = flat != ignore_index
        flat = xp.where(counted, flat, 0)
    classes = logits.shape[-1]
    low, high = int(flat.min()), int(flat.max())
    if low < 0 or high >= classes:
        raise InvalidValueError(
            f"cross_entropy: labels from {low} to {high}, outside of the {classes} classes; expected 0 to "
            f"{classes - 1}, and ignore_index for the label of padding"
        )
    rows, place = log_softmax(logits.reshape(-1, classes)), xp.arange(flat.size)
    share = _shares(xp, flat.size, logits.dtype, weights, counted)
    return -(rows[place, flat] * share).sum(), (rows, flat, place, share, logits.shape)


def _shares(xp: Any, n: int, dtype: Any, weights: Array | None, counted: Array | None) -> Array:
    """Return the weights of `n` entries in a mean; they sum to 1."""
    if weights is None and counted is None:
        return xp.full(n, 1 / n, dtype)
    if weights is not None and weights.size != n:
        raise ShapeError(
            f"cross_entropy: weights of shape {tuple(weights.shape)} for {n} labels; expected one for each"
        )
    share = xp.ones(n, dtype) if weights is None else weights.reshape(-1).astype(dtype, copy=False)
    share = share if counted is None else share * counted
    total = float(share.sum())
    if not (bool((share >= 0).all()) and 0 < total < float("inf")):
        raise InvalidValueError(
            "cross_entropy: every entry is left out, or a weight is negative or not finite; expected weights of 0 or "
            "more, and an entry that counts"
        )
    return share / share.sum()
