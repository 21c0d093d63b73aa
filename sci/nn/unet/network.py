"""A U-Net of residual stages on grids of one to three axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device, namespace, namespace_of, require_finite, shape_array, to_device
from sci.distributed import Comm, size
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.core.tape import value_of
from sci.nn.initialize import count_parameters
from sci.nn.roles import Role
from sci.nn.training.model import ModelState, parted, refitted, with_statistics
from sci.nn.unet.config import UNetConfig
from sci.nn.unet.layers import Layers
from sci.nn.unet.layout import initial_parameters, initial_statistics, layout
from sci.nn.unet.losses import supervised_loss

__all__ = ["UNet"]


@entry
class UNet:
    """A U-Net of residual stages: an encoder that halves the grid, a decoder that doubles it, skips between them.

    Block: conv, norm, activation, conv, norm; plus the block's input, through a matrix where it opens a stage; then the
    activation. A stage of the decoder takes the coarser one, repeated in 2 x ... x 2 cells and through a matrix, beside
    the encoder's stage of its own grid.

    Parameters
    ----------
    config : UNetConfig
    seed : int or numpy Generator
    dtype : float32 or float64
    device : "cpu" or "cuda"

    Attributes
    ----------
    parameters : dict of arrays
    statistics : dict of arrays
        Running variances of "evonorm_b0", which `forward` changes in place in training; empty for other norms.

    Raises
    ------
    DTypeError

    Notes
    -----
    Train by `sci.nn.train(model.loss(), model.parameters, (x, labels), buffers=model.statistics, ...)` and take
    `model.with_parameters(done.parameters)`. Other losses use `forward`, whose first output has the grid of the input.

    References
    ----------
    Huang et al., arXiv:2304.06716 (STU-Net, `stunet_config`); Huang et al., NeurIPS 2023, arXiv:2310.13545 (ScaleLong,
    `skip_scaling`); Liu et al., arXiv:2004.02967 (EvoNorm).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import UNet, UNetConfig
    >>> model = UNet(UNetConfig(2, 1, 3, (8, 16, 32)), seed=0)
    >>> model
    UNet(2 axes, 1 -> 8, 16, 32 -> 3 channels, 1 block a stage, instance norm, 29,158 parameters)
    >>> model(np.zeros((1, 1, 16, 32), np.float32)).shape
    (1, 3, 16, 32)
    """

    def __init__(
        self,
        config: UNetConfig,
        *,
        seed: int | np.random.Generator = 0,
        dtype: Any = np.float32,
        device: Device = "cpu",
    ) -> None:
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise DTypeError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")
        xp = namespace_of(device)
        self.config = config
        drawn = initial_parameters(config, np.random.default_rng(seed), dtype)
        self.parameters: dict[str, Array] = {name: to_device(a, xp) for name, a in drawn.items()}
        seen = initial_statistics(config, dtype)
        self.statistics: dict[str, Array] = {name: to_device(a, xp) for name, a in seen.items()}

    @classmethod
    def outline(cls, config: UNetConfig, *, dtype: Any = np.float32) -> Self:
        """Return the network with parameters that have shapes and no numbers, for `sci.scaling.count`.

        Parameters
        ----------
        config : UNetConfig
        dtype : float32 or float64

        Returns
        -------
        UNet

        Examples
        --------
        >>> from sci.nn import UNet, stunet_config
        >>> UNet.outline(stunet_config("huge")).n_parameters
        1457326221
        """
        made = object.__new__(cls)
        made.config = config
        made.parameters = {name: shape_array(entry.shape, dtype) for name, entry in layout(config).items()}
        made.statistics = {n: shape_array(a.shape, dtype) for n, a in initial_statistics(config, dtype).items()}
        return made

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return count_parameters(self.parameters)

    def __repr__(self) -> str:
        parts = repr(self.config).removeprefix("UNetConfig(").removesuffix(")")
        return f"UNet({parts}, {self.n_parameters:,} parameters)"

    @property
    def roles(self) -> dict[str, Role]:
        """Role of every parameter by name."""
        return {name: entry.role for name, entry in layout(self.config).items()}

    def forward(
        self,
        parameters: Mapping[str, Any],
        x: Any,
        *,
        training: bool = False,
        levels: int | None = None,
        embedding: Any = None,
    ) -> tuple[Any, ...]:
        """Return the outputs at every level that has a head, the finest first, with parameters that may be variables.

        Parameters
        ----------
        parameters : dict of arrays or variables
        x : (batch, in_channels, *grid) array or variable
            In the dtype of the parameters, with lengths that the stages can halve.
        training : bool
            Matters for "evonorm_b0": True normalizes by the batch and updates `statistics`.
        levels : int, optional
            Outputs to compute; all unless given.
        embedding : (batch, config.embedding) array or variable, optional
            The vectors of the samples, of a network that takes them.

        Returns
        -------
        tuple of (batch, out_channels, *grid / 2^level) arrays or variables

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        self.check_grid(tuple(x.shape))
        weight, value = value_of(parameters["heads.0.weight"]), value_of(x)
        if value.dtype != weight.dtype:
            raise DTypeError(f"fields of dtype {value.dtype}; expected {weight.dtype}, that of the network")
        heads = len(self.config.channels) - 1 if self.config.deep_supervision else 1
        levels = heads if levels is None else levels
        if not 1 <= levels <= heads:
            raise InvalidValueError(f"{levels} levels of a U-Net with {heads}; expected 1 to {heads}")
        self._check_embedding(embedding, len(value), weight.dtype)
        layers = Layers(self.config, parameters, self.statistics, training, embedding)
        return layers.decoder(layers.encoder(x), levels)

    def _check_embedding(self, embedding: Any, batch: int, dtype: Any) -> None:
        """Refuse vectors of samples that the network does not take, and their lack where it does."""
        width = self.config.embedding
        if embedding is None and width:
            raise ShapeError(f"no embedding; expected ({batch}, {width}) numbers, of a network that takes them")
        if embedding is None:
            return
        if not width or tuple(embedding.shape) != (batch, width):
            expected = f"({batch}, {width})" if width else "none, as the configuration has no embedding"
            raise ShapeError(f"embedding of shape {tuple(embedding.shape)}; expected {expected}")
        if value_of(embedding).dtype != dtype:
            raise DTypeError(f"embedding of dtype {value_of(embedding).dtype}; expected {dtype}, that of the network")

    def check_grid(self, shape: tuple[int, ...]) -> None:
        """Refuse fields of other axes or channels, and grids that the stages cannot halve.

        Parameters
        ----------
        shape : tuple of int
            (batch, in_channels, *grid).

        Raises
        ------
        ShapeError
        """
        config, axes = self.config, ", ".join(f"n{k}" for k in range(self.config.axes))
        if len(shape) != config.axes + 2 or shape[1] != config.in_channels:
            raise ShapeError(f"fields of shape {shape}; expected (batch, {config.in_channels}, {axes})")
        grid = shape[2:]
        if any(n % config.multiple or n < config.multiple for n in grid):
            raise ShapeError(
                f"a grid of {' x '.join(map(str, grid))} cells for {len(config.channels)} stages; expected multiples "
                f"of {config.multiple}: pad it, or use fewer stages"
            )
        cells = int(np.prod([n // config.multiple for n in grid]))
        members = 1 if config.norm == "instance" else config.channels[-1] // config.groups
        if config.norm != "evonorm_b0" and cells * members == 1:
            raise ShapeError(
                f"a grid of {' x '.join(map(str, grid))} cells leaves one number to the coarsest norm, which has no "
                "variance; expected a larger grid, fewer stages, or fewer groups"
            )

    def __call__(self, x: Array, *, batch_size: int = 1, embedding: Array | None = None) -> Array:
        """Return the finest output (batch, out_channels, *grid), `batch_size` samples at a time.

        Parameters
        ----------
        x : (batch, in_channels, *grid) array
        batch_size : int
        embedding : (batch, config.embedding) array, optional
            As for `forward`.

        Returns
        -------
        array

        Raises
        ------
        ShapeError, DTypeError
        InvalidValueError
            If `x` or the embedding holds NaN or Inf.
        """
        if batch_size < 1:
            raise InvalidValueError(f"batch_size is {batch_size}; expected a positive integer")
        self.check_grid(tuple(x.shape))
        require_finite(x, "the field")
        starts = range(0, max(len(x), 1), batch_size)
        if embedding is not None:
            require_finite(embedding, "the embedding")
            self._check_embedding(embedding, len(x), x.dtype)

        def part(rows: slice) -> Any:
            own = None if embedding is None else embedding[rows]
            return self.forward(self.parameters, x[rows], levels=1, embedding=own)[0]

        parts = [part(slice(k, k + batch_size)) for k in starts]
        return parts[0] if len(parts) == 1 else namespace(x).concatenate(parts)

    def loss(self, comm: Comm = None) -> Callable[[Mapping[str, Any], Any], Any]:
        """Return the loss of a batch (x, labels) for `sci.nn.train`: Dice and cross-entropy at every level.

        Parameters
        ----------
        comm : mpi4py communicator, optional
            As given to `sci.nn.train`.

        Returns
        -------
        callable

        Raises
        ------
        InvalidValueError
            For "evonorm_b0" on several ranks: it normalizes by the batch, and each rank has a part of it.
        """
        if self.config.norm == "evonorm_b0" and size(comm) > 1:
            raise InvalidValueError(
                "evonorm_b0 normalizes by the batch, of which each rank would take its own part; expected one rank, or "
                "another norm"
            )

        def dice_and_cross_entropy(parameters: Mapping[str, Any], batch: Any) -> Any:
            return supervised_loss(self.forward(parameters, batch[0], training=True), batch[1])

        return dice_and_cross_entropy

    def with_parameters(self, parameters: Mapping[str, Array]) -> UNet:
        """Return the network with other parameters, and copies of the running statistics.

        Parameters
        ----------
        parameters : dict of arrays
            Names, shapes and dtypes as those of `self.parameters`.

        Returns
        -------
        UNet

        Raises
        ------
        ShapeError
        """
        return self._with(parameters, self.statistics)

    def _with(self, parameters: Mapping[str, Array], statistics: Mapping[str, Array]) -> Self:
        dtype = parameters["heads.0.weight"].dtype if "heads.0.weight" in parameters else np.dtype(np.float32)
        made = type(self).outline(self.config, dtype=dtype)
        made.parameters, made.statistics = refitted(parameters, statistics, made)
        return made

    def to_state(self) -> ModelState:
        """Return name, options and arrays, as a file holds them.

        Returns
        -------
        ModelState
        """
        options = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self.config).items()}
        return ModelState("UNet", options, with_statistics(self.parameters, self.statistics))

    @classmethod
    def from_state(cls, state: ModelState) -> UNet:
        """Return the network that `to_state` described.

        Parameters
        ----------
        state : ModelState

        Returns
        -------
        UNet

        Raises
        ------
        InvalidValueError, ShapeError
            For the state of another model, or arrays that do not fit the options.
        """
        if state.name != "UNet" or "heads.0.weight" not in state.parameters:
            raise InvalidValueError(f"the model is of the kind {state.name}; expected a UNet")
        made = object.__new__(cls)
        made.config = UNetConfig(**state.options)
        return made._with(*parted(state.parameters))
