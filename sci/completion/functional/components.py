"""Components of a masked CP model: each is free along some axes and 1 along the others."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError, ShapeError

__all__ = ["Components", "masked_components"]


@entry
@dataclass(frozen=True, eq=False)
class Components:
    """Axes along which each component of a CP model is free; along the others its factor is 1.

    Parameters
    ----------
    free : (K, R) bool array
        For each axis and component. Each component is free along at least one axis, each axis has a free component.

    Raises
    ------
    InvalidValueError, ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import Components
    >>> Components(np.array([[True, True, False], [True, False, True]]))
    Components(3 of 2 axes: 1 free along all, 2 along some)
    """

    free: np.ndarray

    def __post_init__(self) -> None:
        if self.free.ndim != 2 or self.free.dtype != bool or not self.free.size:
            raise ShapeError(f"free has shape {self.free.shape} and dtype {self.free.dtype}; expected (K, R) of bool")
        if not (self.free.any(axis=0).all() and self.free.any(axis=1).all()):
            raise InvalidValueError("free has a component that is 1 along all axes, or an axis without free component")

    def __repr__(self) -> str:
        k, r = self.free.shape
        full = int(self.free.all(axis=0).sum())
        return f"Components({r} of {k} axes: {full} free along all, {r - full} along some)"

    @property
    def n_axes(self) -> int:
        """K."""
        return int(self.free.shape[0])

    @property
    def n_components(self) -> int:
        """R."""
        return int(self.free.shape[1])

    def along(self, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the components that are free along an axis, and of those that are 1.

        Parameters
        ----------
        axis : int

        Returns
        -------
        two int64 arrays

        Examples
        --------
        >>> import numpy as np
        >>> from sci.completion import Components
        >>> Components(np.array([[True, True, False], [True, False, True]])).along(1)
        (array([0, 2]), array([1]))
        """
        if not 0 <= axis < self.n_axes:
            raise InvalidValueError(f"axis is {axis}; expected 0 to {self.n_axes - 1}")
        return np.flatnonzero(self.free[axis]), np.flatnonzero(~self.free[axis])


@entry
def masked_components(
    n_axes: int, full: int = 8, *, main: int = 1, pairs: int | Mapping[tuple[int, int], int] | None = None
) -> Components:
    """Return components that are free along all axes, along single ones (main effects), and along pairs.

    Parameters
    ----------
    n_axes : int
        K, from 2 to 6.
    full : int
        Components that are free along all axes.
    main : int
        Components that are free along one axis alone, for each axis.
    pairs : int, or mapping (axis, axis) -> int, optional
        Components that are free along two axes, for each pair. Unless given: 2 for each pair of three or four axes, 1
        for each of more, and twice as many for axes 0 and 1, which often are a position; none for two axes.

    Returns
    -------
    Components
        In the order full, main, pairs.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.completion import masked_components
    >>> masked_components(3)
    Components(19 of 3 axes: 8 free along all, 11 along some)
    """
    if not 2 <= n_axes <= 6 or full < 0 or not main >= 0:
        raise InvalidValueError(
            f"n_axes {n_axes}, full {full}, main {main}; expected 2 to 6 axes, and counts of at least 0"
        )
    both = list(itertools.combinations(range(n_axes), 2)) if n_axes > 2 else []
    if pairs is None:
        few = 2 if n_axes < 5 else 1
        pairs = {pair: few * (1 + (pair == (0, 1))) for pair in both}
    elif isinstance(pairs, int):
        pairs = dict.fromkeys(both, pairs)
    columns = [np.ones(n_axes, bool)] * full
    columns += [np.arange(n_axes) == axis for axis in range(n_axes) for _ in range(main)]
    for pair, count in pairs.items():
        if len(set(pair)) != 2 or not set(pair) <= set(range(n_axes)) or count < 0:
            raise InvalidValueError(
                f"pairs holds {pair}: {count}; expected two of the axes 0 to {n_axes - 1}, and a count"
            )
        columns += [np.isin(np.arange(n_axes), pair)] * count
    return Components(np.stack(columns, axis=1) if columns else np.zeros((n_axes, 0), bool))
