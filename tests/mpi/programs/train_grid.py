"""Train on every grid against one rank: losses, parameters and states, and a training that goes on on another grid.

mpirun -n 4 python tests/mpi/programs/train_grid.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI
from sabotage import private_communicator

from sci.distributed import broadcast_object
from sci.errors import InvalidValueError
from sci.io import load, save
from sci.nn import AdamP, AdamW, Checkpoint, train
from sci.sequence import ParallelTransformer, TextWindows, rank_grid

WINDOWS = TextWindows(b"the quick brown fox jumps over the lazy dog. " * 8, 16)
SIZE = {"width": 12, "heads": 3, "layers": 2, "hidden": 10, "vocabulary": 128}
OPTIONS = {
    "optimizer": AdamW(0.01, rates={"embedding": 0.5, "head": 2.0}),
    "batch_size": 6,
    "clip": 0.5,  # cuts in every step
    "average": 0.9,
}
GRIDS: dict[int, list[dict[str, int]]] = {
    1: [{}],
    2: [{"tensor": 2}, {"pipeline": 2}, {"sequence": 2}],
    4: [{"tensor": 2, "pipeline": 2}, {"data": 2, "sequence": 2}, {"data": 2, "tensor": 2}],
    8: [{"pipeline": 2, "sequence": 2, "tensor": 2}, {"data": 2, "pipeline": 2, "tensor": 2}],
}


def near(found: Checkpoint, expected: Checkpoint, what: object) -> None:
    """Compare losses, parameters and every part of the optimizer's state."""
    np.testing.assert_allclose(found.losses, expected.losses, rtol=1e-12, err_msg=str(what))
    for state in expected.optimizer:
        for name, array in expected.optimizer[state].items():
            np.testing.assert_allclose(found.optimizer[state][name], array, rtol=1e-9, atol=1e-12, err_msg=str(what))
    assert list(found.parameters) == list(expected.parameters)
    for name, array in expected.parameters.items():
        np.testing.assert_allclose(found.parameters[name], array, rtol=1e-9, atol=1e-12, err_msg=str(what))


def main(comm: MPI.Intracomm) -> None:
    folder = Path(broadcast_object(tempfile.mkdtemp() if comm.rank == 0 else None, comm))
    alone = ParallelTransformer(**SIZE, grid=rank_grid(None))
    whole, kept = alone.whole(0, dtype=np.float64), folder / "half.h5"
    half, full = (train(alone.loss, whole, WINDOWS, epochs=e, layout=alone.layout, **OPTIONS) for e in (1, 2))
    save(kept, half, comm=comm)  # on one rank: every grid goes on from it
    before = kept
    for number, axes in enumerate(GRIDS[comm.size]):
        grid = rank_grid(comm, **axes)
        model = ParallelTransformer(**SIZE, grid=grid, cut_tokens=number % 2 == 0)
        start, layout = model.own(whole), model.layout

        def loss(variables: dict, batch: np.ndarray, model: ParallelTransformer = model) -> object:
            return model.loss(variables, batch, microbatches=2)

        for shard in (False, True) if number == 0 else (True,):
            options = {"layout": layout, "shard": shard, **OPTIONS}
            first = train(loss, start, WINDOWS, epochs=1, **options)
            path = folder / f"{number}{shard}.h5"
            save(path, first)
            if comm.rank == 0:
                near(load(path), half, (axes, shard))
            replicas = axes.get("data", 1) * axes.get("sequence", 1)
            bytes_of = {k: sum(a.nbytes for a in first.optimizer[k].values()) for k in ("first", "average")}
            share = bytes_of["first"] * (replicas if shard else 1) / bytes_of["average"]
            assert abs(share - 1) < 0.02, share  # parts of an odd number of entries have uneven shares
            # The file of the grid before, or of one rank: to the end.
            end = train(loss, start, WINDOWS, epochs=2, resume=load(before, layout=layout), **options)
            save(folder / f"end{number}{shard}.h5", end)
            if comm.rank == 0:
                near(load(folder / f"end{number}{shard}.h5"), full, (axes, shard, "resumed"))
            before = path
        value = float(model.loss(model.own(full.parameters), WINDOWS[np.arange(5)]))
        assert abs(value - float(alone.loss(full.parameters, WINDOWS[np.arange(5)]))) < 1e-12
        if layout.is_cut:
            with pytest.raises(InvalidValueError, match="AdamP sees whole arrays"):
                train(loss, start, WINDOWS, epochs=1, layout=layout, optimizer=AdamP(0.01), batch_size=6)
        grid.free()
    if comm.rank == 0:
        print("PASS")


if __name__ == "__main__":
    main(private_communicator())
