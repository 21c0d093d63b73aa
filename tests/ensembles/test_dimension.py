"""Intrinsic dimension and label sharpness against their formulas, against simulation, and over ranks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from thread_ranks import ThreadComm, on_ranks

from sci.ensembles import LabelSharpness, intrinsic_dimension, label_sharpness
from sci.errors import InvalidValueError, SciError

RNG = np.random.default_rng(2)


def _cube(d: int, n: int = 2000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, d))


def test_the_likelihood_is_its_formula() -> None:
    x = RNG.normal(size=(400, 3)) @ RNG.normal(size=(3, 12))
    distances = cKDTree(x).query(x, 21)[0][:, 1:]
    expected = 19 / np.log(distances[:, -1:] / distances[:, :-1]).sum(axis=1).mean()
    np.testing.assert_allclose(intrinsic_dimension(x, "mle").value, expected, rtol=1e-10)


def test_two_nearest_neighbors_are_a_line_through_the_origin() -> None:
    """The ratios of the neighbors, sorted, against -log(1 - F), fitted by least squares."""
    x = RNG.normal(size=(300, 4))
    distances = cKDTree(x).query(x, 3)[0]
    ratios = np.sort(np.log(distances[:, 2] / distances[:, 1]))[:270]
    line = -np.log(1 - np.arange(1, 271) / 300)
    expected = np.linalg.lstsq(ratios[:, None], line, rcond=None)[0][0]
    np.testing.assert_allclose(intrinsic_dimension(x).value, expected, rtol=1e-12)


@pytest.mark.parametrize(("d", "low", "high"), [(1, 0.95, 1.05), (2, 1.85, 2.1), (5, 4.3, 5.4), (10, 7.5, 8.7)])
@pytest.mark.parametrize("method", ["twonn", "mle"])
def test_cubes_have_their_dimension_but_for_the_bias_of_the_boundary(method, d, low, high) -> None:
    assert low < intrinsic_dimension(_cube(d), method).value < high


@pytest.mark.parametrize("method", ["twonn", "mle"])
def test_the_standard_error_is_the_scatter_between_samples(method) -> None:
    found = [intrinsic_dimension(_cube(3, 500, seed), method) for seed in range(40)]
    scatter = np.std([f.value for f in found], ddof=1)
    stated = np.mean([f.standard_error for f in found])
    assert 0.6 < stated / scatter < 1.6
    low, high = found[0].interval
    assert low < found[0].value < high


@pytest.mark.parametrize("method", ["twonn", "mle"])
def test_the_unit_and_the_embedding_do_not_matter(method) -> None:
    x = _cube(3, 400)
    turned = np.linalg.qr(RNG.normal(size=(9, 9)))[0][:3]
    expected = intrinsic_dimension(x, method).value
    for other in (1e-12 * x, 1e9 * (x @ turned), (x + 100) @ turned):
        np.testing.assert_allclose(intrinsic_dimension(other, method).value, expected, rtol=1e-7)


def test_points_that_coincide_are_left_out_and_counted() -> None:
    x = _cube(2, 300)
    for method in ("twonn", "mle"):
        found = intrinsic_dimension(np.concatenate([x, x[:150], x[:3]]), method)
        assert (found.coincident, found.points) == (153, 300)
        assert found.value == pytest.approx(intrinsic_dimension(x, method).value, rel=1e-12)
    assert "153 coincident left out" in repr(found)
    with pytest.raises(InvalidValueError, match="4 of 6 points coincide with another, which leaves 2"):
        intrinsic_dimension(np.repeat(_cube(2, 2), 3, axis=0))


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_give_the_serial_answer(size: int) -> None:
    x, labels = _cube(3, 90), np.arange(90.0) % 4
    serial = [intrinsic_dimension(x, method).value for method in ("twonn", "mle")], label_sharpness(x, labels)

    def body(comm: ThreadComm) -> tuple[list[float], LabelSharpness]:
        own = slice(comm.rank * 90 // size, (comm.rank + 1) * 90 // size)
        values = [intrinsic_dimension(x[own], method, comm=comm).value for method in ("twonn", "mle")]
        return values, label_sharpness(x[own], labels[own], comm=comm)

    for values, sharpness in on_ranks(size, body):
        np.testing.assert_allclose(values, serial[0], rtol=1e-12)
        assert sharpness == serial[1]


def test_sharpness_is_that_of_brute_force() -> None:
    x, labels = RNG.normal(size=(80, 6)), RNG.normal(size=80)
    slopes = np.abs(labels[:, None] - labels) / (cdist(x, x) + np.diag(np.full(80, np.inf)))
    found = label_sharpness(x, labels)
    np.testing.assert_allclose(found.value, slopes.max(), rtol=1e-13)
    assert slopes[found.pair] == slopes.max()
    assert label_sharpness(x, np.ones(80)) == LabelSharpness(0.0, (-1, -1))
    np.testing.assert_allclose(found.loss_scale(3, 1000), found.value / 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intrinsic_dimension(_cube(2, 20), "mle", k=20), "expected an integer from 1 to 19"),
        (lambda: intrinsic_dimension(_cube(2, 20), "mle", k=2), "k is 2; expected at least 3"),
        (lambda: intrinsic_dimension(_cube(2, 2)), "k is 2; expected an integer from 1 to 1"),
        (lambda: intrinsic_dimension(_cube(2, 20), discard=1.0), "discard is 1.0"),
        (lambda: intrinsic_dimension(_cube(2, 20), "pca"), "method is 'pca'"),
        (lambda: intrinsic_dimension(np.full((4, 2), np.nan)), "NaN"),
        (lambda: label_sharpness(np.zeros((2, 1)), np.arange(2.0)), "points 0 and 1 coincide"),
        (lambda: label_sharpness(_cube(2, 4), np.ones(3)), "labels has shape"),
        (lambda: LabelSharpness(1.0, (0, 1)).loss_scale(0.0, 10), "expected positive numbers"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(SciError, match=message):
        call()
