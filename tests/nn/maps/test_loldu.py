"""LoLDU: factors against SciPy's, the Schur complement, an unchanged start, derivatives, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from map_gradients import gradient_error

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import LoLDU

RNG = np.random.default_rng(11)
SHAPES = [(8, 8, 3), (10, 6, 3), (6, 10, 6), (40, 33, 20), (5, 1, 1)]


@pytest.mark.parametrize(("m", "n", "rank"), SHAPES)
def test_the_factors_are_those_of_scipy(m: int, n: int, rank: int) -> None:
    weight = RNG.normal(size=(m, n))
    found = LoLDU(weight, rank)
    p, lower, upper = scipy.linalg.lu(weight)
    d = np.diag(upper)[:rank]
    np.testing.assert_allclose(found.left, (p @ lower)[:, :rank], atol=1e-12)
    np.testing.assert_allclose(found.diagonal, d, atol=1e-12)
    np.testing.assert_allclose(found.right, (upper / np.diag(upper)[:, None])[:rank], atol=1e-10)
    np.testing.assert_array_equal(found.pivots[:, 0], p.argmax(0)[:rank])
    np.testing.assert_array_equal(found.pivots[:, 1], np.arange(rank))


@pytest.mark.parametrize(("m", "n", "rank"), SHAPES[:4])
def test_what_is_left_is_the_schur_complement(m: int, n: int, rank: int) -> None:
    weight = RNG.normal(size=(m, n))
    found = LoLDU(weight, rank)
    rest = weight - (found.left * found.diagonal) @ found.right
    rows, columns = found.pivots.T
    assert np.abs(rest[rows]).max() < 1e-12
    assert np.abs(rest[:, columns]).max() < 1e-12
    i, j = np.setdiff1d(np.arange(m), rows), np.setdiff1d(np.arange(n), columns)
    block = weight[np.ix_(rows, columns)]
    schur = weight[np.ix_(i, j)] - weight[np.ix_(i, columns)] @ np.linalg.solve(block, weight[np.ix_(rows, j)])
    np.testing.assert_allclose(rest[np.ix_(i, j)], schur, atol=1e-12)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_start_is_the_weight_to_the_last_bit(dtype: str) -> None:
    weight = RNG.normal(size=(64, 48)).astype(dtype)
    weight_map = LoLDU(weight, 32)
    np.testing.assert_array_equal(weight_map.fold(weight_map.start()), weight)
    assert weight_map.nbytes == (64 * 32 + 32 + 32 * 48) * weight.itemsize + 2 * 32 * 8


def test_the_folded_weight_is_the_sum_of_residual_and_factors() -> None:
    weight, x = RNG.normal(size=(12, 9)), RNG.normal(size=(5, 9))
    weight_map = LoLDU(weight, 4)
    z, scale = weight_map.diagonal + RNG.normal(size=4), np.array(1.7)
    left, d, right = weight_map.left, weight_map.diagonal, weight_map.right
    residual = weight - (left * d) @ right
    unmerged = x @ residual.T + scale * ((x @ right.T) * z) @ left.T
    np.testing.assert_allclose(x @ weight_map.fold({"z": z, "scale": scale}).T, unmerged, rtol=0, atol=1e-12)


def test_derivatives() -> None:
    weight_map = LoLDU(RNG.normal(size=(7, 5)), 3)
    assert gradient_error(weight_map, {"z": weight_map.diagonal + 0.3, "scale": np.array(0.8)}) < 1e-8


def test_pivots_of_a_file_are_kept() -> None:
    """A tie, which another rounding breaks the other way: the delta gives the weight of the machine that made it."""
    weight = np.array([[1.0, 2.0, 0.5], [-1.0, 0.5, 3.0], [1.0, -1.0, 1.0]])
    other = LoLDU(weight, 2, pivots=np.array([[2, 0], [0, 1]]))
    assert LoLDU(weight, 2).pivots[0, 0] == 0
    arrays = {"z": other.diagonal * 1.5, "scale": np.array(1.0)}
    again, same = LoLDU.from_change(weight, other.change(arrays))
    np.testing.assert_array_equal(again.pivots, other.pivots)
    np.testing.assert_array_equal(again.fold(same), other.fold(arrays))
    assert np.abs(LoLDU(weight, 2).fold(arrays) - other.fold(arrays)).max() > 0.1


def test_a_column_without_a_pivot_is_passed_over() -> None:
    weight = np.zeros((4, 5))
    weight[:, [1, 3, 4]] = RNG.normal(size=(4, 3))
    weight_map = LoLDU(weight, 3)
    np.testing.assert_array_equal(weight_map.pivots[:, 1], [1, 3, 4])
    rest = weight - (weight_map.left * weight_map.diagonal) @ weight_map.right
    assert np.abs(rest).max() < 1e-14


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_rank_beyond_that_of_the_weight_is_refused(dtype: str) -> None:
    weight = (RNG.normal(size=(20, 4)) @ RNG.normal(size=(4, 15))).astype(dtype)
    LoLDU(weight, 4)
    with pytest.raises(InvalidValueError, match="rank is 5, and the weight has rank 4"):
        LoLDU(weight, 5)


def test_refusals() -> None:
    weight = RNG.normal(size=(4, 3))
    with pytest.raises(ShapeError, match="expected a matrix"):
        LoLDU(np.ones(3), 1)
    with pytest.raises(DTypeError, match="expected real weights"):
        LoLDU(weight * 1j, 1)
    with pytest.raises(InvalidValueError, match="expected 1 to 3"):
        LoLDU(weight, 4)
    with pytest.raises(InvalidValueError, match="expected 1 to 3"):
        LoLDU(weight, 0)
    with pytest.raises(DTypeError, match="pivots has dtype float64"):
        LoLDU(weight, 1, pivots=np.zeros((1, 2)))
    with pytest.raises(ShapeError, match="pivots has shape"):
        LoLDU(weight, 2, pivots=np.zeros((1, 2), int))
    with pytest.raises(InvalidValueError, match="twice"):
        LoLDU(weight, 2, pivots=np.array([[0, 0], [0, 1]]))
    with pytest.raises(InvalidValueError, match="of this very weight"):
        LoLDU(np.array([[0.0, 1.0], [1.0, 1.0]]), 1, pivots=np.array([[0, 0]]))
