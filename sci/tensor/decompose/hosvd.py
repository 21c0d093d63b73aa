"""Decompositions into the Tucker format: HOSVD, and its reduced form for CP tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, to_host
from sci.errors import InvalidValueError, ShapeError
from sci.tensor.formats.cp import CP, project
from sci.tensor.formats.modes import as_tensor, cheapest_order, mode_product, normalize_signs, unfold
from sci.tensor.formats.tucker import Tucker

__all__ = ["Method", "hosvd", "leading_vectors", "rhosvd"]

Method = Literal["auto", "gram", "qr", "randomized"]

GRAM_AUTO, GRAM_LEAST = 50.0, 5.0
"""Tolerances in units of sqrt(eps): a Gram matrix squares the singular values and loses those below sqrt(eps) ||A||.

"auto" leaves it below the first (7e-7 for float64); asked for by name it is refused below the second.
"""

STAGE_SHARE = 0.3
"""Share of the tolerance that the first stage of `rhosvd` may use; its error is orthogonal to the second's."""

COLUMN_BLOCK = 2**16


@entry
def hosvd(
    tensor: Array,
    tol: float | None = None,
    tucker_ranks: Sequence[int] | None = None,
    *,
    method: Method = "auto",
    sequential: bool = True,
    seed: int = 0,
) -> Tucker:
    """Decompose a dense tensor by the (sequentially truncated) higher-order SVD.

    Axis by axis the leading left singular vectors V_l of the unfolding are kept, with
    sum_{k >= r_l} sigma_{l,k}^2 <= tol^2 ||A||^2 / d, and the tensor is projected on them before the next axis.

    Parameters
    ----------
    tensor : (n_1, ..., n_d) real or complex, d >= 2
    tol : float, optional
        Relative tolerance on the Frobenius norm, 0 <= tol < 1.
    tucker_ranks : sequence of int, optional
        Upper bounds of the Tucker ranks; with `tol` both hold. At least one of the two is needed.
    method : "auto", "gram", "qr" or "randomized"
        How singular vectors are found. "gram" (an eigenproblem) is the fastest, for tol >= 7e-8 in float64; "qr"
        (triangular factor, then SVD) keeps every digit; "randomized" (range finder with one power step, its residual
        measured) pays where ranks are a small part of n. "auto" takes "gram" for tol >= 7e-7, else "qr".
    sequential : bool
        False takes every unfolding from the whole tensor, the classical HOSVD: dearer, often one rank more for the same
        tolerance, but the axes of a symmetric tensor keep equal ranks.
    seed : int
        Of the randomized range finder.

    Returns
    -------
    Tucker
        Orthonormal factors with a fixed sign convention. The error is at most tol ||A||: its square is the sum of the
        tails dropped (at most that sum for the classical form).

    Raises
    ------
    InvalidValueError, ShapeError

    Notes
    -----
    2 n_l prod(n) flops for the first axis by "gram", 2 to 4 times that by "qr"; later axes work on the projected
    tensor. Peak memory beside the tensor, in tensors: 1 by "gram" and 2 by "qr" where it is compressed, 3 and 4 where
    it is not, the result included.

    References
    ----------
    N. Vannieuwenhoven, R. Vandebril, K. Meerbergen, SIAM J. Sci. Comput. 34 (2012) A1027, Theorem 6.4 and sec. 6;
    L. De Lathauwer, B. De Moor, J. Vandewalle, SIAM J. Matrix Anal. Appl. 21 (2000) 1253, for the classical form.
    """
    array = original = as_tensor(tensor, "tensor")
    if array.ndim < 2:
        raise ShapeError(f"tensor has shape {tuple(array.shape)}; expected at least 2 axes")
    bounds = _as_ranks(tucker_ranks, array.shape)
    relative = _as_tol(tol, tucker_ranks)
    if method not in ("auto", "gram", "qr", "randomized"):
        raise InvalidValueError(f"method is {method!r}; expected 'auto', 'gram', 'qr' or 'randomized'")
    floor = math.sqrt(np.finfo(array.dtype).eps)
    if method == "auto":
        method = "gram" if tol is not None and tol >= GRAM_AUTO * floor else "qr"
    elif method == "gram" and tol is not None and tol < GRAM_LEAST * floor:
        raise InvalidValueError(f"method 'gram' cannot reach tol {tol} in {array.dtype}; use 'auto' or 'qr'")
    xp = namespace(array)
    budget = relative * float(xp.linalg.norm(array.ravel())) / math.sqrt(array.ndim)
    rng = xp.random.default_rng(seed) if method == "randomized" else None
    factors: list[Array] = [None] * array.ndim
    for axis in _processing_order(array.shape, bounds if tucker_ranks is not None else None):
        source = array if sequential else original
        basis = leading_vectors(unfold(source, axis), budget, bounds[axis], method, rng)
        array = mode_product(array, xp.ascontiguousarray(xp.conj(basis).T), axis)
        factors[axis] = basis
    return Tucker(array, tuple(factors))


