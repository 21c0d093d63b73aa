"""Fourier neural operators: dense (FNO), with factorized spectral weights (TFNO), on the sphere (SFNO)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device
from sci.operators.fno.base import Operator, require_known
from sci.operators.fno.config import FNOConfig

__all__ = ["FNO", "SFNO", "TFNO"]


@entry
class FNO(Operator):
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
    separable : bool
        Spectral weights of one number for each channel and mode, in place of a matrix for each mode.
    complex_data : bool
        Complex fields: wavenumbers of both signs along every axis, and every real layer f becomes f + i g with a second
        one g of its kind, GELU acting on real and imaginary parts.
    resolution_scaling : float or sequence, optional
        Points of the output of each block over those of its input: one number, one for each block, or one for each axis
        of each block.
    conventions : "exact" or "neuraloperator"
        "neuraloperator": where neuraloperator 2.0.0 departs from the transform, on other grids and for complex fields,
        do as it does, which models that were trained there need (docs/explanation/operators.md).
    sphere : None, "gauss-legendre" or "equiangular"
        Fields on these circles of a sphere, see `SFNO`.
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
        require_known(options, FNOConfig, "an FNO", 5)
        if options.get("base_modes") is not None:
            options["base_modes"] = check_tuple(options["base_modes"])
        config = FNOConfig(check_tuple(n_modes), in_channels, out_channels, hidden_channels, n_layers, **options)
        self._start(config, seed, device, parameters)

    def __repr__(self) -> str:
        """Return modes, channels, layers, the format of the spectral weights, parameters and bytes."""
        c, form = self.config, self.config.form()
        channels = f"{c.in_channels} -> {c.hidden_channels} -> {c.out_channels} channels"
        kinds = (form.factorization, form.ranks() or "", "joint" * c.joint, "separable" * c.separable)
        weights = " ".join(str(part) for part in kinds if part)
        return (
            f"{type(self).__name__}({c.n_modes}, {channels}, {c.n_layers} layers, {weights}, "
            f"{self.n_parameters:,} parameters, {self.nbytes / 1e3:,.1f} kB)"
        )


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


@entry
class SFNO(FNO):
    """An FNO on the sphere: its convolutions multiply spherical harmonics by a matrix over channels for each degree.

    Rotations of the input turn the output of a convolution with it. All orders of a degree share a matrix, so that the
    weights are fewer than an FNO's by the number of orders.

    Parameters
    ----------
    n_modes : (int, int)
        Degrees, and twice the orders, that are kept; on a coarser grid as many as it has circles.
    *args, **options
        As in `FNO`; neither padding nor complex data.
    sphere : "equiangular" or "gauss-legendre"
        Circles of the fields (batch, channel, n_lat, n_lon), from north to south, as of `sci.spherical.SphereGrid`.

    Notes
    -----
    Degrees of a field above those that its grid gives exactly, (n_lat + 1) / 2 on equiangular circles and n_lat on
    those of Gauss and Legendre, see what the sum over the circles does not integrate. Losses count all points alike,
    whatever area a point stands for.

    References
    ----------
    Bonev et al., arXiv:2306.03838.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.operators import SFNO
    >>> model = SFNO((8, 16), 1, 1, 16, 2, sphere="gauss-legendre")
    >>> model
    SFNO((8, 16), 1 -> 16 -> 1 channels, 2 layers, dense, 10,561 parameters, 42.2 kB)
    >>> model(np.ones((3, 1, 16, 32), np.float32)).shape
    (3, 1, 16, 32)
    """

    def __init__(self, n_modes: Sequence[int], *args: Any, sphere: str = "equiangular", **options: Any) -> None:
        super().__init__(n_modes, *args, sphere=sphere, **options)


def check_tuple(n_modes: Any) -> tuple[int, ...]:
    """Return `n_modes` as a tuple, one number as one entry."""
    return tuple(n_modes) if isinstance(n_modes, Sequence) else (n_modes,)
