"""The completed tensor: predictions are its entries, in blocks too, and a tensor of another shape is refused."""

from __future__ import annotations

import numpy as np
import pytest

from sci.completion import Axis, CompletedTensor
from sci.completion.alternating import tensor as module
from sci.errors import InvalidValueError, ShapeError
from sci.tensor import CP, Tucker

RNG = np.random.default_rng(0)
AXES = (Axis("a", np.arange(4.0)), Axis("b", np.array(["x", "y", "z"])), Axis("c", np.array([0.5, 1.5])))


@pytest.mark.parametrize("kind", ["cp", "tucker"])
def test_predictions_are_entries(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tensor: CP | Tucker
    if kind == "cp":
        tensor = CP(RNG.normal(size=3), tuple(RNG.normal(size=(n, 3)) for n in (4, 3, 2)))
    else:
        tensor = Tucker(RNG.normal(size=(2, 3, 1)), tuple(RNG.normal(size=(n, r)) for n, r in ((4, 2), (3, 3), (2, 1))))
    found = CompletedTensor(AXES, tensor, 7.0, 0.1, np.ones(1))
    index = np.stack(np.indices((4, 3, 2)).reshape(3, -1), axis=1)
    asked = {axis.name: axis.places[number] for axis, number in zip(AXES, index.T)}
    np.testing.assert_allclose(found.predict(asked), 7 + np.asarray(tensor.to_dense()).ravel(), rtol=1e-12)
    monkeypatch.setattr(module, "_BLOCK", 5)
    np.testing.assert_allclose(found.predict(asked), 7 + np.asarray(tensor.to_dense()).ravel(), rtol=1e-12)
    assert "of a, b, c" in repr(found)
    with pytest.raises(InvalidValueError, match="axis c"):
        found.predict({"a": [0.0], "b": ["x"], "c": [1.0]})


def test_expanded_columns_are_kronecker_products() -> None:
    u, v = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 3))
    first, second = module.expanded([u, v])
    np.testing.assert_allclose(first * second, np.einsum("ni,nj->nij", u, v).reshape(5, 6))


def test_a_tensor_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match="that of the axes"):
        CompletedTensor(AXES, CP(np.ones(1), (np.ones((4, 1)), np.ones((3, 1)))), 0.0, 0.0, np.ones(1))
