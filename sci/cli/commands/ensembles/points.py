"""The points of a command: frames of a trajectory, samples of a file, or activations of a model, spread over ranks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sci.cli.commands.ensembles.frames import Frames, chosen_range, is_trajectory, read_trajectory, superposed
from sci.cli.estimates.needs import require_memory
from sci.cli.sharing import from_first, rows_to_first
from sci.distributed import agreed, allgather_rows, allreduce_max, rank_of, recv, send, size, split
from sci.errors import InvalidValueError, with_article
from sci.io import PointSet, load, read_points
from sci.nn import collect_activations
from sci.operators import TrainedOperator, as_fields
from sci.operators.fno.base import Operator

__all__ = ["Points", "principal_places", "read_inputs", "read_labels"]

_SAMPLE = 4_000_000
"""Numbers of the points from which the principal axes are found."""


@dataclass(frozen=True, eq=False)
class Points:
    """Points of which each rank holds a part.

    Parameters
    ----------
    path : Path
    x : (m, D) float32 or float64 array
        Those of this rank.
    numbers : range
        Numbers in the file of the points of all ranks.
    what : str
        What they are, in words.
    atoms : int
        Atoms of a frame; 0 for points that are no frames.
    about : dict
        What was done to them.
    """

    path: Path
    x: np.ndarray
    numbers: range
    what: str
    atoms: int = 0
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Points of all ranks."""
        return len(self.numbers)


def read_inputs(a: argparse.Namespace, paths: list[Path]) -> list[Points]:
    """Return the points of files of one kind, frames superposed together.

    Raises
    ------
    SciError
        On every rank.
    """
    kinds = [is_trajectory(path, a.topology) for path in paths]
    if len(set(kinds)) > 1:
        raise InvalidValueError(f"{paths[0]} and {paths[1]}: one is a trajectory and one is not; expected two alike")
    if kinds[0]:
        if getattr(a, "model", None) is not None:
            raise InvalidValueError(f"--model takes samples, and {paths[0]} is a trajectory")
        sets = [read_trajectory(a, path) for path in paths]
        flat, about = superposed(a, sets)
        return [_of_frames(a, frames, x, about) for frames, x in zip(sets, flat)]
    for name in ("atoms", "reference"):
        if getattr(a, name) is not None:
            raise InvalidValueError(f"--{name} goes with a trajectory; {paths[0]} holds points")
    found = [_of_samples(a, path) for path in paths]
    dimensions = [points.x.shape[1] for points in found]
    if len(set(dimensions)) > 1:
        raise InvalidValueError(
            f"the points of {paths[0]} have {dimensions[0]} coordinates, and those of {paths[1]} {dimensions[1]}; "
            "expected as many: choose them by --dataset"
        )
    return found


def _of_frames(a: argparse.Namespace, frames: Frames, x: np.ndarray, about: dict[str, Any]) -> Points:
    n = len(frames.atoms)
    how = f"superposed on their mean, RMSD {about['rmsd']:.4g} angstrom" if about["superposed"] else "not superposed"
    if a.reference is not None:
        how = f"superposed on {a.reference.name}, RMSD {about['rmsd']:.4g} angstrom"
    if frames.periodic:
        how += ", made whole" if a.unwrap else ", as wrapped by the cell"
    return Points(frames.path, x, frames.numbers, f"frames of {n} atom{'s' * (n > 1)}, {how}", n, about)


def _of_samples(a: argparse.Namespace, path: Path) -> Points:
    if not a.superpose:
        raise InvalidValueError(f"--no-superpose goes with a trajectory; {path} holds points")
    source = from_first(a.comm, lambda: read_points(path, a.dataset))
    numbers = chosen_range(a.range, source.n, path)
    x = _spread(a.comm, source, numbers)
    name = source.dataset or path.name
    if getattr(a, "model", None) is None:
        return Points(path, x, numbers, f"{name}, {_shape(source.shape)} each", about={"dataset": source.dataset})
    layer, x = _activations(a, x.reshape(len(x), *source.shape))
    what = f"layer {layer} of {a.model.name} for {name}, {x.shape[1]} numbers each"
    return Points(path, x, numbers, what, about={"dataset": source.dataset, "layer": layer, "model": str(a.model)})


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) if len(shape) > 1 else f"{shape[0] if shape else 1} numbers"


