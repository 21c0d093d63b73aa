"""Check softmax attention over ranks, output and every gradient on every rank, against dense double precision.

mpirun -n 3 python tests/mpi/programs/attention.py
"""

from __future__ import annotations

import itertools

import numpy as np
from attention_features import CASES, assert_close, found, takes
from attention_oracle import dense, dense_vjp, seen_by
from mpi4py import MPI
from sabotage import private_communicator

import sci
from sci import distributed
from sci.distributed import positions, shard, unshard
from sci.errors import DecompositionError, DTypeError, InvalidValueError, SciError, ShapeError
from sci.sequence import attention_cost, softmax_attention
from sci.sequence.tiles.attend import attend
from sci.sequence.tiles.seen import Seen

METHODS, LAYOUTS = ("ring", "rsa", "ulysses"), ("contiguous", "zigzag", "striped")


def problem(n: int, heads: int = 3, d: int = 8, seed: int = 0) -> list[np.ndarray]:
    """q, k, v, dout (heads, n, d) and dlse (heads, n)."""
    rng = np.random.default_rng(seed)
    return [*rng.standard_normal((4, heads, n, d)), rng.standard_normal((heads, n))]


def close(got: np.ndarray, expected: np.ndarray, rtol: float, what: object) -> None:
    assert got.shape == expected.shape, (what, got.shape, expected.shape)
    none = np.isneginf(expected)
    assert np.array_equal(np.isneginf(got), none), what
    error = np.abs(np.where(none, 0, got) - np.where(none, 0, expected)).max(initial=0)
    assert error <= rtol * max(1.0, np.abs(expected[~none]).max(initial=0)), (what, error)


def check(
    comm: MPI.Intracomm,
    n: int,
    method: str,
    layout: str,
    causal: bool,
    segments: np.ndarray | None,
    blocks: tuple[int, ...] | None = None,
) -> None:
    q, k, v, dout, dlse = problem(n)
    scale, what = 0.4, (n, method, layout, causal, segments is not None, blocks, comm.rank)
    seen = seen_by(n, causal, segments, blocks)
    out, lse, _ = dense(q, k, v, scale, seen)
    gradients = dense_vjp(q, k, v, scale, seen, dout, dlse)

    def mine(a: np.ndarray, axis: int = 1) -> np.ndarray:
        return shard(a, comm, axis, layout)

    ids = None if segments is None else mine(segments, 0)
    options = {"causal": causal, "blocks": blocks, "scale": scale, "segments": ids}
    options |= {"method": method, "layout": layout, "comm": comm}
    (own, found_lse), residuals = softmax_attention.forward(mine(q), mine(k), mine(v), **options)
    close(own, mine(out), 1e-12, what)
    close(found_lse, mine(lse), 1e-12, what)
    for name, a, b in zip("qkv", softmax_attention.vjp((mine(dout), mine(dlse)), residuals), gradients):
        close(a, mine(b), 1e-12, (name, *what))


def check_methods(comm: MPI.Intracomm) -> None:
    """Even and uneven lengths, and lengths below the number of ranks; packed documents with padding."""
    documents = np.repeat([-1, 4, 0, -1, 7], [2, 9, 1, 3, 14])
    for n, method, layout, causal in itertools.product((1, 3, 29, 32), METHODS, LAYOUTS, (False, True)):
        if n in (3, 32) and method != "ring":
            continue
        check(comm, n, method, layout, causal, None)
        if n == 29:
            check(comm, n, method, layout, causal, documents)
    for (n, blocks), method, layout in itertools.product(
        ((1, (1,)), (30, (1, 4, 9, 16)), (14, (1, 4, 9))), METHODS, LAYOUTS
    ):
        check(comm, n, method, layout, False, None, blocks)


