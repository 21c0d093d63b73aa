"""Every operation on 1 to 8 ranks and grids of any shape gives the global answer; the ranks are threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from halos import padded
from hypothesis import given, settings
from hypothesis import strategies as st
from thread_ranks import ThreadComm, on_ranks

from sci import distributed
from sci.distributed import GridDecomposition, PencilFFT, block, decompose, pencil, slab
from sci.errors import SciError, ShapeError

sizes = st.integers(1, 8)
quick = settings(deadline=None, max_examples=60)
LAYOUTS = ("contiguous", "zigzag", "striped")


def numbered(shape: tuple[int, ...], dtype: str = "f8") -> np.ndarray:
    """Return a grid whose cells all differ."""
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)


@st.composite
def cuts(draw: st.DrawFn, shape: tuple[int, ...]) -> Callable[[ThreadComm], GridDecomposition]:
    """Draw a way to cut a grid."""
    axis, kind = draw(st.integers(0, len(shape) - 1)), draw(st.sampled_from((slab, pencil, block)))
    return lambda comm: block(shape, comm) if kind is block else kind(shape, comm, axis)


@quick
@given(st.data(), sizes, st.lists(st.integers(1, 9), min_size=2, max_size=4), st.sampled_from(["f8", "c8", "i4", "?"]))
def test_redistribution(data: st.DataObject, size: int, grid: list[int], dtype: str) -> None:
    shape = tuple(grid)
    first, second = data.draw(cuts(shape)), data.draw(cuts(shape))
    whole = np.stack([numbered(shape, dtype), numbered(shape, dtype)[::-1]])

    def body(comm: ThreadComm) -> None:
        source, target = first(comm), second(comm)
        got = distributed.redistribute(distributed.scatter_grid(whole, source), source, target)
        assert got.dtype == whole.dtype
        assert np.array_equal(got, whole[(slice(None), *target.slices)])
        counted = distributed.traffic(comm).get("redistribute", distributed.Traffic())
        assert (counted.messages, counted.bytes) == (comm.world.sent[comm.rank], comm.world.bytes[comm.rank])
        assert np.array_equal(distributed.gather_grid(got, target), whole)

    on_ranks(size, body)


@quick
@given(st.data(), st.lists(st.integers(1, 4), min_size=1, max_size=3).filter(lambda p: np.prod(p) <= 8))
def test_every_halo_cell_arrives(data: st.DataObject, procs: list[int]) -> None:
    halo = tuple(data.draw(st.integers(0, 3)) for _ in procs)
    shape = tuple(max(p * h, 1) + data.draw(st.integers(0, 4)) for p, h in zip(procs, halo))
    periodic = tuple(data.draw(st.booleans()) for _ in procs)
    whole = padded(numbered(shape), halo, periodic)

    def body(comm: ThreadComm) -> None:
        d = decompose(shape, procs, comm, halo=halo)
        array = np.full((2, *d.padded_shape), -1.0)
        array[(..., *d.interior)] = numbered(shape)[d.slices]
        distributed.exchange_halo(array, d, periodic)
        want = whole[tuple(slice(a, a + n + 2 * h) for a, n, h in zip(d.local_start, d.local_shape, halo))]
        assert np.array_equal(array, np.stack([want, want]))

    on_ranks(int(np.prod(procs)), body)


@quick
@given(
    sizes,
    st.lists(st.integers(1, 12), min_size=2, max_size=3),
    st.booleans(),
    st.sampled_from(["slab", "pencil", None]),
    st.sampled_from(["backward", "ortho", "forward"]),
)
def test_pencil_fft(size: int, shape: list[int], real: bool, kind: str | None, norm: str) -> None:
    rng = np.random.default_rng(sum(shape))
    whole = rng.standard_normal(shape) + (0 if real else 1j * rng.standard_normal(shape))
    want = (np.fft.rfftn if real else np.fft.fftn)(whole, norm=norm)

    def body(comm: ThreadComm) -> None:
        fft = PencilFFT(shape, comm, real=real, kind=kind, norm=norm)
        part = fft.forward(whole[fft.source.slices])
        assert np.linalg.norm(part - want[fft.target.slices]) <= 1e-12 * np.linalg.norm(want)
        back = fft.inverse(part)
        assert np.isrealobj(back) == real
        assert np.linalg.norm(back - whole[fft.source.slices]) <= 1e-12 * np.linalg.norm(whole)

    on_ranks(size, body)


@quick
@given(sizes, st.integers(0, 40), st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS))
def test_sequence_layouts(size: int, n: int, source: str, target: str) -> None:
    whole = numbered((2, n, 3)) if n else np.zeros((2, 0, 3))

    def body(comm: ThreadComm) -> None:
        part = distributed.shard(whole, comm, 1, source)
        assert np.array_equal(distributed.unshard(part, comm, 1, source), whole)
        moved = distributed.rearrange(part, source, target, comm, 1)
        assert np.array_equal(moved, distributed.shard(whole, comm, 1, target))

    on_ranks(size, body)


@quick
@given(sizes, st.integers(0, 50), st.sampled_from([0, 1 << 16]))
def test_sums_are_those_in_the_order_of_the_ranks(size: int, n: int, small: int) -> None:
    parts = np.random.default_rng(n).standard_normal((size, n, 2)) * 10.0 ** np.arange(size)[:, None, None]
    want = parts[0].copy()
    for part in parts[1:]:
        want += part

    def body(comm: ThreadComm) -> None:
        mine = parts[comm.rank]
        assert np.array_equal(distributed.allreduce_sum(mine, comm), want)
        assert np.array_equal(distributed.reduce_scatter_rows(mine, comm), want[distributed.split(n, comm)])
        assert np.array_equal(distributed.allreduce_max(mine, comm), parts.max(axis=0))
        rows = distributed.allgather_rows(mine[: comm.rank], comm)
        assert np.array_equal(rows, np.concatenate([p[:r] for r, p in enumerate(parts)]))
        assert np.array_equal(distributed.broadcast(mine if comm.rank == size - 1 else None, comm, size - 1), parts[-1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sci.distributed.reductions._SMALL_BYTES", small)
        on_ranks(size, body)


@pytest.mark.parametrize("size", [2, 5, 8])
def test_nonsense_on_one_rank_is_raised_on_all(size: int) -> None:
    def body(comm: ThreadComm) -> str:
        d = slab((9, 4), comm)
        wrong = np.zeros((3, 3, 3)[: 2 + (comm.rank == size - 1)])
        with pytest.raises(SciError) as caught:
            distributed.redistribute(wrong if comm.rank == size - 1 else np.zeros(d.local_shape), d, d)
        assert isinstance(caught.value, ShapeError)
        return str(caught.value)

    said = on_ranks(size, body)
    assert all(text.startswith(f"rank {size - 1}: ") and said[-1] in text for text in said[:-1])


def test_a_message_left_over_is_seen() -> None:
    """The stand-in itself."""
    with pytest.raises(AssertionError, match="nobody expects"):
        on_ranks(2, lambda comm: comm.Isend(np.zeros(1), 1 - comm.rank, 3))
