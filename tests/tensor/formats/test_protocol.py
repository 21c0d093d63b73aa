"""Rank rules, and what every tensor format promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.tensor import CP, TensorTrain, Tucker
from sci.tensor.contraction.network import BATCH, run_network
from sci.tensor.formats.protocol import checked_ranks, cp_rank, tensor_train_ranks, tucker_ranks

FORMATS = (CP, Tucker, TensorTrain)


def drawn(kind, shape, fraction=0.5, seed=0):
    rng, shapes = np.random.default_rng(seed), kind.array_shapes(shape, kind.ranks_for(shape, fraction))
    return kind.from_arrays({n: rng.normal(size=s) + 1j * rng.normal(size=s) for n, s in shapes.items()})


def test_rank_rules():
    """Ranks of the reference library (tensorly 0.10), from the method sheet."""
    assert tucker_ranks((32, 32, 16, 9), 0.1) == (18, 18, 9, 5)
    assert tucker_ranks((32, 32, 16, 9), 0.05) == (15, 15, 7, 4)
    assert tucker_ranks((64, 64, 64, 33), 0.1) == (36, 36, 36, 19)
    assert tucker_ranks((32, 32, 8, 8, 5), 0.1) == (20, 20, 5, 5, 3)
    assert cp_rank((32, 32, 16, 9), 0.1) == 166
    assert cp_rank((64, 64, 64, 33), 0.01) == 384
    assert tensor_train_ranks((32, 32, 16, 9), 0.1) == (22, 17, 9)
    assert checked_ranks(2, 3) == (2, 2, 2)
    assert checked_ranks((1, 2, 3), 3) == (1, 2, 3)
    for ranks, count in (((1, 2), 3), (0, 1), ((1, 2.5), 2)):
        with pytest.raises(InvalidValueError, match="ranks"):
            checked_ranks(ranks, count)
    for fraction in (0.0, float("nan"), float("inf"), -1.0):
        for rule in (tucker_ranks, cp_rank, tensor_train_ranks):
            with pytest.raises(InvalidValueError, match="rank_fraction"):
                rule((4, 5, 6), fraction)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("shape", [(5, 4), (4, 5, 6), (3, 4, 2, 5)])
def test_arrays_shapes_and_bytes_agree(kind, shape):
    ranks = kind.ranks_for(shape, 0.5)
    assert len(ranks) == kind.count_ranks(len(shape))
    a = drawn(kind, shape)
    assert a.shape == shape
    assert {n: v.shape for n, v in a.arrays.items()} == kind.array_shapes(shape, ranks)
    assert a.nbytes == 16 * sum(math.prod(v.shape) for v in a.arrays.values())
    assert a.dtype == np.complex128
    again = kind.from_arrays(a.arrays)
    np.testing.assert_array_equal(again.to_dense(), a.to_dense())
    for axis, n in enumerate(shape):
        assert a.arrays[f"factor_{axis}"].shape[kind.factor_axis(axis)] == n


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("n_batch", [1, 2, 3, 4])
@pytest.mark.parametrize("selected", [False, True])
def test_the_contraction_applies_the_dense_tensor(kind, n_batch, selected):
    shape = (3, 4, 5, 2, 3, 2)[: 2 + n_batch]
    a = drawn(kind, (3, *shape) if selected else shape)
    rng, k = np.random.default_rng(1), BATCH[:n_batch]
    x = rng.normal(size=(*shape[2:], 2, 3))
    arrays = a.arrays
    if selected:
        arrays["factor_0"] = arrays["factor_0"][1]
    y = run_network(kind.contraction(n_batch, selected), {"X": x, **arrays})["Y"]
    dense = a.to_dense()[1] if selected else a.to_dense()
    np.testing.assert_allclose(y, np.einsum(f"{k}bi,io{k}->{k}bo", x, dense), atol=1e-11)
