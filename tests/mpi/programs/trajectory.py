"""Frames of a trajectory dealt to ranks: the file holds the same bits as the serial one, and errors are agreed.

mpirun -n 3 python tests/mpi/programs/trajectory.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sabotage import private_communicator

from sci.distributed import abort_on_error, broadcast_object
from sci.errors import SciError
from sci.io import compute_trajectory, load

comm = private_communicator()


def write(path: Path, bad: int | None = None) -> None:
    rng = np.random.default_rng(2)
    charges, positions = rng.normal(size=12), rng.random((12, 3)) * 9
    rows = []
    for k in range(7):
        positions = positions + 0.1 * rng.normal(size=positions.shape)
        rows += ["12", "Properties=species:S:1:pos:R:3:charge:R:1"]
        rows += [f"X {x:.4f} {y:.4f} {z:.4f} {q:.3f}" for (x, y, z), q in zip(positions, charges)]
        if k == bad:
            rows[-1] = "X 1 2 nan 0.3"
    path.write_text("\n".join(rows) + "\n")


def message_of(path: Path, out: Path, **options: object) -> str:
    try:
        compute_trajectory(path, out, comm=comm, **options)
    except SciError as error:
        return str(error)
    return ""


with abort_on_error(comm):
    folder = Path(sys.argv[1])
    good, bad = folder / "good.xyz", folder / "bad.xyz"
    if comm.rank == 0:
        write(good)
        write(bad, 5)
    comm.Barrier()
    for method in ("direct", "format"):
        out, alone = folder / f"{method}.h5", folder / f"{method}_alone.h5"
        compute_trajectory(good, out, method=method, tol=1e-5, accuracy="forces", comm=comm)
        if comm.rank == 0:
            compute_trajectory(good, alone, method=method, tol=1e-5, accuracy="forces")
            found, expected = load(out), load(alone)
            assert found.frames.tolist() == list(range(7))
            np.testing.assert_array_equal(found.energies, expected.energies)
            np.testing.assert_array_equal(found.forces, expected.forces)
        comm.Barrier()
        compute_trajectory(good, out, method=method, tol=1e-5, accuracy="forces", resume=True, comm=comm)
    # A bad frame on one rank, another input, no input: all ranks say the same, and whole rounds before it stay.
    assert "bad.xyz:84" in message_of(bad, folder / "bad.h5"), message_of(bad, folder / "bad.h5")
    finished = broadcast_object(len(load(folder / "bad.h5").frames) if comm.rank == 0 else None, comm)
    assert finished == 5 // comm.size * comm.size, finished
    assert "tol 1e-05 then, 0.001 now" in message_of(
        good, folder / "direct.h5", resume=True, tol=1e-3, accuracy="forces", method="direct"
    )
    assert "there is no such" in message_of(folder / "none.xyz", folder / "none.h5")
    if comm.rank == 0:
        print("PASS")
