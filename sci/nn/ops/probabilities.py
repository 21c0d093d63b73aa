"""Softmax and cross-entropy as ops."""

from __future__ import annotations

from typing import Any

from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.core.op import op
from sci.nn.ops.activations import exp_nonpositive

__all__ = ["cross_entropy", "log_softmax", "softmax"]


def _softmax_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `softmax`: p (dout - sum(p dout))."""
    out, axis = residuals
    gradient = out * dout
    gradient -= out * gradient.sum(axis=axis, keepdims=True)
    return (gradient,)


@op(vjp=_softmax_vjp)
def softmax(x: Array, *, axis: int = -1) -> tuple[Array, Any]:
    """Return exp(x) / sum(exp(x)) along `axis`, safe from overflow."""
    out = exp_nonpositive(x - x.max(axis=axis, keepdims=True))
    out *= 1 / out.sum(axis=axis, keepdims=True)
    return out, (out, axis)


def _log_softmax_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `log_softmax`: dout - p sum(dout)."""
    out, axis = residuals
    return (dout - exp_nonpositive(out) * dout.sum(axis=axis, keepdims=True),)


@op(vjp=_log_softmax_vjp)
def log_softmax(x: Array, *, axis: int = -1) -> tuple[Array, Any]:
    """Return x - log(sum(exp(x))) along `axis`, safe from overflow."""
    xp = namespace(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    out = shifted - xp.log(exp_nonpositive(shifted).sum(axis=axis, keepdims=True))
    return out, (out, axis)


def _cross_entropy_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    """Return the gradient of `cross_entropy` for the logits: (p - one-hot) times the weight."""
    rows, flat, place, share, shape = residuals
    gradient = exp_nonpositive(rows)
    gradient[place, flat] -= 1
    gradient *= (share * dout)[:, None]
    return gradient.reshape(shape), None


@op(vjp=_cross_entropy_vjp)
def cross_entropy(logits: Array, labels: Array, *, weights: Array | None = None) -> tuple[Array, Any]:
    """Return the mean of -log softmax(logits)[label].

    Parameters
    ----------
    logits : (..., classes) float array
    labels : (...) integer array
    weights : (...) array, optional
        Weights of the mean; 0 leaves an entry out.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        If `labels` are no integers, do not fit, or are outside of the classes.
    """
    xp = namespace(logits, labels)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy: labels of dtype {labels.dtype}; expected integers")
    if labels.shape != logits.shape[:-1] or labels.size == 0:
        raise ShapeError(
            f"cross_entropy: labels {labels.shape} for logits {logits.shape}; expected {logits.shape[:-1]}"
        )
    if not (int(labels.min()) >= 0 and int(labels.max()) < logits.shape[-1]):
        raise InvalidValueError(f"cross_entropy: a label is outside of the {logits.shape[-1]} classes")
    rows, flat = log_softmax(logits.reshape(-1, logits.shape[-1])), labels.reshape(-1)
    place = xp.arange(flat.size)
    share = xp.full(flat.size, 1 / flat.size, logits.dtype)
    if weights is not None:
        share = weights.reshape(-1).astype(logits.dtype, copy=False)
        share = share / share.sum()
    return -(rows[place, flat] * share).sum(), (rows, flat, place, share, logits.shape)
