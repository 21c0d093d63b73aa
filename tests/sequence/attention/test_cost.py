"""The cost model of softmax attention: its units, and what it refuses. Other tests count the bytes."""

from __future__ import annotations

import pytest

from sci.errors import InvalidValueError
from sci.sequence import attention_cost

UNIT = 8 * 4096 // 4 * 64 * 4.0  # heads L head_dim elements of float32


@pytest.mark.parametrize("method", ["ring", "rsa"])
def test_a_ring_sends_two_units_a_hop_and_four_with_gradients(method: str) -> None:
    assert attention_cost(4096, 8, 64, 4, method=method).bytes_sent == 6 * UNIT
    assert attention_cost(4096, 8, 64, 4, method=method, backward=True).bytes_sent == 12 * UNIT
    half = attention_cost(4096, 8, 64, 4, method=method, dtype="float16", backward=True)
    assert half.bytes_sent == 6 * UNIT / 2 + 6 * UNIT  # gradients travel in float32


def test_all_to_all_sends_less() -> None:
    assert attention_cost(4096, 8, 64, 4, method="ulysses").bytes_sent == (4 + 1 / 64) * 3 / 4 * UNIT
    assert attention_cost(4096, 8, 64, 4, method="ulysses", backward=True).bytes_sent == (7 + 2 / 64) * 3 / 4 * UNIT


def test_flops_are_those_of_the_pairs_that_are_seen() -> None:
    full = attention_cost(100, 2, 16)
    assert full.flops == 4 * 2 * 100 * 100 * 16
    assert full.bytes_sent == 0
    assert attention_cost(100, 2, 16, causal=True).flops == full.flops / 2
    assert attention_cost(100, 2, 16, causal=True, method="rsa").flops == full.flops
    pairs = 1 * 1 + 9 * 10 + 90 * 100  # of queries and the keys that they see
    assert attention_cost(100, 2, 16, blocks=(1, 9, 90)).flops == pytest.approx(full.flops * pairs / 100**2, rel=1e-15)
    assert attention_cost(100, 2, 16, blocks=(100,)).flops == full.flops
    assert attention_cost(100, 2, 16, backward=True).flops == 2.5 * full.flops


def test_a_strip_needs_memory_that_grows_with_the_square() -> None:
    ring, rsa = (
        [attention_cost(n, 4, 16, 4, method=method).memory for n in (1024, 4096)] for method in ("ring", "rsa")
    )
    assert ring[1] == 4 * ring[0]
    assert rsa[1] > 12 * rsa[0]


def test_bad_input() -> None:
    with pytest.raises(InvalidValueError, match="method is 'star'"):
        attention_cost(1, 1, 1, method="star")
    with pytest.raises(InvalidValueError, match="expected positive numbers"):
        attention_cost(0, 1, 1)
    with pytest.raises(InvalidValueError, match="key_heads 0"):
        attention_cost(4, 1, 1, key_heads=0)
    with pytest.raises(InvalidValueError, match="dtype is 'int8'"):
        attention_cost(4, 1, 1, dtype="int8")
    with pytest.raises(InvalidValueError, match="blocks have 3 tokens in all; expected n = 4"):
        attention_cost(4, 1, 1, blocks=(1, 2))
