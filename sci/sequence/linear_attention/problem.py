"""The input of lightning attention, checked and agreed upon by all ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.distributed import Comm, agreed, form
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.sequence.checks import check_choice, check_dtypes, working_dtype

__all__ = [
    "Flattened",
    "LightningMethod",
    "LinearProblem",
    "agreed_linear_problem",
    "check_linear",
    "check_shapes",
    "check_state",
]

LightningMethod: TypeAlias = Literal["gather", "ring"]


class Flattened:
    """Arrays of one call whose leading axes are one, and back."""

    leading: tuple[int, ...]

    def flat(self, array: Array | None, like: Array) -> Array:
        """Return a checked gradient in the shape and dtype of `like`, zeros for None."""
        xp = namespace(like)
        return xp.zeros_like(like) if array is None else xp.ascontiguousarray(array.reshape(like.shape), like.dtype)

    def unflatten(self, array: Array) -> Array:
        """Return (b, ...) with the leading axes of the arguments."""
        return array.reshape(*self.leading, *array.shape[1:])

    def shape_of(self, flat: Array) -> tuple[int, ...]:
        """Return the shape that an argument of the shape of one of these arrays has for the caller."""
        return (*self.leading, *flat.shape[1:])


@dataclass(frozen=True)
class LinearProblem(Flattened):
    """Flat arrays of one call: b sequences of this rank's n tokens, and the arguments that all ranks share."""

    q: Array
    k: Array
    v: Array
    decay: Array
    state: Array
    lengths: np.ndarray
    method: LightningMethod
    comm: Comm
    leading: tuple[int, ...]
    dtypes: tuple[Any, Any]
    """Dtypes of q, and of decay."""
    given: bool
    """Whether the caller passed a state."""


def agreed_linear_problem(
    q: Array,
    k: Array,
    v: Array,
    decay: Array,
    state: Array | None,
    method: LightningMethod,
    comm: Comm,
    **choices: bool,
) -> LinearProblem:
    """Check the arguments on all ranks, `choices` of the caller among them, and return the problem; collective."""
    with agreed(comm, "lightning_attention") as agreement:
        check_linear(q, k, v, decay, state)
        check_choice(method, ("gather", "ring"), "method")
        agreement.same(q=form(q, free=[-2]), v=form(v, free=[-2]), method=method, device=is_device_array(q))
        agreement.same(decay=decay, state=state, **choices)
        agreement.gather(q.shape[-2])
    work = working_dtype(q.dtype)
    leading, (n, d), e = tuple(q.shape[:-2]), q.shape[-2:], v.shape[-1]
    b, xp = math.prod(leading), namespace(q)
    fq, fk, fv = (xp.ascontiguousarray(a.reshape(b, n, a.shape[-1]), dtype=work) for a in (q, k, v))
    initial = xp.zeros((b, d, e), work) if state is None else xp.ascontiguousarray(state.reshape(b, d, e), dtype=work)
    slopes = xp.ascontiguousarray(decay.astype(work, copy=False))
    lengths, dtypes = agreement.table[:, 0], (q.dtype, decay.dtype if decay.dtype.kind == "f" else slopes.dtype)
    return LinearProblem(fq, fk, fv, slopes, initial, lengths, method, comm, leading, dtypes, state is not None)


def check_linear(q: Array, k: Array, v: Array, decay: Array, state: Array | None) -> None:
    """Raise if the arguments of one rank do not fit.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
    """
    check_shapes(q, k, v)
    check_dtypes({"q": q, "k": k, "v": v})
    xp = namespace(q, decay, state)
    if decay.shape != (q.shape[-3],):
        raise ShapeError(f"decay has shape {decay.shape}; expected ({q.shape[-3]},), one number per head")
    if decay.dtype.kind not in "iuf":
        raise DTypeError(f"decay has dtype {decay.dtype}; expected real numbers")
    if not bool((decay >= 0).all()) or not bool(xp.isfinite(decay).all()):
        raise InvalidValueError("decay holds negative, infinite or NaN entries; expected 0 or more: lam = exp(-decay)")
    check_state(q, v, state)


def check_shapes(q: Array, k: Array, v: Array) -> None:
    """Raise ShapeError unless queries, keys and values are of one length and number of heads."""
    if q.ndim not in (3, 4) or k.shape != q.shape or v.shape[:-1] != q.shape[:-1] or 0 in (q.shape[-1], v.shape[-1]):
        raise ShapeError(
            f"q, k, v have shapes {q.shape}, {k.shape}, {v.shape}; expected (heads, n, d), (heads, n, d), "
            "(heads, n, e), or these with a leading batch"
        )


def check_state(q: Array, v: Array, state: Array | None) -> None:
    """Raise ShapeError unless a state, if any, has a number for each feature of keys and of values."""
    expected = (*q.shape[:-2], q.shape[-1], v.shape[-1])
    if state is not None and state.shape != expected:
        raise ShapeError(f"state has shape {state.shape}; expected {expected}, (..., heads, d, e)")
