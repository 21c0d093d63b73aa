"""Losses and scores of segmentations: cross-entropy with soft Dice, at one level or at several."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.core.op import op
from sci.nn.core.tape import value_of
from sci.nn.ops.arithmetic import add, scale_shift
from sci.nn.ops.checks import require_single_or_double

__all__ = ["dice_cross_entropy", "dice_scores", "supervised_loss"]

SMOOTH = 1e-5
"""Added to both sides of the quotient of Dice, which classes that are absent leave 0 / 0."""


def _checked(labels: Array, shape: tuple[int, ...], classes: int) -> None:
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"labels of dtype {labels.dtype}; expected integers")
    if labels.size == 0:
        raise ShapeError(f"labels of shape {tuple(labels.shape)}; expected one label or more, for a mean over cells")
    if tuple(labels.shape) != shape:
        raise ShapeError(f"labels of shape {tuple(labels.shape)}; expected {shape}, that of the logits without classes")
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise InvalidValueError(
            f"labels from {int(labels.min())} to {int(labels.max())}; expected 0 to {classes - 1}, one for each class"
        )


def _dice_cross_entropy_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    """Return the gradient for the logits."""
    shape, (p, labels, overlap, total) = residuals
    xp, (batch, classes, cells) = namespace(p), p.shape
    share = dout.astype(np.float64) / (batch * classes)
    meeting = (-2 * share / total).astype(p.dtype)  # derivative of -Dice for p where the label is the class
    falling = (share * (2 * overlap + SMOOTH) / total**2).astype(p.dtype)
    at = labels[:, None]
    own = xp.take_along_axis(meeting, labels, axis=1)
    mixed = own * xp.take_along_axis(p, at, axis=1)[:, 0] + xp.einsum("bkn,bk->bn", p, falling)
    dlogits = falling[:, :, None] - mixed[:, None]
    entropy = dout.astype(p.dtype) / p.dtype.type(batch * cells)
    dlogits += entropy
    dlogits *= p
    spot = xp.take_along_axis(p, at, axis=1) * own[:, None] - entropy
    xp.put_along_axis(dlogits, at, xp.take_along_axis(dlogits, at, axis=1) + spot, axis=1)
    return dlogits.reshape(shape), None


@op(vjp=_dice_cross_entropy_vjp)
def dice_cross_entropy(logits: Array, labels: Array) -> tuple[Array, Any]:
    """Return the mean cross-entropy of cells plus 1 - Dice, its mean over samples and classes.

        Dice = (2 sum_x p_k t_k + s) / (sum_x p_k + sum_x t_k + s),   p = softmax(logits), t one-hot labels, s = 1e-5

    Parameters
    ----------
    logits : (batch, classes, *grid) array
    labels : (batch, *grid) integers
        From 0 on.

    Returns
    -------
    array of one number or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    References
    ----------
    Milletari et al., arXiv:1606.04797 (soft Dice); Isensee et al., Nature Methods 18, 203 (2021) (the sum of both).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import dice_cross_entropy
    >>> labels = np.array([[0, 1, 1]])
    >>> sure = np.where(np.arange(2)[:, None] == labels[:, None], 50.0, -50.0)
    >>> float(dice_cross_entropy(sure, labels).round(6)), float(dice_cross_entropy(0 * sure, labels).round(3))
    (0.0, 1.207)
    """
    require_single_or_double(logits, "dice_cross_entropy")
    if logits.ndim < 3:
        raise ShapeError(f"logits of shape {tuple(logits.shape)}; expected (batch, classes, *grid)")
    batch, classes = logits.shape[:2]
    _checked(labels, (batch, *logits.shape[2:]), classes)
    xp = namespace(logits, labels)
    flat, at = logits.reshape(batch, classes, -1), labels.reshape(batch, -1).astype(np.int64)
    p = flat - flat.max(axis=1, keepdims=True)
    chosen = xp.take_along_axis(p, at[:, None], axis=1)[:, 0]
    xp.exp(p, out=p)
    sums = p.sum(axis=1)
    entropy = (xp.log(sums) - chosen).mean(dtype=np.float64)
    p /= sums[:, None]
    hot = at[:, None] == xp.arange(classes)[:, None]
    overlap = (p * hot).sum(axis=2, dtype=np.float64)
    total = p.sum(axis=2, dtype=np.float64) + hot.sum(axis=2) + SMOOTH
    dice = ((2 * overlap + SMOOTH) / total).mean()
    value = xp.asarray(entropy + 1 - dice, dtype=logits.dtype)
    return value, (logits.shape, (p, at, overlap, total))


def supervised_loss(outputs: tuple[Any, ...], labels: Array) -> Any:
    """Return the mean loss of several levels: level l has every 2^l-th label, and the weight 2^-l."""
    weights = [0.5**level for level in range(len(outputs))]
    found = None
    for level, (logits, weight) in enumerate(zip(outputs, weights)):
        coarse = labels[(slice(None), *[slice(None, None, 2**level)] * (labels.ndim - 1))]
        term = scale_shift(dice_cross_entropy(logits, coarse), scale=weight / sum(weights), shift=0.0)
        found = term if found is None else add(found, term)
    return found


@entry
def dice_scores(labels: Array, truth: Array, classes: int) -> np.ndarray:
    """Return 2 |A and B| / (|A| + |B|) of every class; NaN for one that is in neither.

    Parameters
    ----------
    labels, truth : arrays of integers of one shape
    classes : int

    Returns
    -------
    (classes,) float64

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import dice_scores
    >>> dice_scores(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), 3).round(2)
    array([0.67, 0.8 ,  nan])
    """
    for array in (labels, truth):
        _checked(array, tuple(value_of(truth).shape), classes)
    xp = namespace(labels, truth)
    found, true = (xp.bincount(a.reshape(-1).astype(np.int64), minlength=classes) for a in (labels, truth))
    both = xp.bincount(truth[labels == truth].reshape(-1).astype(np.int64), minlength=classes)
    sums = np.array((found + true).tolist(), float)
    scores = np.full(classes, np.nan)
    np.divide(2 * np.array(both.tolist(), float), sums, out=scores, where=sums > 0)
    return scores
