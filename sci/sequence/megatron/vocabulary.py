"""Embedding and cross-entropy of a vocabulary that is cut over tensor ranks (Megatron)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, namespace
from sci.distributed import Comm, agreed, allreduce_max, allreduce_sum, form, rank_of, size, split
from sci.errors import InvalidValueError, ShapeError
from sci.nn import op, scatter_sum, sum_over_ranks, value_of
from sci.sequence.checks import kept_labels

__all__ = ["vocabulary_cross_entropy", "vocabulary_embedding"]


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


@collective_entry
def vocabulary_embedding(
    table: Array, tokens: Array, *, vocabulary: int, comm: Comm = None, sequence: bool = False
) -> Any:
    """Return rows of a table that is cut over the ranks.

    Parameters
    ----------
    table : (own, width) array or Variable
        `table[split(vocabulary, comm)]`.
    tokens : (...) integer array
        The same on all ranks.
    vocabulary : int
        Words of all ranks together.
    comm : mpi4py communicator, optional
    sequence : bool
        Return this rank's run of the tokens (axis -2) alone.

    Returns
    -------
    (..., width) array or Variable

    Raises
    ------
    InvalidValueError
        On every rank: for a token outside of the vocabulary, or tokens that differ between ranks.
    ShapeError

    Notes
    -----
    Forward an all-reduce of the rows, backward no message.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import vocabulary_embedding
    >>> vocabulary_embedding(np.eye(3), np.array([[2, 0]]), vocabulary=3)
    array([[[0., 0., 1.],
            [1., 0., 0.]]])
    """
    with agreed(comm, "vocabulary_embedding") as agreement:
        part = split(vocabulary, comm)
        rows = value_of(table).shape[0]
        if rows != part.stop - part.start:
            raise ShapeError(f"{rows} rows of the table on rank {rank_of(comm)}; expected {part.stop - part.start}")
        if tokens.size and not (int(tokens.min()) >= 0 and int(tokens.max()) < vocabulary):
            raise InvalidValueError(
                f"a token is outside of the vocabulary of {vocabulary}; expected 0 to {vocabulary - 1}"
            )
        agreement.same(tokens=tokens, vocabulary=vocabulary, sequence=sequence, table=form(value_of(table), free=[0]))
    own = _masked_rows(table, tokens, first=part.start)
    return scatter_sum(own, comm=comm) if sequence else sum_over_ranks(own, comm=comm)


def _vocabulary_cross_entropy_vjp(dout: Array, residuals: Any) -> tuple[Array, None]:
    """Return the gradient of `vocabulary_cross_entropy` for this rank's columns."""
    share, place, local, kept, total, shape = residuals
    gradient = share.copy()
    gradient[place, local] -= 1
    gradient *= dout / total
    if kept is not None:
        gradient *= kept[:, None]
    return gradient.reshape(shape), None


@op(vjp=_vocabulary_cross_entropy_vjp, collective=True)
def vocabulary_cross_entropy(
    logits: Array,
    labels: Array,
    *,
    vocabulary: int,
    total: int,
    ignore_index: int | None = None,
    comm: Comm = None,
) -> tuple[Array, Any]:
    """Return the sum of -log softmax(logits)[label] over `total`, where each rank has its columns of the logits.

    Parameters
    ----------
    logits : (..., own) array
        For the vocabulary `split(vocabulary, comm)`; the work on x before them starts with f (`column_linear`).
    labels : (...) integer array
        From 0 to `vocabulary` - 1, or `ignore_index`; the same on all ranks.
    vocabulary : int
        Words of all ranks together.
    total : int
        What to divide by: for the mean, the labels of the batch that are not ignored.
    ignore_index : int, optional
        Tokens of this label take no part in the loss: padding.
    comm : mpi4py communicator, optional

    Returns
    -------
    scalar array
        The loss, the same on all ranks.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        On every rank: for any other label, -1 and -100 among them, and for labels that differ between ranks.

    Notes
    -----
    Collective. Three all-reduces of one number per token: the largest logit, the sum of exponentials, the label's
    logit; none of the logits themselves. Backward no message: softmax less one-hot, column by column.

    References
    ----------
    Shoeybi et al., Megatron-LM (arXiv 1909.08053), section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import vocabulary_cross_entropy
    >>> labels = np.array([0, 3, -1])
    >>> float(vocabulary_cross_entropy(np.zeros((3, 4)), labels, vocabulary=4, total=2, ignore_index=-1).round(6))
    1.386294
    """
    with agreed(comm, "vocabulary_cross_entropy") as agreement:
        xp, part = namespace(logits, labels), split(vocabulary, comm)
        if labels.shape != logits.shape[:-1] or logits.shape[-1] != part.stop - part.start:
            raise ShapeError(
                f"logits {logits.shape} and labels {labels.shape} on rank {rank_of(comm)}; expected "
                f"(..., {part.stop - part.start}) and the same without the last axis"
            )
        flat, kept = kept_labels(labels, vocabulary, ignore_index)
        agreement.same(labels=labels, vocabulary=vocabulary, total=total, ignore_index=ignore_index)
        agreement.same(dtype=str(logits.dtype))
    rows, first = logits.reshape(-1, logits.shape[-1]), part.start
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
    losses = top + xp.log(sums[0]) - sums[1]
    loss = (losses if kept is None else losses * kept).sum() / total
    return loss, (weights / sums[0][:, None], place, local, kept, total, logits.shape)
