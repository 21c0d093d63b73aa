"""Tables of layers: the published counts of residual networks, and refusals."""

from __future__ import annotations

import pytest

from sci.backend import shape_array
from sci.errors import InvalidValueError
from sci.nn import convolve
from sci.scaling import Layer, StagedNetwork, count, count_layers


@pytest.mark.parametrize(
    ("network", "parameters", "flops", "activations"),
    [
        # pycls, dev/model_complexity.json: of CIFAR.
        (
            StagedNetwork((3, 4, 6, 3), (256, 512, 1024, 2048), (1, 2, 2, 2), 224, 4, stem=(64, 7, 2), pool=True),
            *(25_557_032, 4_089_185_256, 11_315_688),
        ),
        (StagedNetwork((9, 9, 9), (16, 32, 64), (1, 2, 2), 32, classes=10), 855_770, 125_747_850, 544_778),
    ],
)
def test_residual_networks_have_their_published_counts(network, parameters, flops, activations) -> None:
    found = network.counts()
    assert (found.parameters, found.flops, found.activations) == (parameters, flops, activations)


@pytest.mark.parametrize(
    ("grid", "stride", "groups"), [((6, 7, 8), 1, 1), ((32, 32), 2, 1), ((32, 32), 1, 4), ((33,), 2, 2)]
)
def test_a_row_of_a_table_counts_like_the_op(grid: tuple[int, ...], stride: int, groups: int) -> None:
    out = tuple(-(-n // stride) for n in grid)
    row = Layer("a", 4, 8, 3, out, groups, bias=True)
    weights = {"weight": shape_array((8, 4 // groups, *(3,) * len(grid))), "bias": shape_array(8)}

    def apply(p, x):
        return convolve(x, p["weight"], p["bias"], stride=stride, padding=1, groups=groups)

    found = count(apply, weights, shape_array((1, 4, *grid)))
    assert (row.parameters, row.activations) == (found.parameters, found.activations)
    assert row.flops == found.flops + row.activations


def test_groups_divide_weights() -> None:
    whole, parts = (Layer("a", 16, 32, 3, (5, 5), groups) for groups in (1, 4))
    assert whole.flops == 4 * parts.flops
    assert whole.activations == parts.activations


def test_layers_of_one_name_are_added_up() -> None:
    table = [Layer("a", 1, 2, 3, (4,)), Layer("b", 2, 2, 1, (4,)), Layer("a", 2, 2, 3, (4,))]
    found = count_layers(table)
    assert [(row.name, row.calls) for row in found.layers] == [("a", 2), ("b", 1)]
    assert found.flops == sum(layer.flops for layer in table)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Layer("a", 3, 8, 3, (4, 4), groups=2),
        lambda: Layer("a", 0, 8, 3, (4, 4)),
        lambda: Layer("a", 4, 8, -1, (4, 4)),
        lambda: StagedNetwork((1, 1), (8,), (1,), 32),
        lambda: StagedNetwork((1,), (8,), (1,), 32, ndim=4),
        lambda: StagedNetwork((0,), (8,), (1,), 32),
    ],
)
def test_impossible_networks_are_refused(make) -> None:
    with pytest.raises(InvalidValueError):
        make()
