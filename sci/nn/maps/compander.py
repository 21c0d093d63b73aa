"""The weight compander: weights that saturate, trained through an arctangent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError
from sci.nn.maps.changes import WeightChange, as_on, given_arrays, require_gradient, require_weight

__all__ = ["Compander"]


@entry
class Compander:
    """A weight w = a arctan(v / b) with v, log a and log b trained: |w| < a pi / 2.

    Parameters
    ----------
    weight : array
        float32 or float64; v starts at b tan(w / a), so that the map gives this weight.
    a, b : float
        At the start; positive, as exp makes them throughout. `a` has to exceed max |w| 2 / pi.

    Raises
    ------
    DTypeError, InvalidValueError

    Notes
    -----
    With g = dL/dw: dL/dv = g a b / (b^2 + v^2), dL/dlog a = sum g w, dL/dlog b = -sum g a b v / (b^2 + v^2). A step
    along the gradient of v moves w by the square of the slope, most near zero. Decay of v pulls the weights to zero,
    not a or b; where |v| << b only a / b matters.

    References
    ----------
    The idea is from arXiv:2306.16993 (weight compander). The function is given here from memory of the method, without
    the paper's text or code at hand: compare it before you cite it.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Compander
    >>> weight_map = Compander(np.array([0.5, -1.5]))
    >>> weight_map
    Compander((2,), float64, a=1, b=1)
    >>> weight_map.start()["v"].round(4)
    array([  0.5463, -14.1014])
    """

    nbytes = 0

    def __init__(self, weight: Array, *, a: float = 1.0, b: float = 1.0) -> None:
        self.weight = require_weight(weight, "Compander", "f")
        if not (0 < a < np.inf and 0 < b < np.inf):
            raise InvalidValueError(f"Compander: a is {a}, b is {b}; expected positive numbers")
        largest = float(abs(weight).max()) if weight.size else 0.0
        real = weight.dtype.type
        self._logs = real(math.log(a)), real(math.log(b))
        self.a, self.b = (math.exp(float(log)) for log in self._logs)  # as the trained logarithms will say
        if not largest < _limit(self.a, weight.dtype):
            raise InvalidValueError(
                f"Compander: a is {a:g}, and weights reach {largest:g}; expected a above {largest * 2 / math.pi:g}, "
                "for |w| < a pi / 2"
            )

    def __repr__(self) -> str:
        return f"Compander({tuple(self.weight.shape)}, {self.weight.dtype}, a={self.a:g}, b={self.b:g})"

    def start(self) -> dict[str, Array]:
        """Return v of the shape of the weight, and log_a and log_b without axes."""
        xp = namespace(self.weight)
        v = self.b * xp.tan(self.weight.astype(np.float64) / self.a)
        return {
            "v": v.astype(self.weight.dtype),
            "log_a": xp.asarray(self._logs[0]),
            "log_b": xp.asarray(self._logs[1]),
        }

    def forward(self, arrays: Mapping[str, Array]) -> tuple[Array, Any]:
        """Return the weight, and v, w, a and b for `vjp`."""
        v, log_a, log_b = given_arrays(arrays, self._like())
        xp = namespace(v)
        a, b = math.exp(float(log_a)), math.exp(float(log_b))
        limit = _limit(a, v.dtype)
        # The bound is exact: arctan of a large float32 is rounded to a number above pi / 2.
        w = xp.clip(v.dtype.type(a) * xp.arctan(v / v.dtype.type(b)), -limit, limit)
        return w, (v, w, a, b)

    def vjp(self, dweight: Array, residuals: Any) -> dict[str, Array]:
        """Return the gradients of v, log_a and log_b."""
        v, w, a, b = residuals
        require_gradient(dweight, self.weight)
        xp, dtype = namespace(v), v.dtype
        slope = dtype.type(a / b) / (1 + (v / dtype.type(b)) ** 2)
        dv = dweight * slope
        sums = [(dweight * w).sum(dtype=np.float64), -(dv * v).sum(dtype=np.float64)]
        return {"v": dv, **{n: xp.asarray(s).astype(dtype).reshape(()) for n, s in zip(("log_a", "log_b"), sums)}}

    def fold(self, arrays: Mapping[str, Array]) -> Array:
        """Return the weight."""
        return self.forward(arrays)[0]

    def change(self, arrays: Mapping[str, Array]) -> WeightChange:
        """Return v, log_a and log_b as the change "compander"."""
        return WeightChange("compander", dict(zip(("v", "log_a", "log_b"), given_arrays(arrays, self._like()))))

    @classmethod
    def from_change(cls, weight: Array, change: WeightChange) -> tuple[Compander, dict[str, Array]]:
        """Return map and arrays of a change."""
        if set(change.arrays) != {"v", "log_a", "log_b"}:
            raise InvalidValueError(f"{change!r}; expected v, log_a and log_b; the file is damaged")
        largest = float(abs(weight).max()) if weight.size else 0.0
        arrays = {name: as_on(a, weight, weight.dtype) for name, a in change.arrays.items()}
        return cls(weight, a=max(1.0, largest)), arrays

    def _like(self) -> dict[str, Array]:
        scalar = np.zeros((), self.weight.dtype)
        return {"v": self.weight, "log_a": scalar, "log_b": scalar}


def _limit(a: float, dtype: Any) -> Any:
    """Return the largest number of a dtype below a pi / 2."""
    bound = a * math.pi / 2
    found = dtype.type(bound)
    return found if float(found) < bound else np.nextafter(found, dtype.type(0))
