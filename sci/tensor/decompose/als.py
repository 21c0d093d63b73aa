"""Tucker and CP approximations by alternating least squares."""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, to_device
from sci.errors import InvalidValueError, ShapeError
from sci.tensor.contraction.planner import contract_all
from sci.tensor.decompose.hosvd import hosvd, leading_vectors, rhosvd
from sci.tensor.formats.cp import CP, accumulate, project
from sci.tensor.formats.modes import as_tensor, cheapest_order, mode_product, unfold
from sci.tensor.formats.tucker import Tucker

__all__ = ["cp_als", "cp_als_batch", "hooi", "sum_of_terms"]


@entry
def hooi(tensor: Array | CP, initial: Tucker | Sequence[int], *, n_sweeps: int = 3, tol: float = 1e-10) -> Tucker:
    """Improve a Tucker approximation of given ranks by alternating least squares (higher-order orthogonal iteration).

    For each axis in turn, V_l = leading left singular vectors of the unfolding of A x_{q != l} V_q^H.

    Parameters
    ----------
    tensor : array or CP
        A CP tensor is never formed in full: its unfoldings on the bases cost 2 n R r^2 flops.
    initial : Tucker or sequence of int
        A start, or Tucker ranks for which (reduced) HOSVD gives one.
    n_sweeps : int
        Most sweeps over the axes.
    tol : float
        Stop when a sweep raises the captured norm ||core|| by less than tol relative.

    Returns
    -------
    Tucker
        Orthonormal factors; the error is never above that of the start, up to rounding.

    Raises
    ------
    InvalidValueError, ShapeError

    References
    ----------
    L. De Lathauwer, B. De Moor, J. Vandewalle, SIAM J. Matrix Anal. Appl. 21 (2000) 1324, Algorithm 4.2.
    """
    if n_sweeps < 0:
        raise InvalidValueError(f"n_sweeps is {n_sweeps}; expected at least 0")
    source = tensor if isinstance(tensor, CP) else as_tensor(tensor, "tensor")
    if not isinstance(initial, Tucker):
        found = rhosvd(source, None, initial) if isinstance(source, CP) else hosvd(source, None, initial)
        initial = found
    if initial.shape != tuple(source.shape):
        raise ShapeError(f"initial has shape {initial.shape}; expected {tuple(source.shape)}, that of the tensor")
    xp = namespace(initial.core)
    bases = list(initial.orthogonalized().factors)
    core = _projected(source, bases)
    captured = float(xp.linalg.norm(core.ravel()))
    for _ in range(n_sweeps):
        for axis, rank in enumerate(initial.tucker_ranks):
            partial = _projected(source, bases, skip=axis)
            bases[axis] = leading_vectors(unfold(partial, axis), 0.0, rank, "qr", None)
        core = mode_product(partial, xp.conj(bases[-1]).T, len(bases) - 1)
        before, captured = captured, float(xp.linalg.norm(core.ravel()))
        if captured - before <= tol * captured:
            break
    return Tucker(core, tuple(bases))


def _projected(source: Array | CP, bases: Sequence[Array], skip: int | None = None) -> Array:
    """Return the tensor projected on all bases but that of axis `skip`."""
    if isinstance(source, CP):
        if skip is None:
            return project(source, bases)
        xp = namespace(source.weights)
        factors = [f if q == skip else xp.conj(v).T @ f for q, (f, v) in enumerate(zip(source.factors, bases))]
        return accumulate(source.weights, factors)
    xp = namespace(source)
    shape = [n if q == skip else v.shape[1] for q, (n, v) in enumerate(zip(source.shape, bases))]
    for axis in cheapest_order(source.shape, shape):
        if axis != skip:
            source = mode_product(source, xp.conj(bases[axis]).T, axis)
    return source


