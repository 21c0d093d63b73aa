"""Bounds on the error of a field, and what of them is left for rounding on other machines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.compression.fields.rest import squared_errors
from sci.errors import InvalidValueError

__all__ = ["Bound", "Measured", "l2_norm", "measure", "norm_of"]

_BLOCK = 1 << 15


@dataclass(frozen=True)
class Measured:
    """Errors of a field.

    Parameters
    ----------
    l2 : float
        The L2 norm of the difference.
    maximum : float
        Its largest magnitude; infinite if a value is not finite.
    """

    l2: float
    maximum: float


def l2_norm(field: np.ndarray) -> float:
    """Return the root of the sum of squares, added up in float64."""
    a, energy = field.ravel(), 0.0
    for start in range(0, a.size, _BLOCK):
        part = a[start : start + _BLOCK].astype(np.float64)
        energy += float(np.dot(part, part))
    return float(np.sqrt(energy))


def norm_of(values: np.ndarray) -> float:
    """Return the L2 norm of values of any magnitude; no square overflows or vanishes.

    Raises
    ------
    InvalidValueError
        If the norm itself exceeds float64.
    """
    largest = max(float(values.max()), -float(values.min()))
    norm = 0.0
    if largest:
        with np.errstate(under="ignore", over="ignore"):
            norm = largest * float(np.sqrt(np.square(values.astype(np.float64) / largest).sum()))
    if not np.isfinite(norm):
        raise InvalidValueError(f"the field reaches {largest:.3g}, whose L2 norm exceeds float64; scale it")
    return norm


def measure(field: np.ndarray, found: np.ndarray) -> Measured:
    """Compare two fields at every point, in float64."""
    with np.errstate(all="ignore"):
        top, energy = squared_errors(field, found)
    return Measured(float(np.sqrt(energy)), top) if np.isfinite(energy) else Measured(np.inf, np.inf)


@dataclass(frozen=True)
class Bound:
    """The bound on the error of a field whose largest magnitude lies between 1/2 and 1.

    Parameters
    ----------
    kind : {"l2", "maximum"}
    limit : float
        Of the L2 norm, or of every point.
    norm : float
        The L2 norm of the field.
    dtype : numpy.dtype
        Of the field.

    Notes
    -----
    Transforms and products round differently with other processors and libraries. A decoder that works in float32 stays
    within 2^-18 of the encoder at every point and 2^-20 of the norm of the field in the L2 norm, one in float64 within
    2^-40 and 2^-44; besides, the results are rounded to the dtype of the field. This much is kept back from the limit,
    so that the bound holds on every machine; where it would be more than some percent of the limit, the work is done in
    float64.
    """

    kind: str
    limit: float
    norm: float
    dtype: np.dtype

    @property
    def accurate(self) -> bool:
        """Whether float64 is needed."""
        return self.limit < (2.0**-15 * self.norm if self.kind == "l2" else 2.0**-13)

    @property
    def reserve(self) -> float:
        """What is kept back from the limit."""
        if self.kind == "l2":
            return (2.0**-44 if self.accurate else 2.0**-20) * self.norm
        return 2 * float(np.finfo(self.dtype).eps) + (2.0**-40 if self.accurate else 2.0**-18)

    @property
    def goal(self) -> float:
        """What the encoder must reach; not positive where nothing is left of the limit."""
        return self.limit - self.reserve

    @property
    def exact_goal(self) -> float:
        """What an encoder must reach whose decoder computes in integers: only the last rounding is kept back."""
        return self._counted - float(np.finfo(self.dtype).eps) * (self.norm if self.kind == "l2" else 1.0)

    @property
    def _counted(self) -> float:
        """The limit, less what the rounding of a sum of squares can hide."""
        return self.limit * (1 - 2.0**-40)

    def holds(self, measured: Measured, exact: bool = False) -> bool:
        """Whether a field is within the bound here, with what other machines need: nothing by an exact decoder."""
        return (measured.l2 if self.kind == "l2" else measured.maximum) <= (self._counted if exact else self.goal)
