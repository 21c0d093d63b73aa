"""Train a TFNO on Darcy flow, data parallel and on multi-grid patches spread over the ranks, beside one process.

mpirun -n 4 python mpi_examples/train_operator.py [darcy.h5] [-o model.h5] [--epochs 2]

Without a file, 64 samples of 16 x 16 points are made. On rank 0 the same trainings run once more without the others.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from mpi4py import MPI

from sci.distributed import job, launched
from sci.io import load_samples, save
from sci.nn import AdamW, Standardizer, train
from sci.operators import (
    TFNO,
    MultigridPatches,
    TrainingConfig,
    as_fields,
    patch_loss,
    predict_patches,
    train_operator,
)
from sci.problems import darcy_flow

parser = argparse.ArgumentParser()
parser.add_argument("samples", nargs="?")
parser.add_argument("-o", "--output")
parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
parser.add_argument("--epochs", type=int, default=2)
arguments = parser.parse_args()
comm = launched(MPI.COMM_WORLD)
with job(comm):
    raw = load_samples(arguments.samples) if arguments.samples else darcy_flow(64, 16)
    x, y = (as_fields(a, 2).astype(np.float32) for a in raw)
    x = Standardizer.fit(x).encode(x)

    config = TrainingConfig(epochs=arguments.epochs, batch_size=16, periodic=False)
    start = time.perf_counter()
    trained, history = train_operator(TFNO((8, 8), 1, 1, 16, 2), x, y, config, comm=comm)
    seconds = time.perf_counter() - start
    if arguments.output:
        save(arguments.output, trained, comm=comm, overwrite=arguments.overwrite)

    # The coordinates of the whole square are channels of the field before it is cut: the model appends none.
    cut = MultigridPatches(levels=1, padding=1 / 16, boundary="clamped")
    model = TFNO((8, 8), cut.channels(1, dim=2), 1, 16, 2, positional_grid=False)
    outputs = Standardizer.fit(y)
    settings = {"optimizer": AdamW(8e-3), "epochs": arguments.epochs, "batch_size": 16}
    patched = train(patch_loss(model, cut, comm), model.parameters, (x, outputs.encode(y)), **settings)
    if comm.rank == 0:
        print(f"data parallel: loss {history.losses[0]:.3f} to {history.losses[-1]:.3f} in {seconds:.1f} s")
        print(f"patches of {cut.window(x.shape[2:])} points: loss {patched.losses[0]:.3f} to {patched.losses[-1]:.3f}")
        _, alone = train_operator(TFNO((8, 8), 1, 1, 16, 2), x, y, config)
        whole = train(patch_loss(model, cut), model.parameters, (x, outputs.encode(y)), **settings)
        error = max(
            float(np.abs(many / one - 1).max())
            for many, one in ((history.losses, alone.losses), (patched.losses, whole.losses))
        )
        fields = predict_patches(TFNO.of(model.config, patched.parameters), cut, x[:4])
        assert fields.shape == y[:4].shape
        assert error < 1e-3, error
        print(f"PASS {comm.size} ranks: losses differ from those of one process by {error:.1e}")
