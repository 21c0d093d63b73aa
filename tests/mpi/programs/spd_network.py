"""Train an SPDNet with batch normalization over ranks, and compare with one process.

mpirun -n 2 python tests/mpi/programs/spd_network.py
"""

from __future__ import annotations

import numpy as np
from counts import every_count
from mpi4py import MPI
from sabotage import private_communicator
from spd_cases import spd

from sci.distributed import abort_on_error, broadcast_object, split
from sci.errors import ShapeError
from sci.nn import Adam, SPDNet, bures_barycenter, train

RNG = np.random.default_rng(4)
X, LABELS = spd(RNG, 25, 1, 6, condition=1e3), np.arange(25) % 3


def fit(model: SPDNet, batch_size: int, comm: MPI.Intracomm | None = None) -> dict[str, np.ndarray]:
    options = {"optimizer": Adam(1e-2), "epochs": 2, "batch_size": batch_size}
    done = train(model.loss(comm), model.parameters, (X, LABELS), buffers=model.statistics, comm=comm, **options)
    return {**done.parameters, **model.statistics, "losses": done.losses}


def compare(batch_size: int, comm: MPI.Intracomm) -> None:
    options = {"dtype": np.float64, "theta": 0.5, "hidden_channels": 2, "scale": 0.5}
    serial = fit(SPDNet((6, 4, 3), 3, **options), batch_size)
    spread = fit(SPDNet((6, 4, 3), 3, **options), batch_size, comm)
    for name, array in serial.items():
        np.testing.assert_allclose(spread[name], array, rtol=1e-6, atol=1e-8, err_msg=name)
        assert broadcast_object(spread[name].tobytes(), comm) == spread[name].tobytes(), "all ranks hold the same bits"


def check(comm: MPI.Intracomm) -> None:
    x = spd(np.random.default_rng(1), 9, 2, 5, condition=1e6)
    np.testing.assert_allclose(bures_barycenter(x[split(9, comm)], comm=comm), bures_barycenter(x), rtol=1e-8)
    compare(12, comm)  # the last batch has one sample: all ranks but one have none
    compare(25, comm)
    model = SPDNet((6, 4), 3, dtype=np.float64).calibrate(X[split(25, comm)], batch_size=25, comm=comm)
    whole = SPDNet((6, 4), 3, dtype=np.float64).calibrate(X, batch_size=25)
    for name, array in whole.statistics.items():
        np.testing.assert_allclose(model.statistics[name], array, rtol=1e-9, atol=1e-12)
    message = ""
    try:
        bures_barycenter(x[:0], comm=comm)
    except ShapeError as error:
        message = str(error)
    assert "no samples" in message, message


world = private_communicator()
with abort_on_error(world):
    for part in every_count(world):
        check(part)
    if world.rank == 0:
        print("PASS")
