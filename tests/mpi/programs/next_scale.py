"""Check next-scale prediction over ranks: loss and gradients of shared codes, draws to the same bits, a training.

mpirun -n 3 python tests/mpi/programs/next_scale.py
"""

from __future__ import annotations

import itertools

import numpy as np
from mpi4py import MPI
from next_scale_cases import conditional, conditions
from sabotage import private_communicator

from sci.distributed import abort_on_error
from sci.generative import Sampling, train_next_scale
from sci.nn import value_and_gradients


def check_loss(comm: MPI.Intracomm) -> float:
    """Every method and layout gives the gradients of one process, also where ranks have no code of a scale."""
    _, model, tokens = conditional(3)
    expected, serial = value_and_gradients(lambda v: model.loss(v, tokens), model.parameters)
    worst = 0.0
    for method, layout in itertools.product(("ring", "rsa", "ulysses"), ("contiguous", "zigzag", "striped")):
        options = {"comm": comm, "method": method, "layout": layout}
        value, found = value_and_gradients(lambda v, o=options: model.loss(v, tokens, **o), model.parameters)
        assert abs(value - expected) < 1e-12, (method, layout, value, expected)
        for name, gradient in found.items():
            error = float(np.abs(gradient - serial[name]).max())
            assert error < 1e-12, (method, layout, name, error)
            worst = max(worst, error)
    return worst


def check_draws(comm: MPI.Intracomm) -> None:
    """Fields are those of one process, bit for bit."""
    quantizer, model, _ = conditional(1)
    options = {"sampling": Sampling(guidance=1.0, top_p=0.9), "seed": 3, "batch_size": 2, **conditions(9)}
    whole, found = (model.sample(quantizer, 9, comm=c, **options) for c in (None, comm))
    assert all(np.array_equal(a, b) for a, b in zip(whole, found))


def check_training(comm: MPI.Intracomm) -> None:
    _, model, tokens = conditional(7)
    options = {"epochs": 2, "batch_size": 4, "drop": 0.3}
    whole, found = (train_next_scale(model, tokens, comm=c, **options)[1] for c in (None, comm))
    assert np.abs(whole.losses - found.losses).max() < 1e-10, (whole.losses, found.losses)


def main() -> None:
    comm = private_communicator()
    with abort_on_error(comm):
        worst = check_loss(comm)
        check_draws(comm)
        check_training(comm)
    if comm.rank == 0:
        print(f"PASS largest difference of gradients from serial {worst:.1e}")


if __name__ == "__main__":
    main()
