"""Halo contents against the padded global grid, with all ranks of an exchange played in one process."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sci.distributed import GridDecomposition, HaloExchange, block, decompose, exchange_halo, slab
from sci.distributed.halo import _sides
from sci.errors import DecompositionError, DTypeError, InvalidValueError, ShapeError


def padded(grid: np.ndarray, halo: tuple[int, ...], periodic: tuple[bool, ...]) -> np.ndarray:
    """Return the whole grid with its halo: wrapped where periodic, -1 beyond open boundaries."""
    for axis, (h, wraps) in enumerate(zip(halo, periodic)):
        width = [(0, 0)] * grid.ndim
        width[axis] = (h, h)
        grid = np.pad(grid, width, mode="wrap") if wraps else np.pad(grid, width, constant_values=-1.0)
    return grid


def play(ds: list[GridDecomposition], periodic: tuple[bool, ...]) -> None:
    """Deliver every message of every rank by tag, and compare with the global answer."""
    whole = np.arange(1.0, np.prod(ds[0].grid_shape) + 1).reshape(ds[0].grid_shape)
    arrays = [np.full(d.padded_shape, -1.0) for d in ds]
    for d, array in zip(ds, arrays):
        array[d.interior] = whole[d.slices]
    mail = {}
    for d, array in zip(ds, arrays):
        for side in _sides(d, periodic):
            key = (d.rank, side.peer, side.send_tag)
            assert key not in mail
            mail[key] = array[side.owned].copy()
    for d, array in zip(ds, arrays):
        for side in _sides(d, periodic):
            array[side.ghost] = mail.pop((side.peer, d.rank, side.receive_tag))
    assert not mail
    want = padded(whole, ds[0].halo, periodic)
    for d, array in zip(ds, arrays):
        box = tuple(slice(a, a + n + 2 * h) for a, n, h in zip(d.local_start, d.local_shape, d.halo))
        assert np.array_equal(array, want[box]), (d, periodic)


@settings(deadline=None)
@given(st.data())
def test_every_halo_cell_arrives(data: st.DataObject) -> None:
    ndim = data.draw(st.integers(1, 3))
    procs = tuple(data.draw(st.integers(1, 3)) for _ in range(ndim))
    size = int(np.prod(procs))
    assume(size <= 8)
    halo = tuple(data.draw(st.integers(0, 3)) for _ in range(ndim))
    shape = tuple(max(p * h, 1) + data.draw(st.integers(0, 4)) for p, h in zip(procs, halo))
    periodic = tuple(data.draw(st.booleans()) for _ in range(ndim))
    play([decompose(shape, procs, halo=halo, rank=r, size=size) for r in range(size)], periodic)


def test_empty_boxes_on_an_axis_without_halo() -> None:
    play([decompose((2, 6), (3, 2), halo=(0, 2), rank=r, size=6) for r in range(6)], (True, True))


@pytest.mark.parametrize("periodic", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i4", "?"])
def test_serial_exchange(periodic: tuple[bool, bool], dtype: str) -> None:
    d = block((4, 3), halo=(4, 2))
    whole = (np.arange(1.0, 13.0).reshape(4, 3) % 5).astype(dtype)
    array = np.full((2, *d.padded_shape), -1).astype(dtype)
    array[(..., *d.interior)] = whole
    assert exchange_halo(array, d, periodic) is array
    want = padded(whole.real.astype(float), d.halo, periodic).astype(dtype)
    assert np.array_equal(array, np.stack([want, want]))


def test_wrong_use_is_named() -> None:
    d = slab((4, 4), halo=1)
    exchange = HaloExchange(d, (True, False))
    with pytest.raises(InvalidValueError, match="without start"):
        exchange.finish()
    with pytest.raises(ShapeError, match=r"\(4, 4\); expected \(..., 6, 6\), halo included"):
        exchange.start(np.zeros((4, 4)))
    with pytest.raises(ShapeError):
        exchange.start(np.zeros(6))
    with pytest.raises(DTypeError, match="object"):
        exchange.start(np.zeros((6, 6), dtype=object))
    exchange.start(np.zeros((6, 6)))
    with pytest.raises(InvalidValueError, match="before finish"):
        exchange.start(np.zeros((6, 6)))
    exchange.finish()
    with pytest.raises(DecompositionError, match="halo 5 on the periodic axis 1 of 4 cells"):
        HaloExchange(slab((4, 4), halo=(0, 5)), True)
    HaloExchange(slab((4, 4), halo=(0, 5)), False)
