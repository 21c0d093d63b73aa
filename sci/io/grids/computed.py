"""Grids that are computed while they are written: slab by slab, the slabs shared by ranks, in one plain file."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sci.backend import Array
from sci.distributed import Comm, agreed, rank_of, recv, send, size
from sci.errors import ShapeError
from sci.io.core.datasets import Group
from sci.io.core.hdf5 import create
from sci.io.core.header import make_header
from sci.io.core.results import RESULTS, write_results
from sci.io.grids.vtkhdf import Frame, create_image, fill, slabs, z_slab
from sci.potentials.grid import PotentialGrid, origin_and_spacing

__all__ = ["ComputedGrid", "save_computed_grid", "write_slabs"]

PIECES = 16
"""Slabs, at least, of a grid with so many points along z: enough for as many ranks."""


@dataclass(frozen=True, eq=False)
class ComputedGrid:
    """A grid whose values are computed when it is written.

    Parameters
    ----------
    x, y, z : (n,) float64 array
        Equally spaced, ascending axes, angstrom.
    compute : callable
        `compute(x, y, part)` returns the values (nx, ny, k) in `units` at the k points `part` of z.
    units : str

    Raises
    ------
    InvalidValueError
        For other axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import ComputedGrid
    >>> x = np.linspace(0.0, 1.0, 3)
    >>> ComputedGrid(x, x, x, lambda x, y, z: np.zeros((len(x), len(y), len(z)))).units
    'e/angstrom'
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    compute: Callable[[Array, Array, Array], Array]
    units: str = "e/angstrom"

    def __post_init__(self) -> None:
        """Check the axes."""
        origin_and_spacing(self.x, self.y, self.z)

    def __repr__(self) -> str:
        return f"ComputedGrid(shape={self.shape}, units={self.units!r})"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of points on each axis."""
        return len(self.x), len(self.y), len(self.z)

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return 8 * math.prod(self.shape)

    @property
    def frame(self) -> Frame:
        """All of the grid but its values."""
        return Frame(self.shape, *origin_and_spacing(self.x, self.y, self.z), self.units)

    def slab(self, part: slice) -> PotentialGrid:
        """Compute the points `part` along z."""
        z = self.z[part]
        values = self.compute(self.x, self.y, z)
        if tuple(values.shape) != (*self.shape[:2], len(z)):
            raise ShapeError(f"compute returned shape {tuple(values.shape)}; expected {(*self.shape[:2], len(z))}")
        (x0, y0, _), spacing = origin_and_spacing(self.x, self.y, self.z)
        return PotentialGrid(values, (x0, y0, float(z[0])), spacing, self.units)

    def parts(self) -> list[slice]:
        """Return the slabs, at most 16 MiB each; they do not depend on the number of ranks."""
        longest = -(-len(self.z) // PIECES)
        cut = [(s.start, s.stop, -(-(s.stop - s.start) // longest)) for s in slabs(self.shape)]
        ends = [np.linspace(a, b, n + 1).astype(int) for a, b, n in cut]
        return [slice(int(a), int(b)) for bounds in ends for a, b in itertools.pairwise(bounds)]


def write_slabs(file: Group | None, grid: ComputedGrid, comm: Comm) -> None:
    """Compute a grid on all ranks and write it into the group /VTKHDF of a file that is open on rank 0 (collective)."""
    with contextlib.closing(_blocks(grid, comm)) as blocks:
        if file is None:
            for _ in blocks:
                pass
        else:
            fill(create_image(file, grid.frame, np.float64), blocks, grid.frame)


def _blocks(grid: ComputedGrid, comm: Comm) -> Generator[np.ndarray, None, None]:
    """Yield the slabs (z, y, x) in their order on rank 0, and nothing elsewhere.

    In a round each rank computes a slab and rank 0 collects them. What goes wrong on a rank meets the others in the
    agreement of a round. Where rank 0 cannot write, it still takes what the others are sending.
    """
    parts, rank, ranks = grid.parts(), rank_of(comm), size(comm)
    for start in range(0, len(parts), ranks):
        block = None
        with agreed(comm, "write_slabs"):
            if start + rank < len(parts):
                block = z_slab(grid.slab(parts[start + rank]), slice(None))
        if rank == 0:
            arriving = _Arriving(grid, parts[start + 1 : start + ranks], comm)
            try:
                assert block is not None
                yield block
                yield from arriving
            except GeneratorExit:
                for _ in arriving:
                    pass
                raise
        elif block is not None:
            send(block, 0, comm=comm).wait()


class _Arriving(Iterator[np.ndarray]):
    """The slabs of ranks 1, 2, ... in a round, received one by one."""

    def __init__(self, grid: ComputedGrid, parts: list[slice], comm: Comm) -> None:
        self._shape, self._comm = grid.shape, comm
        self._left = iter(list(enumerate(parts, 1)))

    def __next__(self) -> np.ndarray:
        rank, part = next(self._left)
        shape = (part.stop - part.start, self._shape[1], self._shape[0])
        return np.asarray(recv(shape, np.float64, rank, comm=self._comm).wait())


def save_computed_grid(
    path: str | Path,
    grid: ComputedGrid,
    *,
    results: Mapping[str, Any] | None = None,
    command: str | None = None,
    parent_uuid: str | None = None,
    comm: Comm = None,
    overwrite: bool = False,
) -> None:
    """Write a grid while it is computed, to the plain file that `save` would write of the whole.

    Parameters
    ----------
    path : path
    grid : ComputedGrid
        The same on all ranks.
    results, command, parent_uuid, overwrite : optional
        As in `save`.
    comm : mpi4py communicator, optional
        Its ranks compute the slabs in turn; rank 0 writes. The file does not depend on their number.

    Raises
    ------
    InvalidValueError
        On every rank, for values that are NaN or infinite; if the file exists and is not to be replaced.
    FileFormatError
        On every rank, if the folder cannot be written to or the disk is full.

    Notes
    -----
    Collective. Memory: a slab of at most 16 MiB and a copy of it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sci.io import ComputedGrid, load_grid, save_computed_grid
    >>> axis = np.linspace(0.0, 1.0, 20)
    >>> grid = ComputedGrid(axis, axis, axis, lambda x, y, z: x[:, None, None] + y[:, None] + z)
    >>> path = pathlib.Path(tempfile.mkdtemp(), "sum.h5")
    >>> save_computed_grid(path, grid)
    >>> float(load_grid(path).values.max())
    3.0
    """
    with agreed(comm, "save_computed_grid") as agreement:
        agreement.same(path=str(path), x=grid.x, y=grid.y, z=grid.z, units=grid.units, overwrite=overwrite)
        if rank_of(comm) > 0:
            write_slabs(None, grid, comm)
            return
        with create(path, make_header("grid", grid.units, command, parent_uuid), grid.nbytes, overwrite=overwrite) as f:
            write_slabs(f, grid, comm)
            if results:
                write_results(f.create_group(RESULTS), results)
