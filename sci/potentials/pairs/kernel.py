"""The function of a pair within the cutoff: the whole kernel less a polynomial in the squared distance."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from sci.errors import InvalidValueError
from sci.potentials.radial.split import Split

__all__ = ["PairKernel"]


@dataclass(frozen=True, eq=False)
class PairKernel:
    """S(r) = exp(-kappa r) / r - B(u) with u = 2 r^2 / cutoff^2 - 1, and zero beyond the cutoff.

    B is the long range, whatever it is made of, as a polynomial in the squared distance: a split is known to the
    sums over pairs by its coefficients alone.

    Parameters
    ----------
    cutoff : float
        Angstrom.
    b : (degree + 1,) float64
        Power coefficients of B in u, 1/angstrom, ascending.
    kappa : float
        Inverse screening length, 1/angstrom; 0 for Coulomb.

    Raises
    ------
    InvalidValueError
        For a cutoff that is not positive, or coefficients that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials.pairs.kernel import PairKernel
    >>> PairKernel(8.0, np.array([0.125]))  # 1/r shifted to vanish at the cutoff
    PairKernel(cutoff=8, degree=0, kappa=0)
    """

    cutoff: float
    b: np.ndarray
    kappa: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 < self.cutoff < math.inf:
            raise InvalidValueError(f"cutoff is {self.cutoff}; expected a positive number of angstrom")
        if self.b.ndim != 1 or not len(self.b) or not np.isfinite(self.b).all():
            raise InvalidValueError(f"b has shape {self.b.shape} or holds no finite numbers; expected coefficients")
        if not 0 <= self.kappa < math.inf:
            raise InvalidValueError(f"kappa is {self.kappa}; expected 0 or a positive number (1/angstrom)")

    def __repr__(self) -> str:
        return f"PairKernel(cutoff={self.cutoff:.3g}, degree={len(self.b) - 1}, kappa={self.kappa:.3g})"

    @classmethod
    def of(cls, split: Split) -> PairKernel:
        """Return the short range of a split into Gaussians."""
        return cls(split.cutoff, split.b, split.kernel.kappa)

    @functools.cached_property
    def g(self) -> np.ndarray:
        """Power coefficients of G = -2 dB / d(r^2), so that the gradient of S is -(K'-part - G) times the vector."""
        slope = self.b[1:] * np.arange(1, len(self.b)) * (-4 / self.cutoff**2)
        return np.append(slope, 0.0) if len(self.b) > 1 else np.zeros(1)

    @property
    def at_zero(self) -> float:
        """B at distance zero: what a charge does to itself through the long range."""
        return float(self.b[::2].sum() - self.b[1::2].sum())
