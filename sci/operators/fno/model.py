"""Fourier neural operators, dense (FNO) and with factorized spectral weights (TFNO)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sci import nn
from sci.backend import Array, Device, namespace, namespace_of, require_finite, to_device
from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    concatenate,
    count_parameters,
    crop,
    pad,
    value_of,
)
from sci.operators.coordinates import grid_coordinates
from sci.operators.fno.config import FNOConfig
from sci.operators.fno.layers import fused_block, layered_block
from sci.operators.fno.perceptron import channel_mlp
from sci.operators.spectral.convolution import as_dtype
from sci.operators.spectral.modes import check_field

__all__ = ["FNO", "TFNO", "initial_parameters", "parameter_shapes"]


def parameter_shapes(config: FNOConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name, in the order in which they are drawn."""
    form, width, shapes = config.form(), config.hidden_channels, {}
    widths = config.widths()
    shapes.update(_mlp_shapes("lifting", *widths["lifting"]))
    if config.joint:
        shapes.update({f"spectral.{name}": shape for name, shape in form.shapes().items()})
    for layer in range(config.n_layers):
        block = f"blocks.{layer}"
        if not config.joint:
            shapes.update({f"{block}.spectral.{name}": shape for name, shape in form.shapes().items()})
        shapes[f"{block}.spectral.bias"] = (width,)
        for name, kind in (("skip", config.fno_skip), ("mlp_skip", config.channel_mlp_skip)):
            if kind in ("linear", "soft-gating"):
                shapes[f"{block}.{name}.weight"] = (width, width) if kind == "linear" else (width,)
        shapes.update(_mlp_shapes(f"{block}.mlp", *widths["mlp"]))
        if config.norm == "group":
            shapes.update({f"{block}.norm.{i}.{name}": (width,) for i in (0, 1) for name in ("weight", "bias")})
    shapes.update(_mlp_shapes("projection", *widths["projection"]))
    return shapes


def _mlp_shapes(name: str, inputs: int, hidden: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.0.weight": (hidden, inputs),
        f"{name}.0.bias": (hidden,),
        f"{name}.1.weight": (outputs, hidden),
        f"{name}.1.bias": (outputs,),
    }


def initial_parameters(config: FNOConfig, rng: np.random.Generator, xp: ModuleType) -> dict[str, Array]:
    """Return random parameters: complex normal spectral weights, +-1/sqrt(fan in) uniform elsewhere, gates and norms 1.

    All are float32 and complex64, drawn in float64 on the host, the same on every device.
    """
    form, width = config.form(), config.hidden_channels
    shapes, values = parameter_shapes(config), {}
    spectral: dict[str, Array] = {}
    for name, shape in shapes.items():
        last = name.rpartition(".")[2]
        if ".spectral." in f".{name}" and last != "bias":
            spectral = spectral or form.initialize(rng, np)
            values[name] = spectral.pop(last)
        elif name.endswith("spectral.bias"):
            values[name] = rng.normal(0, width**-0.5, shape)
        elif ".norm." in name or (name.endswith("skip.weight") and len(shape) == 1):
            values[name] = np.zeros(shape) if last == "bias" else np.ones(shape)
        else:
            fan_in = shape[1] if last == "weight" else shapes[name.removesuffix("bias") + "weight"][1]
            values[name] = rng.uniform(-(fan_in**-0.5), fan_in**-0.5, shape)
    return {
        name: to_device(value.astype(np.complex64 if value.dtype.kind == "c" else np.float32), xp)
        for name, value in values.items()
    }


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
        x <- norm(gelu(x)) before everything else in a block, in place of the activation at its end.
    stabilizer : None or "tanh"
        Applied to what the spectral convolution takes.
    domain_padding : float or sequence of float
        Zeros added at both ends of every axis, over the grid's length.
    factorization : "dense", "tucker", "cp" or "tt"
    rank_fraction : float
        Share of the dense spectral parameters, from which the ranks follow.
    tensor_rank : int or sequence of int, optional
        The ranks themselves, in place of `rank_fraction`.
    joint : bool
        One factorized tensor for all layers.
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
    Any grid, odd sizes too; modes that a grid does not hold are left out. A forward pass costs about
    2 n_layers (4 sum K + 3 hidden^2) flops a point and channel-free value, and memory for three fields of
    `hidden_channels`.

    References
    ----------
    Li et al., arXiv:2010.08895; Kossaifi et al., arXiv:2310.00120 (factorized weights).

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
        self.config = FNOConfig(check_tuple(n_modes), in_channels, out_channels, hidden_channels, n_layers, **options)
        self.parameters: dict[str, Array]
        if parameters is None:
            self.parameters = initial_parameters(self.config, np.random.default_rng(seed), namespace_of(device))
        else:
            self.parameters = _checked(parameters, parameter_shapes(self.config))

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

    def forward(self, parameters: Mapping[str, Any], x: Any, *, checkpoint: bool = False) -> Any:
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


class TFNO(FNO):
    """An FNO whose spectral weights are a Tucker tensor of a tenth of the dense parameters, unless said otherwise."""

    def __init__(self, *args: Any, factorization: str = "tucker", rank_fraction: float = 0.1, **options: Any) -> None:
        super().__init__(*args, factorization=factorization, rank_fraction=rank_fraction, **options)


def check_tuple(n_modes: Any) -> tuple[int, ...]:
    """Return `n_modes` as a tuple; a number stays one entry."""
    return tuple(n_modes) if isinstance(n_modes, Sequence) else (n_modes,)


def _perceptron(parameters: Mapping[str, Any], name: str, x: Any) -> Any:
    arrays = (parameters[f"{name}.{i}.{kind}"] for i in (0, 1) for kind in ("weight", "bias"))
    return channel_mlp(x, *arrays)


def _checked(parameters: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    missing, extra = sorted(set(shapes) - set(parameters)), sorted(set(parameters) - set(shapes))
    if missing or extra:
        raise InvalidValueError(
            f"the parameters do not fit the model: missing {missing[:5] or 'none'}, unknown {extra[:5] or 'none'}"
        )
    for name, shape in shapes.items():
        if tuple(parameters[name].shape) != shape:
            raise ShapeError(f"parameter {name} has shape {tuple(parameters[name].shape)}; expected {shape}")
        require_finite(parameters[name], f"parameter {name}")
    return {name: parameters[name] for name in shapes}
