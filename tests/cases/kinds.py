"""One small file of every kind that the library writes, and how each is read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from samples import make_objects, numbers, smoke_frames

from sci.io import (
    Samples,
    compress_file,
    load,
    load_grid,
    load_problem,
    load_results,
    load_samples,
    read_slabs,
    save,
    save_potential_file,
    save_samples,
    save_smoke,
)
from sci.io.core.hdf5 import create
from sci.io.core.header import make_header
from sci.io.grids.parts import link_parts
from sci.io.grids.vtkhdf import PART, image_group, write_grid, write_part
from sci.potentials.grid import PotentialGrid

GRID = PotentialGrid(numbers(3, 4, 5), (1.0, -2.0, 3.0), (0.5, 0.25, 1.0), "kT/e")
RESULTS = {"energy_e2_per_angstrom": 1.5, "forces": numbers(4, 3), "units": "Ω", "options": {"tol": 2.0, "a": 0.25}}


@dataclass(frozen=True)
class FileKind:
    """How one kind of file is written, and read into something that `samples.same` compares.

    `checked` is False for files of others, which have no checksums: a flipped bit in them may be read as a number.
    """

    write: Callable[[Path], None]
    read: Callable[[Path], object]
    checked: bool = True


def _of_object(name: str) -> FileKind:
    return FileKind(lambda path: save(path, make_objects()[name], command="golden"), load)


def _potential_file(path: Path) -> None:
    save_potential_file(path, make_objects()["potential"], grid=GRID, results=RESULTS, command="golden")


def _compressed(path: Path) -> None:
    with create(path, make_header("grid", GRID.units, "golden")) as file:
        write_grid(file, PotentialGrid(numbers(6, 7, 20), GRID.origin, GRID.spacing, GRID.units), compression=4)


def _packed(path: Path) -> None:
    """Write samples whose fields are compressed: constants, which no machine rounds otherwise."""
    plain = path.with_name("plain.h5")
    save(plain, Samples(np.full((4, 32, 32), 1.5), np.full((4, 32, 32), 0.25), 2, True), command="golden")
    compress_file(plain, path, 1e-3)
    plain.unlink()


def part_names(path: Path) -> list[str]:
    """Return the names of the parts of the file that `_spread` writes."""
    return [f"{path.stem}.part{rank:03d}.h5" for rank in range(2)]


def _spread(path: Path) -> None:
    """Write a grid in two parts, as two ranks would."""
    header = make_header("grid", GRID.units, "golden")
    boxes = np.array([[0, 0, 0, 2, 4, 5], [2, 0, 0, 1, 4, 5]])
    for name, box in zip(part_names(path), boxes):
        local = PotentialGrid(GRID.values[box[0] : box[0] + box[3]], GRID.origin, GRID.spacing, GRID.units)
        with create(path.with_name(name), make_header(PART, GRID.units, "golden", header.uuid)) as file:
            write_part(file, local)
    with create(path, header, sealed=True) as file:
        image = image_group(file, GRID.shape, GRID.origin, GRID.spacing, GRID.units)
        link_parts(image, part_names(path), boxes, GRID.values.dtype)


def _read_grid(path: Path) -> object:
    return load_grid(path), tuple(read_slabs(path))


def _foreign(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = numbers(5, 3, 4), numbers(5, 2).astype("f4")
        file["mask"], file["b"] = numbers(4, 5, 3) > -2.0, numbers(4, 5, 3)
        file.create_dataset("coefficient", data=1 + numbers(4, 5, 3) ** 2, compression=4)
        file.attrs["spacing"], file.attrs["boundary"] = 0.5, '["dirichlet", "neumann", "periodic"]'


KINDS: dict[str, FileKind] = {
    **{name: _of_object(name) for name in make_objects()},
    "potential_file": FileKind(_potential_file, lambda path: (load(path), load_grid(path), load_results(path))),
    "compressed_grid": FileKind(_compressed, _read_grid),
    "packed_samples": FileKind(_packed, load),
    "spread": FileKind(_spread, _read_grid),
    "streamed_samples": FileKind(lambda path: save_samples(path, numbers(5, 3), numbers(5, 2, 4)), load),
    "streamed_smoke": FileKind(lambda path: save_smoke(path, smoke_frames()), load),
    "foreign_samples": FileKind(_foreign, load_samples, checked=False),
    "foreign_poisson": FileKind(_foreign, load_problem, checked=False),
}
