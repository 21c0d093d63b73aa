"""Darcy flow: -div(a grad u) = f on the unit square, u = 0 on its border, with a random two-valued coefficient."""

from __future__ import annotations

import numpy as np
import scipy
from scipy import sparse
from scipy.sparse.linalg import spsolve

from sci.arguments import collective_entry
from sci.distributed import Comm, abort_on_error, agreed, rank_of, split
from sci.errors import InvalidValueError, ShapeError
from sci.problems.random_fields import neumann_random_field, require_parameters, sample_generator
from sci.progress import progress

__all__ = ["darcy_flow", "solve_darcy"]


@collective_entry
def darcy_flow(
    n_samples: int,
    grid: int,
    *,
    subsample: int = 1,
    low: float = 3.0,
    high: float = 12.0,
    alpha: float = 2.0,
    tau: float = 3.0,
    seed: int = 0,
    comm: Comm = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw coefficients a and solve -div(a grad u) = 1 with u = 0 on the border of the unit square.

    a is `high` at the points where a Gaussian random field is positive or zero, and `low` elsewhere.

    Parameters
    ----------
    n_samples : int
        Number of samples of the whole set.
    grid : int
        Cells along each axis of the grid on which the equation is solved, at least 4.
    subsample : int
        Keep every `subsample`-th cell, from the first.
    low, high : float
        The two values of the coefficient.
    alpha, tau : float
        Smoothness and inverse length of the field, see `neumann_random_field`.
    seed : int
        Sample i follows from the seed and i alone.
    comm : mpi4py communicator, optional
        Shares the samples between the ranks.

    Returns
    -------
    coefficient, solution : ndarray (n_local, size, size)
        float64; the samples of this rank, in order of the ranks. size = ceil(grid / subsample).

    Raises
    ------
    InvalidValueError

    Notes
    -----
    Collective: one small message for the agreement on arguments. One sparse direct solution per sample. The coefficient
    jumps, so the solution is of first order: solve on a fine grid and keep every few cells, as the
    published sets do (421 cells).

    References
    ----------
    Z. Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations", ICLR 2021, section 5.2.

    Examples
    --------
    >>> a, u = darcy_flow(2, 32, subsample=2, seed=1)
    >>> a.shape, u.shape, sorted(set(a.ravel().tolist()))
    ((2, 16, 16), (2, 16, 16), [3.0, 12.0])
    """
    with agreed(comm, "darcy_flow") as agreement:
        require_parameters(grid, n_samples, subsample, low=low, high=high, alpha=alpha, tau=tau)
        agreement.same(n_samples=n_samples, grid=grid, subsample=subsample, low=low, high=high)
        agreement.same(alpha=alpha, tau=tau, seed=seed)
    mine = range(n_samples)[split(n_samples, comm)]
    kept = len(range(0, grid, subsample))
    coefficients, solutions = np.empty((2, len(mine), kept, kept))
    with abort_on_error(comm):
        for row, index in enumerate(progress(mine, "Darcy flow", show=rank_of(comm) == 0)):
            field = neumann_random_field(grid, sample_generator(seed, index), alpha=alpha, tau=tau)
            coefficient = np.where(field >= 0.0, high, low)
            coefficients[row] = coefficient[::subsample, ::subsample]
            solutions[row] = _solve_from_cells(coefficient)[::subsample, ::subsample]
    return coefficients, solutions


def solve_darcy(coefficient: np.ndarray, force: np.ndarray) -> np.ndarray:
    """Solve -div(a grad u) = f with u = 0 on the border, by the 5-point scheme.

    sum over the four faces of a_face (u_ij - u_neighbor) = h^2 f_ij, a_face the mean of its two nodes, h = 1/(n-1).

    Parameters
    ----------
    coefficient, force : ndarray (n, n)
        a > 0 and f at the nodes i / (n - 1), borders included; n at least 3.

    Returns
    -------
    ndarray (n, n)
        u at the nodes, float64; second order in h for a smooth coefficient.

    Raises
    ------
    ShapeError, InvalidValueError

    Examples
    --------
    >>> u = solve_darcy(np.ones((33, 33)), np.ones((33, 33)))
    >>> bool(abs(u[16, 16] - 0.0736713) < 1e-4)  # the torsion function in the middle of the unit square
    True
    """
    a, f = np.asarray(coefficient, dtype=np.float64), np.asarray(force, dtype=np.float64)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or a.shape[0] < 3 or f.shape != a.shape:
        raise ShapeError(f"coefficient {a.shape} and force {f.shape}: expected (n, n) twice with n of at least 3")
    if not (np.isfinite(f).all() and np.isfinite(a).all() and bool((a > 0.0).all())):
        raise InvalidValueError("coefficient and force must be finite, and the coefficient positive at every node")
    m = a.shape[0] - 2
    down = 0.5 * (a[1:, 1:-1] + a[:-1, 1:-1])  # (m + 1, m) faces between rows
    right = 0.5 * (a[1:-1, 1:] + a[1:-1, :-1])  # (m, m + 1)
    diagonal = down[:-1] + down[1:] + right[:, :-1] + right[:, 1:]
    across = right[:, 1:].copy()
    across[:, -1] = 0.0  # the last node of a row is no neighbor of the first of the next
    bands = [-down[1:-1].ravel(), -across.ravel()[:-1], diagonal.ravel(), -across.ravel()[:-1], -down[1:-1].ravel()]
    matrix = sparse.diags_array(bands, offsets=[-m, -1, 0, 1, m], shape=(m * m, m * m), format="csc")
    u = np.zeros_like(a)
    u[1:-1, 1:-1] = spsolve(matrix, f[1:-1, 1:-1].ravel() / (m + 1) ** 2).reshape(m, m)
    return u


def _solve_from_cells(coefficient: np.ndarray) -> np.ndarray:
    """Solve with f = 1 for a coefficient at cell centers; splines carry it to the nodes and the solution back."""
    n = len(coefficient)
    centers, nodes = (np.arange(n) + 0.5) / n, np.linspace(0.0, 1.0, n)
    degree = min(3, n - 1)
    # The spline of a jump overshoots; bounded by the values themselves the equation stays elliptic for any contrast.
    at_nodes = scipy.interpolate.RectBivariateSpline(centers, centers, coefficient, kx=degree, ky=degree)(nodes, nodes)
    at_nodes = np.clip(at_nodes, coefficient.min(), coefficient.max())
    u = solve_darcy(at_nodes, np.ones_like(at_nodes))
    solution: np.ndarray = scipy.interpolate.RectBivariateSpline(nodes, nodes, u, kx=degree, ky=degree)(
        centers, centers
    )
    return solution
