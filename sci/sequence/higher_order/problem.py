"""The input of tensor attention, checked and agreed upon by all ranks, and the bound of its scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.distributed import Comm, agreed, form
from sci.errors import InvalidValueError, ShapeError
from sci.sequence.checks import (
    check_choice,
    check_dtypes,
    check_finite,
    fingerprint,
    require_sharded,
    scale_or,
    working_dtype,
)
from sci.sequence.higher_order.polynomial import polynomial_degree, polynomial_rank
from sci.sequence.tiles.attend import MAX_HEAD_DIM

__all__ = ["TensorMethod", "TensorProblem", "agreed_tensor_problem", "score_radius", "useful_degree"]

TensorMethod: TypeAlias = Literal["exact", "polynomial"]
_NAMES = ("q", "k1", "k2", "v1", "v2")


@dataclass(frozen=True)
class TensorProblem:
    """The arguments of tensor attention that all ranks share."""

    lengths: tuple[list[int], list[int], list[int]]
    """Of q, k1 and k2 on each rank."""
    norms: list[float]
    """The largest 3-norms of rows of q, k1 and k2 on all ranks."""
    scale: float
    dtype: np.dtype[Any]
    """The dtype of sums: never narrower than that of the arrays."""


def agreed_tensor_problem(
    arrays: tuple[Array, ...],
    *,
    method: TensorMethod,
    scale: float | None,
    tol: float,
    bound: float | None,
    precision: str | None,
    lengths: tuple[int, int] | None,
    comm: Comm,
) -> TensorProblem:
    """Check the arguments of `tensor_attention` on all ranks and return the problem; collective."""
    with agreed(comm, "tensor_attention") as agreement:
        _check(arrays, method, tol, bound)
        q, k1, k2, v1, v2 = arrays
        value = scale_or(scale, 1.0 / q.shape[-1])
        dtype = working_dtype(q.dtype, precision if method == "exact" else "float64")
        norms = [_norm(name, a, bound if method == "polynomial" else None) for name, a in zip(_NAMES, arrays[:3])]
        agreement.same(q=form(q, free=[-2]), method=method, scale=value, tol=tol, bound=bound, precision=dtype.name)
        agreement.same(lengths=None if lengths is None else tuple(map(int, lengths)))
        agreement.gather(*(a.shape[-2] for a in arrays[:3]), *np.array(norms).view(np.int64).tolist())
        agreement.gather(*(fingerprint(k[None], v[None], comm) for k, v in ((k1, v1), (k2, v2))))
    held, prints = agreement.table[:, :3], agreement.table[:, 6:]
    if 0 in (held[:, 1].sum(), held[:, 2].sum()):
        raise ShapeError("there are no keys of one kind on any rank; expected at least one")
    for kind in (1, 2):
        whole = None if lengths is None else int(lengths[kind - 1])
        parts = f"shard(x, comm, -2) of k{kind} and v{kind}"
        require_sharded(held[:, kind].tolist(), whole, prints[:, kind - 1], parts)
    largest: list[float] = agreement.table[:, 3:6].copy().view(np.float64).max(axis=0).tolist()
    return TensorProblem((held[:, 0].tolist(), held[:, 1].tolist(), held[:, 2].tolist()), largest, value, dtype)


def _check(arrays: tuple[Array, ...], method: Any, tol: float, bound: float | None) -> None:
    check_choice(method, ("exact", "polynomial"), "method")
    named = dict(zip(_NAMES, arrays))
    check_dtypes(named)
    shapes = [tuple(a.shape) for a in arrays]
    if not 2 <= len(shapes[0]) <= 7 or any(s[:-2] != shapes[0][:-2] or s[-1:] != shapes[0][-1:] for s in shapes):
        raise ShapeError(f"shapes {', '.join(map(str, shapes))}; expected (..., n, d) with the same d and leading axes")
    if shapes[1] != shapes[3] or shapes[2] != shapes[4] or not 1 <= shapes[0][-1] <= MAX_HEAD_DIM:
        raise ShapeError(
            f"k1, v1 have shapes {shapes[1]}, {shapes[3]}, and k2, v2 {shapes[2]}, {shapes[4]}; expected pairs of one "
            f"shape, d at most {MAX_HEAD_DIM}"
        )
    check_finite(named)
    if not 0 < tol < 1 or (bound is not None and not 0 < bound < math.inf):
        raise InvalidValueError(f"tol is {tol} and bound {bound}; expected 0 < tol < 1 and a positive bound")


def _norm(name: str, array: Array, bound: float | None) -> float:
    """Return the largest 3-norm of a row, in numbers that do not overflow; check the entries against `bound`."""
    size = namespace(array).abs(array.astype(np.float64, copy=False))
    largest = float(size.max()) if array.size else 0.0
    if bound is not None and largest > bound:
        raise InvalidValueError(f"{name} has an entry of size {largest:.6g}, beyond bound={bound:g}")
    if largest == 0.0:
        return 0.0
    size = size / largest
    return float(largest * np.cbrt(float((size * size * size).sum(axis=-1).max())))


def score_radius(norms: list[float], scale: float, width: int, bound: float | None, dtype: Any) -> float:
    """Return the bound of the scores, from the largest 3-norms of rows of q, k1 and k2 on all ranks."""
    if bound is not None:
        norms = [bound * width ** (1 / 3)] * 3
    pair = scale * norms[0] * norms[1]
    if not max(pair, pair * norms[2]) < float(np.finfo(dtype).max) / 16:
        raise InvalidValueError(
            f"scores overflow {dtype}: rows of q, k1 and k2 have 3-norms up to "
            f"{', '.join(f'{a:.3g}' for a in norms)}; scale the inputs down"
        )
    return float(pair * norms[2])


def useful_degree(radius: float, tol: float, width: int, lengths: list[int]) -> int:
    """Return the degree for the bound and tolerance, unless the polynomial would cost more than the exact method."""
    degree = polynomial_degree(radius, tol)
    rank = polynomial_rank(width, degree)
    # Flops of both, an exponential counted as 20.
    if 6 * rank * (width + 1) * sum(lengths) > (4 * width + 20) * math.prod(lengths):
        raise InvalidValueError(
            f"scores up to {radius:.3g} need a polynomial of degree {degree} with {rank} terms for tol={tol:g}, dearer "
            "than method='exact' at these lengths; use that, scale the inputs down, or a larger tol"
        )
    return degree
