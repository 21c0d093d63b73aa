"""Check that a language model's loss and gradients are those of one rank, for chunks of any length.

mpirun -n 3 python tests/mpi/programs/language_model.py
"""

from __future__ import annotations

import numpy as np
from mpi4py import MPI
from sabotage import private_communicator

from sci.distributed import abort_on_error, allreduce_max
from sci.nn import AdamW, train, value_and_gradients
from sci.sequence import TextWindows, TransNormer


def check_loss_and_gradients(comm: MPI.Intracomm) -> float:
    model = TransNormer.create(seed=3, width=16, heads=2, layers=2, hidden=20, dtype=np.float64)
    rng, worst = np.random.default_rng(0), 0.0
    for length in (1, 2, 23, 40):
        batch = rng.integers(0, 256, (2, length + 1))
        expected, serial = value_and_gradients(lambda v, b=batch: model.loss(v, b), model.parameters)
        for method in ("gather", "ring"):
            value, found = value_and_gradients(
                lambda v, b=batch, m=method: model.loss(v, b, comm=comm, method=m), model.parameters
            )
            assert abs(value - expected) < 1e-12 * abs(expected), (length, method, value, expected)
            for name, gradient in found.items():
                error = np.abs(gradient - serial[name]).max() / max(1e-3, np.abs(serial[name]).max())
                assert error < 1e-12 * max(1, length), (length, method, name, comm.rank, error)
                same = allreduce_max(np.stack([gradient, -gradient]), comm)
                assert np.array_equal(same[0], -same[1]), "the ranks have different bits"
                worst = max(worst, float(error))
    return worst


def check_training(comm: MPI.Intracomm) -> None:
    """A few steps in float32 give the losses of one rank."""
    model = TransNormer.create(seed=0, width=16, heads=2, layers=1, hidden=16)
    windows = TextWindows(b"to be or not to be, that is the question. " * 8, 50)
    settings = {"optimizer": AdamW(0.01), "epochs": 1, "batch_size": 2}
    serial = train(model.loss, model.parameters, windows, **settings)
    spread = train(lambda v, b: model.loss(v, b, comm=comm), model.parameters, windows, **settings)
    assert np.abs(serial.losses - spread.losses).max() < 1e-4, np.abs(serial.losses - spread.losses)
    halves = {"storage": "bfloat16", "activations": "bfloat16"}
    near = train(lambda v, b: model.loss(v, b, comm=comm), model.parameters, windows, **settings, **halves)
    assert 0 < np.abs(near.losses - serial.losses).max() < 0.02, np.abs(near.losses - serial.losses)
    assert near.parameters["head"].dtype == np.float32
    same = allreduce_max(np.stack([near.parameters["head"], -near.parameters["head"]]), comm)
    assert np.array_equal(same[0], -same[1]), "the ranks have different masters"


def check_generation(comm: MPI.Intracomm) -> None:
    """A prompt that ranks share is continued as on one, also where some hold no token."""
    model = TransNormer.create(seed=3, width=16, heads=2, layers=2, hidden=20, dtype=np.float64)
    for length in (1, 2, 23):
        prompt = np.random.default_rng(length).integers(0, 256, (2, length))
        for rule in ({"temperature": 0.0}, {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "seed": 5}):
            expected, found = (model.generate(prompt, 12, **rule, comm=c) for c in (None, comm))
            assert (found == expected).all(), (length, rule, found, expected)
    assert model.generate(b"some text", 5, comm=comm) == model.generate(b"some text", 5)


def main() -> None:
    comm = private_communicator()
    with abort_on_error(comm):
        worst = check_loss_and_gradients(comm)
        check_training(comm)
        check_generation(comm)
    if comm.rank == 0:
        print(f"PASS largest difference from serial {worst:.1e}")


if __name__ == "__main__":
    main()
