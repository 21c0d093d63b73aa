"""The short range as Gaussians: those that continue the sum of the long range to larger exponents."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sci.potentials.radial.kernels import Coulomb, GaussianSum, RadialKernel, gaussian_sum
from sci.potentials.radial.split import Split

__all__ = ["Continuation", "continued"]

NEAR = 0.04
"""Radius over the cutoff below which no Gaussians follow the short range."""
SHARE, AGREEMENT = 0.25, 0.3
"""What the end of a Gaussian, and all Gaussians together, may miss, in units of what the cutoff leaves out."""
MOST_TERMS = 64
_FOUND = "_continued"


@dataclass(frozen=True)
class Continuation:
    """Gaussians whose sum is the short range S from the radius `near` on, each with a radius where it may end.

    Parameters
    ----------
    gaussians : GaussianSum
    radii : (K,) float64
        Descending, angstrom; a Gaussian is negligible beyond its own.
    near : float
        Angstrom, smaller than all radii.
    tol : float
        What the cutoff leaves out of S, relative to 1/r.
    """

    gaussians: GaussianSum
    radii: np.ndarray
    near: float
    tol: float

    def __repr__(self) -> str:
        return (
            f"Continuation({len(self.radii)} Gaussians from {self.near:.3g} angstrom on, radii {self.radii[-1]:.3g} to "
            f"{self.radii[0]:.3g}, tol={self.tol:.2g})"
        )

    @property
    def table(self) -> np.ndarray:
        """Rows of squared exponent, weight and squared radius."""
        return np.stack([self.gaussians.exponents**2, self.gaussians.weights, self.radii**2], axis=1)


def continued(split: Split) -> Continuation | None:
    """Return the Gaussians of the short range of `split`, or None if it has none.

    K(r) = (2/sqrt pi) int_0^inf exp(-t^2 r^2 - kappa^2 / (4 t^2)) dt, and the long range is a quadrature up to the
    exponent alpha. Further nodes of the same quadrature give S = K - L. Where L is the integral up to alpha itself, as
    in Ewald's sums, Gauss' rule in log t gives the rest. The result is compared with K - B from `near` to the cutoff.

    Parameters
    ----------
    split : Split

    Returns
    -------
    Continuation or None
        None for a split whose S ends at zero by a shift, for one whose long range is another function, and where the
        Gaussians differ from S by more than a part of what the cutoff leaves out.
    """
    if _FOUND not in split.__dict__:  # a split serves many slabs of a grid
        split.__dict__[_FOUND] = _continued(split)
    found: Continuation | None = split.__dict__[_FOUND]
    return found


def _continued(split: Split) -> Continuation | None:
    cutoff, near = split.cutoff, NEAR * split.cutoff
    ends = float(split.kernel(np.array(cutoff))) * cutoff
    tol = ends - float(split.gaussians.of_square(np.array(cutoff**2))) * cutoff
    if not tol > 0 or abs(ends - float(split.b.sum()) * cutoff) < tol / 2:
        return None
    r = np.geomspace(near, cutoff, 400)
    u = 2 * (r / cutoff) ** 2 - 1
    wanted = (split.kernel(r) - np.polynomial.polynomial.polyval(u, split.b)) * r
    for found, meant in _candidates(split, near, tol):
        kept = _ended(found, cutoff, near, meant)
        if 0 < len(kept.radii) <= MOST_TERMS:
            missed = np.abs(wanted - kept.gaussians.of_square(r**2) * r).max()
            if missed <= AGREEMENT * meant:
                return kept
    return None


def _candidates(split: Split, near: float, tol: float) -> Iterable[tuple[GaussianSum, float]]:
    """Return sums that may continue the long range, and the tolerance that they are meant for."""
    exponents, kappa = split.gaussians.exponents, split.kernel.kappa
    top = math.sqrt(-math.log(0.01 * SHARE * tol)) / near
    if split.all_short:
        return [(gaussian_sum(split.kernel, 0.03 * tol, split.cutoff, top), tol)]
    if exponents[-1] < split.alpha * (1 - 1e-9):
        fewest = 4 - int(2 * math.log10(min(tol, 0.1)))
        return ((_remainder(split.kernel, split.alpha, top, nodes), tol) for nodes in range(fewest, MOST_TERMS))
    if len(exponents) < 3:
        return []
    # The nodes are t = sinh(k h) / r_max, or t = exp(k h) for a screened kernel.
    step = math.log(exponents[-1] / exponents[-2]) if kappa else math.acosh(exponents[2] / (2 * exponents[1]))
    tol = min(tol, 200 * math.exp(-(math.pi**2) / (2 * step)))
    scale = 2 / math.sqrt(math.pi) * step
    if kappa:
        u = step * np.arange(1, math.ceil(math.log(top / split.alpha) / step) + 1)
        t = split.alpha * np.exp(u)
        return [(GaussianSum(t, scale * t * np.exp(-((kappa / (2 * t)) ** 2))), tol)]
    r_max = math.sinh(step) / exponents[1]
    u = step * np.arange(len(exponents), math.ceil(math.asinh(top * r_max) / step) + 1)
    return [(GaussianSum(np.sinh(u) / r_max, scale / r_max * np.cosh(u)), tol)]


def _remainder(kernel: RadialKernel, alpha: float, top: float, nodes: int) -> GaussianSum:
    """Return Gauss' rule for the integral from alpha to `top`, in log t."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    length = math.log(top / alpha)
    t = alpha * np.exp(length * (x + 1) / 2)
    screening = 1.0 if isinstance(kernel, Coulomb) else np.exp(-((kernel.kappa / (2 * t)) ** 2))
    return GaussianSum(t, w * length / math.sqrt(math.pi) * t * screening)


def _ended(found: GaussianSum, cutoff: float, near: float, tol: float) -> Continuation:
    """Give each Gaussian the radius where it is negligible, at most the cutoff, and leave out those within `near`."""
    height = np.log(np.maximum(found.weights * cutoff / (SHARE * tol), 1.0))
    radii = np.minimum(np.sqrt(height) / np.maximum(found.exponents, 1e-300), cutoff)
    order = np.argsort(-radii, kind="stable")
    order = order[radii[order] > near]
    return Continuation(GaussianSum(found.exponents[order], found.weights[order]), radii[order], near, tol)
