"""Batch normalization: barycenter and variance as asked, gradients through the batch, running statistics."""

from __future__ import annotations

import numpy as np
import pytest
from spd_cases import errors, root, spd, squared_distance, symmetric
from thread_ranks import ThreadComm, on_ranks

from sci.errors import InvalidValueError, ShapeError
from sci.linalg import BuresWasserstein
from sci.nn import GBWBatchNorm, bures_barycenter, matrix_function, positive_definite, value_and_gradients
from sci.nn.spd import batch_norm

RNG = np.random.default_rng(12)
X = spd(RNG, 24, 2, 4, condition=30.0)


def free(layer: GBWBatchNorm, scale: float = 0.5, spread: float = 0.3) -> dict[str, np.ndarray]:
    """Parameters away from their start."""
    start = layer.parameters(scale=scale)
    return {n: p + (spread * RNG.normal(size=p.shape) if n != "scale" else 0) for n, p in start.items()}


def spread_of(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The barycenter and variance of each channel."""
    center = bures_barycenter(y)
    return center, squared_distance(y, center).mean(axis=0)


@pytest.mark.parametrize("condition", [2.0, 1e3, 1e6])
@pytest.mark.parametrize("size", [2, 3, 8])
def test_outputs_have_the_barycenter_i_and_the_variance_asked_for(condition, size):
    layer = GBWBatchNorm(2, size)
    x, statistics = spd(RNG, 40, 2, size, condition=condition), layer.statistics()
    y = layer(layer.parameters(scale=0.3), x, statistics, training=True)
    center, variance = spread_of(y)
    assert not statistics["outside"].any()
    assert abs(center - np.eye(size)).max() < 1e-12
    asked = 0.3**2 * statistics["variance"] / (statistics["variance"] + layer.eps)
    np.testing.assert_allclose(variance, asked, rtol=1e-11)
    np.testing.assert_allclose(statistics["variance"], spread_of(x)[1], rtol=1e-11)


def test_the_variance_is_that_about_the_barycenter_whatever_the_units():
    """The public code measures it about I before centering: 0.23 in place of 1, and 9e-4 for data 4 times as large."""
    layer = GBWBatchNorm(1, 5)
    x = np.eye(5) + 0.05 * spd(RNG, 200, 1, 5)
    for unit in (1.0, 4.0, 100.0):
        y = layer(layer.parameters(scale=0.5), unit * x, training=True)
        variance = spread_of(unit * x)[1]
        np.testing.assert_allclose(spread_of(y)[1], 0.25 * variance / (variance + 1e-5), rtol=1e-11)


@pytest.mark.parametrize("theta", [1.0, 0.5, -0.7])
def test_barycenter_and_variance_in_the_metric_of_the_layer(theta):
    layer = GBWBatchNorm(1, 4, theta=theta)
    parameters, statistics = free(layer, 0.2), layer.statistics()
    x = X[:, :1]
    y = layer(parameters, x, statistics, training=True)
    metric = BuresWasserstein(positive_definite(parameters["metric"][0]), theta)
    half, bias = (positive_definite(parameters[n], exponent=e) for n, e in (("metric", 0.5), ("bias", 1.0)))
    expected = matrix_function(symmetric(half @ bias @ half), name="power", exponent=1 / theta)[0]
    np.testing.assert_allclose(metric.barycenter(y[:, 0]).mean, expected, rtol=1e-10, atol=1e-10)
    variance = np.mean([metric.distance(a, expected) ** 2 for a in y[:, 0]])
    np.testing.assert_allclose(statistics["mean"][0], metric.barycenter(x[:, 0]).mean, rtol=1e-10, atol=1e-10)
    asked = 0.04 * statistics["variance"] / (statistics["variance"] + layer.eps)
    np.testing.assert_allclose(variance, asked[0], rtol=1e-10)


@pytest.mark.parametrize(("theta", "learn_metric"), [(1.0, True), (0.5, True), (-0.6, True), (1.0, False)])
def test_gradients_of_inputs_and_parameters_through_the_statistics_of_the_batch(theta, learn_metric):
    layer = GBWBatchNorm(2, 4, theta=theta, learn_metric=learn_metric)
    parameters = free(layer)
    names = list(parameters)
    found = errors(lambda x, *p: layer(dict(zip(names, p)), x, training=True), (X[:6], *parameters.values()))
    assert len(found) == (4 if learn_metric else 3)
    assert max(found) < 1e-7


def test_gradients_where_everything_is_the_identity():
    """All eigenvalues repeat: parameters at their start, inputs equal to I but for one direction of one sample."""
    layer = GBWBatchNorm(1, 3)
    parameters = layer.parameters(scale=0.1)
    x = np.eye(3) + np.zeros((4, 1, 3, 3))
    x[0, 0, 0, 0] = 2.0
    found = errors(lambda x, *p: layer(dict(zip(parameters, p)), x, training=True), (x, *parameters.values()))
    assert max(found) < 1e-7


def test_gradients_of_condition_1e6():
    layer = GBWBatchNorm(1, 4)
    x, parameters = spd(RNG, 8, 1, 4, condition=1e6), layer.parameters(scale=0.3)
    assert errors(lambda x: layer(parameters, x, training=True), (x,), 1e-3, relative=True)[0] < 1e-7


def test_centering_is_differentiated(monkeypatch):
    """With barycenter and variance taken for constants, as in the public code, the gradient is another."""
    layer = GBWBatchNorm(1, 4)
    parameters, x, weights = layer.parameters(), X[:6, :1], symmetric(RNG.normal(size=(6, 1, 4, 4)))

    def gradient() -> np.ndarray:
        return value_and_gradients(lambda v: (layer(parameters, v, training=True) * weights).sum(), x)[1]

    whole = gradient()
    with monkeypatch.context() as context:
        for name in ("bures_barycenter", "batch_mean"):
            op = getattr(batch_norm, name)
            context.setattr(batch_norm, name, lambda v, comm=None, op=op: op(getattr(v, "value", v), comm=comm))
        constant = gradient()
    assert np.linalg.norm(whole - constant) > 0.2 * np.linalg.norm(whole)


def test_samples_outside_of_the_domain_stop_at_its_border_and_are_counted():
    """Numbers: roots 1, 1 and 4 about their mean 2; with the scale s the steps are 1 + s (root - 2) / sqrt 2."""
    layer = GBWBatchNorm(1, 1, margin=0.1)
    x = np.array([1.0, 1.0, 16.0]).reshape(3, 1, 1, 1)
    for scale, outside in ((1.0, 0.0), (2.0, 2 / 3)):
        statistics = layer.statistics()
        y = layer(layer.parameters(scale=scale), x, statistics, training=True).ravel()
        steps = 1 + scale * (np.array([1.0, 1.0, 4.0]) - 2) / np.sqrt(2 + layer.eps)
        np.testing.assert_allclose(y, np.maximum(steps, 0.1) ** 2, rtol=1e-12)
        assert statistics["outside"] == outside


def test_the_bias_bounds_the_domain_too():
    layer = GBWBatchNorm(2, 4)
    parameters, statistics = free(layer, scale=3.0, spread=1.0), layer.statistics()
    y = layer(parameters, X, statistics, training=True)
    assert (statistics["outside"] > 0).all()
    assert np.linalg.eigvalsh(y).min() > 0
    found = errors(lambda x: layer(parameters, x, training=True), (X,), 1e-6)
    assert max(found) < 1e-5


def test_running_statistics_follow_geodesics_and_serve_evaluation():
    layer = GBWBatchNorm(2, 4, momentum=0.25, theta=0.5)
    parameters, statistics = free(layer), layer.statistics()
    with pytest.raises(InvalidValueError, match="without the statistics of a batch"):
        layer(parameters, X, statistics, training=False)
    first = layer(parameters, X, statistics, training=True)
    np.testing.assert_allclose(layer(parameters, X, statistics, training=False), first, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer(parameters, X[3:4], statistics, training=False), first[3:4], rtol=1e-9, atol=1e-12)

    before = {n: a.copy() for n, a in statistics.items()}
    layer(parameters, X[:5], statistics, training=True)
    own = layer.statistics()
    layer(parameters, X[:5], own, training=True)
    for channel in range(2):
        metric = BuresWasserstein(positive_definite(parameters["metric"][channel]), 0.5)
        expected = metric.geodesic(before["mean"][channel], own["mean"][channel], 0.5)
        np.testing.assert_allclose(statistics["mean"][channel], expected, rtol=1e-9)
    np.testing.assert_allclose(statistics["variance"], (before["variance"] + own["variance"]) / 2, rtol=1e-12)
    for _ in range(4):  # weights 1, 1/2, 1/3, 1/4, 1/4, ...
        layer(parameters, X[:5], statistics, training=True)
    expected = before["variance"] * (1 / 2) * (2 / 3) * (3 / 4) ** 3
    expected = expected + own["variance"] * (1 - (1 / 2) * (2 / 3) * (3 / 4) ** 3)
    np.testing.assert_allclose(statistics["variance"], expected, rtol=1e-12)
    assert statistics["count"] == 6


def test_ranks_normalize_by_the_batch_of_all():
    layer = GBWBatchNorm(2, 4)
    parameters, statistics = free(layer), layer.statistics()
    expected = layer(parameters, X, statistics, training=True)

    def body(comm: ThreadComm) -> tuple[np.ndarray, dict]:
        own = layer.statistics()
        here = slice(0, 15) if comm.rank == 0 else slice(15, 24)
        return layer(parameters, X[here], own, training=True, comm=comm), own

    (first, one), (second, two) = on_ranks(2, body)
    np.testing.assert_allclose(np.concatenate([first, second]), expected, rtol=1e-11, atol=1e-13)
    for name, array in statistics.items():
        np.testing.assert_allclose(one[name], array, rtol=1e-11, atol=1e-13)
        assert one[name].tobytes() == two[name].tobytes()


def test_single_precision():
    layer = GBWBatchNorm(2, 4, theta=0.5)
    parameters, statistics = layer.parameters(scale=0.3, dtype=np.float32), layer.statistics(dtype=np.float32)
    x = X.astype("f4")
    y = layer(parameters, x, statistics, training=True)
    assert {y.dtype.name, *(a.dtype.name for a in statistics.values())} == {"float32"}
    np.testing.assert_allclose(y, layer(layer.parameters(scale=0.3), X, training=True), rtol=1e-3, atol=1e-4)
    _, gradients = value_and_gradients(lambda v: (layer(v, x, training=True) * x).sum(), parameters)
    assert {g.dtype.name for g in gradients.values()} == {"float32"}


def test_a_batch_of_one_sample_becomes_the_bias():
    layer = GBWBatchNorm(2, 4)
    y = layer(layer.parameters(), X[:1], training=True)
    np.testing.assert_allclose(y[0], np.eye(4) + np.zeros((2, 1, 1)), atol=1e-9)


def test_large_units_and_small():
    layer = GBWBatchNorm(2, 4)
    expected = layer(layer.parameters(scale=0.3), 1e6 * X, training=True)
    np.testing.assert_allclose(layer(layer.parameters(scale=0.3), 1e60 * X, training=True), expected, rtol=1e-6)


def test_settings_and_inputs_out_of_place_are_refused():
    for wrong, text in (
        ({"theta": 0.0}, "theta is 0"),
        ({"momentum": 0.0}, "momentum is 0"),
        ({"eps": 0.0}, "eps is 0"),
        ({"margin": 1.0}, "margin 1"),
        ({"channels": 0}, "0 channels"),
    ):
        with pytest.raises(InvalidValueError, match=text):
            GBWBatchNorm(**{"channels": 1, "size": 2, **wrong})
    layer = GBWBatchNorm(1, 4)
    with pytest.raises(ShapeError, match=r"expected \(batch, 1, 4, 4\)"):
        layer(layer.parameters(), X, training=True)
    with pytest.raises(InvalidValueError, match="scale is 0"):
        layer.parameters(scale=0.0)
    with pytest.raises(InvalidValueError, match="positive"):
        layer(layer.parameters(), -X[:, :1], training=True)


def test_the_root_of_the_cases_is_one():
    np.testing.assert_allclose(root(X) @ root(X), X, rtol=1e-12)