@entry
def cp_als(
    tensor: Array, cp_rank: int, *, n_sweeps: int = 500, tol: float = 1e-12, n_starts: int = 4, seed: int = 0
) -> CP:
    """Return a CP approximation of a tensor by alternating least squares; of a matrix by its singular vectors.

    For each axis in turn, its factor is the least-squares solution with the others fixed.

    Parameters
    ----------
    tensor : real array
        Of two axes or more.
    cp_rank : int
        Terms.
    n_sweeps : int
        Most sweeps over the axes.
    tol : float
        Stop when a sweep lowers the squared error by less than tol of the squared norm of the tensor.
    n_starts : int
        Starts, of which the best result is kept: leading singular vectors, then random columns.
    seed : int
        Of the random columns.

    Returns
    -------
    CP
        Terms of unit vectors, the largest weight first.

    Raises
    ------
    InvalidValueError, ShapeError

    Notes
    -----
    The best approximation of a rank may not exist: terms of opposite sign then grow without end. A ridge of 1e-12 of
    the largest entry of the normal equations bounds them. The result is a local minimum.

    References
    ----------
    T. G. Kolda, B. W. Bader, SIAM Review 51 (2009) 455, section 3.4.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.tensor import cp_als
    >>> a, b, c = np.ones(3), np.arange(4.0), np.array([1.0, -1.0])
    >>> found = cp_als(np.einsum("i,j,k->ijk", a, b, c), 1)
    >>> bool(abs(found.to_dense()[2, 3, 1] + 3) < 1e-9)
    True
    """
    tensor = as_tensor(tensor, "tensor")
    if tensor.ndim < 2 or tensor.dtype.kind == "c":
        raise ShapeError(
            f"cp_als of shape {tuple(tensor.shape)}, dtype {tensor.dtype}; expected a real tensor of 2 axes"
        )
    factors = cp_als_batch(tensor[None], cp_rank, n_sweeps=n_sweeps, tol=tol, n_starts=n_starts, seed=seed)
    xp = namespace(tensor)
    norms = [xp.linalg.norm(f[0], axis=0) for f in factors]
    weights = norms[0]
    for norm in norms[1:]:
        weights = weights * norm
    order = xp.argsort(-weights)
    units = [f[0] / xp.where(n > 0, n, 1) for f, n in zip(factors, norms)]
    return CP(weights[order], tuple(u[:, order] for u in units))


def cp_als_batch(
    tensors: Array, cp_rank: int, *, n_sweeps: int = 500, tol: float = 1e-12, n_starts: int = 4, seed: int = 0
) -> tuple[Array, ...]:
    """Return the factors (batch, n_l, cp_rank) of CP approximations of (batch, n_1, ..., n_d) tensors, see `cp_als`.

    The weight of each term is spread evenly over its vectors.

    Raises
    ------
    InvalidValueError
    """
    if cp_rank < 1 or n_sweeps < 1 or n_starts < 1 or tensors.size == 0:
        raise InvalidValueError(
            f"cp_rank={cp_rank}, n_sweeps={n_sweeps}, n_starts={n_starts} for tensors {tuple(tensors.shape)}; expected "
            "1 or more of each, and tensors with entries"
        )
    if tensors.ndim == 3:
        return _singular_vectors(tensors, cp_rank)
    # Squares of very large and very small entries would leave the range of numbers.
    xp, axes = namespace(tensors), tuple(range(1, tensors.ndim))
    largest = xp.abs(tensors).max(axis=axes, keepdims=True)
    unit = xp.where(largest > 0, largest, 1)
    root = (unit ** (1 / len(axes))).reshape(-1, 1, 1)
    return tuple(f * root for f in _best_terms(tensors / unit, cp_rank, n_sweeps, tol, n_starts, seed))


def _best_terms(tensors: Array, cp_rank: int, n_sweeps: int, tol: float, n_starts: int, seed: int) -> tuple[Array, ...]:
    """Return the factors of the best of several starts."""
    rng = np.random.default_rng(seed)
    best, least = _refined(tensors, _leading_vectors(tensors, cp_rank, rng), n_sweeps, tol)
    for _ in range(n_starts - 1):
        if bool((least <= 1e-28).all()):
            break
        factors, error = _refined(tensors, _drawn(tensors, cp_rank, rng), n_sweeps, tol)
        better = (error < least)[:, None, None]
        xp = namespace(tensors)
        best = [xp.where(better, f, g) for f, g in zip(factors, best)]
        least = xp.minimum(error, least)
    return tuple(best)


def times_others(tensors: Array, factors: Sequence[Array], axis: int) -> Array:
    """Return tensors (batch, n_1, ..., n_d) times the factors (batch, n_l, rank) of all axes but one.

    (batch, n_axis, rank). It is the gradient of <tensors, sum_of_terms(factors)> by the factor of the axis.
    """
    xp, axes = namespace(tensors, *factors), range(tensors.ndim - 1)
    others = [k for k in axes if k != axis]
    if not others:
        return xp.broadcast_to(tensors[:, :, None], factors[axis].shape).copy()
    letters = string.ascii_lowercase[1 : len(axes) + 1]
    terms = ",".join(["a" + letters, *(f"a{letters[k]}z" for k in others)])
    return contract_all(f"{terms}->a{letters[axis]}z", tensors, *(factors[k] for k in others))


