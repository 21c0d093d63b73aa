"""Operators on ranks: data-parallel and patch-parallel training beside one process.

mpirun -n 4 python tests/mpi/programs/operators.py
"""

from __future__ import annotations

import numpy as np
from counts import every_count
from mpi4py import MPI
from sabotage import private_communicator

from sci.distributed import abort_on_error
from sci.errors import DecompositionError
from sci.nn import AdamW, Tape, relative_l2, train, value_and_gradients
from sci.operators import FNO, MultigridPatches, TrainingConfig, train_operator
from sci.operators.patches.parallel import patch_loss, patched_relative_l2
from sci.operators.patches.windows import crop_patches, stitch_patches


def check(comm: MPI.Intracomm) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6, 1, 8, 8)).astype(np.float32)
    cut = MultigridPatches(1, 0.125)
    model = FNO((3, 3), cut.channels(1, 2), 1, 6, 2, positional_grid=False)

    def serial(variables, batch):
        """The loss on stitched fields, whole on one process."""
        patches = model.forward(variables, cut.split(batch[0]))
        cores = crop_patches(patches, cut=cut, grid=(8, 8))
        field = stitch_patches(cores, cut=cut, grid=(8, 8))
        return relative_l2(field, target=batch[1])

    double = {n: p.astype(np.complex128 if p.dtype.kind == "c" else np.float64) for n, p in model.parameters.items()}
    batch = (x.astype(np.float64), y.astype(np.float64))
    value, gradients = value_and_gradients(lambda v: serial(v, batch), double)
    spread = patch_loss(model, cut, comm)
    found, shares = value_and_gradients(lambda v: spread(v, batch), double)
    assert abs(value - found) < 1e-12, (value, found)
    for name, gradient in gradients.items():
        scale = np.abs(gradient).max()
        assert np.abs(shares[name] - gradient).max() <= 1e-11 * scale, name

    # An exact prediction has no direction: zero, not NaN.
    p = Tape().watch(np.ones((1, 1, 2, 2)))
    loss = patched_relative_l2(p, target=p.value, samples=np.array([0]), n_samples=1, comm=comm)
    loss.backward()
    assert (p.gradient == 0).all()

    settings = {"optimizer": AdamW(1e-2), "epochs": 2, "batch_size": 3}
    one = train(serial, model.parameters, (x, y), **settings)
    many = train(spread, model.parameters, (x, y), **settings)
    for name, parameter in one.parameters.items():
        assert np.abs(many.parameters[name] - parameter).max() < 1e-4, name
    assert np.allclose(one.losses, many.losses, rtol=1e-5)

    plain = FNO((3, 3), 1, 1, 6, 2)
    config = TrainingConfig(epochs=2, batch_size=4, periodic=True)
    alone, history = train_operator(plain, x, y, config)
    together, shared_history = train_operator(plain, x, y, config, comm=comm)
    assert np.allclose(history.losses, shared_history.losses, rtol=1e-5)
    assert np.abs(alone(x) - together(x)).max() < 1e-3

    whole = patch_loss(plain, MultigridPatches(0, positional_grid=False), comm)
    message = ""
    try:
        whole(plain.parameters, (x[:1], y[:1]))
    except DecompositionError as error:
        message = str(error)
    assert ("fewer ranks" in message) == (comm.size > 1), message


world = private_communicator()
with abort_on_error(world):
    for part in every_count(world):
        check(part)
    if world.rank == 0:
        print("PASS")
