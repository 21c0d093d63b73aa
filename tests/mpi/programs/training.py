"""Train over ranks, and compare with the serial training: gradients, losses, checkpoints, errors.

mpirun -n 4 python tests/mpi/programs/training.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from counts import every_count
from mpi4py import MPI
from sabotage import private_communicator

from sci import nn
from sci.distributed import abort_on_error, broadcast_object
from sci.errors import ConvergenceError, InvalidValueError
from sci.io import load, save
from sci.nn import AdamP, AdamW, Standardizer, allreduce_gradients, train

RNG = np.random.default_rng(6)
X = RNG.normal(size=(31, 2, 5))
Y = np.sin(X.sum(axis=1, keepdims=True))
START = {
    "w": RNG.normal(size=(4, 2)),
    "b": np.zeros(4),
    "z": (RNG.normal(size=(1, 4)) + 1j).astype(np.complex128),
}


def real_vjp(dout: np.ndarray, _: None) -> tuple[np.ndarray]:
    return (dout.astype(np.complex128),)


@nn.op(vjp=real_vjp)
def real(x: np.ndarray) -> tuple[np.ndarray, None]:
    return x.real.copy(), None


def loss(v: dict, batch: tuple) -> nn.Variable:
    h = nn.gelu(nn.pointwise_conv(batch[0], v["w"], v["b"]))
    h = real(nn.pointwise_conv(h, v["z"]))
    return nn.relative_l2(h, target=batch[1])


def compare(optimizer: nn.Optimizer, batch_size: int, comm: MPI.Intracomm) -> None:
    options = {"optimizer": optimizer, "epochs": 3, "batch_size": batch_size, "clip": 0.3, "seed": 2}
    serial = train(loss, START, (X, Y), **options)
    spread = train(loss, START, (X, Y), **options, comm=comm)
    np.testing.assert_allclose(spread.losses, serial.losses, rtol=1e-11)
    for name, p in serial.parameters.items():
        np.testing.assert_allclose(spread.parameters[name], p, rtol=1e-10, atol=1e-12)
        root = broadcast_object(spread.parameters[name].tobytes(), comm)
        assert root == spread.parameters[name].tobytes(), "all ranks hold the same bits"


def resume(path: Path, comm: MPI.Intracomm) -> None:
    options = {"optimizer": AdamW(1e-2), "batch_size": 8, "seed": 2, "comm": comm}
    whole = train(loss, START, (X, Y), epochs=2, **options)
    train(loss, START, (X, Y), epochs=1, save=lambda c: save(path, c, comm=comm, overwrite=True), **options)
    again = train(loss, START, (X, Y), epochs=2, resume=load(path), **options)
    assert again.losses.tobytes() == whole.losses.tobytes()
    assert all(again.parameters[n].tobytes() == p.tobytes() for n, p in whole.parameters.items())


def raises(kind: type, text: str, call) -> None:
    message = ""
    try:
        call()
    except kind as error:
        message = str(error)
    assert text in message, message


def check(comm: MPI.Intracomm) -> None:
    compare(AdamW(1e-2), 8, comm)
    compare(AdamP(1e-2), 3, comm)  # the last batch has one sample: most ranks have none
    resume(Path(broadcast_object(tempfile.mkdtemp(), comm), "run.h5"), comm)
    gradients = {"a": np.full(3, 1.0 + comm.rank, "f4"), "z": np.full(2, 1j * comm.rank, "c8")}
    total, value = allreduce_gradients(gradients, float(comm.rank), 1 / comm.size, comm=comm)
    mean = (comm.size - 1) / 2
    np.testing.assert_allclose(total["a"], 1 + mean, rtol=1e-6)
    np.testing.assert_allclose(total["z"], 1j * mean, rtol=1e-6)
    assert (total["a"].dtype, total["z"].dtype) == (np.float32, np.complex64)
    assert abs(value - mean) < 1e-6
    mine = X[comm.rank :: comm.size]
    found, expected = Standardizer.fit(mine, comm=comm), Standardizer.fit(X)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-12)
    bad = X.copy()
    bad[5] = np.nan
    options = {"optimizer": AdamW(), "epochs": 1, "batch_size": 31, "comm": comm}
    raises(ConvergenceError, "loss is nan in step 1", lambda: train(loss, START, (bad, Y), **options))
    if comm.size > 1:
        other = {**START, "w": START["w"] + (comm.rank == 1)}
        raises(InvalidValueError, "parameters differs between ranks", lambda: train(loss, other, (X, Y), **options))
        clip = -1.0 if comm.rank == comm.size - 1 else None
        raises(InvalidValueError, "clip is -1.0", lambda: train(loss, START, (X, Y), **options, clip=clip))


world = private_communicator()
with abort_on_error(world):
    for part in every_count(world):
        check(part)
    if world.rank == 0:
        print("PASS")