@entry
def rhosvd(cp: CP, tol: float | None = None, tucker_ranks: Sequence[int] | None = None) -> Tucker:
    """Decompose a CP tensor by the reduced HOSVD, never forming the full tensor.

    Each side matrix is scaled, column k by the norm of term k, W_l = U_l [w_1 ... w_R], and its leading left
    singular vectors V_l are kept with sum_k ||(I - V_l V_l^T) w_k|| small; the core that the terms give on these
    bases is then decomposed by `hosvd`.

    Parameters
    ----------
    cp : CP
    tol : float, optional
        Relative tolerance on the Frobenius norm, 0 <= tol < 1.
    tucker_ranks : sequence of int, optional
        Upper bounds of the Tucker ranks.

    Returns
    -------
    Tucker
        Orthonormal factors; the error is at most tol ||A||, also where terms cancel (down to rounding of the
        terms themselves).

    Notes
    -----
    Costs 2 to 4 n^2 R flops an axis for the bases and 2 R r^3 for the core, with r a few larger than the final
    ranks. ||A|| is taken as the norm of the core, a lower bound; where terms cancel, the bases are found again for it.

    References
    ----------
    B. N. Khoromskij, V. Khoromskaia, SIAM J. Sci. Comput. 31 (2009) 3002, sec. 2.3. There columns have unit length
    and the tolerance is absolute; here columns are weighted, the bound sums over columns, and the core's own
    decomposition brings the ranks down to those of the HOSVD.
    """
    bounds = _as_ranks(tucker_ranks, cp.shape)
    relative = _as_tol(tol, tucker_ranks)
    xp = namespace(cp.weights)
    spectra = [_weighted_basis(cp, axis) for axis in range(len(cp.factors))]
    scale = float(xp.linalg.norm(cp.term_norms()))
    while True:
        budget = STAGE_SHARE * relative * scale / len(spectra)
        bases = [v[:, : max(1, int(np.count_nonzero(residual > budget)))] for v, residual in spectra]
        core = project(cp, bases)
        reached = float(xp.linalg.norm(core.ravel()))
        if reached >= scale or reached == 0.0:
            break
        scale = reached
    rest = relative * math.sqrt(1.0 - STAGE_SHARE**2)
    small = hosvd(core, rest, [min(b, n) for b, n in zip(bounds, core.shape)])
    return Tucker(small.core, tuple(v @ u for v, u in zip(bases, small.factors)))


def _as_tol(tol: float | None, tucker_ranks: Sequence[int] | None) -> float:
    if tol is None and tucker_ranks is None:
        raise InvalidValueError("neither tol nor tucker_ranks was given; expected at least one of them")
    if tol is None:
        return 0.0
    if not 0.0 <= tol < 1.0:
        raise InvalidValueError(f"tol is {tol}; expected a relative tolerance with 0 <= tol < 1")
    return float(tol)


def _as_ranks(tucker_ranks: Sequence[int] | None, shape: Sequence[int]) -> list[int]:
    if tucker_ranks is None:
        return [int(n) for n in shape]
    if len(tucker_ranks) != len(shape) or any(int(r) != r or r < 1 for r in tucker_ranks):
        raise InvalidValueError(f"tucker_ranks are {tucker_ranks}; expected {len(shape)} positive integers")
    return [min(int(r), int(n)) for r, n in zip(tucker_ranks, shape)]


