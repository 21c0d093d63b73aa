"""Train a codebook of fields over ranks, and compare with one process bit for bit.

mpirun -n 4 python tests/mpi/programs/vector_quantizer.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from counts import every_count
from mpi4py import MPI
from sabotage import private_communicator

from sci.compression import train_vector_quantizer
from sci.distributed import abort_on_error, broadcast_object, split
from sci.errors import InvalidValueError
from sci.io import load, save

FIELDS = np.random.default_rng(7).normal(size=(23, 1, 8, 12)).cumsum(axis=2)
SCALES = [(1, 1), (2, 3), (4, 6)]


def compare(comm: MPI.Intracomm, fields: np.ndarray, codes: int = 24, **options: object) -> None:
    serial, history = train_vector_quantizer(FIELDS, SCALES, codes, patch=(2, 2), rounds=4, **options)
    spread, found = train_vector_quantizer(fields, SCALES, codes, patch=(2, 2), rounds=4, comm=comm, **options)
    np.testing.assert_array_equal(spread.codebook, serial.codebook)
    assert broadcast_object(spread.fingerprint, comm) == spread.fingerprint == serial.fingerprint
    np.testing.assert_allclose(found.losses, history.losses, rtol=1e-12)
    for name, values in history.metrics.items():
        np.testing.assert_array_equal(found.metrics[name], values)


def revive(comm: MPI.Intracomm, fields: np.ndarray, folder: Path) -> None:
    """Codes that are used on no rank move, those used on one rank alone do not count as dead."""
    options = {"patch": (2, 2), "comm": comm}
    path = folder / "run.h5"

    def keep(checkpoint: object) -> None:
        if comm.rank == 0:
            save(path, checkpoint, overwrite=True)
        comm.Barrier()

    train_vector_quantizer(fields, SCALES, 24, rounds=2, save=keep, **options)
    checkpoint = load(path)
    checkpoint.parameters["codebook"][3:12] = 1e4
    quantizer, history = train_vector_quantizer(fields, SCALES, 24, rounds=6, resume=checkpoint, **options)
    assert np.abs(quantizer.codebook).max() < 1e3
    used = np.zeros(24, np.int64)
    for codes in quantizer.encode(fields):
        used += np.bincount(codes.ravel(), minlength=24)
    assert (comm.allreduce(used) > 0).sum() >= 21  # 9 of 24 were dead
    assert len(history.losses) == 6
    message = ""
    try:
        train_vector_quantizer(fields * 2, SCALES, 24, rounds=6, resume=checkpoint, **options)
    except InvalidValueError as error:
        message = str(error)
    assert "digest" in message, message


def check(comm: MPI.Intracomm) -> None:
    own = FIELDS[split(len(FIELDS), comm)]
    compare(comm, own)
    compare(comm, own, 12, one_each=True, zero_code=True)
    if comm.size > 1:  # one rank has no field at all
        last = comm.rank == comm.size - 1
        compare(comm, FIELDS[:0] if last else np.array_split(FIELDS, comm.size - 1)[comm.rank])
    folder = broadcast_object(tempfile.mkdtemp() if comm.rank == 0 else "", comm)
    revive(comm, own, Path(folder))


world = private_communicator()
with abort_on_error(world):
    for part in every_count(world):
        check(part)
    if world.rank == 0:
        print("PASS")
