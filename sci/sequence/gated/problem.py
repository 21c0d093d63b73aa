"""The input of gated linear attention, checked and agreed upon by all ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace, to_host
from sci.distributed import Comm, agreed, allgather_rows, form, rank_of
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.sequence.checks import check_choice, check_dtypes, working_dtype
from sci.sequence.linear_attention.problem import Flattened, check_shapes, check_state

__all__ = ["GatedProblem", "agreed_gated_problem", "check_gated"]


@dataclass(frozen=True)
class GatedProblem(Flattened):
    """Flat arrays of one call: b sequences of this rank's n tokens, with the factors of the state at each token."""

    q: Array
    k: Array
    v: Array
    gate: Array
    beta: Array | None
    state: Array
    method: str
    comm: Comm
    leading: tuple[int, ...]
    decay_shape: tuple[int, ...]
    dtype: Any
    state_dtype: Any
    """None where the caller passed no state."""


def agreed_gated_problem(
    q: Array,
    k: Array,
    v: Array,
    decay: Array,
    beta: Array | None,
    state: Array | None,
    segments: Array | None,
    method: str,
    comm: Comm,
    final_state: bool,
) -> GatedProblem:
    """Check the arguments on all ranks, and return the problem; collective."""
    with agreed(comm, "gated_linear_attention") as agreement:
        check_gated(q, k, v, decay, beta, state)
        check_choice(method, ("gather", "ring"), "method")
        labels = None if segments is None else _labels(segments, q.shape)
        agreement.same(q=form(q, free=[-2]), v=form(v, free=[-2]), method=method, device=is_device_array(q))
        agreement.same(decay=decay.ndim, beta=beta is not None, state=state, final_state=final_state)
        agreement.same(segments=None if labels is None else len(labels))
    work, leading, (n, d), e = working_dtype(q.dtype), tuple(q.shape[:-2]), q.shape[-2:], v.shape[-1]
    b, xp = math.prod(leading), namespace(q)
    fq, fk, fv = (xp.ascontiguousarray(a.reshape(b, n, a.shape[-1]), dtype=work) for a in (q, k, v))
    rates = None if beta is None else xp.ascontiguousarray(beta.reshape(b, n), dtype=work)
    gate = xp.exp(-decay.astype(work)).reshape(b, n, d if decay.ndim == q.ndim else 1)
    if labels is not None:
        starts = xp.asarray(np.repeat(_starts(labels, comm), b // len(labels), axis=0))
        gate = xp.where(starts[:, :, None], xp.zeros((), work), gate)
    initial = xp.zeros((b, d, e), work) if state is None else xp.ascontiguousarray(state.reshape(b, d, e), dtype=work)
    kept = None if state is None else state.dtype
    return GatedProblem(
        fq, fk, fv, xp.ascontiguousarray(gate), rates, initial, method, comm, leading, decay.shape, q.dtype, kept
    )


def check_gated(q: Array, k: Array, v: Array, decay: Array, beta: Array | None, state: Array | None) -> None:
    """Raise if the arguments of one rank do not fit.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
    """
    check_shapes(q, k, v)
    given = {"q": q, "k": k, "v": v, "decay": decay}
    check_dtypes(given if beta is None else {**given, "beta": beta})
    xp = namespace(q, decay, state)
    if decay.shape not in (q.shape[:-1], q.shape):
        raise ShapeError(f"decay has shape {decay.shape}; expected {q.shape[:-1]}, a number a token, or {q.shape}")
    if not bool((decay >= 0).all()):
        raise InvalidValueError("decay holds negative or NaN entries; expected 0 or more: the state keeps exp(-decay)")
    if beta is not None and beta.shape != q.shape[:-1]:
        raise ShapeError(f"beta has shape {beta.shape}; expected {q.shape[:-1]}, a number a token")
    if beta is not None and not bool(xp.isfinite(beta).all()):
        raise InvalidValueError("beta holds NaN or Inf; expected finite numbers, from 0 to 1 in most models")
    check_state(q, v, state)


def _labels(segments: Array, shape: tuple[int, ...]) -> np.ndarray:
    """Return the labels (rows, n) of documents, one row or one a batch entry."""
    labels, fits = to_host(segments), [(shape[-2],), (shape[0], shape[-2])][: len(shape) - 2]
    if labels.shape not in fits:
        raise ShapeError(f"segments have shape {labels.shape}; expected {' or '.join(map(str, fits))}, a label a token")
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"segments have dtype {labels.dtype}; expected integers")
    if (labels < 0).any():
        raise InvalidValueError(
            "segments hold negative labels, the padding of softmax attention; expected 0 or more: give padding a label "
            "of its own, and leave its outputs and their gradients out"
        )
    return labels[None].astype(np.int64) if labels.ndim == 1 else labels.astype(np.int64)


def _starts(labels: np.ndarray, comm: Comm) -> np.ndarray:
    """Mark tokens whose label differs from that of the token before, which may lie on an earlier rank; collective.

    Raises
    ------
    InvalidValueError
        On all ranks, where a label returns after another.
    """
    rows, n = labels.shape
    starts = np.ones((rows, n), bool)
    starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
    row, token = np.nonzero(starts)
    runs = np.stack([np.full(len(row), rank_of(comm)), row, labels[row, token]], axis=1)
    runs = allgather_rows(runs, comm)
    runs = runs[np.argsort(runs[:, 1], kind="stable")]  # by row; in it by rank and token
    new = np.ones(len(runs), bool)
    new[1:] = (runs[1:, 1:] != runs[:-1, 1:]).any(axis=1)
    if len(np.unique(runs[new, 1:], axis=0)) < int(new.sum()):
        raise InvalidValueError(
            "segments hold a label that returns after another one; expected one run of tokens for each document: its "
            "state is gone. Give the later run a label of its own, or sort tokens by document"
        )
    if n:
        starts[:, 0] = new[runs[:, 0] == rank_of(comm)][np.concatenate([[0], np.cumsum(starts.sum(axis=1))[:-1]])]
    starts[:, 0:1] &= bool((runs[:, 0] < rank_of(comm)).any())
    return starts