def check_options(comm: MPI.Intracomm) -> None:
    """Every option: balanced parts in each layout, and parts of a fifth, none and the rest."""

    def uneven(length: int) -> np.ndarray:
        ends = [*(0, length // 5, length // 5, length)[: comm.size], length]
        return np.arange(ends[comm.rank], ends[comm.rank + 1])

    for k, (name, case) in enumerate(CASES.items()):
        for method in METHODS:
            if takes(method, name):
                for one in found(case, comm, method, LAYOUTS[(k + METHODS.index(method)) % 3]):
                    assert_close(*one)
                for one in found(case, comm, method, "contiguous", uneven):
                    assert_close(*one)


def check_batch_and_precision(comm: MPI.Intracomm) -> None:
    """Leading axes; single and half precision, with sums in wider numbers; gradients of one output only."""
    n = 21
    q, k, v, dout, _ = (np.stack([a, a[::-1]]) for a in problem(n, heads=2))
    seen = seen_by(n, True, None)
    for method, dtype in itertools.product(METHODS, ("f2", "f4", "f8")):
        x, y, z, g = (a.astype(dtype) for a in (q, k, v, dout))
        wide = [a.astype("f8") for a in (x, y, z)]
        out, lse, _ = dense(*wide, 8**-0.5, seen)
        gradients = dense_vjp(*wide, 8**-0.5, seen, g.astype("f8"), np.zeros_like(lse))
        for precision in (None, "float64"):
            parts = (shard(a, comm, -2, "zigzag") for a in (x, y, z))
            options = {"method": method, "layout": "zigzag", "precision": precision, "length": n, "comm": comm}
            (own, found_lse), residuals = softmax_attention.forward(*parts, causal=True, **options)
            assert own.dtype == np.dtype(dtype)
            working = "f8" if precision or dtype == "f8" else "f4"
            assert found_lse.dtype == np.dtype(working)
            rounding = {"f2": 1e-3, "f4": 1e-6, "f8": 1e-13}[dtype]
            close(own, shard(out, comm, -2, "zigzag"), rounding, (method, dtype))
            close(found_lse, shard(lse, comm, -1, "zigzag"), {"f4": 1e-6, "f8": 1e-13}[working], (method, dtype))
            backward = softmax_attention.vjp((shard(g, comm, -2, "zigzag"), None), residuals)
            for a, b in zip(backward, gradients):
                assert a.dtype == np.dtype(dtype)
                close(a, shard(b, comm, -2, "zigzag"), rounding, (method, dtype))


def check_extremes(comm: MPI.Intracomm) -> None:
    """Scores of +-1e4 give finite answers; scores that overflow are an error on a single rank's say."""
    q, k, v, dout, dlse = problem(16)
    for method in METHODS:
        parts = [shard(a, comm, 1) for a in (100 * q, 100 * k, v)]
        (out, lse), residuals = softmax_attention.forward(*parts, scale=1.0, method=method, comm=comm)
        expected = dense(100 * q, 100 * k, v, 1.0, seen_by(16, False, None))
        close(out, shard(expected[0], comm, 1), 1e-10, method)
        close(lse, shard(expected[1], comm, 1), 1e-12, method)
        gradients = softmax_attention.vjp((shard(dout, comm, 1), shard(dlse, comm, 1)), residuals)
        assert all(np.isfinite(g).all() for g in gradients)


def check_replay(comm: MPI.Intracomm) -> None:
    """The ring gives bit for bit what one process gives that takes the parts in the same order."""
    for layout, dtype in itertools.product(LAYOUTS, ("f4", "f8")):
        n, n_ranks = 301, comm.size
        q, k, v = (a.astype(dtype) for a in problem(n, d=16)[:3])
        out, lse = softmax_attention(
            *(shard(a, comm, 1, layout) for a in (q, k, v)), causal=True, layout=layout, comm=comm
        )
        mine = positions(n, comm, layout)
        replay_lse = np.full((3, mine.size), -np.inf, dtype)
        queries = np.ascontiguousarray(q[:, mine])
        replay = np.zeros_like(queries)
        for hop in range(n_ranks):
            visiting = positions(n, layout=layout, rank=(comm.rank - hop) % n_ranks, size=n_ranks)
            keys, values = (np.ascontiguousarray(a[:, visiting]) for a in (k, v))
            seen = Seen.of(np.zeros_like(mine), mine, visiting, np.zeros(3))
            attend(queries, keys, values, seen, replay, replay_lse, scale=0.25)
        assert out.tobytes() == replay.tobytes(), (layout, dtype)
        assert lse.tobytes() == replay_lse.tobytes(), (layout, dtype)


def check_traffic(comm: MPI.Intracomm) -> None:
    """Bytes that this rank sends equal the formulas; n is divisible by the ranks, heads too."""
    n_ranks, heads, n, d = comm.size, 12, 24, 4
    q, k, v, dout, _ = problem(n, heads, d)
    for method, half in itertools.product(METHODS, (False, True)):
        parts = [shard(a.astype("f2") if half else a, comm, 1) for a in (q, k, v)]
        costs = [
            attention_cost(n, heads, d, n_ranks, method=method, dtype=str(parts[0].dtype), backward=b)
            for b in (False, True)
        ]
        distributed.reset_traffic(comm)
        _, residuals = softmax_attention.forward(*parts, method=method, length=n, comm=comm)
        assert payload(comm) == costs[0].bytes_sent, (method, payload(comm), costs[0])
        distributed.reset_traffic(comm)
        softmax_attention.vjp((shard(dout, comm, 1).astype(parts[0].dtype), None), residuals)
        assert payload(comm) == costs[1].bytes_sent, (method, payload(comm), costs[1])
    if n_ranks == 4:  # in units of one part: two a hop, and four with the gradients
        assert attention_cost(n, heads, d, 4, dtype="float64").bytes_sent == 6 * parts[0].size * 8
        assert attention_cost(n, heads, d, 4, dtype="float64", backward=True).bytes_sent == 12 * parts[0].size * 8


def payload(comm: MPI.Intracomm) -> int:
    """Bytes sent other than the small agreement on input."""
    return sum(t.bytes for name, t in distributed.traffic(comm).items() if name != "agree")


def check_large_messages(comm: MPI.Intracomm) -> None:
    """A quarter of a megabyte a hop, four times what any eager buffer swallows."""
    q, k, v, dout, dlse = (a.astype("f4") for a in problem(128 * comm.size, heads=8, d=64))
    for method in METHODS:
        parts = [shard(a, comm, 1) for a in (q, k, v)]
        assert parts[0].nbytes >= 1 << 18
        (out, _), residuals = softmax_attention.forward(*parts, causal=True, method=method, comm=comm)
        gradients = softmax_attention.vjp((shard(dout, comm, 1), shard(dlse, comm, 1)), residuals)
        assert all(np.isfinite(a).all() for a in (out, *gradients))


def expect(kind: type, says: str, call: object, *args: object, **options: object) -> None:
    try:
        call(*args, **options)
        text = "nothing was raised"
    except kind as error:
        text = str(error)
    assert says in text, (says, text)


def check_errors(comm: MPI.Intracomm) -> None:
    """What is wrong on the last rank only is raised on every rank."""
    n, last = 8 * comm.size, comm.rank == comm.size - 1
    whole = problem(n)[:3]
    q, k, v = (shard(a, comm, 1) for a in whole)
    nan = k.copy()
    nan[0, 0, 0] = np.nan
    expect(InvalidValueError, "k holds 1 values", softmax_attention, q, nan if last else k, v, comm=comm)
    expect(DTypeError, "dtype int64", softmax_attention, q, k, v.astype(int) if last else v, comm=comm)
    expect(ShapeError, "expected one shape", softmax_attention, q, k[:, :-1] if last else k, v, comm=comm)
    expect(
        InvalidValueError, "method is 'star'", softmax_attention, q, k, v, method="star" if last else "ring", comm=comm
    )
    expect(InvalidValueError, "layout is 'spiral'", softmax_attention, q, k, v, layout="spiral", comm=comm)
    expect(InvalidValueError, "precision", softmax_attention, q, k, v, precision="float16", comm=comm)
    expect(ShapeError, "length is 7", softmax_attention, q, k, v, length=7, comm=comm)
    expect(ShapeError, "segments has", softmax_attention, q, k, v, segments=np.zeros(3, int), comm=comm)
    for wrong, says in (
        ((), "expected one positive length"),
        ((1, 0), "expected one positive length"),
        ((1.5,), "1.5"),
    ):
        expect(SciError, says, softmax_attention, q, k, v, blocks=wrong if last else (n,), comm=comm)
    expect(
        ShapeError,
        f"blocks have 5 tokens in all, and the ranks hold {n}",
        softmax_attention,
        q,
        k,
        v,
        blocks=(1, 4),
        comm=comm,
    )
    expect(
        InvalidValueError,
        "expected one of the two masks",
        softmax_attention,
        q,
        k,
        v,
        blocks=(n,),
        causal=True,
        comm=comm,
    )
    _, residuals = softmax_attention.forward(q, k, v, comm=comm)
    bad = np.zeros((1, 2, 3))
    expect(ShapeError, "dout has shape (1, 2, 3)", softmax_attention.vjp, (bad if last else q, None), residuals)
    if comm.size > 1:
        expect(ShapeError, "not sharded", softmax_attention, *whole, comm=comm)
        expect(ShapeError, f"length is {n}", softmax_attention, *whole, length=n, comm=comm)
        expect(SciError, "causal differs between ranks", softmax_attention, q, k, v, causal=last, comm=comm)
        shorter = [a[:, : 5 if last else None] for a in (q, k, v)]
        expect(DecompositionError, "tokens; expected", softmax_attention, *shorter, layout="striped", comm=comm)
        repeated = softmax_attention(*whole, length=n * comm.size, comm=comm)[0]
        assert repeated.shape == (*q.shape[:1], n, 8)
    with distributed.agreed(comm):
        pass


def check_kernels_and_threads(comm: MPI.Intracomm) -> None:
    """The array reference gives the same answer as the compiled kernel."""
    q, k, v = (shard(a, comm, 1, "striped") for a in problem(40)[:3])
    both = [softmax_attention(q, k, v, causal=True, layout="striped", comm=comm)[0]]
    with sci.options(kernels="reference"):
        both.append(softmax_attention(q, k, v, causal=True, layout="striped", comm=comm)[0])
    close(both[0], both[1], 1e-13, "reference")
    close(unshard(both[0], comm, 1, "striped"), softmax_attention(*problem(40)[:3], causal=True)[0], 1e-13, "unsharded")


def main() -> None:
    comm = private_communicator()
    with distributed.abort_on_error(comm):
        check_methods(comm)
        check_options(comm)
        check_batch_and_precision(comm)
        check_extremes(comm)
        check_replay(comm)
        check_traffic(comm)
        check_large_messages(comm)
        check_errors(comm)
        check_kernels_and_threads(comm)
    if comm.rank == 0:
        print("PASS")


if __name__ == "__main__":
    main()
