"""Boxes cover volumes, their outputs join without seams, and ranks give what one process gives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci import nn
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.unet.boxes import plan_boxes

RNG = np.random.default_rng(6)


@pytest.mark.parametrize("grid", [(64,), (70, 33), (17, 16, 40), (200, 20)])
@pytest.mark.parametrize("overlap", [0.1, 0.5, 0.75])
def test_windows_of_boxes_sum_to_one(grid, overlap):
    plan = plan_boxes(4, grid, 16, overlap)
    for axis, n in enumerate(grid):
        total = np.zeros(n)
        starts = plan.starts[axis]
        for start, weight in zip(starts, plan.windows(axis), strict=True):
            total[start : start + plan.box[axis]] += weight
            assert weight.min() > 0
        np.testing.assert_allclose(total, 1, rtol=1e-14)
        assert all(b - a <= plan.box[axis] - round(overlap * 16) for a, b in itertools.pairwise(starts))
        assert starts[-1] + plan.box[axis] == n


@pytest.mark.parametrize("ranks", [1, 2, 3, 5, 9])
def test_planes_of_ranks_cover_the_volume(ranks):
    plan = plan_boxes(4, (50, 16), 16, 0.5)
    shares = [plan.planes(rank, ranks)[1] for rank in range(ranks)]
    assert [k for share in shares for k in range(share.start, share.stop)] == list(range(50))


def _network(axes: int, norm: str = "instance", **options) -> nn.UNet:
    return nn.UNet(nn.UNetConfig(axes, 2, 3, (4, 6, 6), norm=norm, groups=2, **options), seed=1)


def test_one_box_is_the_network():
    network, volume = _network(2), RNG.normal(size=(2, 16, 12)).astype("f4")
    planes, out = nn.apply_in_boxes(network, volume, box=64)
    assert planes == slice(0, 16)
    np.testing.assert_allclose(out, network(volume[None])[0], rtol=1e-5, atol=1e-5)


def test_outputs_are_the_weighted_mean_of_boxes():
    network, volume = _network(2), RNG.normal(size=(2, 22, 40)).astype("f4")
    plan = plan_boxes(4, (22, 40), 16, 0.4)
    total, weights = np.zeros((3, 22, 40)), np.zeros((22, 40))
    tent = np.minimum(np.arange(1, 17), np.arange(16, 0, -1))
    for i in plan.starts[0]:
        for j in plan.starts[1]:
            at = (slice(i, i + 16), slice(j, j + 16))
            weight = tent[:, None] * tent
            total[(slice(None), *at)] += weight * network(volume[(slice(None), *at)][None])[0]
            weights[at] += weight
    _, out = nn.apply_in_boxes(network, volume, box=16, overlap=0.4)
    np.testing.assert_allclose(out, total / weights, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ranks", [2, 3, 4, 7])
@pytest.mark.parametrize(("grid", "overlap"), [((61, 20), 0.5), ((30, 17, 16), 0.8), ((90,), 0.3)])
def test_ranks_give_what_one_process_gives(ranks, grid, overlap):
    network = _network(len(grid), "evonorm_s0")
    volume = RNG.normal(size=(2, *grid)).astype("f4")
    _, whole = nn.apply_in_boxes(network, volume, box=16, overlap=overlap)

    def body(comm):
        planes, out = nn.apply_in_boxes(network, volume, box=16, overlap=overlap, comm=comm)
        return planes, out

    found = on_ranks(ranks, body)
    assert [k for planes, _ in found for k in range(planes.start, planes.stop)] == list(range(grid[0]))
    joined = np.concatenate([out for _, out in found], axis=1)
    np.testing.assert_allclose(joined, whole, rtol=0, atol=1e-5 * np.abs(whole).max())


def test_planes_are_finished_when_they_are_complete():
    """Labels of all planes at once, and never more of the output than one box is deep."""
    network, volume, depths = _network(2), RNG.normal(size=(2, 100, 16)).astype("f4"), []

    def finish(out):
        depths.append(out.shape[1])
        return out.argmax(axis=0).astype(np.uint8)

    _, labels = nn.apply_in_boxes(network, volume, box=16, finish=finish)
    _, out = nn.apply_in_boxes(network, volume, box=16)
    np.testing.assert_array_equal(labels, out.argmax(axis=0))
    assert (labels.dtype, max(depths), sum(depths)) == (np.uint8, 16, 100)


def test_a_volume_may_be_read_in_planes():
    """Of integers, from an object that is no array, and standardized on the way."""
    network, values = _network(1), RNG.integers(-100, 100, size=(2, 70)).astype(np.int16)

    class Planes:
        shape, dtype = values.shape, values.dtype
        read: list = []  # noqa: RUF012

        def __getitem__(self, index):
            self.read.append(index[1])
            return values[index]

    planes = Planes()
    _, out = nn.apply_in_boxes(network, planes, box=16, prepare=lambda part: part / 50)
    _, expected = nn.apply_in_boxes(network, (values / 50).astype("f4"), box=16)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
    assert all(part.stop - part.start == 16 for part in planes.read)


def test_what_cannot_be_cut_is_refused():
    network = _network(2)
    for shape, options, error, words in (
        ((2, 40, 3), {}, ShapeError, "4 or more along each axis"),
        ((1, 40, 40), {}, ShapeError, r"expected \(2, n0, n1\)"),
        ((2, 40), {}, ShapeError, r"expected \(2, n0, n1\)"),
        ((2, 40, 40), {"overlap": 0.0}, InvalidValueError, "only touch leave seams"),
        ((2, 40, 40), {"overlap": 1.0}, InvalidValueError, "above 0, at most 0.9"),
        ((2, 40, 40), {"box": 10}, InvalidValueError, "multiples of 4"),
        ((2, 40, 40), {"box": (8, 8, 8)}, InvalidValueError, "2 of them"),
        ((2, 40, 40), {"box": 4}, ShapeError, "no variance"),
    ):
        with pytest.raises(error, match=words):
            nn.apply_in_boxes(network, np.zeros(shape, "f4"), **options)
    with pytest.raises(DTypeError, match="real numbers"):
        nn.apply_in_boxes(network, np.zeros((2, 16, 16), complex))
    odd = np.zeros((2, 40, 40), "f4")
    odd[1, 30, 3] = np.nan
    with pytest.raises(InvalidValueError, match="NaN"):
        nn.apply_in_boxes(network, odd, box=16)

    def body(comm):
        part = odd if comm.Get_rank() == 1 else np.zeros_like(odd)
        with pytest.raises(InvalidValueError, match="NaN"):
            nn.apply_in_boxes(network, part, box=16, comm=comm)

    on_ranks(3, body)
