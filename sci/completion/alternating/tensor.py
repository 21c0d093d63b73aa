"""The tensor that alternating least squares completes, and its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array
from sci.completion.axes import Axis
from sci.completion.observations import cells_of
from sci.completion.sums import products
from sci.errors import ShapeError
from sci.tensor import CP, Tucker

__all__ = ["CompletedTensor", "expanded"]

_BLOCK = 2**20
"""Numbers that are formed at once."""


@entry
@dataclass(frozen=True, eq=False)
class CompletedTensor:
    """A tensor of low rank plus a constant, fitted to observed entries. Made by `complete_cp` and `complete_tucker`.

    Parameters
    ----------
    axes : tuple of K Axis
    tensor : CP or Tucker
        In units of the values; of the shape of the axes.
    offset : float
        Added to every entry: the mean of the observed values.
    residual : float
        Root mean square of the observed entries about the fit, in units of the values.
    history : (sweeps,) float64 array
        Penalized sums of squares of standardized values after each sweep.

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import complete_cp, observe
    >>> i, j = np.divmod(np.random.default_rng(0).permutation(400)[:200], 20)
    >>> y = np.sin(i / 3) * np.cos(j / 4)
    >>> found = complete_cp(observe(np.stack([i, j], axis=1), y, shape=(20, 20)), 1, ridge=1e-3)
    >>> bool(abs(found.predict(np.array([[4, 7]]))[0] - np.sin(4 / 3) * np.cos(7 / 4)) < 0.02)
    True
    """

    axes: tuple[Axis, ...]
    tensor: CP | Tucker
    offset: float
    residual: float
    history: np.ndarray

    def __post_init__(self) -> None:
        shape = tuple(map(len, self.axes))
        if self.tensor.shape != shape:
            raise ShapeError(f"tensor has shape {self.tensor.shape}; expected {shape}, that of the axes")

    def __repr__(self) -> str:
        names = ", ".join(axis.name for axis in self.axes)
        return f"CompletedTensor({self.tensor!r} of {names}, residual {self.residual:.4g})"

    def predict(self, coordinates: Array | Mapping[str, Any]) -> np.ndarray:
        """Return the entries at places of the axes.

        Parameters
        ----------
        coordinates : (m, K) array, or mapping of the names of the axes to (m,) columns
            As for `observe`. Places between those of the axes are unknown to a tensor: see `functional_cp`.

        Returns
        -------
        (m,) float64 array
            The mean of all values at places without an entry.

        Raises
        ------
        ShapeError, InvalidValueError
            Also for a place that is not on its axis.
        """
        index = cells_of(coordinates, self.axes)
        if isinstance(self.tensor, CP):
            tables, weights = list(self.tensor.factors), self.tensor.weights
        else:
            tables, weights = expanded(list(self.tensor.factors)), self.tensor.core.ravel()
        step = max(1, _BLOCK // max(1, len(weights)))
        parts = [products(tables, index[k : k + step]) @ weights for k in range(0, len(index), step)]
        return np.asarray(self.offset + np.concatenate([np.empty(0), *parts]))


def expanded(tables: list[np.ndarray]) -> list[np.ndarray]:
    """Repeat columns so that products of rows, column by column, are Kronecker products of the rows given."""
    counts = [table.shape[1] for table in tables]
    columns = np.indices(counts).reshape(len(counts), -1)
    return [table[:, own] for table, own in zip(tables, columns)]