def _processing_order(shape: Sequence[int], ranks: Sequence[int] | None) -> Sequence[int]:
    """Order the axes by cost: exactly where ranks are known, else short axes first."""
    if ranks is not None:
        return cheapest_order(shape, ranks)
    return sorted(range(len(shape)), key=shape.__getitem__)


def _spectrum(matrix: Array, method: str) -> tuple[Array, Array]:
    """Return left singular vectors, (n, k), and singular values, (k,) on the host, in falling order."""
    xp = namespace(matrix)
    n, columns = matrix.shape
    if method == "gram":
        eigenvalues, vectors = xp.linalg.eigh(matrix @ xp.conj(matrix).T)
        return vectors[:, ::-1], np.sqrt(np.maximum(to_host(eigenvalues)[::-1], 0.0))
    if columns > n:
        matrix = _adjoint(xp.linalg.qr(_adjoint(matrix), mode="r"))
    vectors, values, _ = xp.linalg.svd(matrix, full_matrices=False)
    return vectors, to_host(values)


def _adjoint(matrix: Array) -> Array:
    """Return the conjugate transpose; of a real matrix without a copy."""
    return (matrix if matrix.dtype.kind == "f" else matrix.conj()).T


def _tails(values: np.ndarray) -> np.ndarray:
    """Return sum_{j >= k} values_j^2 for every k; the small ones are added first."""
    return np.cumsum(values[::-1].astype(np.float64) ** 2)[::-1]


def leading_vectors(matrix: Array, budget: float, bound: int, method: str, rng: Any) -> Array:
    """Return as few leading left singular vectors as leave a tail within `budget`, at most `bound`."""
    xp = namespace(matrix)
    if method == "randomized":
        vectors, tails = _randomized_spectrum(matrix, budget, bound, rng)
    else:
        vectors, values = _spectrum(matrix, method)
        tails = _tails(values)
    rank = min(bound, max(1, int(np.count_nonzero(tails > budget**2))))
    return xp.ascontiguousarray(normalize_signs(vectors[:, :rank]))


def _randomized_spectrum(matrix: Array, budget: float, bound: int, rng: Any) -> tuple[Array, np.ndarray]:
    """Return vectors and tails by a range finder whose width doubles until its measured residual is small.

    N. Halko, P. G. Martinsson, J. A. Tropp, SIAM Rev. 53 (2011) 217, Algorithm 4.4 with q = 1 and Algorithm 5.1.
    """
    xp = namespace(matrix)
    n, columns = matrix.shape
    bounded = bound < n
    width = bound + 10 if bounded else 32
    while width < min(n, columns) // 2:
        sample = matrix @ rng.standard_normal((columns, width), dtype=np.float64).astype(matrix.dtype)
        basis, _ = xp.linalg.qr(sample)
        basis, _ = xp.linalg.qr(matrix @ (xp.conj(matrix).T @ basis))
        small = xp.conj(basis).T @ matrix
        residual = float(xp.linalg.norm((matrix - basis @ small).ravel()))
        if bounded or residual <= 0.3 * budget:
            vectors, values = _spectrum(small, "qr")
            return basis @ vectors, _tails(values) + residual**2
        width *= 2
    vectors, values = _spectrum(matrix, "qr")
    return vectors, _tails(values)


def _weighted_basis(cp: CP, axis: int) -> tuple[Array, np.ndarray]:
    """Return the left singular vectors of a weighted side matrix and, for every r, sum_k ||(I - V_r V_r^H) w_k||."""
    xp = namespace(cp.weights)
    factor = cp.factors[axis]
    scale = xp.abs(cp.weights)
    for q, other in enumerate(cp.factors):
        if q != axis:
            scale = scale * xp.linalg.norm(other, axis=0)
    weighted = factor * scale
    vectors, _ = _spectrum(weighted, "qr")
    vectors = normalize_signs(vectors)
    residual = np.zeros(vectors.shape[1])
    for start in range(0, cp.cp_rank, COLUMN_BLOCK):
        parts = xp.abs(xp.conj(vectors).T @ weighted[:, start : start + COLUMN_BLOCK]) ** 2
        residual += to_host(xp.sqrt(xp.cumsum(parts[::-1], axis=0)).sum(axis=1))[::-1]
    return vectors, residual
