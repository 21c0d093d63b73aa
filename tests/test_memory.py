"""Figures of memory in docstrings beside what is measured: peak or kept bytes of a call beside its arguments."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from kinds import KINDS

from sci.io import compress_file, decompress_file, join_parts, read_compressed, read_slabs, save, save_slabs
from sci.linalg import PackedPoints, lanczos, nearest_k
from sci.nn import Tape, checkpoint, gelu
from sci.operators import FNO
from sci.options import options
from sci.potentials import Particles, PotentialGrid, interaction_energy
from sci.sequence import TransNormer
from sci.solvers import (
    FastPoisson,
    IncompleteCholesky,
    Jacobi,
    LearnedMultigrid,
    Multigrid,
    PoissonOperator,
    cg,
    conjugate_directions,
)
from sci.tensor import hosvd
from sci.tensor.chebtuck.evaluate import evaluate_points_reference

CELLS = 64
N = CELLS**3
VECTOR = 8 * N
SLACK = 1.5e5
"""Bytes of Python itself, and of the arguments of kernels."""


class Row(NamedTuple):
    """What a docstring says: the bytes that `run` takes at its peak, or of which its result is made (`kept`)."""

    run: Callable[[], Any]
    stated: float
    kept: bool = False
    bound: bool = False
    """Whether the docstring says "at most": the measured bytes may then be far below."""


def measured(run: Callable[[], Any]) -> tuple[int, int]:
    """Return the kept and the largest memory of a second call, on one thread, for which the docstrings speak."""
    with options(threads=1):
        run()
        tracemalloc.start()
        result = run()
        found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    del result
    return found


def operator(**options: Any) -> PoissonOperator:
    return PoissonOperator(np.ones((CELLS,) * 3, bool), **options)


A = operator()
B = np.random.default_rng(0).normal(size=(CELLS,) * 3)
MATRIX = A.to_scipy()


def solve(M: Any = None, flat: bool = False, matrix: Any = A) -> Callable[[], Any]:
    made = M(A) if isinstance(M, type) else M
    b = B.ravel() if flat else B
    return lambda: cg(matrix, b, M=made, maxiter=3)


def with_cycle(M: Any) -> Callable[[], Any]:
    def run() -> Any:
        made = M(A)
        return made, made.new_cycle(), made.new_cycle()

    return run


def solvers() -> Iterator[tuple[str, Row]]:
    for kind in (Multigrid, LearnedMultigrid):
        yield f"cg with {kind.__name__}", Row(solve(kind), 2.3 * VECTOR)
        yield f"cg with {kind.__name__}, flat", Row(solve(kind, True), 5.3 * VECTOR)
    yield "cg", Row(solve(), 5.6 * VECTOR)
    yield "cg, flat", Row(solve(flat=True), 8.6 * VECTOR)
    yield "cg with any other", Row(solve(lambda r: r), 9.6 * VECTOR)
    yield "cg with Jacobi", Row(solve(Jacobi), 9.6 * VECTOR)
    yield "cg of a matrix", Row(solve(flat=True, matrix=MATRIX), 6 * VECTOR)
    for k in (0, 2, 5):
        run = lambda k=k: conjugate_directions(A, B, lambda r: r, k=k, maxiter=8)  # noqa: E731
        yield f"conjugate_directions, k = {k}", Row(run, (7.5 + 2 * k) * VECTOR)
    yield "PoissonOperator", Row(operator, A.nbytes, kept=True)
    varying = 1 + B * B
    yield (
        "PoissonOperator, varying",
        Row(lambda: operator(coefficient=varying), operator(coefficient=varying).nbytes, kept=True),
    )
    yield "Multigrid", Row(lambda: with_cycle(Multigrid)()[0], (5 + 12) * N + 2**20, kept=True)
    yield "Multigrid, a thread more", Row(with_cycle(Multigrid), (5 + 3 * 12) * N + 3 * 2**20, kept=True)
    yield "LearnedMultigrid", Row(lambda: LearnedMultigrid(A), (12 + 6) * N, kept=True)
    yield "IncompleteCholesky", Row(with_cycle(IncompleteCholesky), (1 + 2 * 2) * VECTOR, kept=True)
    yield "FastPoisson", Row(lambda: FastPoisson(A), VECTOR, kept=True)
    fast = FastPoisson(A)
    yield "FastPoisson, applied", Row(lambda: fast.solve(B), 2 * VECTOR)
    yield "lanczos", Row(lambda: lanczos(A.matvec, N, 30), (30 + 5) * VECTOR)


def others() -> Iterator[tuple[str, Row]]:
    rng = np.random.default_rng(1)
    for shape, modes in (((96, 96), (16, 16)), ((24, 24, 24), (8, 8, 8))):
        model, x = FNO(modes, 1, 1, 32, 3), np.ones((2, 1, *shape), np.float32)
        yield f"FNO, {len(shape)} axes", Row(lambda m=model, x=x: m(x), 2.5 * 32 * x.nbytes)
    points = rng.normal(size=(40_000, 20))
    yield "PackedPoints", Row(lambda: PackedPoints(points), points.nbytes, kept=True)
    packed = PackedPoints(points[:4000])
    yield "nearest_k", Row(lambda: nearest_k(packed, 20), 2 * 8 * 20 * 4000)
    grid = [np.linspace(0, 1, n) for n in (60, 70, 80)]
    smooth = 1 / (1 + grid[0][:, None, None] + grid[1][:, None] + grid[2])
    rough = rng.normal(size=smooth.shape)
    untraced = int(np.lib.NumpyVersion(np.__version__) < "2.5.0")  # a copy of `qr` that tracemalloc is not told of
    for method, small, large in (("gram", 1, 3), ("qr", 2 - untraced, 4 - untraced)):
        yield f"hosvd by {method}", Row(lambda m=method: hosvd(smooth, 1e-6, method=m), small * smooth.nbytes)
        yield f"hosvd by {method}, rough", Row(lambda m=method: hosvd(rough, 1e-3, method=m), large * rough.nbytes)
    core, factors = np.ones((20, 20, 20)), [rng.normal(size=(60, 20)) for _ in range(3)]
    places = rng.uniform(-1, 1, (200_000, 3))
    yield (
        "evaluate_points_reference",
        Row(lambda: evaluate_points_reference(core, factors, ((-1, 1),) * 3, places), 2 * 2**24 + 8 * len(places)),
    )
    for atoms, n in ((100, 20_000), (2, 400_000)):
        ligand = Particles(rng.normal(size=(atoms, 3)), np.ones(atoms))
        poses = rng.normal(size=(n, 4)), rng.normal(size=(n, 3))
        yield (
            f"interaction_energy, {n} poses",
            Row(
                lambda molecule=ligand, p=poses: interaction_energy(lambda x: x[:, 0], molecule, *p),
                38e6 + 256 * n,
                bound=True,
            ),
        )
    x = rng.normal(size=(64, 4096))

    def block(value: Any) -> Any:
        for _ in range(6):
            value = gelu(value)
        return value

    def taped() -> Any:
        tape = Tape()
        return tape, checkpoint(block, checkpoint(block, tape.watch(x)))

    yield "checkpoint", Row(taped, 2 * x.nbytes, kept=True)
    language = TransNormer.create(width=256, heads=4, layers=4, hidden=64)
    states = {n: language.prefill(np.zeros((1, n), int))[1] for n in (4, 400)}
    bytes_of_state = sum(s.nbytes for s in states[4].states)
    for n, state in states.items():
        yield (
            f"decode_step after {n}",
            Row(lambda s=state: language.decode_step(np.zeros(1, int), s), bytes_of_state, kept=True),
        )


TABLE = {**dict(solvers()), **dict(others())}


def check(row: Row, name: str) -> None:
    kept, peak = measured(row.run)
    found = kept if row.kept else peak
    assert found <= 1.2 * row.stated + SLACK, (name, found / row.stated)
    assert row.bound or found + SLACK >= 0.8 * row.stated, (name, found / row.stated)


@pytest.mark.parametrize("name", TABLE)
def test_docstrings_say_what_is_measured(name: str) -> None:
    check(TABLE[name], name)


def test_files_of_grids_take_a_few_slabs(tmp_path: Path) -> None:
    slab = 2**24
    for nz in (96, 192):
        grid = PotentialGrid(np.zeros((256, 256, nz)), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        save(tmp_path / f"{nz}.h5", grid)
        check(Row(lambda nz=nz: sum(1 for _ in read_slabs(tmp_path / f"{nz}.h5")), 3 * slab), "read_slabs")

        def parts(nz: int = nz) -> Iterator[PotentialGrid]:
            for z in range(0, nz, 32):
                yield PotentialGrid(np.zeros((256, 256, 32)), (0.0, 0.0, float(z)), (1.0, 1.0, 1.0))

        run = lambda nz=nz: save_slabs(tmp_path / "s.h5", parts(nz), nz, overwrite=True)  # noqa: E731
        check(Row(run, 4 * slab), "save_slabs")
        joined = lambda nz=nz: join_parts(tmp_path / f"{nz}.h5", tmp_path / "j.h5", overwrite=True)  # noqa: E731
        check(Row(joined, 5 * slab, bound=True), "join_parts")
    KINDS["spread"].write(tmp_path / "spread.h5")
    join_parts(tmp_path / "spread.h5", tmp_path / "whole.h5")


def test_compressions_of_large_arrays_take_a_few_chunks(tmp_path: Path) -> None:
    """The stated peak does not grow with the number of chunks."""
    chunk = np.random.default_rng(2).normal(size=(16, 64, 64))
    for count in (4, 12):
        np.save(tmp_path / "x.npy", np.tile(chunk, (count, 1, 1)))
        packed = lambda: compress_file(tmp_path / "x.npy", tmp_path / "c.h5", 1e-2, chunk=16, overwrite=True)  # noqa: E731
        check(Row(packed, 16 * chunk.nbytes, bound=True), f"compress_file of {count} chunks")
        plain = lambda: decompress_file(tmp_path / "c.h5", tmp_path / "y.npy", overwrite=True)  # noqa: E731
        check(Row(plain, 8 * chunk.nbytes, bound=True), f"decompress_file of {count} chunks")
        found = read_compressed(tmp_path / "c.h5")
        check(Row(lambda: found[5:6], 6 * chunk.nbytes, bound=True), f"a slab of {count} chunks")  # noqa: B023
