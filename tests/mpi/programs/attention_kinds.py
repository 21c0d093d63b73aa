"""Check Linformer and tensor attention over ranks, outputs and every gradient on every rank, against dense sums.

mpirun -n 3 python tests/mpi/programs/attention_kinds.py
"""

from __future__ import annotations

import numpy as np
from attention_oracle import dense, dense_vjp
from mpi4py import MPI
from sabotage import private_communicator
from tensor_oracle import tensor_dense

from sci import distributed
from sci.distributed import split
from sci.errors import InvalidValueError, ShapeError
from sci.sequence import (
    linformer_attention,
    polynomial_degree,
    polynomial_rank,
    tensor_attention,
)


def close(found: np.ndarray, expected: np.ndarray, rtol: float, what: object) -> None:
    assert found.shape == expected.shape, (what, found.shape, expected.shape)
    error = np.abs(found - expected).max(initial=0)
    assert error <= rtol * max(1.0, np.abs(expected).max(initial=0)), (what, error)


def payload(comm: MPI.Intracomm) -> int:
    """Bytes sent other than the small agreement on input."""
    return sum(t.bytes for name, t in distributed.traffic(comm).items() if name != "agree")


def check_linformer(comm: MPI.Intracomm) -> None:
    heads, n, d, rows = 3, 23, 6, 5
    rng = np.random.default_rng(1)
    q, k, v, dout = rng.standard_normal((4, heads, n, d))
    e, f = rng.standard_normal((2, rows, n))
    everything = np.ones((n, rows), bool)
    expected = dense(q, e @ k, f @ v, d**-0.5, everything)[0]
    dq, dkeys, dvalues = dense_vjp(q, e @ k, f @ v, d**-0.5, everything, dout, np.zeros((heads, n)))
    part = split(n, comm)
    mine = [np.ascontiguousarray(a[:, part]) for a in (q, k, v)]
    out, residuals = linformer_attention.forward(*mine, e[:, part], f[:, part], comm=comm)
    close(out, expected[:, part], 1e-13, "linformer")
    gradients = linformer_attention.vjp(dout[:, part], residuals)
    wanted = (
        *(dq[:, part], (e.T @ dkeys)[:, part], (f.T @ dvalues)[:, part]),
        *(np.einsum("hrd,hld->rl", a, b[:, part]) for a, b in ((dkeys, k), (dvalues, v))),
    )
    for name, found, want in zip(("q", "k", "v", "e", "f"), gradients, wanted):
        close(found, want, 1e-12, name)


def tensor_problem(lengths: tuple[int, int, int], d: int, size: float) -> list[np.ndarray]:
    """q, k1, k2, v1, v2 and dout."""
    rng = np.random.default_rng(2)
    n, n1, n2 = lengths
    return [rng.uniform(-size, size, (m, d)) for m in (n, n1, n2)] + [rng.standard_normal((m, d)) for m in (n1, n2, n)]


def check_tensor(comm: MPI.Intracomm) -> None:
    for lengths in ((13, 11, 17), (2, 1, 3), (16, 16, 16)):
        *arrays, dout = tensor_problem(lengths, 3, 0.5)
        expected, wanted = tensor_dense(*arrays, 1 / 3, dout)
        parts = [a[split(len(a), comm)] for a in arrays]
        mine = split(lengths[0], comm)
        out, residuals = tensor_attention.forward(*parts, comm=comm)
        close(out, expected[mine], 1e-13, lengths)
        for found, want in zip(tensor_attention.vjp(dout[mine], residuals), wanted):
            close(found, want[split(len(want), comm)], 1e-12, lengths)


def check_polynomial(comm: MPI.Intracomm) -> None:
    """Within the error that the tolerance promises; gradients too; the same bits of error bound on all ranks."""
    *arrays, dout = tensor_problem((40, 38, 44), 3, 0.5)
    expected, wanted = tensor_dense(*arrays, 1 / 3, dout)
    parts = [a[split(len(a), comm)] for a in arrays]
    mine = split(40, comm)
    largest = np.abs(arrays[3]).max() * np.abs(arrays[4]).max()
    for tol, bound in ((1e-2, None), (1e-5, 0.5), (1e-8, 0.5)):
        out, residuals = tensor_attention.forward(*parts, method="polynomial", tol=tol, bound=bound, comm=comm)
        assert np.abs(out - expected[mine]).max(initial=0) <= 2 * tol / (1 - tol) * largest
        for found, want in zip(tensor_attention.vjp(dout[mine], residuals), wanted):
            close(found, want[split(len(want), comm)], 30 * tol, tol)
    serial = tensor_attention(*arrays, method="polynomial", tol=1e-5)
    close(tensor_attention(*parts, method="polynomial", tol=1e-5, comm=comm), serial[mine], 1e-14, "ranks")


