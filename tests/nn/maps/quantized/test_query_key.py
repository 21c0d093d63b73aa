"""The product of query and key projections: the identity, its gradients, its rounding."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    StatisticsQuantizer,
    linear,
    product_logits,
    query_key_product,
    statistics_quantize,
    value_and_gradients,
)

RNG = np.random.default_rng(6)
X, W_Q, W_K = RNG.normal(size=(3, 20, 32)), RNG.normal(size=(32, 32)), RNG.normal(size=(32, 32))


@pytest.mark.parametrize("n_heads", [1, 4, 32])
def test_logits_by_the_product_are_those_of_queries_and_keys(n_heads: int) -> None:
    q, k = (linear(X, w).reshape(3, 20, n_heads, -1).swapaxes(1, 2) for w in (W_Q, W_K))
    expected = q @ k.swapaxes(2, 3)
    found = product_logits(X, query_key_product(W_Q, W_K, n_heads))
    assert np.abs(found - expected).max() / np.abs(expected).max() < 6e-14


def test_it_is_rounded_head_by_head_and_trained() -> None:
    product = query_key_product(W_Q, W_K, 4)
    weight_map = StatisticsQuantizer(product.reshape(4 * 32, 32), 4)
    rounded = weight_map.fold(weight_map.start()).reshape(product.shape)
    np.testing.assert_array_equal(rounded[2], statistics_quantize(product[2], 4), "each head has scales of its own")
    value, gradient = value_and_gradients(lambda p: (product_logits(X, p) * 1.0).sum(), product)
    step = RNG.normal(size=product.shape)
    assert abs(float((product_logits(X, product + step)).sum()) - float(value) - float((gradient * step).sum())) < 1e-7


def test_refusals() -> None:
    with pytest.raises(ShapeError, match="twice"):
        query_key_product(W_Q, W_K[:16], 4)
    with pytest.raises(InvalidValueError, match="expected a divisor"):
        query_key_product(W_Q, W_K, 5)
