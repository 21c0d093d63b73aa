"""Prefixes of an associative operation in a logarithmic number of batched rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import ShapeError

__all__ = ["associative_scan"]

Elements: TypeAlias = tuple[Array, ...]


@entry
def associative_scan(
    combine: Callable[[Elements, Elements], Elements], elements: Sequence[Array], *, reverse: bool = False
) -> tuple[Array, ...]:
    """Combine elements with all those before them: e_0, e_0 e_1, e_0 e_1 e_2, ....

    Parameters
    ----------
    combine : callable
        Takes two tuples of arrays, the earlier elements and the later ones, and returns the tuple of their
        combinations, row by row. It has to be associative; it need not commute.
    elements : sequence of (n, ...) arrays
        Parts of the n elements, which run along the first axis of all.
    reverse : bool
        Combine each element with all those after it: ..., e_{n-2} e_{n-1}, e_{n-1}.

    Returns
    -------
    tuple of (n, ...) arrays

    Raises
    ------
    ShapeError
        If the parts differ in length, or there are none.

    Notes
    -----
    At most 2 log2 n calls of `combine` and 2 n combinations: pairs are combined, their prefixes found in the same way,
    and half of the results follow by one more combination each. Memory: twice that of the elements.

    References
    ----------
    Blelloch, IEEE Trans. Comput. 38, 1526 (1989).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import associative_scan
    >>> associative_scan(lambda a, b: (a[0] * b[0],), (np.array([1.0, 2.0, 3.0, 4.0]),))[0]
    array([ 1.,  2.,  6., 24.])
    """
    parts = tuple(elements)
    lengths = [part.shape[0] if part.ndim else None for part in parts]
    if not parts or None in lengths or len(set(lengths)) > 1:
        raise ShapeError(f"elements have lengths {lengths}; expected one or more arrays of one length")
    if not lengths[0]:
        return parts
    if not reverse:
        return _prefixes(combine, parts)
    flipped = _prefixes(lambda a, b: combine(b, a), tuple(part[::-1] for part in parts))
    return tuple(part[::-1] for part in flipped)


def _prefixes(combine: Callable[[Elements, Elements], Elements], parts: Elements) -> Elements:
    n = parts[0].shape[0]
    if n == 1:
        return parts
    pairs = combine(tuple(p[0 : n - 1 : 2] for p in parts), tuple(p[1::2] for p in parts))
    odd = _prefixes(combine, pairs)
    results = tuple(namespace(p).empty((n, *found.shape[1:]), found.dtype) for p, found in zip(parts, odd))
    for result, part, found in zip(results, parts, odd):
        result[0], result[1::2] = part[0], found
    if n > 2:
        even = combine(tuple(p[: (n - 1) // 2] for p in odd), tuple(p[2::2] for p in parts))
        for result, found in zip(results, even):
            result[2::2] = found
    return results
