"""Check lightning attention on ranks against serial float64: results, gradients on every rank, bytes, memory.

mpirun -n 3 python tests/mpi/programs/lightning.py
"""

from __future__ import annotations

import tracemalloc

import numpy as np
from mpi4py import MPI
from sabotage import private_communicator

from sci.distributed import abort_on_error, allgather_rows, broadcast, reset_traffic, split, traffic
from sci.errors import SciError
from sci.sequence import lightning_attention

HEADS, D, E = 4, 6, 5
DECAY = np.array([0.0, 0.03, 0.4, 3.0])


def case(n: int, d: int = D, e: int = E) -> tuple[np.ndarray, ...]:
    """q, k, v, decay, state, dout, dstate of a whole sequence."""
    rng = np.random.default_rng(n)
    q, k = (rng.normal(size=(HEADS, n, d)) for _ in range(2))
    v, dout = (rng.normal(size=(HEADS, n, e)) for _ in range(2))
    state, dstate = (rng.normal(size=(HEADS, d, e)) for _ in range(2))
    return q, k, v, DECAY, state, dout, dstate


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest error, relative to the largest entry."""
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return float(np.abs(found - expected).max(initial=0.0) / max(1.0, np.abs(expected).max(initial=0.0)))


def runs(n: int, comm: MPI.Intracomm, layout: str) -> slice:
    """This rank's run: balanced, or as uneven as it gets (empty ones, all at the last)."""
    if layout == "balanced":
        return split(n, comm)
    bounds = [0, *(n * (r + 1) ** 2 // comm.size**2 if layout == "uneven" else 0 for r in range(comm.size))]
    bounds[-1] = n
    return slice(bounds[comm.rank], bounds[comm.rank + 1])


def check_against_serial(comm: MPI.Intracomm) -> float:
    worst = 0.0
    for n, layout in (
        (1, "balanced"),
        (2, "balanced"),
        (37, "balanced"),
        (37, "uneven"),
        (25, "last"),
        (1700, "uneven"),
    ):
        q, k, v, decay, state, dout, dstate = case(n)
        (out, end), residuals = lightning_attention.forward(q, k, v, decay, state)
        expected = (out, end, *lightning_attention.vjp((dout, dstate), residuals))
        part = runs(n, comm, layout)
        for method in ("gather", "ring"):
            local = [a[:, part] for a in (q, k, v)]
            (out, end), residuals = lightning_attention.forward(*local, decay, state, method=method, comm=comm)
            found = (out, end, *lightning_attention.vjp((dout[:, part], dstate), residuals))
            names = ("out", "state", "dq", "dk", "dv", "ddecay", "dstate0")
            for name, got, want in zip(names, found, expected):
                want = want[:, part] if name in ("out", "dq", "dk", "dv") else want
                worst = max(worst, relative(got, want))
                assert relative(got, want) < 1e-12, (n, layout, method, name, comm.rank, relative(got, want))
    return worst


def check_serial_replay(comm: MPI.Intracomm) -> None:
    """The ring is bit for bit the serial run of the same parts, each from the state of the last."""
    n = 131
    q, k, v, decay, state, _, _ = case(n)
    part = split(n, comm)
    out, end = lightning_attention(q[:, part], k[:, part], v[:, part], decay, state, method="ring", comm=comm)
    for r in range(comm.size):
        piece = split(n, rank=r, size=comm.size)
        expected, state = lightning_attention(q[:, piece], k[:, piece], v[:, piece], decay, state)
        if r == comm.rank:
            assert np.array_equal(out, expected)
    assert np.array_equal(end, state)


def check_bytes(comm: MPI.Intracomm) -> None:
    """One state for each neighbor or each other rank, whatever the length."""
    p, r, unit = comm.size, comm.rank, HEADS * D * E * 8
    for n in (64, 640):
        q, k, v, decay, _, dout, _ = (a if a.ndim < 3 else a[:, split(n, comm)] for a in case(n))
        for method in ("gather", "ring"):
            reset_traffic(comm)
            _, residuals = lightning_attention.forward(q, k, v, decay, method=method, comm=comm, final_state=False)
            lightning_attention.vjp((dout, None), residuals)
            sent = {name: t.bytes for name, t in traffic(comm).items()}
            if method == "gather":
                assert sent.get("lightning", 0) == 2 * (p - 1) * unit
            else:
                assert sent.get("lightning", 0) == unit * ((r < p - 1) + (r > 0))
            assert sent.get("broadcast", 0) == 0
            assert sum(b for name, b in sent.items() if name != "lightning") < 2000 * p


def check_memory(comm: MPI.Intracomm) -> None:
    """Peak memory is a few local arrays: it falls as 1 / P, and nothing grows as n or n^2."""
    n, d = 24576, 16
    part = split(n, comm)
    q, k, v, decay, _, dout, _ = (a if a.ndim < 3 else np.ascontiguousarray(a[:, part]) for a in case(n, d, d))
    unit = q.nbytes
    tracemalloc.start()
    _, residuals = lightning_attention.forward(q, k, v, decay, comm=comm)
    lightning_attention.vjp((dout, None), residuals)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert unit == HEADS * n // comm.size * d * 8 or n % comm.size
    assert peak < 6.5 * unit + 3e5 * (1 + comm.size / 4), (peak / unit, comm.size)


def check_large_messages(comm: MPI.Intracomm) -> None:
    """A state of 1 MiB passes: no send waits in vain for an eager buffer."""
    d = 256
    q, k, v, decay, state, dout, dstate = case(2 * comm.size, d, d)
    part = split(2 * comm.size, comm)
    for method in ("ring", "gather"):
        local = [a[:, part] for a in (q, k, v)]
        (out, _), residuals = lightning_attention.forward(*local, decay, state, method=method, comm=comm)
        lightning_attention.vjp((dout[:, part], dstate), residuals)
        whole = allgather_rows(np.ascontiguousarray(out.swapaxes(0, 1)), comm).swapaxes(0, 1)
        assert relative(whole, lightning_attention(q, k, v, decay, state)[0]) < 1e-12


def check_disagreement(comm: MPI.Intracomm) -> None:
    q, k, v, decay, state, _, _ = case(8)
    bad = comm.rank == comm.size - 1
    for change in (
        {"decay": DECAY - 1.0},
        *([{"decay": DECAY + 0.1}] if comm.size > 1 else []),
        {"k": k[:, :3]},
        {"method": "tree"},
        {"q": q.astype("f4")},
    ):
        arguments = {"q": q, "k": k, "v": v, "decay": decay, "state": state, **(change if bad else {})}
        try:
            lightning_attention(**arguments, comm=comm)
        except SciError:
            continue
        raise AssertionError(f"{list(change)} was taken")
    try:
        lightning_attention(q, k, v, decay, method="ring" if bad else "gather", comm=comm)
    except SciError as error:
        text = str(error)
    else:
        text = "differ" if comm.size == 1 else ""
    assert "differ" in text, text


def main() -> None:
    comm = private_communicator()
    with abort_on_error(comm):
        worst = check_against_serial(comm)
        check_serial_replay(comm)
        check_bytes(comm)
        check_memory(comm)
        check_large_messages(comm)
        check_disagreement(comm)
        worst = float(np.max(allgather_rows(np.array([worst]), comm)))
        broadcast(np.zeros(1), comm)
    if comm.rank == 0:
        print(f"PASS largest difference from serial {worst:.1e}")


if __name__ == "__main__":
    main()
