"""Networks that denoise vectors of crystals: a perceptron, and a U-Net over the periodic table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array
from sci.generative.crystals.denoiser.features import CELL, CrystalFeatures
from sci.generative.crystals.table import COLUMNS, ROWS
from sci.nn import (
    UNet,
    UNetConfig,
    add,
    concatenate,
    initial_uniform,
    linear,
    mean,
    reshape,
    select,
    silu,
    transpose,
)

__all__ = ["TIMES", "Perceptron", "TableUNet", "time_features"]

TIMES = 32
"""Numbers that tell the step to a network."""
PAD_ROWS, PAD_COLUMNS = 12, 20
"""The periodic table with empty rows and columns, that three stages of a U-Net can halve."""


def time_features(steps: np.ndarray, total: int) -> np.ndarray:
    """Return sines and cosines of 1000 t / T at 16 frequencies from 1 to 1e-4.

    Parameters
    ----------
    steps : (n,) int
        t.
    total : int
        T.

    Returns
    -------
    (n, 32) float64

    References
    ----------
    Ho, Jain and Abbeel, arXiv:2006.11239, appendix B.
    """
    rates = 10.0 ** np.linspace(0, -4, TIMES // 2)
    angles = (1000.0 / total) * np.asarray(steps, dtype=np.float64)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


@dataclass(frozen=True)
class Perceptron:
    """Residual blocks h + W silu(U h + V times) between two matrices.

    Parameters
    ----------
    features : CrystalFeatures
    width : int
    depth : int
        Blocks.
    conditional : bool
        Takes which slots are occupied.
    """

    features: CrystalFeatures
    width: int
    depth: int
    conditional: bool

    def initial(self, seed: int, dtype: Any) -> dict[str, Array]:
        """Return the parameters before a training."""
        rng = np.random.default_rng(seed)
        inputs = self.features.width + self.features.slots * self.conditional
        found: dict[str, Array] = {}

        def layer(name: str, outputs: int, inputs: int, zero: bool = False) -> None:
            drawn = initial_uniform(rng, (outputs, inputs), inputs, dtype=dtype)
            found[f"{name}.weight"] = np.zeros_like(drawn) if zero else drawn
            found[f"{name}.bias"] = np.zeros(outputs, dtype)

        layer("input", self.width, inputs)
        for k in range(self.depth):
            layer(f"block{k}.up", self.width, self.width)
            found[f"block{k}.time.weight"] = initial_uniform(rng, (self.width, TIMES), TIMES, dtype=dtype)
            layer(f"block{k}.down", self.width, self.width)
        layer("output", self.features.width, self.width, zero=True)
        return found

    def __call__(self, parameters: Mapping[str, Any], x: Array, times: Array, occupied: Array) -> Any:
        """Return the output (n, features.width) of vectors, their times (n, 32), and their slots (n, slots)."""

        def layer(name: str, h: Any) -> Any:
            return linear(h, parameters[f"{name}.weight"], parameters[f"{name}.bias"])

        parts = [x, occupied] if self.conditional else [x]
        h = layer("input", np.concatenate(parts, axis=1))
        for k in range(self.depth):
            inner = add(layer(f"block{k}.up", silu(h)), linear(times, parameters[f"block{k}.time.weight"]))
            h = add(h, layer(f"block{k}.down", silu(inner)))
        return layer("output", silu(h))


class TableUNet:
    """The library's U-Net on the grid (slot, row, column) of the periodic table.

    Its channels are the numbers of a slot, those of the cell in every place, and, if conditional, whether the slot is
    occupied. Times go to every block. Numbers of the cell are means over all places of six more outputs.

    Parameters
    ----------
    features : CrystalFeatures
    channels : tuple of int
        Of two or three stages.
    depth : int
        Blocks of a stage.
    conditional : bool
    """

    def __init__(self, features: CrystalFeatures, channels: tuple[int, ...], depth: int, conditional: bool) -> None:
        self.features, self.conditional = features, conditional
        numbers = features.channels
        self.config = UNetConfig(
            *(3, numbers + CELL + conditional, numbers + CELL, channels, depth),
            norm="group",
            deep_supervision=False,
            embedding=TIMES,
        )
        self.network = UNet.outline(self.config)
        multiple = self.config.multiple
        self.levels = -(-max(features.depths) // multiple) * multiple
        self.grid = (self.levels, PAD_ROWS, PAD_COLUMNS)
        table = features.on_table(self.levels)
        slot, row, column = np.unravel_index(table, (self.levels, ROWS, COLUMNS))
        self.places = np.ravel_multi_index((slot, row, column), self.grid)

    def initial(self, seed: int, dtype: Any) -> dict[str, Array]:
        """Return the parameters before a training; the head begins at zero."""
        found = UNet(self.config, seed=seed, dtype=dtype).parameters
        found["heads.0.weight"] = np.zeros_like(found["heads.0.weight"])
        return found

    def __call__(self, parameters: Mapping[str, Any], x: Array, times: Array, occupied: Array) -> Any:
        """Return the output (n, features.width) of vectors, their times (n, 32), and their slots (n, slots)."""
        n, numbers = len(x), self.features.channels
        fields = np.zeros((n, self.config.in_channels, *self.grid), x.dtype)
        flat = fields.reshape(n, self.config.in_channels, -1)
        slots = x[:, :-CELL].reshape(n, -1, numbers)
        flat[:, :numbers, self.places] = np.moveaxis(slots, 1, 2)
        flat[:, numbers : numbers + CELL] = x[:, -CELL:, None]
        if self.conditional:
            flat[:, -1, self.places] = occupied
        (out,) = self.network.forward(parameters, fields, embedding=times)
        held = reshape(out, shape=(n, numbers + CELL, flat.shape[2]))
        own = select(held, index=(slice(None), slice(0, numbers), self.places))
        own = reshape(transpose(own, axes=(0, 2, 1)), shape=(n, self.features.width - CELL))
        cells = mean(select(held, index=(slice(None), slice(numbers, None))), axis=2)
        return concatenate(own, cells, axis=1)
