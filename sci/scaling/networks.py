"""Residual networks as tables of layers, and their exact counts, in 1 to 3 dimensions.

The counts follow the usage of the field: flops are multiply-adds of convolutions and matrices and one for each bias,
activations are outputs of convolutions, pools and matrices, parameters include normalizations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.scaling.counts import Counts, LayerCounts

__all__ = ["Layer", "StagedNetwork", "count_layers"]


@entry
@dataclass(frozen=True)
class Layer:
    """A convolution, a pool, or a matrix (a convolution on one point).

    Parameters
    ----------
    name : str
    in_channels, out_channels : int
    kernel : int
        Taps along each axis; 0 for a pool, which multiplies nothing.
    grid : tuple of int
        Points of the output.
    groups : int
    bias, norm : bool
        Whether a number a channel is added, and whether a normalization with scale and shift follows.

    Examples
    --------
    >>> from sci.scaling import Layer
    >>> Layer("head", 3, 5, 1, (4, 4), bias=True).parameters
    20
    """

    name: str
    in_channels: int
    out_channels: int
    kernel: int
    grid: tuple[int, ...]
    groups: int = 1
    bias: bool = False
    norm: bool = False

    def __post_init__(self) -> None:
        whole = self.groups > 0 and not (self.in_channels % self.groups or self.out_channels % self.groups)
        if min(self.in_channels, self.out_channels, *self.grid) < 1 or self.kernel < 0 or not whole:
            raise InvalidValueError(f"{self} is no layer; expected positive sizes, and channels in whole groups")

    @property
    def _weights(self) -> int:
        taps = self.kernel ** len(self.grid) if self.kernel else 0
        return self.in_channels // self.groups * self.out_channels * taps

    @property
    def parameters(self) -> int:
        """Weights, biases, scales and shifts."""
        return self._weights + self.out_channels * (self.bias + 2 * self.norm)

    @property
    def flops(self) -> int:
        """Multiply-adds, biases among them."""
        return (self._weights + self.out_channels * self.bias) * math.prod(self.grid)

    @property
    def activations(self) -> int:
        """Entries of the output."""
        return self.out_channels * math.prod(self.grid)


@entry
def count_layers(layers: Sequence[Layer]) -> Counts:
    """Count parameters, multiply-adds and activations of a table of layers.

    Parameters
    ----------
    layers : sequence of Layer

    Returns
    -------
    Counts

    Examples
    --------
    >>> from sci.scaling import Layer, count_layers
    >>> count_layers([Layer("a", 1, 8, 3, (16, 16)), Layer("b", 8, 1, 1, (16, 16), bias=True)])
    Counts(81 parameters, 20,736 multiply-adds, 2,304 activations)
    """
    by_name: dict[str, list[int]] = {}
    for layer in layers:
        found = by_name.setdefault(layer.name, [0, 0, 0])
        for k, n in enumerate((1, layer.flops, layer.activations)):
            found[k] += n
    rows = tuple(LayerCounts(name, *numbers) for name, numbers in by_name.items())
    flops, activations = sum(row.flops for row in rows), sum(row.activations for row in rows)
    return Counts(sum(layer.parameters for layer in layers), flops, activations, layers=rows)


@entry
@dataclass(frozen=True)
class StagedNetwork:
    """A residual network: a stem, stages of blocks of one width, the mean over the grid, and a matrix.

    Parameters
    ----------
    depths, widths, strides : tuple of int
        Blocks, channels and stride of each stage.
    resolution : int
        Points of the input along each axis.
    bottleneck : int
        0 for blocks of two convolutions of 3 taps; else blocks 1, 3, 1 whose inner width is a part of the outer.
    group_width : int
        Channels of a group of the inner convolution of a bottleneck; 0 for one group.
    stem : tuple of int
        Channels, kernel and stride of the first convolution.
    pool : bool
        Whether a pool of stride 2 follows the stem.
    in_channels, classes, ndim : int

    Examples
    --------
    The ResNet-50 of He et al.:

    >>> from sci.scaling import StagedNetwork
    >>> StagedNetwork((3, 4, 6, 3), (256, 512, 1024, 2048), (1, 2, 2, 2), 224, 4, stem=(64, 7, 2), pool=True).counts()
    Counts(25,557,032 parameters, 4,089,185,256 multiply-adds, 11,315,688 activations)
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    resolution: int
    bottleneck: int = 0
    group_width: int = 0
    stem: tuple[int, int, int] = (16, 3, 1)
    pool: bool = False
    in_channels: int = 3
    classes: int = 1000
    ndim: int = 2

    def __post_init__(self) -> None:
        numbers = (*self.depths, *self.widths, *self.strides, *self.stem, self.resolution, self.in_channels)
        alike = len(self.depths) == len(self.widths) == len(self.strides) > 0
        if not alike or min(*numbers, self.classes) < 1 or self.ndim not in (1, 2, 3) or self.bottleneck < 0:
            raise InvalidValueError(
                f"{self!r}: expected one positive depth, width and stride a stage, and 1 to 3 dimensions"
            )

    def layers(self) -> tuple[Layer, ...]:
        """Return the table of layers."""
        return tuple(self._layers())

    def counts(self) -> Counts:
        """Return parameters, multiply-adds and activations for one input."""
        return count_layers(self.layers())

    def _layers(self) -> Iterator[Layer]:
        width, kernel, stride = self.stem
        n = -(-self.resolution // stride)
        yield Layer("stem", self.in_channels, width, kernel, (n,) * self.ndim, norm=True)
        if self.pool:
            n = -(-n // 2)
            yield Layer("pool", width, width, 0, (n,) * self.ndim)
        for depth, outer, step in zip(self.depths, self.widths, self.strides):
            for block in range(depth):
                by = step if block == 0 else 1
                yield from self._block(width, outer, n, -(-n // by), by)
                width, n = outer, -(-n // by)
        yield Layer("head", width, self.classes, 1, (1,) * self.ndim, bias=True)

    def _block(self, width: int, outer: int, before: int, after: int, stride: int) -> Iterator[Layer]:
        coarse = (after,) * self.ndim
        if width != outer or stride > 1:
            yield Layer("shortcut", width, outer, 1, coarse, norm=True)
        if self.bottleneck == 0:
            yield Layer("block", width, outer, 3, coarse, norm=True)
            yield Layer("block", outer, outer, 3, coarse, norm=True)
            return
        inner = max(1, outer // self.bottleneck)
        groups = max(1, inner // self.group_width) if self.group_width else 1
        yield Layer("block", width, inner, 1, (before,) * self.ndim, norm=True)
        yield Layer("block", inner, inner, 3, coarse, groups, norm=True)
        yield Layer("block", inner, outer, 1, coarse, norm=True)
