"""Check decompositions, halos, redistribution, the pencil FFT and sequence layouts against the global answer.

mpirun -n 3 python tests/mpi/programs/grids.py
"""

from __future__ import annotations

import itertools

import numpy as np
from mpi4py import MPI
from sabotage import private_communicator

from sci import distributed
from sci.distributed import HaloExchange, PencilFFT, abort_on_error
from sci.errors import DecompositionError, DTypeError, InvalidValueError, ShapeError


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    """Return a grid whose cells all differ."""
    return np.arange(1.0, np.prod(shape) + 1).reshape(shape)


def expect(kind: type, call: object, *args: object, **kwargs: object) -> None:
    try:
        call(*args, **kwargs)
    except kind:
        return
    raise AssertionError(f"{call} did not raise {kind}")


def padded(grid: np.ndarray, halo: tuple[int, ...], periodic: tuple[bool, ...]) -> np.ndarray:
    """Return the whole grid with its halo: wrapped where periodic, -1 beyond open boundaries."""
    for axis, (h, wraps) in enumerate(zip(halo, periodic)):
        width = [(0, 0)] * grid.ndim
        width[axis] = (h, h)
        grid = np.pad(grid, width, mode="wrap") if wraps else np.pad(grid, width, constant_values=-1.0)
    return grid


def check_halo(d: distributed.GridDecomposition, periodic: tuple[bool, ...], batch: tuple[int, ...] = ()) -> None:
    whole = padded(numbered(d.grid_shape), d.halo, periodic)
    want = whole[tuple(slice(a, a + n + 2 * h) for a, n, h in zip(d.local_start, d.local_shape, d.halo))]
    factors = np.arange(1.0, np.prod(batch, dtype=int) + 1).reshape(*batch, *(1,) * d.ndim)
    array = np.full((*batch, *d.padded_shape), -1.0) * factors
    array[(..., *d.interior)] = numbered(d.grid_shape)[d.slices] * factors
    got = distributed.exchange_halo(array, d, periodic)
    assert got is array
    assert np.array_equal(got, want * factors), (d, periodic)


def check_halos(comm: MPI.Intracomm) -> None:
    n = comm.size
    for periodic in itertools.product((False, True), repeat=2):
        check_halo(distributed.block((9, 8), comm, halo=(2, 1)), periodic)
        check_halo(distributed.slab((2 * n + 1, 3), comm, 0, halo=2), periodic)
        check_halo(distributed.slab((3, 2 * n + 1), comm, 1, halo=(3, 2)), periodic, batch=(2, 3))
    for periodic in itertools.product((False, True), repeat=3):
        check_halo(distributed.block((8, 5, 4), comm, halo=1), periodic)
        check_halo(distributed.pencil((8, 4, 3), comm, halo=(1, 1, 0)), periodic)
    check_halo(distributed.block((48, 40, 50), comm, halo=2), (True, True, False))  # messages above the eager limit
    check_halo(distributed.decompose((4 * n,), (n,), comm, halo=4), (True,))  # as wide as a box
    if n > 1:
        expect(DecompositionError, distributed.decompose, (4 * n,), (n,), comm, halo=5)
    expect(DecompositionError, HaloExchange, distributed.slab((4 * n, 2), comm, halo=(1, 3)), periodic=True)
    expect(DecompositionError, HaloExchange, distributed.slab((4 * n, 2), comm, halo=1), (True,))


def check_overlap(comm: MPI.Intracomm) -> None:
    """Two exchanges under way at once, reused, with the interior changed between start and finish."""
    d = distributed.block((12, 10), comm, halo=1)
    first, second = HaloExchange(d, True), HaloExchange(d, False)
    whole = numbered(d.grid_shape)
    for step in range(3):
        arrays = [np.zeros(d.padded_shape) for _ in range(2)]
        for array in arrays:
            array[d.interior] = whole[d.slices] + step
        first.start(arrays[0])
        second.start(arrays[1], checked=True)
        inner = tuple(slice(2 * h, n) for h, n in zip(d.halo, d.local_shape))
        arrays[0][inner] *= 1.0
        for exchange, array, periodic in [(first, arrays[0], (True, True)), (second, arrays[1], (False, False))]:
            assert exchange.finish() is array
            want = padded(whole + step, d.halo, periodic)
            box = tuple(slice(a, a + n + 2) for a, n in zip(d.local_start, d.local_shape))
            want = want[box] if all(periodic) else np.where(want[box] < 0, 0.0, want[box])
            assert np.array_equal(array, want), (step, periodic)
    expect(InvalidValueError, first.finish)
    expect(ShapeError, first.start, np.zeros(d.padded_shape if comm.rank else (3, 3)))
    wrong = np.zeros(d.padded_shape, dtype=object if comm.rank == comm.size - 1 else float)
    expect(DTypeError, first.start, wrong)
    first.start(np.zeros(d.padded_shape))
    first.finish()


