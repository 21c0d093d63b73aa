"""Descent on a torus with spectral derivatives: the metric is the Fourier one, and each step a contraction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array, as_finite, namespace
from sci.errors import ConvergenceError, InvalidValueError, ShapeError

__all__ = ["TorusDescent", "torus_descent"]

STALLED = 1e-13
"""Steps smaller than this part of the first one are rounding, and tell no contraction."""


@entry
@dataclass(frozen=True)
class TorusDescent:
    """The end of a descent on a torus.

    Parameters
    ----------
    u : (*grid) array
        With mean zero.
    steps : (iterations,) array
        Norm of the gradient of each step, root of its mean square.
    converged : bool

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import TorusDescent
    >>> TorusDescent(np.zeros(5), np.array([1.0, 0.25, 0.0625]), True).contraction
    0.25
    """

    u: Array
    steps: np.ndarray
    converged: bool

    @property
    def contraction(self) -> float:
        """Largest ratio of two steps in a row, which the bound holds for as well; NaN without two steps."""
        held = self.steps > STALLED * self.steps[:1].max(initial=0.0)
        ratios = self.steps[1:][held[1:]] / self.steps[:-1][held[1:]]
        return float(ratios.max()) if ratios.size else float("nan")

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return f"TorusDescent({state} after {len(self.steps)} steps, contraction {self.contraction:.3g})"


@entry
def torus_descent(
    flux: Callable[[Array], Array],
    f: Real,
    bounds: tuple[float, float],
    *,
    u0: Any = None,
    lengths: float | Sequence[float] = 2 * pi,
    rtol: float = 1e-8,
    maxiter: int = 1000,
) -> TorusDescent:
    """Solve -div L'(grad u) = f on a torus by u <- u - step (-laplace)^-1 (-div L'(grad u) - f).

    With lambda and Lambda between which the eigenvalues of L'' lie and the step 2 / (lambda + Lambda), the distance to
    the solution, in the norm of its gradient, falls by (Lambda - lambda) / (Lambda + lambda) or more with each step, in
    any dimension and on any grid.

    Parameters
    ----------
    flux : callable
        L', from gradients (ndim, *grid) to an array of that shape; the gradient of a convex function.
    f : (*grid) array_like
        Source with mean zero, on one, two or more axes of at least 3 points.
    bounds : (float, float)
        lambda and Lambda, positive.
    u0 : (*grid) array_like, optional
        Start; 0 by default.
    lengths : float or sequence of float
        Of the torus, for all axes or each.
    rtol : float
        Stops when the gradient of a step is at most `rtol` of that of the first one.
    maxiter : int

    Returns
    -------
    TorusDescent

    Raises
    ------
    ShapeError, InvalidValueError
    ConvergenceError
        If a step is larger than the one before, which `bounds` rule out.

    Notes
    -----
    Derivatives are spectral. On an axis of even length the highest mode has no derivative that is real and of its own
    sign: it is left out of f and of u, otherwise it breaks the bound. Each step takes ndim + 1 pairs of transforms.

    The step of the constructive proof, lambda^3 / ((1 + C) Lambda^3) with (1 - laplace)^-1, is far smaller.

    References
    ----------
    Marwah, Lipton, Lu and Risteski, Neural network approximations of PDEs beyond linearity, ICML 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import torus_descent
    >>> x = 2 * np.pi * np.arange(31) / 31
    >>> found = torus_descent(lambda p: p + p / np.sqrt(1 + p * p), np.sin(x), (1.0, 2.0))
    >>> found.converged, found.contraction <= 1 / 3 + 0.01
    (True, True)
    """
    source = as_finite(f, "f")
    xp, ndim = namespace(source), source.ndim
    low, high = (float(b) for b in bounds)
    if ndim < 1 or min(source.shape) < 3:
        raise ShapeError(f"f has shape {tuple(source.shape)}; expected one or more axes of at least 3 points")
    if not 0 < low <= high < float("inf"):
        raise InvalidValueError(f"bounds are {bounds}; expected 0 < lambda <= Lambda")
    if not 0 < rtol < 1 or maxiter < 1:
        raise InvalidValueError(f"rtol is {rtol} and maxiter {maxiter}; expected rtol in (0, 1) and at least one step")
    waves = _waves(tuple(source.shape), lengths, xp)
    mean, size = float(source.mean()), float(abs(source).max())
    if abs(mean) > 1e-10 * size:
        raise InvalidValueError(f"f has the mean {mean:.3g}; expected zero, as the divergence of a flux on a torus has")
    square = sum(w * w for w in waves)
    inverse = xp.where(square > 0, 1 / xp.where(square > 0, square, 1.0), 0.0)
    step, axes = 2 / (low + high), tuple(range(ndim))
    right = xp.fft.fftn(source)
    u = xp.zeros(source.shape) if u0 is None else as_finite(u0, "u0", shape=tuple(source.shape), xp=xp)
    hat = xp.where(square > 0, xp.fft.fftn(u), 0.0)
    steps: list[float] = []
    while len(steps) < maxiter:
        p = xp.stack([xp.fft.ifftn(1j * w * hat).real for w in waves])
        given = flux(p)
        if tuple(given.shape) != tuple(p.shape):
            raise ShapeError(f"flux returned shape {tuple(given.shape)}; expected {tuple(p.shape)}")
        divergence = sum(1j * w * q for w, q in zip(waves, xp.fft.fftn(given, axes=tuple(a + 1 for a in axes))))
        change = step * inverse * (divergence + right)
        hat = hat + change
        steps.append(sqrt(float((square * abs(change) ** 2).sum())) / source.size)
        if not np.isfinite(steps[-1]) or (len(steps) > 1 and steps[-1] > 1.0001 * steps[-2] > STALLED * steps[0]):
            raise ConvergenceError(
                f"step {len(steps)} is {steps[-1]:.3g} long and the one before {steps[-2] if steps[1:] else 0.0:.3g}; "
                f"expected a flux whose derivative has eigenvalues between {low:g} and {high:g}"
            )
        if steps[-1] <= rtol * steps[0]:
            break
    return TorusDescent(xp.fft.ifftn(hat).real, np.array(steps), bool(steps[-1] <= rtol * steps[0]))


def _waves(shape: tuple[int, ...], lengths: float | Sequence[float], xp: Any) -> list[Array]:
    """Return the wave numbers along each axis, zero for the highest mode of an even length."""
    sides = (float(lengths),) * len(shape) if isinstance(lengths, int | float) else tuple(float(s) for s in lengths)
    if len(sides) != len(shape) or not all(0 < s < float("inf") for s in sides):
        raise InvalidValueError(
            f"lengths is {lengths}; expected a positive number, or one for each of {len(shape)} axes"
        )
    waves = []
    for axis, (n, side) in enumerate(zip(shape, sides)):
        w = 2 * pi / side * n * xp.fft.fftfreq(n)
        if n % 2 == 0:
            w[n // 2] = 0.0
        waves.append(w.reshape([-1 if k == axis else 1 for k in range(len(shape))]))
    return waves
