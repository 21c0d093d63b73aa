"""Sequence layouts of any length over 1 to 8 ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.distributed import positions, rearrange, shard, unshard
from sci.errors import DecompositionError, InvalidValueError, ShapeError

LAYOUTS = ("contiguous", "zigzag", "striped")


@settings(deadline=None)
@given(st.integers(0, 70), st.integers(1, 8), st.sampled_from(LAYOUTS))
def test_layouts_partition_the_sequence(n: int, size: int, layout: str) -> None:
    parts = [positions(n, layout=layout, rank=r, size=size) for r in range(size)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    assert all((np.diff(part) > 0).all() for part in parts)
    lengths = [part.size for part in parts]
    assert max(lengths) - min(lengths) <= (2 if layout == "zigzag" else 1)


def test_known_layouts() -> None:
    owned = {kind: [positions(16, layout=kind, rank=r, size=4).tolist() for r in range(4)] for kind in LAYOUTS}
    assert owned["contiguous"][1] == [4, 5, 6, 7]
    assert owned["zigzag"] == [[0, 1, 14, 15], [2, 3, 12, 13], [4, 5, 10, 11], [6, 7, 8, 9]]
    assert owned["striped"][3] == [3, 7, 11, 15]


@pytest.mark.parametrize(("layout", "spread"), [("contiguous", 7.0), ("zigzag", 1.0), ("striped", 1 + 768 / 130816)])
def test_causal_pairs_are_balanced(layout: str, spread: float) -> None:
    """The pairs (i, j <= i) that a rank's queries see: largest share over smallest."""
    pairs = [int((positions(1024, layout=layout, rank=r, size=4) + 1).sum()) for r in range(4)]
    assert max(pairs) / min(pairs) == pytest.approx(spread, rel=0.01 if layout == "contiguous" else 1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_serial_sharding_is_a_copy(layout: str, axis: int) -> None:
    x = np.arange(30.0).reshape(5, 3, 2)
    part = shard(x, None, axis, layout)
    assert not np.shares_memory(part, x)
    for got in (part, unshard(part, None, axis, layout), rearrange(part, layout, "striped", None, axis)):
        assert np.array_equal(got, x)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(InvalidValueError, match="layout is 'spiral'"):
        positions(4, layout="spiral")
    with pytest.raises(InvalidValueError, match="layout is 'spiral'"):
        rearrange(np.zeros(4), "striped", "spiral")
    with pytest.raises(DecompositionError, match="length -1"):
        positions(-1)
    for call in (shard, unshard):
        with pytest.raises(ShapeError, match="axis 2"):
            call(np.zeros((2, 2)), None, 2)
