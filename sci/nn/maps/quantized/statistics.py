"""Weights rounded to a grid that follows from their mean size, and training in which most of them stand still."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, require_finite
from sci.errors import DTypeError, InvalidValueError, ShapeError, with_article
from sci.nn.maps.changes import WeightChange, as_on, given_arrays, require_gradient, require_weight
from sci.nn.maps.quantized.codes import require_bits

__all__ = ["StatisticsQuantizer", "freeze_mask", "statistics_codes", "statistics_quantize"]

_BITS = (1, 2, 3, 4, 8)


def _checked(weight: Array, bits: int, who: str) -> Array:
    require_bits(bits, who, _BITS)
    dtype = getattr(weight, "dtype", None)
    if dtype is None or dtype.kind != "f" or dtype.itemsize not in (2, 4, 8) or not dtype.isnative:
        shown = f"is {with_article(type(weight).__name__)}" if dtype is None else f"has dtype {dtype}"
        raise DTypeError(f"{who}: weight {shown}; expected float16, float32 or float64")
    if weight.ndim < 1 or not weight.size:
        raise ShapeError(f"{who}: weight of shape {tuple(weight.shape)}; expected (rows, ...) and some weights")
    require_finite(weight, f"{who}: weight")
    return weight


def _wide(weight: Array) -> Array:
    """Return the weight in the precision of the arithmetic: sums and quotients of float16 are made in float32."""
    return weight.astype(np.float32) if weight.dtype.itemsize == 2 else weight


def _in_steps(weight: Array, bits: int) -> tuple[Array, Array]:
    """Return the weight in steps n w / s, n = 2^(bits - 1), 0 in a row of zeros, and the row scales s = 2 mean |w|.

    The mean is one of weights in units of a power of two near the largest of the row: no sum overflows or vanishes.
    """
    wide, xp = _wide(weight), namespace(weight)
    axes = tuple(range(1, weight.ndim))
    largest = abs(wide).max(axis=axes, keepdims=True)
    unit = xp.where(largest > 0, xp.ldexp(xp.ones_like(largest), xp.frexp(largest)[1] - 1), 1)
    parts = wide / unit
    mean = abs(parts).mean(axis=axes, keepdims=True)
    size = float((mean * unit).max())
    if size > float(np.finfo(weight.dtype).max) / 2:
        raise InvalidValueError(
            f"a row of the weight has the mean size {size:.3g}, and twice that exceeds "
            f"{weight.dtype}; scale the weight down"
        )
    return parts / xp.where(mean > 0, 2 * mean, 1) * wide.dtype.type(1 << (bits - 1)), 2 * mean * unit


@entry
def statistics_codes(weight: Array, bits: int) -> Array:
    """Return the codes k + n of a weight on the grid s (k + 1/2) / n, k from -n to n - 1.

    n = 2^(bits - 1), s = 2 mean |w| for each row, k = clip(floor(n w / s), -n, n - 1).

    Parameters
    ----------
    weight : (rows, ...) array
        float16, float32 or float64, finite.
    bits : 1, 2, 3, 4 or 8

    Returns
    -------
    array of uint8
        From 0 to 2^bits - 1.

    Raises
    ------
    InvalidValueError, DTypeError, ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import statistics_codes
    >>> statistics_codes(np.array([[-1.5, -0.2, 0.2, 0.9]]), 2)
    array([[0, 1, 2, 3]], dtype=uint8)
    """
    steps, _ = _in_steps(_checked(weight, bits, "statistics_codes"), bits)
    n = 1 << (bits - 1)
    return (namespace(weight).clip(namespace(weight).floor(steps), -n, n - 1) + n).astype(np.uint8)


@entry
def statistics_quantize(weight: Array, bits: int) -> Array:
    """Return a weight rounded to the grid of `statistics_codes`: s (k + 1/2) / n, without a level at zero.

    A row of zeros has s = 0 and stays zeros.

    Parameters
    ----------
    weight : (rows, ...) array
        float16, float32 or float64, finite.
    bits : 1, 2, 3, 4 or 8

    Returns
    -------
    array
        Of the dtype of `weight`.

    Raises
    ------
    InvalidValueError, DTypeError, ShapeError

    Notes
    -----
    The form by floor takes the place of round(n clip(w / s, -1, 1 - 1e-6) - 1/2) + 1/2, which it equals from 2 bits on.
    That form rounds halves to even, which at 1 bit gives -1.5 s, and in float16 1 - 1e-6 is 1, which gives a level
    beyond the grid.

    References
    ----------
    Statistics quantizer of oscillation-free quantization, arXiv:2302.02210.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import statistics_quantize
    >>> statistics_quantize(np.array([[-1.5, -0.2, 0.2, 0.9]]), 1)
    array([[-0.7, -0.7,  0.7,  0.7]])
    """
    steps, scale = _in_steps(_checked(weight, bits, "statistics_quantize"), bits)
    xp, n = namespace(weight), 1 << (bits - 1)
    levels = xp.clip(xp.floor(steps), -n, n - 1) + steps.dtype.type(0.5)
    return (scale * (levels / steps.dtype.type(n))).astype(weight.dtype)


@entry
def freeze_mask(weight: Array, bits: int, radius: float) -> Array:
    """Return a mask of weights to freeze: all but those within `radius` of a threshold between two codes.

    Parameters
    ----------
    weight : (rows, ...) array
        float16, float32 or float64, finite.
    bits : 1, 2, 3, 4 or 8
    radius : float
        In units of a step s / n; from 0 to 1/2.

    Returns
    -------
    array of bool

    Raises
    ------
    InvalidValueError, DTypeError, ShapeError

    Notes
    -----
    Thresholds are the multiples k s / n, |k| < n. What lies near one moves to and fro under a straight-through
    gradient; fine-tuning that moves these weights alone lets them settle.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import freeze_mask
    >>> freeze_mask(np.array([[-1.5, -0.001, 0.5, 0.9]]), 2, 0.005)
    array([[ True, False,  True,  True]])
    """
    if not 0 <= radius <= 0.5:
        raise InvalidValueError(
            f"freeze_mask: radius is {radius}; expected a number from 0 to 0.5, in steps of the grid"
        )
    steps, _ = _in_steps(_checked(weight, bits, "freeze_mask"), bits)
    xp, n = namespace(weight), 1 << (bits - 1)
    threshold = xp.clip(xp.rint(steps), 1 - n, n - 1)
    return abs(steps - threshold) > radius


@entry
class StatisticsQuantizer:
    """A weight rounded to 2^bits levels whose scale is twice the mean size of its row; trained as it was.

    The weight is `statistics_quantize(value, bits)`; backward, the gradient of the rounded weight goes to `value`
    unchanged, also where the grid ends, and the scale gets none.

    Parameters
    ----------
    weight : (rows, ...) array
        float32 or float64.
    bits : 1, 2, 3, 4 or 8

    Raises
    ------
    InvalidValueError, DTypeError, ShapeError

    References
    ----------
    Statistics quantizer of oscillation-free quantization, arXiv:2302.02210.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import StatisticsQuantizer
    >>> weight_map = StatisticsQuantizer(np.array([[-1.5, -0.2, 0.2, 0.9]]), 2)
    >>> weight_map
    StatisticsQuantizer((1, 4), float64, 2 bits)
    >>> weight_map.fold(weight_map.start())
    array([[-1.05, -0.35,  0.35,  1.05]])
    """

    nbytes = 0
    rounds = True
    """The weight at the start is near the one that the map was made for, not that one."""

    def __init__(self, weight: Array, bits: int) -> None:
        self.weight = require_weight(_checked(weight, bits, "StatisticsQuantizer"), "StatisticsQuantizer", "f")
        self.bits = int(bits)

    def __repr__(self) -> str:
        shape, dtype = tuple(self.weight.shape), self.weight.dtype
        return f"StatisticsQuantizer({shape}, {dtype}, {self.bits} bit{'s' * (self.bits > 1)})"

    def start(self) -> dict[str, Array]:
        """Return the weight as `value`."""
        return {"value": self.weight}

    def forward(self, arrays: Mapping[str, Array]) -> tuple[Array, Any]:
        """Return the rounded weight, and nothing for `vjp`."""
        return statistics_quantize(given_arrays(arrays, self.start())[0], self.bits), None

    def vjp(self, dweight: Array, residuals: Any) -> dict[str, Array]:
        """Return the gradient of the rounded weight as that of `value`."""
        return {"value": require_gradient(dweight, self.weight)}

    def fold(self, arrays: Mapping[str, Array]) -> Array:
        """Return the rounded weight."""
        return self.forward(arrays)[0]

    def codes(self, arrays: Mapping[str, Array]) -> Array:
        """Return the codes of the weight, see `statistics_codes`."""
        return statistics_codes(given_arrays(arrays, self.start())[0], self.bits)

    def change(self, arrays: Mapping[str, Array]) -> WeightChange:
        """Return `value` and the bits as the change "statistics"."""
        (value,) = given_arrays(arrays, self.start())
        return WeightChange("statistics", {"value": value, "bits": np.array(self.bits, np.int64)})

    @classmethod
    def from_change(cls, weight: Array, change: WeightChange) -> tuple[StatisticsQuantizer, dict[str, Array]]:
        """Return map and arrays of a change."""
        if set(change.arrays) != {"value", "bits"}:
            raise InvalidValueError(f"{change!r}; expected value and bits; the file is damaged")
        value = as_on(change.arrays["value"], weight, weight.dtype)
        return cls(weight, int(change.arrays["bits"])), {"value": value}
