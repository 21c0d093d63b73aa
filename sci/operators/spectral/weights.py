"""Weights over Fourier modes: dense, or in a format of `sci.tensor`, contracted without ever being put together.

The weights of a spectral convolution are a complex tensor W of shape (in, out, m_1, ..., m_d). A factorized one is
contracted with the spectrum factor by factor; the formats say in which order (`TensorFormat.contraction`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, to_device
from sci.errors import InvalidValueError
from sci.nn.core.coded import CodedArray, decoded
from sci.operators.spectral.modes import weight_window
from sci.tensor import CP, TensorFormat, TensorTrain, Tucker
from sci.tensor.contraction.network import BATCH, Step, run_network, run_network_vjp
from sci.tensor.formats.protocol import checked_ranks

__all__ = ["FACTORIZATIONS", "WeightFormat"]

_FORMATS: dict[str, type[TensorFormat]] = {"tucker": Tucker, "cp": CP, "tt": TensorTrain}
FACTORIZATIONS = ("dense", *_FORMATS)
"""Names of the formats that weights can have."""


@entry
@dataclass(frozen=True)
class WeightFormat:
    """The shape and the format of the weights of a spectral convolution.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels that the weights mix, and those that they make.
    modes : tuple of int
        Stored modes along each axis, columns of the half spectrum last.
    factorization : "dense", "tucker", "cp" or "tt"
    rank_fraction : float
        Share of the dense parameters, from which the ranks follow.
    tensor_rank : int or sequence of int, optional
        The ranks themselves, in place of `rank_fraction`.
    layers : int
        0, or the number of layers that share one factorized tensor with the layer as its first axis.
    separable : bool
        One number for each channel and mode in place of a matrix for each mode: channels are not mixed.
    complex_data : bool
        Of complex fields: the modes have both signs along every axis.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> form = WeightFormat(32, 32, (16, 9), "tucker", rank_fraction=0.1)
    >>> form.ranks(), form.shapes()["core"], form.n_parameters
    ((18, 18, 9, 5), (18, 18, 9, 5), 15921)
    """

    in_channels: int
    out_channels: int
    modes: tuple[int, ...]
    factorization: str = "dense"
    rank_fraction: float = 1.0
    tensor_rank: int | tuple[int, ...] | None = None
    layers: int = 0
    separable: bool = False
    complex_data: bool = False

    def __post_init__(self) -> None:
        if self.separable and (self.in_channels != self.out_channels or self.layers):
            raise InvalidValueError(
                f"separable weights of {self.in_channels} to {self.out_channels} channels"
                f"{' of all layers together' * bool(self.layers)}; expected one number of channels, and weights of "
                "each layer"
            )
        if self.factorization not in FACTORIZATIONS:
            raise InvalidValueError(
                f"factorization is {self.factorization!r}; expected one of {', '.join(FACTORIZATIONS)}"
            )
        if self.layers and self.factorization == "dense":
            raise InvalidValueError("joint weights of all layers need a factorization: tucker, cp or tt")
        if not isinstance(self.rank_fraction, float | int):
            raise InvalidValueError(f"rank_fraction is {self.rank_fraction!r}; expected a number")
        self.ranks()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor that is factorized."""
        if self.separable:
            return (self.in_channels, *self.modes)
        lead = (self.layers,) if self.layers else ()
        return (*lead, self.in_channels, self.out_channels, *self.modes)

    @property
    def n_parameters(self) -> int:
        """Number of complex parameters."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def ranks(self) -> tuple[int, ...]:
        """Return the ranks of the format; empty if it is dense."""
        if self.factorization == "dense":
            return ()
        kind = _FORMATS[self.factorization]
        if self.tensor_rank is None:
            return kind.ranks_for(self.shape, self.rank_fraction)
        return checked_ranks(self.tensor_rank, kind.count_ranks(len(self.shape)))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter by name."""
        if self.factorization == "dense":
            channels = (self.in_channels,) if self.separable else (self.in_channels, self.out_channels)
            return {"weight": (*self.modes, *channels)}
        return _FORMATS[self.factorization].array_shapes(self.shape, self.ranks())

    def initialize(self, rng: np.random.Generator, xp: ModuleType, dtype: Any = np.complex64) -> dict[str, Array]:
        """Return complex normal parameters whose tensor has entries of standard deviation sqrt(2 / (in + out)).

        Every entry of the tensor is a sum of p products of n parameters, so that each parameter has the deviation
        (sigma / sqrt p)^(1/n), p being the product of the ranks that are summed over.
        """
        sigma, shapes = math.sqrt(2 / (self.in_channels + self.out_channels)), self.shapes()
        drawn = len(shapes) - (self.factorization == "cp")
        deviation = (sigma / math.sqrt(math.prod(self.ranks()))) ** (1 / drawn)
        result = {}
        for name, shape in shapes.items():
            if name == "weights":
                result[name] = to_device(np.ones(shape, dtype), xp)
                continue
            pair = rng.normal(0, deviation / math.sqrt(2), (*shape, 2))
            result[name] = to_device(pair.view(np.complex128)[..., 0].astype(dtype), xp)
        return result

    def steps(self) -> tuple[Step, ...]:
        """Return the contractions that take the spectrum "X" (*modes, batch, in) to "Y" (*modes, batch, out)."""
        k = BATCH[: len(self.modes)]
        if self.separable:
            return (*_expansion(self.factorization, len(self.modes)), ("Y", "X", "weight", f"{k}bi,{k}i->{k}bi"))
        if self.factorization == "dense":
            return (("Y", "X", "weight", f"{k}bi,{k}io->{k}bo"),)
        return _FORMATS[self.factorization].contraction(len(self.modes), bool(self.layers))

    def mix(self, spectrum: Array, parameters: Mapping[str, Array], layer: int = 0) -> tuple[Array, Any]:
        """Return Y[k, b, o] = sum_i X[k, b, i] W[i, o, k] on the modes that `spectrum` holds, and residuals.

        Parameters
        ----------
        spectrum : (*kept, batch, in) complex
            At most as many modes as are stored; the weights are cropped about their center.
        parameters : dict of arrays
        layer : int
            Row of the layers' axis of joint weights.

        Notes
        -----
        Dense weights that are held as codes, rows for each mode and output, are multiplied so, without residuals.
        """
        kept = spectrum.shape[: len(self.modes)]
        weight = parameters.get("weight")
        whole = kept == self.modes and not self.separable
        if whole and isinstance(weight, CodedArray) and weight.has_rows((*range(len(kept)), len(kept) + 1)):
            flat = spectrum.reshape(math.prod(kept), *spectrum.shape[len(kept) :])
            return weight.product(flat, len(flat)).reshape(*spectrum.shape[:-1], self.out_channels), None
        parameters = {name: decoded(value) for name, value in parameters.items()}
        operands = {name: self._cropped(name, value, kept, layer) for name, value in parameters.items()}
        values = run_network(self.steps(), {"X": spectrum, **operands})
        shapes = {name: value.shape for name, value in parameters.items()}
        return values.pop("Y"), (values, shapes, kept, layer)

    def mix_vjp(self, dout: Array, residuals: Any) -> tuple[Array, dict[str, Array]]:
        """Return the gradients of the spectrum and of the parameters."""
        values, shapes, kept, layer = residuals
        gradients = run_network_vjp(self.steps(), values, dout)
        dspectrum, xp = gradients.pop("X"), namespace(dout)
        result = {}
        for name, shape in shapes.items():
            place = self._place(name, kept, layer)
            if place is None:
                result[name] = gradients[name]
                continue
            result[name] = xp.zeros(shape, gradients[name].dtype)
            result[name][place] = gradients[name]
        return dspectrum, result

    def window(self, kept: Sequence[int]) -> tuple[slice, ...]:
        """Return the place of kept modes among the stored ones."""
        return weight_window(self.modes, kept, centered=self.complex_data)

    def _place(self, name: str, kept: Sequence[int], layer: int) -> Any:
        """Return the index of the part of a parameter that is used, or None for all of it."""
        window = self.window(kept)
        if self.factorization == "dense":
            return None if tuple(kept) == self.modes else window
        if not name.startswith("factor_"):
            return None
        axis = int(name.removeprefix("factor_"))
        if self.layers and axis == 0:
            return layer
        mode = axis - (1 if self.separable else 2) - bool(self.layers)
        if mode < 0 or kept[mode] == self.modes[mode]:
            return None
        return (*(slice(None),) * _FORMATS[self.factorization].factor_axis(axis), window[mode])

    def _cropped(self, name: str, value: Array, kept: Sequence[int], layer: int) -> Array:
        place = self._place(name, kept, layer)
        return value if place is None else value[place]

    def tensor(self, parameters: Mapping[str, Array]) -> TensorFormat:
        """Return the factorized tensor of `shape` as a format of `sci.tensor`.

        Raises
        ------
        InvalidValueError
            If the weights are dense.
        """
        if self.factorization == "dense":
            raise InvalidValueError("dense weights are in no tensor format; expected factorization tucker, cp or tt")
        return _FORMATS[self.factorization].from_arrays({name: parameters[name] for name in self.shapes()})

    def to_dense(self, parameters: Mapping[str, Array], layer: int = 0) -> Array:
        """Return the dense weights (in, out, *modes) of one layer; (channels, *modes) if they are separable."""
        xp, dim = namespace(*parameters.values()), len(self.modes)
        dtype = next(iter(parameters.values())).dtype
        if self.separable:
            ones = xp.ones((*self.modes, 1, self.in_channels), dtype)
            return xp.moveaxis(self.mix(ones, parameters)[0][..., 0, :], dim, 0)
        unit = xp.broadcast_to(xp.eye(self.in_channels, dtype=dtype), (*self.modes, self.in_channels, self.in_channels))
        dense, _ = self.mix(unit, parameters, layer)
        return xp.moveaxis(dense, (dim, dim + 1), (0, 1))


