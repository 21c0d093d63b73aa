"""Fourier neural operators, dense (FNO) and with factorized spectral weights (TFNO)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sci import nn
from sci.arguments import entry
from sci.backend import Array, Device, namespace, namespace_of, require_finite
from sci.errors import InvalidValueError
from sci.nn import (
    Role,
    concatenate,
    count_parameters,
    crop,
    pad,
    value_of,
)
from sci.operators.coordinates import grid_coordinates
from sci.operators.fno.config import FNOConfig
from sci.operators.fno.layers import fused_block, layered_block
from sci.operators.fno.parameters import checked_parameters, initial_parameters, parameter_roles
from sci.operators.fno.perceptron import channel_mlp
from sci.operators.spectral.convolution import as_dtype
from sci.operators.spectral.modes import check_field

__all__ = ["FNO", "TFNO"]


@entry
class FNO:
    """A map between functions on grids: lifting, blocks of spectral convolutions and pointwise layers, projection.

    Block l: v = K x + A x; y = MLP(gelu(v)) + g x; gelu(y) unless l is the last. K is the spectral convolution, A the
    skip (1 x 1), g one number a channel; MLP, lifting and projection are perceptrons over the channels with one GELU.

    Parameters
    ----------
    n_modes : sequence of int
        Wavenumbers kept along each axis, of both signs, for 1 to 3 axes.
    in_channels, out_channels, hidden_channels, n_layers : int
    lifting_ratio, projection_ratio : float
        Width of the hidden layers of lifting and projection over `hidden_channels`.
    positional_grid : bool
        Append the coordinates i_j / N_j to the channels of the input.
    fno_skip, channel_mlp_skip : "linear", "soft-gating", "identity" or None
    channel_mlp_expansion : float
        Width of the hidden layer of a block's perceptron over `hidden_channels`.
    norm : None, "instance" or "group"
        Normalize the spectral convolution and the block's result; "group" is one group: over channels and grid.
    preactivation : bool
        x <- norm(gelu(x)) at the start of a block, in place of the activation at its end.
    stabilizer : None or "tanh"
        Applied to the input of the spectral convolution.
    domain_padding : float or sequence of float
        Zeros added at both ends of every axis, over the grid's length.
    factorization : "dense", "tucker", "cp" or "tt"
    rank_fraction : float
        Share of the dense spectral parameters, from which the ranks follow.
    tensor_rank : int or sequence of int, optional
        The ranks themselves, in place of `rank_fraction`.
    joint : bool
        One factorized tensor for all layers.
    base_channels : int, optional
        Width of the model for which the learning rate was chosen: initial values follow the maximal update rule (muP),
        and so do the rates in `train_operator`. Dense spectral weights only.
    base_modes : sequence of int, optional
        Its modes; `n_modes` unless given.
    seed : int or numpy Generator
    device : "cpu" or "cuda"
    parameters : mapping of arrays, optional
        Used in place of random ones.

    Attributes
    ----------
    config : FNOConfig
    parameters : dict of arrays
        float32, spectral weights complex64.

    Raises
    ------
    InvalidValueError, ShapeError

    Notes
    -----
    Any grid, also of odd lengths; modes that a grid does not hold are left out. A forward pass costs about
    2 n_layers (4 sum K + 3 hidden^2) flops a point and channel-free value, and memory for two and a half
    fields of `hidden_channels`.

    References
    ----------
    Li et al., arXiv:2010.08895; Kossaifi et al., arXiv:2310.00120 (factorized weights); Li et al., arXiv:2506.19396
    (the maximal update rule of spectral weights).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.operators import FNO
    >>> model = FNO(n_modes=(8, 8), in_channels=1, out_channels=1, hidden_channels=16, n_layers=2, seed=0)
    >>> model(np.ones((3, 1, 15, 16), np.float32)).shape
    (3, 1, 15, 16)
    """

    def __init__(
        self,
        n_modes: Sequence[int],
        in_channels: int,
        out_channels: int,
        hidden_channels: int,
        n_layers: int = 4,
        *,
        seed: int | np.random.Generator = 0,
        device: Device = "cpu",
        parameters: Mapping[str, Array] | None = None,
        **options: Any,
    ) -> None:
        unknown = sorted(set(options) - set(FNOConfig.__dataclass_fields__))
        if unknown:
            known = ", ".join(list(FNOConfig.__dataclass_fields__)[5:])
            raise InvalidValueError(f"{', '.join(unknown)}: no such option of an FNO; the options are {known}")
        if options.get("base_modes") is not None:
            options["base_modes"] = check_tuple(options["base_modes"])
        self.config = FNOConfig(check_tuple(n_modes), in_channels, out_channels, hidden_channels, n_layers, **options)
        self.parameters: dict[str, Array]
        if parameters is None:
            self.parameters = initial_parameters(self.config, np.random.default_rng(seed), namespace_of(device))
        else:
            self.parameters = checked_parameters(parameters, self.config)

    @classmethod
    def of(cls, config: FNOConfig, parameters: Mapping[str, Array]) -> FNO:
        """Return the model of a configuration and its parameters."""
        fields = {name: getattr(config, name) for name in FNOConfig.__dataclass_fields__}
        return cls(parameters=parameters, **fields)

    def __repr__(self) -> str:
        """Return modes, channels, layers, the format of the spectral weights, parameters and bytes."""
        c, form = self.config, self.config.form()
        channels = f"{c.in_channels} -> {c.hidden_channels} -> {c.out_channels} channels"
        weights = " ".join(str(part) for part in (form.factorization, form.ranks() or "", "joint" * c.joint) if part)
        return (
            f"{type(self).__name__}({c.n_modes}, {channels}, {c.n_layers} layers, {weights}, "
            f"{self.n_parameters:,} parameters, {self.nbytes / 1e3:,.1f} kB)"
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters."""
        return sum(int(p.nbytes) for p in self.parameters.values())

    @property
    def n_parameters(self) -> int:
        """Number of real parameters; a complex one counts twice."""
        return count_parameters(self.parameters)

    @property
    def roles(self) -> dict[str, Role]:
        """Role of every parameter by name."""
        return parameter_roles(self.config)

    @property
    def base_roles(self) -> dict[str, Role] | None:
        """Roles in the base model; None without one."""
        base = self.config.base()
        return None if base is None else parameter_roles(base)

    def __call__(self, x: Array) -> Array:
        """Return the model's output for `x` (batch, in_channels, *grid), in the dtype of `x` and on its device.

        Raises
        ------
        ShapeError, DTypeError, DeviceMismatchError
        InvalidValueError
            If `x` holds NaN or Inf.
        """
        check_field(x, self.config.in_channels, self.config.dim)
        namespace(x, *self.parameters.values())
        require_finite(x, "the field")
        return self.forward(as_dtype(self.parameters, x.dtype), x)

    def forward(self, parameters: Mapping[str, Array], x: Array, *, checkpoint: bool = False) -> Any:
        """Return the output for given parameters, arrays or variables.

        Parameters
        ----------
        parameters : dict of variables or arrays
            Named as `self.parameters`, of the precision of `x`.
        x : (batch, in_channels, *grid) variable or array
        checkpoint : bool
            Keep only the input of each block, and run it again in the derivative.
        """
        config, value = self.config, value_of(x)
        if config.positional_grid:
            x = concatenate(x, grid_coordinates(value), axis=1)
        x = _perceptron(parameters, "lifting", x)
        padding = [round(p * n) for p, n in zip(config.paddings, value.shape[2:])]
        widths = ((0, 0), (0, 0), *((p, p) for p in padding))
        if any(padding):
            x = pad(x, widths)
        block = fused_block if config.fused else layered_block
        for layer in range(config.n_layers):
            own = {n: v for n, v in parameters.items() if n.startswith((f"blocks.{layer}.", "spectral."))}
            x = nn.checkpoint(block, own, x, config, layer) if checkpoint else block(own, x, config, layer)
        if any(padding):
            x = crop(x, widths)
        return _perceptron(parameters, "projection", x)


