"""Activations of models made of ops, by a hook in the op."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn import Tape, collect_activations, gelu, linear, op, tanh
from sci.operators import FNO, TrainedOperator

RNG = np.random.default_rng(0)
V, W = RNG.normal(size=(8, 3)), RNG.normal(size=(2, 8))
X = RNG.normal(size=(11, 3))


def model(x):
    return linear(gelu(linear(x, V)), W)


@pytest.mark.parametrize("batch", [1, 2, 4, 11, 64])
def test_activations_are_what_the_ops_return(batch):
    found = collect_activations(model, X, batch_size=batch)
    assert list(found) == ["linear_0", "gelu_0", "linear_1"]
    np.testing.assert_allclose(found["gelu_0"], gelu(X @ V.T), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found["linear_1"], model(X), rtol=1e-12, atol=1e-14)
    assert list(collect_activations(model, X, layers=["gelu_0"], batch_size=batch)) == ["gelu_0"]


def test_what_is_computed_of_parameters_is_no_activation():
    """Also where a parameter has as many rows as there are samples."""
    assert list(collect_activations(lambda x: linear(x, tanh(V[:2])), X[:2])) == ["linear_0"]
    assert list(collect_activations(lambda x: linear(x, tanh(V[:1])), X[:3])) == ["linear_0"]
    with pytest.raises(InvalidValueError, match="calls no op whose value follows the samples"):
        collect_activations(lambda x: x * tanh(V[:1]), X)


def test_variables_tuples_and_own_ops_are_seen():
    @op(vjp=lambda dout, x: (2 * x * dout[0],))
    def both(x):
        return (x * x, x + 1), x

    def run(x):
        found = both(x)
        return gelu(found[0])

    names = ["both_0.0", "both_0.1", "gelu_0"]
    assert list(collect_activations(run, X)) == names
    assert list(collect_activations(lambda x: run(Tape().watch(x)), X)) == names


def test_an_operator_has_the_layers_of_its_ops_and_says_which():
    operator = TrainedOperator(FNO((2, 2), 1, 1, 4, 2, seed=0))
    x = RNG.normal(size=(5, 1, 6, 6)).astype(np.float32)
    found = collect_activations(operator, x, batch_size=2)
    layers = ["concatenate_0", "channel_mlp_0", "block_0", "block_1", "channel_mlp_1"]
    assert list(found) == layers  # whether or not a compiled kernel does the work of a block
    assert {values.shape[0] for values in found.values()} == {5}
    np.testing.assert_allclose(list(found.values())[-1], operator(x), rtol=1e-5, atol=1e-7)
    with pytest.raises(InvalidValueError, match=r"no layer block_7; its layers are concatenate_0, .*, channel_mlp_1"):
        collect_activations(operator, x, layers=["block_7"])


def test_other_threads_are_not_seen():
    def elsewhere(x):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(tanh, x).result()
        return gelu(x)

    assert list(collect_activations(elsewhere, X)) == ["gelu_0"]


@pytest.mark.parametrize("bad", [{"x": X[:0]}, {"x": X, "batch_size": 0}])
def test_bad_input_is_named(bad):
    with pytest.raises(InvalidValueError, match="expected at least one of both"):
        collect_activations(model, **bad)
