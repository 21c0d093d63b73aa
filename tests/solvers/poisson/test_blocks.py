"""Boxes of a grid over ranks: sums, halos, gathers, and planes beside the solver of one process."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError, ShapeError
from sci.solvers import Multigrid, PoissonOperator, block_slices, cg, iteration_traffic
from sci.solvers.poisson.blocks import Blocks, Grid


@pytest.mark.parametrize("shape", [(13, 11, 9), (20, 31), (40, 4, 4)])
def test_boxes_cover_the_grid_once(shape):
    for size in (1, 2, 3, 4):
        found = on_ranks(size, lambda comm: block_slices(shape, comm, levels=1))
        seen = np.zeros(shape, int)
        for own in found:
            seen[own] += 1
        assert (seen == 1).all()


def test_levels_halve_the_boxes():
    for level, lengths in ((0, (21, 13, 18)), (1, (11, 7, 9)), (2, (6, 4, 5))):
        assert Blocks((21, 13, 18), levels=2).lengths(level) == lengths
    assert Blocks((64, 64, 64)).n_levels == 2  # those of more than 4096 cells: 64^3 and 32^3
    with pytest.raises(InvalidValueError, match="multiples of 4"):
        Blocks((10, 8, 8), boundary="periodic", levels=2)
    with pytest.raises(ShapeError, match="positive lengths"):
        block_slices((0, 3))


def test_a_gather_and_its_cut():
    whole = np.random.default_rng(0).random((13, 10, 9))

    def body(comm):
        blocks = Blocks(whole.shape, comm, levels=1)
        grid, gather = blocks.grids[0], blocks.gather(0)
        padded = grid.layout.spread(whole[blocks.slices])
        np.testing.assert_array_equal(gather.whole(padded), whole)
        joined = gather.joined(padded)
        cut = gather.cut(joined, grid.layout.zeros(np, float))
        np.testing.assert_array_equal(cut, grid.fill(padded))
        total = grid.total(float(grid.layout.cells(padded).sum()))
        assert total == pytest.approx(whole.sum())
        assert grid.largest(float(comm.Get_rank())) == comm.Get_size() - 1
        return grid.totals(np.ones(2)).tolist()

    for size in (1, 2, 4):
        assert on_ranks(size, body) == [[size, size]] * size


def test_work_overlaps_the_exchange():
    """Every cell is worked on once, after the halo that it reads has come."""
    whole = np.random.default_rng(1).random((12, 12, 12))

    def body(comm):
        blocks = Blocks(whole.shape, comm, levels=1)
        grid = blocks.grids[0]
        u, out = grid.layout.spread(whole[blocks.slices]), grid.layout.zeros(np, float)

        def over(box):
            start, lengths = box
            key = tuple(slice(a + 1, a + n + 1) for a, n in zip(start, lengths))
            back = (slice(key[0].start - 1, key[0].stop - 1), *key[1:])

            def work():
                out[key] += u[key] - u[back]

            return work

        grid.overlapped(u, over)()
        expected = np.diff(whole, axis=0, prepend=0)
        np.testing.assert_array_equal(grid.layout.cells(out), expected[blocks.slices])

    on_ranks(4, body)


def test_one_process_wraps_and_sums_by_itself():
    grid = Grid.whole((3, 4), (True, False))
    u = grid.layout.spread(np.arange(12.0).reshape(3, 4))
    calls = []
    grid.overlapped(u, lambda box: lambda: calls.append((box, u[1, 0, 1:5].tolist())))()
    assert calls == [(None, [8.0, 9.0, 10.0, 11.0])]
    assert (grid.total(2.0), grid.largest(3.0)) == (2.0, 3.0)
    assert grid.coarser.layout.grid_shape == (2, 2)


@pytest.mark.parametrize("boundary", ["dirichlet", ["periodic", "neumann"]])
def test_planes_on_ranks(boundary):
    rng = np.random.default_rng(2)
    mask = rng.random((40, 37)) > 0.1
    serial = PoissonOperator(mask, 0.5, boundary, neumann_body=True)
    b = serial.project(rng.normal(size=mask.shape) * mask)
    expected = cg(serial, b, M=Multigrid(serial, coarse="averaged", dtype=np.float64), rtol=1e-9)

    def body(comm):
        A = PoissonOperator(mask, 0.5, boundary, neumann_body=True, comm=comm, distributed_levels=1)
        M = Multigrid(A, coarse="averaged", dtype=np.float64)
        found = cg(A, b[A.slices], M=M, rtol=1e-9)
        assert found.iterations == expected.iterations
        np.testing.assert_allclose(found.x, expected.x[A.slices], rtol=0, atol=1e-11 * abs(expected.x).max())
        assert iteration_traffic(A, M)["gather_level"].messages == comm.Get_size() - 1
        return prod(A.local_shape)

    for size in (1, 2, 3, 4):
        assert sum(on_ranks(size, body)) == mask.size
