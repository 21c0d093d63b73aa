"""What one block of an operator is made of, and the grids that blocks take to others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.errors import InvalidValueError
from sci.operators.spectral.modes import kept_modes
from sci.operators.spectral.weights import WeightFormat

__all__ = ["Layer", "scalings"]


@dataclass(frozen=True)
class Layer:
    """One block.

    Parameters
    ----------
    in_channels, out_channels : int
    n_modes : tuple of int
    form : WeightFormat
        Of its spectral weights.
    scaling : tuple of float or None
        Points along each axis of the output over those of the input.
    activate : bool
        GELU after each half.
    """

    in_channels: int
    out_channels: int
    n_modes: tuple[int, ...]
    form: WeightFormat
    scaling: tuple[float, ...] | None = None
    activate: bool = True

    def kept(self, *grids: Sequence[int], sphere: bool = False) -> tuple[int, ...]:
        """Return the number of stored modes along each axis that act between these grids."""
        if sphere:
            return (min(self.form.modes[0], grids[0][0]),)
        if self.form.complex_data:
            return tuple(map(min, self.form.modes, *grids))
        return kept_modes(self.n_modes, *grids)

    def target(self, grid: Sequence[int]) -> tuple[int, ...]:
        """Return the grid of the output for an input on `grid`.

        Raises
        ------
        InvalidValueError
            If nothing is left of an axis.
        """
        if self.scaling is None:
            return tuple(grid)
        found = tuple(round(n * s) for n, s in zip(grid, self.scaling))
        if min(found) < 1:
            raise InvalidValueError(
                f"a grid of {tuple(grid)} scaled by {self.scaling} has no points; expected a finer one"
            )
        return found


def scalings(value: Any, n_layers: int, dim: int, name: str) -> tuple[tuple[float, ...], ...] | None:
    """Return the scaling of each axis by each layer: `value` is one number, one a layer, or one for each axis of it.

    Raises
    ------
    InvalidValueError
    """
    if value is None:
        return None
    rows = [value] * n_layers if isinstance(value, int | float | np.number) else value
    if not isinstance(rows, Sequence) or isinstance(rows, str) or len(rows) != n_layers:
        raise InvalidValueError(f"{name} is {value!r}; expected one number, or {n_layers}: one for each layer")
    found = []
    for row in rows:
        entries = [row] * dim if isinstance(row, int | float | np.number) else row
        good = isinstance(entries, Sequence) and not isinstance(entries, str) and len(entries) == dim
        if not good or not all(isinstance(s, int | float | np.number) and 0 < s < math.inf for s in entries):
            raise InvalidValueError(
                f"{name} of a layer is {row!r}; expected a positive number, or {dim}: one for each axis"
            )
        found.append(tuple(map(float, entries)))
    return tuple(found)
