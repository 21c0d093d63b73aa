"""The exact inverse of the Poisson operator of a whole box by sine, cosine and Fourier transforms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from sci.backend import Array, to_device
from sci.errors import InvalidValueError
from sci.solvers.krylov.guard import Guard
from sci.solvers.krylov.padded import ArrayCycle
from sci.solvers.krylov.preconditioner import PaddedPreconditioner
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["FastPoisson"]


@dataclass(frozen=True)
class AxisTransform:
    """Eigenvectors of one axis: a transform of scipy.fft, or an orthogonal matrix.

    Parameters
    ----------
    kind : "dst", "dct" or "matrix"
    eigenvalues : (n,) float64
    vectors : (n, n) array or None
        Eigenvectors in columns, where kind is "matrix".
    """

    kind: str
    eigenvalues: np.ndarray
    vectors: Array | None

    def forward(self, grid: Array, axis: int) -> Array:
        """Return the coefficients along an axis."""
        if self.vectors is not None:
            return _multiply(self.vectors.T, grid, axis)
        from scipy import fft

        return fft.dst(grid, 1, axis=axis, norm="ortho") if self.kind == "dst" else _dct(grid, axis, False)

    def backward(self, grid: Array, axis: int) -> Array:
        """Return the values of coefficients along an axis."""
        if self.vectors is not None:
            return _multiply(self.vectors, grid, axis)
        from scipy import fft

        return fft.dst(grid, 1, axis=axis, norm="ortho") if self.kind == "dst" else _dct(grid, axis, True)


def _dct(grid: Array, axis: int, inverse: bool) -> Array:
    from scipy import fft

    return (fft.idct if inverse else fft.dct)(grid, 2, axis=axis, norm="ortho")


def _multiply(matrix: Array, grid: Array, axis: int) -> Array:
    """Return the product of a matrix with one axis of a grid."""
    n, shape = matrix.shape[0], grid.shape
    before = int(np.prod(shape[:axis], dtype=np.int64))
    return (matrix @ grid.reshape(before, n, -1)).reshape(shape)


def axis_transform(n: int, walls: tuple[str, str], h: float, xp: Any) -> AxisTransform:
    """Return the eigenvalues and eigenvectors of -d^2/dx^2 on n cells between two walls.

    Two Dirichlet walls give the sine transform of type I, two Neumann walls the cosine transform of type II; a mixed
    pair has sines of odd multiples of a half wave, for which scipy.fft has no transform, and a periodic axis sines and
    cosines: both are matrices here, as everything is on a device, where products of matrices are fast.
    """
    k, x = np.arange(n), np.arange(n)
    if walls == ("periodic", "periodic") and n > 1:
        angle = 2 * np.pi * ((k + 1) // 2) / n
        sine = (k % 2 == 1) & (2 * ((k + 1) // 2) < n)
        vectors, name = np.where(sine, np.sin(np.outer(x, angle)), np.cos(np.outer(x, angle))), "matrix"
    elif walls == ("dirichlet", "dirichlet"):
        angle = np.pi * (k + 1) / (n + 1)
        vectors, name = np.sin(np.outer(x + 1, angle)), "dst"
    elif "dirichlet" not in walls:
        angle = np.pi * k / n
        vectors, name = np.cos(np.outer(x + 0.5, angle)), "dct"
    else:
        angle = np.pi * (2 * k + 1) / (2 * n + 1)
        place = x + 1 if walls[0] == "dirichlet" else n - x
        vectors, name = np.sin(np.outer(place, angle)), "matrix"
    eigenvalues = (2 - 2 * np.cos(angle)) / h**2
    if name != "matrix" and xp is np and n > 1:
        return AxisTransform(name, eigenvalues, None)
    return AxisTransform("matrix", eigenvalues, to_device(vectors / np.linalg.norm(vectors, axis=0), xp))


class FastPoisson(PaddedPreconditioner):
    """Inverse of the Poisson operator of a box without bodies: exact there, a preconditioner where bodies are.

    The box has the walls and the cells of A; its bodies are taken as fluid, and a varying coefficient as its mean. The
    operator is diagonal in products of sines (Dirichlet), cosines (Neumann) and waves (periodic).

    Parameters
    ----------
    A : PoissonOperator

    Notes
    -----
    O(n log n) where scipy.fft has the transform, else a matrix product for each line. The iteration count grows
    slowly with the size where bodies are. On a singular box the constant is removed.

    References
    ----------
    Swarztrauber, SIAM Review 19, 490 (1977).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import FastPoisson, PoissonOperator
    >>> A = PoissonOperator(np.ones((8, 9), dtype=bool), 0.5, ["periodic", "dirichlet"])
    >>> b = np.arange(72.0).reshape(8, 9)
    >>> bool(abs(A @ FastPoisson(A).solve(b) - b).max() < 1e-12 * abs(b).max())
    True
    """

    def __init__(self, A: PoissonOperator) -> None:
        super().__init__(A)
        if A.blocks is not None:
            raise InvalidValueError("FastPoisson needs the whole grid on one process; expected Multigrid(A) on ranks")
        self.transforms = [axis_transform(n, w, h, A.xp) for n, w, h in zip(A.grid_shape, A.boundary, A.spacing)]
        total = reduce(np.add.outer, [t.eigenvalues for t in self.transforms])
        good = total > 1e-13 * total.max()
        inverse = good / np.where(good, total, 1.0)
        if A.coefficient is not None:
            inverse = inverse / float(A.coefficient[A.mask].mean())
        self.inverse: Array = to_device(inverse, A.xp)

    def solve(self, grid: Array) -> Array:
        """Return the solution in the whole box for a right-hand side on the grid."""
        for axis, transform in enumerate(self.transforms):
            grid = transform.forward(grid, axis)
        grid = grid * self.inverse
        for axis, transform in enumerate(self.transforms):
            grid = transform.backward(grid, axis)
        return grid

    def new_cycle(self) -> ArrayCycle:
        """Return a cycle with arrays of its own."""
        return ArrayCycle(self.A.space, self.solve, Guard())

    @property
    def nbytes(self) -> int:
        """Bytes of the inverse eigenvalues."""
        return int(self.inverse.nbytes)

    def __repr__(self) -> str:
        return f"FastPoisson({self.nbytes} bytes, {self.A!r})"
