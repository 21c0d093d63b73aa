"""Errors of layers as quadratic functions of their weights: values, gradients, sums over uses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.compression.networks.problems import Factors, FixedSum, Quadratic, own_error, problem_of
from sci.compression.networks.uses import Rows, Spectrum
from sci.operators.spectral.weights import WeightFormat

RNG = np.random.default_rng(14)


def checked_gradients(problem: Any, weights: dict[str, np.ndarray]) -> None:
    """Compare the gradients with central differences."""
    _, gradients = problem.value_and_gradients(weights)
    for name, gradient in gradients.items():
        weight = weights[name]
        step = RNG.normal(size=weight.shape) + (1j * RNG.normal(size=weight.shape) if weight.dtype.kind == "c" else 0)
        up, down = (problem.value_and_gradients({**weights, name: weight + s * 1e-5 * step})[0] for s in (1, -1))
        expected = float((np.conj(gradient) * step).sum().real)
        assert abs((up - down) / 2e-5 - expected) < 1e-6 * max(1, abs(expected))


def test_the_error_is_that_of_outputs() -> None:
    w0, w = RNG.normal(size=(4, 6)), RNG.normal(size=(4, 6))
    x, own = RNG.normal(size=(50, 6)), RNG.normal(size=(50, 6))
    problem = Quadratic("w", w0, (0,), 1)
    for part in (slice(0, 20), slice(20, 50)):
        problem.add(Rows("w", x[part]), Rows("w", own[part]))
    problem.reduce(None)
    y = x @ w0.T
    expected = ((y - own @ w.T) ** 2).sum() / (y**2).sum()
    assert abs(problem.value_and_gradients({"w": w})[0] / expected - 1) < 1e-3, "up to the ridge"
    assert abs(problem.value(w[None]) - problem.value_and_gradients({"w": w})[0]) < 1e-12
    checked_gradients(problem, {"w": w})


@pytest.mark.parametrize("factorization", ["dense", "tucker", "cp", "tt"])
@pytest.mark.parametrize("layers", [0, 2])
def test_spectral_weights(factorization: str, layers: int) -> None:
    if factorization == "dense" and layers:
        return
    form = WeightFormat(5, 4, (3, 2), factorization, rank_fraction=0.5, layers=layers)
    weights, others = (form.initialize(np.random.default_rng(k), np, np.complex128) for k in (0, 1))
    spectra = [[RNG.normal(size=(3, 2, 7, 5)) + 1j * RNG.normal(size=(3, 2, 7, 5)) for _ in range(2)] for _ in range(2)]
    names = {name: name for name in weights}
    problem = problem_of(Spectrum(names, spectra[0][0], form, 0), weights)
    assert isinstance(problem, Quadratic if factorization == "dense" else Factors)
    square = total = 0.0
    for layer in range(max(1, layers)):
        wanted, seen = spectra[layer]
        problem.add(Spectrum(names, wanted, form, layer), Spectrum(names, seen, form, layer))
        y = form.mix(wanted, weights, layer)[0]
        square += float((np.abs(y - form.mix(seen, others, layer)[0]) ** 2).sum())
        total += float((np.abs(y) ** 2).sum())
    problem.reduce(None)
    assert abs(problem.value_and_gradients(others)[0] / (square / total) - 1) < 2e-3
    checked_gradients(problem, others)


def test_what_no_sample_sees_is_held() -> None:
    problem = Quadratic("w", np.ones((3, 4)), (0,), 1)
    problem.add(Rows("w", np.zeros((5, 4))), Rows("w", np.zeros((5, 4))))
    problem.reduce(None)
    value, gradients = problem.value_and_gradients({"w": np.ones((3, 4)) * 2})
    assert np.isfinite(value)
    assert value > 0.5
    assert (gradients["w"] > 0).all()


def test_without_inputs_it_is_the_error_of_the_entries() -> None:
    w0, w = RNG.normal(size=(3, 2, 4)) * (1 + 1j), RNG.normal(size=(3, 2, 4)) * (1 - 1j)
    problem = own_error("w", w0)
    expected = (np.abs(w - w0) ** 2).sum() / (np.abs(w0) ** 2).sum()
    assert abs(problem.value_and_gradients({"w": w})[0] - expected) < 1e-12


def test_sums_do_not_depend_on_the_order_of_their_terms() -> None:
    terms = np.random.default_rng(5).normal(size=(40, 3, 3)) * 10.0 ** np.random.default_rng(6).uniform(
        -6, 2, (40, 1, 1)
    )
    found = []
    for order in (range(40), [0, *range(39, 0, -1)]):
        total = FixedSum((3, 3))
        for k in order:
            total.add(terms[k])
        found.append(total.total)
    other = FixedSum((3, 3))
    other.add(terms[0], counts=False)
    for term in terms[20:]:
        other.add(term)
    first = FixedSum((3, 3))
    for term in terms[:20]:
        first.add(term)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], first.total + other.total)
    np.testing.assert_allclose(found[0], terms.sum(axis=0), atol=40 * 2.0**-34 * np.abs(terms[0]).max())
    empty = FixedSum(())
    empty.add(0.0)
    assert empty.total == 0.0
