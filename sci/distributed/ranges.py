"""Balanced ranges: spread 0..n over parts, and find the part that holds a position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from sci.distributed.communicators import Comm, rank_of, size
from sci.errors import DecompositionError

__all__ = ["part", "part_of", "per_axis", "place", "split", "split_bounds"]

T = TypeVar("T")


def split_bounds(n: int, parts: int) -> np.ndarray:
    """Return the `parts + 1` bounds of `parts` balanced ranges of 0..n; the first n mod parts are one longer."""
    index = np.arange(parts + 1, dtype=np.int64)
    return index * (n // parts) + np.minimum(index, n % parts)


def part(n: int, parts: int, index: int) -> tuple[int, int]:
    """Return start and length of one range of `split_bounds`."""
    length, longer = divmod(n, parts)
    return index * length + min(index, longer), length + (index < longer)


def part_of(n: int, parts: int, position: int) -> int:
    """Return the range of `split_bounds` that holds `position`."""
    length, longer = divmod(n, parts)
    head = longer * (length + 1)
    return position // (length + 1) if position < head else longer + (position - head) // length


def place(comm: Comm, rank: int | None, n_ranks: int | None) -> tuple[int, int]:
    """Return rank and size, from the explicit numbers if both are given and from `comm` otherwise."""
    if (rank is None) != (n_ranks is None):
        raise DecompositionError(f"rank is {rank} and size is {n_ranks}; expected both or neither")
    if rank is None or n_ranks is None:
        return rank_of(comm), size(comm)
    if not 0 <= rank < n_ranks:
        raise DecompositionError(f"rank {rank} of {n_ranks}; expected 0 <= rank < size")
    return rank, n_ranks


def split(n: int, comm: Comm = None, *, rank: int | None = None, size: int | None = None) -> slice:
    """Return this rank's contiguous share of 0..n as a slice.

    Parameters
    ----------
    n : int
        Length; with fewer elements than ranks, the last ranks have empty slices.
    comm : mpi4py communicator, optional
    rank, size : int, optional
        Given together they stand for the communicator, to ask for another rank's share.

    Returns
    -------
    slice

    Raises
    ------
    DecompositionError

    Notes
    -----
    Not collective.

    Examples
    --------
    >>> from sci.distributed import split
    >>> [split(10, rank=r, size=3) for r in range(3)]
    [slice(0, 4, None), slice(4, 7, None), slice(7, 10, None)]
    """
    own, n_ranks = place(comm, rank, size)
    if n < 0:
        raise DecompositionError(f"length {n} cannot be split; expected 0 or more")
    start, length = part(n, n_ranks, own)
    return slice(start, start + length)


def per_axis(value: T | Sequence[T], ndim: int, name: str) -> tuple[T, ...]:
    """Return a value, or one value for each axis, as a tuple of `ndim` of them.

    Raises
    ------
    DecompositionError
        For another length.
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,) * ndim
    if len(values) != ndim:
        raise DecompositionError(f"{name} has {len(values)} values; expected one, or {ndim}, one for each axis")
    return values