def check_traffic(comm: MPI.Intracomm) -> None:
    """Exact: (k1, v1) round the ring, (k2, v2) to all. Polynomial: one sum of 2 r (d + 1) numbers."""
    n, d, others = 24, 4, comm.size - 1
    *arrays, _ = tensor_problem((n, n, n), d, 0.25)
    parts = [a[split(n, comm)] for a in arrays]
    distributed.reset_traffic(comm)
    tensor_attention(*parts, comm=comm)
    assert payload(comm) == 4 * others * 8 * n // comm.size * d
    distributed.reset_traffic(comm)
    tensor_attention(*parts, method="polynomial", tol=1e-2, bound=0.25, comm=comm)
    rank = polynomial_rank(d, polynomial_degree(0.25**3, 1e-2))
    assert payload(comm) == others * 2 * rank * (d + 1) * 8, payload(comm)


def expect(kind: type, says: str, call: object, *args: object, **options: object) -> None:
    text = "nothing was raised"
    try:
        call(*args, **options)
    except kind as error:
        text = str(error)
    assert says in text, (says, text)


def check_errors(comm: MPI.Intracomm) -> None:
    *arrays, _ = tensor_problem((8, 8, 8), 3, 0.5)
    last = comm.rank == comm.size - 1
    big = 1e3 * arrays[0] if last else arrays[0]
    expect(
        InvalidValueError,
        "beyond bound=0.5",
        tensor_attention,
        big,
        *arrays[1:],
        method="polynomial",
        bound=0.5,
        comm=comm,
    )
    parts = [a[split(8, comm)] for a in arrays[1:]]
    expect(InvalidValueError, "exact", tensor_attention, big, *parts, method="polynomial", comm=comm)
    expect(
        ShapeError, "pairs of one shape", tensor_attention, *arrays[:4], arrays[4][: -1 if last else None], comm=comm
    )
    q, e = np.zeros((1, 4, 2)), np.zeros((3, 4))
    expect(
        ShapeError, "expected (rows, 4)", linformer_attention.forward, q, q, q, e, e[:, : 3 if last else 4], comm=comm
    )
    check_unsharded(comm, arrays)
    with distributed.agreed(comm):
        pass


def check_unsharded(comm: MPI.Intracomm, arrays: list[np.ndarray]) -> None:
    """Whole sequences on every rank are told from parts; a length says what they are."""
    rng, n = np.random.default_rng(3), 8
    *qkv, e, f = (*rng.standard_normal((3, 1, n, 2)), *rng.standard_normal((2, 3, n)))
    q, k1, k2, v1, v2 = arrays
    seconds = [a[split(n, comm)] for a in (k2, v2)]
    if comm.size > 1:
        expect(ShapeError, "not sharded", linformer_attention.forward, *qkv, e, f, comm=comm)
        expect(ShapeError, "length is 8", linformer_attention.forward, *qkv, e, f, length=n, comm=comm)
        expect(
            ShapeError, "of whole projections", linformer_attention.forward, *(a[:, :4] for a in qkv), e, f, comm=comm
        )
        expect(ShapeError, "of k1 and v1", tensor_attention, *arrays, comm=comm)
        expect(ShapeError, "of k2 and v2", tensor_attention, q, k1[comm.rank :], k2, v1[comm.rank :], v2, comm=comm)
        expect(ShapeError, "length is 8", tensor_attention, *arrays, lengths=(n, n), comm=comm)
    # Queries may stand on every rank; keys that do repeat themselves leave the weighted means where they are.
    once = tensor_attention(q, k1, seconds[0], v1, seconds[1], lengths=(n * comm.size, n), comm=comm)
    close(once, tensor_attention(*arrays), 1e-13, "keys repeated on every rank")


def main() -> None:
    comm = private_communicator()
    with distributed.abort_on_error(comm):
        check_linformer(comm)
        check_tensor(comm)
        check_polynomial(comm)
        check_traffic(comm)
        check_errors(comm)
    if comm.rank == 0:
        print("PASS")


if __name__ == "__main__":
    main()
