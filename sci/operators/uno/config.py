"""The architecture of a U-shaped neural operator, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.operators.fno.config import SKIPS, OperatorConfig, require_option
from sci.operators.fno.layer import Layer, scalings
from sci.operators.spectral.modes import check_modes, stored_modes
from sci.operators.spectral.weights import WeightFormat

__all__ = ["UNOConfig"]


@entry
@dataclass(frozen=True)
class UNOConfig(OperatorConfig):
    """The architecture of a UNO; see `UNO` for the meaning of the entries.

    Parameters
    ----------
    block_modes, block_channels, block_scalings, in_channels, out_channels, hidden_channels, ...
        As in `UNO`.

    Raises
    ------
    InvalidValueError
        If an entry is outside its range.

    Examples
    --------
    >>> config = UNOConfig(((8, 8), (4, 4), (8, 8)), (16, 16, 8), (1, 0.5, 2), 1, 1, 8, channel_mlp_skip="linear")
    >>> config.horizontal(), [layer.in_channels for layer in config.layers], config.grids((16, 12))
    ({2: 0}, [8, 16, 32], [(16, 12), (16, 12), (8, 6), (16, 12)])
    """

    block_modes: tuple[tuple[int, ...], ...]
    block_channels: tuple[int, ...]
    block_scalings: tuple[Any, ...]
    in_channels: int
    out_channels: int
    hidden_channels: int
    lifting_channels: int = 256
    projection_channels: int = 256
    horizontal_skips: tuple[tuple[int, int], ...] | None = None
    horizontal_skip: str | None = "linear"
    activation: bool = True
    positional_grid: bool = True
    fno_skip: str | None = "linear"
    channel_mlp_skip: str | None = "linear"
    channel_mlp_expansion: float = 0.5
    norm: str | None = None
    preactivation: bool = False
    domain_padding: float | tuple[float, ...] = 0.0
    factorization: str = "dense"
    rank_fraction: float = 1.0
    separable: bool = False
    conventions: str = "exact"
    base_channels: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.block_modes, Sequence) or not self.block_modes:
            raise InvalidValueError(f"block_modes is {self.block_modes!r}; expected the modes of one block or more")
        modes = tuple(check_modes(m) for m in self.block_modes)
        object.__setattr__(self, "block_modes", modes)
        require_option(len({len(m) for m in modes}) == 1, self, "block_modes", "as many axes in every block")
        object.__setattr__(self, "block_channels", tuple(self.block_channels))
        counts = f"{self.n_layers} positive integers, one for each block"
        good = len(self.block_channels) == self.n_layers and all(_is_count(c) for c in self.block_channels)
        require_option(good, self, "block_channels", counts)
        object.__setattr__(self, "block_scalings", self._scalings())
        self.check_common()
        for name in ("lifting_channels", "projection_channels"):
            require_option(_is_count(getattr(self, name)), self, name, "a positive integer")
        narrow = min(self.block_channels) * self.channel_mlp_expansion
        require_option(round(narrow) >= 1, self, "channel_mlp_expansion", "a ratio that leaves a hidden channel")
        self._check_joins()
        self._check_gates()
        if self.base_channels is not None:
            self._check_base()

    def _scalings(self) -> Any:
        found = scalings(self.block_scalings, self.n_layers, self.dim, "block_scalings")
        require_option(
            found is not None, self, "block_scalings", "one number for each block, or one for each axis of it"
        )
        return found

    def _check_joins(self) -> None:
        """Hold the horizontal skips to pairs of an earlier and a later block, each later one once."""
        if self.horizontal_skips is not None:
            pairs = tuple(tuple(pair) for pair in self.horizontal_skips)
            object.__setattr__(self, "horizontal_skips", pairs)
            good = all(len(p) == 2 and 0 <= p[1] < p[0] < self.n_layers for p in pairs)
            once = len({p[0] for p in pairs}) == len(pairs)
            require_option(
                good and once, self, "horizontal_skips", "pairs (later block, earlier block), each later once"
            )
        require_option(self.horizontal_skip in SKIPS[:3], self, "horizontal_skip", f"one of {SKIPS[:3]}")

    def _check_gates(self) -> None:
        """Refuse gates between different numbers of channels; making the layers refuses separable weights there."""
        same = all(layer.in_channels == layer.out_channels for layer in self.layers)
        for name in ("fno_skip", "channel_mlp_skip"):
            if getattr(self, name) in ("soft-gating", "identity"):
                require_option(same, self, name, "'linear' or None where a block changes the number of channels")

    def _check_base(self) -> None:
        plain = self.factorization == "dense" and not self.separable
        require_option(plain, self, "factorization", "'dense', not separable, for a model with a base model")
        width = self.hidden_channels
        parts = (*self.block_channels, self.lifting_channels, self.projection_channels)
        whole = all(c * (self.base_channels or 0) % width == 0 for c in parts)
        require_option(whole, self, "base_channels", f"a width to which all channels {parts} scale from {width}")
        self.base()

    @property
    def n_modes(self) -> tuple[int, ...]:
        """Largest number of modes of a block, along each axis."""
        return tuple(map(max, zip(*self.block_modes)))

    @property
    def n_layers(self) -> int:  # type: ignore[override]
        """Number of blocks."""
        return len(self.block_modes)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """What each block is made of."""
        found, width, joins = [], self.hidden_channels, self.horizontal()
        for k, (modes, channels, scaling) in enumerate(zip(self.block_modes, self.block_channels, self.block_scalings)):
            if k in joins:
                width += self.block_channels[joins[k]]
            form = WeightFormat(
                *(width, channels, stored_modes(modes), self.factorization, self.rank_fraction),
                separable=self.separable,
            )
            active = self.activation and k < self.n_layers - 1
            found.append(Layer(width, channels, modes, form, None if set(scaling) == {1.0} else scaling, active))
            width = channels
        return tuple(found)

    def horizontal(self) -> dict[int, int]:
        """Return by block the earlier block whose output joins its input."""
        if self.horizontal_skips is not None:
            return dict(self.horizontal_skips)
        return {self.n_layers - 1 - k: k for k in range(self.n_layers // 2)}

    def grids(self, grid: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the grid of the input of the first block, and that of the output of each.

        The last one has the points of the input times all scalings, rounded once.
        """
        found = super().grids(grid)
        factors = [math.prod(row) for row in zip(*self.block_scalings)]
        return [*found[:-1], tuple(round(n * f) for n, f in zip(found[0], factors))]

    def widths(self) -> dict[str, tuple[int, int, int]]:
        """Return (in, hidden, out) of the lifting and of the projection."""
        lifted = self.in_channels + self.dim * self.positional_grid
        return {
            "lifting": (lifted, self.lifting_channels, self.hidden_channels),
            "projection": (self.block_channels[-1], self.projection_channels, self.out_channels),
        }

    def base(self) -> UNOConfig | None:
        """Return the narrow model whose learning rate and initial values hold under muP; None without one.

        All channels but those of input and output are as many times fewer.
        """
        if self.base_channels is None:
            return None
        new, old = self.base_channels, self.hidden_channels
        return replace(
            self,
            hidden_channels=new,
            block_channels=tuple(c * new // old for c in self.block_channels),
            lifting_channels=self.lifting_channels * new // old,
            projection_channels=self.projection_channels * new // old,
            base_channels=None,
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
