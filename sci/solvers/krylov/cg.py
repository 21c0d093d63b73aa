"""Preconditioned conjugate gradients, with the names and arguments of `scipy.sparse.linalg.cg`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array, as_finite, namespace
from sci.errors import ConvergenceError, DTypeError, InvalidValueError, ShapeError
from sci.solvers.krylov.pipelined import is_padded_cycle, iterate, positive, serial_space
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["SolveResult", "cg"]

Apply: TypeAlias = Callable[[Array], Array]
CONSISTENT = 1e-8
"""A right-hand side of a singular system may sum to this, relative to the sum of its absolute values."""
RESTARTS = 3


@dataclass(frozen=True)
class SolveResult:
    """What an iterative solver found.

    Parameters
    ----------
    x : array
        The solution, of the shape of b.
    iterations : int
    residual_norms : (iterations + 1,) array
        2-norm of b - A x at the start and after each iteration. Where `converged`, the last one was recomputed from x.
    converged : bool
    seconds : float
        Wall-clock time of the solve, setup not included.
    """

    x: Array
    iterations: int
    residual_norms: np.ndarray
    converged: bool
    seconds: float


def cg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Array], object] | None = None,
) -> SolveResult:
    """Solve A x = b for a symmetric positive (semi-)definite A by preconditioned conjugate gradients.

    Stops when ||b - A x|| <= max(rtol ||b||, atol). The recursive residual is checked against b - A x before the result
    is called converged; where the two differ, the iteration restarts from x.

    Parameters
    ----------
    A : PoissonOperator, sparse matrix, (n, n) array, or anything with `matvec`, `@` or a call
    b : (n,) or (n, 1) array, or a grid array for a PoissonOperator
        Right-hand side; on the device of A.
    x0 : array, optional
        Start, of the shape of b; 0 by default.
    rtol, atol : float
    maxiter : int, optional
        10 n by default. A solve that ends there returns with `converged` false.
    M : optional
        Approximate inverse of A, symmetric and positive definite: anything that A may be, or a function of a vector.
        One that has `takes_grids` gets grid arrays where b is one; any other gets flat arrays.
    callback : callable, optional
        Called with x after each iteration.

    Returns
    -------
    SolveResult

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        For arguments that do not fit, and NaN or Inf in b or x0.
    ConvergenceError
        If A or M turns out not to be positive definite, if NaN appears, and if A is a singular PoissonOperator and b
        has a part in its kernel.

    Notes
    -----
    One product with A and one with M an iteration, and one more with A at the end, or with a float32 cycle, whose
    residual is float32, three in a solve to 1e-8. Memory: four vectors. In a singular PoissonOperator the part of the
    kernel is removed from b and x.

    References
    ----------
    Hestenes and Stiefel, J. Res. Natl. Bur. Stand. 49, 409 (1952).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import PoissonOperator, cg
    >>> A = PoissonOperator(np.ones((4, 4), dtype=bool))
    >>> result = cg(A, np.ones((4, 4)), rtol=1e-10)
    >>> result.converged, result.iterations
    (True, 3)
    """
    started = time.perf_counter()
    right = as_vector(b, "b")
    xp = namespace(right)
    apply_a = applier(A, "A", right)
    apply_m = _preconditioner(M, A, right)
    maxiter = _checked_limits(rtol, atol, maxiter, right.size)
    start = None if x0 is None else as_vector(x0, "x0")
    if start is not None and start.shape != right.shape:
        raise ShapeError(f"x0 has shape {tuple(start.shape)}; expected that of b, {tuple(right.shape)}")
    project = _projection(A, right)
    right, start = project(right), None if start is None else project(start)
    size = norm(right)
    target = max(rtol * size, atol)
    if isinstance(A, PoissonOperator) and (M is None or (is_padded_cycle(M) and getattr(M, "A", None) is A)):
        x, norms = _on_padded(A, right, start, M, size, target, maxiter, callback)
    else:
        x = xp.zeros_like(right) if start is None else start.copy()
        namespace(x, right)
        norms = _iterate(apply_a, apply_m, project, right, x, target, maxiter, callback)
    return SolveResult(project(x), len(norms) - 1, np.array(norms), norms[-1] <= target, time.perf_counter() - started)


def _on_padded(
    A: PoissonOperator,
    right: Array,
    x0: Array | None,
    M: Any,
    size: float,
    target: float,
    maxiter: int,
    callback: Callable[[Array], object] | None,
) -> tuple[Array, list[float]]:
    """Run the iteration on padded arrays, where the vector work is fused with the stencil."""
    flat = tuple(right.shape) != A.grid_shape
    namespace(right, A.mask, *(() if x0 is None else (x0,)))
    b = (A.scatter(right) if flat else right).reshape(A.layout.lengths)
    x = A.layout.zeros(A.xp, np.float64)
    if x0 is not None:
        A.layout.cells(x)[...] = A.scatter(x0) if flat else x0

    def answer(padded: Array) -> Array:
        cells = A.layout.cells(padded)
        return A.gather(cells).reshape(right.shape) if flat else cells.copy()

    space = serial_space(A.stencil, A.project_padded if A.singular else None)
    seen = None if callback is None else lambda padded: callback(answer(padded))
    norms = iterate(space, b, x, M, size, target, maxiter, seen, from_zero=x0 is None)
    return answer(x) if flat else A.layout.unpadded(x), norms


def _iterate(
    apply_a: Apply,
    apply_m: Apply | None,
    project: Apply,
    right: Array,
    x: Array,
    target: float,
    maxiter: int,
    callback: Callable[[Array], object] | None,
) -> list[float]:
    """Run the iteration on x in place; return the norms of the residual."""
    residual = right - apply_a(x)
    norms = [norm(residual)]
    restarts, direction, rho = 0, None, 0.0
    while len(norms) <= maxiter or norms[-1] <= target:
        if norms[-1] <= target:
            residual = right - apply_a(x) if len(norms) > 1 else residual
            norms[-1] = norm(residual)
            if norms[-1] <= target or restarts == RESTARTS or len(norms) > maxiter:
                break
            restarts, direction = restarts + 1, None
        z = residual if apply_m is None else project(apply_m(residual))
        rho, previous = positive(inner(residual, z), "M", "r", len(norms)), rho
        direction = z.astype(residual.dtype, copy=True) if direction is None else z + (rho / previous) * direction
        product = apply_a(direction)
        step = rho / positive(inner(direction, product), "A", "p", len(norms))
        x += step * direction
        residual -= step * product
        norms.append(norm(residual))
        if callback is not None:
            callback(x)
    return norms


def inner(a: Array, b: Array) -> float:
    """Return the sum of products of the entries of two arrays of one shape, in double precision."""
    xp = namespace(a, b)
    return float(xp.dot(a.reshape(-1), b.reshape(-1).astype(a.dtype, copy=False)))


def norm(a: Array) -> float:
    """Return the 2-norm of the entries of an array."""
    return sqrt(inner(a, a))


def as_vector(value: Any, name: str) -> Array:
    """Return a finite float64 array; integers and float32 are converted.

    Raises
    ------
    DTypeError, InvalidValueError
    """
    if getattr(value, "ndim", None) == 0:
        raise ShapeError(f"{name} is a single number; expected a vector or a grid")
    result: Array = as_finite(value, name)
    return result


def applier(A: Any, name: str, like: Array) -> Apply:
    """Return the product with `A`, checked to fit vectors of the shape of `like`.

    Raises
    ------
    ShapeError, DTypeError
    """
    if isinstance(A, PoissonOperator):
        if tuple(like.shape) not in (A.grid_shape, (A.size,), (A.size, 1)):
            raise ShapeError(f"b has shape {tuple(like.shape)}; expected the grid {A.grid_shape} or ({A.size},)")
        namespace(like, A.mask)
        return A.matvec
    shape, dtype = getattr(A, "shape", None), getattr(A, "dtype", None)
    if shape is not None and (len(shape) != 2 or shape[0] != shape[1]):
        raise ShapeError(f"{name} has shape {tuple(shape)}; expected a square matrix")
    if shape is not None and tuple(like.shape) not in ((shape[0],), (shape[0], 1)):
        raise ShapeError(f"b has shape {tuple(like.shape)}; expected ({shape[0]},), as {name} has {shape[0]} rows")
    if dtype is not None and np.dtype(dtype).kind not in "biuf":
        raise DTypeError(f"{name} has dtype {dtype}; expected real numbers")
    for product in (getattr(A, "matvec", None), getattr(A, "__matmul__", None) and (lambda v: A @ v), A):
        if callable(product):
            return _checked_product(product, name, like)
    raise DTypeError(f"{name} is a {type(A).__name__}; expected a matrix, an operator with matvec or @, or a function")


def _checked_product(product: Apply, name: str, like: Array) -> Apply:
    shape = like.shape

    def apply(v: Array) -> Array:
        result = product(v)
        namespace(result, v)
        if result.shape != shape and result.size != like.size:
            raise ShapeError(f"{name} turned shape {tuple(shape)} into {tuple(result.shape)}; expected the same shape")
        return result.reshape(shape)

    return apply


def _preconditioner(M: Any, A: Any, like: Array) -> Apply | None:
    if M is None:
        return None
    on_grid = isinstance(A, PoissonOperator) and tuple(like.shape) == A.grid_shape
    if not on_grid:
        return applier(M, "M", like)
    if getattr(M, "takes_grids", False):
        return _checked_product(getattr(M, "matvec", M), "M", like)
    flat = applier(M, "M", A.gather(like))
    return lambda r: A.scatter(flat(A.gather(r)))


def _checked_limits(rtol: float, atol: float, maxiter: int | None, n: int) -> int:
    if not (0 <= rtol < float("inf") and 0 <= atol < float("inf")):
        raise InvalidValueError(f"rtol is {rtol} and atol {atol}; expected numbers that are not negative")
    if maxiter is not None and (int(maxiter) != maxiter or maxiter < 0):
        raise InvalidValueError(f"maxiter is {maxiter}; expected a whole number that is not negative, or None")
    return 10 * n if maxiter is None else int(maxiter)


def _projection(A: Any, right: Array) -> Apply:
    """Return what removes the kernel of A from a vector; check that b has no part in it."""
    if not isinstance(A, PoissonOperator):
        return lambda v: v
    if tuple(right.shape) == A.grid_shape:
        outside = right[~A.mask]
        if bool(outside.any()):
            raise InvalidValueError(
                f"b is not zero outside of the fluid (norm {norm(outside):.3g}); multiply it by the mask"
            )
    if not A.singular:
        return lambda v: v
    part = A.inconsistency(right)
    if part > CONSISTENT:
        raise inconsistent(part)
    return A.project


def inconsistent(part: float) -> ConvergenceError:
    """Return the error of a singular system whose right-hand side has a part in the kernel."""
    return ConvergenceError(
        f"the system is singular and b sums to {part:.3g} of its absolute sum over a closed part of the fluid; "
        "expected zero: use A.project(b), or open the domain by a Dirichlet wall"
    )
