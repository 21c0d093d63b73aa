"""Ring self-attention with the strip of scores in memory, on ranks as threads."""

from __future__ import annotations

import pytest
from attention_features import CASES, takes
from attention_oracle import PACKED
from attention_ranks import assert_case_on_ranks, assert_dense_on_ranks, bytes_on_ranks


@pytest.mark.parametrize("layout", ["contiguous", "zigzag", "striped"])
@pytest.mark.parametrize(("size", "n"), [(1, 7), (2, 9), (3, 2), (4, 13)])
def test_ranks_give_the_dense_sum(size: int, n: int, layout: str) -> None:
    assert_dense_on_ranks("rsa", size, n, layout)
    assert_dense_on_ranks("rsa", size, n, layout, causal=True)


@pytest.mark.parametrize("layout", ["contiguous", "zigzag", "striped"])
@pytest.mark.parametrize(("size", "blocks"), [(1, (1, 4, 9)), (2, (1, 1, 8)), (3, (2,)), (4, (1, 8, 27))])
def test_blocks_see_themselves_and_those_before(size: int, blocks: tuple[int, ...], layout: str) -> None:
    assert_dense_on_ranks("rsa", size, sum(blocks), layout, blocks=blocks)


def test_documents_and_padding() -> None:
    assert_dense_on_ranks("rsa", 3, len(PACKED), "zigzag", causal=True, segments=PACKED)
    assert_dense_on_ranks("rsa", 3, len(PACKED), "striped", segments=PACKED, blocks=(1, 4, 16))


def test_bytes_are_those_of_the_formula() -> None:
    assert all(sent == expected for sent, expected in bytes_on_ranks("rsa", 3, 12, 6, 4))


@pytest.mark.parametrize("name", [name for name in CASES if takes("rsa", name)])
def test_every_option_on_ranks(name: str) -> None:
    assert_case_on_ranks(name, "rsa", 3, "zigzag")
    assert_case_on_ranks(name, "rsa", 4, "contiguous", uneven=True)
