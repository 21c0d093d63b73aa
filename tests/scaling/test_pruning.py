"""The error of perceptrons taught the hardest data, against published limits and max-margin students."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from sci.errors import InvalidValueError
from sci.scaling import perceptron_error


def test_all_data_reach_the_known_constant() -> None:
    # The error of the max-margin perceptron falls as 0.5005 / alpha (Opper and Kinzel 1996).
    assert abs(100 * perceptron_error(100.0).error - 0.5005) < 5e-4


@pytest.mark.parametrize(
    ("alpha", "fraction", "error"), [(2, 1, 0.1885), (2, 0.3, 0.1123), (4, 1, 0.1137), (4, 0.5, 0.0610)]
)
def test_errors_are_those_of_the_equations(alpha: float, fraction: float, error: float) -> None:
    assert abs(perceptron_error(alpha, fraction).error - error) < 6e-5


def test_pruning_hurts_with_few_data_and_helps_with_many() -> None:
    few = [perceptron_error(1.0, f).error for f in (1.0, 0.3)]
    many = [perceptron_error(4.0, f).error for f in (1.0, 0.3)]
    assert few[1] > few[0] + 0.1
    assert many[1] < many[0] - 0.05
    # The error of the smallest fractions, where a plain solver of the equations fails.
    assert 0 < perceptron_error(8.0, 0.05).error < perceptron_error(8.0, 0.1).error * 1.1


def _student(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the max-margin direction: the shortest w with labels (points w) >= 1, by its dual."""
    signed = labels[:, None] * points
    # min |w|^2 with signed w >= 1 is, by Lawson and Hanson, the residual of a problem with coefficients from 0.
    matrix = np.vstack([signed.T, np.ones(len(signed))])
    target = np.append(np.zeros(points.shape[1]), 1.0)
    u, _ = nnls(matrix, target, maxiter=100 * len(signed))
    rest = matrix @ u - target
    return np.asarray(-rest[:-1] / rest[-1])


@pytest.mark.parametrize(("alpha", "fraction"), [(2.0, 1.0), (2.0, 0.3), (4.0, 0.5)])
def test_students_of_finite_size_err_as_the_theory_says(alpha: float, fraction: float) -> None:
    d, found = 60, []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        teacher = rng.normal(size=d)
        teacher /= np.linalg.norm(teacher)
        points = rng.normal(size=(int(alpha * d / fraction), d))
        side = points @ teacher
        keep = np.argsort(np.abs(side))[: int(alpha * d)]
        w = _student(points[keep], np.sign(side[keep]))
        assert (np.sign(points[keep] @ w) == np.sign(side[keep])).all()
        found.append(np.arccos(w @ teacher / np.linalg.norm(w)) / np.pi)
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - perceptron_error(alpha, fraction).error) < 3 * error + 0.005


@pytest.mark.parametrize("arguments", [(0.0, 1.0), (1.0, 0.0), (1.0, 1.5), (np.inf, 1.0)])
def test_numbers_out_of_range_are_refused(arguments: tuple[float, float]) -> None:
    with pytest.raises(InvalidValueError):
        perceptron_error(*arguments)
