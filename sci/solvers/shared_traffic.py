"""The weak-scaling model: messages and bytes that one rank sends in one iteration of the shared solver."""

from __future__ import annotations

from math import prod

from sci.distributed import GridDecomposition, Traffic
from sci.solvers.shared import SharedMultigrid, SharedPoisson
from sci.solvers.shared_cycle import SharedLearnedCycle
from sci.solvers.shared_levels import refined

__all__ = ["iteration_traffic"]


def _exchange(decomposition: GridDecomposition, periodic: tuple[bool, ...], itemsize: int) -> tuple[int, int]:
    """Return messages and bytes of one halo exchange: one message to each neighbor, over faces, edges and corners.

    Round a periodic axis that is not cut a rank is its own neighbor, and sends nothing.
    """
    own = decomposition.neighbor((0,) * decomposition.ndim, periodic)
    cells = [
        prod(1 if o else n for o, n in zip(offset, decomposition.local_shape))
        for offset, peer in decomposition.neighbors(periodic).items()
        if peer != own
    ]
    return len(cells), itemsize * sum(cells)


def iteration_traffic(A: SharedPoisson, M: SharedMultigrid | SharedLearnedCycle) -> dict[str, Traffic]:
    """Return what this rank sends in one iteration of `shared_cg`, by operation.

    With a box of n cells on the finest level and float32 cycles, a rank inside of the grid sends 4 bytes a surface cell
    for A, and k or k + 1 times 4 bytes a surface cell of each of the L shared levels, whose surfaces shrink by four:
    about 6 n^(2/3) (4 + (16/3) k) bytes in 26 L (k + 1) messages, k = 4 v + 1 for v sweeps of multigrid. For the
    learned cycle k is 9, and 5 on the first level where steps are not done twice there. None of it depends on the
    number P of ranks; what does are three sums of P - 1 messages of 8 bytes, one more of 8 bytes a closed part where A
    is singular, and the all-gather of a level of at most 4096 cells.

    Parameters
    ----------
    A : SharedPoisson
    M : SharedMultigrid or SharedLearnedCycle

    Returns
    -------
    dict
        Of `Traffic`, under the names that `sci.distributed.traffic` counts.

    Notes
    -----
    Not collective. Each b - A x, three in a solve to 1e-8 with float32 cycles, costs one more sum and an
    exchange of 8 bytes a surface cell.
    """
    messages, n_bytes = _exchange(A.decomposition, A.periodic, M.dtype.itemsize)
    for level, times in enumerate(M.exchanges):
        count, size = _exchange(refined(A.coarse, A.n_levels - level), A.periodic, M.dtype.itemsize)
        messages, n_bytes = messages + times * count, n_bytes + times * size
    others, parts = A.coarse.size - 1, 0 if A.components is None else A.components.sizes.size
    own = others * M.dtype.itemsize * M.gathered_cells
    return {
        "halo": Traffic(messages, n_bytes),
        "allreduce_sum": Traffic((4 if parts else 3) * others, 8 * (3 + parts) * others),
        "gather_level": Traffic(others, own),
    }
