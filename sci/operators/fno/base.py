"""What all operators have: parameters, roles, calls, the forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from sci import nn
from sci.arguments import entry
from sci.backend import Array, Device, namespace, namespace_of, require_finite
from sci.errors import InvalidValueError
from sci.nn import Role, concatenate, count_parameters, crop, pad, value_of
from sci.operators.coordinates import grid_coordinates
from sci.operators.fno.layers import IMAGINARY, perceptron, run_block
from sci.operators.fno.parameters import checked_parameters, initial_parameters, parameter_roles
from sci.operators.fno.tiles import skip
from sci.operators.spectral.complex_fields import joined, stacked
from sci.operators.spectral.convolution import as_dtype
from sci.operators.spectral.modes import check_field
from sci.operators.spectral.resample import resample

__all__ = ["Operator", "require_known"]


@entry
class Operator:
    """A map between functions on grids: lifting, blocks, projection. `FNO`, `TFNO`, `SFNO` and `UNO` are made of it.

    Attributes
    ----------
    config : FNOConfig or UNOConfig
    parameters : dict of arrays
        float32, spectral weights complex64.
    """

    config: Any
    parameters: dict[str, Array]

    def _start(
        self,
        config: Any,
        seed: int | np.random.Generator,
        device: Device,
        parameters: Mapping[str, Array] | None,
    ) -> None:
        """Take a configuration and its parameters, random ones unless given."""
        self.config = config
        if parameters is None:
            self.parameters = initial_parameters(config, np.random.default_rng(seed), namespace_of(device))
        else:
            self.parameters = checked_parameters(parameters, config)

    @classmethod
    def of(cls, config: Any, parameters: Mapping[str, Array]) -> Self:
        """Return the model of a configuration and its parameters."""
        fields = {name: getattr(config, name) for name in type(config).__dataclass_fields__}
        make: Any = cls
        return make(parameters=parameters, **fields)  # type: ignore[no-any-return]

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
        config = self.config
        check_field(x, config.in_channels, config.dim, complex_data=config.complex_data)
        namespace(x, *self.parameters.values())
        require_finite(x, "the field")
        return self.forward(as_dtype(self.parameters, x.real.dtype), x)

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
        config = self.config
        grid = tuple(value_of(x).shape[2:])
        # The lifted field has no name here, so that it goes when the first block has taken it.
        x = self._blocks(parameters, self._lifted(parameters, x, grid), config.grids(grid), checkpoint)
        margins = config.margins(grid)
        if any(margins):
            x = crop(x, _widths(margins))
        x = perceptron(parameters, "projection", x, config)
        return joined(x) if config.complex_data else x

    def _lifted(self, parameters: Mapping[str, Array], x: Any, grid: tuple[int, ...]) -> Any:
        """Return the input of the first block, with its margins."""
        config = self.config
        if config.complex_data:
            x = stacked(x)
        if config.positional_grid:
            x = concatenate(x, _coordinates(config, value_of(x)), axis=1)
        x = perceptron(parameters, "lifting", x, config)
        margins = [round(p * n) for p, n in zip(config.paddings, grid)]
        return pad(x, _widths(margins)) if any(margins) else x

    def _blocks(self, parameters: Mapping[str, Array], x: Any, grids: list[tuple[int, ...]], checkpoint: bool) -> Any:
        """Return the output of the last block; outputs of earlier ones join the inputs of those that take them."""
        config, joins = self.config, self.config.horizontal()
        kept: dict[int, Any] = {}
        for index in range(config.n_layers):
            if index in joins:
                x = concatenate(x, resample(kept[joins[index]], x.shape[2:], config.conventions), axis=1)
            block = f"blocks.{index}."
            names = (block, IMAGINARY + block, "spectral.")
            own = {name: p for name, p in parameters.items() if name.startswith(names)}
            arguments = (own, x, config, index, grids[index + 1])
            x = nn.checkpoint(run_block, *arguments) if checkpoint else run_block(*arguments)
            if index in joins.values():
                weight = parameters.get(f"horizontal.{index}.weight")
                kept[index] = skip(x, config.horizontal_skip, weight)
        return x


def _coordinates(config: Any, x: Array) -> Array:
    """Return the coordinates of the grid as channels; complex ones have no imaginary part."""
    found = grid_coordinates(x)
    if config.complex_data:
        found = namespace(x).array(found)
        found[len(x) // 2 :] = 0
    return found


def _widths(margins: Any) -> tuple[tuple[int, int], ...]:
    return ((0, 0), (0, 0), *((m, m) for m in margins))


def require_known(options: Mapping[str, Any], config: type, what: str, positional: int) -> None:
    """Raise InvalidValueError for names that are no options of a model."""
    fields = list(config.__dataclass_fields__)  # type: ignore[attr-defined]
    unknown = sorted(set(options) - set(fields))
    if unknown:
        known = ", ".join(fields[positional:])
        raise InvalidValueError(f"{', '.join(unknown)}: no such option of {what}; the options are {known}")
