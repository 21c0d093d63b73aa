"""Vectors of conjugate gradients on the caller's arrays, for any linear operator."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array, as_finite, namespace, to_device
from sci.distributed import allreduce_max, allreduce_sum
from sci.distributed.communicators import Comm
from sci.errors import DTypeError, InvalidValueError, ShapeError, with_article
from sci.linalg.lanczos import power_of_two
from sci.solvers.krylov.guard import Guard
from sci.solvers.krylov.protocols import LinearOperator, PaddedOperator

__all__ = ["ArrayVectors", "applier", "as_vector", "inner", "norm", "rounding_of", "size_of_entries", "total_norm"]

Apply: TypeAlias = Callable[[Array], Array]


def inner(a: Array, b: Array) -> float:
    """Return the sum of products of the entries of two arrays of one shape, in double precision."""
    xp = namespace(a, b)
    return float(xp.dot(a.reshape(-1), b.reshape(-1).astype(a.dtype, copy=False)))


def norm(a: Array) -> float:
    """Return the 2-norm of the entries of an array."""
    return sqrt(inner(a, a))


def rounding_of(x: Array) -> Array:
    """Return x times eps and random numbers of variance 1: a change of the size of its rounding."""
    random = np.random.default_rng(0).normal(size=x.shape)
    change: Array = x * to_device((random * np.finfo(x.dtype).eps).astype(x.dtype), namespace(x))
    return change


def size_of_entries(a: Array, comm: Comm = None) -> float:
    """Return the largest absolute value over the ranks; collective."""
    largest = max(float(a.max()), -float(a.min())) if a.size else 0.0
    return largest if comm is None else float(allreduce_max(np.array([largest]), comm, checked=True)[0])


def total_norm(a: Array, unit: float, comm: Comm = None) -> float:
    """Return the 2-norm over the ranks of an array whose entries are near `unit`, without overflow; collective.

    Raises
    ------
    InvalidValueError
        On every rank, if the norm itself overflows.
    """
    with np.errstate(over="ignore", under="ignore"):
        square = inner(a, a) if 1e-100 < unit < 1e100 else inner(a / unit, a / unit) * 1.0
    if comm is not None:
        square = float(allreduce_sum(np.array([square]), comm, checked=True)[0])
    result = sqrt(square) if 1e-100 < unit < 1e100 else sqrt(square) * unit
    if not np.isfinite(result):
        raise InvalidValueError("the norm of b overflows; scale b down")
    return result


def as_vector(value: Any, name: str) -> Array:
    """Return a finite float64 array; integers and float32 are converted.

    Raises
    ------
    DTypeError, InvalidValueError, ShapeError
    """
    if getattr(value, "ndim", None) == 0:
        raise ShapeError(f"{name} is a single number; expected a vector or a grid")
    result: Array = as_finite(value, name)
    return result


def applier(A: Any, name: str, like: Array) -> Apply:
    """Return a function that applies A, and checks the shape of what it gives.

    Parameters
    ----------
    A : LinearOperator, matrix, sparse matrix, or function of a vector
    name : str
        "A" or "M", for messages.
    like : array
        A vector.

    Raises
    ------
    ShapeError, DTypeError
    """
    if isinstance(A, PaddedOperator):
        A.check_shape(like, "b")
        return A.matvec
    shape, dtype = getattr(A, "shape", None), getattr(A, "dtype", None)
    if shape is not None and (len(shape) != 2 or shape[0] != shape[1]):
        raise ShapeError(f"{name} has shape {tuple(shape)}; expected a square matrix")
    if shape is not None and tuple(like.shape) not in ((shape[0],), (shape[0], 1)):
        raise ShapeError(f"b has shape {tuple(like.shape)}; expected ({shape[0]},), as {name} has {shape[0]} rows")
    if dtype is not None and np.dtype(dtype).kind not in "biuf":
        raise DTypeError(f"{name} has dtype {dtype}; expected real numbers")
    if isinstance(A, LinearOperator):
        return _checked(lambda v: A.matvec(v.reshape(-1)), name, like)  # SciPy takes no columns from 1.20 on
    if hasattr(A, "__matmul__"):
        return _checked(lambda v: A @ v, name, like)
    if callable(A):
        return _checked(A, name, like)
    raise DTypeError(
        f"{name} is {with_article(type(A).__name__)}; expected a matrix, an operator with matvec or @, or a function"
    )


def _checked(product: Apply, name: str, like: Array) -> Apply:
    shape = like.shape

    def apply(v: Array) -> Array:
        result = product(v)
        namespace(result, v)
        if result.shape != shape and result.size != like.size:
            raise ShapeError(f"{name} turned shape {tuple(shape)} into {tuple(result.shape)}; expected the same shape")
        return result.reshape(shape)

    return apply


class ArrayVectors:
    """The vectors of one solve with any linear operator.

    All are in float64 and divided by a power of two near the entries of b, so that their products neither overflow nor
    vanish.

    Parameters
    ----------
    apply_a : callable
    apply_m : callable or None
    b : array
    x0 : array or None
    guard : Guard
    seen : callable, optional
        Called with x after each step.
    """

    eps = float(np.finfo(np.float64).eps)

    def __init__(
        self,
        apply_a: Apply,
        apply_m: Apply | None,
        b: Array,
        x0: Array | None,
        guard: Guard,
        seen: Callable[[Array], object] | None = None,
    ) -> None:
        self._apply_a, self._apply_m, self._guard, self._seen = apply_a, apply_m, guard, seen
        self.unit = power_of_two(size_of_entries(b, guard.comm))
        self.b_norm = total_norm(b, self.unit, guard.comm)
        self.b = b / self.unit
        self._from_zero = x0 is None
        self._x = namespace(b).zeros_like(self.b) if x0 is None else x0 / self.unit
        namespace(self._x, self.b)
        self.r, self.z, self.p, self.Ap = self.b, self.b, self.b, self.b

    @property
    def x(self) -> Array:
        """The solution."""
        return self._x * self.unit

    def _inner(self, a: Array, b: Array) -> float:
        own, comm = self._guard.part(inner(a, b)), self._guard.comm
        return own if comm is None else float(allreduce_sum(np.array([own]), comm, checked=True)[0])

    def _norm(self) -> float:
        return sqrt(self._inner(self.r, self.r)) * self.unit

    def start(self) -> float:
        """Set the residual of the start; return its norm."""
        if not self._from_zero:
            return self.replace()
        self.r = self.b.copy()
        return self.b_norm

    def replace(self) -> float:
        """Recompute the residual from x; return its norm."""
        self.r = self.b - self._guard.call(lambda: self._apply_a(self._x), self.b)
        return self._norm()

    def rounding(self) -> float:
        """Return the norm of what random relative changes of x by eps make of b - A x."""
        change = rounding_of(self._x)
        changed = self._guard.call(lambda: self._apply_a(change), change)
        return sqrt(self._inner(changed, changed)) * self.unit

    def precondition(self, norm: float) -> float:
        """Set z = M r; return r'z."""
        self.z = self.r
        if self._apply_m is not None:
            apply = self._apply_m
            self.z = self._guard.call(lambda: apply(self.r), self.r)
        return self._inner(self.r, self.z)

    def conjugate(self, rho: float, last: tuple[float, float] | None) -> tuple[float, float]:
        """Set p = z + beta p; return beta and p'A p."""
        beta = 0.0 if last is None else rho / last[0]
        self.p = self.z.astype(self.b.dtype, copy=True) if last is None else self.z + beta * self.p
        self.Ap = self._guard.call(lambda: self._apply_a(self.p), self.p)
        return beta, self._inner(self.p, self.Ap)

    def step(self, beta: float, length: float, soon: bool, last: bool) -> tuple[float, bool]:
        """Move x and the residual along p; return the norm, which is not exact."""
        self._x += length * self.p
        self.r -= length * self.Ap
        return self._norm(), False

    def show(self) -> None:
        """Call the callback with x."""
        if self._seen is not None:
            seen = self._seen
            self._guard.call(lambda: seen(self.x), None)

    def settle(self) -> None:
        """Leave x as it is: it is complete after each step."""
