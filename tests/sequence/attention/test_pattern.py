"""What each query sees of a whole sequence, on any layout, and which ranks need which keys."""

from __future__ import annotations

import numpy as np
import pytest
from attention_features import CASES, seen_table
from attention_oracle import PACKED, seen_by

from sci.errors import InvalidValueError
from sci.sequence.attention.pattern import Pattern


@pytest.mark.parametrize("layout", ["contiguous", "zigzag", "striped"])
@pytest.mark.parametrize("options", [{}, {"causal": True}, {"blocks": (1, 4, 9, 7)}])
@pytest.mark.parametrize("packed", [False, True])
def test_ranges_are_the_tokens_that_a_query_sees(layout: str, options: dict, packed: bool) -> None:
    n, ids = len(PACKED), PACKED[None] if packed else None
    pattern = Pattern(layout, (7, 7, 7), (7, 7, 7), **options, query_documents=ids, key_documents=ids)
    table = seen_by(n, options.get("causal", False), PACKED if packed else None, options.get("blocks"))
    owned = [pattern.queries(rank) for rank in range(3)]
    assert sorted(np.concatenate(owned)) == list(range(n))
    keys = np.ones(n, bool) if ids is None else ids[0] >= 0
    for at in owned:
        ((low, high),) = pattern.ranges(at)
        found = (low[0][:, None] <= np.arange(n)) & (np.arange(n) <= high[0][:, None])
        np.testing.assert_array_equal(found & keys, table[at])
        np.testing.assert_array_equal(pattern.blind(at)[0], ~table[at].any(axis=1))


@pytest.mark.parametrize("name", ["window", "two_sided", "one_sided", "sink_tokens", "more_queries", "decoding"])
def test_windows_and_places(name: str) -> None:
    case = CASES[name]
    options = {
        key: value for key, value in case.options.items() if key in ("causal", "window", "sink_tokens", "offset")
    }
    if isinstance(options.get("window"), int):
        options["window"] = (options["window"],) * 2
    pattern = Pattern("contiguous", (case.n,), (case.m,), **options)
    at = np.arange(case.m)
    found = sum(((low[0][:, None] <= at) & (at <= high[0][:, None])).astype(int) for low, high in pattern.ranges())
    np.testing.assert_array_equal(found, seen_table(case)[0].astype(int))  # ranges are disjoint
    np.testing.assert_array_equal(pattern.blind(np.arange(case.n))[0], ~seen_table(case)[0].any(axis=1))


def test_documents_in_several_runs_are_told_apart() -> None:
    ids = np.array([[3, 3, 8, 3, -1, 8]])
    pattern = Pattern("contiguous", (6,), (6,), True, (1, 0), query_documents=ids, key_documents=ids)
    assert pattern.told_apart
    np.testing.assert_array_equal(pattern.blind(np.arange(6)), [[False, False, False, False, True, False]])
    other = Pattern("contiguous", (6,), (5,), True, query_documents=ids, key_documents=ids[:, :5])
    with pytest.raises(InvalidValueError, match="pass offset="):
        other.ranges()
    assert other.offset is None
    sinks = Pattern("contiguous", (6,), (6,), False, (0, 0), 2, query_documents=ids, key_documents=ids).ranges()
    assert [(low[0, 1], high[0, 1]) for low, high in sinks] == [(2, 1), (0, 1)]  # the window holds nothing else
    assert [(low[0, 2], high[0, 2]) for low, high in sinks] == [(6, 2), (2, 5)]  # the second key of 8 is the last
    np.testing.assert_array_equal(Pattern("contiguous", (2,), (5,), offset=1).places(np.arange(2)), [[1, 2]])


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({}, np.ones((4, 4))),
        ({"causal": True}, np.tri(4)),
        ({"causal": True, "window": (3, 0)}, np.tri(4) - np.tri(4, k=-2)),
        ({"window": (2, 2)}, np.tri(4, k=1) - np.tri(4, k=-2)),
        (
            {"causal": True, "window": (3, 0), "sink_tokens": 1},
            [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 1, 1]],
        ),
    ],
)
def test_ranks_need_what_their_queries_see(options: dict, needed: np.ndarray) -> None:
    np.testing.assert_array_equal(Pattern("contiguous", (5, 5, 5, 5), (5, 5, 5, 5), **options).needed, needed)
    assert Pattern("striped", (5, 5, 5, 5), (5, 5, 5, 5), **options).needed.all()


def test_ranks_without_keys_are_not_needed() -> None:
    found = Pattern("contiguous", (0, 4, 2), (5, 0, 1)).needed
    np.testing.assert_array_equal(found, [[0, 0, 0], [1, 0, 1], [1, 0, 1]])
