"""How parameters lie on a grid of ranks: the one description that sums, norms, files and optimizer states follow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, namespace, to_host
from sci.distributed import Comm, agreed, allgather_rows, rank_of, recv, send, size
from sci.errors import InvalidValueError, ShapeError
from sci.nn.core.trees import Tree, named_arrays
from sci.nn.optim.adam import global_norm

__all__ = ["ParameterLayout", "Placement"]

_DTYPES: dict[int, np.dtype] = {np.dtype(t).num: np.dtype(t) for t in ("f4", "f8", "c8", "c16")}


@entry
@dataclass(frozen=True)
class Placement:
    """Where a rank's part of one parameter lies in the whole array.

    Parameters
    ----------
    shape : tuple of int
        Of the whole array.
    axis : int, optional
        The axis that is cut; None where the part is the whole.
    start, stop : int
        The part is start:stop of that axis. Cuts of the ranks tile it.
    held : bool
        False on a rank that has no part: the parameter belongs to other stages of a pipeline.
    first : bool
        True on one of the ranks that hold this part beside the replicas: that which counts it in norms and writes it.

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> from sci.nn import Placement
    >>> Placement((4, 6), 1, 2, 4).part_shape
    (4, 2)
    """

    shape: tuple[int, ...]
    axis: int | None = None
    start: int = 0
    stop: int = 0
    held: bool = True
    first: bool = True

    def __post_init__(self) -> None:
        if self.axis is None:
            return
        if not (0 <= self.axis < len(self.shape) and 0 <= self.start <= self.stop <= self.shape[self.axis]):
            raise ShapeError(f"{self!r}; expected an axis of the array, and a run within it")

    def __repr__(self) -> str:
        cut = "whole" if self.axis is None else f"{self.start}:{self.stop} of axis {self.axis}"
        return f"Placement({cut} of {self.shape}{'' if self.held else ', on other ranks'})"

    @property
    def part(self) -> tuple[slice, ...]:
        """Slices of the whole array, one an axis."""
        runs = [slice(0, n) for n in self.shape]
        if self.axis is not None:
            runs[self.axis] = slice(self.start, self.stop)
        return tuple(runs)

    @property
    def part_shape(self) -> tuple[int, ...]:
        """Shape of the part."""
        return tuple(run.stop - run.start for run in self.part)


@entry
@dataclass(frozen=True)
class ParameterLayout:
    """How the parameters of one model lie on ranks: where each is cut, who has it, who has copies.

    Parameters
    ----------
    placements : dict name -> Placement
        Of this rank, for all parameters of the whole model in their order, the same names on all ranks.
    comm : mpi4py communicator, optional
        All ranks that the model lies on.
    replicas : mpi4py communicator, optional
        The ranks that hold the same parts as this one and see other samples or tokens: gradients are summed over them.
    sharded : bool
        Each replica keeps its share of the optimizer's state alone: entries `split(n, replicas)` of each flat part.

    Notes
    -----
    Every number of the model counts once in `norm` and `count`, and is written once: by the first of the replicas, on
    the rank whose placement is `first`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import ParameterLayout
    >>> layout = ParameterLayout.whole({"w": np.ones((2, 3))})
    >>> layout
    ParameterLayout(1 parameters, 6 numbers; this rank has 1 with 6)
    >>> layout.norm({"w": np.full((2, 3), 2.0)}) == 24**0.5
    True
    """

    placements: Mapping[str, Placement]
    comm: Comm = None
    replicas: Comm = None
    sharded: bool = False

    @classmethod
    def whole(cls, parameters: Tree, comm: Comm = None) -> Self:
        """Return the layout of parameters that every rank holds whole."""
        found = {name: Placement(tuple(p.shape)) for name, p in named_arrays(parameters, "parameters").items()}
        return cls(found, comm, comm)

    def __repr__(self) -> str:
        own = [p for p in self.placements.values() if p.held]
        here = sum(math.prod(p.part_shape) for p in own)
        shards = ", state in shards" if self.sharded else ""
        return (
            f"ParameterLayout({len(self.placements)} parameters, {self.count:,} numbers; this rank has {len(own)} "
            f"with {here:,}{shards})"
        )

    @property
    def count(self) -> int:
        """Numbers of the whole model."""
        return sum(math.prod(p.shape) for p in self.placements.values())

    @property
    def is_cut(self) -> bool:
        """Whether some rank holds less than all of the model, or of its optimizer's state."""
        return self.sharded or any(p.part_shape != p.shape or not p.held for p in self.placements.values())

    @property
    def held(self) -> dict[str, Placement]:
        """Placements of the parameters that this rank has a part of."""
        return {name: p for name, p in self.placements.items() if p.held}

    def own(self, whole: Mapping[str, Array]) -> dict[str, Array]:
        """Return this rank's part of arrays of the whole model (not collective).

        Raises
        ------
        InvalidValueError, ShapeError
            For arrays of other names or shapes than the model's.
        """
        self._match(whole, {name: p.shape for name, p in self.placements.items()}, "the whole model")
        return {name: namespace(whole[name]).ascontiguousarray(whole[name][p.part]) for name, p in self.held.items()}

    def check(self, parts: Mapping[str, Array]) -> None:
        """Require the names and shapes of this rank's parts.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        self._match(parts, {name: p.part_shape for name, p in self.held.items()}, "this rank")

    def _match(self, arrays: Mapping[str, Array], expected: Mapping[str, tuple[int, ...]], whose: str) -> None:
        odd = sorted(set(arrays) ^ set(expected))
        if odd:
            raise InvalidValueError(
                f"the parameters {', '.join(odd[:5])} are missing or unknown on this rank; expected those of {whose}, "
                "as ParameterLayout.own returns parts"
            )
        for name, shape in expected.items():
            if tuple(arrays[name].shape) != shape:
                raise ShapeError(f"the parameter {name} has shape {arrays[name].shape}; expected {shape}, of {whose}")

    @collective_entry
    def norm(self, gradients: Mapping[str, Array]) -> float:
        """Return the Euclidean norm over all ranks together, each number of the model once.

        Parameters
        ----------
        gradients : dict of arrays
            This rank's parts, summed over replicas; with `sharded` its shares of them.

        Returns
        -------
        float
            The same on all ranks; NaN or infinite if any entry on any rank is.

        Notes
        -----
        Collective over `comm`: one message of one number.
        """
        mine = self.sharded or rank_of(self.replicas) == 0
        counted = {name: g for name, g in gradients.items() if mine and self.placements[name].first}
        own = global_norm(counted)
        if size(self.comm) == 1:
            return own
        return math.hypot(*np.asarray(allgather_rows(np.array([own]), self.comm)).tolist())

    @collective_entry
    def collected(self, parts: Mapping[str, Array]) -> dict[str, np.ndarray] | None:
        """Return the arrays of the whole model on rank 0, and None on all others.

        Parameters
        ----------
        parts : dict of arrays
            This rank's parts, of parameters or gradients.

        Returns
        -------
        dict of host arrays, or None

        Raises
        ------
        InvalidValueError, ShapeError
            On every rank.

        Notes
        -----
        Collective over `comm`. Rank 0 gets the whole model; `sci.io.save` needs one parameter at a time there.
        """
        with agreed(self.comm, "ParameterLayout.collected"):
            self.check(parts)
        found = {name: self.collected_one(name, parts.get(name)) for name in self.placements}
        return {n: a for n, a in found.items() if a is not None} if rank_of(self.comm) == 0 else None

    @collective_entry
    def collected_one(self, name: str, part: Array | None) -> np.ndarray | None:
        """Return one whole array on rank 0, and None on all others.

        Parameters
        ----------
        name : str
            Of the parameter.
        part : array or None
            This rank's part of an array that lies like the parameter; None where it has none.

        Notes
        -----
        Collective over `comm`. Parts go to rank 0 one by one.
        """
        place, comm = self.placements[name], self.comm
        with agreed(comm, "ParameterLayout.collected_one") as agreement:
            agreement.same(name=name)
            found = None if part is None else tuple(part.shape)
            if found != (place.part_shape if place.held else None):
                raise ShapeError(f"the part of {name} has shape {found} on this rank; expected {place}")
        if part is None:
            mine, host = False, np.empty(0)
        else:
            mine, host = place.first and rank_of(self.replicas) == 0, np.ascontiguousarray(to_host(part))
        row = np.array([[mine, place.start, place.stop, host.dtype.num]], dtype=np.int64)
        rows = np.asarray(allgather_rows(row, comm)) if size(comm) > 1 else row
        if rank_of(comm) > 0:
            if mine:
                send(host.reshape(-1), 0, operation="collected", comm=comm).wait()
            return None
        writers = np.flatnonzero(rows[:, 0])
        whole = np.empty(place.shape, _DTYPES[int(rows[writers[0], 3])])
        for rank in writers.tolist():
            there = replace(place, start=int(rows[rank, 1]), stop=int(rows[rank, 2]))
            if rank == 0:
                whole[there.part] = host
                continue
            arrived = recv((math.prod(there.part_shape),), whole.dtype, rank, comm=comm).wait()
            whole[there.part] = arrived.reshape(there.part_shape)
        return whole
