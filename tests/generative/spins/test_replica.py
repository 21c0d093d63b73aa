"""Replica-symmetric overlaps: identities, limits, and numbers of the literature."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from scipy.optimize import brentq

from sci.errors import ConvergenceError, InvalidValueError
from sci.generative import dataset_entropy, phase_diagram, replica_symmetric, retrieval_curve
from sci.generative.spins.replica import _of_field


@pytest.mark.parametrize(
    ("order", "examples", "binomial", "gaussian"),
    [(2, 4, 0.670, 0.684), (2, 12, 0.878, 0.888), (4, 12, 0.8020, 0.7845)],
)
def test_overlaps_at_beta_3(order: int, examples: int, binomial: float, gaussian: float) -> None:
    """Monte Carlo of 3,000 spins gave 0.680, 0.877 and 0.803."""
    options = {"quality": 0.5, "examples": examples}
    assert replica_symmetric(order, 3.0, **options).magnetization == pytest.approx(binomial, abs=6e-4)
    found = replica_symmetric(order, 3.0, **options, distribution="gaussian").magnetization
    assert found == pytest.approx(gaussian, abs=6e-4)


def test_without_temperature_the_overlap_is_an_error_function() -> None:
    rho = dataset_entropy(0.2, 240)
    found = replica_symmetric(4, math.inf, quality=0.2, examples=240, distribution="gaussian")
    assert found.magnetization == pytest.approx(math.erf(1 / math.sqrt(2 * rho)), rel=1e-14)
    for beta, tol in ((1e5, 1e-9), (5e3, 1e-6)):  # beyond and before the switch to error functions
        cold = replica_symmetric(4, beta, quality=0.2, examples=240, distribution="gaussian")
        assert cold.magnetization == pytest.approx(found.magnetization, abs=tol)
    exact = replica_symmetric(4, math.inf, quality=0.2, examples=240)
    assert exact.magnetization == pytest.approx(found.magnetization, abs=5e-4)


def test_stein_s_identity_holds_for_gaussian_examples() -> None:
    rho = dataset_entropy(0.3, 60)
    found = replica_symmetric(4, 4.0, quality=0.3, examples=60, distribution="gaussian")
    other = found.magnetization + rho / math.sqrt(1 + rho) * 4 * found.overlap**3 * (1 - found.edwards_anderson)
    assert found.overlap * math.sqrt(1 + rho) == pytest.approx(other, rel=1e-9)


def test_gaussian_means_are_right_for_any_temperature() -> None:
    x = np.linspace(-12, 12, 2_000_001)
    density = np.exp(-0.5 * ((x - 0.7) / 1.3) ** 2)
    density /= density.sum()
    for sharp in (0.1, 1.0, 20.0, 500.0):
        up = np.tanh(sharp * x)
        sign, square, slope = _of_field(np.array([0.7]), 1.3, sharp)
        for found, values in ((sign, up), (square, up**2), (slope, sharp * (1 - up**2))):
            assert found[0] == pytest.approx(values @ density, abs=1e-10)


def test_pairs_lose_retrieval_at_the_load_of_amit_gutfreund_and_sompolinsky() -> None:
    found = phase_diagram(2, [0.0], [0.13, 0.137, 0.1395])[0]
    assert found[0] > 0.97
    assert found[1] == pytest.approx(0.97, abs=0.01)
    assert found[2] == 0


def test_pure_memories_lose_retrieval_where_the_curve_of_one_number_does() -> None:
    """n = tanh(beta n^3) has a solution up to the maximum of the temperature over n."""
    n = brentq(lambda n: math.atanh(n) * 3 - n / (1 - n**2), 0.3, 0.999)
    critical = math.atanh(n) / n**3
    curve = retrieval_curve(4, [critical * 0.98, critical * 1.005])
    assert curve[0] == 0
    assert curve[1] == pytest.approx(n, abs=0.1)
    assert curve[1] > 0.6  # a jump, not a continuous loss
    pairs = retrieval_curve(2, [0.98, 1.02, 1.5])
    assert pairs[0] == 0 < pairs[1] < 0.3 < pairs[2]


def test_states_that_are_there_at_some_warmth_alone_are_found() -> None:
    """P = 4 at a load of 0.034: no retrieval at T = 0, some at 0.1 to 0.3, none at 0.4."""
    found = phase_diagram(4, [0.0, 0.1, 0.3, 0.4], [0.034])[:, 0]
    assert (found > 0.85).tolist() == [False, True, True, False]
    assert found[0] == found[3] == 0
    assert found[1] == pytest.approx(replica_symmetric(4, 10.0, load=0.034).magnetization, abs=1e-6)


def test_few_poor_examples_are_not_retrieved() -> None:
    """Rho of 0.75 and 0.51 with P = 4 at beta = 3: lost, as in simulation."""
    assert dataset_entropy(0.5, 4) == 0.75
    assert retrieval_curve(4, [3.0], quality=0.5, examples=4)[0] == 0
    assert retrieval_curve(4, [3.0], quality=0.3, examples=20)[0] == 0


def test_the_noise_of_other_patterns_gives_the_one_step_error() -> None:
    """At T = 0 and before any feedback, 1 - m is twice the bit error of a field of variance alpha (P - 1)!."""
    sign = _of_field(np.ones(1), math.sqrt(0.05 * 6), math.inf)[0][0]
    assert 0.5 * (1 - sign) == pytest.approx(0.5 * math.erfc(1 / math.sqrt(2 * 0.05 * 6)), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: replica_symmetric(1, 1.0), "order is 1"),
        (lambda: replica_symmetric(4, -1.0), "beta -1.0"),
        (lambda: replica_symmetric(4, math.nan), "beta nan"),
        (lambda: replica_symmetric(3, 1.0, load=0.1), "expected an even order"),
        (lambda: replica_symmetric(4, 1.0, quality=0.0), "quality"),
        (lambda: phase_diagram(4, [-1.0], [0.0]), "temperatures"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call: object, text: str) -> None:
    with pytest.raises(InvalidValueError, match=text):
        call()  # type: ignore[operator]


def test_an_iteration_at_the_loss_says_that_it_does_not_converge() -> None:
    with pytest.raises(ConvergenceError, match="further from the loss"):
        replica_symmetric(2, 1.0 + 1e-9, tol=1e-15)


def test_pairs_without_retrieval_are_a_spin_glass_and_not_empty() -> None:
    """q = E tanh^2(beta sqrt(v) z), v = alpha q / (1 - beta (1 - q))^2, and q > 0 below 1 + sqrt(alpha)."""
    z = np.linspace(-9, 9, 20_001)
    weights = np.exp(-0.5 * z**2) / np.exp(-0.5 * z**2).sum()
    for load, temperature, start in ((0.01, 0.85, 1.0), (0.05, 0.5, 0.0), (0.05, 0.6, 1.0), (0.1, 0.9, 1.0)):
        found = replica_symmetric(2, 1 / temperature, load=load, start=start)
        q = found.edwards_anderson
        noise = load * q / (1 - (1 - q) / temperature) ** 2
        assert found.magnetization == found.overlap == 0 < 0.1 < q
        assert weights @ np.tanh(math.sqrt(noise) / temperature * z) ** 2 == pytest.approx(q, abs=1e-8)
    assert replica_symmetric(2, 1 / 1.25, load=0.05).edwards_anderson == pytest.approx(0, abs=1e-8)


def test_pairs_retrieve_where_examples_cancel_on_some_spins() -> None:
    """At T = 0 and a small load the spins on which two examples differ have a small noise and a large response."""
    load, quality = 1e-3, 0.5
    found = replica_symmetric(2, math.inf, quality=quality, examples=2, load=load)
    root, up = math.sqrt(quality**2 + (1 - quality**2) / 2), (1 + quality) / 2
    psi, weights = np.array([1, 0, -1]) / root, np.array([up**2, 2 * up * (1 - up), (1 - up) ** 2])
    noise = load / (1 - found.response) ** 2
    response = weights @ (2 * np.exp(-((found.overlap * psi) ** 2) / (2 * noise)) / math.sqrt(2 * math.pi * noise))
    assert response == pytest.approx(found.response, rel=1e-8)
    assert 0.5 < response < 1
    assert found.magnetization == pytest.approx(0.4984, abs=1e-4)


def test_without_order_at_infinite_temperature() -> None:
    for order in (2, 4):
        found = replica_symmetric(order, 0.0, load=0.1, quality=0.5, examples=3)
        assert (found.magnetization, found.edwards_anderson) == (0, 0)


def test_cold_means_of_many_points_take_little_memory() -> None:
    """At once they would be 0.4 GB."""
    tracemalloc.start()
    found = _of_field(np.linspace(-1, 1, 400), 1.0, 2000.0)[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e8
    assert found[-1] == pytest.approx(math.erf(1 / math.sqrt(2)), abs=1e-6)
