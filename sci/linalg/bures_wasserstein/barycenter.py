"""Barycenters of sets of matrices: Newton's method on a convex sum of squared distances, in a kernel for order 3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.backend import Array, ArrayLike, as_finite, namespace, to_host
from sci.distributed import Comm, abort_on_error, allreduce_max, allreduce_sum, size
from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.linalg.bures_wasserstein.displacement import FILE, norm, root_of
from sci.linalg.symmetric.eigen import SymmetricEigen, symmetric_eigen
from sci.linalg.symmetric.matrices import named, require_positive, symmetrized, transposed, units_of

__all__ = ["Barycenter", "as_weights", "barycenter_reference", "normalized", "solved_barycenters"]

_RIGHT, _OPEN = -1, -2
_TOLERANCE = 8
"""Residual, in units of rounding, at which a set ends unless told."""
_SLACK = 64
"""By how many units of rounding a step may raise the sum of squared distances."""
_STALLED = 32
"""Up to how many times the rounding of the matrices a residual that no longer falls by half counts as reached."""
_DAMPED = 0.7
"""Largest Frobenius norm of H in a step K + H K."""


@dataclass(frozen=True, eq=False, repr=False)
class Barycenter:
    """Means of sets of positive definite matrices, with their errors; `BuresWasserstein.barycenter` makes them.

    Parameters
    ----------
    mean : (..., n, n)
        Symmetric positive definite.
    residual : (...)
        Length of the gradient of half the mean squared distance, over the distance of the mean from zero: where the
        iteration ended. The length is that of the mean of the logarithms at `mean`.
    error : (...)
        Distance of `mean` from the exact barycenter over its distance from zero, as the next step of Newton's method
        estimates it. The residual can be smaller where the matrices are nearly singular.
    iterations : (...) int64
        Passes over the matrices.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import BuresWasserstein
    >>> found = BuresWasserstein().barycenter(np.array([[[1.0]], [[9.0]]]))
    >>> found, found.mean
    (Barycenter(1 mean of order 1, error 0.0e+00, iterations 1), array([[4.]]))
    """

    mean: Array
    residual: Array
    error: Array
    iterations: Array

    def __repr__(self) -> str:
        count, n = int(np.prod(self.mean.shape[:-2])), self.mean.shape[-1]
        if count == 0:
            return f"Barycenter(0 means of order {n})"
        what = f"{count} mean{'s' if count > 1 else ''} of order {n}"
        return f"Barycenter({what}, error {float(self.error.max()):.1e}, iterations {int(self.iterations.max())})"


def as_weights(weights: ArrayLike | None, sets: Array) -> Array:
    """Return weights (m, k), none below 0, not yet divided by their sum; `normalized` does.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
    """
    xp, (*batch, k) = namespace(sets), sets.shape[:-2]
    count = int(np.prod(batch))
    if weights is None:
        return xp.ones((count, k), sets.dtype)
    namespace(sets, weights)
    given = as_finite(weights, "weights", dtype=sets.dtype, xp=xp)
    if given.shape not in ((k,), (*batch, k)):
        raise ShapeError(f"weights have shape {tuple(given.shape)}; expected ({k},) or {(*batch, k)}")
    given = xp.broadcast_to(given, (*batch, k)).reshape(count, k)
    if bool((given < 0).any()):
        raise InvalidValueError("weights hold negative numbers; expected none below 0")
    return given


def normalized(weights: Array, comm: Comm) -> Array:
    """Return weights (m, k) that add up to 1 in each set over all ranks.

    Raises
    ------
    InvalidValueError
        On every rank, where all are 0.
    """
    xp = namespace(weights)
    scaled = weights / units_of(_largest(weights, comm)[:, None], 1)
    total = _total(scaled, comm)[:, None]
    if bool((total == 0).any()):
        raise InvalidValueError("weights of a set are all 0; expected at least one above 0")
    return xp.ascontiguousarray(scaled / total)


def _total(x: Array, comm: Comm) -> Array:
    """Return the sums over axis 1 and all ranks."""
    own = x.sum(axis=1)
    return own if size(comm) == 1 else allreduce_sum(own, comm, checked=True)


def _largest(x: Array, comm: Comm) -> Array:
    """Return the largest numbers over axis 1 and all ranks, of which a rank may have none; 0 where all are below."""
    own = x.max(axis=1) if x.shape[1] else namespace(x).zeros(len(x), x.dtype)
    return own if size(comm) == 1 else allreduce_max(own, comm, checked=True)


def solved_barycenters(
    x: Array,
    weights: Array,
    tol: float | None,
    maxiter: int,
    batch: tuple[int, ...],
    comm: Comm = None,
    name: str = "matrices",
) -> Barycenter:
    """Return the barycenters of sets of matrices (m, k, n, n), symmetric, with weights (m, k) that add up to 1.

    Over ranks each has a part of every set; their matrices are known to be positive definite.

    Raises
    ------
    InvalidValueError
        If a matrix is not positive definite beyond rounding.
    ConvergenceError
        If a set does not reach its tolerance.
    """
    xp, (m, k, n, _) = namespace(x), x.shape
    mean, report = xp.empty((m, n, n), x.dtype), xp.empty((m, 4), x.dtype)
    kernel = get_kernel(FILE, "barycenter", x.dtype)
    tol = tol or _TOLERANCE * float(np.finfo(x.dtype).eps)
    if m and n <= 3 and size(comm) == 1 and use_compiled(kernel, x):
        given = x if n == 3 else _padded(x)
        block = block_size(x)
        tiles = -(-m // block)
        work, whole = xp.empty((tiles, k, 10, block), x.dtype), xp.empty((m, 9), x.dtype)
        launch(kernel, tiles, given.reshape(m, k, 9), weights, work, whole, report, m, k, maxiter, tol)
        _cut(whole.reshape(m, 3, 3), mean, report)
    elif m:
        with abort_on_error(comm):
            barycenter_reference(x, weights, mean, report, maxiter, tol, comm)
    state = to_host(report[:, 3])
    _require_definite(x, state, batch, name)
    _require_converged(to_host(report), tol, maxiter, batch, name)
    residual, error, iterations = (report[:, j].reshape(batch) for j in range(3))
    return Barycenter(mean.reshape(*batch, n, n), residual, error, iterations.astype(np.int64))


def _padded(x: Array) -> Array:
    """Return matrices of order 1 or 2 as blocks of matrices of order 3, with the mean of the diagonal as the rest.

    The barycenter of matrices of equal blocks is that of the blocks.
    """
    xp, n = namespace(x), x.shape[-1]
    whole = xp.zeros((*x.shape[:2], 3, 3), x.dtype)
    whole[..., :n, :n] = x
    for j in range(n, 3):
        whole[..., j, j] = sum(x[..., i, i] / n for i in range(n))
    return whole


def _cut(whole: Array, mean: Array, report: Array) -> None:
    """Set means (m, n, n) from those of order 3, and the errors relative to them."""
    xp, n = namespace(mean), mean.shape[-1]
    mean[...] = whole[:, :n, :n]
    if n < 3:
        block, trace = (sum(whole[:, i, i] for i in range(size)) for size in (n, 3))
        # Matrices that were refused leave no mean.
        report[:, :2] *= xp.sqrt(trace / xp.where(block > 0, block, 1))[:, None]


def _require_definite(x: Array, state: np.ndarray, batch: tuple[int, ...], name: str) -> None:
    refused = np.flatnonzero(state >= 0)
    if not refused.size:
        return
    where = int(refused[0])
    index = (*(int(i) for i in np.unravel_index(where, batch)), int(state[where]))
    values = symmetric_eigen(x).values.reshape(*batch, *x.shape[1:3])
    require_positive(values, name, definite=True)
    raise InvalidValueError(
        f"{name}: {named(index)} is singular to rounding: its smallest eigenvalue is {float(values[index][0]):.6g}, "
        f"the largest {float(values[index][-1]):.6g}; expected positive definite matrices: add a multiple of the "
        "identity"
    )


def _require_converged(report: np.ndarray, tol: float, maxiter: int, batch: tuple[int, ...], name: str) -> None:
    left = np.flatnonzero(report[:, 3] == _OPEN)
    if left.size:
        where = int(left[0])
        index = tuple(int(i) for i in np.unravel_index(where, batch))
        which = f"set {index[0] if len(index) == 1 else index}" if index else "the set"
        raise ConvergenceError(
            f"barycenter: {which} of {name} has a residual of {report[where, 0]:.3g} after {maxiter} iterations; "
            f"expected {tol:.3g}, or the rounding of its matrices: give a larger maxiter or tol; matrices that are "
            "nearly singular in different directions take many"
        )


def barycenter_reference(
    x: Array, weights: Array, mean: Array, report: Array, maxiter: int, tol: float, comm: Comm = None
) -> None:
    """Compute what the kernel `barycenter` does in array calls, for matrices (m, k, n, n) of any order, over ranks.

    The kernel solves the equations of a Newton step directly; here conjugate gradients do, to a residual that falls
    with that of the iteration.
    """
    xp, eps = namespace(x), float(np.finfo(x.dtype).eps)
    eigen = symmetric_eigen(x)
    low, high = eigen.values[..., 0], abs(eigen.values).max(axis=-1)
    refused = ~(low > x.shape[-1] * eps * high)
    first = refused.argmax(axis=1) if refused.size else 0
    report[:, 3] = xp.where(refused.any(axis=1), first, _OPEN)
    values = xp.where(refused[..., None], 1, eigen.values)
    root = root_of(SymmetricEigen(values, eigen.vectors))
    sizes = norm(root)
    unit = _largest(xp.where(weights > 0, sizes, 0), comm)
    parts = weights * (sizes / unit[:, None])
    root = root / sizes[..., None, None]
    narrow = xp.sqrt((1 / values).sum(axis=-1)) * sizes
    rounding = 2 * eps * _largest(xp.where(weights > 0, narrow, 0), comm)
    limit = xp.maximum(tol, rounding)
    k = _total(parts[..., None, None] * (root @ transposed(eigen.vectors)), comm)
    fallback, least = k, xp.full(len(x), np.inf, x.dtype)
    for number in range(1, maxiter + 1):
        here = report[:, 3] == _OPEN
        if not bool(here.any()):
            break
        basis, s, _ = xp.linalg.svd(k)
        k = basis * s[..., None, :]
        passed = _Pass(root, parts, basis, s, comm)
        away = norm(passed.mean - k) / norm(s[..., None])
        h = passed.newton_step(away)
        step = basis @ (h * s[..., None, :])
        size = (s * s).sum(axis=-1)
        value = 0.5 * size - (k * passed.mean).sum(axis=(-2, -1))
        worse = value > least + _SLACK * eps * size
        stalled = (number > 1) & (away > 0.5 * report[:, 0]) & (away <= _STALLED * rounding)
        report[:, 0] = xp.where(here, away, report[:, 0])
        report[:, 1] = xp.where(here, norm(step) / xp.sqrt(size), report[:, 1])
        report[:, 2] = xp.where(here, number, report[:, 2])
        report[:, 3] = xp.where(here & ~worse & ((away <= limit) | stalled), _RIGHT, report[:, 3])
        length = norm(h)
        damping = xp.where(length > _DAMPED, _DAMPED / xp.where(length > 0, length, 1), 1)
        moved = xp.where(worse[:, None, None], fallback, k + damping[:, None, None] * step)
        fallback, least = passed.mean, xp.where(worse, np.inf, value)
        k = xp.where((report[:, 3] == _OPEN)[:, None, None], moved, k)
    mean[...] = symmetrized(k @ transposed(k)) * (unit * unit)[:, None, None]


class _Pass:
    """Factors (m, k, n, n) aligned with K = U diag(s), their weighted mean, and the Hessian at K.

    The Hessian is that of half the sum of squared distances along G + H G + G H, G = K K', as a function of the
    symmetric y_ij = (U' H U)_ij sqrt((s_i^2 + s_j^2) / 2), whose norm is the length of the step.
    """

    def __init__(self, root: Array, parts: Array, basis: Array, s: Array, comm: Comm) -> None:
        xp, self._comm = namespace(root), comm
        # Rows of the factors in the basis U.
        root = transposed(basis)[:, None] @ root
        left, self._stretch, right = xp.linalg.svd(transposed(root) * s[:, None, None, :])
        self._axes, self._parts, self._s, self._basis = transposed(right), parts, s, basis
        self._aligned = root @ (left @ right)
        self._mean = _total(parts[..., None, None] * self._aligned, comm)
        squares = s * s
        self._scale = xp.sqrt((squares[..., :, None] + squares[..., None, :]) / 2)
        self._map = symmetrized(self._mean / s[..., None, :])
        self._gaps = self._stretch[..., :, None] + self._stretch[..., None, :]

    @property
    def mean(self) -> Array:
        """The mean of the aligned factors."""
        return self._basis @ self._mean

    def hessian(self, y: Array) -> Array:
        """Return the product of the Hessian with y."""
        h = y / self._scale
        step = (h * self._s[..., None, :])[:, None]
        turned = transposed(self._aligned) @ step
        skew = transposed(self._axes) @ (turned - transposed(turned)) @ self._axes / self._gaps
        skew = self._axes @ skew @ transposed(self._axes)
        turn = _total(self._parts[..., None, None] * (self._aligned @ skew), self._comm)
        both = self._map @ h * (self._s * self._s)[..., None, :]
        return symmetrized(both - turn * self._s[..., None, :]) / self._scale

    def newton_step(self, residual: Array) -> Array:
        """Return H in the basis U, by conjugate gradients."""
        xp, n = namespace(residual), self._s.shape[-1]
        identity = xp.eye(n, dtype=self._s.dtype)
        slope = (self._mean - identity * self._s[..., None, :]) * self._s[..., None, :]
        r = symmetrized(slope) / self._scale
        y, p, rr = xp.zeros_like(r), r, _dot(r, r)
        target = rr * xp.minimum(0.1, residual) ** 2
        for _ in range(n * (n + 1) // 2 + 4):
            going = rr > target
            if not bool(going.any()):
                break
            q = self.hessian(p)
            curvature = _dot(p, q)
            going &= curvature > 0
            alpha = xp.where(going, rr / xp.where(going, curvature, 1), 0)
            y = y + alpha[:, None, None] * p
            r = r - alpha[:, None, None] * q
            new = _dot(r, r)
            p = r + xp.where(going, new / xp.where(rr > 0, rr, 1), 0)[:, None, None] * p
            rr = xp.where(going, new, 0)
        return y / self._scale


def _dot(a: Array, b: Array) -> Array:
    return (a * b).sum(axis=(-2, -1))