def check_redistribution(comm: MPI.Intracomm) -> None:
    n = comm.size
    for shape in [(7, 5), (2, 9), (5, 4, 3), (1, 1, 13), (3, 2, 2, 5)]:
        whole = numbered(shape)
        cuts = [distributed.block(shape, comm), distributed.pencil(shape, comm)]
        cuts += [distributed.slab(shape, comm, axis) for axis in range(len(shape))]
        for source, target in itertools.product(cuts, cuts):
            got = distributed.redistribute(whole[source.slices], source, target)
            assert np.array_equal(got, whole[target.slices]), (source, target)
        batch = np.stack([whole, -whole]).astype(np.complex64)
        got = distributed.redistribute(distributed.scatter_grid(batch, cuts[0]), cuts[0], cuts[1])
        assert got.dtype == np.complex64
        assert np.array_equal(distributed.gather_grid(got, cuts[1]), batch)
    a, b = distributed.slab((8, 8), comm), distributed.slab((8, 8), comm, 1)
    distributed.reset_traffic(comm)
    distributed.redistribute(numbered((8, 8))[a.slices], a, b, checked=True)
    own, moved = a.local_shape[0], 8 - b.local_shape[1]
    counted = distributed.traffic(comm).get("redistribute", distributed.Traffic())
    assert counted == distributed.Traffic(n - 1, own * moved * 8)
    last = comm.rank == n - 1
    local = np.zeros(a.local_shape)
    expect(ShapeError, distributed.redistribute, local[..., :2] if last else local, a, b)
    expect(DecompositionError, distributed.redistribute, local, a, distributed.slab((8, 9), comm))
    expect(DecompositionError, distributed.slab, (8, 8), comm, 2 if last else 0)
    expect(DecompositionError, distributed.block, (8, 0) if last else (8, 8), comm)
    if n > 1:
        expect(DecompositionError, distributed.block, (8, 9) if last else (8, 8), comm)
        expect(DTypeError, distributed.redistribute, local.astype("f4" if last else "f8"), a, b)


def close(got: np.ndarray, want: np.ndarray, tol: float = 1e-12) -> bool:
    return bool(np.linalg.norm(got - want) <= tol * np.linalg.norm(want))


def check_fft(comm: MPI.Intracomm) -> float:
    rng = np.random.default_rng(5)
    worst = 0.0
    cases = itertools.product(
        [(8, 6), (7, 5), (3, 1), (1, 4), (6, 8, 10), (5, 7, 9), (2, 13, 3), (1, 2, 5)], (True, False)
    )
    for shape, real in cases:
        for kind, batch in [("slab", ()), ("pencil", (2,)), (None, ())]:
            whole = rng.standard_normal((*batch, *shape))
            whole = whole if real else whole + 1j * rng.standard_normal(whole.shape)
            fft = PencilFFT(shape, comm, real=real, kind=kind)
            axes = tuple(range(-len(shape), 0))
            want = np.fft.rfftn(whole, axes=axes) if real else np.fft.fftn(whole, axes=axes)
            part = fft.forward(distributed.scatter_grid(whole, fft.source))
            got = distributed.gather_grid(part, fft.target)
            assert got.dtype == np.complex128
            assert close(got, want), (shape, real, kind)
            worst = max(worst, float(np.linalg.norm(got - want) / np.linalg.norm(want)))
            back = distributed.gather_grid(fft.inverse(part), fft.source)
            assert np.isrealobj(back) == real
            assert close(back, whole), (shape, real, kind)
    return worst


def check_fft_options(comm: MPI.Intracomm) -> None:
    whole = np.random.default_rng(6).standard_normal((6, 5, 7))
    source, target = distributed.block((6, 5, 7), comm), distributed.slab((6, 5, 4), comm, 2)
    for norm in ("ortho", "forward", "backward"):
        fft = PencilFFT((6, 5, 7), comm, real=True, norm=norm, source=source, target=target)
        part = fft.forward(whole[source.slices])
        assert part.shape == target.local_shape
        assert close(part, np.fft.rfftn(whole, norm=norm)[target.slices]) or part.size == 0
        assert np.allclose(fft.inverse(part), whole[source.slices], rtol=0, atol=1e-14)
    single = PencilFFT((6, 5), comm, real=True).forward(np.zeros(PencilFFT((6, 5), comm).source.local_shape, "f4"))
    assert single.dtype == np.fft.rfft(np.zeros(4, "f4")).dtype
    last = comm.rank == comm.size - 1
    expect(DecompositionError, PencilFFT, (6, 5, 4, 3) if last else (6, 5, 4), comm)
    expect(InvalidValueError, PencilFFT, (6, 5), comm, norm="both" if last else "ortho")
    expect(DecompositionError, PencilFFT, (6, 5), comm, source=distributed.slab((5, 6), comm))
    fft = PencilFFT((6, 5), comm, real=True)
    expect(DTypeError, fft.forward, np.zeros(fft.source.local_shape, "c16" if last else "f8"))
    expect(ShapeError, fft.forward, np.zeros(fft.source.padded_shape[::-1] if last else fft.source.local_shape))


def check_sequence(comm: MPI.Intracomm) -> None:
    layouts = ("contiguous", "zigzag", "striped")
    for n in (0, 1, 3, 8, 29):
        whole = np.random.default_rng(n).standard_normal((2, n, 3))
        for source, target in itertools.product(layouts, layouts):
            part = distributed.shard(whole, comm, axis=1, layout=source)
            assert np.array_equal(part, whole[:, distributed.positions(n, comm, source)])
            assert np.array_equal(distributed.unshard(part, comm, 1, source), whole)
            moved = distributed.rearrange(part, source, target, comm, axis=1)
            assert np.array_equal(moved, distributed.shard(whole, comm, 1, target)), (n, source, target)
    last = comm.rank == comm.size - 1
    part = distributed.shard(np.zeros((8, 2)), comm)
    expect(InvalidValueError, distributed.unshard, part, comm, 0, "spiral" if last else "striped")
    if comm.size > 1:
        expect(ShapeError, distributed.unshard, np.zeros((2 + 3 * last, 2)), comm)
        expect(ShapeError, distributed.unshard, part[:, :1] if last else part, comm)


def main() -> None:
    comm = private_communicator()
    with abort_on_error(comm):
        check_halos(comm)
        check_overlap(comm)
        check_redistribution(comm)
        worst = check_fft(comm)
        check_fft_options(comm)
        check_sequence(comm)
    if comm.rank == 0:
        print(f"PASS: the spectra differ from numpy.fft by at most {worst:.1e}")


if __name__ == "__main__":
    main()
