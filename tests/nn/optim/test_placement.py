"""Parts of parameters: what a rank holds, what counts once, and what does not fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import split
from sci.errors import InvalidValueError, SciError, ShapeError
from sci.nn import ParameterLayout, Placement, global_norm

WHOLE = {"rows": np.arange(10.0).reshape(5, 2), "columns": np.arange(6.0).reshape(2, 3) - 2, "bias": np.ones(4)}


def layout_on(comm: ThreadComm) -> ParameterLayout:
    """Rows and columns cut over the ranks, the bias whole on all: one tensor axis."""
    parts = {"rows": split(5, comm), "columns": split(3, comm)}
    axes = {"rows": 0, "columns": 1}
    cut = {n: Placement(WHOLE[n].shape, axes[n], p.start, p.stop) for n, p in parts.items()}
    return ParameterLayout({**cut, "bias": Placement((4,), first=comm.rank == 0)}, comm)


def test_parts_norm_and_the_way_back():
    def body(comm: ThreadComm):
        layout = layout_on(comm)
        own = layout.own(WHOLE)
        return own, layout.norm(own), layout.collected(own), layout.count

    first, second = on_ranks(2, body)
    for _, norm, _, count in (first, second):
        assert norm == pytest.approx(global_norm(WHOLE), rel=1e-15)
        assert count == 20
    assert first[0]["rows"].shape == (3, 2)
    assert second[0]["columns"].flags.c_contiguous
    assert second[2] is None
    assert list(first[2]) == list(WHOLE)
    for name, array in WHOLE.items():
        np.testing.assert_array_equal(first[2][name], array)


def test_a_stage_holds_its_own_alone():
    def body(comm: ThreadComm):
        mine = ("rows", "columns")[comm.rank]
        layout = ParameterLayout({n: Placement(WHOLE[n].shape, held=n == mine) for n in ("rows", "columns")}, comm)
        part = {mine: WHOLE[mine].astype("f4")}
        layout.check(part)
        return layout.collected(part), layout.norm(part), layout.is_cut

    (whole, norm, cut), (nothing, other, _) = on_ranks(2, body)
    assert cut
    assert nothing is None
    assert norm == other == pytest.approx(math.hypot(*(np.linalg.norm(WHOLE[n]) for n in ("rows", "columns"))))
    assert {n: (a.dtype, a.tolist()) for n, a in whole.items()} == {
        n: (np.dtype("f4"), WHOLE[n].tolist()) for n in ("rows", "columns")
    }


def test_what_is_nan_on_one_rank_is_nan_in_all_norms():
    def body(comm: ThreadComm):
        layout = layout_on(comm)
        own = layout.own(WHOLE)
        own["rows"][0, 0] = np.nan if comm.rank else 0.0
        return layout.norm(own)

    assert all(math.isnan(norm) for norm in on_ranks(2, body))


def test_arrays_that_do_not_fit():
    layout = ParameterLayout.whole(WHOLE)
    assert not layout.is_cut
    with pytest.raises(InvalidValueError, match="bias are missing or unknown"):
        layout.check({n: WHOLE[n] for n in ("rows", "columns")})
    with pytest.raises(ShapeError, match="the parameter bias has shape"):
        layout.own({**WHOLE, "bias": np.ones(3)})
    with pytest.raises(ShapeError, match="expected an axis of the array"):
        Placement((2, 3), 1, 2, 4)

    def body(comm: ThreadComm):
        own = layout_on(comm).own(WHOLE)
        if comm.rank:
            own["bias"] = np.ones(3)
        with pytest.raises(SciError) as caught:
            layout_on(comm).collected(own)
        return str(caught.value)

    first, second = on_ranks(2, body)
    assert "the parameter bias has shape" in first
    assert "the parameter bias has shape" in second