def _spread(comm: Any, source: PointSet, numbers: range) -> np.ndarray:
    """Return this rank's points; rank 0 reads block by block and holds no more than a block of the others' points."""
    own = split(len(numbers), comm)
    remedy = "take every STEP-th point by --range ::STEP, or more ranks"
    require_memory(comm, (own.stop - own.start) * float(source.dimension) * source.dtype.itemsize, remedy)
    x = np.empty((own.stop - own.start, source.dimension), source.dtype)
    blocks: Iterator[np.ndarray] = source.blocks(numbers) if rank_of(comm) == 0 else iter(())
    shares = [split(len(numbers), rank=rank, size=size(comm)) for rank in range(size(comm))]
    at = 0
    while True:
        with agreed(comm, "the points") as agreement:
            block = next(blocks, None)
            agreement.gather(-1 if block is None else len(block))
        length = int(agreement.table[0, 0])
        if length < 0:
            return x
        for rank, share in enumerate(shares):
            first, last = max(at, share.start), min(at + length, share.stop)
            if first >= last:
                continue
            if rank == rank_of(comm):
                part = block[first - at : last - at] if block is not None else None
                received = part if part is not None else recv((last - first, x.shape[1]), x.dtype, 0, comm=comm).wait()
                x[first - share.start : last - share.start] = received
            elif block is not None:
                send(np.ascontiguousarray(block[first - at : last - at]), rank, comm=comm).wait()
        at += length


def read_labels(a: argparse.Namespace, points: Points) -> np.ndarray:
    """Return the label of each of this rank's points.

    Raises
    ------
    SciError
        On every rank.
    """
    if points.atoms:
        raise InvalidValueError(f"--labels {a.labels}: {points.path} is a trajectory; expected an HDF5 or npz file")
    source = from_first(a.comm, lambda: read_points(points.path, a.labels))
    if source.dimension != 1 or source.n <= points.numbers[-1]:
        raise InvalidValueError(
            f"{points.path}: {a.labels} has {source.n} rows of {source.dimension} numbers; expected a number for each "
            f"of the points, {points.numbers[-1] + 1} or more"
        )
    return _spread(a.comm, source, points.numbers)[:, 0]


def _activations(a: argparse.Namespace, x: np.ndarray) -> tuple[str, np.ndarray]:
    """Return a layer of the model and what it returns for this rank's samples."""
    model = from_first(a.comm, lambda: _loaded(a.model))
    inputs = _as_inputs(model, x, a.input)

    def choose() -> str:
        names = list(collect_activations(model, inputs[:2]))
        return a.layer or names[-2:][0]

    layer = from_first(a.comm, choose)
    with agreed(a.comm, "the activations"):
        found = collect_activations(model, inputs, layers=[layer])[layer] if len(inputs) else None
    width = np.array([0 if found is None else int(np.prod(found.shape[1:]))])
    columns = int(allreduce_max(width, a.comm)[0])
    single = int(allreduce_max(np.array([int(found is not None and found.dtype == np.float32)]), a.comm)[0])
    if found is None:
        return layer, np.empty((0, columns), np.float32 if single else np.float64)
    if np.iscomplexobj(found):
        raise InvalidValueError(f"--layer {layer}: its values are complex; choose one of real numbers")
    return layer, np.asarray(found).reshape(len(found), -1)


def _loaded(path: Path) -> Any:
    model = load(path)
    if not callable(model):
        raise InvalidValueError(
            f"{path} holds {with_article(type(model).__name__)}, which takes no samples; expected an operator"
        )
    return model


def _as_inputs(model: Any, x: np.ndarray, path: Path) -> np.ndarray:
    """Return samples as the model takes them: fields of an operator have a channel, and are float32."""
    inner = model.model if isinstance(model, TrainedOperator) else model
    if not isinstance(inner, Operator):
        return x
    return np.asarray(as_fields(x, inner.config.dim, f"{path}: the samples")).astype(np.float32, copy=False)


def principal_places(x: np.ndarray, total: int, comm: Any) -> np.ndarray | None:
    """Return on rank 0 the places (n, 2) of all points on two principal axes of a part of them; None elsewhere.

    The same on every rank count.
    """
    wanted = int(np.clip(_SAMPLE // x.shape[1], 10, 2000))
    step = max(1, -(-total // wanted))
    own = split(total, comm)
    rows = np.arange(-(-own.start // step) * step, own.stop, step) - own.start
    some = allgather_rows(x[rows].astype(float), comm)
    middle = some.mean(axis=0)
    _, _, axes = np.linalg.svd(some - middle, full_matrices=False)
    axes = axes[:2] if len(axes) > 1 else np.concatenate([axes, np.zeros_like(axes)])[:2]
    axes = axes * np.where(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1) < 0, -1, 1)
    places = np.empty((len(x), 2), np.float32)
    block = max(1, 2**20 // x.shape[1])
    for start in range(0, len(x), block):
        part = x[start : start + block] - middle
        for k, axis in enumerate(axes):
            places[start : start + block, k] = (part * axis).sum(axis=1)  # its order does not depend on the rows
    return rows_to_first(comm, places)
