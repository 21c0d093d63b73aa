"""Check gated linear attention on ranks against serial float64: results, gradients on every rank, bytes.

mpirun -n 3 python tests/mpi/programs/gated.py
"""

from __future__ import annotations

import itertools

import numpy as np
from mpi4py import MPI
from sabotage import private_communicator

from sci.distributed import abort_on_error, allgather_rows, reset_traffic, traffic
from sci.errors import InvalidValueError
from sci.sequence import gated_linear_attention

D, E = 4, 5


def case(n: int, features: bool, delta: bool) -> tuple[list, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    q, k = (rng.normal(size=(2, n, D)) for _ in range(2))
    k /= np.linalg.norm(k, axis=2, keepdims=True)
    v, dout = (rng.normal(size=(2, n, E)) for _ in range(2))
    state, dstate = (rng.normal(size=(2, D, E)) for _ in range(2))
    decay = rng.exponential(size=(2, n, D) if features else (2, n)) ** 2
    beta = rng.uniform(size=(2, n)) if delta else None
    return [q, k, v, decay, beta, state], dout, dstate, np.arange(n) // 11


def runs(n: int, comm: MPI.Intracomm, layout: str) -> slice:
    """This rank's run: as uneven as squares, empty but for the last, or all at the first."""
    shares = {"squares": [n * (r + 1) ** 2 // comm.size**2 for r in range(comm.size)]}
    ends = shares.get(layout, [n if layout == "first" else 0] * comm.size)
    bounds = [0, *ends[:-1], n]
    return slice(bounds[comm.rank], bounds[comm.rank + 1])


def check_against_serial(comm: MPI.Intracomm) -> float:
    worst = 0.0
    for n, layout, features, delta, labeled in itertools.product(
        (1, 37, 150), ("squares", "last", "first"), (False, True), (False, True), (False, True)
    ):
        arguments, dout, dstate, labels = case(n, features, delta)
        whole = labels if labeled else None
        values, residuals = gated_linear_attention.forward(*arguments, segments=whole)
        expected = (*values, *gated_linear_attention.vjp((dout, dstate), residuals))
        part = runs(n, comm, layout)
        for method in ("gather", "ring"):
            local = [None if a is None else a[:, part] for a in arguments[:5]]
            segments = labels[part] if labeled else None
            values, residuals = gated_linear_attention.forward(
                *local, arguments[5], segments=segments, method=method, comm=comm
            )
            found = (*values, *gated_linear_attention.vjp((dout[:, part], dstate), residuals))
            for place, (got, want) in enumerate(zip(found, expected)):
                if want is None:
                    assert got is None
                    continue
                want = want if place in (1, 7) else want[:, part]
                assert got.shape == want.shape
                error = float(np.abs(got - want).max(initial=0) / max(1, np.abs(want).max(initial=0)))
                assert error < 1e-12, (n, layout, features, delta, labeled, method, place, comm.rank, error)
                worst = max(worst, error)
    return worst


def check_bytes(comm: MPI.Intracomm) -> None:
    """The gather sends d (e + 1) numbers a head to each other rank, d (e + d) under the delta rule."""
    for delta in (False, True):
        arguments, *_ = case(50, True, delta)
        reset_traffic(comm)
        gated_linear_attention(*arguments, comm=comm)
        if comm.size > 1:
            sent = traffic(comm)["gated"].bytes
            assert sent == (comm.size - 1) * 2 * D * (E + (D if delta else 1)) * 8, sent


def check_labels_that_return(comm: MPI.Intracomm) -> None:
    """A label that returns on another rank is refused on every rank."""
    (*arguments, state), *_ = case(3, True, False)
    local = [None if a is None else a[:, :1] for a in arguments]
    label = np.array([comm.rank % 2])
    said = ""
    try:
        gated_linear_attention(*local, state, segments=label, comm=comm)
    except InvalidValueError as error:
        said = str(error)
    assert ("returns after another" in said) == (comm.size > 2), said


def main() -> None:
    comm = private_communicator()
    with abort_on_error(comm):
        worst = check_against_serial(comm)
        check_bytes(comm)
        check_labels_that_return(comm)
        worst = float(np.max(allgather_rows(np.array([worst]), comm)))
    if comm.rank == 0:
        print(f"PASS largest difference from serial {worst:.1e}")


if __name__ == "__main__":
    main()
