"""Layers cut over tensor ranks (Megatron): linear by columns and rows, MLP, attention, vocabulary, cross-entropy.

Activations are either whole on every tensor rank, or, in the sequence form, each rank holds a run of the tokens; then
gathers and scatters take the place of f and g, and layers between them work on 1/t of the activations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.distributed import (
    Comm,
    allgather_rows,
    allreduce_max,
    allreduce_sum,
    rank_of,
    reduce_scatter_rows,
    size,
    split,
)
from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    add,
    gelu,
    linear,
    op,
    reshape,
    transpose,
    value_of,
)
from sci.nn.collectives import copy_to_ranks, sum_over_ranks

__all__ = [
    "column_linear",
    "gather_tokens",
    "parallel_attention",
    "parallel_mlp",
    "row_linear",
    "scatter_sum",
    "vocabulary_cross_entropy",
    "vocabulary_embedding",
]


def _gather_tokens_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `gather_tokens` for this rank's run."""
    axis, comm, own = residuals
    return (dout if size(comm) == 1 else _scattered(dout, axis, comm, own),)


@op(vjp=_gather_tokens_vjp)
def gather_tokens(x: Array, *, axis: int = -2, comm: Comm = None) -> tuple[Array, Any]:
    """Return all ranks' runs of tokens one after another; the gradient is summed over ranks and cut again.

    Notes
    -----
    Forward an all-gather, backward a reduce-scatter: f in the sequence form.

    References
    ----------
    Korthikanti et al. (arXiv 2205.05198), section 4.2.2.
    """
    if size(comm) == 1:
        return x, (axis, comm, x.shape[axis])
    return _gathered(x, axis, comm), (axis, comm, x.shape[axis])