@entry
class TFNO(FNO):
    """An FNO whose spectral weights are by default a Tucker tensor of a tenth of the dense parameters.

    Parameters
    ----------
    *args, **options
        As in `FNO`.
    factorization : str
        Format of the spectral weights.
    rank_fraction : float
        Part of the dense spectral parameters.

    Examples
    --------
    >>> from sci.operators import TFNO
    >>> TFNO((16, 16), 1, 1, 32)
    TFNO((16, 16), 1 -> 32 -> 1 channels, 4 layers, tucker (18, 18, 9, 5), 140,521 parameters, 562.1 kB)
    """

    def __init__(self, *args: Any, factorization: str = "tucker", rank_fraction: float = 0.1, **options: Any) -> None:
        super().__init__(*args, factorization=factorization, rank_fraction=rank_fraction, **options)


def check_tuple(n_modes: Any) -> tuple[int, ...]:
    """Return `n_modes` as a tuple, one number as one entry."""
    return tuple(n_modes) if isinstance(n_modes, Sequence) else (n_modes,)


def _perceptron(parameters: Mapping[str, Any], name: str, x: Any) -> Any:
    arrays = (parameters[f"{name}.{i}.{kind}"] for i in (0, 1) for kind in ("weight", "bias"))
    return channel_mlp(x, *arrays)
