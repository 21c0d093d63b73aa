"""Halo exchange in one process; test_rank_counts.py and tests/mpi run it on several ranks."""

from __future__ import annotations

import numpy as np
import pytest
from halos import padded

from sci.distributed import HaloExchange, block, exchange_halo, slab
from sci.errors import DecompositionError, DTypeError, InvalidValueError, ShapeError


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
