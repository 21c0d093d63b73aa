"""Curvature of batches: the law of 1/b on images of digits, and stable rates of an operator on Darcy flow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from digit_images import digit_images
from thread_ranks import ThreadComm, on_ranks

from sci import nn
from sci.datasets import load_dataset
from sci.errors import InvalidValueError
from sci.nn import batch_curvature
from sci.operators import FNO, as_fields

PLAIN = {"momentum": 0.0, "delta": 0.0}


def classify(v: Any, batch: Any) -> Any:
    return nn.linear(batch[0], v["w"])


def entropy(z: Any, batch: Any) -> Any:
    return nn.cross_entropy(z, batch[1])


def trained(x: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Softmax regression by 300 steps of descent at rate 1."""
    return nn.train(
        *(lambda v, batch: entropy(classify(v, batch), batch), {"w": np.zeros((10, 64))}, (x, labels)),
        optimizer=nn.SGDP(1.0, **PLAIN),
        epochs=300,
        batch_size=len(x),
    ).parameters


def exact_largest(x: np.ndarray, w: np.ndarray) -> float:
    """The largest eigenvalue of the exact Gauss-Newton matrix of softmax regression, from its (640, 640) entries."""
    p = nn.softmax(x @ w.T)
    rows = np.einsum("ni,ij->nij", p, np.eye(10)) - p[:, :, None] * p[:, None, :]
    return float(np.linalg.eigvalsh(np.einsum("nij,na,nb->iajb", rows, x, x).reshape(640, 640) / len(x))[-1])


def check_the_law(x: np.ndarray, labels: np.ndarray) -> None:
    parameters = trained(x, labels)
    found = batch_curvature(classify, entropy, parameters, (x, labels), [16, 64, 256], batches=12)
    np.testing.assert_allclose(found.outlier, exact_largest(x, parameters["w"]), rtol=1e-8)
    constants = found.shift_constants()
    np.testing.assert_allclose(constants, constants.mean(), rtol=0.3)
    assert found.largest[0] > 3 * found.outlier
    # The noise along the outlier alone, with the other eigenvalues of all samples left out, is a lower estimate.
    assert 0.3 < found.spread / found.outlier / constants.mean() < 1.1
    assert found.product_error < 1e-11


def test_the_outlier_of_batches_of_digits_moves_as_one_over_the_batch_size() -> None:
    check_the_law(*digit_images(1797))


@pytest.mark.peers
def test_the_law_on_the_digits_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    x, labels = datasets.load_digits(return_X_y=True)
    x = x / 16 - (x / 16).mean(axis=0)
    assert exact_largest(x, trained(x, labels)["w"]) == pytest.approx(0.0361, abs=5e-5)
    check_the_law(x, labels)


def squares(z: Any, batch: Any) -> Any:
    return nn.mean_squared_error(z, batch[1])


def test_rates_of_an_operator_on_darcy_flow_are_stable_below_and_not_above() -> None:
    """From a trained operator: 0.8 of the rate keeps the loss, 1.3 of it throws it up, at batches of 2, 16 and 48."""
    samples = load_dataset("darcy")
    x, y = (as_fields(a[:, ::2, ::2], 2) for a in (samples.x, samples.y))
    data = x, nn.Standardizer.fit(y).encode(y)
    model = FNO((4, 4), 1, 1, 6, 2, seed=0)

    def predict(v: Any, batch: Any) -> Any:
        return model.forward(v, batch[0])

    def loss(v: Any, batch: Any) -> Any:
        return squares(predict(v, batch), batch)

    start = nn.train(
        *(loss, model.parameters, data),
        optimizer=nn.AdamW(8e-3),
        epochs=100,
        batch_size=12,
        schedule=nn.cosine(100),
    ).parameters
    found = batch_curvature(predict, squares, start, data, [2, 16], batches=5, steps=12)
    assert found.residual < 1e-4 * found.outlier
    rates = found.rates([2, 16, 48])
    assert (rates.errors < 0.05 * rates.rates).all()
    before = float(loss(start, data))
    for batch_size, rate in zip((2, 16, 48), rates.rates):
        worst = []
        for factor in (0.8, 1.3):
            losses: list[float] = []
            nn.train(
                *(loss, start, data),
                optimizer=nn.SGDP(factor * rate, **PLAIN),
                epochs=max(1, 24 * batch_size // 48),
                batch_size=batch_size,
                save=lambda c, losses=losses: losses.append(float(loss(c.parameters, data))),
                save_every=1,
            )
            worst.append(max(losses) / before)
        assert worst[0] < 2.5 < 3 < worst[1], (batch_size, worst)


def test_ranks_measure_what_one_process_does() -> None:
    x, labels = digit_images(60)
    w = {"w": np.zeros((10, 64))}

    def body(comm: ThreadComm | None) -> Any:
        return batch_curvature(classify, entropy, w, (x, labels), [8], batches=2, steps=15, comm=comm)

    serial, parts = body(None), on_ranks(2, body)
    for name in ("outlier", "largest", "spread", "spread_error"):
        np.testing.assert_allclose(getattr(parts[0], name), getattr(serial, name), rtol=1e-6)
        assert np.array_equal(getattr(parts[0], name), getattr(parts[1], name))


def test_bad_input_is_refused() -> None:
    x, labels = digit_images(20)
    for sizes, options in (([20], {}), ([0], {}), ([], {}), ([5], {"batches": 1})):
        with pytest.raises(InvalidValueError, match="of 1 to 19 samples"):
            batch_curvature(classify, entropy, {"w": np.zeros((10, 64))}, (x, labels), sizes, **options)
