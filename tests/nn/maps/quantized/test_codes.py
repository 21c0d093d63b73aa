"""Codes in bits, groups of neurons, k-means on a line."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.nn import group_neurons, k_means_1d, linear, neuron_order, pack_codes, relu, unpack_codes
from sci.nn.maps.quantized.codes import group_bytes, packed_bytes

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("count", [0, 1, 21, 22, 64, 1000])
def test_there_and_back(bits: int, count: int) -> None:
    codes = RNG.integers(0, 1 << bits, count)
    packed = pack_codes(codes, bits)
    assert packed.nbytes == packed_bytes(count, bits) == -(-count * bits // 64) * 8
    np.testing.assert_array_equal(unpack_codes(packed, bits, count), codes)
    stream = sum(int(c) << (k * bits) for k, c in enumerate(codes))
    assert [int(w) & (2**64 - 1) for w in packed] == [(stream >> (64 * k)) & (2**64 - 1) for k in range(len(packed))]


def test_refusals() -> None:
    with pytest.raises(InvalidValueError, match="bits is 5; expected one of 1, 2, 3, 4, 8"):
        pack_codes(np.zeros(3, int), 5)
    with pytest.raises(InvalidValueError, match="from 0 to 3"):
        pack_codes(np.array([4]), 2)
    with pytest.raises(InvalidValueError, match="whole numbers"):
        pack_codes(np.array([0.5]), 2)
    with pytest.raises(ShapeError, match="1 words for 9 codes of 4 bits"):
        unpack_codes(np.zeros(2, np.int64), 4, 9)
    with pytest.raises(InvalidValueError, match="NaN"):
        k_means_1d(np.array([1.0, np.nan]), 2)
    with pytest.raises(InvalidValueError, match="0 values"):
        k_means_1d(np.zeros(0), 2)
    with pytest.raises(InvalidValueError, match="groups is 4 and there are 3 neurons"):
        group_neurons(np.ones((3, 2)), 4)
    with pytest.raises(InvalidValueError, match="NaN or Inf"):
        group_neurons(np.full((3, 2), np.inf), 2)


def test_k_means_finds_the_best_cuts_of_few_values() -> None:
    """Against all cuts of sorted values into parts, from a start that Lloyd leaves at most a little above."""
    worst = 0.0
    for _ in range(20):
        values = np.sort(RNG.normal(size=12))
        cuts = ([0, *c, 12] for c in itertools.combinations(range(1, 12), 2))
        best = min(sum(values[a:b].var() * (b - a) for a, b in itertools.pairwise(cut)) for cut in cuts)
        centers = k_means_1d(values, 3)
        found = (np.abs(values[:, None] - centers).min(axis=1) ** 2).sum()
        assert found >= best * (1 - 1e-12)
        worst = max(worst, found / best)
        assert (np.diff(centers) >= 0).all()
    assert worst < 2


def test_k_means_is_a_fixed_point_and_loses_no_center() -> None:
    values = np.concatenate([np.zeros(500), RNG.normal(10, 0.1, 3), [20.0]])
    centers = k_means_1d(values, 4)
    owner = np.abs(values[:, None] - centers).argmin(axis=1)
    assert set(owner) == {0, 1, 2, 3}
    np.testing.assert_allclose(centers, [values[owner == k].mean() for k in range(4)])
    np.testing.assert_allclose(k_means_1d(np.array([1.0, 1.0, 5.0]), 4), [1.0, 5.0, 5.0, 5.0])
    np.testing.assert_allclose(k_means_1d(np.array([2.0]), 2), [2.0, 2.0])


@pytest.mark.parametrize("groups", [1, 2, 5, 12])
def test_every_group_has_neurons_in_order_of_size(groups: int) -> None:
    weight = RNG.normal(size=(12, 30)) * np.exp(RNG.normal(size=(12, 1)))
    found = group_neurons(weight, groups)
    sizes = (weight**2).mean(axis=1)
    assert sorted(set(found)) == list(range(groups))
    for a, b in itertools.pairwise(range(groups)):
        assert sizes[found == a].max() <= sizes[found == b].min()
    np.testing.assert_array_equal(group_neurons(1j * weight, groups), found)
    assert sorted(set(group_neurons(np.ones((12, 3)), groups))) == list(range(groups)), "neurons of one size"


def test_neurons_in_order_of_their_groups_are_the_same_network() -> None:
    sizes = (64, 128, 64, 10)
    weights = [RNG.normal(size=(o, i)).astype("f4") * np.float32((2 / i) ** 0.5) for i, o in itertools.pairwise(sizes)]

    def network(layers: list[np.ndarray], x: np.ndarray) -> np.ndarray:
        return linear(relu(linear(relu(linear(x, layers[0])), layers[1])), layers[2])

    moved = [w.copy() for w in weights]
    for k in (0, 1):
        order = neuron_order(group_neurons(moved[k], 4))
        moved[k], moved[k + 1] = moved[k][order], moved[k + 1][:, order]
        groups = group_neurons(moved[k], 4)
        assert (np.diff(groups) >= 0).all()
        assert group_bytes(groups, 4) == 16
        assert group_bytes(groups[::-1], 4) == len(groups) // 4, "what does not follow from the place takes two bits"
    x = RNG.normal(size=(50, 64)).astype("f4")
    assert np.abs(network(weights, x) - network(moved, x)).max() <= 4e-6 * np.abs(network(weights, x)).max()
