"""Sums over the points of all ranks that do not depend on their order: as integers of a common unit."""

from __future__ import annotations

import numpy as np

from sci.distributed import Comm, allreduce_max

__all__ = ["units_of_sums"]

_BITS = 62
"""Bits of the integers that are summed."""


def units_of_sums(largest: np.ndarray, total: int, comm: Comm) -> np.ndarray:
    """Return the units in which numbers are integers whose sums stay below 2^62; 1 for zeros (collective).

    Parameters
    ----------
    largest : array
        Bounds of the magnitudes of this rank's numbers, one for each sum.
    total : int
        Numbers of all ranks in a sum.
    comm : mpi4py communicator or None
    """
    largest = allreduce_max(largest, comm)
    exponents = np.ceil(np.log2(np.where(largest > 0, largest, 1.0)))
    return np.asarray(np.where(largest > 0, 2.0 ** (exponents - (_BITS - total.bit_length())), 1.0))
