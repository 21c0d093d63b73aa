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


def _circle(rng: np.random.Generator, n: int) -> np.ndarray:
    angle = 2 * np.pi * rng.random(n)
    return np.c_[np.cos(angle), np.sin(angle)]


SETS = {
    "circle": _circle,
    "cube": lambda rng, n: rng.random((n, 3)),
    "gauss": lambda rng, n: rng.normal(size=(n, 5)),
}


@pytest.mark.parametrize("name", SETS)
def test_the_interval_of_two_neighbors_covers_what_it_says(name) -> None:
    """Points that are neighbors share distances: counted as independent, they cover 85 to 89 % only.

    Deviations of the three sets over 2,000 samples each; a scatter of 60 is known to 9 % alone.
    """
    scatter = {"circle": 0.0618, "cube": 0.1686, "gauss": 0.2847}[name]
    rng = np.random.default_rng(1)
    found = [intrinsic_dimension(SETS[name](rng, 500)) for _ in range(60)]
    values, stated = np.array([f.value for f in found]), np.array([f.standard_error for f in found])
    assert 0.9 < stated.mean() / scatter < 1.1
    assert abs(np.std(values, ddof=1) / scatter - 1) < 3 / np.sqrt(2 * 60)
    low, high = np.array([f.interval for f in found]).T
    assert 0.88 <= ((low < values.mean()) & (values.mean() < high)).mean() <= 1


def test_the_standard_error_of_the_likelihood_is_the_scatter_between_samples() -> None:
    found = [intrinsic_dimension(_cube(3, 500, seed), "mle") for seed in range(40)]
    scatter = np.std([f.value for f in found], ddof=1)
    assert 0.6 < np.mean([f.standard_error for f in found]) / scatter < 1.6
    low, high = found[0].interval
    assert low < found[0].value < high


GRID = np.stack(np.meshgrid(np.arange(30.0), np.arange(30.0)), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize(
    "x",
    [
        np.arange(200.0)[:, None],
        GRID,
        np.concatenate([GRID, [[3.3, 40.1]]]),
        np.linspace(0, 1, 200)[:, None],
        GRID / 29 @ np.array([[0.3, 1.7, -0.2], [1.1, 0.1, 0.7]]),
        (GRID / 29).astype(np.float32),
        np.random.default_rng(0).integers(0, 12, (400, 3)),
    ],
    ids=["line", "grid", "grid and a point", "rounded line", "turned grid", "single", "integers"],
)
def test_lattices_tell_two_neighbors_nothing(x) -> None:
    with pytest.raises(InvalidValueError, match="equally far: the points lie on a lattice or are rounded"):
        intrinsic_dimension(x)


def test_a_lattice_has_its_dimension_by_the_remedies_of_the_message() -> None:
    assert abs(intrinsic_dimension(GRID, "mle", k=40).value - 2) < 0.1
    noisy = GRID + np.random.default_rng(0).normal(size=GRID.shape)
    assert abs(intrinsic_dimension(noisy).value - 2) < 0.3
    some = np.concatenate([GRID[:300], 40 + 9 * np.random.default_rng(0).random((700, 2))])
    assert np.isfinite(intrinsic_dimension(some).value)


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
    ("dtype", "units"),
    [
        (np.float64, (1e-290, 1e-200, 1e-160, 1e-100, 1e100, 1e160, 1e200, 1e290)),
        (np.float32, (1e-35, 1e-25, 1e20, 1e34)),
    ],
)
def test_the_unit_of_labels_does_not_matter(dtype, units) -> None:
    x, labels = RNG.normal(size=(80, 6)).astype(dtype), RNG.normal(size=80)
    expected = label_sharpness(x, labels.astype(dtype))
    for unit in units:
        found = label_sharpness(x, (unit * labels).astype(dtype))
        np.testing.assert_allclose(found.value / unit, expected.value, rtol=20 * np.finfo(dtype).eps)
        assert found.pair == expected.pair
    for size in (1e-70, 1e70) if dtype == np.float64 else (1e-10, 1e10):
        found = label_sharpness((size * x).astype(dtype), (size * labels).astype(dtype))
        np.testing.assert_allclose(found.value, expected.value, rtol=40 * np.finfo(dtype).eps)
        one = (size * np.array([[0.0], [1.0]])).astype(dtype)
        step = label_sharpness(one, np.array([1, 1 + np.finfo(dtype).eps], dtype))
        np.testing.assert_allclose(step.value * size, np.finfo(dtype).eps, rtol=1e-6)


def test_points_too_close_for_the_dtype_say_so() -> None:
    x = np.array([[1.0], [1e-24], [0.0], [3.0]])
    with pytest.raises(InvalidValueError, match=r"points 1 and 2 .* leaves float32; .* or pass x in float64"):
        label_sharpness(x.astype(np.float32), np.array([1, 2, 1, 2], np.float32))
    found = label_sharpness(x, np.array([1, 2, 1, 2]))
    assert (found.value, found.pair) == (pytest.approx(1e24), (1, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intrinsic_dimension(_cube(2, 20), "mle", k=20), "expected an integer from 1 to 19"),
        (lambda: intrinsic_dimension(_cube(2, 20), "mle", k=2), "k is 2; expected at least 3"),
        (lambda: intrinsic_dimension(_cube(2, 2)), "k is 2; expected an integer from 1 to 1"),
        (lambda: intrinsic_dimension(np.eye(9), "mle", k=8), "all neighbors of every point are equally far"),
        (lambda: intrinsic_dimension(_cube(2, 20), discard=1.0), "discard is 1.0"),
        (lambda: intrinsic_dimension(_cube(2, 20), k=9), "k is 9 with 'twonn', which does not use it"),
        (lambda: intrinsic_dimension(_cube(2, 20), "mle", discard=0.2), "pass method='twonn'"),
        (lambda: intrinsic_dimension(_cube(2, 20), "pca"), "method is 'pca'"),
        (lambda: intrinsic_dimension(np.full((4, 2), np.nan)), "NaN"),
        (lambda: label_sharpness(np.zeros((2, 1)), np.arange(2.0)), "points 0 and 1 coincide"),
        (lambda: label_sharpness(_cube(2, 4), np.ones(3)), "labels has shape"),
        (lambda: label_sharpness(np.array([[0.0], [1e-100]]), np.array([0, 1e250])), "a slope .* leaves float64"),
        (lambda: label_sharpness(np.array([[0.0], [1e100]]), np.array([0, 1e-250])), "a slope .* leaves float64"),
        (lambda: label_sharpness(np.float32([[0], [1e-9]]), np.float32([0, 1e35])), "another unit .* or float64"),
        (lambda: LabelSharpness(1.0, (0, 1)).loss_scale(0.0, 10), "expected positive numbers"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(SciError, match=message):
        call()