def _expansion(factorization: str, n_modes: int) -> tuple[Step, ...]:
    """Return the contractions that make "weight" (*modes, channels) of a separable tensor (channels, *modes)."""
    k, core = BATCH[:n_modes], "acde"[1 : 1 + n_modes]
    if factorization == "tucker":
        steps, name, done = [("mixed", "factor_0", "core", f"ia,a{core}->i{core}")], "mixed", ""
        for axis in range(n_modes):
            rest, last = core[axis + 1 :], axis == n_modes - 1
            target = f"{k}i" if last else f"i{k[: axis + 1]}{rest}"
            made = "weight" if last else f"expanded_{axis}"
            steps.append(
                (made, name, f"factor_{axis + 1}", f"i{done}{core[axis]}{rest},{k[axis]}{core[axis]}->{target}")
            )
            name, done = made, k[: axis + 1]
        return tuple(steps)
    if factorization == "cp":
        steps, name = [], "weights"
        for axis in range(n_modes):
            made = f"expanded_{axis}"
            steps.append((made, name, f"factor_{axis + 1}", f"{k[:axis]}r,{k[axis]}r->{k[: axis + 1]}r"))
            name = made
        return (*steps, ("weight", name, "factor_0", f"{k}r,ir->{k}i"))
    if factorization == "tt":
        steps, name = [], "factor_0"
        for axis in range(n_modes):
            last, left = axis == n_modes - 1, core[axis]
            made = "weight" if last else f"joined_{axis}"
            right, target = ("", f"{k}i") if last else (core[axis + 1], f"i{k[: axis + 1]}{core[axis + 1]}")
            steps.append((made, name, f"factor_{axis + 1}", f"i{k[:axis]}{left},{left}{k[axis]}{right}->{target}"))
            name = made
        return tuple(steps)
    return ()
