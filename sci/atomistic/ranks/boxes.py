"""Atoms in boxes of a cell, one a rank, with the atoms around each box: who computes what, and who sends what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sci.atomistic.neighbors import Neighborhood, completed_cell, image_shells, neighborhood, pairs_within
from sci.distributed import Comm, agreed, allreduce_max, alltoall, rank_of, size
from sci.distributed.grids.process_grids import best_proc_shape

__all__ = ["Boxes", "LocalAtoms", "local_atoms", "send_back"]


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of ranks in fractions of a cell.

    Parameters
    ----------
    cell : (3, 3) array
        Rows that do not repeat are unit vectors across the others.
    periodic : (3,) bool array
    low, high : (3,) arrays
        Ends of what is cut into boxes, in fractions.
    shape : tuple of int
        Boxes along each axis.
    """

    cell: np.ndarray
    periodic: np.ndarray
    low: np.ndarray
    high: np.ndarray
    shape: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Boxes({' x '.join(map(str, self.shape))})"

    @cached_property
    def inverse(self) -> np.ndarray:
        """The matrix from positions to fractions."""
        return np.linalg.inv(self.cell)

    @cached_property
    def per_length(self) -> np.ndarray:
        """Fractions across each pair of planes for an angstrom."""
        found: np.ndarray = np.linalg.norm(self.inverse, axis=0)
        return found

    @classmethod
    def of(cls, positions: np.ndarray, cell: np.ndarray | None, periodic: np.ndarray, comm: Comm) -> Boxes:
        """Return boxes as even as they get for the atoms of all ranks (collective)."""
        basis = np.eye(3) if cell is None else completed_cell(cell, periodic)
        inverse = np.linalg.inv(basis)
        fractions = positions @ inverse
        ends = np.full((2, 3), -np.inf)
        if len(fractions):
            ends = np.stack([-fractions.min(axis=0), fractions.max(axis=0)])
        ends = allreduce_max(ends, comm)
        low, high = np.where(periodic, 0.0, -ends[0]), np.where(periodic, 1.0, ends[1])
        high = np.maximum(high, low + 1e-9)
        heights = (high - low) / np.linalg.norm(inverse, axis=0)
        lengths = tuple(int(n) for n in np.maximum(1, np.round(1e4 * heights / heights.max())))
        return cls(basis, periodic, low, high, best_proc_shape(lengths, size(comm), (0, 0, 0)))

    def home(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of atoms in the cell, in fractions, and the rank of the box of each."""
        fractions = positions @ self.inverse
        fractions = np.where(self.periodic, fractions - np.floor(fractions), fractions)
        fractions = np.where(self.periodic & (fractions >= 1), 0.0, fractions)
        part = np.floor((fractions - self.low) / (self.high - self.low) * self.shape).astype(np.int64)
        part = np.clip(part, 0, np.array(self.shape) - 1)
        return fractions, np.ravel_multi_index(tuple(part.T), self.shape)

    def ends(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the two corners of a box, in fractions."""
        at = np.array(np.unravel_index(rank, self.shape))
        width = (self.high - self.low) / self.shape
        return self.low + at * width, self.low + (at + 1) * width

    def outside(self, fractions: np.ndarray, rank: int) -> np.ndarray:
        """Return distances of points from a box, the largest over the axes of those between planes, angstrom."""
        low, high = self.ends(rank)
        beyond = np.maximum(np.maximum(low - fractions, fractions - high), 0.0)
        found: np.ndarray = (beyond / self.per_length).max(axis=1)
        return found


@dataclass(frozen=True, eq=False)
class LocalAtoms:
    """The atoms of a box and around it, and where each came from.

    Parameters
    ----------
    near : Neighborhood
        Atoms of the box first, then those around it by the number of layers that need them.
    own : int
        Atoms of the box.
    order : (m,) int64
        Place of each atom among those of the box and those received, in the order of the ranks.
    received : list of int
        Atoms around the box from each rank.
    sent : list of (k,) int64 arrays
        Which atoms of the box went to each rank.
    origins : (own, 2) int64
        Rank and row that an atom of the box came from.
    positions : (own, 3) float64
        Of the atoms of the box, which are the first of `near`.
    """

    near: Neighborhood
    own: int
    order: np.ndarray
    received: list[int]
    sent: list[np.ndarray]
    origins: np.ndarray
    positions: np.ndarray

    def __repr__(self) -> str:
        return f"LocalAtoms({self.own} atoms, {sum(self.received)} around them)"


def local_atoms(
    numbers: np.ndarray, positions: np.ndarray, boxes: Boxes, cutoff: float, layers: int, comm: Comm
) -> LocalAtoms:
    """Send atoms to the ranks of their boxes, and to those whose boxes are within `layers` cutoffs (collective).

    Parameters
    ----------
    numbers : (n,) int64
        Species of this rank's atoms, in any box.
    positions : (n, 3) float64
    boxes : Boxes
    cutoff : float
    layers : int
    comm : communicator
    """
    rank, ranks = rank_of(comm), size(comm)
    fractions, homes = boxes.home(positions)
    row = np.column_stack([fractions, numbers, np.full(len(numbers), rank), np.arange(len(numbers))])
    own = np.concatenate(alltoall([row[homes == r] for r in range(ranks)], operation="atoms", comm=comm))
    with agreed(comm, "the boxes of atoms"):
        pieces, sent = _halo(own[:, :4], boxes, cutoff * layers, rank, ranks)
    ghosts = alltoall(pieces, operation="atoms", comm=comm)
    everything = np.concatenate([own[:, :4], *ghosts])
    depth = boxes.outside(everything[:, :3], rank)
    depth[: len(own)] = 0.0
    levels = np.ceil(depth / cutoff - 1e-9).astype(np.int64)
    levels[len(own) :] = np.maximum(levels[len(own) :], 0)
    order = np.lexsort((np.arange(len(levels)) >= len(own), levels))
    counts = tuple(int((levels <= layers - 1 - t).sum()) for t in range(layers))
    places, kinds = everything[order, :3] @ boxes.cell, everything[order, 3].astype(np.int64)
    near = _rows(places, kinds, counts, cutoff)
    counted = np.where(order[: counts[0]] < len(own), 0, -1)
    near = Neighborhood(near.index, near.vectors, near.present, kinds, counted, counts)
    received, origins = [len(g) for g in ghosts], own[:, 4:].astype(np.int64)
    return LocalAtoms(near, len(own), order, received, sent, origins, own[:, :3] @ boxes.cell)


def _rows(places: np.ndarray, kinds: np.ndarray, counts: Sequence[int], cutoff: float) -> Neighborhood:
    """Return the neighbors of the first atoms among all, as rows."""
    m = len(places)
    first, second, _ = pairs_within(places[: counts[0]], places, np.arange(m), np.zeros((m, 3), np.int64), cutoff)
    return neighborhood(kinds, (first, second), places[second] - places[first], cutoff, counts[0])


def _halo(
    own: np.ndarray, boxes: Boxes, reach: float, rank: int, ranks: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the atoms, as images, that each rank's box has around it, and their rows here."""
    shells = image_shells(reach * boxes.per_length, boxes.periodic)
    shifts = [np.array(shift) - shells for shift in np.ndindex(*(2 * shells + 1))]
    pieces, sent = [], []
    for target in range(ranks):
        images, rows = [np.empty((0, 4))], [np.empty(0, np.int64)]
        for shift in shifts:
            if target == rank and not shift.any():
                continue
            moved = own[:, :3] + shift
            near = np.flatnonzero(boxes.outside(moved, target) <= reach)
            images.append(np.column_stack([moved[near], own[near, 3]]))
            rows.append(near)
        pieces.append(np.concatenate(images))
        sent.append(np.concatenate(rows))
    return pieces, sent


def send_back(local: LocalAtoms, forces: np.ndarray, comm: Comm) -> np.ndarray:
    """Return the forces on the atoms that this rank gave: parts from all boxes, summed by the owner (collective).

    Parameters
    ----------
    local : LocalAtoms
    forces : (m, 3) float64
        On the atoms of the box and around it, from the energy of those of the box.
    comm : communicator
    """
    ranks = size(comm)
    plain = np.empty_like(forces)
    plain[local.order] = forces
    ends = local.own + np.concatenate([[0], np.cumsum(local.received)]).astype(int)
    parts = [plain[ends[r] : ends[r + 1]] for r in range(ranks)]
    arrived = alltoall(parts, operation="forces", comm=comm)
    own = plain[: local.own].copy()
    for copied, part in zip(local.sent, arrived):
        np.add.at(own, copied, part)
    back = [np.flatnonzero(local.origins[:, 0] == r) for r in range(ranks)]
    rows = alltoall([local.origins[b, 1] for b in back], operation="forces", comm=comm)
    values = alltoall([own[b] for b in back], operation="forces", comm=comm)
    found = np.empty((sum(map(len, rows)), 3))
    found[np.concatenate(rows)] = np.concatenate(values)
    return found
