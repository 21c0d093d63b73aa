"""The two networks: numbers of parameters, and gradients."""

from __future__ import annotations

import numpy as np
import pytest

from sci.nn import value_and_gradients
from sci.solvers import DeepConjugateDirection, PoissonOperator, line_search_loss


@pytest.mark.parametrize(("size", "count"), [(64, 97_457), (128, 152_881)])
def test_the_networks_have_the_published_numbers_of_parameters(size, count):
    assert DeepConjugateDirection(size).n_parameters == count


def test_the_gradient_of_the_network_agrees_with_central_differences():
    network = DeepConjugateDirection(64, seed=1, dtype=np.float64)
    b = np.random.default_rng(13).normal(size=(1, 1, 4, 4, 4))  # far enough from the corners of ReLU
    box = PoissonOperator(np.ones((4, 4, 4), dtype=bool))

    def loss(variables):
        y = network.forward(variables, b)
        return line_search_loss(y, b, apply=lambda y: box.apply(y[0, 0])[None, None])

    _, gradients = value_and_gradients(loss, network.parameters)
    rng = np.random.default_rng(0)
    direction = {name: rng.normal(size=p.shape) for name, p in network.parameters.items()}
    ahead, behind = (
        float(value_and_gradients(loss, {n: p + h * direction[n] for n, p in network.parameters.items()})[0])
        for h in (2e-8, -2e-8)
    )
    found = sum(float(np.vdot(gradients[n], direction[n])) for n in gradients)
    assert found == pytest.approx((ahead - behind) / 4e-8, rel=1e-6)
