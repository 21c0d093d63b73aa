"""Networks of pairwise contractions and their derivatives, each contraction one batched matrix product."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sci.backend import Array, namespace

__all__ = ["Step", "contract", "run_network", "run_network_vjp"]

Step = tuple[str, str, str, str]
"""(result, left, right, indices): names of arrays, and indices such as "bi,io->bo"."""


@functools.lru_cache(maxsize=1024)
def _lowering(indices: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int, int, int]:
    """Return the orders of axes that make a contraction a batched product, and how many axes each group has."""
    inputs, out = indices.split("->")
    left, right = inputs.split(",")
    batch = [i for i in out if i in left and i in right]
    summed = [i for i in left if i in right and i not in out]
    rows = [i for i in out if i not in right]
    columns = [i for i in out if i not in left]
    order = [*batch, *rows, *columns]
    return (
        tuple(left.index(i) for i in (*batch, *rows, *summed)),
        tuple(right.index(i) for i in (*batch, *summed, *columns)),
        tuple(order.index(i) for i in out),
        len(batch),
        len(rows),
        len(summed),
    )


def contract(indices: str, left: Array, right: Array) -> Array:
    """Return the contraction of two arrays, e.g. contract("bi,io->bo", x, w).

    Parameters
    ----------
    indices : str
        Every index of an input is in the other input or in the output.
    left, right : array

    Notes
    -----
    One call of `matmul`, or one broadcast product where nothing is summed; operands whose axes stand otherwise are
    copied.
    """
    xp = namespace(left, right)
    to_left, to_right, to_out, n_batch, n_rows, n_summed = _lowering(indices)
    a, b = left.transpose(to_left), right.transpose(to_right)
    batch, rows = a.shape[:n_batch], a.shape[n_batch : n_batch + n_rows]
    columns = b.shape[n_batch + n_summed :]
    if n_summed == 0:
        product = a.reshape((*batch, *rows, *(1 for _ in columns))) * b.reshape((*batch, *(1 for _ in rows), *columns))
    else:
        size = _product(a.shape[n_batch + n_rows :])
        a = xp.ascontiguousarray(a).reshape(*batch, _product(rows), size)
        b = xp.ascontiguousarray(b).reshape(*batch, size, _product(columns))
        product = xp.matmul(a, b).reshape((*batch, *rows, *columns))
    return product.transpose(to_out)


def _product(lengths: Sequence[int]) -> int:
    result = 1
    for n in lengths:
        result *= int(n)
    return result


def run_network(steps: Sequence[Step], operands: Mapping[str, Array]) -> dict[str, Array]:
    """Contract `operands` step by step; return them and every intermediate result by name."""
    values = dict(operands)
    for result, left, right, indices in steps:
        values[result] = contract(indices, values[left], values[right])
    return values


def run_network_vjp(steps: Sequence[Step], values: Mapping[str, Array], dout: Array) -> dict[str, Array]:
    """Return dL/dRe + i dL/dIm for every array of a network whose last result has the gradient `dout`.

    Parameters
    ----------
    steps, values
        As given to and returned by `run_network`. Every array is used by one step.
    dout : array
    """
    gradients: dict[str, Any] = {steps[-1][0]: dout}
    for result, left, right, indices in reversed(steps):
        inputs, out = indices.split("->")
        a, b = inputs.split(",")
        gradient = gradients.pop(result)
        gradients[left] = contract(f"{out},{b}->{a}", gradient, values[right].conj())
        gradients[right] = contract(f"{out},{a}->{b}", gradient, values[left].conj())
    return gradients
