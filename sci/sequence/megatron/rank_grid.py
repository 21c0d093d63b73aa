"""One grid of ranks for data, pipeline, sequence and tensor parallel work, with a communicator for each axis."""

from __future__ import annotations

from dataclasses import dataclass

from sci.arguments import collective_entry, entry
from sci.distributed import Comm, agreed, rank_of, size
from sci.errors import DecompositionError

__all__ = ["RankGrid", "rank_grid"]


@entry
@dataclass(frozen=True)
class RankGrid:
    """Communicators along the axes of a grid of ranks; tensor ranks are neighbors, data ranks furthest apart.

    Parameters
    ----------
    data, pipeline, sequence, tensor : mpi4py communicator or None
        The ranks that differ from this one along that axis alone; None stands for one.
    replicas : mpi4py communicator or None
        The ranks that hold the same parameters: those that differ in data or sequence.
    comm : mpi4py communicator or None
        All ranks.

    Examples
    --------
    >>> from sci.sequence import rank_grid
    >>> rank_grid(None)
    RankGrid(data=1, pipeline=1, sequence=1, tensor=1; rank 0 at (0, 0, 0, 0))
    """

    data: Comm
    pipeline: Comm
    sequence: Comm
    tensor: Comm
    replicas: Comm
    comm: Comm

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Ranks along data, pipeline, sequence and tensor."""
        return size(self.data), size(self.pipeline), size(self.sequence), size(self.tensor)

    def __repr__(self) -> str:
        names = ("data", "pipeline", "sequence", "tensor")
        axes = ", ".join(f"{name}={n}" for name, n in zip(names, self.shape))
        return f"RankGrid({axes}; rank {rank_of(self.comm)} at {self.coordinates})"

    @property
    def coordinates(self) -> tuple[int, int, int, int]:
        """This rank's index along data, pipeline, sequence and tensor."""
        return rank_of(self.data), rank_of(self.pipeline), rank_of(self.sequence), rank_of(self.tensor)

    def free(self) -> None:
        """Free the communicators of the axes (collective); `comm` is the caller's."""
        for comm in (self.data, self.pipeline, self.sequence, self.tensor, self.replicas):
            if comm is not None:
                comm.Free()


@collective_entry
def rank_grid(comm: Comm = None, *, data: int = 1, pipeline: int = 1, sequence: int = 1, tensor: int = 1) -> RankGrid:
    """Cut the ranks of a communicator into a grid.

    Parameters
    ----------
    comm : mpi4py communicator, optional
    data, pipeline, sequence, tensor : int
        Ranks along each axis; their product is the size of `comm`.

    Returns
    -------
    RankGrid

    Raises
    ------
    DecompositionError
        On every rank.

    Notes
    -----
    Collective. Rank = ((data pipeline + p) sequence + s) tensor + t: the axis with most messages has the nearest ranks.

    Examples
    --------
    >>> from sci.sequence import rank_grid
    >>> rank_grid(None, tensor=1).coordinates
    (0, 0, 0, 0)
    """
    shape = (data, pipeline, sequence, tensor)
    with agreed(comm, "rank_grid") as agreement:
        if min(shape) < 1 or data * pipeline * sequence * tensor != size(comm):
            raise DecompositionError(
                f"data {data} x pipeline {pipeline} x sequence {sequence} x tensor {tensor} on {size(comm)} ranks; "
                "expected as many ranks as the product"
            )
        agreement.same(data=data, pipeline=pipeline, sequence=sequence, tensor=tensor)
    if comm is None:
        return RankGrid(None, None, None, None, None, None)
    coordinates: list[int] = []
    rest = rank_of(comm)
    for length in reversed(shape):
        rest, index = divmod(rest, length)
        coordinates.insert(0, index)

    def along(*axes: int) -> Comm:
        color = 0
        for axis in range(4):
            color = color * shape[axis] + (0 if axis in axes else coordinates[axis])
        return comm.Split(color, rank_of(comm))

    return RankGrid(along(0), along(1), along(2), along(3), along(0, 2), comm)
