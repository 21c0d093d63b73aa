"""Gauss-Newton products beside matrices from one exact pass back for every output; their own error; ranks."""

from __future__ import annotations

import numpy as np
import pytest
from curvature_cases import CASES, LABELS, WEIGHTS, entropy, gauss_newton_matrix, perceptron, squared
from digit_images import digit_images
from thread_ranks import ThreadComm, on_ranks

from sci import nn
from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.linalg import lanczos
from sci.nn import GaussNewton

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", CASES)
def test_products_are_those_of_the_explicit_matrix(name: str) -> None:
    case = CASES[name]
    product = GaussNewton(case.predict, case.loss, case.parameters, case.batch)
    matrix = gauss_newton_matrix(case)
    assert product.size == len(matrix)
    largest = np.linalg.eigvalsh(matrix)[-1]
    tolerance = 3e-9 if name.startswith("relu") else 1e-9
    for v in (*RNG.normal(size=(3, product.size)), np.eye(product.size)[product.size // 2]):
        error = np.linalg.norm(product(v) - matrix @ v) / (largest * np.linalg.norm(v))
        assert error < tolerance
    assert product.error <= 1e-9


def test_the_error_that_a_product_states_is_of_the_size_of_its_error() -> None:
    """A step that is far too long, so that there is something to measure."""
    case = CASES["gelu, entropy"]
    product = GaussNewton(case.predict, case.loss, case.parameters, case.batch)
    matrix, v = gauss_newton_matrix(case), np.random.default_rng(7).normal(size=product.size)
    found, curved = product._product(v, 0.1)
    mismatch = abs(v @ found - curved) / (v @ matrix @ v)
    error = np.linalg.norm(found - matrix @ v) / np.linalg.norm(matrix @ v)
    assert 1e-6 < error < 1
    assert 0.02 * error < mismatch < 50 * error


def test_steps_shorten_until_a_kink_is_out_of_reach() -> None:
    """A network whose kinks lie 1e-4 of a parameter away."""
    x = np.array([[1.0], [2.0]])
    batch = (x, np.zeros((2, 1)))
    weights = {"w": np.array([[1.0]]), "b": np.array([-1.0 + 1e-4])}
    product = GaussNewton(lambda v, b: nn.relu(nn.linear(b[0], v["w"], v["b"])), squared, weights, batch)
    J = np.array([[1.0, 1.0], [2.0, 1.0]])
    np.testing.assert_allclose(product(np.array([0.3, 0.7])), J.T @ J @ [0.3, 0.7], rtol=1e-8)
    assert product._step < 1e-4


def test_single_precision_is_widened_and_parameters_stay() -> None:
    single = {name: p.astype("f4") for name, p in WEIGHTS.items()}
    kept = {name: p.copy() for name, p in single.items()}
    product = GaussNewton(perceptron(nn.gelu), entropy, single, (LABELS[0].astype("f4"), LABELS[1]))
    v = RNG.normal(size=product.size)
    assert product(v).dtype == np.float64
    assert product.error < 1e-9
    assert all(np.array_equal(kept[name], single[name]) for name in kept)
    np.testing.assert_array_equal(product(np.zeros(product.size)), np.zeros(product.size))


def test_a_model_that_computes_in_single_precision_is_refused() -> None:
    rounded = nn.Op(lambda x: (x.astype("f4").astype("f8"), None), lambda dout, _: (dout,))
    model = perceptron(nn.tanh)
    product = GaussNewton(lambda v, b: rounded(model(v, b)), entropy, WEIGHTS, LABELS)
    vectors = RNG.normal(size=(4, product.size))
    with pytest.raises(ConvergenceError, match=r"error of .* of the largest eigenvalue.*float64"):
        list(map(product, vectors))


def test_a_wrong_derivative_is_found_by_the_mismatch() -> None:
    wrong = nn.Op(lambda x: (x * x, x), lambda dout, x: (2.01 * x * dout,))
    weights, batch = {"a": np.ones((1, 4))}, (LABELS[0], np.ones((7, 1)))
    product = GaussNewton(lambda v, b: wrong(nn.linear(b[0], v["a"])), squared, weights, batch)
    with pytest.raises(ConvergenceError, match=r"an error of 0\.00"):
        product(np.ones(4))


def test_a_loss_without_a_second_derivative_is_refused() -> None:
    kinked = nn.Op(lambda x: (np.abs(x).sum(), np.sign(x)), lambda dout, s: (dout * s,))
    weights = {"w": np.array([[0.3]])}
    batch = (np.linspace(1, 2, 5)[:, None],)
    product = GaussNewton(lambda v, b: nn.linear(b[0], v["w"]), lambda z, b: kinked(z - 0.3 * b[0]), weights, batch)
    with pytest.raises(ConvergenceError, match="no second derivative"):
        product(np.ones(1))


def test_the_largest_ritz_value_has_eight_digits() -> None:
    x, labels = digit_images(500)
    product = GaussNewton(lambda v, b: nn.linear(b[0], v["w"]), entropy, {"w": np.zeros((10, 64))}, (x, labels))
    _, alpha, beta = lanczos(product, product.size, 40)
    found = np.linalg.eigvalsh(np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1))[-1]
    # At zero weights every class has probability 1/10: G is (1/10 I - 1/100) times the covariance of the images.
    exact = np.linalg.eigvalsh(x.T @ x / 500)[-1] / 10
    assert abs(found / exact - 1) < 1e-8


@pytest.mark.parametrize("size", [2, 3, 9])
def test_ranks_share_the_samples(size: int) -> None:
    """More ranks than samples, too; all get the same bits."""
    case = CASES["gelu, entropy"]
    v = RNG.normal(size=sum(p.size for p in WEIGHTS.values()))
    serial = GaussNewton(case.predict, case.loss, case.parameters, case.batch)(v)

    def body(comm: ThreadComm) -> np.ndarray:
        return GaussNewton(case.predict, case.loss, case.parameters, case.batch, comm=comm)(v)

    found = on_ranks(size, body)
    np.testing.assert_allclose(found[0], serial, rtol=1e-8, atol=1e-10 * np.abs(serial).max())
    assert all(part.tobytes() == found[0].tobytes() for part in found)


def test_bad_input_is_refused() -> None:
    model, zero = perceptron(nn.gelu), {"w": np.zeros((1, 4))}
    for parameters, batch, error, text in (
        (WEIGHTS, (LABELS[0], LABELS[1][:3]), ShapeError, r"lengths \[3, 7\]"),
        (WEIGHTS, (LABELS[0][:0], LABELS[1][:0]), ShapeError, r"lengths \[0\]"),
        (WEIGHTS, (), ShapeError, r"lengths \[\]"),
        ({}, LABELS, InvalidValueError, "no parameters"),
        ({**WEIGHTS, "b": np.full(9, np.nan)}, LABELS, InvalidValueError, "'b'"),
    ):
        with pytest.raises(error, match=text):
            GaussNewton(model, entropy, parameters, batch)
    with pytest.raises(InvalidValueError, match="returned an ndarray; expected a variable"):
        GaussNewton(lambda v, b: np.ones((7, 3)), entropy, zero, LABELS)(np.ones(4))
    product = GaussNewton(model, entropy, WEIGHTS, LABELS)
    with pytest.raises(ShapeError, match="v has shape"):
        product(np.ones(3))
    with pytest.raises(InvalidValueError):
        product(np.full(product.size, np.nan))
    assert "72 parameters, 7 samples" in repr(product)
