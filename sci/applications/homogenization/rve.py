"""A periodic representative volume element in two dimensions, solved by FFT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.applications.homogenization.laws import SHEAR, Composite, IsotropicLaw, frobenius
from sci.backend import Array, as_finite, namespace, to_device
from sci.errors import ConvergenceError, InvalidValueError
from sci.solvers import cg

__all__ = ["Equilibrium", "PeriodicRVE", "circular_inclusions"]


@dataclass(frozen=True, repr=False)
class Equilibrium:
    """Fields in equilibrium under a macroscopic strain.

    Parameters
    ----------
    strain, stress : array (3, n, m)
        Components xx, yy, xy.
    residual : float
        Root mean square of the part of the stress that is not divergence-free, over that of the stress.
    newton_steps, cg_iterations : int
        Steps of Newton's method, and iterations of conjugate gradients in all of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.applications import LinearElastic, PeriodicRVE
    >>> cell = PeriodicRVE(np.zeros((3, 3), dtype=int), [LinearElastic(bulk=2.0, shear=1.0)])
    >>> state = cell.solve([0.01, 0.0, 0.0])
    >>> np.round(state.mean_stress, 4)
    array([0.0333, 0.0133, 0.    ])
    >>> state.strain.shape
    (3, 3, 3)
    """

    strain: Array
    stress: Array
    residual: float
    newton_steps: int
    cg_iterations: int

    def __repr__(self) -> str:
        """Return the pixels, the residual, and what it took."""
        _, n, m = self.stress.shape
        return (
            f"Equilibrium({n} x {m} pixels, residual {self.residual:.1e}, {self.newton_steps} Newton steps, "
            f"{self.cg_iterations} CG iterations)"
        )

    @property
    def mean_stress(self) -> Array:
        """The homogenized stress (3,)."""
        return self.stress.mean(axis=(-2, -1))


class PeriodicRVE:
    """A periodic cell of pixels with isotropic phases: given a mean strain, find the fields in equilibrium.

    div sigma(E + sym grad u; x) = 0 with u periodic.

    Parameters
    ----------
    phase : array of int (n, m)
        Index of the law at each pixel. Odd n and m: then every Fourier mode has its derivative.
    laws : sequence of IsotropicLaw

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    Fourier-Galerkin with the projection on compatible strains in place of a Green operator of a reference medium;
    Newton's method with conjugate gradients (Moulinec and Suquet's problem; J. Zeman et al., Int. J. Numer. Meth. Eng.
    111, 2017). An iteration costs six transforms. In the plane, the complement of the compatible strains of wave vector
    k is spanned by t t^T with t normal to k, so the projection needs one inner product.

    Examples
    --------
    >>> from sci.applications.homogenization.laws import LinearElastic
    >>> image = circular_inclusions(25, [(0.5, 0.5, 0.25)])
    >>> cell = PeriodicRVE(image, [LinearElastic(1.0, 1.0), LinearElastic(9.0, 9.0)])
    >>> cell
    PeriodicRVE(25 x 25 pixels, LinearElastic(bulk=1.0, shear=1.0), LinearElastic(bulk=9.0, shear=9.0))
    >>> cell.solve([0.01, 0.0, 0.0]).residual < 1e-8
    True
    """

    def __init__(self, phase: Array, laws: Sequence[IsotropicLaw]) -> None:
        self.composite = Composite(phase, tuple(laws))
        n, m = phase.shape
        if n % 2 == 0 or m % 2 == 0 or min(n, m) < 3:
            raise InvalidValueError(f"phase has {n} x {m} pixels; expected odd numbers of at least 3")
        k = np.stack(np.broadcast_arrays(np.fft.fftfreq(n, 1.0 / n)[:, None], np.fft.rfftfreq(m, 1.0 / m)[None, :]))
        square = (k**2).sum(axis=0)
        inverse = np.divide(1.0, square, out=np.zeros_like(square), where=square > 0.0)
        # t t^T of the unit vector t normal to k.
        normal = np.stack([k[1] ** 2, k[0] ** 2, -k[0] * k[1]]) * inverse
        xp = namespace(phase)
        self._normal, self._k, self._inverse = (to_device(a, xp) for a in (normal, k, inverse))

    def __repr__(self) -> str:
        """Return the pixels and the laws of the phases."""
        n, m = self.shape
        return f"PeriodicRVE({n} x {m} pixels, {', '.join(map(repr, self.composite.laws))})"

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels along x and y."""
        n, m = self.composite.phase.shape
        return int(n), int(m)

    def solve(self, strain: Array, *, rtol: float = 1e-8, max_newton: int = 30, max_cg: int = 2000) -> Equilibrium:
        """Return the fields under the macroscopic strain (xx, yy, xy), xy tensorial.

        Parameters
        ----------
        strain : array_like (3,)
        rtol : float
            Accepted `Equilibrium.residual`.
        max_newton, max_cg : int
            Newton steps, and conjugate gradient iterations in each.

        Raises
        ------
        ShapeError, InvalidValueError
        ConvergenceError
            If the residual stays above `rtol`.
        """
        xp = namespace(self.composite.phase)
        macro = as_finite(strain, "strain", shape=(3,), xp=xp)
        field = xp.zeros((3, *self.shape)) + macro[:, None, None]
        total = 0
        for step in range(max_newton + 1):
            stress = self.composite.stress(field)
            unbalanced = self.project(stress)
            scale = _norm(stress)
            residual = _norm(unbalanced) / scale if scale > 0.0 else 0.0
            if not np.isfinite(residual):
                break
            if residual <= rtol:
                return Equilibrium(field, stress, residual, step, total)
            # Squared, the residual is what Newton's step leaves behind; a linear law has its answer in one step.
            atol = 0.1 * max(rtol * scale, _norm(unbalanced) ** 2 / scale)
            change, iterations = self._solve_tangent(field, unbalanced, atol, max_cg)
            field, total = field - change, total + iterations
        raise ConvergenceError(
            f"the cell under strain {[float(e) for e in macro]} has residual {residual:.1e} after {max_newton} Newton "
            f"steps; asked {rtol:.1e}: allow more steps or apply the strain in parts"
        )

    def project(self, field: Array) -> Array:
        """Return the nearest compatible strain with zero mean, (..., 3, n, m)."""
        xp = namespace(field)
        spectrum = xp.fft.rfftn(field, axes=(-2, -1))
        spectrum -= frobenius(spectrum, self._normal)[..., None, :, :] * self._normal
        spectrum[..., 0, 0] = 0.0
        return xp.fft.irfftn(spectrum, s=self.shape, axes=(-2, -1))

    def displacement(self, strain: Array) -> Array:
        """Return the periodic displacement (..., 2, n, m) of a compatible strain field; the cell has sides 1 and 1."""
        xp = namespace(strain)
        e = xp.fft.rfftn(strain, axes=(-2, -1))
        k, inverse = self._k, self._inverse
        along = xp.stack(
            [k[0] * e[..., 0, :, :] + k[1] * e[..., 2, :, :], k[0] * e[..., 2, :, :] + k[1] * e[..., 1, :, :]], axis=-3
        )
        both = (k * along).sum(axis=-3)[..., None, :, :]
        spectrum = -1j / (2.0 * np.pi) * inverse * (2.0 * along - k * both * inverse)
        return xp.fft.irfftn(spectrum, s=self.shape, axes=(-2, -1))

    def _solve_tangent(self, field: Array, right: Array, atol: float, max_cg: int) -> tuple[Array, int]:
        """Solve P C(field) x = right for a compatible x by conjugate gradients, to a residual norm of `atol`."""
        # In these units the product of two tensors, which counts the shear twice, is the dot product of vectors.
        unit, inverse = (to_device(SHEAR**power, namespace(right)) for power in (0.5, -0.5))

        def apply(x: Array) -> Array:
            tangent = self.composite.tangent(field, x.reshape(right.shape) * inverse)
            return (unit * self.project(tangent)).reshape(-1)

        points = right.size // 3
        try:
            found = cg(apply, (unit * right).reshape(-1), rtol=0.0, atol=atol * points**0.5, maxiter=max_cg)
        except ConvergenceError as error:
            raise ConvergenceError(
                f"the tangent is not positive definite ({error}): the material is unstable here"
            ) from error
        return found.x.reshape(right.shape) * inverse, found.iterations


def circular_inclusions(n: int, circles: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """Return an image (n, n) that is 1 in periodic circles (x, y, radius) of the unit cell and 0 elsewhere.

    Parameters
    ----------
    n : int
        Pixels along an edge.
    circles : sequence of (x, y, radius)
        In edges of the cell.

    Returns
    -------
    (n, n) array
        1 in the circles, 0 elsewhere.

    Examples
    --------
    >>> circular_inclusions(4, [(0.5, 0.5, 0.3)])
    array([[0, 0, 0, 0],
           [0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    x = (np.arange(n) + 0.5) / n
    image = np.zeros((n, n), dtype=np.int64)
    for cx, cy, radius in circles:
        dx, dy = (abs((x - c + 0.5) % 1.0 - 0.5) for c in (cx, cy))
        image[dx[:, None] ** 2 + dy**2 <= radius**2] = 1
    return image


def _inner(a: Array, b: Array) -> float:
    return float(frobenius(a, b).mean())


def _norm(a: Any) -> float:
    return float(_inner(a, a) ** 0.5)
