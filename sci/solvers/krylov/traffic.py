"""The weak-scaling model: messages and bytes that one rank sends in one iteration of conjugate gradients."""

from __future__ import annotations

from math import prod
from typing import Any, Protocol

from sci.arguments import entry
from sci.distributed import GridDecomposition, Traffic
from sci.errors import InvalidValueError
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["DistributedCycle", "iteration_traffic"]


class DistributedCycle(Protocol):
    """What a preconditioner says about its messages on ranks."""

    @property
    def cycle_dtype(self) -> Any:
        """Dtype of the arrays whose halos are exchanged."""

    @property
    def exchanges(self) -> list[int]:
        """Halo exchanges of a cycle on each distributed level."""

    @property
    def gathered_cells(self) -> int:
        """Numbers that this rank sends to each other one in the all-gather of a cycle."""

    @property
    def summed_numbers(self) -> int:
        """Numbers that a cycle sums over the ranks, in one message to each other one."""


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


@entry
def iteration_traffic(A: PoissonOperator, M: DistributedCycle) -> dict[str, Traffic]:
    """Return the messages and bytes that this rank sends in one iteration of `cg`, by operation.

    With a box of n cells on the finest level and float32 cycles, a rank inside of the grid sends 4 bytes per surface
    cell for A, and k or k + 1 times 4 bytes per surface cell of each of the L distributed levels, whose surfaces shrink
    by four: about 6 n^(2/3) (4 + (16/3) k) bytes in 26 L (k + 1) messages, k = 4 v + 1 for v sweeps of multigrid. For
    the learned cycle k is 9, and 5 on the first level where steps are not done twice there. Nothing of it depends on
    the number P of ranks, except three sums of P - 1 messages of 8 bytes, one more of 8 bytes per closed component if A
    is singular, and the all-gather of a level of at most 4096 cells.

    Parameters
    ----------
    A : PoissonOperator
        On ranks.
    M : Multigrid or another preconditioner with `cycle_dtype`, `exchanges`, `gathered_cells` and `summed_numbers`

    Returns
    -------
    dict
        Of `Traffic`, under the names that `sci.distributed.traffic` counts.

    Raises
    ------
    InvalidValueError
        If A is not on ranks.

    Notes
    -----
    Not collective. Each recomputation of b - A x, three in a solve to 1e-8 with float32 cycles, costs one more sum and
    an exchange of 8 bytes per surface cell.
    """
    if A.blocks is None:
        raise InvalidValueError("A is not spread over ranks; expected PoissonOperator(mask, comm=comm)")
    blocks, itemsize = A.blocks, M.cycle_dtype.itemsize
    messages, n_bytes = _exchange(blocks.decomposition(), A.periodic, itemsize)
    for level, times in enumerate(M.exchanges):
        count, size = _exchange(blocks.decomposition(level), A.periodic, itemsize)
        messages, n_bytes = messages + times * count, n_bytes + times * size
    others, parts = blocks.coarse.size - 1, A.component_sizes.size
    own, summed = others * itemsize * M.gathered_cells, M.summed_numbers
    sums = 3 + (parts > 0) + (summed > 0)
    result = {
        "halo": Traffic(messages, n_bytes),
        "allreduce_sum": Traffic(sums * others, 8 * (3 + parts + summed) * others),
    }
    return result if summed else {**result, "gather_level": Traffic(others, own)}
