"""Networks of pairwise contractions and their derivatives, each contraction one batched matrix product.

On the CPU BLAS makes the products, on a device a kernel that reads operands in the order in which they lie.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from string import ascii_letters
from typing import Any

from sci.backend import Array, is_device_array, namespace
from sci.tensor.contraction.products import Strides, mode_product

__all__ = ["BATCH", "Step", "contract", "reduce", "reduce_vjp", "run_network", "run_network_vjp"]

Step = tuple[str, str, str, str]
"""(result, left, right, indices): names of arrays, and indices such as "bi,io->bo". Where `right` is empty, `left`
alone is reduced by indices such as "aab->b": an index that stands twice means the diagonal, one not kept is summed."""
BATCH = "uvwxyz"
"""Letters of the batch axes in the contractions of tensor formats."""


@functools.lru_cache(maxsize=1024)
def _lowering(indices: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int, int, int]:
    """Return the axis orders that turn a contraction into a batched product, and the number of axes of each group."""
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


def contract(indices: str, left: Array, right: Array, conjugate: tuple[bool, bool] = (False, False)) -> Array:
    """Return the contraction of two arrays, e.g. contract("bi,io->bo", x, w).

    Parameters
    ----------
    indices : str
        Every index of an input is in the other input or in the output.
    left, right : array
    conjugate : (bool, bool)
        Use the conjugate of `left`, of `right`.

    Notes
    -----
    One product of matrices, or one broadcast product where nothing is summed. An operand is copied only where its axes
    cannot be walked with one stride for each of the groups: batch, rows, summed, columns.
    """
    to_left, to_right, to_out, n_batch, n_rows, n_summed = _lowering(indices)
    a, b = left.transpose(to_left), right.transpose(to_right)
    batch, rows = a.shape[:n_batch], a.shape[n_batch : n_batch + n_rows]
    terms, columns = b.shape[n_batch : n_batch + n_summed], b.shape[n_batch + n_summed :]
    lengths = (*batch, *rows, *columns)
    if n_summed and is_device_array(left) and left.dtype.kind == "c" and left.dtype == right.dtype:
        groups = _product(batch), _product(rows), _product(terms), _product(columns)
        product = _product_on_device(a, b, lengths, groups, (n_batch, n_rows, n_summed), to_out, conjugate)
        return product.transpose(to_out)
    a, b = (array.conj() if flag else array for array, flag in zip((a, b), conjugate))
    if n_summed == 0:
        product = a.reshape((*batch, *rows, *(1 for _ in columns))) * b.reshape((*batch, *(1 for _ in rows), *columns))
    else:
        a = a.reshape(*batch, _product(rows), _product(terms))
        b = b.reshape(*batch, _product(terms), _product(columns))
        product = namespace(left, right).matmul(a, b).reshape(lengths)
    return product.transpose(to_out)


def _product_on_device(
    a: Array,
    b: Array,
    lengths: tuple[int, ...],
    sizes: tuple[int, int, int, int],
    counts: tuple[int, int, int],
    to_out: tuple[int, ...],
    conjugate: tuple[bool, bool],
) -> Array:
    """Return the product of `a` (batch, rows, summed) and `b` (batch, summed, columns), in the order of the result.

    `counts` are the axes of batch, rows and summed indices.
    """
    xp, (n_batch, n_rows, n_summed) = namespace(a, b), counts
    a, of_a = _walk(a, (n_batch, n_rows, n_summed))
    b, of_b = _walk(b, (n_batch, n_summed, b.ndim - n_batch - n_summed))
    back = tuple(sorted(range(len(to_out)), key=to_out.__getitem__))
    flat = xp.empty(_product(lengths), a.dtype)
    out = flat.reshape(tuple(lengths[axis] for axis in to_out)).transpose(back)
    of_out = _strides(out, (n_batch, n_rows, out.ndim - n_batch - n_rows))
    if of_out is None:
        out, of_out = flat.reshape(lengths), (sizes[1] * sizes[3], sizes[3], 1)
    mode_product(a, b, flat, sizes, (of_a, of_b, of_out), conjugate)
    return out


def _walk(array: Array, counts: tuple[int, int, int]) -> tuple[Array, Strides]:
    """Return the memory of an array and one stride for each group of its axes; or of a copy."""
    strides = _strides(array, counts)
    memory = array.transpose(sorted(range(array.ndim), key=lambda axis: -array.strides[axis]))
    if strides is None or not memory.flags.c_contiguous:
        memory = namespace(array).ascontiguousarray(array)
        strides = _strides(memory, counts)
        assert strides is not None
    return memory.reshape(-1), strides


def _strides(array: Array, counts: tuple[int, int, int]) -> Strides | None:
    """Return the stride, in numbers, of each of three groups of axes walked as one; None if one has none."""
    found, first = [], 0
    for count in counts:
        axes = [k for k in range(first, first + count) if array.shape[k] > 1]
        first += count
        if any(array.strides[j] != array.strides[k] * array.shape[k] for j, k in itertools.pairwise(axes)):
            return None
        found.append(int(array.strides[axes[-1]]) // array.itemsize if axes else 0)
    return found[0], found[1], found[2]


def _product(lengths: Sequence[int]) -> int:
    result = 1
    for n in lengths:
        result *= int(n)
    return result


def reduce(indices: str, x: Array) -> Array:
    """Return the diagonals, sums and transposed axes of one array, e.g. reduce("aab->b", x)."""
    given, kept = indices.split("->")
    for index in dict.fromkeys(given):
        while given.count(index) > 1:
            first = given.index(index)
            second = given.index(index, first + 1)
            x = x.diagonal(0, first, second)
            given = given[:first] + given[first + 1 : second] + given[second + 1 :] + index
    summed = tuple(axis for axis, index in enumerate(given) if index not in kept)
    if summed:
        x = x.sum(axis=summed)
        given = "".join(index for index in given if index in kept)
    return x.transpose(tuple(given.index(index) for index in kept))


def reduce_vjp(indices: str, dout: Array, shape: Sequence[int]) -> Array:
    """Return the gradient of `reduce` of an array of a shape, given that of the result."""
    given, kept = indices.split("->")
    xp, fresh = namespace(dout), (letter for letter in ascii_letters if letter not in given)
    renamed, terms, operands = "", [kept], [dout]
    for index, n in zip(given, shape):
        if index in renamed:  # the identity couples a repeated axis with the first
            renamed += next(fresh)
            terms.append(index + renamed[-1])
            operands.append(xp.eye(n, dtype=dout.dtype))
            continue
        renamed += index
        if index not in kept:
            terms.append(index)
            operands.append(xp.ones(n, dout.dtype))
    return xp.einsum(",".join(terms) + "->" + renamed, *operands)


def run_network(
    steps: Sequence[Step], operands: Mapping[str, Array], after: Callable[[Array], Array] | None = None
) -> dict[str, Array]:
    """Contract `operands` step by step; return them and every intermediate result by name, each as `after` makes it."""
    values = dict(operands)
    for result, left, right, indices in steps:
        made = contract(indices, values[left], values[right]) if right else reduce(indices, values[left])
        values[result] = made if after is None else after(made)
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
        gradient = gradients.pop(result)
        if not right:
            gradients[left] = reduce_vjp(indices, gradient, values[left].shape)
            continue
        inputs, out = indices.split("->")
        a, b = inputs.split(",")
        gradients[left] = contract(f"{out},{b}->{a}", gradient, values[right], (False, True))
        gradients[right] = contract(f"{out},{a}->{b}", gradient, values[left], (False, True))
    return gradients
