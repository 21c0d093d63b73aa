"""What a large grid costs in memory and time when it streams, and what filters and chunks would give.

    OMP_NUM_THREADS=1 python benchmarks/files.py stream --gib 4 [--folder FOLDER]
    OMP_NUM_THREADS=1 python benchmarks/files.py filters

`stream` writes a grid of that size in slabs, reads it back, makes a second file of it in other units, and prints
CPU and wall seconds and the peak memory of the process. It needs twice the size on the disk, and removes the files.

`filters` packs what the library stores, a potential's grid, tensors, samples and forces, with each filter of HDF5 and
prints the ratio and the CPU seconds for a gigabyte, written and read (best of three); then, for the grid, what chunks
cost a reader of the whole and of planes across each axis.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.datasets import dataset_path
from sci.io import read_slabs, read_structure, save_slabs
from sci.io.core.hdf5 import LIBVER
from sci.potentials import PotentialGrid, RangeSeparatedPotential, box_axes
from sci.problems import darcy_flow

EXAMPLE = dataset_path("ubiquitin")
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "lzf": {"compression": "lzf"},
    "shuffle, lzf": {"compression": "lzf", "shuffle": True},
    "gzip 1": {"compression": 1},
    "shuffle, gzip 1": {"compression": 1, "shuffle": True},
    "shuffle, gzip 4": {"compression": 4, "shuffle": True},
    "shuffle, gzip 9": {"compression": 9, "shuffle": True},
}


def best(action: Callable[[], Any], repeats: int = 3) -> float:
    """Return the least CPU seconds of some repeats."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def peak() -> float:
    """Return the peak of this process's memory in MiB."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def stream(gib: float, folder: Path) -> None:
    """Write, read and convert a grid of `gib` GiB."""
    n = round((gib * 2**27) ** (1 / 3))
    plane = np.random.default_rng(0).normal(size=(n, n))
    path, other = folder / "stream.h5", folder / "stream_kt.h5"

    def made() -> Iterator[PotentialGrid]:
        for start in range(0, n, 2):
            count = min(2, n - start)
            values = np.stack([plane + start + k for k in range(count)], axis=2)
            yield PotentialGrid(values, (0.0, 0.0, 0.5 * start), (0.5, 0.5, 0.5))

    def read() -> None:
        total = sum(float(slab.values.sum()) for slab in read_slabs(path))
        exact = n * float(plane.sum()) + n * n * n * (n - 1) / 2
        assert abs(total / exact - 1) < 1e-12, (total, exact)

    steps: dict[str, Callable[[], None]] = {
        "write": lambda: save_slabs(path, made(), n),
        "read": read,
        "to kT/e": lambda: save_slabs(other, (slab.in_units("kT/e") for slab in read_slabs(path)), n),
    }
    print(f"{n}^3 points, {n**3 * 8 / 2**30:.2f} GiB; {peak():.0f} MiB before")
    for name, step in steps.items():
        cpu, wall = time.process_time(), time.perf_counter()
        step()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        print(f"{name:>8}: {cpu:6.1f} s CPU, {wall:6.1f} s, peak {peak():.0f} MiB", flush=True)


def contents() -> dict[str, np.ndarray]:
    """Return what the library stores, for real."""
    phi = RangeSeparatedPotential(read_structure(EXAMPLE), tol=1e-6)
    x, y, z = box_axes(phi.domain, 128)
    grid = np.ascontiguousarray(phi.on_grid(x, y, z).transpose(2, 1, 0))
    a, u = darcy_flow(64, 64)
    return {
        "grid, float64": grid,
        "grid, float32": grid.astype(np.float32),
        "Tucker core": np.asarray(phi.long_range.core),
        "Tucker factor": np.asarray(phi.long_range.factors[0]),
        "Darcy coefficients": np.asarray(a, np.float32),
        "Darcy solutions": np.asarray(u, np.float32),
        "forces": phi.forces(),
    }


def filters(folder: Path) -> None:
    """Print ratios and CPU seconds of every filter."""
    path, things = folder / "filters.h5", contents()
    print(f"{'what':>20} {'filter':>16} {'ratio':>6} {'write s/GB':>11} {'read s/GB':>10}")
    for what, array in things.items():
        for name, packed in FILTERS.items():
            chunks = None if not packed else chunk_of(array.shape)

            def write(array: np.ndarray = array, chunks: Any = chunks, packed: dict[str, Any] = packed) -> None:
                with h5py.File(path, "w", libver=LIBVER) as file:
                    file.create_dataset("x", data=array, chunks=chunks, **packed)

            def read() -> Any:
                with h5py.File(path) as file:
                    return file["x"][()]

            written, seconds = best(write), best(read)
            with h5py.File(path) as file:
                ratio = array.nbytes / file["x"].id.get_storage_size()
            gigabytes = array.nbytes / 1e9
            print(f"{what:>20} {name:>16} {ratio:>6.2f} {written / gigabytes:>11.2f} {seconds / gigabytes:>10.2f}")
    grid = things["grid, float64"]
    print(f"\n{'chunks':>16} {'filter':>16} {'whole':>8} {'z plane':>8} {'y plane':>8} {'x plane':>8}   CPU ms")
    for chunks in (None, (8, 64, 64), (32, 32, 32), (1, *grid.shape[1:])):
        for name in ("none", "shuffle, gzip 1") if chunks else ("none",):
            with h5py.File(path, "w", libver=LIBVER) as file:
                file.create_dataset("x", data=grid, chunks=chunks, **FILTERS[name])
            middle = grid.shape[0] // 2
            cuts = [(), (middle,), (slice(None), middle), (slice(None), slice(None), middle)]
            times = []
            for cut in cuts:
                with h5py.File(path) as file:
                    times.append(1e3 * best(lambda file=file, cut=cut: file["x"][cut], 5))
            print(f"{chunks or 'one piece'!s:>16} {name:>16} " + " ".join(f"{t:8.2f}" for t in times))


def chunk_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return chunks of about 256 KiB, as grids have them when they are packed."""
    if len(shape) == 3:
        return tuple(min(c, n) for c, n in zip((8, 64, 64), shape))
    rest = int(np.prod(shape[1:]))
    return (max(1, min(shape[0], 2**15 // max(1, rest))), *shape[1:])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("stream", "filters"))
    parser.add_argument("--gib", type=float, default=4.0)
    parser.add_argument("--folder", type=Path, help="where the files are made; a temporary one unless given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.what == "stream":
            stream(arguments.gib, Path(folder))
        else:
            filters(Path(folder))


if __name__ == "__main__":
    main()