def _scatter_sum_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `scatter_sum`."""
    axis, comm = residuals
    return (dout if size(comm) == 1 else _gathered(dout, axis, comm),)


@op(vjp=_scatter_sum_vjp)
def scatter_sum(x: Array, *, axis: int = -2, comm: Comm = None) -> tuple[Array, Any]:
    """Return this rank's run of the tokens of the sum over ranks; the gradient is gathered.

    Notes
    -----
    Forward a reduce-scatter, backward an all-gather: g in the sequence form. Runs are those of `split`.
    """
    if size(comm) == 1:
        return x, (axis, comm)
    part = split(x.shape[axis], comm)
    return _scattered(x, axis, comm, part.stop - part.start), (axis, comm)


def _gathered(x: Array, axis: int, comm: Comm) -> Array:
    xp = namespace(x)
    whole = allgather_rows(xp.ascontiguousarray(xp.moveaxis(x, axis, 0)), comm)
    return xp.ascontiguousarray(xp.moveaxis(whole, 0, axis))


def _scattered(x: Array, axis: int, comm: Comm, own: int) -> Array:
    xp = namespace(x)
    lengths = allgather_rows(np.array([own]), comm).tolist()
    rows = reduce_scatter_rows(xp.ascontiguousarray(xp.moveaxis(x, axis, 0)), comm, lengths)
    return xp.ascontiguousarray(xp.moveaxis(rows, 0, axis))


def column_linear(x: Any, weight: Any, bias: Any = None, *, comm: Comm = None, sequence: bool = False) -> Any:
    """Return this rank's columns of x W^T + b: `weight` and `bias` are its rows of W and b.

    Parameters
    ----------
    x : (..., n, width) array or Variable
        The same on all ranks; with `sequence` this rank's run of the tokens.
    weight : (own, width) array or Variable
        `w[split(len(w), comm)]`.
    bias : (own,) array or Variable, optional
    comm : mpi4py communicator, optional
    sequence : bool

    Returns
    -------
    (..., n, own) array or Variable
        For all tokens.

    Notes
    -----
    Forward no message (in the sequence form an all-gather), backward an all-reduce (a reduce-scatter).
    """
    x = gather_tokens(x, comm=comm) if sequence else copy_to_ranks(x, comm=comm)
    return linear(x, weight, *(() if bias is None else (bias,)))


def row_linear(x: Any, weight: Any, bias: Any = None, *, comm: Comm = None, sequence: bool = False) -> Any:
    """Return x W^T + b, where each rank has its columns of x and W: the inverse cut of `column_linear`.

    Parameters
    ----------
    x : (..., n, own) array or Variable
    weight : (width, own) array or Variable
        `w[:, split(w.shape[1], comm)]`.
    bias : (width,) array or Variable, optional
        Whole; added once, after the sum.
    comm : mpi4py communicator, optional
    sequence : bool

    Returns
    -------
    (..., n, width) array or Variable
        The same on all ranks; with `sequence` this rank's run of the tokens.

    Notes
    -----
    Forward an all-reduce (in the sequence form a reduce-scatter), backward no message (an all-gather).
    """
    out = linear(x, weight)
    if sequence:
        out = scatter_sum(out, comm=comm)
        bias = bias if bias is None else copy_to_ranks(bias, comm=comm)
    else:
        out = sum_over_ranks(out, comm=comm)
    return out if bias is None else add(out, bias)


def parallel_mlp(weights: Mapping[str, Any], x: Any, *, comm: Comm = None, sequence: bool = False) -> Any:
    """Return gelu(x A^T + a) B^T + b, with A cut by columns and B by rows.

    Parameters
    ----------
    weights : mapping
        up (own, width), up_bias (own,), down (width, own), down_bias (width,).
    x : (..., n, width) array or Variable
    comm : mpi4py communicator, optional
    sequence : bool

    Notes
    -----
    One all-reduce forward and one backward, of the activations.

    References
    ----------
    Shoeybi et al., Megatron-LM (arXiv 1909.08053), figure 3a.
    """
    hidden = column_linear(x, weights["up"], weights["up_bias"], comm=comm, sequence=sequence)
    hidden = gelu(hidden)
    return row_linear(hidden, weights["down"], weights["down_bias"], comm=comm, sequence=sequence)


def parallel_attention(
    weights: Mapping[str, Any],
    x: Any,
    attend: Callable[[Any, Any, Any], Any],
    head_dim: int,
    *,
    comm: Comm = None,
    sequence: bool = False,
) -> Any:
    """Return the attention of this rank's heads, mixed by its columns of Wo and summed over ranks.

    Parameters
    ----------
    weights : mapping
        q, k, v (own heads head_dim, width), o (width, own heads head_dim), o_bias (width,).
    x : (batch, n, width) array or Variable
    attend : callable
        Takes q, k, v (batch, own heads, n, head_dim) and returns values of that shape; it may have ranks of its own,
        over which the sequence is spread.
    head_dim : int
    comm : mpi4py communicator, optional
        Over which the heads are spread.
    sequence : bool

    Notes
    -----
    One all-reduce forward and one backward, of the activations.

    References
    ----------
    Shoeybi et al., figure 3b.
    """
    x = gather_tokens(x, comm=comm) if sequence else copy_to_ranks(x, comm=comm)

    def heads(weight: Any) -> Any:
        y = linear(x, weight)
        batch, n, own = value_of(y).shape
        y = reshape(y, shape=(batch, n, own // head_dim, head_dim))
        return transpose(y, axes=(0, 2, 1, 3))

    mixed = attend(*(heads(weights[name]) for name in "qkv"))
    batch, own, n, _ = value_of(mixed).shape
    mixed = transpose(mixed, axes=(0, 2, 1, 3))
    mixed = reshape(mixed, shape=(batch, n, own * head_dim))
    return row_linear(mixed, weights["o"], weights["o_bias"], comm=comm, sequence=sequence)


def _masked_rows_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    shape, local, inside = residuals
    xp = namespace(dout)
    gradient = xp.zeros(shape, dout.dtype)
    if local is not None:
        xp.add.at(gradient, local[inside], dout[inside])
    return gradient, None


@op(vjp=_masked_rows_vjp)
def _masked_rows(table: Array, tokens: Array, *, first: int) -> tuple[Array, Any]:
    """Return the rows of a part of a table that starts at `first`, zero for tokens outside of it."""
    xp = namespace(table, tokens)
    inside = (tokens >= first) & (tokens < first + table.shape[0])
    if table.shape[0] == 0:
        return xp.zeros((*tokens.shape, table.shape[1]), table.dtype), (table.shape, None, None)
    local = xp.where(inside, tokens - first, 0)
    return table[local] * inside[..., None].astype(table.dtype), (table.shape, local, inside)


def vocabulary_embedding(
    table: Any, tokens: Array, *, vocabulary: int, comm: Comm = None, sequence: bool = False
) -> Any:
    """Return the rows of a table of which each rank holds its part.

    Parameters
    ----------
    table : (own, width) array or Variable
        `table[split(vocabulary, comm)]`.
    tokens : (...) integer array
        The same on all ranks.
    vocabulary : int
    comm : mpi4py communicator, optional
    sequence : bool
        Return this rank's run of the tokens (axis -2) alone.

    Returns
    -------
    (..., width) array or Variable

    Raises
    ------
    InvalidValueError
        For a token outside of the vocabulary, on all ranks alike.
    ShapeError

    Notes
    -----
    Forward an all-reduce of the rows, backward no message.
    """
    part = split(vocabulary, comm)
    if value_of(table).shape[0] != part.stop - part.start:
        raise ShapeError(
            f"{value_of(table).shape[0]} rows of the table on rank {rank_of(comm)}; expected {part.stop - part.start}"
        )
    if tokens.size and not (int(tokens.min()) >= 0 and int(tokens.max()) < vocabulary):
        raise InvalidValueError(f"a token is outside of the vocabulary of {vocabulary}")
    rows = _masked_rows(table, tokens, first=part.start)
    if sequence:
        return scatter_sum(rows, comm=comm)
    return sum_over_ranks(rows, comm=comm)


def _vocabulary_cross_entropy_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    """Return the gradient of `vocabulary_cross_entropy` for this rank's columns."""
    share, place, local, total, shape = residuals
    gradient = share.copy()
    gradient[place, local] -= 1
    gradient *= dout / total
    return gradient.reshape(shape), None


