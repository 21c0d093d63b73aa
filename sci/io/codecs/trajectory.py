"""Energies and forces of a trajectory in one file that a kill at any moment leaves whole.

All of the file but the numbers is written once, under a temporary name: datasets of their full size at fixed places.
Frames are then written in place by the operating system, not through HDF5, so no metadata ever change; the checksum of
a frame is written last, and a frame without one is not finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.distributed import Comm, agreed
from sci.errors import FileFormatError, InvalidValueError
from sci.io.core.datasets import Group, crc32, name_axes, read_array, read_text, write_array, write_text
from sci.io.core.frames import frames_dataset, frames_group
from sci.io.core.hdf5 import create, open_file
from sci.io.core.header import make_header
from sci.io.core.outputs import reserve, write_error
from sci.io.core.registry import codec
from sci.io.readers.text import require_file
from sci.io.readers.trajectory import count_frames, read_frames
from sci.potentials.forcefield.exclusions import Exclusions
from sci.potentials.frame_loop import FrameJob, compute_frames
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import Coulomb, RadialKernel
from sci.potentials.range_separated.build import Accuracy
from sci.potentials.trajectory import FramePlan, FrameResult, Trajectory, plan_frames

__all__ = [
    "ERRORS",
    "KIND",
    "TrajectoryFile",
    "TrajectoryState",
    "compute_trajectory",
    "trajectory_state",
]

KIND = "trajectory"
UNITS = "e^2/angstrom, e^2/angstrom^2"
ERRORS = ("energy_errors", "force_errors")
"""Datasets of the relative and worst errors of each frame."""
UNFINISHED = -1
"""In place of the checksum of a frame that is not finished."""
SYNC_SECONDS = 1.0
"""Frames are flushed to the disk itself this often: what a loss of power may cost."""


def compute_trajectory(
    path: str | Path,
    out: str | Path,
    *,
    topology: str | Path | None = None,
    frames: slice = slice(None),
    tol: float = 1e-6,
    kernel: RadialKernel | None = None,
    accuracy: Accuracy = "potential",
    method: str = "auto",
    exclusions: Exclusions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    command: str | None = None,
    comm: Comm = None,
) -> None:
    """Write energy and forces of every frame of a trajectory to an HDF5 file.

    Parameters
    ----------
    path, topology : path
        As in `read_frames`, on a file system that all ranks see.
    out : path
        The file; `load` reads the finished frames as a `Trajectory` at any time.
    frames : slice
        Which frames of the trajectory.
    tol, kernel, accuracy, method
        As in `plan_frames`.
    exclusions : Exclusions, optional
        Pairs of atoms that every frame leaves out or scales, as `read_exclusions` reads them.
    resume : bool
        Continue with `out` if it exists: only frames that are not finished are computed.
    overwrite : bool
        Replace `out` if it exists, finished or not.
    command : str, optional
        What made the file; kept in it.
    comm : mpi4py communicator, optional
        As in `sci.potentials.compute_frames`, which computes the frames; rank 0 writes.

    Raises
    ------
    FileFormatError
        On every rank, for a bad frame or file, or a full disk. Finished frames stay.
    InvalidValueError
        On every rank: to resume with another input or other options; if `out` exists and is neither to be continued nor
        to be replaced.

    Notes
    -----
    Collective. A process that is killed at any moment loses no finished frame and leaves a file that opens. The input
    is identified by the SHA-256 of its bytes.
    """
    with agreed(comm, "compute_trajectory") as agreement:
        agreement.same(path=str(path), out=str(out), topology=topology and str(topology), frames=frames, tol=tol)
        agreement.same(kernel=kernel, accuracy=accuracy, method=method, resume=resume, overwrite=overwrite)
        agreement.same(exclusions=None if exclusions is None else (exclusions.pairs, exclusions.scales))
    options: dict[str, Any] = {"tol": tol, "kernel": kernel, "accuracy": accuracy, "method": method}
    options["exclusions"] = exclusions
    options |= {"resume": resume, "overwrite": overwrite, "command": command}
    sink = TrajectoryFile(out, path, topology=topology, frames=frames, **options)

    def read(numbers: Sequence[int]) -> Iterator[tuple[int, Particles]]:
        return with_exclusions(read_frames(path, topology=topology, frames=numbers), exclusions)

    compute_frames(read, sink, title=str(path), comm=comm)


def with_exclusions(
    frames: Iterator[tuple[int, Particles]], exclusions: Exclusions | None
) -> Iterator[tuple[int, Particles]]:
    """Yield frames whose particles have exclusions."""
    for number, particles in frames:
        yield number, particles if exclusions is None else replace(particles, exclusions=exclusions)


class TrajectoryFile:
    """The file that `compute_trajectory` writes, a sink of `sci.potentials.compute_frames`.

    Parameters
    ----------
    out, path, topology, frames, tol, kernel, accuracy, method, exclusions, resume, overwrite, command
        As in `compute_trajectory`.

    Examples
    --------
    >>> from sci.datasets import dataset_path
    >>> from sci.io import TrajectoryFile
    >>> TrajectoryFile("ions.h5", dataset_path("ions"), tol=1e-6) is not None
    True
    """

    def __init__(
        self,
        out: str | Path,
        path: str | Path,
        *,
        topology: str | Path | None = None,
        frames: slice = slice(None),
        tol: float = 1e-6,
        kernel: RadialKernel | None = None,
        accuracy: Accuracy = "potential",
        method: str = "auto",
        exclusions: Exclusions | None = None,
        resume: bool = False,
        overwrite: bool = False,
        command: str | None = None,
    ) -> None:
        self.out, self.path, self.topology, self.frames = Path(out), Path(path), topology, frames
        self.tol, self.kernel, self.accuracy, self.method = tol, kernel, accuracy, method
        self.exclusions = exclusions
        self.resume, self.overwrite, self.command = resume, overwrite, command
        self._stack = contextlib.ExitStack()
        self._slots: _Slots | None = None

    def __repr__(self) -> str:
        """Return the names of the file and of its input."""
        return f"TrajectoryFile({str(self.out)!r}, of {str(self.path)!r})"

    def begin(self) -> FrameJob:
        """Make the file, or find out what it lacks.

        Raises
        ------
        FileFormatError, InvalidValueError
        """
        with contextlib.ExitStack() as stack:
            # Before anybody asks how far the file is; whether it may exist, `_prepare` says.
            stack.enter_context(reserve(self.out, overwrite=True))
            job = self._prepare()
            if len(job.places):
                self._slots = stack.enter_context(_open_slots(self.out))
            self._stack = stack.pop_all()
        return job

    def write(self, place: int, result: FrameResult) -> None:
        """Write one frame, its checksum last.

        Raises
        ------
        FileFormatError
        """
        assert self._slots is not None
        try:
            self._slots.write(place, result)
        except OSError as error:
            raise write_error(self.out, error, 8 * result.forces.size) from error

    def close(self) -> None:
        """Flush the file to the disk and close it."""
        self._stack.close()

    def _prepare(self) -> FrameJob:
        numbers = range(count_frames(self.path, topology=self.topology))[self.frames]
        if len(numbers) == 0 or numbers.step < 1:
            raise InvalidValueError(
                f"{self.path}: no frame is left of {self.frames}; expected an ascending choice of at least one"
            )
        source = self._source(numbers)
        if self.out.exists() and not (self.overwrite and not self.resume):
            state = trajectory_state(self.out)
            unfinished = np.flatnonzero(state.checksums == UNFINISHED)
            if self.resume:
                _require_same(self.out, state.source, source)
                assert state.plan is not None  # a file without one has no source either
                return FrameJob(state.plan, np.array(numbers)[unfinished], unfinished)
            finished, total = len(state.checksums) - len(unfinished), len(state.checksums)
            raise InvalidValueError(
                f"{self.out}: {finished} of {total} frames are finished; continue with resume=True, or replace it "
                "with overwrite=True"
            )
        frames = read_frames(self.path, topology=self.topology, frames=range(numbers[0], numbers[0] + 1))
        _, first = next(with_exclusions(frames, self.exclusions))
        plan = plan_frames(first, self.tol, kernel=self.kernel, accuracy=self.accuracy, method=self.method)
        header = make_header(KIND, UNITS, self.command)
        with create(self.out, header, 8 * len(numbers) * (3 * plan.n + 7)) as file:
            _write_layout(file.create_group(KIND), np.array(numbers), plan.n, plan.as_dict(), source)
        return FrameJob(plan, np.array(numbers), np.arange(len(numbers)))

    def _source(self, numbers: range) -> dict[str, Any]:
        """Return the identity of the computation: SHA-256 of the input, and the options."""
        return {
            "trajectory": _digest(self.path),
            "topology": _digest(Path(self.topology)) if self.topology else "",
            "frames": [numbers.start, numbers.stop, numbers.step],
            "tol": self.tol,
            "kernel": self.kernel.name if self.kernel else Coulomb.name,
            "kappa": self.kernel.kappa if self.kernel else 0.0,
            "accuracy": self.accuracy,
            "method": self.method,
            "exclusions": "" if self.exclusions is None else _digest_of(self.exclusions),
        }


def _digest_of(exclusions: Exclusions) -> str:
    """Return the SHA-256 of pairs and scales."""
    content = exclusions.pairs.astype("<i8").tobytes() + np.asarray(exclusions.scales).astype("<f8").tobytes()
    return hashlib.sha256(content).hexdigest()


def _digest(path: Path) -> str:
    require_file(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); check the name and the folder") from error


def _require_same(out: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if old.get("kernel") == "newton":  # the name of 1/r in schema 1
        old = {**old, "kernel": Coulomb.name}
    old = {"accuracy": "potential", "exclusions": "", **old}  # files of before it could be chosen
    different = [name for name in new if old.get(name) != new[name]]
    if different:
        told = "; ".join(_changed(name, old.get(name), new[name]) for name in different)
        raise InvalidValueError(
            f"{out} is of another trajectory or of other settings: {told}; give the same again to resume, or write to "
            "another file"
        )


def _changed(name: str, then: Any, now: Any) -> str:
    """Describe a setting that differs; digests of files say nothing to a reader."""
    if name == "frames":
        start, stop, step = then if isinstance(then, list) and len(then) == 3 else ("?", "?", "?")
        return f"frames {start}:{stop}:{step} then, {now[0]}:{now[1]}:{now[2]} now"
    if name in ("trajectory", "topology"):
        return f"the contents of the {name} have changed"
    if name == "exclusions":
        return "the pairs that are left out have changed"
    return f"{name} {then} then, {now} now"


@dataclass(frozen=True)
class _Slots:
    """An open file and where its datasets lie in it."""

    path: Path
    descriptor: int
    offsets: Mapping[str, int]
    n: int
    synced: list[float]

    def write(self, place: int, result: FrameResult) -> None:
        """Write one frame, its checksum last."""
        errors = result.errors if ERRORS[0] in self.offsets else None
        self._put("forces", 24 * self.n * place, result.forces)
        self._put("energies", 8 * place, np.array([result.energy]))
        for name, pair in zip(ERRORS, () if errors is None else errors):
            self._put(name, 16 * place, pair)
        mark = _checksum(result.energy, result.forces, errors)
        self._put("checksums", 8 * place, np.array([mark], dtype=np.int64))
        if time.monotonic() - self.synced[0] > SYNC_SECONDS:
            os.fsync(self.descriptor)
            self.synced[0] = time.monotonic()

    def _put(self, name: str, start: int, array: np.ndarray) -> None:
        data, place = np.ascontiguousarray(array).tobytes(), self.offsets[name] + start
        while data:
            done = os.pwrite(self.descriptor, data, place)
            data, place = data[done:], place + done


def _checksum(energy: float, forces: np.ndarray, errors: np.ndarray | None) -> int:
    """Return the checksum of a frame; files of before errors were measured have none."""
    parts = [np.array([energy]), forces.ravel()]
    return crc32(np.concatenate(parts if errors is None else [*parts, errors.ravel()]))


@contextlib.contextmanager
def _open_slots(path: Path) -> Iterator[_Slots]:
    with open_file(path, (KIND,)) as (file, _):
        group = frames_group(file, KIND)
        names = ("energies", "forces", "checksums", *(name for name in ERRORS if name in group))
        offsets = {name: frames_dataset(group, name).id.get_offset() for name in names}
        n = group["forces"].shape[1]
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield _Slots(path, descriptor, offsets, n, [time.monotonic()])
        os.fsync(descriptor)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        os.close(descriptor)


def _write_layout(
    group: Group, numbers: np.ndarray, n: int, plan: Mapping[str, Any], source: Mapping[str, Any]
) -> None:
    """Write everything but the frames, and reserve their places."""
    write_text(group, "plan", json.dumps(plan))
    write_text(group, "source", json.dumps(source))
    write_array(group, "frames", numbers.astype(np.int64), "1", ("frames",))
    reserved: tuple[tuple[str, dict[str, int], type, float, str], ...] = (
        ("energies", {}, np.float64, np.nan, "e^2/angstrom"),
        ("forces", {"particle": n, "xyz": 3}, np.float64, np.nan, "e^2/angstrom^2"),
        *((name, {"relative_and_worst": 2}, np.float64, np.nan, "") for name in ERRORS),
        ("checksums", {}, np.int64, UNFINISHED, "1"),
    )
    for name, axes, dtype, fill, units in reserved:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.CONTIGUOUS)
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        properties.set_fill_value(np.array(fill, dtype=dtype))
        properties.set_fill_time(h5py.h5d.FILL_TIME_ALLOC)
        space = h5py.h5s.create_simple((len(numbers), *axes.values()))
        identifier = h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(np.dtype(dtype)), space, properties)
        if units:
            write_text(h5py.Dataset(identifier), "units", units)
        name_axes(h5py.Dataset(identifier), ("frames", *axes))


@dataclass(frozen=True)
class TrajectoryState:
    """State of the file of a trajectory.

    Parameters
    ----------
    plan : FramePlan or None
        How the frames are evaluated; None in a file that `save` wrote, which holds results alone.
    source : dict
        Identity of the input, and the options, which must not change when a run resumes.
    checksums : (F,) int64 array
        CRC-32 of each frame, -1 for those that are not finished.

    Examples
    --------
    >>> from sci.datasets import dataset_path
    >>> from sci.io import compute_trajectory, trajectory_state
    >>> compute_trajectory(dataset_path("ions"), "states.h5", tol=1e-4, frames=slice(0, 2))
    >>> len(trajectory_state("states.h5").checksums)
    2
    """

    plan: FramePlan | None
    source: dict[str, Any]
    checksums: np.ndarray

    def __repr__(self) -> str:
        """Return the numbers of frames and the plan."""
        finished = int((self.checksums != UNFINISHED).sum())
        return f"TrajectoryState({finished} of {len(self.checksums)} frames finished, {self.plan})"


def trajectory_state(path: str | Path) -> TrajectoryState:
    """Return the state of the file of a trajectory.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    TrajectoryState

    Raises
    ------
    FileFormatError
        Also for a file of another kind.
    """
    with open_file(path, (KIND,)) as (file, _):
        group = frames_group(file, KIND)
        settings = json.loads(read_text(group, "plan"))
        plan = FramePlan(**settings) if settings else None
        return TrajectoryState(
            plan, json.loads(read_text(group, "source")), np.asarray(frames_dataset(group, "checksums")[()])
        )


@codec(Trajectory, kind=KIND, units=UNITS)
class _TrajectoryCodec:
    """Attributes `plan`, `source` (JSON); `frames` (F, integers): which of the input; `energies` (F), `forces`
    (F, n, 3), `energy_errors` and `force_errors` (F, 2): relative and worst, measured; `checksums` (F): CRC-32 of all
    of a frame, -1 before it is finished."""

    @staticmethod
    def write(group: Group, trajectory: Trajectory) -> None:
        n, finished = trajectory.forces.shape[1], len(trajectory.frames)
        numbers = np.arange(trajectory.n_frames)
        numbers[:finished] = trajectory.frames
        _write_layout(group, numbers, n, {}, {})
        errors = np.full((finished, 2, 2), np.nan) if trajectory.errors is None else trajectory.errors
        marks = [_checksum(*frame) for frame in zip(trajectory.energies, trajectory.forces, errors)]
        stored = {"energies": trajectory.energies, "forces": trajectory.forces, "checksums": np.array(marks, np.int64)}
        stored |= {name: errors[:, k] for k, name in enumerate(ERRORS)}
        for name, values in stored.items():
            dataset = group[name]
            dataset[:finished] = values
            dataset.flush()  # when it is closed instead, an error of a full disk is lost

    @staticmethod
    def read(group: Group) -> Trajectory:
        frames = read_array(group, "frames", (None,), ("i8",))
        checksums, energies, forces = (frames_dataset(group, name) for name in ("checksums", "energies", "forces"))
        n = len(frames)
        if checksums.shape != (n,) or energies.shape != (n,) or forces.ndim != 3 or forces.shape[::2] != (n, 3):
            raise FileFormatError(f"the datasets of {group.name} do not fit together; the file is damaged")
        marks = checksums[()]
        done = np.flatnonzero(marks != UNFINISHED)
        errors = _errors(group, n)
        measured = None if errors is None else errors[done]
        result = Trajectory(frames[done], energies[()][done], forces[()][done], n, measured)
        for k, (place, energy, force) in enumerate(zip(done, result.energies, result.forces)):
            if _checksum(energy, force, None if measured is None else measured[k]) != marks[place]:
                raise FileFormatError(f"frame {frames[place]} fails its checksum; the file is damaged: make it again")
        unknown = measured is not None and bool(np.isnan(measured).any())
        return replace(result, errors=None) if unknown else result


def _errors(group: Group, n: int) -> np.ndarray | None:
    """Return the errors of all frames, (n, 2, 2); None in a file of before they were measured."""
    if not all(name in group for name in ERRORS):
        return None
    found = [frames_dataset(group, name) for name in ERRORS]
    if any(dataset.shape != (n, 2) for dataset in found):
        raise FileFormatError(f"the datasets of {group.name} do not fit together; the file is damaged")
    return np.stack([dataset[()] for dataset in found], axis=1)
