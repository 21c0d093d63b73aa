"""U-shaped neural operators: blocks of their own widths, modes and grids, with skips across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device
from sci.operators.fno.base import Operator, require_known
from sci.operators.uno.config import UNOConfig

__all__ = ["UNO"]


@entry
class UNO(Operator):
    """A U-shaped neural operator: FNO blocks that change grid and channels, and skips from earlier to later ones.

    Block l takes its input, joined by the output of the earlier block that `horizontal_skips` names (resampled on the
    grid of the input), to `block_channels[l]` channels on a grid of `block_scalings[l]` times as many points.

    Parameters
    ----------
    block_modes : sequence of sequences of int
        Wavenumbers kept along each axis by each block, as `n_modes` of `FNO`.
    block_channels : sequence of int
        Channels of the output of each block.
    block_scalings : sequence
        Points of the output of each block over those of its input: a number, or one for each axis. The product over
        the blocks is 1 for outputs on the grid of the input.
    in_channels, out_channels, hidden_channels : int
        Channels of input, output, and of the lifting's output.
    lifting_channels, projection_channels : int
        Hidden channels of lifting and projection.
    horizontal_skips : sequence of (int, int), optional
        Pairs of a later block and the earlier one whose output joins its input; the last and the first, the last but
        one and the second, and so on, unless given.
    horizontal_skip : "linear", "soft-gating" or "identity"
        What the output passes on its way.
    activation : bool
        GELU after each half of a block but the last; False as in neuraloperator 2.0.0, whose blocks have none there.
    fno_skip, channel_mlp_skip : "linear", "soft-gating", "identity" or None
        The last three only where no block changes the channels.
    positional_grid, channel_mlp_expansion, norm, preactivation, domain_padding, factorization, rank_fraction, separable
        As in `FNO`.
    conventions : "exact" or "neuraloperator"
        As in `FNO`.
    base_channels : int, optional
        Width `hidden_channels` of the model for which the learning rate was chosen (muP); all other channels scale
        with it.
    seed : int or numpy Generator
    device : "cpu" or "cuda"
    parameters : mapping of arrays, optional
        Used in place of random ones.

    Attributes
    ----------
    config : UNOConfig
    parameters : dict of arrays
        float32, spectral weights complex64.

    Raises
    ------
    InvalidValueError, ShapeError

    References
    ----------
    Rahman, Ross and Azizzadenesheli, arXiv:2204.11127.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.operators import UNO
    >>> model = UNO([(8, 8), (4, 4), (8, 8)], [16, 16, 8], [1, 0.5, 2], 1, 1, 8, lifting_channels=16)
    >>> model
    UNO(3 blocks, 1 -> 8 -> 16 -> 16 -> 8 -> 1 channels, dense, 41,837 parameters, 167.3 kB)
    >>> model(np.ones((3, 1, 15, 16), np.float32)).shape
    (3, 1, 15, 16)
    """

    def __init__(
        self,
        block_modes: Sequence[Any],
        block_channels: Sequence[int],
        block_scalings: Sequence[Any],
        in_channels: int,
        out_channels: int,
        hidden_channels: int,
        *,
        seed: int | np.random.Generator = 0,
        device: Device = "cpu",
        parameters: Mapping[str, Array] | None = None,
        **options: Any,
    ) -> None:
        require_known(options, UNOConfig, "a UNO", 6)
        modes, joins = tuple(map(_tuple, block_modes)), options.get("horizontal_skips")
        if joins is not None:
            options["horizontal_skips"] = (
                tuple(joins.items()) if isinstance(joins, Mapping) else tuple(map(_tuple, joins))
            )
        sizes = (in_channels, out_channels, hidden_channels)
        config = UNOConfig(modes, tuple(block_channels), tuple(map(_tuple, block_scalings)), *sizes, **options)
        self._start(config, seed, device, parameters)

    def __repr__(self) -> str:
        """Return blocks, channels, the format of the spectral weights, parameters and bytes."""
        c = self.config
        channels = " -> ".join(map(str, (c.in_channels, c.hidden_channels, *c.block_channels, c.out_channels)))
        weights = c.factorization + " separable" * c.separable
        return (
            f"UNO({c.n_layers} blocks, {channels} channels, {weights}, "
            f"{self.n_parameters:,} parameters, {self.nbytes / 1e3:,.1f} kB)"
        )


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
