"""Layers cut over tensor ranks (Megatron): linear by columns and by rows, MLP, attention.

Activations are either whole on every tensor rank, or, in the sequence form, each rank holds a run of the tokens; then
gathers and scatters take the place of f and g, and layers between them work on 1/t of the activations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sci.arguments import collective_entry
from sci.backend import Array
from sci.distributed import Comm, agreed, form, sample, size
from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    add,
    copy_to_ranks,
    gather_tokens,
    gelu,
    linear,
    reshape,
    scatter_sum,
    sum_over_ranks,
    transpose,
    value_of,
)

__all__ = ["column_linear", "parallel_attention", "parallel_mlp", "row_linear"]


@collective_entry
def column_linear(
    x: Array, weight: Array, bias: Array | None = None, *, comm: Comm = None, sequence: bool = False
) -> Any:
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

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import column_linear
    >>> column_linear(np.ones((1, 2, 3)), np.ones((4, 3))).shape
    (1, 2, 4)
    """
    with agreed(comm, "column_linear") as agreement:
        _require_fitting(x, weight, bias)
        if size(comm) > 1:
            agreement.same(sequence=sequence, weight=form(value_of(weight), free=[0]), bias=bias is not None)
            agreement.same(x=form(value_of(x), free=[-2]) if sequence else sample(value_of(x)))
    x = gather_tokens(x, comm=comm) if sequence else copy_to_ranks(x, comm=comm)
    return linear(x, weight, *(() if bias is None else (bias,)))


def _require_fitting(x: Any, weight: Any, bias: Any) -> None:
    """Raise on this rank unless x W^T + b is defined."""
    shapes = [tuple(value_of(a).shape) for a in (x, weight)]
    own = () if bias is None else tuple(value_of(bias).shape)
    if len(shapes[1]) != 2 or shapes[0][-1:] != shapes[1][1:] or (bias is not None and own != shapes[1][:1]):
        raise ShapeError(
            f"x {shapes[0]}, weight {shapes[1]} and bias {own if bias is not None else None}; expected (..., n, in), "
            "(out, in) and (out,)"
        )


def _agree_on_weights(
    weights: Mapping[str, Any],
    x: Any,
    names: Sequence[str],
    comm: Comm,
    operation: str,
    head_dim: int | None,
    sequence: bool,
) -> None:
    """Raise on all ranks if a weight is missing on one, or x or a setting differs."""
    with agreed(comm, operation) as agreement:
        missing = [name for name in names if name not in weights]
        if missing:
            raise InvalidValueError(
                f"weights have no {', '.join(missing)}; expected arrays {', '.join(names)}, given {sorted(weights)}"
            )
        if size(comm) > 1:
            agreement.same(head_dim=head_dim, sequence=sequence)
            agreement.same(x=form(value_of(x), free=[-2]) if sequence else sample(value_of(x)))


@collective_entry
def row_linear(x: Array, weight: Array, bias: Array | None = None, *, comm: Comm = None, sequence: bool = False) -> Any:
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

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import row_linear
    >>> row_linear(np.ones((1, 1, 3)), np.ones((2, 3)), np.ones(2))
    array([[[4., 4.]]])
    """
    with agreed(comm, "row_linear") as agreement:
        _require_fitting(x, weight, bias)
        if size(comm) > 1:
            agreement.same(sequence=sequence, weight=form(value_of(weight), free=[1]))
            agreement.same(x=form(value_of(x), free=[-1]), bias=bias if bias is None else sample(value_of(bias)))
    out = linear(x, weight)
    if sequence:
        out = scatter_sum(out, comm=comm)
        bias = bias if bias is None else copy_to_ranks(bias, comm=comm)
    else:
        out = sum_over_ranks(out, comm=comm)
    return out if bias is None else add(out, bias)


@collective_entry
def parallel_mlp(weights: Mapping[str, Array], x: Array, *, comm: Comm = None, sequence: bool = False) -> Any:
    """Return gelu(x A^T + a) B^T + b, with A cut by columns and B by rows.

    Parameters
    ----------
    weights : mapping
        up (own, width), up_bias (own,), down (width, own), down_bias (width,).
    x : (..., n, width) array or Variable
    comm : mpi4py communicator, optional
    sequence : bool

    Returns
    -------
    (..., n, width) array or Variable
        The same on every rank; with `sequence`, this rank's tokens.

    Notes
    -----
    One all-reduce forward and one backward, of the activations.

    References
    ----------
    Shoeybi et al., Megatron-LM (arXiv 1909.08053), figure 3a.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import parallel_mlp
    >>> shapes = {"up": (5, 3), "up_bias": (5,), "down": (3, 5), "down_bias": (3,)}
    >>> parallel_mlp({name: np.ones(shape) for name, shape in shapes.items()}, np.ones((1, 2, 3))).shape
    (1, 2, 3)
    """
    _agree_on_weights(weights, x, ("up", "up_bias", "down", "down_bias"), comm, "parallel_mlp", None, sequence)
    hidden = column_linear(x, weights["up"], weights["up_bias"], comm=comm, sequence=sequence)
    hidden = gelu(hidden)
    return row_linear(hidden, weights["down"], weights["down_bias"], comm=comm, sequence=sequence)


@collective_entry
def parallel_attention(
    weights: Mapping[str, Array],
    x: Array,
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
        Numbers per token and head.
    comm : mpi4py communicator, optional
        Over which the heads are spread.
    sequence : bool

    Returns
    -------
    (batch, n, width) array or Variable
        The same on every rank; with `sequence`, this rank's tokens.

    Notes
    -----
    One all-reduce forward and one backward, of the activations.

    References
    ----------
    Shoeybi et al., figure 3b.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import parallel_attention
    >>> weights = {name: np.eye(4) for name in "qkvo"} | {"o_bias": np.zeros(4)}
    >>> parallel_attention(weights, np.ones((1, 3, 4)), lambda q, k, v: v, 2).shape
    (1, 3, 4)
    """
    _agree_on_weights(weights, x, ("q", "k", "v", "o", "o_bias"), comm, "parallel_attention", head_dim, sequence)
    x = gather_tokens(x, comm=comm) if sequence else copy_to_ranks(x, comm=comm)

    def heads(weight: Any) -> Any:
        y = linear(x, weight)
        batch, n, own = value_of(y).shape
        y = reshape(y, shape=(batch, n, own // head_dim, head_dim))
        return transpose(y, axes=(0, 2, 1, 3))

    with agreed(comm, "parallel_attention"):  # `attend` is the caller's
        mixed = attend(*(heads(weights[name]) for name in "qkv"))
        batch, own, n, _ = value_of(mixed).shape
        mixed = transpose(mixed, axes=(0, 2, 1, 3))
        mixed = reshape(mixed, shape=(batch, n, own * head_dim))
    return row_linear(mixed, weights["o"], weights["o_bias"], comm=comm, sequence=sequence)
