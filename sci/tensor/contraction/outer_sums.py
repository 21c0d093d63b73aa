"""Sums over samples and points of several outer products at once: on a device two launches for all of them."""

from __future__ import annotations

from collections.abc import Sequence

from sci.backend import Array, namespace
from sci.kernels import get_kernel, launch, use_compiled

__all__ = ["outer_sums", "outer_sums_reference"]

_PIECE = 512
"""Points whose sum is one number of each result; the pieces are summed by a second launch."""
_SQUARE = 32

Pair = tuple[Array, Array]


def outer_sums(pairs: Sequence[Pair], *, diagonal: bool = False) -> list[Array]:
    """Return the sum over samples and points of a b' and of a for every pair, and the diagonal of a_1 b_0'.

    Parameters
    ----------
    pairs : sequence of 2 or 3 pairs of arrays (samples, m, points) and (samples, n, points)
        On a device, of one dtype, float32 or float64, contiguous.
    diagonal : bool
        Return sum a_1[c] b_0[c], (m_1,), as well; of at most n_0 channels.

    Returns
    -------
    list of arrays
        (m, n) and (m,) for each pair in turn, then (m_1,); views of one array.
    """
    first = pairs[0][0]
    kernel = get_kernel("nn/steps.cu", "outer_sums", first.dtype)
    if not use_compiled(kernel, first):
        return outer_sums_reference(pairs, diagonal)
    xp, (batch, _, points) = namespace(first), first.shape
    none = xp.empty((batch, 0, points), first.dtype)
    arrays = [a for pair in (*pairs, (none, none))[:3] for a in pair]
    widths = [a.shape[1] for a in arrays]
    sides = [(m, n) for m, n in zip(widths[::2], widths[1::2])]
    entries = sum(m * n + m for m, n in sides) + (sides[1][0] if diagonal else 0)
    rows = batch * -(-points // _PIECE)
    tiles = sum(-(-m // _SQUARE) * -(-n // _SQUARE) for m, n in sides) + (-(-sides[1][0] // _SQUARE) * diagonal)
    partial = xp.empty((rows, entries), first.dtype)
    launch(kernel, rows * tiles, *arrays, partial, batch, points, *widths, entries, rows, int(diagonal))
    total, found, start = partial[0] if rows == 1 else partial.sum(axis=0), [], 0
    for m, n in sides[: len(pairs)]:
        found += [total[start : start + m * n].reshape(m, n), total[start + m * n : start + m * n + m]]
        start += m * n + m
    return [*found, total[start:]] if diagonal else found


def outer_sums_reference(pairs: Sequence[Pair], diagonal: bool) -> list[Array]:
    """Reference of the kernel `outer_sums`, in array calls."""
    xp = namespace(*pairs[0])
    products = ((xp.matmul(a, b.swapaxes(1, 2)).sum(axis=0), a) for a, b in pairs)
    found = [sums for product, a in products for sums in (product, a.sum(axis=2).sum(axis=0))]
    if diagonal:
        a, b = pairs[1][0], pairs[0][1]
        found.append((a * b[:, : a.shape[1]]).sum(axis=2).sum(axis=0))
    return found