def _refined(tensors: Array, factors: list[Array], n_sweeps: int, tol: float) -> tuple[list[Array], Array]:
    """Return the factors after sweeps of least squares, and the squared errors over the squared norms."""
    xp, axes, rank = namespace(tensors), tensors.ndim - 1, factors[0].shape[2]
    norm = xp.maximum((tensors.reshape(len(tensors), -1) ** 2).sum(axis=1), xp.finfo(tensors.dtype).tiny)
    before = None
    for _ in range(n_sweeps):
        for axis in range(axes):
            right = times_others(tensors, factors, axis)
            gram = xp.ones((len(tensors), rank, rank), tensors.dtype)
            for k in range(axes):
                if k != axis:
                    gram = gram * (factors[k].swapaxes(1, 2) @ factors[k])
            scale = xp.abs(gram).max(axis=(1, 2))[:, None, None]
            ridge = xp.where(scale > 0, scale, 1) * xp.eye(rank, dtype=tensors.dtype)
            gram = gram + ridge * tensors.dtype.type(max(_RIDGE, 4 * xp.finfo(tensors.dtype).eps))
            factors[axis] = xp.linalg.solve(gram, right.swapaxes(1, 2)).swapaxes(1, 2)
            _balance(factors)
        error = ((tensors - sum_of_terms(factors)).reshape(len(tensors), -1) ** 2).sum(axis=1) / norm
        if before is not None and bool((before - error <= tol).all()):
            break
        before = error
    return factors, error


_RIDGE = 1e-12


def _singular_vectors(matrices: Array, rank: int) -> tuple[Array, Array]:
    """Return the best factors of matrices, with zeros beyond their rank."""
    xp = namespace(matrices)
    u, s, v = xp.linalg.svd(matrices, full_matrices=False)
    root, kept = xp.sqrt(s)[:, None, :rank], min(rank, s.shape[1])
    left = xp.zeros((len(matrices), matrices.shape[1], rank), matrices.dtype)
    right = xp.zeros((len(matrices), matrices.shape[2], rank), matrices.dtype)
    left[:, :, :kept], right[:, :, :kept] = u[:, :, :rank] * root, v.swapaxes(1, 2)[:, :, :rank] * root
    return left, right


def _drawn(tensors: Array, rank: int, rng: np.random.Generator) -> list[Array]:
    """Return random columns for each axis."""
    xp, sizes = namespace(tensors), tensors.shape[1:]
    return [to_device(rng.normal(size=(len(tensors), n, rank)).astype(tensors.dtype), xp) for n in sizes]


def _leading_vectors(tensors: Array, rank: int, rng: np.random.Generator) -> list[Array]:
    """Return the leading singular vectors along each axis, and random columns where there are not enough."""
    xp, found = namespace(tensors), _drawn(tensors, rank, rng)
    for axis, factor in enumerate(found, 1):
        rows = xp.moveaxis(tensors, axis, 1).reshape(len(tensors), tensors.shape[axis], -1)
        vectors = xp.linalg.eigh(rows @ rows.swapaxes(1, 2))[1][:, :, ::-1][:, :, :rank]
        factor[:, :, : vectors.shape[2]] = vectors
    return found


def _balance(factors: list[Array]) -> None:
    """Give the vectors of each term one norm."""
    xp = namespace(*factors)
    norms = [xp.linalg.norm(f, axis=1, keepdims=True) for f in factors]
    mean = norms[0]
    for norm in norms[1:]:
        mean = mean * norm
    mean = mean ** (1 / len(factors))
    for k, norm in enumerate(norms):
        factors[k] = factors[k] * (mean / xp.where(norm > 0, norm, 1))


def sum_of_terms(factors: Sequence[Array]) -> Array:
    """Return the tensors (batch, n_1, ..., n_d) of factors (batch, n_l, rank)."""
    letters = string.ascii_lowercase[1 : len(factors) + 1]
    terms = ",".join(f"a{letter}z" for letter in letters)
    return contract_all(f"{terms}->a{letters}", *factors)
