"""Energies and forces of many frames on the ranks of a job, handed to whatever keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sci.arguments import collective_entry, entry
from sci.distributed import Comm, agreed, allgather_rows, broadcast_object, rank_of, size
from sci.errors import InvalidValueError
from sci.potentials.measured.error import MeasuredError, warn_above
from sci.potentials.measured.measure import ENERGY_FACTOR
from sci.potentials.particles import Particles
from sci.potentials.trajectory import FramePlan, FrameResult, compute_frame
from sci.progress import progress

__all__ = ["FrameJob", "FrameReader", "FrameSink", "compute_frames"]

FrameReader = Callable[[Sequence[int]], Iterator[tuple[int, Particles]]]
"""Yields number and particles of the frames with the given numbers, in their order."""


@entry
@dataclass(frozen=True)
class FrameJob:
    """The frames that are to be computed.

    Parameters
    ----------
    plan : FramePlan
    numbers : (n,) int array
        Number of each frame in its trajectory, from 0, ascending.
    places : (n,) int array
        Where the sink keeps each of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.datasets import load_dataset
    >>> from sci.potentials import FrameJob, plan_frames
    >>> FrameJob(plan_frames(load_dataset("ions")[0]), np.arange(3), np.arange(3)).numbers
    array([0, 1, 2])
    """

    plan: FramePlan
    numbers: np.ndarray
    places: np.ndarray


class FrameSink(Protocol):
    """What keeps the results of `compute_frames`, on rank 0 alone: a file, a list in memory, ...

    Examples
    --------
    >>> import numpy as np
    >>> from sci.datasets import load_dataset
    >>> from sci.potentials import FrameJob, compute_frames, plan_frames
    >>> frames = load_dataset("ions")
    >>> class Energies(dict):
    ...     def begin(self):
    ...         return FrameJob(plan_frames(frames[0]), np.arange(2), np.arange(2))
    ...     def write(self, place, result):
    ...         self[place] = result.energy
    ...     def close(self):
    ...         pass
    >>> kept = Energies()
    >>> compute_frames(lambda numbers: ((k, frames[k]) for k in numbers), kept)
    >>> len(kept)
    2
    """

    def begin(self) -> FrameJob:
        """Return the frames that are to be computed."""

    def write(self, place: int, result: FrameResult) -> None:
        """Keep one frame."""

    def close(self) -> None:
        """Finish; called once, whatever happened."""


@collective_entry
def compute_frames(read: FrameReader, sink: FrameSink, *, title: str = "frames", comm: Comm = None) -> None:
    """Compute energy and forces of the frames that a sink asks for, and hand them to it.

    Parameters
    ----------
    read : callable
        Called once on each rank, with the numbers of its own frames.
    sink : FrameSink
    title : str
        Stands before the number of a frame in messages, like the name of the file.
    comm : mpi4py communicator, optional
        Frames are dealt to its ranks in turn; the numbers do not depend on how many there are.

    Raises
    ------
    SciError
        On every rank, whatever a reader, a frame or the sink raises on one. Finished frames stay with the sink.

    Notes
    -----
    Collective. One round computes one frame on each rank, and gathers energy and forces on rank 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import FrameJob, Particles, compute_frames, plan_frames
    >>> frames = [Particles([[0.0, 0.0, 0.0], [0.0, 0.0, r]], [1.0, -1.0]) for r in (1.0, 2.0)]
    >>> class Energies(dict):
    ...     def begin(self):
    ...         return FrameJob(plan_frames(frames[0]), np.arange(2), np.arange(2))
    ...     def write(self, place, result):
    ...         self[place] = result.energy
    ...     def close(self):
    ...         pass
    >>> energies = Energies()
    >>> compute_frames(lambda numbers: ((k, frames[k]) for k in numbers), energies)
    >>> energies
    {0: -1.0, 1: -0.5}
    """
    root = rank_of(comm) == 0
    try:
        with agreed(comm, "compute_frames"):  # the other ranks wait for the outcome, whatever goes wrong
            found = sink.begin() if root else None
        _run(read, sink, broadcast_object(found, comm), title, comm)
    finally:
        if root:
            sink.close()


def _run(read: FrameReader, sink: FrameSink, job: FrameJob, title: str, comm: Comm) -> None:
    ranks, rank = size(comm), rank_of(comm)
    with agreed(comm, "compute_frames"):
        mine = read(job.numbers[rank::ranks].tolist())
    largest = np.zeros((2, 2))
    for start in progress(range(0, len(job.numbers), ranks), "trajectory", show=rank == 0):
        row = np.empty((0, 6 + 3 * job.plan.n))
        with agreed(comm, "compute_frames"):
            if start + rank < len(job.numbers):
                try:
                    _, particles = next(mine)
                    found = compute_frame(particles, job.plan)
                except Exception as error:
                    named = _with_frame(error, title, int(job.numbers[start + rank]))
                    if named is error:  # which must not become its own cause
                        raise
                    raise named from error
                place = job.places[start + rank]
                row = np.concatenate([[place, found.energy], found.errors.ravel(), found.forces.ravel()])[None]
        rows = allgather_rows(row, comm)
        largest = np.maximum(largest, rows[:, 2:6].reshape(-1, 2, 2).max(axis=0))
        with agreed(comm, "compute_frames"):
            if rank == 0:
                for one in rows:
                    errors = one[2:6].reshape(2, 2)
                    sink.write(int(one[0]), FrameResult(float(one[1]), one[6:].reshape(-1, 3), errors))
    if rank == 0:
        _warn_if_missed(job.plan, largest)


def _warn_if_missed(plan: FramePlan, largest: np.ndarray) -> None:
    """Warn of the first quantity whose largest error over the frames is above the tolerance."""
    for quantity, (relative, worst), factor in zip(("energy", "forces"), largest.tolist(), (ENERGY_FACTOR, 1.0)):
        if relative > factor * plan.tol:
            fix = "compute the frames with a smaller tol"
            if quantity not in plan.promises:
                fix = "it holds for the potential; accuracy 'forces' holds the forces to it"
            warn_above(MeasuredError(quantity, relative, worst), factor * plan.tol, fix)
            return


def _with_frame(error: Exception, title: str, number: int) -> Exception:
    """Return an error that names the frame."""
    text = str(error)
    if isinstance(error, InvalidValueError) and not text.startswith(title):
        return InvalidValueError(f"{title}: frame {number}: {text}")
    return error
