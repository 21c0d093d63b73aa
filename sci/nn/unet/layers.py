"""The forward pass of a U-Net, from its configuration and its parameters by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.nn.core.tape import value_of
from sci.nn.grids.convolution import convolve
from sci.nn.grids.pooling import average_pool, max_pool
from sci.nn.grids.resampling import resample
from sci.nn.ops.arithmetic import add, multiply
from sci.nn.ops.lookup import select
from sci.nn.ops.norm_activation import evonorm_b0, evonorm_s0, group_norm_relu
from sci.nn.ops.pointwise.activations import relu, sigmoid
from sci.nn.ops.products import linear, pointwise_conv
from sci.nn.ops.reductions import mean
from sci.nn.ops.shaping import concatenate, reshape
from sci.nn.unet.config import UNetConfig
from sci.nn.unet.layout import SLOPE

__all__ = ["Layers"]


@dataclass(frozen=True)
class Layers:
    """The layers of a U-Net, as functions of their names and inputs."""

    config: UNetConfig
    parameters: Mapping[str, Any]
    statistics: Mapping[str, Array]
    training: bool
    embedding: Any = None

    def matrix(self, name: str, x: Any, columns: Array | None = None) -> Any:
        """Return a matrix in every cell of (batch, channels, *grid), its columns times `columns`."""
        weight = self._scaled(f"{name}.weight", columns)
        return pointwise_conv(x, weight, self.parameters[f"{name}.bias"])

    def convolution(self, name: str, x: Any, stride: int, columns: Array | None = None) -> Any:
        """Return a convolution with as many cells as `x`, over the stride."""
        margin = self.config.kernel // 2
        if self.config.separable:
            taps = self._scaled(f"{name}.taps", columns, axis=0)
            own = convolve(x, taps, stride=stride, padding=margin, groups=x.shape[1])
            return self.matrix(name, own)
        weight = self._scaled(f"{name}.weight", columns)
        return convolve(x, weight, self.parameters[f"{name}.bias"], stride=stride, padding=margin)

    def _scaled(self, name: str, columns: Array | None, axis: int = 1) -> Any:
        """Return a weight, its entries for each input channel times a constant: cheaper than to scale a field."""
        weight = self.parameters[name]
        if columns is None:
            return weight
        shape = [1] * len(weight.shape)
        shape[axis] = len(columns)
        return multiply(weight, columns.reshape(shape))

    def norm(self, name: str, x: Any, added: Any = None) -> Any:
        """Return the normalized and activated field; `added` is the other branch of a residual block.

        Norms with a ReLU add it between the two. An EvoNorm is both at once: there the sum is normalized.
        """
        config, weights = self.config, (self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"])
        if config.norm in ("instance", "group"):
            groups = config.groups if config.norm == "group" else None
            rest = () if added is None else (added,)
            return group_norm_relu(x, *weights, *rest, groups=groups, slope=SLOPE)
        x = x if added is None else add(x, added)
        gate = self.parameters[f"{name}.gate"]
        if config.norm == "evonorm_s0":
            return evonorm_s0(x, gate, *weights, groups=config.groups)
        own = {key: self.statistics[f"{name}.{key}"] for key in ("variance", "count")}
        return evonorm_b0(x, gate, *weights, statistics=own, training=self.training)

    def stage(self, name: str, x: Any, depth: int, stride: int = 1, columns: Array | None = None) -> Any:
        """Return the residual blocks of a stage, the first with a stride and a matrix in its shortcut."""
        for block in range(depth):
            at, first = f"{name}.{block}", block == 0
            inner = self.convolution(f"{at}.conv1", x, stride if first else 1, columns if first else None)
            inner = self.embedded(f"{at}.embedding", self.norm(f"{at}.norm1", inner))
            inner = self.convolution(f"{at}.conv2", inner, 1)
            if first:
                kept = (slice(None), slice(None), *[slice(None, None, stride)] * self.config.axes)
                x = self.matrix(f"{at}.shortcut", x if stride == 1 else select(x, index=kept), columns)
            x = self.norm(f"{at}.norm2", inner, x)
        return x

    def embedded(self, name: str, x: Any) -> Any:
        """Return a field plus a matrix times the vector of each sample; behind a norm, which would take it off."""
        if self.embedding is None:
            return x
        own = linear(self.embedding, self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"])
        return add(x, reshape(own, shape=(*own.shape, *[1] * self.config.axes)))

    def encoder(self, x: Any) -> list[Any]:
        """Return the output of each stage, the finest first."""
        config, found = self.config, []
        for stage, depth in enumerate(config.depths):  # type: ignore[arg-type]
            stride = 1
            if stage and config.downsampling == "stride":
                stride = 2
            elif stage:
                x = (average_pool if config.downsampling == "average" else max_pool)(x)
            x = self.stage(f"encoder.{stage}", x, depth, stride)
            found.append(x)
        return found

    def skip(self, level: int, x: Any) -> Any:
        """Return a skip times factors that are computed from the means of its channels."""
        at = f"decoder.{level}"
        means = mean(x, axis=tuple(range(2, len(x.shape))))
        hidden = relu(linear(means, self.parameters[f"{at}.squeeze.weight"], self.parameters[f"{at}.squeeze.bias"]))
        logit = linear(hidden, self.parameters[f"{at}.excite.weight"], self.parameters[f"{at}.excite.bias"])
        return multiply(x, reshape(sigmoid(logit), shape=(*x.shape[:2], *[1] * self.config.axes)))

    def decoder(self, found: list[Any], levels: int) -> tuple[Any, ...]:
        """Return the outputs of the `levels` finest stages, the finest first; empties `found`."""
        config, factors = self.config, self.config.skip_factors()
        x, outputs = found.pop(), []
        for level in reversed(range(len(found))):
            x = self.matrix(f"decoder.{level}.mix", resample(x, factor=2, method="nearest"))
            skip = found.pop()
            if config.skip_scaling == "learned":
                skip = self.skip(level, skip)
            columns = None
            if factors[level] != 1:
                value, width = value_of(x), config.channels[level]
                columns = namespace(value).asarray(np.repeat([1.0, factors[level]], width), dtype=value.dtype)
            x = concatenate(x, skip, axis=1)
            del skip
            x = self.stage(f"decoder.{level}", x, config.depths[level], columns=columns)  # type: ignore[index]
            if level < levels:
                outputs.append(self.matrix(f"heads.{level}", x))
        return tuple(reversed(outputs))
