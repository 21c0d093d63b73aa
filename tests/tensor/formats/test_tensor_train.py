"""Tensor trains against dense arrays, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ShapeError
from sci.tensor import TensorTrain


def random_train(shape, ranks, seed=0):
    rng, shapes = np.random.default_rng(seed), TensorTrain.array_shapes(shape, ranks)
    return TensorTrain(tuple(rng.normal(size=(*s, 2)).view(complex)[..., 0] for s in shapes.values()))


def test_entries_are_products_of_matrices():
    a = random_train((4, 5, 6, 3), (2, 3, 2))
    dense = a.to_dense()
    assert dense.shape == a.shape == (4, 5, 6, 3)
    first, second, third, last = a.cores
    assert dense[3, 1, 4, 2] == pytest.approx(first[3] @ second[:, 1] @ third[:, 4] @ last[:, 2])
    assert a.tt_ranks == (2, 3, 2)


@pytest.mark.parametrize("shape", [(6, 5), (4, 5, 6), (3, 4, 2, 5)])
def test_norm_and_inner_product(shape):
    a, b = (random_train(shape, (2,) * (len(shape) - 1), seed) for seed in (0, 1))
    assert a.norm() == pytest.approx(np.linalg.norm(a.to_dense()))
    assert a.inner(b) == pytest.approx(np.vdot(a.to_dense(), b.to_dense()))
    with pytest.raises(ShapeError, match="equal shapes"):
        a.inner(random_train((2, 2), (1,)))


def test_repr_is_one_line():
    assert repr(random_train((4, 5), (3,))) == "TensorTrain(shape=(4, 5), tt_ranks=(3,), dtype=complex128, 432 bytes)"


@pytest.mark.parametrize(
    ("cores", "text"),
    [
        ((np.ones((3, 2)),), "at least 2"),
        ((np.ones((3, 2)), np.ones((3, 4))), "one bond"),
        ((np.ones((3, 2)), np.ones((2, 4, 5))), "expected 2 axes"),
    ],
)
def test_bad_cores_are_refused(cores, text):
    with pytest.raises(ShapeError, match=text):
        TensorTrain(cores)
