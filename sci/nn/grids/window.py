"""Windows on grids: how many taps there are along each axis, how far apart, and which cells they see."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sci.errors import InvalidValueError, ShapeError

__all__ = ["Boundary", "Lengths", "Padding", "Window", "per_axis", "window"]

Lengths = int | Sequence[int]
Padding = Literal["same"] | int | Sequence[int | Sequence[int]]
Boundary = Literal["zeros", "periodic"]


def per_axis(value: Any, axes: int, name: str, least: int = 1) -> tuple[int, ...]:
    """Return one integer for each axis; one number stands for all of them.

    Raises
    ------
    InvalidValueError
        Unless they are integers of `least` or more.
    """
    numbers = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value,) * axes
    if len(numbers) != axes or not all(_is_integer(n) and n >= least for n in numbers):
        raise InvalidValueError(
            f"{name}={value!r}; expected an integer of {least} or more, or one for each of {axes} axes"
        )
    return tuple(int(n) for n in numbers)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _margins(padding: Any, reach: tuple[int, ...], name: str) -> tuple[tuple[int, int], ...]:
    """Return the cells before and after each axis."""
    axes = len(reach)
    if isinstance(padding, str):
        if padding != "same":
            raise InvalidValueError(f"{name}: padding={padding!r}; expected 'same', or integers")
        return tuple((r // 2, r - r // 2) for r in reach)
    given = tuple(padding) if isinstance(padding, (tuple, list, np.ndarray)) else (padding,) * axes
    pairs = [tuple(p) if isinstance(p, (tuple, list, np.ndarray)) else (p, p) for p in given]
    if len(pairs) != axes or not all(len(p) == 2 and all(_is_integer(n) and n >= 0 for n in p) for p in pairs):
        raise InvalidValueError(
            f"{name}: padding={padding!r}; expected 'same', an integer of 0 or more, or for each of {axes} axes an "
            "integer or (before, after)"
        )
    return tuple((int(a), int(b)) for a, b in pairs)


@dataclass(frozen=True)
class Window:
    """Taps that move over a grid: output i sees the cells `i stride - before + t dilation` for 0 <= t < taps.

    Parameters
    ----------
    grid, taps, stride, dilation, before, after : tuple of int
        One number for each axis; `before` and `after` count the cells of the margin.
    """

    grid: tuple[int, ...]
    taps: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @functools.cached_property
    def reach(self) -> tuple[int, ...]:
        """The distance from the first tap to the last."""
        return tuple(d * (k - 1) for d, k in zip(self.dilation, self.taps))

    @functools.cached_property
    def padded(self) -> tuple[int, ...]:
        """The lengths of the grid with its margins."""
        return tuple(a + n + b for a, n, b in zip(self.before, self.grid, self.after))

    @functools.cached_property
    def out(self) -> tuple[int, ...]:
        """The lengths of the outputs."""
        return tuple((n - r - 1) // s + 1 for n, r, s in zip(self.padded, self.reach, self.stride))

    @functools.cached_property
    def is_pointwise(self) -> bool:
        """Whether each output sees one cell."""
        return set(self.taps) == {1} and not any(self.before) and not any(self.after)

    @functools.cached_property
    def lifted(self) -> Window:
        """The same with axes of one cell before the others, to make three."""
        missing = 3 - len(self.grid)
        one, none = (1,) * missing, (0,) * missing
        return Window(
            one + self.grid,
            one + self.taps,
            one + self.stride,
            one + self.dilation,
            none + self.before,
            none + self.after,
        )


def window(name: str, grid: Sequence[int], taps: Sequence[int], stride: Any, dilation: Any, padding: Any) -> Window:
    """Return the window of an op, or raise an error with its name.

    Raises
    ------
    InvalidValueError
        For a stride or a dilation below 1, or a padding below 0.
    ShapeError
        For no cells, or a window that is longer than the padded grid.
    """
    axes = len(grid)
    strides, dilations = (per_axis(v, axes, f"{name}: {n}") for v, n in ((stride, "stride"), (dilation, "dilation")))
    reach = tuple(d * (k - 1) for d, k in zip(dilations, taps))
    margins = _margins(padding, reach, name)
    return _checked(name, tuple(grid), tuple(taps), strides, dilations, margins)


@functools.lru_cache(maxsize=512)
def _checked(
    name: str,
    grid: tuple[int, ...],
    taps: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    margins: tuple[tuple[int, int], ...],
) -> Window:
    made = Window(grid, taps, stride, dilation, tuple(a for a, _ in margins), tuple(b for _, b in margins))
    if min(grid) < 1 or min(taps) < 1:
        raise ShapeError(f"{name} of a grid of {grid} cells with windows of {taps}; expected 1 or more along each axis")
    if min(made.out) < 1:
        raise ShapeError(
            f"{name}: a window of {taps} taps with dilation {dilation} spans {tuple(r + 1 for r in made.reach)} cells, "
            f"the grid with its padding has {made.padded}; expected no more than that: pad the grid, or take fewer taps"
        )
    return made