@op(vjp=_vocabulary_cross_entropy_vjp)
def vocabulary_cross_entropy(
    logits: Array, labels: Array, *, vocabulary: int, total: int, comm: Comm = None
) -> tuple[Array, Any]:
    """Return the sum of -log softmax(logits)[label] over `total`, where each rank has its columns of the logits.

    Parameters
    ----------
    logits : (..., own) array
        For the vocabulary `split(vocabulary, comm)`; the work on x before them starts with f (`column_linear`).
    labels : (...) integer array
        The same on all ranks.
    vocabulary : int
    total : int
        What to divide by: all tokens of the batch, for the mean.
    comm : mpi4py communicator, optional

    Returns
    -------
    loss : scalar array
        The same on all ranks.
    residuals : object

    Notes
    -----
    Collective. Three all-reduces of one number a token: the largest logit, the sum of exponentials, the label's logit;
    none of the logits themselves. Backward no message: softmax less one-hot, column by column.
    """
    xp = namespace(logits, labels)
    first = split(vocabulary, comm).start
    rows, flat = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    smallest = np.finfo(logits.dtype).min
    top = rows.max(axis=1) if rows.shape[1] else xp.full(len(rows), smallest, rows.dtype)
    top = top if size(comm) == 1 else allreduce_max(top, comm, checked=True)
    weights = xp.exp(rows - top[:, None])
    mine = (flat >= first) & (flat < first + rows.shape[1])
    place, local = xp.arange(flat.size)[mine], (flat - first)[mine]
    sums = xp.zeros((2, flat.size), rows.dtype)
    sums[0] = weights.sum(axis=1)
    sums[1, place] = rows[place, local]
    sums = sums if size(comm) == 1 else allreduce_sum(sums, comm, checked=True)
    loss = (top + xp.log(sums[0]) - sums[1]).sum() / total
    return loss, (weights / sums[0][:, None], place, local, total, logits.shape)
