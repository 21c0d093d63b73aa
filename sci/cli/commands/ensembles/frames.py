"""Frames of a trajectory as points: each rank reads its own, makes them whole, and superposes them."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sci.cli.estimates.needs import require_memory
from sci.cli.outcome import say
from sci.cli.sharing import from_first
from sci.distributed import agreed, allreduce_sum, split
from sci.ensembles import superpose, unwrap
from sci.errors import FileFormatError, InvalidValueError
from sci.io import STRUCTURE_FORMATS, Frame, count_frames, read_positions

__all__ = ["Frames", "chosen_atoms", "chosen_range", "is_trajectory", "read_trajectory", "superposed"]

SUFFIXES = tuple(suffix for known in STRUCTURE_FORMATS.values() for suffix in known)
REST = 1e-4
"""Change of the mean structure, over its radius of gyration, at which it rests; far below what frames differ by."""
_RANGE = re.compile(r"-?\d*(:-?\d*){1,2}")


@dataclass(frozen=True, eq=False)
class Frames:
    """This rank's frames of a trajectory.

    Parameters
    ----------
    path : Path
    positions : (f, n, 3) float64 array, angstrom
    atoms : tuple of str
        Names of the n chosen atoms.
    numbers : range
        Numbers in the file of the frames of all ranks.
    periodic : bool
    """

    path: Path
    positions: np.ndarray
    atoms: tuple[str, ...]
    numbers: range
    periodic: bool


def is_trajectory(path: Path, topology: Path | None) -> bool:
    """Return True for a file whose frames are the points."""
    return topology is not None or path.suffix.lower() in SUFFIXES


def chosen_range(text: str, count: int, path: Path) -> range:
    """Return the numbers that A:B:STEP names.

    Raises
    ------
    InvalidValueError
        For another text, or where it leaves nothing.
    """
    try:
        found = range(count)[_slice(text)]
    except ValueError as error:
        raise InvalidValueError(f"--range {text}: expected A:B or A:B:STEP, like 100: or ::10") from error
    if len(found) == 0 or found.step < 1:
        raise InvalidValueError(
            f"{path}: --range {text} leaves no ascending choice of its {count} points; expected at least one"
        )
    return found


def _slice(text: str) -> slice:
    """Return the slice that A:B or A:B:STEP names.

    Raises
    ------
    ValueError
        For another text, or a step of zero.
    """
    if not _RANGE.fullmatch(text):
        raise ValueError(text)
    found = slice(*(int(part) if part else None for part in text.split(":")))
    if found.step == 0:
        raise ValueError(text)
    return found


def chosen_atoms(text: str | None, names: Sequence[str], path: Path) -> np.ndarray:
    """Return the numbers of the atoms that ranges, numbers and names with commas between them choose, ascending.

    Raises
    ------
    InvalidValueError
        For a name that no atom has, or a range without atoms.
    """
    if text is None:
        return np.arange(len(names))
    chosen: set[int] = set()
    for word in (part.strip() for part in text.split(",")):
        found = [k for k, name in enumerate(names) if name == word]
        if word.isdecimal():
            found = [int(word)] if len(word) < 12 and int(word) < len(names) else []
        elif _RANGE.fullmatch(word):
            with contextlib.suppress(ValueError):  # a step of zero chooses nothing
                found = list(range(len(names))[_slice(word)])
        if not found:
            known = sorted(set(names))
            more = ", ..." if len(known) > 12 else ""
            raise InvalidValueError(
                f"--atoms {word}: no such atom among the {len(names)} of {path}; expected numbers from 0 to "
                f"{len(names) - 1}, ranges A:B, or names: {', '.join(known[:12])}{more}"
            )
        chosen.update(found)
    return np.array(sorted(chosen))


def read_trajectory(a: argparse.Namespace, path: Path) -> Frames:
    """Return this rank's share of the frames of a trajectory, made whole in their cell.

    Raises
    ------
    FileFormatError, InvalidValueError, MissingDependencyError
        On every rank.
    """
    if a.dataset is not None:
        raise InvalidValueError(f"--dataset {a.dataset}: {path} is a trajectory, whose points are its frames")

    def look() -> tuple[range, tuple[str, ...], np.ndarray, bool]:
        count = count_frames(path, topology=a.topology, charges=False)
        if count == 0:
            raise FileFormatError(f"{path}: the file holds no frame; expected at least one")
        numbers = chosen_range(a.range, count, path)
        first = next(read_positions(path, topology=a.topology, frames=numbers[:1]))[1]
        return numbers, first.names, chosen_atoms(a.atoms, first.names, path), first.cell is not None

    numbers, names, atoms, periodic = from_first(a.comm, look)
    own = numbers[split(len(numbers), a.comm)]
    # Positions as they are read, whole, and superposed.
    remedy = "take every STEP-th frame by --range ::STEP, fewer --atoms, or more ranks"
    require_memory(a.comm, 8.0 * len(own) * (9 * len(atoms) + 9), remedy)
    positions, cells = np.empty((len(own), len(atoms), 3)), np.empty((len(own), 3, 3))
    with agreed(a.comm, "the frames"):
        found = read_positions(path, topology=a.topology, frames=own) if len(own) else iter(())
        for k, (number, frame) in enumerate(found):
            _require_alike(path, number, frame, numbers[0], names, periodic)
            positions[k] = frame.positions[atoms]
            cells[k] = 0 if frame.cell is None else frame.cell
    if periodic and a.unwrap:
        positions = unwrap(positions, cells, comm=a.comm)
    return Frames(path, positions, tuple(names[k] for k in atoms), numbers, periodic)


def _require_alike(path: Path, number: int, frame: Frame, first: int, names: tuple[str, ...], periodic: bool) -> None:
    """Refuse a frame of other atoms than the first, or with a cell where that has none."""
    if len(frame.names) != len(names):
        raise FileFormatError(
            f"{path}: frame {number} has {len(frame.names)} atoms; expected {len(names)}, as in frame {first}"
        )
    if frame.names != names:
        k = next(k for k, (one, other) in enumerate(zip(frame.names, names)) if one != other)
        raise FileFormatError(
            f"{path}: atom {k} of frame {number} is {frame.names[k]}; expected {names[k]}, as in frame {first}: the "
            "frames must list the same atoms in the same order"
        )
    if (frame.cell is not None) != periodic:
        told = ("has no cell", "has one") if periodic else ("has a cell", "has none")
        raise FileFormatError(f"{path}: frame {number} {told[0]}, and frame {first} {told[1]}; expected all alike")


def superposed(a: argparse.Namespace, sets: Sequence[Frames]) -> tuple[list[np.ndarray], dict[str, object]]:
    """Return the frames of all sets as points (f, 3 n) of one superposition, and what was done to them.

    Raises
    ------
    InvalidValueError, FileFormatError
        On every rank.
    """
    atoms = sets[0].atoms
    for other in sets[1:]:
        if other.atoms != atoms:
            raise InvalidValueError(
                f"{sets[0].path} has {len(atoms)} chosen atoms and {other.path} {len(other.atoms)}, or with other "
                "names; expected the same atoms in both: choose them by --atoms"
            )
    if not a.superpose:
        if a.reference is not None:
            raise InvalidValueError("--reference goes with --superpose; leave --no-superpose out")
        return [_flat(s.positions if not s.periodic else _centered(s.positions)) for s in sets], {"superposed": False}
    reference = None if a.reference is None else from_first(a.comm, lambda: _reference(a, sets[0]))
    found = superpose(np.concatenate([s.positions for s in sets]), reference, tol=REST, comm=a.comm)
    sums = np.array([float((found.rmsd**2).sum()), float(len(found.rmsd)), float((~found.unique).sum())])
    squared, count, many = allreduce_sum(sums, a.comm)
    if not found.converged:
        say("warning", f"the mean structure still moved after {found.iterations} iterations; choose atoms that stay")
    if many and len(atoms) > 1:
        say("warning", f"{int(many)} of {int(count)} frames have several best rotations: their atoms lie on one line")
    ends = np.cumsum([len(s.positions) for s in sets])[:-1]
    about = {"superposed": True, "rmsd": float(np.sqrt(squared / count)), "reference": str(a.reference or "mean")}
    return [_flat(part) for part in np.split(found.aligned, ends)], about


def _flat(positions: np.ndarray) -> np.ndarray:
    return positions.reshape(len(positions), 3 * positions.shape[1])


def _centered(positions: np.ndarray) -> np.ndarray:
    """Return frames about their centers: where a molecule lies in a periodic cell means nothing."""
    return np.asarray(positions - positions.mean(axis=1, keepdims=True))


def _reference(a: argparse.Namespace, like: Frames) -> np.ndarray:
    """Return the chosen atoms of the first frame of --reference, whole."""
    topology = a.topology if not is_trajectory(a.reference, None) else None
    _, frame = next(read_positions(a.reference, topology=topology, frames=range(1)))
    atoms = chosen_atoms(a.atoms, frame.names, a.reference)
    names = tuple(frame.names[k] for k in atoms)
    if names != like.atoms:
        raise InvalidValueError(
            f"{a.reference} has {len(names)} chosen atoms and {like.path} {len(like.atoms)}, or with other names; "
            "expected the same atoms in both"
        )
    positions: np.ndarray = frame.positions[atoms]
    if frame.cell is not None and a.unwrap:
        positions = np.asarray(unwrap(positions[None], frame.cell[None])[0])
    return positions
