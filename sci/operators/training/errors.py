"""Relative errors of predicted fields, channel by channel, free of units."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, require_finite, to_host
from sci.errors import ShapeError
from sci.nn.losses import squared_norms

__all__ = ["relative_errors"]


@entry
def relative_errors(prediction: Array, truth: Array, *, periodic: bool | None = None) -> dict[str, Any]:
    """Return mean relative errors of predictions, over all channels and for each.

    Parameters
    ----------
    prediction, truth : (n, channel, *grid) arrays
    periodic : bool, optional
        Whether differences wrap around; without it there are no H1 errors.

    Returns
    -------
    dict
        "l2" and "h1": the mean over samples and channels of ||p - y|| / ||y||, each norm over the grid of one channel
        of one sample. "l2_channels", "h1_channels": lists of the means for each channel. "zero_samples": how many
        channels of samples are zero everywhere; of these the error counts over the root mean square of ||y|| in their
        channel, and in a channel that is zero in all samples as 1, or 0 if the prediction is zero as well.

    Raises
    ------
    ShapeError, DTypeError
    InvalidValueError
        For NaN and infinite values.

    Notes
    -----
    The same numbers for fields times any factor; norms of fields are taken over their largest value.

    Examples
    --------
    >>> y = np.ones((2, 1, 8))
    >>> relative_errors(1.1 * y, y, periodic=True)["l2"].__round__(12)
    0.1
    """
    if prediction.shape != truth.shape or truth.ndim < 3:
        raise ShapeError(
            f"a prediction {tuple(prediction.shape)} and truth {tuple(truth.shape)}; expected one (n, channel, *grid)"
        )
    xp = namespace(prediction, truth)
    for name, field in (("prediction", prediction), ("truth", truth)):
        require_finite(field, name)
    axes = (0, *range(2, truth.ndim))
    unit = xp.abs(truth).max(axis=axes, keepdims=True)
    unit = xp.where(unit > 0, unit, xp.maximum(xp.abs(prediction).max(axis=axes, keepdims=True), unit))
    unit = xp.where(unit > 0, unit, 1)
    wide = np.result_type(prediction.dtype, truth.dtype, np.float64)
    y = (truth / unit).astype(wide)
    error = (prediction / unit).astype(wide) - y
    found: dict[str, Any] = {}
    for name, flag in (("l2", None), ("h1", periodic)):
        if name == "h1" and flag is None:
            continue
        norms = [to_host(xp.sqrt(squared_norms(u, periodic=flag))) for u in (error, y)]
        channels = _ratios(*norms).mean(axis=0)
        found[name], found[f"{name}_channels"] = float(channels.mean()), channels.tolist()
    found["zero_samples"] = int((to_host(xp.abs(y).max(axis=axes[1:])) == 0).sum())
    return found


def _ratios(errors: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return errors over sizes (n, channel); over the channel's mean size where a sample is zero."""
    mean = np.sqrt((sizes**2).mean(axis=0))
    scales = np.where(sizes > 0, sizes, mean)
    scales = np.where(scales > 0, scales, errors)
    ratios: np.ndarray = np.divide(errors, scales, out=np.zeros_like(errors), where=scales > 0)
    return ratios
